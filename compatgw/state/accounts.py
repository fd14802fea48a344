"""Money in SQL: reserve, settle, release, sweep, top up, each a few statements within a transaction that it is given.

The arithmetic is `policy/money.py`'s; here it is made atomic. What many calls reserve of a wallet at
the same time is one conditional update (`balance - reserved >= their sum`); only where that finds too
little are they admitted one by one, with the wallet's row locked. Whoever changes a wallet otherwise
locks its row first. Every move may be repeated: what is done is not done again.

What does not live here: when a transaction begins and ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from compatgw.policy import money
from compatgw.policy.money import Purse
from compatgw.state.base import (
    Budget,
    Entry,
    IdempotencyConflict,
    InsufficientFunds,
    Missing,
    Reservation,
    ReservationClosed,
    ReservationState,
    Spend,
    UsageRow,
    Wallet,
)
from compatgw.state.checking import fitted
from compatgw.state.schema import Money, entries, processes, reservations, spends, wallets
from compatgw.state.schema import usage as usage_table

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from compatgw.state.base import EntryKind

_ZERO = Decimal(0)
_SWEPT_AT_ONCE = 500

_amount = bindparam("amount", type_=Money)
_HOLD = (
    update(wallets)
    .where(wallets.c.team == bindparam("of"), wallets.c.balance - wallets.c.reserved >= _amount)
    .values(reserved=wallets.c.reserved + _amount)
)
_LET_GO = update(wallets).where(wallets.c.team == bindparam("of")).values(reserved=wallets.c.reserved - _amount)
_WALLET = select(wallets).where(wallets.c.team == bindparam("of"))
_LOCKED_WALLETS = (
    select(wallets.c.team, wallets.c.balance, wallets.c.reserved)
    .where(wallets.c.team.in_(bindparam("of", expanding=True)))
    .order_by(wallets.c.team)
    .with_for_update()
)
_SET_WALLET = (
    update(wallets)
    .where(wallets.c.team == bindparam("of"))
    .values(balance=bindparam("to_balance", type_=Money), reserved=bindparam("to_reserved", type_=Money))
)
_HOLD_BUDGET = (
    update(spends)
    .where(
        spends.c.key == bindparam("of"),
        spends.c.label == bindparam("when"),
        spends.c.spent + spends.c.reserved + _amount <= bindparam("limit", type_=Money),
    )
    .values(reserved=spends.c.reserved + _amount)
)
_MOVE_BUDGET = (
    update(spends)
    .where(spends.c.key == bindparam("of"), spends.c.label == bindparam("when"))
    .values(reserved=spends.c.reserved - _amount, spent=spends.c.spent + bindparam("used", type_=Money))
)
_SPEND = select(spends).where(spends.c.key == bindparam("of"), spends.c.label == bindparam("when"))
_LOCKED_SPEND = _SPEND.with_for_update()
_RESERVATIONS = select(reservations).where(reservations.c.id.in_(bindparam("which", expanding=True)))
_LOCKED_RESERVATIONS = _RESERVATIONS.order_by(reservations.c.id).with_for_update()
_CLOSE = (
    update(reservations)
    .where(reservations.c.id == bindparam("which"))
    .values(
        {
            name: bindparam(f"to_{name}", type_=reservations.c[name].type)
            for name in ("state", "charged", "shortfall", "closed")
        }
    )
)


def insert_new(connection: AsyncConnection, table: Table, *unique: str) -> Any:
    """An insert that does nothing where a row with these `unique` columns is there already."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(unique))
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(unique))


@dataclass(slots=True)
class Hold:
    """A reservation to be made; `again` when an earlier try may have made it."""

    wanted: Reservation
    budget: Budget | None = None
    again: bool = False


@dataclass(slots=True)
class Close:
    """A reservation to be settled at `actual`, or given back when that is None.

    `held` is the reservation as it was made, where this process made it: a database that has lost it since is told.
    """

    id: str
    actual: Decimal | None
    at: float
    usage: UsageRow | None = None
    state: ReservationState = "released"
    held: Reservation | None = None


Move = Hold | Close


async def move(connection: AsyncConnection, moves: Sequence[Move], rows: Sequence[UsageRow]) -> list[Any]:
    """Makes the moves of many calls with few statements, and writes usage rows.

    Returns:
        For each move the reservation as it is now, or the `StateError` that refused it.
    """
    outcomes: dict[int, Any] = {}
    holds = {number: one for number, one in enumerate(moves) if isinstance(one, Hold)}
    closes = {number: one for number, one in enumerate(moves) if isinstance(one, Close)}
    if holds:
        outcomes.update(await _hold_all(connection, holds))
    written = list(rows)
    if closes:
        closed = await _close_all(connection, closes)
        for number, (outcome, fresh) in closed.items():
            outcomes[number] = outcome
            usage = closes[number].usage
            if fresh and usage is not None:
                written.append(replace(usage, charge=outcome.charged))
    if written:
        await write_usage(connection, written)
    return [outcomes[number] for number in range(len(moves))]


# --- holding -----------------------------------------------------------------------------------


async def _hold_all(connection: AsyncConnection, holds: Mapping[int, Hold]) -> dict[int, Any]:
    outcomes: dict[int, Any] = {}
    tried = {hold.wanted.id for hold in holds.values() if hold.again}
    made = await _reservations(connection, tried) if tried else {}
    fresh: dict[int, Hold] = {}
    for number, hold in holds.items():
        if hold.wanted.id in made:
            outcomes[number] = made[hold.wanted.id]
        else:
            fresh[number] = hold
    await _from_wallets(connection, fresh, outcomes)
    await _from_budgets(connection, fresh, outcomes)
    held = [hold.wanted for number, hold in fresh.items() if number not in outcomes]
    if held:
        await connection.execute(insert(reservations), [asdict(wanted) for wanted in held])
    return {number: outcomes.get(number, hold.wanted) for number, hold in holds.items()}


async def _from_wallets(connection: AsyncConnection, holds: Mapping[int, Hold], outcomes: dict[int, Any]) -> None:
    """Takes what each team's calls want by one conditional update; call by call where that is more than there is."""
    by_team: dict[str, list[int]] = {}
    for number, hold in holds.items():
        if hold.wanted.wallet:
            by_team.setdefault(hold.wanted.team, []).append(number)
    for team, numbers in sorted(by_team.items()):
        total = money.sum_of(holds[number].wanted.amount for number in numbers)
        if (await connection.execute(_HOLD, {"of": team, "amount": total})).rowcount:
            continue
        before = await _locked_wallet(connection, team)
        if before is None:
            outcomes.update((number, _no_wallet(team)) for number in numbers)
            continue
        purse = before
        for number in numbers:
            try:
                purse = money.reserve(purse, holds[number].wanted.amount)
            except InsufficientFunds as refusal:
                outcomes[number] = refusal
        await connection.execute(_HOLD, {"of": team, "amount": money.difference(purse.reserved, before.reserved)})


async def _from_budgets(connection: AsyncConnection, holds: Mapping[int, Hold], outcomes: dict[int, Any]) -> None:
    """The same with keys' budgets; whoever finds none left gives back what it had of the wallet."""
    by_budget: dict[Budget, list[int]] = {}
    for number, hold in holds.items():
        if hold.budget is not None and number not in outcomes:
            by_budget.setdefault(hold.budget, []).append(number)
    for budget, numbers in sorted(by_budget.items(), key=lambda item: (item[0].key, item[0].label)):
        total = money.sum_of(holds[number].wanted.amount for number in numbers)
        if await _hold_budget(connection, budget, total):
            continue
        row = (await connection.execute(_LOCKED_SPEND, {"of": budget.key, "when": budget.label})).mappings().one()
        spend = before = Spend(**row)
        for number in numbers:
            wanted = holds[number].wanted
            if money.fits(budget.limit, spend, wanted.amount):
                spend = replace(spend, reserved=money.sum_of([spend.reserved, wanted.amount]))
                continue
            outcomes[number] = money.over_budget(budget.limit, spend, wanted.amount)
            if wanted.wallet:
                await connection.execute(_LET_GO, {"of": wanted.team, "amount": wanted.amount})
        await _hold_budget(connection, budget, money.difference(spend.reserved, before.reserved))


async def _hold_budget(connection: AsyncConnection, budget: Budget, amount: Decimal) -> bool:
    values = {"of": budget.key, "when": budget.label, "amount": amount, "limit": budget.limit}
    if (await connection.execute(_HOLD_BUDGET, values)).rowcount:
        return True
    # The first call of a period finds no row yet.
    row = {"key": budget.key, "label": budget.label, "spent": _ZERO, "reserved": _ZERO}
    if not (await connection.execute(insert_new(connection, spends, "key", "label"), row)).rowcount:
        return False
    return bool((await connection.execute(_HOLD_BUDGET, values)).rowcount)


# --- closing -----------------------------------------------------------------------------------


async def _close_all(connection: AsyncConnection, closes: Mapping[int, Close]) -> dict[int, tuple[Any, bool]]:
    """For each the reservation or the refusal, and whether it was settled just now."""
    found = await _reservations(connection, {close.id for close in closes.values()}, lock=True)
    lost = [close.held for close in closes.values() if close.held is not None and close.id not in found]
    if lost:
        found.update(await _remade(connection, lost))
    teams = {each.team for each in found.values() if each.wallet and each.state in ("open", "swept")}
    wallets_now = await _locked_wallets(connection, teams)
    changes = _Changes(wallets_now)
    outcomes: dict[int, tuple[Any, bool]] = {}
    for number, close in closes.items():
        before = found.get(close.id)
        if before is None:
            outcomes[number] = (no_reservation(close.id), False)
        elif before.state in ("settled", "released"):
            late = close.actual is not None and before.state == "released"
            outcomes[number] = (_closed(close.id) if late else before, False)
        else:
            after = changes.apply(before, close)
            found[close.id] = after
            outcomes[number] = (after, after.state == "settled")
    await changes.write(connection)
    return outcomes


async def _remade(connection: AsyncConnection, lost: Sequence[Reservation]) -> dict[str, Reservation]:
    """Writes reservations down again that a crash took with all that they held: as ones that were swept."""
    swept = {each.id: replace(each, state="swept") for each in lost}
    await connection.execute(insert(reservations), [asdict(each) for each in swept.values()])
    budgets = {(each.budget_key, each.budget_label or "") for each in lost if each.budget_key is not None}
    for key, label in sorted(budgets):
        row = {"key": key, "label": label, "spent": _ZERO, "reserved": _ZERO}
        await connection.execute(insert_new(connection, spends, "key", "label"), row)
    return swept


class _Changes:
    """What the closing of many reservations changes, gathered to be written at once."""

    def __init__(self, purses: Mapping[str, Purse]) -> None:
        self._purses = dict(purses)
        self._before = purses
        self._entries: list[dict[str, Any]] = []
        self._closed: dict[str, dict[str, Any]] = {}
        self._spent: list[dict[str, Any]] = []

    def apply(self, found: Reservation, close: Close) -> Reservation:
        """Closes `found`, which is open, or swept and holds nothing any more."""
        held = found.amount if found.state == "open" else _ZERO
        charged = shortfall = _ZERO
        if found.wallet:
            purse = self._purses[found.team]
            if close.actual is None:
                self._purses[found.team] = money.release(purse, held)
            else:
                purse, charged, shortfall = money.settle(purse, held, close.actual)
                self._purses[found.team] = purse
                if charged:
                    self._charge(found, close.at, charged, shortfall, purse.balance)
        if found.budget_key is not None:
            used = close.actual if close.actual is not None else _ZERO
            where = {"of": found.budget_key, "when": found.budget_label}
            self._spent.append({**where, "amount": held, "used": used})
        state: ReservationState = "settled" if close.actual is not None else close.state
        values = {"to_state": state, "to_charged": charged, "to_shortfall": shortfall, "to_closed": close.at}
        self._closed[found.id] = {"which": found.id, **values}
        return replace(found, state=state, charged=charged, shortfall=shortfall, closed=close.at)

    def _charge(self, found: Reservation, at: float, charged: Decimal, shortfall: Decimal, balance: Decimal) -> None:
        entry = Entry(
            id=f"charge-{found.id}",
            team=found.team,
            kind="charge",
            amount=charged.copy_negate(),
            balance=balance,
            at=at,
            reservation=found.id,
            note=f"{money.text(shortfall)} could not be taken" if shortfall else "",
        )
        self._entries.append(asdict(entry))

    async def write(self, connection: AsyncConnection) -> None:
        """Writes them all."""
        moved = [
            {"of": team, "to_balance": purse.balance, "to_reserved": purse.reserved}
            for team, purse in sorted(self._purses.items())
            if purse != self._before[team]
        ]
        if moved:
            await connection.execute(_SET_WALLET, moved)
        if self._spent:
            await connection.execute(_MOVE_BUDGET, sorted(self._spent, key=lambda one: (one["of"], one["when"])))
        if self._entries:
            await connection.execute(insert(entries), self._entries)
        if self._closed:
            await connection.execute(_CLOSE, list(self._closed.values()))


async def sweep(connection: AsyncConnection, now: float, alive_since: float) -> int:
    """Gives back what has expired, and what processes held that have not been seen since `alive_since`; how many."""
    alive = select(processes.c.id).where(processes.c.seen >= alive_since)
    rows = await connection.execute(
        select(reservations.c.id)
        .where(reservations.c.state == "open", (reservations.c.expires <= now) | reservations.c.owner.not_in(alive))
        .order_by(reservations.c.team, reservations.c.budget_key)
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    found = [Close(id, None, now, state="swept") for id in rows.scalars()]
    if found:
        await _close_all(connection, dict(enumerate(found)))
    return len(found)


async def beat(connection: AsyncConnection, owner: str, now: float) -> None:
    """Says that `owner` lives."""
    seen = await connection.execute(update(processes).where(processes.c.id == owner).values(seen=now))
    if seen.rowcount == 0:
        await connection.execute(insert_new(connection, processes, "id"), {"id": owner, "seen": now})


async def put(
    connection: AsyncConnection,
    entry_id: str,
    team: str,
    amount: Decimal,
    kind: EntryKind,
    now: float,
    *,
    idempotency: str | None,
    by: str,
    note: str,
) -> tuple[Entry, bool]:
    """Adds to a wallet; False beside the entry that the idempotency key has made before.

    Raises:
        Missing, IdempotencyConflict, InsufficientFunds, BadRecord: Nothing was changed.
    """
    before = await _locked_wallet(connection, team)
    if before is None:
        raise _no_wallet(team)
    if idempotency is not None:
        same = select(entries).where(entries.c.team == team, entries.c.idempotency == idempotency)
        row = (await connection.execute(same)).mappings().one_or_none()
        if row is not None:
            earlier = entry_of(row)
            if (earlier.amount, earlier.kind) != (amount, kind):
                raise IdempotencyConflict(
                    f"The idempotency key {idempotency[:40]!r} was used for a {earlier.kind} of "
                    f"{money.text(earlier.amount)} before. Take a new key for another amount."
                )
            return earlier, False
    purse = money.put(before, amount)
    values = {"of": team, "to_balance": purse.balance, "to_reserved": purse.reserved}
    await connection.execute(_SET_WALLET, values)
    entry = Entry(
        id=entry_id,
        team=team,
        kind=kind,
        amount=amount,
        balance=purse.balance,
        at=now,
        idempotency=idempotency,
        by=by,
        note=note,
    )
    await connection.execute(insert(entries), asdict(entry))
    return entry, True


async def wallet_of(connection: AsyncConnection, team: str) -> Wallet | None:
    """The wallet of `team`."""
    row = (await connection.execute(_WALLET, {"of": team})).mappings().one_or_none()
    return Wallet(**row) if row is not None else None


async def spend_of(connection: AsyncConnection, key: str, label: str) -> Spend:
    """What `key` has spent in a period."""
    row = (await connection.execute(_SPEND, {"of": key, "when": label})).mappings().one_or_none()
    return Spend(**row) if row is not None else Spend(key=key, label=label, spent=_ZERO, reserved=_ZERO)


def entry_of(row: Any) -> Entry:
    """A row of `entries` as a record."""
    return Entry(**{name: value for name, value in row.items() if name != "seq"})


async def write_usage(connection: AsyncConnection, rows: Sequence[UsageRow]) -> None:
    """Writes usage rows; one that is there already is left alone."""
    await connection.execute(insert_new(connection, usage_table, "id"), [fitted(row) for row in rows])


async def _reservations(
    connection: AsyncConnection, ids: Collection[str], *, lock: bool = False
) -> dict[str, Reservation]:
    statement = _LOCKED_RESERVATIONS if lock else _RESERVATIONS
    rows = await connection.execute(statement, {"which": sorted(ids)})
    return {row["id"]: Reservation(**row) for row in rows.mappings()}


async def _locked_wallets(connection: AsyncConnection, teams: Collection[str]) -> dict[str, Purse]:
    if not teams:
        return {}
    rows = await connection.execute(_LOCKED_WALLETS, {"of": sorted(teams)})
    return {row["team"]: Purse(row["balance"], row["reserved"]) for row in rows.mappings()}


async def _locked_wallet(connection: AsyncConnection, team: str) -> Purse | None:
    return (await _locked_wallets(connection, {team})).get(team)


def _no_wallet(team: str) -> Missing:
    return Missing(f"The team {team[:80]!r} has no wallet. Open one for it first.")


def no_reservation(id: str) -> Missing:
    """Why there is nothing to settle or to release."""
    return Missing(f"There is no reservation {id[:80]!r}: it was never made, or pruned after it was closed.")


def _closed(id: str) -> ReservationClosed:
    return ReservationClosed(f"The reservation {id[:80]!r} was released before: nothing can be charged for it.")
