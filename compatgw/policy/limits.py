"""Limits: token buckets in exact integers, which buckets a call touches, and what is said of them in headers.

A bucket's level is kept in units times milliseconds of its period, so that `limit` of them flow in
every millisecond and nothing is ever rounded: from full it admits the limit plus, at any later
moment, the whole units that have flowed in since. This is GCRA with the burst and the rate of one
period, written so that a bucket survives a change of its limit. `state/memory.py` calls these
functions, `state/lua/*.lua` says the same in Lua; one suite of tests holds both to it.

What does not live here: where levels are kept, and the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.state.base import Bucket, Lease, Level, Limits, Plan, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw.state.base import BucketKind
    from compatgw.wire.chat import ChatRequest

PLANS: Mapping[str, Plan] = MappingProxyType(
    {
        "starter": Plan(id="starter", requests=60, tokens=100_000),
        "professional": Plan(id="professional", requests=300, tokens=500_000),
        # What an enterprise gets is agreed with each: its keys and teams carry limits of their own.
        "enterprise": Plan(id="enterprise"),
    }
)
"""Plans that every gateway knows; a stored plan of the same id wins."""

MOST_UNITS = 1_000_000_000
"""Largest limit: up to it every level fits the 53 bits that a number of Lua holds exactly."""
_DEEPEST = -(2**52)

# Rules of thumb, corrected by what was really used: four bytes of UTF-8 to a token is near for English
# and code, and above it for most other scripts; what frames a message; an image at common sizes.
_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 4
_PER_IMAGE = 1_000
_PER_FILE = 3_000


def level_at(bucket: Bucket, level: int, at: int, now: int) -> int:
    """What a bucket holds at `now`, of which `level` was there at `at`, both times in milliseconds.

    A clock that went back adds nothing, and the bucket goes on from there.
    """
    full = bucket.limit * bucket.period
    if now <= at:
        return min(level, full)
    # Levels stay small numbers even when nobody came for years.
    return full if now - at >= bucket.period and level >= 0 else min(full, level + (now - at) * bucket.limit)


def price_of(bucket: Bucket, cost: int) -> int:
    """What `cost` units take from a level; more than the bucket holds counts as all that it holds."""
    # A bucket of nothing admits nothing.
    return min(cost, max(bucket.limit, 1)) * bucket.period


def corrected(bucket: Bucket, level: int, cost: int) -> int:
    """The level after `cost` more units (or less, when negative) than were taken at first; debt is possible."""
    return max(_DEEPEST, min(bucket.limit * bucket.period, level - cost * bucket.period))


def wait_for(bucket: Bucket, level: int, price: int) -> int:
    """Milliseconds until `level` has grown to `price`; 0 when it has. A bucket of nothing says its period."""
    if level >= price:
        return 0
    return -((level - price) // bucket.limit) if bucket.limit > 0 else bucket.period


def shown(bucket: Bucket, level: int) -> Level:
    """What callers are told of a level."""
    full = bucket.limit * bucket.period
    return Level(bucket, max(0, level) // bucket.period, wait_for(bucket, level, full))


def judge(costs: Sequence[tuple[Bucket, int]], levels: Sequence[int], full_lease: Lease | None = None) -> Verdict:
    """Whether all `costs` fit into the `levels` as they are now.

    Args:
        full_lease: A lease that has no place left.
    """
    refused_by: Bucket | Lease | None = full_lease
    longest = 0
    after = []
    for (bucket, cost), level in zip(costs, levels, strict=True):
        price = price_of(bucket, cost)
        after.append(level - price)
        if level < price and (wait := wait_for(bucket, level, price)) > longest:
            refused_by, longest = bucket, wait
    now = after if refused_by is None else levels
    told = tuple([shown(bucket, level) for (bucket, _), level in zip(costs, now, strict=True)])
    return Verdict(refused_by is None, told, refused_by, longest)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a call is counted against.

    Attributes:
        group: The team, whose buckets stand together.
        requests: Buckets that take 1. tokens: Buckets that take tokens. leases: Places among calls at one time.
    """

    group: str
    requests: tuple[Bucket, ...]
    tokens: tuple[Bucket, ...]
    leases: tuple[Lease, ...]

    @property
    def empty(self) -> bool:
        """True when there is nothing to count."""
        return not (self.requests or self.tokens or self.leases)

    def costs(self, tokens: int) -> tuple[tuple[Bucket, int], ...]:
        """What a call of about `tokens` tokens takes at first."""
        return (*[(bucket, 1) for bucket in self.requests], *[(bucket, max(0, tokens)) for bucket in self.tokens])

    def corrections(self, reserved: int, used: int) -> tuple[tuple[Bucket, int], ...]:
        """What is taken or given back once it is known that `used` tokens were used of the `reserved` ones.

        A bucket that is smaller than the reservation gave only what it holds.
        """
        return tuple(
            [(bucket, change) for bucket in self.tokens if (change := used - min(max(0, reserved), bucket.limit))]
        )


def claims(group: str, owners: Iterable[tuple[str, Limits]]) -> Claims:
    """The buckets and leases of a caller.

    Args:
        group: What stands together: the team, or a caller without one.
        owners: Whose limits hold, each with a name that is unique in the group, such as `t:acme` and `k:1`.
    """
    requests, tokens, leases = [], [], []
    for owner, limits in owners:
        if limits.requests is not None:
            requests.append(Bucket(f"{owner}:r", "requests", limits.requests))
        if limits.tokens is not None:
            tokens.append(Bucket(f"{owner}:t", "tokens", limits.tokens))
        if limits.concurrency is not None:
            leases.append(Lease(f"{owner}:c", limits.concurrency))
    return Claims(group, tuple(requests), tuple(tokens), tuple(leases))


def limits_of(stored: Plan | None, name: str | None, known: Mapping[str, Plan] = PLANS) -> Limits:
    """The limits of a plan: the stored one's, else the one that is `known` by that name, else none."""
    plan = stored or (known.get(name) if name is not None else None)
    return plan.limits if plan is not None else Limits()


def narrower(one: Limits, other: Limits) -> Limits:
    """The smaller of each limit."""
    return Limits(
        requests=_least(one.requests, other.requests),
        tokens=_least(one.tokens, other.tokens),
        concurrency=_least(one.concurrency, other.concurrency),
    )


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def headers(levels: Sequence[Level]) -> tuple[tuple[str, str], ...]:
    """The `x-ratelimit-*` family: of each kind, the bucket that has the least left."""
    out: list[tuple[str, str]] = []
    for kind in ("requests", "tokens"):
        tightest = min(
            (x for x in levels if x.bucket.kind == kind), key=lambda x: (x.remaining, -x.reset), default=None
        )
        if tightest is not None:
            out.append((f"x-ratelimit-limit-{kind}", str(tightest.bucket.limit)))
            out.append((f"x-ratelimit-remaining-{kind}", str(tightest.remaining)))
            out.append((f"x-ratelimit-reset-{kind}", duration(tightest.reset)))
    return tuple(out)


def retry_after(milliseconds: int) -> int:
    """Whole seconds for `Retry-After`, never too few: who waits that long is admitted."""
    return max(1, -(-milliseconds // 1000))


def duration(milliseconds: int) -> str:
    """A time as OpenAI writes it in headers: `0s`, `17ms`, `8.64s`, `6m0s`, `1h0m0s`."""
    if milliseconds <= 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    seconds, fraction = divmod(rest, 1000)
    text = f"{seconds}.{fraction:03d}".rstrip("0").rstrip(".") if fraction else str(seconds)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}s"
    return f"{minutes}m{text}s" if minutes else f"{text}s"


def refusal(verdict: Verdict, kind: BucketKind | None = None) -> str:
    """One sentence for a caller who was refused."""
    found = verdict.refused_by
    if isinstance(found, Lease):
        return f"{found.limit} calls are running at one time already, which is the most for this key or team."
    if found is None:
        return "The limit of this key or team is reached."
    what = kind or found.kind
    return (
        f"The limit of {found.limit} {what} a minute is reached. Try again in {duration(verdict.retry_after)}, "
        "or ask the gateway's operator for a higher limit."
    )


def input_tokens(request: ChatRequest) -> int:
    """About how many tokens a request has: a reservation, which settling sets right."""
    total = 0
    for message in request["messages"]:
        total += _PER_MESSAGE + _content(message.get("content"))
        if calls := message.get("tool_calls"):
            total += len(orjson.dumps(calls)) // _BYTES_PER_TOKEN
    for member in ("tools", "functions", "response_format"):
        if value := request.get(member):
            total += len(orjson.dumps(value)) // _BYTES_PER_TOKEN
    return total


def reserved_tokens(request: ChatRequest, total: int, output_cap: int, model_output: int | None = None) -> int:
    """Tokens to reserve: the input's and the output that was asked for, at most `output_cap` of it.

    Args:
        total: About how many tokens the request has (`input_tokens`).
        output_cap: Most output tokens that are reserved, asked for or not.
        model_output: Most that the model writes, when known.
    """
    asked = output_tokens(request, output_cap, model_output)
    return total + min(asked, output_cap * (request.get("n") or 1))


def output_tokens(request: ChatRequest, default: int, model_output: int | None = None) -> int:
    """Most output tokens that a request asks for.

    Args:
        default: For one that does not say.
        model_output: Most that the model writes, when known.
    """
    asked = request.get("max_completion_tokens") or request.get("max_tokens") or default
    return min(asked, model_output or asked) * (request.get("n") or 1)


def tokens_of(characters: int) -> int:
    """About how many tokens so many characters of an answer were, where nobody says."""
    return -(-characters // _BYTES_PER_TOKEN)


def text_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


def _content(content: Any) -> int:
    if content is None:
        return 0
    if isinstance(content, str):
        return text_tokens(content)
    return sum(_part(part) for part in content)


def _part(part: Mapping[str, Any]) -> int:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return _content(part.get(kind))
    return _PER_IMAGE if kind == "image_url" else _PER_FILE
