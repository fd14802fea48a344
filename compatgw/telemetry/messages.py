"""Prompts and answers as traces hold them: OpenTelemetry's message format, cut to a length that traces can bear.

Files are told by their kind and size, never by what is in them.

What does not live here: whether any of it is told at all (`otel.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Characters.
_PART = 8_192
_ALL = 65_536
_MODALITIES = ("image", "audio", "video")


def inputs(messages: Sequence[Mapping[str, Any]]) -> str:
    """The messages of a request, as JSON."""
    room = _Room(_ALL)
    # The newest are what matters where not all of them fit.
    told = [_message(message, room) for message in reversed(messages)]
    return _json(told[::-1])


def outputs(choices: Sequence[Mapping[str, Any]]) -> str:
    """The messages of an answer, as JSON."""
    room = _Room(_ALL)
    return _json(
        [
            {**_message(choice["message"], room), "finish_reason": choice.get("finish_reason") or ""}
            for choice in choices
        ]
    )


class _Room:
    """So much text still fits."""

    __slots__ = ("_left",)

    def __init__(self, left: int) -> None:
        self._left = left

    def cut(self, text: str) -> str:
        fits = min(_PART, self._left)
        self._left -= min(len(text), fits)
        return text if len(text) <= fits else f"{text[:fits]}... ({len(text) - fits} more characters)"


def _message(message: Mapping[str, Any], room: _Room) -> dict[str, Any]:
    role = str(message.get("role") or "assistant")
    if role == "tool":
        answer = {
            "type": "tool_call_response",
            "id": message.get("tool_call_id"),
            "response": room.cut(_text_of(message.get("content"))),
        }
        return {"role": role, "parts": [answer]}
    told: dict[str, Any] = {"role": role, "parts": list(_parts(message, room))}
    if message.get("name"):
        told["name"] = message["name"]
    return told


def _parts(message: Mapping[str, Any], room: _Room) -> Iterator[dict[str, Any]]:
    if thought := message.get("reasoning_content") or message.get("reasoning"):
        yield {"type": "reasoning", "content": room.cut(str(thought))}
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield {"type": "text", "content": room.cut(content)}
    else:
        for part in content or ():
            yield _part(part, room)
    if refusal := message.get("refusal"):
        yield {"type": "refusal", "content": room.cut(str(refusal))}
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        given = function.get("arguments") or function.get("input") or ""
        yield {
            "type": "tool_call",
            "id": call.get("id"),
            "name": str(function.get("name") or ""),
            "arguments": _arguments(given, room),
        }


def _part(part: Mapping[str, Any], room: _Room) -> dict[str, Any]:
    kind = str(part.get("type"))
    if kind == "text":
        return {"type": "text", "content": room.cut(str(part.get("text") or ""))}
    if kind == "refusal":
        return {"type": "refusal", "content": room.cut(str(part.get("refusal") or ""))}
    inner = part.get(kind)
    if not isinstance(inner, dict):
        return {"type": kind}
    modality = next((one for one in _MODALITIES if one in kind), "document")
    if "file_id" in inner:
        return {"type": "file", "modality": modality, "file_id": str(inner["file_id"])}
    url = str(inner.get("url") or "")
    if url and not url.startswith("data:"):
        return {"type": "uri", "modality": modality, "uri": room.cut(url)}
    data = url or str(inner.get("file_data") or inner.get("data") or "")
    told: dict[str, Any] = {"type": "blob", "modality": modality, "content": "", "length": len(data)}
    if data.startswith("data:"):
        told["mime_type"] = data[5:].partition(";")[0].partition(",")[0][:64]
    return told


def _arguments(text: str, room: _Room) -> Any:
    cut = room.cut(text)
    if cut != text:
        return cut
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text") or "") for part in content or () if isinstance(part, dict))


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # Half a character, which JSON may say and UTF-8 cannot hold.
        return orjson.dumps(_sound(value)).decode()


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sound(name): _sound(each) for name, each in value.items()}
    return [_sound(each) for each in value] if isinstance(value, list) else value
