"""Forms on their way to upstreams: read from disk as they are sent, over whatever carries the call."""

import asyncio
import email
import email.policy
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import httpx2
import pytest

from compatgw.dialects.base import Outgoing
from compatgw.errors import GatewayError, UpstreamFailure
from compatgw.flow.uploads import Spool
from compatgw.upstream.client import Endpoint, UpstreamClient, read_all, read_refusal
from compatgw.wire.multipart import Form, Upload

KINDS = ["aiohttp", "httpx", "httpx2", "httpx of the host"]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=KINDS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[UpstreamClient]:
    """A client over each transport that reaches a socket."""
    host: Any = None
    if request.param == "httpx2":
        host = httpx2.AsyncClient(timeout=None)
    elif request.param == "httpx of the host":
        host = httpx.AsyncClient(timeout=30)
    made = UpstreamClient(
        transport="aiohttp" if request.param == "aiohttp" else "httpx", http_client=host, boundary=lambda: "bound-ary"
    )
    yield made
    await made.aclose()
    if host is not None:
        await host.aclose()


class Listening:
    """A server whose answers the test decides, once the head of a request has come."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.heads: list[dict[str, str]] = []
        self.left = asyncio.Event()

    async def __aenter__(self) -> "Listening":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.endpoint = Endpoint("up", f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        self.heads.append({name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)})
        try:
            await self._handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()


@pytest.fixture
def spools() -> Iterator[Callable[[bytes], Upload]]:
    """Makes files on disk."""
    made: list[Spool] = []

    def make(data: bytes) -> Upload:
        spool = Spool()
        spool.write(data)
        made.append(spool)
        return Upload("file", "a b.wav", "audio/wav", len(data), None, spool)

    yield make
    for spool in made:
        spool.close()


def form_of(*files: Upload) -> Outgoing:
    """A request that carries a form."""
    return Outgoing("/v1/audio", b"", (("X-A", "b"),), form=Form((("model", "m"), ("prompt", "ä")), files))


def check(head: dict[str, str], body: bytes, *files: bytes) -> None:
    """The parser of mails finds the form in a request."""
    assert head["content-length"] == str(len(body))
    assert "transfer-encoding" not in head
    assert head["x-a"] == "b"
    raw = f"Content-Type: {head['content-type']}\r\n\r\n".encode() + body
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    assert not message.defects
    parts = list(message.iter_parts())
    assert [part.get_payload(decode=True) for part in parts[:2]] == [b"m", "ä".encode()]
    assert [part.get_filename() for part in parts[2:]] == ["a b.wav"] * len(files)
    assert [part.get_payload(decode=True) for part in parts[2:]] == list(files)


async def test_a_form_arrives_with_its_length_and_every_byte(
    client: UpstreamClient, spools: Callable[[bytes], Upload]
) -> None:
    """Files from disk and from memory; it can be sent again, and is the same."""
    got: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(int(server.heads[-1]["content-length"])))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    # Digits, so that the judge, a parser of mails, takes no byte of it for a line end.
    large, small = os.urandom(600_000).hex().encode(), b"0123456789"
    outgoing = form_of(spools(large), Upload("file", "a b.wav", "audio/wav", len(small), small))
    async with Listening(handle) as server:
        for _ in range(2):
            reply = await client.send(server.endpoint, outgoing)
            assert await read_all(server.endpoint, reply, 100) == b"ok"
            await reply.aclose()
    assert got[0] == got[1]
    check(server.heads[0], got[0], large, small)


async def test_a_large_form_is_never_held_in_memory(client: UpstreamClient, spools: Callable[[bytes], Upload]) -> None:
    """40 MB go out piece by piece, all of them."""
    digest = hashlib.sha256()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = int(server.heads[-1]["content-length"])
        while left:
            data = await reader.read(65536)
            left -= len(data)
            digest.update(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    file = spools(b"0123456789abcdef" * 2_500_000)
    async with Listening(handle) as server:
        tracemalloc.start()
        try:
            reply = await client.send(server.endpoint, form_of(file))
            await reply.aclose()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 6_000_000
    assert len(digest.digest()) == 32


async def test_an_upstream_that_answers_early_and_reads_on_is_heard(
    client: UpstreamClient, spools: Callable[[bytes], Upload]
) -> None:
    """A refusal comes before the body was sent; most servers take the rest and throw it away."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
        while await reader.read(65536):
            pass

    async with Listening(handle) as server:
        reply = await client.send(server.endpoint, form_of(spools(bytes(30_000_000))))
        assert reply.status == 413
        assert await read_refusal(server.endpoint, reply) == b"too large"
        await reply.aclose()


@pytest.mark.parametrize("rest", ["closes", "waits"])
async def test_over_aiohttp_a_refusal_is_heard_whatever_the_upstream_does_then(
    spools: Callable[[bytes], Upload], rest: str
) -> None:
    """It closes, so that sending breaks, or neither reads nor closes: its sentence arrives all the same."""
    heard = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
        await writer.drain()
        if rest == "waits":
            await heard.wait()

    client = UpstreamClient(transport="aiohttp")
    async with Listening(handle) as server:
        reply = await client.send(server.endpoint, form_of(spools(bytes(30_000_000))))
        assert reply.status == 413
        assert await read_refusal(server.endpoint, reply) == b"too large"
        await reply.aclose()
        heard.set()
    await client.aclose()


async def test_an_upstream_that_closes_in_the_middle_is_a_failure(
    client: UpstreamClient, spools: Callable[[bytes], Upload]
) -> None:
    """Without an answer the connection has broken."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)

    async with Listening(handle) as server:
        with pytest.raises(UpstreamFailure) as caught:
            await client.send(server.endpoint, form_of(spools(bytes(30_000_000))))
        assert caught.value.status == 503


async def test_cancelling_ends_the_sending_at_once(client: UpstreamClient, spools: Callable[[bytes], Upload]) -> None:
    """The connection closes, and the file is left alone."""
    came, ended = asyncio.Event(), asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100_000)
        came.set()
        await go.wait()
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        ended.set()

    go = asyncio.Event()
    file = spools(bytes(50_000_000))
    async with Listening(handle) as server:
        task = asyncio.create_task(client.send(server.endpoint, form_of(file)))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        await asyncio.wait_for(ended.wait(), 5)
    assert file.source is not None
    assert file.source.read(0, 3) == bytes(3)


async def test_a_file_that_is_gone_is_not_the_upstreams_failure(
    client: UpstreamClient, spools: Callable[[bytes], Upload]
) -> None:
    """Nobody else would be asked in vain, and the upstream is not blamed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    file = spools(bytes(1_000_000))
    assert isinstance(file.source, Spool)
    file.source.close()
    async with Listening(handle) as server:
        with pytest.raises(GatewayError, match="disk") as caught:
            await client.send(server.endpoint, form_of(file))
    assert not isinstance(caught.value, UpstreamFailure)
    assert caught.value.status == 500


async def test_an_application_in_process_takes_it_piece_by_piece(spools: Callable[[bytes], Upload]) -> None:
    """It hears the length, and asks for each piece."""
    got: list[bytes] = []
    heads: list[dict[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heads.append({name.decode(): value.decode() for name, value in scope["headers"]})
        while True:
            message = await receive()
            got.append(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    data = os.urandom(1_000_000).hex().encode()
    client = UpstreamClient(boundary=lambda: "bound-ary")
    endpoint = Endpoint("up", "http://up", app=app)
    reply = await client.send(endpoint, form_of(spools(data)))
    assert await read_all(endpoint, reply, 100) == b"ok"
    await reply.aclose()
    assert max(map(len, got)) <= 256 * 1024
    check(heads[0], b"".join(got), data)


async def test_an_application_in_process_may_answer_early(spools: Callable[[bytes], Upload]) -> None:
    """Without reading anything."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    endpoint = Endpoint("up", "http://up", app=app)
    reply = await UpstreamClient().send(endpoint, form_of(spools(bytes(1_000_000))))
    assert (reply.status, await reply.chunk()) == (413, b"no")
    await reply.aclose()


def test_boundaries_are_new_each_time() -> None:
    """So that none stands in a file that somebody made for it."""
    from compatgw.upstream import client as module

    made = {module._boundary() for _ in range(100)}
    assert len(made) == 100
    assert all(len(word) <= 70 for word in made)
