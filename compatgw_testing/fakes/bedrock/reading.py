"""Reads requests for Converse into the shape over all dialects.

What does not live here: which requests are accepted (`rules.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from compatgw_testing.request import Message, Request, named
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json

_SETTINGS = {"temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
_MEDIA = {"image": "image", "document": "application", "video": "video", "audio": "audio"}


def read_converse(model: str, body: Json, *, stream: bool) -> Request:
    """A request for a message of `model`."""
    config = body.get("inferenceConfig") or {}
    tools = body.get("toolConfig") or {}
    choice = tools.get("toolChoice") or {}
    fields = body.get("additionalModelRequestFields") or {}
    form = ((body.get("outputConfig") or {}).get("textFormat") or {}).get("structure") or {}
    system = "\n".join(one["text"] for one in body.get("system") or () if "text" in one)
    messages = [Message(role="system", text=system)] if system else []
    messages += [one for given in body["messages"] for one in _message(given)]
    settings = {ours: config[name] for name, ours in _SETTINGS.items() if config.get(name) is not None}
    if fields.get("top_k") is not None:
        settings["top_k"] = fields["top_k"]
    force = "" if "any" in choice else str(choice["tool"].get("name")) if "tool" in choice else None
    return Request(
        model=model,
        messages=named(messages),
        tools={
            one["toolSpec"]["name"]: one["toolSpec"]["inputSchema"]["json"]
            for one in tools.get("tools") or ()
            if "toolSpec" in one
        },
        force=force,
        schema=json.loads(form["jsonSchema"]["schema"]) if form else None,
        limit=int(config.get("maxTokens") or 0) or None,
        thinks=(fields.get("thinking") or {}).get("type", "disabled") != "disabled",
        stream=stream,
        settings=settings,
        prompt=[body.get("system"), body["messages"], tools],
    )


def _message(given: Json) -> list[Message]:
    """One message of the shape, after one for each tool result in it."""
    found: list[Message] = []
    texts: list[str] = []
    media: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for block in given["content"]:
        if "toolResult" in block:
            result = block["toolResult"]
            inside = "\n".join(one["text"] if "text" in one else dump(one.get("json")) for one in _said(result))
            found.append(
                Message(role="tool", text=inside, media=_media(result["content"]), call_id=result["toolUseId"])
            )
        elif "text" in block:
            texts.append(block["text"])
        elif "toolUse" in block:
            use = block["toolUse"]
            calls.append(ToolCall(use["name"], use["input"], use["toolUseId"]))
        elif "reasoningContent" in block:
            thoughts.append((block["reasoningContent"].get("reasoningText") or {}).get("text") or "")
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


def _said(result: Json) -> list[Json]:
    return [one for one in result["content"] if "text" in one or "json" in one]


def _media(content: list[Any]) -> tuple[str, ...]:
    return tuple(
        f"{kind}/{block[name]['format']}" for block in content for name, kind in _MEDIA.items() if name in block
    )
