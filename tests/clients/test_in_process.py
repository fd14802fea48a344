"""Clients without a socket: bodies stream both ways, nobody runs ahead, and leaving, waiting and closing work."""

import asyncio
import contextvars
import gc
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

from compatgw import Gateway
from compatgw.client import client as client_of
from compatgw.client import sync_client as sync_client_of
from compatgw_testing import FakeOpenAI
from compatgw_testing.harness import KEY, gateway_over
from tests.canned import FINISH, ROLE, STREAM, WORD, Canned, ask, completion, gateway
from tests.clients.doors import DOORS, LIBRARIES, Door, coming
from tests.gated import GatedUpstream, event

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
CHAT = "/v1/chat/completions"


def piece(data: bytes, *, more: bool = True) -> dict[str, Any]:
    """One message of an answer."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def nothing() -> None:
    """Closes what is closed already."""


def over(door: Door, app: Any) -> Any:
    """A client of any application."""
    library: Any = door.library
    return sync_client_of(app, library, None, nothing) if door.sync else client_of(app, library, None)


class Body:
    """A request body of counted parts.

    Attributes:
        made: How many were asked for.
        threads: Where.
    """

    def __init__(self, count: int, size: int = 1000, then: Exception | None = None) -> None:
        self.made = 0
        self.threads: set[int] = set()
        self._count, self._size, self._then = count, size, then

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self._count):
            self.made += 1
            self.threads.add(threading.get_ident())
            yield b"x" * self._size
        if self._then is not None:
            raise self._then


async def doing(door: Door, client: Any, work: Callable[[Any], Any]) -> Any:
    """What `work` gives with a client of this door: in a thread, or awaited."""
    if door.sync:
        with client:
            return await asyncio.to_thread(work, client)
    async with client:
        return await work(client)


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_a_request_body_is_taken_as_it_is_made(door: Door) -> None:
    """The application sees each part while at most two further ones exist, in the place where the caller makes them."""
    body = Body(50)
    ahead: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got, more = 0, True
        assert (b"transfer-encoding", b"chunked") in scope["headers"]
        assert not any(name == b"content-length" for name, _ in scope["headers"])
        while more:
            message = await receive()
            more = message["more_body"]
            if message["body"]:
                got += 1
                ahead.append(body.made - got)
        await send(HEAD)
        await send(piece(b"%d" % got, more=False))

    answer = await doing(door, over(door, app), lambda client: client.post("/", content=coming(body, door.sync)))
    assert answer.content == b"50"
    assert max(ahead) <= 2
    assert len(body.threads) == 1
    if not door.sync:
        assert body.threads == {threading.get_ident()}


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_an_answer_is_not_made_faster_than_it_is_read(door: Door) -> None:
    """One piece waits at most, however fast the application is."""
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        for number in range(50):
            sent.append(number)
            await send(piece(b"%02d" % number))
        await send(piece(b"", more=False))

    def check(read: int) -> None:
        assert len(sent) - read <= 3

    def work(client: Any) -> int:
        with client.stream("GET", "/") as answer:
            for read, part in enumerate(answer.iter_raw()):
                assert part == b"%02d" % read
                check(read)
        return len(sent)

    async def work_async(client: Any) -> int:
        async with client.stream("GET", "/") as answer:
            read = 0
            async for part in answer.aiter_raw():
                assert part == b"%02d" % read
                check(read)
                read += 1
        return len(sent)

    assert await doing(door, over(door, app), work if door.sync else work_async) == 50


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_what_the_callers_own_body_raises_is_the_callers(door: Door) -> None:
    """The very exception comes out, and the application learns that its client is gone."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
            told.put("disconnect")
        except asyncio.CancelledError:
            told.put("cancelled")
            raise

    oops = OSError("the disk is gone")
    with pytest.raises(OSError, match="the disk is gone") as caught:
        await doing(
            door, over(door, app), lambda client: client.post("/", content=coming(Body(3, then=oops), door.sync))
        )
    assert caught.value is oops
    assert told.get(timeout=5) in ("disconnect", "cancelled")


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_an_upload_that_is_refused_early_is_not_read_to_its_end(door: Door) -> None:
    """A gateway that has said 413 takes no more of it."""
    body = Body(10_000, size=10_000)
    app = gateway(Canned(completion()), max_body=100_000)
    headers = {"content-type": "application/json"}
    client = door.client(app, api_key="k")
    answer = await doing(
        door, client, lambda client: client.post(CHAT, content=coming(body, door.sync), headers=headers)
    )
    assert answer.status_code == 413
    assert body.made < 20


@pytest.mark.parametrize("library", sorted(LIBRARIES))
async def test_a_cancelled_call_is_cancelled_upstream(library: Any) -> None:
    """While the caller waits for the head, and in the middle of an upload."""
    up = Canned(then="hang", status=0)
    async with gateway(up).client(library, api_key="k") as client:
        task = asyncio.ensure_future(client.post(CHAT, json=ask()))
        await up.began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(up.ended.wait(), 5)

    began, over = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            over.set()

    async with client_of(app, library, None) as client:
        task = asyncio.ensure_future(client.post("/", content=coming(Body(10), sync=False)))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert over.is_set()


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_leaving_a_stream_ends_it_upstream(door: Door) -> None:
    """After the first words."""
    up = GatedUpstream()
    up.let(2)

    def work(client: Any) -> bytes:
        with client.stream("POST", CHAT, json=ask(stream=True)) as answer:
            for part in answer.iter_raw():
                return bytes(part)
        return b""

    async def work_async(client: Any) -> bytes:
        async with client.stream("POST", CHAT, json=ask(stream=True)) as answer:
            async for part in answer.aiter_raw():
                return bytes(part)
        return b""

    app = gateway(up)
    closed: threading.Event = threading.Event()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            closed.set()

    client = over(door, watched)
    client.headers["authorization"] = "Bearer k"
    assert await doing(door, client, work if door.sync else work_async)
    assert closed.wait(5)


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_a_timeout_of_the_caller_holds(door: Door) -> None:
    """For the head, between two pieces, and for a body that nobody takes; with the library's own errors."""
    module = LIBRARIES[door.library]

    async def mute(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async def stalls(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await send(piece(b"a"))
        await asyncio.Event().wait()

    with pytest.raises(module.ReadTimeout):
        await doing(door, over(door, mute), lambda client: client.get("/", timeout=0.02))
    with pytest.raises(module.ReadTimeout):
        await doing(door, over(door, stalls), lambda client: client.get("/", timeout=0.02))
    with pytest.raises(module.WriteTimeout):
        await doing(
            door, over(door, mute), lambda client: client.post("/", content=coming(Body(9), door.sync), timeout=0.02)
        )


@pytest.mark.parametrize("door", DOORS, ids=str)
@pytest.mark.parametrize("when", ["before", "within", "early end", "cancelled"])
async def test_an_application_that_fails_is_a_broken_connection(door: Door, when: str) -> None:
    """An answer that has no end is no answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if when == "before":
            raise ValueError("broken")
        await send(HEAD)
        await send(piece(b"a"))
        if when == "within":
            raise ValueError("broken")
        if when == "cancelled":
            raise asyncio.CancelledError

    with pytest.raises(LIBRARIES[door.library].RemoteProtocolError):
        await doing(door, over(door, app), lambda client: client.get("/"))


# --- without an event loop ---


@pytest.fixture
def fake() -> FakeOpenAI:
    """An upstream that makes its answers up."""
    return FakeOpenAI()


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_synchronous_client_needs_no_event_loop(library: Any, fake: FakeOpenAI) -> None:
    """Its thread begins with the first call and ends with the client."""
    before = threading.active_count()
    with gateway_over(openai=fake).sync_client(library, api_key=KEY) as client:
        assert threading.active_count() == before
        assert client.get("/v1/models").status_code == 200
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_the_synchronous_openai_sdk(fake: FakeOpenAI) -> None:
    """Plain, streamed, and a file that is uploaded."""
    fake.reply("Bonjour").reply("One two three")
    with gateway_over(openai=fake).openai(api_key=KEY) as ai:
        assert isinstance(ai, openai.OpenAI)
        messages: Any = [{"role": "user", "content": "Hi"}]
        got = ai.chat.completions.create(model="openai/gpt-4o-mini", messages=messages)
        assert got.choices[0].message.content == "Bonjour"
        stream = ai.chat.completions.create(model="openai/gpt-4o-mini", messages=messages, stream=True)
        words = [choice.delta.content for chunk in stream for choice in chunk.choices if choice.delta.content]
        assert "".join(words) == "One two three"
        assert len(words) > 1
        heard = ai.audio.transcriptions.create(model="openai/gpt-4o-transcribe", file=("a.wav", bytes(50_000)))
        assert heard.text


def test_a_synchronous_stream_is_seen_as_it_is_sent() -> None:
    """The upstream sends each event only after the caller has told it that the one before is there."""
    up = GatedUpstream()
    up.let(2)
    with (
        gateway(up).sync_client(api_key="k") as client,
        client.stream("POST", CHAT, json=ask(stream=True)) as answer,
    ):
        text = ""
        for line in answer.iter_lines():
            if '"content":"word' in line:
                text += line
                up.let(1)
            if "word4" in line:
                up.let(6)
    assert all(f"word{number}" in text for number in range(1, 5))
    assert event(1)


def test_threads_share_one_synchronous_client(fake: FakeOpenAI) -> None:
    """Sixteen of them, on one gateway, beside clients of their own and an event loop."""
    app = gateway_over(openai=fake)

    def call(client: Any, number: int) -> str:
        body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": f"Say {number}."}]}
        answer = client.post(CHAT, json=body)
        assert answer.status_code == 200
        return str(answer.json()["id"])

    def own(number: int) -> str:
        with app.sync_client(api_key=KEY) as client:
            return call(client, number)

    with app.sync_client(api_key=KEY) as shared, ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(lambda number: call(shared, number) if number % 2 else own(number), range(64)))
    assert len(set(ids)) == 64


async def test_a_synchronous_client_works_inside_a_running_loop(fake: FakeOpenAI) -> None:
    """In a notebook, say: it blocks the loop for its time, as any synchronous client does."""
    with gateway_over(openai=fake).sync_client(api_key=KEY) as client:
        assert client.get("/v1/models").status_code == 200


def test_a_synchronous_client_called_from_its_own_thread_says_so() -> None:
    """Rather than wait for itself for ever."""
    made: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        made[0].get("/")

    with sync_client_of(app, "httpx", None, nothing) as client:
        made.append(client)
        with pytest.raises(httpx.RemoteProtocolError) as caught:
            client.get("/")
    chain: BaseException | None = caught.value
    while chain is not None and not isinstance(chain, RuntimeError):
        chain = chain.__cause__
    assert "asynchronous" in str(chain)


def test_context_goes_along() -> None:
    """What the caller has set, such as a trace, is seen by what runs in the thread."""
    word: contextvars.ContextVar[str] = contextvars.ContextVar("word")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(word.get("none"))
        await send(HEAD)
        await send(piece(b"", more=False))

    with sync_client_of(app, "httpx", None, nothing) as client:
        word.set("here")
        client.get("/")
    assert seen == ["here"]


def test_closing_ends_what_is_under_way() -> None:
    """A stream that is left open, and a call that another thread waits for; the application hears of both."""
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    waiting = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            if scope["path"] == "/stream":
                await send(HEAD)
                await send(piece(b"a"))
            else:
                waiting.set()
            await asyncio.Event().wait()
        finally:
            ended.put(scope["path"])

    client = sync_client_of(app, "httpx", None, nothing)
    stream = client.send(client.build_request("GET", "/stream"), stream=True)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.get, "/call")
        assert waiting.wait(5)
        client.close()
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            call.result(5)
    assert {ended.get(timeout=5), ended.get(timeout=5)} == {"/stream", "/call"}
    with pytest.raises(httpx.TransportError):
        b"".join(stream.iter_raw())
    stream.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.get("/")


def test_a_client_that_is_forgotten_ends_its_thread(fake: FakeOpenAI) -> None:
    """And is not kept by it."""
    before = set(threading.enumerate())
    client: Any = gateway_over(openai=fake).sync_client(api_key=KEY)
    client.get("/healthz")
    [thread] = set(threading.enumerate()) - before
    kept = weakref.ref(client)
    del client
    gc.collect()
    assert kept() is None
    thread.join(5)
    assert not thread.is_alive()


SCRIPT = """
import sys

from compatgw import Gateway
from tests.canned import Canned, ask, completion

app = Gateway(
    providers={"up": {"app": Canned(completion()), "base_url": "http://upstream/v1", "auth": "none"}}, keys=["k"], environ={},
    state={"ledger": sys.argv[1]},
)
client = app.sync_client(api_key="k")
for _ in range(3):
    assert client.post("/v1/chat/completions", json=ask()).status_code == 200
"""


def test_a_process_that_ends_without_closing_loses_nothing(tmp_path: Any) -> None:
    """Its exit waits until what was used is written, and says nothing."""
    import sqlite3

    path = tmp_path / "ledger.db"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, f"sqlite:///{path}"],
        capture_output=True, text=True, timeout=40, cwd=Path.cwd(), env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM compatgw_usage").fetchone() == (3,)
    database.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_a_thread_of_its_own(fake: FakeOpenAI) -> None:
    """A client made before a server forks its workers works in each."""
    with gateway_over(openai=fake).sync_client(api_key=KEY) as client:
        assert client.get("/v1/models").status_code == 200
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if client.get("/v1/models").status_code == 200 else 1
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_an_asynchronous_client_that_is_closed_leaves_nothing_running() -> None:
    """A stream that nobody closed ends with it."""
    before = asyncio.all_tasks()
    up = Canned([ROLE, WORD, FINISH], kind=STREAM, then="hang")
    client: Any = gateway(up).client(api_key="k")
    answer = await client.send(client.build_request("POST", CHAT, json=ask(stream=True)), stream=True)
    await client.aclose()
    assert up.ended.is_set()
    assert asyncio.all_tasks() == before
    await answer.aclose()


def test_a_gateway_in_many_loops_and_threads_at_once(fake: FakeOpenAI) -> None:
    """Loops come and go while others work; none disturbs another."""
    app: Gateway = gateway_over(openai=fake)

    async def some() -> int:
        async with app.client("httpx2", api_key=KEY) as client:
            answers = [await client.get("/v1/models") for _ in range(5)]
        await app.aclose()
        return sum(answer.status_code == 200 for answer in answers)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: asyncio.run(some()), range(24))) == [5] * 24
    assert isinstance(app.sync_client("httpx2"), httpx2.Client)
