"""Reads requests for responses, and the items that earlier responses bring, into the shape over all dialects.

What does not live here: which requests are accepted (`rules.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.openai.reading import call_of, contents_of
from compatgw_testing.fakes.openai.responses.rules import kind_of_item
from compatgw_testing.request import Message, Request, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.request import Role
    from compatgw_testing.sample import Ids

_SETTINGS = ("temperature", "top_p", "top_logprobs", "truncation", "user", "verbosity")
_ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}


def items_of(body: Json) -> list[Json]:
    """The items of the input; a text is one message.

    Raises:
        ValueError: It is neither.
    """
    given = body.get("input")
    if given is None:
        return []
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise ValueError("the input is neither a text nor a list of items")
    return given


def whole(items: Sequence[Json], ids: Ids) -> tuple[Json, ...]:
    """Items as the vendor keeps them: each with type and id, the content of messages in parts."""
    found: list[Json] = []
    for number, item in enumerate(items):
        kind = kind_of_item(item)
        id = item.get("id") or f"{_PREFIXES.get(kind, 'item')}_{ids.hex(f'input{number}', 48)}"
        kept = {**item, "id": id, "type": kind}
        if kind == "message":
            kept["status"] = item.get("status", "completed")
            if isinstance(item["content"], str):
                part: Json = {"type": "input_text", "text": item["content"]}
                if item["role"] == "assistant":
                    part = {"type": "output_text", "text": item["content"], "annotations": []}
                kept["content"] = [part]
        found.append(kept)
    return tuple(found)


def read_response(body: Json, items: Sequence[Json]) -> Request:
    """A request.

    Args:
        body: As it was sent.
        items: The whole conversation: those of earlier responses, then those of the input.
    """
    text = body.get("text") or {}
    form = text.get("format") or {}
    messages = list(_messages(items))
    if body.get("instructions"):
        messages.insert(0, Message(role="system", text=body["instructions"]))
    reasoning = body.get("reasoning") or {}
    settings = {**body, "verbosity": text.get("verbosity")}
    return Request(
        model=str(body.get("model")),
        messages=named(messages),
        tools=tools_of([*(body.get("tools") or ()), *_brought(items)]),
        force=_forced(body.get("tool_choice")),
        schema=form.get("schema", {}) if form.get("type") == "json_schema" else None,
        json=form.get("type") == "json_object",
        limit=int(body.get("max_output_tokens") or 0) or None,
        thinks=reasoning.get("effort") not in (None, "none") or reasoning.get("summary") is not None,
        stream=bool(body.get("stream")),
        settings={name: settings[name] for name in _SETTINGS if settings.get(name) is not None},
        prompt=[body.get("instructions"), list(items), body.get("tools")],
    )


def tools_of(tools: Iterable[Json]) -> dict[str, object]:
    """Schemas of the arguments by name; those of namespaces, too."""
    found: dict[str, object] = {}
    for tool in tools:
        if tool.get("type") == "namespace":
            found.update(tools_of(tool["tools"]))
        elif tool.get("type") in ("function", "custom"):
            found[tool["name"]] = tool.get("parameters") or {"type": "object", "properties": {}}
    return found


def _brought(items: Iterable[Json]) -> Iterable[Json]:
    for item in items:
        if kind_of_item(item) in ("additional_tools", "tool_search_output"):
            yield from item.get("tools") or ()


def _messages(items: Iterable[Json]) -> Iterable[Message]:
    """Messages; what the assistant thinks, says and calls in a row is one of them."""
    spoken: Message | None = None
    for item in items:
        message = _message(item)
        if message is None:
            continue
        if message.role != "assistant":
            if spoken is not None:
                yield spoken
                spoken = None
            yield message
        elif spoken is None:
            spoken = message
        else:
            spoken = replace(
                spoken,
                text="\n".join(one for one in (spoken.text, message.text) if one),
                reasoning="\n".join(one for one in (spoken.reasoning, message.reasoning) if one),
                calls=(*spoken.calls, *message.calls),
            )
    if spoken is not None:
        yield spoken


def _message(item: Json) -> Message | None:
    kind = kind_of_item(item)
    if kind == "message":
        text, media, _ = contents_of(item["content"])
        return Message(role=_ROLES[item["role"]], text=text, media=media)
    if kind in ("function_call", "custom_tool_call"):
        return Message(role="assistant", calls=(call_of(item, item["call_id"]),))
    if kind in ("function_call_output", "custom_tool_call_output"):
        text, media, _ = contents_of(item["output"])
        return Message(role="tool", text=text, media=media, call_id=item["call_id"])
    if kind == "reasoning":
        parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
        return Message(role="assistant", reasoning="\n".join(one["text"] for one in parts))
    return None


def _forced(choice: Any) -> str | None:
    if choice == "required":
        return ""
    if not isinstance(choice, dict):
        return None
    if choice.get("type") == "allowed_tools":
        return str(choice["tools"][0].get("name", "")) if choice["mode"] == "required" else None
    return str(choice["name"]) if choice.get("type") in ("function", "custom") else None
