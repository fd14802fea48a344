"""Bounds every wait of one call with one timer.

`asyncio.timeout` costs a timer for each wait; a stream waits twice an event. Here a wait only
notes until when it may last, and a timer that fires early is set again. When time is up, the
task is cancelled inside the wait, which then raises the error given for it.

What does not live here: which wait may last how long.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class Patience:
    """The timer of one task. Use `with patience.within(seconds, error): await ...`; close it at the end."""

    __slots__ = ("_depth", "_due", "_error", "_expired", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("Patience belongs to a task")
        self._task: asyncio.Task[object] = task
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._error: Callable[[], Exception] | None = None
        self._expired = False

    def within(self, seconds: float, error: Callable[[], Exception]) -> Patience:
        """Sets the bound of the next wait. Waits of one task do not nest."""
        due = self._loop.time() + seconds
        self._due = due
        self._error = error
        timer = self._timer
        if timer is None or timer.when() > due:
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(due, self._ring)
        return self

    def __enter__(self) -> Patience:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._due = None
        if self._expired:
            self._expired = False
            # Only our own cancellation becomes an error; one from outside goes on as it is.
            if self._task.uncancel() == 0 and kind is asyncio.CancelledError and self._error is not None:
                raise self._error() from None

    def close(self) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        due = self._due
        if due is None:
            return
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._ring)
        else:
            self._expired = True
            self._task.cancel()
