"""`mounts`: gateways that are made, mounted, used and taken down again and again in one process.

Every cycle is a host of its own in an event loop of its own: with a lifespan or without, with a stream that
is read to its end or left in the middle, and now and then with a ledger. Afterwards nothing is left of it.

What does not live here: clients that leave one gateway (`disconnects.py`).
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from compatgw import Gateway
from compatgw_testing import FakeOpenAI, FakeServer
from tests.bench.processes import memory

if TYPE_CHECKING:
    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

KEY = {"Authorization": "Bearer k"}
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}]}
# Cycles before the first weighing: by then every module is loaded and every pool of memory has its size.
_WARM = 200
# One cycle in so many has a ledger: making its tables takes longer than all else.
_LEDGER_EVERY = 25
# MiB in all cycles together: what an allocator keeps varies.
_GROWTH = 8.0


@dataclass(frozen=True, slots=True)
class Weight:
    """What the process holds on to.

    Attributes:
        tasks: Not done. threads: Alive. sockets: Open. files: Open descriptors. loops, gateways: That are still
            objects. memory: Resident, in MiB.
    """

    tasks: int
    threads: int
    sockets: int
    files: int
    loops: int
    gateways: int
    memory: float

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks, {self.threads} threads, {self.sockets} sockets, {self.files} descriptors, "
            f"{self.loops} loops, {self.gateways} gateways, {self.memory:.1f} MiB"
        )


def weigh() -> Weight:
    """The process now, without what only waits to be collected."""
    gc.collect()
    tasks = loops = gateways = 0
    for one in gc.get_objects():
        # By its type: asking an object for its class may wake it.
        kind = type(one)
        if issubclass(kind, asyncio.Task):
            tasks += not one.done()
        elif issubclass(kind, asyncio.AbstractEventLoop):
            loops += 1
        elif kind is Gateway:
            gateways += 1
    sockets = files = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            sockets += str(link.readlink()).startswith("socket:")
        except OSError:  # the descriptor of this very listing
            continue
        files += 1
    return Weight(tasks, threading.active_count(), sockets, files, loops, gateways, memory(os.getpid()) / 2**20)


def cycle(number: int, url: str, fake: FakeOpenAI, folder: Path) -> None:
    """One host with one gateway, from its beginning to its end."""
    asyncio.run(_lived(number, url, fake.api_key, folder))
    # It remembers every call that it was asked.
    fake.reset()


async def _lived(number: int, url: str, key: str, folder: Path) -> None:
    settings: dict[str, Any] = {}
    if number % _LEDGER_EVERY == 0:
        settings["state"] = {"ledger": f"sqlite:///{folder}/{number}.db"}
    gateway = Gateway(
        providers={"openai": {"base_url": url, "api_key": key}}, keys=["k"], environ={},
        cache={"enabled": number % 3 == 0}, transport="httpx" if number % 5 == 0 else "aiohttp", **settings,
    )  # fmt: skip
    host = Starlette(routes=[Mount("/ai", gateway)], lifespan=gateway.lifespan)
    async with AsyncExitStack() as stack:
        if number % 2:
            await stack.enter_async_context(host.router.lifespan_context(host))
        # Without a lifespan of the host the loop's end is the gateway's.
        async with gateway.client(api_key="k") as client:
            await _used(client, number)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(host), base_url="http://host", headers=KEY
        ) as client:
            answer = await client.post("/ai/v1/chat/completions", json=BODY)
            assert answer.status_code == 200, answer.text


async def _used(client: httpx.AsyncClient, number: int) -> None:
    async with client.stream("POST", "/v1/chat/completions", json={**BODY, "stream": True}) as response:
        assert response.status_code == 200
        async for _ in response.aiter_bytes():
            if number % 4 == 0:
                break


def mounted(cycles: int, warm: int, *, progress: Any = None) -> tuple[Weight, Weight]:
    """The process's weight after `warm` cycles, and after `cycles` more."""
    fake = FakeOpenAI()
    with tempfile.TemporaryDirectory(prefix="cgw-mounts-") as folder, FakeServer(fake) as server:
        place = Path(folder)
        for number in range(warm):
            cycle(number, server.base_url, fake, place)
        before = weigh()
        for number in range(cycles):
            cycle(number + warm, server.base_url, fake, place)
            if progress is not None and number % 100 == 99:
                progress(f"mounts: {number + 1} cycles")
        return before, weigh()


async def run_mounts(verdict: Verdict, options: Options) -> None:
    """The run. Each cycle has a loop of its own, so all of it happens in a thread that has none."""
    verdict.heading(f"{options.mounts} times mounted and taken down")
    before, after = await asyncio.to_thread(mounted, options.mounts, _WARM, progress=verdict.progress)
    verdict.figure(f"before: {before}")
    verdict.figure(f"after:  {after}")
    verdict.claim(after.tasks <= before.tasks, f"no task is left ({before.tasks}, then {after.tasks})")
    verdict.claim(after.threads <= before.threads, f"no thread is left ({before.threads}, then {after.threads})")
    verdict.claim(after.sockets <= before.sockets, f"no socket is left ({before.sockets}, then {after.sockets})")
    verdict.claim(after.files <= before.files, f"no descriptor is left ({before.files}, then {after.files})")
    verdict.claim(after.loops <= before.loops, f"no event loop is left ({before.loops}, then {after.loops})")
    verdict.claim(after.gateways <= before.gateways, f"no gateway is left ({before.gateways}, then {after.gateways})")
    grown = after.memory - before.memory
    verdict.claim(grown <= _GROWTH, f"memory grew by {grown:.1f} MiB (at most {_GROWTH:.0f})")
