"""Anthropic's rate-limit headers.

What does not live here: the quota itself (`fakes/quota.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from compatgw_testing.fakes.quota import Room

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Headers
    from compatgw_testing.fakes.quota import Quota

# What an account has that is never in want: name, limit.
_AMPLE = (("requests", 4000), ("tokens", 4_800_000), ("input-tokens", 4_000_000), ("output-tokens", 800_000))


def limit_headers(limits: Quota | None, ordinal: int, now: float) -> Headers:
    """What is left of each limit, and when it is full again.

    Args:
        limits: The quota; what it does not limit is ample.
        ordinal: How many calls there were.
        now: Seconds since 1970.
    """
    left = {name: Room(limit, limit - ordinal if name == "requests" else limit, 0.0) for name, limit in _AMPLE}
    if limits is not None and limits.requests is not None:
        left["requests"] = limits.requests.room
    if limits is not None and limits.tokens is not None:
        left["tokens"] = limits.tokens.room
    headers: Headers = []
    for name, room in left.items():
        full = datetime.fromtimestamp(now + room.reset, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers += [
            (f"anthropic-ratelimit-{name}-limit", str(room.limit)),
            (f"anthropic-ratelimit-{name}-remaining", str(max(0, room.remaining))),
            (f"anthropic-ratelimit-{name}-reset", full),
        ]
    return headers
