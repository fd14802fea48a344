"""A fake on a real port."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, FakeServer
from compatgw_testing.faults import ConnectionCut, ConnectionReset
from tests.testing.driver import credentials, question


def test_start_serve_stop() -> None:
    """Answers as soon as `start` returns, and the thread is gone after `stop`."""
    fake = FakeOpenAI().reply("Hello")
    server = FakeServer(fake)

    server.start()
    answer = httpx.post(f"{server.base_url}/chat/completions", json=question("openai"), headers=credentials(fake))
    server.stop()
    server.stop()

    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert not [thread for thread in threading.enumerate() if thread.name == f"fake-{server.port}"]
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


def test_addresses() -> None:
    """The port is known before the start; each vendor's SDK has its own idea of a base URL."""
    urls = {}
    for fake in (FakeOpenAI(), FakeOpenAI(habit="groq"), FakeAnthropic(), FakeGemini(), FakeCohere()):
        with FakeServer(fake) as server:
            assert server.origin == f"http://127.0.0.1:{server.port}"
            urls[fake.dialect, fake.base_path] = server.sdk_url.removeprefix(server.origin)

    assert urls == {
        ("openai", "/v1"): "/v1",
        ("openai", "/openai/v1"): "/openai/v1",
        ("anthropic", "/v1"): "",
        ("gemini", "/v1beta"): "",
        ("cohere", ""): "",
    }


def test_a_stalled_call_does_not_hold_up_the_end() -> None:
    """The server stops while a client still waits."""
    fake = FakeOpenAI().fault("Hello", stall_after=1)
    with FakeServer(fake) as server, httpx.Client(timeout=20) as client:
        body, url = question("openai", stream=True), f"{server.base_url}/chat/completions"
        with client.stream("POST", url, json=body, headers=credentials(fake)) as answer:
            assert next(answer.iter_bytes()).startswith(b"data: ")
            before = time.monotonic()
            server.stop()

    assert time.monotonic() - before < 5


def test_two_runs_send_the_same_head() -> None:
    """No date and no server header: nothing in an answer depends on when it is given."""
    heads = []
    for _ in range(2):
        fake = FakeAnthropic()
        with FakeServer(fake) as server:
            answer = httpx.post(f"{server.base_url}/messages", json=question("anthropic"), headers=credentials(fake))
            heads.append(answer.headers.multi_items())

    assert heads[0] == heads[1]
    assert "date" not in dict(heads[0])


def test_lifespan_is_answered() -> None:
    """A host that insists on it may run it."""
    sent: list[str] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    asyncio.run(FakeOpenAI()({"type": "lifespan"}, receive, send))  # type: ignore[arg-type]

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="serves HTTP"):
        asyncio.run(FakeOpenAI()({"type": "websocket"}, receive, send))  # type: ignore[arg-type]


HEAD = {"type": "http.response.start", "status": 200, "headers": []}
SENT = b"x" * 1000


async def breaks(scope: Any, receive: Any, send: Any) -> None:
    """Sends a hundred pieces with nothing between them, then breaks as its path says."""
    if scope["path"] != "/unread":
        await receive()
    if "early" not in scope["path"] and scope["path"] != "/unread":
        await send(HEAD)
        for _ in range(100):
            await send({"type": "http.response.body", "body": SENT, "more_body": True})
    if "called" in scope["path"]:
        await scope["extensions"]["compatgw_testing"]["reset"]()
        return
    raise ConnectionReset("reset") if "reset" in scope["path"] else ConnectionCut("cut")


@contextmanager
def connected(server: FakeServer) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        yield connection


def heard(connection: socket.socket) -> tuple[bytes, str]:
    """What comes back, and how it ends: with a `fin` or a `rst`."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts), "rst"
    return b"".join(parts), "fin"


@pytest.mark.parametrize(
    ("path", "end", "bodies"),
    [
        ("/cut", "fin", 100),
        ("/reset", "rst", 100),
        ("/called", "rst", 100),
        ("/early", "fin", 0),
        ("/earlyreset", "rst", 0),
    ],
)
def test_a_broken_connection_has_brought_what_was_sent(path: str, end: str, bodies: int) -> None:
    """Every piece that was sent before the end arrives, with no time between them; the end is a real FIN or RST."""
    with FakeServer(breaks) as server, connected(server) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        data, ended = heard(connection)

    assert ended == end
    assert data.count(SENT) == bodies
    assert data.startswith(b"HTTP/1.1 200") == (bodies > 0)


def test_a_cut_right_after_the_head_has_a_head() -> None:
    """The head is not lost with the connection: the client has a status and then no end."""
    fake = FakeOpenAI().fault("Hello", cut_after=0)
    with FakeServer(fake) as server, httpx.Client() as client:
        request = client.build_request(
            "POST",
            f"{server.base_url}/chat/completions",
            json=question("openai", stream=True),
            headers=credentials(fake),
        )
        answer = client.send(request, stream=True)
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            answer.read()


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_a_slow_reader_loses_nothing(end: str) -> None:
    """More than the kernel holds is sent at once, to a client that reads late: it is all there before the break."""
    sent = threading.Event()
    size = 20_000_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**HEAD, "headers": [(b"content-length", b"99999999")]})
        await send({"type": "http.response.body", "body": b"y" * size, "more_body": True})
        sent.set()
        raise ConnectionCut("cut") if end == "fin" else ConnectionReset("reset")

    with FakeServer(app) as server, connected(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert sent.wait(5)
        data, ended = heard(connection)

    assert (data.count(b"y"), ended) == (size, end)


def test_a_request_that_nobody_read_is_no_reason_for_a_reset() -> None:
    """The client of a cut connection sees it closed, however much of its request the application has left unread."""
    with FakeServer(breaks) as server, connected(server) as connection:
        connection.sendall(b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n" + b"z" * 300_000)

        assert heard(connection) == (b"", "fin")


def test_many_applications_on_one_port() -> None:
    """By prefix from the start, or mounted while it serves; what is unmounted is answered 404, and told."""
    with FakeServer({"openai": FakeOpenAI().reply("one")}) as server:
        late = FakeAnthropic().reply("two")
        url = server.mount("/t1/anthropic", late)
        one = httpx.post(
            f"{server.origin}/openai/v1/chat/completions", json=question("openai"), headers=credentials(FakeOpenAI())
        )
        two = httpx.post(f"{url}/v1/messages", json=question("anthropic"), headers=credentials(late))
        server.unmount("/t1/anthropic")
        gone = httpx.post(f"{url}/v1/messages", json=question("anthropic"), headers=credentials(late))

    assert (one.status_code, two.status_code, gone.status_code) == (200, 200, 404)
    assert url == f"{server.origin}/t1/anthropic"
    assert gone.json()["error"]["code"] == "no_test_owns_this"
    assert list(server.roads.strays) == ["POST /t1/anthropic/v1/messages"]
    assert (server.base_url, server.sdk_url) == (server.origin, server.origin)


def test_a_port_can_refuse_for_a_while() -> None:
    """The kernel refuses new connections, idle ones are closed, and the same port serves again, twice."""
    with (
        FakeServer(FakeOpenAI()) as server,
        httpx.Client(base_url=server.base_url) as client,
        connected(server) as idle,
    ):
        before = client.get("/models").status_code
        for _ in range(2):
            with server.refusing():
                assert idle.recv(1) == b""
                with pytest.raises(httpx.ConnectError):
                    client.get("/models")
                with pytest.raises(ConnectionRefusedError), connected(server):
                    pass
            assert client.get("/models").status_code == before == 401


def test_a_call_in_flight_outlives_a_refusal() -> None:
    """It was accepted, so it is answered; then its connection is closed."""
    started, go = threading.Event(), threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(HEAD)
        started.set()
        await asyncio.to_thread(go.wait, 5)
        await send({"type": "http.response.body", "body": b"done", "more_body": False})

    with FakeServer(app) as server, httpx.Client() as client:
        with client.stream("GET", server.origin) as answer:
            assert started.wait(5)
            with server.refusing():
                go.set()
                assert answer.read() == b"done"
        assert client.get(server.origin).text == "done"


def test_a_server_may_stop_while_it_refuses() -> None:
    """Nothing is left behind, and the port is free."""
    server = FakeServer(FakeOpenAI()).start()
    with server.refusing():
        server.stop()

    with FakeServer(FakeOpenAI(), port=server.port) as again:
        assert httpx.get(f"{again.base_url}/models").status_code == 401


def test_a_failing_application_is_logged_here_and_not_by_uvicorn(caplog: pytest.LogCaptureFixture) -> None:
    """It is answered 500 as by any server; the loggers of a uvicorn under test are as they were."""
    logger = logging.getLogger("uvicorn.error")
    level, handlers = logger.level, list(logger.handlers)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("of the application")

    with FakeServer(app) as server:
        answer = httpx.get(server.origin)

    assert answer.status_code == 500
    assert [record.name for record in caplog.records if record.exc_info] == ["compatgw_testing.server"]
    assert (logger.level, list(logger.handlers)) == (level, handlers)


def test_a_port_that_is_taken() -> None:
    """It is said at once, by whoever asks for it, and nothing is left open."""
    with FakeServer(FakeOpenAI()) as server, pytest.raises(OSError, match="in use"):
        FakeServer(port=server.port)


def test_addresses_of_other_hosts() -> None:
    """A server for every address is reached by the loopback one."""
    with FakeServer(FakeOpenAI(), host="0.0.0.0") as server:
        assert server.origin == f"http://127.0.0.1:{server.port}"
        assert httpx.get(f"{server.base_url}/models").status_code == 401


def test_starting_and_stopping_is_cheap() -> None:
    """Twenty servers come and go, each with a call, in two seconds at most."""
    before = time.monotonic()
    for _ in range(20):
        with FakeServer(FakeOpenAI()) as server, connected(server) as connection:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 401"

    assert time.monotonic() - before < 2
