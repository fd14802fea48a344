"""Reads Anthropic's requests into the shape over all dialects.

What does not live here: which requests are accepted (`rules.py`, `turns.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.request import Message, Request, named
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.request import Surface

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "stop_sequences": "stop"}


def read_messages(body: Json, surface: Surface = "chat") -> Request:
    """A request for a message, or for the count of its tokens."""
    choice = body.get("tool_choice") or {}
    form = (body.get("output_config") or {}).get("format") or body.get("output_format")
    messages = [Message(role="system", text=_text(body["system"]))] if body.get("system") else []
    messages += [one for given in body["messages"] for one in _message(given)]
    return Request(
        model=str(body.get("model")),
        surface=surface,
        messages=named(messages),
        tools={one["name"]: one.get("input_schema") for one in body.get("tools") or () if "input_schema" in one},
        force={"any": "", "tool": str(choice.get("name"))}.get(str(choice.get("type"))),
        schema=form["schema"] if form else None,
        limit=int(body.get("max_tokens") or 0),
        thinks=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
        stream=bool(body.get("stream")),
        settings={ours: body[name] for name, ours in _SETTINGS.items() if body.get(name) is not None},
        prompt=[body.get("system"), body["messages"], body.get("tools")],
    )


def _message(given: Json) -> list[Message]:
    """One message of the shape, after one for each tool result in it."""
    content = given["content"]
    if isinstance(content, str):
        return [Message(role=given["role"], text=content)]
    found: list[Message] = []
    texts: list[str] = []
    media: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for block in content:
        kind = block["type"]
        if kind == "tool_result":
            inside = block.get("content") or ""
            found.append(
                Message(role="tool", text=_text(inside), media=_media(inside), call_id=block.get("tool_use_id"))
            )
        elif kind == "text":
            texts.append(block["text"])
        elif kind == "thinking":
            thoughts.append(block["thinking"])
        elif kind == "tool_use":
            calls.append(ToolCall(block["name"], block["input"], block["id"]))
        elif kind in ("image", "document"):
            media += _media([block])
    if texts or media or thoughts or calls or not found:
        found.append(
            Message(
                role=given["role"],
                text="\n".join(texts),
                media=tuple(media),
                reasoning="\n".join(thoughts),
                calls=tuple(calls),
            )
        )
    return found


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(one["text"] if one.get("type") == "text" else dump(one) for one in content if _says(one))


def _says(block: Json) -> bool:
    return block.get("type") not in ("image", "document")


def _media(content: Any) -> tuple[str, ...]:
    blocks = content if isinstance(content, list) else []
    otherwise = {"image": "image/*", "document": "application/pdf"}
    return tuple(
        str((one.get("source") or {}).get("media_type") or otherwise[one["type"]])
        for one in blocks
        if one.get("type") in otherwise
    )
