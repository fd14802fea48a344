"""The Gemini dialect: `generateContent` under a base such as `https://generativelanguage.googleapis.com/v1beta`.

What does not live here: Google's OpenAI-like layer (another dialect), the live protocol over
WebSockets, and the addresses and tokens of Vertex AI, whose bodies are these as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.gemini import models, parts, signatures
from compatgw.dialects.gemini.embeddings import EMBEDDINGS
from compatgw.dialects.gemini.images import EDITS, IMAGES
from compatgw.dialects.gemini.refusal import error
from compatgw.dialects.gemini.request import encode
from compatgw.dialects.gemini.response import decode
from compatgw.dialects.gemini.speech import SPEECH
from compatgw.dialects.gemini.stream import GeminiStream

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


def _fetches(kind: str, url: str, target: Target) -> bool:
    return parts.fetches(url, models.traits(target))


DIALECT = Dialect(
    "gemini",
    fetches=_fetches,
    signs=signatures.FORMAT,
    chat=ChatCodec(encode=encode, decode=decode, stream=GeminiStream, error=error, n=False),
    embeddings=EMBEDDINGS,
    images=IMAGES,
    edits=EDITS,
    speech=SPEECH,
)

__all__ = ["DIALECT"]
