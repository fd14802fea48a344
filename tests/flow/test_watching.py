"""`on_call`: a host is told of every call that is over, and nothing that it does hurts one."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from typing import Any

import pytest

from compatgw import Ended
from tests.canned import FINISH, ROLE, STREAM, WORD, Canned
from tests.flow.upstreams import BUSY, Turns, good, post, several, streamed


async def test_an_answer_is_told_with_all_that_is_known_of_it() -> None:
    """Who answered, how long it took, how many tokens it had; nothing of what was said."""
    told: list[Ended] = []
    app = several({"one": good("the secret answer")}, on_call=told.append)
    got = await post(app)
    (ended,) = told

    assert ended.id == got.headers["x-request-id"]
    assert (ended.endpoint, ended.model, ended.provider, ended.target) == ("chat", "one/m", "one", "m")
    assert (ended.status, ended.code, ended.stream, ended.attempts, ended.fallback) == (200, "", False, 1, False)
    assert (ended.input, ended.output, ended.estimated) == (3, 2, False)
    assert ended.key == "key-1"
    assert 0 <= ended.upstream <= ended.seconds < 60
    assert "secret" not in repr(ended)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ended.status = 500  # type: ignore[misc]


async def test_a_stream_is_told_at_its_end() -> None:
    """With the time of its first content."""
    told: list[Ended] = []
    await post(several({"one": streamed()}, on_call=told.append), stream=True)
    (ended,) = told

    assert (ended.stream, ended.status) == (True, 200)
    assert ended.first_token is not None
    assert ended.first_token <= ended.seconds


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_is_told_with_its_code(stream: bool) -> None:
    """As the client has it."""
    told: list[Ended] = []
    await post(several({"one": Canned(BUSY, 500)}, on_call=told.append), stream=stream)
    (ended,) = told

    assert (ended.status, ended.code, ended.provider) == (502, "upstream_error", "one")


async def test_a_stream_that_breaks_off_is_told_as_that() -> None:
    """Although its status was 200."""
    told: list[Ended] = []
    broken = Canned([ROLE, WORD], kind=STREAM, then="break")
    await post(several({"one": broken}, on_call=told.append), stream=True)

    assert [ended.code for ended in told] == ["upstream_stream_interrupted"]


async def test_retries_and_fallbacks_are_counted() -> None:
    """Every time that an upstream was asked."""
    told: list[Ended] = []
    apps = {"one": Turns(Canned(BUSY, 503)), "two": good()}
    await post(several(apps, retries=1, on_call=told.append), fallback=["two/m"])
    (ended,) = told

    assert (ended.attempts, ended.fallback, ended.provider) == (3, True, "two")


async def test_choices_side_by_side_are_one_call() -> None:
    """Of several attempts."""
    told: list[Ended] = []
    app = several({"one": {"app": good(), "quirks": {"n": False}}}, on_call=told.append)
    await post(app, n=3)

    assert [ended.attempts for ended in told] == [3]


async def test_a_refusal_before_any_upstream_is_told_too() -> None:
    """Nobody answered."""
    told: list[Ended] = []
    await post(several({"one": good()}, on_call=told.append), model="openai/gpt-4o")

    assert [(ended.status, ended.code, ended.provider, ended.attempts) for ended in told] == [
        (404, "model_not_found", "", 0)
    ]


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_callback_that_raises_is_reported_and_hurts_nobody(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer goes out all the same."""

    def raising(ended: Ended) -> None:
        raise ValueError("mine")

    async def later(ended: Ended) -> None:
        await asyncio.sleep(0)
        raise ValueError("mine")

    tell: Any = raising if kind == "plain" else later
    app = several({"one": good()}, on_call=tell)
    with caplog.at_level(logging.ERROR, "compatgw"):
        got = await post(app)
        await app.aclose()

    assert got.status_code == 200
    assert "mine" in caplog.text


async def test_an_async_callback_is_waited_for_at_the_end() -> None:
    """It is a task of the gateway's, which ends before it closes."""
    told: list[Ended] = []
    gate = asyncio.Event()

    async def later(ended: Ended) -> None:
        await gate.wait()
        told.append(ended)

    app = several({"one": good()}, on_call=later)
    await post(app)
    assert told == []
    gate.set()
    await app.aclose()

    assert len(told) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_says_how_long_the_gateway_itself_took(stream: bool) -> None:
    """`Server-Timing`: ours, and the upstream's."""
    up = Canned([ROLE, WORD, FINISH], kind=STREAM) if stream else good()
    got = await post(several({"one": up}), stream=stream)

    assert re.fullmatch(r"gateway;dur=\d+\.\d, upstream;dur=\d+\.\d", got.headers["server-timing"])
