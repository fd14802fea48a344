"""A fake on a real port of this machine, for clients that cannot be handed an application.

The socket is bound before the thread starts, so the address is known and taken at once, and
two test processes never get the same port.

What does not live here: what is served.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import uvicorn

if TYPE_CHECKING:
    from types import TracebackType


class _Prompt(uvicorn.Server):
    """Says when it is ready and ends when told, rather than at its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._over.wait()

    def end(self) -> None:
        """Called from another thread."""
        self.should_exit = self.force_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)


class FakeServer:
    """Serves an ASGI application on a loopback port, in a thread. A context manager.

    Args:
        app: A fake, or any ASGI application.
        host: Address to listen on.
        port: Port; 0 for a free one.

    Attributes:
        origin: `http://127.0.0.1:PORT`.
        base_url: The origin and the path before the vendor's resources, such as `/v1`.
        sdk_url: What the vendor's official SDK takes as its base URL.
    """

    def __init__(self, app: Any, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.app = app
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server: _Prompt | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The origin and the path before the vendor's resources."""
        return self.origin + getattr(self.app, "base_path", "")

    @property
    def sdk_url(self) -> str:
        """What the vendor's official SDK takes as its base URL."""
        return self.origin + getattr(self.app, "sdk_path", "")

    def start(self) -> Self:
        """Starts the thread and returns once requests are served.

        Raises:
            RuntimeError: It was started before, or the server did not come up within ten seconds.
        """
        if self._thread is not None:
            raise RuntimeError("a FakeServer starts once; make another one")
        # A broken connection is what some scripts ask for: no traceback of it in the log.
        config = uvicorn.Config(
            self.app,
            lifespan="off",
            access_log=False,
            log_level="critical",
            ws="none",
            date_header=False,
            server_header=False,
        )
        self._server = _Prompt(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"fake-{self.port}", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(10):
            raise RuntimeError(f"the server on port {self.port} did not come up within ten seconds")
        return self

    def stop(self) -> None:
        """Ends the server, calls in flight included. Idempotent."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(10)
            self._server = None
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
