"""Recorded provider interactions, read from the folder that `COMPATGW_RECORDINGS` names.

Only what belongs to a chat protocol that we speak is taken. A recording of several messages
in a row (some fixtures hold a whole tool loop) gives one `Recording` for each.
"""

from __future__ import annotations

import base64
import functools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

VARIABLE = "COMPATGW_RECORDINGS"
REASON = f"set {VARIABLE} to the folder of recorded provider interactions"

# The protocol that an interface of a vendor speaks.
DIALECTS = {
    "chat": "openai", "messages": "anthropic", "generate": "gemini", "generate-stream": "gemini", "chat-v2": "cohere",
    "converse": "bedrock", "converse-stream": "bedrock",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recording:
    """One interaction: what was sent, and what came back.

    Attributes:
        id: Path inside the folder, with a number behind `#` for a part of a recording.
        dialect: The protocol that it speaks.
        body: Exact bytes of the answer, or the JSON rebuilt where only that was kept.
    """

    id: str
    vendor: str
    dialect: str
    model: str
    status: int
    stream: bool
    tags: frozenset[str]
    request: Any
    headers: dict[str, str]
    body: bytes


@functools.cache
def all_recordings() -> tuple[Recording, ...]:
    """Every recording of a protocol that we speak, in order of its id; none without the folder."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        return ()
    found: list[Recording] = []
    for path in sorted(Path(folder).glob("*/*/*.json")):
        value = orjson.loads(path.read_bytes())
        if value["api"] in DIALECTS:
            found += _split(_read(value))
    return tuple(found)


def _read(value: dict[str, Any]) -> Recording:
    answer = value["response"]
    stream = bool(value["stream"]) and answer["status"] < 400
    if "body_b64" in answer:
        body = base64.b64decode(answer["body_b64"])
    elif "body_text" in answer:
        body = answer["body_text"].encode()
    elif stream:  # an array of responses: the form without `alt=sse`, which the gateway never asks for
        body = b"".join(b"data: " + orjson.dumps(item) + b"\r\n\r\n" for item in answer["body_json"])
    else:
        body = orjson.dumps(answer["body_json"])
    return Recording(
        id=value["id"],
        vendor=value["provider"],
        dialect=DIALECTS[value["api"]],
        model=value["model"] or "unnamed",
        status=answer["status"],
        stream=stream,
        tags=frozenset(value["exercises"]),
        request=(value.get("request") or {}).get("body_json"),
        headers={k.lower(): v for k, v in (answer.get("headers") or {}).items() if isinstance(v, str)},
        body=body,
    )


def _split(recording: Recording) -> list[Recording]:
    mark = b'"message_stop"'
    if recording.dialect != "anthropic" or not recording.stream or recording.body.count(mark) < 2:
        return [recording]
    parts: list[bytes] = [b""]
    for event in recording.body.split(b"\n\n"):
        parts[-1] += event + b"\n\n"
        if mark in event:
            parts.append(b"")
    whole = [part for part in parts if part.strip()]
    return [replace(recording, id=f"{recording.id}#{n}", body=part) for n, part in enumerate(whole)]
