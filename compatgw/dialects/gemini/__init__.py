"""The Gemini dialect: `generateContent` under a base such as `https://generativelanguage.googleapis.com/v1beta`.

What does not live here: Google's OpenAI-like layer (another dialect), the live protocol over
WebSockets, and the addresses and tokens of Vertex AI, whose bodies are these as well.
"""

from __future__ import annotations

from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.gemini.refusal import error
from compatgw.dialects.gemini.request import encode
from compatgw.dialects.gemini.response import decode
from compatgw.dialects.gemini.stream import GeminiStream

DIALECT = Dialect("gemini", chat=ChatCodec(encode=encode, decode=decode, stream=GeminiStream, error=error, n=False))

__all__ = ["DIALECT"]
