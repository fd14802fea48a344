"""Chat requests of each dialect: conversations, tools, tool results; and what a plain answer says."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from compatgw_testing import Fake
from tests.testing.driver import MODELS, Reply, ask

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# One turn of a conversation: who speaks and what; a tool call is ("call", name, arguments), its result ("result", name,
# text).
Said = tuple[str, str] | tuple[str, str, Any]


def chat(dialect: str, *said: Said, tools: Sequence[str] = (), **members: Any) -> dict[str, Any]:
    """A chat request with this conversation, in the dialect's own words."""
    body: dict[str, Any] = {"gemini": _gemini, "anthropic": _anthropic}.get(dialect, _openai)(said)
    if tools and dialect == "gemini":
        body["tools"] = [{"functionDeclarations": [{"name": one, "parametersJsonSchema": SCHEMA} for one in tools]}]
    elif tools and dialect == "anthropic":
        body["tools"] = [{"name": one, "input_schema": SCHEMA} for one in tools]
    elif tools:
        body["tools"] = [{"type": "function", "function": {"name": one, "parameters": SCHEMA}} for one in tools]
    if dialect != "gemini":
        body["model"] = MODELS[dialect]
    return body | members


def _openai(said: Sequence[Said]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for number, one in enumerate(said):
        if one[0] == "call":
            function = {"name": one[1], "arguments": json.dumps(one[2])}  # type: ignore[misc]
            messages.append(
                {
                    "role": "assistant",
                    "tool_calls": [{"id": f"call_{one[1]}", "type": "function", "function": function}],
                }
            )
        elif one[0] == "result":
            messages.append({"role": "tool", "tool_call_id": f"call_{one[1]}", "content": one[2]})  # type: ignore[misc]
        else:
            messages.append({"role": one[0], "content": one[1]})
        assert number < 99
    return {"messages": messages}


def _anthropic(said: Sequence[Said]) -> dict[str, Any]:
    body: dict[str, Any] = {"max_tokens": 200, "messages": []}
    for one in said:
        if one[0] == "system":
            body["system"] = one[1]
        elif one[0] == "call":
            block = {"type": "tool_use", "id": f"toolu_{one[1]}", "name": one[1], "input": one[2]}  # type: ignore[misc]
            body["messages"].append({"role": "assistant", "content": [block]})
        elif one[0] == "result":
            block = {"type": "tool_result", "tool_use_id": f"toolu_{one[1]}", "content": one[2]}  # type: ignore[misc]
            body["messages"].append({"role": "user", "content": [block]})
        else:
            body["messages"].append({"role": one[0], "content": one[1]})
    return body


def _gemini(said: Sequence[Said]) -> dict[str, Any]:
    body: dict[str, Any] = {"contents": []}
    for one in said:
        role, part = "model" if one[0] in ("assistant", "call") else "user", {"text": one[1]}
        if one[0] == "system":
            body["systemInstruction"] = {"parts": [part]}
            continue
        if one[0] == "call":
            part = {"functionCall": {"name": one[1], "args": one[2]}}  # type: ignore[misc,dict-item]
        elif one[0] == "result":
            part = {"functionResponse": {"name": one[1], "response": {"result": one[2]}}}  # type: ignore[misc,dict-item]
        body["contents"].append({"role": role, "parts": [part]})
    return body


async def say(fake: Fake, *said: Said, tools: Sequence[str] = (), stream: bool = False, **members: Any) -> Reply:
    """Sends a conversation."""
    return await ask(fake, chat(fake.dialect, *said, tools=tools, **members), stream=stream)


async def hear(fake: Fake, *said: Said, tools: Sequence[str] = (), **members: Any) -> str:
    """Sends a conversation and gives the text of the answer, or its tool calls as `name(arguments)`."""
    return text_of(fake.dialect, (await say(fake, *said, tools=tools, **members)).json)


def text_of(dialect: str, body: Mapping[str, Any]) -> str:
    """What a plain answer says: text, or calls."""
    if dialect == "openai":
        message = body["choices"][0]["message"]
        calls = [
            (one["function"]["name"], json.loads(one["function"]["arguments"]))
            for one in message.get("tool_calls") or ()
        ]
        text = message.get("content") or ""
    elif dialect == "anthropic":
        text = "".join(one["text"] for one in body["content"] if one["type"] == "text")
        calls = [(one["name"], one["input"]) for one in body["content"] if one["type"] == "tool_use"]
    elif dialect == "gemini":
        parts = body["candidates"][0]["content"]["parts"]
        text = "".join(one.get("text", "") for one in parts)
        calls = [(one["functionCall"]["name"], one["functionCall"]["args"]) for one in parts if "functionCall" in one]
    else:
        message = body["message"]
        text = "".join(one["text"] for one in message.get("content") or ())
        calls = [
            (one["function"]["name"], json.loads(one["function"]["arguments"]))
            for one in message.get("tool_calls") or ()
        ]
    return text or " ".join(f"{name}({json.dumps(arguments)})" for name, arguments in calls)


def message_of(dialect: str, body: Mapping[str, Any]) -> str:
    """The message of a vendor's error envelope."""
    return str(body["message"] if dialect == "cohere" else body["error"]["message"])
