"""A database that crashed and forgot what it had not yet on the disk, while the process that wrote it goes on.

Reservations are not waited for until they are on the disk: a PostgreSQL that crashes loses those of its
last moment, each with what it held of wallet and budget. The calls that they were for go on.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import text

from compatgw.state.base import Budget, Entry, InsufficientFunds, Missing, UsageRow
from compatgw.state.sql import SqlLedger
from tests.state.making import Clock, NewLedger, paid, used, wallet

D = Decimal


async def forget(ledger: SqlLedger, id: str, team: str = "t1") -> None:
    """Takes a reservation out of the tables, as if its transaction had never been."""
    session = await ledger._session()
    async with session.database.write() as connection:
        await connection.execute(text("DELETE FROM compatgw_reservations WHERE id = :id"), {"id": id})
        await connection.execute(text("UPDATE compatgw_wallets SET reserved = 0 WHERE team = :team"), {"team": team})
        await connection.execute(text("DELETE FROM compatgw_spends"))


async def test_a_call_whose_reservation_was_forgotten_is_charged_all_the_same(new_ledger: NewLedger) -> None:
    """Once, with its entry and its usage; somebody who repeats it gets the settlement that there is."""
    ledger = new_ledger()
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    await forget(ledger, "r1")
    settled = await ledger.settle("r1", D(2), used())
    again = await ledger.settle("r1", D(2), used())
    now = await wallet(ledger)
    charges = [entry.amount for entry in (await ledger.page(Entry)).items if entry.kind == "charge"]

    assert (settled.state, settled.charged, settled.shortfall) == ("settled", D(2), D(0))
    assert again == settled
    assert (now.balance, now.reserved) == (D(8), D(0))
    assert charges == [-2]
    assert [row.charge for row in (await ledger.page(UsageRow)).items] == [2]


async def test_what_a_forgotten_reservation_would_take_of_others_is_a_shortfall(new_ledger: NewLedger) -> None:
    """It holds nothing any more: money that was reserved since is not its own."""
    ledger = new_ledger()
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(9), ttl=60)
    await forget(ledger, "r1")
    await ledger.reserve("r2", "t1", D(8), ttl=60)
    first = await ledger.settle("r1", D(9), used("u1"))
    second = await ledger.settle("r2", D(8), used("u2"))
    now = await wallet(ledger)

    assert (first.charged, first.shortfall) == (D(2), D(7))
    assert (second.charged, second.shortfall) == (D(8), D(0))
    assert (now.balance, now.reserved) == (D(0), D(0))


async def test_a_forgotten_reservation_that_is_released_costs_nothing(new_ledger: NewLedger) -> None:
    """As one that was swept."""
    ledger = new_ledger()
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    await forget(ledger, "r1")
    released = await ledger.release("r1")
    now = await wallet(ledger)

    assert released.state == "released"
    assert (now.balance, now.reserved) == (D(10), D(0))


async def test_a_forgotten_reservation_of_a_budget_counts_as_spent(new_ledger: NewLedger) -> None:
    """Even where the period's row went with it."""
    ledger = new_ledger()
    await paid(ledger)
    budget = Budget(key="k1", label="total", limit=D(5))
    await ledger.reserve("r1", "t1", D(4), ttl=60, wallet=False, budget=budget)
    await forget(ledger, "r1")
    await ledger.settle("r1", D(4), used())
    spend = await ledger.spend("k1", "total")

    assert (spend.spent, spend.reserved) == (D(4), D(0))
    assert (await wallet(ledger)).balance == 10


async def test_only_the_process_that_reserved_remembers_it(new_ledger: NewLedger) -> None:
    """Another one cannot know what was to be paid, and says so; nor does the same one for what is settled."""
    ledger, other = new_ledger(), new_ledger()
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    await ledger.settle("r1", D(1), used())
    await forget(ledger, "r1")

    for each in (ledger, other):
        with pytest.raises(Missing, match="no reservation"):
            await each.settle("r1", D(1), used())


async def test_what_nobody_closes_is_not_remembered_for_ever(new_ledger: NewLedger, clock: Clock) -> None:
    """What has expired, and what was refused, is no burden."""
    ledger = new_ledger()
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(3), ttl=60)
    with pytest.raises(InsufficientFunds):
        await ledger.reserve("r2", "t1", D(30), ttl=60)
    remembered = set(ledger._held)
    clock.now += 61
    await ledger.sweep()

    assert remembered == {"r1"}
    assert ledger._held == {}
