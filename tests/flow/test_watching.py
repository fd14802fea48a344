"""`on_call`: a host is told of every call that is over, and nothing that it does hurts one."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from compatgw import Ended, Gateway
from compatgw.flow import watching
from compatgw.telemetry.base import Began, Observer, Refused, Said, Streamed, Tried, Trying
from tests.canned import FINISH, ROLE, STREAM, WORD, Canned, ask
from tests.flow.upstreams import BUSY, CHAT, Turns, good, post, several, streamed


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
    with pytest.raises(AttributeError):
        ended.status = 500  # type: ignore[misc]
    assert ended._asdict()["status"] == 200


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


class Everything(Observer):
    """An observer that writes down what it is told, and in which order."""

    traces = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.sent: dict[str, str] = {}

    def began(self, call: Began) -> str:
        self.told.append("began")
        self.sent = dict(call.headers)
        return call.id

    def trying(self, token: Any, attempt: Trying) -> str:
        self.told.append(f"trying {attempt.provider}")
        return attempt.provider

    def headers(self, token: Any, mark: Any) -> tuple[tuple[str, str], ...]:
        return (("x-mark", f"{mark} of {token}"),)

    def tried(self, token: Any, mark: Any, attempt: Tried) -> None:
        self.told.append(f"tried {mark} {attempt.code or attempt.answered}")

    def streamed(self, token: Any, mark: Any, stream: Streamed) -> None:
        self.told.append(f"streamed {mark} {stream.code or 'whole'}")

    def ended(self, token: Any, call: Ended) -> None:
        self.told.append(f"ended {call.status}")

    def refused(self, request: Refused) -> None:
        self.told.append(f"refused {request.code}")


def overheard(app: Gateway) -> Everything:
    """Has such an observer watch the calls of `app`."""
    found = Everything()
    object.__setattr__(app._standing.house, "observers", (found,))
    return found


async def test_an_observer_hears_all_of_a_call_in_order() -> None:
    """And what it sends along goes with each attempt, under that attempt's own mark."""
    up = streamed()
    app = several({"one": Canned(BUSY, 503), "two": up})
    heard = overheard(app)
    got = await post(app, {"cookie": "secret", "x-shop": "1"}, fallback=["two/m"], stream=True)

    assert heard.told == [
        "began", "trying one", "tried one upstream_unavailable", "trying two", "tried two real-1", "streamed two whole",
        "ended 200",
    ]  # fmt: skip
    assert up.seen[0][b"x-mark"] == f"two of {got.headers['x-request-id']}".encode()
    assert heard.sent["x-shop"] == "1"
    assert not {"authorization", "cookie"} & set(heard.sent)


async def test_an_observer_hears_of_calls_in_the_background() -> None:
    """They are calls like all others."""
    app = several({"one": good()})
    heard = overheard(app)
    async with app.client(api_key="k") as client:
        got = await client.post("/v1/responses", json={"model": "one/m", "input": "hi", "background": True})
        assert got.json()["status"] in ("queued", "in_progress")
    await app.aclose()

    assert heard.told == ["began", "trying one", "tried one real-1", "ended 200"]


async def test_an_observer_hears_of_what_never_became_a_call() -> None:
    """Once, and of nothing else."""
    app = several({"one": good()})
    heard = overheard(app)
    async with app.client(api_key="wrong") as client:
        await client.post(CHAT, json=ask())

    assert heard.told == ["refused invalid_api_key"]


async def test_an_observer_that_raises_everywhere_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Each time is reported."""

    class Broken(Observer):
        def __getattribute__(self, name: str) -> Any:
            if name in ("content", "traces"):
                return True
            if name == "began":
                return lambda call: "mine"

            def broken(*args: Any) -> Any:
                raise RuntimeError("mine")

            return broken

    app = several({"one": streamed()})
    object.__setattr__(app._standing.house, "observers", (Broken(),))
    with caplog.at_level(logging.ERROR, "compatgw"):
        got = await post(app, stream=True)

    assert got.content.endswith(b"data: [DONE]\n\n")
    assert caplog.text.count("An observer of calls raised") == 6


@pytest.mark.parametrize("stream", [False, True])
async def test_where_nobody_watches_nothing_is_made_for_watching(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record, no copy of headers: a call without observers pays for none of it."""
    made: list[str] = []
    for record in (Began, Trying, Tried, Streamed, Ended, Refused, Said):
        monkeypatch.setattr(watching, record.__name__, lambda *args, name=record.__name__, **members: made.append(name))
    monkeypatch.setattr(watching, "Shown", lambda headers: made.append("Shown"))
    monkeypatch.setattr(watching, "Heard", lambda: made.append("Heard"))
    up = streamed() if stream else good()
    app = several({"one": up})
    await post(app, stream=stream)
    await post(several({"one": Canned(BUSY, 500)}), stream=stream)
    async with app.client(api_key="wrong") as client:
        await client.post(CHAT, json=ask())

    assert made == []
    assert not {b"traceparent", b"baggage"} & set(up.seen[0])


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_says_how_long_the_gateway_itself_took(stream: bool) -> None:
    """`Server-Timing`: ours, and the upstream's."""
    up = Canned([ROLE, WORD, FINISH], kind=STREAM) if stream else good()
    got = await post(several({"one": up}), stream=stream)

    assert re.fullmatch(r"gateway;dur=\d+\.\d, upstream;dur=\d+\.\d", got.headers["server-timing"])
