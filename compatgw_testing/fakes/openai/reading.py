"""Reads OpenAI's chat requests, and those of vendors with its protocol, into the shape over all dialects.

What does not live here: which requests are accepted (`rules.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.openai.rules import definition_of
from compatgw_testing.request import Message, Request, named
from compatgw_testing.script import ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.request import Role

_SETTINGS = ("temperature", "top_p", "stop", "n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "user")

_ROLES: dict[str, Role] = {"developer": "system", "function": "tool"}


def read_chat(body: Json) -> Request:
    """A chat request."""
    form = body.get("response_format") or {}
    return Request(
        model=str(body.get("model")),
        messages=named([one for given in body["messages"] for one in _message(given)]),
        tools=tools_of(body.get("tools") or ()),
        force=_forced(body.get("tool_choice")),
        schema=form["json_schema"].get("schema", {}) if form.get("type") == "json_schema" else None,
        json=form.get("type") == "json_object",
        limit=int(body.get("max_completion_tokens") or body.get("max_tokens") or 0) or None,
        thinks=body.get("reasoning_effort", "none") not in (None, "none"),
        stream=bool(body.get("stream")),
        settings={name: body[name] for name in _SETTINGS if body.get(name) is not None},
        prompt=[body["messages"], body.get("tools")],
    )


def tools_of(tools: Iterable[Json]) -> dict[str, object]:
    """Schemas of the arguments, by name."""
    found: dict[str, object] = {}
    for tool in tools:
        given = definition_of(tool)
        if "name" in given:
            found[given["name"]] = given.get("parameters") or {"type": "object", "properties": {}}
    return found


def _message(given: Json) -> list[Message]:
    role: Role = _ROLES[given["role"]] if given["role"] in _ROLES else given["role"]
    text, media, thought = contents_of(given.get("content"))
    thought = thought or str(given.get("reasoning_content") or given.get("reasoning") or "")
    calls = tuple(
        call_of(one.get("function") or one.get("custom") or {}, one.get("id")) for one in given.get("tool_calls") or ()
    )
    if legacy := given.get("function_call"):
        calls = (*calls, call_of(legacy, None))
    return [
        Message(
            role=role,
            text=text if not given.get("refusal") else str(given["refusal"]),
            media=media,
            reasoning=thought,
            calls=calls,
            tool=given.get("name") if role == "tool" else None,
            call_id=given.get("tool_call_id"),
        )
    ]


def call_of(given: Json, id: str | None) -> ToolCall:
    """A tool call, its arguments parsed where they are JSON."""
    text: Any = given.get("arguments", given.get("input", "{}"))
    try:
        arguments = text if isinstance(text, dict) else json.loads(text)
    except (TypeError, ValueError):
        arguments = text
    return ToolCall(str(given.get("name")), arguments if isinstance(arguments, dict) else str(text), id)


def contents_of(content: Any) -> tuple[str, tuple[str, ...], str]:
    """Text, media types and thought of a message's content."""
    if not isinstance(content, list):
        return content or "", (), ""
    texts: list[str] = []
    media: list[str] = []
    thoughts: list[str] = []
    for part in content:
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            texts.append(part["text"])
        elif kind == "refusal":
            texts.append(part["refusal"])
        elif kind == "thinking":
            thoughts += [one.get("text", "") for one in part.get("thinking") or ()]
        elif kind in ("image_url", "input_image"):
            url = part.get("image_url") or ""
            media.append(_media_type(url.get("url", "") if isinstance(url, dict) else url, "image/*"))
        elif kind == "input_audio":
            media.append(f"audio/{part['input_audio'].get('format', '*')}")
        elif kind in ("file", "input_file"):
            file = part.get("file") or part
            media.append(_media_type(file.get("file_data") or "", "application/pdf"))
        else:
            media.append(f"{kind}/*")
    return "\n".join(texts), tuple(media), "\n".join(thoughts)


def _media_type(url: str, otherwise: str) -> str:
    return url[5:].partition(";")[0] or otherwise if url.startswith("data:") else otherwise


def _forced(choice: Any) -> str | None:
    if choice in ("required", "any"):
        return ""
    if not isinstance(choice, dict):
        return None
    if choice.get("type") == "allowed_tools":
        allowed = choice["allowed_tools"]
        first: dict[str, Any] = allowed["tools"][0]
        return str(first.get("function", first).get("name", "")) if allowed["mode"] == "required" else None
    return str(choice[choice["type"]]["name"])
