"""The in-process door for any ASGI application, with httpx and httpx2, sync and async."""

import asyncio
import gc
import queue
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.doors import inprocess
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused, ReadTimedOut
from tests.testing.doors.sdks import each, entered, maybe

KINDS: list[tuple[Any, bool]] = [(library, sync) for library in ("httpx", "httpx2") for sync in (True, False)]
MODULES: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def piece(data: bytes, *, more: bool = True) -> dict[str, Any]:
    """One message of a body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


class Client:
    """Either kind of client of either library, with async verbs."""

    def __init__(self, library: Any, sync: bool) -> None:
        self.module, self.sync = MODULES[library], sync
        self._library = library
        self._made: list[Any] = []

    def over(self, app: Any, **options: Any) -> Any:
        """A client whose requests go to `app`."""
        client = inprocess.client(app, library=self._library, sync=self.sync, **options)
        self._made.append(client)
        return client

    async def aclose(self) -> None:
        """Ends them all."""
        for one in self._made:
            await maybe(one.close() if self.sync else one.aclose())

    def raw(self, answer: Any) -> Any:
        """The pieces of an answer, as they arrive."""
        return answer.iter_raw() if self.sync else answer.aiter_raw()


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]}-{'sync' if kind[1] else 'async'}")
async def http(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Each kind of client in turn."""
    client = Client(*request.param)
    yield client
    await client.aclose()


async def test_a_piece_is_seen_when_it_is_sent(http: Client) -> None:
    """The application sends each piece only after the client has told it that the one before is there."""
    told: queue.SimpleQueue[None] = queue.SimpleQueue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        for number in range(4):
            if number:
                await asyncio.to_thread(told.get, timeout=5)
            await send(piece(b"%d" % number, more=number < 3))

    got = []
    async with entered(http.over(app).stream("GET", "/")) as answer:
        assert answer.status_code == 200
        async for data in each(http.raw(answer)):
            got.append(data)
            told.put(None)

    assert got == [b"0", b"1", b"2", b"3"]


async def test_an_application_waits_for_its_reader(http: Client) -> None:
    """Two pieces are on the way at most: one that waits to be read, one that waits for room."""
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/count":
            for _ in range(50):
                await asyncio.sleep(0)
            await send(HEAD)
            await send(piece(b"%d" % len(sent), more=False))
            return
        await send(HEAD)
        for number in range(100):
            sent.append(number)
            await send(piece(b"x", more=number < 99))

    client = http.over(app)
    async with entered(client.stream("GET", "/")) as answer:
        pieces = http.raw(answer)
        async for _ in each(pieces):
            break
        count = int((await maybe(client.get("/count"))).text)
        await maybe(pieces.close() if http.sync else pieces.aclose())

    assert count <= 3


async def test_one_that_is_left_is_told_and_may_end(http: Client) -> None:
    """It hears of it from `receive`, and is not cancelled then."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            seen.append((await receive())["type"])
            await send(HEAD)
            await send(piece(b"one"))
            seen.append((await receive())["type"])
            await send(piece(b"nobody reads this"))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        seen.append("ended")

    async with entered(http.over(app).stream("GET", "/")) as answer:
        async for _ in each(http.raw(answer)):
            break

    assert seen == ["http.request", "http.disconnect", "ended"]


async def test_one_that_does_not_listen_is_cancelled(http: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it waits for something else, or only sends."""
    monkeypatch.setattr("compatgw_testing.doors.exchange.GRACE", 0.05)
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(HEAD)
            await send(piece(b"one"))
            while scope["path"] == "/sends":
                await send(piece(b"more"))
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(scope["path"])
            raise

    client = http.over(app)
    for path in ("/waits", "/sends"):
        async with entered(client.stream("GET", path)) as answer:
            async for _ in each(http.raw(answer)):
                break

    assert seen == ["/waits", "/sends"]


FAILURES: list[tuple[BaseException, bool, str]] = [
    (ConnectionCut("x"), True, "RemoteProtocolError"),
    (ConnectionCut("x"), False, "RemoteProtocolError"),
    (ConnectionReset("x"), True, "ReadError"),
    (ConnectionReset("x"), False, "ReadError"),
    (ConnectRefused("x"), False, "ConnectError"),
    (ReadTimedOut("x"), True, "ReadTimeout"),
    (ReadTimedOut("x"), False, "ReadTimeout"),
    (ZeroDivisionError("x"), True, "RemoteProtocolError"),
    (ZeroDivisionError("x"), False, "RemoteProtocolError"),
    (asyncio.CancelledError("x"), True, "RemoteProtocolError"),
]


@pytest.mark.parametrize(("failure", "started", "expected"), FAILURES, ids=str)
async def test_a_failure_is_the_librarys_own(
    http: Client, failure: BaseException, started: bool, expected: str
) -> None:
    """What breaks the application breaks the answer, with the request on the error and the failure as its cause."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if started:
            await send(HEAD)
            await send(piece(b"one"))
        raise failure

    got: list[bytes] = []

    async def read() -> None:
        async with entered(http.over(app).stream("GET", "/here")) as answer:
            async for data in each(http.raw(answer)):
                got.append(data)  # noqa: PERF401 - what came before the failure counts

    with pytest.raises(getattr(http.module, expected)) as caught:
        await read()

    assert got == ([b"one"] if started else [])
    assert caught.value.__cause__ is failure
    assert caught.value.request.url.path == "/here"


async def _silent(scope: Any, receive: Any, send: Any) -> None:
    """Answers nothing."""


async def _short(scope: Any, receive: Any, send: Any) -> None:
    """Ends in the middle."""
    await send(HEAD)
    await send(piece(b"one"))


async def _too_little(scope: Any, receive: Any, send: Any) -> None:
    """Sends less than it promised."""
    await send({**HEAD, "headers": [(b"Content-Length", b"10")]})
    await send(piece(b"one", more=False))


async def _too_much(scope: Any, receive: Any, send: Any) -> None:
    """Sends more than it promised."""
    await send({**HEAD, "headers": [(b"content-length", b"2")]})
    await send(piece(b"one", more=False))


async def _headless(scope: Any, receive: Any, send: Any) -> None:
    """Forgets the head."""
    await send(piece(b"one", more=False))


async def _two_heads(scope: Any, receive: Any, send: Any) -> None:
    """Sends two heads."""
    await send(HEAD)
    await send(HEAD)


@pytest.mark.parametrize("app", [_silent, _short, _too_little, _too_much, _headless, _two_heads])
async def test_an_answer_that_is_not_whole_is_broken(http: Client, app: Callable[..., Any]) -> None:
    """As a server would break the connection."""
    with pytest.raises(http.module.RemoteProtocolError, match="the application failed"):
        await maybe(http.over(app).get("/"))


async def test_a_bodiless_answer_has_no_body(http: Client) -> None:
    """HEAD and 204: what is sent is not seen, and the length is of what would have been."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**HEAD, "status": 204 if scope["path"] == "/none" else 200, "headers": [(b"content-length", b"9")]})
        await send(piece(b"something" if scope["path"] != "/none" else b"", more=False))

    client = http.over(app)
    head, none = await maybe(client.head("/")), await maybe(client.get("/none"))

    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "9")
    assert (none.status_code, none.content) == (204, b"")


async def test_what_an_application_is_told(http: Client) -> None:
    """Method, path, query, headers and body, as on a socket; and that time is virtual."""
    scopes: list[Any] = []
    bodies = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        bodies.append(await receive())
        await send(HEAD)
        await send(piece(b"", more=False))

    client = http.over(app, timeout=7)
    await maybe(client.post("/models/a%2Fb:do?x=1&y=%20", content=b"hello", headers={"X-One": "1"}))
    await maybe(http.over(app, virtual=False, timeout=None).get("https://other.test:444/"))

    first, second = scopes
    assert (first["method"], first["scheme"], first["server"]) == ("POST", "http", ("fake.test", 80))
    assert (first["path"], first["raw_path"]) == ("/models/a/b:do", b"/models/a%2Fb:do")
    assert first["query_string"] == b"x=1&y=%20"
    assert (b"x-one", b"1") in first["headers"]
    assert all(name == name.lower() for name, _ in first["headers"])
    assert bodies[0] == {"type": "http.request", "body": b"hello", "more_body": False}
    assert first["extensions"] == {"compatgw_testing": {"virtual": True, "read_timeout": 7}}
    assert (second["scheme"], second["server"]) == ("https", ("other.test", 444))
    assert second["extensions"] == {"compatgw_testing": {"virtual": False, "read_timeout": None}}


async def test_an_application_that_knows_no_virtual_time_times_out_in_real_time(http: Client) -> None:
    """The client's read timeout holds, before the head and after it; the application is ended."""
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send(HEAD)
        assert (await receive())["type"] == "http.request"
        ended.append((await receive())["type"])

    client = http.over(app, timeout=0.05)
    for path in ("/never", "/late"):
        with pytest.raises(http.module.ReadTimeout, match="nothing came for 0"):
            await maybe(client.get(path))

    assert ended == ["http.disconnect"] * 2


async def test_what_runs_after_the_answer_is_waited_for(http: Client) -> None:
    """A background task has run when the client has read the answer; its failure is not the client's."""
    done = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await send(piece(b"one", more=False))
        await asyncio.sleep(0)
        done.append(scope["path"])
        raise RuntimeError("in the background")

    answer = await maybe(http.over(app).get("/"))

    assert (answer.text, done) == ("one", ["/"])


async def test_leaving_a_complete_answer_is_no_leaving(http: Client) -> None:
    """A client that closes without having read the last piece of a complete answer cancels nothing."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(HEAD)
            await send(piece(b"one", more=False))
            seen.append("sent")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with entered(http.over(app).stream("GET", "/")) as answer:
        async for _ in each(http.raw(answer)):
            break

    assert seen == ["sent"]


async def test_what_runs_long_after_the_answer_is_not_cancelled(http: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work after a complete answer goes on while the client lives, though nobody waits for it for long."""
    monkeypatch.setattr("compatgw_testing.doors.exchange.GRACE", 0.05)
    seen, go = [], threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await send(piece(b"one", more=False))
        while not go.is_set():  # noqa: ASYNC110 - set in another thread
            await asyncio.sleep(0.001)
        seen.append("ended")

    assert (await maybe(http.over(app).get("/"))).text == "one"
    assert not seen
    go.set()
    await http.aclose()

    assert seen == ["ended"]


async def test_context_variables_reach_the_application(http: Client) -> None:
    """It sees what was set where the request was made."""
    word: ContextVar[str] = ContextVar("word", default="unset")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        await send(piece(word.get().encode(), more=False))

    word.set("set")
    assert (await maybe(http.over(app).get("/"))).text == "set"


class Living:
    """An application with a lifespan."""

    def __init__(self, *, fails: str = "") -> None:
        self.phases: list[str] = []
        self._fails = fails

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Keeps something for its requests."""
        if scope["type"] == "http":
            await send(HEAD)
            await send(piece(scope["state"].get("kept", "nothing").encode(), more=False))
            return
        scope["state"]["kept"] = "something"
        for phase in ("startup", "shutdown"):
            self.phases.append((await receive())["type"])
            ending = "failed" if phase == self._fails else "complete"
            await send({"type": f"lifespan.{phase}.{ending}", "message": "no database"})


async def test_a_lifespan_runs_if_it_is_asked_for(http: Client) -> None:
    """Once before the first request and once at the end; not at all unless asked for."""
    app, other = Living(), Living()
    async with entered(http.over(app, lifespan=True)) as client:
        texts = [(await maybe(client.get("/"))).text for _ in range(2)]
        before = list(app.phases)
    without = (await maybe(http.over(other).get("/"))).text

    assert texts == ["something"] * 2
    assert before == ["lifespan.startup"]
    assert app.phases == ["lifespan.startup", "lifespan.shutdown"]
    assert (without, other.phases) == ("nothing", [])


async def test_a_start_up_that_fails_is_told(http: Client) -> None:
    """With the application's own words, or with what it raised."""

    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("nope")

    with pytest.raises(RuntimeError, match="startup: no database"):
        await maybe(http.over(Living(fails="startup"), lifespan=True).get("/"))
    with pytest.raises(RuntimeError, match="nope"):
        await maybe(http.over(raises, lifespan=True).get("/"))


async def test_closing_a_client_ends_what_is_open(http: Client) -> None:
    """An answer that nobody reads to its end, nor closes, ends with the client."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        await send(HEAD)
        seen.append((await receive())["type"])

    client = http.over(app)
    await maybe(client.send(client.build_request("GET", "/"), stream=True))
    await http.aclose()

    assert seen == ["http.disconnect"]


def test_a_loop_may_end_while_an_answer_is_open() -> None:
    """An event loop that ends with an unread answer does not wait for somebody to read it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        for _ in range(9):
            await send(piece(b"nobody reads this"))

    async def leave() -> None:
        client = inprocess.client(app)
        await client.send(client.build_request("GET", "/"), stream=True)

    thread = threading.Thread(target=asyncio.run, args=(leave(),), daemon=True)
    thread.start()
    thread.join(5)

    assert not thread.is_alive()


def test_closing_wakes_a_reader_in_another_thread() -> None:
    """It gets an error of its library, rather than wait for ever."""
    reads = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        reads.set()
        assert (await receive())["type"] == "http.request"
        await receive()

    client = inprocess.client(app, library="httpx", sync=True, timeout=None)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(client.get, "/")
        assert reads.wait(5)
        client.close()
        with pytest.raises(httpx.ReadError, match="was closed"):
            reading.result(5)


def test_a_forgotten_client_leaves_no_thread() -> None:
    """A sync client that nobody closed ends its thread when it is collected."""
    client = inprocess.client(FakeOpenAI(), sync=True)
    client.get("/v1/models")
    (thread,) = [one for one in threading.enumerate() if one.name == "in-process application"]

    del client
    gc.collect()
    thread.join(5)

    assert not thread.is_alive()


def test_a_sync_client_is_not_for_its_own_loop() -> None:
    """An application that calls itself through the same client is told, where it would hang for ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client.get("/again")

    client = inprocess.client(app, library="httpx", sync=True)
    with client, pytest.raises(httpx.RemoteProtocolError, match="cannot wait for its own event loop"):
        client.get("/")


def test_a_library_is_imported_when_it_is_asked_for() -> None:
    """The module itself needs neither; one that is missing is named, with how to get it."""
    code = """
import sys
sys.modules["httpx2"] = None
from compatgw_testing.doors import inprocess
assert "httpx" not in sys.modules
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 201})
    await send({"type": "http.response.body"})
assert inprocess.client(app, library="httpx", sync=True).get("/").status_code == 201
for make in (inprocess.client, inprocess.transport):
    try:
        make(app)
    except ModuleNotFoundError as missing:
        assert "pip install httpx2" in str(missing), missing
    else:
        raise SystemExit("httpx2 was found")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr


def test_the_twins_are_alike() -> None:
    """What is mended in the transports of one library is mended in the other's."""
    folder = Path(inprocess.__file__).parent
    one, other = ((folder / f"on_{name}.py").read_text("utf-8") for name in ("httpx", "httpx2"))

    assert one.replace("httpx2", "httpx") == other.replace("httpx2", "httpx")
