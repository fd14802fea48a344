"""`disconnects`: clients that leave at any moment of streams and plain calls, and what is left behind.

Most calls are made in this process, as servers make them: a client that leaves is told of, its task is cancelled,
or sending to it fails. Some pay, through a ledger; some share calls, through a cache; some come over real sockets
and end them with a FIN or a RST. Their upstreams stall, are slow or answer well, so that there is always something
that has to be let go.

What does not live here: what those who leave are charged (`wallet.py`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import struct
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from compatgw import Gateway
from compatgw.state.base import UsageRow
from compatgw.state.sql import SqlLedger
from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, FakeServer
from compatgw_testing.harness import KEY, gateway_over
from compatgw_testing.script import fault, reply
from tests.bench.processes import memory
from tests.flow.wall import MODELS, scope_of, wall
from tests.soak.verdict import some

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from compatgw_testing import Fake
    from compatgw_testing.script import Step
    from tests.flow.wall import Wall
    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

ROUND = 10_000
BATCH = 500
AT_ONCE = 64
TEXT = "Eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf."
# Of twenty batches: so many over sockets, so many with money, so many with a cache; the others as they are.
_SOCKETS, _PAYING, _SHARING = 2, 1, 5
# Clients in a row that ask the same, so that they share a call where there is a cache.
_ALIKE = 8
# Seconds after which a call whose client left is said to hang.
_HUNG = 20.0
# MiB that memory may grow by after the first round, in all rounds together: what an allocator keeps varies.
_GROWTH = 12.0
_RST = struct.pack("ii", 1, 0)

Leaving = Literal["told", "cancelled", "broken"]
_WAYS: tuple[Leaving, ...] = ("told", "cancelled", "broken")


@dataclass(slots=True)
class Count:
    """How the calls ended.

    Attributes:
        left: Clients that left before the end. whole: Answers that were there before.
        hung: Calls that did not end although their client had left. begun: All calls.
    """

    left: int = 0
    whole: int = 0
    hung: list[str] = field(default_factory=list)
    begun: int = 0

    def asked(self) -> int:
        """The number of one more call."""
        self.begun += 1
        return self.begun


@dataclass(frozen=True, slots=True)
class Weight:
    """What the process holds on to.

    Attributes:
        tasks: Of all loops, not done. files: Open descriptors. sockets: Those of them that are sockets.
        memory: Resident, in MiB.
    """

    tasks: int
    files: int
    sockets: int
    memory: float

    def __str__(self) -> str:
        return f"{self.tasks} tasks, {self.files} descriptors, {self.sockets} of them sockets, {self.memory:.1f} MiB"


def weigh() -> Weight:
    """The process now, without what only waits to be collected."""
    gc.collect()
    tasks = sum(isinstance(one, asyncio.Task) and not one.done() for one in gc.get_objects())
    places = []
    for link in Path("/proc/self/fd").iterdir():
        # The descriptor of this very listing is gone by now.
        with suppress(OSError):
            places.append(str(link.readlink()))
    sockets = sum(place.startswith("socket:") for place in places)
    return Weight(tasks, len(places), sockets, memory(os.getpid()) / 2**20)


class Errors(logging.Handler):
    """What asyncio and the gateway log as errors: exceptions that nobody took, tasks that were lost."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the first line."""
        self.said.append(record.getMessage().partition("\n")[0])


def steps(random: Random) -> Step:
    """What upstreams do for one batch: stall somewhere, be slow to begin, or answer well."""
    answer = reply(TEXT, usage=(11, 12))
    kind = random.random()
    if kind < 0.6:
        return fault(answer, stall_after=random.randrange(16))
    return fault(answer, slow=3600.0) if kind < 0.75 else answer


def body_of(random: Random, models: Mapping[str, str], number: int) -> tuple[dict[str, Any], bool]:
    """A request, and whether it wants events; a few in a row ask the same."""
    stream = random.random() < 0.6
    body: dict[str, Any] = {
        "model": random.choice(list(models.values())),
        "messages": [{"role": "user", "content": f"Zähl bis {number // _ALIKE}."}],
        "stream": stream,
    }
    if random.random() < 0.2:
        body["fallback"] = [random.choice(list(models.values()))]
    return body, stream


# --- in this process ---


async def leave(app: Gateway, key: str, random: Random, models: Mapping[str, str], count: Count) -> None:
    """One call whose client leaves after some turns of the loop, or some of what it is sent."""
    body, stream = body_of(random, models, count.asked())
    how, gone = random.choice(_WAYS), asyncio.Event()
    sends = random.randrange(1, 14) if stream and random.random() < 0.6 else None
    given, sent, over = iter([json.dumps(body).encode()]), 0, False

    async def receive() -> dict[str, Any]:
        if (piece := next(given, None)) is not None:
            return {"type": "http.request", "body": piece, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent, over
        if gone.is_set():
            if how == "broken":
                raise OSError("the client is gone")
            return
        sent += 1
        over = over or (message["type"] == "http.response.body" and not message.get("more_body", False))
        if sent == sends and not over:
            gone.set()
            if how == "broken":
                raise OSError("the client is gone")
        await asyncio.sleep(0)

    task = asyncio.ensure_future(app(scope_of(key), receive, send))
    waiting = asyncio.ensure_future(gone.wait())
    if sends is None:
        for _ in range(random.randrange(80)):
            await asyncio.sleep(0)
    else:
        # Whoever waits for more than comes leaves all the same.
        await asyncio.wait((task, waiting), timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
    gone.set()
    if how == "cancelled":
        task.cancel()
    _, late = await asyncio.wait((task,), timeout=_HUNG)
    await waiting
    if late:
        count.hung.append(f"{body['model']} {how}")
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        count.hung.append(f"{body['model']} {how}: {error!r}")
    count.left += not over
    count.whole += over


# --- over sockets ---


async def hang_up(origin: str, random: Random, models: Mapping[str, str], count: Count) -> None:
    """One call over a connection that ends after some bytes, or some milliseconds."""
    body, _ = body_of(random, models, count.asked())
    data = json.dumps(body).encode()
    host, _, port = origin.removeprefix("http://").partition(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {KEY}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    reader, writer = await asyncio.open_connection(host, int(port))
    got, until = b"", random.randrange(4000)
    try:
        writer.write(head.encode() + data)
        async with asyncio.timeout(random.random() * 0.08):
            while len(got) < until and (piece := await reader.read(until - len(got))):
                got += piece
    except TimeoutError:
        pass
    finally:
        if random.random() < 0.5:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    whole = got.endswith(b"0\r\n\r\n") or (
        b"content-length" in got.lower() and b"\r\n\r\n{" in got and got[-1:] == b"}"
    )
    count.left += not whole
    count.whole += whole


# --- the run ---


def _fakes() -> dict[str, Fake]:
    return {"openai": FakeOpenAI(), "anthropic": FakeAnthropic(), "gemini": FakeGemini(), "cohere": FakeCohere()}


@dataclass(slots=True)
class _Place:
    """Where calls are made: a gateway, its fakes, and one call of a client that leaves."""

    name: str
    app: Gateway
    fakes: Mapping[str, Fake]
    one: Callable[[Random, Count], Awaitable[None]]

    async def batch(self, random: Random, count: Count, size: int) -> list[str]:
        """So many calls, some at a time; upstream calls that were not let go by their end."""
        step = steps(random)
        for fake in self.fakes.values():
            fake.always(step)
        left = iter(range(size))

        async def work() -> None:
            for _ in left:
                await self.one(random, count)

        await asyncio.gather(*[work() for _ in range(AT_ONCE)])
        for _ in range(100):
            pending = [str(call)[:80] for fake in self.fakes.values() for call in fake.calls if call.ended is None]
            if not pending and self.in_flight() == 0:
                break
            await asyncio.sleep(0.05)
        for fake in self.fakes.values():
            fake.reset()
        return pending

    def in_flight(self) -> int:
        """Calls that the gateway believes to be under way: by its door, its upstreams' health, and what is shared."""
        house = self.app._standing.house
        upstream = sum(seen.vitals.in_flight for seen in house.health)
        return self.app._standing.site.capacity.in_flight + upstream + len(house.streams) + len(house.answers)


def _in_process(name: str = "in process", **settings: Any) -> _Place:
    fakes = _fakes()
    app = gateway_over(fakes, options=settings)

    async def one(random: Random, count: Count) -> None:
        await leave(app, KEY, random, MODELS, count)

    return _Place(name, app, fakes, one)


def _paying(made: Wall) -> _Place:
    names = {name: name for name in MODELS}

    async def one(random: Random, count: Count) -> None:
        await leave(made.app, made.key, random, names, count)

    return _Place("with money", made.app, made.fakes, one)


def _on_sockets(stack: ExitStack) -> _Place:
    fakes = _fakes()
    upstream = stack.enter_context(FakeServer(fakes))
    providers = {
        name: {"base_url": f"{upstream.origin}/{name}{fake.base_path}", "api_key": fake.api_key}
        for name, fake in fakes.items()
    }
    app = gateway_over(options={"providers": providers})
    server = stack.enter_context(FakeServer(app))

    async def one(random: Random, count: Count) -> None:
        await hang_up(server.origin, random, MODELS, count)

    return _Place("over sockets", app, fakes, one)


async def run_disconnects(verdict: Verdict, options: Options) -> None:
    """The run."""
    verdict.heading(f"disconnects: {options.disconnects} clients that leave, {AT_ONCE} at a time, seed {options.seed}")
    random, errors = Random(options.seed), Errors()
    loggers = [logging.getLogger(name) for name in ("asyncio", "compatgw", "compatgw_testing.server")]
    with ExitStack() as stack:
        for logger in loggers:
            logger.addHandler(errors)
            stack.callback(logger.removeHandler, errors)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="cgw-soak-"))
        url = f"sqlite:///{Path(folder, 'ledger.db')}"
        paying = await _wall(url)
        sharing = _in_process("with a cache", cache={"enabled": True, "memory": 2**20})
        places = [_in_process(), _paying(paying), sharing, _on_sockets(stack)]
        counts = {place.name: Count() for place in places}
        weights, kept, busy = await _rounds(verdict, options.disconnects, random, places, counts)
        _claim_weights(verdict, weights)
        for name, count in counts.items():
            verdict.figure(f"{name}: {count.left} clients left, {count.whole} had their answer before")
        hung = [each for count in counts.values() for each in count.hung]
        verdict.claim(not hung, f"every call ended once its client had left{some(hung)}")
        verdict.claim(not kept, f"every upstream call was let go{some(kept)}")
        verdict.claim(not busy, f"the gateways count nothing as under way afterwards{some(busy)}")
        await _claim_settled(verdict, paying, counts["with money"])
        for place in places:
            await place.app.aclose()
    verdict.claim(not errors.said, f"nobody logged an error ({len(errors.said)}){some(errors.said, 2)}")


async def _wall(url: str) -> Wall:
    ledger = SqlLedger(url, upgrade=True)
    await ledger.open()
    await ledger.aclose()
    made = wall(url)
    await made.open()
    return made


async def _rounds(
    verdict: Verdict, target: int, random: Random, places: list[_Place], counts: Mapping[str, Count]
) -> tuple[list[Weight], list[str], list[str]]:
    """Until so many have left: weights after each round, upstream calls that were kept, gateways that are busy."""
    turns = _turns(*places)
    weights, kept, busy = [weigh()], [], []
    verdict.figure(f"{0:7} left: {weights[0]}")
    number = 0
    while (left := sum(count.left for count in counts.values())) < target:
        place = turns[number % len(turns)]
        kept += await place.batch(random, counts[place.name], min(BATCH, target - left))
        number += 1
        left = sum(count.left for count in counts.values())
        if left // ROUND >= len(weights) or left >= target:
            busy += [f"{place.name}: {place.in_flight()}" for place in places if place.in_flight()]
            weights.append(weigh())
            verdict.figure(f"{left:7} left: {weights[-1]}")
        elif number % 5 == 0:
            verdict.progress(f"{left} left")
    return weights, kept, busy


def _turns(free: _Place, paying: _Place, sharing: _Place, sockets: _Place) -> list[_Place]:
    """Twenty batches: whose each is."""
    others = [sockets] * _SOCKETS + [paying] * _PAYING + [sharing] * _SHARING
    return [*others, *[free] * (20 - len(others))]


def _claim_weights(verdict: Verdict, weights: list[Weight]) -> None:
    """After the first round, when all that is made once is made."""
    first, last = weights[1], weights[-1]
    verdict.claim(last.tasks <= first.tasks, f"no task is left over: {first.tasks} after the first round, {last.tasks}")
    verdict.claim(
        last.files <= first.files + 4,
        f"no descriptor is left over: {first.files} after the first round ({first.sockets} sockets), {last.files} "
        f"({last.sockets})",
    )
    grown = last.memory - first.memory
    verdict.claim(grown < _GROWTH, f"memory grew by {grown:.1f} MiB after the first round, of {_GROWTH:g} allowed")


async def _claim_settled(verdict: Verdict, paying: Wall, count: Count) -> None:
    records = paying.app._standing.records
    assert records is not None
    await paying.app.aclose()
    rows: list[UsageRow] = []
    cursor = None
    while True:
        page = await records.ledger.page(UsageRow, cursor=cursor, limit=1000)
        rows += page.items
        if (cursor := page.cursor) is None:
            break
    wallet = await records.ledger.wallet("t1")
    assert wallet is not None
    charged = sum(row.charge for row in rows)
    ids = {row.request for row in rows}
    verdict.claim(wallet.reserved == 0, f"nothing is reserved any more ({wallet.reserved:f})")
    verdict.claim(len(ids) == len(rows), f"no call is recorded twice ({len(rows)} rows)")
    verdict.claim(
        len(rows) <= count.left + count.whole, f"{len(rows)} of {count.left + count.whole} calls got as far as a record"
    )
    verdict.claim(wallet.balance + charged == 100_000, f"what was charged, {charged:f}, is what the wallet lacks")
    await records.ledger.aclose()
