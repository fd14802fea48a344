"""An event loop in a thread of its own, for clients that wait without one.

What does not live here: what runs on it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import weakref
from concurrent.futures import CancelledError
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")
# Seconds that what is under way may take to end.
_PATIENCE = 20.0

_log = logging.getLogger("compatgw")


class ThreadClosed(Exception):
    """The thread was closed, perhaps while its answer was waited for."""


class LoopThread:
    """Runs coroutines for callers in any other thread.

    The thread starts with the first of them, and anew in a process that was forked since. It ends with
    `close`, with its owner when that is forgotten, or with the process, which waits for it.

    Args:
        last: Is awaited in the thread before it ends; must not know the owner.
    """

    def __init__(self, last: Callable[[], Coroutine[object, object, None]]) -> None:
        self._last = last
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: weakref.finalize[..., LoopThread] | None = None

    def run(self, work: Coroutine[object, object, Result]) -> Result:
        """What `work` returns or raises; an interrupt of the waiting thread cancels it.

        Raises:
            ThreadClosed: It was closed before or meanwhile.
            RuntimeError: The caller is on this very loop, which would wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("This is the thread that a synchronous client runs in; call the asynchronous one here.")
        with self._lock:
            if self._closed:
                work.close()
                raise ThreadClosed
            # In the lock, so that nothing comes to a loop that is being stopped.
            future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except CancelledError:
            raise ThreadClosed from None
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Ends the thread, and waits for it. Idempotent."""
        with self._lock:
            self._closed = True
            thread, stop = self._thread, self._stop
            self._loop = self._stop = None
        if thread is None or stop is None or not thread.is_alive():
            return
        stop()
        # A destructor may run anywhere.
        if thread is not threading.current_thread():
            thread.join(2 * _PATIENCE)

    def _started(self) -> asyncio.AbstractEventLoop:
        # A forked process has the object and not the thread.
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            self._loop = asyncio.new_event_loop()
            name, arguments = "compatgw client", (self._loop, self._last)
            self._thread = threading.Thread(target=_run, args=arguments, name=name, daemon=True)
            # Neither the thread nor what waits for it knows the owner: they do not keep it.
            at_exit = partial(_finish, self._loop, self._thread)
            self._stop = weakref.finalize(self, _end, self._loop, at_exit)
            self._stop.atexit = False
            self._thread.start()
            atexit.register(at_exit)
        return self._loop


def _run(loop: asyncio.AbstractEventLoop, last: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        try:
            loop.run_until_complete(asyncio.wait_for(last(), _PATIENCE))
        except Exception:  # noqa: BLE001 - whatever the application raises as it closes
            # Nobody is there to raise it to; the rest has to end all the same.
            _log.exception("A synchronous client did not close in order.")
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_PATIENCE / 2))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _end(loop: asyncio.AbstractEventLoop, at_exit: Callable[[], None]) -> None:
    atexit.unregister(at_exit)
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)


def _finish(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    # The thread is a daemon: nobody else would wait until what it has left to write is written.
    if thread.is_alive():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(2 * _PATIENCE)
