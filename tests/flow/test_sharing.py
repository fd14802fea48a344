"""The cache, identical calls at one time, and `Idempotency-Key`, through whole calls with money."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from compatgw.sections import CacheSettings
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, completion
from tests.flow.paying import COST, Open, Shop

ON = {"enabled": True}
ZERO = Decimal(0)


class Gate(Canned):
    """An upstream that waits until it may answer."""

    def __init__(self, *members: Any, **more: Any) -> None:
        super().__init__(*members, **more)
        self.go = asyncio.Event()
        self.called = asyncio.Event()
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        self.calls += 1
        self.called.set()
        await self.go.wait()
        await super().__call__(scope, receive, send)


def upstream(stream: bool, kind: type[Canned] = Canned) -> Any:
    """One that answers plain or with a stream."""
    return kind([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM) if stream else kind(completion())


async def boarded(one: Shop, stream: bool, count: int) -> None:
    """Waits until so many callers wait for one flight."""
    flights = one.app._standing.house.streams if stream else one.app._standing.house.answers
    while sum(len(flight.readers) for flight in flights._flights.values()) < count:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)


# --- the cache ---


async def test_nothing_is_kept_unless_the_operator_wants_it(open_sqlite_shop: Open) -> None:
    """A library that is mounted somewhere must not surprise: off by default, and not a word of it."""
    up = upstream(False)
    one = open_sqlite_shop(up)
    key = await one.key()
    got = [await one.post(key) for _ in range(2)]

    assert len(up.asked) == 2
    assert all("x-cache" not in each.headers for each in got)
    assert CacheSettings().enabled is False


@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_request_is_answered_from_the_cache(open_sqlite_shop: Open, clock: Any, stream: bool) -> None:
    """Plain from a stream and the other way round, at no cost; usage says so; until its time is over."""
    up = upstream(stream)
    one = open_sqlite_shop(up, cache=ON)
    key = await one.key(wallet="10", tokens=100_000)
    first = await one.post(key, stream=stream)
    clock.now += 100
    same = await one.post(key, stream=stream)
    other = await one.post(key, stream=not stream)
    clock.now += 4_000
    up.pieces = upstream(stream).pieces
    late = await one.post(key, {"X-Cache-TTL": "60"}, stream=stream)
    rows = await one.rows()

    assert [each.headers["x-cache"] for each in (first, same, other, late)] == ["MISS", "HIT", "HIT", "MISS"]
    assert same.headers["age"] == "100"
    assert same.headers["x-provider"] == "up"
    assert b"Hello" in other.content
    assert (other.content.endswith(b"data: [DONE]\n\n")) is not stream
    assert len(up.asked) == 2
    assert await one.charges() == [COST, COST]
    assert sorted(row.cost for row in rows if row.cost is not None) == [ZERO, ZERO, COST, COST]
    assert [row.cached_answer for row in rows if row.cost == ZERO] == [True, True]


async def test_a_caller_may_do_without_the_cache(open_sqlite_shop: Open) -> None:
    """`no-cache` asks anew and keeps the answer; `no-store` takes a kept one and keeps none; nonsense is 400."""
    up = upstream(False)
    one = open_sqlite_shop(up, cache=ON)
    key = await one.key()
    words = ["no-store", "no-cache", None, "no-store"]
    got = [await one.post(key, {"X-Cache": word} if word else None) for word in words]
    wrong = [await one.post(key, {"X-Cache": "please"}), await one.post(key, {"X-Cache-TTL": "0"})]

    assert [each.headers["x-cache"] for each in got] == ["MISS", "BYPASS", "HIT", "HIT"]
    assert len(up.asked) == 2
    assert [each.status_code for each in wrong] == [400, 400]


async def test_litellm_42400_what_differs_is_another_answer(open_sqlite_shop: Open) -> None:
    """BerriAI/litellm#42400, #894, #5049; OrcaRouter-Lite#84: members, unknown ones too, tenants, options, all count."""
    up = upstream(False)
    one = open_sqlite_shop(up, cache=ON, models={"m": "up/m", "n": "up/n"})
    key = await one.key()
    await one.office.add_team("t2", "Other", by="test")
    _, stranger = await one.office.mint_key("t2", "Else", by="test")
    asked: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"seed": 2},
        {"temperature": 0.5},
        {"new_member": {"deep": [1]}},
        {"new_member": {"deep": [2]}},
        {"model": "n"},
        {"fallback": ["n"]},
        {"messages": [{"role": "user", "content": "hi "}]},
    ]
    first = [(await one.post(key, **members)).headers["x-cache"] for members in asked]
    again = [(await one.post(key, **members)).headers["x-cache"] for members in asked]
    other = (await one.post(stranger)).headers["x-cache"]
    harder = (await one.post(key, retries=3, timeout=50_000)).headers["x-cache"]

    assert (set(first), set(again), other, harder) == ({"MISS"}, {"HIT"}, "MISS", "HIT")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_not_whole_or_from_elsewhere_is_not_kept(open_sqlite_shop: Open, stream: bool) -> None:
    """A stream that broke off, an error, and the answer of a fallback model."""
    bad = Canned([ROLE, WORD], kind=STREAM, then="break") if stream else Canned(b"{}", 500)
    up = upstream(stream)
    one = open_sqlite_shop(
        bad,
        cache=ON,
        providers={
            "up": {"app": bad, "base_url": "http://up/v1", "api_key": "a"},
            "two": {"app": up, "base_url": "http://up/v1", "api_key": "b"},
        },
    )
    key = await one.key()
    broken = [await one.post(key, stream=stream) for _ in range(2)]
    bad.status, bad.pieces, bad.then = 500, [b"{}"], "end"
    fallen = [await one.post(key, stream=stream, fallback=["two/m"]) for _ in range(2)]

    assert len(bad.asked) == 4
    assert [each.headers["x-cache"] for each in fallen] == ["MISS", "MISS"]
    assert all(b"Hello" in each.content for each in fallen)
    assert all("x-cache" not in each.headers or each.headers["x-cache"] == "MISS" for each in broken)


# --- identical calls at one time ---


@pytest.mark.parametrize("stream", [False, True])
async def test_a_thousand_identical_calls_make_one_upstream(open_sqlite_shop: Open, stream: bool) -> None:
    """One pays; all have the same answer; nothing stays behind."""
    up = upstream(stream, Gate)
    one = open_sqlite_shop(up, cache=ON, max_in_flight=2000)
    key = await one.key(wallet="10")
    async with one.app.client(api_key=key) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        asking = [asyncio.ensure_future(client.post("/v1/chat/completions", json=body)) for _ in range(1000)]
        await boarded(one, stream, 1000)
        up.go.set()
        got = await asyncio.gather(*asking)
    rows = await one.rows()

    assert ({each.status_code for each in got}, up.calls) == ({200}, 1)
    assert len({each.content for each in got}) == 1
    assert sorted({each.headers["x-cache"] for each in got}) == ["HIT", "MISS"]
    assert await one.charges() == [COST]
    assert len(rows) == 1000
    assert (await one.wallet()).reserved == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_leader_that_leaves_takes_the_answer_from_nobody(open_sqlite_shop: Open, stream: bool) -> None:
    """The call upstream goes on for the rest, and is made and charged once."""
    up = upstream(stream, Gate)
    one = open_sqlite_shop(up, cache=ON)
    key = await one.key(wallet="10")
    leader = asyncio.ensure_future(one.post(key, stream=stream))
    await up.called.wait()
    others = [asyncio.ensure_future(one.post(key, stream=stream)) for _ in range(10)]
    await boarded(one, stream, 11)
    leader.cancel()
    await asyncio.wait([leader])
    up.go.set()
    got = await asyncio.gather(*others)
    rows = await one.rows()

    assert ({each.status_code for each in got}, up.calls, len(rows)) == ({200}, 1, 11)
    assert await one.charges() == [COST]


async def test_when_all_have_left_the_call_upstream_ends(open_sqlite_shop: Open) -> None:
    """Nobody waits for it, nobody pays for it, nothing is held."""
    up = Canned(b"", status=0, then="hang")
    one = open_sqlite_shop(up, cache=ON)
    key = await one.key(wallet="10")
    asking = [asyncio.ensure_future(one.post(key)) for _ in range(5)]
    await boarded(one, False, 5)
    await up.began.wait()
    for each in asking:
        each.cancel()
    await asyncio.wait(asking)
    await asyncio.wait_for(up.ended.wait(), 5)
    rows = await one.rows()

    assert (len(rows), await one.charges(), (await one.wallet()).reserved) == (5, [], ZERO)


# --- Idempotency-Key ---


async def test_a_call_that_is_repeated_is_not_made_twice(open_sqlite_shop: Open) -> None:
    """The first answer again, marked; another body, or one that still runs, is 409 and not to be tried again."""
    up = upstream(False, Gate)
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    word = {"Idempotency-Key": "a"}
    running = asyncio.ensure_future(one.post(key, word))
    await up.called.wait()
    meanwhile = await one.post(key, word)
    up.go.set()
    first = await running
    again = await one.post(key, word)
    other = await one.post(key, word, seed=3)

    assert [each.status_code for each in (first, meanwhile, again, other)] == [200, 409, 200, 409]
    assert again.content == first.content
    assert (again.headers["x-cost"], again.headers["idempotent-replayed"]) == ("0.0123", "true")
    assert {each.json()["error"]["code"] for each in (meanwhile, other)} == {"idempotency_conflict"}
    assert meanwhile.headers["x-should-retry"] == "false"
    assert up.calls == 1
    assert await one.charges() == [COST]


async def test_a_failure_that_passes_gives_the_key_back(open_sqlite_shop: Open) -> None:
    """A retry with the same key is what it is for; a refusal of the request itself is repeated as it was."""
    up = Canned(b"{}", 500)
    one = open_sqlite_shop(up)
    key = await one.key()
    failed = await one.post(key, {"Idempotency-Key": "b"})
    up.status, up.pieces = 200, [completion()]
    retried = await one.post(key, {"Idempotency-Key": "b"})
    up.status, up.pieces = 400, [b'{"error": {"message": "no"}}']
    refused = [await one.post(key, {"Idempotency-Key": "c"}) for _ in range(2)]
    asked = len(up.asked)
    up.status, up.pieces = 200, [completion()]
    streamed = await one.post(key, {"Idempotency-Key": "b"}, stream=True)

    assert [each.status_code for each in (failed, retried)] == [502, 200]
    assert ([each.status_code for each in refused], asked) == ([400, 400], 3)
    assert streamed.status_code == 200
