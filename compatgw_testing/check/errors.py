"""Assertions on refusals: the right status, OpenAI's envelope, the member at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import Blocked, dig, expect, expect_same, gathered, is_text, may, must, short, should
from compatgw_testing.check.probe import LEAVE_OUT

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

NOBODY = "no-such-model-5f1c"
MEMBERS = ("message", "type", "param", "code")
CHAT = "/chat/completions"
# What betrays the inside of a server.
TRACES = ("Traceback (most recent", 'File "/', "\n    at ", "goroutine ", "stack backtrace")


async def _refused(probe: Probe) -> Answer:
    """A request without messages, refused."""
    answer = await probe.ask(messages=LEAVE_OUT)
    if answer.status < 400:
        raise Blocked(f"a request without messages was answered {answer.said}")
    return answer


async def _all_refused(probe: Probe) -> list[Answer]:
    asked = (
        await probe.ask(messages=LEAVE_OUT),
        await probe.ask(messages="hello"),
        await probe.ask(temperature="hot"),
        await probe.send("POST", CHAT, raw=b'{"model": '),
        await probe.send("GET", "/no/such/path"),
    )
    found = [one for one in asked if one.status >= 400]
    if not found:
        raise Blocked("nothing was refused")
    return found


async def _gives_400(probe: Probe, **members: object) -> None:
    answer = await probe.ask(**members)
    expect(answer.status in (400, 422), answer.said)


@must("errors.envelope")
async def envelope(probe: Probe) -> None:
    """Each refusal has a body `{"error": {"message": ...}}`."""
    for answer in await _all_refused(probe):
        expect(is_text(dig(answer.error, "message")), answer.said)


@should("errors.members")
async def members(probe: Probe) -> None:
    """The envelope has message, type, param and code, null where there is nothing to say."""
    error = (await _refused(probe)).error
    missing = [name for name in MEMBERS if not isinstance(error, dict) or name not in error]
    expect(not missing, f"{short(missing)} is missing in {short(error)}")


@should("errors.types")
async def types(probe: Probe) -> None:
    """`type` is a string; `param` and `code` are strings or null."""
    error = (await _refused(probe)).error
    expect(is_text(dig(error, "type")), f"type is {short(dig(error, 'type'))}")
    for name in ("param", "code"):
        value = dig(error, name)
        expect(value is None or isinstance(value, str), f"{name} is {short(value)}")


@should("errors.type_word")
async def type_word(probe: Probe) -> None:
    """A request at fault is an `invalid_request_error`."""
    error = (await _refused(probe)).error
    expect_same(dig(error, "type"), "invalid_request_error", "type")


@must("errors.content_type")
async def content_type(probe: Probe) -> None:
    """Refusals are `application/json`."""
    for answer in await _all_refused(probe):
        expect(answer.media_type == "application/json", f"{answer.media_type}: {answer.said}")


@should("errors.no_trace")
async def no_trace(probe: Probe) -> None:
    """Refusals show nothing of the server's inside: no stack traces, no file paths."""
    for answer in await _all_refused(probe):
        text = answer.raw.decode("utf-8", "replace")
        expect(not any(trace in text for trace in TRACES), answer.said)


@must("errors.no_key")
async def no_key(probe: Probe) -> None:
    """Refusals do not repeat the caller's key."""
    if not probe.key:
        raise Blocked("no key was given")
    for answer in await _all_refused(probe):
        expect(probe.key.encode() not in answer.raw, f"a refusal with status {answer.status} repeats the key")


@should("errors.unknown_model")
async def unknown_model(probe: Probe) -> None:
    """A model that does not exist is refused with 404 and an envelope."""
    answer = await probe.ask(model=NOBODY)
    expect(answer.status == 404 and is_text(dig(answer.error, "message")), answer.said)


@may("errors.unknown_model_code")
async def unknown_model_code(probe: Probe) -> None:
    """Its code is `model_not_found`."""
    answer = await probe.ask(model=NOBODY)
    if answer.status < 400:
        raise Blocked(f"it was answered {answer.said}")
    expect_same(dig(answer.error, "code"), "model_not_found", "code")


@should("errors.no_model")
async def no_model(probe: Probe) -> None:
    """A request without `model` is refused with 400."""
    await _gives_400(probe, model=LEAVE_OUT)


@must("errors.no_messages")
async def no_messages(probe: Probe) -> None:
    """A request without `messages` is refused with 400."""
    await _gives_400(probe, messages=LEAVE_OUT)


@should("errors.empty_messages")
async def empty_messages(probe: Probe) -> None:
    """An empty list of messages is refused with 400."""
    await _gives_400(probe, messages=[])


@must("errors.messages_text")
async def messages_text(probe: Probe) -> None:
    """`messages` as a string is refused with 400."""
    await _gives_400(probe, messages="hello")


@should("errors.param")
async def param(probe: Probe) -> None:
    """The refusal of a bad `messages` names it in `param`."""
    answer = await probe.ask(messages="hello")
    if answer.status < 400:
        raise Blocked(f"it was answered {answer.said}")
    named = dig(answer.error, "param")
    expect(isinstance(named, str) and named.startswith("messages"), f"param is {short(named)}")


@should("errors.param_inner")
async def param_inner(probe: Probe) -> None:
    """The refusal of a bad member of a message names its place, such as `messages[0].role`."""
    answer = await probe.ask(messages=[{"role": "nobody", "content": "Hi."}])
    if answer.status < 400:
        raise Blocked(f"it was answered {answer.said}")
    named = dig(answer.error, "param")
    expect(isinstance(named, str) and named.startswith("messages") and "0" in named, f"param is {short(named)}")


@must("errors.bad_json")
async def bad_json(probe: Probe) -> None:
    """A body that is no JSON is refused with 400."""
    answer = await probe.send("POST", CHAT, raw=b'{"model": "x", "messages": [')
    expect(answer.status in (400, 422), answer.said)


@must("errors.empty_body")
async def empty_body(probe: Probe) -> None:
    """An empty body is refused with 400."""
    answer = await probe.send("POST", CHAT, raw=b"")
    expect(answer.status in (400, 422), answer.said)


@must("errors.list_body")
async def list_body(probe: Probe) -> None:
    """A body that is a list is refused with 400."""
    answer = await probe.send("POST", CHAT, body=[])
    expect(answer.status in (400, 422), answer.said)


@should("errors.bad_role")
async def bad_role(probe: Probe) -> None:
    """An unknown role is refused with 400."""
    await _gives_400(probe, messages=[{"role": "nobody", "content": "Hi."}])


@should("errors.bad_part")
async def bad_part(probe: Probe) -> None:
    """A part of an unknown type is refused with 400."""
    await _gives_400(probe, messages=asks.user([{"type": "smell", "smell": "of roses"}]))


@should("errors.no_content")
async def no_content(probe: Probe) -> None:
    """A user message without content is refused with 400."""
    await _gives_400(probe, messages=[{"role": "user"}])


@must("errors.temperature_type")
async def temperature_type(probe: Probe) -> None:
    """A temperature that is a word is refused with 400."""
    await _gives_400(probe, temperature="hot")


@should("errors.temperature_range")
async def temperature_range(probe: Probe) -> None:
    """A temperature of 99 is refused with 400."""
    await _gives_400(probe, temperature=99)


@should("errors.limit_range")
async def limit_range(probe: Probe) -> None:
    """A limit of -5 tokens is refused with 400."""
    await _gives_400(probe, max_tokens=-5)


@should("errors.stream_type")
async def stream_type(probe: Probe) -> None:
    """`stream` as an object is refused with 400."""
    await _gives_400(probe, stream={"yes": True})


@must("errors.before_stream")
async def before_stream(probe: Probe) -> None:
    """A bad request for a stream is refused as JSON with its status, not inside a stream under 200."""
    answer = await probe.ask(messages="hello", stream=True)
    expect(answer.status in (400, 422) and answer.media_type == "application/json", answer.said)


@must("errors.unknown_path")
async def unknown_path(probe: Probe) -> None:
    """A path that does not exist is 404."""
    answer = await probe.send("GET", "/no/such/path")
    expect_same(answer.status, 404, "the status")


@should("errors.method")
async def method(probe: Probe) -> None:
    """`GET /chat/completions` is 405 (or 404)."""
    answer = await probe.send("GET", CHAT)
    expect(answer.status in (405, 404), answer.said)


ASSERTIONS = gathered(globals())
