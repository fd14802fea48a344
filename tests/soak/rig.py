"""What the runs have in common: their options, the servers they stand on, and clients that ask again and again.

What does not live here: the runs.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.bench.processes import BenchError, cores
from tests.soak.asking import Clients
from tests.soak.backing import PostgresServer, RedisServer
from tests.soak.books import PostgresReader, SqliteReader
from tests.soak.cluster import Cluster, Management

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from tests.soak.books import Reader
    from tests.soak.cluster import Key
    from tests.soak.verdict import Verdict

# Seconds: as `SqlLedger(dead_after=)` and `Chores(every=)` have them; no setting changes them.
DEAD_AFTER = 60.0
SWEEP_EVERY = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how often.

    Attributes:
        seconds: Of load. seed: Of what is random. seeds: How many of them `wallet` goes through.
        times: How often `kill` and `revoke` do it. away: Seconds for which `outage` takes a server away.
        disconnects: How many clients leave in `disconnects`. mounts: How many gateways come and go in `mounts`.
        logs: A folder where the gateways' logs stay; None for one that goes.
    """

    seconds: float = 30.0
    seed: int = 1
    seeds: int = 5
    times: int = 20
    away: float = 10.0
    disconnects: int = 100_000
    mounts: int = 1_000
    logs: str | None = None


@dataclass(slots=True)
class Rig:
    """Everything that a run stands on; `postgres` and `redis` are None where it needs none.

    Attributes:
        reader: Reads the ledger. watching: The same, for whoever looks at it all the time.
    """

    cluster: Cluster
    clients: Clients
    reader: Reader
    watching: Reader
    postgres: PostgresServer | None
    redis: RedisServer | None

    def management(self, node: int = 0) -> Management:
        """The management API of one of the gateways."""
        return Management(self.cluster.origins[node])

    async def warm(self, keys: Iterable[Key]) -> None:
        """Lets every gateway prove every key, which is slow once, without taking of any limit."""
        for node in range(len(self.cluster.origins)):
            for key in keys:
                status, answer = await self.clients.get(node, "/v1/key", key.text)
                if status != 200:
                    raise BenchError(f"Gateway {node} does not know a key that was just made: {status} {answer}")

    async def settled(self, seconds: float) -> float:
        """Waits until nothing is reserved any more, or for so many seconds; how long it took."""
        began = time.monotonic()
        while True:
            reserved = sum(int(wallet["reserved"]) for wallet in await self.reader.moment())
            took = time.monotonic() - began
            if reserved == 0 or took > seconds:
                return took
            await asyncio.sleep(0.25)


@asynccontextmanager
async def rig(
    nodes: int,
    *,
    tag: str,
    logs: str | None = None,
    ledger: Literal["postgres", "sqlite"] = "postgres",
    redis: bool = True,
    on_counters_loss: Literal["local", "refuse"] = "local",
) -> AsyncIterator[Rig]:
    """Starts everything, and leaves nothing behind."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cgw-soak-")))
        if logs is not None:
            stack.callback(_keep_logs, place, Path(logs, tag))
        state: dict[str, str] = {"on_counters_loss": on_counters_loss}
        postgres = counters = None
        reader: Reader
        watching: Reader
        if ledger == "postgres":
            postgres = PostgresServer(stack)
            await postgres.prepare()
            state["ledger"] = postgres.url
            reader, watching = PostgresReader(postgres.url), PostgresReader(postgres.url)
        else:
            file = place / "ledger.db"
            state["ledger"] = f"sqlite:///{file}"
            reader = watching = SqliteReader(str(file))
        if redis:
            counters = RedisServer(stack, place, cores()[1])
            state["counters"] = counters.url
        cluster = Cluster(stack, place, nodes, state)
        await cluster.start()
        async with Clients(cluster.origins, tag) as clients:
            try:
                yield Rig(cluster, clients, reader, watching, postgres, counters)
            finally:
                await watching.aclose()
                await reader.aclose()


def _keep_logs(place: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for log in place.glob("*.log"):
        shutil.copy(log, folder)


async def crowd(
    verdict: Verdict, what: str, seconds: float, workers: Iterable[Callable[[], Awaitable[None]]], clients: Clients
) -> None:
    """Lets each worker make one call after the other for so long, and waits for the last of them."""
    until = time.monotonic() + seconds

    async def work(one: Callable[[], Awaitable[None]]) -> None:
        while time.monotonic() < until:
            await one()

    async def report() -> None:
        while True:
            await asyncio.sleep(5)
            verdict.progress(f"{what}: {len(clients.log)} calls so far")

    reporting = asyncio.create_task(report())
    try:
        await asyncio.gather(*[work(one) for one in workers])
    finally:
        reporting.cancel()


def claim_quiet(verdict: Verdict, cluster: Cluster, allowed: tuple[str, ...] = ()) -> None:
    """The gateways' own logs: nothing failed inside them."""
    lines = cluster.said("Traceback", "ERROR", "CRITICAL", "Exception")
    bad = [line for line in lines if not any(word in line for word in allowed)]
    for line in bad[:5]:
        verdict.figure(line[:300])
    verdict.claim(not bad, f"no gateway logged an error of its own ({len(bad)} lines)")
