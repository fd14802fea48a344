"""Speech from Google's models: `generateContent` with the modality AUDIO.

They give raw samples, so of the formats WAV and PCM can be had: WAV where nobody asked for one, which is reported as
clamped, and nothing is encoded here that they did not encode. Voices have Google's names (`Kore`, `Puck`, ...).
`instructions` are left out: what these models are told beside the text may be spoken as well.

What does not live here: speech within a chat (`candidate.py`), transcriptions: these models have no endpoint for them.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import Codec, Leftovers, Outgoing, Result
from compatgw.dialects.gemini import models, refusal, response
from compatgw.errors import Blame, UpstreamFailure, UpstreamRejected
from compatgw.wire.audio import SAID, SOUND_TYPES, SPOKEN, event, wav_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.dialects.base import Context, MediaCodec, Target
    from compatgw.wire.audio import SpeechRequest
    from compatgw.wire.chat import Usage

_READ = frozenset({"model", "input", "voice", "response_format", "stream_format", "speed"})
_SERVED = ("wav", "pcm")
_RATE = re.compile(r"rate=(\d{4,6})")
# What the vendor's sounds are when they do not say so.
_DEFAULT_RATE = 24_000
# Words of an end that is whole, and of one that is the text's own fault.
_WHOLE = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED"})
_BLOCKED = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"})


def encode(request: SpeechRequest, target: Target) -> Outgoing:
    """A request for speech as the target's model takes it.

    Raises:
        UnsupportedParameter: A format, a voice or a speed that cannot be had.
    """
    members = cast("Mapping[str, Any]", request)
    left = Leftovers(target)
    format = request.get("response_format")
    if format is not None and format not in _SERVED:
        left.semantic("response_format", format, why="Ask for 'wav' or 'pcm'.")
        format = None
    if format is None:
        left.clamp("response_format", "wav")
    if members.get("speed", 1) != 1:
        left.semantic("speed", members["speed"], why="This model speaks at its own pace.")
    for name in [name for name in members if name not in _READ]:
        left.hint(name, members[name] or None)
    voice = request["voice"]
    if not isinstance(voice, str):
        raise left.refusal("voice", "Name one of the model's own voices, such as 'Kore'.")
    body = {
        "contents": [{"role": "user", "parts": [{"text": request["input"]}]}],
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}},
        },
    }
    memo = {"format": format or "wav", "events": request.get("stream_format") == "sse"}
    path = models.path(target, "generateContent")
    return Outgoing(path, orjson.dumps(body), (), tuple(left.dropped), tuple(left.clamped), memo)


def decode(body: bytes, context: Context) -> Result:
    """The sound that an answer holds, as WAV or as bare samples; or the events that tell it.

    Raises:
        UpstreamFailure: There is none.
    """
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise response.not_an_answer(context) from None
    opened = response.opened(value, context)
    sounds = list(_sounds(opened))
    samples = b"".join(data for data, _ in sounds)
    tokens = response.usage(opened.get("usageMetadata"))
    if (problem := _ending(opened, bool(samples), context)) is not None:
        raise problem
    kind = sounds[0][1]
    format = context.memo.get("format", "wav")
    if not kind.lower().startswith(("audio/l16", "audio/pcm")):
        # A container already: as it is, and called what it is.
        sound, type = samples, kind
    elif format == "pcm":
        sound, type = samples, SOUND_TYPES["pcm"]
    else:
        found = _RATE.search(kind)
        sound = wav_header(len(samples), int(found[1]) if found else _DEFAULT_RATE) + samples
        type = SOUND_TYPES["wav"]
    if context.memo.get("events"):
        return Result({}, tokens, _told(sound, tokens), "text/event-stream")
    return Result({}, tokens, sound, type)


def _sounds(value: dict[str, Any]) -> Iterator[tuple[bytes, str]]:
    for _, candidate in response.candidates(value):
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            inline = part.get("inlineData") if isinstance(part, dict) else None
            if not isinstance(inline, dict) or not isinstance(inline.get("data"), str):
                continue
            kind = inline.get("mimeType")
            if not isinstance(kind, str) or not kind.lower().startswith("audio/"):
                continue
            try:
                yield base64.b64decode(inline["data"], validate=True), kind
            except (binascii.Error, ValueError):
                continue
        return


def _ending(value: dict[str, Any], spoken: bool, context: Context) -> UpstreamFailure | None:
    """Why the sound is not there, or is not all of it; None for a whole one."""
    target = context.target
    where = f"{target.provider} (model '{target.model}')"
    told = next((candidate.get("finishReason") for _, candidate in response.candidates(value)), None)
    if isinstance(told, str) and told in _BLOCKED:
        return UpstreamRejected(
            f"{where} does not speak this text ({told}). Change what it says.",
            blame=Blame.CALLER,
            upstream_status=200,
            status=400,
            param="input",
            code="content_blocked",
        )
    if isinstance(told, str) and told not in _WHOLE:
        return UpstreamFailure(f"{where} broke off its answer ({told[:64]}). Send less text, or send it again.")
    return None if spoken else UpstreamFailure(f"{where} answered with no sound. Send the request again.")


def _told(sound: bytes, tokens: Usage | None) -> bytes:
    done: dict[str, Any] = {"type": SAID}
    if tokens is not None:
        done["usage"] = {
            "input_tokens": tokens["prompt_tokens"],
            "output_tokens": tokens["completion_tokens"],
            "total_tokens": tokens["total_tokens"],
        }
    return event({"type": SPOKEN, "audio": base64.b64encode(sound).decode()}) + event(done)


SPEECH: MediaCodec = Codec(encode=encode, decode=decode, error=refusal.error)
