"""Images of Google's models: what is sent, judged by Google's SDK and a strict fake, and what comes back."""

from __future__ import annotations

import base64
import warnings
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from google import genai
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from openai.types import ImagesResponse

from compatgw.dialects.base import Context, Outgoing, Result, Target
from compatgw.dialects.gemini import DIALECT
from compatgw.dialects.gemini.images import painter
from compatgw.errors import InvalidRequest, UnsupportedParameter, UpstreamFailure
from compatgw.wire.multipart import Upload
from compatgw_testing.fakes import FakeGemini
from compatgw_testing.fakes.pictures import jpeg, png

from .judges import accepted

assert DIALECT.images is not None
assert DIALECT.edits is not None
IMAGES, EDITS = DIALECT.images, DIALECT.edits
FLASH, PRO, IMAGEN = "gemini-2.5-flash-image", "gemini-3-pro-image", "imagen-4.0-generate-001"
PNG, JPEG = png("a", 8, 8), jpeg("a", 8, 8)
B64 = base64.b64encode(PNG).decode()
URL = f"data:image/png;base64,{B64}"
FILE = Upload("image", "a.png", "image/png", len(PNG), PNG)


def at(model: str = FLASH, **more: Any) -> Target:
    """A target at Google."""
    return Target("Google", model, **more)


def send(to: Target, codec: Any = IMAGES, **members: Any) -> Outgoing:
    """What is sent for a request, which is left as it was; what goes to `generateContent` the SDK's types take."""
    request = {"model": "asked", "prompt": "a cat", **members}
    before = repr(request)
    outgoing: Outgoing = codec.encode(request, to)
    assert repr(request) == before, "encoding changed its argument"
    if outgoing.path.endswith(":generateContent"):
        accepted(outgoing.body)
    return outgoing


def config(to: Target, **members: Any) -> dict[str, Any]:
    """The settings that are sent."""
    body = orjson.loads(send(to, **members).body)
    found: dict[str, Any] = body.get("generationConfig") or body["parameters"]
    return found


def decoded(value: Any, model: str = FLASH, **memo: Any) -> Result:
    """The result that an answer becomes."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    result: Result = IMAGES.decode(data, Context(at(model), "id", 1_780_000_000, memo))
    return result


def answer(*parts: dict[str, Any], finish: str = "STOP", **more: Any) -> dict[str, Any]:
    """An answer of a Gemini model."""
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, **more}
    usage = {
        "promptTokenCount": 9, "candidatesTokenCount": 1290, "thoughtsTokenCount": 11, "totalTokenCount": 1310,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }  # fmt: skip
    value = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": FLASH, "responseId": "r"}
    types.GenerateContentResponse.model_validate(value)
    return value


def inline(data: str = B64, kind: str = "image/png") -> dict[str, Any]:
    """An image in an answer."""
    return {"inlineData": {"mimeType": kind, "data": data}}


# --- what is sent ----------------------------------------------------------------------------


def test_a_gemini_model_is_asked_for_text_and_image() -> None:
    """The prompt is the user's turn; without a size nothing is said of one."""
    outgoing = send(at(), user="u")
    assert outgoing.path == f"/models/{FLASH}:generateContent"
    assert orjson.loads(outgoing.body) == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    assert (outgoing.dropped, outgoing.clamped) == (("user",), ())


@pytest.mark.parametrize(
    ("model", "size", "shape", "told"),
    [
        (FLASH, "1024x1024", {"aspectRatio": "1:1"}, "1:1"),
        (FLASH, "1536x1024", {"aspectRatio": "3:2"}, "3:2"),
        (FLASH, "4096x4096", {"aspectRatio": "1:1"}, "1:1"),
        (PRO, "1024x1536", {"aspectRatio": "2:3"}, "2:3 1K"),
        (PRO, "1792x1024", {"aspectRatio": "16:9", "imageSize": "2K"}, "16:9 2K"),
        (PRO, "3840x2160", {"aspectRatio": "16:9", "imageSize": "4K"}, "16:9 4K"),
        (PRO, "4000x500", {"aspectRatio": "21:9", "imageSize": "4K"}, "21:9 4K"),
        ("gemini-3.1-flash-image-preview", "512x4096", {"aspectRatio": "1:8", "imageSize": "4K"}, "1:8 4K"),
        ("models/gemini-3-pro-image-preview", "1024x1024", {"aspectRatio": "1:1"}, "1:1 1K"),
    ],
)
def test_a_size_becomes_ratio_and_resolution(model: str, size: str, shape: dict[str, str], told: str) -> None:
    """The nearest that the model has, and what was sent is reported."""
    outgoing = send(at(model), size=size)
    assert orjson.loads(outgoing.body)["generationConfig"]["imageConfig"] == shape
    types.ImageConfig.model_validate(shape)
    assert outgoing.clamped == (("size", told),)


def test_a_model_that_takes_no_size_is_told_none() -> None:
    """It is reported as left out."""
    outgoing = send(at("gemini-2.0-flash-preview-image-generation"), size="1024x1024")
    assert "imageConfig" not in orjson.loads(outgoing.body)["generationConfig"]
    assert outgoing.dropped == ("size",)


def test_auto_is_the_models_choice() -> None:
    """No ratio is sent, and nothing reported."""
    outgoing = send(at(PRO), size="auto", quality="auto", background="auto", moderation="auto", output_format="png")
    assert (outgoing.dropped, outgoing.clamped) == ((), ())


@pytest.mark.parametrize(
    ("members", "settings"),
    [
        ({}, {"number_of_images": 1}),
        ({"n": 4, "size": "1792x1024"}, {"number_of_images": 4, "aspect_ratio": "16:9", "image_size": "2K"}),
        ({"size": "1024x1536"}, {"number_of_images": 1, "aspect_ratio": "3:4"}),
    ],
)
def test_imagen_is_called_as_googles_sdk_calls_it(members: dict[str, Any], settings: dict[str, Any]) -> None:
    """Path and body are what the SDK itself sends for the same."""
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"predictions": []})

    options = types.HttpOptions(
        httpx_client=httpx.Client(transport=httpx.MockTransport(reply)), base_url="http://google", api_version="v1"
    )
    client = genai.Client(vertexai=True, api_key="k", http_options=options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK will drop Imagen one day, and says so
        client.models.generate_images(
            model=IMAGEN, prompt="a cat", config=types.GenerateImagesConfig.model_validate(settings)
        )
    outgoing = send(at(IMAGEN), **members)
    assert str(seen[0].url) == f"http://google/v1/publishers/google{outgoing.path}"
    assert orjson.loads(seen[0].content) == orjson.loads(outgoing.body)


def test_the_fast_imagen_has_one_resolution() -> None:
    """Only a ratio is sent."""
    assert config(at("imagen-4.0-fast-generate-001"), size="2048x2048") == {"sampleCount": 1, "aspectRatio": "1:1"}


def test_what_only_tunes_is_left_out_and_reported() -> None:
    """Google's models know none of these."""
    outgoing = send(
        at(), quality="high", style="vivid", moderation="low", output_format="webp", output_compression=5, seed=7,
        stream=True, partial_images=2, response_format="b64_json",
    )  # fmt: skip
    assert set(outgoing.dropped) == {
        "quality", "style", "moderation", "output_format", "output_compression", "seed", "partial_images",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("to", "codec", "members", "param"),
    [
        (at(), IMAGES, {"n": 2}, "n"),
        (at(IMAGEN), IMAGES, {"n": 5}, "n"),
        (at(), IMAGES, {"background": "transparent"}, "background"),
        (at(unsupported="reject"), IMAGES, {"quality": "high"}, "quality"),
        (at(IMAGEN), EDITS, {"files": [FILE]}, "image"),
        (at(), EDITS, {"files": [FILE, replace(FILE, name="mask")]}, "mask"),
        (at(), EDITS, {"images": [{"image_url": URL}], "mask": {"image_url": URL}}, "mask"),
        (at(), EDITS, {"images": [{"image_url": URL}, {"image_url": "https://example.com/a"}]}, "images[1].image_url"),
        (at(), EDITS, {"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
        (at(), EDITS, {"files": [replace(FILE, data=None)]}, "image"),
    ],
)
def test_what_changes_the_image_is_refused(to: Target, codec: Any, members: dict[str, Any], param: str) -> None:
    """A member that cannot be carried although it changes the image is a 400 that names it."""
    with pytest.raises(UnsupportedParameter) as failed:
        send(to, codec, **members)
    assert failed.value.param == param


def test_dropping_sends_one_image_without_a_mask() -> None:
    """Who asks for that hears what was left out."""
    outgoing = send(at(unsupported="drop"), EDITS, files=[FILE, replace(FILE, name="mask")], n=3)
    assert set(outgoing.dropped) == {"mask", "n"}


def test_images_to_be_edited_come_before_the_prompt() -> None:
    """Files and data URLs alike; what an image is, its bytes say."""
    lies = Upload("image[]", "a.png", "application/octet-stream", len(JPEG), JPEG)
    body = orjson.loads(send(at(), EDITS, files=[FILE, lies]).body)
    jpeg64 = base64.b64encode(JPEG).decode()
    assert body["contents"][0]["parts"] == [inline(), inline(jpeg64, "image/jpeg"), {"text": "a cat"}]
    body = orjson.loads(send(at(), EDITS, images=[{"image_url": f"data:image/png;base64,{jpeg64}"}]).body)
    assert body["contents"][0]["parts"] == [inline(jpeg64, "image/jpeg"), {"text": "a cat"}]


def test_bytes_that_are_no_image_are_not_sent() -> None:
    """A file that lay on disk is looked at when its bytes are there, which they are for every call."""
    lies = replace(FILE, name="image[]", data=b"this is no image")
    with pytest.raises(InvalidRequest) as failed:
        send(at(), EDITS, files=[FILE, lies])
    assert failed.value.param == "image[1]"
    assert EDITS.inlines(at().quirks)


def test_configuration_overrides_what_the_table_says() -> None:
    """A tuned model's name says nothing: its traits do."""
    to = at("tuned", traits={"method": "predict", "ratios": ["1:1"], "grades": [], "most": 2, "thinking": "none"})
    assert painter(to).most == 2
    assert send(to).path == "/models/tuned:predict"
    assert config(to, n=2, size="1536x1024") == {"sampleCount": 2, "aspectRatio": "1:1"}


async def test_a_strict_fake_takes_what_is_sent() -> None:
    """Images, edits and all settings are a valid request; words alone in the answer are a refusal."""
    fake = FakeGemini(models=[FLASH, PRO])
    fake.reply("I cannot paint that.")
    fake.reply("Nor that.")
    transport = httpx.ASGITransport(fake)
    async with httpx.AsyncClient(transport=transport, base_url="http://fake/v1beta") as client:
        for outgoing in (send(at(PRO), size="1792x1024"), send(at(), EDITS, files=[FILE], size="1024x1536")):
            headers = {"x-goog-api-key": fake.api_key, "content-type": "application/json"}
            found = await client.post(outgoing.path, content=outgoing.body, headers=headers)
            assert found.status_code == 200, found.text
            with pytest.raises(UpstreamFailure, match=r"It says: (I cannot paint|Nor) that") as failed:
                decoded(found.content)
            assert (failed.value.status, failed.value.code) == (400, "content_blocked")
            assert failed.value.param == "prompt"


# --- what comes back -------------------------------------------------------------------------


def test_an_image_among_words_is_the_answer() -> None:
    """The words and what was shown while thinking are not; the SDK of OpenAI takes what is given."""
    sketch = {**inline("c2tldGNo"), "thought": True}
    result = decoded(answer({"text": "Here:"}, sketch, inline(), {"text": "Done."}))
    ImagesResponse.model_validate(result.body, strict=True)
    assert result.body["data"] == [{"b64_json": B64}]
    assert (result.images, result.body["output_format"], result.body["created"]) == (1, "png", 1_780_000_000)


def test_a_sound_is_no_image() -> None:
    """Other media in an answer are left out."""
    sound = inline("AAAA", "audio/wav")
    assert decoded(answer(sound, inline())).body["data"] == [{"b64_json": B64}]
    with pytest.raises(UpstreamFailure):
        decoded(answer(sound))


def test_tokens_are_told_in_both_words() -> None:
    """Painted tokens are output, thoughts too."""
    result = decoded(answer(inline()))
    assert result.body["usage"] == {
        "input_tokens": 9, "output_tokens": 1301, "total_tokens": 1310,
        "input_tokens_details": {"text_tokens": 9, "image_tokens": 0, "cached_tokens": 0},
        "output_tokens_details": {"text_tokens": 11, "image_tokens": 1290, "reasoning_tokens": 11},
    }  # fmt: skip
    assert result.usage is not None
    assert result.usage["completion_tokens"] == 1301
    assert result.usage["completion_tokens_details"]["reasoning_tokens"] == 11


def test_an_address_is_a_data_url() -> None:
    """There is no other."""
    result = decoded(answer(inline(base64.b64encode(JPEG).decode(), "image/jpeg")), address=True)
    (image,) = result.body["data"]
    assert image["url"].startswith("data:image/jpeg;base64,/9j/")
    assert "b64_json" not in image
    assert send(at(), response_format="url").memo["address"]
    assert not send(at(), response_format="b64_json").memo["address"]
    assert not send(at(), response_format="url", stream=True).memo["address"]


def test_imagens_images_are_read_as_googles_sdk_reads_them() -> None:
    """Entries with bytes are images, and the prompt that was painted is the revised one; filtered ones are left out."""
    value = {
        "predictions": [
            {"mimeType": "image/png", "bytesBase64Encoded": B64, "prompt": "a cat, in oil"},
            {"raiFilteredReason": "Unable to show generated images."},
            {"mimeType": "image/png", "bytesBase64Encoded": B64},
        ]
    }
    result = decoded(value, IMAGEN)
    ImagesResponse.model_validate(result.body, strict=True)
    assert result.body["data"] == [{"b64_json": B64, "revised_prompt": "a cat, in oil"}, {"b64_json": B64}]
    assert (result.images, result.usage) == (2, None)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (answer({"text": "I would rather not."}), "I would rather not."),
        (answer(finish="IMAGE_SAFETY"), "IMAGE_SAFETY"),
        (answer(finish="NO_IMAGE", finishMessage="Try again."), "Try again."),
        ({"predictions": [{"raiFilteredReason": "It shows a person."}]}, "It shows a person."),
        ({"predictions": []}, "made no image"),
        ({}, "made no image"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
    ],
)
def test_no_image_is_a_refusal_with_its_reason(value: dict[str, Any], says: str) -> None:
    """It is about the caller's prompt: 400, with what the model said."""
    with pytest.raises(UpstreamFailure, match=says) as failed:
        decoded(value)
    assert (failed.value.status, failed.value.code, failed.value.param) == (400, "content_blocked", "prompt")


@pytest.mark.parametrize("finish", ["STOP", "OTHER", "IMAGE_OTHER", "MAX_TOKENS", "MALFORMED_RESPONSE"])
def test_silence_is_the_upstreams_failure(finish: str) -> None:
    """Neither image nor words: the same request may have an image next time."""
    with pytest.raises(UpstreamFailure, match=finish) as failed:
        decoded(answer(finish=finish))
    assert failed.value.status == 502


@pytest.mark.parametrize(
    "value", [b"", b"<html>", [], [1, 2], "x", {"error": {"code": 503, "message": "busy"}}, {"a": 1}]
)
def test_what_is_no_answer_is_a_failure(value: Any) -> None:
    """It is not the caller's."""
    with pytest.raises(UpstreamFailure) as failed:
        decoded(value)
    assert failed.value.status >= 500


def test_a_refusal_about_the_prompt_names_the_prompt() -> None:
    """There are no messages here."""
    message = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
    body = orjson.dumps({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
    failed = IMAGES.error(400, {}, body, at())
    assert (failed.param, failed.code) == ("prompt", "context_length_exceeded")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["candidates", "content", "parts", "inlineData", "data", "mimeType", "predictions", "text",
                     "bytesBase64Encoded", "usageMetadata", "promptTokenCount", "finishReason", "prompt"]
                ),
                inner,
            )
        ),
        max_leaves=10,
    )
)  # fmt: skip
def test_any_answer_is_images_or_a_failure(value: Any) -> None:
    """No JSON of an upstream breaks the decoder; what it gives always has an image, and can be written."""
    try:
        result = decoded(value)
    except UpstreamFailure:
        return
    assert result.images == len(result.body["data"]) > 0
    orjson.dumps(result.body)


@given(
    st.sampled_from([FLASH, PRO, IMAGEN, "imagen-3.0-generate-002", "gemini-3.1-flash-image"]),
    st.integers(1, 99_999),
    st.integers(1, 99_999),
)
def test_any_size_is_one_that_the_model_has(model: str, width: int, height: int) -> None:
    """Whatever is asked for, ratio and resolution are among the model's own."""
    sent = config(at(model), size=f"{width}x{height}")
    shape = sent.get("imageConfig", sent)
    has = painter(at(model))
    assert shape["aspectRatio"] in has.ratios
    assert (shape.get("imageSize") or shape.get("sampleImageSize") or "1K") in (*has.grades, "1K")
