"""Rerank of servers that speak OpenAI's protocol and have it beside (vLLM, Together and others): `POST /rerank`.

What does not live here: documents as texts, reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from compatgw.dialects import bodies, failure, ranking
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.openai import members

if TYPE_CHECKING:
    from compatgw.dialects.base import Quirks, Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/rerank"
_OWN = frozenset({"model", "query", "documents", "top_n"})


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as the target takes it: documents as texts, and never sent back.

    Raises:
        UnsupportedParameter: A document that is no text.
    """
    left = Leftovers(target)
    sent = {name: value for name, value in request.items() if name not in ("rank_fields", "return_documents")}
    body = members.fitted({**sent, "documents": ranking.texts(request, target)}, _OWN, target, left)
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=ranking.memo(request))


def serves(quirks: Quirks) -> bool:
    """The upstream has the endpoint."""
    return "rerank" not in quirks.lacks


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(failure.from_body, "documents"), serves=serves
)
