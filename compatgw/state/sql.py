"""`SqlLedger`: the ledger on SQLite or PostgreSQL, out of one code.

Reads take a connection of their own. Reserving, settling and releasing go through the group
commit of `writer.py`, everything else is a transaction by itself.

What does not live here: statements (`queries.py`, `accounts.py`), connections (`database.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from compatgw.policy import money
from compatgw.state import accounts, queries, turns
from compatgw.state.accounts import Close, Hold
from compatgw.state.base import (
    AuditEntry,
    BadRecord,
    Duplicate,
    LedgerUnavailable,
    Missing,
    Reservation,
    Spend,
    StateError,
    Wallet,
)
from compatgw.state.checking import checked, name, plain, whole
from compatgw.state.database import Database, place_of
from compatgw.state.loops import PerLoop
from compatgw.state.schema import audit as audit_table
from compatgw.state.schema import wallets
from compatgw.state.writer import Job, Writer

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from compatgw.state.base import (
        Account,
        Budget,
        Change,
        Entry,
        EntryKind,
        Grouping,
        Identity,
        Listed,
        Page,
        Prompt,
        Stored,
        Turn,
        UsageRow,
        UsageTotal,
    )

Result = TypeVar("Result")

_log = logging.getLogger("compatgw")
_BACKLOG = 20_000
_CHANGES_KEPT = 86_400.0


class SqlLedger:
    """A `Ledger` in a database.

    Args:
        url: `sqlite:///file.db` or `postgresql://user:password@host/name`.
        clock: Seconds since 1970. Processes of one database should agree to within `dead_after`.
        ids: Makes a new word at each call.
        upgrade: Bring an older schema up to date when opening. Default: for SQLite.
        busy: Seconds to wait for a lock or a connection.
        patience: Seconds for which reserving, settling and releasing are tried while the database is away.
        dead_after: Seconds without a `sweep` after which a process counts as dead.

    Raises:
        LedgerUnavailable: The URL is none.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        ids: Callable[[], str] = lambda: secrets.token_hex(12),
        upgrade: bool | None = None,
        busy: float = 5.0,
        patience: float = 5.0,
        dead_after: float = 60.0,
    ) -> None:
        self._place = place_of(url)
        # As times are kept, so that what is returned is what is read again.
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._ids = ids
        self._upgrade = self._place.sqlite if upgrade is None else upgrade
        self._busy = busy
        self._patience = patience
        self._dead_after = dead_after
        self.owner, self._process = ids(), os.getpid()
        self._sessions: PerLoop[_Session] = PerLoop(lambda: _Session(Database(self._place, busy), patience))
        self._early: deque[UsageRow] = deque(maxlen=_BACKLOG)
        # What this process holds: a server that crashes may forget what it was told last, and the call goes on.
        self._held: dict[str, Reservation] = {}

    async def open(self) -> None:
        """Connects and checks the schema; see `Ledger`."""
        await self._session()

    async def aclose(self) -> None:
        """Writes what waits and closes the running loop's connections; see `Ledger`."""
        session = self._sessions.here()
        if self._early and (session is None or not session.ready):
            try:
                await self._session()
            except StateError as error:
                # Closing goes on; a ledger that is opened once more still has them.
                _log.error("The ledger was closed with %d usage rows not written. %s", len(self._early), error)
        await self._sessions.aclose()

    async def _session(self) -> _Session:
        session = self._sessions.here() or await self._sessions.get()
        if not session.ready:
            await session.make_ready(self._begin)
            while self._early:
                session.writer.later(self._early.popleft())
        return session

    async def _begin(self, database: Database) -> None:
        if self._process != os.getpid():
            # A server that forks has made one ledger for many processes; each of them lives and dies for itself.
            self.owner, self._process = self._ids(), os.getpid()
        await database.prepare(upgrade=self._upgrade)
        async with database.write(durable=False) as connection:
            await accounts.beat(connection, self.owner, self._clock())

    # --- records ---

    async def add(self, record: Stored, audit: AuditEntry | None = None) -> Stored:
        """Stores a new record; see `Ledger`."""
        now = self._clock()
        stored = checked(replace(record, version=1, created=record.created or now))
        await self._write(lambda connection: queries.add(connection, stored, now), audit)
        return stored

    async def find(self, kind: type[Stored], id: str) -> Stored | None:
        """The record of that id; see `Ledger`."""
        if not _possible(id):
            return None
        return await self._read(lambda connection: queries.find(connection, kind, id))

    async def change(self, record: Stored, audit: AuditEntry | None = None) -> Stored:
        """Replaces a record of the same version; see `Ledger`."""
        sound = checked(record)
        return await self._write(lambda connection: queries.change(connection, sound, self._clock()), audit)

    async def remove(self, kind: type[Stored], id: str, audit: AuditEntry | None = None) -> bool:
        """Deletes a plan, sealed key or prompt; see `Ledger`."""
        if kind not in queries.REMOVABLE:
            raise BadRecord(f"A {kind.__name__} has a history and is not deleted. Switch it off or revoke it.")
        if not _possible(id):
            return False
        return await self._write(lambda connection: queries.remove(connection, kind, id, self._clock()), audit)

    async def page(
        self,
        kind: type[Listed],
        *,
        where: Mapping[str, object] | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Listed]:
        """Some records, the newest first; see `Ledger`."""
        wanted = _filters(where)
        return await self._read(lambda connection: queries.page(connection, kind, wanted, cursor, limit))

    async def identity(self, key: str) -> Identity | None:
        """A key and what belongs to it; see `Ledger`."""
        if not _possible(key):
            return None
        return await self._read(lambda connection: queries.identity(connection, key))

    async def account(self, team: str) -> Account | None:
        """A team and what belongs to it; see `Ledger`."""
        if not _possible(team):
            return None
        return await self._read(lambda connection: queries.account(connection, team))

    async def prompt(self, name: str, number: int | None = None, label: str = "production") -> Prompt | None:
        """A prompt by number or label; see `Ledger`."""
        if not _possible(name):
            return None
        return await self._read(lambda connection: queries.prompt(connection, name, number, label))

    async def changes(self, cursor: int | None) -> tuple[int, tuple[Change, ...]]:
        """What changed after `cursor`; see `Ledger`."""
        return await self._read(lambda connection: queries.changes_after(connection, cursor, self._clock()))

    # --- money ---

    async def open_wallet(self, team: str, currency: str, audit: AuditEntry | None = None) -> Wallet:
        """An empty wallet; see `Ledger`."""
        now, nothing = self._clock(), Decimal(0)
        wallet = checked(Wallet(team=team, currency=currency, balance=nothing, reserved=nothing, created=now))

        async def run(connection: AsyncConnection) -> Wallet:
            try:
                await connection.execute(insert(wallets), asdict(wallet))
            except IntegrityError as error:
                if queries.lacks_parent(error):
                    raise Missing(f"There is no team {team[:80]!r}. Add it first.") from None
                raise Duplicate(f"The team {team[:80]!r} has a wallet already.") from None
            # Who has remembered the team's keys learns that its calls are paid now.
            await queries.note(connection, "Team", wallet.team, now)
            return wallet

        return await self._write(run, audit)

    async def wallet(self, team: str) -> Wallet | None:
        """The team's wallet; see `Ledger`."""
        if not _possible(team):
            return None
        return await self._read(lambda connection: accounts.wallet_of(connection, team))

    async def topup(
        self,
        team: str,
        amount: Decimal,
        *,
        idempotency: str | None = None,
        kind: EntryKind = "topup",
        by: str = "",
        note: str = "",
        audit: AuditEntry | None = None,
    ) -> Entry:
        """Adds to a wallet; see `Ledger`."""
        exact = money.amount(amount)
        if kind == "charge" or exact == 0 or (kind == "topup" and exact < 0):
            raise BadRecord(f"amount: a {kind} of {money.text(exact)} is none. Give a positive amount.")
        name(team, "team")
        if idempotency is not None:
            name(idempotency, "Idempotency-Key")
        if by:
            name(by, "by")
        now, id = self._clock(), self._ids()

        async def run(connection: AsyncConnection) -> Entry:
            entry, new = await accounts.put(
                connection,
                id,
                team,
                exact,
                kind,
                now,
                idempotency=idempotency,
                by=by,
                note=note[:1000].replace("\0", ""),
            )
            if new and audit is not None:
                await connection.execute(insert(audit_table), asdict(checked(audit)))
            return entry

        return await self._write(run, None)

    async def reserve(
        self, id: str, team: str, amount: Decimal, *, ttl: float, wallet: bool = True, budget: Budget | None = None
    ) -> Reservation:
        """Holds money for a call; see `Ledger`."""
        now = self._clock()
        wanted = checked(
            Reservation(
                id=id,
                team=team,
                amount=money.amount(amount),
                wallet=wallet,
                owner=self.owner,
                state="open",
                created=now,
                expires=now + ttl,
                budget_key=budget.key if budget is not None else None,
                budget_label=budget.label if budget is not None else None,
            )
        )
        if wanted.amount < 0:
            raise BadRecord(f"amount: {money.text(wanted.amount)} cannot be reserved.")
        if budget is not None:
            budget = replace(budget, limit=money.amount(budget.limit, "Budget.limit"))
        session = await self._session()
        undo = Close(id, None, now)
        held: Reservation = await session.writer.do(Job(Hold(wanted, budget), durable=False, undo=undo))
        if held.state == "open":
            self._held[id] = held
        return held

    async def settle(
        self, id: str, actual: Decimal, usage: UsageRow | None = None, *, keep: bool = True
    ) -> Reservation:
        """Charges a call, once and durably; see `Ledger`."""
        exact = money.amount(actual)
        if exact < 0:
            raise BadRecord(f"amount: {money.text(exact)} cannot be charged. Give money back by a correction.")
        if not _possible(id):
            raise accounts.no_reservation(id)
        session = await self._session()
        close = Close(id, exact, self._clock(), usage, held=self._held.pop(id, None))
        job = Job(close, durable=True, kept=keep)
        settled: Reservation = await session.writer.do(job)
        return settled

    async def release(self, id: str) -> Reservation:
        """Gives all of it back; see `Ledger`."""
        if not _possible(id):
            raise accounts.no_reservation(id)
        session = await self._session()
        # On the disk, too: a living process's reservation that came back by a crash would wait for its end.
        job = Job(Close(id, None, self._clock(), held=self._held.pop(id, None)), durable=True, kept=True)
        released: Reservation = await session.writer.do(job)
        return released

    async def sweep(self) -> int:
        """Gives back what dead processes held; see `Ledger`."""
        now = self._clock()
        self._held = {id: held for id, held in self._held.items() if held.expires > now}

        async def run(connection: AsyncConnection) -> int:
            await accounts.beat(connection, self.owner, now)
            await queries.forget_changes(connection, now - _CHANGES_KEPT)
            return await accounts.sweep(connection, now, now - self._dead_after)

        return await self._write(run, None)

    async def spend(self, key: str, label: str) -> Spend:
        """What a key has spent in a period; see `Ledger`."""
        if not _possible(key) or not _possible(label):
            return Spend(key=key, label=label, spent=Decimal(0), reserved=Decimal(0))
        return await self._read(lambda connection: accounts.spend_of(connection, key, label))

    # --- usage ---

    def record(self, usage: UsageRow) -> bool:
        """Takes a row to be written soon; see `Ledger`."""
        session = self._sessions.here()
        if session is not None and session.ready:
            return session.writer.later(usage)
        if len(self._early) == _BACKLOG:
            return False
        self._early.append(usage)
        return True

    async def usage(
        self,
        group: Sequence[Grouping],
        *,
        since: float,
        until: float,
        where: Mapping[str, object] | None = None,
        percentiles: bool = False,
    ) -> tuple[UsageTotal, ...]:
        """Sums over calls; see `Ledger`."""
        wanted = {**_filters(where), "since": since, "until": until}
        return await self._read(lambda connection: queries.totals(connection, group, wanted, percentiles=percentiles))

    async def prune(self, kind: type[object], before: float, limit: int = 1000) -> int:
        """Deletes some of the oldest rows; see `Ledger`."""
        return await self._write(lambda connection: queries.prune(connection, kind, before, limit), None)

    # --- kept responses ---

    async def keep_turn(self, turn: Turn, *, after: str | None = None) -> None:
        """Stores a turn of a conversation; see `Ledger`."""
        sound = whole(replace(turn, created=turn.created or self._clock()))
        await self._write(lambda connection: turns.add(connection, sound, after), None, durable=False)

    async def end_turn(self, turn: Turn) -> bool:
        """Puts what was worked on in its place; see `Ledger`."""
        sound = whole(turn)
        return await self._write(lambda connection: turns.end(connection, sound), None, durable=False)

    async def attend_turn(self, id: str, owner: str, until: float) -> bool:
        """Says that a turn is worked on; see `Ledger`."""
        if not _askable(id, owner):
            return False
        return await self._write(lambda connection: turns.attend(connection, id, owner, until), None, durable=False)

    async def turn(self, id: str, owner: str) -> Turn | None:
        """A turn by itself; see `Ledger`."""
        if not _askable(id, owner):
            return None
        return await self._read(lambda connection: turns.find(connection, id, owner, self._clock()))

    async def conversation(self, id: str, owner: str) -> tuple[Turn, ...]:
        """A turn and all that came before it; see `Ledger`."""
        if not _askable(id, owner):
            return ()
        return await self._read(lambda connection: turns.conversation(connection, id, owner, self._clock()))

    async def forget_turn(self, id: str, owner: str) -> bool:
        """Deletes a turn; see `Ledger`."""
        if not _askable(id, owner):
            return False
        return await self._write(lambda connection: turns.forget(connection, id, owner), None)

    # --- transactions ---

    async def _write(
        self,
        run: Callable[[AsyncConnection], Awaitable[Result]],
        audit: AuditEntry | None,
        *,
        durable: bool = True,
    ) -> Result:
        session = await self._session()
        noted = checked(audit) if audit is not None else None
        async with session.database.write(durable=durable) as connection:
            result = await run(connection)
            if noted is not None:
                await connection.execute(insert(audit_table), asdict(noted))
        return result

    async def _read(self, run: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        session = await self._session()
        try:
            async with session.database.read() as connection:
                return await run(connection)
        except LedgerUnavailable:
            # A server that came back has closed what the pool still held: the next connection is new.
            async with session.database.read() as connection:
                return await run(connection)


class _Session:
    """What a ledger has in one loop."""

    def __init__(self, database: Database, patience: float) -> None:
        self.database = database
        self.writer = Writer(
            lambda durable: database.write(durable=durable), accounts.move, patience=patience, backlog=_BACKLOG
        )
        self.ready = False
        self._opening = asyncio.Lock()

    async def make_ready(self, begin: Callable[[Database], Awaitable[None]]) -> None:
        async with self._opening:
            if not self.ready:
                await begin(self.database)
                self.ready = True

    async def aclose(self) -> None:
        if self.ready:
            await self.writer.aclose()
        await self.database.aclose()


def _possible(id: str) -> bool:
    """False for what no record can be called, which one need not look for."""
    try:
        name(id, "id")
    except BadRecord:
        return False
    return True


def _askable(id: str, owner: str) -> bool:
    """False for what no turn can be called, nor its owner."""
    return _possible(id) and plain(owner)


def _filters(where: Mapping[str, object] | None) -> Mapping[str, object]:
    for field, value in (where or {}).items():
        if isinstance(value, str) and value:
            name(value, field)
    return where or {}
