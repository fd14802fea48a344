"""Takes events that are no JSON out of an upstream's stream, where the operator has asked for that.

It is off by default: an event that cannot be read may have held text, or arguments of a tool, and an answer
without it is told as if it were whole. So each one is counted, and logged.

What does not live here: what events mean (`dialects/`), the counts (`health.py`).
"""

from __future__ import annotations

import orjson

from compatgw.wire.sse import SSEEvent, SSEReader


class Sieve:
    """Server-sent events without those that are malformed.

    Attributes:
        skipped: Events that were taken out so far.
    """

    __slots__ = ("_reader", "skipped")

    def __init__(self) -> None:
        self._reader = SSEReader()
        self.skipped = 0

    def feed(self, data: bytes) -> bytes:
        """The whole events of what has come; an unfinished one waits.

        Raises:
            EventTooLarge: An event has no end.
        """
        return self._sifted(self._reader.feed(data))

    def finish(self) -> bytes:
        """The last one, if only its blank line is missing."""
        return self._sifted(self._reader.finish())

    def _sifted(self, events: list[SSEEvent]) -> bytes:
        kept = [event for event in events if _is_sound(event.data)]
        self.skipped += len(events) - len(kept)
        return b"".join(_framed(event) for event in kept)


def _is_sound(data: bytes) -> bool:
    # What is no object at all, such as `[DONE]`, is for the protocol to read.
    if not data.lstrip().startswith(b"{"):
        return (data.strip().isascii() and data.strip().startswith(b"[")) or not data.strip()
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _framed(event: SSEEvent) -> bytes:
    name = f"event: {event.name}\n".encode() if event.name else b""
    return name + b"".join(b"data: " + line + b"\n" for line in event.data.split(b"\n")) + b"\n"
