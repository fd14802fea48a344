"""Breakers that processes share through the counters: two gateways on one real Redis, and each on its own without it."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from compatgw import Gateway
from compatgw.errors import UpstreamFailure
from compatgw.flow import health
from compatgw.flow.news import News
from compatgw.policy import breaker
from compatgw.state.base import CountersLost
from compatgw.state.redis import RedisCounters
from tests.canned import ROLE, STREAM, WORD, Canned
from tests.flow.breaking import Door
from tests.flow.upstreams import BUSY, CHAT, Turns, error_of, good, post, several
from tests.state.making import Clock

RULES = {"streak": 3, "open_for": 30}
Pair = Callable[..., Any]


@pytest.fixture
async def pair(redis_url: str, clock: Clock) -> AsyncIterator[Pair]:
    """Opens two gateways with these upstreams on one Redis; both listen from then on."""
    opened: list[Gateway] = []

    async def make(url: str = redis_url, **upstreams: Any) -> tuple[Gateway, Gateway]:
        for _ in range(2):
            opened.append(several(upstreams, state={"counters": url}, clock=clock, breaker=RULES))
            await opened[-1]._standing.house.health.exchange()
        return opened[-2], opened[-1]

    yield make
    for each in opened:
        await each.aclose()


async def told(*gateways: Gateway) -> None:
    """Each tells what it has to tell, and then hears all others."""
    for each in (*gateways, *gateways):
        await each._standing.house.health.exchange()


async def seen(app: Gateway) -> dict[str, Any]:
    """The first upstream that was called, as `/api/status` shows it."""
    async with app.client(api_key="k") as client:
        row: dict[str, Any] = (await client.get("/api/status")).json()["data"]["upstreams"][0]
    return row


async def break_(app: Gateway, times: int = 3) -> None:
    """So many calls that fail."""
    assert [(await post(app)).status_code for _ in range(times)] == [502] * times


async def _until_open(app: Gateway, heard: asyncio.Event) -> None:
    while True:
        if not (await post(app, {"X-Gateway-Explain": "1"})).json()["targets"]:
            heard.set()
            return


# --- opening, probing, closing ---


async def test_what_one_process_opens_the_other_leaves_alone(pair: Pair) -> None:
    """It hears of it without a call of its own: 503 with the same moment, or the fallback at once."""
    up = Turns(Canned(BUSY, 500))
    one, two = await pair(one=up, two=good())
    await break_(one)
    before = await seen(two)
    await told(one, two)
    alone, helped = await post(two), await post(two, fallback=["two/m"])

    assert before["state"] == "unknown"
    assert (alone.status_code, error_of(alone)["code"], alone.headers["retry-after"]) == (503, "circuit_open", "30")
    assert (helped.status_code, helped.headers["x-provider"]) == (200, "two")
    assert up.calls == 3
    assert ((await seen(two))["state"], (await seen(two))["calls"]) == ("open", 0)


async def test_the_chores_carry_it_from_one_to_the_other(pair: Pair) -> None:
    """Nobody has to ask for it: every process exchanges by itself, from its first request on."""
    up = Turns(Canned(BUSY, 500))
    one, two = await pair(one=up)
    for each in (one, two):
        assert each._standing.site.chores is not None
        each._standing.site.chores._often = 0.01
    async with two.client(api_key="k") as client:
        await client.get("/v1/models")
    await break_(one)
    heard = asyncio.Event()
    listener = asyncio.create_task(_until_open(two, heard))
    await asyncio.wait_for(heard.wait(), 10)
    await listener

    assert up.calls == 3


async def test_while_one_process_probes_the_other_waits_and_then_hears_that_it_is_well(
    pair: Pair, clock: Clock
) -> None:
    """Half-open: one call goes through in all processes that have heard of each other, not one each."""
    door = asyncio.Event()

    class Slow(Canned):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            self.began.set()
            await door.wait()
            await super().__call__(scope, receive, send)

    slow = Slow(good().pieces)
    up = Turns(*[Canned(BUSY, 500)] * 3, slow, good())
    one, two = await pair(one=up)
    await break_(one)
    await told(one, two)
    clock.now += 30
    half_open = [(await seen(each))["state"] for each in (one, two)]
    probe = asyncio.create_task(post(one))
    await slow.began.wait()
    await told(one, two)
    waiting = [await post(each) for each in (one, two)]
    door.set()
    answered = await probe
    await told(one, two)
    after = await post(two)

    assert half_open == ["half_open", "half_open"]
    assert {(each.status_code, error_of(each)["code"]) for each in waiting} == {(503, "circuit_open")}
    assert (answered.status_code, after.status_code, up.calls) == (200, 200, 5)
    assert [(await seen(each))["state"] for each in (one, two)] == ["up", "up"]


async def test_a_probe_that_fails_closes_it_for_both_for_twice_as_long(pair: Pair, clock: Clock) -> None:
    """The second opening is heard, too."""
    up = Turns(Canned(BUSY, 500))
    one, two = await pair(one=up)
    await break_(one)
    await told(one, two)
    clock.now += 30
    failed = await post(two)
    await told(two, one)
    refused = [await post(each) for each in (one, two)]

    assert failed.status_code == 502
    assert [(each.status_code, each.headers["retry-after"]) for each in refused] == [(503, "60")] * 2
    assert up.calls == 4


async def test_a_probe_whose_client_left_makes_room_in_both(pair: Pair, clock: Clock) -> None:
    """Nothing was learnt, so the next call may be the probe, whichever process it comes to and whatever each heard when."""
    gone = Canned([], status=0, then="hang")
    up = Turns(*[Canned(BUSY, 500)] * 3, gone, good())
    one, two = await pair(one=up)
    await break_(one)
    await told(one, two)
    clock.now += 30
    probe = asyncio.create_task(post(one))
    await gone.began.wait()
    await told(one, two)
    during = (await post(two)).status_code
    probe.cancel()
    await asyncio.wait_for(gone.ended.wait(), 5)
    await asyncio.gather(probe, return_exceptions=True)
    await told(one, two)
    own = (await post(one, {"X-Gateway-Explain": "1"})).json()["targets"]
    after = await post(two)

    assert during == 503
    assert len(own) == 1
    assert (after.status_code, up.calls) == (200, 5)


async def test_a_rest_that_one_was_asked_for_is_kept_by_both(pair: Pair, clock: Clock) -> None:
    """Retry-After is a deadline for every process, not for the one that happened to be told."""
    up = Turns(Canned(BUSY, 429, headers={"retry-after": "40"}), good())
    one, two = await pair(one=up)
    limited = await post(one)
    await told(one, two)
    refused = await post(two)
    clock.now += 40
    after = await post(two)

    assert (limited.status_code, refused.status_code, refused.headers["retry-after"]) == (429, 503, "40")
    assert (after.status_code, up.calls) == (200, 2)


async def test_failures_of_two_processes_do_not_add_up_to_an_opening_twice_counted(pair: Pair) -> None:
    """Each saw two, three are the limit: an exchange that is repeated counts nothing twice."""
    one, two = await pair(one=Turns(Canned(BUSY, 500)))
    await break_(one, 2)
    await break_(two, 2)
    for _ in range(5):
        await told(one, two)

    assert [(await seen(each))["state"] for each in (one, two)] == ["failing", "failing"]


async def test_a_stream_that_broke_after_its_first_word_is_heard_of_too(pair: Pair) -> None:
    """How a stream went is known at its end: one that broke is a failure and nothing else, and three are a streak."""
    up = Turns(Canned([ROLE, WORD], kind=STREAM, then="break"))
    one, two = await pair(one=up)
    for _ in range(3):
        assert (await post(one, stream=True)).status_code == 200
    await told(one, two)
    got = await post(two, stream=True)

    assert (got.status_code, error_of(got)["code"], up.calls) == (503, "circuit_open", 3)


async def test_other_models_and_providers_are_not_meant(pair: Pair) -> None:
    """A breaker is that of one model at one provider."""
    up = Turns(*[Canned(BUSY, 500)] * 3, good())
    one, two = await pair(one=up, two=good())
    await break_(one)
    await told(one, two)
    got = [await post(two, model=model) for model in ("one/other", "two/m", "one/m")]

    assert [each.status_code for each in got] == [200, 200, 503]


async def test_what_happens_while_a_word_is_on_its_way_is_told_in_the_next(redis_url: str, clock: Clock) -> None:
    """The last failure comes while the one before it is being told: that it opened is heard all the same."""
    began, door = asyncio.Event(), asyncio.Event()

    class Slow(RedisCounters):
        async def announce(self, word: str) -> None:
            began.set()
            await door.wait()
            await super().announce(word)

    rules = breaker.Rules(streak=3, open_for=30.0)
    slow, quick = Slow(redis_url), RedisCounters(redis_url)
    one, two = (health.Health(News(each), clock=clock, random=lambda: 0.0, rules=rules) for each in (slow, quick))
    await two.exchange()
    failure = UpstreamFailure("It failed.")
    one.failed("one/m", failure)
    one.failed("one/m", failure)
    telling = asyncio.create_task(one.exchange())
    await began.wait()
    one.failed("one/m", failure)
    door.set()
    await telling
    await one.exchange()
    await two.exchange()
    (heard,) = two
    await slow.aclose()
    await quick.aclose()

    assert heard.state(clock()) == "open"


# --- without the counters ---


async def test_without_redis_each_goes_on_alone_and_tells_the_rest_later(
    pair: Pair, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it or fails by it; what opened meanwhile is told when it is back."""
    door = Door(tmp_path / "door.sock", redis_url.removeprefix("unix://"))
    await door.up()
    up = Turns(*[Canned(BUSY, 500)] * 3, good())
    one, two = await pair(url=f"unix://{tmp_path / 'door.sock'}", one=up)
    for each in (one, two):
        # Asked again at once, not in a second.
        monkeypatch.setattr(each._standing.house.counters, "_again", 0.0)
    await door.down()
    await break_(one)
    for each in (one, two):
        try:
            await each._standing.house.health.exchange()
        except CountersLost:
            continue
    own, other = await post(one), await post(two)
    await door.up()
    await told(one, two)
    heard = await post(two)
    await door.down()

    assert (own.status_code, other.status_code) == (503, 200)
    assert (heard.status_code, error_of(heard)["code"]) == (503, "circuit_open")
    assert up.calls == 4


async def test_a_process_that_stops_listening_is_no_danger_to_the_other(pair: Pair) -> None:
    """It is closed, and the other one goes on telling."""
    one, two = await pair(one=Turns(Canned(BUSY, 500)))
    await two.aclose()
    await break_(one)
    await told(one)

    assert (await seen(one))["state"] == "open"


# --- words that are none ---

OPEN = breaker.Breaker(until=4e9, trips=1)
NAN = struct.pack("<d", float("nan"))


def coded(data: bytes) -> str:
    """Bytes as words carry them."""
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "word",
    [
        "",
        "breaker",
        "breaker  one/m",
        f"breaker {coded(breaker.dumps(OPEN))}",
        "breaker !!! one/m",
        "breaker ÄÖÜ one/m",
        "breaker \ud800 one/m",
        "breaker AAA one/m",
        f"breaker {coded(bytes([2]) + breaker.dumps(OPEN)[1:])} one/m",
        f"breaker {coded(breaker.dumps(OPEN) + b'more')} one/m",
        f"breaker {coded(breaker.dumps(OPEN)[:1] + NAN + breaker.dumps(OPEN)[9:])} one/m",
        f"Breaker {coded(breaker.dumps(OPEN))} one/m",
        f"revoked {coded(breaker.dumps(OPEN))} one/m",
    ],
)
async def test_a_word_of_another_version_is_passed_over(pair: Pair, word: str) -> None:
    """It stops nobody from hearing what comes after it."""
    up = Turns(good())
    one, two = await pair(one=up, two=Turns(Canned(BUSY, 500)))
    await one._standing.house.counters.announce(word)
    for _ in range(3):
        await post(one, model="two/m")
    await told(one, two)

    assert (await post(two)).status_code == 200
    assert (await post(two, model="two/m")).status_code == 503


async def test_a_model_may_be_called_anything(pair: Pair) -> None:
    """Spaces, half characters and long names come through as the names that they are."""
    names = ["one/a b  c", "one/ö\u202e", "one/" + "x" * 500]
    one, two = await pair(one=Turns(Canned(BUSY, 500)), two=good())
    for name in names:
        for _ in range(3):
            assert (await post(one, model=name)).status_code == 502
    await told(one, two)

    assert {(await post(two, model=name)).status_code for name in names} == {503}
    assert (await post(two, model="one/a")).status_code == 502


# --- bounds ---


def sizes(app: Gateway) -> tuple[int, int]:
    """Of what is remembered."""
    own = app._standing.house.health
    return len(own._seen), len(own._vitals)


async def test_names_without_end_fill_no_memory() -> None:
    """Where a provider takes any name, callers can make up as many as they like: 5,000 are remembered."""
    own = several({"one": good()})._standing.house.health
    for number in range(12_000):
        own.began(f"one/{number}")
        own.answered(f"one/{number}", 0.1)
        own.live(f"turn {number}")

    assert (len(own._seen), len(own._vitals), len(own._turns)) == (5_000, 5_000, 5_000)


async def test_names_without_end_over_http_fill_no_memory_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answered, refused and failed ones; and comparisons of many deployments make no more."""
    monkeypatch.setattr(health, "_REMEMBERED", 20)
    app = several({"one": good(), "two": Canned(BUSY, 404), "three": Canned(BUSY, 500)})
    async with app.client(api_key="k") as client:
        for number in range(60):
            for name in ("one", "two", "three"):
                body = {"model": f"{name}/{number}", "messages": [{"role": "user", "content": "hi"}]}
                members = {"load_balance": {"strategy": "round-robin", "models": [{"model": f"{name}/{number}"}]}}
                await client.post(CHAT, json={**body, **members})

    assert sizes(app) == (20, 20)
    assert len(app._standing.house.health._turns) <= 20


async def test_what_is_in_use_is_not_forgotten_for_names_that_come_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a caller could close and open breakers for all by making up names."""
    monkeypatch.setattr(health, "_REMEMBERED", 20)
    app = several({"one": good(), "two": Turns(good(), Canned(BUSY, 500))}, breaker=RULES)
    await post(app, model="two/m")
    for number in range(58):
        if number in (20, 30, 40):
            await post(app, model="two/m")
        await post(app, model=f"one/{number % 15 if number < 45 else number}")

    assert (await post(app, model="two/m")).status_code == 503


async def test_what_others_tell_fills_no_memory(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many names as are remembered of one's own calls."""
    monkeypatch.setattr(health, "_REMEMBERED", 20)
    one, two = await pair(one=good())
    for number in range(60):
        await one._standing.house.counters.announce(f"breaker {coded(breaker.dumps(OPEN))} one/{number}")
    await told(one, two)

    assert sizes(two) == (20, 20)


async def test_a_process_that_begins_later_hears_of_what_is_open(redis_url: str, pair: Pair, clock: Clock) -> None:
    """What is left alone is told again every ten seconds."""
    bad = Canned(BUSY, 500)
    one, _ = await pair(one=bad)
    await break_(one)
    await told(one)
    late = several({"one": bad}, state={"counters": redis_url}, clock=clock, breaker=RULES)
    try:
        await late._standing.house.health.exchange()
        clock.now += 11
        await told(one, late)
        asked = len(bad.asked)
        got = await post(late)
    finally:
        await late.aclose()

    assert (got.status_code, error_of(got)["code"]) == (503, "circuit_open")
    assert len(bad.asked) == asked
