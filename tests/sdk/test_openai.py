"""The official OpenAI SDK, synchronous over a socket and asynchronous in process, over all four protocols.

Runs with the newest SDK (on httpx2) in the default run, and with 2.x (on httpx) by `scripts/sdk2`.
"""

import base64
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def client(scene: Any, key: str = "test-key", **options: Any) -> OpenAI:
    """A synchronous client of the gateway's port."""
    return OpenAI(base_url=f"{scene.origin}/v1", api_key=key, max_retries=0, **options)


def user(content: Any) -> Any:
    """A conversation of one message."""
    return [{"role": "user", "content": content}]


def test_chat(scene: Any) -> None:
    """Text, usage and finish reason are the provider's."""
    scene.fake.reply("Bonjour", usage=(7, 3))
    with client(scene) as ai:
        got = ai.chat.completions.create(model=scene.model, messages=user("Say hello in French."))
    assert got.choices[0].message.content == "Bonjour"
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.usage.total_tokens) == (7, 3, 10)
    assert got.object == "chat.completion"
    assert got.id.startswith("chatcmpl-")


def test_stream(scene: Any) -> None:
    """The pieces join to the text; usage comes last because it was asked for."""
    scene.fake.reply("One two three.", usage=(7, 3))
    with client(scene) as ai:
        chunks = list(
            ai.chat.completions.create(
                model=scene.model, messages=user("Count."), stream=True, stream_options={"include_usage": True}
            )
        )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "One two three."
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1


def test_the_stream_helper_accumulates(scene: Any) -> None:
    """The SDK's own accumulator is the judge."""
    scene.fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}))
    with client(scene) as ai, ai.chat.completions.stream(model=scene.model, messages=user("?"), tools=[TOOL]) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_round_trip(scene: Any, streamed: bool) -> None:
    """Call, result, answer: the provider receives its own ids and names back."""
    scene.fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}))
    scene.fake.reply("18 and 4 degrees.")
    messages = user("The weather in Paris and Oslo?")
    with client(scene) as ai:
        if streamed:
            with ai.chat.completions.stream(model=scene.model, messages=messages, tools=[TOOL]) as stream:
                first: Any = stream.get_final_completion().choices[0].message
        else:
            first = ai.chat.completions.create(model=scene.model, messages=messages, tools=[TOOL]).choices[0].message
        messages.append(first.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": f"{n} C"} for n, call in enumerate(first.tool_calls)
        ]
        got = ai.chat.completions.create(model=scene.model, messages=messages, tools=[TOOL])
    assert got.choices[0].message.content == "18 and 4 degrees."
    assert len(scene.fake.calls) == 2


@pytest.mark.llm(unscripted="answer")
@pytest.mark.parametrize("choice", ["required", "none", {"type": "function", "function": {"name": "get_weather"}}])
def test_tool_choice(scene: Any, choice: Any) -> None:
    """A forced tool is called, a forbidden one is not; the fake makes arguments that fit the schema."""
    with client(scene) as ai:
        got = ai.chat.completions.create(model=scene.model, messages=user("Hello."), tools=[TOOL], tool_choice=choice)
    calls = got.choices[0].message.tool_calls
    if choice == "none":
        assert not calls
    else:
        assert calls
        assert isinstance(json.loads(calls[0].function.arguments)["city"], str)  # type: ignore[union-attr]


def test_an_image(scene: Any) -> None:
    """A data URL arrives in the provider's own shape, bytes unchanged."""
    scene.fake.reply("A cat.")
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    model = scene.model.replace("command-a-03-2025", "command-a-vision-07-2025")
    with client(scene) as ai:
        got = ai.chat.completions.create(model=model, messages=user(parts))
    assert got.choices[0].message.content == "A cat."
    assert PNG.rstrip("=") in scene.fake.last.raw.decode()


@pytest.mark.parametrize(
    "file",
    [
        {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
        {"data": PDF, "media_type": "application/pdf", "filename": "a.pdf"},
    ],
)
def test_a_pdf_in_both_forms(scene: Any, file: dict[str, str]) -> None:
    """OpenAI's and S1's; a protocol without documents says so with the path."""
    parts = [{"type": "text", "text": "Sum it up."}, {"type": "file", "file": file}]
    with client(scene) as ai:
        if scene.model.startswith("cohere"):
            with pytest.raises(openai.BadRequestError) as caught:
                ai.chat.completions.create(model=scene.model, messages=user(parts))
            assert caught.value.code == "unsupported_parameter"
            assert str(caught.value.param).startswith("messages[0].content[1]")
            return
        scene.fake.reply("Short.")
        got = ai.chat.completions.create(model=scene.model, messages=user(parts))
    assert got.choices[0].message.content == "Short."
    assert PDF.rstrip("=") in scene.fake.last.raw.decode()


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


@pytest.mark.llm(unscripted="answer")
def test_parse_gives_a_validated_object(scene: Any) -> None:
    """The schema reaches the provider in its own form, and the answer fits it."""
    with client(scene) as ai:
        got = ai.chat.completions.parse(model=scene.model, messages=user("Ann is 41."), response_format=Person)
    assert isinstance(got.choices[0].message.parsed, Person)


def test_models_are_listed_and_retrieved(scene: Any) -> None:
    """The SDK encodes the slash of an id."""
    with client(scene) as ai:
        ids = [model.id for model in ai.models.list()]
        assert any(name.startswith(scene.model.partition("/")[0] + "/") for name in ids)
        assert ai.models.retrieve(ids[-1]).id == ids[-1]
        with pytest.raises(openai.NotFoundError):
            ai.models.retrieve("openrouter/nothing")


def test_a_wrong_key_is_401(scene: Any) -> None:
    """With the code that clients test for."""
    with client(scene, key="wrong") as ai, pytest.raises(openai.AuthenticationError) as caught:
        ai.chat.completions.create(model=scene.model, messages=user("Hi."))
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_an_unknown_model_is_404(scene: Any) -> None:
    """And names the member."""
    with client(scene) as ai, pytest.raises(openai.NotFoundError) as caught:
        ai.chat.completions.create(model="openrouter/nothing", messages=user("Hi."))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_bad_request_is_400(scene: Any) -> None:
    """And names the path."""
    with client(scene) as ai, pytest.raises(openai.BadRequestError) as caught:
        ai.chat.completions.create(model=scene.model, messages=[{"role": "user", "content": [{"type": "smell"}]}])  # type: ignore[list-item, misc]
    assert (caught.value.code, caught.value.param) == ("invalid_value", "messages[0].content[0].type")


@pytest.mark.parametrize("streamed", [False, True])
def test_the_upstreams_limit_is_429(scene: Any, streamed: bool) -> None:
    """Streamed or not, as an exception with a status."""
    scene.fake.fail(429, retry_after=3)
    with client(scene) as ai, pytest.raises(openai.RateLimitError) as caught:
        ai.chat.completions.create(model=scene.model, messages=user("Hi."), stream=streamed)
    assert caught.value.code == "upstream_rate_limited"
    assert (
        float(caught.value.response.headers["retry-after"]) >= 3 or "retry-after" not in caught.value.response.headers
    )


@pytest.mark.parametrize(("status", "error"), [(401, 502), (500, 502), (503, 503), (529, 503)])
def test_the_upstreams_other_failures_are_ours(scene: Any, status: int, error: int) -> None:
    """Our credential and its outages are never the caller's 4xx."""
    scene.fake.fail(status)
    with client(scene) as ai, pytest.raises(openai.InternalServerError) as caught:
        ai.chat.completions.create(model=scene.model, messages=user("Hi."))
    assert caught.value.status_code == error


def test_a_stream_that_is_cut_raises(scene: Any) -> None:
    """SDKs take an early end for success; the gateway's error event makes it an exception."""
    scene.fake.fault("One two three four five six.", cut_after=4)
    with client(scene) as ai, pytest.raises(openai.APIError) as caught:
        list(ai.chat.completions.create(model=scene.model, messages=user("Count."), stream=True))
    assert caught.value.code in ("upstream_stream_interrupted", "upstream_unavailable")


# --- asynchronous, in process ---


async def test_chat_in_process(gateway: Any, fake_anthropic: Any) -> None:
    """`gateway.openai()` needs no socket."""
    fake_anthropic.reply("Hello")
    async with gateway.async_openai(api_key="test-key") as ai:
        assert isinstance(ai, AsyncOpenAI)
        got = await ai.chat.completions.create(model="anthropic/claude-sonnet-4-5", messages=user("Hi."))
    assert got.choices[0].message.content == "Hello"


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "cohere"])
async def test_stream_in_process(gateway: Any, name: str, request: pytest.FixtureRequest) -> None:
    """Streams are streams in process, too."""
    from tests.sdk.conftest import MODELS

    request.getfixturevalue(f"fake_{name}").reply("One two three.")
    async with gateway.async_openai(api_key="test-key") as ai:
        stream = await ai.chat.completions.create(model=MODELS[name], messages=user("Count."), stream=True)
        text = [choice.delta.content or "" async for chunk in stream for choice in chunk.choices]
    assert "".join(text) == "One two three."
    assert len([piece for piece in text if piece]) > 1


async def test_errors_in_process(gateway: Any) -> None:
    """The same exceptions as over a socket."""
    async with gateway.async_openai(api_key="wrong") as ai:
        with pytest.raises(openai.AuthenticationError):
            await ai.models.list()
