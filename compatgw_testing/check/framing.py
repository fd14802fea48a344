"""Assertions on the bytes of a stream: content type, server-sent events, the end mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import (
    Blocked,
    Skips,
    expect,
    expect_same,
    expect_utf8,
    gathered,
    may,
    must,
    short,
    should,
)

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Stream

# Below this many seconds a stream is too quick to tell whether it was held back.
SLOW = 1.0


async def _long(probe: Probe) -> Stream:
    return await probe.stream(messages=asks.user(asks.COUNT))


@must("stream.status")
async def status(probe: Probe) -> None:
    """`stream: true` is answered 200."""
    answer = await probe.ask(stream=True)
    expect(answer.status == 200, answer.said)


@must("stream.whole")
async def whole(probe: Probe) -> None:
    """A stream ends without breaking the connection."""
    answer = await probe.ask(stream=True)
    expect(answer.failure is None, answer.said)


@must("stream.content_type")
async def content_type(probe: Probe) -> None:
    """A stream is `text/event-stream`."""
    answer = await probe.ask(stream=True)
    expect_same(answer.media_type, "text/event-stream", "the content type")


@should("stream.charset")
async def charset(probe: Probe) -> None:
    """If the content type of a stream names a charset, it is UTF-8."""
    kind = (await probe.stream()).answer.headers.get("content-type", "").lower()
    expect("charset=" not in kind or "charset=utf-8" in kind.replace('"', ""), f"the content type is {short(kind)}")


@should("stream.no_length")
async def no_length(probe: Probe) -> None:
    """A stream does not announce its length."""
    headers = (await probe.stream()).answer.headers
    expect("content-length" not in headers, f"content-length is {headers.get('content-length')}")


@may("stream.no_cache")
async def no_cache(probe: Probe) -> None:
    """A stream forbids caches to keep it."""
    value = (await probe.stream()).answer.headers.get("cache-control", "")
    expect("no-cache" in value or "no-store" in value, f"cache-control is {short(value)}")


@must("stream.utf8")
async def utf8(probe: Probe) -> None:
    """A stream is UTF-8 without a byte order mark."""
    raw = (await _long(probe)).answer.raw
    expect_utf8(raw, "the stream")
    expect(not raw.startswith(b"\xef\xbb\xbf"), "the stream begins with a byte order mark")


@must("stream.lines")
async def lines(probe: Probe) -> None:
    """Each line is a field of an event, a comment, or empty."""
    stream = await _long(probe)
    expect(not stream.odd_lines, f"there is the line {short(stream.odd_lines[:1])}")


@must("stream.blank_line")
async def blank_line(probe: Probe) -> None:
    """A blank line closes each event, the last one too."""
    stream = await _long(probe)
    expect(stream.ended, f"the stream ends with {short(stream.answer.raw[-60:])}")
    many = [event for event in stream.events if event.lines > 1 and event.data.count('"object"') > 1]
    expect(not many, f"two chunks stand in one event: {short([event.data for event in many][:1])}")


@should("stream.space")
async def space(probe: Probe) -> None:
    """`data:` is followed by one space."""
    prefixes = (await _long(probe)).data_prefixes
    expect(prefixes == {"data: "}, f"lines begin with {short(sorted(prefixes))}")


@must("stream.json")
async def json_objects(probe: Probe) -> None:
    """Each event but `[DONE]` is one JSON object."""
    for data, value in (await _long(probe)).parsed:
        expect(isinstance(value, dict), f"the event {short(data)} is no JSON object")


@must("stream.one_line")
async def one_line(probe: Probe) -> None:
    """Each event has its data in one line."""
    for event in (await _long(probe)).events:
        expect(event.lines == 1, f"{event.lines} data lines make the event {short(event.data)}")


@should("stream.no_names")
async def no_names(probe: Probe) -> None:
    """Events have no `event:` name."""
    names = [event.name for event in (await _long(probe)).events if event.name is not None]
    expect(not names, f"an event is named {short(names[:1])}")


@must("stream.done_last")
async def done_last(probe: Probe) -> None:
    """The last event is `[DONE]`."""
    stream = await probe.stream()
    expect(stream.events[-1].data.strip() == "[DONE]", f"the last event is {short(stream.events[-1].data)}")


@must("stream.done_once")
async def done_once(probe: Probe) -> None:
    """`[DONE]` comes once."""
    stream = await probe.stream()
    expect(len(stream.done) <= 1, f"it comes {len(stream.done)} times")


@must("stream.nothing_after")
async def nothing_after(probe: Probe) -> None:
    """No data follow `[DONE]`."""
    stream = await probe.stream()
    if not stream.done:
        raise Blocked("there is no [DONE]")
    rest = [event.data for event in stream.events[stream.done[0] + 1 :] if event.data.strip() != "[DONE]"]
    expect(not rest, f"after [DONE] comes {short(rest[:1])}")


@must("stream.several")
async def several(probe: Probe) -> None:
    """A long answer comes in several chunks."""
    stream = await _long(probe)
    pieces = [one for one in stream.deltas() if one.get("content") or one.get("reasoning_content")]
    if len(stream.text().split()) < 4 and not pieces:
        raise Skips("the answer was too short to come in pieces")
    expect(len(pieces) > 1, f"the text came in {len(pieces)} piece: {short(stream.text())}")


@should("stream.not_held_back")
async def not_held_back(probe: Probe) -> None:
    """The first bytes come long before the last."""
    arrivals = (await _long(probe)).answer.arrivals
    if not arrivals or arrivals[-1] < SLOW:
        raise Skips(f"the whole stream came within {SLOW:g} s")
    first, last = arrivals[0], arrivals[-1]
    expect(first < last * 0.9, f"the first bytes came after {first:.2f} s, the last after {last:.2f} s")


ASSERTIONS = gathered(globals())
