"""Money in the ledger, on every back end: nothing is charged twice, nothing is lost, no balance falls below zero."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from compatgw.state.base import (
    MOST,
    BadRecord,
    Budget,
    BudgetSpent,
    Duplicate,
    Entry,
    IdempotencyConflict,
    InsufficientFunds,
    Missing,
    ReservationClosed,
    Spend,
    UsageRow,
)
from compatgw.state.sql import SqlLedger
from tests.state.making import NOW, Clock, NewLedger, money, paid, team, used, wallet

D = Decimal


async def sum_of_entries(ledger: SqlLedger, team_id: str = "t1") -> Decimal:
    """What the team's entries add up to, read page by page."""
    total, cursor = D(0), None
    while True:
        page = await ledger.page(Entry, where={"team": team_id}, cursor=cursor, limit=1000)
        total += sum((entry.amount for entry in page.items), D(0))
        cursor = page.cursor
        if cursor is None:
            return total


async def test_a_wallet_begins_empty_and_a_team_has_one(ledger: SqlLedger) -> None:
    """A second one is refused."""
    await ledger.add(team())
    opened = await ledger.open_wallet("t1", "USD")

    assert opened == await wallet(ledger)
    assert (opened.balance, opened.reserved, opened.free, opened.currency) == (D(0), D(0), D(0), "USD")
    with pytest.raises(Duplicate, match="wallet already"):
        await ledger.open_wallet("t1", "USD")


async def test_a_topup_is_an_entry_and_a_balance(ledger: SqlLedger) -> None:
    """With who and why."""
    await paid(ledger, "0")
    entry = await ledger.topup("t1", D("12.5"), by="ann", note="invoice\0 7", idempotency="i1")

    assert (entry.amount, entry.balance, entry.kind, entry.by, entry.note) == (
        D("12.5"),
        D("12.5"),
        "topup",
        "ann",
        "invoice 7",
    )
    assert (await ledger.page(Entry)).items == (entry,)
    assert (await wallet(ledger)).balance == D("12.5")


async def test_the_same_idempotency_key_adds_once(new_ledger: NewLedger) -> None:
    """Also from two processes at the same time; for another amount it is refused."""
    one, two = new_ledger(), new_ledger()
    await paid(one, "0")

    entries = await asyncio.gather(*[each.topup("t1", D(5), idempotency="i1") for each in (one, two) * 5])

    assert len({entry.id for entry in entries}) == 1
    assert (await wallet(one)).balance == 5
    with pytest.raises(IdempotencyConflict, match=r"topup of 5\.00"):
        await one.topup("t1", D(6), idempotency="i1")
    with pytest.raises(IdempotencyConflict):
        await one.topup("t1", D(5), kind="correction", idempotency="i1")


async def test_an_idempotency_key_belongs_to_its_team(ledger: SqlLedger) -> None:
    """Two teams may use the same one."""
    await paid(ledger, "0")
    await paid(ledger, "0", "t2")
    for id in ("t1", "t2"):
        await ledger.topup(id, D(5), idempotency="i1")

    assert [(await wallet(ledger, id)).balance for id in ("t1", "t2")] == [5, 5]


@pytest.mark.parametrize(
    "amount",
    ["0", "-1", "1E+10", "1E+999999", "NaN", "Infinity", "-Infinity", "1E-10", "0.1234567891"],
)
async def test_an_amount_that_is_none_is_refused(ledger: SqlLedger, amount: str) -> None:
    """Overflow, too fine, not a number, and nothing: in words, and nothing changes."""
    await paid(ledger)

    with pytest.raises(BadRecord):
        await ledger.topup("t1", D(amount))
    assert (await wallet(ledger)).balance == 10


async def test_a_float_is_never_money(ledger: SqlLedger) -> None:
    """0.1 + 0.2 is where it begins."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)

    with pytest.raises(BadRecord, match="not an exact number"):
        await ledger.topup("t1", 0.1)  # type: ignore[arg-type]
    with pytest.raises(BadRecord, match="not an exact number"):
        await ledger.settle("r1", 0.1)  # type: ignore[arg-type]


async def test_a_balance_stays_in_range(ledger: SqlLedger) -> None:
    """A billion is the most; sums of amounts never leave 64 bits."""
    await paid(ledger, "0")
    await ledger.topup("t1", MOST)

    with pytest.raises(BadRecord, match="holds at most"):
        await ledger.topup("t1", D("0.000000001"))
    assert (await wallet(ledger)).balance == MOST == await sum_of_entries(ledger)


async def test_a_correction_takes_only_what_is_free(ledger: SqlLedger) -> None:
    """What is reserved is spoken for."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(4), ttl=60)

    with pytest.raises(InsufficientFunds) as caught:
        await ledger.topup("t1", D("-6.5"), kind="correction")
    entry = await ledger.topup("t1", D(-6), kind="correction", note="refunded")

    assert caught.value.missing == D("0.5")
    assert (entry.amount, entry.balance) == (D(-6), D(4))
    assert (await wallet(ledger)).free == 0


async def test_reserve_settle_charges_what_was_used(ledger: SqlLedger) -> None:
    """The rest is free again; the entry names the reservation."""
    await paid(ledger)
    held = await ledger.reserve("r1", "t1", D(3), ttl=60)
    during = await wallet(ledger)
    settled = await ledger.settle("r1", D("1.25"))
    after = await wallet(ledger)
    entry = (await ledger.page(Entry, limit=1)).items[0]

    assert (held.state, held.amount, held.owner) == ("open", D(3), ledger.owner)
    assert (during.balance, during.reserved, during.free) == (D(10), D(3), D(7))
    assert (settled.state, settled.charged, settled.shortfall) == ("settled", D("1.25"), D(0))
    assert (after.balance, after.reserved) == (D("8.75"), D(0))
    assert (entry.kind, entry.amount, entry.balance, entry.reservation) == ("charge", D("-1.25"), D("8.75"), "r1")


async def test_nothing_is_charged_for_nothing(ledger: SqlLedger) -> None:
    """A settlement of 0 closes the reservation and writes no entry."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    settled = await ledger.settle("r1", D(0))

    assert (settled.state, settled.charged) == ("settled", D(0))
    assert len((await ledger.page(Entry)).items) == 1


async def test_settling_twice_charges_once(new_ledger: NewLedger) -> None:
    """Whatever the second one says, here and from another process, one after the other and at once."""
    one, two = new_ledger(), new_ledger()
    await paid(one)
    await one.reserve("r1", "t1", D(3), ttl=60)

    results = await asyncio.gather(
        *[each.settle("r1", D(amount)) for each, amount in zip((one, two) * 4, range(1, 9), strict=True)]
    )
    later = await two.settle("r1", D("0.5"))

    charged = {result.charged for result in results} | {later.charged}
    assert len(charged) == 1
    assert (await wallet(one)).balance == 10 - charged.pop()
    assert len((await one.page(Entry)).items) == 2


async def test_more_than_was_reserved_is_taken_as_far_as_it_is_free(ledger: SqlLedger) -> None:
    """Never what others have reserved; what could not be taken is recorded."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    await ledger.reserve("r2", "t1", D(4), ttl=60)
    first = await ledger.settle("r1", D(100))
    second = await ledger.settle("r2", D(4))
    entry = (await ledger.page(Entry, limit=2)).items[1]

    assert (first.charged, first.shortfall) == (D(6), D(94))
    assert (second.charged, second.shortfall) == (D(4), D(0))
    assert entry.note == "94.00 could not be taken"
    assert (await wallet(ledger)).balance == 0 == await sum_of_entries(ledger)


async def test_what_is_not_there_cannot_be_reserved(ledger: SqlLedger) -> None:
    """402 says how much is missing; nothing is left behind."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(7), ttl=60)

    with pytest.raises(InsufficientFunds, match="Top up the wallet") as caught:
        await ledger.reserve("r2", "t1", D("3.000000001"), ttl=60)
    with pytest.raises(Missing):
        await ledger.settle("r2", D(1))
    with pytest.raises(Missing, match="no wallet"):
        await ledger.reserve("r3", "nobody", D(1), ttl=60)

    assert caught.value.missing == D("0.000000001")
    assert (await wallet(ledger)).reserved == 7
    await ledger.reserve("r2", "t1", D(3), ttl=60)


async def test_a_release_gives_all_of_it_back(ledger: SqlLedger) -> None:
    """Once; after it nothing can be charged."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    states = [(await ledger.release("r1")).state for _ in range(2)]

    assert states == ["released", "released"]
    assert (await wallet(ledger)).free == 10
    with pytest.raises(ReservationClosed, match="released before"):
        await ledger.settle("r1", D(1))
    with pytest.raises(Missing):
        await ledger.release("r9")


async def test_a_release_after_the_settlement_gives_nothing_back(ledger: SqlLedger) -> None:
    """A `finally` may always release."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    await ledger.settle("r1", D(2))

    assert (await ledger.release("r1")).state == "settled"
    assert (await wallet(ledger)).balance == 8


@pytest.mark.parametrize("amount", ["-1", "NaN", "1E+10"])
async def test_what_is_no_amount_is_neither_reserved_nor_charged(ledger: SqlLedger, amount: str) -> None:
    """A negative charge would be a gift."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)

    with pytest.raises(BadRecord):
        await ledger.reserve("r2", "t1", D(amount), ttl=60)
    with pytest.raises(BadRecord):
        await ledger.settle("r1", D(amount))
    assert (await wallet(ledger)).reserved == 1


async def test_the_sweep_returns_what_dead_processes_held(new_ledger: NewLedger, clock: Clock) -> None:
    """Those that have not swept for a while; the living keep theirs."""
    dead, living = new_ledger(dead_after=60), new_ledger(dead_after=60)
    await paid(dead)
    await dead.reserve("r1", "t1", D(3), ttl=3600)
    await living.reserve("r2", "t1", D(2), ttl=3600)
    clock.now += 59
    early = await living.sweep()
    clock.now += 2
    late = await living.sweep()
    again = await living.sweep()

    assert (early, late, again) == (0, 1, 0)
    assert (await wallet(living)).reserved == 2


async def test_the_sweep_returns_what_has_expired(ledger: SqlLedger, clock: Clock) -> None:
    """Of living processes, too: a call that forgot to end."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=10)
    await ledger.reserve("r2", "t1", D(3), ttl=20)
    clock.now += 10

    assert await ledger.sweep() == 1
    assert (await wallet(ledger)).reserved == 3


async def test_a_call_that_ends_after_it_was_swept_is_charged_all_the_same(ledger: SqlLedger, clock: Clock) -> None:
    """Its answer was delivered: of what is free by then, and once."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=10)
    clock.now += 11
    await ledger.sweep()
    await ledger.reserve("r2", "t1", D(9), ttl=60)
    settled = [await ledger.settle("r1", D(2)) for _ in range(2)]

    assert [(each.state, each.charged, each.shortfall) for each in settled] == [("settled", D(1), D(1))] * 2
    assert (await wallet(ledger)).balance == 9 == (await wallet(ledger)).reserved


async def test_a_clock_that_goes_back_sweeps_nothing_and_charges_as_ever(ledger: SqlLedger, clock: Clock) -> None:
    """Nothing is lost and nothing is charged twice."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    clock.now -= 86_400

    assert await ledger.sweep() == 0
    assert (await ledger.settle("r1", D(1))).charged == 1
    assert (await wallet(ledger)).balance == 9


async def test_no_number_of_calls_at_once_spends_more_than_there_is(new_ledger: NewLedger) -> None:
    """64 tasks in two processes on one wallet: some are refused, the balance never falls below zero."""
    ledgers = [new_ledger(), new_ledger()]
    await paid(ledgers[0], "5")
    dice = random.Random(7)
    charged: list[Decimal] = []

    async def call(number: int, actual: Decimal) -> bool:
        ledger = ledgers[number % 2]
        try:
            await ledger.reserve(f"r{number}", "t1", D("0.2"), ttl=60)
        except InsufficientFunds:
            return False
        assert (await wallet(ledger)).balance >= 0
        charged.append((await ledger.settle(f"r{number}", actual)).charged)
        return True

    async def caller(number: int) -> int:
        return sum([await call(number + 64 * n, D(dice.randint(0, 300)) / 1000) for n in range(3)])

    admitted = sum(await asyncio.gather(*[caller(number) for number in range(64)]))
    end = await wallet(ledgers[0])

    assert 25 <= admitted < 192
    assert end.balance == 5 - sum(charged, D(0)) == await sum_of_entries(ledgers[0])
    assert (end.reserved, end.balance >= 0) == (D(0), True)


async def test_exactly_as_many_are_admitted_as_there_is_money_for(new_ledger: NewLedger) -> None:
    """One conditional update for many calls at once, and one by one where it finds too little."""
    ledgers = [new_ledger(), new_ledger()]
    await paid(ledgers[0], "1")

    results = await asyncio.gather(
        *[ledgers[n % 2].reserve(f"r{n}", "t1", D("0.03"), ttl=60) for n in range(64)], return_exceptions=True
    )

    assert sum(not isinstance(result, BaseException) for result in results) == 33
    assert (await wallet(ledgers[0])).free == D("0.01")


async def test_many_writes_at_once_share_transactions(ledger: SqlLedger) -> None:
    """One fsync serves all that wait for it."""
    await paid(ledger)
    writer = (await ledger._session()).writer
    before = writer.transactions
    await asyncio.gather(*[ledger.reserve(f"r{n}", "t1", D("0.01"), ttl=60) for n in range(200)])
    await asyncio.gather(*[ledger.settle(f"r{n}", D("0.01")) for n in range(200)])

    assert writer.transactions - before <= 6
    assert (await wallet(ledger)).balance == 8


async def test_one_refusal_in_a_shared_transaction_is_nobody_elses(ledger: SqlLedger) -> None:
    """Unknown reservations, empty wallets and good calls, all at the same time."""
    await paid(ledger)
    await paid(ledger, "0", "t2")
    await ledger.reserve("r0", "t1", D(1), ttl=60)

    results = await asyncio.gather(
        ledger.settle("nothing", D(1)),
        ledger.settle("r0", D(1)),
        ledger.reserve("r1", "t2", D(1), ttl=60),
        ledger.reserve("r2", "t1", D(1), ttl=60),
        ledger.reserve("r3", "t3", D(1), ttl=60),
        return_exceptions=True,
    )

    assert [type(result).__name__ for result in results] == [
        "Missing",
        "Reservation",
        "InsufficientFunds",
        "Reservation",
        "Missing",
    ]


async def test_the_same_reservation_again_holds_once(ledger: SqlLedger) -> None:
    """An id is one call's own: the second one finds it taken, and gets what the first one has."""
    await paid(ledger)
    first = await ledger.reserve("r1", "t1", D(3), ttl=60)
    second = await ledger.reserve("r1", "t1", D(5), ttl=60)

    assert first == second
    assert (await wallet(ledger)).reserved == 3


async def test_a_caller_that_leaves_while_it_reserves_leaves_nothing_held(ledger: SqlLedger) -> None:
    """Its reservation is given back as soon as it was made."""
    await paid(ledger)
    tasks = [asyncio.create_task(ledger.reserve(f"r{n}", "t1", D(1), ttl=60)) for n in range(5)]
    await asyncio.sleep(0)
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await ledger.aclose()

    assert (await wallet(ledger)).reserved == 0


async def test_a_caller_that_leaves_while_it_settles_is_charged(ledger: SqlLedger) -> None:
    """Its answer was on its way."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    task = asyncio.create_task(ledger.settle("r1", D(1), used()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ledger.aclose()

    assert (await wallet(ledger)).balance == 9
    assert len((await ledger.page(UsageRow)).items) == 1


# --- budgets ---


def budget(limit: str = "2", label: str = "2026-11-21", key: str = "k1") -> Budget:
    """Of key `k1`."""
    return Budget(key=key, label=label, limit=D(limit))


async def test_a_budget_is_held_and_spent_beside_the_wallet(ledger: SqlLedger) -> None:
    """What was used counts, the rest is free again."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D("1.5"), ttl=60, budget=budget())
    during = await ledger.spend("k1", "2026-11-21")
    await ledger.settle("r1", D("0.75"))
    after = await ledger.spend("k1", "2026-11-21")

    assert during == Spend(key="k1", label="2026-11-21", spent=money("0"), reserved=money("1.5"))
    assert after == Spend(key="k1", label="2026-11-21", spent=money("0.75"), reserved=money("0"))
    assert await ledger.spend("k1", "2026-11-22") == Spend(key="k1", label="2026-11-22", spent=D(0), reserved=D(0))


async def test_a_spent_budget_refuses_and_leaves_the_wallet_alone(ledger: SqlLedger) -> None:
    """402 with what is missing; a new period begins anew."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D("1.5"), ttl=60, budget=budget())

    with pytest.raises(BudgetSpent, match=r"budget of 2\.00") as caught:
        await ledger.reserve("r2", "t1", D("0.75"), ttl=60, budget=budget())
    await ledger.reserve("r3", "t1", D(2), ttl=60, budget=budget(label="2026-11-22"))

    assert caught.value.missing == D("0.25")
    assert (await wallet(ledger)).reserved == D("3.5")


async def test_a_first_call_over_the_budget_is_refused(ledger: SqlLedger) -> None:
    """Where no row of the period is there yet."""
    await paid(ledger)

    with pytest.raises(BudgetSpent):
        await ledger.reserve("r1", "t1", D("2.5"), ttl=60, budget=budget())
    assert (await wallet(ledger)).reserved == 0


async def test_a_budget_without_a_wallet(ledger: SqlLedger) -> None:
    """Teams that pay by invoice may bound a key as well; nothing is charged."""
    await ledger.reserve("r1", "t1", D(1), ttl=60, wallet=False, budget=budget())
    settled = await ledger.settle("r1", D("1.25"))

    assert (settled.charged, settled.shortfall) == (D(0), D(0))
    assert (await ledger.spend("k1", "2026-11-21")).spent == D("1.25")
    assert (await ledger.page(Entry)).items == ()


@pytest.mark.parametrize("how", ["release", "sweep"])
async def test_a_budget_gets_back_what_was_not_used(ledger: SqlLedger, clock: Clock, how: str) -> None:
    """As a wallet does."""
    await ledger.reserve("r1", "t1", D(1), ttl=60, wallet=False, budget=budget())
    if how == "release":
        await ledger.release("r1")
    else:
        clock.now += 60
        await ledger.sweep()

    assert (await ledger.spend("k1", "2026-11-21")).reserved == 0


async def test_no_number_of_calls_at_once_reserves_more_than_a_budget(new_ledger: NewLedger) -> None:
    """Two processes, 60 calls, money for 20: exactly that many, and the wallet holds no more for the others."""
    ledgers = [new_ledger(), new_ledger()]
    await paid(ledgers[0], "100")

    results = await asyncio.gather(
        *[ledgers[n % 2].reserve(f"r{n}", "t1", D("0.1"), ttl=60, budget=budget()) for n in range(60)],
        return_exceptions=True,
    )

    assert sum(isinstance(result, BudgetSpent) for result in results) == 40
    assert (await wallet(ledgers[0])).reserved == 2
    assert (await ledgers[0].spend("k1", "2026-11-21")).reserved == 2


# --- usage beside money ---


async def test_a_charge_and_its_usage_row_are_one(ledger: SqlLedger) -> None:
    """The row says what was charged, and is written once."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    for _ in range(2):
        await ledger.settle("r1", D(100), used(cost=D("0.5")))

    rows = (await ledger.page(UsageRow)).items
    assert [(row.charge, row.cost) for row in rows] == [(D(10), D("0.5"))]
    assert rows[0].at == NOW


async def test_only_a_wallet_can_be_filled(ledger: SqlLedger) -> None:
    """A team without one, one that is none, words that are too long: nothing is written."""
    await ledger.add(team())

    with pytest.raises(Missing, match="no wallet"):
        await ledger.topup("t1", D(1))
    with pytest.raises(BadRecord, match="Idempotency-Key has 10,000 characters"):
        await ledger.topup("t1", D(1), idempotency="x" * 10_000)
    with pytest.raises(BadRecord, match="by holds a NUL"):
        await ledger.topup("t1", D(1), by="\0")
    with pytest.raises(BadRecord, match="positive"):
        await ledger.topup("t1", D(1), kind="charge")
    assert (await ledger.page(Entry)).items == ()


async def test_ids_of_reservations_are_checked_before_they_are_stored(ledger: SqlLedger) -> None:
    """As all other names."""
    await paid(ledger)

    with pytest.raises(BadRecord, match=r"Reservation\.id holds a NUL"):
        await ledger.reserve("a\0", "t1", D(1), ttl=60)
    with pytest.raises(BadRecord, match=r"Reservation\.id has 300"):
        await ledger.reserve("x" * 300, "t1", D(1), ttl=60)
    for id in ("a\0", "x" * 10_000, "\ud800"):
        with pytest.raises(Missing):
            await ledger.settle(id, D(1))
        with pytest.raises(Missing):
            await ledger.release(id)
        assert (await ledger.spend(id, "total")).spent == 0
    with pytest.raises(BadRecord, match=r"Budget\.limit"):
        await ledger.reserve("r1", "t1", D(1), ttl=60, budget=budget("NaN"))
    assert (await wallet(ledger)).reserved == 0
