"""What came back, as it came: an answer's bytes, and the events and chunks of a stream.

Nothing is forgiven here silently: what cannot be read is kept for the assertions to find.
What does not live here: sending (`probe.py`), judging (a file for each group).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from compatgw_testing.check.base import Blocked, dig, parsed, short

if TYPE_CHECKING:
    from collections.abc import Mapping

DONE = "[DONE]"


@dataclass(slots=True, kw_only=True)
class Answer:
    """One HTTP answer.

    Attributes:
        status: HTTP status; 0 when there was none.
        headers: Names in lower case; of a repeated one the values joined by a comma.
        raw: The body, content encodings removed.
        failure: What broke, if the connection did or the time ran out.
        broke: The connection was there and broke.
        arrivals: Seconds from sending to each piece of the body.
        connection: The client's side of the connection; None where that cannot be seen.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    failure: str | None = None
    broke: bool = False
    arrivals: tuple[float, ...] = ()
    connection: object = None

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def said(self) -> str:
        """Status and the beginning of the body, for evidence."""
        if self.status == 0:
            return self.failure or "no answer"
        broken = f" ({self.failure})" if self.failure else ""
        return f"{self.status}{broken} {short(self.raw.decode('utf-8', 'replace'), 140)}"

    def value(self) -> Any:
        """The body as JSON.

        Raises:
            Blocked: It is none.
        """
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            raise Blocked(f"the body is no JSON: {self.said}") from None

    def body(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            Blocked: It is none.
        """
        value = self.value()
        if not isinstance(value, dict):
            raise Blocked(f"the body is no JSON object: {self.said}")
        return value

    @property
    def error(self) -> Any:
        """The member `error` of the body; None without one."""
        try:
            return dig(json.loads(self.raw), "error")
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: its data joined by newlines, its name, and how many data lines it had."""

    data: str
    name: str | None
    lines: int


class Stream:
    """A streamed answer, read as server-sent events.

    Attributes:
        answer: The bytes.
        events: Events with data, in order.
        odd_lines: Lines that are no part of the format.
        ended: The last event was closed by a blank line.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.events: list[Event] = []
        self.odd_lines: list[str] = []
        self.data_prefixes: set[str] = set()
        self.ended = True
        self._read(answer.raw.decode("utf-8", "replace"))

    def _read(self, text: str) -> None:
        data: list[str] = []
        name: str | None = None
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines[:-1]:
            if not line:
                if data:
                    self.events.append(Event("\n".join(data), name, len(data)))
                data, name = [], None
                continue
            field_name, colon, value = line.partition(":")
            spaced = value.startswith(" ")
            value = value[1:] if spaced else value
            if field_name == "data":
                data.append(value)
                self.data_prefixes.add("data: " if spaced else "data:")
            elif field_name == "event":
                name = value
            elif field_name and (not colon or field_name not in ("id", "retry")):
                self.odd_lines.append(line)
        if lines[-1]:
            self.odd_lines.append(lines[-1])
        if data:
            self.events.append(Event("\n".join(data), name, len(data)))
            self.ended = False

    @cached_property
    def done(self) -> list[int]:
        """Where in `events` `[DONE]` stands."""
        return [at for at, event in enumerate(self.events) if event.data.strip() == DONE]

    @cached_property
    def parsed(self) -> list[tuple[str, Any]]:
        """Each event but `[DONE]`: its data, and that as JSON (None if it is none)."""
        out: list[tuple[str, Any]] = []
        for event in self.events:
            if event.data.strip() == DONE:
                continue
            out.append((event.data, parsed(event.data)))
        return out

    @cached_property
    def chunks(self) -> list[dict[str, Any]]:
        """The events that are JSON objects."""
        return [value for _, value in self.parsed if isinstance(value, dict)]

    @property
    def error(self) -> Any:
        """The first `error` member of an event; None without one."""
        return next((chunk["error"] for chunk in self.chunks if chunk.get("error")), None)

    @cached_property
    def choices(self) -> list[dict[str, Any]]:
        """All choices of all chunks, in order."""
        out = []
        for chunk in self.chunks:
            given = chunk.get("choices")
            out += [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        return out

    def of(self, index: int = 0) -> list[dict[str, Any]]:
        """The choices of one index; a choice without an index counts as 0."""
        return [one for one in self.choices if (one.get("index") or 0) == index]

    def deltas(self, index: int = 0) -> list[dict[str, Any]]:
        """The deltas of one choice."""
        return [one["delta"] for one in self.of(index) if isinstance(one.get("delta"), dict)]

    def text(self, index: int = 0) -> str:
        """The text of one choice."""
        return "".join(one["content"] for one in self.deltas(index) if isinstance(one.get("content"), str))

    def finishes(self, index: int = 0) -> list[Any]:
        """The finish reasons of one choice that are not null."""
        return [one["finish_reason"] for one in self.of(index) if one.get("finish_reason") is not None]

    def usages(self) -> list[dict[str, Any]]:
        """The chunks that carry usage."""
        return [chunk for chunk in self.chunks if isinstance(chunk.get("usage"), dict)]

    @cached_property
    def fragments(self) -> list[dict[str, Any]]:
        """The tool call fragments of choice 0, in order."""
        out: list[dict[str, Any]] = []
        for delta in self.deltas():
            given = delta.get("tool_calls")
            out += [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        return out

    def calls(self) -> dict[Any, list[dict[str, Any]]]:
        """The tool call fragments by their index."""
        out: dict[Any, list[dict[str, Any]]] = {}
        for one in self.fragments:
            out.setdefault(one.get("index"), []).append(one)
        return out

    def arguments(self, index: object) -> str:
        """The arguments of one tool call, joined."""
        pieces = [dig(one, "function", "arguments") for one in self.calls().get(index, [])]
        return "".join(piece for piece in pieces if isinstance(piece, str))
