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
THINKER = "gemini-3-pro-preview"
THOUGHTS = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: Any = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, description="d", parameters_json_schema=SCHEMA)
            for name in ("get_weather", "get_time")
        ]
    )
]


class Trip(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int


async def test_chat(connect: Connect) -> None:
    """By default under v1; text, thought, and usage that counts the thought apart from the text."""
    fake = FakeGemini().reply("Bonjour", reasoning="Hm", usage={"input": 20, "output": 6, "cached": 8, "reasoning": 4})
    client = await connect(fake)

    answer = await maybe(client.models.generate_content(model=MODEL, contents="Hi", config=THOUGHTS))

    assert fake.last.path == f"/v1/models/{MODEL}:generateContent"
    assert (answer.text, answer.candidates[0].finish_reason) == ("Bonjour", "STOP")
    assert [part.thought for part in answer.candidates[0].content.parts] == [True, None]
    used = answer.usage_metadata
    assert (used.prompt_token_count, used.candidates_token_count, used.thoughts_token_count) == (20, 2, 4)
    assert (used.total_token_count, used.cached_content_token_count) == (26, 8)


async def test_stream(connect: Connect) -> None:
    """Thought comes marked and first; usage never falls, and the last piece has all of it and the finish reason."""
    fake = FakeGemini().reply("Bonjour à tous", reasoning="A greeting", usage={"input": 3, "output": 5, "reasoning": 2})
    client = await connect(fake)

    chunks = await listed(client.models.generate_content_stream(model=MODEL, contents="Hi", config=THOUGHTS))

    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == "A greeting"
    assert "".join(part.text for part in parts if not part.thought) == "Bonjour à tous"
    assert "".join(chunk.text or "" for chunk in chunks) == "Bonjour à tous"
    totals = [chunk.usage_metadata.total_token_count for chunk in chunks]
    assert (totals, totals[-1]) == (sorted(totals), 8)
    assert [chunk.candidates[0].finish_reason for chunk in chunks][-2:] == [None, "STOP"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(connect: Connect, streamed: bool) -> None:
    """Calls come whole, without ids before 3.5, and only the first is signed; with it and results they are answered."""
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}), ("get_time", {})]
    client = await connect(FakeGemini().tool_calls(*calls).reply("18 and 3"))
    ask: dict[str, Any] = {"model": THINKER, "config": types.GenerateContentConfig(tools=TOOLS)}

    if streamed:
        chunks = await listed(client.models.generate_content_stream(contents="Hi", **ask))
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    else:
        parts = (await maybe(client.models.generate_content(contents="Hi", **ask))).candidates[0].content.parts
    parts = [part for part in parts if part.function_call]
    asked = [part.function_call for part in parts]
    results = [types.Part.from_function_response(name=one.name, response={"output": 18}) for one in asked]
    history = [
        types.Content(role="user", parts=[types.Part(text="Hi")]),
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=results),
    ]
    answer = await maybe(client.models.generate_content(contents=history, **ask))

    assert [(one.name, one.args) for one in asked] == calls
    assert [one.id for one in asked] == [None] * 3
    assert parts[0].thought_signature
    assert [part.thought_signature for part in parts[1:]] == [None] * 2
    assert answer.text == "18 and 3"


async def test_ids_of_calls_come_from_3_5_on(connect: Connect) -> None:
    """The version is read from the model's name."""
    client = await connect(FakeGemini().tool_call("get_weather"))

    answer = await maybe(client.models.generate_content(model="gemini-3.5-flash", contents="Hi"))

    assert answer.function_calls[0].id


async def test_a_made_up_signature_is_refused(connect: Connect) -> None:
    """The one that was given is taken back."""
    models = (await connect(FakeGemini().tool_call("get_weather", city="Paris").reply("18 degrees"))).models
    ask: dict[str, Any] = {"model": THINKER, "config": types.GenerateContentConfig(tools=TOOLS)}
    question = types.Content(role="user", parts=[types.Part(text="Hi")])
    part = types.Part.from_function_response(name="get_weather", response={"output": "18"})
    result = types.Content(role="user", parts=[part])

    turn = (await maybe(models.generate_content(contents=[question], **ask))).candidates[0].content
    answer = await maybe(models.generate_content(contents=[question, turn, result], **ask))
    turn.parts[0].thought_signature = b"somebody else's"

    assert answer.text == "18 degrees"
    with pytest.raises(errors.ClientError, match="signature"):
        await maybe(models.generate_content(contents=[question, turn, result], **ask))


async def test_structured_output(connect: Connect) -> None:
    """Nothing scripted: what is made up satisfies the model's schema."""
    client = await connect(FakeGemini())
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)

    answer = await maybe(client.models.generate_content(model=MODEL, contents="Hi", config=config))

    assert isinstance(answer.parsed, Trip)


async def test_a_forced_function_is_called(connect: Connect) -> None:
    """Nothing scripted: mode ANY calls the function that is allowed."""
    client = await connect(FakeGemini())
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["get_time"])
    config = types.GenerateContentConfig(tools=TOOLS, tool_config=types.ToolConfig(function_calling_config=calling))

    answer = await maybe(client.models.generate_content(model=MODEL, contents="Hi", config=config))

    assert answer.function_calls[0].name == "get_time"


async def test_refusal_and_blocked_prompt(connect: Connect) -> None:
    """A refusal is finish reason SAFETY; a blocked prompt has no candidates."""
    client = await connect(FakeGemini().refuse().block("PROHIBITED_CONTENT"))

    refused = await maybe(client.models.generate_content(model=MODEL, contents="Hi"))
    blocked = await maybe(client.models.generate_content(model=MODEL, contents="Hi"))

    assert refused.candidates[0].finish_reason == "SAFETY"
    assert blocked.candidates is None
    assert blocked.prompt_feedback.block_reason == "PROHIBITED_CONTENT"


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
    """Page by page; names carry their prefix, and others are not found."""
    client = await connect(FakeGemini(models=["a", "b", EMBEDDER]))

    names = [model.name for model in await listed(client.models.list(config={"page_size": 2}))]
    model = await maybe(client.models.get(model=EMBEDDER))

    assert names == ["models/a", "models/b", f"models/{EMBEDDER}"]
    assert (model.name, "embedContent" in model.supported_actions) == (f"models/{EMBEDDER}", True)
    with pytest.raises(errors.ClientError, match="is not found"):
        await maybe(client.models.generate_content(model=MODEL, contents="Hi"))


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (409, errors.ClientError, "ABORTED"),
        (413, errors.ClientError, "INVALID_ARGUMENT"),
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


async def test_how_long_to_wait_stands_in_the_details(connect: Connect) -> None:
    """There is no retry-after header; RetryInfo says it."""
    client = await connect(FakeGemini().fail(429, retry_after=34.4))

    with pytest.raises(errors.ClientError) as error:
        await maybe(client.models.generate_content(model=MODEL, contents="Hi"))

    details = error.value.details["error"]["details"]
    assert details[-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}


async def test_a_wrong_key_is_a_400(connect: Connect) -> None:
    """Not a 401: the reason stands in the details."""
    client = await connect(FakeGemini(), key="wrong")

    with pytest.raises(errors.ClientError) as error:
        await maybe(client.models.generate_content(model=MODEL, contents="Hi"))

    assert error.value.code == 400
    assert error.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


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
