"""Fakes on a real port of this machine, for clients that cannot be handed an application.

The socket is bound before the thread starts, so the address is known and taken at once, and
two test processes never get the same port.

What does not live here: what is served; breaking one connection (`doors/breakable.py`).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import uvicorn
from uvicorn.server import ServerState

from compatgw_testing.doors.breakable import Breakable
from compatgw_testing.doors.crossroads import Crossroads
from compatgw_testing.doors.loopthread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, TracebackType

    from compatgw_testing.doors.exchange import App

# What an application that is being answered may take to notice the end of the server.
_GRACE = 0.5
_REACHED_BY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - only read


class FakeServer:
    """Serves ASGI applications on a loopback port, in a thread. A context manager.

    Args:
        app: A fake, or any ASGI application; or applications by the prefix of their path, such as
            `{"openai": FakeOpenAI(), "anthropic": FakeAnthropic()}`. Default: nothing, until something is mounted.
        host: Address to listen on.
        port: Port; 0 for a free one.

    Attributes:
        app: As given.
        roads: What is mounted, and the requests that nobody owned.
        origin: `http://127.0.0.1:PORT`.
        base_url: The origin and the path before the vendor's resources, such as `/v1`.
        sdk_url: What the vendor's official SDK takes as its base URL.

    Raises:
        OSError: The port is taken, or may not be used.
    """

    def __init__(self, app: App | Mapping[str, App] | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self.roads = Crossroads(app) if isinstance(app, Mapping) else Crossroads(default=app)
        self.host = host
        self._socket = self._bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._loop = LoopThread(f"fake-{self.port}")
        self._listener: asyncio.Server | None = None
        self._state = ServerState()
        self._used = False

    @property
    def origin(self) -> str:
        """Scheme, host and port; of a server for every address of the machine, the loopback one."""
        host = _REACHED_BY.get(self.host, self.host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The origin and the path before the vendor's resources."""
        return self.origin + str(getattr(self.app, "base_path", ""))

    @property
    def sdk_url(self) -> str:
        """What the vendor's official SDK takes as its base URL."""
        return self.origin + str(getattr(self.app, "sdk_path", ""))

    def mount(self, prefix: str, app: App) -> str:
        """Serves `app` under a path, from any thread, started or not; gives the address to put before its own paths.

        Raises:
            ValueError: The prefix is empty or taken.
        """
        return self.origin + self.roads.mount(prefix, app)

    def unmount(self, prefix: str) -> None:
        """Answers 404 under a path, from now on. Idempotent."""
        self.roads.unmount(prefix)

    def start(self) -> Self:
        """Starts the thread and returns once requests are served.

        Raises:
            RuntimeError: It was started before.
        """
        if self._used:
            raise RuntimeError("a FakeServer starts once; make another one")
        self._used = True
        self._loop.run(self._listen())
        return self

    def stop(self) -> None:
        """Ends the server, calls in flight included. Idempotent."""
        if self._loop.running:
            self._loop.run(self._end())
            self._loop.close()
        self._socket.close()

    @contextmanager
    def refusing(self) -> Iterator[Self]:
        """Within it the kernel refuses connections to the port; after it the same port serves again.

        Idle connections are closed; a call in flight is answered, and its connection then closed.
        """
        self._loop.run(self._refuse())
        try:
            yield self
        finally:
            if self._loop.running:
                self._loop.run(self._listen())

    def _bound(self, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # The protocol by name: asyncio turns Nagle's algorithm off only on sockets that say theirs, and a head and a
        # body in two writes would otherwise wait 40 ms for each other.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self.host, port))
        except BaseException:
            bound.close()
            raise
        return bound

    # On the event loop.

    async def _listen(self) -> None:
        config = uvicorn.Config(
            self.roads,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_config=None,
            proxy_headers=False,
            timeout_keep_alive=600,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Breakable(config, self._state), sock=self._socket)

    async def _refuse(self) -> None:
        assert self._listener is not None, "only a server that was started can refuse"
        self._listener.close()
        # A socket that is bound and does not listen keeps the port from being given away, and refuses connections.
        self._socket = self._bound(self.port)
        idle = [connection for connection in self._connections() if connection.idle]
        for connection in self._connections():
            connection.shutdown()
        async with asyncio.timeout(_GRACE):
            await asyncio.gather(*(connection.lost.wait() for connection in idle))

    async def _end(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for connection in self._connections():
            connection.transport.abort()
        if tasks := set(self._state.tasks):
            _, late = await asyncio.wait(tasks, timeout=_GRACE)
            for task in late:
                task.cancel()

    def _connections(self) -> list[Breakable]:
        return [one for one in self._state.connections if isinstance(one, Breakable)]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stand(server: FakeServer, welcome: Callable[[str], str]) -> None:
    """Serves until SIGINT or SIGTERM; prints what `welcome` says of the origin once it does."""
    over = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        over.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with server:
            sys.stdout.write(welcome(server.origin))
            sys.stdout.flush()
            over.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
