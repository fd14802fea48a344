"""Speech from Google's models: what is asked of them, and how their sounds are handed on."""

from __future__ import annotations

import base64
import io
import wave
from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Outgoing, Target
from compatgw.dialects.gemini.speech import SPEECH
from compatgw.errors import UnsupportedParameter, UpstreamFailure, UpstreamRejected

from .judges import accepted

MODEL = "gemini-2.5-flash-preview-tts"
SAMPLES = bytes(range(200)) * 2
KIND = "audio/L16;codec=pcm;rate=16000"
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 40, "totalTokenCount": 43}


def encode(unsupported: Any = "hints", **members: Any) -> Outgoing:
    """What is sent for a request."""
    request = {"model": "asked", "input": "Hello", "voice": "Kore", **members}
    before = orjson.dumps(request)
    outgoing = SPEECH.encode(request, Target("Google", MODEL, unsupported=unsupported))
    assert orjson.dumps(request) == before
    accepted(outgoing.body)
    return outgoing


def decode(value: Any, **memo: Any) -> Any:
    """What becomes of an answer."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return SPEECH.decode(body, Context(Target("Google", MODEL), "id", 7, memo))


def answer(*sounds: bytes, kind: str = KIND, reason: str = "STOP") -> dict[str, Any]:
    """An answer as Google writes it."""
    parts = [{"inlineData": {"mimeType": kind, "data": base64.b64encode(sound).decode()}} for sound in sounds]
    return {"candidates": [{"content": {"parts": parts}, "finishReason": reason}], "usageMetadata": USAGE}


def test_the_model_is_asked_for_audio_in_a_voice_of_its_own() -> None:
    """The SDK's own type takes what is sent."""
    outgoing = encode(response_format="wav")
    assert outgoing.path == f"/models/{MODEL}:generateContent"
    body = orjson.loads(outgoing.body)
    assert body["generationConfig"]["responseModalities"] == ["AUDIO"]
    voice = body["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"]
    assert voice == "Kore"
    assert body["contents"][0]["parts"] == [{"text": "Hello"}]
    assert outgoing.clamped == ()


def test_who_asks_for_no_format_gets_wav_and_is_told_so() -> None:
    """What they compress is nothing; we do not encode."""
    assert encode().clamped == (("response_format", "wav"),)
    with pytest.raises(UnsupportedParameter, match="'wav' or 'pcm'"):
        encode(response_format="mp3")
    dropped = encode("drop", response_format="mp3")
    assert (dropped.dropped, dropped.clamped) == (("response_format",), (("response_format", "wav"),))


def test_what_the_model_cannot_do_is_left_out_or_refused() -> None:
    """Instructions tune, a pace changes what is heard, and so does a voice of one's own."""
    assert encode(instructions="Softly").dropped == ("instructions",)
    assert encode(speed=1, instructions="").dropped == ()
    for members in ({"speed": 2}, {"voice": {"id": "v"}}):
        with pytest.raises(UnsupportedParameter) as caught:
            encode(**members)
        assert caught.value.param == next(iter(members))


def test_samples_become_a_wav_that_others_read() -> None:
    """Several parts are one sound; the rate is the one that was told."""
    result = decode(answer(SAMPLES[:100], SAMPLES[100:]), format="wav")
    assert result.type == "audio/wav"
    with wave.open(io.BytesIO(result.data)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (16000, 1, 2)
        assert sound.readframes(1000) == SAMPLES
    assert (result.usage["prompt_tokens"], result.usage["completion_tokens"], result.usage["total_tokens"]) == (
        3,
        40,
        43,
    )
    with wave.open(io.BytesIO(decode(answer(SAMPLES, kind="audio/pcm"), format="wav").data)) as sound:
        assert sound.getframerate() == 24000


def test_samples_are_given_bare_where_pcm_was_asked_for() -> None:
    """And a sound in a container as what it is."""
    assert (decode(answer(SAMPLES), format="pcm").data, decode(answer(SAMPLES), format="pcm").type) == (
        SAMPLES,
        "audio/pcm",
    )
    other = decode(answer(b"OggS", kind="audio/ogg"), format="wav")
    assert (other.data, other.type) == (b"OggS", "audio/ogg")


def test_events_tell_the_whole_sound() -> None:
    """One delta, then the end with its tokens."""
    result = decode(answer(SAMPLES), format="pcm", events=True)
    assert result.type == "text/event-stream"
    delta, done = (orjson.loads(frame.split(b"data: ")[1]) for frame in result.data.split(b"\n\n")[:-1])
    assert base64.b64decode(delta["audio"]) == SAMPLES
    assert done == {
        "type": "speech.audio.done", "usage": {"input_tokens": 3, "output_tokens": 40, "total_tokens": 43},
    }  # fmt: skip


@pytest.mark.parametrize(
    "value",
    [
        b"no",
        [],
        {},
        {"candidates": []},
        {"candidates": [{"content": {"parts": [{"text": "I cannot."}]}}]},
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "audio/L16", "data": "!"}}]}}]},
        {"error": {"code": 500, "message": "broke", "status": "INTERNAL"}},
        answer(SAMPLES, reason="MAX_TOKENS"),
        answer(reason="OTHER"),
    ],
)
def test_what_is_no_whole_sound_is_a_failure(value: Any) -> None:
    """Nothing, words, half of it."""
    with pytest.raises(UpstreamFailure):
        decode(value, format="wav")


@pytest.mark.parametrize("value", [answer(reason="SAFETY"), {"promptFeedback": {"blockReason": "SAFETY"}}])
def test_a_text_that_is_not_spoken_is_the_callers(value: Any) -> None:
    """Blocked before or after."""
    with pytest.raises(UpstreamRejected) as caught:
        decode(value, format="wav")
    assert (caught.value.status, caught.value.code) == (400, "content_blocked")
