"""What the audio surfaces take, forgive and refuse, and how they tell an answer."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Part, Result
from compatgw.errors import GatewayError, InvalidRequest, UnsupportedMediaType
from compatgw.surfaces.audio import (
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    parse_no_form,
    parse_speech,
    parse_transcription,
    parse_translation,
)
from compatgw.surfaces.base import View
from compatgw.wire.multipart import Upload

VIEW = View("word", 1)
SOUND = Upload("file", "a.wav", "audio/wav", 4, b"RIFF")


def speech(**members: Any) -> Any:
    """A small valid request for speech with `members` over it, parsed."""
    return parse_speech(orjson.dumps({"model": "tts-1", "input": "Hi", "voice": "alloy", **members}))


def form(*files: Upload, **fields: list[str]) -> Any:
    """A small valid form with `fields` over it, parsed; names that are no words are given by ** of a dict."""
    return parse_transcription({"model": ["whisper-1"], **fields}, files or [SOUND])


# --- speech ----------------------------------------------------------------------------------


def test_a_request_for_speech_is_kept_with_members_that_we_do_not_know() -> None:
    """Other vendors' own members reach them; null ones are left out."""
    parsed = speech(speed=1.5, response_format="opus", sample_rate=8000, instructions=None)
    assert parsed.request == {
        "model": "tts-1", "input": "Hi", "voice": "alloy", "speed": 1.5, "response_format": "opus", "sample_rate": 8000,
    }  # fmt: skip


def test_the_gateways_own_members_are_taken_out() -> None:
    """`speed` is the speaker's, not the gateway's."""
    parsed = speech(timeout=5000, speed=2, gateway={"speed": "fast"})
    assert parsed.request["speed"] == 2
    assert (parsed.options.timeout, parsed.options.speed) == (5.0, "fast")
    assert "timeout" not in parsed.request


def test_a_voice_of_ones_own_is_an_object() -> None:
    """`{id}`."""
    assert speech(voice={"id": "voice_1"}).request["voice"] == {"id": "voice_1"}


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"voice": None}, "voice", "missing_parameter"),
        ({"input": None}, "input", "missing_parameter"),
        ({"model": None}, "model", "missing_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": " \n"}, "input", "invalid_value"),
        ({"input": ["a"]}, "input", "invalid_type"),
        ({"response_format": "midi"}, "response_format", "invalid_value"),
        ({"stream_format": "xml"}, "stream_format", "invalid_value"),
        ({"speed": 5}, "speed", "invalid_value"),
        ({"speed": "fast"}, "speed", "invalid_type"),
        ({"voice": 3}, "voice", "invalid_type"),
        ({"voice": ""}, "voice", "invalid_value"),
        ({"voice": {"name": "x"}}, "voice.id", "missing_parameter"),
    ],
)
def test_what_is_wrong_with_a_request_for_speech_is_said(members: dict[str, Any], param: str, code: str) -> None:
    """By its member."""
    with pytest.raises(InvalidRequest) as caught:
        speech(**members)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_speech_that_breaks_off_is_cut_and_events_say_an_error() -> None:
    """A sound cannot say that it is not whole."""
    sound = SPEECH.face(speech(), VIEW)
    assert SPEECH.live
    assert sound.stream_type == ""
    assert sound.events([Part(b"ab"), Part(b"cd")]) == b"abcd"
    assert sound.events([Result({}, data=b"xyz", type="audio/wav")]) == b"xyz"
    assert (sound.begin(), sound.end(), sound.failed(GatewayError("no"))) == (b"", b"", b"")
    events = SPEECH.face(speech(stream_format="sse"), VIEW)
    last = events.failed(GatewayError("no"))
    assert last.startswith(b"event: error\ndata: ")
    assert orjson.loads(last.split(b"data: ")[1])["error"]["message"] == "no"


# --- forms -----------------------------------------------------------------------------------


def test_texts_become_the_values_that_they_stand_for() -> None:
    """Numbers, booleans, lists in brackets, objects in brackets; what we do not know stays as it came."""
    parsed = form(
        **{
            "temperature": ["0.5"],
            "stream": ["true"],
            "include[]": ["logprobs"],
            "timestamp_granularities[]": ["word", "segment"],
            "known_speaker_names": ["a"],
            "chunking_strategy[type]": ["server_vad"],
            "chunking_strategy[threshold]": ["0.5"],
            "language": [""],
            "context_bias": ["x"],
            "other[]": ["1", "2"],
        }
    )
    assert parsed.request == {
        "model": "whisper-1",
        "temperature": 0.5,
        "stream": True,
        "include": ["logprobs"],
        "timestamp_granularities": ["word", "segment"],
        "known_speaker_names": ["a"],
        "chunking_strategy": {"type": "server_vad", "threshold": "0.5"},
        "context_bias": "x",
        "other[]": ["1", "2"],
        "files": [SOUND],
    }
    assert form(chunking_strategy=["auto"]).request["chunking_strategy"] == "auto"


def test_the_gateways_own_members_are_json_in_a_form() -> None:
    """At the top or in the object."""
    parsed = form(timeout=["5000"], fallback=['["a/b"]'], gateway=['{"trust_level": 2}'])
    options = parsed.options
    assert (options.timeout, options.fallback, options.trust_level) == (5.0, ("a/b",), 2)
    assert set(parsed.request) == {"model", "files"}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"temperature": ["warm"]}, "temperature", "invalid_type"),
        ({"temperature": ["1.5"]}, "temperature", "invalid_value"),
        ({"stream": ["perhaps"]}, "stream", "invalid_type"),
        ({"response_format": ["mp3"]}, "response_format", "invalid_value"),
        ({"timestamp_granularities[]": ["year"]}, "timestamp_granularities[0]", "invalid_value"),
        ({"known_speaker_names[]": ["a"] * 5}, "known_speaker_names", "invalid_value"),
        ({"language": ["en", "de"]}, "language", "invalid_value"),
        ({"model": [""]}, "model", "missing_parameter"),
        ({"gateway": ["{"]}, "gateway", "invalid_type"),
        ({"timeout": ["soon"]}, "timeout", "invalid_type"),
        ({"file": ["RIFF"]}, "file", "invalid_type"),
        ({"stream": ["true"], "response_format": ["srt"]}, "stream", "invalid_value"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(fields: dict[str, list[str]], param: str, code: str) -> None:
    """By its field."""
    with pytest.raises(InvalidRequest) as caught:
        form(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("files", "param", "code"),
    [
        ([], "file", "missing_parameter"),
        ([Upload("audio", "a.wav", "audio/wav", 4, b"RIFF")], "audio", "invalid_value"),
        ([SOUND, SOUND], "file", "invalid_value"),
        ([Upload("file", "a.wav", "audio/wav", 0, b"")], "file", "invalid_value"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(files: list[Upload], param: str, code: str) -> None:
    """Missing, under a wrong name, twice, empty."""
    for parse in (parse_transcription, parse_translation):
        with pytest.raises(InvalidRequest) as caught:
            parse({"model": ["m"]}, files)
        assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize(
    ("type", "filename"), [("audio/mpeg", "audio.mp3"), ("audio/wav; x=1", "audio.wav"), ("text/plain", "audio")]
)
def test_a_recording_without_a_name_gets_one_for_its_format(type: str, filename: str) -> None:
    """Upstreams tell the format by it."""
    parsed = form(Upload("file", "", type, 4, b"RIFF"))
    assert parsed.request["files"][0].filename == filename


def test_translations_know_no_streams() -> None:
    """False says nothing; everything else is refused."""
    assert "stream" not in parse_translation({"model": ["m"], "stream": ["false"]}, [SOUND]).request
    with pytest.raises(InvalidRequest) as caught:
        parse_translation({"model": ["m"], "stream": ["true"]}, [SOUND])
    assert caught.value.param == "stream"


def test_json_is_no_form() -> None:
    """A body that is not a form is told what is wanted."""
    with pytest.raises(UnsupportedMediaType, match="multipart/form-data"):
        parse_no_form(b"{}")
    for surface in (TRANSCRIPTIONS, TRANSLATIONS):
        with pytest.raises(UnsupportedMediaType):
            surface.parse(b"{}")


@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from(["model", "stream", "temperature", "include[]", "a[b]", "gateway", "file"]), st.text()
        ),
        st.lists(st.text(), min_size=1, max_size=3),
        max_size=5,
    )
)
def test_any_form_is_parsed_or_refused(fields: dict[str, list[str]]) -> None:
    """Nothing but an `InvalidRequest` is raised, and the fields are left alone."""
    before = {name: list(given) for name, given in fields.items()}
    try:
        parse_transcription(fields, [SOUND])
    except InvalidRequest as error:
        orjson.dumps(error.envelope())
    assert fields == before


# --- transcripts -----------------------------------------------------------------------------


def test_a_transcript_goes_out_as_it_came_or_is_written() -> None:
    """The upstream's own bytes, text of its own type, or what was changed."""
    face = TRANSCRIPTIONS.face(form(), VIEW)
    assert face.whole(Result({"text": "a"}, data=b'{"text": "a"}')) == b'{"text": "a"}'
    assert face.whole(Result({"text": "a"})) == b'{"text":"a"}'
    assert face.whole(Result({}, data=b"a\n", type="text/plain")) == b"a\n"


def test_a_whole_transcript_is_told_as_a_stream_where_one_was_asked_for() -> None:
    """Older models know no streams, and answer with JSON."""
    face = TRANSCRIPTIONS.face(form(stream=["true"]), VIEW)
    usage = {"type": "duration", "seconds": 3}
    told = face.begin() + face.events([Result({"text": "Hi there", "usage": usage})]) + face.end()
    events = [orjson.loads(frame.split(b"data: ")[1]) for frame in told.split(b"\n\n")[:-1]]
    assert events == [
        {"type": "transcript.text.delta", "delta": "Hi there"},
        {"type": "transcript.text.done", "text": "Hi there", "usage": usage},
    ]
    assert face.events([Result({"text": ""})]).count(b"data:") == 1
    assert face.events([Part(b"a"), Part(b"b")]) == b"ab"
    assert face.failed(GatewayError("no")).startswith(b"event: error\n")
