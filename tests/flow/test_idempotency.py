"""`Idempotency-Key`: one key, one call, one answer; never another's, and never an error that may be over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest

from compatgw.errors import (
    Conflict,
    Forbidden,
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    RequestTooLarge,
    Unauthenticated,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRejected,
)
from compatgw.flow.idempotency import (
    Claim,
    Idempotency,
    Replayed,
    name_of,
    wanted,
)
from compatgw.policy.access import Caller, Principal, caller_of_principal
from compatgw.policy.cachekey import fingerprint
from compatgw.sections import IdempotencySettings
from compatgw.state.base import Counters, CountersLost
from compatgw.state.loss import GuardedCounters
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from tests.canned import ask, completion
from tests.state.making import Clock

NAME = "idem:x"
PRINT = fingerprint("chat", ask())
OTHER = fingerprint("chat", ask(seed=1))
HEADERS = (
    ("X-Model-Used", "real-1"), ("X-Provider", "up"), ("X-Cost", "0.0123"), ("X-Request-ID", "r1"), ("X-Cache", "MISS"),
    ("x-ratelimit-remaining-requests", "3"),
)  # fmt: skip


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    """Empty counters on each back end."""
    if request.param == "memory":
        yield MemoryCounters()
        return
    shared = RedisCounters(request.getfixturevalue("redis_url"), prefix=f"idem-{uuid4().hex}")
    yield shared
    await shared.aclose()


def keys(counters: Counters, **settings: Any) -> Idempotency:
    """One process's view of the keys that were used."""
    return Idempotency(counters, IdempotencySettings(**settings), lambda: uuid4().hex)


async def claimed(keys: Idempotency, print_: str = PRINT) -> Claim:
    """The right to make the call."""
    found = await keys.claim(NAME, print_)
    assert isinstance(found, Claim)
    return found


async def conflict(keys: Idempotency, print_: str = PRINT) -> str:
    """What a second request is told."""
    with pytest.raises(Conflict) as found:
        await keys.claim(NAME, print_)
    error = found.value
    assert (error.status, error.code, error.type) == (409, "idempotency_conflict", "invalid_request_error")
    assert error.should_retry is False
    return error.message


async def test_the_first_answer_is_told_again(counters: Counters) -> None:
    """Status, body and the headers about it, with a mark; not the limits, nor the first one's own id."""
    await (await claimed(keys(counters))).keep(HEADERS, completion())
    # Another process, any number of times.
    for _ in range(2):
        again = await keys(counters).claim(NAME, PRINT)

        assert again == Replayed(200, (*HEADERS[:3], ("Idempotent-Replayed", "true")), completion())


async def test_another_body_is_a_conflict(counters: Counters) -> None:
    """Whether the first still runs or is answered."""
    claim = await claimed(keys(counters))
    running = await conflict(keys(counters), OTHER)
    await claim.keep(HEADERS, completion())

    assert "another request" in running
    assert "another request" in await conflict(keys(counters), OTHER)


async def test_still_running_is_a_conflict(counters: Counters) -> None:
    """The same body waits for the first one's answer."""
    await claimed(keys(counters))

    assert "still running" in await conflict(keys(counters))


async def test_of_many_at_once_one_makes_the_call(counters: Counters) -> None:
    """In whatever processes they are."""
    found = await asyncio.gather(*(keys(counters).claim(NAME, PRINT) for _ in range(50)), return_exceptions=True)

    assert sum(isinstance(one, Claim) for one in found) == 1
    assert sum(isinstance(one, Conflict) for one in found) == 49


OWN = [
    InvalidRequest("'x' is wrong.", param="x"),
    NotFound("no such model"),
    RequestTooLarge("too large"),
    UpstreamRejected("bad", status=422),
    UpstreamFailure("too long", status=400, code="context_length_exceeded"),
]
PASSING = [
    GatewayError("x"),
    Overloaded("x"),
    UpstreamFailure("x"),
    UpstreamRateLimited("x"),
    RateLimited("x", kind="requests", retry_after=1),
    InsufficientQuota("x"),
    Forbidden("x"),
    Unauthenticated("x"),
    Conflict("x"),
    UpstreamRejected("x", status=408),
]


@pytest.mark.parametrize("failure", OWN, ids=lambda failure: failure.code)
async def test_a_refusal_that_is_the_requests_own_is_told_again(counters: Counters, failure: GatewayError) -> None:
    """The same request would meet it again."""
    await (await claimed(keys(counters))).fail(failure)
    again = await keys(counters).claim(NAME, PRINT)

    assert isinstance(again, Replayed)
    assert (again.status, orjson.loads(again.body)) == (failure.status, failure.envelope())
    assert ("Idempotent-Replayed", "true") in again.headers


@pytest.mark.parametrize("failure", PASSING, ids=lambda failure: f"{failure.status}")
async def test_what_may_be_over_gives_the_key_back(counters: Counters, failure: GatewayError) -> None:
    """A retry makes the call, even with another body."""
    await (await claimed(keys(counters))).fail(failure)

    await claimed(keys(counters), OTHER)


async def test_a_call_that_was_broken_off_gives_the_key_back(counters: Counters) -> None:
    """The client left, and comes again."""
    await (await claimed(keys(counters))).release()

    await claimed(keys(counters))


async def test_only_ones_own_claim_is_given_back(counters: Counters) -> None:
    """A call that outlived its claim takes nothing from the next one, nor an answer that was kept."""
    late = await claimed(keys(counters))
    await counters.drop(NAME)
    second = await claimed(keys(counters))
    await late.release()
    running = await conflict(keys(counters))
    await second.keep(HEADERS, completion())
    await late.release()
    await second.release()

    assert "still running" in running
    assert isinstance(await keys(counters).claim(NAME, PRINT), Replayed)


async def test_an_answer_too_large_is_not_given_twice(counters: Counters) -> None:
    """It cannot be told again, and making the call again would be paid for twice."""
    await (await claimed(keys(counters, max_entry=1000))).keep(HEADERS, b"x" * 1000)

    assert "too large" in await conflict(keys(counters))
    assert "another request" in await conflict(keys(counters), OTHER)


# --- time ---


async def test_the_claim_of_a_dead_process_ends(clock: Clock) -> None:
    """After the longest time that a call may take."""
    counters = MemoryCounters(clock=clock)
    await claimed(keys(counters))
    clock.now += 329
    before = await conflict(keys(counters))
    clock.now += 1
    await claimed(keys(counters))

    assert "still running" in before


async def test_an_answer_is_kept_for_a_day(clock: Clock) -> None:
    """And then the key is new."""
    counters = MemoryCounters(clock=clock)
    await (await claimed(keys(counters))).keep(HEADERS, completion())
    clock.now += 86_399
    before = await keys(counters).claim(NAME, PRINT)
    clock.now += 1
    await claimed(keys(counters))

    assert isinstance(before, Replayed)


async def test_redis_is_told_both_times(redis_url: str) -> None:
    """So that nobody has to clean up."""
    shared = RedisCounters(redis_url, prefix=f"idem-{uuid4().hex}")
    claim = await claimed(keys(shared))
    redis = (await shared._client()).redis
    running = await redis.pttl(shared._name(NAME))
    await claim.keep(HEADERS, completion())
    kept = await redis.pttl(shared._name(NAME))
    await shared.aclose()

    assert 270_000 < running <= 330_000
    assert 86_340_000 < kept <= 86_400_000


# --- what is damaged, and what is lost ---


@pytest.mark.parametrize("data", [b"", b"17", b"\xff" * 40, b"cgw1 idem\n" + b"0" * 16 + b"{}\n"])
async def test_what_is_damaged_is_dropped(counters: Counters, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It can be neither told nor compared; it is said once."""
    await counters.put(NAME, data, 60)

    await claimed(keys(counters))
    assert len(caplog.records) == 1


async def test_lost_counters_refuse_a_claim_or_count_here(caplog: pytest.LogCaptureFixture) -> None:
    """As `on_counters_loss` says: a promise that cannot be kept is not made unless the operator allows it."""
    lost = RedisCounters("redis://127.0.0.1:1/0", timeout=0.2)
    with pytest.raises(CountersLost):
        await keys(GuardedCounters(lost, "refuse")).claim(NAME, PRINT)
    local = GuardedCounters(lost, "local")
    await (await claimed(keys(local))).keep(HEADERS, completion())

    assert isinstance(await keys(local).claim(NAME, PRINT), Replayed)
    await lost.aclose()


class Leaving(MemoryCounters):
    """Counters that are lost from some moment on."""

    gone = False

    async def get(self, name: str) -> bytes | None:
        if self.gone:
            raise CountersLost("gone.")
        return await super().get(name)

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        if self.gone:
            raise CountersLost("gone.")
        return await super().put(name, value, ttl, only_new=only_new)


@pytest.mark.parametrize("end", ["keep", "fail", "own", "release"])
async def test_no_end_of_a_claim_raises(end: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is there, and is told, whether it could be kept or not; the log says that it could not."""
    counters = Leaving()
    claim = await claimed(keys(counters))
    counters.gone = True
    if end == "keep":
        await claim.keep(HEADERS, completion())
    elif end == "release":
        await claim.release()
    else:
        await claim.fail(Overloaded("x") if end == "fail" else InvalidRequest("x"))

    assert len(caplog.records) == 1


# --- which key ---


@pytest.mark.parametrize("header", ["a", "x" * 255, "3f2c 11!~", '"quoted"'])
def test_a_key_is_up_to_255_printable_characters(header: str) -> None:
    """Taken as it is."""
    assert wanted(header, stream=False) == header


@pytest.mark.parametrize("header", ["", " ", "x" * 256, "é", "a\tb", "a\x00", "a\x7f", "ключ"])
def test_another_key_is_refused(header: str) -> None:
    """With the name of the header."""
    with pytest.raises(InvalidRequest) as found:
        wanted(header, stream=False)

    assert (found.value.status, found.value.code, found.value.param) == (400, "invalid_value", "Idempotency-Key")


@pytest.mark.parametrize("header", [None, "a", "", "x" * 256])
def test_on_a_stream_the_header_is_ignored(header: str | None) -> None:
    """Whatever it says."""
    assert wanted(header, stream=True) is None


def test_no_header_is_no_key() -> None:
    """Most requests have none."""
    assert wanted(None, stream=False) is None


def test_keys_of_two_callers_are_two_keys() -> None:
    """Nor do two keys of one team meet, nor one under two mounts; the same one's is always the same."""

    def caller(name: str, team: str | None = None) -> Caller:
        return caller_of_principal(Principal(name=name, team=team), None, {})

    def name(key: str, who: Caller, scope: frozenset[str] | None = None) -> str:
        return name_of(key, who, scope)

    apart = [
        name("1", caller("a")),
        name("2", caller("a")),
        name("1", caller("b")),
        name("1", caller("a", "t")),
        name("1", caller("b", "t")),
        name("1", caller("a", "u")),
        name("1", caller("a"), frozenset({"openai"})),
        name("1", caller("a"), frozenset({"openai", "anthropic"})),
        name("1", caller("a"), frozenset()),
    ]

    assert len(set(apart)) == len(apart)
    assert name("1", caller("a"), frozenset({"x", "y"})) == name("1", caller("a"), frozenset({"y", "x"}))
