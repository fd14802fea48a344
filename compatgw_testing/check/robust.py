"""Assertions on odd and hostile requests: nothing may become a server error, and the server lives on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compatgw_testing.check import asks
from compatgw_testing.check.base import dig, expect, gathered, is_text, must, should

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

CHAT = "/chat/completions"
HUGE = 1_000_000
DEEP = 10_000


def _survives(answer: Answer) -> None:
    expect(0 < answer.status < 500 and answer.failure is None, answer.said)


def _refused(answer: Answer) -> None:
    expect(400 <= answer.status < 500 and answer.failure is None, answer.said)


async def _raw(probe: Probe, more: bytes) -> Answer:
    """A chat request with a member written by hand."""
    body = json.dumps(probe.asked()).encode()
    return await probe.send("POST", CHAT, raw=body[:-1] + b", " + more + b"}")


@must("robust.unknown_member")
async def unknown_member(probe: Probe) -> None:
    """An unknown member is ignored, or refused with 400 by name."""
    answer = await probe.ask(no_such_member_5f1c=1)
    named = "no_such_member_5f1c" in answer.raw.decode("utf-8", "replace")
    expect(answer.status == 200 or (answer.status in (400, 422) and named), answer.said)


@should("robust.unknown_in_message")
async def unknown_in_message(probe: Probe) -> None:
    """An unknown member of a message is no server error."""
    _survives(await probe.ask(messages=[{"role": "user", "content": asks.HELLO, "no_such_member_5f1c": 1}]))


@must("robust.nul")
async def nul(probe: Probe) -> None:
    """A NUL character in a text is no server error."""
    _survives(await probe.ask(messages=asks.user("a\x00b")))


@should("robust.surrogate")
async def surrogate(probe: Probe) -> None:
    """Half a surrogate pair, escaped in a text, is no server error."""
    body = json.dumps(probe.asked(messages=asks.user("half: XX"))).replace("XX", "\\ud83d")
    _survives(await probe.send("POST", CHAT, raw=body.encode()))


@must("robust.bad_utf8")
async def bad_utf8(probe: Probe) -> None:
    """A body that is not UTF-8 is no server error."""
    body = json.dumps(probe.asked(messages=asks.user("XX"))).encode().replace(b"XX", b"\xff\xfe")
    _survives(await probe.send("POST", CHAT, raw=body))


@should("robust.bom")
async def bom(probe: Probe) -> None:
    """A byte order mark before the body is no server error."""
    _survives(await probe.send("POST", CHAT, raw=b"\xef\xbb\xbf" + json.dumps(probe.asked()).encode()))


@must("robust.deep")
async def deep(probe: Probe) -> None:
    """A body nested 10,000 levels deep is refused with 4xx or read, not a crash."""
    _survives(await _raw(probe, b'"metadata": ' + b"[" * DEEP + b"]" * DEEP))


@must("robust.deep_open")
async def deep_open(probe: Probe) -> None:
    """A body of 100,000 opening brackets is refused with 4xx."""
    _refused(await probe.send("POST", CHAT, raw=b"[" * 100_000))


@should("robust.duplicate")
async def duplicate(probe: Probe) -> None:
    """A member that stands twice is no server error."""
    _survives(await _raw(probe, b'"temperature": 0.1, "temperature": 0.2'))


@must("robust.huge")
async def huge(probe: Probe) -> None:
    """A message of a megabyte is answered, or refused with 4xx."""
    _survives(await probe.ask(messages=asks.user("word " * (HUGE // 5))))


@should("robust.many")
async def many(probe: Probe) -> None:
    """A conversation of 300 messages is answered, or refused with 4xx."""
    turns = [*asks.user("Hi."), {"role": "assistant", "content": "Hello."}] * 150
    _survives(await probe.ask(messages=[*turns, *asks.user(asks.HELLO)]))


@should("robust.big_number")
async def big_number(probe: Probe) -> None:
    """A number with 400 digits is no server error."""
    _survives(await _raw(probe, b'"seed": ' + b"9" * 400))


@should("robust.nan")
async def nan(probe: Probe) -> None:
    """`NaN`, which is no JSON, is no server error."""
    _survives(await _raw(probe, b'"temperature": NaN'))


@should("robust.content_type")
async def content_type(probe: Probe) -> None:
    """A body that says `text/plain` is answered, or refused with 4xx."""
    _survives(await probe.send("POST", CHAT, body=probe.asked(), headers={"content-type": "text/plain"}))


@should("robust.no_content_type")
async def no_content_type(probe: Probe) -> None:
    """A body without a content type is answered, or refused with 4xx."""
    _survives(await probe.send("POST", CHAT, body=probe.asked(), headers={"content-type": ""}))


@should("robust.form")
async def form(probe: Probe) -> None:
    """A form in place of JSON is refused with 4xx."""
    lines = {"content-type": "application/x-www-form-urlencoded"}
    _refused(await probe.send("POST", CHAT, raw=b"model=x&messages=y", headers=lines))


@should("robust.odd_model")
async def odd_model(probe: Probe) -> None:
    """A model id of slashes, dots and letters beyond ASCII is no server error."""
    _survives(await probe.ask(model="..%2F..%2Fetc/\u6f22\u5b57\r\nx: y"))


@should("robust.long_model")
async def long_model(probe: Probe) -> None:
    """A model id of 100,000 characters is no server error."""
    _survives(await probe.ask(model="m" * 100_000))


@should("robust.wrong_types")
async def wrong_types(probe: Probe) -> None:
    """Members of wrong types, wherever they stand, are refused and no server error."""
    odd: tuple[object, ...] = ([None], [1], ["hi"], [[]], [{"role": 1, "content": 2}], {"role": "user"})
    for messages in odd:
        _refused(await probe.ask(messages=messages))


@should("robust.envelope")
async def envelope(probe: Probe) -> None:
    """What is refused of all this has an error envelope."""
    for messages in ([None], [1]):
        answer = await probe.ask(messages=messages)
        if answer.status >= 400:
            expect(is_text(dig(answer.error, "message")), answer.said)


@must("robust.alive")
async def alive(probe: Probe) -> None:
    """After all this a plain question is answered."""
    answer = await probe.ask(again=201)
    expect(answer.status == 200, answer.said)


ASSERTIONS = gathered(globals())
