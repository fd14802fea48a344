"""Assertions on pictures. A model that takes none gives little to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import Skips, dig, expect, gathered, is_count, is_text, may, must, should
from compatgw_testing.check.probe import REFUSALS
from compatgw_testing.check.wire import Stream

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer


async def _seen(probe: Probe) -> Answer:
    """The answer to a picture; some servers that see nothing fail with 500."""
    answer = await probe.ask(messages=asks.picture())
    if answer.status != 200:
        raise Skips(f"the server takes no pictures: {answer.said}")
    return answer


@must("vision.refusal")
async def refusal(probe: Probe) -> None:
    """A server that takes no pictures says so with 4xx and an envelope, not with 5xx."""
    answer = await probe.ask(messages=asks.picture())
    if answer.status == 200:
        return
    expect(answer.status in REFUSALS and is_text(dig(answer.error, "message")), answer.said)


@must("vision.answer")
async def seen(probe: Probe) -> None:
    """A picture in a data URL is answered like text."""
    answer = await _seen(probe)
    message = dig(answer.body(), "choices", 0, "message")
    expect(dig(message, "role") == "assistant" and isinstance(dig(message, "content"), str), answer.said)


@must("vision.stream")
async def stream(probe: Probe) -> None:
    """So is it in a stream."""
    await _seen(probe)
    answer = await probe.ask(messages=asks.picture(), stream=True)
    finishes = Stream(answer).finishes()
    expect(answer.status == 200 and len(finishes) == 1, answer.said)


@should("vision.detail")
async def detail(probe: Probe) -> None:
    """`detail` is taken."""
    await _seen(probe)
    asked = asks.picture()
    asked[0]["content"][1]["image_url"]["detail"] = "low"
    answer = await probe.ask(messages=asked)
    expect(answer.status == 200, answer.said)


@should("vision.broken")
async def broken(probe: Probe) -> None:
    """A picture whose base64 is broken is refused with 4xx."""
    await _seen(probe)
    answer = await probe.ask(messages=asks.picture("%%% no base64 %%%"))
    expect(400 <= answer.status < 500, answer.said)


@may("vision.counted")
async def counted(probe: Probe) -> None:
    """A picture counts as prompt."""
    with_picture = dig((await _seen(probe)).body(), "usage", "prompt_tokens")
    only_text = dig(await probe.plain(messages=asks.user(asks.PICTURE)), "usage", "prompt_tokens")
    if not is_count(with_picture) or not is_count(only_text):
        raise Skips("the answers have no usage")
    expect(with_picture > only_text, f"{with_picture} tokens with it, {only_text} without")


ASSERTIONS = gathered(globals())
