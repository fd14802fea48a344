"""Assertions on plain chat answers: their members, and what a conversation may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.check import asks
from compatgw_testing.check.base import (
    Blocked,
    Skips,
    dig,
    expect,
    expect_same,
    expect_utf8,
    gathered,
    is_count,
    is_text,
    may,
    must,
    short,
    should,
)
from compatgw_testing.check.probe import REFUSALS

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

FINISHES = ("stop", "length", "tool_calls", "content_filter", "function_call")
SHORT = 5


@must("chat.status")
async def status(probe: Probe) -> None:
    """A chat request is answered 200."""
    answer = await probe.ask()
    expect(answer.status == 200 and answer.failure is None, answer.said)


@must("chat.content_type")
async def content_type(probe: Probe) -> None:
    """A plain answer is `application/json`."""
    answer = await probe.ask()
    expect_same(answer.media_type, "application/json", "the content type")


@must("chat.json")
async def is_json(probe: Probe) -> None:
    """A plain answer is one JSON object in UTF-8."""
    answer = await probe.ask()
    expect_utf8(answer.raw, "the body")
    expect(answer.raw.lstrip()[:1] == b"{", answer.said)
    try:
        answer.value()
    except Blocked as error:
        expect(False, str(error))


@must("chat.object")
async def object_name(probe: Probe) -> None:
    """`object` is `chat.completion`."""
    expect_same((await probe.plain()).get("object"), "chat.completion", "object")


@must("chat.id")
async def has_id(probe: Probe) -> None:
    """`id` is a string that is not empty."""
    body = await probe.plain()
    expect(is_text(body.get("id")), f"id is {short(body.get('id'))}")


@must("chat.id_new")
async def id_new(probe: Probe) -> None:
    """Each answer has an id of its own."""
    one, two = await probe.plain(), await probe.plain(again=1)
    expect(one.get("id") != two.get("id"), f"two answers have the id {short(one.get('id'))}")


@must("chat.created")
async def created(probe: Probe) -> None:
    """`created` is whole seconds since 1970."""
    value = (await probe.plain()).get("created")
    expect(is_count(value) and 10**9 < value < 10**10, f"created is {short(value)}")


@must("chat.model")
async def model(probe: Probe) -> None:
    """`model` is a string that is not empty."""
    body = await probe.plain()
    expect(is_text(body.get("model")), f"model is {short(body.get('model'))}")


@must("chat.choices")
async def choices(probe: Probe) -> None:
    """`choices` is a list with one choice, whose `index` is 0."""
    body = await probe.plain()
    given = body.get("choices")
    expect(isinstance(given, list) and len(given) == 1, f"choices is {short(given)}")
    expect_same(dig(body, "choices", 0, "index"), 0, "choices[0].index")


@must("chat.role")
async def role(probe: Probe) -> None:
    """The message's role is `assistant`."""
    expect_same((await probe.message()).get("role"), "assistant", "choices[0].message.role")


@must("chat.content")
async def content(probe: Probe) -> None:
    """The message's `content` is a string when no tool was called."""
    message = await probe.message()
    ok = isinstance(message.get("content"), str) or ("content" in message and message.get("refusal"))
    expect(bool(ok), f"choices[0].message is {short(message)}")


@must("chat.finish")
async def finish(probe: Probe) -> None:
    """`finish_reason` is one of OpenAI's words."""
    body = await probe.plain()
    reason = dig(body, "choices", 0, "finish_reason")
    expect(reason in FINISHES, f"finish_reason is {short(reason)}")


@must("chat.no_delta")
async def no_delta(probe: Probe) -> None:
    """A plain answer has no `delta`."""
    choice = dig(await probe.plain(), "choices", 0)
    expect("delta" not in (choice or {}), f"choices[0] is {short(choice)}")


@must("chat.no_error")
async def no_error(probe: Probe) -> None:
    """A good answer has no `error`."""
    body = await probe.plain()
    expect(not body.get("error"), f"error is {short(body.get('error'))}")


@should("chat.no_tool_calls")
async def no_tool_calls(probe: Probe) -> None:
    """Without tools the message has no `tool_calls`, not even an empty list."""
    message = await probe.message()
    expect(message.get("tool_calls") is None, f"tool_calls is {short(message.get('tool_calls'))}")


@must("chat.stream_false")
async def stream_false(probe: Probe) -> None:
    """`stream: false` is the same as no `stream`: one JSON object."""
    answer = await probe.ask(stream=False)
    expect(answer.status == 200 and answer.media_type == "application/json", answer.said)
    expect_same(answer.body().get("object"), "chat.completion", "object")


@must("chat.system")
async def system(probe: Probe) -> None:
    """A system message is taken."""
    await _taken(probe, [{"role": "system", "content": "Be brief."}, *asks.user(asks.HELLO)])


@may("chat.developer")
async def developer(probe: Probe) -> None:
    """A developer message is taken."""
    await _taken(probe, [{"role": "developer", "content": "Be brief."}, *asks.user(asks.HELLO)])


@must("chat.history")
async def history(probe: Probe) -> None:
    """A conversation of several turns is taken."""
    turns = [*asks.user("Hi."), {"role": "assistant", "content": "Hello!"}, *asks.user(asks.HELLO)]
    await _taken(probe, turns)


@must("chat.parts")
async def parts(probe: Probe) -> None:
    """`content` may be a list of text parts."""
    await _taken(probe, asks.user([{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]))


@should("chat.parts_system")
async def parts_system(probe: Probe) -> None:
    """A system message's `content` may be a list of text parts."""
    brief = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    await _taken(probe, [brief, *asks.user(asks.HELLO)])


@may("chat.name")
async def name(probe: Probe) -> None:
    """A message may carry `name`."""
    await _taken(probe, [{"role": "user", "name": "ada", "content": asks.HELLO}])


async def _taken(probe: Probe, messages: asks.Messages) -> None:
    answer = await probe.ask(messages=messages)
    expect(answer.status == 200, answer.said)
    expect_same(dig(answer.body(), "choices", 0, "message", "role"), "assistant", "choices[0].message.role")


@must("chat.max_tokens")
async def max_tokens(probe: Probe) -> None:
    """`max_tokens` ends a long answer with `finish_reason: length`."""
    await _limited(probe, "max_tokens")


@should("chat.max_completion_tokens")
async def max_completion_tokens(probe: Probe) -> None:
    """`max_completion_tokens` does the same."""
    await _limited(probe, "max_completion_tokens")


@should("chat.limit_counts")
async def limit_counts(probe: Probe) -> None:
    """An answer that was cut by its limit has used no more tokens than that."""
    body = await _limited(probe, "max_tokens", judged=False)
    used = dig(body, "usage", "completion_tokens")
    if not is_count(used):
        raise Blocked("the answer has no usage")
    expect(used <= SHORT, f"{used} tokens were used, the limit was {SHORT}")


async def _limited(probe: Probe, member: str, *, judged: bool = True) -> dict[str, Any]:
    answer = await probe.ask(**{"messages": asks.user(asks.COUNT), member: SHORT})
    if answer.status in REFUSALS and dig(answer.error, "param") == member:
        raise Skips(f"this model does not take {member}: {answer.said}")
    if not judged and answer.status != 200:
        raise Blocked(f"the request that this rests on was answered {answer.said}")
    expect(answer.status == 200, answer.said)
    body = answer.body()
    used = dig(body, "usage", "completion_tokens")
    if dig(body, "choices", 0, "finish_reason") == "stop" and is_count(used) and used < SHORT:
        raise Skips(f"the model was done after {used} tokens, before its limit of {SHORT}")
    if judged:
        expect_same(dig(body, "choices", 0, "finish_reason"), "length", "finish_reason")
    return body


@should("chat.n")
async def two(probe: Probe) -> None:
    """`n: 2` gives two choices with the indices 0 and 1, or is refused; it is not ignored."""
    answer = await probe.optional("n", n=2)
    expect(answer.status == 200, answer.said)
    given = answer.body().get("choices")
    rows = given if isinstance(given, list) else []
    expect_same([dig(one, "index") for one in rows], [0, 1], "the choices' indices")


ASSERTIONS = gathered(globals())
