"""Serving a cassette, or a recording proxy, on a port of this machine until Ctrl-C.

What does not live here: the applications (`session.py`, `replay.py`), words of the command line (`command.py`).
"""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from typing import TYPE_CHECKING

from compatgw_testing.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from compatgw_testing.doors.environ import Redirect
    from compatgw_testing.doors.exchange import App


def stand(app: App, host: str, port: int, welcome: Callable[[str], str]) -> None:
    """Serves until SIGINT or SIGTERM.

    Args:
        app: What is served.
        host: Address to listen on.
        port: 0 for a free one.
        welcome: What to print once it serves; gets the origin.

    Raises:
        OSError: The port cannot be had.
    """
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    server = FakeServer(app, host=host, port=port)
    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with server:
            sys.stdout.write(welcome(server.origin))
            sys.stdout.flush()
            over.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exports(change: Redirect, wanted: set[str]) -> str:
    """Lines for a shell: the variables of `wanted` that `change` sets."""
    shown = {name: value for name, value in change.set.items() if name in wanted}
    return "".join(f"  export {name}={shlex.quote(value)}\n" for name, value in sorted(shown.items()))
