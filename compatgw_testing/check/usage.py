"""Assertions on token counts, plain and streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, dig, expect, expect_same, gathered, is_count, must, short, should

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Stream

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
ASKED = {"include_usage": True}


async def _plain(probe: Probe, **members: object) -> dict[str, Any]:
    usage = (await probe.plain(**members)).get("usage")
    if not isinstance(usage, dict) or not all(is_count(usage.get(name)) for name in COUNTS):
        raise Blocked(f"usage is {short(usage)}")
    return usage


async def _asked(probe: Probe) -> Stream:
    return await probe.stream(stream_options=ASKED)


async def _counted(probe: Probe) -> dict[str, Any]:
    found = (await _asked(probe)).usages()
    if not found:
        raise Blocked("no chunk has usage")
    usage: dict[str, Any] = found[-1]["usage"]
    return usage


@must("usage.plain")
async def plain(probe: Probe) -> None:
    """A plain answer has `usage` with three whole numbers."""
    usage = (await probe.plain()).get("usage")
    expect(isinstance(usage, dict), f"usage is {short(usage)}")
    for name in COUNTS:
        expect(is_count(dig(usage, name)), f"usage.{name} is {short(dig(usage, name))}")


@must("usage.adds_up")
async def adds_up(probe: Probe) -> None:
    """`total_tokens` is prompt and completion together."""
    usage = await _plain(probe)
    expect(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], short(usage))


@should("usage.counts")
async def counts(probe: Probe) -> None:
    """Neither the prompt nor the completion counts nothing."""
    usage = await _plain(probe)
    expect(usage["prompt_tokens"] > 0 and usage["completion_tokens"] > 0, short(usage))


@should("usage.details")
async def details(probe: Probe) -> None:
    """Cached and reasoning tokens are parts of prompt and completion."""
    usage = await _plain(probe)
    cached = dig(usage, "prompt_tokens_details", "cached_tokens") or 0
    thought = dig(usage, "completion_tokens_details", "reasoning_tokens") or 0
    expect(cached <= usage["prompt_tokens"] and thought <= usage["completion_tokens"], short(usage))


@should("usage.grows")
async def grows(probe: Probe) -> None:
    """A longer prompt counts more."""
    brief = await _plain(probe)
    lengthy = await _plain(probe, messages=asks.user(f"{asks.HELLO} " + "Take these words along. " * 30))
    expect(
        lengthy["prompt_tokens"] > brief["prompt_tokens"],
        f"{lengthy['prompt_tokens']} tokens for a long prompt, {brief['prompt_tokens']} for a short one",
    )


@should("usage.not_asked")
async def not_asked(probe: Probe) -> None:
    """A stream has no usage unless it was asked for."""
    found = (await probe.stream()).usages()
    expect(not found, f"a chunk is {short(found[:1])}")


@must("usage.asked")
async def asked(probe: Probe) -> None:
    """`stream_options.include_usage` gives usage in exactly one chunk."""
    found = (await _asked(probe)).usages()
    expect(len(found) == 1, f"{len(found)} chunks have usage")


@must("usage.empty_choices")
async def empty_choices(probe: Probe) -> None:
    """The chunk with usage has an empty list `choices`."""
    await _counted(probe)
    for chunk in (await _asked(probe)).usages():
        expect(chunk.get("choices") == [], f"a chunk is {short(chunk)}")


@must("usage.last")
async def last(probe: Probe) -> None:
    """The chunk with usage is the last before `[DONE]`."""
    await _counted(probe)
    stream = await _asked(probe)
    expect(isinstance(stream.chunks[-1].get("usage"), dict), f"the last chunk is {short(stream.chunks[-1])}")


@should("usage.head")
async def head(probe: Probe) -> None:
    """The chunk with usage has the id, model and object of the others."""
    await _counted(probe)
    stream = await _asked(probe)
    first, counted = stream.chunks[0], stream.usages()[-1]
    for name in ("id", "model", "object"):
        expect_same(counted.get(name), first.get(name), f"{name} of the chunk with usage")


@must("usage.stream_counts")
async def stream_counts(probe: Probe) -> None:
    """Streamed usage has three whole numbers that add up."""
    usage = await _counted(probe)
    expect(all(is_count(usage.get(name)) for name in COUNTS), short(usage))
    expect(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], short(usage))


@should("usage.stream_as_plain")
async def stream_as_plain(probe: Probe) -> None:
    """Streamed or not, the same prompt counts the same."""
    expect_same((await _counted(probe)).get("prompt_tokens"), (await _plain(probe))["prompt_tokens"], "prompt_tokens")


@should("usage.off")
async def off(probe: Probe) -> None:
    """`include_usage: false` gives none."""
    found = (await probe.stream(stream_options={"include_usage": False})).usages()
    expect(not found, f"a chunk is {short(found[:1])}")


@must("usage.done_after")
async def done_after(probe: Probe) -> None:
    """`[DONE]` still comes last after the chunk with usage."""
    stream = await _asked(probe)
    expect(stream.events[-1].data.strip() == "[DONE]", f"the last event is {short(stream.events[-1].data)}")


ASSERTIONS = gathered(globals())
