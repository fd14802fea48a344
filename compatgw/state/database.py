"""A database in one event loop: SQLite's connections or PostgreSQL's pool, and its errors in our words.

SQLite has one writer at a time whatever one does; so all writes of a process take turns here
instead of finding the file locked, and `BEGIN IMMEDIATE` takes the lock before anything is read.

What does not live here: statements.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, exc, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from compatgw.state import migrations
from compatgw.state.base import LedgerUnavailable, SchemaMismatch
from compatgw.state.schema import HEAD

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
_READERS = 4
_POOL = 8
# Classes of PostgreSQL's error codes that say nothing about the statement: connection, rolled back for
# another's sake, out of resources, operator's intervention, system.
_PASSING = frozenset({"08", "40", "53", "57", "58"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is.

    Attributes:
        url: As SQLAlchemy takes it.
        shown: For messages: without a password.
        sqlite: True for a file.
    """

    url: URL
    shown: str
    sqlite: bool


def place_of(url: str) -> Place:
    """What `url` names: `sqlite:///file.db` or `postgresql://user:password@host/name`.

    Raises:
        LedgerUnavailable: Neither of them.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise LedgerUnavailable(f"{url.partition(':')[0][:20]!r} begins no database URL. {_FORMS}") from None
    # Some give the password among the options.
    shown = parsed.set(query={}).render_as_string(hide_password=True)
    if parsed.drivername in _SQLITE:
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise LedgerUnavailable(f"A ledger is a file, in memory it would be lost with its connection. {_FORMS}")
        return Place(parsed.set(drivername="sqlite+aiosqlite"), shown, sqlite=True)
    if parsed.drivername in _POSTGRES:
        return Place(parsed.set(drivername="postgresql+asyncpg"), shown, sqlite=False)
    raise LedgerUnavailable(f"{parsed.drivername!r} is no kind of database that a ledger can be in. {_FORMS}")


_FORMS = "Give 'sqlite:///compatgw.db' or 'postgresql://user:password@host/name'."


class Database:
    """The connections of one loop.

    Args:
        place: Where it is.
        busy: Seconds to wait for another process's lock, or for a connection.
    """

    def __init__(self, place: Place, busy: float) -> None:
        self.place = place
        self._busy = busy
        self._turn: asyncio.Lock | None = None
        if place.sqlite:
            self._turn = asyncio.Lock()
            self._durable = _sqlite(place, busy, "FULL")
            self._light = _sqlite(place, busy, "NORMAL")
            self._readers = _sqlite(place, busy, None)
        else:
            self._durable = self._light = _postgres(place, busy)
            # One moment for all statements of a transaction, as SQLite has it by itself; the same pool.
            self._readers = self._durable.execution_options(isolation_level="REPEATABLE READ")

    def write(self, *, durable: bool = True) -> Transaction:
        """One transaction, committed at the end.

        Args:
            durable: False returns before the machine's disk has it: it outlives this process, not a power cut.
        """
        begin = () if durable or self.place.sqlite else ("SET LOCAL synchronous_commit TO off",)
        return Transaction(self, self._durable if durable else self._light, self._turn, begin, commit=True)

    def read(self) -> Transaction:
        """One transaction that sees one moment and writes nothing."""
        return Transaction(self, self._readers, None, (), commit=False)

    async def prepare(self, *, upgrade: bool) -> str:
        """Checks the schema, and with `upgrade` brings it up to date; gives the revision that it was at.

        Raises:
            SchemaMismatch: It cannot be used.
        """
        if self.place.sqlite:
            folder = Path(self.place.url.database or "").parent
            if not folder.is_dir():
                raise LedgerUnavailable(f"The folder of {self.place.shown} does not exist. Make it, or name another.")
            await asyncio.to_thread(_into_wal, Path(self.place.url.database or ""), self._busy)
        async with self.write() as connection:
            if upgrade:
                return await connection.run_sync(migrations.upgrade)
            await connection.run_sync(migrations.check)
            return HEAD

    def unavailable(self, error: BaseException) -> LedgerUnavailable | None:
        """What an error of the moment is called here; None for one that a statement has earned."""
        if isinstance(error, exc.DBAPIError):
            if isinstance(error, exc.IntegrityError) or not _passes(error):
                return None
            why = _first_line(error.orig)
        elif isinstance(error, (exc.TimeoutError, OSError)):
            why = _first_line(error)
        else:
            return None
        return LedgerUnavailable(
            f"The ledger at {self.place.shown} cannot be used now: {why}. Try again; nothing was lost."
        )

    async def aclose(self) -> None:
        """Closes all connections."""
        for engine in {id(engine): engine for engine in (self._durable, self._light, self._readers)}.values():
            await engine.dispose()


class Transaction:
    """A connection for the time of one transaction.

    Raises:
        LedgerUnavailable: Locked, full, gone; nothing was written, or it is not known.
    """

    # No generator with `asynccontextmanager`: one that begins while its loop is being closed, when the
    # last rows are written, is warned of.
    __slots__ = ("_begin", "_commit", "_connection", "_database", "_engine", "_turn")

    def __init__(
        self,
        database: Database,
        engine: AsyncEngine,
        turn: asyncio.Lock | None,
        begin: tuple[str, ...],
        *,
        commit: bool,
    ) -> None:
        self._database = database
        self._engine = engine
        self._turn = turn
        self._begin = begin
        self._commit = commit

    async def __aenter__(self) -> AsyncConnection:
        if self._turn is not None:
            await self._turn.acquire()
        try:
            self._connection = await self._engine.connect()
            try:
                await self._connection.begin()
                for statement in self._begin:
                    await self._connection.exec_driver_sql(statement)
            except BaseException:
                await self._connection.close()
                raise
        except BaseException as error:
            if self._turn is not None:
                self._turn.release()
            if (gone := self._database.unavailable(error)) is not None:
                raise gone from None
            raise
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        error = value
        try:
            try:
                if value is None and self._commit:
                    await self._connection.commit()
            except BaseException:
                # A connection whose commit failed may stay in its transaction: it is not used again.
                await self._connection.invalidate()
                raise
            finally:
                # What was not committed is rolled back with it.
                await self._connection.close()
        except (exc.DBAPIError, exc.TimeoutError, OSError) as trouble:
            error = value or trouble
        finally:
            if self._turn is not None:
                self._turn.release()
        if error is not None:
            if (gone := self._database.unavailable(error)) is not None:
                raise gone from None
            if error is not value:
                raise error


def _sqlite(place: Place, busy: float, synchronous: str | None) -> AsyncEngine:
    """An engine of connections that write with `synchronous`, or of some that only read."""
    engine = create_async_engine(
        place.url,
        pool_size=1 if synchronous else _READERS,
        max_overflow=0,
        pool_timeout=busy,
        hide_parameters=True,
    )

    def connected(connection: Any, record: object) -> None:
        # SQLAlchemy's own begin would come too late, with the first write.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(busy * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA synchronous = {synchronous}" if synchronous else "PRAGMA query_only = ON")
        cursor.close()

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if synchronous else "BEGIN")

    event.listen(engine.sync_engine, "connect", connected)
    event.listen(engine.sync_engine, "begin", begun)
    return engine


def _into_wal(path: Path, busy: float) -> None:
    """Switches a file to a write-ahead log. SQLite lets nobody wait for that, so this does."""
    until = time.monotonic() + max(busy, 0.1)
    while True:
        try:
            connection = sqlite3.connect(path, timeout=busy)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise LedgerUnavailable(f"The ledger at {path} cannot be opened: {error}.") from None
            time.sleep(0.02)
        except sqlite3.DatabaseError as error:
            raise SchemaMismatch(f"The file {path} is no database: {error}. Name another file.") from None
        else:
            return


def _postgres(place: Place, busy: float) -> AsyncEngine:
    return create_async_engine(
        place.url,
        pool_size=_POOL,
        max_overflow=0,
        pool_timeout=busy,
        hide_parameters=True,
        connect_args={"timeout": busy, "command_timeout": max(busy, 1.0) * 4},
    )


def _passes(error: exc.DBAPIError) -> bool:
    """True for errors of the moment: the same statement may go through later."""
    if isinstance(error, exc.OperationalError) or error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in _PASSING
    return isinstance(error, exc.InterfaceError)


def _first_line(error: BaseException | None) -> str:
    # Of a driver's words only the first line, without the name of its class that SQLAlchemy puts before it.
    lines = str(error).splitlines()
    text = lines[0] if lines else type(error).__name__
    return text.rpartition(">: ")[2][:200].rstrip(".") or type(error).__name__
