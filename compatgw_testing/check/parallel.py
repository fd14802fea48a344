"""Assertions on several tool calls at once. A model that makes one call only gives nothing to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Skips, dig, expect, expect_same, gathered, is_text, must, parsed, short, should
from compatgw_testing.check.tools import demanded

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Stream


def _both(**members: object) -> dict[str, Any]:
    return demanded(**{"messages": asks.user(asks.TWO_CITIES), "max_tokens": 300, **members})


async def _calls(probe: Probe) -> list[dict[str, Any]]:
    calls = (await probe.message(**_both())).get("tool_calls")
    found = [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
    if len(found) < 2:
        raise Skips(f"the model made {len(found)} call, where two were fitting")
    return found


async def _stream(probe: Probe) -> Stream:
    stream = await probe.stream(**_both())
    if len(stream.calls()) < 2 and len({one.get("id") for one in stream.fragments if one.get("id")}) < 2:
        raise Skips(f"the model made {len(stream.calls())} call, where two were fitting")
    return stream


@must("parallel.ids")
async def ids(probe: Probe) -> None:
    """Two calls of one answer have different ids."""
    given = [one.get("id") for one in await _calls(probe)]
    expect(all(is_text(one) for one in given) and len(set(map(str, given))) == len(given), f"they are {short(given)}")


@must("parallel.arguments")
async def arguments(probe: Probe) -> None:
    """Each of two calls has arguments of its own that are a JSON object."""
    for one in await _calls(probe):
        expect(isinstance(parsed(dig(one, "function", "arguments")), dict), f"a call is {short(one)}")


@must("parallel.stream_indices")
async def stream_indices(probe: Probe) -> None:
    """Two streamed calls have the indices 0 and 1."""
    indices = list((await _stream(probe)).calls())
    expect(indices == list(range(len(indices))) and len(indices) > 1, f"the indices are {short(indices)}")


@must("parallel.stream_ids")
async def stream_ids(probe: Probe) -> None:
    """Two streamed calls have different ids."""
    given = [fragments[0].get("id") for fragments in (await _stream(probe)).calls().values()]
    expect(len(given) > 1 and len(set(map(str, given))) == len(given), f"they are {short(given)}")


@must("parallel.stream_arguments")
async def stream_arguments(probe: Probe) -> None:
    """The arguments of each streamed call join to a JSON object."""
    stream = await _stream(probe)
    for index in stream.calls():
        joined = stream.arguments(index)
        expect(isinstance(parsed(joined), dict), f"those of call {short(index)} join to {short(joined)}")


@should("parallel.stream_in_turn")
async def stream_in_turn(probe: Probe) -> None:
    """One streamed call ends before the next begins."""
    order = [one.get("index") for one in (await _stream(probe)).fragments]
    numbers = [one for one in order if isinstance(one, int)]
    expect(numbers == sorted(numbers), f"the fragments' indices are {short(order)}")


@must("parallel.stream_finish")
async def stream_finish(probe: Probe) -> None:
    """A stream with two calls finishes once, with `tool_calls`."""
    expect_same((await _stream(probe)).finishes(), ["tool_calls"], "the list of finish reasons")


@must("parallel.off")
async def off(probe: Probe) -> None:
    """`parallel_tool_calls: false` gives one call, or is refused."""
    asked = _both(messages=asks.user(f"{asks.TWO_CITIES} Thank you."), parallel_tool_calls=False)
    answer = await probe.optional("parallel_tool_calls", **asked)
    expect(answer.status == 200, answer.said)
    calls = dig(answer.body(), "choices", 0, "message", "tool_calls")
    expect(isinstance(calls, list) and len(calls) == 1, f"tool_calls is {short(calls)}")


@must("parallel.results")
async def results(probe: Probe) -> None:
    """A conversation with two calls and both results is answered."""
    answer = await probe.ask(messages=asks.double_round_trip(), tools=[asks.weather_tool()])
    expect(answer.status == 200, answer.said)


ASSERTIONS = gathered(globals())
