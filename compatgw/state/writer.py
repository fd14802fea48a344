"""Group commit: what many callers write at the same time goes into one transaction.

While one transaction is on its way to the disk the next moves gather, so that under load one fsync,
and few statements, serve all of them, and alone nobody waits for anybody. A move that was made is
not made again: so a transaction whose end is not known is simply repeated.

What does not live here: the moves (`accounts.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compatgw.state.accounts import Hold
from compatgw.state.base import LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncConnection

    from compatgw.state.accounts import Move
    from compatgw.state.base import UsageRow

_log = logging.getLogger("compatgw")

# Seconds beyond its patience that closing waits for the transaction that is under way.
_LAST_WAIT = 5.0


@dataclass(slots=True, eq=False)
class Job:
    """A move to be made.

    Attributes:
        move: What is done.
        durable: It must be on the disk when it is done.
        kept: It is never given up while the writer is open: somebody has had what it charges for.
        undo: Done if `move` was, and nobody waits for it any more.
        alone: It was tried in a transaction of its own: what went wrong with that is its own.
    """

    move: Move
    durable: bool
    kept: bool = False
    undo: Move | None = None
    alone: bool = False
    future: asyncio.Future[Any] | None = field(default=None, repr=False)
    until: float = 0.0


class Writer:
    """Runs jobs of one loop.

    Args:
        begin: Opens a transaction; its argument says whether it is to be durable.
        make: Makes moves and writes usage rows within a transaction. It gives an outcome for each move: a
            `StateError` for one that was refused and left nothing behind.
        patience: Seconds for which a job is tried while the database is away.
        lag: Seconds for which usage rows may wait for company.
        most: Jobs of a transaction.
        backlog: Usage rows that may wait; more are dropped.
    """

    def __init__(
        self,
        begin: Callable[[bool], AbstractAsyncContextManager[AsyncConnection]],
        make: Callable[[AsyncConnection, Sequence[Move], Sequence[UsageRow]], Awaitable[list[Any]]],
        *,
        patience: float = 5.0,
        lag: float = 0.2,
        most: int = 256,
        backlog: int = 20_000,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._begin = begin
        self._make = make
        self._patience = patience
        self._lag = lag
        self._most = most
        self._backlog = backlog
        self._pause = pause
        self._jobs: deque[Job] = deque()
        self._rows: deque[UsageRow] = deque()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self.dropped = 0
        self.transactions = 0
        self.repeated = 0

    async def do(self, job: Job) -> Any:
        """Makes the move in some transaction, and waits until that is committed.

        Raises:
            StateError: Why it was refused.
            LedgerUnavailable: The database is away; a `kept` job is tried on all the same.
        """
        job.future = self._loop.create_future()
        job.until = self._loop.time() + self._patience
        self._jobs.append(job)
        self._wake()
        try:
            return await job.future
        except asyncio.CancelledError:
            if job.undo is not None:
                if job in self._jobs:
                    self._jobs.remove(job)
                else:
                    # It is being done, or it is done. Undoing what was not done does nothing.
                    self._jobs.append(Job(job.undo, durable=True, kept=True))
                    self._wake()
            raise

    def later(self, row: UsageRow) -> bool:
        """Takes a usage row to be written soon; False when too many wait."""
        if len(self._rows) >= self._backlog:
            if self.dropped == 0:
                _log.error("The ledger is not keeping up: usage rows are dropped, %d wait already.", self._backlog)
            self.dropped += 1
            return False
        self._rows.append(row)
        if self._timer is None:
            self._timer = self._loop.call_later(self._lag, self._wake)
        return True

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._work())

    async def aclose(self) -> None:
        """Writes what waits, and stops. Bounded by `patience`; what cannot be written is named in the log."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        task = self._task
        if task is not None and not task.done():
            await asyncio.wait([task], timeout=self._patience + _LAST_WAIT)
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=5)
        # A loop that is being closed has cancelled the task: what it left is written here.
        if self._jobs or self._rows:
            await self._work()
        if self._jobs or self._rows:
            _log.error("The ledger was closed with %d writes and %d usage rows lost.", len(self._jobs), len(self._rows))
            for job in self._jobs:
                _tell(job, LedgerUnavailable("The ledger was closed while the database was away."))

    async def _work(self) -> None:
        """Transactions until nothing waits."""
        delay = 0.05
        began = self._loop.time()
        while self._jobs or self._rows:
            jobs = self._next_jobs()
            rows = [self._rows.popleft() for _ in range(min(len(self._rows), self._most * 4))]
            try:
                await self._transaction(jobs, rows)
            except LedgerUnavailable as error:
                self._keep(jobs, rows, error)
                if self._closing and self._loop.time() - began > self._patience:
                    return
                if self._jobs or self._rows:
                    await self._pause(delay)
                delay = min(1.0, delay * 2)
            except asyncio.CancelledError:
                _mark(jobs)
                self._put_back(jobs, rows)
                raise
            else:
                delay = 0.05

    def _next_jobs(self) -> list[Job]:
        """The oldest job and those of its kind: rows are locked in one order only where kinds are not mixed."""
        if not self._jobs:
            return []
        kind = type(self._jobs[0].move)
        taken: list[Job] = []
        left: deque[Job] = deque()
        for job in self._jobs:
            if type(job.move) is kind and len(taken) < self._most:
                taken.append(job)
            else:
                left.append(job)
        self._jobs = left
        return taken

    def _put_back(self, jobs: list[Job], rows: list[UsageRow]) -> None:
        # What nobody waits for any more has its undoing in the queue.
        jobs = [job for job in jobs if job.kept or job.future is None or not job.future.cancelled()]
        self._jobs.extendleft(reversed(jobs))
        self._rows.extendleft(reversed(rows))

    async def _transaction(self, jobs: list[Job], rows: list[UsageRow]) -> None:
        try:
            # Usage alone is not worth an fsync.
            async with self._begin(any(job.durable for job in jobs)) as connection:
                outcomes = await self._make(connection, [job.move for job in jobs], rows)
        except LedgerUnavailable:
            _mark(jobs)
            raise
        except Exception as error:  # noqa: BLE001 - a fault of one job must not fail the others
            _mark(jobs)
            await self._one_by_one(jobs, rows, error)
            return
        self.transactions += 1
        for job, outcome in zip(jobs, outcomes, strict=True):
            _tell(job, outcome)

    async def _one_by_one(self, jobs: list[Job], rows: list[UsageRow], error: Exception) -> None:
        """Finds the one that cannot be written: all others are, and it alone is told why."""
        if len(jobs) + len(rows) == 1 and (rows or jobs[0].alone):
            if rows:
                self.dropped += 1
                _log.error("A usage row cannot be written: %s", type(error).__name__)
            else:
                _tell(jobs[0], error)
            return
        for position, job in enumerate(jobs):
            job.alone = True
            try:
                await self._transaction([job], [])
            except LedgerUnavailable:
                del jobs[:position]
                raise
        jobs.clear()
        while rows:
            await self._transaction([], rows[:1])
            del rows[0]

    def _keep(self, jobs: list[Job], rows: list[UsageRow], error: LedgerUnavailable) -> None:
        """Puts back what may still be written; who has waited long enough is told, whether it had its turn or not."""
        self.repeated += 1
        now = self._loop.time()
        # A charge that is tried for ever must not keep those behind it waiting for ever.
        self._jobs = deque(_patient(self._jobs, now, error))
        self._put_back(_patient(jobs, now, error), rows)


def _patient(jobs: Iterable[Job], now: float, error: LedgerUnavailable) -> list[Job]:
    """Those of `jobs` that are tried again; the others are told why not."""
    again = []
    for job in jobs:
        over = now >= job.until
        if over:
            _tell(job, error)
        if job.kept or not over:
            again.append(job)
    return again


def _mark(jobs: list[Job]) -> None:
    """Says of moves whose transaction failed that they may have been made all the same."""
    for job in jobs:
        if isinstance(job.move, Hold):
            job.move.again = True


def _tell(job: Job, outcome: Any) -> None:
    future = job.future
    if future is None or future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
