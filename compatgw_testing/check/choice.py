"""Assertions on `tool_choice`: none, auto, a named tool, and what makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, dig, expect, expect_same, gathered, may, must, short, should
from compatgw_testing.check.tools import demanded

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe


def _named(name: str) -> dict[str, Any]:
    tools = [asks.weather_tool(), asks.clock_tool()]
    return demanded(tools=tools, tool_choice={"type": "function", "function": {"name": name}})


@must("choice.none")
async def none(probe: Probe) -> None:
    """`none` gives words and no call."""
    message = await probe.message(**demanded(tool_choice="none"))
    expect(not message.get("tool_calls"), f"tool_calls is {short(message.get('tool_calls'))}")


@must("choice.none_stream")
async def none_stream(probe: Probe) -> None:
    """So does it in a stream."""
    stream = await probe.stream(**demanded(tool_choice="none"))
    expect(not stream.fragments, f"a fragment is {short(stream.fragments[:1])}")


@must("choice.auto")
async def auto(probe: Probe) -> None:
    """`auto` is taken, and the finish reason fits what came."""
    answer = await probe.ask(**demanded(tool_choice="auto"))
    expect(answer.status == 200, answer.said)
    choice = dig(answer.body(), "choices", 0)
    called = bool(dig(choice, "message", "tool_calls"))
    reason = dig(choice, "finish_reason")
    expect(called == (reason == "tool_calls"), f"the finish reason is {short(reason)} with {called=}")


@must("choice.named")
async def named(probe: Probe) -> None:
    """A named tool is the one that is called."""
    answer = await probe.ask(**_named("get_time"))
    expect(answer.status == 200, answer.said)
    calls = dig(answer.body(), "choices", 0, "message", "tool_calls")
    names = [dig(one, "function", "name") for one in calls] if isinstance(calls, list) else []
    expect(bool(names) and set(names) == {"get_time"}, f"the calls are {short(calls)}")


@must("choice.named_stream")
async def named_stream(probe: Probe) -> None:
    """So is it in a stream."""
    stream = await probe.stream(**_named("get_time"))
    names = {dig(one, "function", "name") for one in stream.fragments} - {None, ""}
    expect(names == {"get_time"}, f"the calls are of {short(sorted(names))}")


@should("choice.named_finish")
async def named_finish(probe: Probe) -> None:
    """A named call finishes with `stop` or `tool_calls`."""
    body = await probe.plain(**_named("get_time"))
    if not dig(body, "choices", 0, "message", "tool_calls"):
        raise Blocked("the named tool was not called")
    reason = dig(body, "choices", 0, "finish_reason")
    expect(reason in ("stop", "tool_calls"), f"the finish reason is {short(reason)}")


@should("choice.unknown_name")
async def unknown_name(probe: Probe) -> None:
    """A name that is not among the tools is refused with 400."""
    answer = await probe.ask(**_named("get_nothing"))
    expect_same(answer.status, 400, "the status")


@should("choice.no_tools")
async def no_tools(probe: Probe) -> None:
    """`required` without any tools is refused with 400."""
    answer = await probe.ask(tool_choice="required")
    expect_same(answer.status, 400, "the status")


@should("choice.bad_word")
async def bad_word(probe: Probe) -> None:
    """An unknown word is refused with 400."""
    answer = await probe.ask(**demanded(tool_choice="sometimes"))
    expect_same(answer.status, 400, "the status")


@may("choice.no_name")
async def no_name(probe: Probe) -> None:
    """A tool without a name is refused with 400."""
    nameless = {"type": "function", "function": {"description": "Nobody"}}
    answer = await probe.ask(**demanded(tools=[nameless]))
    expect_same(answer.status, 400, "the status")


ASSERTIONS = gathered(globals())
