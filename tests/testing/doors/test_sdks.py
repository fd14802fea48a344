"""The official SDKs over every door: what they say and hear is the same, in process and on a socket."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Literal

import anthropic
import cohere
import httpx2
import openai
import pytest
from google.genai import errors as google

from compatgw import Gateway
from compatgw_testing import Fake, FakeOpenAI, FakeServer
from compatgw_testing.doors import inprocess
from tests.testing.doors.sdks import DOORS, TEXT, Door, Line, line, until
from tests.testing.driver import FAKES, MODELS

Connect = Callable[..., Awaitable[Line]]

STATUSES: dict[int, dict[str, type[Exception]]] = {
    400: {
        "openai": openai.BadRequestError,
        "anthropic": anthropic.BadRequestError,
        "gemini": google.ClientError,
        "cohere": cohere.BadRequestError,
    },
    404: {
        "openai": openai.NotFoundError,
        "anthropic": anthropic.NotFoundError,
        "gemini": google.ClientError,
        "cohere": cohere.NotFoundError,
    },
    429: {
        "openai": openai.RateLimitError,
        "anthropic": anthropic.RateLimitError,
        "gemini": google.ClientError,
        "cohere": cohere.TooManyRequestsError,
    },
    500: {
        "openai": openai.InternalServerError,
        "anthropic": anthropic.InternalServerError,
        "gemini": google.ServerError,
        "cohere": cohere.InternalServerError,
    },
}
REFUSED_KEY: dict[str, type[Exception]] = {
    "openai": openai.AuthenticationError,
    "anthropic": anthropic.AuthenticationError,
    "gemini": google.ClientError,
    "cohere": cohere.UnauthorizedError,
}


async def test_chat_stream_models(fake: Fake, connect: Connect) -> None:
    """A plain answer, a streamed one in pieces, and the list of models."""
    client = await connect(fake.reply("Hello").reply(TEXT))

    assert await client.chat() == "Hello"
    pieces = [piece async for piece in client.pieces() if piece]
    assert "".join(pieces) == TEXT
    assert len(pieces) == 4
    assert tuple(await client.models()) == fake.models
    await until(lambda: [call.outcome for call in fake.calls] == ["completed"] * 3)


@pytest.mark.parametrize("status", STATUSES)
async def test_an_error_is_of_its_class(fake: Fake, connect: Connect, status: int) -> None:
    """Each status, plain and streamed, raises what the SDK has for it."""
    client = await connect(fake.fail(status, times=2))

    with pytest.raises(STATUSES[status][fake.dialect]) as plain:
        await client.chat()
    with pytest.raises(STATUSES[status][fake.dialect]):
        await client.streamed()

    assert getattr(plain.value, "status_code", None) or getattr(plain.value, "code", None) == status


async def test_a_wrong_key_is_refused(fake: Fake, connect: Connect) -> None:
    """The key reaches the fake, and the refusal the caller."""
    client = await connect(fake, key="not-the-key-of-this-fake")

    with pytest.raises(REFUSED_KEY[fake.dialect]):
        await client.chat()


async def test_a_stream_that_is_closed_early_is_noticed(fake: Fake, door: Door, server: FakeServer) -> None:
    """The fake notes that the client left, and stops."""
    async with AsyncExitStack() as stack:
        client = await line(stack, door, fake.reply("word " * 500, rate=200), server)
        pieces = client.pieces()
        async for _ in pieces:
            break
        await pieces.aclose()  # type: ignore[attr-defined]
        if (fake.dialect, door.sync) == ("gemini", False):
            # google-genai 3 closes the answer of its async stream only with the client.
            assert fake.last.outcome == "pending"
            await stack.aclose()
        await until(lambda: fake.last.outcome == "client_closed")

    assert fake.last.sent < 100


@pytest.mark.parametrize("door", [door for door in DOORS if door.where == "process"], ids=str)
async def test_a_long_stall_takes_no_time_in_process(fake: Fake, connect: Connect) -> None:
    """Half a minute of nothing, under a timeout of twenty seconds, is that timeout at once."""
    client = await connect(fake.fault(TEXT, stall_after=2), patience=20)

    async with asyncio.timeout(5):
        outcome = await client.outcome(stream=True)

    assert "Timeout" in outcome
    assert fake.last.outcome == "client_closed"


@pytest.mark.parametrize("dialect", FAKES)
async def test_many_calls_at_once(dialect: str, server: FakeServer) -> None:
    """Thirty calls over one async client, in process and on a socket, each with its own answer."""
    for where in ("process", "socket"):
        fake = FAKES[dialect](seed=7).always("One two three")
        async with AsyncExitStack() as stack:
            door = Door("process" if where == "process" else "socket", sync=False)
            client = await line(stack, door, fake, server)
            answers = await asyncio.gather(*(client.streamed() if n % 2 else client.chat() for n in range(30)))

        assert answers == ["One two three"] * 30
        assert len({call.ordinal for call in fake.calls}) == 30


@pytest.mark.parametrize("where", ["process", "socket"])
async def test_a_gateway_behind_a_door(where: Literal["process", "socket"], server: FakeServer) -> None:
    """Any application goes behind a door: a client that leaves a real gateway leaves the fake behind that, too."""
    fake = FakeOpenAI().reply(TEXT).reply("word " * 500, rate=200)
    upstream = {"api_key": fake.api_key, "app": fake}
    gateway = Gateway(providers={"openai": upstream}, keys=["test-key"], environ={})
    async with AsyncExitStack() as stack:
        if where == "process":
            origin, http = inprocess.ORIGIN, await stack.enter_async_context(inprocess.client(gateway))
        else:
            origin, http = server.mount("gateway", gateway), await stack.enter_async_context(httpx2.AsyncClient())
            stack.callback(server.unmount, "gateway")
        sdk = openai.AsyncOpenAI(base_url=f"{origin}/v1", api_key="test-key", http_client=http, max_retries=0)
        client = Line("openai", sdk)
        assert await client.streamed() == TEXT
        pieces = client.pieces()
        async for _ in pieces:
            break
        await pieces.aclose()  # type: ignore[attr-defined]
        await until(lambda: fake.last.outcome == "client_closed")


def test_many_threads_share_a_sync_client() -> None:
    """Eight threads, one client, one application on its loop; the thread is gone afterwards."""
    fake = FakeOpenAI().always("One two three")
    with inprocess.client(fake, sync=True) as http:
        client = openai.OpenAI(base_url=f"{inprocess.ORIGIN}/v1", api_key=fake.api_key, http_client=http)

        def ask(_: int) -> str:
            chunks = client.chat.completions.create(
                model=MODELS["openai"], messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, range(40)))

    assert answers == ["One two three"] * 40
    assert not [thread for thread in threading.enumerate() if thread.name == "in-process application"]
