"""The Anthropic Messages dialect: `POST /messages` under a base such as `https://api.anthropic.com/v1`.

What does not live here: the Messages surface for clients (`surfaces/`), the hosts that put
the version into the body and sign requests in their own ways.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects.anthropic import native
from compatgw.dialects.anthropic.request import encode
from compatgw.dialects.anthropic.response import decode, error
from compatgw.dialects.anthropic.stream import AnthropicStream
from compatgw.dialects.base import ChatCodec, Dialect
from compatgw.dialects.blocks import thoughts

if TYPE_CHECKING:
    from compatgw.dialects.base import Target


def _fetches(kind: str, url: str, target: Target) -> bool:
    return target.quirks.image_urls


DIALECT = Dialect(
    "anthropic",
    fetches=_fetches,
    signs=thoughts.FORMAT,
    chat=ChatCodec(encode=encode, decode=decode, stream=AnthropicStream, error=error, n=False),
    native=MappingProxyType({"messages": native.MESSAGES, "count_tokens": native.COUNT_TOKENS}),
)

__all__ = ["DIALECT"]
