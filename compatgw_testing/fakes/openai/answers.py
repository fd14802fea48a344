"""OpenAI's chat answers, plain and streamed, in the ways of the vendor whose habit is on.

What does not live here: which requests are answered (`rules.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compatgw_testing.fakes.answer import Chat, Frame, Json, Problem, Said, fragments
from compatgw_testing.fakes.openai.habit import filled
from compatgw_testing.fakes.openai.reading import read_chat
from compatgw_testing.fakes.openai.wording import count_of
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compatgw_testing.fakes.openai.habit import Habit
    from compatgw_testing.journal import Call
    from compatgw_testing.sample import Ids
    from compatgw_testing.script import ToolCall

_FINISH = {"refusal": "stop"}


class OpenAIChat(Chat):
    """One chat request to an OpenAI-like vendor."""

    def __init__(
        self,
        call: Call,
        ids: Ids,
        habit: Habit,
        created: int,
        envelope: Callable[[Problem], object],
    ) -> None:
        body: Json = call.body
        super().__init__(call, ids, read_chat(body))
        self._habit = habit
        self._body = body
        self.model = str(body.get("model"))
        self._envelope = envelope
        self._eol = habit.newline * 2
        self._started = False
        self._count = count_of(body.get("n"), 128)
        self._alternatives = int(body.get("top_logprobs") or 0)
        options = body.get("stream_options") or {}
        self._obfuscates = habit.obfuscates and options.get("include_obfuscation") is not False
        self._wants_usage = bool(options.get("include_usage"))
        head = {
            "id": filled(habit.id_form, ids, "id", created=created),
            "created": created,
            "model": self.model,
            **habit.extra,
        }
        self._head: Json = {name: value for name, value in head.items() if name not in habit.without}

    def tool_id(self, index: int, name: str) -> str:
        """The id of the call at `index`."""
        return filled(self._habit.call_form, self.ids, f"tool{index}", name=name, index=index)

    # Plain.

    def plain(self, said: Said) -> Json:
        """The body of a completion."""
        message = self._whole(said)
        choices = [
            self._choice({"index": index, "message": message}, self._finish(said), said.text)
            for index in range(self._count)
        ]
        answer = {
            **self._head,
            "object": "chat.completion",
            "choices": choices,
            "usage": self.usage(said),
            **self._habit.plain_extra,
            **self._ids_too(),
        }
        if self._objects:
            answer.pop("usage")
        return answer

    @property
    def _objects(self) -> bool:
        """JSON is answered as an object."""
        return self._habit.json_whole and (self.request.json or self.request.schema is not None)

    def _whole(self, said: Said) -> Json:
        """A message."""
        habit = self._habit
        content = None if said.text is None else "".join(said.text)
        if said.refusal is not None and not habit.refusals:
            content = "".join(said.refusal)
        message: Json = {"role": "assistant", "content": content}
        if content is None and habit.no_content != "null":
            message = {"role": "assistant", **({"content": ""} if habit.no_content == "empty" else {})}
        if self._objects:
            message["content"] = _parsed(content)
        if habit.refusals:
            message["refusal"] = None if said.refusal is None else "".join(said.refusal)
        message.update(habit.message_extra)
        message.update(self._thought("".join(said.reasoning)))
        if habit.reasoning == "parts" and said.reasoning:
            message["content"] = [
                _thinking("".join(said.reasoning)),
                {"type": "text", "text": message["content"] or ""},
            ]
        if said.calls:
            message["tool_calls"] = [self._called(number, one) for number, one in enumerate(said.calls)]
        return message

    def _called(self, number: int, one: ToolCall) -> Json:
        kind = {} if self._habit.calls == "finish" else {"type": "function"}
        index = {"index": number} if self._habit.call_index else {}
        return {"id": one.id, **kind, "function": {"name": one.name, "arguments": one.text}, **index}

    def _ids_too(self) -> Json:
        return {"x_groq": {"id": self._groq_id()}} if self._habit.x_groq else {}

    def _groq_id(self) -> str:
        return f"req_{self.ids.alnum('groq', 26).lower()}"

    def _finish(self, said: Said) -> str:
        return _FINISH.get(said.finish, said.finish)

    def _choice(self, base: Json, finish: str | None, pieces: tuple[str, ...] | None) -> Json:
        habit = self._habit
        logprobs = self._logprobs(pieces) if self._body.get("logprobs") and pieces is not None else None
        if logprobs is None and habit.logprobs == "inside":
            logprobs = {"content": None, "refusal": None}
        unsaid = habit.logprobs == "none" or (habit.logprobs == "plain" and "delta" in base)
        choice = {**base, **({} if unsaid else {"logprobs": logprobs})}
        if "message" in base or habit.finish == "null" or (habit.finish == "absent" and finish is not None):
            choice["finish_reason"] = finish
        choice.update(habit.choice_extra)
        if habit.usage == "own_choice":
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
        habit, used = self._habit, said.usage
        output = used.output if written is None else written
        thought = min(used.reasoning, output)
        usage: Json = {
            "prompt_tokens": used.input,
            "completion_tokens": output - thought if habit.thought_apart else output,
            "total_tokens": used.input + output,
        }
        details, everything = habit.usage_details, habit.usage_details == "all"
        if details in ("all", "both", "cached"):
            cached: Json = {"cached_tokens": used.cached, **habit.usage_read}
            if everything:
                cached |= {"audio_tokens": 0} | ({"cache_write_tokens": used.cache_write} if used.cache_write else {})
            usage["prompt_tokens_details"] = cached
        if details in ("all", "both", "reasoning"):
            parts: Json = {"reasoning_tokens": thought, **habit.usage_written}
            if everything:
                parts |= {"audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
            usage["completion_tokens_details"] = parts
        usage.update(habit.usage_extra)
        usage.update(dict.fromkeys(habit.usage_cached, used.cached))
        usage.update(dict.fromkeys(habit.usage_stored, used.cache_write))
        if habit.cache_split:
            usage["prompt_cache_hit_tokens"] = used.cached
            usage["prompt_cache_miss_tokens"] = used.input - used.cached
        return usage

    def _thought(self, text: str, index: int = 0) -> Json:
        """The members that carry `text` as thought."""
        where = self._habit.reasoning
        if not text or where in (None, "parts"):
            return {}
        thought: Json = {} if self._habit.details_only else {str(where): text}
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
            self._started = False
            yield from self._content(said, index)
            yield from self._calls(said, index)
        for index in range(self._count):
            if not (habit.calls == "finish" and said.calls):
                yield self._last(said, index)
        if self._wants_usage and habit.usage in ("own", "own_choice"):
            choices = [] if habit.usage == "own" else [self._choice(self._delta(0, {"content": ""}), None, None)]
            yield self._frame({**self._chunk(choices), "usage": self.usage(said)}, end=True)
        if habit.done:
            yield Frame(f"data: [DONE]{self._eol}".encode(), end=True)

    def _content(self, said: Said, index: int) -> Iterator[Frame]:
        """Role, thought, refusal and text of one choice."""
        habit = self._habit
        hidden = {"content": None} if habit.reasoning == "reasoning_content" and habit.role == "first" else {}
        if habit.role == "first":
            empty = {"content": None} if said.text is None and said.calls else {"content": ""}
            opener: Json = {**empty, **({"refusal": None} if habit.refusals else {})}
            if hidden:
                opener = {"content": None, "reasoning_content": ""}
            yield self._one(index, opener, said)
        for number, piece in enumerate(said.reasoning):
            thought = self._thought(piece)
            if habit.reasoning == "parts":
                thought = {"content": [_thinking(piece)]}
            if thought:
                yield self._one(index, {**hidden, **thought}, said, written=number + 1)
        for piece in said.refusal or ():
            yield self._one(index, {"refusal" if habit.refusals else "content": piece}, said)
        beside = {str(habit.reasoning): None} if habit.reasoning_null and said.reasoning else {}
        for number, piece in enumerate(said.text or ()):
            so_far = "".join((said.text or ())[: number + 1])
            delta = {"content": piece, **beside}
            yield self._one(index, delta, said, piece=piece, so_far=so_far, written=number + 1)

    def _calls(self, said: Said, index: int) -> Iterator[Frame]:
        if self._habit.calls == "finish" and said.calls:
            whole = [{"id": one.id, "function": {"name": one.name, "arguments": one.text}} for one in said.calls]
            choice = self._choice(self._delta(index, {"tool_calls": whole}), self._finish(said), None)
            yield self._frame({**self._chunk([choice]), "usage": self.usage(said)}, end=True)
            return
        for number, one in enumerate(said.calls):
            all_at_once = self._habit.calls == "whole"
            function = {"name": one.name, "arguments": one.text if all_at_once else ""}
            place = {"index": number} if self._habit.chunk_index else {}
            opener = {**place, "id": one.id, "type": "function", "function": function}
            yield self._one(index, {"tool_calls": [opener]}, said)
            for piece in () if all_at_once else fragments(one.text):
                yield self._one(index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}, said)

    def _last(self, said: Said, index: int) -> Frame:
        """The finish chunk of one choice."""
        habit = self._habit
        delta: Json = {}
        if habit.reasoning == "reasoning_content" and habit.role == "first":
            delta = {"content": "", "reasoning_content": None}
        choice = self._choice(self._delta(index, delta), self._finish(said), None)
        if habit.whole_message:
            choice["message"] = {"role": "assistant", "content": "".join(said.text or ())}
        chunk = self._chunk([choice])
        if habit.usage in ("finish", "every", "every_null"):
            chunk["usage"] = self.usage(said)
        if habit.x_groq:
            chunk["x_groq"] = {"id": self._groq_id(), "usage": self.usage(said)}
            if not self._wants_usage:
                chunk.pop("usage", None)
        if habit.whole_message:
            chunk["object"] = "chat.completion.done"
        return self._frame(chunk, end=True)

    def _delta(self, index: int, delta: Json) -> Json:
        role = self._habit.role == "every" or (self._habit.role != "never" and not self._started)
        self._started = True
        extra = {name: value for name, value in self._habit.delta_extra.items() if name not in delta}
        shown = {**({"role": "assistant"} if role else {}), **delta, **extra}
        return {"index": index, "delta": shown}

    def _one(
        self,
        index: int,
        delta: Json,
        said: Said,
        *,
        piece: str | None = None,
        so_far: str = "",
        written: int = 0,
    ) -> Frame:
        """A chunk with one delta."""
        first = not self._started
        choice = self._choice(self._delta(index, delta), None, None if piece is None else (piece,))
        if self._habit.whole_message:
            choice["message"] = {"role": "assistant", "content": so_far}
        chunk = self._chunk([choice])
        if self._habit.usage == "every":
            chunk["usage"] = self.usage(said, written)
        if self._habit.usage == "every_null":
            chunk["usage"] = {**self.usage(said), "completion_tokens": None, "total_tokens": None}
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
        body, form = self._envelope(problem), self._habit.stream_errors
        if form == "chunk" and isinstance(body, dict):
            yield self._frame({**self._chunk([self._choice(self._delta(0, {"content": ""}), "error", None)]), **body})
            yield Frame(f"data: [DONE]{self._eol}".encode(), end=True)
            return
        name = f"event: error{self._habit.newline}" if form == "event" else ""
        yield Frame(f"{name}data: {dump(body)}{self._eol}".encode(), end=True)

    def garbage(self) -> bytes:
        """A chunk that breaks off in the middle of its JSON."""
        return f'data: {{"id":"{self._head["id"]}","choices":[{{"del{self._eol}'.encode()


def _parsed(text: str | None) -> object:
    """What JSON says; a text that is none stays as it is."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return text


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
