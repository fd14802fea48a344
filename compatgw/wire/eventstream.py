"""AWS event streams (`application/vnd.amazon.eventstream`): bytes to messages, sans-IO.

A message is, with numbers in network order,

    total length (4)  length of the headers (4)  CRC-32 of these 8
    headers           name length (1)  name  type (1)  value ...
    payload
    CRC-32 of all before it (4)

Both checksums are checked before anything of a message is given out, so what was cut, mixed up or is
no event stream at all is never taken for an answer.

What does not live here: what a message means, JSON, sockets, writing such streams.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

CONTENT_TYPE = "application/vnd.amazon.eventstream"
DEFAULT_LIMIT = 24 * 1024 * 1024
"""Bytes that a message may have: what the protocol allows."""

_PRELUDE = 12
_LEAST = 16
_HEADERS_LIMIT = 128 * 1024
_NUMBERS = struct.Struct(">III")
_ONE = struct.Struct(">I")
# Type of a header's value to the number of its bytes, where that is fixed.
_FIXED: Mapping[int, int] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_BYTES, _STRING = 6, 7


class Message(NamedTuple):
    """One message: its headers that are text, by name, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class BadMessage(ValueError):
    """Bytes that are no message: a wrong checksum, a length that cannot be, headers that do not fit."""


class EventStreamReader:
    """Collects bytes, gives whole messages.

    Args:
        limit: Bytes that one message may have, 24 MiB by default.
    """

    __slots__ = ("_limit", "_parts", "_size", "_wanted")

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        # Bytes that must be there before anything more can be said.
        self._wanted = _PRELUDE
        self._limit = limit

    @property
    def pending(self) -> int:
        """Number of bytes received that no message has taken yet."""
        return self._size

    def feed(self, data: bytes) -> list[Message]:
        """Messages that `data` completes, in order.

        Raises:
            BadMessage: It is no event stream. What came before it in `data` is lost with it.
        """
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return []
        buffer = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        out: list[Message] = []
        start = 0
        self._wanted = _PRELUDE
        while len(buffer) - start >= _PRELUDE:
            total, headers = self._prelude(buffer, start)
            if len(buffer) - start < total:
                self._wanted = total
                break
            out.append(_message(buffer[start : start + total], headers))
            start += total
        rest = buffer[start:]
        self._parts = [rest] if rest else []
        self._size = len(rest)
        return out

    def _prelude(self, buffer: bytes, start: int) -> tuple[int, int]:
        """Length of the message that begins at `start`, and of its headers."""
        total, headers, checksum = _NUMBERS.unpack_from(buffer, start)
        if zlib.crc32(buffer[start : start + 8]) != checksum:
            raise BadMessage("the checksum of a message's beginning is wrong")
        if not _LEAST <= total <= self._limit or headers > min(total - _LEAST, _HEADERS_LIMIT):
            raise BadMessage(f"a message says that it has {total} bytes, {headers} of them headers")
        return int(total), int(headers)


def _message(data: bytes, headers: int) -> Message:
    (checksum,) = _ONE.unpack_from(data, len(data) - 4)
    if zlib.crc32(data[:-4]) != checksum:
        raise BadMessage("the checksum of a message is wrong")
    return Message(_headers(data[_PRELUDE : _PRELUDE + headers]), data[_PRELUDE + headers : -4])


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    place = 0
    try:
        while place < len(data):
            length = data[place]
            name = data[place + 1 : place + 1 + length].decode()
            kind = data[place + 1 + length]
            place += 2 + length
            if kind in (_BYTES, _STRING):
                size = int.from_bytes(data[place : place + 2], "big")
                place += 2
            else:
                size = _FIXED[kind]
            value = data[place : place + size]
            if place + size > len(data):
                raise BadMessage("a header is longer than the headers are")
            if kind == _STRING:
                found[name] = value.decode()
            place += size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise BadMessage("a header cannot be read") from None
    return found
