"""Images of OpenAI-like upstreams as they come back: whole, streamed, joined."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import ImagesResponse

from compatgw.dialects import images as shared
from compatgw.dialects.base import ImageQuirks, Part, Quirks, Result, Target
from compatgw.errors import StreamInterrupted, UpstreamFailure
from compatgw.wire.images import event
from compatgw_testing.fakes import FakeOpenAI

from .picturing import EDITS, FILE, IMAGES, NEW, asked, at, context, decoded, send, sent

# --- whole answers ---------------------------------------------------------------------------


def test_an_answer_without_a_time_gets_ours() -> None:
    """Some vendors do not say when."""
    assert decoded({"data": [{"url": "https://x"}]}).body["created"] == 1_780_000_000
    assert decoded({"created": True, "data": [{"url": "https://x"}]}).body["created"] == 1_780_000_000
    assert decoded({"created": 7, "data": [{"url": "https://x"}]}).body["created"] == 7


def test_an_answer_that_needs_no_change_passes_as_it_is() -> None:
    """Byte by byte; any other is written anew."""
    details = {"text_tokens": 1, "image_tokens": 0}
    usage = {"input_tokens": 1, "input_tokens_details": details, "output_tokens": 2, "total_tokens": 3}
    body = b' { "created": 7,  "data": [{"b64_json": "AA=="}], "usage": ' + orjson.dumps(usage) + b"}"
    assert decoded(body).data == body
    for other in (body.replace(b'"created": 7', b'"created": null'), body.replace(b'"AA=="', b'"AA==", "url": null')):
        assert decoded(other).data is None
    assert decoded(body, address=True).data is None


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


def test_a_large_image_is_one_event() -> None:
    """Twenty megabytes of base64 are nothing unusual."""
    data = frame("completed", b64_json="A" * 20_000_000)
    decoder = stream()
    parts = [*decoder.feed(data[: len(data) // 2]), *decoder.feed(data[len(data) // 2 :])]
    assert [len(part.data) for part in parts] == [len(data)]


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
