"""Jina's rerank: `POST /rerank`. Documents may be objects, images among them; they are sent as they came.

What does not live here: reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects import bodies, ranking
from compatgw.dialects.base import Codec
from compatgw.dialects.jina.refusal import error

if TYPE_CHECKING:
    from compatgw.dialects.base import Outgoing, Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/rerank"
# Kinds of documents that its multimodal models rank, each by the only member that says it.
_KINDS = ({"text"}, {"image"}, {"url"})


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as Jina takes it; it would send documents back unless it is told not to."""
    documents = request["documents"]
    if request.get("rank_fields") or any(isinstance(one, dict) and set(one) not in _KINDS for one in documents):
        documents = list(ranking.texts(request, target))
    return ranking.outgoing(PATH, {"documents": documents, "return_documents": False}, request, target, top="top_n")


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(error, "documents")
)
