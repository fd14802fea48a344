"""One suite over the three transports: whatever carries a call, the same happens."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import httpx2
import pytest

from compatgw.upstream.aio import AiohttpTransport
from compatgw.upstream.hx import HttpxTransport, new_client
from compatgw.upstream.inprocess import InProcessTransport
from compatgw.upstream.transport import Call, Transport, TransportFailed, TransportTimeout

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def transports() -> dict[str, Callable[[], Transport]]:
    """Every transport that reaches a socket."""
    return {
        "aiohttp": AiohttpTransport,
        "httpx": lambda: HttpxTransport(new_client(), owned=True),
        "httpx2": lambda: HttpxTransport(httpx2.AsyncClient(timeout=None), owned=True),
    }


@pytest.fixture(params=["aiohttp", "httpx", "httpx2"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """Each of them in turn."""
    made = transports()[request.param]()
    yield made
    await made.aclose()


class Server:
    """A socket server whose every byte the test decides."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[bytes] = []
        self.left = asyncio.Event()

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")), 0
        )
        self.requests.append(head + (await reader.readexactly(length) if length else b""))
        try:
            await self._handler(reader, writer)
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()


def answering(data: bytes) -> Handler:
    """A handler that writes `data` and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return handle


def call(url: str, body: bytes = b"{}", **changes: Any) -> Call:
    """A call to `url`."""
    values: dict[str, Any] = {
        "method": "POST", "headers": (("Content-Type", "application/json"), ("X-Secret", "s3cret")),
        "connect_timeout": 5.0, **changes,
    }  # fmt: skip
    return Call(url=url, body=body, **values)


async def everything(transport: Transport, request: Call) -> bytes:
    """The whole body of an answer."""
    reply = await transport.send(request)
    parts = []
    try:
        while data := await reply.chunk():
            parts.append(data)
    finally:
        await reply.aclose()
    return b"".join(parts)


async def test_status_headers_and_body_arrive(transport: Transport) -> None:
    """The head comes apart from the body, header names are asked for in lower case."""
    async with Server(answering(b"HTTP/1.1 418 Tea\r\nX-Pot: Brown\r\nContent-Length: 5\r\n\r\nhello")) as server:
        reply = await transport.send(call(server.url + "/v1/chat", b'{"a":1}'))
        assert reply.status == 418
        assert reply.headers.get("x-pot") == "Brown"
        assert await reply.chunk() == b"hello"
        assert await reply.chunk() == b""
        await reply.aclose()
        await reply.aclose()
    assert server.requests[0].startswith(b"POST /v1/chat HTTP/1.1\r\n")
    assert server.requests[0].endswith(b'\r\n\r\n{"a":1}')


async def test_a_large_body_arrives_whole_with_its_length(transport: Transport) -> None:
    """Bodies of megabytes are written piece by piece, never in chunked framing."""
    body = b"[" + b"1," * 1_000_000 + b"1]"
    async with Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as server:
        assert await everything(transport, call(server.url, body)) == b""
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert sent == body
    assert b"transfer-encoding" not in head.lower()


async def test_the_path_and_query_are_sent_as_they_are(transport: Transport) -> None:
    """A quoted model id is not quoted a second time, nor unquoted."""
    async with Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as server:
        await everything(transport, call(server.url + "/models/a%2Fb:generate?alt=sse"))
    assert server.requests[0].split(b" ")[1] == b"/models/a%2Fb:generate?alt=sse"


async def test_a_redirect_is_an_answer_and_is_not_followed(transport: Transport) -> None:
    """A credential never goes where an upstream points."""
    async with Server(
        answering(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    ) as server:
        reply = await transport.send(call(server.url))
        assert reply.status == 307
        await reply.aclose()
    assert len(server.requests) == 1


async def test_compressed_answers_are_decompressed(transport: Transport) -> None:
    """Some servers compress whatever was asked for."""
    import gzip

    data = gzip.compress(b"hello " * 100)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    async with Server(answering(head + data)) as server:
        assert await everything(transport, call(server.url)) == b"hello " * 100


async def test_chunks_come_as_they_are_written(transport: Transport) -> None:
    """The second chunk is only written when the first has been read."""
    read = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        await read.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
        await writer.drain()

    async with Server(handle) as server:
        reply = await transport.send(call(server.url))
        assert await reply.chunk() == b"one"
        read.set()
        assert await reply.chunk() == b"two"
        assert await reply.chunk() == b""
        await reply.aclose()


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\none",
    ],
)
async def test_an_answer_that_breaks_off_is_a_failure(transport: Transport, data: bytes) -> None:
    """Half an answer is never taken for a whole one."""
    async with Server(answering(data)) as server:
        with pytest.raises(TransportFailed):
            await everything(transport, call(server.url))


@pytest.mark.parametrize("data", [b"", b"not HTTP at all\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
async def test_an_answer_that_is_not_http_is_a_failure(transport: Transport, data: bytes) -> None:
    """Nothing, and garbage, are told apart from answers."""
    async with Server(answering(data)) as server:
        with pytest.raises(TransportFailed):
            await everything(transport, call(server.url))


async def test_a_refused_connection_is_a_failure_that_names_no_address(transport: Transport) -> None:
    """Callers learn that the upstream is out of reach, not where it is."""
    async with Server(answering(b"")) as server:
        url = server.url
    with pytest.raises(TransportFailed) as caught:
        await transport.send(call(url))
    assert "127.0.0.1" not in str(caught.value)


async def test_a_connection_that_does_not_stand_in_time_is_a_time_out(transport: Transport) -> None:
    """A full backlog is the usual cause; here the socket listens and nobody accepts."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        with pytest.raises(TransportTimeout):
            await transport.send(call(f"http://127.0.0.1:{port}/", connect_timeout=0.05))
        for filler in fillers:
            filler.close()


async def test_cancelling_a_call_closes_its_connection_at_once(transport: Transport) -> None:
    """An upstream hears of it while it is still thinking."""
    asked, left = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        left.set()

    async with Server(handle) as server:
        task = asyncio.create_task(transport.send(call(server.url)))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)


async def test_closing_an_answer_early_closes_its_connection(transport: Transport) -> None:
    """A stream that nobody reads on is not left open."""
    left = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await writer.drain()
        await reader.read()
        left.set()

    async with Server(handle) as server:
        reply = await transport.send(call(server.url))
        assert await reply.chunk() == b"one"
        await reply.aclose()
        await asyncio.wait_for(left.wait(), 5)


async def test_a_call_shows_no_credential(transport: Transport) -> None:
    """Neither in its repr nor in that of an answer."""
    async with Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as server:
        request = call(server.url + "?key=s3cret")
        reply = await transport.send(request)
        assert "s3cret" not in repr(request) + repr(reply)
        await reply.aclose()


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators behind a proxy set it the usual way."""
    async with Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        for make in (AiohttpTransport, lambda: HttpxTransport(new_client(), owned=True)):
            made = make()
            assert await everything(made, call("http://upstream.invalid/v1")) == b"ok"
            await made.aclose()
    assert [request.split(b" ")[1] for request in proxy.requests] == [b"http://upstream.invalid/v1"] * 2


@pytest.mark.parametrize("kind", ["aiohttp", "httpx", "httpx2"])
async def test_a_certificate_that_nobody_signed_is_refused(kind: str, self_signed: ssl.SSLContext) -> None:
    """TLS is verified."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=self_signed)
    port = server.sockets[0].getsockname()[1]
    made = transports()[kind]()
    with pytest.raises(TransportFailed):
        await made.send(call(f"https://127.0.0.1:{port}/"))
    await made.aclose()
    server.close()


@pytest.fixture
def self_signed(tmp_path: Any) -> ssl.SSLContext:
    """A server's TLS with a certificate made on the spot."""
    import subprocess

    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_an_application_in_process_streams_piece_by_piece() -> None:
    """The application waits until each piece was taken."""
    sent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
        for number in range(5):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body", "body": b""})

    reply = await InProcessTransport(app).send(call("http://app/x"))
    assert reply.headers["x-a"] == "b"
    assert await reply.chunk() == b"0"
    assert len(sent) <= 2
    assert [await reply.chunk() for _ in range(5)] == [b"1", b"2", b"3", b"4", b""]
    await reply.aclose()


async def test_an_application_that_fails_is_a_failed_connection() -> None:
    """Before its head, and after it."""

    async def before(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no")

    async def after(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("no")

    with pytest.raises(TransportFailed):
        await InProcessTransport(before).send(call("http://app/"))
    with pytest.raises(TransportFailed):
        await everything(InProcessTransport(after), call("http://app/"))


async def test_an_application_hears_that_its_client_left() -> None:
    """Closing the answer ends it."""
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    reply = await InProcessTransport(app).send(call("http://app/"))
    await reply.aclose()
    assert ended.is_set()


def test_only_httpx_clients_are_taken() -> None:
    """A wrong object is refused where it is given."""
    with pytest.raises(TypeError, match="http_client"):
        HttpxTransport(object(), owned=False)


def test_a_subclass_of_either_client_is_recognised() -> None:
    """Hosts give clients of their own."""

    class Mine(httpx.AsyncClient):
        pass

    assert HttpxTransport(Mine(), owned=False).name == "httpx"
    assert HttpxTransport(httpx2.AsyncClient(), owned=False).name == "httpx2"
