"""Cohere's rerank: `POST /v2/rerank`, whose shape is the hub's but for documents, which are texts alone.

What does not live here: documents as texts, reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, ranking
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.cohere.response import error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/v2/rerank"
_SAME = frozenset({"query", "top_n", "max_tokens_per_doc", "relevant_spans", "priority"})


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as Cohere takes it.

    Raises:
        UnsupportedParameter: A document that is no text.
    """
    left = Leftovers(target)
    members: Mapping[str, Any] = request
    body = {name: value for name, value in members.items() if name in _SAME}
    ranking.leave(request, _SAME, left)
    body = {"model": target.model, "documents": ranking.texts(request, target), **body}
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=ranking.memo(request))


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(error, "documents")
)
