"""OpenAI's audio: rules, answers and routes of transcription, translation and speech.

Turns of the script say what is heard. What does not live here: the sounds (`sounds.py`).
"""

from __future__ import annotations

import base64
import io
import json
import re
import wave
from typing import TYPE_CHECKING, Any, ClassVar

from compatgw_testing import script
from compatgw_testing.fakes.answer import Answer, Frame, Json
from compatgw_testing.fakes.base import Route
from compatgw_testing.fakes.form import Upload
from compatgw_testing.fakes.openai.sounds import SOUNDS
from compatgw_testing.fakes.openai.vendor import Vendor
from compatgw_testing.fakes.openai.wording import members_of, refuse
from compatgw_testing.fakes.shape import Arr, Bool, Either, Free, Num, Obj, Str
from compatgw_testing.request import Message, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Turn

_VOICES = [
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
]
_FILES = ["flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "oga", "wav", "webm"]
_TEXTS = ("json", "text", "srt", "verbose_json", "vtt")
SPEECH: dict[str, Shape] = {
    "input": Str(low=1, high=4096),
    "model": Str(),
    "voice": Either({"string": Str(tuple(_VOICES)), "object": Obj({"id": Str()}, ("id",))}),
    "instructions": Str(high=4096),
    "response_format": Str(tuple(SOUNDS)),
    "speed": Num(0.25, 4),
    "stream_format": Str(("audio", "sse")),
}
_HEARD: dict[str, Shape] = {
    "file": Free(),
    "model": Str(),
    "prompt": Str(),
    "response_format": Str((*_TEXTS, "diarized_json")),
    "temperature": Num(0, 1),
}
TRANSCRIPTION: dict[str, Shape] = {
    **_HEARD,
    "chunking_strategy": Free(),
    "include": Arr(Str(("logprobs",))),
    "keywords": Arr(Str()),
    "known_speaker_names": Arr(Str(), high=4),
    "known_speaker_references": Arr(Str(), high=4),
    "language": Str(),
    "languages": Arr(Str()),
    "stream": Bool(),
    "timestamp_granularities": Arr(Str(("word", "segment"))),
}
TRANSLATION = {**_HEARD, "response_format": Str(_TEXTS)}


def check_speech(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request for speech that the vendor would not take."""
    body = members_of(body, SPEECH, ("input", "model", "voice"), habit)
    if habit.models_rules and body["model"].startswith("tts-1"):
        if "instructions" in body:
            raise refuse("'instructions' is not supported with this model.", "instructions", "unsupported_parameter")
        if body.get("stream_format") == "sse":
            raise refuse("'stream_format' 'sse' is not supported with this model.", "stream_format")


def check_hearing(body: Any, habit: Habit, *, translate: bool = False) -> None:
    """Raises Refused at the first thing in a transcription that the vendor would not take."""
    body = members_of(body, TRANSLATION if translate else TRANSCRIPTION, ("file", "model"), habit)
    file, form = body["file"], body.get("response_format", "json")
    if not isinstance(file, Upload):
        raise refuse("Invalid 'file': expected a file.", "file", "invalid_type")
    if file.filename.rpartition(".")[2].lower() not in _FILES:
        raise refuse(f"Invalid file format. Supported formats: {_FILES}", "file")
    if len(file.data) < 16:
        raise refuse("Audio file is too short. Minimum audio length is 0.1 seconds.", "file", "audio_too_short")
    if "timestamp_granularities" in body and form != "verbose_json":
        raise refuse(
            "'timestamp_granularities' is only allowed with 'response_format' 'verbose_json'.",
            "timestamp_granularities",
        )
    if not habit.models_rules:
        return
    whisper = body["model"] == "whisper-1"
    if translate and not whisper:
        raise refuse(f"The model '{body['model']}' does not translate; use 'whisper-1'.", "model", "invalid_value")
    allowed = _TEXTS if whisper else ("json", "diarized_json", "text") if "diarize" in body["model"] else ("json",)
    if form not in allowed:
        raise refuse(
            f"response_format '{form}' is not compatible with model '{body['model']}'. Use 'json' instead.",
            "response_format",
            "unsupported_value",
        )
    if "include" in body and (whisper or "diarize" in body["model"]):
        raise refuse("'include' is not supported with this model.", "include", "unsupported_parameter")


class AudioSurface(Vendor):
    """`POST /audio/speech`, `/audio/transcriptions` and `/audio/translations`."""

    audio_routes: ClassVar[tuple[Route, ...]] = (
        Route("POST", "/audio/speech", "_speech"),
        Route("POST", "/audio/transcriptions", "_transcribe", "form"),
        Route("POST", "/audio/translations", "_translate", "form"),
    )

    def _speech(self, call: Call) -> Answer:
        if self.strict:
            check_speech(call.body, self.habit)
        text, model = self.read(lambda: (str(call.body["input"]), str(call.body["model"])))
        self.require_model(call, model)
        kind, sound = self.read(lambda: SOUNDS[str(call.body.get("response_format") or "mp3")])
        settings = {name: call.body[name] for name in ("voice", "speed") if call.body.get(name) is not None}
        request = Request(model=model, surface="speech", inputs=(text,), settings=settings, prompt=text)

        def make(turn: Turn | None) -> Answer:
            data = sound(text)
            if call.body.get("stream_format") == "sse":
                headers = [*self.stream_headers(), *self.headers(call)]
                return Answer(headers=headers, frames=_spoken(data, text))
            return Answer(headers=[("content-type", kind), *self.headers(call)], body=data)

        return self.serve(call, request, make)

    def _transcribe(self, call: Call) -> Answer:
        return self._heard(call, translate=False)

    def _translate(self, call: Call) -> Answer:
        return self._heard(call, translate=True)

    def _heard(self, call: Call, *, translate: bool) -> Answer:
        body = _typed(call.body)
        if self.strict:
            check_hearing(body, self.habit, translate=translate)
        model = str(body.get("model"))
        self.require_model(call, model)
        file = self.read(lambda: body["file"])
        stream = bool(body.get("stream")) and model != "whisper-1"
        request = Request(
            model=model,
            surface="transcription",
            messages=(Message(role="user", text=str(body.get("prompt") or ""), media=(file.content_type,)),),
            stream=stream,
            inputs=(file.filename,),
            settings={name: body[name] for name in ("temperature", "language") if name in body},
            prompt=file.filename,
        )

        def make(turn: Turn | None) -> Answer:
            if turn is None or turn.improvised:
                turn = self.made_up(request)
            hearing = _Hearing(body, file, turn, translate=translate)
            if stream:
                headers = [*self.stream_headers(), *self.headers(call)]
                return Answer(headers=headers, frames=hearing.frames())
            said = hearing.plain()
            if isinstance(said, str):
                headers = [("content-type", "text/plain; charset=utf-8"), *self.headers(call)]
                return Answer(headers=headers, body=said.encode())
            return self.json_answer(call, said)

        return self.serve(call, request, make, takes=True)


def _typed(form: Any) -> Json:
    """The members of a form as JSON would have them."""
    body: Json = dict(form)
    for name in ("stream", "temperature"):
        if isinstance(body.get(name), str) and re.fullmatch(r"true|false|-?[0-9.]+", body[name]):
            body[name] = json.loads(body[name])
    for name in ("include", "timestamp_granularities", "languages", "keywords"):
        if isinstance(body.get(name), str):
            body[name] = [body[name]]
    return body


def _spoken(data: bytes, text: str) -> Iterator[Frame]:
    size = -(-len(data) // 3)
    for at in range(0, len(data), size):
        audio = base64.b64encode(data[at : at + size]).decode()
        yield _event({"type": "speech.audio.delta", "audio": audio})
    read, written = len(text) // 4 + 1, len(data) // 1000 + 1
    usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    yield _event({"type": "speech.audio.done", "usage": usage}, end=True)


def _event(members: Json, *, end: bool = False) -> Frame:
    return Frame(f"event: {members['type']}\ndata: {script.dump(members)}\n\n".encode(), end)


def _length(file: Upload) -> float:
    """How long a recording is: by its header, or as for 16 kB a second."""
    try:
        with wave.open(io.BytesIO(file.data)) as sound:
            return round(float(sound.getnframes()) / float(sound.getframerate()), 2)
    except (wave.Error, EOFError):
        return round(max(0.1, len(file.data) / 16_000), 2)


class _Hearing:
    """What was heard in one file."""

    def __init__(self, body: Json, file: Upload, turn: Turn, *, translate: bool) -> None:
        self._body = body
        self._text = turn.text if turn.text is not None else "".join(turn.chunks) if turn.chunks != "words" else ""
        self._words = turn.chunks if isinstance(turn.chunks, tuple) else script.words(self._text)
        self._length = _length(file)
        self._translate = translate

    def plain(self) -> Json | str:
        """The body of an answer; a text for the formats that are none of JSON."""
        form = self._body.get("response_format", "json")
        if form == "text":
            return self._text + "\n"
        if form == "srt":
            return f"1\n{_clock(0, ',')} --> {_clock(self._length, ',')}\n{self._text}\n\n\n"
        if form == "vtt":
            return f"WEBVTT\n\n{_clock(0, '.')} --> {_clock(self._length, '.')}\n{self._text}\n\n"
        if form == "verbose_json":
            return self._verbose()
        if form == "diarized_json":
            segment = {"type": "transcript.text.segment", "id": "seg_0", "speaker": "A", "text": self._text}
            segments = [{**segment, "start": 0.0, "end": self._length}]
            return {"task": "transcribe", "duration": self._length, "text": self._text, "segments": segments}
        answer: Json = {"text": self._text}
        if self._body.get("include"):
            answer["logprobs"] = self._logprobs(self._words)
        return {**answer, "usage": self._usage()}

    def frames(self) -> Iterator[Frame]:
        """The events of a stream."""
        for word in self._words:
            extra = {"logprobs": self._logprobs((word,))} if self._body.get("include") else {}
            yield _event({"type": "transcript.text.delta", "delta": word, **extra})
        yield _event({"type": "transcript.text.done", "text": self._text, "usage": self._usage()}, end=True)

    def _verbose(self) -> Json:
        answer: Json = {
            "task": "translate" if self._translate else "transcribe",
            "language": "english",
            "duration": self._length,
            "text": self._text,
        }
        wanted = self._body.get("timestamp_granularities") or ["segment"]
        step = self._length / max(1, len(self._words))
        if "word" in wanted:
            answer["words"] = [
                {"word": word.strip(), "start": round(number * step, 2), "end": round((number + 1) * step, 2)}
                for number, word in enumerate(self._words)
            ]
        if "segment" in wanted:
            answer["segments"] = [
                {
                    "id": 0,
                    "seek": 0,
                    "start": 0.0,
                    "end": self._length,
                    "text": self._text,
                    "tokens": list(range(len(self._words))),
                    "temperature": self._body.get("temperature", 0.0),
                    "avg_logprob": -0.125,
                    "compression_ratio": 1.0,
                    "no_speech_prob": 0.01,
                }
            ]
        return {**answer, "usage": {"type": "duration", "seconds": max(1, round(self._length))}}

    def _usage(self) -> Json:
        if self._body.get("model") == "whisper-1":
            return {"type": "duration", "seconds": max(1, round(self._length))}
        audio = max(1, round(self._length * 10))
        return {
            "type": "tokens",
            "input_tokens": audio,
            "input_token_details": {"audio_tokens": audio, "text_tokens": 0},
            "output_tokens": len(self._words),
            "total_tokens": audio + len(self._words),
        }

    @staticmethod
    def _logprobs(words: tuple[str, ...]) -> list[Json]:
        return [{"token": word, "logprob": -0.125, "bytes": list(word.encode())} for word in words]


def _clock(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"
