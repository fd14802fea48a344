"""Assertions on text beyond ASCII, both ways. The group is named `unicode`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, dig, expect, expect_same, expect_utf8, gathered, must, short, should
from compatgw_testing.check.tools import demanded

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

CHAT = "/chat/completions"
LOST = "\ufffd"


async def _asked(probe: Probe, *, stream: bool = False) -> Answer:
    answer = await probe.ask(messages=asks.user(asks.UNICODE), **({"stream": True} if stream else {}))
    if answer.status != 200:
        raise Blocked(f"it was answered {answer.said}")
    return answer


def _halves(text: str) -> list[str]:
    return [f"{ord(one):04x}" for one in text if 0xD800 <= ord(one) < 0xE000]


@must("unicode.taken")
async def taken(probe: Probe) -> None:
    """Emoji, accents, Chinese and Arabic in a message are taken."""
    answer = await probe.ask(messages=asks.user(asks.UNICODE))
    expect(answer.status == 200, answer.said)


@must("unicode.escaped")
async def escaped(probe: Probe) -> None:
    """The same escaped as `\\uXXXX` is taken, and counts the same."""
    raw = json.dumps(probe.asked(messages=asks.user(asks.UNICODE)), ensure_ascii=True).encode()
    answer = await probe.send("POST", CHAT, raw=raw)
    expect(answer.status == 200, answer.said)
    plain = dig((await _asked(probe)).body(), "usage", "prompt_tokens")
    expect_same(dig(answer.body(), "usage", "prompt_tokens"), plain, "usage.prompt_tokens")


@must("unicode.answer")
async def answered(probe: Probe) -> None:
    """A plain answer is UTF-8 with no half of a surrogate pair in it."""
    answer = await _asked(probe)
    expect_utf8(answer.raw, "the body")
    text = str(dig(answer.body(), "choices", 0, "message", "content"))
    expect(not _halves(text), f"the text has {short(_halves(text))}")


@must("unicode.stream")
async def streamed(probe: Probe) -> None:
    """A stream is UTF-8, and no piece of its text ends in half of a character."""
    stream = await probe.stream(messages=asks.user(asks.UNICODE))
    expect_utf8(stream.answer.raw, "the stream")
    for delta in stream.deltas():
        text = delta.get("content") or ""
        expect(not _halves(text), f"a delta is {short(delta)}")


@should("unicode.nothing_lost")
async def nothing_lost(probe: Probe) -> None:
    """No character is replaced by U+FFFD, streamed or not."""
    plain = dig((await _asked(probe)).body(), "choices", 0, "message", "content") or ""
    stream = await probe.stream(messages=asks.user(asks.UNICODE))
    expect(LOST not in plain, f"the text is {short(plain)}")
    expect(LOST not in stream.text(), f"the stream's text is {short(stream.text())}")


@must("unicode.tool")
async def tool(probe: Probe) -> None:
    """A tool described in other letters is taken."""
    described = asks.function("get_weather", "天気 \U0001f326", {"type": "object", "properties": {}})
    answer = await probe.ask(**demanded(tools=[described]))
    expect(answer.status == 200, answer.said)


@should("unicode.error")
async def error(probe: Probe) -> None:
    """The refusal of a role in other letters is readable UTF-8."""
    answer = await probe.ask(messages=[{"role": "役割", "content": "Hi."}])
    if answer.status < 400:
        raise Blocked(f"it was answered {answer.said}")
    expect(answer.status < 500, answer.said)
    expect_utf8(answer.raw, "the body")


ASSERTIONS = gathered(globals())
