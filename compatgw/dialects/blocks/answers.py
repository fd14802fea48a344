"""Whole answers of blocks, collected; and what reading them shares with reading streams.

Nothing is trusted to have its documented type: a wrong shape is an `UpstreamFailure`, never another exception.

What does not live here: which block is what (the dialects' `response.py`), the order of stream events (`stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import ids
from compatgw.dialects.base import Answer
from compatgw.dialects.blocks import thoughts
from compatgw.dialects.events import broken
from compatgw.dialects.fence import Fence

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import ChatCompletion, FinishReason, Usage


def text_at(value: Any, name: str) -> str:
    """The text at `name`, "" when there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def text_under(value: Any, *names: str) -> str:
    """The text at a path of members, "" when there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def load(body: bytes, target: Target) -> Any:
    """The JSON that an answer is.

    Raises:
        UpstreamFailure: It is none.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise broken("it is not JSON", target) from None


def compact(value: Any, target: Target) -> str:
    """`value` as JSON without spaces.

    Raises:
        UpstreamFailure: It nests deeper than can be written.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise broken("a tool's input nests too deep", target) from None


def custom_input(value: Any, target: Target) -> str:
    """What a custom tool was called with: the one argument of the function that stands for it."""
    given = value.get("input") if isinstance(value, dict) and len(value) == 1 else None
    return given if isinstance(given, str) else compact(value, target)


def finish_of(reason: FinishReason, *, called: bool, legacy: bool) -> FinishReason:
    """The finish reason; whether there are calls decides over a word that says otherwise."""
    if reason not in ("stop", "tool_calls"):
        return reason
    if not called:
        return "stop"
    return "function_call" if legacy else "tool_calls"


def count(value: Any) -> int:
    """A number of tokens, 0 for what is none."""
    # A number beyond what JSON carries exactly is nonsense, and could not be written again.
    return int(min(max(value, 0), 2**53)) if isinstance(value, int | float) else 0


def totals(fresh: Any, read: Any, written: Any, completion: Any) -> Usage:
    """Totals: the vendor counts what came from and went to its cache apart, OpenAI counts it in.

    Args:
        fresh: Tokens of the prompt that the cache had no part in.
        read, written: Those that came from the cache, and went to it.
        completion: Of the answer.
    """
    cached, stored, answer = count(read), count(written), count(completion)
    prompt = count(fresh) + cached + stored
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": stored},
    }


def annotation(url: str, title: str, start: int, end: int) -> list[dict[str, Any]]:
    """A citation of the text between two places as OpenAI's annotation; none for one without an address."""
    if not url.startswith(("https://", "http://")):
        return []
    place = {"start_index": start, "end_index": end, "title": title or url, "url": url}
    return [{"type": "url_citation", "url_citation": place}]


class Reading:
    """Collects what the blocks of one answer say.

    Args:
        context: Of the call; its memo comes from the encoding of the request.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._memo = context.memo
        self._json: str | None = None
        self._thought = ""
        self._blocks: list[dict[str, Any]] = []
        self._details: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        self.text = ""
        self.annotations: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []

    def thought(self, text: str, signature: str) -> None:
        """A thinking block; one of which nothing is left to show or send back is none."""
        shown = "" if self._memo.get("hidden") else text
        self._thought += shown
        if shown or signature:
            self._keep({"type": "thinking", "thinking": shown, "signature": signature})

    def sealed(self, data: str) -> None:
        """A thinking block that only its vendor can read."""
        if data:
            self._keep({"type": "redacted_thinking", "data": data})

    def _keep(self, block: dict[str, Any]) -> None:
        self._details.append(thoughts.detail(block, len(self._details), self._context.target))
        self._blocks.append(block)

    def call(self, id: str, name: str, given: Any) -> None:
        """A call of a tool.

        Args:
            id: The upstream's, "" when it gives none.
            name: As it was sent.
            given: Its input.
        """
        target = self._context.target
        value = given if isinstance(given, dict) else {}
        if name and name == self._memo.get("json_tool"):
            self._json = compact(value, target) if self._json is None else self._json
            return
        if self._calls and self._memo.get("single_call"):
            return
        id = id or ids.minted(self._context.id, str(len(self._calls)))
        kind = "custom" if name in self._memo.get("custom", ()) else "function"
        written = custom_input(value, target) if kind == "custom" else compact(value, target)
        shown = self._memo.get("names", {}).get(name, name)
        inner = {"name": shown, "input" if kind == "custom" else "arguments": written}
        self._calls.append({"id": self._memo.get("ids", {}).get(id, id), "type": kind, kind: inner})

    def answer(
        self, reason: FinishReason, usage: Usage | None, tier: str | None, *, refusal: str | None = None,
        id: str | None = None, model: str = "",
    ) -> Answer:  # fmt: skip
        """The completion that the answer is.

        Args:
            reason: Why it ended, as the upstream says it.
            usage: What it came to.
            tier: The tier that served it, as OpenAI names it.
            refusal: What is said of a refusal.
            id, model: The upstream's own, where it gives any.
        """
        context = self._context
        finish = finish_of(reason, called=bool(self._calls), legacy=bool(self._memo.get("legacy")))
        completion: dict[str, Any] = {
            "id": id or context.id,
            "object": "chat.completion",
            "created": context.created,
            "model": model or context.target.model,
            "choices": [{"index": 0, "message": self._message(refusal), "logprobs": None, "finish_reason": finish}],
        }
        if usage:
            completion["usage"] = usage
        if tier:
            completion["service_tier"] = tier
        return Answer(cast("ChatCompletion", completion))

    def _message(self, refusal: str | None) -> dict[str, Any]:
        text = self.text if self._json is None else self._json
        if self._memo.get("json_object"):
            fence = Fence()
            text = fence.feed(text) + fence.finish()
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": refusal}
        if self._calls and self._memo.get("legacy"):
            message["function_call"] = self._calls[0]["function"]
        elif self._calls:
            message["tool_calls"] = self._calls
        if self.annotations and self._json is None:
            message["annotations"] = self.annotations
        if self.images:
            message["images"] = self.images
        if self._thought:
            message["reasoning_content"] = message["reasoning"] = self._thought
        if self._details:
            message["reasoning_details"] = self._details
            message["thinking_blocks"] = self._blocks
        return message
