"""Cohere's stream events become hub chunks.

Content items and tool calls count apart, each from 0; a tool call's delta is an object, not
a list; `event:` lines may be missing, so the type is read from the data. The first pieces
of arguments are held back for as long as they may still turn out to be the text `null`.
The stream is whole only once `message-end` was read; `[DONE]` proves nothing here.

What does not live here: what the parts mean (`response.py`), reading events (`events.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import ids
from compatgw.dialects.chunks import ChunkWriter
from compatgw.dialects.cohere.response import (
    annotations_of,
    arguments_of,
    at,
    failure_of,
    finish_of,
    item_of,
    logprobs_of,
    text_at,
    usage_of,
)
from compatgw.dialects.events import Events, broken
from compatgw.dialects.failure import judge
from compatgw.wire.sse import SSEReader

if TYPE_CHECKING:
    from compatgw.dialects.base import Context, Piece
    from compatgw.wire.chat import Delta


class _Call:
    """One tool call on its way."""

    __slots__ = ("held", "hidden", "json", "key")

    def __init__(self, key: int, *, json: bool, hidden: bool) -> None:
        self.key = key
        self.json = json  # its arguments are the answer's text
        self.hidden = hidden  # it is not for the caller
        self.held: str | None = ""  # arguments held back; None once they flow


class CohereStream(Events):
    """The decoder of one stream (see `dialects/base.py`).

    Args:
        context: Of the call; its memo comes from `request.encode`.
    """

    __slots__ = (
        "_annotations", "_called", "_calls", "_citations", "_context", "_done", "_json_seen", "_legacy", "_length",
        "_made", "_reader", "_starts", "_target", "_thought", "_writer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._target = context.target
        self._reader = SSEReader()
        self._writer = ChunkWriter(context)
        self._done = False
        self._calls: dict[int, _Call] = {}
        self._made = 0
        self._called = False
        self._legacy = bool(context.memo.get("legacy"))
        self._json_seen = False
        self._starts: dict[int, int] = {}
        self._length = 0
        self._thought = False
        self._annotations = 0
        self._citations = 0

    def _take(self) -> list[Piece]:
        return self._writer.take()

    def _event(self, kind: Any, data: dict[str, Any]) -> None:
        match kind:
            case "content-delta" | "content-start":
                self._content(data)
            case "tool-call-delta":
                self._tool_delta(data)
            case "tool-plan-delta":
                self._tool_plan(data)
            case "message-start":
                self._message_start(data)
            case "tool-call-start":
                self._tool_start(data)
            case "tool-call-end":
                self._tool_end(data)
            case "citation-start":
                self._citation(data)
            case "message-end":
                self._message_end(data)
            case _ if isinstance(data.get("message"), str):  # the flat error, in the middle of a stream
                raise judge(500, data["message"], self._target, code=text_at(data, "error_type"))
            # What has no case is skipped: newer events must not break older readers.

    def _message_start(self, data: dict[str, Any]) -> None:
        given = text_at(data, "id")
        self._writer.identify(id=f"chatcmpl-{given}" if given else None)
        self._writer.start()

    def _content(self, data: dict[str, Any]) -> None:
        content = at(data, "delta", "message", "content")
        text, thinking = text_at(content, "text"), text_at(content, "thinking")
        if isinstance(content, str):
            text = content
        if thinking:
            self._thought = True
            self._writer.reasoning(thinking)
        index = data.get("index")
        if isinstance(index, int):
            self._starts.setdefault(index, self._length)
        self._say(text, logprobs_of(data["logprobs"]) if data.get("logprobs") else [])

    def _say(self, text: str, logprobs: list[dict[str, Any]]) -> None:
        self._length += len(text)
        self._writer.text(text, logprobs={"content": logprobs, "refusal": None} if logprobs else None)

    def _tool_plan(self, data: dict[str, Any]) -> None:
        plan = text_at(data, "delta", "message", "tool_plan")
        if plan and self._thought:
            self._thought = False
            plan = f"\n{plan}"
        self._writer.reasoning(plan)

    def _tool_start(self, data: dict[str, Any]) -> None:
        call = at(data, "delta", "message", "tool_calls")
        call = call[0] if isinstance(call, list) and call else call
        index = data.get("index")
        if not isinstance(index, int) or not isinstance(call, dict):
            raise broken("a tool call begins without its index or its function", self._target)
        self._tool_end(data)  # an index that begins again is another call
        memo = self._context.memo
        name = text_at(call, "function", "name")
        json = name == memo.get("json_tool")
        hidden = (json and self._json_seen) or bool(memo.get("single_call") and self._made)
        self._json_seen = self._json_seen or json
        self._calls[index] = state = _Call(self._made, json=json, hidden=hidden)
        if not json and not hidden:
            self._called = True
            if self._legacy:
                self._writer.extend({"function_call": {"name": name, "arguments": ""}})
            else:
                given = text_at(call, "id") or ids.minted(self._context.id, str(self._made))
                self._writer.open_tool(state.key, given, name)
        self._made += 1
        self._arguments(state, text_at(call, "function", "arguments"))

    def _tool_delta(self, data: dict[str, Any]) -> None:
        index = data.get("index")
        state = self._calls.get(index) if isinstance(index, int) else None
        if state is None:
            raise broken("arguments came for a tool call that did not begin", self._target)
        call = at(data, "delta", "message", "tool_calls")
        call = call[0] if isinstance(call, list) and call else call
        self._arguments(state, text_at(call, "function", "arguments"))

    def _arguments(self, state: _Call, fragment: str) -> None:
        if state.held is not None:
            fragment = state.held + fragment
            if "null".startswith(fragment.strip()):
                state.held = fragment
                return
            state.held = None
        self._pass_on(state, fragment)

    def _pass_on(self, state: _Call, fragment: str) -> None:
        if state.hidden:
            return
        if state.json:
            self._say(fragment, [])
        elif self._legacy:
            self._writer.extend({"function_call": {"arguments": fragment}})
        else:
            self._writer.arguments(state.key, fragment)

    def _tool_end(self, data: dict[str, Any]) -> None:
        index = data.get("index")
        state = self._calls.pop(index, None) if isinstance(index, int) else None
        if state is not None and state.held is not None:
            self._pass_on(state, arguments_of(state.held))

    def _citation(self, data: dict[str, Any]) -> None:
        citations = at(data, "delta", "message", "citations")
        for citation in citations if isinstance(citations, list) else [citations]:
            if not isinstance(citation, dict):
                continue
            offset = self._starts.get(item_of(citation), 0)
            # Clients merge lists over chunks by the `index` of each entry.
            marks = [
                {"index": self._annotations + n, **mark} for n, mark in enumerate(annotations_of(citation, offset))
            ]
            delta: dict[str, Any] = {"citations": [{"index": self._citations, **citation}]}
            if marks:
                delta["annotations"] = marks
            self._annotations += len(marks)
            self._citations += 1
            self._writer.extend(cast("Delta", delta))

    def _message_end(self, data: dict[str, Any]) -> None:
        word = at(data, "delta", "finish_reason")
        code = text_at(data, "delta", "error_type")
        if failed := failure_of(word, at(data, "delta", "error"), code, self._target):
            raise failed
        for index in list(self._calls):
            self._tool_end({"index": index})
        self._writer.finish(finish_of(word, calls=self._called, legacy=self._legacy))
        if usage := usage_of(at(data, "delta", "usage")):
            self._writer.usage(usage)
        self._writer.end()
        self._done = True
