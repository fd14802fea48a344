"""OpenAI's chat answers, plain and streamed, in the ways of the vendor whose habit is on.

What does not live here: which requests are answered (`rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.openai.reading import read_chat
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compatgw_testing.fakes.openai.habits import Habit
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids

_FINISH = {"refusal": "stop"}


class OpenAIChat(Chat):
    """One chat request to an OpenAI-like vendor."""

    def __init__(
        self,
        call: Call,
        ids: Ids,
        habit: Habit,
        created: int,
        envelope: Callable[[Problem], Json],
    ) -> None:
        body: Json = call.body
        super().__init__(call, ids, read_chat(body))
        self._habit = habit
        self._body = body
        self.model = str(body.get("model"))
        self._envelope = envelope
        self._eol = habit.newline * 2
        self._count = int(body.get("n") or 1)
        self._alternatives = int(body.get("top_logprobs") or 0)
        options = body.get("stream_options") or {}
        self._obfuscates = habit.obfuscates and options.get("include_obfuscation") is not False
        self._wants_usage = bool(options.get("include_usage"))
        self._head: Json = {
            "id": {
                "chatcmpl": lambda: f"chatcmpl-{ids.alnum('id', 29)}",
                "gen": lambda: f"gen-{created}-{ids.alnum('id', 20)}",
                "hex": lambda: ids.hex("id", 32),
                "uuid": lambda: ids.uuid("id"),
            }[habit.id_form](),
            "created": created,
            "model": self.model,
            **habit.extra,
        }

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        if self._habit.tool_id:
            return self.ids.alnum(f"tool{index}", 9)
        return f"call_{self.ids.alnum(f'tool{index}', 24)}"

    # Plain.

    def plain(self, said: Said) -> Json:
        """The body of a completion."""
        message: Json = {"role": "assistant", "content": None if said.text is None else "".join(said.text)}
        if self._habit.refusals:
            message["refusal"] = None if said.refusal is None else "".join(said.refusal)
        elif said.refusal is not None:
            message["content"] = "".join(said.refusal)
        if self._habit.models_rules:
            message["annotations"] = []
        message.update(self._thought("".join(said.reasoning)))
        if self._habit.reasoning == "parts" and said.reasoning:
            message["content"] = [
                _thinking("".join(said.reasoning)),
                {"type": "text", "text": message["content"] or ""},
            ]
        if said.calls:
            kind = {} if self._habit.whole_calls else {"type": "function"}
            message["tool_calls"] = [
                {"id": one.id, **kind, "function": {"name": one.name, "arguments": one.text}} for one in said.calls
            ]
        choices = [
            self._choice({"index": index, "message": message}, self._finish(said), said.text)
            for index in range(self._count)
        ]
        return {
            **self._head,
            "object": "chat.completion",
            "choices": choices,
            "usage": self.usage(said),
            **self._habit.plain_extra,
            **self._ids_too(),
        }

    def _ids_too(self) -> Json:
        return {"x_groq": {"id": self._groq_id()}} if self._habit.x_groq else {}

    def _groq_id(self) -> str:
        return f"req_{self.ids.alnum('groq', 26).lower()}"

    def _finish(self, said: Said) -> str:
        return _FINISH.get(said.finish, said.finish)

    def _choice(self, base: Json, finish: str | None, pieces: tuple[str, ...] | None) -> Json:
        logprobs = self._logprobs(pieces) if self._body.get("logprobs") and pieces is not None else None
        shown = {"logprobs": logprobs} if self._habit.logprobs else {}
        choice = {**base, **shown, "finish_reason": finish, **self._habit.choice_extra}
        if self._habit.usage == "own_choice":
            choice["native_finish_reason"] = finish
        return choice

    def _logprobs(self, pieces: tuple[str, ...]) -> Json:
        tokens = []
        for piece in pieces:
            one = {"token": piece, "logprob": -0.125, "bytes": list(piece.encode())}
            tokens.append({**one, "top_logprobs": [one] * min(1, self._alternatives)})
        return {"content": tokens, "refusal": None}

    def usage(self, said: Said, written: int | None = None) -> Json:
        """Usage as the vendor states it; `written` replaces the output so far."""
        used = said.usage
        output = used.output if written is None else written
        usage: Json = {
            "prompt_tokens": used.input,
            "completion_tokens": output,
            "total_tokens": used.input + output,
        }
        details, everything = self._habit.usage_details, self._habit.usage_details == "all"
        if details != "none":
            cached: Json = {"cached_tokens": used.cached}
            if everything:
                cached |= {"audio_tokens": 0} | ({"cache_write_tokens": used.cache_write} if used.cache_write else {})
            usage["prompt_tokens_details"] = cached
        if details in ("all", "both"):
            thought: Json = {"reasoning_tokens": min(used.reasoning, output)}
            if everything:
                thought |= {"audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
            usage["completion_tokens_details"] = thought
        usage.update(self._habit.usage_extra)
        if self._habit.cache_split:
            usage["prompt_cache_hit_tokens"] = used.cached
            usage["prompt_cache_miss_tokens"] = used.input - used.cached
        return usage

    def _thought(self, text: str, index: int = 0) -> Json:
        """The members that carry `text` as thought."""
        where = self._habit.reasoning
        if not text or where in (None, "parts"):
            return {}
        thought: Json = {str(where): text}
        if self._habit.reasoning_details:
            thought["reasoning_details"] = [
                {"type": "reasoning.text", "text": text, "format": "unknown", "index": index}
            ]
        return thought

    # Streamed.

    def frames(self, said: Said) -> Iterator[Frame]:
        """The chunks of a stream, framed."""
        habit = self._habit
        if habit.opening:
            yield Frame(habit.opening)
        if habit.first_chunk is not None:
            yield self._frame(dict(habit.first_chunk))
        for index in range(self._count):
            yield from self._content(said, index)
        for index in range(self._count):
            yield from self._calls(said, index)
            if not (habit.whole_calls and said.calls):
                yield self._last(said, index)
        if self._wants_usage and habit.usage in ("own", "own_choice"):
            choices = [] if habit.usage == "own" else [self._choice(self._delta(0, {"content": ""}), None, None)]
            yield self._frame({**self._chunk(choices), "usage": self.usage(said)}, end=True)
        if habit.done:
            yield Frame(f"data: [DONE]{self._eol}".encode(), end=True)

    def _content(self, said: Said, index: int) -> Iterator[Frame]:
        """Role, thought, refusal and text of one choice."""
        started = False
        if self._habit.role == "first":
            empty = {"content": None} if said.text is None and said.calls else {"content": ""}
            opener: Json = {"role": "assistant", **empty, **({"refusal": None} if self._habit.refusals else {})}
            if self._habit.reasoning == "reasoning_content":
                opener = {"role": "assistant", "content": None, "reasoning_content": ""}
            yield self._one(index, opener, said, first=not started)
            started = True
        for number, piece in enumerate(said.reasoning):
            thought = self._thought(piece)
            if self._habit.reasoning == "parts":
                thought = {"content": [_thinking(piece)]}
            if thought:
                hidden = {"content": None} if self._habit.reasoning == "reasoning_content" else {}
                yield self._one(index, {**hidden, **thought}, said, written=number + 1)
        for piece in said.refusal or ():
            yield self._one(index, {"refusal" if self._habit.refusals else "content": piece}, said)
        for number, piece in enumerate(said.text or ()):
            so_far = "".join((said.text or ())[: number + 1])
            yield self._one(index, {"content": piece}, said, piece=piece, so_far=so_far, written=number + 1)

    def _calls(self, said: Said, index: int) -> Iterator[Frame]:
        if self._habit.whole_calls and said.calls:
            whole = [{"id": one.id, "function": {"name": one.name, "arguments": one.text}} for one in said.calls]
            choice = self._choice(self._delta(index, {"tool_calls": whole}), self._finish(said), None)
            yield self._frame({**self._chunk([choice]), "usage": self.usage(said)}, end=True)
            return
        for number, one in enumerate(said.calls):
            function = {"name": one.name, "arguments": ""}
            opener = {"index": number, "id": one.id, "type": "function", "function": function}
            yield self._one(index, {"tool_calls": [opener]}, said)
            for piece in fragments(one.text):
                yield self._one(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}, said)

    def _last(self, said: Said, index: int) -> Frame:
        """The finish chunk of one choice."""
        habit = self._habit
        delta: Json = {"content": "", "reasoning_content": None} if habit.reasoning == "reasoning_content" else {}
        choice = self._choice(self._delta(index, delta), self._finish(said), None)
        if habit.whole_message:
            choice["message"] = {"role": "assistant", "content": "".join(said.text or ())}
        chunk = self._chunk([choice])
        if habit.usage in ("finish", "every"):
            chunk["usage"] = self.usage(said)
        if habit.x_groq:
            chunk["x_groq"] = {"id": self._groq_id(), "usage": self.usage(said)}
            if not self._wants_usage:
                chunk.pop("usage", None)
        if habit.whole_message:
            chunk["object"] = "chat.completion.done"
        return self._frame(chunk, end=True)

    def _delta(self, index: int, delta: Json) -> Json:
        role = {"role": "assistant"} if self._habit.role == "every" else {}
        return {"index": index, "delta": {**role, **delta}}

    def _one(
        self,
        index: int,
        delta: Json,
        said: Said,
        *,
        piece: str | None = None,
        so_far: str = "",
        written: int = 0,
        first: bool = False,
    ) -> Frame:
        """A chunk with one delta."""
        choice = self._choice(self._delta(index, delta), None, None if piece is None else (piece,))
        if self._habit.whole_message:
            choice["message"] = {"role": "assistant", "content": so_far}
        chunk = self._chunk([choice])
        if self._habit.usage == "every":
            chunk["usage"] = self.usage(said, written)
        if self._habit.x_groq and first:
            chunk["x_groq"] = {"id": self._groq_id()}
        return self._frame(chunk)

    def _chunk(self, choices: list[Json]) -> Json:
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": choices}
        nulls = self._habit.usage_null
        if nulls == "always" or (nulls == "asked" and self._wants_usage):
            chunk["usage"] = None
        return chunk

    def _frame(self, chunk: Json, *, end: bool = False) -> Frame:
        if self._obfuscates:
            text = dump(chunk["choices"])
            chunk["obfuscation"] = self.ids.alnum(f"padding{text}", 1 + len(text) % 16)
        return Frame(f"data: {dump(chunk)}{self._eol}".encode(), end)

    def error_frames(self, problem: Problem) -> Iterator[Frame]:
        """The error event, after which the vendor closes."""
        yield Frame(f"data: {dump(self._envelope(problem))}{self._eol}".encode(), end=True)

    def garbage(self) -> bytes:
        """A chunk that breaks off in the middle of its JSON."""
        return f'data: {{"id":"{self._head["id"]}","choices":[{{"del{self._eol}'.encode()


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
