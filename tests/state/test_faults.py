"""The ledger while its database is locked, full, gone, or shared with processes that die."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, exc, text

from compatgw.state import accounts
from compatgw.state.base import Budget, Entry, InsufficientFunds, LedgerUnavailable, Team, UsageRow
from compatgw.state.loops import PerLoop
from compatgw.state.sql import SqlLedger
from compatgw.state.writer import Job, Writer
from tests.state.making import Clock, NewLedger, key, paid, team, used, wallet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

D = Decimal


@pytest.fixture
def file(empty_ledger: Callable[[str], str]) -> Path:
    """A ledger's file."""
    return Path(empty_ledger("sqlite").removeprefix("sqlite:///"))


async def test_a_locked_database_is_said_and_nothing_is_written(file: Path) -> None:
    """After the wait that was configured; when the lock is gone all works again."""
    ledger = SqlLedger(f"sqlite:///{file}", busy=0.05, patience=0.1)
    await paid(ledger)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerUnavailable, match="locked") as caught:
        await ledger.add(team("t2"))
    with pytest.raises(LedgerUnavailable, match="locked"):
        await ledger.reserve("r1", "t1", D(1), ttl=60)
    assert await ledger.find(Team, "t2") is None
    other.execute("ROLLBACK")
    other.close()

    await ledger.add(team("t2"))
    assert (await wallet(ledger)).reserved == 0
    assert "nothing was lost" in str(caught.value)
    await ledger.aclose()


async def test_a_charge_waits_for_the_lock_and_is_made_once(file: Path) -> None:
    """Whoever waits is told after its patience; the charge is made all the same."""
    ledger = SqlLedger(f"sqlite:///{file}", busy=0.02, patience=0.05)
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerUnavailable):
        await ledger.settle("r1", D(1), used())
    other.execute("ROLLBACK")
    other.close()
    await ledger.aclose()

    assert (await wallet(ledger)).balance == 9
    assert len((await ledger.page(UsageRow)).items) == 1
    await ledger.aclose()


async def test_usage_waits_while_the_database_is_locked(file: Path) -> None:
    """It is written when the lock is gone."""
    ledger = SqlLedger(f"sqlite:///{file}", busy=0.02, patience=5)
    await ledger.open()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for n in range(3):
        assert ledger.record(used(f"u{n}"))
    closing = asyncio.create_task(ledger.aclose())
    done, _ = await asyncio.wait([closing], timeout=0.1)
    other.execute("ROLLBACK")
    other.close()
    await closing

    assert done == set()
    assert len((await ledger.page(UsageRow)).items) == 3
    await ledger.aclose()


async def test_what_cannot_be_written_at_the_end_is_named_in_the_log(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Closing is bounded."""
    ledger = SqlLedger(f"sqlite:///{file}", busy=0.01, patience=0.05)
    await ledger.open()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger.record(used())
    await ledger.aclose()
    other.execute("ROLLBACK")
    other.close()

    assert "closed with 0 writes and 1 usage rows lost" in caplog.text


async def test_a_full_disk_is_said_and_nothing_is_half_written(file: Path) -> None:
    """Neither the wallet moves nor does an entry appear; with room again all works."""
    ledger = SqlLedger(f"sqlite:///{file}", patience=0.05)
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    session = await ledger._session()
    async with session.database.write() as connection:
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar()
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    with pytest.raises(LedgerUnavailable, match="full"):
        await ledger.add(team("t2", metadata={"x": "y" * 60_000}))
    assert await ledger.find(Team, "t2") is None
    async with session.database.write() as connection:
        await connection.execute(text("PRAGMA max_page_count = 1000000"))
    await ledger.add(team("t2"))
    assert (await wallet(ledger)).balance == 10
    await ledger.aclose()


async def test_a_file_that_cannot_be_written_is_said(file: Path) -> None:
    """A folder in place of the log: as root no permission stops anybody."""
    ledger = SqlLedger(f"sqlite:///{file}", busy=0.05)
    await asyncio.to_thread(Path(f"{file}-wal").mkdir)

    with pytest.raises(LedgerUnavailable, match="unable to open"):
        await ledger.open()
    await ledger.aclose()


async def test_connections_that_a_server_has_closed_are_made_anew(
    empty_ledger: Callable[[str], str], clock: Clock
) -> None:
    """PostgreSQL gone and back: reads go on, charges are made once, nobody is told."""
    ledger = SqlLedger(empty_ledger("postgres"), clock=clock)
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    await cut(ledger)
    found = await ledger.find(Team, "t1")
    await cut(ledger)
    settled = await ledger.settle("r1", D(1))
    await cut(ledger)
    await ledger.reserve("r2", "t1", D(1), ttl=60)

    assert found is not None
    assert settled.charged == 1
    assert ((await wallet(ledger)).balance, (await wallet(ledger)).reserved) == (D(9), D(1))
    await ledger.aclose()


async def cut(ledger: SqlLedger) -> None:
    """Ends all connections of `ledger` at the server."""
    other = SqlLedger(ledger._place.url.render_as_string(hide_password=False))
    session = await other._session()
    async with session.database.read() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
    await other.aclose()


async def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    """Whoever reads the log learns where, not how to get in."""
    ledger = SqlLedger("postgresql://ann:sesame@127.0.0.1:1/x", busy=0.5)

    with pytest.raises(LedgerUnavailable) as caught:
        await ledger.open()
    await ledger.aclose()
    assert "127.0.0.1" in str(caught.value)
    assert "sesame" not in str(caught.value)


DIE = """
import asyncio, os, sys
from decimal import Decimal
from compatgw.state.sql import SqlLedger

async def main():
    ledger = SqlLedger(sys.argv[1], dead_after=1)
    number = 0
    async def call(n):
        await ledger.reserve(f"{sys.argv[2]}-{n}", "t1", Decimal("0.01"), ttl=600)
        await ledger.settle(f"{sys.argv[2]}-{n}", Decimal("0.004"))
        os.write(1, f"{sys.argv[2]}-{n}\\n".encode())
    await ledger.open()
    while True:
        await asyncio.gather(*[call(number + n) for n in range(8)])
        number += 8

asyncio.run(main())
"""


async def test_what_a_killed_process_had_charged_is_there_once_and_what_it_held_comes_back(
    ledger_url: str, new_ledger: NewLedger, clock: Clock
) -> None:
    """Killed in full run, three times: every call that was told is in the ledger once, the rest is free again."""
    ledger = new_ledger(dead_after=60)
    await paid(ledger, "1000")
    told: set[str] = set()
    for name in ("a", "b", "c"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DIE, ledger_url, name, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(25)]
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
        told |= {line.decode().strip() for line in [*lines, *rest.splitlines(keepends=True)] if line.endswith(b"\n")}
    # The dead beat by the real clock.
    clock.now = 4e9
    swept = await ledger.sweep()
    entries, cursor = [], None
    while True:
        page = await ledger.page(Entry, where={"kind": "charge"}, limit=1000, cursor=cursor)
        entries += [entry.reservation for entry in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    end = await wallet(ledger)

    assert len(told) >= 75
    assert told <= set(entries)
    assert len(entries) == len(set(entries))
    assert end.balance == 1000 - D("0.004") * len(entries)
    assert (end.reserved, swept <= 24) == (D(0), True)


# --- the writer alone: transactions that fail in ways that no server can be made to ---


class Failing:
    """Transactions that fail as told: `gone` before anything, `unknown` after the commit."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger
        self.next: list[str] = []

    @asynccontextmanager
    async def __call__(self, durable: bool) -> AsyncIterator[Any]:
        how = self.next.pop(0) if self.next else "well"
        if how == "gone":
            raise LedgerUnavailable("gone")
        async with (await self.ledger._session()).database.write() as connection:
            yield connection
        if how == "unknown":
            raise LedgerUnavailable("the connection broke while it was committed")


async def no_pause(seconds: float) -> None:
    """Lets others run."""
    await asyncio.sleep(0)


async def test_a_transaction_whose_end_is_not_known_is_repeated_and_done_once(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reserving, settling with usage, releasing: each may have been done when it is tried again."""
    await paid(ledger)
    failing = Failing(ledger)
    session = await ledger._session()
    session.writer = Writer(failing, accounts.move, pause=no_pause)

    failing.next = ["unknown", "gone", "unknown"]
    first = await ledger.reserve("r1", "t1", D(3), ttl=60)
    failing.next = ["gone", "unknown", "unknown"]
    settled = await ledger.settle("r1", D(2), used())
    failing.next = ["unknown"]
    await ledger.reserve("r2", "t1", D(3), ttl=60)
    failing.next = ["unknown", "gone"]
    released = await ledger.release("r2")

    assert (first.state, settled.state, released.state) == ("open", "settled", "released")
    assert ((await wallet(ledger)).balance, (await wallet(ledger)).reserved) == (D(8), D(0))
    assert len((await ledger.page(UsageRow)).items) == 1


async def test_a_refusal_that_is_repeated_stays_a_refusal(ledger: SqlLedger) -> None:
    """Nothing was held the first time, nothing is the second."""
    await paid(ledger)
    failing = Failing(ledger)
    session = await ledger._session()
    session.writer = Writer(failing, accounts.move, pause=no_pause)
    failing.next = ["unknown", "unknown"]

    with pytest.raises(InsufficientFunds):
        await ledger.reserve("r1", "t1", D(30), ttl=60)
    assert (await wallet(ledger)).reserved == 0


async def test_more_usage_than_may_wait_is_counted_and_said_once(
    ledger: SqlLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """Memory is bounded while the database is away."""
    failing = Failing(ledger)
    writer = Writer(failing, accounts.move, backlog=3, pause=no_pause)

    assert [writer.later(used(f"u{n}")) for n in range(5)] == [True, True, True, False, False]
    await writer.aclose()
    assert writer.dropped == 2
    assert caplog.text.count("not keeping up") == 1
    assert len((await ledger.page(UsageRow)).items) == 3


async def test_a_cancelled_loop_loses_nothing_that_was_taken(ledger: SqlLedger) -> None:
    """A loop that ends cancels all tasks first, the writer's in mid-transaction; closing does the rest."""
    await paid(ledger)
    await ledger.reserve("r1", "t1", D(1), ttl=60)
    began, go = asyncio.Event(), asyncio.Event()

    async def slowly(connection: Any, moves: Any, rows: Any) -> list[Any]:
        began.set()
        await go.wait()
        return await accounts.move(connection, moves, rows)

    writer = Writer(Failing(ledger), slowly)
    settling = asyncio.create_task(writer.do(Job(accounts.Close("r1", D(1), 0.0, used()), durable=True, kept=True)))
    writer.later(used("u2"))
    await began.wait()
    assert writer._task is not None
    writer._task.cancel()
    await asyncio.wait([writer._task])
    go.set()
    await writer.aclose()

    assert (await settling).charged == 1
    assert (await wallet(ledger)).balance == 9
    assert len((await ledger.page(UsageRow)).items) == 2


def test_a_loop_for_each_call_works_and_leaves_nothing(file: Path) -> None:
    """Hosts without a lifespan, tests: what waits is written when the loop ends."""
    ledger = SqlLedger(f"sqlite:///{file}")
    run: list[Callable[[], Awaitable[Any]]] = [
        lambda: paid(ledger),
        lambda: ledger.add(key()),
        lambda: ledger.reserve("r1", "t1", D(1), ttl=60),
        lambda: ledger.settle("r1", D(1)),
    ]
    for each in run:
        asyncio.run(_awaited(each, ledger))

    async def look() -> tuple[int, Decimal]:
        return len((await ledger.page(UsageRow)).items), (await wallet(ledger)).balance

    assert asyncio.run(look()) == (4, D(9))
    assert list(ledger._sessions) == []


async def _awaited(what: Callable[[], Awaitable[Any]], ledger: SqlLedger) -> None:
    await what()
    ledger.record(used(f"u-{id(what)}"))


async def test_calls_that_begin_and_calls_that_end_do_not_lock_each_other(new_ledger: NewLedger) -> None:
    """Two processes, many teams, in opposite orders: nobody waits for who waits for him."""
    ledgers = [new_ledger(patience=30), new_ledger(patience=30)]
    teams = [f"t{n}" for n in range(8)]
    for each in teams:
        await paid(ledgers[0], "10", each)

    async def calls(ledger: SqlLedger, order: list[str], name: str) -> None:
        async def call(team_id: str, number: int) -> None:
            id = f"{name}-{team_id}-{number}"
            await ledger.reserve(id, team_id, D("0.1"), ttl=60, budget=Budget(key=team_id, label="total", limit=D(9)))
            await ledger.settle(id, D("0.1"))

        for number in range(5):
            await asyncio.gather(*[call(each, number) for each in order])

    sessions = [await each._session() for each in ledgers]
    await asyncio.gather(calls(ledgers[0], teams, "a"), calls(ledgers[1], teams[::-1], "b"))

    assert {(await wallet(ledgers[0], each)).balance for each in teams} == {D(9)}
    assert [session.writer.repeated for session in sessions] == [0, 0]


async def test_a_commit_that_fails_is_said_and_told_from_one_that_was_made(new_ledger: NewLedger) -> None:
    """What fails at the very end has written nothing; one's own errors pass as they are."""
    ledger = new_ledger()
    await ledger.add(team())
    database = (await ledger._session()).database

    def fail(connection: Any) -> None:
        raise exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    event.listen(database._durable.sync_engine, "commit", fail)
    with pytest.raises(LedgerUnavailable, match="disk I/O error"):
        await ledger.add(team("t2"))
    event.remove(database._durable.sync_engine, "commit", fail)

    assert await ledger.find(Team, "t2") is None
    await ledger.add(team("t2"))
    with pytest.raises(exc.ProgrammingError if "postgres" in database.place.shown else LedgerUnavailable):
        async with database.read() as connection:
            await connection.exec_driver_sql("SELECT nonsense FROM nowhere")


async def test_a_beginning_that_fails_leaves_the_turn_to_the_next(new_ledger: NewLedger) -> None:
    """No connection and no lock stay behind."""
    ledger = new_ledger(patience=0)
    await ledger.add(team())
    database = (await ledger._session()).database

    def fail(connection: Any) -> None:
        raise exc.OperationalError("BEGIN", {}, Exception("not now"))

    event.listen(database._durable.sync_engine, "begin", fail)
    for _ in range(20):
        with pytest.raises(LedgerUnavailable, match="not now"):
            await ledger.add(team("t2"))
    event.remove(database._durable.sync_engine, "begin", fail)

    assert (await ledger.add(team("t2"))).id == "t2"


async def test_a_move_that_can_never_be_made_is_told_why_and_holds_up_nobody(ledger: SqlLedger) -> None:
    """A mistake of ours in one move: the others of its transaction are made."""
    await paid(ledger)
    for n in range(3):
        await ledger.reserve(f"r{n}", "t1", D(1), ttl=60)
    writer = (await ledger._session()).writer
    broken: Any = "nonsense"
    results = await asyncio.gather(
        ledger.settle("r0", D(1)),
        writer.do(Job(accounts.Close("r1", broken, 0.0), durable=True)),
        ledger.settle("r2", D(1)),
        return_exceptions=True,
    )

    assert [getattr(result, "state", None) for result in results] == ["settled", None, "settled"]
    assert isinstance(results[1], (TypeError, ValueError, ArithmeticError))
    assert (await wallet(ledger)).balance == 8


async def test_the_database_goes_while_one_is_looked_for_that_cannot_be_written(ledger: SqlLedger) -> None:
    """What was written by then is written once, the rest when it is back."""
    await paid(ledger)
    failing = Failing(ledger)
    (await ledger._session()).writer = Writer(failing, accounts.move, pause=no_pause)
    broken: Any = "nonsense"
    for n in range(3):
        await ledger.reserve(f"r{n}", "t1", D(1), ttl=60)
    failing.next = ["well", "well", "gone"]
    writer = (await ledger._session()).writer
    results = await asyncio.gather(
        ledger.settle("r0", D(1)),
        ledger.settle("r1", D(1)),
        writer.do(Job(accounts.Close("r2", broken, 0.0), durable=True)),
        return_exceptions=True,
    )

    assert [getattr(result, "state", None) for result in results] == ["settled", "settled", None]
    assert (await wallet(ledger)).balance == 8


async def test_closing_does_not_wait_for_ever_for_a_transaction_that_hangs(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off, and tried once more."""
    await ledger.open()
    hang = asyncio.Event()
    tries = 0

    async def slowly(connection: Any, moves: Any, rows: Any) -> list[Any]:
        nonlocal tries
        tries += 1
        if tries == 1:
            await hang.wait()
        return await accounts.move(connection, moves, rows)

    monkeypatch.setattr("compatgw.state.writer._LAST_WAIT", 0.0)
    writer = Writer(Failing(ledger), slowly, patience=0.05, lag=0)
    writer.later(used())
    while not tries:
        await no_pause(0)
    await writer.aclose()

    assert len((await ledger.page(UsageRow)).items) == 1


async def test_a_caller_that_leaves_before_its_turn_has_reserved_nothing(ledger: SqlLedger) -> None:
    """Nor has one whose transaction failed meanwhile."""
    await paid(ledger)
    failing = Failing(ledger)
    writer = Writer(failing, accounts.move, pause=no_pause)
    (await ledger._session()).writer = writer
    gone = asyncio.create_task(ledger.reserve("r0", "t1", D(1), ttl=60))
    failing.next = ["unknown"]
    while not writer.repeated:
        await no_pause(0)
        if failing.next == [] and not gone.done():
            gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await ledger.aclose()

    assert (await wallet(ledger)).reserved == 0


def test_a_loop_that_was_closed_without_a_word_is_forgotten(file: Path) -> None:
    """Whoever stops a loop by force leaves its connections to the collector, and the next loop works."""
    loops: PerLoop[Any] = PerLoop(Silent)
    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(loops.get())
        assert loop.run_until_complete(_same(loops))
        loop.close()

    assert len(list(loops)) == 1


async def _same(loops: PerLoop[Any]) -> bool:
    return await loops.get() is loops.here()


class Silent:
    """A thing that needs no end."""

    async def aclose(self) -> None:
        """Nothing."""
