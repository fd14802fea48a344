"""Streams of server-sent events that are JSON objects: read, and what is said of one that cannot be read or is cut.

What does not live here: what events mean (each dialect's `stream.py`), framing (`wire/sse.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects.bodies import where
from compatgw.errors import StreamInterrupted, UpstreamFailure
from compatgw.wire.sse import EventTooLarge

if TYPE_CHECKING:
    from compatgw.dialects.base import Piece, Target
    from compatgw.wire.sse import SSEEvent, SSEReader

CUT = "closed the stream before the answer was complete"


def broken(what: str, target: Target) -> UpstreamFailure:
    """The failure of an answer that cannot be read (to be raised)."""
    return UpstreamFailure(f"{where(target)} sent an answer that cannot be read: {what}.")


def interrupted(target: Target, what: str = CUT) -> StreamInterrupted:
    """The failure of a stream that is not whole: `what` the upstream did (to be raised)."""
    return StreamInterrupted(
        f"{where(target)} {what}. What arrived so far is not the whole answer; send the request again."
    )


def parsed(data: bytes, target: Target) -> dict[str, Any]:
    """The object that an event of a stream is.

    Raises:
        UpstreamFailure: It is none.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise broken("an event is not JSON", target) from None
    if not isinstance(value, dict):
        raise broken("an event is not an object", target)
    return value


class Events(ABC):
    """The reading of a stream that says by an event of its own that it is whole (see `dialects/base.py`).

    What a decoder adds: the three attributes, `_event` and `_take`.
    """

    __slots__ = ()

    _done: bool
    _reader: SSEReader
    _target: Target

    @property
    def done(self) -> bool:
        """True once the protocol's own end was read."""
        return self._done

    def feed(self, data: bytes) -> list[Piece]:
        """Chunks that `data` completes.

        Raises:
            UpstreamFailure: The stream carries an error, or bytes that are not the protocol.
        """
        if self._done:
            return []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise broken(str(error), self._target) from None
        for event in events:
            self._read(event)
        return self._take()

    def finish(self) -> list[Piece]:
        """The last chunks.

        Raises:
            StreamInterrupted: The protocol's own end was not read.
        """
        if not self._done:
            for event in self._reader.finish():
                try:
                    self._read(event)
                except UpstreamFailure as failure:
                    if failure.upstream_status is not None:  # a whole event that reports a failure
                        raise
                    break  # half an event: the cut, not the protocol, is at fault
        if not self._done:
            raise interrupted(self._target)
        return self._take()

    def _read(self, event: SSEEvent) -> None:
        found = event.data
        # Nearly every event is an object, which needs no closer look.
        if self._done or (found[:1] != b"{" and found.strip() in (b"", b"[DONE]")):
            return
        data = parsed(found, self._target)
        self._event(data.get("type") or event.name, data)

    @abstractmethod
    def _event(self, kind: Any, data: dict[str, Any]) -> None:
        """What one event says; `kind` is its type, which may stand in the data or beside it."""

    @abstractmethod
    def _take(self) -> list[Piece]:
        """The chunks that were written since the last call."""
