"""Anthropic's Messages API as clients speak it: `POST /v1/messages` and `/v1/messages/count_tokens`.

What does not live here: the dialect of upstreams that speak it (`dialects/anthropic/`).
"""

from __future__ import annotations

from compatgw.surfaces.base import Surface
from compatgw.surfaces.messages.envelope import envelope
from compatgw.surfaces.messages.face import CountFace, MessagesFace
from compatgw.surfaces.messages.request import count_validator, parse, parse_count, validator
from compatgw.wire.messages import HEADERS

# Where Anthropic's SDKs look for the id of a call.
_IDS = ("request-id",)
MESSAGES = Surface(
    name="messages",
    scope="messages",
    codec="chat",
    parse=parse,
    face=MessagesFace,
    envelope=envelope,
    headers=HEADERS,
    ids=_IDS,
)
COUNT_TOKENS = Surface(
    name="count_tokens",
    scope="messages",
    codec="chat",
    parse=parse_count,
    face=CountFace,
    envelope=envelope,
    headers=HEADERS,
    ids=_IDS,
)

__all__ = ["COUNT_TOKENS", "MESSAGES", "count_validator", "validator"]
