"""Reads Cohere's v2 chat requests into the shape over all dialects.

What does not live here: which requests are accepted (`rules.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from compatgw_testing.request import Message, Request, named
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json

_SETTINGS = {"temperature": "temperature", "p": "top_p", "k": "top_k", "stop_sequences": "stop", "seed": "seed"}


def read_chat(body: Json) -> Request:
    """A chat request."""
    form = body.get("response_format") or {}
    return Request(
        model=str(body.get("model")),
        messages=named([_message(one) for one in body["messages"]]),
        tools={one["function"]["name"]: one["function"].get("parameters") for one in body.get("tools") or ()},
        force="" if body.get("tool_choice") == "REQUIRED" else None,
        schema=form.get("json_schema") or form.get("schema"),
        json=form.get("type") == "json_object",
        limit=int(body.get("max_tokens") or 0) or None,
        thinks=(body.get("thinking") or {}).get("type") == "enabled",
        stream=bool(body.get("stream")),
        settings={ours: body[name] for name, ours in _SETTINGS.items() if body.get(name) is not None},
        prompt=[body["messages"], body.get("tools"), body.get("documents")],
    )


def _message(given: Json) -> Message:
    text, media, thought = _content(given.get("content"))
    return Message(
        role=given["role"],
        text=text,
        media=media,
        reasoning=thought or str(given.get("tool_plan") or ""),
        calls=tuple(_call(one) for one in given.get("tool_calls") or ()),
        call_id=given.get("tool_call_id"),
    )


def _call(given: Json) -> ToolCall:
    text = given["function"].get("arguments") or "{}"
    try:
        arguments = json.loads(text)
    except ValueError:
        arguments = text
    return ToolCall(given["function"]["name"], arguments if isinstance(arguments, dict) else text, given.get("id"))


def _content(content: Any) -> tuple[str, tuple[str, ...], str]:
    if not isinstance(content, list):
        return content or "", (), ""
    texts: list[str] = []
    media: list[str] = []
    thoughts: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind == "text":
            texts.append(part["text"])
        elif kind == "thinking":
            thoughts.append(part["thinking"])
        elif kind == "document":
            data = part["document"].get("data")
            texts.append(data if isinstance(data, str) else dump(data))
        elif kind == "image_url":
            url = (part.get("image_url") or {}).get("url") or ""
            media.append(url[5:].partition(";")[0] if url.startswith("data:") else "image/*")
    return "\n".join(texts), tuple(media), "\n".join(thoughts)
