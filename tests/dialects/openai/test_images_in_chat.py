"""Images that chats show: as the answer to a request for images, and as a part of chats."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from openai.types import ImagesResponse

from compatgw.dialects.base import Context, Result, Target
from compatgw.dialects.openai import DIALECT
from compatgw.errors import UnsupportedParameter, UpstreamFailure

from .picturing import EDITS, FILE, IMAGES, PNG, URL, at, context, send, sent

# --- hosts that make images in chat alone ----------------------------------------------------

ROUTED = at("openrouter", "google/gemini-2.5-flash-image")


def painted(message: dict[str, Any], to: Target = ROUTED, **memo: Any) -> Result:
    """The result that a chat's answer becomes."""
    usage = {
        "prompt_tokens": 7, "completion_tokens": 1290, "total_tokens": 1297, "cost": 0.04,
        "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 1290},
    }  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    value = {
        "id": "gen-1",
        "created": 7,
        "model": to.model,
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage,
    }
    result: Result = IMAGES.decode(orjson.dumps(value), context(to, **memo))
    return result


def test_a_request_becomes_a_chat() -> None:
    """The prompt is what the user says; ratio and resolution have a place of their own; other members stay."""
    outgoing = send(ROUTED, size="1792x1024", quality="high", user="u", seed=7, stream=True, response_format="url")
    assert outgoing.path == "/chat/completions"
    assert orjson.loads(outgoing.body) == {
        "model": ROUTED.model, "messages": [{"role": "user", "content": "a cat"}], "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "16:9", "image_size": "2K"}, "user": "u", "seed": 7,
    }  # fmt: skip
    assert (outgoing.dropped, outgoing.clamped) == (("quality",), (("size", "16:9 2k"),))
    assert sent(ROUTED, size="1024x1024")["image_config"] == {"aspect_ratio": "1:1"}
    assert set(sent(ROUTED, size="auto", n=1)) == {"model", "messages", "modalities"}


def test_models_that_only_paint_are_not_asked_for_text() -> None:
    """They refuse to be; a caller who knows better is believed."""
    to = at("openrouter", "black-forest-labs/flux.2-pro")
    assert sent(to)["modalities"] == ["image"]
    assert sent(to, modalities=["image", "text"])["modalities"] == ["image", "text"]


def test_images_to_be_edited_stand_before_the_prompt() -> None:
    """Files as data URLs, addresses as they are."""
    outgoing = send(ROUTED, EDITS, files=[FILE])
    content = orjson.loads(outgoing.body)["messages"][0]["content"]
    assert content == [{"type": "image_url", "image_url": {"url": URL}}, {"type": "text", "text": "a cat"}]
    outgoing = send(ROUTED, EDITS, images=[{"image_url": URL}, {"image_url": "https://example.com/a"}])
    content = orjson.loads(outgoing.body)["messages"][0]["content"]
    assert [part["image_url"]["url"] for part in content[:2]] == [URL, "https://example.com/a"]
    assert EDITS.inlines(ROUTED.quirks)


@pytest.mark.parametrize(
    ("codec", "members", "param"),
    [
        (IMAGES, {"n": 2}, "n"),
        (IMAGES, {"background": "transparent"}, "background"),
        (EDITS, {"files": [FILE, replace(FILE, name="mask")]}, "mask"),
    ],
)
def test_what_a_chat_cannot_carry_is_refused(codec: Any, members: dict[str, Any], param: str) -> None:
    """A 400 that names it."""
    with pytest.raises(UnsupportedParameter) as failed:
        send(ROUTED, codec, **members)
    assert failed.value.param == param


def test_images_of_a_message_are_the_answer() -> None:
    """As base64, or as an address where one is asked for; tokens are told in both words."""
    message = {"content": "Here it is.", "images": [SHOWN, {"type": "image_url", "image_url": {"url": "https://x/a"}}]}
    result = painted(message)
    ImagesResponse.model_validate({**result.body, "output_format": None}, strict=True)
    assert result.body["data"] == [{"b64_json": base64.b64encode(PNG).decode()}, {"url": "https://x/a"}]
    assert (result.images, result.body["created"]) == (2, 7)
    assert result.usage is not None
    assert (result.usage["completion_tokens"], result.body["usage"]["output_tokens"]) == (1290, 1290)
    linked = painted({"content": None, "images": [SHOWN]}, address=True)
    assert (linked.body["data"], linked.body["output_format"]) == ([{"url": URL}], "png")


@pytest.mark.parametrize(
    "message", [{"content": "I would rather not."}, {"content": None, "refusal": "I would rather not."}]
)
def test_words_instead_of_an_image_are_a_refusal(message: dict[str, Any]) -> None:
    """About the caller's prompt: 400, with what the model said."""
    with pytest.raises(UpstreamFailure, match="I would rather not") as failed:
        painted(message)
    assert (failed.value.status, failed.value.code, failed.value.param) == (400, "content_blocked", "prompt")


@pytest.mark.parametrize(
    "images",
    [
        [],
        [{}],
        [None],
        [{"image_url": {"url": ""}}],
        [{"image_url": 7}],
        [{"image_url": {"url": "data:image/png;base64,"}}],
    ],
)
def test_neither_image_nor_words_is_a_failure(images: list[Any]) -> None:
    """The upstream's own."""
    with pytest.raises(UpstreamFailure, match="without any image") as failed:
        painted({"content": "", "images": images})
    assert failed.value.status == 502


# --- images in chat --------------------------------------------------------------------------

SHOWN = {"type": "image_url", "image_url": {"url": URL}, "index": 0}


def test_images_of_a_router_stand_in_messages_and_deltas() -> None:
    """OpenRouter's models show images beside the text; they come through whole and streamed."""
    assert DIALECT.chat is not None
    to = Context(at("openrouter", "google/gemini-2.5-flash-image"), "id", 1_780_000_000)
    head = {"id": "gen-1", "created": 7, "model": "m"}
    message = {"role": "assistant", "content": "Here.", "refusal": None, "images": [SHOWN]}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "native_finish_reason": "STOP"}
    whole = {**head, "object": "chat.completion", "choices": [choice]}
    answer = DIALECT.chat.decode(orjson.dumps(whole), to).completion
    assert answer["choices"][0]["message"].get("images") == [SHOWN]

    decoder = DIALECT.chat.stream(to)
    for delta, reason in (
        ({"role": "assistant", "content": "Here."}, None),
        ({"role": "assistant", "content": "", "images": [SHOWN]}, None),
        ({"role": "assistant", "content": ""}, "stop"),
    ):
        one = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {**head, "object": "chat.completion.chunk", "choices": [one]}
        pieces = decoder.feed(b"data: " + orjson.dumps(chunk) + b"\n\n")
        shown = [
            image for piece in pieces for row in piece.chunk["choices"] for image in row["delta"].get("images", ())
        ]
        assert shown == ([SHOWN] if "images" in delta else [])
    assert decoder.feed(b"data: [DONE]\n\n") == []
    assert decoder.done
