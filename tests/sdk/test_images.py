"""The official OpenAI SDK makes and edits images through a whole gateway: plain, streamed, over three vendors."""

from __future__ import annotations

import base64
from typing import Any

import openai
import orjson
import pytest

from compatgw import Gateway
from compatgw_testing.fakes import FakeGemini, FakeOpenAI
from compatgw_testing.fakes.pictures import jpeg, png
from tests.canned import Canned

PNG, JPEG = png("a", 8, 8), jpeg("a", 8, 8)
B64 = base64.b64encode(JPEG).decode()
PAINTED = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"inlineData": {"mimeType": "image/jpeg", "data": B64}}]},
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 1290, "totalTokenCount": 1294},
}
IMAGINED = {"data": [{"url": "https://imgen.example/a.jpeg", "mime_type": "image/jpeg"}], "usage": {"ticks": 7}}


def gateway(**apps: Any) -> Gateway:
    """A gateway over these upstreams; a failure is not repeated."""
    providers = {name: {"app": app, "api_key": getattr(app, "api_key", "k")} for name, app in apps.items()}
    return Gateway(providers=providers, keys=["k"], environ={}, retries={"most": 0})


def client(of: Gateway) -> openai.AsyncOpenAI:
    """The SDK, which gives up at the first failure."""
    return of.async_openai(api_key="k").with_options(max_retries=0)


async def test_images_of_openai() -> None:
    """Two images as base64, with OpenAI's own usage."""
    fake = FakeOpenAI()
    async with gateway(openai=fake) as ours:
        answer = await client(ours).images.generate(
            model="openai/gpt-image-1", prompt="a cat", n=2, size="1024x1024", quality="low", output_format="webp"
        )
    assert answer.data is not None
    assert [base64.b64decode(image.b64_json or "")[:4] for image in answer.data] == [b"RIFF"] * 2
    assert answer.usage is not None
    assert answer.usage.output_tokens == 544
    assert (answer.size, answer.output_format) == ("1024x1024", "webp")


async def test_a_stream_of_images_of_openai() -> None:
    """Partial images, then the whole one."""
    async with gateway(openai=FakeOpenAI()) as ours:
        stream = await client(ours).images.generate(
            model="openai/gpt-image-1", prompt="a cat", stream=True, partial_images=2
        )
        events = [event async for event in stream]
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "partial_image", "completed"]
    assert events[-1].type == "image_generation.completed"
    assert events[-1].usage.output_tokens == 272


async def test_a_stream_that_breaks_off_raises() -> None:
    """What came is read, then the SDK raises: it never looks like the end."""
    partial = (
        b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AA=="}'
    )
    async with gateway(openai=Canned([partial + b"\n\n"], kind="text/event-stream")) as ours:
        stream = await client(ours).images.generate(model="openai/gpt-image-1", prompt="a cat", stream=True)
        events = stream.__aiter__()
        assert (await anext(events)).type == "image_generation.partial_image"
        with pytest.raises(openai.APIError) as failed:
            await anext(events)
    assert failed.value.code == "upstream_stream_interrupted"


async def test_a_form_with_images_is_edited() -> None:
    """Two images and a mask go through as files; streamed, the events are those of an edit."""
    fake = FakeOpenAI()
    files = [("a.png", PNG, "image/png"), ("b.jpg", JPEG, "image/jpeg")]
    async with gateway(openai=fake) as ours:
        images = client(ours).images
        answer = await images.edit(model="openai/gpt-image-1", prompt="a hat", image=files, mask=files[0], n=2)
        stream = await images.edit(model="openai/gpt-image-1", prompt="a hat", image=PNG, stream=True, partial_images=1)
        events = [event.type async for event in stream]
    assert answer.data is not None
    assert len(answer.data) == 2
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2 * 323
    assert events == ["image_edit.partial_image", "image_edit.completed"]


async def test_options_of_the_gateway_travel_in_a_form() -> None:
    """As the SDK writes an object into a form: when the first model is not there, the fallback edits."""
    async with gateway(openai=FakeOpenAI(models=["gpt-image-1"])) as ours:
        raw = await client(ours).images.with_raw_response.edit(
            model="openai/gpt-image-9",
            prompt="a hat",
            image=("a.png", PNG, "image/png"),
            extra_body={"gateway": {"fallback": ["openai/gpt-image-1"], "timeout": 9000}},
        )
    assert raw.headers["x-fallback-from"] == "openai/gpt-image-9"
    assert raw.parse().data


async def test_a_large_upload_goes_through_as_it_is() -> None:
    """A file that is kept on disk reaches an upstream that takes forms."""
    large = PNG + bytes(2_000_000)
    async with gateway(openai=FakeOpenAI()) as ours:
        answer = await client(ours).images.edit(
            model="openai/gpt-image-1",
            prompt="a hat",
            image=[("a.png", large, "image/png"), ("b.png", PNG, "image/png")],
        )
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2 * 323


async def test_images_of_gemini() -> None:
    """A size becomes a ratio, tokens are told, and an address is a data URL; a stream is told from the whole."""
    upstream = Canned(orjson.dumps(PAINTED))
    async with gateway(gemini=upstream) as ours:
        images = client(ours).images
        model = "gemini/gemini-2.5-flash-image"
        raw = await images.with_raw_response.generate(model=model, prompt="a cat", size="1536x1024", style="vivid")
        answer = raw.parse()
        linked = await images.generate(model=model, prompt="a cat", response_format="url")
        events = [event async for event in await images.generate(model=model, prompt="a cat", stream=True)]
    assert answer.data is not None
    assert answer.data[0].b64_json == B64
    assert answer.usage is not None
    assert answer.usage.output_tokens == 1290
    assert raw.headers["x-clamped-params"] == "size=3:2"
    assert raw.headers["x-dropped-params"] == "style"
    assert upstream.asked[0]["generationConfig"]["imageConfig"] == {"aspectRatio": "3:2"}
    assert linked.data is not None
    assert linked.data[0].url == f"data:image/jpeg;base64,{B64}"
    assert [(event.type, event.b64_json) for event in events] == [("image_generation.completed", B64)]


async def test_several_images_of_gemini_are_several_calls() -> None:
    """A model that paints one image at a time is asked as often as needed; images and tokens are joined."""
    upstream = Canned(orjson.dumps(PAINTED))
    async with gateway(gemini=upstream) as ours:
        answer = await client(ours).images.generate(model="gemini/gemini-2.5-flash-image", prompt="a cat", n=3)
    assert answer.data is not None
    assert [image.b64_json for image in answer.data] == [B64] * 3
    assert answer.usage is not None
    assert (answer.usage.total_tokens, answer.usage.output_tokens) == (3 * 1294, 3 * 1290)
    assert len(upstream.asked) == 3


async def test_images_are_edited_by_gemini() -> None:
    """Files of a form, and data URLs in JSON, become inline data before the prompt."""
    upstream = Canned(orjson.dumps(PAINTED))
    async with gateway(gemini=upstream) as ours:
        model = "gemini/gemini-2.5-flash-image"
        await client(ours).images.edit(model=model, prompt="a hat", image=("a.png", PNG, "image/png"))
        body = {"model": model, "prompt": "a hat", "images": [{"image_url": f"data:image/jpeg;base64,{B64}"}]}
        await client(ours).post("/images/edits", body=body, cast_to=object)
    seen = [asked["contents"][0]["parts"][0]["inlineData"] for asked in upstream.asked]
    assert [(one["mimeType"], base64.b64decode(one["data"])) for one in seen] == [
        ("image/png", PNG), ("image/jpeg", JPEG),
    ]  # fmt: skip


async def test_a_large_file_is_edited_by_gemini() -> None:
    """Also a file that is kept on disk is read where JSON has to carry it; one that is no image is refused."""
    upstream = Canned(orjson.dumps(PAINTED))
    large = PNG + bytes(1_000_000)
    async with gateway(gemini=upstream) as ours:
        images = client(ours).images
        model = "gemini/gemini-2.5-flash-image"
        await images.edit(
            model=model, prompt="a hat", image=[("a.png", large, "image/png"), ("b.png", PNG, "image/png")]
        )
        with pytest.raises(openai.BadRequestError, match="holds no PNG"):
            await images.edit(model=model, prompt="a hat", image=("a.png", bytes(1_000_000), "image/png"))
    (asked,) = upstream.asked
    assert base64.b64decode(asked["contents"][0]["parts"][0]["inlineData"]["data"]) == large


async def test_words_instead_of_an_image_are_a_refusal() -> None:
    """The SDK raises its own class for a 400, with what the model said."""
    fake = FakeGemini(models=["gemini-2.5-flash-image"])
    fake.reply("I would rather not.")
    async with gateway(gemini=fake) as ours:
        with pytest.raises(openai.BadRequestError, match="I would rather not") as failed:
            await client(ours).images.generate(model="gemini/gemini-2.5-flash-image", prompt="a cat")
    assert (failed.value.code, failed.value.param) == ("content_blocked", "prompt")


async def test_images_of_xai() -> None:
    """An address is passed on; what is no usage is not told as one; edits are sent as JSON."""
    upstream = Canned(orjson.dumps(IMAGINED))
    async with gateway(xai=upstream) as ours:
        images = client(ours).images
        answer = await images.generate(model="xai/grok-imagine-image", prompt="a cat", size="1024x1536")
        await images.edit(model="xai/grok-imagine-image", prompt="a hat", image=("a.png", PNG, "image/png"))
    assert answer.data is not None
    assert answer.data[0].url == "https://imgen.example/a.jpeg"
    assert answer.usage is None
    assert answer.created > 0
    assert upstream.asked[0]["aspect_ratio"] == "2:3"
    assert upstream.asked[1]["image"]["url"].startswith("data:image/png;base64,")


async def test_images_of_openrouter() -> None:
    """A host without an endpoint for images makes them in chat."""
    shown = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{B64}"}}
    choice = {"index": 0, "message": {"role": "assistant", "content": "", "images": [shown]}, "finish_reason": "stop"}
    upstream = Canned(orjson.dumps({"id": "gen-1", "created": 7, "model": "m", "choices": [choice]}))
    async with gateway(openrouter=upstream) as ours:
        answer = await client(ours).images.generate(model="openrouter/google/gemini-2.5-flash-image", prompt="a cat")
    assert answer.data is not None
    assert (answer.data[0].b64_json, answer.output_format) == (B64, "jpeg")
    assert upstream.paths[0].endswith("/chat/completions")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": "p", "n": 0}, "n", "invalid_value"),
        ({"prompt": "p", "size": "large"}, "size", "invalid_value"),
        (
            {"prompt": "p", "images": ["data:image/png;base64,aGVsbG8sIHdvcmxkIQ=="]},
            "images[0].image_url",
            "invalid_value",
        ),
    ],
)
async def test_what_is_wrong_is_a_bad_request(body: dict[str, Any], param: str, code: str) -> None:
    """The SDK raises its own class for a 400, with the path of what is wrong."""
    path = "/images/edits" if "images" in body else "/images/generations"
    async with gateway(openai=FakeOpenAI()) as ours:
        with pytest.raises(openai.BadRequestError) as failed:
            await client(ours).post(path, body={"model": "openai/gpt-image-1", **body}, cast_to=object)
    assert (failed.value.param, failed.value.code) == (param, code)
