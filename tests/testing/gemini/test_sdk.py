"""The official Google SDK in the same process as FakeGemini, sync and async, over every surface and version."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from compatgw_testing import FakeGemini
from compatgw_testing.doors import inprocess
from tests.testing.inprocess import Connect, listed, maybe

MODEL, EMBEDDER = "gemini-2.5-flash", "gemini-embedding-001"
TOOLS: Any = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="get_weather",
                parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}},
            )
        ]
    )
]


class Trip(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


async def test_chat(connect: Connect) -> None:
    """By default under v1; text, thought and usage."""
    fake = FakeGemini().reply("Bonjour", reasoning="Hm", usage={"input": 20, "output": 4, "cached": 8, "reasoning": 1})
    client = await connect(fake)
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))

    answer = await maybe(client.models.generate_content(model=MODEL, contents="Hi", config=config))

    assert fake.last.path == f"/v1/models/{MODEL}:generateContent"
    assert answer.text == "Bonjour"
    assert [part.thought for part in answer.candidates[0].content.parts] == [True, None]
    used = answer.usage_metadata
    assert (used.prompt_token_count, used.cached_content_token_count, used.thoughts_token_count) == (20, 8, 1)
    assert used.total_token_count == 24


async def test_stream(connect: Connect) -> None:
    """Piece by piece; the last one has the finish reason and all of the usage."""
    client = await connect(FakeGemini().reply("One two three", usage=(3, 3)))

    chunks = await listed(client.models.generate_content_stream(model=MODEL, contents="Hi"))

    assert "".join(chunk.text or "" for chunk in chunks) == "One two three"
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    assert chunks[-1].usage_metadata.total_token_count == 6


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(connect: Connect, streamed: bool) -> None:
    """Parallel calls, sent back with their results and the signature, are answered, also by the newest models."""
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
    client = await connect(FakeGemini().tool_calls(*calls).reply("18 and 3"))
    ask: dict[str, Any] = {"model": "gemini-3-pro-preview", "config": types.GenerateContentConfig(tools=TOOLS)}

    if streamed:
        chunks = await listed(client.models.generate_content_stream(contents="Hi", **ask))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    else:
        parts = (await maybe(client.models.generate_content(contents="Hi", **ask))).candidates[0].content.parts
    asked = [part.function_call for part in parts if part.function_call]
    results = [types.Part.from_function_response(name=one.name, response={"output": 18}) for one in asked]
    history = [
        types.Content(role="user", parts=[types.Part(text="Hi")]),
        types.Content(role="model", parts=[part for part in parts if part.function_call]),
        types.Content(role="user", parts=results),
    ]
    answer = await maybe(client.models.generate_content(contents=history, **ask))

    assert [one.args for one in asked] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert answer.text == "18 and 3"


async def test_structured_output(connect: Connect) -> None:
    """Nothing scripted: what is made up satisfies the model's schema."""
    client = await connect(FakeGemini())
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)

    answer = await maybe(client.models.generate_content(model=MODEL, contents="Hi", config=config))

    assert isinstance(answer.parsed, Trip)


async def test_embeddings(connect: Connect) -> None:
    """The SDK sends a batch, even for one text."""
    fake = FakeGemini().similar("cats", "dogs", cos=0.8)
    client = await connect(fake)
    config = types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", title="Pets")

    many = await maybe(client.models.embed_content(model=EMBEDDER, contents=["cats", "dogs"]))
    one = await maybe(client.models.embed_content(model=EMBEDDER, contents="cats", config=config))

    cats, dogs = (each.values for each in many.embeddings)
    assert sum(a * b for a, b in zip(cats, dogs, strict=True)) == pytest.approx(0.8)
    assert one.embeddings[0].values == cats
    assert [call.path.rpartition(":")[2] for call in fake.calls] == ["batchEmbedContents"] * 2


async def test_embeddings_of_the_size_asked_for(connect: Connect) -> None:
    """Newer models count, too."""
    client = await connect(FakeGemini())
    config = types.EmbedContentConfig(output_dimensionality=256)

    answer = await maybe(client.models.embed_content(model="gemini-embedding-2", contents="Hi", config=config))

    assert len(answer.embeddings[0].values) == 256
    assert answer.usage_metadata.prompt_token_count == 1


async def test_counting_tokens(connect: Connect) -> None:
    """As many as a request of the same has read."""
    client = await connect(FakeGemini().reply("Hi"))

    count = await maybe(client.models.count_tokens(model=MODEL, contents="How many?"))
    answer = await maybe(client.models.generate_content(model=MODEL, contents="How many?"))

    assert count.total_tokens == answer.usage_metadata.prompt_token_count > 0


async def test_models(connect: Connect) -> None:
    """Page by page."""
    client = await connect(FakeGemini(models=["a", "b", EMBEDDER]))

    names = [model.name for model in await listed(client.models.list(config={"page_size": 2}))]
    model = await maybe(client.models.get(model=EMBEDDER))

    assert names == ["models/a", "models/b", f"models/{EMBEDDER}"]
    assert "embedContent" in model.supported_actions


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (409, errors.ClientError, "ABORTED"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (499, errors.ClientError, "CANCELLED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (504, errors.ServerError, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("surface", ["generate", "stream", "embed", "count"])
async def test_each_error_class(
    connect: Connect, status: int, kind: type[errors.APIError], name: str, surface: str
) -> None:
    """On every surface, with the name of the error."""
    models = (await connect(FakeGemini().fail(status, "Sorry."))).models
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "generate": lambda: maybe(models.generate_content(model=MODEL, contents="Hi")),
        "stream": lambda: listed(models.generate_content_stream(model=MODEL, contents="Hi")),
        "embed": lambda: maybe(models.embed_content(model=EMBEDDER, contents="Hi")),
        "count": lambda: maybe(models.count_tokens(model=MODEL, contents="Hi")),
    }

    with pytest.raises(kind, match=r"Sorry\.") as error:
        await calls[surface]()

    assert (error.value.code, error.value.status) == (status, name)


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_each_version(version: str) -> None:
    """Under every version that the SDK can be told."""
    fake = FakeGemini().reply("Bonjour")
    async with AsyncExitStack() as stack:
        client = await made(stack, fake, api_key=fake.api_key, options={"api_version": version})

        answer = await client.models.generate_content(model=MODEL, contents="Hi")
        embedded = await client.models.embed_content(model=EMBEDDER, contents="Hi")

    assert answer.text == "Bonjour"
    assert len(embedded.embeddings[0].values) == 3072
    assert {call.path.split("/")[1] for call in fake.calls} == {version}


@pytest.fixture
async def vertex() -> AsyncIterator[tuple[FakeGemini, Any]]:
    """The SDK in Vertex's express mode, and its fake."""
    fake = FakeGemini()
    async with AsyncExitStack() as stack:
        yield fake, await made(stack, fake, api_key=fake.api_key, vertexai=True)


async def made(stack: AsyncExitStack, fake: FakeGemini, *, options: Any = None, **ways: Any) -> Any:
    """An async client in the same process."""
    http = inprocess.client(fake, library="httpx2", timeout=20)
    assert isinstance(http, httpx2.AsyncClient)
    stack.push_async_callback(http.aclose)
    told = types.HttpOptions(base_url=inprocess.ORIGIN, httpx_async_client=http, **(options or {}))
    client = genai.Client(http_options=told, **ways)
    stack.callback(client.close)
    stack.push_async_callback(client.aio.aclose)
    return client.aio


async def test_vertex(vertex: tuple[FakeGemini, Any]) -> None:
    """Chat, stream, count and embeddings of Vertex's own form, judged by the SDK's own types."""
    fake, client = vertex
    fake.reply("Bonjour").reply("One two")

    answer = await client.models.generate_content(model=MODEL, contents="Hi")
    chunks = await listed(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    count = await client.models.count_tokens(model=MODEL, contents="Hi")
    old = await client.models.embed_content(model="text-embedding-005", contents=["a", "b"])
    new = await client.models.embed_content(model="gemini-embedding-2", contents="a")

    assert (answer.text, answer.usage_metadata.traffic_type) == ("Bonjour", "ON_DEMAND")
    assert answer.create_time.year == 2026
    assert "".join(chunk.text or "" for chunk in chunks) == "One two"
    assert count.total_tokens == answer.usage_metadata.prompt_token_count
    assert [len(one.values) for one in old.embeddings] == [768, 768]
    assert old.embeddings[0].statistics.token_count == 1
    assert len(new.embeddings[0].values) == 3072
    assert all("/publishers/google/models/" in call.path for call in fake.calls)
