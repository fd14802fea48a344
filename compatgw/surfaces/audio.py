"""`POST /v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`.

Speech goes out as it comes in, bit by bit: a sound that breaks off is cut off, there is nothing in it that could say
so; only where events were asked for, the last one is an error. What a recording says comes whole, or in events when
`stream` is true; where a model knows no streams its whole answer is told as one.

In a form everything is text: numbers and booleans are read as such, lists are `NAME[]`, one level of objects is
`NAME[MEMBER]`. The gateway's own members are JSON there.

What does not live here: the shapes (`wire/audio.py`), forms (`wire/multipart.py`), receiving them (`flow/uploads.py`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest, UnsupportedMediaType
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, pruned, validated
from compatgw.wire.audio import (
    DELTA,
    DONE,
    LISTS,
    PLAIN,
    SpeechRequest,
    TranscriptionRequest,
    TranslationRequest,
    event,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Part, Result
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import View
    from compatgw.wire.multipart import Upload

_INNER = re.compile(r"([a-z_]{1,64})\[([a-z_]{1,64})\]")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?")
_FILE = "file"
_EXTENSIONS = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3",
    "audio/mp4": "m4a", "audio/x-m4a": "m4a", "audio/m4a": "m4a", "video/mp4": "mp4", "audio/ogg": "ogg",
    "audio/flac": "flac", "audio/x-flac": "flac", "audio/webm": "webm", "video/webm": "webm", "audio/aac": "aac",
}  # fmt: skip


@cache
def speaking() -> TypeAdapter[SpeechRequest]:
    """The validator of a request for speech; built when the first gateway is, never at import."""
    return TypeAdapter(SpeechRequest)


@cache
def hearing() -> TypeAdapter[TranscriptionRequest]:
    """The validator of a transcription's form."""
    return TypeAdapter(TranscriptionRequest)


@cache
def translating() -> TypeAdapter[TranslationRequest]:
    """The validator of a translation's form."""
    return TypeAdapter(TranslationRequest)


def parse_speech(body: bytes) -> Parsed:
    """The request for speech that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    request = validated(speaking(), pruned(value))
    if not request["input"].strip():
        raise InvalidRequest("'input' must say what to speak; it holds nothing but space.", param="input")
    return Parsed(request, options)


def parse_transcription(fields: Mapping[str, list[str]], files: Sequence[Upload]) -> Parsed:
    """The request for a transcription that a form holds.

    Args:
        fields: Its texts, by name.
        files: Its files: one, named `file`.

    Raises:
        InvalidRequest: The first thing wrong in it, with its name as `param`.
    """
    parsed = _form(hearing(), fields, files)
    request = parsed.request
    if request.get("stream") and request.get("response_format", "json") in PLAIN:
        raise InvalidRequest(
            f"'stream' is not possible with 'response_format' '{request['response_format']}'. Leave one of them out.",
            param="stream",
        )
    return parsed


def parse_translation(fields: Mapping[str, list[str]], files: Sequence[Upload]) -> Parsed:
    """The request for a translation that a form holds.

    Raises:
        InvalidRequest: As `parse_transcription`.
    """
    parsed = _form(translating(), fields, files)
    if parsed.request.get("stream") is False:
        return parsed._replace(request={name: value for name, value in parsed.request.items() if name != "stream"})
    if "stream" in parsed.request:
        raise InvalidRequest("'stream' is not supported by translations. Leave it out.", param="stream")
    return parsed


def parse_no_form(body: bytes) -> Parsed:
    """Refuses a body that is not a form.

    Raises:
        UnsupportedMediaType: Always.
    """
    raise UnsupportedMediaType(
        "A recording is sent as a form: Content-Type: multipart/form-data, with the recording as the file 'file'."
    )


# --- forms -----------------------------------------------------------------------------------


def _form(adapter: TypeAdapter[Any], fields: Mapping[str, list[str]], files: Sequence[Upload]) -> Parsed:
    value, options = extensions.claim(_typed(fields))
    if _FILE in value:
        raise InvalidRequest(
            f"'{_FILE}' must be a file of the form, with a file name.", param=_FILE, code="invalid_type"
        )
    # A request without its model is as wrong as one without its file; the file is what people get wrong.
    recording = _recording(files)
    return Parsed({**validated(adapter, value), "files": [recording]}, options)


def _typed(fields: Mapping[str, list[str]]) -> dict[str, Any]:
    """The texts of a form as a JSON request would have them; one that is no such value stays, to be refused."""
    value: dict[str, Any] = {}
    for name, given in fields.items():
        plain = name.removesuffix("[]")
        if plain in LISTS:
            value[plain] = [*value.get(plain, ()), *(text for text in given if text)]
            continue
        if name.endswith("[]"):
            value[name] = given
            continue
        if len(given) > 1:
            raise InvalidRequest(f"'{name}' stands {len(given)} times in the form. Send it once.", param=name)
        text = given[0]
        inner = _INNER.fullmatch(name)
        if inner is not None and isinstance(value.get(inner[1], {}), dict):
            value[inner[1]] = {**value.get(inner[1], {}), inner[2]: text}
        elif name in extensions.OBJECTS or name in extensions.TOP_LEVEL:
            value[name] = _json(name, text)
        elif text:
            value[name] = _scalar(name, text)
    return {name: member for name, member in value.items() if member != []}


def _scalar(name: str, text: str) -> Any:
    if name == "stream":
        return _BOOLEANS.get(text.lower(), text)
    if name == "temperature" and _NUMBER.fullmatch(text):
        return float(text)
    return text


def _json(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if name in extensions.OBJECTS:
            raise InvalidRequest(f"'{name}' must be a JSON object.", param=name, code="invalid_type") from None
        return text


def _recording(files: Sequence[Upload]) -> Upload:
    for upload in files:
        if upload.name != _FILE:
            raise InvalidRequest(
                f"'{upload.name[:64]}' is no file that is taken here. Send the recording as '{_FILE}'.",
                param=upload.name,
            )
    if not files:
        raise InvalidRequest(
            f"Missing required parameter: '{_FILE}'. Send the recording as a file of the form.",
            param=_FILE,
            code="missing_parameter",
        )
    if len(files) > 1:
        raise InvalidRequest(
            f"'{_FILE}' stands {len(files)} times in the form. Send one recording a call.", param=_FILE
        )
    upload = files[0]
    if not upload.size:
        raise InvalidRequest(f"'{_FILE}' is an empty file. Send a recording.", param=_FILE)
    if not upload.filename:
        # Upstreams tell the format by it.
        extension = _EXTENSIONS.get(upload.type.partition(";")[0].strip().lower())
        return replace(upload, filename=f"audio.{extension}" if extension else "audio")
    return upload


# --- answers ---------------------------------------------------------------------------------


class SpeechFace:
    """How a client is told what it asked to hear: the upstream's own bytes, with the upstream's own content type."""

    __slots__ = ("_events",)

    stream_type = ""

    def __init__(self, parsed: Parsed, view: View) -> None:
        self._events = parsed.request.get("stream_format") == "sse"

    def whole(self, answer: Result) -> bytes:
        """The whole sound."""
        return answer.data or b""

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, pieces: Sequence[Part | Result]) -> bytes:
        """The bytes of `pieces`."""
        if len(pieces) == 1:
            return pieces[0].data or b""
        return b"".join(piece.data or b"" for piece in pieces)

    def end(self) -> bytes:
        """Nothing: events have said their own end, a sound has none."""
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """An `error` event; b"" where sound alone was asked for, which can only be cut off."""
        return _error(error) if self._events else b""


class TranscriptFace:
    """How a client is told what a recording says."""

    __slots__ = ()

    stream_type = "text/event-stream"

    def __init__(self, parsed: Parsed, view: View) -> None:
        pass

    def whole(self, answer: Result) -> bytes:
        """The body of a whole answer: JSON, or text."""
        return answer.data if answer.data is not None else orjson.dumps(answer.body)

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, pieces: Sequence[Part | Result]) -> bytes:
        """The frames of a stream; an answer that came whole is told as one."""
        return b"".join(_told(piece) for piece in pieces)

    def end(self) -> bytes:
        """Nothing: the event that holds the whole text is the end."""
        return b""

    def failed(self, error: GatewayError) -> bytes:
        """An `error` event."""
        return _error(error)


def _told(piece: Any) -> bytes:
    # A `Result` has a body, a `Part` has none.
    body = getattr(piece, "body", None)
    if body is None:
        data: bytes = piece.data
        return data
    text = body["text"]
    done: dict[str, Any] = {"type": DONE, "text": text}
    if "usage" in body:
        done["usage"] = body["usage"]
    logprobs = {"logprobs": body["logprobs"]} if body.get("logprobs") else {}
    delta = event({"type": DELTA, "delta": text, **logprobs}) if text else b""
    return delta + event({**done, **logprobs})


def _error(error: GatewayError) -> bytes:
    return event({"type": "error", **error.envelope()})


SPEECH = Surface(
    name="audio.speech",
    scope="audio",
    codec="speech",
    parse=parse_speech,
    face=SpeechFace,
    envelope=envelope,
    live=True,
)
TRANSCRIPTIONS = Surface(
    name="audio.transcriptions",
    scope="audio",
    codec="transcriptions",
    parse=parse_no_form,
    face=TranscriptFace,
    envelope=envelope,
    parse_form=parse_transcription,
)
TRANSLATIONS = Surface(
    name="audio.translations",
    scope="audio",
    codec="translations",
    parse=parse_no_form,
    face=TranscriptFace,
    envelope=envelope,
    parse_form=parse_translation,
)
