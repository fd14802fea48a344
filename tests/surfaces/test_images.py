"""Requests for images and edits as clients send them, and answers as OpenAI's SDK reads them."""

from __future__ import annotations

import base64
import re
from typing import Any

import httpx2
import openai
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import ImagesResponse
from pydantic import TypeAdapter

from compatgw.dialects.base import Part, Result
from compatgw.errors import InvalidRequest, StreamInterrupted
from compatgw.surfaces.base import View
from compatgw.surfaces.images import EDITS, IMAGES, parse, parse_edit, parse_form
from compatgw.wire.images import event, kind_of
from compatgw.wire.multipart import Upload
from compatgw_testing.fakes.pictures import jpeg, png, webp

PNG = png("a", 8, 8)
GIF = b"GIF89a" + b"\0" * 20
VIEW = View("v", 1_780_000_000)


def data_url(data: bytes = PNG, kind: str = "image/png") -> str:
    """`data` as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def asked(**members: Any) -> dict[str, Any]:
    """The hub's request for a body with these members."""
    return dict(parse(orjson.dumps({"model": "m", "prompt": "a cat", **members})).request)


def edit(**members: Any) -> dict[str, Any]:
    """The hub's request for edits with these members in JSON."""
    return dict(parse_edit(orjson.dumps({"model": "m", "prompt": "a hat", **members})).request)


def upload(name: str = "image", data: bytes | None = PNG, kind: str = "image/png", size: int = -1) -> Upload:
    """A file of a form."""
    return Upload(name, "a.png", kind, len(data or b"") if size < 0 else size, data)


def form(*files: Upload, **fields: str) -> dict[str, Any]:
    """The hub's request for edits with these files and fields in a form."""
    given = {"model": ["m"], "prompt": ["a hat"], **{name: [text] for name, text in fields.items()}}
    return dict(parse_form(given, files or (upload(),)).request)


# --- made images -----------------------------------------------------------------------------


def test_every_member_of_either_family_is_kept() -> None:
    """All of OpenAI's members, old and new, and members of other vendors come through as they are."""
    members = {
        "background": "opaque", "moderation": "low", "n": 10, "output_compression": 0, "output_format": "webp",
        "partial_images": 3, "quality": "xhigh", "response_format": "b64_json", "size": "1536x864", "stream": True,
        "style": "vivid", "user": "u", "safety_identifier": "s", "seed": 7, "negative_prompt": "dogs",
    }  # fmt: skip
    assert asked(**members) == {"model": "m", "prompt": "a cat", **members}


def test_null_members_are_left_out_and_nothing_is_added() -> None:
    """What is null is as if it were absent, and no default is put in."""
    assert asked(size=None, n=None, stream=None, response_format=None) == {"model": "m", "prompt": "a cat"}


def test_the_gateways_own_members_are_taken_out() -> None:
    """A timeout and fallbacks are options of the call, not members of the request."""
    parsed = parse(orjson.dumps({"model": "m", "prompt": "p", "timeout": 2000, "gateway": {"fallback": ["x"]}}))
    assert parsed.request == {"model": "m", "prompt": "p"}
    assert (parsed.options.timeout, parsed.options.fallback) == (2.0, ("x",))


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"prompt": None}, "prompt", "missing_parameter"),
        ({"model": None}, "model", "missing_parameter"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": " \n"}, "prompt", "invalid_value"),
        ({"prompt": "x" * 32_001}, "prompt", "invalid_value"),
        ({"prompt": ["a"]}, "prompt", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"size": "big"}, "size", "invalid_value"),
        ({"size": "0x0"}, "size", "invalid_value"),
        ({"size": "1024"}, "size", "invalid_value"),
        ({"size": "1024x1024 "}, "size", "invalid_value"),
        ({"size": "1024x1024\n"}, "size", "invalid_value"),
        ({"size": "١٠٢٤x١٠٢٤"}, "size", "invalid_value"),
        ({"size": "999999x1"}, "size", "invalid_value"),
        ({"size": 1024}, "size", "invalid_type"),
        ({"quality": "best"}, "quality", "invalid_value"),
        ({"style": "bold"}, "style", "invalid_value"),
        ({"background": "red"}, "background", "invalid_value"),
        ({"moderation": "off"}, "moderation", "invalid_value"),
        ({"output_format": "bmp"}, "output_format", "invalid_value"),
        ({"output_compression": 101}, "output_compression", "invalid_value"),
        ({"output_compression": -1}, "output_compression", "invalid_value"),
        ({"response_format": "png"}, "response_format", "invalid_value"),
        ({"partial_images": 4, "stream": True}, "partial_images", "invalid_value"),
        ({"partial_images": 1}, "partial_images", "invalid_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream": True, "output_format": "gif"}, "stream", "invalid_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"user": 1}, "user", "invalid_type"),
        ({"frame_count": 1}, "frame_count", "invalid_value"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(members: dict[str, Any], param: str, code: str) -> None:
    """Each wrong member is a 400 that names it."""
    with pytest.raises(InvalidRequest) as failed:
        asked(**members)
    assert (failed.value.param, failed.value.code, failed.value.status) == (param, code, 400)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"a"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """What is no JSON object is a 400 on both endpoints."""
    for reader in (parse, parse_edit):
        with pytest.raises(InvalidRequest):
            reader(body)


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "n", "size", "quality", "stream", "images", "mask", "image", "partial_images", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
            max_leaves=6,
        ),
    )
)
def test_any_json_is_a_request_or_a_400_with_a_sentence(body: dict[str, Any]) -> None:
    """No JSON makes the surface fail in any other way."""
    for reader in (parse, parse_edit):
        try:
            request = reader(orjson.dumps({"model": "m", **body})).request
        except InvalidRequest as refusal:
            assert refusal.message.endswith((".", "?"))
        else:
            assert request["prompt"].strip()


@given(st.integers(1, 99_999), st.integers(1, 99_999))
def test_any_size_in_pixels_is_taken(width: int, height: int) -> None:
    """Two numbers with an x between them are a size."""
    assert asked(size=f"{width}x{height}")["size"] == f"{width}x{height}"


# --- edits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"images": [{"image_url": data_url()}]},
        {"images": [data_url()]},
        {"images": data_url()},
        {"image": data_url()},
        {"image": [data_url()]},
        {"image": {"url": data_url()}},
        {"images": [{"image_url": {"url": data_url()}}]},
    ],
)
def test_images_in_json_come_in_several_spellings(given: dict[str, Any]) -> None:
    """An image alone or in a list, as an address or an object: all become the same."""
    assert edit(**given)["images"] == [{"image_url": data_url()}]


def test_a_type_beside_an_image_is_kept() -> None:
    """What another vendor wants beside the address stays there."""
    (source,) = edit(images=[{"type": "image_url", "url": data_url()}])["images"]
    assert source == {"type": "image_url", "image_url": data_url()}


@pytest.mark.parametrize("image", [PNG, jpeg("a", 8, 8), webp("a", 8, 8), GIF, b"GIF87a" + b"\0" * 9])
def test_each_kind_of_image_may_be_edited(image: bytes) -> None:
    """PNG, JPEG, WebP and GIF are images, whatever their data URL calls them."""
    assert edit(images=[data_url(image, "image/anything")])["images"]
    assert form(upload(data=image))["files"]


def test_addresses_and_files_of_the_upstream_are_left_to_it() -> None:
    """What lies elsewhere is not looked at here."""
    sources = [{"image_url": "https://example.com/a.png"}, {"file_id": "file-1"}]
    assert edit(images=sources)["images"] == sources


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "images"),
        ({"images": []}, "images"),
        ({"images": [data_url()] * 17}, "images"),
        ({"images": [{}]}, "images[0]"),
        ({"images": [data_url(), 7]}, "images[1]"),
        ({"images": [{"image_url": 7}]}, "images[0].image_url"),
        ({"images": ["cat.png"]}, "images[0].image_url"),
        ({"images": ["ftp://example.com/cat.png"]}, "images[0].image_url"),
        ({"images": ["data:image/png,abc"]}, "images[0].image_url"),
        ({"images": ["data:image/png;base64,%%%%"]}, "images[0].image_url"),
        ({"images": ["data:image/png;base64,"]}, "images[0].image_url"),
        ({"images": [data_url(b"%PDF-1.7 and so on")]}, "images[0].image_url"),
        ({"images": [data_url(b"<svg xmlns='...'>")]}, "images[0].image_url"),
        ({"images": [data_url(), data_url(b"hello, this is no image")]}, "images[1].image_url"),
        ({"images": [data_url()], "mask": data_url(b"nor is this an image")}, "mask.image_url"),
        ({"images": [data_url()], "input_fidelity": "middling"}, "input_fidelity"),
        ({"images": [data_url()], "n": 11}, "n"),
    ],
)
def test_an_image_in_json_that_is_none_is_refused(members: dict[str, Any], param: str) -> None:
    """Whatever is wrong with an image is a 400 with the path of that image."""
    with pytest.raises(InvalidRequest) as failed:
        edit(**members)
    assert failed.value.param == param


def test_the_texts_of_a_form_become_what_json_would_have() -> None:
    """Numbers and booleans of a form are read as such, unknown members stay texts, empty ones are left out."""
    given = {"n": "2", "stream": "true", "partial_images": "1", "size": "1024x1024", "seed": "7"}
    request = form(upload(), **given, user="", svg="null")
    assert request.pop("files") == [upload()]
    assert request == {
        "model": "m", "prompt": "a hat", "n": 2, "stream": True, "partial_images": 1, "size": "1024x1024", "seed": "7",
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"gateway": ['{"fallback": ["x"], "timeout": 2000}']},
        {"fallback": ['["x"]'], "timeout": ["2000"]},
        {"gateway[fallback][]": ["x"], "gateway[timeout]": ["2000"]},
    ],
)
def test_options_of_the_gateway_may_stand_in_a_form(fields: dict[str, list[str]]) -> None:
    """As JSON, one by one, or as OpenAI's SDK writes an object into a form."""
    parsed = parse_form({"model": ["m"], "prompt": ["p"], **fields}, [upload()])
    assert (parsed.options.fallback, parsed.options.timeout) == (("x",), 2.0)
    assert set(parsed.request) == {"model", "prompt", "files"}


def test_several_images_and_a_mask_are_kept_in_order() -> None:
    """Files stay as they came."""
    files = [*(upload("image[]") for _ in range(16)), upload("mask")]
    assert form(*files)["files"] == files


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [
        ([], {}, "image"),
        ([upload("mask")], {}, "image"),
        ([upload("image[]")] * 17, {}, "image"),
        ([upload(), upload("mask"), upload("mask")], {}, "mask"),
        ([upload(), upload("mask"), upload("markup")], {}, "markup"),
        ([upload("picture")], {}, "picture"),
        ([upload(data=b"")], {}, "image"),
        ([upload("image[]"), upload("image[]", data=None, kind="application/pdf", size=9)], {}, "image[1]"),
        ([upload(data=None, kind="text/plain; charset=utf-8", size=9)], {}, "image"),
        ([upload(data=b"this is no image at all")], {}, "image"),
        ([upload(), upload("mask", data=b"nor this, it is text")], {}, "mask"),
        ([upload()], {"image": "a.png"}, "image"),
        ([upload()], {"mask": "a.png"}, "mask"),
        ([upload()], {"n": "two"}, "n"),
        ([upload()], {"n": "99999999999999999999"}, "n"),
        ([upload()], {"n": "-1"}, "n"),
        ([upload()], {"stream": "perhaps"}, "stream"),
        ([upload()], {"prompt": ""}, "prompt"),
        ([upload()], {"size": "huge"}, "size"),
        ([upload()], {"gateway": "{"}, "gateway"),
        ([upload()], {"model": ""}, "model"),
    ],
)
def test_a_form_that_is_wrong_is_refused(files: list[Upload], fields: dict[str, str], param: str) -> None:
    """Whatever is wrong with a form is a 400 with the name of the part."""
    given = {"model": ["m"], "prompt": ["p"], **{name: [text] for name, text in fields.items()}}
    with pytest.raises(InvalidRequest) as failed:
        parse_form(given, files)
    assert failed.value.param == param


@given(
    st.fixed_dictionaries(
        {"prompt": st.text(min_size=1, max_size=20)},
        optional={
            "n": st.integers(-1, 12),
            "size": st.sampled_from(["auto", "1024x1024", "12", "x"]),
            "stream": st.booleans(),
            "partial_images": st.integers(0, 4),
            "output_compression": st.integers(0, 101),
            "quality": st.sampled_from(["low", "best"]),
            "user": st.text(min_size=1, max_size=5),
            "seed": st.text(min_size=1, max_size=5),
        },
    )
)
def test_a_form_and_json_mean_the_same(members: dict[str, Any]) -> None:
    """The same members are the same request, or wrong in the same place, whichever way they came."""

    def read(how: Any) -> Any:
        try:
            request = how()
        except InvalidRequest as refusal:
            return refusal.param
        return {name: value for name, value in request.items() if name not in ("files", "images")}

    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in members.items()}
    assert read(lambda: form(upload(), **texts)) == read(lambda: edit(images=[data_url()], **members))


def test_a_field_that_stands_twice_is_refused() -> None:
    """Which of two prompts counts is not guessed."""
    with pytest.raises(InvalidRequest) as failed:
        parse_form({"model": ["m"], "prompt": ["a", "b"]}, [upload()])
    assert failed.value.param == "prompt"


def test_a_large_file_is_taken_by_its_declared_type() -> None:
    """Of a file whose bytes are on disk, only size and type are looked at; no type at all will do."""
    for kind in ("image/png", "application/octet-stream", ""):
        assert form(upload(data=None, kind=kind, size=10**9))["files"][0].size == 10**9


@pytest.mark.parametrize("data", [b"", b"RIFF\0\0\0\0WAVEfmt ", b"GIF88a......", b"\x89PNG", b"%PDF-1.7 ...."])
def test_other_files_are_no_images(data: bytes) -> None:
    """A sound in the same container as WebP is none, either."""
    assert kind_of(data) is None


@given(st.binary(max_size=40))
def test_an_image_is_told_by_its_first_twelve_bytes(data: bytes) -> None:
    """Bytes are an image's exactly when they begin as one of the four kinds does."""
    begins = (rb"\x89PNG\r\n\x1a\n", rb"\xff\xd8\xff", rb"GIF8[79]a", rb"RIFF.{4}WEBP")
    expected = any(re.match(pattern, data, re.DOTALL) for pattern in begins)
    assert (kind_of(data) is not None) == expected == (kind_of(data[:12]) is not None)


# --- answers ---------------------------------------------------------------------------------

USAGE = {
    "input_tokens": 5, "input_tokens_details": {"text_tokens": 5, "image_tokens": 0}, "output_tokens": 272,
    "total_tokens": 277,
}  # fmt: skip
BODY: dict[str, Any] = {"created": 7, "data": [{"b64_json": "AA=="}, {"b64_json": "AQ=="}], "usage": USAGE}


def told(data: bytes, kind: str = "application/json") -> openai.OpenAI:
    """OpenAI's SDK, for which `data` is the answer to whatever it asks."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=data)

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=client, max_retries=0)


def events(surface: Any, data: bytes) -> list[Any]:
    """The events that OpenAI's SDK reads, each valid by its own type."""
    client = told(data, "text/event-stream").images
    stream = (
        client.edit(model="m", prompt="p", image=PNG, stream=True)
        if surface is EDITS
        else client.generate(model="m", prompt="p", stream=True)
    )
    found = list(stream)
    for one in found:
        TypeAdapter(type(one)).validate_python(one.model_dump(), strict=True)
    return found


def test_a_whole_answer_is_what_the_sdk_expects() -> None:
    """The body of an answer is valid by the SDK's type."""
    face = IMAGES.face(parse(b'{"model": "m", "prompt": "p"}'), VIEW)
    body = face.whole(Result(BODY, images=2))
    assert ImagesResponse.model_validate_json(body, strict=True).data is not None
    answer = told(body).images.generate(model="m", prompt="p")
    assert [image.b64_json for image in answer.data or ()] == ["AA==", "AQ=="]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 277


def test_bytes_of_an_answer_pass_as_they_are() -> None:
    """An answer that needs no change is not written anew."""
    face = IMAGES.face(parse(b'{"model": "m", "prompt": "p"}'), VIEW)
    assert face.whole(Result({}, data=b'{ "data": [] }')) == b'{ "data": [] }'


@pytest.mark.parametrize(("surface", "kind"), [(IMAGES, "image_generation"), (EDITS, "image_edit")])
def test_a_whole_answer_is_told_as_completed_events(surface: Any, kind: str) -> None:
    """Who asked for a stream of an upstream without one gets each image as an event, and all usage on the last."""
    parsed = IMAGES.parse(b'{"model": "m", "prompt": "p", "stream": true, "size": "512x512"}')
    face = surface.face(parsed, VIEW)
    found = events(surface, face.begin() + face.events([Result(BODY, images=2)]) + face.end())
    assert [one.type for one in found] == [f"{kind}.completed"] * 2
    assert [one.b64_json for one in found] == ["AA==", "AQ=="]
    assert [one.size for one in found] == ["512x512"] * 2
    assert [one.usage.total_tokens for one in found] == [0, 277]


@pytest.mark.parametrize("quality", ["standard", "hd", "auto", "high"])
def test_an_event_says_only_what_the_sdk_knows(quality: str) -> None:
    """What an upstream does not tell is filled in with words that OpenAI's type has, and with no tokens."""
    face = IMAGES.face(parse(orjson.dumps({"model": "m", "prompt": "p", "stream": True, "quality": quality})), VIEW)
    (one,) = events(IMAGES, face.events([Result({"created": 7, "data": [{"b64_json": "AA=="}]}, images=1)]))
    assert (one.quality, one.size, one.usage.total_tokens) == ("high" if quality == "high" else "auto", "auto", 0)


def test_parts_pass_as_they_are() -> None:
    """Frames of an upstream's stream are the client's."""
    face = IMAGES.face(parse(b'{"model": "m", "prompt": "p"}'), VIEW)
    assert face.events([Part(b"a"), Part(b"b", None, 1)]) == b"ab"
    assert face.events([]) == b""


@pytest.mark.parametrize("surface", [IMAGES, EDITS])
def test_a_stream_that_broke_makes_the_sdk_raise(surface: Any) -> None:
    """After what was shown, the error event is an exception with our message and code."""
    face = surface.face(IMAGES.parse(b'{"model": "m", "prompt": "p"}'), VIEW)
    partial = {"type": "image_generation.partial_image", "b64_json": "AA==", "partial_image_index": 0}
    data = face.events([Part(event("image_generation.partial_image", orjson.dumps(partial)))])
    data += face.failed(StreamInterrupted("It broke off."))
    stream = told(data, "text/event-stream").images.generate(model="m", prompt="p", stream=True)
    assert next(iter(stream)).type == "image_generation.partial_image"
    with pytest.raises(openai.APIError, match="It broke off") as failed:
        next(iter(stream))
    assert failed.value.code == "upstream_stream_interrupted"


def test_the_surfaces_say_what_they_are() -> None:
    """Both want the scope of images, and each the codec that serves it."""
    assert (IMAGES.scope, IMAGES.codec, EDITS.scope, EDITS.codec) == ("images", "images", "images", "edits")
    assert not IMAGES.live
