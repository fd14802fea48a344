"""The Bedrock dialect: Converse and ConverseStream under `https://bedrock-runtime.us-east-1.amazonaws.com` or its like.

What does not live here: signatures (`providers/sigv4.py`), the framing of streams
(`wire/eventstream.py`), Bedrock's OpenAI-like doors, which speak another dialect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.bedrock import content
from compatgw.dialects.bedrock.request import encode
from compatgw.dialects.bedrock.response import decode, error
from compatgw.dialects.bedrock.stream import ConverseStream
from compatgw.dialects.blocks import thoughts
from compatgw.wire.eventstream import CONTENT_TYPE

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


def _fetches(kind: str, url: str, target: Target) -> bool:
    return content.fetches(url)


DIALECT = Dialect(
    "bedrock",
    fetches=_fetches,
    signs=thoughts.FORMAT,
    chat=ChatCodec(encode=encode, decode=decode, stream=ConverseStream, error=error, stream_type=CONTENT_TYPE, n=False),
)

__all__ = ["DIALECT"]
