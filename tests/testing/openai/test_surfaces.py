"""FakeOpenAI's surfaces say what the script says, and keep, count and cut as OpenAI does."""

import base64
import json
import struct
import zlib
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI, contains
from compatgw_testing.clock import EPOCH
from tests.testing.driver import SCHEMA, ask, question
from tests.testing.openai.cases import CALL, RESULT, TOOL, USER, edit, hear, paint, respond
from tests.testing.openai.forms import TONE, WAV, File, get, post


def kinds(events: list[Any]) -> list[str]:
    """The types of events, repeated ones once."""
    found: list[str] = []
    for event in events:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


# Responses.


async def test_the_events_of_a_response_in_order() -> None:
    """Thought, text, two calls: each opened, filled and closed; numbered without a gap."""
    fake = FakeOpenAI().tool_calls(("f", {"a": 1}), ("g", {}), text="Let me see.", reasoning="Hm, well")
    body = respond(stream=True, model="gpt-5", reasoning={"summary": "auto"}, tools=[TOOL, {**TOOL, "name": "g"}])

    events = (await post(fake, "/responses", body)).events

    call = ["response.output_item.added", "response.function_call_arguments.delta"]
    call += ["response.function_call_arguments.done", "response.output_item.done"]
    assert kinds(events) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        *call,
        *call,
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert [item["type"] for item in done] == ["reasoning", "message", "function_call", "function_call"]


async def test_plain_and_streamed_responses_are_the_same() -> None:
    """But for billing, which only the plain one has."""
    fakes = [FakeOpenAI(seed=3).reply("Hello there", usage=(5, 4)) for _ in range(2)]

    plain = (await post(fakes[0], "/responses", respond())).json
    streamed = (await post(fakes[1], "/responses", respond(stream=True))).events[-1]["response"]

    plain.pop("billing")
    assert streamed == plain
    assert plain["usage"]["total_tokens"] == 9


async def test_a_conversation_is_expanded() -> None:
    """A later response sees what was said before: messages, calls, results; instructions are not carried over."""
    fake = FakeOpenAI().tool_call("f", city="Oslo").reply("18 degrees").reply("You are welcome")
    first = (await post(fake, "/responses", respond(instructions="Be terse.", tools=[TOOL]))).json
    call = first["output"][0]
    result = {**RESULT, "call_id": call["call_id"]}

    second = await post(fake, "/responses", respond(result, previous_response_id=first["id"], tools=[TOOL]))
    await post(fake, "/responses", {"model": "gpt-4o", "input": "Thanks", "previous_response_id": second.json["id"]})

    request = fake.last.request
    assert request is not None
    assert [one.role for one in request.messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert request.messages[2].tool == "f"
    assert (request.user, request.turn) == ("Thanks", 2)
    assert fake.calls[0].request is not None
    assert fake.calls[0].request.system == "Be terse."


async def test_what_is_not_stored_is_forgotten() -> None:
    """`store: false` leaves nothing to build on, to read or to delete."""
    fake = FakeOpenAI()

    id = (await post(fake, "/responses", respond(store=False))).json["id"]

    assert (await get(fake, f"/responses/{id}")).status == 404
    assert (await post(fake, "/responses", respond(previous_response_id=id))).status == 400


async def test_a_stored_response_is_read_and_deleted() -> None:
    """The same object; its input as items; then nothing."""
    fake = FakeOpenAI().reply("ok")
    made = (await post(fake, "/responses", respond(USER, {"role": "assistant", "content": "b"}, USER))).json
    path = f"/responses/{made['id']}"

    read = (await get(fake, path)).json
    items = (await get(fake, f"{path}/input_items?order=asc&limit=2")).json
    rest = (await get(fake, f"{path}/input_items?order=asc&after={items['last_id']}")).json
    deleted = await get(fake, path, "DELETE")

    made.pop("billing")
    assert read == made
    assert [one["content"][0]["type"] for one in items["data"]] == ["input_text", "output_text"]
    assert (items["has_more"], rest["has_more"], len(rest["data"])) == (True, False, 1)
    assert deleted.json == {"id": made["id"], "object": "response", "deleted": True}
    assert (await get(fake, path)).status == 404


async def test_background() -> None:
    """Queued first, done when asked for; one that is cancelled stays so."""
    fake = FakeOpenAI().reply("late").reply("never")
    queued = (await post(fake, "/responses", respond(background=True))).json
    other = (await post(fake, "/responses", respond(background=True))).json

    done = (await get(fake, f"/responses/{queued['id']}")).json
    cancelled = (await post(fake, f"/responses/{other['id']}/cancel", None)).json

    assert (queued["status"], queued["output"]) == ("queued", [])
    assert (done["status"], done["output"][0]["content"][0]["text"]) == ("completed", "late")
    assert (cancelled["status"], cancelled["output"]) == ("cancelled", [])
    assert (await get(fake, f"/responses/{other['id']}")).json["status"] == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_incomplete(finish: str, reason: str, stream: bool) -> None:
    """What was cut is incomplete, with the reason."""
    reply = await post(FakeOpenAI().reply("Hel", finish=finish), "/responses", respond(stream=stream))

    answer = reply.events[-1]["response"] if stream else reply.json
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert answer["output"][0]["status"] == "incomplete"


async def test_encrypted_thought_logprobs_and_references() -> None:
    """What `include` asks for; an item may be referred to by its id."""
    fake = FakeOpenAI().reply("Hello there", reasoning="Hm").reply("again")
    include = ["reasoning.encrypted_content", "message.output_text.logprobs"]

    output = (await post(fake, "/responses", respond(model="gpt-5", include=include))).json["output"]
    references = [{"type": "item_reference", "id": item["id"]} for item in output]
    await post(fake, "/responses", respond(USER, *references, USER, model="gpt-5"))

    assert output[0]["encrypted_content"].startswith("gAAAAA")
    assert [one["token"] for one in output[1]["content"][0]["logprobs"]] == ["Hello", " there"]
    assert fake.last.request is not None
    assert [one.text for one in fake.last.request.messages] == ["Hi", "Hello there", "Hi"]


async def test_custom_tools_get_text() -> None:
    """Not arguments."""
    fake = FakeOpenAI().tool_call("patch", input="*** Begin")
    tools = [{"type": "custom", "name": "patch"}]

    events = (await post(fake, "/responses", respond(tools=tools, stream=True))).events

    item = events[-1]["response"]["output"][0]
    assert (item["type"], item["id"][:4], item["input"]) == ("custom_tool_call", "ctc_", '{"input":"*** Begin"}')
    assert any(event["type"] == "response.custom_tool_call_input.delta" for event in events)


async def test_made_up_responses_obey() -> None:
    """A forced tool is called, a schema is kept."""
    forced = await post(
        FakeOpenAI(), "/responses", respond(tools=[TOOL], tool_choice={"type": "function", "name": "f"})
    )
    text = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}}
    shaped = await post(FakeOpenAI(), "/responses", respond(text=text))

    assert forced.json["output"][0]["name"] == "f"
    assert set(json.loads(shaped.json["output"][0]["content"][0]["text"])) == {"city", "days"}


async def test_an_error_inside_a_response() -> None:
    """An error event, then the failed response; numbers go on."""
    fake = FakeOpenAI().fault("Hello there my friend", error=429, error_after=6)

    events = (await post(fake, "/responses", respond(stream=True))).events

    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "rate_limit_exceeded"
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_input_tokens_are_counted_without_an_answer() -> None:
    """No turn of the script is taken."""
    fake = FakeOpenAI().reply("later")

    counted = (await post(fake, "/responses/input_tokens", respond())).json

    assert counted["object"] == "response.input_tokens"
    assert counted["input_tokens"] > 0
    assert len(fake.unused) == 1


# Embeddings, moderations.


async def test_embeddings_follow_from_the_text() -> None:
    """As floats and packed, of the length of the model or of the request; near where the test says so."""
    fake = FakeOpenAI().similar("cat", "dog", cos=0.5)
    body: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["cat", "dog", "cow"]}

    floats = (await post(fake, "/embeddings", {**body, "dimensions": 8})).json["data"]
    packed = (await post(fake, "/embeddings", {**body, "dimensions": 8, "encoding_format": "base64"})).json
    whole = (await post(fake, "/embeddings", {"model": "text-embedding-3-large", "input": "cat"})).json["data"]

    vectors = [one["embedding"] for one in floats]
    assert [one["index"] for one in floats] == [0, 1, 2]
    assert sum(a * b for a, b in zip(vectors[0], vectors[1], strict=True)) == pytest.approx(0.5)
    unpacked = struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"]))
    assert unpacked == pytest.approx(vectors[0], abs=1e-6)
    assert len(whole[0]["embedding"]) == 3072
    assert packed["usage"]["total_tokens"] == packed["usage"]["prompt_tokens"] > 0


async def test_only_failures_of_the_script_happen_to_embeddings() -> None:
    """A reply waits for a chat; a failure happens to whoever comes."""
    fake = FakeOpenAI().fail(429).reply("for chat")
    body = {"model": "text-embedding-3-small", "input": "a"}

    statuses = [(await post(fake, "/embeddings", body)).status for _ in range(2)]

    assert statuses == [429, 200]
    assert len(fake.unused) == 1


async def test_moderations() -> None:
    """By the words, or by a rule of the script; one result for each text, one for all parts."""
    fake = FakeOpenAI()
    fake.on(surface="moderations", input=contains("rude")).always("harassment, hate")
    fake.on(surface="moderations", input=contains("kill the process")).always("none")

    mild = (await post(fake, "/moderations", {"input": ["I will kill you", "Good day"]})).json
    told = (await post(fake, "/moderations", {"input": "how rude"})).json["results"][0]
    spared = (await post(fake, "/moderations", {"input": "kill the process"})).json["results"][0]
    image = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
    both = (await post(fake, "/moderations", {"input": [{"type": "text", "text": "hi"}, image]})).json["results"]

    assert [one["flagged"] for one in mild["results"]] == [True, False]
    assert mild["results"][0]["category_scores"]["violence"] > 0.9
    assert {name for name, flag in told["categories"].items() if flag} == {"harassment", "hate"}
    assert spared["flagged"] is False
    assert [one["category_applied_input_types"]["violence"] for one in both] == [["text", "image"]]


async def test_a_category_that_does_not_exist_is_the_scripts_mistake() -> None:
    """The call fails and the fake complains."""
    fake = FakeOpenAI()
    fake.on(surface="moderations").reply("rudeness")

    reply = await post(fake, "/moderations", {"input": "a"})

    assert (reply.status, reply.json["error"]["code"]) == (400, "bad_script")
    with pytest.raises(AssertionError, match="'rudeness' is no category"):
        fake.verify()


# Images, audio, completions.


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG; its pixels are as many."""
    width, height = struct.unpack(">II", picture[16:24])
    at = picture.index(b"IDAT")
    length = int.from_bytes(picture[at - 4 : at], "big")
    assert len(zlib.decompress(picture[at + 4 : at + 4 + length])) == height * (-(-width // 8) + 1)
    return width, height


async def test_images_are_pictures() -> None:
    """Of the size that was asked for, the same for the same prompt; addresses for old models."""
    body = paint(model="gpt-image-2", n=2, size="64x32")

    one = (await post(FakeOpenAI(), "/images/generations", body)).json
    again = (await post(FakeOpenAI(), "/images/generations", body)).json
    other = (await post(FakeOpenAI(), "/images/generations", {**body, "prompt": "a dog"})).json
    old = (await post(FakeOpenAI(), "/images/generations", paint(model="dall-e-3"))).json

    pictures = [base64.b64decode(each["b64_json"]) for each in one["data"]]
    assert [size_of(each) for each in pictures] == [(64, 32)] * 2
    assert pictures[0] != pictures[1]
    assert again == one
    assert other["data"] != one["data"]
    assert one["usage"]["total_tokens"] == one["usage"]["input_tokens"] + one["usage"]["output_tokens"]
    assert old["data"][0]["url"].startswith("https://")
    assert old["data"][0]["revised_prompt"] == "a cat"


@pytest.mark.parametrize(("form", "start"), [("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF"), ("png", b"\x89PNG")])
async def test_formats_of_images(form: str, start: bytes) -> None:
    """Each starts as such files do."""
    reply = await post(FakeOpenAI(), "/images/generations", paint(output_format=form))

    assert base64.b64decode(reply.json["data"][0]["b64_json"]).startswith(start)


async def test_images_stream() -> None:
    """Partial images, then the whole one; edits under their own name."""
    painted = (await post(FakeOpenAI(), "/images/generations", paint(stream=True, partial_images=2))).events
    edited = (await post(FakeOpenAI(), "/images/edits", edit(stream="true", partial_images="1"), form=True)).events

    assert [one["type"] for one in painted] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [one["type"] for one in edited] == ["image_edit.partial_image", "image_edit.completed"]
    assert edited[-1]["usage"]["input_tokens_details"]["image_tokens"] > 0


async def test_a_transcription_takes_a_turn() -> None:
    """In every form that was asked for."""
    fake = FakeOpenAI().reply("Hello there", times=5)
    path = "/audio/transcriptions"
    wav = File("a.wav", WAV + (32_000).to_bytes(4, "little") + TONE, "audio/wav")

    plain = (await post(fake, path, hear(file=wav), form=True)).json
    text = await post(fake, path, hear(response_format="text"), form=True)
    srt = (await post(fake, path, hear(response_format="srt", file=wav), form=True)).raw.decode()
    vtt = (await post(fake, path, hear(response_format="vtt", file=wav), form=True)).raw.decode()
    granularities = {"response_format": "verbose_json", "timestamp_granularities": ["word", "segment"]}
    verbose = (await post(fake, path, hear(file=wav, **granularities), form=True)).json

    assert plain == {"text": "Hello there", "usage": {"type": "duration", "seconds": 1}}
    assert (text.headers["content-type"], text.raw) == ("text/plain; charset=utf-8", b"Hello there\n")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:01,000\nHello there\n")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nHello there\n")
    assert (verbose["duration"], [one["word"] for one in verbose["words"]]) == (1.0, ["Hello", "there"])
    assert verbose["segments"][0]["text"] == "Hello there"
    assert fake.last.body["file"].filename == "a.wav"


async def test_a_transcription_streams() -> None:
    """Word by word, with models that can."""
    form = hear(model="gpt-4o-transcribe", stream="true", include=["logprobs"])

    events = (await post(FakeOpenAI().reply("Hello there"), "/audio/transcriptions", form, form=True)).events

    assert [one.get("delta") for one in events] == ["Hello", " there", None]
    assert events[0]["logprobs"][0]["token"] == "Hello"
    assert (events[-1]["type"], events[-1]["text"]) == ("transcript.text.done", "Hello there")


async def test_a_translation_takes_a_turn() -> None:
    """Or makes something up."""
    fake = FakeOpenAI().reply("Good day")
    form = hear(response_format="verbose_json")

    told = (await post(fake, "/audio/translations", form, form=True)).json
    made_up = (await post(fake, "/audio/translations", form, form=True)).json

    assert (told["task"], told["text"]) == ("translate", "Good day")
    assert made_up["text"]


@pytest.mark.parametrize(
    ("form", "kind", "start"),
    [
        ("mp3", "audio/mpeg", b"\xff\xfb"),
        ("wav", "audio/wav", b"RIFF"),
        ("pcm", "audio/pcm", b""),
        ("flac", "audio/flac", b"fLaC"),
        ("opus", "audio/ogg; codecs=opus", b"OggS"),
        ("aac", "audio/aac", b"\xff\xf1"),
    ],
)
async def test_speech(form: str, kind: str, start: bytes) -> None:
    """Sound of the right type, longer for longer texts."""
    body = {"model": "tts-1", "input": "Hello", "voice": "alloy", "response_format": form}

    short = await post(FakeOpenAI(), "/audio/speech", body)
    long = await post(FakeOpenAI(), "/audio/speech", {**body, "input": "Hello there, " * 9})

    assert short.headers["content-type"] == kind
    assert short.raw.startswith(start)
    assert len(long.raw) > len(short.raw) > 0


async def test_speech_streams_events() -> None:
    """The pieces are the sound; usage comes last."""
    body = {"model": "gpt-4o-mini-tts", "input": "Hello", "voice": "alloy", "response_format": "wav"}

    events = (await post(FakeOpenAI(), "/audio/speech", {**body, "stream_format": "sse"})).events
    whole = (await post(FakeOpenAI(), "/audio/speech", body)).raw

    assert b"".join(base64.b64decode(one["audio"]) for one in events[:-1]) == whole
    assert events[-1]["usage"]["total_tokens"] > 0


async def test_completions() -> None:
    """n choices for each prompt, in order; echoed and with logprobs if asked for."""
    fake = FakeOpenAI().reply("there you are", usage=(3, 3))
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": ["Hi", "Ho"], "n": 2, "echo": True, "logprobs": 1}

    answer = (await post(fake, "/completions", body)).json

    assert [one["text"] for one in answer["choices"]] == ["Hithere you are"] * 2 + ["Hothere you are"] * 2
    assert [one["index"] for one in answer["choices"]] == [0, 1, 2, 3]
    assert answer["choices"][0]["logprobs"]["text_offset"] == [0, 2, 7, 11]
    assert (answer["object"], answer["usage"]["total_tokens"]) == ("text_completion", 6)


async def test_completions_stream() -> None:
    """Pieces, the finish reason, usage if asked for, the end mark."""
    fake = FakeOpenAI().reply("there you are", usage=(3, 3))
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hi", "stream": True}

    reply = await post(fake, "/completions", {**body, "stream_options": {"include_usage": True}})

    assert "".join(one["choices"][0]["text"] for one in reply.events if one["choices"]) == "there you are"
    assert reply.events[-2]["choices"][0]["finish_reason"] == "stop"
    assert reply.events[-1]["usage"]["total_tokens"] == 6
    assert reply.raw.endswith(b"data: [DONE]\n\n")


async def test_a_made_up_completion_keeps_to_16_tokens() -> None:
    """As the legacy default is."""
    answer = (await post(FakeOpenAI(), "/completions", {"model": "davinci-002", "prompt": "Hi", "max_tokens": 2})).json

    assert answer["choices"][0]["finish_reason"] == "length"
    assert len(answer["choices"][0]["text"].split()) == 2


# What all share.


@pytest.mark.parametrize(
    ("habit", "path"),
    [("groq", "/embeddings"), ("perplexity", "/models"), ("cerebras", "/responses"), ("zai", "/completions")],
)
async def test_a_vendor_has_its_surfaces_only(habit: str, path: str) -> None:
    """The rest is an unknown address."""
    reply = await post(FakeOpenAI(habit=habit), path, {}, method="GET" if path == "/models" else "POST")

    assert reply.status == 404


async def test_rate_limits_are_told() -> None:
    """What is left of a quota, as a number and as a duration; the refusal says how long to wait."""
    fake = FakeOpenAI().quota(rpm=2, tpm=600).reply("ok", times=3, usage=(100, 50))

    first = await ask(fake)
    await ask(fake)
    third = await ask(fake)

    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "30s"
    assert (first.headers["x-ratelimit-remaining-tokens"], first.headers["x-ratelimit-reset-tokens"]) == ("450", "15s")
    assert (third.status, third.headers["retry-after"]) == (429, "30")
    assert third.headers["x-ratelimit-reset-requests"] == "1m0s"
    assert third.json["error"]["code"] == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("habit", "headers"),
    [
        ("groq", {"x-ratelimit-reset-requests": "1s"}),
        ("azure", {"x-ratelimit-remaining-requests": "59"}),
        ("mistral", {"x-ratelimit-remaining-req-minute": "59"}),
        ("cerebras", {"x-ratelimit-reset-requests-day": "1.000000"}),
        ("openrouter", {"x-ratelimit-reset": str((EPOCH + 1) * 1000)}),
        ("together", {"x-ratelimit-reset": "1"}),
        ("deepseek", {}),
    ],
)
async def test_forms_of_rate_limits(habit: str, headers: dict[str, str]) -> None:
    """Durations, counts, windows in the name, moments, or nothing."""
    fake = FakeOpenAI(habit=habit).quota(rpm=60)

    got = (await ask(fake, question("openai", model="m"))).headers

    assert {name: got.get(name) for name in headers} == headers
    assert bool(headers) == any("ratelimit" in name for name in got)


async def test_reset_forgets_what_was_stored() -> None:
    """Responses, too."""
    fake = FakeOpenAI()
    id = (await post(fake, "/responses", respond())).json["id"]

    fake.reset()

    assert (await get(fake, f"/responses/{id}")).status == 404


async def test_calls_in_a_response_are_called_back() -> None:
    """A rule for a tool's result answers a function_call_output."""
    fake = FakeOpenAI()
    fake.on(tool_result="f").reply("thanks")

    reply = await post(fake, "/responses", respond(USER, CALL, RESULT))

    assert reply.json["output"][0]["content"][0]["text"] == "thanks"
