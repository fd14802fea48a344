"""Jina's rerank: `POST /rerank`. Documents may be objects, images among them; they are sent as they came.

What does not live here: reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, ranking
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.jina.refusal import error

if TYPE_CHECKING:
    from compatgw.dialects.base import Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/rerank"
_READ = frozenset({"truncation", "truncate"})
# Kinds of documents that its multimodal models rank, each by the only member that says it.
_KINDS = ({"text"}, {"image"}, {"url"})


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as Jina takes it; it would send documents back unless it is told not to."""
    left = Leftovers(target)
    documents = request["documents"]
    if request.get("rank_fields") or any(isinstance(one, dict) and set(one) not in _KINDS for one in documents):
        documents = list(ranking.texts(request, target))
    body: dict[str, Any] = {
        "model": target.model,
        "query": request["query"],
        "documents": documents,
        "return_documents": False,
    }
    if "top_n" in request:
        body["top_n"] = request["top_n"]
    cut = request.get("truncation", request.get("truncate"))
    if cut is not None:
        body["truncation"] = cut
    ranking.leave(request, _READ, left)
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=ranking.memo(request))


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(error, "documents")
)
