"""A body that was to be a stream and is none: JSON, or the page of a proxy, told by how it begins.

What does not live here: what such a body says (`response.py`, `responses.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects.bodies import where
from compatgw.errors import UpstreamFailure
from compatgw.wire.sse import DEFAULT_LIMIT

if TYPE_CHECKING:
    from compatgw.dialects.base import Target
    from compatgw.wire.sse import SSEReader


class Whole:
    """Collects the body once it is known to be one.

    Args:
        target: Names the upstream in messages.
        reader: Reads the stream that it should be.
    """

    __slots__ = ("_parts", "_reader", "_size", "_target")

    def __init__(self, target: Target, reader: SSEReader) -> None:
        self._target = target
        self._reader = reader
        self._parts: list[bytes] | None = None  # None until it is known
        self._size = 0

    def takes(self, data: bytes) -> bool:
        """True for bytes of a body that begins as JSON or HTML does; no field of an event stream does.

        Raises:
            UpstreamFailure: It is larger than an event may be.
        """
        if self._parts is None:
            head = data.lstrip()
            if head:
                none = head[:1] in (b"{", b"[", b"<") and not self._reader.pending.strip()
                self._parts = [head] if none else []
                self._size = len(head)
        elif self._parts:
            self._parts.append(data)
            self._size += len(data)
            if self._size > DEFAULT_LIMIT:
                raise UpstreamFailure(f"{where(self._target)} sent over {DEFAULT_LIMIT} bytes that are not a stream.")
        return bool(self._parts)

    @property
    def body(self) -> bytes:
        """What came, empty when it is a stream."""
        return b"".join(self._parts or ())
