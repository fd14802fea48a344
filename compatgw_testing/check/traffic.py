"""Assertions on clients that leave, and on several at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, dig, expect, gathered, must, short, should
from compatgw_testing.check.wire import Stream

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

AT_ONCE = 4


async def _alive(probe: Probe, again: int) -> None:
    answer = await probe.ask(again=again)
    expect(answer.status == 200, answer.said)


@must("cancel.stream")
async def cancel_stream(probe: Probe) -> None:
    """After a client left a stream behind its first bytes, the next one is answered."""
    status = await probe.leave(1, messages=asks.user(asks.COUNT))
    if status != 200:
        raise Blocked(f"the stream to be left was answered {status or 'not at all'}")
    await _alive(probe, 301)


@should("cancel.often")
async def cancel_often(probe: Probe) -> None:
    """So is it after five left one after the other."""
    for _ in range(5):
        await probe.leave(1, messages=asks.user(asks.COUNT))
    await _alive(probe, 302)


@should("cancel.at_once")
async def cancel_at_once(probe: Probe) -> None:
    """So is it after several left at the same time."""
    await asyncio.gather(*(probe.leave(1, messages=asks.user(asks.COUNT)) for _ in range(AT_ONCE)))
    await _alive(probe, 303)


@must("concurrent.plain")
async def concurrent_plain(probe: Probe) -> None:
    """Four plain requests at once are all answered, each with an id of its own."""
    answers = await asyncio.gather(*(probe.ask(again=400 + number) for number in range(AT_ONCE)))
    for answer in answers:
        expect(answer.status == 200, answer.said)
    ids = [answer.body().get("id") for answer in answers]
    expect(len(set(map(str, ids))) == AT_ONCE, f"the ids are {short(ids)}")


@must("concurrent.streams")
async def concurrent_streams(probe: Probe) -> None:
    """Four streams at once are all whole, and none holds chunks of another."""
    asked = (probe.ask(again=410 + number, stream=True) for number in range(AT_ONCE))
    streams = [Stream(answer) for answer in await asyncio.gather(*asked)]
    seen: list[str] = []
    for stream in streams:
        expect(stream.answer.status == 200 and bool(stream.done), stream.answer.said)
        ids = {str(chunk.get("id")) for chunk in stream.chunks if chunk.get("choices")}
        expect(len(ids) == 1, f"one stream holds the ids {short(sorted(ids))}")
        seen.extend(ids)
    expect(len(set(seen)) == AT_ONCE, f"the streams' ids are {short(seen)}")


@must("concurrent.mixed")
async def concurrent_mixed(probe: Probe) -> None:
    """Plain requests, streams, refusals and lists at once each get their own kind of answer."""
    plain, streamed, refused, listed = await asyncio.gather(
        probe.ask(again=420),
        probe.ask(again=420, stream=True),
        probe.ask(again=420, messages="hello"),
        probe.send("GET", "/models", again=420),
    )
    expect(plain.status == 200 and dig(plain.body(), "object") == "chat.completion", plain.said)
    expect(streamed.status == 200 and streamed.media_type == "text/event-stream", streamed.said)
    expect(400 <= refused.status < 500, refused.said)
    expect(listed.status == 200 and dig(listed.body(), "object") == "list", listed.said)


ASSERTIONS = gathered(globals())
