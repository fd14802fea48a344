"""A uvicorn connection that an application can break on purpose, after all that it has sent is on its way.

What does not live here: the listening socket (`server.py`), why a connection breaks (`faults.py`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from h11 import SEND_BODY, SEND_RESPONSE
from uvicorn.protocols.http.h11_impl import H11Protocol

if sys.platform == "linux":
    import fcntl
    import termios

from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from compatgw_testing.doors.exchange import App, Receive, Send

# What a client may take to read what is on its way to it, and a connection to end.
_PATIENCE = 2.0
_LINGER_NOT = struct.pack("ii", 1, 0)
_LOG = logging.getLogger("compatgw_testing.server")


class Breakable(H11Protocol):
    """One connection. What raises ConnectionCut in it ends with a FIN, ConnectionReset with a RST.

    The scope's extension `compatgw_testing` says that time is real, and has an async `reset()`.

    Attributes:
        lost: Set when the connection is over.
    """

    def __init__(self, config: Config, server_state: ServerState) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        # Not uvicorn's own loggers: the application under test may run on uvicorn, too.
        self.logger = _LOG
        self.access_log = False
        self._served: App = self.app
        self.app = self._serve
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Asyncio's: a client is there."""
        # Nothing is kept in this process: what `send` was given, the kernel has before the next `send` returns.
        transport.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's: the connection is over."""
        super().connection_lost(exc)
        self.lost.set()

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.conn.our_state not in (SEND_RESPONSE, SEND_BODY)

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})["compatgw_testing"] = {"virtual": False, "reset": self.reset}
        try:
            await self._served(scope, receive, send)
        except ConnectionCut:
            await self._close(receive)
        except (ConnectionReset, ConnectRefused):
            await self.reset()
        except asyncio.CancelledError:
            # The server ends, and has ended the connection: not a failure of the application.
            if not self.lost.is_set():
                raise

    async def reset(self) -> None:
        """Ends the connection with a RST once the client's machine has all that was sent. Idempotent."""
        await self._flush()
        if self.transport.is_closing():
            return
        connection = self.transport.get_extra_info("socket")
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                # Nobody says when it is down to nothing.
                while _unacknowledged(connection):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.transport.abort()
        await self._gone()

    async def _close(self, receive: Receive) -> None:
        await self._flush()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                # A socket that is closed with something unread in it sends a RST in place of the FIN.
                while self.cycle.more_body and not self.cycle.disconnected:
                    await receive()
        self.transport.close()
        await self._gone()

    async def _flush(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.flow.drain()

    async def _gone(self) -> None:
        # Uvicorn answers 500 to an application that returns without an answer, unless the connection is over.
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.lost.wait()


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes that the kernel has not brought to the client's machine yet; 0 where it does not tell."""
    if sys.platform != "linux":
        return 0
    count = bytearray(4)
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
    return int.from_bytes(count, sys.byteorder)
