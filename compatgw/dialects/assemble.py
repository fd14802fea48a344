"""Chunks become a completion, and a completion becomes chunks.

For caches, for several choices fetched by several calls, for an upstream that answers a
stream with plain JSON, and for tests: a stream put together must equal the plain answer.

What does not live here: any protocol; chunks are taken as they leave a decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects.base import Piece
from compatgw.errors import StreamInterrupted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compatgw.wire.chat import ChatChunk, ChatCompletion

_OF_A_CHUNK = frozenset({"id", "object", "created", "model", "choices", "usage"})
_OF_A_CHOICE = frozenset({"index", "delta", "message", "logprobs", "finish_reason"})
# Members whose pieces are joined as text. All other strings are said once.
_JOINED = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_DETAIL_TEXT = frozenset({"text", "summary", "data", "signature"})
_AUDIO_TEXT = frozenset({"data", "transcript"})
# Where these lists stand in an answer, an index would be a member that no answer has.
_UNNUMBERED = frozenset({"annotations", "tool_calls"})


class Assembler:
    """Puts one streamed answer together as it passes by."""

    __slots__ = ("_choices", "_head", "_rest", "_usage")

    def __init__(self) -> None:
        self._head: dict[str, Any] | None = None
        self._rest: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: Any = None

    def add(self, chunk: ChatChunk) -> None:
        """Takes the next chunk; it is not changed, and nothing of it is kept by reference to be changed later."""
        members = cast("Mapping[str, Any]", chunk)
        if self._head is None:
            self._head = {name: members[name] for name in ("id", "created", "model")}
        if members.get("usage"):
            self._usage = members["usage"]
        for name, value in members.items():
            if name not in _OF_A_CHUNK and (value is not None or name not in self._rest):
                self._rest[name] = value
        for choice in members["choices"]:
            index = choice["index"]
            if index not in self._choices:
                self._choices[index] = _Choice()
            self._choices[index].add(choice)

    def result(self) -> ChatCompletion:
        """The whole answer.

        Raises:
            StreamInterrupted: A choice has no finish reason, or there is none at all.
        """
        if self._head is None or not self._choices or any(c.finish is None for c in self._choices.values()):
            raise StreamInterrupted("The stream ended before the answer was complete. Send the request again.")
        choices = [self._choices[index].result(index) for index in sorted(self._choices)]
        out: dict[str, Any] = {
            "id": self._head["id"],
            "object": "chat.completion",
            "created": self._head["created"],
            "model": self._head["model"],
            "choices": choices,
        }
        if self._usage is not None:
            out["usage"] = self._usage
        rest = {name: value for name, value in self._rest.items() if name != "obfuscation"}
        return cast("ChatCompletion", {**out, **rest})


def completion(chunks: Iterable[ChatChunk]) -> ChatCompletion:
    """The answer that these chunks are.

    Raises:
        StreamInterrupted: As `Assembler.result`.
    """
    assembler = Assembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.result()


class _Choice:
    __slots__ = ("_calls", "_function", "_logprobs", "_message", "_rest", "finish")

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._function: dict[str, Any] | None = None
        self._logprobs: dict[str, Any] | None = None
        self._rest: dict[str, Any] = {}
        self.finish: str | None = None

    def add(self, choice: Mapping[str, Any]) -> None:
        self.finish = choice.get("finish_reason") or self.finish
        if isinstance(choice.get("logprobs"), dict):
            self._logprobs = _longer(self._logprobs, choice["logprobs"])
        for name, value in choice.items():
            if name not in _OF_A_CHOICE and (value is not None or name not in self._rest):
                self._rest[name] = value
        for name, value in choice["delta"].items():
            if name == "tool_calls":
                for piece in value:
                    _join_call(self._calls.setdefault(piece["index"], {}), piece)
            elif name == "function_call":
                self._function = _joined(self._function or {}, value, frozenset({"name", "arguments"}))
            elif name == "audio":
                self._message[name] = _joined(self._message.get(name) or {}, value, _AUDIO_TEXT)
            elif name in _JOINED:
                if value is not None:
                    self._message[name] = (self._message.get(name) or "") + value
            elif isinstance(value, list):
                self._message[name] = _longer_list(self._message.get(name), value)
            elif value is not None:
                self._message[name] = value

    def result(self, index: int) -> dict[str, Any]:
        text = self._message.get("content")
        called = bool(self._calls) or self._function is not None
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if not text and (called or self._message.get("refusal")) else text,
            "refusal": self._message.get("refusal"),
        }
        if self._calls:
            message["tool_calls"] = [self._calls[number] for number in sorted(self._calls)]
        if self._function is not None:
            message["function_call"] = self._function
        for name, value in self._message.items():
            if name not in message:
                message[name] = _unnumbered(value) if name in _UNNUMBERED else value
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs,
            "finish_reason": self.finish,
            **self._rest,
        }


def _join_call(call: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        if name in ("function", "custom"):
            call[name] = _joined(call.get(name) or {}, value, frozenset({"name", "arguments", "input"}))
        elif name != "index" and value is not None:
            call[name] = value


def _joined(before: Mapping[str, Any], more: Mapping[str, Any], texts: frozenset[str]) -> dict[str, Any]:
    out = dict(before)
    for name, value in more.items():
        if name in texts and isinstance(value, str) and isinstance(out.get(name), str):
            out[name] += value
        elif value is not None or name not in out:
            out[name] = value
    return out


def _longer(before: Mapping[str, Any] | None, more: Mapping[str, Any]) -> dict[str, Any]:
    """Log probabilities of the tokens so far."""
    out = dict(before or {})
    for name, value in more.items():
        if isinstance(value, list):
            said = out.get(name)
            out[name] = [*said, *value] if isinstance(said, list) else value
        else:
            out.setdefault(name, value)
    return out


def _longer_list(before: Any, more: list[Any]) -> list[Any]:
    """Entries with the same index are pieces of one; all others are added."""
    out = list(before) if isinstance(before, list) else []
    places = {number: place for place, entry in enumerate(out) if (number := _number(entry)) is not None}
    for entry in more:
        index = _number(entry)
        if index is not None and index in places:
            out[places[index]] = _joined(out[places[index]], entry, _DETAIL_TEXT)
        else:
            if index is not None:
                places[index] = len(out)
            out.append(entry)
    return out


def _number(entry: Any) -> int | None:
    index = entry.get("index") if isinstance(entry, dict) else None
    return index if isinstance(index, int) else None


def _unnumbered(entries: list[Any]) -> list[Any]:
    return [
        {name: value for name, value in entry.items() if name != "index"} if isinstance(entry, dict) else entry
        for entry in entries
    ]


def chunks(completion: ChatCompletion) -> list[Piece]:
    """The chunks that stream `completion`: each choice's role, content and finish reason, then usage."""
    members = cast("Mapping[str, Any]", completion)
    rest = {name: value for name, value in members.items() if name not in _OF_A_CHUNK}
    head = {
        "id": members["id"],
        "object": "chat.completion.chunk",
        "created": members["created"],
        "model": members["model"],
    }
    out: list[dict[str, Any]] = []
    for choice in members["choices"]:
        extras = {name: value for name, value in choice.items() if name not in _OF_A_CHOICE}
        rows = [
            ({"role": "assistant", "content": None if choice["message"].get("content") is None else ""}, None, None),
            *((delta, None, None) for delta in _before(choice["message"])),
            *_text(choice),
            *((delta, None, None) for delta in _after(choice["message"])),
            ({}, None, choice["finish_reason"]),
        ]
        for delta, logprobs, reason in rows:
            row = {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": reason}
            out.append({**head, "choices": [{**row, **extras} if reason else row], **rest})
    if members.get("usage"):
        out.append({**head, "choices": [], "usage": members["usage"], **rest})
    return [Piece(cast("ChatChunk", chunk)) for chunk in out]


def _before(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reasoning, which comes ahead of what it leads to."""
    delta = {name: message[name] for name in ("reasoning_content", "reasoning") if message.get(name)}
    if message.get("reasoning_details"):
        delta["reasoning_details"] = _numbered(message["reasoning_details"])
    return [delta] if delta else []


def _text(choice: Mapping[str, Any]) -> list[tuple[dict[str, Any], Any, None]]:
    message, logprobs = choice["message"], choice.get("logprobs")
    delta = {name: message[name] for name in ("content", "refusal") if message.get(name)}
    return [(delta, logprobs, None)] if delta or logprobs else []


def _after(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = ("role", "content", "refusal", "reasoning_content", "reasoning", "reasoning_details")
    out: list[dict[str, Any]] = []
    for name, value in message.items():
        if name in said or value is None:
            continue
        if name == "tool_calls":
            out += [{name: [{"index": index, **call}]} for index, call in enumerate(value)]
        else:
            out.append({name: _numbered(value) if isinstance(value, list) else value})
    return out


def _numbered(entries: list[Any]) -> list[Any]:
    """Entries with an index of their own each: a client joins those that share one."""
    if len({number for entry in entries if (number := _number(entry)) is not None}) == len(entries):
        return entries
    return [{**entry, "index": index} if isinstance(entry, dict) else entry for index, entry in enumerate(entries)]
