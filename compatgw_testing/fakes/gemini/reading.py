"""Reads Gemini's requests, in their canonical form, into the shape over all dialects.

What does not live here: the canonical form and which requests are accepted (`rules.py`, `turns.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.gemini.rules import declarations
from compatgw_testing.request import Message, Request
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.request import Surface

_SETTINGS = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop",
    "candidateCount": "n",
    "seed": "seed",
}


def read_generate(body: Json, model: str, *, stream: bool = False, surface: Surface = "chat") -> Request:
    """A request for content, or for the count of its tokens."""
    config = body.get("generationConfig") or {}
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    tools = {one["name"]: one.get("parametersJsonSchema") or one.get("parameters") for one in declarations(body)}
    allowed = calling.get("allowedFunctionNames") or [""]
    messages: list[Message] = []
    if system := body.get("systemInstruction"):
        parts = system["parts"] if isinstance(system["parts"], list) else [system["parts"]]
        messages.append(Message(role="system", text="\n".join(one.get("text", "") for one in parts)))
    messages += [one for given in body["contents"] for one in _content(given)]
    return Request(
        model=model,
        surface=surface,
        messages=tuple(messages),
        tools={name: schema or {"type": "object", "properties": {}} for name, schema in tools.items()},
        force=str(allowed[0]) if calling.get("mode") == "ANY" and tools else None,
        schema=config.get("responseJsonSchema", config.get("responseSchema")),
        json=config.get("responseMimeType") == "application/json",
        limit=int(config.get("maxOutputTokens") or 0) or None,
        thinks=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
        stream=stream,
        settings={ours: config[name] for name, ours in _SETTINGS.items() if config.get(name) is not None},
        prompt=[body.get("systemInstruction"), body["contents"], body.get("tools")],
    )


def _content(given: Json) -> list[Message]:
    """One message of the shape, after one for each function response in it."""
    found: list[Message] = []
    texts: list[str] = []
    media: list[str] = []
    thoughts: list[str] = []
    calls: list[ToolCall] = []
    for part in given.get("parts") or ():
        if answered := part.get("functionResponse"):
            found.append(
                Message(
                    role="tool",
                    text=dump(answered.get("response")),
                    tool=answered.get("name"),
                    call_id=answered.get("id"),
                )
            )
        elif called := part.get("functionCall"):
            calls.append(ToolCall(called["name"], called.get("args") or {}, called.get("id")))
        elif "text" in part:
            (thoughts if part.get("thought") else texts).append(part["text"])
        elif data := part.get("inlineData") or part.get("fileData"):
            media.append(str(data.get("mimeType") or "*/*"))
    if texts or media or thoughts or calls or not found:
        found.append(
            Message(
                role="assistant" if given.get("role") == "model" else "user",
                text="\n".join(texts),
                media=tuple(media),
                reasoning="\n".join(thoughts),
                calls=tuple(calls),
            )
        )
    return found
