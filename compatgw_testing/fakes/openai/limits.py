"""Rate-limit headers: what is left of a quota, in the form of each vendor.

What does not live here: the quota itself (`fakes/quota.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from compatgw_testing.fakes.quota import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compatgw_testing.fakes.answer import Headers
    from compatgw_testing.fakes.quota import Quota

LimitForm = Literal["durations", "seconds", "counts", "minute", "day", "epoch", "flat", "none"]


class Rooms(NamedTuple):
    """What is left of requests and of tokens; `told` if a quota was set."""

    requests: Room
    tokens: Room
    told: bool


def rooms(limits: Quota | None, ordinal: int) -> Rooms:
    """What is left after so many calls; without a quota, of one that never runs out."""
    requests = Room(10_000, max(0, 10_000 - ordinal), 0.006)
    tokens = Room(2_000_000, max(0, 2_000_000 - 100 * ordinal), 0.003)
    if limits is not None and limits.requests is not None:
        requests = limits.requests.room
    if limits is not None and limits.tokens is not None:
        tokens = limits.tokens.room
    return Rooms(requests, tokens, limits is not None)


def limit_headers(form: LimitForm, left: Rooms, now: float) -> Headers:
    """The headers, in a vendor's form.

    Args:
        form: `durations` until full such as `6m0s`; `seconds` until full; `counts` without them; `minute` names the
            window in the header; `day` counts requests by the day; `epoch` says when it is full in milliseconds since
            1970, and only if there is a quota; `flat` has one set of headers for requests, and tokens beside.
        left: What is left.
        now: Seconds since 1970.
    """
    return _FORMS[form](left, now)


def duration(seconds: float) -> str:
    """A time as Go writes it: `0s`, `12ms`, `8.64s`, `6m0s`, `1h2m3s`."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{max(1, round(seconds * 1000))}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _each(left: Rooms, reset: Callable[[float], str] | None) -> Headers:
    found: Headers = []
    for name, room in (("requests", left.requests), ("tokens", left.tokens)):
        found.append((f"x-ratelimit-limit-{name}", str(room.limit)))
        found.append((f"x-ratelimit-remaining-{name}", str(room.remaining)))
        if reset is not None:
            found.append((f"x-ratelimit-reset-{name}", reset(room.reset)))
    return found


def _windows(left: Rooms, requests: str, tokens: str, *, reset: bool) -> Headers:
    found: Headers = []
    for name, room in ((requests, left.requests), (tokens, left.tokens)):
        found.append((f"x-ratelimit-limit-{name}", str(room.limit)))
        found.append((f"x-ratelimit-remaining-{name}", str(room.remaining)))
        if reset:
            found.append((f"x-ratelimit-reset-{name}", f"{room.reset:.6f}"))
    return found


def _epoch(left: Rooms, now: float) -> Headers:
    if not left.told:
        return []
    room = left.requests
    return [
        ("x-ratelimit-limit", str(room.limit)),
        ("x-ratelimit-remaining", str(room.remaining)),
        ("x-ratelimit-reset", str(round((now + room.reset) * 1000))),
    ]


def _flat(left: Rooms, now: float) -> Headers:
    return [
        ("x-ratelimit-limit", str(left.requests.limit)),
        ("x-ratelimit-remaining", str(left.requests.remaining)),
        ("x-ratelimit-reset", str(round(left.requests.reset))),
        ("x-ratelimit-limit-tokens", str(left.tokens.limit)),
        ("x-ratelimit-remaining-tokens", str(left.tokens.remaining)),
    ]


_FORMS: Mapping[LimitForm, Callable[[Rooms, float], Headers]] = {
    "durations": lambda left, now: _each(left, duration),
    "seconds": lambda left, now: _each(left, lambda seconds: str(round(seconds))),
    "counts": lambda left, now: _each(left, None),
    "minute": lambda left, now: _windows(left, "req-minute", "tokens-minute", reset=False),
    "day": lambda left, now: _windows(left, "requests-day", "tokens-minute", reset=True),
    "epoch": _epoch,
    "flat": _flat,
    "none": lambda left, now: [],
}
