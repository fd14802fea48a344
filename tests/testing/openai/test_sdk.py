"""The official OpenAI SDK, sync and async, takes every surface of FakeOpenAI for OpenAI's, in the same process."""

import base64
import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import openai
import pytest
from pydantic import BaseModel, ConfigDict

from compatgw_testing import FakeOpenAI
from tests.testing.inprocess import Connect, entered, listed, maybe
from tests.testing.openai.forms import TONE, WAV

NEWER = not openai.__version__.startswith("2.")
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


class Trip(BaseModel):
    """What is parsed."""

    model_config = ConfigDict(extra="forbid")
    city: str
    days: int


async def assembled(manager: Any) -> Any:
    """What the SDK's own accumulator makes of a stream of a response."""
    async with entered(manager) as stream:
        return await maybe(stream.get_final_response())


async def test_a_response(connect: Connect) -> None:
    """Text, usage and request id."""
    fake = FakeOpenAI().reply("Bonjour à tous", usage={"input": 11, "output": 4, "cached": 8, "reasoning": 1})

    answer = await maybe((await connect(fake)).responses.create(model="gpt-4o", input="Hi"))

    assert answer.output_text == "Bonjour à tous"
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 4, 15)
    assert answer.usage.input_tokens_details.cached_tokens == 8
    assert answer.status == "completed"
    assert answer._request_id.startswith("req_")


async def test_a_response_streams(connect: Connect) -> None:
    """The accumulator gets thought, text and two calls; the raw events end with the completed response."""
    fake = FakeOpenAI()
    for _ in range(2):
        fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}), text="Let me see.")
    client = await connect(fake)
    ask: Any = {"model": "gpt-4o", "input": "Weather?", "tools": [TOOL]}

    answer = await assembled(client.responses.stream(**ask))
    events = await listed(client.responses.create(**ask, stream=True))

    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(one.arguments)["city"] for one in calls] == ["Paris", "Oslo"]
    assert len({one.call_id for one in calls}) == 2
    assert answer.output_text == "Let me see."
    assert events[-1].type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_a_tool_round_trip(connect: Connect) -> None:
    """By sending everything back, and by the id of the response before."""
    fake = FakeOpenAI().tool_call("get_weather", city="Paris").reply("18 degrees").reply("still 18")
    client = await connect(fake)

    first = await maybe(client.responses.create(model="gpt-4o", input="Weather?", tools=[TOOL]))
    result = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "18"}
    history = [{"role": "user", "content": "Weather?"}, *first.output, result]
    whole = await maybe(client.responses.create(model="gpt-4o", input=history, tools=[TOOL]))
    chained = await maybe(client.responses.create(model="gpt-4o", input=[result], previous_response_id=first.id))

    assert (whole.output_text, chained.output_text) == ("18 degrees", "still 18")


@pytest.mark.skipif(not NEWER, reason="openai 2 sends a member `parsed` back, which the vendor refuses")
async def test_thought_in_a_response(connect: Connect) -> None:
    """Its summary, sealed for the next turn, is accepted there."""
    fake = FakeOpenAI().reply("4", reasoning="Two and two").reply("8")
    client = await connect(fake)
    ways: Any = {"model": "gpt-5", "store": False, "include": ["reasoning.encrypted_content"]}

    answer = await assembled(client.responses.stream(input="2+2", reasoning={"summary": "auto"}, **ways))
    history = [{"role": "user", "content": "2+2"}, *answer.output, {"role": "user", "content": "twice"}]
    again = await maybe(client.responses.create(input=history, **ways))

    assert answer.output[0].summary[0].text == "Two and two"
    assert answer.output[0].encrypted_content
    assert again.output_text == "8"


async def test_parse_a_response(connect: Connect) -> None:
    """Nothing scripted: structured output is made from the schema that was asked for."""
    answer = await maybe(
        (await connect(FakeOpenAI())).responses.parse(model="gpt-4o", input="A trip", text_format=Trip)
    )

    assert isinstance(answer.output_parsed, Trip)


async def test_a_refusal_in_a_response(connect: Connect) -> None:
    """A part of its own, plain and streamed."""
    client = await connect(FakeOpenAI().refuse("No.").refuse("No, no."))

    plain = await maybe(client.responses.create(model="gpt-4o", input="Hi"))
    streamed = await assembled(client.responses.stream(model="gpt-4o", input="Hi"))

    assert [one.output[0].content[0].refusal for one in (plain, streamed)] == ["No.", "No, no."]


async def test_stored_responses(connect: Connect) -> None:
    """Retrieved, its input listed, cancelled, deleted."""
    client = await connect(FakeOpenAI().reply("ok").reply("late"))

    made = await maybe(client.responses.create(model="gpt-4o", input="Hi"))
    read = await maybe(client.responses.retrieve(made.id))
    page = await maybe(client.responses.input_items.list(made.id))
    queued = await maybe(client.responses.create(model="gpt-4o", input="Hi", background=True))
    cancelled = await maybe(client.responses.cancel(queued.id))
    await maybe(client.responses.delete(made.id))

    assert read.output_text == "ok"
    assert page.data[0].content[0].text == "Hi"
    assert (queued.status, cancelled.status) == ("queued", "cancelled")
    with pytest.raises(openai.NotFoundError):
        await maybe(client.responses.retrieve(made.id))


async def test_an_error_in_the_stream_of_a_response(connect: Connect) -> None:
    """It arrives as events: the error and the failed response."""
    client = await connect(FakeOpenAI().fault("Hello there my friend", error=500, error_after=6))

    events = await listed(client.responses.create(model="gpt-4o", input="Hi", stream=True))

    assert [event.type for event in events[-2:]] == ["error", "response.failed"]


async def test_embeddings(connect: Connect) -> None:
    """The SDK asks for base64 unless told; the numbers are the same."""
    fake = FakeOpenAI()
    client = await connect(fake)
    ask: Any = {"model": "text-embedding-3-small", "input": ["cat", "dog"], "dimensions": 16}

    packed = await maybe(client.embeddings.create(**ask))
    floats = await maybe(client.embeddings.create(**ask, encoding_format="float"))

    assert fake.calls[0].body["encoding_format"] == "base64"
    assert [len(one.embedding) for one in packed.data] == [16, 16]
    assert packed.data[0].embedding == pytest.approx(floats.data[0].embedding, abs=1e-6)


async def test_moderations(connect: Connect) -> None:
    """Typed results."""
    answer = await maybe((await connect(FakeOpenAI())).moderations.create(input=["I will kill you", "Good day"]))

    assert [one.flagged for one in answer.results] == [True, False]
    assert answer.results[0].categories.violence is True
    assert answer.results[0].category_applied_input_types.violence == ["text"]


async def test_images(connect: Connect) -> None:
    """Generated, edited and streamed."""
    client = await connect(FakeOpenAI())
    picture = ("a.png", base64.b64decode(base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20))), "image/png")

    made = await maybe(client.images.generate(model="gpt-image-1.5", prompt="a cat"))
    edited = await maybe(client.images.edit(model="gpt-image-1.5", prompt="a dog", image=[picture, picture]))
    single = await maybe(client.images.edit(model="gpt-image-1.5", prompt="a dog", image=picture, n=2))
    events = await listed(client.images.generate(model="gpt-image-1.5", prompt="a cat", stream=True, partial_images=1))

    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
    assert edited.usage.input_tokens_details.image_tokens > 0
    assert len(single.data) == 2
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]


async def test_audio(connect: Connect) -> None:
    """Heard, translated, spoken."""
    fake = FakeOpenAI().reply("Hello there", times=5)
    client = await connect(fake)

    def sound() -> io.BytesIO:
        file = io.BytesIO(WAV + len(TONE).to_bytes(4, "little") + TONE)
        file.name = "a.wav"
        return file

    heard = client.audio.transcriptions
    plain = await maybe(heard.create(model="whisper-1", file=sound()))
    text = await maybe(heard.create(model="whisper-1", file=sound(), response_format="srt"))
    words: Any = {"response_format": "verbose_json", "timestamp_granularities": ["word"]}
    verbose = await maybe(heard.create(model="whisper-1", file=sound(), **words))
    events = await listed(heard.create(model="gpt-4o-transcribe", file=sound(), stream=True, include=["logprobs"]))
    with pytest.deprecated_call() if NEWER else nullcontext():
        translated = await maybe(client.audio.translations.create(model="whisper-1", file=sound()))
    spoken = await maybe(client.audio.speech.create(model="tts-1", input="Hi", voice="alloy", response_format="wav"))

    assert plain.text == translated.text == "Hello there"
    assert "--> 00:00:01,000\nHello there" in text
    assert [one.word for one in verbose.words] == ["Hello", "there"]
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", "Hello there")
    assert spoken.content.startswith(b"RIFF")


async def test_completions(connect: Connect) -> None:
    """Plain and streamed."""
    client = await connect(FakeOpenAI().reply("there you are", times=2))
    ask: Any = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi"}

    plain = await maybe(client.completions.create(**ask))
    chunks = await listed(client.completions.create(**ask, stream=True))

    assert plain.choices[0].text == "there you are"
    assert "".join(chunk.choices[0].text for chunk in chunks) == "there you are"


async def test_models(connect: Connect) -> None:
    """Listed and retrieved, slashes included."""
    client = await connect(FakeOpenAI())

    found = [model.id for model in await listed(client.models.list())]
    one = await maybe(client.models.retrieve("vendor/model:x"))

    assert "gpt-4o" in found
    assert one.id == "vendor/model:x"


ASKS: dict[str, Callable[[Any], Any]] = {
    "responses": lambda client: client.responses.create(model="gpt-4o", input="Hi"),
    "embeddings": lambda client: client.embeddings.create(model="text-embedding-3-small", input="a"),
    "moderations": lambda client: client.moderations.create(input="a"),
    "images": lambda client: client.images.generate(model="gpt-image-1.5", prompt="a"),
    "transcriptions": lambda client: client.audio.transcriptions.create(model="whisper-1", file=("a.wav", TONE)),
    "speech": lambda client: client.audio.speech.create(model="tts-1", input="a", voice="alloy"),
    "completions": lambda client: client.completions.create(model="davinci-002", prompt="a"),
}


CLASSES: dict[int, tuple[type[openai.APIStatusError], str | None]] = {
    400: (openai.BadRequestError, None),
    401: (openai.AuthenticationError, "invalid_api_key"),
    403: (openai.PermissionDeniedError, "insufficient_permissions"),
    404: (openai.NotFoundError, "model_not_found"),
    409: (openai.ConflictError, "conflict"),
    422: (openai.UnprocessableEntityError, None),
    429: (openai.RateLimitError, "rate_limit_exceeded"),
    500: (openai.InternalServerError, None),
    503: (openai.InternalServerError, "overloaded"),
}


@pytest.mark.parametrize("surface", ASKS)
async def test_each_error_class(connect: Connect, surface: str) -> None:
    """A scripted status raises the SDK's class for it on every surface, with code and request id."""
    fake = FakeOpenAI()
    client = await connect(fake)

    for status, (kind, code) in CLASSES.items():
        fake.fail(status, "Sorry.")
        with pytest.raises(kind, match=r"Sorry\.") as error:
            await maybe(ASKS[surface](client))
        assert (error.value.status_code, error.value.code) == (status, code)
        assert str(error.value.request_id).startswith("req_")


@pytest.mark.parametrize("surface", ASKS)
async def test_retries_and_refused_connections(connect: Connect, surface: str) -> None:
    """The SDK tries again when told to; a connection that is refused is its own error."""
    fake = FakeOpenAI().fail(429, retry_after=0.01)
    await maybe(ASKS[surface]((await connect(fake)).with_options(max_retries=1)))

    fake.fault(refused=True)
    with pytest.raises(openai.APIConnectionError):
        await maybe(ASKS[surface](await connect(fake)))

    assert [call.status for call in fake.calls[:2]] == [429, 200]
