"""The ledger as it is on the disk, read by statements of our own: the judge shares nothing with what it judges.

Amounts are billionths, as they are kept.

What does not live here: what must be in it (`audit.py`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]

_MOMENT = """
SELECT w.team AS team, w.balance AS balance, w.reserved AS reserved,
  (SELECT COALESCE(SUM(e.amount), 0) FROM compatgw_entries e WHERE e.team = w.team) AS entries,
  (SELECT COALESCE(SUM(r.amount), 0) FROM compatgw_reservations r
    WHERE r.team = w.team AND r.state = 'open' AND r.wallet) AS held
FROM compatgw_wallets w
"""
_ENTRIES = "SELECT team, kind, amount, balance, reservation FROM compatgw_entries ORDER BY seq"
_RESERVATIONS = "SELECT id, team, amount, owner, state, charged, shortfall, closed FROM compatgw_reservations"
_USAGE = "SELECT id, request, team, cost, charge, status, code, estimated FROM compatgw_usage"

Row = Mapping[str, Any]


@dataclass(slots=True)
class Books:
    """Everything that has to do with money, at one moment.

    Attributes:
        wallets: By team. entries: In the order in which they were made. reservations: By id. usage: Of calls.
    """

    wallets: dict[str, Row] = field(default_factory=dict)
    entries: Sequence[Row] = ()
    reservations: dict[str, Row] = field(default_factory=dict)
    usage: Sequence[Row] = ()

    @property
    def reserved(self) -> int:
        """What all wallets hold back."""
        return sum(int(wallet["reserved"]) for wallet in self.wallets.values())

    def charges(self) -> list[Row]:
        """The entries that took money for calls."""
        return [entry for entry in self.entries if entry["kind"] == "charge"]


class Reader(Protocol):
    """Reads a ledger's tables; each of its methods sees one moment."""

    async def moment(self) -> Sequence[Row]:
        """The wallets, each with the sum of its entries and of its open reservations."""
        ...

    async def books(self) -> Books:
        """All of it."""
        ...

    async def aclose(self) -> None:
        """Closes its connection."""
        ...


class PostgresReader:
    """Reads a PostgreSQL.

    Args:
        url: As gateways get it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url)
        return self._connection

    async def moment(self) -> Sequence[Row]:
        """See `Reader`."""
        rows: Sequence[Row] = await (await self._connected()).fetch(_MOMENT)
        return rows

    async def books(self) -> Books:
        """See `Reader`."""
        connection = await self._connected()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            found = [await connection.fetch(text) for text in (_MOMENT, _ENTRIES, _RESERVATIONS, _USAGE)]
        return _books(*found)

    async def aclose(self) -> None:
        """See `Reader`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class SqliteReader:
    """Reads a file of SQLite.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def moment(self) -> Sequence[Row]:
        """See `Reader`."""
        return (await asyncio.to_thread(self._read, _MOMENT))[0]

    async def books(self) -> Books:
        """See `Reader`."""
        return _books(*await asyncio.to_thread(self._read, _MOMENT, _ENTRIES, _RESERVATIONS, _USAGE))

    async def aclose(self) -> None:
        """See `Reader`."""

    def _read(self, *texts: str) -> list[list[Row]]:
        connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=10, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("BEGIN")
            return [[dict(row) for row in connection.execute(text)] for text in texts]
        finally:
            connection.close()


def _books(wallets: Sequence[Row], entries: Sequence[Row], reservations: Sequence[Row], usage: Sequence[Row]) -> Books:
    return Books({row["team"]: row for row in wallets}, entries, {row["id"]: row for row in reservations}, usage)


@dataclass(slots=True)
class Watcher:
    """Looks at the wallets again and again.

    Attributes:
        looks: How often it looked. wrong: What it saw that must not be.
        lowest: The smallest balance that it saw, by team. away: Looks that the database did not answer.
    """

    reader: Reader
    pause: float = 0.05
    looks: int = 0
    away: int = 0
    wrong: list[str] = field(default_factory=list)
    lowest: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Looks while the `async with` block runs, and fails with it when looking itself does."""
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            if not task.cancel():
                task.result()
            await asyncio.wait([task])

    async def _look(self) -> None:
        while True:
            try:
                rows = await self.reader.moment()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, sqlite3.OperationalError):
                self.away += 1
            except asyncpg.InternalClientError:
                # What the driver says of a connection that broke while it prepared a statement.
                self.away += 1
                await self.reader.aclose()
            else:
                self.looks += 1
                for row in rows:
                    self._check(row)
            await asyncio.sleep(self.pause)

    def _check(self, row: Row) -> None:
        team, balance, reserved = row["team"], int(row["balance"]), int(row["reserved"])
        self.lowest[team] = min(balance, self.lowest.get(team, balance))
        if not 0 <= reserved <= balance:
            self.wrong.append(f"{team} has {balance} and holds {reserved}")
        if balance != int(row["entries"]):
            self.wrong.append(f"{team} has {balance}, its entries add up to {row['entries']}")
        if reserved != int(row["held"]):
            self.wrong.append(f"{team} holds {reserved}, its open reservations add up to {row['held']}")
