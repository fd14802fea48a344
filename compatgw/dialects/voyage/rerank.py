"""Voyage's rerank: `POST /rerank`, with `top_k` for `top_n`.

What does not live here: documents as texts, reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, ranking
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.voyage.refusal import error

if TYPE_CHECKING:
    from compatgw.dialects.base import Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/rerank"
_READ = frozenset({"truncation", "truncate"})


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as Voyage takes it.

    Raises:
        UnsupportedParameter: A document that is no text.
    """
    left = Leftovers(target)
    body: dict[str, Any] = {
        "model": target.model,
        "query": request["query"],
        "documents": ranking.texts(request, target),
    }
    if "top_n" in request:
        body["top_k"] = request["top_n"]
    cut = request.get("truncation", request.get("truncate"))
    if cut is not None:
        body["truncation"] = cut
    ranking.leave(request, _READ, left)
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=ranking.memo(request))


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(error, "documents")
)
