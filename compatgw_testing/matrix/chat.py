"""The client surface of OpenAI's chat completions: writes requests, reads answers, notes what breaks its protocol.

What does not live here: sending (`case.py`), what is expected (`expect.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.matrix.asked import SeenCall
from compatgw_testing.matrix.reading import (
    Json,
    answered,
    check_call,
    check_texts,
    error,
    events,
    expect_type,
    parsed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw_testing.matrix.asked import Asked, Entry, Mode, Seen

FINISHES = ("stop", "length", "tool_calls", "content_filter", "function_call")
_DETAILS = {
    "cached": ("prompt_tokens_details", "cached_tokens"),
    "cache_write": ("prompt_tokens_details", "cache_write_tokens"),
    "reasoning": ("completion_tokens_details", "reasoning_tokens"),
}


class Chat:
    """`POST /chat/completions`."""

    path = "/chat/completions"
    cannot = frozenset({"kept", "pictured_result"})

    def headers(self, key: str) -> dict[str, str]:
        """What a client sends beside its body."""
        return {"authorization": f"Bearer {key}"}

    # Requests.

    def write(self, asked: Asked, model: str, mode: Mode, more: Sequence[Json] = (), after: str = "") -> Json:
        """The body of the request; `more` follows the conversation, which the server never keeps."""
        body: Json = {"model": model, "messages": [*(_message(one) for one in asked.entries), *more]}
        if mode == "stream":
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if asked.tools:
            body["tools"] = [_tool(one.name, one.parameters) for one in asked.tools]
        if asked.choice in ("auto", "none", "required"):
            body["tool_choice"] = asked.choice
        elif asked.choice is not None:
            body["tool_choice"] = {"type": "function", "function": {"name": asked.choice}}
        if asked.schema is not None:
            schema = {"name": "answer", "strict": True, "schema": dict(asked.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif asked.json:
            body["response_format"] = {"type": "json_object"}
        if asked.effort is not None:
            body["reasoning_effort"] = asked.effort
        if asked.limit is not None:
            body["max_tokens"] = asked.limit
        if asked.temperature is not None:
            body["temperature"] = asked.temperature
        if asked.stop:
            body["stop"] = list(asked.stop)
        return body

    def answered(self, asked: Asked, seen: Seen, results: Sequence[str], user: str) -> list[Json]:
        """The message that was seen, a tool message for each of its calls, and what the user says next."""
        called = zip(seen.calls, results, strict=False)
        tools = [{"role": "tool", "tool_call_id": one.id, "content": text} for one, text in called]
        return [*seen.kept, *tools, *([{"role": "user", "content": user}] if user else [])]

    # Answers.

    def read(self, seen: Seen, mode: Mode) -> Seen:
        """Fills in `seen` from its status, headers and raw body."""
        return answered(seen, mode, self._plain, lambda: _Stream(seen).read())

    @staticmethod
    def _plain(value: Json, seen: Seen) -> None:
        _head(value, "chat.completion", seen)
        choices = value.get("choices")
        if not isinstance(choices, list) or len(choices) != 1:
            seen.problems.append(f"choices is {choices!r}")
            return
        message = choices[0].get("message") or {}
        if message.get("role") != "assistant":
            seen.problems.append(f"the role is {message.get('role')!r}")
        seen.text, seen.refusal = message.get("content"), message.get("refusal")
        seen.reasoning = _thought(message)
        for call in message.get("tool_calls") or ():
            _whole_call(call, seen)
        # Most clients send back the very message that they got.
        seen.kept = [message]
        _finish(choices[0].get("finish_reason"), seen)
        _usage(value.get("usage"), seen)
        seen.ended = "whole"


class _Stream:
    """Reads one stream."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.heads: dict[str, Any] = {}
        self.calls: dict[object, SeenCall] = {}
        self.done = False
        self.roles = 0
        self.deltas = 0
        self.usages = 0

    def read(self) -> None:
        """All of it."""
        seen = self.seen
        expect_type(seen, "text/event-stream")
        for event in events(seen):
            self._event(event.data)
        seen.calls = list(self.calls.values())
        if list(self.calls) != list(range(len(self.calls))):
            seen.problems.append(f"the indices of tool calls are {list(self.calls)}")
        for call in seen.calls:
            check_call(call, seen)
        self._end()
        # Of a stream most clients keep words and calls, and no more.
        calls = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
            for one in seen.calls
        ]
        seen.kept = [{"role": "assistant", "content": seen.text, **({"tool_calls": calls} if calls else {})}]

    def _end(self) -> None:
        seen = self.seen
        if seen.error is not None:
            seen.ended = "error"
            if self.done:
                seen.problems.append("[DONE] came after an error")
        elif self.done:
            seen.ended = "whole"
            if seen.finish is None:
                seen.problems.append("[DONE] came without a finish reason")
            if self.roles != 1:
                seen.problems.append(f"a role came {self.roles} times")
            if self.usages != 1:
                seen.problems.append(f"usage came {self.usages} times")

    def _event(self, data: str) -> None:
        seen = self.seen
        if self.done:
            seen.problems.append(f"after [DONE] came {data[:100]!r}")
            return
        if data == "[DONE]":
            self.done = True
            return
        chunk = parsed(data)
        if not isinstance(chunk, dict):
            seen.problems.append(f"an event is no JSON object: {data[:100]!r}")
            return
        if chunk.get("error"):
            seen.error = error(chunk["error"], seen)
            return
        _head(chunk, "chat.completion.chunk", seen)
        for name in ("id", "model", "created"):
            if self.heads.setdefault(name, chunk.get(name)) != chunk.get(name):
                seen.problems.append(f"{name} changes from {self.heads[name]!r} to {chunk.get(name)!r}")
        if chunk.get("usage"):
            self.usages += 1
            if chunk.get("choices") != []:
                seen.problems.append("the chunk with usage has choices")
            _usage(chunk["usage"], seen)
        for choice in chunk.get("choices") or ():
            self._choice(choice)

    def _choice(self, choice: Json) -> None:
        seen, delta = self.seen, choice.get("delta") or {}
        if choice.get("index") != 0:
            seen.problems.append(f"a choice has the index {choice.get('index')!r}")
        if delta.get("role"):
            self.roles += 1
            if self.deltas:
                seen.problems.append("the role does not come first")
        self.deltas += 1
        said = False
        for name in ("content", "refusal"):
            if (piece := delta.get(name)) is not None:
                held = "text" if name == "content" else name
                setattr(seen, held, (getattr(seen, held) or "") + piece)
                said = said or bool(piece)
        if (thought := _thought(delta)) is not None:
            seen.reasoning = (seen.reasoning or "") + thought
            said = said or bool(thought)
        for fragment in delta.get("tool_calls") or ():
            said = True
            self._fragment(fragment)
        if said and seen.finish is not None:
            seen.problems.append(f"after the finish reason came {delta!r}")
        if choice.get("finish_reason") is not None:
            if seen.finish is not None:
                seen.problems.append("a finish reason came twice")
            _finish(choice["finish_reason"], seen)

    def _fragment(self, fragment: Json) -> None:
        index, function = fragment.get("index"), fragment.get("function") or {}
        call = self.calls.get(index)
        if call is None:
            call = self.calls[index] = SeenCall(id=fragment.get("id") or "", name=function.get("name") or "")
            if not call.id or not call.name:
                self.seen.problems.append(f"the first fragment of a tool call is {fragment!r}")
        elif fragment.get("id") not in (None, "", call.id):
            self.seen.problems.append(f"the tool call {call.id} changes its id to {fragment['id']!r}")
        elif function.get("name"):
            self.seen.problems.append(f"the name of tool call {call.id} comes again")
        call.arguments += function.get("arguments") or ""


def _message(entry: Entry) -> Json:
    message: Json = {"role": entry.role}
    if entry.answers is not None:
        return {**message, "tool_call_id": entry.answers, "content": entry.text}
    parts = [{"type": "text", "text": piece} for piece in entry.pieces or ((entry.text,) if entry.text else ())]
    media: list[Json] = []
    if entry.image is not None:
        media.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{entry.image}"}})
    if entry.document is not None:
        data = f"data:application/pdf;base64,{entry.document}"
        media.append({"type": "file", "file": {"filename": "report.pdf", "file_data": data}})
    message["content"] = [*parts, *media] if media or entry.pieces else entry.text or None
    if entry.calls:
        message["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.text}}
            for one in entry.calls
        ]
    return message


def _tool(name: str, parameters: object) -> Json:
    function: Json = {"name": name, "description": f"The tool {name}."}
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": function}


def _head(value: Json, kind: str, seen: Seen) -> None:
    if value.get("object") != kind:
        seen.problems.append(f"object is {value.get('object')!r}, not {kind!r}")
    check_texts(value, ("id", "model"), seen)
    if not isinstance(value.get("created"), int):
        seen.problems.append(f"created is {value.get('created')!r}")


def _thought(message: Json) -> str | None:
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str):
            return str(message[name])
    return None


def _whole_call(given: Json, seen: Seen) -> None:
    function = given.get("function") or {}
    if given.get("type") != "function":
        seen.problems.append(f"a tool call says type {given.get('type')!r}")
    call = SeenCall(id=given.get("id") or "", name=function.get("name") or "", arguments=str(function.get("arguments")))
    seen.calls.append(call)
    check_call(call, seen)


def _finish(reason: object, seen: Seen) -> None:
    if reason not in FINISHES:
        seen.problems.append(f"finish_reason is {reason!r}")
    seen.finish = str(reason)


def _usage(given: object, seen: Seen) -> None:
    if not isinstance(given, dict):
        return
    named = [given.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    counts = [one for one in named if isinstance(one, int)]
    if len(counts) != len(named) or counts[0] + counts[1] != counts[2]:
        seen.problems.append(f"usage does not add up: {given!r}")
        return
    seen.usage = {"input": counts[0], "output": counts[1]}
    for name, (part, member) in _DETAILS.items():
        value = (given.get(part) or {}).get(member)
        if isinstance(value, int):
            seen.usage[name] = value
