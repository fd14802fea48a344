"""Recording listens and does not disturb: chunks pass at once, breaks break, and the tape has all of it."""

import asyncio
import gzip
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openai
import pytest

from compatgw_testing import FakeServer
from compatgw_testing.cassettes.record import Recorder, Tape
from compatgw_testing.cassettes.replay import Replay
from compatgw_testing.doors import inprocess
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused
from tests.testing.cassettes.upstreams import CHAT, CHUNKS, EVENTS, HI, Upstream, by_hand, drink

ENVIRONMENT = {"OPENAI_BASE_URL": "http://upstream.test/base/v1"}


def recorder(upstream: Any, **environment: str) -> Recorder:
    """A recorder in front of an application in this process."""
    ticks = itertools.count()
    return Recorder(
        Tape(clock=lambda: next(ticks) / 1000),
        environment=environment or ENVIRONMENT,
        connect=lambda: inprocess.client(upstream, library="httpx"),
    )


def client(app: Any) -> httpx.AsyncClient:
    """A client in this process."""
    return inprocess.client(app, library="httpx", timeout=5)


async def test_a_chunk_arrives_before_the_next_one_is_sent() -> None:
    """The client has the first chunk while the upstream still holds the second back."""
    gate = asyncio.Event()
    app = recorder(Upstream(gate=gate))

    async with client(app) as http, http.stream("POST", CHAT, json=HI) as answer:
        chunks: AsyncIterator[bytes] = answer.aiter_raw()
        first = await anext(chunks)
        on_tape = [chunk.data for chunk in app.tape.interactions[0].chunks]
        gate.set()
        rest = [chunk async for chunk in chunks]

    assert first == CHUNKS[0]
    assert on_tape == [CHUNKS[0]]
    assert (first, *rest) == CHUNKS


async def test_the_tape_has_it_all() -> None:
    """The request as it was sent, the head, each chunk with its time, the end."""
    upstream = Upstream()
    app = recorder(upstream)

    async with client(app) as http:
        await http.post(f"{CHAT}?a=b%20c", json=HI, headers={"x-mine": "1"})

    (one,) = app.tape.interactions
    assert (one.request.method, one.request.service, one.request.path) == ("POST", "openai", "/v1/chat/completions")
    assert one.request.query == (("a", "b c"),)
    assert ("x-mine", "1") in one.request.headers
    assert json.loads(one.request.body) == HI
    assert one.head is not None
    assert (one.head.status, dict(one.head.headers)["x-request-id"]) == (200, "req-1")
    assert tuple(chunk.data for chunk in one.chunks) == CHUNKS
    times = [one.head.t_ms, *(chunk.t_ms for chunk in one.chunks), one.end.t_ms]
    assert times == sorted(times)
    assert one.end.kind == "eof"


async def test_the_upstream_is_asked_as_it_would_have_been() -> None:
    """Below the user's own base URL, with the user's own key; only for bytes that are not packed."""
    upstream = Upstream()

    async with client(recorder(upstream)) as http:
        headers = {"authorization": "Bearer real", "accept-encoding": "gzip", "connection": "keep-alive", "te": "x"}
        await http.post(f"{CHAT}?a=b", json=HI, headers=headers)

    assert upstream.paths == ["/base/v1/chat/completions?a=b"]
    asked, body = upstream.asked[0]
    assert json.loads(body) == HI
    assert asked["authorization"] == "Bearer real"
    assert asked["accept-encoding"] == "identity"
    assert "te" not in asked
    assert asked["host"] == "upstream.test"


async def test_an_upstream_that_packs_anyway_is_unpacked() -> None:
    """And nothing on the tape, or at the client, speaks of what was packed."""
    packed = gzip.compress(EVENTS)
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip", "content-length": str(len(packed))}
    app = recorder(Upstream(packed, headers=headers))

    async with client(app) as http:
        answer = await http.post(CHAT, json=HI)

    assert answer.content == EVENTS
    assert not {"content-encoding", "content-length"} & set(answer.headers)
    (one,) = app.tape.interactions
    assert one.body == EVENTS
    assert one.head is not None
    assert [name for name, _ in one.head.headers] == ["content-type"]


@pytest.mark.parametrize(
    ("failure", "kind", "error"),
    [
        (ConnectionCut("x"), "cut", httpx.RemoteProtocolError),
        (ConnectionReset("x"), "reset", httpx.ReadError),
    ],
)
async def test_a_break_is_recorded_and_passed_on(failure: ConnectionError, kind: str, error: type[Exception]) -> None:
    """As the break that it was, after everything that came before it; and replayed as the same."""
    app = recorder(Upstream(failure=failure))
    got: list[bytes] = []

    async with client(app) as http:
        with pytest.raises(error):
            await drink(http, got)

    (one,) = app.tape.interactions
    assert tuple(got) == CHUNKS
    assert tuple(chunk.data for chunk in one.chunks) == CHUNKS
    assert (one.end.kind, one.end.error) == (kind, error.__name__)
    again: list[bytes] = []
    async with client(Replay([one])) as http:
        with pytest.raises(error):
            await drink(http, again)
    assert again == got


async def test_a_connection_that_cannot_be_made() -> None:
    """There is no head; the client and the replay see what they would have seen."""

    async def refusing(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ConnectRefused("x")

    app = recorder(refusing)

    async with client(app) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(CHAT, json=HI)

    (one,) = app.tape.interactions
    assert (one.head, one.chunks, one.end.kind) == (None, (), "refused")
    async with client(Replay([one])) as http:
        with pytest.raises(httpx.ConnectError):
            await http.post(CHAT, json=HI)


async def test_a_client_that_leaves_takes_the_upstream_along() -> None:
    """The tape has what came until then, and that it was the client who left."""
    upstream = Upstream(gate=asyncio.Event())
    app = recorder(upstream)

    async with client(app) as http, http.stream("POST", CHAT, json=HI) as answer:
        assert await anext(answer.aiter_raw()) == CHUNKS[0]

    async with asyncio.timeout(5):
        await upstream.cancelled.wait()
    (one,) = app.tape.interactions
    assert one.end.kind == "client_closed"
    assert one.body == CHUNKS[0]


async def test_a_client_that_leaves_after_the_last_event_has_heard_it_all() -> None:
    """SDKs do not wait for the end of the connection; the answer was complete all the same."""
    upstream = Upstream()
    app = recorder(upstream)

    async with client(app) as http, http.stream("POST", CHAT, json=HI) as answer:
        chunks = answer.aiter_raw()
        got = [await anext(chunks) for _ in CHUNKS]

    assert tuple(got) == CHUNKS
    assert app.tape.interactions[0].end.kind == "eof"


async def test_a_service_that_stands_nowhere() -> None:
    """The client is told in the envelope of its dialect which variable is missing; nothing is recorded."""
    app = recorder(Upstream())

    async with client(app) as http:
        answer = await http.post("/azure/openai/v1/chat/completions", json=HI)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "no_upstream"
    assert "AZURE_OPENAI_ENDPOINT" in answer.json()["error"]["message"]
    assert app.tape.interactions == ()


async def sdk_sees(origin: str) -> list[Any]:
    """What OpenAI's SDK makes of the stream: each of its chunks."""
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{origin}/openai/v1", max_retries=0) as sdk:
        stream = await sdk.chat.completions.create(**HI, stream=True)  # type: ignore[call-overload]
        return [chunk.model_dump() async for chunk in stream]


async def httpx_sees(origin: str) -> list[Any]:
    """What httpx reads: each chunk."""
    async with (
        httpx.AsyncClient(timeout=5) as http,
        http.stream("POST", origin + CHAT, json={**HI, "stream": True}) as a,
    ):
        return [chunk async for chunk in a.aiter_raw()]


async def socket_sees(origin: str) -> list[Any]:
    """What goes over the wire: each chunk of HTTP's own."""
    seen = await by_hand(origin, CHAT, {**HI, "stream": True})
    assert seen.complete
    return seen.chunks


@pytest.mark.parametrize("sees", [sdk_sees, httpx_sees, socket_sees])
async def test_recorded_and_replayed_are_the_same_to_every_client(sees: Callable[[str], Any]) -> None:
    """Over real sockets on both sides: the same events, cut at the same places, as the upstream sent them."""
    with FakeServer(Upstream()) as upstream:
        tape = Tape()
        environment = {"OPENAI_BASE_URL": f"{upstream.origin}/v1"}
        with FakeServer(Recorder(tape, environment=environment)) as server:
            live = await sees(server.origin)
    with FakeServer(Replay(tape.interactions)) as server:
        replayed = await sees(server.origin)

    assert replayed == live
    assert tuple(chunk.data for chunk in tape.interactions[0].chunks) == CHUNKS
    if sees is sdk_sees:
        assert "".join(one["choices"][0]["delta"]["content"] or "" for one in live) == "café ☕"
    else:
        assert tuple(live) == CHUNKS


async def test_a_cut_over_sockets_is_a_cut() -> None:
    """The connection that the upstream closes in the middle is closed in the middle, live and replayed."""
    with FakeServer(Upstream(failure=ConnectionCut("x"))) as upstream:
        tape = Tape()
        environment = {"OPENAI_BASE_URL": f"{upstream.origin}/v1"}
        with FakeServer(Recorder(tape, environment=environment)) as server:
            live = await by_hand(server.origin, CHAT, HI)
    with FakeServer(Replay(tape.interactions)) as server:
        replayed = await by_hand(server.origin, CHAT, HI)

    assert live == replayed
    assert (live.complete, tuple(live.chunks)) == (False, CHUNKS)
    assert tape.interactions[0].end.kind == "cut"
