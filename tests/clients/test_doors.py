"""Whatever is asked, a client in this process gets what one on a socket gets: status, headers, bytes, and how it ends."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Ended, Gateway
from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.harness import gateway_over
from tests.canned import gateway
from tests.clients.doors import DOORS, LIBRARIES, Door, over_socket, through
from tests.gated import GatedUpstream
from tests.sdk.conftest import MODELS

HI = [{"role": "user", "content": "Hi"}]
CHAT = "/v1/chat/completions"


def long(body: Any, size: int = 7) -> list[bytes]:
    """A JSON body that comes in parts, one of them empty."""
    data = orjson.dumps(body)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [*parts[:2], b"", *parts[2:]]


def chat(name: str, **members: Any) -> dict[str, Any]:
    """A chat request to an upstream."""
    return {"json": {"model": MODELS[name], "messages": HI, **members}}


JSON = {"content-type": "application/json"}
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}
# Name to method, path and request.
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    **{f"chat {name}": ("POST", CHAT, chat(name)) for name in MODELS},
    **{f"stream {name}": ("POST", CHAT, chat(name, **STREAMED)) for name in MODELS},
    "a body in parts": ("POST", CHAT, {"content": long(chat("openai")["json"]), "headers": JSON}),
    "a body in parts, streamed": ("POST", CHAT, {"content": long(chat("gemini", stream=True)["json"]), "headers": JSON}),
    "messages": ("POST", "/v1/messages", chat("cohere", max_tokens=9)),
    "messages streamed": ("POST", "/v1/messages", chat("anthropic", max_tokens=9, stream=True)),
    "count tokens": ("POST", "/v1/messages/count_tokens", chat("anthropic")),
    "responses": ("POST", "/v1/responses", {"json": {"model": MODELS["gemini"], "input": "Hi", "store": False}}),
    "responses streamed": (
        "POST", "/v1/responses", {"json": {"model": MODELS["openai"], "input": "Hi", "stream": True, "store": False}},
    ),
    "embeddings": ("POST", "/v1/embeddings", {"json": {"model": "openai/text-embedding-3-small", "input": ["a", "b"]}}),
    "rerank": (
        "POST", "/v1/rerank",
        {"json": {"model": "cohere/rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 1}},
    ),
    "moderations": ("POST", "/v1/moderations", {"json": {"model": "openai/omni-moderation-latest", "input": "Hi"}}),
    "image": ("POST", "/v1/images/generations", {"json": {"model": "openai/gpt-image-1", "prompt": "a cat"}}),
    "speech": (
        "POST", "/v1/audio/speech", {"json": {"model": "openai/gpt-4o-mini-tts", "voice": "alloy", "input": "Hi"}},
    ),
    "a form": (
        "POST", "/v1/audio/transcriptions",
        {
            "data": {"model": "openai/gpt-4o-transcribe"},
            "files": {"file": ("a.wav", b"RIFF\0\0\0\0WAVEfmt " + bytes(300_000), "audio/wav")},
            "headers": {"content-type": "multipart/form-data; boundary=b"},
        },
    ),
    "models": ("GET", "/v1/models", {}),
    "a model": ("GET", "/v1/models/openai/gpt-4o-mini", {}),
    "a head": ("HEAD", "/v1/models", {}),
    "a query": ("GET", "/v1/models?x=%C3%A4&y=a%20b", {}),
    "health": ("GET", "/healthz", {}),
    "no key": ("POST", CHAT, {**chat("openai"), "key": None}),
    "a wrong key": ("POST", CHAT, {**chat("openai"), "key": "wrong"}),
    "nothing there": ("GET", "/v1/nothing/%2Fhere", {}),
    "wrong method": ("DELETE", CHAT, {}),
    "preflight": ("OPTIONS", CHAT, {"headers": {"origin": "https://a.example", "access-control-request-method": "POST"}}),
    "no body": ("POST", CHAT, {"headers": JSON}),
    "no JSON": ("POST", CHAT, {"content": b"{", "headers": JSON}),
    "no such model": ("POST", CHAT, {"json": {"model": "nobody/x", "messages": HI}}),
    "a wrong member": ("POST", CHAT, chat("openai", temperature="warm")),
    "too large": ("POST", CHAT, {"content": b"x" * 200_001, "headers": JSON}),
    "too large, in parts": ("POST", CHAT, {"content": long("x" * 300_000, 50_000), "headers": JSON}),
}  # fmt: skip


def world() -> Gateway:
    """A gateway over four fakes, the same one every time."""
    return gateway_over(
        {"openai": FakeOpenAI(), "anthropic": FakeAnthropic(), "gemini": FakeGemini(), "cohere": FakeCohere()},
        options={"max_body": 200_000, "cors_origins": ["https://a.example"]},
    )


@pytest.mark.parametrize("name", sorted(ASKED))
async def test_the_same_through_every_door(name: str, serve: Callable[..., str]) -> None:
    """Of four clients in this process, each gets what one on a socket gets."""
    method, path, request = ASKED[name]
    expected = await over_socket(serve(world()), method, path, **request)
    assert not expected.broke
    for door in DOORS:
        seen = await through(door, world(), method, path, **request)
        assert seen == expected, str(door)


def broken(what: str) -> Gateway:
    """A gateway whose upstream fails in the middle of its answer."""
    fake = FakeOpenAI()
    if what == "speech":

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/mpeg")]})
            await send({"type": "http.response.body", "body": b"\xff\xfb" * 4096, "more_body": True})
            raise ConnectionResetError

        return Gateway(
            providers={"openai": {"app": app, "api_key": "k"}},
            keys=["test-key"],
            environ={},
            retries={"most": 0},
            clock=lambda: 1.0,
            ids=lambda: "same",
        )
    fake.fault("One two three four.", cut_after=3)
    return gateway_over(openai=fake)


BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (CHAT, chat("openai", stream=True)),
    "speech": ("/v1/audio/speech", {"json": {"model": "openai/tts-1", "voice": "alloy", "input": "Hi"}}),
}


@pytest.mark.parametrize("what", sorted(BROKEN))
async def test_what_breaks_off_breaks_off_in_the_same_way(what: str, serve: Callable[..., str]) -> None:
    """With its last event where the protocol has one, else with the library's own error; never as if it were whole."""
    path, request = BROKEN[what]
    expected = await over_socket(serve(broken(what)), "POST", path, **request)
    assert expected.status == 200
    assert expected.body
    assert expected.broke == ("RemoteProtocolError" if what == "speech" else "")
    assert b"[DONE]" not in expected.body
    for door in DOORS:
        assert await through(door, broken(what), "POST", path, **request) == expected, str(door)


@pytest.mark.parametrize("door", DOORS, ids=str)
async def test_every_kind_of_client_says_who_it_is(door: Door) -> None:
    """By its type: what the annotations promise."""
    module = LIBRARIES[door.library]
    client = door.client(world())
    assert isinstance(client, module.Client if door.sync else module.AsyncClient)
    assert str(client.base_url) == "http://gateway"
    if door.sync:
        client.close()
    else:
        await client.aclose()


@pytest.mark.parametrize("leaves", ["in the middle", "at the end"])
async def test_a_client_that_leaves_is_written_down_in_the_same_way(leaves: str, serve: Callable[..., str]) -> None:
    """With what it cost until then, whichever door it left through."""
    told: queue.SimpleQueue[Ended] = queue.SimpleQueue()

    async def read(lines: AsyncIterator[str]) -> None:
        async for line in lines:
            if leaves == "in the middle" and "word1" in line:
                return

    def read_now(lines: Iterator[str]) -> None:
        for line in lines:
            if leaves == "in the middle" and "word1" in line:
                return

    request: dict[str, Any] = {"json": {"model": "m", "messages": HI, "stream": True}}

    async def ended(door: Door | None) -> tuple[Any, ...]:
        up = GatedUpstream()
        up.let(2 if leaves == "in the middle" else 9)
        app = gateway(up, on_call=told.put)
        if door is None:
            async with (
                httpx.AsyncClient(base_url=serve(app), headers={"Authorization": "Bearer k"}) as client,
                client.stream("POST", CHAT, **request) as answer,
            ):
                await read(answer.aiter_lines())
        elif door.sync:

            def work() -> None:
                with door.client(app, api_key="k") as client, client.stream("POST", CHAT, **request) as answer:
                    read_now(answer.iter_lines())

            await asyncio.to_thread(work)
        else:
            async with door.client(app, api_key="k") as client, client.stream("POST", CHAT, **request) as answer:
                await read(answer.aiter_lines())
        seen = await asyncio.to_thread(told.get, timeout=5)
        return (seen.status, seen.code, seen.stream, seen.attempts, seen.input, seen.output, seen.estimated, seen.key)

    expected = await ended(None)
    assert expected[0] == (499 if leaves == "in the middle" else 200)
    for door in DOORS:
        assert await ended(door) == expected, str(door)
