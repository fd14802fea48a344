"""Voyage's rerank: `POST /rerank`, with `top_k` for `top_n`.

What does not live here: documents as texts, reading an answer (`dialects/ranking.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects import bodies, ranking
from compatgw.dialects.base import Codec
from compatgw.dialects.voyage.refusal import error

if TYPE_CHECKING:
    from compatgw.dialects.base import Outgoing, Result, Target
    from compatgw.wire.rerank import RerankRequest

PATH = "/rerank"


def encode(request: RerankRequest, target: Target) -> Outgoing:
    """The request as Voyage takes it.

    Raises:
        UnsupportedParameter: A document that is no text.
    """
    return ranking.outgoing(PATH, {"documents": ranking.texts(request, target)}, request, target, top="top_k")


RERANK: Codec[RerankRequest, Result] = Codec(
    encode=encode, decode=ranking.decode, error=bodies.blaming(error, "documents")
)
