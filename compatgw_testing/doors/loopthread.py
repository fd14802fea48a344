"""An event loop in a thread of its own, for clients that have none.

What does not live here: what runs on it.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

Result = TypeVar("Result")
_PATIENCE = 10.0


class LoopThread:
    """Runs coroutines for any thread. It starts with the first one and ends with `close` or with its owner."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._finalizer: weakref.finalize[..., LoopThread] | None = None

    @property
    def running(self) -> bool:
        """Whether there is a thread."""
        return self._loop is not None

    def run(self, work: Coroutine[object, object, Result]) -> Result:
        """What `work` returns or raises. An interrupt of the calling thread cancels it.

        Raises:
            RuntimeError: The caller is on this very event loop, which it would block for ever.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                f"the {self._name} cannot wait for its own event loop; await something there, such as the async client"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Cancels what still runs and ends the thread. Idempotent; a later `run` starts another one."""
        with self._lock:
            loop, thread, finalizer = self._loop, self._thread, self._finalizer
            self._loop = self._thread = self._finalizer = None
        if loop is None or thread is None or finalizer is None:
            return
        finalizer()
        if thread is not threading.current_thread():
            thread.join(_PATIENCE)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_forever, args=(self._loop,), name=self._name, daemon=True)
                # The thread knows the loop alone, so an owner that is forgotten rather than closed ends it, too.
                self._finalizer = weakref.finalize(self, _stop, self._loop)
                self._thread.start()
            return self._loop


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        # Twice: what another thread has asked for at the last moment only becomes a task now.
        for _ in range(2):
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks, timeout=_PATIENCE / 4))
            loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
