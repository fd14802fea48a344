"""The official Anthropic SDK over all four dialects: answers, streams, tools, counts and errors."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import pytest
from anthropic import beta_async_tool

from compatgw_testing.harness import KEY, gateway_over
from tests.surfaces.messages.bench import MODELS, Bench, Scene, client

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(params=[*sorted(MODELS), "translated"])
def scene(request: pytest.FixtureRequest, gateway: Any) -> Scene:
    """The gateway over each protocol; `translated` is Anthropic's, reached by way of the hub."""
    if request.param == "translated":
        fake = request.getfixturevalue("fake_anthropic")
        return Scene("anthropic", MODELS["anthropic"], Bench("anthropic", fake, native=False), fake)
    name, fake = request.param, request.getfixturevalue(f"fake_{request.param}")
    return Scene(name, f"{name}/{MODELS[name]}", gateway, fake, native=name == "anthropic")


@pytest.fixture
def fake(scene: Scene) -> Any:
    """Its upstream."""
    return scene.fake


def ask(scene: Scene, **members: Any) -> dict[str, Any]:
    """A request."""
    return {"model": scene.model, "max_tokens": 512, "messages": HI, **members}


async def test_a_message(scene: Scene, fake: Any) -> None:
    """Text, stop reason, model and totals are the upstream's."""
    fake.reply("Bonjour", usage=(7, 3))
    async with client(scene.app) as ai:
        got = await ai.messages.create(**ask(scene, system="Be brief."))
    assert (got.type, got.role, got.stop_reason, got.stop_sequence) == ("message", "assistant", "end_turn", None)
    assert got.id.startswith("msg_")
    assert [block.to_dict() for block in got.content] == [{"type": "text", "text": "Bonjour"}]
    assert (got.usage.input_tokens, got.usage.output_tokens) == (7, 3)
    fake.calls[0].request.messages[0].text.index("Be brief.")


async def test_a_stream(scene: Scene, fake: Any) -> None:
    """The accumulator's text and totals are the upstream's, and its pieces come one by one."""
    fake.reply("One two three.", usage=(7, 3))
    async with client(scene.app) as ai, ai.messages.stream(**ask(scene)) as stream:
        pieces = [text async for text in stream.text_stream]
        got = await stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == "One two three."
    assert got.stop_reason == "end_turn"
    assert (got.usage.input_tokens, got.usage.output_tokens) == (7, 3)


async def test_parallel_calls_and_their_results(scene: Scene, fake: Any) -> None:
    """Two calls come back with their inputs; their results reach the upstream under the ids that it gave."""
    fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}))
    fake.reply("Mild.")
    async with client(scene.app) as ai:
        got = await ai.messages.create(**ask(scene, tools=[WEATHER]))
        uses = [block for block in got.content if block.type == "tool_use"]
        assert got.stop_reason == "tool_use"
        assert [(use.name, use.input) for use in uses] == [
            ("get_weather", {"city": "Paris"}),
            ("get_weather", {"city": "Oslo"}),
        ]
        results: Any = [{"type": "tool_result", "tool_use_id": use.id, "content": "18 C"} for use in uses]
        talk = [*HI, {"role": "assistant", "content": got.content}, {"role": "user", "content": results}]
        again = await ai.messages.create(**ask(scene, tools=[WEATHER], messages=talk))
    assert again.content[0].to_dict()["text"] == "Mild."
    tools = [message for message in fake.calls[1].request.messages if message.role == "tool"]
    assert ["18 C" in message.text for message in tools] == [True, True]


async def test_streamed_calls(scene: Scene, fake: Any) -> None:
    """Text and two calls are three blocks, in order, with whole inputs."""
    fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}), text="Looking.")
    async with client(scene.app) as ai, ai.messages.stream(**ask(scene, tools=[WEATHER])) as stream:
        got = await stream.get_final_message()
    assert got.stop_reason == "tool_use"
    assert [b.input for b in got.content if b.type == "tool_use"] == [{"city": "Paris"}, {"city": "Oslo"}]
    said = [block.to_dict() for block in got.content if block.type != "tool_use"]
    assert [block.get("text") or block.get("thinking") for block in said] == ["Looking."]  # Cohere plans before calls


async def test_the_tool_runner(scene: Scene, fake: Any) -> None:
    """The SDK's own loop of calls and results comes to its end."""

    @beta_async_tool
    async def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"{city}: 18 C"

    fake.tool_calls(("get_weather", {"city": "Paris"}))
    fake.reply("18 degrees.")
    async with client(scene.app) as ai:
        runner = ai.beta.messages.tool_runner(**ask(scene, tools=[get_weather]))
        got = await runner.until_done()
    assert got.content[0].to_dict()["text"] == "18 degrees."
    assert ["Paris: 18 C" in m.text for m in fake.calls[1].request.messages if m.role == "tool"] == [True]


async def test_a_forced_call(scene: Scene, fake: Any) -> None:
    """`tool_choice` any reaches the upstream as its own word."""
    fake.tool_calls(("get_weather", {"city": "Paris"}))
    async with client(scene.app) as ai:
        got = await ai.messages.create(**ask(scene, tools=[WEATHER], tool_choice={"type": "any"}))
    assert got.stop_reason == "tool_use"
    assert fake.calls[0].request.force == ""


async def test_an_image(scene: Scene, fake: Any) -> None:
    """An image in base64 arrives as one."""
    if scene.name == "cohere":
        pytest.skip("this model of Cohere's sees no images")
    fake.reply("A dot.")
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    content = [image, {"type": "text", "text": "What is it?"}]
    async with client(scene.app) as ai:
        await ai.messages.create(**ask(scene, messages=[{"role": "user", "content": content}]))
    assert len(fake.calls[0].request.messages[-1].media) == 1


async def test_a_length(scene: Scene, fake: Any) -> None:
    """An answer that was cut off says `max_tokens`."""
    fake.reply("Once upon", finish="length")
    async with client(scene.app) as ai:
        got = await ai.messages.create(**ask(scene))
    assert got.stop_reason == "max_tokens"


async def test_the_beta_api(scene: Scene, fake: Any) -> None:
    """`client.beta.messages` gets its answer, plain and streamed; betas are no one else's business."""
    fake.reply("One.")
    fake.reply("Two.")
    betas = ["interleaved-thinking-2025-05-14"]
    async with client(scene.app) as ai:
        got = await ai.beta.messages.create(**ask(scene, betas=betas))
        async with ai.beta.messages.stream(**ask(scene, betas=betas)) as stream:
            streamed = await stream.get_final_message()
    assert (got.content[0].to_dict()["text"], streamed.content[0].to_dict()["text"]) == ("One.", "Two.")
    seen = fake.calls[0].headers.get("anthropic-beta")
    assert seen == (betas[0] if scene.native else None)


async def test_structured_output(scene: Scene, fake: Any) -> None:
    """`output_config.format` reaches the upstream as a schema."""
    fake.reply('{"city": "Paris"}')
    schema = {**WEATHER["input_schema"], "additionalProperties": False}
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    async with client(scene.app) as ai:
        got = await ai.messages.create(**ask(scene, output_config=config))
    assert got.content[0].to_dict()["text"] == '{"city": "Paris"}'
    assert set(fake.calls[0].request.schema["properties"]) == {"city"}


async def test_counting(scene: Scene) -> None:
    """A count is the upstream's own where it counts, else what the gateway makes of it."""
    async with client(scene.app) as ai:
        got = await ai.messages.count_tokens(model=scene.model, messages=HI, system="Be brief.", tools=[WEATHER])
    assert got.input_tokens > 0


def test_the_synchronous_client(scene: Scene, fake: Any, serve: Any) -> None:
    """The same over a socket."""
    fake.reply("Hello", usage=(7, 3))
    fake.reply("Hello again", usage=(7, 3))
    with anthropic.Anthropic(api_key=KEY, base_url=serve(scene.app), max_retries=0) as ai:
        got = ai.messages.create(**ask(scene))
        with ai.messages.stream(**ask(scene)) as stream:
            streamed = stream.get_final_message()
    assert (got.content[0].to_dict()["text"], streamed.content[0].to_dict()["text"]) == ("Hello", "Hello again")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.ServiceUnavailableError, "overloaded_error"),
    ],
)
async def test_refusals_of_the_upstream(scene: Scene, fake: Any, status: int, error: Any, kind: str) -> None:
    """Each becomes the SDK's own class, in the protocol's envelope."""
    fake.fail(status, "It went wrong.")
    async with client(scene.app) as ai:
        with pytest.raises(error) as caught:
            await ai.messages.create(**ask(scene))
    body = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert "It went wrong." in body["error"]["message"]


async def test_a_bad_request_says_where(scene: Scene) -> None:
    """The path is in the vendor's words for people, and in the gateway's for programs."""
    talk: Any = [{"role": "user", "content": [{"type": "text"}]}]
    async with client(scene.app) as ai:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await ai.messages.create(**ask(scene, messages=talk))
    assert caught.value.body["error"] == {  # type: ignore[index]
        "type": "invalid_request_error",
        "message": "messages.0.content.0.text: Field required",
        "param": "messages[0].content[0].text",
        "code": "missing_parameter",
    }


async def test_a_stream_that_breaks(scene: Scene, fake: Any) -> None:
    """What came is shown, then the SDK raises; there is no final message."""
    fake.fault("One two three four five.", truncate_after=4)
    texts: list[str] = []

    async def listen(ai: anthropic.AsyncAnthropic) -> None:
        async with ai.messages.stream(**ask(scene)) as stream:
            texts.extend([text async for text in stream.text_stream])

    async with client(scene.app) as ai:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await listen(ai)
    assert "One two three four five.".startswith("".join(texts))
    assert caught.value.body["error"]["code"] == "upstream_stream_interrupted"  # type: ignore[index]


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("name", sorted(MODELS))
async def test_the_model_that_was_asked_for(fake_llm: Any, name: str, echo: bool) -> None:
    """With echo, answers of both kinds name it; without, the upstream's own."""
    fake = getattr(fake_llm, name)
    for _ in range(2):
        fake.reply("Hello")
    model = f"{name}/{MODELS[name]}"
    body: Any = {"model": model, "max_tokens": 512, "messages": HI}
    async with client(gateway_over({name: fake}, options={"echo_model": echo})) as ai:
        got = await ai.messages.create(**body)
        async with ai.messages.stream(**body) as stream:
            streamed = await stream.get_final_message()
    assert got.model == streamed.model
    assert (got.model == model) is echo
