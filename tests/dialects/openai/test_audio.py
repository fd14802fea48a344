"""Audio at OpenAI-like upstreams: what is sent, and how sounds, transcripts and their streams are read."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import AudioQuirks, Context, Part, Quirks
from compatgw.dialects.openai.audio import SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from compatgw.errors import StreamInterrupted, UnsupportedParameter, UpstreamFailure
from compatgw.providers.table import PROVIDERS
from compatgw.wire.multipart import Upload

from .sending import target

SOUND = Upload("file", "a.wav", "audio/wav", 4, b"RIFF")


def to(policy: Any = "hints", **audio: Any) -> Any:
    """A target that differs by `audio`."""
    return target(Quirks(audio=AudioQuirks(**audio)), unsupported=policy)


def context(**memo: Any) -> Context:
    """Of a call whose request left `memo`."""
    return Context(target(), "id", 7, memo)


def spoken(to: Any = None, **members: Any) -> Any:
    """What is sent for a request for speech."""
    request = {"model": "asked", "input": "Hi", "voice": "alloy", **members}
    return SPEECH.encode(request, to or target())


def heard(to: Any = None, codec: Any = TRANSCRIPTIONS, **members: Any) -> Any:
    """What is sent for a recording."""
    return codec.encode({"model": "asked", "files": [SOUND], **members}, to or target())


def frames(*events: Any) -> bytes:
    """Events as a server writes them."""
    return b"".join(b"data: " + (x if isinstance(x, bytes) else orjson.dumps(x)) + b"\n\n" for x in events)


def drive(codec: Any, data: bytes, sizes: list[int] | None = None, **memo: Any) -> list[Part]:
    """All parts of a stream, cut into pieces."""
    decoder = codec.stream(context(**memo))
    parts: list[Part] = []
    at = 0
    for size in sizes or ():
        parts += decoder.feed(data[at : at + size])
        at += size
    if data[at:]:
        parts += decoder.feed(data[at:])
    parts += decoder.finish()
    return parts


# --- speech ----------------------------------------------------------------------------------


def test_a_request_for_speech_is_sent_as_it_is() -> None:
    """With the upstream's own model id; unknown members travel."""
    outgoing = spoken(speed=2, sample_rate=1)
    assert outgoing.path == "/audio/speech"
    assert orjson.loads(outgoing.body) == {
        "model": "m", "input": "Hi", "voice": "alloy", "speed": 2, "sample_rate": 1,
    }  # fmt: skip


def test_what_an_upstream_cannot_speak_is_left_out_or_refused() -> None:
    """Hints are named, what changes the sound is refused, and neutral values pass in silence."""
    quirks: Any = {"drop": {"instructions"}, "reject": {"stream_format"}, "sounds": frozenset({"mp3", "wav"})}
    outgoing = spoken(to(**quirks), instructions="Softly", stream_format="audio", response_format="wav")
    assert outgoing.dropped == ("instructions",)
    assert set(orjson.loads(outgoing.body)) == {"model", "input", "voice", "response_format"}
    for members in ({"stream_format": "sse"}, {"response_format": "opus"}):
        with pytest.raises(UnsupportedParameter) as caught:
            spoken(to(**quirks), **members)
        assert caught.value.param == next(iter(members))
        assert spoken(to("drop", **quirks), **members).dropped == (next(iter(members)),)
    with pytest.raises(UnsupportedParameter):
        spoken(to("reject", **quirks), instructions="Softly")


@given(
    st.binary(min_size=1, max_size=200).filter(lambda x: not x.strip().startswith(b"<")), st.lists(st.integers(1, 9))
)
def test_any_sound_passes_byte_by_byte(data: bytes, sizes: list[int]) -> None:
    """However it is cut, nothing is added, lost or held back until the end."""
    assert b"".join(part.data for part in drive(SPEECH, data, sizes)) == data


def test_a_sound_is_not_held_back() -> None:
    """Once it has begun, bytes go out as they come."""
    decoder = SPEECH.stream(context())
    assert decoder.feed(b"RIFF" * 4) == [Part(b"RIFF" * 4)]
    assert decoder.feed(b"x") == [Part(b"x")]
    assert decoder.finish() == []


def test_an_empty_sound_and_a_page_are_failures() -> None:
    """Status 200 alone makes no sound."""
    with pytest.raises(UpstreamFailure, match="no sound"):
        drive(SPEECH, b"")
    for page in (b"<!DOCTYPE html><html>Bad gateway", b"\n <html><body>x"):
        for sizes in ([], [1] * 20):
            with pytest.raises(UpstreamFailure, match="not a sound"):
                drive(SPEECH, page, sizes)


def test_json_in_place_of_a_sound_is_a_failure() -> None:
    """With the upstream's own words where it has some."""
    with pytest.raises(UpstreamFailure, match="quota is hard"):
        SPEECH.decode(b'{"error": {"message": "quota is hard"}}', context())
    with pytest.raises(UpstreamFailure, match="not a sound"):
        SPEECH.decode(b'{"audio": "AAAA"}', context())


def test_events_of_speech_pass_frame_by_frame() -> None:
    """Their end is the `done` event, with the tokens."""
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    first = b'event: speech.audio.delta\ndata: {"type":"speech.audio.delta","audio":"AA=="}\n\n'
    last = frames({"type": "speech.audio.done", "usage": usage})
    for sizes in ([], [1] * 120):
        parts = drive(SPEECH, first + last, sizes, events=True)
        assert [part.data for part in parts] == [first, last]
        assert parts[1].usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    with pytest.raises(StreamInterrupted):
        drive(SPEECH, first, events=True)
    with pytest.raises(StreamInterrupted):
        drive(SPEECH, first + b"data: [DONE]\n\n", events=True)


def test_an_error_among_events_comes_after_what_was_good() -> None:
    """Frames before it go out first."""
    decoder = SPEECH.stream(context(events=True))
    good = frames({"type": "speech.audio.delta", "audio": "AA=="})
    assert len(decoder.feed(good + frames({"error": {"message": "broke"}}))) == 1
    with pytest.raises(UpstreamFailure, match="broke"):
        decoder.feed(b"more")
    with pytest.raises(UpstreamFailure, match="broke"):
        decoder.finish()


# --- requests to hear ------------------------------------------------------------------------


def test_a_recording_is_sent_as_a_form() -> None:
    """The model first, lists in brackets, numbers and booleans as texts, the file as it is."""
    outgoing = heard(
        temperature=0.5,
        stream=True,
        include=["logprobs"],
        timestamp_granularities=["word", "segment"],
        chunking_strategy={"type": "server_vad"},
        language="en",
        **{"other[]": ["1", "2"]},
    )
    assert outgoing.path == "/audio/transcriptions"
    assert outgoing.body == b""
    assert outgoing.form is not None
    assert outgoing.form.files == (SOUND,)
    assert outgoing.form.fields == (
        ("model", "m"),
        ("temperature", "0.5"),
        ("stream", "true"),
        ("include[]", "logprobs"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("chunking_strategy[type]", "server_vad"),
        ("language", "en"),
        ("other[]", "1"),
        ("other[]", "2"),
    )
    assert heard(codec=TRANSLATIONS).path == "/audio/translations"


def test_a_stream_that_cannot_be_had_is_not_asked_for() -> None:
    """The whole answer is told as one then."""
    assert ("stream", "true") not in heard(to(stream=False), stream=True).form.fields
    assert heard(to(stream=False), stream=True).dropped == ()
    assert heard(stream=False).form.fields == (("model", "m"),)


def test_formats_that_an_upstream_does_not_have_are_refused() -> None:
    """Those that it gives anyway are not sent."""
    quirks = {"texts": {"json": "", "text": "", "verbose_json": "verbose"}}
    assert heard(to(**quirks), response_format="text").form.fields == (("model", "m"),)
    assert ("response_format", "verbose") in heard(to(**quirks), response_format="verbose_json").form.fields
    with pytest.raises(UnsupportedParameter, match="'json', 'text', 'verbose_json'") as caught:
        heard(to(**quirks), response_format="srt")
    assert caught.value.param == "response_format"


def test_upstreams_that_do_not_hear_are_told_by_their_quirks() -> None:
    """Planning asks."""
    quirks = Quirks(audio=AudioQuirks(speaks=False, hears=True, translates=False))
    assert [codec.serves(quirks) for codec in (SPEECH, TRANSCRIPTIONS, TRANSLATIONS)] == [False, True, False]


def row(name: str) -> Any:
    """A target at a provider of the table."""
    return target(PROVIDERS[name].quirks)


def test_elder_servers_are_asked_for_what_subtitles_are_made_of() -> None:
    """Groq and Together have times in JSON only; plain text Groq has itself."""
    for name, plain in (("groq", "text"), ("together", "json")):
        assert heard(row(name), response_format="srt").form.fields == (
            ("model", "m"),
            ("response_format", "verbose_json"),
        )
        assert ("response_format", plain) in heard(row(name), response_format="text").form.fields
        outgoing = heard(row(name), stream=True, chunking_strategy="auto", prompt="Names")
        assert outgoing.form.fields == (("model", "m"), ("prompt", "Names"))
        assert outgoing.dropped == ()
        assert heard(row(name), chunking_strategy={"type": "server_vad"}).dropped == ("chunking_strategy",)
        with pytest.raises(UnsupportedParameter):
            heard(row(name), include=["logprobs"])
        with pytest.raises(UnsupportedParameter):
            spoken(row(name), stream_format="sse")
        assert orjson.loads(spoken(row(name), sample_rate=8000).body)["sample_rate"] == 8000
    with pytest.raises(UnsupportedParameter, match="'mp3', 'wav'"):
        spoken(row("together"), response_format="pcm")


def test_mistral_is_asked_in_its_own_way() -> None:
    """Without formats, lists without brackets, with members of its own; other unknown ones are left out."""
    outgoing = heard(
        row("mistral"),
        response_format="text",
        timestamp_granularities=["segment"],
        diarize="true",
        prompt="Names",
        other="x",
        stream=True,
    )
    assert outgoing.form.fields == (
        ("model", "m"), ("timestamp_granularities", "segment"), ("diarize", "true"), ("stream", "true"),
    )  # fmt: skip
    assert set(outgoing.dropped) == {"prompt", "other"}
    with pytest.raises(UnsupportedParameter):
        heard(row("mistral"), response_format="verbose_json")
    assert not TRANSLATIONS.serves(PROVIDERS["mistral"].quirks)
    assert not SPEECH.serves(PROVIDERS["mistral"].quirks)


# --- transcripts -----------------------------------------------------------------------------


def test_a_transcript_in_json_goes_on_as_it_came() -> None:
    """Tokens are read; seconds are no tokens."""
    body = b'{"text": "Hi", "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "input_token_details": {"audio_tokens": 5, "text_tokens": 0}}}'
    result = TRANSCRIPTIONS.decode(body, context(format="json"))
    assert result.data == body
    assert result.usage == {
        "prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
        "prompt_tokens_details": {"audio_tokens": 5, "text_tokens": 0},
    }  # fmt: skip
    timed = TRANSCRIPTIONS.decode(b'{"text": "", "usage": {"type": "duration", "seconds": 3}}', context(format="json"))
    assert timed.usage is None
    assert timed.body["usage"] == {"type": "duration", "seconds": 3}


def test_tokens_in_the_words_of_chat_become_those_of_audio() -> None:
    """The SDK reads the latter."""
    told = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_audio_seconds": 4}
    result = TRANSCRIPTIONS.decode(orjson.dumps({"text": "Hi", "usage": told}), context(format="json"))
    assert result.data is None
    assert result.body["usage"] == {"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7}


@pytest.mark.parametrize("format", ["text", "srt", "vtt"])
def test_plain_text_goes_on_as_it_came(format: str) -> None:
    """Whatever it is, numbers and braces too."""
    for body in (b"Hi\n", b"42", b"", b"{ not json"):
        result = TRANSCRIPTIONS.decode(body, context(format=format))
        assert (result.data, result.type, result.usage) == (body, "text/plain; charset=utf-8", None)


def test_json_in_place_of_plain_text_becomes_it() -> None:
    """With the times of its segments, where there are some."""
    segments = [{"start": 0, "end": 1.5, "text": " Hi "}, {"start": 3601.2, "end": 3602, "text": "there"}]
    body = orjson.dumps({"text": "Hi there", "segments": segments})
    assert TRANSCRIPTIONS.decode(body, context(format="text")).data == b"Hi there\n"
    assert TRANSCRIPTIONS.decode(body, context(format="srt")).data == (
        b"1\n00:00:00,000 --> 00:00:01,500\nHi\n\n2\n01:00:01,200 --> 01:00:02,000\nthere\n\n"
    )
    assert TRANSCRIPTIONS.decode(body, context(format="vtt")).data == (
        b"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHi\n\n01:00:01.200 --> 01:00:02.000\nthere\n\n"
    )
    without: list[dict[str, Any]] = [
        {},
        {"segments": []},
        {"segments": [{"start": 2, "end": 1, "text": "x"}]},
        {"segments": [1]},
    ]
    for bad in without:
        with pytest.raises(UpstreamFailure, match="no times"):
            TRANSCRIPTIONS.decode(orjson.dumps({"text": "x", **bad}), context(format="srt"))


@pytest.mark.parametrize(
    "body", [b"Hi", b"[]", b"{}", b'{"text": 3}', b'{"text": null}', b'{"error": {"message": "no"}}']
)
def test_what_is_no_transcript_is_a_failure(body: bytes) -> None:
    """An error with status 200 among them."""
    for codec in (TRANSCRIPTIONS, TRANSLATIONS):
        with pytest.raises(UpstreamFailure):
            codec.decode(body, context(format="json"))
    if b"error" in body:
        with pytest.raises(UpstreamFailure):
            TRANSCRIPTIONS.decode(body, context(format="text"))


# --- streams ---------------------------------------------------------------------------------

TOKENS = {"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
HUB = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@given(st.lists(st.integers(1, 40), max_size=20))
def test_frames_of_a_transcript_pass_as_they_are(sizes: list[int]) -> None:
    """However they are cut; the last one tells the tokens, and what follows it does not count."""
    sent = [
        b'event: transcript.text.delta\ndata: {"type":"transcript.text.delta","delta":"Hi"}\n\n',
        frames({"type": "transcript.text.segment", "id": "seg_1", "text": "Hi", "speaker": "A", "start": 0, "end": 1}),
        frames({"type": "something.new"}),
        frames({"type": "transcript.text.done", "text": "Hi", "usage": TOKENS}),
    ]
    parts = drive(TRANSCRIPTIONS, b"".join(sent) + b"data: [DONE]\n\n", sizes)
    assert [part.data for part in parts] == sent
    assert [part.usage for part in parts] == [None, None, None, HUB]


def test_a_transcript_without_its_end_is_interrupted() -> None:
    """Neither the closing of the connection nor `[DONE]` is one."""
    delta = frames({"type": "transcript.text.delta", "delta": "Hi"})
    for data in (b"", delta, delta + b"data: [DONE]\n\n"):
        with pytest.raises(StreamInterrupted):
            drive(TRANSCRIPTIONS, data)


@pytest.mark.parametrize(
    "bad",
    [b"data: {\n\n", b"data: [1]\n\n", frames({"error": {"message": "x"}}), b'event: error\ndata: {"message":"x"}\n\n'],
)
def test_an_event_that_is_none_is_a_failure(bad: bytes) -> None:
    """After what was good."""
    delta = frames({"type": "transcript.text.delta", "delta": "Hi"})
    decoder = TRANSCRIPTIONS.stream(context())
    assert len(decoder.feed(delta + bad)) == 1
    with pytest.raises(UpstreamFailure):
        decoder.finish()
    with pytest.raises(UpstreamFailure):
        drive(TRANSCRIPTIONS, bad)


def told(parts: list[Part]) -> list[Any]:
    """What the frames of `parts` say."""
    return [orjson.loads(part.data.split(b"data: ")[1]) for part in parts]


def test_the_words_of_mistral_become_openais() -> None:
    """Its end holds text and tokens in the words of chat."""
    data = frames(
        {"type": "transcription.language", "audio_language": "en"},
        {"type": "transcription.text.delta", "text": "Hi "},
        {"type": "transcription.segment", "text": "Hi", "start": 0, "end": 1},
        {"type": "transcription.text.delta", "text": "there"},
        {"type": "transcription.done", "text": "Hi there", "model": "v", "usage": HUB},
    )
    parts = drive(TRANSCRIPTIONS, data)
    assert told(parts) == [
        {"type": "transcript.text.delta", "delta": "Hi "},
        {"type": "transcript.text.delta", "delta": "there"},
        {"type": "transcript.text.done", "text": "Hi there", "usage": TOKENS},
    ]
    assert parts[-1].usage == HUB


def test_chunks_like_a_chats_become_openais_events() -> None:
    """Their end is `[DONE]`, and only that."""
    data = frames(
        {"object": "transcription.chunk", "choices": [{"delta": {"content": "Hi "}}]},
        {"object": "transcription.chunk", "choices": [{"delta": {"content": "there"}, "finish_reason": "stop"}]},
        {"object": "transcription.chunk", "choices": [], "usage": HUB},
        {"object": "transcription.chunk", "choices": [], "usage": {"seconds": 3}},
    )
    parts = drive(TRANSCRIPTIONS, data + b"data: [DONE]\n\n")
    assert told(parts)[-1] == {"type": "transcript.text.done", "text": "Hi there", "usage": TOKENS}
    assert [event["type"] for event in told(parts)] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    with pytest.raises(StreamInterrupted):
        drive(TRANSCRIPTIONS, data)


def test_what_ends_a_stream_ends_it_once() -> None:
    """A failure stays one, an end stays one, and a stream that is too large is none."""
    delta = frames({"type": "transcript.text.delta", "delta": "Hi"})
    broken = TRANSCRIPTIONS.stream(context())
    assert len(broken.feed(delta + b"data: {\n\n")) == 1
    with pytest.raises(UpstreamFailure):
        broken.feed(delta)
    for codec, memo in ((SPEECH, {"events": True}), (TRANSCRIPTIONS, {})):
        unended = codec.stream(context(**memo))
        assert len(unended.feed(delta + b"data: {")) == 1
        with pytest.raises(UpstreamFailure, match="not a JSON object"):
            unended.finish()
        with pytest.raises(UpstreamFailure, match="not a stream"):
            codec.stream(context(**memo)).feed(b"x" * (17 << 20))
    over = SPEECH.stream(context(events=True))
    over.feed(frames({"type": "speech.audio.done"}))
    assert over.done
    assert (over.feed(delta), over.finish()) == ([], [])


def test_an_end_without_words_or_tokens_is_one() -> None:
    """Silence was recorded, and nobody counts."""
    (part,) = drive(TRANSCRIPTIONS, frames({"type": "transcription.text.delta"}, {"type": "transcription.done"}))
    assert told([part]) == [{"type": "transcript.text.done", "text": ""}]
    assert part.usage is None
    (part,) = drive(TRANSCRIPTIONS, frames({"choices": [1, {"delta": 2}]}) + b"data: [DONE]\n\n")
    assert told([part])[0]["text"] == ""


def test_a_short_sound_is_whole_at_its_end() -> None:
    """A few bytes wait until it is clear that they are no page."""
    decoder = SPEECH.stream(context())
    assert decoder.feed(b"ab") == []
    assert decoder.finish() == [Part(b"ab")]


@given(st.binary(max_size=300), st.sampled_from([{}, {"events": True}]))
def test_arbitrary_bytes_raise_nothing_but_failures(data: bytes, memo: dict[str, Any]) -> None:
    """Of either stream, and of whole answers."""
    for codec in (SPEECH, TRANSCRIPTIONS):
        try:
            drive(codec, b"data: " + data + b"\n\n", **memo)
        except UpstreamFailure:
            pass
    for format in ("json", "text", "srt"):
        try:
            TRANSCRIPTIONS.decode(data, context(format=format))
        except UpstreamFailure:
            pass
