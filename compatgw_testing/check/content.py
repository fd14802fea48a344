"""Assertions on the chunks of a stream: what stays the same, what comes first, what comes once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import Skips, dig, expect, expect_same, gathered, is_text, must, short, should
from compatgw_testing.check.chat import FINISHES, SHORT
from compatgw_testing.check.probe import REFUSALS
from compatgw_testing.check.wire import Stream

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

WORDS = ("content", "reasoning_content", "reasoning", "refusal")


def _heads(stream: Stream, member: str) -> list[Any]:
    """The different values of a member over the chunks with choices or usage."""
    values: list[Any] = []
    for chunk in stream.chunks:
        if (chunk.get("choices") or chunk.get("usage")) and chunk.get(member) not in values:
            values.append(chunk.get(member))
    return values


@must("content.object")
async def object_name(probe: Probe) -> None:
    """Each chunk says `object: chat.completion.chunk`."""
    expect_same(_heads(await probe.stream(), "object"), ["chat.completion.chunk"], "the list of values")


@must("content.id")
async def same_id(probe: Probe) -> None:
    """All chunks of a stream have the same `id`, which is not empty."""
    ids = _heads(await probe.stream(), "id")
    expect(len(ids) == 1 and is_text(ids[0]), f"the ids are {short(ids)}")


@must("content.created")
async def same_created(probe: Probe) -> None:
    """All chunks of a stream have the same `created`, in whole seconds."""
    values = _heads(await probe.stream(), "created")
    expect(len(values) == 1 and isinstance(values[0], int), f"the values are {short(values)}")


@must("content.model")
async def same_model(probe: Probe) -> None:
    """All chunks of a stream have the same `model`, which is not empty."""
    values = _heads(await probe.stream(), "model")
    expect(len(values) == 1 and is_text(values[0]), f"the models are {short(values)}")


@should("content.model_as_plain")
async def model_as_plain(probe: Probe) -> None:
    """A stream names the same `model` as a plain answer."""
    plain = (await probe.plain()).get("model")
    expect_same(_heads(await probe.stream(), "model")[:1], [plain], "the stream's model")


@must("content.id_new")
async def id_new(probe: Probe) -> None:
    """Each stream has an id of its own."""
    one, two = await probe.stream(), await probe.stream(again=1)
    expect(_heads(one, "id") != _heads(two, "id"), f"two streams have the id {short(_heads(one, 'id'))}")


@must("content.choices")
async def choices(probe: Probe) -> None:
    """Each chunk has a list `choices`."""
    for chunk in (await probe.stream()).chunks:
        expect(isinstance(chunk.get("choices"), list), f"a chunk is {short(chunk)}")


@must("content.index")
async def index(probe: Probe) -> None:
    """Each choice has a whole number `index`; without `n` it is 0."""
    for choice in (await probe.stream()).choices:
        expect(choice.get("index") == 0 and not isinstance(choice["index"], bool), f"a choice is {short(choice)}")


@must("content.delta")
async def delta(probe: Probe) -> None:
    """Each choice has an object `delta`, and no `message`."""
    for choice in (await probe.stream()).choices:
        expect(isinstance(choice.get("delta"), dict) and "message" not in choice, f"a choice is {short(choice)}")


@must("content.role_first")
async def role_first(probe: Probe) -> None:
    """The first delta has `role: assistant`."""
    first = dig((await probe.stream()).deltas(), 0)
    expect_same(dig(first, "role"), "assistant", "the role of the first delta")


@should("content.role_once")
async def role_once(probe: Probe) -> None:
    """The role comes once."""
    roles = [one["role"] for one in (await probe.stream()).deltas() if one.get("role")]
    expect(len(roles) <= 1, f"it comes {len(roles)} times")


@must("content.strings")
async def strings(probe: Probe) -> None:
    """`delta.content` is a string or null."""
    for one in (await probe.stream()).deltas():
        expect(one.get("content") is None or isinstance(one["content"], str), f"a delta is {short(one)}")


@must("content.text")
async def text(probe: Probe) -> None:
    """The deltas hold words: text, reasoning or a refusal."""
    deltas = (await probe.stream()).deltas()
    expect(any(one.get(word) for one in deltas for word in WORDS), f"the deltas are {short(deltas)}")


@must("content.finish_once")
async def finish_once(probe: Probe) -> None:
    """A finish reason comes exactly once."""
    stream = await probe.stream()
    finishes = stream.finishes()
    expect(len(finishes) == 1, f"the finish reasons are {short(finishes)}")


@must("content.finish_known")
async def finish_known(probe: Probe) -> None:
    """The finish reason is one of OpenAI's words."""
    for reason in (await probe.stream()).finishes():
        expect(reason in FINISHES, f"the finish reason is {short(reason)}")


@must("content.finish_last")
async def finish_last(probe: Probe) -> None:
    """Nothing is said after the finish reason."""
    over = False
    for choice in (await probe.stream()).of(0):
        said = [word for word in (*WORDS, "tool_calls") if dig(choice, "delta", word)]
        expect(not (over and said), f"after the finish comes {short(choice)}")
        over = over or choice.get("finish_reason") is not None


@should("content.finish_null")
async def finish_null(probe: Probe) -> None:
    """Before its end each choice has `finish_reason: null`."""
    for choice in (await probe.stream()).of(0):
        expect("finish_reason" in choice, f"a choice is {short(choice)}")


@must("content.length")
async def length(probe: Probe) -> None:
    """A stream that is cut by its limit ends with `finish_reason: length`."""
    answer = await probe.ask(messages=asks.user(asks.COUNT), max_tokens=SHORT, stream=True)
    if answer.status in REFUSALS and dig(answer.error, "param") == "max_tokens":
        raise Skips(f"this model does not take max_tokens: {answer.said}")
    expect(answer.status == 200, answer.said)
    stream = Stream(answer)
    if stream.finishes() == ["stop"] and len(stream.text().split()) < SHORT:
        raise Skips(f"the model was done after {short(stream.text())}, before its limit of {SHORT} tokens")
    expect_same(stream.finishes(), ["length"], "the list of finish reasons")


@must("content.no_error")
async def no_error(probe: Probe) -> None:
    """A good stream has no `error`."""
    stream = await probe.stream()
    expect(stream.error is None, f"there is the error {short(stream.error)}")


@should("content.n")
async def two(probe: Probe) -> None:
    """With `n: 2` each of two choices has its own role and finish reason."""
    stream = Stream(await probe.optional("n", n=2, stream=True))
    for number in (0, 1):
        roles = [one["role"] for one in stream.deltas(number) if one.get("role")]
        expect(bool(roles), f"choice {number} has no role")
        expect(len(stream.finishes(number)) == 1, f"choice {number} has {len(stream.finishes(number))} finish reasons")


ASSERTIONS = gathered(globals())
