"""Answers for tests, in the vendor's shapes."""

from __future__ import annotations

from typing import Any

import orjson

from compatgw.dialects.base import Context, Target

PNG = "iVBORw0KGgoAAAANSUhEUg=="


def context(memo: dict[str, Any] | None = None, model: str = "gemini-3.7-flash", **traits: Any) -> Context:
    """The call that an answer belongs to."""
    return Context(Target("Google", model, traits=traits), "chatcmpl-ours", 1_780_000_000, memo or {})


def text(words: str) -> dict[str, Any]:
    """A part with text."""
    return {"text": words}


def thought(words: str) -> dict[str, Any]:
    """A part with a thought."""
    return {"text": words, "thought": True}


def call(name: str, args: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A part with a call; arguments that are empty are absent."""
    return {"functionCall": {"name": name, **({"args": args} if args else {}), **more}}


def candidate(*parts: dict[str, Any], finish: Any = "STOP", **more: Any) -> dict[str, Any]:
    """A candidate of an answer."""
    found = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **more}
    return found if finish is None else {**found, "finishReason": finish}


def response(*candidates: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A response, with the vendor's identity."""
    return {"candidates": list(candidates), "modelVersion": "gemini-3.7-flash-001", "responseId": "R1", **more}


def sse(*values: Any, end: str = "\r\n\r\n") -> bytes:
    """Responses as the vendor streams them."""
    return b"".join(b"data: " + orjson.dumps(value) + end.encode() for value in values)
