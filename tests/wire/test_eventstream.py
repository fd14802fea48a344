"""AWS event streams: whatever is cut comes whole, whatever is changed is noticed."""

from __future__ import annotations

import itertools
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.wire.eventstream import BadMessage, EventStreamReader, Message

NAMES = st.text("abc:-", min_size=1, max_size=12)
HEADERS = st.dictionaries(NAMES, st.text(max_size=20), max_size=4)
MESSAGES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=5)


def head(name: str, kind: int, value: bytes) -> bytes:
    """One header, its value as it stands on the wire."""
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + value


def text(name: str, value: str) -> bytes:
    """A header of text."""
    return head(name, 7, struct.pack(">H", len(value.encode())) + value.encode())


def written(headers: bytes, payload: bytes) -> bytes:
    """One message."""
    start = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    data = start + struct.pack(">I", zlib.crc32(start)) + headers + payload
    return data + struct.pack(">I", zlib.crc32(data))


def stream(messages: list[tuple[dict[str, str], bytes]]) -> bytes:
    """All of them behind each other."""
    return b"".join(written(b"".join(text(*pair) for pair in one.items()), payload) for one, payload in messages)


def read(parts: list[bytes]) -> list[Message]:
    """What a reader makes of `parts`."""
    reader = EventStreamReader()
    return [message for part in parts for message in reader.feed(part)]


@settings(max_examples=80, deadline=None)
@given(messages=MESSAGES, data=st.data())
def test_messages_are_the_same_wherever_the_bytes_are_cut(
    messages: list[tuple[dict[str, str], bytes]], data: st.DataObject
) -> None:
    """Between any two bytes, and each alone."""
    whole = stream(messages)
    places = sorted({0, len(whole), *data.draw(st.lists(st.integers(0, len(whole)), max_size=12))})
    expected = [Message(headers, payload) for headers, payload in messages]

    assert read([whole]) == expected
    assert read([whole[a:b] for a, b in itertools.pairwise(places)]) == expected
    assert read([whole[n : n + 1] for n in range(len(whole))]) == expected


@settings(max_examples=80, deadline=None)
@given(messages=MESSAGES.filter(bool), data=st.data())
def test_half_a_message_is_none(messages: list[tuple[dict[str, str], bytes]], data: st.DataObject) -> None:
    """What is not complete is not given out, and is known to be there."""
    whole = stream(messages)
    length = data.draw(st.integers(0, len(whole)))
    reader = EventStreamReader()
    found = reader.feed(whole[:length])

    assert found == [Message(*one) for one in messages][: len(found)]
    assert reader.pending == length - len(stream(messages[: len(found)]))
    assert (reader.pending == 0) == (length == len(stream(messages[: len(found)])))


@settings(max_examples=120, deadline=None)
@given(headers=HEADERS, payload=st.binary(max_size=40), data=st.data())
def test_any_changed_bit_is_noticed(headers: dict[str, str], payload: bytes, data: st.DataObject) -> None:
    """A message whose checksum is wrong is never given out: it is refused, or waits for bytes that never come."""
    whole = bytearray(stream([(headers, payload)]))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    reader = EventStreamReader()
    try:
        assert reader.feed(bytes(whole)) == []
    except BadMessage:
        return
    assert reader.pending


@settings(max_examples=80, deadline=None)
@given(noise=st.binary(max_size=80), place=st.integers(0, 80))
def test_arbitrary_bytes_raise_nothing_else(noise: bytes, place: int) -> None:
    """Whatever comes."""
    reader = EventStreamReader()
    try:
        _ = [*reader.feed(noise[:place]), *reader.feed(noise[place:])]
    except BadMessage as error:
        assert str(error)


def test_headers_of_every_type_are_stepped_over() -> None:
    """Only text has a use here; what stands behind the others is still read."""
    others = [
        head("yes", 0, b""), head("no", 1, b""), head("byte", 2, b"\x01"), head("short", 3, b"\0\1"),
        head("int", 4, bytes(4)), head("long", 5, bytes(8)), head("bytes", 6, b"\0\3abc"), head("time", 8, bytes(8)),
        head("uuid", 9, bytes(16)),
    ]  # fmt: skip

    assert read([written(b"".join([*others, text(":event-type", "metadata")]), b"{}")]) == [
        Message({":event-type": "metadata"}, b"{}")
    ]


@pytest.mark.parametrize(
    "headers",
    [
        head("x", 10, b""),
        head("x", 7, b"\xff\xffab"),
        b"\x05ab",
        head("x", 7, b"\0\1\xff"),
        b"\x01",
        head("x", 4, b"\0"),
    ],
    ids=["unknown type", "too long", "cut name", "no text", "nothing behind the length", "cut number"],
)
def test_headers_that_do_not_fit_are_refused(headers: bytes) -> None:
    """Though their checksum is right."""
    with pytest.raises(BadMessage, match="header"):
        read([written(headers, b"{}")])


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (0, 0), (24 * 1024 * 1024 + 1, 0), (20, 8), (2**31, 2**30)])
def test_a_length_that_cannot_be_is_refused_at_once(total: int, headers: int) -> None:
    """Nothing is collected for it."""
    start = struct.pack(">II", total, headers)
    with pytest.raises(BadMessage, match="bytes"):
        read([start + struct.pack(">I", zlib.crc32(start))])


def test_long_messages_are_not_joined_with_every_read() -> None:
    """Ten megabytes in small pieces take no square of their time."""
    payload = bytes(10 * 1024 * 1024)
    whole = stream([({":event-type": "contentBlockDelta"}, payload)])
    reader = EventStreamReader()
    found = [message for n in range(0, len(whole), 4096) for message in reader.feed(whole[n : n + 4096])]

    assert [len(message.payload) for message in found] == [len(payload)]


def test_it_reads_what_the_vendors_library_reads() -> None:
    """The same frames, the same events."""
    eventstream = pytest.importorskip("botocore.eventstream", reason="botocore is not installed")
    whole = stream([({":event-type": "messageStop", ":message-type": "event"}, b'{"stopReason": "end_turn"}')] * 3)
    buffer = eventstream.EventStreamBuffer()
    buffer.add_data(whole)

    assert [(event.headers, event.payload) for event in buffer] == [(m.headers, m.payload) for m in read([whole])]
