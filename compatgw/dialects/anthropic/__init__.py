"""The Anthropic Messages dialect: `POST /messages` under a base such as `https://api.anthropic.com/v1`.

What does not live here: the Messages surface for clients (`surfaces/`), the hosts that put
the version into the body and sign requests in their own ways.
"""

from __future__ import annotations

from compatgw.dialects.anthropic.request import encode
from compatgw.dialects.anthropic.response import decode, error
from compatgw.dialects.anthropic.stream import AnthropicStream
from compatgw.dialects.base import ChatCodec, Dialect

DIALECT = Dialect(
    "anthropic", chat=ChatCodec(encode=encode, decode=decode, stream=AnthropicStream, error=error, n=False)
)

__all__ = ["DIALECT"]
