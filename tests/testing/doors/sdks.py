"""The official SDKs, sync and async, over every door, with one set of verbs for all of them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import anthropic
import cohere
import httpx2
import openai
from google import genai

from compatgw_testing import Fake, FakeServer
from compatgw_testing.doors import inprocess
from tests.testing.driver import MODELS

HI = [{"role": "user", "content": "Hi"}]
TEXT = "One two three four"
Library = Literal["httpx", "httpx2"]
LIBRARIES: dict[str, Library] = {
    "openai": "httpx" if openai.__version__.startswith("2.") else "httpx2",
    "anthropic": "httpx2",
    "gemini": "httpx2",
    "cohere": "httpx",
}


class Door(NamedTuple):
    """A way from an SDK to a fake."""

    where: Literal["process", "socket"]
    sync: bool

    def __str__(self) -> str:
        return f"{self.where}-{'sync' if self.sync else 'async'}"


DOORS = [Door(where, sync) for where in ("process", "socket") for sync in (True, False)]


@dataclass
class Line:
    """An SDK's client and what it is asked to do."""

    dialect: str
    client: Any

    async def chat(self) -> str:
        """The text of a plain answer."""
        client, model = self.client, MODELS[self.dialect]
        if self.dialect == "openai":
            answer = await maybe(client.chat.completions.create(model=model, messages=HI))
            return answer.choices[0].message.content or ""
        if self.dialect == "anthropic":
            answer = await maybe(client.messages.create(model=model, max_tokens=99, messages=HI))
            return "".join(block.text for block in answer.content)
        if self.dialect == "gemini":
            answer = await maybe(client.models.generate_content(model=model, contents="Hi"))
            return answer.text or ""
        answer = await maybe(client.chat(model=model, messages=HI, request_options={"max_retries": 0}))
        return "".join(part.text for part in answer.message.content)

    async def pieces(self) -> AsyncIterator[str]:
        """The texts of a streamed answer; closed early, so is the SDK's stream."""
        client, model = self.client, MODELS[self.dialect]
        if self.dialect == "openai":
            stream = await maybe(client.chat.completions.create(model=model, messages=HI, stream=True))
            try:
                async for chunk in each(stream):
                    for choice in chunk.choices:
                        yield choice.delta.content or ""
            finally:
                await maybe(stream.close())
        elif self.dialect == "anthropic":
            async with entered(client.messages.stream(model=model, max_tokens=99, messages=HI)) as stream:
                async for text in each(stream.text_stream):
                    yield text
        elif self.dialect == "gemini":
            stream = await maybe(client.models.generate_content_stream(model=model, contents="Hi"))
            try:
                async for chunk in each(stream):
                    yield chunk.text or ""
            finally:
                await closed(stream)
        else:
            stream = client.chat_stream(model=model, messages=HI, request_options={"max_retries": 0})
            try:
                async for event in each(stream):
                    if event.type == "content-delta":
                        yield event.delta.message.content.text
            finally:
                await closed(stream)

    async def streamed(self) -> str:
        """The text of a streamed answer."""
        return "".join([text async for text in self.pieces()])

    async def models(self) -> list[str]:
        """The ids of the models."""
        if self.dialect in ("openai", "anthropic"):
            return [one.id async for one in each(await paged(self.client.models.list()))]
        if self.dialect == "gemini":
            found = await maybe(self.client.models.list())
            return [one.name.removeprefix("models/") async for one in each(found)]
        return [one.name for one in (await maybe(self.client.models.list())).models]

    async def outcome(self, *, stream: bool) -> str:
        """What comes of a call: `says` and what the caller takes for the whole answer, or `raises` and the class."""
        try:
            return f"says {await (self.streamed() if stream else self.chat())!r}"
        except Exception as failure:  # noqa: BLE001 - which one it is, is the question
            kind = type(failure)
            return f"raises {kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def stream_text(client: Any, dialect: str) -> str:
    """The text of a streamed answer, where no event loop is running."""
    return asyncio.run(Line(dialect, client).streamed())


async def line(
    stack: AsyncExitStack, door: Door, fake: Fake, server: FakeServer, *, patience: float = 20, key: str | None = None
) -> Line:
    """An SDK's client behind a door; it ends with `stack`. Retries are off."""
    dialect, key = fake.dialect, key or fake.api_key
    options: dict[str, Any] = {}
    if door.where == "process":
        origin = inprocess.ORIGIN
        http: Any = inprocess.client(fake, library=LIBRARIES[dialect], sync=door.sync, timeout=patience)
        if door.sync:
            stack.callback(http.close)
        else:
            stack.push_async_callback(http.aclose)
        names = {"cohere": "httpx_client", "gemini": "httpx_client" if door.sync else "httpx_async_client"}
        options[names.get(dialect, "http_client")] = http
    else:
        if dialect == "gemini" and not door.sync:
            # Its own choice would be aiohttp where that is installed; `test_outcomes.py` looks at it separately.
            options["httpx_async_client"] = await stack.enter_async_context(httpx2.AsyncClient(timeout=patience))
        name = f"fake{id(fake)}"
        origin = server.mount(name, fake)
        stack.callback(server.unmount, name)
    made = sdk_of(dialect, origin + fake.sdk_path, key, sync=door.sync, patience=patience, **options)
    return Line(dialect, await stack.enter_async_context(entered(made)))


def sdk_of(
    dialect: str, url: str, key: str, *, sync: bool = True, patience: float = 20, retries: int = 0, **options: Any
) -> Any:
    """The official SDK's client of a vendor: a context manager, sync or async.

    `retries` is for the clients that take it; Cohere's and Google's have ways of their own.
    """
    if dialect in ("openai", "anthropic"):
        kinds: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
            "openai": (openai.AsyncOpenAI, openai.OpenAI),
            "anthropic": (anthropic.AsyncAnthropic, anthropic.Anthropic),
        }
        return kinds[dialect][sync](base_url=url, api_key=key, max_retries=retries, timeout=patience, **options)
    if dialect == "cohere":
        made: Any = cohere.ClientV2 if sync else cohere.AsyncClientV2
        return made(key, base_url=url, timeout=patience, **options)
    http = genai.types.HttpOptions(base_url=url, timeout=int(patience * 1000), **options)
    gemini = genai.Client(api_key=key, http_options=http)
    return gemini if sync else gemini.aio


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what the server's thread does; five seconds at most."""
    async with asyncio.timeout(5):
        # What is waited for happens in another thread, which knows nothing of this loop.
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def paged(pages: Any) -> Any:
    return pages if hasattr(pages, "__aiter__") else await maybe(pages)


async def each(many: Any) -> AsyncIterator[Any]:
    if hasattr(many, "__aiter__"):
        async for one in many:
            yield one
    else:
        for one in many:
            yield one


async def closed(stream: Any) -> None:
    if hasattr(stream, "aclose"):
        await stream.aclose()
    elif hasattr(stream, "close"):
        stream.close()


class entered:  # noqa: N801 - a context manager
    """Either kind of context manager, as the async kind."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._async = hasattr(manager, "__aenter__")

    async def __aenter__(self) -> Any:
        return await self._manager.__aenter__() if self._async else self._manager.__enter__()

    async def __aexit__(self, *failure: Any) -> Any:
        return await self._manager.__aexit__(*failure) if self._async else self._manager.__exit__(*failure)
