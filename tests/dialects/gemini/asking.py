"""Requests for tests: sent through the codec, and judged by the SDK's own types on the way out."""

from __future__ import annotations

from typing import Any

import orjson

from compatgw.dialects.base import Outgoing, Target
from compatgw.dialects.gemini import DIALECT

from .judges import accepted

NEW = "gemini-3.7-flash"
FLASH = "gemini-2.5-flash"
PRO = "gemini-2.5-pro"
OLD = "gemini-1.5-pro"
HI = [{"role": "user", "content": "Hi"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": SCHEMA}}
TIME = {"type": "function", "function": {"name": "time"}}
PNG = "iVBORw0KGgoAAAANSUhEUg=="
SIGNATURE = "EpYCCpMCARFNMg=="


def send(request: dict[str, Any], model: str = NEW, **target: Any) -> tuple[dict[str, Any], Outgoing]:
    """The body that `request` becomes, judged, and all that goes with it."""
    assert DIALECT.chat is not None
    whole = {"model": "google/x", "messages": HI, **request}
    before = orjson.dumps(whole)
    outgoing = DIALECT.chat.encode(whole, Target(provider="Google", model=model, **target))  # type: ignore[arg-type]
    assert orjson.dumps(whole) == before, "the request is left alone"
    return accepted(outgoing.body), outgoing


def sent(model: str = NEW, **request: Any) -> dict[str, Any]:
    """The body that a request becomes."""
    return send(request, model)[0]


def contents(*messages: dict[str, Any], model: str = NEW) -> list[dict[str, Any]]:
    """The contents that messages become."""
    found: list[dict[str, Any]] = sent(model, messages=list(messages))["contents"]
    return found


def user(content: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content}


def call(id: str, name: str = "weather", arguments: str = '{"city":"Oslo"}', **more: Any) -> dict[str, Any]:
    """A tool call of the hub."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calling(*calls: dict[str, Any], content: Any = None, **more: Any) -> dict[str, Any]:
    """An assistant's message with calls."""
    message = {"role": "assistant", "tool_calls": list(calls), **more}
    return {**message, "content": content} if content is not None else message


def result(id: str, content: Any = "4 C") -> dict[str, Any]:
    """A tool's message."""
    return {"role": "tool", "tool_call_id": id, "content": content}
