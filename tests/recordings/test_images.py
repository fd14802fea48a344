"""Every recorded answer of an images endpoint becomes a result that the OpenAI SDK takes; requests are sent as they were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from openai.types import ImagesResponse

from compatgw.dialects.base import Context, Dialect, Target
from compatgw.dialects.table import DIALECTS
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.base import View
from compatgw.surfaces.images import EDITS, IMAGES

from .records import REASON, VARIABLE

KIND = "images"


class Recording(NamedTuple):
    """One interaction about images."""

    id: str
    vendor: str
    model: str
    path: str
    request: Any
    answer: Any


def _all() -> list[Recording]:
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        return []
    found = []
    for path in sorted(Path(folder).glob("*/*/*.json")):
        value = orjson.loads(path.read_bytes())
        if value["response"]["status"] == 200 and (value["api"] == "images" or "image-output" in value["exercises"]):
            sent = value["request"]
            found.append(
                Recording(
                    value["id"], value["provider"], value["model"], sent["url"], sent["body_json"],
                    value["response"]["body_json"],
                )
            )  # fmt: skip
    return found


ALL = _all()
OWN = [one for one in ALL if "/images/" in one.path]
CHAT = [one for one in ALL if "/images/" not in one.path]

pytestmark = [pytest.mark.recordings, pytest.mark.skipif(not ALL, reason=REASON)]


def _ident(recording: Recording) -> str:
    return recording.id


def _dialect(recording: Recording) -> Dialect:
    return DIALECTS[PROVIDERS[recording.vendor].dialect]


def _context(recording: Recording, memo: Any = None) -> Context:
    row = PROVIDERS[recording.vendor]
    return Context(Target(recording.vendor, recording.model, row.quirks), "id", 1_780_000_000, memo or {})


@pytest.mark.parametrize("recording", OWN, ids=_ident)
def test_a_recorded_exchange_goes_through(recording: Recording) -> None:
    """What a client sent is sent on as it was, and what came back is told as the SDK expects it."""
    surface = EDITS if recording.path.endswith("/edits") else IMAGES
    codec = getattr(_dialect(recording), surface.codec)
    parsed = surface.parse(orjson.dumps(recording.request))
    outgoing = codec.encode(parsed.request, _context(recording).target)
    assert recording.path.endswith(outgoing.path)
    sent = orjson.loads(outgoing.body)
    # DALL-E 2 has one quality, which older clients said all the same.
    assert sent == {name: value for name, value in recording.request.items() if name in sent}
    assert set(recording.request) - set(sent) <= {"quality"}
    assert outgoing.dropped == outgoing.clamped == ()
    result = codec.decode(orjson.dumps(recording.answer), _context(recording, outgoing.memo))
    body = surface.face(parsed, View("v", 1_780_000_000)).whole(result)
    told = ImagesResponse.model_validate_json(body, strict=True)
    assert [image.url for image in told.data or ()] == [image["url"] for image in recording.answer["data"]]
    assert result.images == len(recording.answer["data"])
    assert told.created == recording.answer.get("created", 1_780_000_000)


@pytest.mark.parametrize("recording", CHAT, ids=_ident)
def test_an_image_in_chat_is_told_in_both_surfaces(recording: Recording) -> None:
    """The same answer is a message with images, a stream with them, and the answer of the images endpoint."""
    dialect = _dialect(recording)
    assert dialect.chat is not None
    assert dialect.images is not None
    inline = [
        part["inlineData"]
        for candidate in recording.answer["candidates"]
        for part in candidate["content"]["parts"]
        if "inlineData" in part
    ]
    urls = [f"data:{one['mimeType']};base64,{one['data']}" for one in inline]
    data = orjson.dumps(recording.answer)
    (choice,) = dialect.chat.decode(data, _context(recording)).completion["choices"]
    assert [image["image_url"]["url"] for image in choice["message"]["images"]] == urls
    decoder = dialect.chat.stream(_context(recording))
    pieces = [*decoder.feed(b"data: " + data + b"\n\n"), *decoder.finish()]
    deltas = [one["delta"] for piece in pieces for one in piece.chunk["choices"]]
    assert [image["image_url"]["url"] for delta in deltas for image in delta.get("images", ())] == urls
    result = dialect.images.decode(data, _context(recording))
    assert [image["b64_json"] for image in result.body["data"]] == [one["data"] for one in inline]
    ImagesResponse.model_validate(result.body, strict=True)
