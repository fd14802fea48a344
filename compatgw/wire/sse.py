"""Server-sent events: bytes to events and back, sans-IO.

The reader follows the WHATWG rules and is lenient where real servers are sloppy: any of
LF, CRLF and CR ends a line, the space after the colon is optional, comments and unknown
fields are skipped. It is strict in one place: an event without its closing blank line is
not delivered by `feed`, only by `finish`, because most cut streams end in one.

What does not live here: the meaning of an event, JSON, sockets.
"""

from __future__ import annotations

from typing import NamedTuple

DONE = b"data: [DONE]\n\n"
DEFAULT_LIMIT = 16 * 1024 * 1024


class SSEEvent(NamedTuple):
    """One event: its `event:` name ("" when the server sent none) and its joined `data:` lines."""

    name: str
    data: bytes


class EventTooLarge(ValueError):
    """An event grew over the reader's limit; memory stays bounded."""


class SSEReader:
    """Collects bytes, gives whole events.

    Args:
        limit: Bytes that one unfinished event may hold, 16 MiB by default.
    """

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Events that `data` completes, in order.

        Raises:
            EventTooLarge: More than `limit` bytes without a blank line.
        """
        if self._parts:
            # A CR that was held back may have ended a line; else nothing ends inside of a long
            # line: join once, not with every read.
            after_cr = self._parts[-1].endswith(b"\r")
            self._parts.append(data)
            self._size += len(data)
            if not after_cr and b"\n" not in data and b"\r" not in data and self._size <= self._limit:
                return []
            buffer = b"".join(self._parts)
        else:
            buffer = data
        # The usual server: LF only, so a blank line is exactly two of them.
        if b"\r" not in buffer:
            *blocks, rest = buffer.split(b"\n\n")
        else:
            # A CR at the very end may be half of a CRLF: it waits for the next bytes.
            held = b"\r" if buffer.endswith(b"\r") else b""
            text = buffer[: len(buffer) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            *blocks, rest = text.split(b"\n\n")
            rest += held
        if len(rest) > self._limit:
            raise EventTooLarge(f"a server-sent event is over {self._limit} bytes")
        self._parts = [rest] if rest else []
        self._size = len(rest)
        return [event for block in blocks if (event := _parse(block)) is not None]

    def finish(self) -> list[SSEEvent]:
        """What an end of stream completes: the last event if its blank line is missing."""
        rest, self._parts, self._size = b"".join(self._parts), [], 0
        event = _parse(rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        return [] if event is None else [event]

    @property
    def pending(self) -> bytes:
        """Bytes received that no event has taken yet."""
        return b"".join(self._parts)


def _parse(block: bytes) -> SSEEvent | None:
    if block.startswith(b"data: ") and b"\n" not in block:  # nearly every event there is
        return SSEEvent("", block[6:])
    name = ""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"error":  # old llama.cpp writes errors as a field of this name
            name, data = "error", [value]
    return SSEEvent(name, b"\n".join(data)) if data else None


def frame(data: bytes) -> bytes:
    """`data` as one event, exactly as OpenAI frames it."""
    return b"data: " + data + b"\n\n"
