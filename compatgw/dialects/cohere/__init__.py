"""The Cohere v2 dialect: `POST /v2/chat` under a base such as `https://api.cohere.com`.

What does not live here: the version 1 protocol (`message`, `chat_history`, `connectors`),
which is another one, and Cohere's OpenAI-like layer, which loses documents and citations.
"""

from __future__ import annotations

from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.cohere.request import encode
from compatgw.dialects.cohere.response import decode, error
from compatgw.dialects.cohere.stream import CohereStream

DIALECT = Dialect("cohere", chat=ChatCodec(encode=encode, decode=decode, stream=CohereStream, error=error, n=False))

__all__ = ["DIALECT"]
