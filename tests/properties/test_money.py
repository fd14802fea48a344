"""Whatever is reserved, settled, released, topped up, swept or cut off: the balance is its entries, and never below zero.

Two machines make random moves: one on the arithmetic alone, one on a real ledger that crashes and
comes back, with a model beside it that is told of every answer. LEDGER_STEPS makes them longer.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from compatgw.policy import money
from compatgw.policy.money import Purse
from compatgw.state.base import Budget, BudgetSpent, Entry, InsufficientFunds, ReservationClosed, Team
from compatgw.state.sql import SqlLedger
from tests.state.making import Clock

D = Decimal
STEPS = int(os.environ.get("LEDGER_STEPS", "400"))
AMOUNTS = st.integers(0, 3_000_000_000).map(money.from_units)
LIMIT = D(5)


class Arithmetic(RuleBasedStateMachine):
    """`policy/money.py` by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.purse = Purse(D(0), D(0))
        self.entries = D(0)
        self.held: list[Decimal] = []

    @rule(amount=AMOUNTS, sign=st.sampled_from([1, -1]))
    def put(self, amount: Decimal, sign: int) -> None:
        try:
            self.purse = money.put(self.purse, amount * sign)
        except InsufficientFunds as refusal:
            assert refusal.missing == amount - self.purse.free > 0
        else:
            self.entries += amount * sign

    @rule(amount=AMOUNTS)
    def reserve(self, amount: Decimal) -> None:
        try:
            self.purse = money.reserve(self.purse, amount)
        except InsufficientFunds as refusal:
            assert refusal.missing == amount - self.purse.free > 0
        else:
            self.held.append(amount)

    @rule(actual=AMOUNTS, swept=st.booleans(), data=st.data())
    def settle(self, actual: Decimal, swept: bool, data: st.DataObject) -> None:
        held = D(0)
        if self.held and not swept:
            held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        free = self.purse.free
        self.purse, taken, short = money.settle(self.purse, held, actual)
        self.entries -= taken
        assert taken + short == actual
        assert taken == min(actual, free + held)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.held:
            self.purse = money.release(self.purse, self.held.pop(data.draw(st.integers(0, len(self.held) - 1))))

    @invariant()
    def adds_up(self) -> None:
        assert self.purse.balance == self.entries
        assert self.purse.reserved == sum(self.held, D(0))
        assert D(0) <= self.purse.reserved <= self.purse.balance


class Crashing(RuleBasedStateMachine):
    """A ledger on a file, two processes that write to it, and what they were told."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="cgw-")
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.processes = [self.process(), self.process()]
        self.number = 0
        # Of each open reservation its amount, and whether it was swept; what is settled by its charge.
        self.open: dict[str, Decimal] = {}
        self.swept: set[str] = set()
        self.owner: dict[str, str] = {}
        self.settled: dict[str, Decimal] = {}
        self.released: set[str] = set()
        self.spent = D(0)
        self.put_in = D(0)

    def process(self) -> SqlLedger:
        return SqlLedger(f"sqlite:///{Path(self.folder.name, 'x.db')}", clock=self.clock, dead_after=60)

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    @initialize()
    def begin(self) -> None:
        async def begin() -> None:
            await self.processes[0].add(Team(id="t", name="t"))
            await self.processes[0].open_wallet("t", "USD")

        self.run(begin())

    @rule(amount=AMOUNTS.filter(bool), which=st.integers(0, 1), again=st.booleans())
    def topup(self, amount: Decimal, which: int, again: bool) -> None:
        self.number += 1
        for _ in range(2 if again else 1):
            self.run(self.processes[which].topup("t", amount, idempotency=f"i{self.number}"))
        self.put_in += amount

    @rule(amount=AMOUNTS, which=st.integers(0, 1), bounded=st.booleans())
    def reserve(self, amount: Decimal, which: int, bounded: bool) -> None:
        self.number += 1
        id = f"r{self.number}"
        budget = Budget(key="k", label="total", limit=LIMIT) if bounded else None
        try:
            self.run(self.processes[which].reserve(id, "t", amount, ttl=3600, budget=budget))
        except (InsufficientFunds, BudgetSpent) as refusal:
            assert refusal.missing > 0
        else:
            self.open[id] = amount
            self.owner[id] = self.processes[which].owner

    @rule(actual=AMOUNTS, which=st.integers(0, 1), data=st.data())
    def settle(self, actual: Decimal, which: int, data: st.DataObject) -> None:
        ids = sorted([*self.open, *self.settled, *self.released])
        if not ids:
            return
        id = data.draw(st.sampled_from(ids))
        try:
            found = self.run(self.processes[which].settle(id, actual))
        except ReservationClosed:
            assert id in self.released
            return
        assert found.charged + found.shortfall == actual or id in self.settled
        assert self.settled.setdefault(id, found.charged) == found.charged
        self.open.pop(id, None)
        self.swept.discard(id)

    @rule(which=st.integers(0, 1), data=st.data())
    def release(self, which: int, data: st.DataObject) -> None:
        ids = sorted([*self.open, *self.settled, *self.released])
        if not ids:
            return
        id = data.draw(st.sampled_from(ids))
        self.run(self.processes[which].release(id))
        if id in self.open:
            del self.open[id]
            self.swept.discard(id)
            self.released.add(id)

    @rule(which=st.integers(0, 1), actual=AMOUNTS, data=st.data())
    def settle_many(self, which: int, actual: Decimal, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.open)), max_size=4)) if self.open else []

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*[self.processes[which].settle(id, actual) for id in ids])

        for id, found in zip(ids, self.run(all_at_once()), strict=True):
            assert self.settled.setdefault(id, found.charged) == found.charged
            self.open.pop(id, None)
            self.swept.discard(id)

    @rule(which=st.integers(0, 1))
    def crash(self, which: int) -> None:
        """Its connections end, what it had not written is lost, another takes its place."""

        async def die() -> None:
            session = self.processes[which]._sessions.here()
            if session is not None:
                session.writer._rows.clear()
                await self.processes[which].aclose()

        self.run(die())
        self.processes[which] = self.process()

    @rule(seconds=st.integers(-100, 100), which=st.integers(0, 1))
    def sweep(self, seconds: int, which: int) -> None:
        self.clock.now += seconds
        self.run(self.processes[1 - which].sweep())
        count = self.run(self.processes[which].sweep())
        alive = {process.owner for process in self.processes}
        gone = {id for id in self.open if self.owner[id] not in alive}
        # What a dead process held comes back once it was not seen for long enough, and not twice.
        assert count <= len(gone)

    @invariant()
    def adds_up(self) -> None:
        if not self.number:
            return

        async def look() -> tuple[Any, Any, list[Entry]]:
            ledger = self.processes[0]
            entries: list[Entry] = []
            cursor = None
            while True:
                page = await ledger.page(Entry, limit=1000, cursor=cursor)
                entries += page.items
                cursor = page.cursor
                if cursor is None:
                    return await ledger.wallet("t"), await ledger.spend("k", "total"), entries

        wallet, spend, entries = self.run(look())
        charges = {entry.reservation: -entry.amount for entry in entries if entry.kind == "charge"}
        assert wallet.balance == sum((entry.amount for entry in entries), D(0))
        assert wallet.balance == self.put_in - sum(self.settled.values(), D(0))
        assert charges == {id: charged for id, charged in self.settled.items() if charged}
        assert D(0) <= wallet.reserved <= wallet.balance
        assert wallet.reserved <= sum(self.open.values(), D(0))
        assert spend.reserved >= 0

    def teardown(self) -> None:
        async def close() -> None:
            for process in self.processes:
                await process.aclose()

        self.run(close())
        self.runner.close()
        self.folder.cleanup()


QUIET: list[HealthCheck] = [HealthCheck.too_slow, HealthCheck.data_too_large]


def test_the_arithmetic_adds_up_whatever_happens() -> None:
    """Balance equals entries, the reserved part is what is held, nothing below zero."""
    run_state_machine_as_test(
        Arithmetic,
        settings=settings(
            max_examples=max(1, STEPS // 10), stateful_step_count=50, deadline=None, suppress_health_check=QUIET
        ),
    )


def test_a_ledger_adds_up_whatever_crashes() -> None:
    """The same on a file, with processes that die and take each other's place."""
    run_state_machine_as_test(
        Crashing,
        settings=settings(
            max_examples=max(1, STEPS // 40), stateful_step_count=40, deadline=None, suppress_health_check=QUIET
        ),
    )
