"""Gemini's recorded answers, its own and Vertex's, as turns of a script, and recorded requests put to the fake.

What does not live here: reading and comparing (`exchanges.py`), exceptions (`odd.py`).
"""

from dataclasses import replace
from typing import Any

from compatgw_testing import FakeGemini
from compatgw_testing.script import ToolCall, Turn, Usage
from tests.testing.driver import Reply, request
from tests.testing.exchanges import Record
from tests.testing.paths import objects

SMALLEST = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
_VERTEX = "/v1/projects/p/locations/global/publishers/google"
_FINISH = {"STOP": None, "MAX_TOKENS": "length"}


def asked(record: Record) -> Record:
    """The exchange; with the smallest request that fits if none was recorded."""
    if record.method == "GET":
        return replace(record, path=record.path.partition("?")[0])  # the token of a page is the vendor's own
    if record.body is not None:
        return record
    model = next((one["modelVersion"] for one in record.said if "modelVersion" in one), "gemini-2.5-flash")
    verb = "streamGenerateContent?alt=sse" if record.streamed else "generateContent"
    place = _VERTEX if record.vendor == "vertex" else "/v1beta"
    # Thoughts were told, so they were asked for.
    body = (
        {**SMALLEST, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}} if thinks(record) else SMALLEST
    )
    return replace(record, body=body, path=f"{place}/models/{model}:{verb}")


def thinks(record: Record) -> bool:
    """The answer has thoughts."""
    return any(part.get("thought") for part in parts_of(record))


def parts_of(record: Record) -> list[dict[str, Any]]:
    """The parts of the first candidate, over all events of a stream."""
    candidates = [one["candidates"][0] for one in record.said if one.get("candidates")]
    return [part for one in candidates for part in one.get("content", {}).get("parts") or ()]


async def answered(record: Record, *, key: str | None = None, models: list[str] | None = None) -> Reply:
    """What the fake answers to a recorded request, told to say what the vendor said."""
    fake = FakeGemini(models=models)
    for one in objects(record.body):
        if signature := one.get("thoughtSignature", one.get("thought_signature")):
            fake.signatures.trust(signature)
    if record.kind == "generate" and record.status == 200:
        fake.enqueue(turn_of(record))
    name = "authorization" if record.vendor == "vertex" else "x-goog-api-key"
    headers = {name: ("Bearer " if record.vendor == "vertex" else "") + (key or fake.api_key)}
    return await request(fake, record.path, record.body, method=record.method, headers=headers)


def turn_of(record: Record) -> Turn:
    """A turn that says what the recorded answer says, as far as a script can."""
    texts: list[str] = []
    thought = ""
    calls: list[ToolCall] = []
    for part in parts_of(record):
        if part.get("functionCall", {}).get("name"):
            called = part["functionCall"]
            calls.append(ToolCall(called["name"], called.get("args") or {}, called.get("id", "")))
        elif part.get("thought"):
            thought += part.get("text") or ""
        elif "text" in part:
            texts.append(part["text"])
    finishes = [one["candidates"][0].get("finishReason") for one in record.said if one.get("candidates")]
    finish = next((one for one in finishes if one), "STOP")
    usage: Any = next((one["usageMetadata"] for one in reversed(record.said) if "usageMetadata" in one), {})
    if not thought and usage.get("thoughtsTokenCount"):
        thought = "Hm."
    return Turn(
        text="".join(texts) or None,
        reasoning=thought or None,
        calls=tuple(calls),
        finish=_FINISH.get(finish, finish),
        usage=_usage(usage),
    )


def _usage(usage: Any) -> Usage | None:
    if "promptTokenCount" not in usage:
        return None
    thought = usage.get("thoughtsTokenCount") or 0
    written = thought + (usage.get("candidatesTokenCount") or 0)
    read = usage["promptTokenCount"]
    return Usage(read, written, cached=min(read, usage.get("cachedContentTokenCount") or 0), reasoning=thought)
