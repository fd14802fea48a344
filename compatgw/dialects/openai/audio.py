"""Audio at an OpenAI-like upstream: `POST /audio/speech`, `/audio/transcriptions` and `/audio/translations`.

Speech passes as it comes: bytes of a sound, or events with base64 of it. A transcript comes whole, as JSON or as
plain text, or in events. Servers have three vocabularies for those: OpenAI's `transcript.text.*`, Mistral's
`transcription.*`, and vLLM's chunks like a chat's; all become OpenAI's. What an upstream gives as JSON although plain
text was asked for becomes that text, with the times of its segments where a subtitle needs them.

What does not live here: which providers differ (`Quirks.audio`), how a form is sent (`upstream/body.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure
from compatgw.dialects.base import Codec, Leftovers, Outgoing, Part, Result
from compatgw.dialects.bodies import where
from compatgw.dialects.events import interrupted
from compatgw.dialects.openai import members, usage
from compatgw.dialects.openai.finish import fault
from compatgw.errors import UpstreamFailure
from compatgw.wire.audio import DELTA, DONE, LISTS, PLAIN, PLAIN_TYPE, SAID, event
from compatgw.wire.audio import SpeechRequest as Speech
from compatgw.wire.audio import TranscriptionRequest as Transcription
from compatgw.wire.multipart import Form
from compatgw.wire.sse import EventTooLarge, SSEEvent, SSEReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import AudioQuirks, Context, MediaCodec, Quirks, Target
    from compatgw.wire.audio import SpeechRequest, TranscriptionForm, TranslationForm
    from compatgw.wire.chat import Usage
    from compatgw.wire.multipart import Upload

_SPEECH = frozenset(Speech.__annotations__)
_HEARD = frozenset(Transcription.__annotations__)
# Values that mean the same as leaving the member out.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "chunking_strategy": ("auto",), "response_format": ("json",), "speed": (1,), "stream_format": ("audio",),
    "stream": (False,), "instructions": ("",), "temperature": (0,),
}  # fmt: skip
_PAGE = (b"<!doctype html", b"<html")
_HEAD = 16


# --- speech ----------------------------------------------------------------------------------


def encode_speech(request: SpeechRequest, target: Target) -> Outgoing:
    """A request for speech as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the sound and cannot be carried.
    """
    left = Leftovers(target)
    quirks = target.quirks.audio
    body = _fitted(cast("Mapping[str, Any]", request), _SPEECH, target, left)
    sound = request.get("response_format")
    if quirks.sounds and sound is not None and sound not in quirks.sounds:
        left.semantic("response_format", body.pop("response_format"), why=f"Choose of {_list(quirks.sounds)}.")
    memo = {"events": body.get("stream_format") == "sse"}
    return Outgoing("/audio/speech", orjson.dumps(body), (), tuple(left.dropped), tuple(left.clamped), memo)


def decode_speech(body: bytes, context: Context) -> Result:
    """Never an answer: a sound is never JSON.

    Raises:
        UpstreamFailure: Always; what the JSON tells of.
    """
    raise _no_sound(body, context)


class SpeechStream:
    """Decodes one sound: bytes pass as they are; of events, whole frames.

    Args:
        context: The call that it belongs to.
    """

    __slots__ = ("_begun", "_context", "_failed", "_head", "_reader", "done")

    def __init__(self, context: Context) -> None:
        self._context = context
        # It came after frames that were still good: those go out first.
        self._failed: UpstreamFailure | None = None
        self._reader = SSEReader() if context.memo.get("events") else None
        self._head = b""
        self._begun = False
        self.done = False

    def feed(self, data: bytes) -> list[Part]:
        """The sound's next bytes, or the frames that `data` completes.

        Raises:
            UpstreamFailure: It is a page or an error instead; when frames came before the error, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        if self._reader is not None:
            return self._frames(_fed(self._reader, data, self._context))
        if self._begun:
            return [Part(data)]
        self._head += data
        if len(self._head) < _HEAD:
            return []
        return self._first()

    def finish(self) -> list[Part]:
        """The last of it.

        Raises:
            StreamInterrupted: Events broke off.
            UpstreamFailure: There was no sound.
        """
        if self._reader is None:
            if self._begun:
                return []
            if not self._head:
                raise UpstreamFailure(f"{where(self._context.target)} answered with no sound. Send the request again.")
            return self._first()
        if self.done:
            return []
        if self._failed is not None:
            raise self._failed
        parts = self._frames(self._reader.finish())
        if self._failed is not None:
            raise self._failed
        if not self.done:
            raise interrupted(self._context.target)
        return parts

    def _first(self) -> list[Part]:
        head, self._head = self._head, b""
        # A proxy's page with status 200 is no sound; no sound begins like one.
        if head.lstrip().lower().startswith(_PAGE):
            raise _no_sound(head, self._context)
        self._begun = True
        return [Part(head)]

    def _frames(self, events: list[SSEEvent]) -> list[Part]:
        parts: list[Part] = []
        for one in events:
            if self.done or one.data.strip() == b"[DONE]":
                continue
            try:
                value = _value(one, self._context)
            except UpstreamFailure as failed:
                if not parts:
                    raise
                self._failed = failed
                break
            if value.get("type") == SAID:
                self.done = True
                parts.append(Part(_frame(one), spent(value.get("usage"))))
            else:
                parts.append(Part(_frame(one)))
        return parts


def _no_sound(body: bytes, context: Context) -> UpstreamFailure:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if isinstance(value, dict) and value.get("error"):
        return failure.from_value(value, context.target)
    shown = failure.extract(body)[0]
    return UpstreamFailure(f"{where(context.target)} answered with something that is not a sound: {shown}")


# --- requests to hear ------------------------------------------------------------------------


def encode_transcription(request: TranscriptionForm, target: Target) -> Outgoing:
    """A recording to be written down, as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the text and cannot be carried.
    """
    return _form("/audio/transcriptions", cast("Mapping[str, Any]", request), target)


def encode_translation(request: TranslationForm, target: Target) -> Outgoing:
    """A recording to be written down in English, as the target takes it.

    Raises:
        UnsupportedParameter: A member that changes the text and cannot be carried.
    """
    return _form("/audio/translations", cast("Mapping[str, Any]", request), target)


def _form(path: str, request: Mapping[str, Any], target: Target) -> Outgoing:
    left = Leftovers(target)
    quirks = target.quirks.audio
    files: list[Upload] = request["files"]
    asked = {name: value for name, value in request.items() if name != "files"}
    body = _fitted(asked, _HEARD, target, left)
    if body.get("stream") is False or not quirks.stream:
        # A stream that cannot be had is not asked for; the whole answer is told as one.
        body.pop("stream", None)
    if (format := request.get("response_format")) is not None and quirks.texts:
        _format(format, body, quirks, left)
    memo = {"format": request.get("response_format", "json")}
    form = Form(_fields(body, quirks), tuple(files))
    return Outgoing(path, b"", (), tuple(left.dropped), tuple(left.clamped), memo, form=form)


def _fitted(request: Mapping[str, Any], known: frozenset[str], target: Target, left: Leftovers) -> dict[str, Any]:
    quirks = target.quirks.audio
    body = members.fitted(request, known, target, left, quirks.rename)
    for name in [name for name in body if name in quirks.drop or name in quirks.reject]:
        value = body.pop(name)
        if value not in _NEUTRAL.get(name, ()):
            (left.hint if name in quirks.drop else left.semantic)(name, value)
    return body


def _format(format: str, body: dict[str, Any], quirks: AudioQuirks, left: Leftovers) -> None:
    if format not in quirks.texts:
        left.semantic("response_format", body.pop("response_format"), why=f"Choose of {_list(quirks.texts)}.")
    elif sent := quirks.texts[format]:
        body["response_format"] = sent
    else:
        del body["response_format"]


def _list(words: Mapping[str, str] | frozenset[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def _fields(body: Mapping[str, Any], quirks: AudioQuirks) -> tuple[tuple[str, str], ...]:
    """Members as the texts of a form, `model` first: servers that read while it comes need it first."""
    fields: list[tuple[str, str]] = [("model", body["model"])]
    for name, value in body.items():
        if name == "model":
            continue
        if isinstance(value, list):
            sent = f"{name}[]" if name in LISTS and quirks.brackets else name
            fields += [(sent, _text(one)) for one in value]
        elif isinstance(value, dict):
            fields += [(f"{name}[{inner}]", _text(one)) for inner, one in value.items()]
        else:
            fields.append((name, _text(value)))
    return tuple(fields)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


# --- what was heard --------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Result:
    """A whole transcript.

    Raises:
        UpstreamFailure: It is none, or tells of an error.
    """
    target, format = context.target, context.memo.get("format", "json")
    value = _object(body)
    if value is not None and (problem := fault(value, target)) is not None:
        raise problem
    if format in PLAIN:
        text = body if value is None or "text" not in value else _plain(value, format, target)
        return Result({}, None if value is None else spent(usage.find(value)), text, PLAIN_TYPE)
    if value is None or not isinstance(value.get("text"), str):
        raise UpstreamFailure(
            f"{where(target)} answered with something that is not a transcript: {failure.extract(body)[0]}"
        )
    told = usage.find(value)
    tokens = spent(told)
    if tokens is None or "input_tokens" in (told or ()):
        return Result(value, tokens, body)
    return Result({**value, "usage": _in_audio(tokens)}, tokens)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _plain(value: dict[str, Any], format: str, target: Target) -> bytes:
    """A transcript in JSON as the plain text that was asked for."""
    text = value["text"]
    if not isinstance(text, str):
        raise UpstreamFailure(f"{where(target)} answered with something that is not a transcript.")
    if format == "text":
        return f"{text}\n".encode("utf-8", "replace")
    segments = value.get("segments")
    times = [_times(one) for one in segments] if isinstance(segments, list) else []
    if not times or None in times:
        raise UpstreamFailure(
            f"{where(target)} gave no times, which '{format}' needs. Ask for 'json' or 'text', or choose another model."
        )
    out = "WEBVTT\n\n" if format == "vtt" else ""
    for number, found in enumerate(times, 1):
        start, end, said = cast("tuple[float, float, str]", found)
        mark = "." if format == "vtt" else ","
        out += (
            f"{_clock(start, mark)} --> {_clock(end, mark)}\n{said.strip()}\n\n"
            if format == "vtt"
            else (f"{number}\n{_clock(start, mark)} --> {_clock(end, mark)}\n{said.strip()}\n\n")
        )
    return out.encode("utf-8", "replace")


def _times(segment: Any) -> tuple[float, float, str] | None:
    if not isinstance(segment, dict):
        return None
    start, end, text = segment.get("start"), segment.get("end"), segment.get("text")
    if not isinstance(start, int | float) or not isinstance(end, int | float) or not isinstance(text, str):
        return None
    return (start, end, text) if 0 <= start <= end < 1_000_000 else None


def _clock(seconds: float, mark: str) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02}{mark}{whole % 1000:03}"


class TranscriptStream:
    """Decodes one stream of a transcript; OpenAI's own frames pass as they are.

    Args:
        context: The call that it belongs to.
    """

    __slots__ = ("_context", "_failed", "_reader", "_text", "_usage", "done")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._failed: UpstreamFailure | None = None
        self._reader = SSEReader()
        # What other vocabularies have said so far: OpenAI's last event holds the whole text.
        self._text: list[str] | None = None
        self._usage: Usage | None = None
        self.done = False

    def feed(self, data: bytes) -> list[Part]:
        """Frames that `data` completes.

        Raises:
            UpstreamFailure: As for `StreamDecoder`; when frames came before the error, with the next call.
        """
        if self._failed is not None:
            raise self._failed
        return self._parts(_fed(self._reader, data, self._context))

    def finish(self) -> list[Part]:
        """The last frames.

        Raises:
            StreamInterrupted: The transcript broke off.
        """
        if self.done:
            return []
        if self._failed is not None:
            raise self._failed
        parts = self._parts(self._reader.finish())
        if self._failed is not None:
            raise self._failed
        if not self.done:
            raise interrupted(self._context.target)
        return parts

    def _parts(self, events: list[SSEEvent]) -> list[Part]:
        parts: list[Part] = []
        for one in events:
            if self.done:
                break
            if one.data.strip() == b"[DONE]":
                if self._text is not None:
                    parts.append(self._end({}))
                continue
            try:
                value = _value(one, self._context)
            except UpstreamFailure as failed:
                if not parts:
                    raise
                self._failed = failed
                break
            self._part(one, value, parts)
        return parts

    def _part(self, one: SSEEvent, value: dict[str, Any], parts: list[Part]) -> None:
        kind = value.get("type")
        if kind == DONE:
            self.done = True
            parts.append(Part(_frame(one), spent(value.get("usage"))))
        elif isinstance(value.get("choices"), list):
            self._chunk(value, parts)
        elif isinstance(kind, str) and kind.startswith("transcription."):
            self._other(kind, value, parts)
        else:
            parts.append(Part(_frame(one)))

    def _chunk(self, value: dict[str, Any], parts: list[Part]) -> None:
        """A chunk as vLLM writes it; its end is `[DONE]`."""
        self._usage = spent(usage.find(value)) or self._usage
        for choice in value["choices"]:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            self._said(delta.get("content") if isinstance(delta, dict) else None, parts)

    def _other(self, kind: str, value: dict[str, Any], parts: list[Part]) -> None:
        """An event as Mistral writes it."""
        if kind == "transcription.text.delta":
            self._said(value.get("text"), parts)
        elif kind == "transcription.done":
            self._usage = spent(usage.find(value))
            parts.append(self._end(value))

    def _said(self, text: Any, parts: list[Part]) -> None:
        if self._text is None:
            self._text = []
        if isinstance(text, str) and text:
            self._text.append(text)
            parts.append(Part(event({"type": DELTA, "delta": text})))

    def _end(self, value: dict[str, Any]) -> Part:
        self.done = True
        text = value.get("text")
        members: dict[str, Any] = {
            "type": DONE,
            "text": text if isinstance(text, str) else "".join(self._text or ()),
        }
        if self._usage is not None:
            members["usage"] = _in_audio(self._usage)
        return Part(event(members), self._usage)


def _fed(reader: SSEReader, data: bytes, context: Context) -> list[SSEEvent]:
    try:
        return reader.feed(data)
    except EventTooLarge as large:
        raise UpstreamFailure(f"{where(context.target)} sent something that is not a stream: {large}.") from None


def _value(one: SSEEvent, context: Context) -> dict[str, Any]:
    """What an event holds.

    Raises:
        UpstreamFailure: It is not JSON, or an error.
    """
    target = context.target
    try:
        value = orjson.loads(one.data)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        shown = failure.extract(one.data)[0]
        raise UpstreamFailure(f"{where(target)} sent an event that is not a JSON object: {shown}")
    if one.name == "error" or value.get("type") == "error" or value.get("error"):
        raise failure.from_value(value, target)
    return value


def _frame(one: SSEEvent) -> bytes:
    name = f"event: {one.name}\n".encode() if one.name else b""
    # An event may have come in several lines.
    return name + b"".join(b"data: " + line + b"\n" for line in one.data.split(b"\n")) + b"\n"


# --- usage -----------------------------------------------------------------------------------


def spent(told: Any) -> Usage | None:
    """The hub's usage, out of OpenAI's words for audio or for chat; None where no tokens are told, such as seconds."""
    if not isinstance(told, dict):
        return None
    if "input_tokens" not in told and "output_tokens" not in told:
        return usage.normal(told) if "prompt_tokens" in told else None
    details = told.get("input_token_details") or told.get("input_tokens_details")
    return usage.normal(
        {
            "prompt_tokens": told.get("input_tokens"),
            "completion_tokens": told.get("output_tokens"),
            "total_tokens": told.get("total_tokens"),
            "prompt_tokens_details": details,
        }
    )


def _in_audio(tokens: Usage) -> dict[str, Any]:
    out: dict[str, Any] = {
        "type": "tokens",
        "input_tokens": tokens["prompt_tokens"],
        "output_tokens": tokens["completion_tokens"],
        "total_tokens": tokens["total_tokens"],
    }
    if details := tokens.get("prompt_tokens_details"):
        out["input_token_details"] = details
    return out


def speaks(quirks: Quirks) -> bool:
    """Whether an upstream speaks."""
    return quirks.audio.speaks


def hears(quirks: Quirks) -> bool:
    """Whether an upstream writes down what it hears."""
    return quirks.audio.hears


def translates(quirks: Quirks) -> bool:
    """Whether an upstream writes down in English what it hears."""
    return quirks.audio.translates


SPEECH: MediaCodec = Codec(
    encode=encode_speech,
    decode=decode_speech,
    stream=SpeechStream,
    stream_type="",
    error=failure.from_body,
    serves=speaks,
)
TRANSCRIPTIONS: MediaCodec = Codec(
    encode=encode_transcription, decode=decode, stream=TranscriptStream, error=failure.from_body, serves=hears
)
TRANSLATIONS: MediaCodec = Codec(encode=encode_translation, decode=decode, error=failure.from_body, serves=translates)
