"""Work that is finished even when whoever began it is cancelled. Each task is owned, and waited for at the end.

What does not live here: what the work is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")


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

    async def aclose(self) -> None:
        """Waits for those of the running loop."""
        loop = asyncio.get_running_loop()
        while own := [task for task in self._tasks if task.get_loop() is loop and task is not asyncio.current_task()]:
            await asyncio.wait(own)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Whoever still waits was told; work that nobody waits for tells of its failures itself.
            task.exception()
