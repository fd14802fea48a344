"""Requests for images and edits at OpenAI-like upstreams: what is sent to each, judged by a strict fake of OpenAI."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Quirks, Target
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.providers.table import PROVIDERS
from compatgw_testing.fakes import FakeOpenAI
from compatgw_testing.fakes.pictures import jpeg

from .picturing import EDITS, FILE, IMAGES, NEW, OLD, PNG, URL, asked, at, context, made, send, sent

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
