"""Gateway processes on one ledger and one set of counters, in front of one upstream; and their management API.

What does not live here: PostgreSQL and Redis (`backing.py`), calls to models (`asking.py`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from tests.bench.processes import BenchError, Child, cores, free_port
from tests.soak.wishes import MODEL, PRICE, SHAKY

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

ADMIN = "soak-management"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a team: its id, and the text that callers send."""

    id: str
    team: str
    text: str


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed: under which name it held money, and when (seconds since 1970)."""

    node: int
    owner: str
    at: float


class Cluster:
    """The processes of a run.

    Args:
        stack: Ends them.
        place: A folder for their settings and logs.
        count: How many gateways.
        state: Their settings of `[state]`.
    """

    def __init__(self, stack: ExitStack, place: Path, count: int, state: dict[str, str]) -> None:
        self._stack = stack
        self._place = place
        self._cores = cores()
        port = free_port()
        command = [sys.executable, "-m", "tests.soak.upstream", str(port)]
        self.upstream = f"http://127.0.0.1:{port}"
        upstream = Child("upstream", command, self._cores[1], place / "upstream.log")
        stack.callback(upstream.stop)
        upstream.wait_until_it_answers(port)
        self._settings = {
            "providers": {"up": {"base_url": f"{self.upstream}/v1", "api_key": "soak"}},
            "models": {model: {"target": f"up/{model}", "price": PRICE} for model in (MODEL, SHAKY)},
            "keys": [{"key": ADMIN, "name": "soak", "scopes": ["admin"]}],
            "transport": "aiohttp",
            "state": state,
        }
        self._ports = [free_port() for _ in range(count)]
        self._children: list[Child | None] = [None] * count
        self._lives = 0
        self.deaths: list[Death] = []
        stack.callback(self.stop)

    @property
    def origins(self) -> list[str]:
        """Where the gateways are."""
        return [f"http://127.0.0.1:{port}" for port in self._ports]

    async def start(self) -> None:
        """Starts all of them."""
        for node in range(len(self._ports)):
            await self.start_one(node)

    async def start_one(self, node: int) -> None:
        """Starts the gateway of that number, on the port that it had."""
        self._lives += 1
        file = self._place / f"node-{node}.json"
        file.write_bytes(orjson.dumps(self._settings))
        command = [sys.executable, "-m", "tests.soak.node", str(self._ports[node]), str(file)]
        log = self._place / f"node-{node}-{self._lives}.log"
        child = self._children[node] = Child(f"gateway {node}", command, self._cores[node % 2], log)
        await asyncio.to_thread(child.wait_until_it_answers, self._ports[node])

    def kill(self, node: int) -> Death:
        """`kill -9`."""
        child = self._children[node]
        if child is None:
            raise BenchError(f"Gateway {node} does not run.")
        owner = (self._place / f"node-{node}.owner").read_text()
        os.kill(child.pid, signal.SIGKILL)
        death = Death(node, owner, time.time())
        child.stop()
        self._children[node] = None
        self.deaths.append(death)
        return death

    def stop(self) -> None:
        """Ends all of them, politely. Idempotent."""
        for node, child in enumerate(self._children):
            if child is not None:
                child.stop()
                self._children[node] = None

    def said(self, *words: str) -> list[str]:
        """Lines of the gateways' logs that hold one of `words`."""
        lines = []
        for log in sorted(self._place.glob("node-*.log")):
            lines += [f"{log.stem}: {line}" for line in log.read_text(errors="replace").splitlines()]
        return [line for line in lines if any(word in line for word in words)]


class Management:
    """The management API of one gateway.

    Args:
        origin: Where it is.
    """

    def __init__(self, origin: str) -> None:
        self._root = f"{origin}/api/admin"

    async def do(self, method: str, path: str, body: Any = None) -> Any:
        """One request.

        Raises:
            BenchError: It was refused.
        """
        headers = {"authorization": f"Bearer {ADMIN}", "content-type": "application/json"}
        data = orjson.dumps(body) if body is not None else None
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self._root}/{path}", data=data, headers=headers) as response,
        ):
            answer = await response.json()
            if response.status >= 400:
                raise BenchError(f"{method} {path}: {response.status} {answer}")
            return answer

    async def team(self, id: str, *, wallet: str | None = None, **limits: int) -> None:
        """A team, with that much in a wallet, or with a plan of its own of those limits."""
        if limits:
            await self.do("PUT", f"plans/{id}", limits)
        plan = id if limits else None
        await self.do("POST", "teams", {"id": id, "name": id, "plan": plan, "wallet": wallet is not None})
        if wallet is not None:
            await self.do("POST", f"teams/{id}/wallet/topups", {"amount": wallet})

    async def key(self, team: str, name: str = "soak", **members: Any) -> Key:
        """A key of that team."""
        made = await self.do("POST", "keys", {"team": team, "name": name, **members})
        return Key(made["id"], team, made["key"])

    async def revoke(self, key: Key) -> None:
        """Ends a key."""
        await self.do("POST", f"keys/{key.id}/revoke")
