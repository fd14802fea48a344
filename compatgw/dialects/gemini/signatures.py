"""Thought signatures on their way through OpenAI's format: where they are written, where they are read.

A signature is opaque base64 on one part. It goes out in the two places that clients are known
to send back; it is read from every place that some gateway has made up. A signature that no
client brought back is replaced by the one that the vendor documents for foreign history.

What does not live here: which part gets which signature (`messages.py`, `candidate.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "google-gemini-v1"
SKIP = "skip_thought_signature_validator"
_SUFFIX = "__thought__"


class Details(NamedTuple):
    """Signatures out of a message's `reasoning_details`: of calls by their id, and of its text."""

    calls: Mapping[str, str]
    text: str | None


def holder(signature: str) -> dict[str, Any]:
    """The `extra_content` that carries `signature`."""
    return {"google": {"thought_signature": signature}}


def held(value: Any) -> str | None:
    """The signature in the `extra_content` of a message, call or image."""
    content = value.get("extra_content") if isinstance(value, dict) else None
    google = content.get("google") if isinstance(content, dict) else None
    return _text(google, "thought_signature")


def details(message: Mapping[str, Any]) -> Details:
    """What `reasoning_details` of a message hold for Gemini."""
    calls: dict[str, str] = {}
    text = None
    entries = message.get("reasoning_details")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            continue
        data = _text(entry, "data") or _text(entry, "signature")
        if data is not None:
            if isinstance(entry.get("id"), str):
                calls[plain_id(entry["id"])] = data
            else:
                text = data
    return Details(calls, text)


def of_text(message: Mapping[str, Any], found: Details) -> str | None:
    """The signature of a message's text."""
    return held(message) or found.text


def of_call(call: Mapping[str, Any], found: Details) -> str | None:
    """The signature of a tool call, from the first place that has one."""
    function = call.get("function")
    return (
        held(call)
        or found.calls.get(plain_id(call["id"]))
        or _text(function, "thought_signature")
        or _text(call.get("provider_specific_fields"), "thought_signature")
        or call["id"].partition(_SUFFIX)[2]
        or None
    )


def plain_id(id: str) -> str:
    """A tool call's id without the signature that one gateway hides at its end."""
    return id.partition(_SUFFIX)[0]


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) and found else None
