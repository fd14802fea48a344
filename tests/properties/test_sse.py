"""The reader of server-sent events, over streams with every line ending, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.wire.sse import EventTooLarge, SSEEvent, SSEReader, frame

from .judges import cut

_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
_data = st.lists(_words, min_size=1, max_size=3)
_names = _words.map(str.strip)
ENDINGS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[SSEEvent]]:
    """A stream and the events in it; each event has its own line ending, comments stand between."""
    out, events = b"", []
    for _ in range(draw(st.integers(0, 5))):
        end = draw(ENDINGS)
        space = draw(st.sampled_from([b" ", b""]))
        name, lines = draw(st.just("") | _names), draw(_data)
        if draw(st.booleans()):
            out += b": comment" + end
        if name:
            out += b"event: " + name.encode() + end
        for line in lines:
            # Without the optional space a leading one would be taken for it.
            out += b"data:" + (b" " if line.startswith(" ") else space) + line.encode() + end
        out += b"id: 7" + end + b"retry: 1" + end + end
        events.append(SSEEvent(name, "\n".join(lines).encode()))
    return out, events


def read(parts: list[bytes]) -> list[SSEEvent]:
    reader = SSEReader()
    return [event for part in parts for event in reader.feed(part)] + reader.finish()


@settings(max_examples=150, deadline=None)
@given(stream=streams(), data=st.data())
def test_cut_anywhere_gives_the_same_events(stream: tuple[bytes, list[SSEEvent]], data: st.DataObject) -> None:
    """LF, CRLF and CR in one stream, between any two bytes."""
    body, events = stream
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=15))

    assert read(cut(body, places)) == events


@settings(max_examples=40, deadline=None)
@given(stream=streams())
def test_one_byte_at_a_time_gives_the_same_events(stream: tuple[bytes, list[SSEEvent]]) -> None:
    """The smallest pieces there are."""
    body, events = stream

    assert read([body[n : n + 1] for n in range(len(body))]) == events


@settings(max_examples=60, deadline=None)
@given(stream=streams(), data=st.data())
def test_an_unfinished_event_is_not_delivered_by_feed(
    stream: tuple[bytes, list[SSEEvent]], data: st.DataObject
) -> None:
    """What `feed` gives is always a beginning of the whole."""
    body, events = stream
    reader = SSEReader()
    given_out = reader.feed(body[: data.draw(st.integers(0, len(body)))])

    assert given_out == events[: len(given_out)]


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.binary(max_size=20), max_size=8))
def test_arbitrary_bytes_are_read_without_an_error(parts: list[bytes]) -> None:
    """Nothing is refused here but size, and pieces do not matter."""
    assert read(parts) == read([b"".join(parts)])


@settings(max_examples=40, deadline=None)
@given(payload=_words)
def test_what_is_framed_is_read_back(payload: str) -> None:
    """Our own framing has one event in it."""
    assert read([frame(payload.encode())]) == [SSEEvent("", payload.encode())]


@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 50), over=st.integers(1, 50), pieces=st.integers(1, 7))
def test_memory_is_bounded(limit: int, over: int, pieces: int) -> None:
    """An event without an end is given up as soon as it is over the limit."""
    reader = SSEReader(limit)
    body = b"x" * (limit + over)
    parts = cut(body, range(0, len(body), pieces))
    with pytest.raises(EventTooLarge):
        _ = [reader.feed(part) for part in parts]

    assert len(reader.pending) <= limit + pieces
