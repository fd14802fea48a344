"""Hub messages become Cohere's: roles, parts, tool turns.

Cohere wants each tool message directly behind the assistant turn whose call it answers, and
every call answered. Results that come later in the history are moved there; what cannot be
paired is refused with its path, because the upstream's own sentence names no place.

What does not live here: the request around the messages (`request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import ids, media
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.cohere.models import Traits

_DETAILS = {"auto": "auto", "low": "low", "high": "high", "original": "high"}
_INSTEAD = {
    "file": "Send its text in the message or as one of 'documents'.",
    "input_audio": "Send a transcript instead.",
    "video_url": "Send single frames as images instead.",
}


class _Turn:
    """An assistant turn with calls: where it stands, and which of its calls are not answered yet."""

    __slots__ = ("block", "index", "waiting")

    def __init__(self, index: int, block: list[dict[str, Any]], waiting: list[str]) -> None:
        self.index = index
        self.block = block
        self.waiting = waiting


def translate(messages: Sequence[Mapping[str, Any]], left: Leftovers, traits: Traits) -> list[dict[str, Any]]:
    """The messages in Cohere's shapes, tool results behind their calls.

    Raises:
        InvalidRequest: A tool message without its call, a call without its result, bad media.
        UnsupportedParameter: A part that Cohere has no place for.
    """
    blocks: list[list[dict[str, Any]]] = []
    turns: list[_Turn] = []
    owners: dict[str, _Turn] = {}
    named: dict[str, str] = {}  # results in the oldest form name a function, not a call
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = message["role"]
        if role == "assistant":
            said = _assistant(message, index, left, traits)
            if said is None:
                continue
            blocks.append([said])
            calls = [call["id"] for call in said.get("tool_calls", ())]
            if calls:
                turns.append(_Turn(index, blocks[-1], calls))
                owners.update(dict.fromkeys(calls, turns[-1]))
                named.update({call["function"]["name"]: call["id"] for call in said["tool_calls"]})
        elif role == "tool":
            _answer(message["tool_call_id"], message, f"{where}.tool_call_id", where, owners, left)
        elif role == "function":
            _answer(named.get(message["name"], ""), message, f"{where}.name", where, owners, left)
        elif role == "user":
            blocks.append([{"role": "user", "content": _user(message["content"], where, left)}])
        else:
            blocks.append([{"role": "system", "content": _texts(message["content"], where, left)}])
    for turn in turns:
        if turn.waiting:
            param = f"messages[{turn.index}].tool_calls"
            raise InvalidRequest(
                f"'{param}' holds calls that no tool message answers: {', '.join(turn.waiting)[:200]}. "
                "Add one message of role 'tool' for each.",
                param=param,
            )
    return [message for block in blocks for message in block]


def _answer(
    id: str, message: Mapping[str, Any], param: str, where: str, owners: Mapping[str, _Turn], left: Leftovers
) -> None:
    turn = owners.get(id)
    if turn is None:
        raise InvalidRequest(f"'{param}' answers no tool call of an earlier assistant message.", param=param)
    if id not in turn.waiting:
        raise InvalidRequest(f"'{param}' answers a tool call that was answered before.", param=param)
    turn.waiting.remove(id)
    content = _texts(message.get("content") or "", where, left)
    turn.block.append({"role": "tool", "tool_call_id": id, "content": content})


# --- content ---------------------------------------------------------------------------------


def _texts(content: str | Sequence[Mapping[str, Any]], where: str, left: Leftovers) -> str | list[dict[str, Any]]:
    """Content of roles that take text only."""
    if isinstance(content, str):
        return content
    for index, part in enumerate(content):
        if part["type"] != "text":
            raise _refused(part, f"{where}.content[{index}]", left)
    return [{"type": "text", "text": part["text"]} for part in content]


def _user(content: str | Sequence[Mapping[str, Any]], where: str, left: Leftovers) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = []
    for index, part in enumerate(content):
        if part["type"] == "text":
            if part["text"] or len(content) == 1:
                parts.append({"type": "text", "text": part["text"]})
        elif part["type"] == "image_url":
            parts.append(_image(part["image_url"], f"{where}.content[{index}].image_url", left))
        else:
            raise _refused(part, f"{where}.content[{index}]", left)
    return parts


def _image(image: Mapping[str, Any], where: str, left: Leftovers) -> dict[str, Any]:
    url = image["url"]
    if media.is_data_url(url):
        found = media.from_data_url(url, f"{where}.url")
        if not found.media_type.startswith("image/"):
            raise left.refusal(f"{where}.url", f"It holds {found.media_type}, but an image is expected there.")
        url = f"data:{found.media_type};base64,{found.data}"
    out = {"url": url}
    if image.get("detail") in _DETAILS:
        out["detail"] = _DETAILS[image["detail"]]
    return {"type": "image_url", "image_url": out}


def _refused(part: Mapping[str, Any], where: str, left: Leftovers) -> InvalidRequest:
    kind = part["type"]
    return left.refusal(f"{where}.{kind}", _INSTEAD.get(kind, "Only text can stand there."))


# --- assistant turns -------------------------------------------------------------------------


def _assistant(message: Mapping[str, Any], index: int, left: Leftovers, traits: Traits) -> dict[str, Any] | None:
    """An earlier answer; None for one that said nothing, which Cohere refuses."""
    text, thought = _said(message, f"messages[{index}]", left)
    calls = [_call(call) for call in message.get("tool_calls") or ()]
    legacy = message.get("function_call")
    if legacy and not calls:
        minted = ids.minted("function_call", str(index), legacy["name"])
        calls = [_call({"id": minted, "type": "function", "function": legacy})]
    if calls:
        # Beside calls there is no content: what was thought and said before them is the plan.
        plan = "\n".join(filter(None, (thought, text)))
        return {"role": "assistant", "tool_calls": calls, **({"tool_plan": plan} if plan else {})}
    if thought and traits.reasoning:
        parts = [{"type": "thinking", "thinking": thought}, {"type": "text", "text": text}]
        return {"role": "assistant", "content": parts if text else parts[:1]}
    return {"role": "assistant", "content": text} if text else None


def _said(message: Mapping[str, Any], where: str, left: Leftovers) -> tuple[str, str]:
    """Visible text and reasoning of an assistant message."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content or message.get("refusal") or "", _reasoning(message)
    texts: list[str] = []
    thoughts: list[str] = []
    for index, part in enumerate(content):
        if part["type"] == "text":
            texts.append(part["text"])
        elif part["type"] == "refusal":
            texts.append(part["refusal"])
        elif part["type"] == "thinking":
            thoughts.append(_thinking_text(part.get("thinking")))
        else:
            raise _refused(part, f"{where}.content[{index}]", left)
    return "".join(texts) or message.get("refusal") or "", _reasoning(message) or "".join(thoughts)


def _thinking_text(value: Any) -> str:
    if isinstance(value, list):  # some vendors nest text parts there
        return "".join(map(_thinking_text, value))
    if isinstance(value, dict):
        value = value.get("text")
    return value if isinstance(value, str) else ""


def _reasoning(message: Mapping[str, Any]) -> str:
    """Reasoning that came with an earlier answer, in whichever member its client keeps it."""
    for name, members in (("reasoning_details", ("text", "summary")), ("thinking_blocks", ("thinking",))):
        entries = message.get(name)
        if isinstance(entries, list):
            found = [e[m] for e in entries if isinstance(e, dict) for m in members if isinstance(e.get(m), str)]
            if any(found):
                return "".join(found)
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    if call["type"] == "custom":  # made elsewhere: its free text travels as the one argument
        name, arguments = call["custom"]["name"], orjson.dumps({"input": call["custom"]["input"]}).decode()
    else:
        name, arguments = call["function"]["name"], call["function"]["arguments"] or "{}"
    return {"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}
