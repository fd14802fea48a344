"""The Cohere v2 dialect: `POST /v2/chat` under a base such as `https://api.cohere.com`.

What does not live here: the version 1 protocol (`message`, `chat_history`, `connectors`),
which is another one, and Cohere's OpenAI-like layer, which loses documents and citations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.cohere.embeddings import EMBEDDINGS
from compatgw.dialects.cohere.request import encode
from compatgw.dialects.cohere.rerank import RERANK
from compatgw.dialects.cohere.response import decode, error
from compatgw.dialects.cohere.stream import CohereStream

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


def _fetches(kind: str, url: str, target: Target) -> bool:
    # Files are refused, so nobody needs to get them.
    return kind != "image" or target.quirks.image_urls


DIALECT = Dialect(
    "cohere",
    fetches=_fetches,
    chat=ChatCodec(encode=encode, decode=decode, stream=CohereStream, error=error, n=False),
    embeddings=EMBEDDINGS,
    rerank=RERANK,
)

__all__ = ["DIALECT"]
