"""Counters, in memory and on Redis: a call takes all that it needs or nothing, and what it did not use it gives back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from compatgw.policy.limits import Claims
from compatgw.state.base import Bucket, Counters, CountersLost, Lease, Verdict
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from tests.state.making import Clock

# An hour to refill: nothing flows in while a test runs.
HOUR = 3_600_000
REQUESTS = Bucket("t:a:r", "requests", 3, HOUR)
TOKENS = Bucket("t:a:t", "tokens", 100, HOUR)
LEASE = Lease("t:a:c", 2)


def left(verdict: Verdict) -> list[int]:
    """What the verdict says is left."""
    return [level.remaining for level in verdict.levels]


async def test_a_bucket_gives_what_it_holds_and_no_more(counters: Counters) -> None:
    """Three calls of three; the fourth learns how long it has to wait."""
    verdicts = [await counters.take("a", [(REQUESTS, 1)]) for _ in range(4)]

    assert [verdict.admitted for verdict in verdicts] == [True, True, True, False]
    assert [left(verdict) for verdict in verdicts] == [[2], [1], [0], [0]]
    assert verdicts[3].refused_by == REQUESTS
    # A third of an hour, less what the test itself took.
    assert HOUR / 3 - 60_000 < verdicts[3].retry_after <= HOUR / 3


async def test_all_or_nothing(counters: Counters) -> None:
    """Where one bucket refuses, the others keep what they have."""
    await counters.take("a", [(REQUESTS, 1), (TOKENS, 80)])
    refused = await counters.take("a", [(REQUESTS, 1), (TOKENS, 30)])
    levels = await counters.look("a", [REQUESTS, TOKENS])

    assert (refused.admitted, refused.refused_by) == (False, TOKENS)
    assert [level.remaining for level in levels] == [2, 20]


async def test_the_longest_wait_is_told(counters: Counters) -> None:
    """Whoever waits for the shorter one would be refused again."""
    await counters.take("a", [(REQUESTS, 3), (TOKENS, 100)])
    refused = await counters.take("a", [(REQUESTS, 1), (TOKENS, 90)])

    assert refused.refused_by == TOKENS


async def test_a_cost_over_the_limit_needs_a_full_bucket(counters: Counters) -> None:
    """It is let through once and settled to what it really took, rather than never."""
    first = await counters.take("a", [(TOKENS, 5000)])
    second = await counters.take("a", [(TOKENS, 1)])

    assert (first.admitted, left(first), second.admitted) == (True, [0], False)


async def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_owed(counters: Counters) -> None:
    """A debt refuses until it is paid."""
    await counters.take("a", [(TOKENS, 60)])
    back = await counters.settle("a", [(TOKENS, -40)])
    more = await counters.settle("a", [(TOKENS, 90)])
    refused = await counters.take("a", [(TOKENS, 1)])
    full = await counters.settle("a", [(TOKENS, -5000)])

    assert [back[0].remaining, more[0].remaining, full[0].remaining] == [80, 0, 100]
    # 10 owed and 1 asked for, of 100 an hour.
    assert HOUR * 0.11 - 60_000 < refused.retry_after <= HOUR * 0.11
    assert full[0].reset == 0


async def test_looking_takes_nothing(counters: Counters) -> None:
    """`/v1/key` may be asked as often as one likes."""
    before = [await counters.look("a", [REQUESTS]) for _ in range(5)]

    assert {levels[0].remaining for levels in before} == {3}


async def test_groups_and_names_are_apart(counters: Counters) -> None:
    """One team's calls are not another's, whatever they are called."""
    odd = ["a", "b", "{a}", "}", "", "a\0", "\ud800", "é" * 500]
    for group in odd:
        if group not in ("{a}", "}"):
            assert (await counters.take(group, [(REQUESTS, 3)])).admitted
    other = Bucket("k:x:r", "requests", 3, HOUR)

    assert not (await counters.take("a", [(REQUESTS, 1)])).admitted
    assert (await counters.take("a", [(other, 1)])).admitted


async def test_a_limit_of_nothing_admits_nothing(counters: Counters) -> None:
    """How an operator says never."""
    none = Bucket("none", "requests", 0)
    verdict = await counters.take("a", [(none, 1)])

    assert (verdict.admitted, left(verdict), verdict.retry_after) == (False, [0], 60_000)


async def test_a_smaller_limit_holds_at_once_and_a_larger_one_fills_up(counters: Counters) -> None:
    """Plans change while buckets are half full."""
    await counters.take("a", [(TOKENS, 40)])
    small = Bucket(TOKENS.name, "tokens", 10, HOUR)
    large = Bucket(TOKENS.name, "tokens", 1000, HOUR)

    assert (await counters.look("a", [small]))[0].remaining == 10
    assert (await counters.look("a", [large]))[0].remaining == 60


async def test_the_largest_limits_are_exact(counters: Counters) -> None:
    """A billion a minute: every unit counts."""
    most = Bucket("most", "tokens", 1_000_000_000, 60_000)
    first = await counters.take("a", [(most, 999_999_999)])

    assert first.admitted
    assert first.levels[0].remaining == 1


async def test_time_fills_a_bucket(counters: Counters) -> None:
    """By the counters' own clock, on every back end."""
    quick = Bucket("quick", "requests", 1, 50)
    first = await counters.take("a", [(quick, 1)])
    refused = await counters.take("a", [(quick, 1)])
    async with asyncio.timeout(10):
        while not (again := await counters.take("a", [(quick, 1)])).admitted:
            assert 0 < again.retry_after <= 50

    assert first.admitted
    assert refused.admitted is (refused.retry_after == 0)


async def test_as_many_calls_run_at_one_time_as_may(counters: Counters) -> None:
    """A place that is left is free again; nobody can say when."""
    one, two, three = [await counters.take("a", [], [LEASE], holder) for holder in ("x", "y", "z")]
    same = await counters.take("a", [], [LEASE], "x")
    await counters.settle("a", [], [LEASE], "x")
    later = await counters.take("a", [], [LEASE], "z")

    assert [verdict.admitted for verdict in (one, two, three, same, later)] == [True, True, False, True, True]
    assert (three.refused_by, three.retry_after) == (LEASE, 0)


async def test_a_crowd_takes_nothing_from_buckets_and_an_empty_bucket_no_place(counters: Counters) -> None:
    """All or nothing holds across both."""
    await counters.take("a", [(REQUESTS, 1)], [Lease("one", 1)], "x")
    crowded = await counters.take("a", [(REQUESTS, 1)], [LEASE, Lease("one", 1)], "y")
    empty = await counters.take("a", [(REQUESTS, 3)], [LEASE], "y")
    places = [(await counters.take("a", [], [LEASE], holder)).admitted for holder in ("p", "q", "r")]

    assert (crowded.admitted, crowded.refused_by) == (False, Lease("one", 1))
    assert (empty.admitted, empty.refused_by) == (False, REQUESTS)
    assert (await counters.look("a", [REQUESTS]))[0].remaining == 2
    assert places == [True, True, False]


async def test_a_place_of_nobody_ends_by_itself_unless_it_is_renewed(counters: Counters) -> None:
    """Of a process that died; a call that goes on says so."""
    lease = Lease("short", 1)
    await counters.take("a", [], [lease], "x", ttl=0)
    second = await counters.take("a", [], [lease], "y", ttl=600)
    await counters.renew("a", [lease], "y", ttl=1200)
    await counters.renew("a", [lease], "nobody", ttl=1200)
    third = await counters.take("a", [], [lease], "z")

    assert (second.admitted, third.admitted) == (True, False)


async def test_no_lease_and_no_bucket_is_no_limit(counters: Counters) -> None:
    """Calls of teams without a plan."""
    verdict = await counters.take("a", [])

    assert (verdict.admitted, verdict.levels) == (True, ())
    assert await counters.settle("a", []) == ()
    assert await counters.look("a", []) == ()
    await counters.renew("a", [], "x")


async def test_many_at_once_get_exactly_what_there_is(counters: Counters) -> None:
    """64 tasks, 50 places in the bucket."""
    bucket = Bucket("fifty", "tokens", 100, HOUR)
    verdicts = await asyncio.gather(*[counters.take("a", [(bucket, 2)]) for _ in range(64)])

    assert sum(verdict.admitted for verdict in verdicts) == 50


async def test_claims_are_taken_and_settled(counters: Counters) -> None:
    """What `policy/limits.py` says a call touches, all the way."""
    claims = Claims("a", (REQUESTS,), (TOKENS,), (LEASE,))
    verdict = await counters.take("a", claims.costs(70), claims.leases, "x")
    levels = await counters.settle("a", claims.corrections(70, 20), claims.leases, "x")

    assert left(verdict) == [2, 30]
    assert levels[0].remaining == 80


# --- values ---


async def test_values_last_as_long_as_they_are_to(counters: Counters) -> None:
    """Bytes as they are, by any name."""
    for name in ("a", "é\0", "\ud800", "x" * 5000):
        assert await counters.get(name) is None
        assert await counters.put(name, b"\0\xff" + name.encode("utf-8", "surrogatepass"), 60)
        assert await counters.get(name) == b"\0\xff" + name.encode("utf-8", "surrogatepass")
    await counters.drop("a", "never there")
    await counters.drop()

    assert await counters.get("a") is None


async def test_a_value_is_gone_after_its_time(counters: Counters) -> None:
    """By the counters' own clock."""
    await counters.put("a", b"1", 0.02)
    async with asyncio.timeout(10):
        there = True
        while there:
            there = await counters.get("a") is not None
    assert await counters.put("a", b"2", 60, only_new=True)


async def test_only_one_of_many_puts_what_is_new(counters: Counters) -> None:
    """How one of several processes is chosen."""
    kept = await asyncio.gather(*[counters.put("a", b"%d" % n, 60, only_new=True) for n in range(10)])

    assert sum(kept) == 1
    assert await counters.put("a", b"x", 60)
    assert await counters.get("a") == b"x"


async def test_numbers_add_up(counters: Counters) -> None:
    """And can be read as any value."""
    sums = await asyncio.gather(*[counters.add("n", 2, 60) for _ in range(10)])

    assert sorted(sums) == list(range(2, 22, 2))
    assert await counters.get("n") == b"20"
    assert await counters.add("n", -30, 60) == -10


async def test_a_number_ends_when_its_first_use_said(counters: Counters) -> None:
    """Later uses do not carry it on."""
    async with asyncio.timeout(10):
        count = [await counters.add("n", 1, 0.1), await counters.add("n", 1, 60)]
        while count[-1] > 1:
            count.append(await counters.add("n", 1, 60))

    assert count[:2] == [1, 2]


# --- announcements ---


async def test_what_is_announced_is_heard_by_all_who_listen(counters: Counters) -> None:
    """From where each of them stands; words from before it came are not for it."""
    await counters.announce("before")
    one, nothing = await counters.announced("")
    await counters.announce("a")
    two, first = await counters.announced(one)
    await counters.announce("b\0é\ud800")
    _, second = await counters.announced(two)
    _, both = await counters.announced(one)

    assert nothing == ()
    assert first == ("a",)
    assert second == ("b\0é\ud800",)
    assert both == (*first, *second)


async def test_listening_where_nothing_was_ever_said(counters: Counters) -> None:
    """The first word is heard."""
    cursor, nothing = await counters.announced("")
    cursor, still = await counters.announced(cursor)
    await counters.announce("a")

    assert (nothing, still) == ((), ())
    assert (await counters.announced(cursor))[1] == ("a",)


async def test_they_answer_and_can_be_closed_more_than_once(counters: Counters) -> None:
    """And go on afterwards."""
    await counters.ping()
    await counters.aclose()
    await counters.aclose()
    await counters.ping()


# --- one back end alone ---


async def test_memory_forgets_buckets_that_are_full_again() -> None:
    """As many keys as come in a day do not stay for ever."""
    clock = Clock()
    counters = MemoryCounters(clock=clock)
    for number in range(4096):
        await counters.take("a", [(Bucket(str(number), "requests", 10), 1)])
    clock.now += 7
    await counters.take("a", [(Bucket("last", "requests", 10), 1)])

    assert len(counters._buckets) == 1


async def test_memory_forgets_what_was_not_used_for_longest() -> None:
    """The bound is in bytes, names and all."""
    counters = MemoryCounters(max_bytes=3 * 1200 + 100)
    for name in ("a", "b", "c"):
        await counters.put(name, b"x" * 1000, 60)
    await counters.get("a")
    await counters.put("d", b"x" * 1000, 60)
    kept = [name for name in ("a", "b", "c", "d") if await counters.get(name) is not None]
    await counters.put("e", b"x" * 10_000, 60)

    assert kept == ["a", "c", "d"]
    assert await counters.get("e") is None


async def test_memory_keeps_no_place_that_nobody_has() -> None:
    """Names of teams that are gone."""
    counters = MemoryCounters()
    await counters.take("a", [], [LEASE], "x")
    await counters.settle("a", [], [LEASE, Lease("other", 1)], "x")

    assert counters._leases == {}
    assert not (await counters.take("a", [], [Lease("none", 0)], "x")).admitted


async def test_a_server_that_forgot_its_scripts_is_told_them_again(redis_url: str) -> None:
    """It was restarted, or somebody emptied it."""
    counters = RedisCounters(redis_url, prefix="again")
    await counters.take("a", [(REQUESTS, 1)])
    await (await counters._client()).redis.script_flush()

    assert (await counters.take("a", [(REQUESTS, 1)])).admitted
    await counters.aclose()


async def test_connections_that_a_server_has_closed_are_made_anew(redis_url: str) -> None:
    """Redis gone and back."""
    counters = RedisCounters(redis_url, prefix="cut")
    await counters.take("a", [(REQUESTS, 1)])
    other = RedisCounters(redis_url)
    redis = (await other._client()).redis
    await redis.client_kill_filter(_type="normal", skipme=True)

    assert (await counters.take("a", [(REQUESTS, 1)])).admitted
    await counters.aclose()
    await other.aclose()


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "redis://ann:sesame@127.0.0.1:1/0", "unix:///nowhere/redis.socket"]
)
async def test_a_server_that_is_not_there_is_lost_and_its_password_is_not(url: str) -> None:
    """Every method says so."""
    counters = RedisCounters(url, timeout=0.2)
    asked: list[Any] = [
        counters.take("a", [(REQUESTS, 1)]),
        counters.settle("a", [(REQUESTS, 1)]),
        counters.look("a", [REQUESTS]),
        counters.renew("a", [LEASE], "x"),
        counters.get("a"),
        counters.put("a", b"", 1),
        counters.drop("a"),
        counters.add("a", 1, 1),
        counters.announce("a"),
        counters.announced(""),
        counters.ping(),
    ]
    for each in asked:
        with pytest.raises(CountersLost) as caught:
            await each
        assert "sesame" not in str(caught.value)
    await counters.aclose()


async def test_a_server_that_does_not_answer_is_not_waited_for(redis_url: str) -> None:
    """Each wait is bounded."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    counters = RedisCounters(f"redis://127.0.0.1:{port}/0", timeout=0.05)
    with pytest.raises(CountersLost, match="do not answer"):
        await counters.take("a", [(REQUESTS, 1)])
    await counters.aclose()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("url", ["", "nonsense", "http://host/", "redis://host:port/"])
def test_a_url_that_is_no_server_is_refused_at_once(url: str) -> None:
    """With the forms that are."""
    with pytest.raises(CountersLost, match="redis://host:6379/0"):
        RedisCounters(url)


def test_a_loop_for_each_call_works_and_leaves_nothing(redis_url: str) -> None:
    """Hosts without a lifespan."""
    counters = RedisCounters(redis_url, prefix="loops")
    for _ in range(3):
        assert asyncio.run(counters.take("a", [(REQUESTS, 1)])).admitted
    assert list(counters._clients) == []


async def test_what_others_have_written_among_the_words_is_passed_over(redis_url: str) -> None:
    """A server may be shared: an entry without a word, or with bytes that are none, stops nobody."""
    shared = RedisCounters(redis_url)
    cursor, _ = await shared.announced("")
    redis = (await shared._client()).redis
    for fields in ({"x": b"1"}, {"w": b"\xff\xfe"}):
        await redis.xadd(shared._name("announced"), fields)
    await shared.announce("ours")
    _, words = await shared.announced(cursor)
    await shared.aclose()

    assert words == ("ours",)
