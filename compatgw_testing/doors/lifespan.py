"""Start-up and shutdown of an ASGI application: run, as a server does, and answered, as an application does.

What does not live here: requests (`exchange.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compatgw_testing.doors.exchange import App, Message, Receive, Send

# What either phase may take.
_LIMIT = 10.0


class Lifespan:
    """Runs an application's lifespan in a task of its own, once.

    Attributes:
        state: What the application keeps there; every request gets a copy.
    """

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._phases: asyncio.Queue[Message] = asyncio.Queue()
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Returns once the application is up. Idempotent.

        Raises:
            RuntimeError: The application says or shows that it is not.
        """
        async with self._lock:
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run(), name="in-process lifespan")
                await self._pass("startup")

    async def stop(self) -> None:
        """Returns once the application is down. Idempotent.

        Raises:
            RuntimeError: The application says or shows that it failed.
        """
        async with self._lock:
            if self._task is None or self._task.done():
                return
            try:
                await self._pass("shutdown")
            finally:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=_LIMIT)

    async def _pass(self, phase: str) -> None:
        self._phases.put_nowait({"type": f"lifespan.{phase}"})
        async with asyncio.timeout(_LIMIT):
            message = await self._answers.get()
        if message["type"] not in (f"lifespan.{phase}.complete", "lifespan.over"):
            raise RuntimeError(f"the application did not get through its {phase}: {message.get('message', '')}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._phases.get, self._answers.put)
        except Exception as failure:  # noqa: BLE001 - whoever waits for the phase is told
            self._answers.put_nowait({"type": "lifespan.failed", "message": repr(failure)})
        else:
            # An application may return instead of waiting for its shutdown.
            self._answers.put_nowait({"type": "lifespan.over"})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Answers start-up and shutdown for an application that needs neither."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
