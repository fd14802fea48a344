"""Work that is finished even when whoever began it is cancelled. Each task is owned, and waited for at the end.

What does not live here: what the work is.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")

_log = logging.getLogger("compatgw")


class Tasks:
    """Tasks under way, of every loop."""

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, which goes on when the caller is cancelled meanwhile."""
        return await asyncio.shield(self.start(work))

    def start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Begins `work`, which nobody has to wait for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    async def aclose(self, seconds: float = 60.0) -> None:
        """Waits so long for those of the running loop, and cancels what is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while own := [
            task for task in list(self._tasks) if task.get_loop() is loop and task is not asyncio.current_task()
        ]:
            done, late = await asyncio.wait(own, timeout=max(0.0, until - loop.time()))
            if not done and loop.time() >= until:
                _log.error("%d tasks did not end within %g seconds and were cancelled.", len(late), seconds)
                for task in late:
                    task.cancel()
                await asyncio.wait(late, timeout=1.0)
                return

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever still waits was told; work that nobody waits for tells of its failures itself.
            task.exception()
