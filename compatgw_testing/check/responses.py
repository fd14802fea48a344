"""Assertions on `POST /responses`, where a server has it: one answer, and the order of a stream's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, Skips, dig, expect, expect_same, gathered, is_text, must, short, should
from compatgw_testing.check.wire import Stream

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

ABSENT = frozenset({403, 404, 405, 501})
ENDS = ("response.completed", "response.incomplete")


async def _ask(probe: Probe, **members: object) -> Answer:
    body = {"model": probe.model, "input": asks.HELLO, "max_output_tokens": 200, **members}
    answer = await probe.send("POST", "/responses", body=body)
    if answer.status in ABSENT:
        raise Skips(f"responses are not served here: {answer.said}")
    return answer


async def _plain(probe: Probe) -> dict[str, Any]:
    answer = await _ask(probe)
    if answer.status != 200:
        raise Blocked(f"the request that this rests on was answered {answer.said}")
    return answer.body()


async def _stream(probe: Probe) -> Stream:
    stream = Stream(await _ask(probe, stream=True))
    if stream.answer.status != 200 or not stream.chunks:
        raise Blocked(f"the stream that this rests on was answered {stream.answer.said}")
    return stream


@must("responses.status")
async def status(probe: Probe) -> None:
    """A question is answered 200 with `object: response`."""
    answer = await _ask(probe)
    expect(answer.status == 200, answer.said)
    expect_same(answer.body().get("object"), "response", "object")


@must("responses.output")
async def output(probe: Probe) -> None:
    """`output` is a list with a message that holds `output_text`, or the answer is incomplete."""
    body = await _plain(probe)
    given = body.get("output")
    messages = [one for one in given if dig(one, "type") == "message"] if isinstance(given, list) else []
    kinds = [dig(part, "type") for one in messages for part in (dig(one, "content") or ())]
    expect("output_text" in kinds or body.get("status") == "incomplete", f"output is {short(given)}")


@must("responses.head")
async def head(probe: Probe) -> None:
    """An answer has an id, a model, and the status `completed` or `incomplete`."""
    body = await _plain(probe)
    expect(is_text(body.get("id")) and is_text(body.get("model")), f"the answer is {short(body)}")
    expect(body.get("status") in ("completed", "incomplete"), f"status is {short(body.get('status'))}")


@should("responses.usage")
async def usage(probe: Probe) -> None:
    """Its usage adds up."""
    given = (await _plain(probe)).get("usage")
    parts = [dig(given, name) for name in ("input_tokens", "output_tokens", "total_tokens")]
    numbers = [one for one in parts if isinstance(one, int)]
    expect(len(numbers) == 3 and numbers[0] + numbers[1] == numbers[2], f"usage is {short(given)}")


@must("responses.content_type")
async def content_type(probe: Probe) -> None:
    """A stream is `text/event-stream`."""
    answer = await _ask(probe, stream=True)
    expect_same(answer.media_type, "text/event-stream", "the content type")


@must("responses.first")
async def first(probe: Probe) -> None:
    """A stream begins with `response.created`."""
    expect_same((await _stream(probe)).chunks[0].get("type"), "response.created", "the first event")


@must("responses.last")
async def last(probe: Probe) -> None:
    """A stream ends with `response.completed` or `response.incomplete`, once."""
    kinds = [chunk.get("type") for chunk in (await _stream(probe)).chunks]
    expect(kinds[-1] in ENDS and sum(kind in ENDS for kind in kinds) == 1, f"the last events are {short(kinds[-3:])}")


@must("responses.names")
async def names(probe: Probe) -> None:
    """Each event's name is its `type`."""
    stream = await _stream(probe)
    for event, (_, value) in zip(stream.events, stream.parsed, strict=False):
        expect(event.name == dig(value, "type"), f"the event {short(event.name)} is {short(value)}")


@must("responses.numbers")
async def numbers(probe: Probe) -> None:
    """`sequence_number` counts up by one from 0."""
    given = [chunk.get("sequence_number") for chunk in (await _stream(probe)).chunks]
    expect(given == list(range(len(given))), f"the numbers are {short(given)}")


@must("responses.text")
async def text(probe: Probe) -> None:
    """The deltas of a text join to what `response.output_text.done` says."""
    chunks = (await _stream(probe)).chunks
    joined = "".join(str(one.get("delta")) for one in chunks if one.get("type") == "response.output_text.delta")
    done = [one.get("text") for one in chunks if one.get("type") == "response.output_text.done"]
    if not done and not joined:
        raise Skips("the answer has no text")
    expect(done == [joined], f"{short(done)} is not {short([joined])}")


ASSERTIONS = gathered(globals())
