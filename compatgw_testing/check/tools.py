"""Assertions on tool calls, plain and streamed, and on their results.

A call is demanded by `tool_choice: required`: whether the model calls is then protocol, not
wisdom; what it says is not judged. What does not live here: several calls (`parallel.py`),
other tool choices (`choice.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import (
    Blocked,
    Skips,
    dig,
    expect,
    expect_same,
    gathered,
    is_text,
    may,
    must,
    parsed,
    short,
    should,
)

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Stream


def demanded(**members: object) -> dict[str, Any]:
    """A request that has to be answered by a call of the weather tool."""
    tools = [asks.weather_tool()]
    return {"messages": asks.user(asks.WEATHER), "tools": tools, "tool_choice": "required", **members}


async def _call(probe: Probe) -> dict[str, Any]:
    body = await probe.plain(**demanded())
    message = dig(body, "choices", 0, "message")
    call = dig(message, "tool_calls", 0)
    if dig(body, "choices", 0, "finish_reason") == "length":
        raise Skips("the call ran into the limit of tokens")
    if not isinstance(call, dict):
        raise Blocked(f"no tool was called: {short(message)}")
    return call


async def _stream(probe: Probe) -> Stream:
    stream = await probe.stream(**demanded())
    if "length" in stream.finishes():
        raise Skips("the call ran into the limit of tokens")
    if not stream.fragments:
        raise Blocked(f"no tool was called: {short(stream.deltas())}")
    return stream


@must("tools.status")
async def status(probe: Probe) -> None:
    """A request with tools is answered 200."""
    answer = await probe.ask(**demanded())
    expect(answer.status == 200, answer.said)


@must("tools.called")
async def called(probe: Probe) -> None:
    """With `tool_choice: required` the message has `tool_calls`."""
    message = await probe.message(**demanded())
    calls = message.get("tool_calls")
    expect(isinstance(calls, list) and bool(calls), f"the message is {short(message)}")


@must("tools.finish")
async def finish(probe: Probe) -> None:
    """The finish reason is `tool_calls`."""
    await _call(probe)
    body = await probe.plain(**demanded())
    expect_same(dig(body, "choices", 0, "finish_reason"), "tool_calls", "the finish reason")


@must("tools.id")
async def has_id(probe: Probe) -> None:
    """A call has an `id` that is a string."""
    call = await _call(probe)
    expect(is_text(call.get("id")), f"the call is {short(call)}")


@should("tools.id_new")
async def id_new(probe: Probe) -> None:
    """Each call has an id of its own, over answers too."""
    first = await _call(probe)
    second = dig(await probe.message(again=1, **demanded()), "tool_calls", 0)
    expect(first.get("id") != dig(second, "id"), f"two calls have the id {short(first.get('id'))}")


@must("tools.type")
async def kind(probe: Probe) -> None:
    """A call says `type: function`."""
    call = await _call(probe)
    expect(call.get("type") == "function", f"the call is {short(call)}")


@must("tools.name")
async def name(probe: Probe) -> None:
    """A call names a tool that was offered."""
    call = await _call(probe)
    expect_same(dig(call, "function", "name"), "get_weather", "function.name")


@must("tools.arguments")
async def arguments(probe: Probe) -> None:
    """`arguments` is a string that holds a JSON object."""
    given = dig(await _call(probe), "function", "arguments")
    expect(isinstance(given, str) and isinstance(parsed(given), dict), f"arguments is {short(given)}")


@should("tools.schema")
async def schema(probe: Probe) -> None:
    """The arguments have what the tool's schema requires."""
    value = parsed(dig(await _call(probe), "function", "arguments"))
    expect(isinstance(dig(value, "city"), str), f"the arguments are {short(value)}")


@should("tools.content")
async def content(probe: Probe) -> None:
    """The message has `content`: null or a string."""
    await _call(probe)
    message = await probe.message(**demanded())
    ok = "content" in message and (message["content"] is None or isinstance(message["content"], str))
    expect(ok, f"the message is {short(message)}")


@should("tools.no_index")
async def no_index(probe: Probe) -> None:
    """Calls in a plain answer have no `index`; it belongs to streams."""
    call = await _call(probe)
    expect("index" not in call, f"the call is {short(call)}")


@should("tools.no_function_call")
async def no_function_call(probe: Probe) -> None:
    """The old member `function_call` is not used."""
    message = await probe.message(**demanded())
    expect(not message.get("function_call"), f"the message is {short(message)}")


@must("tools.stream_called")
async def stream_called(probe: Probe) -> None:
    """A stream has `tool_calls` in its deltas when a call is demanded."""
    stream = await probe.stream(**demanded())
    expect(bool(stream.fragments), f"the deltas are {short(stream.deltas())}")


@must("tools.stream_index")
async def stream_index(probe: Probe) -> None:
    """Each fragment of a streamed call has a whole number `index`."""
    for one in (await _stream(probe)).fragments:
        index = one.get("index")
        expect(isinstance(index, int) and not isinstance(index, bool), f"a fragment is {short(one)}")


@must("tools.stream_from_zero")
async def stream_from_zero(probe: Probe) -> None:
    """The indices of streamed calls count from 0."""
    indices = list((await _stream(probe)).calls())
    expect(indices == list(range(len(indices))), f"the indices are {short(indices)}")


@must("tools.stream_first")
async def stream_first(probe: Probe) -> None:
    """The first fragment of a call has its id and its name."""
    for fragments in (await _stream(probe)).calls().values():
        first = fragments[0]
        expect(is_text(first.get("id")) and is_text(dig(first, "function", "name")), f"it is {short(first)}")


@should("tools.stream_type")
async def stream_type(probe: Probe) -> None:
    """The first fragment of a call says `type: function`."""
    for fragments in (await _stream(probe)).calls().values():
        expect(fragments[0].get("type") == "function", f"it is {short(fragments[0])}")


@must("tools.stream_same_id")
async def stream_same_id(probe: Probe) -> None:
    """Later fragments do not bring another id or name."""
    for fragments in (await _stream(probe)).calls().values():
        ids = {one["id"] for one in fragments if is_text(one.get("id"))}
        names = [dig(one, "function", "name") for one in fragments]
        expect(len(ids) <= 1, f"one call has the ids {short(sorted(ids))}")
        # A client joins names as it joins arguments: a name that is repeated is doubled.
        given = [one for one in names if one]
        expect(len(given) == 1, f"one call has the names {short(given)}")


@must("tools.stream_arguments")
async def stream_arguments(probe: Probe) -> None:
    """The fragments' arguments join to a JSON object."""
    stream = await _stream(probe)
    for index in stream.calls():
        joined = stream.arguments(index)
        expect(isinstance(parsed(joined), dict), f"they join to {short(joined)}")


@must("tools.stream_strings")
async def stream_strings(probe: Probe) -> None:
    """Arguments in fragments are strings."""
    for one in (await _stream(probe)).fragments:
        given = dig(one, "function", "arguments")
        expect(given is None or isinstance(given, str), f"a fragment is {short(one)}")


@must("tools.stream_finish")
async def stream_finish(probe: Probe) -> None:
    """A stream with a call finishes once, with `tool_calls`."""
    expect_same((await _stream(probe)).finishes(), ["tool_calls"], "the list of finish reasons")


@must("tools.stream_role")
async def stream_role(probe: Probe) -> None:
    """The first delta of a stream with a call has `role: assistant`."""
    first = dig((await _stream(probe)).deltas(), 0)
    expect_same(dig(first, "role"), "assistant", "the role of the first delta")


@must("tools.stream_done")
async def stream_done(probe: Probe) -> None:
    """A stream with a call ends with `[DONE]`."""
    stream = await _stream(probe)
    expect(stream.events[-1].data.strip() == "[DONE]", f"the last event is {short(stream.events[-1].data)}")


@must("tools.result")
async def result(probe: Probe) -> None:
    """A conversation with a call and its result is answered."""
    answer = await probe.ask(messages=asks.round_trip(), tools=[asks.weather_tool()])
    expect(answer.status == 200, answer.said)
    expect_same(dig(answer.body(), "choices", 0, "message", "role"), "assistant", "choices[0].message.role")


@must("tools.result_stream")
async def result_stream(probe: Probe) -> None:
    """So is it in a stream."""
    stream = await probe.stream(messages=asks.round_trip(), tools=[asks.weather_tool()])
    expect(len(stream.finishes()) == 1, f"the finish reasons are {short(stream.finishes())}")


@should("tools.result_parts")
async def result_parts(probe: Probe) -> None:
    """A result may be a list of text parts."""
    answer = await probe.ask(messages=asks.round_trip(parts=True), tools=[asks.weather_tool()])
    expect(answer.status == 200, answer.said)


@should("tools.bare")
async def bare(probe: Probe) -> None:
    """A tool without `parameters` is taken, and called with a JSON object."""
    asked = demanded(tools=[asks.bare_tool()], messages=asks.user("Roll the dice."))
    answer = await probe.ask(**asked)
    expect(answer.status == 200, answer.said)
    given = dig(answer.body(), "choices", 0, "message", "tool_calls", 0, "function", "arguments")
    expect(isinstance(parsed(given), dict), f"arguments is {short(given)}")


@may("tools.orphan")
async def orphan(probe: Probe) -> None:
    """A tool result without its call is refused with 400."""
    lone = [*asks.user("Hi."), {"role": "tool", "tool_call_id": "call_nobody1234", "content": "21"}]
    answer = await probe.ask(messages=lone)
    expect(answer.status == 400, answer.said)


ASSERTIONS = gathered(globals())
