"""Images at OpenAI-like upstreams: what is sent to each, judged by a strict fake of OpenAI, and what comes back."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, cast

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import ImagesResponse

from compatgw.dialects import images as shared
from compatgw.dialects.base import Context, ImageQuirks, Outgoing, Part, Quirks, Result, Target
from compatgw.dialects.openai import DIALECT
from compatgw.errors import InvalidRequest, StreamInterrupted, UnsupportedParameter, UpstreamFailure
from compatgw.providers.table import PROVIDERS
from compatgw.wire import multipart
from compatgw.wire.images import event
from compatgw.wire.multipart import Upload
from compatgw_testing.fakes import FakeOpenAI
from compatgw_testing.fakes.openai.pictures import jpeg, png

assert DIALECT.images is not None
assert DIALECT.edits is not None
IMAGES, EDITS = DIALECT.images, DIALECT.edits
NEW, OLD = "gpt-image-2", "dall-e-3"
PNG = png("a", 8, 8)
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
FILE = Upload("image", "a.png", "image/png", len(PNG), PNG)


def at(provider: str = "openai", model: str = NEW, **more: Any) -> Target:
    """A target at one of the providers of the table."""
    return Target(provider, model, PROVIDERS[provider].quirks, **more)


def send(to: Target, codec: Any = IMAGES, **members: Any) -> Outgoing:
    """What is sent for a request, which is left as it was."""
    request = {"model": "asked", "prompt": "a cat", **members}
    before = repr(request)
    outgoing: Outgoing = codec.encode(request, to)
    assert repr(request) == before, "encoding changed its argument"
    return outgoing


def sent(to: Target, **members: Any) -> dict[str, Any]:
    """The JSON that is sent for a request for images."""
    body: dict[str, Any] = orjson.loads(send(to, **members).body)
    return body


def context(to: Target, outgoing: Outgoing | None = None, **memo: Any) -> Context:
    """What a decoder knows of a call."""
    return Context(to, "id", 1_780_000_000, memo or (outgoing.memo if outgoing else {}))


async def asked(fake: FakeOpenAI, outgoing: Outgoing) -> httpx.Response:
    """The fake's answer to what would be sent."""
    headers = {"authorization": f"Bearer {fake.api_key}", "content-type": "application/json"}
    body = outgoing.body
    if outgoing.form is not None:
        assert body == b""
        headers["content-type"] = multipart.content_type("b0undary")
        pieces = multipart.pieces(outgoing.form, "b0undary")
        body = b"".join(piece if isinstance(piece, bytes) else piece.data or b"" for piece in pieces)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fake), base_url="http://fake/v1") as client:
        return await client.post(outgoing.path, content=body, headers=headers)


async def made(to: Target, codec: Any = IMAGES, **members: Any) -> Result:
    """The images that a strict fake of OpenAI makes of a request, as the SDK's type takes them."""
    outgoing = send(to, codec, **members)
    answer = await asked(FakeOpenAI(), outgoing)
    assert answer.status_code == 200, answer.text
    result: Result = codec.decode(answer.content, context(to, outgoing))
    ImagesResponse.model_validate(result.body, strict=True)
    return result


# --- what is sent ----------------------------------------------------------------------------


def test_a_request_is_passed_on_with_the_upstreams_model() -> None:
    """All that OpenAI's newer models know is sent as it is, and members that nobody knows here, too."""
    members: dict[str, Any] = {
        "n": 2, "size": "1536x864", "quality": "high", "background": "transparent", "moderation": "low", "user": "u",
        "output_format": "webp", "output_compression": 80, "safety_identifier": "s", "seed": 7,
    }  # fmt: skip
    outgoing = send(at(), **members)
    assert outgoing.path == "/images/generations"
    assert orjson.loads(outgoing.body) == {"model": NEW, "prompt": "a cat", **members}
    assert (outgoing.dropped, outgoing.clamped, outgoing.form) == ((), (), None)


@pytest.mark.parametrize("format", ["url", "b64_json"])
def test_the_newer_models_are_never_asked_for_a_format(format: str) -> None:
    """They give base64, whatever is asked, and refuse to be asked."""
    assert "response_format" not in sent(at(), response_format=format)
    assert sent(at(model=OLD), response_format=format)["response_format"] == format


def test_words_of_the_other_family_are_translated() -> None:
    """A quality of DALL-E means one of the newer models', and the other way; both are reported."""
    assert send(at(), quality="hd").clamped == (("quality", "high"),)
    assert sent(at(), quality="standard")["quality"] == "medium"
    assert sent(at(model=OLD), quality="high")["quality"] == "hd"
    assert sent(at(model=OLD), quality="auto")["quality"] == "standard"
    assert send(at(), quality="high").clamped == ()


def test_what_only_tunes_an_image_is_left_out_and_reported() -> None:
    """DALL-E does not know the newer members, nor the newer models `style`."""
    outgoing = send(at(model=OLD), moderation="low", output_format="webp", output_compression=5)
    assert set(outgoing.dropped) == {"moderation", "output_format", "output_compression"}
    assert send(at(), style="vivid").dropped == ("style",)
    assert set(orjson.loads(outgoing.body)) == {"model", "prompt"}


def test_neutral_values_are_left_out_in_silence() -> None:
    """What means the same as nothing needs no report."""
    outgoing = send(at(model=OLD), moderation="auto", output_format="png", background="opaque", output_compression=100)
    assert (outgoing.dropped, set(orjson.loads(outgoing.body))) == ((), {"model", "prompt"})


@pytest.mark.parametrize(
    ("to", "members", "param"),
    [
        (at(model=OLD), {"background": "transparent"}, "background"),
        (at(model=OLD), {"n": 2}, "n"),
        (at("xai", "grok-imagine-image"), {"background": "transparent"}, "background"),
        (at("zai", "glm-image"), {"response_format": "b64_json"}, "response_format"),
        (at("zai", "glm-image"), {"stream": True}, "stream"),
        (at("zai", "glm-image"), {"n": 2}, "n"),
        (at(model=OLD, unsupported="reject"), {"moderation": "low"}, "moderation"),
    ],
)
def test_what_changes_the_image_is_refused(to: Target, members: dict[str, Any], param: str) -> None:
    """A member that cannot be carried although it changes the image is a 400 that names it."""
    with pytest.raises(UnsupportedParameter) as failed:
        send(to, **members)
    assert failed.value.param == param


def test_a_policy_of_dropping_refuses_nothing() -> None:
    """Who asks for that gets another image, and the names of what was left out."""
    outgoing = send(at(model=OLD, unsupported="drop"), n=3, background="transparent")
    assert set(outgoing.dropped) == {"n", "background"}
    assert outgoing.memo["n"] == 1


def test_a_deployment_without_a_telling_name_is_configured() -> None:
    """The trait `family` says what a deployment's name does not."""
    assert "response_format" in sent(at("azure", "pictures"), response_format="b64_json")
    to = at("azure", "pictures", traits={"family": "gpt-image"})
    assert "response_format" not in sent(to, response_format="b64_json")


def test_a_model_behind_a_router_is_told_by_its_last_name() -> None:
    """`openai/gpt-image-2` at another host is the same model."""
    assert "response_format" not in sent(at("vllm", "openai/gpt-image-2"), response_format="url")


def test_streams_are_asked_for_where_there_are_some() -> None:
    """The newer models stream; of all others the whole answer is asked, in base64, and partial images are reported."""
    assert sent(at(), stream=True, partial_images=2) == {
        "model": NEW, "prompt": "a cat", "stream": True, "partial_images": 2,
    }  # fmt: skip
    for to in (at(model=OLD), at("xai", "grok-imagine-image")):
        outgoing = send(to, stream=True, partial_images=2)
        assert orjson.loads(outgoing.body) == {"model": to.model, "prompt": "a cat", "response_format": "b64_json"}
        assert outgoing.dropped == ("partial_images",)


def test_xai_is_told_ratio_and_resolution() -> None:
    """A size becomes the nearest ratio; what was sent is reported; an own ratio of the caller stays."""
    outgoing = send(at("xai", "grok-imagine-image"), size="1792x1024", quality="hd", n=4, response_format="b64_json")
    assert orjson.loads(outgoing.body) == {
        "model": "grok-imagine-image", "prompt": "a cat", "n": 4, "response_format": "b64_json",
        "aspect_ratio": "16:9", "resolution": "2k",
    }  # fmt: skip
    assert (outgoing.dropped, outgoing.clamped) == (("quality",), (("size", "16:9 2k"),))
    assert sent(at("xai", "g"), size="1024x1024", aspect_ratio="2:1")["aspect_ratio"] == "2:1"
    assert set(sent(at("xai", "g"), size="auto")) == {"model", "prompt"}


def test_together_is_told_pixels() -> None:
    """A size becomes width and height, base64 has its own name, and own members of the caller stay."""
    body = sent(at("together", "flux"), size="1536x1024", response_format="b64_json", steps=4, quality="high")
    assert body == {
        "model": "flux", "prompt": "a cat", "width": 1536, "height": 1024, "steps": 4, "response_format": "base64",
    }  # fmt: skip
    assert sent(at("together", "flux"), response_format="url")["response_format"] == "url"
    assert "response_format" not in sent(at("together", "flux"))


def test_a_stream_carries_base64_whatever_was_asked_for() -> None:
    """Also one that is told from a whole answer."""
    outgoing = send(at("deepinfra", "flux"), stream=True, response_format="url")
    answer = orjson.dumps({"created": 7, "data": [{"b64_json": base64.b64encode(PNG).decode()}]})
    (image,) = IMAGES.decode(answer, context(at("deepinfra"), outgoing)).body["data"]
    assert list(image) == ["b64_json"]


@pytest.mark.parametrize("provider", ["deepinfra", "nscale"])
def test_hosts_that_give_base64_alone_are_asked_for_that(provider: str) -> None:
    """An address is made of it where one is asked for."""
    for format in ("url", "b64_json"):
        outgoing = send(at(provider, "flux"), response_format=format)
        assert orjson.loads(outgoing.body)["response_format"] == "b64_json"
    answer = orjson.dumps({"created": 7, "data": [{"b64_json": base64.b64encode(jpeg("a", 8, 8)).decode()}]})
    url = send(at(provider, "flux"), response_format="url")
    (image,) = IMAGES.decode(answer, context(at(provider), url)).body["data"]
    assert image["url"].startswith("data:image/jpeg;base64,")
    assert "b64_json" not in image


def test_zai_is_spoken_to_in_its_words() -> None:
    """Two qualities, another name for the user, and no format, as it gives addresses anyway."""
    body = sent(at("zai", "glm-image"), response_format="url", quality="high", user="someone", size="1280x1280")
    assert body == {
        "model": "glm-image", "prompt": "a cat", "quality": "hd", "user_id": "someone", "size": "1280x1280",
    }  # fmt: skip


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers(1, 10),
            "size": st.sampled_from(["auto", "256x256", "1024x1024", "1536x1024", "1x99999", "99999x1"]),
            "quality": st.sampled_from(["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]),
            "response_format": st.sampled_from(["url", "b64_json"]),
            "background": st.sampled_from(["auto", "opaque"]),
            "style": st.sampled_from(["vivid", "natural"]),
            "stream": st.booleans(),
            "output_format": st.sampled_from(["png", "jpeg", "webp"]),
        },
    ),
    st.sampled_from(sorted(name for name, row in PROVIDERS.items() if row.dialect == "openai")),
    st.sampled_from([NEW, OLD, "dall-e-2", "flux"]),
)
def test_nothing_disappears_without_a_word(members: dict[str, Any], provider: str, model: str) -> None:
    """At every provider, each member that is asked for is sent, translated, reported, or neutral."""
    outgoing = send(at(provider, model, unsupported="drop"), **members)
    body = orjson.loads(outgoing.body)
    changed = {name for name, _ in outgoing.clamped}
    silent = {"response_format", "stream", "size"}
    neutral = {"auto", "opaque", "png", "standard", 1}
    for name, value in members.items():
        assert name in body or name in outgoing.dropped or name in changed or name in silent or value in neutral
    assert len(set(outgoing.dropped)) == len(outgoing.dropped)
    if members.get("size", "auto") != "auto":
        assert {"size", "width", "aspect_ratio", "image_config"} & set(body)


# --- against a strict upstream ---------------------------------------------------------------


@pytest.mark.parametrize("model", [NEW, OLD, "dall-e-2"])
@pytest.mark.parametrize("format", [None, "url", "b64_json"])
async def test_each_family_gives_the_format_that_is_asked_for(model: str, format: str | None) -> None:
    """Base64 as base64, an address as an address, whichever of them the model gives by itself."""
    result = await made(at(model=model), **({"response_format": format} if format else {}), style="vivid", quality="hd")
    (image,) = result.body["data"]
    expected = format or ("b64_json" if model == NEW else "url")
    assert expected in image
    assert ({"url", "b64_json"} - {expected}).isdisjoint(image)
    assert result.images == 1


async def test_usage_is_told_in_both_words() -> None:
    """The body keeps OpenAI's words for images, limits and money get the hub's."""
    result = await made(at(), n=3)
    assert result.images == 3
    assert result.usage is not None
    usage = result.body["usage"]
    assert result.usage["prompt_tokens"] == usage["input_tokens"] > 0
    assert result.usage["completion_tokens"] == usage["output_tokens"] == 3 * 272
    assert result.usage["total_tokens"] == usage["total_tokens"]
    assert result.usage["prompt_tokens_details"].get("text_tokens") == usage["input_tokens_details"]["text_tokens"]


async def test_a_refusal_is_the_callers_with_its_param() -> None:
    """What the upstream refuses of the request is a 400 with its own words."""
    outgoing = send(at(model="gpt-image-1"), size="17x4000")
    answer = await asked(FakeOpenAI(), outgoing)
    failure = IMAGES.error(answer.status_code, dict(answer.headers), answer.content, at())
    assert (failure.status, failure.param, failure.code) == (400, "size", "invalid_value")


def test_what_a_filter_refuses_is_content_that_was_blocked() -> None:
    """OpenAI's word for it is its own."""
    text = "Your request was rejected by the safety system. If you believe this is an error, contact us."
    body = orjson.dumps(
        {"error": {"message": text, "type": "image_generation_user_error", "code": "moderation_blocked"}}
    )
    failed = IMAGES.error(400, {}, body, at())
    assert (failed.status, failed.code) == (400, "content_blocked")


def test_a_prompt_that_is_too_long_is_blamed_on_the_prompt() -> None:
    """There are no messages here."""
    body = orjson.dumps({"error": {"message": "This model's maximum context length is 9 tokens.", "code": None}})
    assert IMAGES.error(400, {}, body, at()).param == "prompt"


# --- edits -----------------------------------------------------------------------------------


async def test_a_form_is_sent_on_as_a_form() -> None:
    """One image and a mask, with members as texts, are what a strict upstream takes."""
    mask = replace(FILE, name="mask")
    form = send(at(), EDITS, files=[FILE, mask]).form
    assert form is not None
    assert form.files == (FILE, mask)
    result = await made(at(), EDITS, files=[FILE, mask], n=2, quality="low", input_fidelity="high")
    assert result.images == 2
    assert result.usage is not None
    assert result.usage["prompt_tokens_details"].get("image_tokens") == 323


async def test_several_images_are_sent_in_brackets() -> None:
    """However the client named them."""
    for name in ("image", "image[]"):
        files = [replace(FILE, name=name)] * 16
        outgoing = send(at(), EDITS, files=files)
        assert outgoing.form is not None
        assert [file.name for file in outgoing.form.files] == ["image[]"] * 16
        assert (await made(at(), EDITS, files=files)).images == 1
    single = send(at(), EDITS, files=[replace(FILE, name="image[]")])
    assert single.form is not None
    assert [file.name for file in single.form.files] == ["image"]


async def test_data_urls_become_files() -> None:
    """Images that came within JSON are sent as a form, which every upstream takes."""
    outgoing = send(at(), EDITS, images=[{"image_url": URL}, {"image_url": URL}], mask={"image_url": URL})
    assert outgoing.form is not None
    assert [(file.name, file.data) for file in outgoing.form.files] == [("image[]", PNG)] * 2 + [("mask", PNG)]
    assert (await made(at(), EDITS, images=[{"image_url": URL}], mask={"image_url": URL}, n=2)).images == 2


def test_addresses_stay_in_json() -> None:
    """What the upstream has to fetch, or has already, only its JSON form carries."""
    sources = [{"image_url": "https://example.com/a.png"}, {"file_id": "file-1"}]
    outgoing = send(at(), EDITS, images=sources, mask={"file_id": "file-2"}, n=2)
    assert (outgoing.path, outgoing.form) == ("/images/edits", None)
    assert orjson.loads(outgoing.body) == {
        "model": NEW, "prompt": "a cat", "images": sources, "mask": {"file_id": "file-2"}, "n": 2,
    }  # fmt: skip


def test_xai_takes_json_alone() -> None:
    """A form becomes data URLs: one as `image`, several as `images`."""
    to = at("xai", "grok-imagine-image")
    one = orjson.loads(send(to, EDITS, files=[FILE], size="1024x1024").body)
    assert one == {
        "model": to.model, "prompt": "a cat", "image": {"type": "image_url", "url": URL}, "aspect_ratio": "1:1",
        "resolution": "1k",
    }  # fmt: skip
    two = orjson.loads(send(to, EDITS, images=[{"image_url": URL}, {"image_url": "https://example.com/a"}]).body)
    assert two["images"] == [
        {"type": "image_url", "url": URL}, {"type": "image_url", "url": "https://example.com/a"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"files": [FILE, replace(FILE, name="mask")]}, "mask"),
        ({"images": [{"image_url": URL}], "mask": {"image_url": URL}}, "mask"),
        ({"files": [replace(FILE, data=None)]}, "image"),
        ({"files": [replace(FILE, name="image[]"), replace(FILE, name="image[]", data=None)]}, "image[1]"),
        ({"images": [{"file_id": "file-1"}]}, "images[0].file_id"),
    ],
)
def test_what_json_cannot_carry_to_xai_is_refused(members: dict[str, Any], param: str) -> None:
    """A mask, a file too large to be held, a file of another vendor."""
    with pytest.raises(UnsupportedParameter) as failed:
        send(at("xai", "grok-imagine-image"), EDITS, **members)
    assert failed.value.param == param


def test_markup_is_for_newer_models_only() -> None:
    """DALL-E would paint something else without it."""
    files = [FILE, replace(FILE, name="markup")]
    assert send(at(), EDITS, files=files).form is not None
    with pytest.raises(UnsupportedParameter):
        send(at(model="dall-e-2"), EDITS, files=files)
    dropped = send(at(model="dall-e-2", unsupported="drop"), EDITS, files=files)
    assert dropped.form is not None
    assert dropped.form.files == (FILE,)
    assert dropped.dropped == ("markup",)


def test_base64_that_breaks_off_is_refused() -> None:
    """Its beginning was an image, its end is none."""
    with pytest.raises(InvalidRequest) as failed:
        send(at(), EDITS, images=[{"image_url": URL.rstrip("=") + "A" * (3 if URL.endswith("=") else 1)}])
    assert failed.value.param == "images[0].image_url"


def test_bytes_that_are_no_image_are_not_written_into_json() -> None:
    """A file that lay on disk is looked at when its bytes are there."""
    lies = replace(FILE, name="image[]", data=b"this is no image")
    with pytest.raises(InvalidRequest) as failed:
        send(at("xai", "grok-imagine-image"), EDITS, files=[FILE, lies])
    assert failed.value.param == "image[1]"


def test_files_are_read_only_where_json_carries_them() -> None:
    """A form goes through without being held in memory."""
    assert not EDITS.inlines(PROVIDERS["openai"].quirks)
    assert EDITS.inlines(PROVIDERS["xai"].quirks)


@pytest.mark.parametrize(
    ("provider", "makes", "edits"),
    [
        ("openai", True, True), ("azure", True, True), ("xai", True, True), ("deepinfra", True, True),
        ("together", True, False), ("zai", True, False), ("nscale", True, False), ("groq", False, False),
        ("openrouter", True, True), ("vllm", True, True),
    ],
)  # fmt: skip
def test_hosts_without_images_are_not_asked(provider: str, makes: bool, edits: bool) -> None:
    """The planner looks elsewhere for what a row says is not there."""
    quirks = PROVIDERS[provider].quirks
    assert (IMAGES.serves(quirks), EDITS.serves(quirks)) == (makes, edits)


def test_a_server_that_nobody_knows_is_asked() -> None:
    """It may have whatever OpenAI has."""
    assert IMAGES.serves(Quirks())
    assert EDITS.serves(Quirks())


# --- whole answers ---------------------------------------------------------------------------


def decoded(value: Any, **memo: Any) -> Result:
    """The result that an answer becomes."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    result: Result = IMAGES.decode(data, context(at(), **memo))
    return result


def test_an_answer_without_a_time_gets_ours() -> None:
    """Some vendors do not say when."""
    assert decoded({"data": [{"url": "https://x"}]}).body["created"] == 1_780_000_000
    assert decoded({"created": True, "data": [{"url": "https://x"}]}).body["created"] == 1_780_000_000
    assert decoded({"created": 7, "data": [{"url": "https://x"}]}).body["created"] == 7


def test_usage_in_other_words_is_read() -> None:
    """Chat's words for tokens become those of images; a price is no usage."""
    result = decoded({"data": [{"url": "u"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.1}})
    assert result.body["usage"]["input_tokens"] == 3
    assert result.usage is not None
    assert result.usage["total_tokens"] == 7
    priced = decoded({"data": [{"url": "u"}], "usage": {"cost_in_usd_ticks": 7}})
    assert priced.usage is None
    assert "usage" not in priced.body


def test_a_total_may_hold_more_than_its_parts() -> None:
    """What a vendor counts beside input and output is not lost; a total that is too small is mended."""
    for told, total in ((9, 9), (1, 7), (None, 7)):
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": told}
        assert decoded({"data": [{"url": "u"}], "usage": usage}).body["usage"]["total_tokens"] == total


def test_an_address_that_is_there_stays() -> None:
    """Only where there is none, one is made."""
    both = {"url": "https://example.com/a", "b64_json": "AA=="}
    assert decoded({"data": [both]}, address=True).body["data"] == [both]


def test_entries_without_an_image_are_left_out() -> None:
    """What a filter took out is not an image; members beside an image stay."""
    result = decoded({"data": [{"url": ""}, {"url": "u", "b64_json": None, "mime_type": "image/jpeg"}, {}, None]})
    assert (result.body["data"], result.images) == ([{"url": "u", "mime_type": "image/jpeg"}], 1)


@pytest.mark.parametrize(
    "value",
    [b"", b"<html>", [], {}, {"data": []}, {"data": {}}, {"data": [{}]}, {"data": [{"url": 7}]}, {"data": None}, "x"],
)
def test_an_answer_without_images_is_a_failure(value: Any) -> None:
    """It never looks like success."""
    with pytest.raises(UpstreamFailure) as failed:
        decoded(value)
    assert failed.value.status == 502


def test_an_error_with_status_200_is_one() -> None:
    """It is judged as if its status had said so."""
    with pytest.raises(UpstreamFailure, match="slow down") as failed:
        decoded({"error": {"message": "slow down", "type": "rate_limit_error"}, "data": []})
    assert failed.value.status == 429


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "url", "b64_json", "usage", "created", "error", "input_tokens", "message"]),
                inner,
            )
        ),
        max_leaves=8,
    ),
    st.booleans(),
)
def test_any_answer_is_images_or_a_failure(value: Any, address: bool) -> None:
    """No JSON of an upstream breaks the decoder; what it gives always has an image, and can be written."""
    try:
        data = orjson.dumps(value)
    except TypeError:
        return
    try:
        result = decoded(data, address=address)
    except UpstreamFailure:
        return
    assert result.images == len(result.body["data"]) > 0
    orjson.dumps(result.body)


# --- streams ---------------------------------------------------------------------------------


def stream(codec: Any = IMAGES, **memo: Any) -> Any:
    """A new decoder."""
    return codec.stream(context(at(), **(memo or {"n": 1})))


def frame(kind: str, prefix: str = "image_generation", **members: Any) -> bytes:
    """One event of a stream."""
    name = f"{prefix}.{kind}"
    return event(name, orjson.dumps({"type": name, "b64_json": "AA==", **members}))


USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
PARTIAL, WHOLE = frame("partial_image", partial_image_index=0), frame("completed", usage=USAGE)


@pytest.mark.parametrize(("codec", "kind"), [(IMAGES, "image_generation"), (EDITS, "image_edit")])
@pytest.mark.parametrize("cut", [1, 7, 1000, 10**9])
async def test_a_stream_of_the_fake_passes_frame_by_frame(codec: Any, kind: str, cut: int) -> None:
    """However its bytes are cut, each frame passes as it is; images are counted and usage is told at the end."""
    extra = {"files": [FILE]} if codec is EDITS else {}
    outgoing = send(at(), codec, stream=True, partial_images=2, n=2, size="16x16", **extra)
    answer = await asked(FakeOpenAI(), outgoing)
    assert answer.headers["content-type"].startswith(codec.stream_type)
    decoder = codec.stream(context(at(), outgoing))
    parts: list[Part] = []
    for start in range(0, len(answer.content), cut):
        parts += decoder.feed(answer.content[start : start + cut])
    assert decoder.done
    parts += decoder.finish()
    assert b"".join(part.data for part in parts) == answer.content
    assert [part.images for part in parts] == [0, 0, 1, 0, 0, 1]
    assert parts[-1].data.startswith(f"event: {kind}.completed\n".encode())
    assert parts[-1].usage is not None
    assert parts[-1].usage["completion_tokens"] == 544
    assert parts[0].usage is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PARTIAL,
        b": ping\n\n",
        b"data: [DONE]\n\n",
        PARTIAL + b"data: [DONE]\n\n",
        WHOLE[:-20],
        PARTIAL + WHOLE[:60],
    ],
)
def test_a_stream_without_its_image_is_interrupted(data: bytes) -> None:
    """An end before the completed event is none."""
    decoder = stream()

    def read() -> None:
        decoder.feed(data)
        decoder.finish()

    with pytest.raises(UpstreamFailure):
        read()
    assert not decoder.done


@pytest.mark.parametrize("data", [WHOLE, WHOLE + PARTIAL, WHOLE + PARTIAL + b"data: [DONE]\n\n"])
def test_a_stream_with_too_few_images_is_interrupted(data: bytes) -> None:
    """Two were asked for, one came, and nobody said that this is all."""
    decoder = stream(n=2)
    decoder.feed(data)
    with pytest.raises(StreamInterrupted):
        decoder.finish()


def test_done_says_that_this_is_all() -> None:
    """A filter may have taken out the second image: an upstream that ends its stream in so many words is believed."""
    decoder = stream(n=2)
    assert sum(part.images for part in decoder.feed(PARTIAL + WHOLE + b"data: [DONE]\n\n")) == 1
    assert decoder.done
    assert decoder.finish() == []


def test_the_largest_usage_counts() -> None:
    """Whether events speak of all images or each of its own, no later one makes less of what was used."""
    decoder = stream(n=3)
    usages = [None, {"input_tokens": 1, "output_tokens": 9}, {"input_tokens": 1, "output_tokens": 5}]
    parts = [part for usage in usages for part in decoder.feed(frame("completed", usage=usage))]
    assert [part.usage and part.usage["total_tokens"] for part in parts] == [None, 10, 10]


def test_an_end_without_its_blank_line_is_read() -> None:
    """The last event is whole when only the line behind it is missing."""
    decoder = stream()
    assert decoder.feed(WHOLE.rstrip(b"\n")) == []
    (part,) = decoder.finish()
    assert part.images == 1


@pytest.mark.parametrize(
    "failure",
    [
        event("error", b'{"type": "error", "error": {"message": "it blew up", "type": "server_error"}}'),
        b'data: {"error": {"message": "it blew up"}}\n\n',
        event("error", b'{"type": "error", "message": "it blew up", "code": "server_error"}'),
    ],
)
def test_an_error_event_fails_the_stream_after_what_was_shown(failure: bytes) -> None:
    """Frames before it are the client's, however the bytes were cut; then it raises."""
    decoder = stream()
    with pytest.raises(UpstreamFailure, match="it blew up"):
        decoder.feed(failure)
    decoder = stream()
    assert len(decoder.feed(PARTIAL + failure)) == 1
    with pytest.raises(UpstreamFailure, match="it blew up"):
        decoder.feed(b"")
    with pytest.raises(UpstreamFailure, match="it blew up"):
        decoder.finish()


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n", b"data: []\n\n", event("image_generation.completed", b'{"type": "image_generation.completed"}'),
        b"data: " + b"x" * 70_000_000,
    ],
)  # fmt: skip
def test_events_that_are_no_events_fail_the_stream(data: bytes) -> None:
    """What cannot be read may have been an image."""
    with pytest.raises(UpstreamFailure):
        stream().feed(data)


def test_events_without_names_get_them() -> None:
    """Some servers write data alone; OpenAI's stream has names."""
    data = WHOLE.partition(b"\n")[2]
    (part,) = stream().feed(data)
    assert part.data == WHOLE


def test_events_of_the_other_endpoint_are_renamed() -> None:
    """An edit is told as one, also where an upstream tells it like a new image."""
    (part,) = stream(EDITS).feed(WHOLE)
    assert part.data.startswith(b"event: image_edit.completed\n")
    assert b'"type":"image_edit.completed"' in part.data


def test_what_follows_the_last_image_is_not_read() -> None:
    """After as many images as were asked for, the stream is over."""
    decoder = stream()
    assert len(decoder.feed(WHOLE + PARTIAL)) == 1
    assert decoder.feed(PARTIAL) == []
    assert decoder.finish() == []


@given(
    st.lists(
        st.sampled_from([PARTIAL, WHOLE, b": ping\n\n", b"data: [DONE]\n\n", b"data: {}\r\n\r\n", WHOLE[:50], b"\n"])
        | st.binary(max_size=12),
        max_size=6,
    ),
    st.lists(st.integers(1, 200), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_how_bytes_are_cut_changes_nothing(pieces: list[bytes], cuts: list[int], wanted: int) -> None:
    """Whatever an upstream writes and however it arrives: the same frames, and the same end."""

    def read(chunks: list[bytes]) -> tuple[bytes, int, bool]:
        decoder = stream(n=wanted)
        parts: list[Part] = []
        try:
            for chunk in chunks:
                parts += decoder.feed(chunk)
            parts += decoder.finish()
        except UpstreamFailure:
            return b"".join(part.data for part in parts), sum(part.images for part in parts), False
        return b"".join(part.data for part in parts), sum(part.images for part in parts), True

    data = b"".join(pieces)
    chunks: list[bytes] = []
    start = 0
    while start < len(data):
        size = cuts[len(chunks) % len(cuts)]
        chunks.append(data[start : start + size])
        start += size
    shown, made, ended = read(chunks)
    assert (shown, made, ended) == read([data])
    assert not ended or made > 0
    assert made <= wanted


def test_unknown_events_pass_and_pings_do_not() -> None:
    """What is younger than this is the client's to know."""
    later = event("image_generation.thinking", b'{"type":"image_generation.thinking"}')
    assert [part.data for part in stream().feed(event("ping", b"{}") + later)] == [later]


# --- what is shared --------------------------------------------------------------------------

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "19.5:9")


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ("1024x1024", "1:1"), ("1536x1024", "3:2"), ("1024x1536", "2:3"), ("1792x1024", "16:9"), ("1024x1792", "9:16"),
        ("256x256", "1:1"), ("4000x3000", "4:3"), ("99999x1", "19.5:9"), ("1x99999", "9:16"),
    ],
)  # fmt: skip
def test_a_size_has_a_nearest_ratio(size: str, ratio: str) -> None:
    """OpenAI's sizes have the ratios that people expect."""
    measured = shared.measured(size)
    assert measured is not None
    assert shared.nearest(measured, RATIOS) == ratio


def test_no_size_is_no_size() -> None:
    """`auto` leaves it to the model."""
    assert shared.measured("auto") is shared.measured(None) is None


@given(st.integers(1, 99_999), st.integers(1, 99_999), st.integers(1, 50))
def test_the_nearest_ratio_is_about_shape_alone(width: int, height: int, factor: int) -> None:
    """It is one of those given, the same for a larger image of the same shape, and turns when the image does."""
    ratios = ("1:1", "2:3", "3:2", "9:16", "16:9")
    found = shared.nearest(shared.Size(width, height), ratios)
    assert found in ratios
    assert shared.nearest(shared.Size(height, width), ratios) == ":".join(reversed(found.split(":")))
    off = abs(width / height - 1) if found == "1:1" else 0
    assert off < 0.5
    assert shared.nearest(shared.Size(width * factor, height * factor), ratios) == found


@given(st.integers(1, 99_999), st.integers(1, 99_999))
def test_a_larger_image_never_has_a_smaller_grade(width: int, height: int) -> None:
    """Grades grow with the longer side, and the largest will do for all beyond."""
    grades = ("1K", "2K", "4K")
    size = shared.Size(width, height)
    assert grades.index(shared.grade(size, grades)) <= grades.index(
        shared.grade(shared.Size(width, height * 2), grades)
    )
    assert shared.grade(size, ("1K",)) == "1K"


COUNTS = st.integers(0, 10**9)
BODIES = st.builds(
    lambda images, inputs, outputs: {
        "created": 7,
        "data": [{"b64_json": str(n)} for n in range(images)],
        "usage": {
            "input_tokens": inputs, "output_tokens": outputs, "total_tokens": inputs + outputs,
            "input_tokens_details": {"text_tokens": inputs, "image_tokens": 0},
        },
    },
    st.integers(1, 3), COUNTS, COUNTS,
)  # fmt: skip


@given(st.lists(BODIES, min_size=1, max_size=5))
def test_parts_of_a_request_join_into_one_answer(bodies: list[Any]) -> None:
    """All images in order, all tokens added up, in both words; and joining in steps makes no difference."""
    results = [shared.result(body) for body in bodies]
    whole = shared.join(results)
    assert whole.body["data"] == [image for body in bodies for image in body["data"]]
    assert whole.images == len(whole.body["data"])
    assert whole.usage is not None
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert whole.body["usage"][name] == sum(body["usage"][name] for body in bodies)
    assert whole.usage == shared.in_hub(whole.body["usage"])
    assert shared.join([shared.join(results[:1]), *results[1:]]) == whole
    ImagesResponse.model_validate(whole.body, strict=True)


def test_joining_keeps_its_arguments_and_needs_one() -> None:
    """A result without usage adds none; nothing cannot be joined."""
    told = shared.result(cast("Any", {"created": 7, "data": [{"url": "a"}], "usage": USAGE}))
    before = orjson.dumps(told.body)
    joined = shared.join([told, Result({"created": 8, "data": [{"url": "b"}]}, images=1)])
    assert (joined.body["created"], joined.body["usage"], joined.images) == (7, USAGE, 2)
    assert orjson.dumps(told.body) == before
    with pytest.raises(ValueError, match="nothing"):
        shared.join([])


def test_quirks_of_images_may_be_configured() -> None:
    """A configuration's table replaces a row's."""
    quirks = Quirks(images=ImageQuirks(size="pixels", stream=False))
    body = sent(Target("own", NEW, quirks), size="512x256", stream=True)
    assert (body["width"], body["height"]) == (512, 256)
    assert "stream" not in body


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
    assert "image_config" not in sent(ROUTED, size="auto")


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
