"""What users of other gateways have met with money, limits and keys, each under the number of their thread.

The stream's side of it (usage of a stream that breaks, who pays when a client leaves) is the flow's.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from compatgw.policy import money
from compatgw.policy.limits import Claims, headers
from compatgw.policy.money import Meter, Price
from compatgw.state.base import (
    Bucket,
    Budget,
    BudgetSpent,
    Counters,
    CountersLost,
    Entry,
    InsufficientFunds,
    Lease,
    LedgerUnavailable,
    Reservation,
    UsageRow,
)
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from compatgw.state.secrets import Hasher, KeyRing, mint
from compatgw.state.sql import SqlLedger
from compatgw.state.verify import KeyVerifier
from compatgw.state.watch import Watch
from tests.state.making import NOW, Clock, NewLedger, key, paid, team, used, wallet

D = Decimal
HOUR = 3_600_000


# --- money ---


async def test_litellm_34732_requests_at_once_do_not_all_pass_the_check_before_one_is_recorded(
    new_ledger: NewLedger,
) -> None:
    """BerriAI/litellm#34732, #40095, #26672, #23714, #11083: a budget for one call lets one through, of 20 in two processes."""
    ledgers = [new_ledger(), new_ledger()]
    budget = Budget(key="k1", label="total", limit=D("0.05"))
    results = await asyncio.gather(
        *[ledgers[n % 2].reserve(f"r{n}", "t1", D("0.05"), ttl=60, wallet=False, budget=budget) for n in range(20)],
        return_exceptions=True,
    )

    assert [type(result) for result in results].count(Reservation) == 1
    assert [type(result) for result in results].count(BudgetSpent) == 19


async def test_litellm_36926_a_reservation_that_nobody_ends_does_not_eat_the_budget_for_ever(
    new_ledger: NewLedger, clock: Clock
) -> None:
    """BerriAI/litellm#36926, #22726, #20615: what a crash left comes back, here by another process."""
    budget = Budget(key="k1", label="total", limit=D(1))
    ledger, other = new_ledger(dead_after=60), new_ledger(dead_after=60)
    await paid(ledger, "1")
    await ledger.reserve("lost", "t1", D(1), ttl=3600, budget=budget)
    with pytest.raises(InsufficientFunds):
        await other.reserve("next", "t1", D(1), ttl=60, budget=budget)
    clock.now += 61
    await other.sweep()

    assert (await other.reserve("next", "t1", D(1), ttl=60, budget=budget)).state == "open"


async def test_litellm_37140_however_often_a_call_is_settled_it_is_charged_once(ledger: SqlLedger) -> None:
    """BerriAI/litellm#37140 and QuantumNous/new-api#5235, #7062, #4168: a client leaves, a stream breaks, both settle."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    await asyncio.gather(
        ledger.settle("r1", D("0.3"), used("u1")),
        ledger.settle("r1", D("0.9"), used("u2")),
        ledger.release("r1"),
        return_exceptions=True,
    )

    charges = (await ledger.page(Entry, where={"kind": "charge"})).items
    rows = (await ledger.page(UsageRow)).items
    assert (len(charges), len(rows)) == (1, 1)
    assert rows[0].charge == D("0.3") == 10 - (await wallet(ledger)).balance


async def test_new_api_95_a_call_that_the_upstream_failed_costs_nothing(ledger: SqlLedger) -> None:
    """QuantumNous/new-api#95: given back whole, by settling nothing or by releasing."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(4), ttl=60)
    await ledger.reserve("r2", "t1", D(4), ttl=60)
    await ledger.settle("r1", D(0), used(status=502, code="upstream_error"))
    await ledger.release("r2")

    assert (await wallet(ledger)).free == 10
    assert [(row.status, row.charge) for row in (await ledger.page(UsageRow)).items] == [(502, D(0))]


def test_new_api_6265_reasoning_that_the_upstream_tells_of_is_charged() -> None:
    """QuantumNous/new-api#6265: what it says wins over any estimate."""
    said: Any = {
        "prompt_tokens": 10,
        "completion_tokens": 1000,
        "completion_tokens_details": {"reasoning_tokens": 900},
    }

    assert money.cost(Price(output=D(10)), money.meter(said)) == D("0.01")


def test_new_api_1664_long_prompts_cost_what_the_vendor_takes_for_them() -> None:
    """QuantumNous/new-api#1664: above 200,000 tokens, for the reservation, too."""
    price = Price(input=D(1), output=D(5), above=((200_000, Price(input=D(2), output=D(10))),))

    assert money.cost(price, Meter(input=300_000)) == D("0.6") == money.estimate(price, 300_000, 0)


@pytest.mark.parametrize(("part", "expected"), [("cached", "0.1"), ("cache_write", "1.25")])
def test_one_api_317_prices_of_cached_tokens_are_used(part: str, expected: str) -> None:
    """Laisky/one-api#317: they were configured, and ignored."""
    price = Price(input=D(1), cached_input=D("0.1"), cache_write=D("1.25"))

    assert money.cost(price, Meter(**{"input": 1_000_000, part: 1_000_000})) == D(expected)


async def test_new_api_4569_what_a_call_cost_is_found_by_its_request_id(ledger: SqlLedger) -> None:
    """QuantumNous/new-api#4569, #1550: beside the balance of the key's team and what is left of its budget."""
    await paid(ledger)
    budget = Budget(key="k1", label="total", limit=D(5))
    await ledger.reserve("r1", "t1", D(1), ttl=60, budget=budget)
    await ledger.settle("r1", D("0.25"), used(request="req-abc", cost=D("0.2")))

    row = (await ledger.page(UsageRow, where={"request": "req-abc"})).items[0]
    assert (row.cost, row.charge) == (D("0.2"), D("0.25"))
    assert (await ledger.spend("k1", "total")).spent == D("0.25")


async def test_new_api_5432_usage_by_time_key_and_model_with_cost_beside_charge(ledger: SqlLedger) -> None:
    """QuantumNous/new-api#5432, #4933: two numbers, because they differ."""
    for number, model in enumerate(("m1", "m1", "m2")):
        ledger.record(used(f"u{number}", model=model, cost=D("0.1"), charge=D("0.15")))
    await ledger.aclose()
    totals = await ledger.usage(["day", "key", "provider", "model"], since=NOW - 1, until=NOW + 1)

    assert [(total.group[3], total.cost, total.charge) for total in totals] == [
        ("m1", D("0.2"), D("0.3")),
        ("m2", D("0.1"), D("0.15")),
    ]


# --- limits ---


async def test_litellm_40291_a_limit_is_one_limit_however_many_processes_ask(redis_url: str) -> None:
    """BerriAI/litellm#40291, #27736, #10555, #18518: tokens a minute, three processes, 90 calls of 10, room for 50."""
    processes = [RedisCounters(redis_url, prefix="40291") for _ in range(3)]
    bucket = Bucket("t", "tokens", 500, HOUR)
    verdicts = await asyncio.gather(*[processes[n % 3].take("team", [(bucket, 10)]) for n in range(90)])
    for each in processes:
        await each.aclose()

    assert sum(verdict.admitted for verdict in verdicts) == 50


async def test_litellm_40291_what_was_estimated_too_low_is_counted_in_the_end(counters: Counters) -> None:
    """The estimate admits, real usage counts: the next call meets what the last one left."""
    claims = Claims("team", (), (Bucket("t", "tokens", 100, HOUR),), ())
    await counters.take("team", claims.costs(10))
    await counters.settle("team", claims.corrections(10, 100))

    assert not (await counters.take("team", claims.costs(1))).admitted


async def test_envoy_1866_what_remains_falls_with_every_call(counters: Counters) -> None:
    """envoyproxy/ai-gateway#1866, #1754: the header told of a full bucket for ever."""
    claims = Claims("team", (Bucket("r", "requests", 5, HOUR),), (Bucket("t", "tokens", 100, HOUR),), ())
    told = [dict(headers((await counters.take("team", claims.costs(30))).levels)) for _ in range(3)]

    assert [each["x-ratelimit-remaining-requests"] for each in told] == ["4", "3", "2"]
    assert [each["x-ratelimit-remaining-tokens"] for each in told] == ["70", "40", "10"]


async def test_tensorzero_3643_a_store_that_is_not_there_is_said_at_the_start() -> None:
    """tensorzero/tensorzero#3643: it started fine, and answered 502 to every call."""
    ledger = SqlLedger("postgresql://127.0.0.1:1/x", busy=0.5)
    counters = RedisCounters("redis://127.0.0.1:1/0", timeout=0.5)

    with pytest.raises(LedgerUnavailable):
        await ledger.open()
    with pytest.raises(CountersLost):
        await counters.ping()
    await ledger.aclose()
    await counters.aclose()


# --- keys, memory ---


async def test_litellm_35535_a_revoked_key_does_not_go_on_from_a_cache(ledger: SqlLedger, clock: Clock) -> None:
    """BerriAI/litellm#35535, #34217, #9820, #2149: within the promised time, and a blocked team the same."""
    hasher = Hasher(time_cost=1, memory_cost=8, parallelism=1)
    made = mint()
    owner = await ledger.add(team())
    stored = await ledger.add(key(made.id, hash=hasher.hash(made.text)))
    verifier = KeyVerifier(ledger, Watch(ledger, monotonic=clock, fresh=2), hasher=hasher, clock=clock, monotonic=clock)
    await verifier.verify(made.text)
    await ledger.change(replace(stored, revoked=clock.now))
    await ledger.change(replace(owner, active=False))
    clock.now += 5
    cached = verifier.recall(made.text)
    found = await verifier.verify(made.text)

    assert cached is None
    assert found is not None
    assert (found.key.standing(clock.now), found.account.team.active) == ("revoked", False)


async def test_litellm_15799_no_error_of_storage_holds_a_secret(ledger: SqlLedger) -> None:
    """BerriAI/litellm#15799, #8075, #6963, #5762: not the hash, not the sealed key, not the ring, not the URL."""
    seeded = "SEEDED-secret-value"
    ring = KeyRing({"r1": b"k" * 32})
    sealed = ring.seal(seeded, of="t1")
    told: list[str] = [
        repr(ring),
        repr(sealed),
        repr(key(hash=seeded)),
        str(mint(random=lambda n: seeded.encode()[:n])),
    ]
    await ledger.add(team())
    await ledger.add(key(hash=seeded))
    attempts: list[Any] = [
        ledger.add(key(hash=seeded)),
        ledger.add(key("k2", hash=seeded, team="nobody")),
        ledger.add(key("k3", hash=seeded + "\0")),
        SqlLedger(f"postgresql://x:{seeded}@127.0.0.1:1/x", busy=0.5).open(),
        RedisCounters(f"redis://x:{seeded}@127.0.0.1:1/0", timeout=0.2).ping(),
    ]
    for each in attempts:
        with pytest.raises(Exception, match=r".") as caught:
            await each
        told += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

    assert [text for text in told if seeded in text] == []


async def test_litellm_12685_no_queue_grows_without_bound_while_the_store_is_away(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BerriAI/litellm#12685, #15128, #21908: rows over the bound are dropped and counted, buckets are forgotten."""
    await ledger.open()
    session = await ledger._session()
    session.writer._backlog = 100
    kept = [ledger.record(used(f"u{n}")) for n in range(150)]
    counters = MemoryCounters(clock=lambda: 0.0, max_bytes=10_000)
    for n in range(1000):
        await counters.put(f"v{n}", b"x" * 100, 60)
        await counters.take("g", [(Bucket(f"b{n}", "requests", 1), 0)], [Lease(f"l{n}", 1)], "x")
        await counters.settle("g", [], [Lease(f"l{n}", 1)], "x")

    assert (sum(kept), session.writer.dropped) == (100, 50)
    assert len(counters._values) < 50
    assert (counters._buckets, counters._leases) == ({}, {})


async def test_litellm_15128_old_rows_are_deleted_where_they_are(ledger: SqlLedger) -> None:
    """BerriAI/litellm#15128, #38193: a bounded number at a time, none of them loaded."""
    for n in range(20):
        ledger.record(used(f"u{n}", at=NOW + n))
    await ledger.aclose()

    assert [await ledger.prune(UsageRow, NOW + 15, 10) for _ in range(3)] == [10, 5, 0]
    assert {row.id for row in (await ledger.page(UsageRow)).items} == {f"u{n}" for n in range(15, 20)}
