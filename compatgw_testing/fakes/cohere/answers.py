"""Cohere's v2 chat answers, plain and as stream events.

What does not live here: which requests are answered (`rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.cohere.reading import read_chat
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids

_FINISH = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR_TOXIC",
    "refusal": "ERROR_TOXIC",
}
_ID = "abcdefghijklmnopqrstuvwxyz0123456789"


class CohereChat(Chat):
    """One chat request. Thought before tool calls is the tool plan, as Cohere's own models write it."""

    def __init__(self, call: Call, ids: Ids) -> None:
        super().__init__(call, ids, read_chat(call.body))
        self._id = ids.uuid("id")
        self.model = str(call.body.get("model"))
        thinking = call.body.get("thinking") or {}
        self._thinks = "reasoning" in self.model or thinking.get("type") == "enabled"

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        return f"{name}_{self.ids.alnum(f'tool{index}', 12, _ID)}"

    def _planned(self, said: Said) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Thought, text and tool plan: before calls, prose is a plan."""
        text = said.text or said.refusal or ()
        if not said.calls:
            return said.reasoning, text, ()
        if self._thinks:
            return said.reasoning, (), text
        return (), (), (*said.reasoning, *text)

    def plain(self, said: Said) -> Json:
        """The body of a plain answer."""
        thought, text, plan = self._planned(said)
        message: Json = {"role": "assistant"}
        content: list[Json] = [{"type": "thinking", "thinking": "".join(thought)}] if thought else []
        if text or not said.calls:
            content.append({"type": "text", "text": "".join(text)})
        if plan:
            message["tool_plan"] = "".join(plan)
        if said.calls:
            message["tool_calls"] = [
                {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.text}}
                for one in said.calls
            ]
        if content:
            message["content"] = content
        answer: Json = {"id": self._id, "message": message, "finish_reason": _FINISH.get(said.finish, said.finish)}
        if self.call.body.get("logprobs") and text:
            answer["logprobs"] = [self._logprob(piece, number) for number, piece in enumerate(text)]
        return {**answer, "usage": self._usage(said)}

    def _usage(self, said: Said) -> Json:
        used = said.usage
        usage: Json = {
            "billed_units": {"input_tokens": float(used.input), "output_tokens": float(used.output)},
            "tokens": {"input_tokens": float(used.input), "output_tokens": float(used.output)},
        }
        return {**usage, "cached_tokens": float(used.cached)}

    def _logprob(self, piece: str, number: int) -> Json:
        return {"text": piece, "token_ids": [number], "logprobs": [-0.125]}

    def frames(self, said: Said) -> Iterator[Frame]:
        """The events of a stream; content and tool calls are counted apart."""
        thought, text, plan = self._planned(said)
        opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        yield _frame("message-start", {"id": self._id, "delta": {"message": opening}})
        index = 0
        for kind, pieces in (("thinking", thought), ("text", text)):
            if not pieces and (kind == "thinking" or said.calls):
                continue
            yield from self._content(kind, pieces, index)
            index += 1
        for piece in plan:
            yield _frame("tool-plan-delta", {"delta": {"message": {"tool_plan": piece}}})
        for number, one in enumerate(said.calls):
            opener = {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": ""}}
            yield _frame("tool-call-start", {"index": number, "delta": {"message": {"tool_calls": opener}}})
            for piece in fragments(one.text):
                part = {"tool_calls": {"function": {"arguments": piece}}}
                yield _frame("tool-call-delta", {"index": number, "delta": {"message": part}})
            yield _frame("tool-call-end", {"index": number})
        delta: Json = {"finish_reason": _FINISH.get(said.finish, said.finish), "usage": self._usage(said)}
        yield _frame("message-end", {"delta": delta}, end=True)
        yield Frame(b"data: [DONE]\n\n", end=True)

    def _content(self, kind: str, pieces: tuple[str, ...], index: int) -> Iterator[Frame]:
        start = {"message": {"content": {"type": kind, kind: ""}}}
        yield _frame("content-start", {"index": index, "delta": start})
        for number, piece in enumerate(pieces):
            data: Json = {"index": index, "delta": {"message": {"content": {kind: piece}}}}
            if self.call.body.get("logprobs") and kind == "text":
                data["logprobs"] = self._logprob(piece, number)
            yield _frame("content-delta", data)
        yield _frame("content-end", {"index": index})

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The end event with an error in it."""
        delta = {"finish_reason": "ERROR", "usage": {}, "error": problem.message}
        if problem.type is not None:
            delta["error_type"] = problem.type
        yield _frame("message-end", {"delta": delta}, end=True)
        yield Frame(b"data: [DONE]\n\n", end=True)

    def garbage(self) -> bytes:
        """A delta that breaks off in the middle of its JSON."""
        return b'event: content-delta\ndata: {"type":"content-delta","index":0,"del\n\n'


def _frame(name: str, data: Json, *, end: bool = False) -> Frame:
    return Frame(f"event: {name}\ndata: {dump({'type': name, **data})}\n\n".encode(), end)
