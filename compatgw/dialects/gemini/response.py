"""Gemini's whole answers, read; and what streams share of it: identity, usage, log probabilities.

Fields that hold their default are missing on the wire, `index` and `content` among them.
Nothing is trusted to have its documented type: a wrong shape is an `UpstreamFailure`.

What does not live here: candidates (`candidate.py`), failures (`refusal.py`), events (`stream.py`).
"""

from __future__ import annotations

import base64
import binascii
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import orjson

from compatgw.dialects import ids
from compatgw.dialects.base import Answer
from compatgw.dialects.gemini import models, refusal, signatures
from compatgw.dialects.gemini.candidate import Call, CandidateReader, Event, Image, Sound, Text, Thought
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw.dialects.base import Context
    from compatgw.wire.chat import AnswerMessage, ChatCompletion, Choice, Usage

# A number beyond what JSON carries exactly is nonsense, and could not be written again.
_MOST = 2**53
_MOST_CANDIDATES = 16
_IMPOSSIBLE = -9999.0  # OpenAI's number for a token that has no probability to speak of
_MODALITIES = {"AUDIO": "audio_tokens", "IMAGE": "image_tokens", 2: "image_tokens", 4: "audio_tokens"}
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority"}
# What the vendor's spoken answers are when they do not say so.
_RATE = 24000


class Identity(NamedTuple):
    """What a response says of itself, None where it says nothing."""

    id: str | None
    model: str | None
    created: int | None


def decode(body: bytes, context: Context) -> Answer:
    """A whole answer.

    Raises:
        UpstreamRejected: The prompt was blocked.
        UpstreamFailure: Not an answer, or one that says that it failed.
    """
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise not_an_answer(context) from None
    responses = value if isinstance(value, list) else [value]  # a list: one response, or a stream that is not SSE
    gathered = _Gathered(context)
    for response in responses:
        gathered.read(opened(response, context))
    return Answer(gathered.completion())


class _Gathered:
    """All candidates of an answer, and what belongs to none of them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._traits = models.traits(context.target)
        self._readers: dict[int, CandidateReader] = {}
        self._events: dict[int, list[Event]] = {}
        self._logprobs: dict[int, list[dict[str, Any]]] = {}
        self._identity = Identity(None, None, None)
        self._usage: Any = None

    def read(self, response: dict[str, Any]) -> None:
        found = identity(response)
        known = self._identity
        self._identity = Identity(known.id or found.id, known.model or found.model, known.created or found.created)
        if response.get("usageMetadata"):
            self._usage = response["usageMetadata"]
        for index, candidate in candidates(response):
            reader = self._readers.setdefault(index, CandidateReader(index, self._context, self._traits))
            self._events.setdefault(index, []).extend(reader.read(candidate, self._identity.id))
            self._logprobs.setdefault(index, []).extend(logprobs(candidate.get("logprobsResult")))

    def completion(self) -> ChatCompletion:
        context, found = self._context, self._identity
        if not self._readers:
            raise not_an_answer(context)
        completion: ChatCompletion = {
            "id": f"chatcmpl-{found.id}" if found.id else context.id,
            "object": "chat.completion",
            "created": found.created or context.created,
            "model": found.model or context.target.model,
            "choices": [self._choice(index) for index in sorted(self._readers)],
        }
        if total := usage(self._usage):
            completion["usage"] = total
        if tier := service_tier(self._usage):
            completion["service_tier"] = tier
        return completion

    def _choice(self, index: int) -> Choice:
        reader = self._readers[index]
        self._events[index].extend(reader.finish(self._identity.id))
        reason = reader.reason()
        entries = self._logprobs[index]
        return {
            "index": index,
            "message": _message(self._events[index], reader, self._context),
            "logprobs": {"content": entries, "refusal": None} if entries else None,
            "finish_reason": reason,
        }


def _message(events: Iterable[Event], reader: CandidateReader, context: Context) -> AnswerMessage:
    text, thought = "", ""
    calls: list[Call] = []
    images: list[dict[str, Any]] = []
    sounds: list[Sound] = []
    for event in events:
        match event:
            case Text():
                text += event.text
            case Thought():
                thought += event.text
            case Call():
                calls.append(event)
            case Image():
                images.append(image(event, len(images)))
            case Sound():
                sounds.append(event)
    message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else ""), "refusal": None}
    if calls and context.memo.get("legacy"):
        message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        message["tool_calls"] = [tool_call(call) for call in calls]
    if thought:
        message["reasoning_content"] = message["reasoning"] = thought
    signed = [{"data": call.signature, "id": call.id} for call in calls if call.signature]
    signed += [{"data": reader.signature}] if reader.signature else []
    if signed:
        message["reasoning_details"] = [
            {"type": "reasoning.encrypted", **entry, "format": signatures.FORMAT, "index": n}
            for n, entry in enumerate(signed)
        ]
    if images:
        message["images"] = images
    if sounds:
        message["audio"] = _audio(sounds, context)
    if marks := reader.annotations():
        message["annotations"] = marks
    if extra := reader.extra():
        message["extra_content"] = extra
    return cast("AnswerMessage", message)


# --- shared with streams ---------------------------------------------------------------------


def opened(value: Any, context: Context) -> dict[str, Any]:
    """`value` as a response.

    Raises:
        UpstreamRejected: The prompt was blocked.
        UpstreamFailure: It is none, or one that reports a failure.
    """
    value = refusal.unwrapped(value)
    if not isinstance(value, dict):
        raise not_an_answer(context)
    if failed := refusal.inside(value, context.target) or refusal.blocked(value.get("promptFeedback"), context.target):
        raise failed
    return value


def not_an_answer(context: Context) -> UpstreamFailure:
    """The failure for JSON, or no JSON, that holds no answer."""
    target = context.target
    return UpstreamFailure(
        f"{target.provider} (model '{target.model}') answered with something that is not a chat answer."
    )


def candidates(response: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The candidates of a response with their indexes, which are missing when they are 0, or always."""
    found = response.get("candidates")
    listed: list[tuple[int, dict[str, Any]]] = []
    for position, candidate in enumerate(found if isinstance(found, list) else ()):
        if isinstance(candidate, dict):
            index = candidate.get("index")
            sane = index if isinstance(index, int) and 0 <= index < _MOST_CANDIDATES else position
            listed.append((min(int(sane), _MOST_CANDIDATES - 1), candidate))
    return listed


def identity(response: dict[str, Any]) -> Identity:
    """Id, model and time of a response."""
    id, model, created = response.get("responseId"), response.get("modelVersion"), response.get("createTime")
    seconds = None
    try:
        moment = datetime.fromisoformat(created) if isinstance(created, str) else None
        if moment is not None and moment.tzinfo is not None:
            seconds = max(0, int(moment.timestamp()))
    except (ValueError, OverflowError):
        pass
    return Identity(
        id if isinstance(id, str) and id else None, model if isinstance(model, str) and model else None, seconds
    )


def usage(value: Any) -> Usage | None:
    """Totals; thinking counts as completion, and what tools read as prompt. None when there are none."""
    if not isinstance(value, dict) or not any(key.endswith("TokenCount") for key in value):
        return None
    prompt = _count(value, "promptTokenCount") + _count(value, "toolUsePromptTokenCount")
    thoughts = _count(value, "thoughtsTokenCount")
    completion = _count(value, "candidatesTokenCount") + thoughts
    asked = _by_modality(value, "promptTokensDetails", "toolUsePromptTokensDetails")
    given = _by_modality(value, "candidatesTokensDetails")
    total: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": _count(value, "totalTokenCount") or prompt + completion,
        "prompt_tokens_details": {"cached_tokens": _count(value, "cachedContentTokenCount"), **asked},
        "completion_tokens_details": {"reasoning_tokens": thoughts, **given},
    }
    return cast("Usage", total)


def service_tier(value: Any) -> str | None:
    """The tier that served the call, in OpenAI's word."""
    tier = value.get("serviceTier") if isinstance(value, dict) else None
    return _TIERS.get(tier.lower()) if isinstance(tier, str) else None


def _count(value: dict[str, Any], name: str) -> int:
    number = value.get(name)
    return int(min(max(number, 0), _MOST)) if isinstance(number, int | float) else 0


def _by_modality(value: dict[str, Any], *names: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        entries = value.get(name)
        for entry in entries if isinstance(entries, list) else ():
            modality = entry.get("modality") if isinstance(entry, dict) else None
            key = _MODALITIES.get(modality) if isinstance(modality, str | int) else None
            if key is not None:
                counts[key] = counts.get(key, 0) + _count(entry, "tokenCount")
    return counts


def logprobs(result: Any) -> list[dict[str, Any]]:
    """Log probabilities as OpenAI's entries."""
    if not isinstance(result, dict):
        return []
    chosen, tops = result.get("chosenCandidates"), result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    entries: list[dict[str, Any]] = []
    for position, token in enumerate(chosen if isinstance(chosen, list) else ()):
        top = tops[position].get("candidates") if position < len(tops) and isinstance(tops[position], dict) else None
        others = [_token(other) for other in top if isinstance(other, dict)] if isinstance(top, list) else []
        if isinstance(token, dict):
            entries.append({**_token(token), "top_logprobs": others})
    return entries


def _token(value: dict[str, Any]) -> dict[str, Any]:
    text, number = value.get("token"), value.get("logProbability")
    text = text if isinstance(text, str) else ""
    # A certain token's 0 is a default, and therefore missing.
    return {
        "token": text,
        "bytes": list(text.encode("utf-8", "surrogatepass")),
        "logprob": max(float(number), _IMPOSSIBLE) if isinstance(number, int | float) else 0.0,
    }


def tool_call(call: Call) -> dict[str, Any]:
    """A call in OpenAI's shape, with what has to come back with it."""
    inner = {"name": call.name, "input" if call.custom else "arguments": call.arguments}
    kind = "custom" if call.custom else "function"
    out: dict[str, Any] = {"id": call.id, "type": kind, kind: inner}
    if call.signature is not None:
        out["extra_content"] = signatures.holder(call.signature)
    return out


def image(found: Image, index: int) -> dict[str, Any]:
    """An image beside the text, as other gateways have it."""
    out: dict[str, Any] = {"type": "image_url", "image_url": {"url": found.url}, "index": index}
    if found.signature is not None:
        out["extra_content"] = signatures.holder(found.signature)
    return out


# --- spoken answers --------------------------------------------------------------------------


def audio_id(context: Context) -> str:
    """The id of a spoken answer, which the upstream does not give."""
    return f"audio_{ids.digest(context.id)[:24]}"


def _audio(sounds: list[Sound], context: Context) -> dict[str, Any]:
    data = sounds[0].data if len(sounds) == 1 else ""
    kind = sounds[0].media_type.lower()
    raw = kind.startswith(("audio/l16", "audio/pcm"))
    if len(sounds) > 1 or (raw and context.memo.get("audio") != "pcm16"):
        try:
            samples = b"".join(base64.b64decode(sound.data, validate=False) for sound in sounds)
        except binascii.Error:
            raise not_an_answer(context) from None
        if raw and context.memo.get("audio") != "pcm16":
            samples = _wav_header(kind, len(samples)) + samples
        data = base64.b64encode(samples).decode()
    return {"id": audio_id(context), "data": data, "expires_at": context.created, "transcript": ""}


def _wav_header(media_type: str, size: int) -> bytes:
    """The 44 bytes before 16 bit samples of one channel that make them a WAV file."""
    given = media_type.partition("rate=")[2].partition(";")[0].strip()
    rate = int(given) if given.isascii() and given.isdigit() and int(given[:7]) > 0 else _RATE
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size
    )
