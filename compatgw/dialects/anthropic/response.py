"""Anthropic's whole answers and refusals, read; and the parts of reading that streams share.

Text of the vendor's own tools is not the caller's: only text, thinking and calls of the
caller's tools are taken out of an answer. Nothing is trusted to have its documented type: a
wrong shape is an `UpstreamFailure`, never another exception.

What does not live here: the order of stream events (`stream.py`), requests (`request.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import failure, ids
from compatgw.dialects.anthropic import thoughts
from compatgw.dialects.base import Answer
from compatgw.dialects.fence import Fence
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import ChatCompletion, FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
TIERS = {"standard": "default", "priority": "priority"}
_FULL = re.compile(r"exceed(s|ed)? (the )?context (limit|window)", re.IGNORECASE)
# The member that the API's sentence begins with, and what the caller calls it.
_BLAMED = re.compile(r"(?:messages: )?`?([a-z_]+(?:\.format)?)`?(?=[.:` ])")
_PARAMS = {
    "max_tokens": "max_tokens",
    "messages": "messages",
    "metadata": "user",
    "output_config": "reasoning_effort",
    "output_config.format": "response_format",
    "stop_sequences": "stop",
    "system": "messages",
    "temperature": "temperature",
    "thinking": "reasoning_effort",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "top_k": "top_k",
    "top_p": "top_p",
}


def text_at(value: Any, name: str) -> str:
    """The text at `name`, "" when there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def broken(what: str, target: Target) -> UpstreamFailure:
    """The failure of an answer that cannot be read."""
    return UpstreamFailure(f"{target.provider} (model '{target.model}') sent an answer that cannot be read: {what}.")


def compact(value: Any, target: Target) -> str:
    """`value` as JSON without spaces.

    Raises:
        UpstreamFailure: It nests deeper than can be written.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise broken("a tool's input nests too deep", target) from None


def identity(value: Any) -> str | None:
    """The caller's id of an answer, None when the upstream gives none."""
    given = text_at(value, "id")
    return f"chatcmpl-{given.removeprefix('msg_')}" if given else None


def finish_of(word: Any, *, called: bool, legacy: bool) -> FinishReason:
    """The finish reason; whether there are calls decides over a word that says otherwise."""
    reason = FINISH.get(word, "stop") if isinstance(word, str) else "stop"
    if reason not in ("stop", "tool_calls"):
        return reason
    if not called:
        return "stop"
    return "function_call" if legacy else "tool_calls"


def refusal_of(details: Any) -> str | None:
    """What the vendor says of a refusal, None when it says nothing."""
    return text_at(details, "explanation") or None


def usage_of(value: Any) -> Usage | None:
    """Totals: the vendor counts what came from and went to its cache apart, OpenAI counts it in."""
    if not isinstance(value, dict):
        return None
    read, written = _count(value.get("cache_read_input_tokens")), _count(value.get("cache_creation_input_tokens"))
    prompt = _count(value.get("input_tokens")) + read + written
    completion = _count(value.get("output_tokens"))
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
    }
    details = value.get("output_tokens_details")
    if isinstance(details, dict):
        usage["completion_tokens_details"] = {"reasoning_tokens": _count(details.get("thinking_tokens"))}
    for name in ("cache_creation", "server_tool_use"):  # priced apart: writes by how long they last, searches by number
        found = value.get(name)
        counts = {key: _count(inner) for key, inner in found.items()} if isinstance(found, dict) else {}
        if any(counts.values()):
            usage[name] = counts
    return cast("Usage", usage)


def _count(value: Any) -> int:
    # A number beyond what JSON carries exactly is nonsense, and could not be written again.
    return int(min(max(value, 0), 2**53)) if isinstance(value, int | float) else 0


def annotations_of(citations: Any, start: int, end: int) -> list[dict[str, Any]]:
    """Citations with an address as OpenAI's annotations of the text between two places."""
    out: list[dict[str, Any]] = []
    for citation in citations if isinstance(citations, list) else ():
        url = text_at(citation, "url") or text_at(citation, "source")
        if url.startswith(("https://", "http://")):
            place = {
                "start_index": start,
                "end_index": end,
                "title": text_at(citation, "title") or url,
                "url": url,
            }
            out.append({"type": "url_citation", "url_citation": place})
    return out


def custom_input(value: Any, target: Target) -> str:
    """What a custom tool was called with: the one argument of the function that stands for it."""
    given = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return given if isinstance(given, str) else compact(value, target)


# --- a whole answer --------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Answer:
    """The completion that an answer is.

    Raises:
        UpstreamFailure: Not a message, or an error in the place of one.
    """
    target = context.target
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken("it is not JSON", target) from None
    if isinstance(value, dict) and (value.get("type") == "error" or ("content" not in value and value.get("error"))):
        raise failure.from_value(value, target)
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        raise broken("it is no message", target)
    reading = _Reading(context)
    for block in value["content"]:
        if isinstance(block, dict):
            reading.take(block)
    legacy = bool(context.memo.get("legacy"))
    completion: dict[str, Any] = {
        "id": identity(value) or context.id,
        "object": "chat.completion",
        "created": context.created,
        "model": text_at(value, "model") or target.model,
        "choices": [
            {
                "index": 0,
                "message": reading.message(refusal_of(value.get("stop_details"))),
                "logprobs": None,
                "finish_reason": finish_of(value.get("stop_reason"), called=bool(reading.calls), legacy=legacy),
            }
        ],
    }
    if usage := usage_of(value.get("usage")):
        completion["usage"] = usage
        if tier := TIERS.get(text_at(value["usage"], "service_tier")):
            completion["service_tier"] = tier
    return Answer(cast("ChatCompletion", completion))


class _Reading:
    """Collects what the blocks of one answer say."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memo = context.memo
        self._text = ""
        self._json: str | None = None
        self._thought = ""
        self._blocks: list[dict[str, Any]] = []
        self._details: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def take(self, block: Mapping[str, Any]) -> None:
        """One block of the answer; those of other kinds are the vendor's own business."""
        kind = block.get("type")
        if kind == "text":
            start = len(self._text)
            self._text += text_at(block, "text")
            self._annotations += annotations_of(block.get("citations"), start, len(self._text))
        elif kind == "tool_use":
            self._call(block)
        elif kind == "thinking":
            shown = "" if self._memo.get("hidden") else text_at(block, "thinking")
            self._thought += shown
            self._think({"type": kind, "thinking": shown, "signature": text_at(block, "signature")})
        elif kind == "redacted_thinking":
            self._think({"type": kind, "data": text_at(block, "data")})

    def _think(self, block: dict[str, Any]) -> None:
        if any(value for name, value in block.items() if name != "type"):
            self._details.append(thoughts.detail(block, len(self._details), self._context.target))
            self._blocks.append(block)

    def _call(self, block: Mapping[str, Any]) -> None:
        name, value, target = text_at(block, "name"), block.get("input"), self._context.target
        value = value if isinstance(value, dict) else {}
        if name and name == self._memo.get("json_tool"):
            if self._json is None:
                self._json = compact(value, target)
            return
        given = text_at(block, "id") or ids.minted(self._context.id, str(len(self.calls)))
        call: dict[str, Any] = {"id": self._memo.get("ids", {}).get(given, given)}
        known = self._memo.get("names", {}).get(name, name)
        if name in self._memo.get("custom", ()):
            call |= {"type": "custom", "custom": {"name": known, "input": custom_input(value, target)}}
        else:
            call |= {"type": "function", "function": {"name": known, "arguments": compact(value, target)}}
        self.calls.append(call)

    def message(self, refusal: str | None) -> dict[str, Any]:
        """The message of the answer."""
        text = self._text if self._json is None else self._json
        if self._memo.get("json_object"):
            fence = Fence()
            text = fence.feed(text) + fence.finish()
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal}
        if self.calls and self._memo.get("legacy"):
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        if self._annotations and self._json is None:
            message["annotations"] = self._annotations
        if self._thought:
            message["reasoning_content"] = message["reasoning"] = self._thought
        if self._details:
            message["reasoning_details"] = self._details
            message["thinking_blocks"] = self._blocks
        return message


# --- refusals --------------------------------------------------------------------------------


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal: `{"type": "error", "error": {"type", "message"}}`, or whatever the edge wrote."""
    message, code, kind, param = failure.extract(body)
    if status == 400 and _FULL.search(message):
        code = "context_length_exceeded"
    if param is None and (blamed := _BLAMED.match(message)):
        param = _PARAMS.get(blamed[1])
    return failure.judge(
        status, message, target, code=code, kind=kind, param=param, retry_after=failure.retry_after(headers)
    )
