"""Assertions on keys: who gives none or a wrong one gets 401 and learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.check.base import Skips, dig, expect, gathered, is_text, may, must, should

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe
    from compatgw_testing.check.wire import Answer

WRONG = "sk-wrong-5f1c0de5f1c0de5f1c0de"
CHAT = "/chat/completions"


async def _with(probe: Probe, key: str | None, **headers: str) -> Answer:
    if not probe.key:
        raise Skips("no --key was given, so the server may need none")
    return await probe.send("POST", CHAT, body=probe.asked(), key=key, headers=headers)


@must("auth.missing")
async def missing(probe: Probe) -> None:
    """A request without a key is refused with 401."""
    answer = await _with(probe, None)
    expect(answer.status == 401, answer.said)


@must("auth.wrong")
async def wrong(probe: Probe) -> None:
    """A request with a wrong key is refused with 401."""
    answer = await _with(probe, WRONG)
    expect(answer.status == 401, answer.said)


@must("auth.empty")
async def empty(probe: Probe) -> None:
    """A request with an empty bearer token is refused with 401."""
    answer = await _with(probe, None, authorization="Bearer")
    expect(answer.status == 401, answer.said)


@must("auth.longer")
async def longer(probe: Probe) -> None:
    """The right key with more after it is a wrong one."""
    answer = await _with(probe, f"{probe.key}x")
    expect(answer.status == 401, answer.said)


@should("auth.scheme")
async def scheme(probe: Probe) -> None:
    """The key under another scheme than `Bearer` is refused with 401."""
    answer = await _with(probe, None, authorization=f"Basic {probe.key}")
    expect(answer.status == 401, answer.said)


@may("auth.case")
async def case(probe: Probe) -> None:
    """The scheme may be written in lower case, as HTTP says."""
    answer = await _with(probe, None, authorization=f"bearer {probe.key}")
    expect(answer.status == 200, answer.said)


@must("auth.envelope")
async def envelope(probe: Probe) -> None:
    """Both refusals are JSON with an error envelope."""
    for key in (None, WRONG):
        answer = await _with(probe, key)
        if answer.status >= 400:
            ok = answer.media_type == "application/json" and is_text(dig(answer.error, "message"))
            expect(ok, answer.said)


@must("auth.not_repeated")
async def not_repeated(probe: Probe) -> None:
    """A wrong key is not repeated in full."""
    answer = await _with(probe, WRONG)
    expect(WRONG.encode() not in answer.raw, "the refusal repeats the key that was sent")


@should("auth.before_body")
async def before_body(probe: Probe) -> None:
    """Who has no key learns that first, whatever the body is."""
    await _with(probe, None)
    answer = await probe.send("POST", CHAT, raw=b'{"model": ', key=None)
    expect(answer.status == 401, answer.said)


@should("auth.stream")
async def stream(probe: Probe) -> None:
    """A stream without a key is refused with 401 and JSON."""
    await _with(probe, None)
    answer = await probe.send("POST", CHAT, body=probe.asked(stream=True), key=None)
    expect(answer.status == 401 and answer.media_type == "application/json", answer.said)


@may("auth.models")
async def models(probe: Probe) -> None:
    """The list of models wants a key too."""
    await _with(probe, None)
    answer = await probe.send("GET", "/models", key=None)
    expect(answer.status == 401, answer.said)


@should("auth.long_key")
async def long_key(probe: Probe) -> None:
    """A key of 10,000 characters is refused with 4xx."""
    answer = await _with(probe, "k" * 10_000)
    expect(400 <= answer.status < 500, answer.said)


@should("auth.odd_key")
async def odd_key(probe: Probe) -> None:
    """A key beyond ASCII is refused with 4xx."""
    answer = await _with(probe, "clé-\U0001f511")
    expect(400 <= answer.status < 500, answer.said)


ASSERTIONS = gathered(globals())
