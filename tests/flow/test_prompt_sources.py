"""Where templates come from: Langfuse, the ledger, the settings; how long they are remembered, and what an outage does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

# Loaded beforehand, so that its import does not eat up what a call may take.
import compatgw.upstream.aio  # noqa: F401
from compatgw import ConfigError
from compatgw.errors import NotFound, Overloaded, UpstreamFailure
from compatgw.flow.prompts import Prompts, Recorded
from compatgw.flow.tasks import Tasks
from compatgw.state.base import LedgerUnavailable
from compatgw.state.sql import SqlLedger
from compatgw.state.watch import Watch
from compatgw.wire.prompts import Prompt, PromptMessage
from tests.canned import Canned, ask
from tests.flow.prompting import MODEL, house, over, renewed, send
from tests.flow.upstreams import error_of, good
from tests.state.making import Clock
from tests.state.making import prompt as a_record
from tests.upstream.langfuse import SECRET, TOKEN, FakeLangfuse, chat, text

# --- Langfuse --------------------------------------------------------------------------------


@pytest.fixture
async def server() -> AsyncIterator[FakeLangfuse]:
    """A Langfuse with a prompt `far`."""
    async with FakeLangfuse() as made:
        made.versions["far"] = [text("One", 1, ["old"]), text("Two {{a}}", 2)]
        yield made


FAR = ask(model=MODEL, prompt_id="far", prompt_variables={"a": "x"})


def firsts(upstream: Canned) -> list[str]:
    """What the first message of each call said."""
    return [sent["messages"][0]["content"] for sent in upstream.asked]


async def test_a_template_of_langfuse_is_asked_for_once_a_minute(server: FakeLangfuse, clock: Clock) -> None:
    """Then it is used at once and renewed behind the call, and the next one has the new one."""
    upstream = good()
    app = over(server, upstream, clock)
    for _ in range(3):
        assert (await send(app, FAR)).status_code == 200
    assert server.lines == ["GET /api/public/v2/prompts/far?label=production HTTP/1.1"]
    server.versions["far"].append(text("Three {{a}}", 3))
    server.versions["far"][1]["labels"] = []
    clock.now += 59
    await send(app, FAR)
    assert len(server.lines) == 1
    clock.now += 1
    await renewed(app, FAR)
    assert len(server.lines) == 2
    await send(app, FAR)
    assert firsts(upstream) == ["Two x"] * 5 + ["Three x"]
    await app.aclose()


async def test_the_configuration_comes_before_langfuse(server: FakeLangfuse, clock: Clock) -> None:
    """And a version that it has not is looked for there; so both may have some of one name."""
    server.versions["plain"] = [text("Far", 1), text("Farther", 2)]
    upstream = good()
    app = over(server, upstream, clock)
    for version in (None, 1, 2):
        await send(app, ask(model=MODEL, prompt_id="plain", prompt_version=version))
    assert firsts(upstream) == ["Say it plainly.", "Say it plainly.", "Farther"]
    assert server.lines == ["GET /api/public/v2/prompts/plain?version=2 HTTP/1.1"]
    await app.aclose()


@pytest.mark.parametrize("trouble", ["down", "broken", "429", "500", "401", "slow", "redirect", "html", "unusable"])
async def test_while_it_is_away_the_last_known_goes_on(
    server: FakeLangfuse, clock: Clock, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    """For as long as it takes; what was never had is 503, with a time to come back, and no secret is told or logged."""
    caplog.set_level(logging.DEBUG)
    upstream = good()
    app = over(server, upstream, clock, timeout=0.2 if trouble == "slow" else 5.0)
    assert (await send(app, FAR)).status_code == 200
    match trouble:
        case "down":
            await server.stop()
        case "broken":
            server.broken = True
        case "slow":
            server.gate.clear()
        case "redirect":
            server.answer, server.headers = (302, b""), {"Location": "http://127.0.0.1:1/"}
        case "html":
            server.answer = (404, b"<html>")
        case "unusable":
            server.answer = (200, orjson.dumps({**chat(), "prompt": [{"type": "placeholder", "name": "x"}]}))
        case _:
            server.answer = (int(trouble), f'{{"message": "no {SECRET} {TOKEN}"}}'.encode())
    for _ in range(3):
        clock.now += 61
        await renewed(app, FAR)
    got = await send(app, {**FAR, "prompt_id": "new"})
    error = error_of(got)
    assert (got.status_code, error["type"], error["code"]) == (503, "upstream_error", "upstream_unavailable")
    assert int(got.headers["retry-after"]) >= 1
    assert "'new'" in error["message"]
    assert firsts(upstream) == ["Two x"] * 4
    assert "The last version known goes on" in caplog.text
    for secret in (SECRET, TOKEN):
        assert secret not in caplog.text + got.text
    server.answer, server.broken = None, False
    await app.aclose()


async def test_it_is_back_when_it_is_back(server: FakeLangfuse, clock: Clock) -> None:
    """The next time that it is asked."""
    upstream = good()
    app = over(server, upstream, clock)
    await send(app, FAR)
    server.answer = (500, b"{}")
    clock.now += 61
    await renewed(app, FAR)
    server.answer = None
    server.versions["far"] = [text("Nine {{a}}", 9)]
    clock.now += 30
    await renewed(app, FAR)
    assert len(server.lines) == 2
    clock.now += 31
    await renewed(app, FAR)
    await send(app, FAR)
    assert firsts(upstream)[-1] == "Nine x"
    await app.aclose()


async def test_a_template_that_is_deleted_there_goes_away(server: FakeLangfuse, clock: Clock) -> None:
    """One more call has it, and then it is 404; for a few seconds nobody asks again."""
    upstream = good()
    app = over(server, upstream, clock)
    await send(app, FAR)
    del server.versions["far"]
    clock.now += 61
    await renewed(app, FAR)
    got = [await send(app, FAR) for _ in range(3)]
    assert [each.status_code for each in got] == [404, 404, 404]
    assert len(server.lines) == 2
    server.versions["far"] = [text("Back {{a}}", 3)]
    clock.now += 5
    assert (await send(app, FAR)).status_code == 200
    assert firsts(upstream) == ["Two x", "Two x", "Back x"]
    await app.aclose()


async def test_many_first_calls_ask_once(server: FakeLangfuse, clock: Clock) -> None:
    """They wait for one answer; one that leaves does not take it from the others."""
    server.gate.clear()
    upstream = good()
    app = over(server, upstream, clock)
    calls = [asyncio.create_task(send(app, FAR)) for _ in range(20)]
    await server.waiting.wait()
    calls[0].cancel()
    server.gate.set()
    got = await asyncio.gather(*calls[1:])
    assert {each.status_code for each in got} == {200}
    assert len(server.lines) == 1
    await app.aclose()


async def test_many_calls_renew_once(server: FakeLangfuse, clock: Clock) -> None:
    """And none of them waits for it."""
    upstream = good()
    app = over(server, upstream, clock)
    await send(app, FAR)
    server.gate.clear()
    clock.now += 61
    got = await asyncio.gather(*[send(app, FAR) for _ in range(20)])
    assert {each.status_code for each in got} == {200}
    await server.waiting.wait()
    assert len(server.lines) == 2
    server.gate.set()
    await app.aclose()


async def test_a_call_waits_no_longer_than_it_may(server: FakeLangfuse, clock: Clock) -> None:
    """Its own time-out holds for the template, too."""
    server.gate.clear()
    app = over(server, good(), clock)
    got = await send(app, {**FAR, "timeout": 50})
    assert (got.status_code, error_of(got)["type"]) == (503, "upstream_error")
    assert "in time" in error_of(got)["message"]
    server.gate.set()
    await app.aclose()


async def test_a_repeated_call_is_answered_again_though_the_template_changed(
    server: FakeLangfuse, clock: Clock
) -> None:
    """`Idempotency-Key` is about what the client sent; with another value it is another request."""
    upstream = good()
    server.versions["far"] = [text("One {{a}}")]
    app = over(server, upstream, clock)
    body = ask(model=MODEL, prompt_id="far", prompt_variables={"a": "x"})
    first = await send(app, body, **{"Idempotency-Key": "key"})
    server.versions["far"] = [text("Two {{a}}", 2)]
    clock.now += 100
    await renewed(app, body)
    again = await send(app, body, **{"Idempotency-Key": "key"})
    other = await send(app, {**body, "prompt_variables": {"a": "y"}}, **{"Idempotency-Key": "key"})
    assert (first.status_code, again.status_code, again.content == first.content) == (200, 200, True)
    assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_conflict")
    await app.aclose()


# --- remembering -----------------------------------------------------------------------------


def made(content: str, version: int = 1) -> Prompt:
    """A template."""
    return Prompt(name="p", version=version, messages=(PromptMessage("system", content),))


class Shelf:
    """A source that the test holds in its hand.

    Attributes:
        there: What it has; an exception is raised. asked: How often it was asked.
        arrived: Set when somebody asks.
        gate: It answers when this is open, with what it had before it waited.
    """

    def __init__(self, there: Any) -> None:
        self.there = there
        self.asked = 0
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def prompt(self, name: str, version: int | str | None) -> Prompt | None:
        """The template."""
        self.asked += 1
        self.arrived.set()
        found = self.there
        await self.gate.wait()
        if isinstance(found, Exception):
            raise found
        given: Prompt | None = found
        return given


async def test_what_was_asked_before_a_change_is_not_taken_for_what_is_after_it(clock: Clock) -> None:
    """A slow answer that was on its way when the change came is used once, and asked for again."""
    shelf, tasks = Shelf(made("old")), Tasks()
    prompts = Prompts([shelf], tasks, clock=clock)
    shelf.gate.clear()
    early = asyncio.create_task(prompts.find("p", None))
    await shelf.arrived.wait()
    shelf.there = made("new")
    shelf.arrived.clear()
    prompts.forget()
    late = asyncio.create_task(prompts.find("p", None))
    await shelf.arrived.wait()
    shelf.gate.set()
    assert ((await early).messages[0].content, (await late).messages[0].content) == ("old", "new")
    assert (await prompts.find("p", None)).messages[0].content == "new"
    await tasks.aclose()


@pytest.mark.parametrize("early", [None, made("old")])
async def test_what_comes_late_does_not_take_the_place_of_what_is_newer(early: Prompt | None, clock: Clock) -> None:
    """Two askers, and the first one's answer comes last: the second one's stays, also through an outage."""
    shelf, tasks = Shelf(early), Tasks()
    prompts = Prompts([shelf], tasks, clock=clock)
    slow = shelf.gate
    slow.clear()
    first = asyncio.create_task(prompts.find("p", None))
    await shelf.arrived.wait()
    shelf.there, shelf.gate = made("new"), asyncio.Event()
    shelf.gate.set()
    prompts.forget()
    assert (await prompts.find("p", None)).messages[0].content == "new"
    shelf.there = UpstreamFailure("It is away.")
    slow.set()
    (late,) = await asyncio.gather(first, return_exceptions=True)
    assert late == early if early is not None else isinstance(late, NotFound)
    prompts.forget()
    assert (await prompts.find("p", None)).messages[0].content == "new"
    await tasks.aclose()


async def test_after_a_change_the_next_call_waits_for_it_but_an_outage_changes_nothing(clock: Clock) -> None:
    """What was known goes on when what comes after it cannot be had."""
    shelf, tasks = Shelf(made("old")), Tasks()
    prompts = Prompts([shelf], tasks, clock=clock)
    assert (await prompts.find("p", None)).messages[0].content == "old"
    shelf.there = UpstreamFailure("It is away.")
    prompts.forget()
    assert (await prompts.find("p", None)).messages[0].content == "old"
    # It is not asked again by every call.
    assert (await prompts.find("p", None)).messages[0].content == "old"
    assert shelf.asked == 2
    shelf.there = made("new")
    prompts.forget()
    assert (await prompts.find("p", None)).messages[0].content == "new"
    shelf.there = None
    prompts.forget()
    with pytest.raises(NotFound):
        await prompts.find("p", None)
    await tasks.aclose()


async def test_a_source_that_is_away_is_not_passed_over(clock: Clock) -> None:
    """Who comes after it may have another template of that name."""
    first, second, tasks = Shelf(UpstreamFailure("It is away.")), Shelf(made("another")), Tasks()
    prompts = Prompts([first, second], tasks, clock=clock)
    with pytest.raises(Overloaded, match=r"It is away\."):
        await prompts.find("p", None)
    assert second.asked == 0
    first.there = made("mine")
    assert (await prompts.find("p", None)).messages[0].content == "mine"
    first.there = UpstreamFailure("It is away.")
    clock.now += 61
    await prompts.find("p", None)
    await tasks.aclose()
    assert (await prompts.find("p", None)).messages[0].content == "mine"
    first.there = None
    prompts.forget()
    assert (await prompts.find("p", None)).messages[0].content == "another"


async def test_names_that_nobody_has_are_not_asked_for_by_every_call(clock: Clock) -> None:
    """For some seconds, and never longer than a template is fresh."""
    shelf, tasks = Shelf(None), Tasks()
    prompts = Prompts([shelf], tasks, clock=clock)
    for _ in range(3):
        with pytest.raises(NotFound):
            await prompts.find("p", None)
    assert shelf.asked == 1
    eager = Prompts([shelf], tasks, clock=clock, fresh=0)
    for _ in range(3):
        with pytest.raises(NotFound):
            await eager.find("p", None)
    assert shelf.asked == 4


async def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    """By number and by size; what was used last stays, and what is found again is no loss."""
    shelf, tasks = Shelf(made("x")), Tasks()
    prompts = Prompts([shelf], tasks, clock=clock)
    await prompts.find("hot", None)
    for number in range(3000):
        await prompts.find(f"n{number}", None)
        await prompts.find("hot", None)
    assert len(prompts._known) == 1000
    assert prompts._size == 1000
    assert shelf.asked == 3001
    shelf.there = made("x" * (1 << 20))
    for number in range(100):
        await prompts.find(f"large{number}", None)
    assert prompts._size <= 64 << 20
    shelf.there = None
    for number in range(3000):
        with pytest.raises(NotFound):
            await prompts.find(f"none{number}", None)
    assert len(prompts._missed) <= 1000


# --- the ledger ------------------------------------------------------------------------------


async def test_the_ledger_comes_first_and_what_changes_there_is_seen_by_others(ledger_url: str, clock: Clock) -> None:
    """Another process moves the label; this one has the other version once it has looked, within seconds."""
    mine, theirs = SqlLedger(ledger_url, clock=clock), SqlLedger(ledger_url, clock=clock)
    steady, tasks = Clock(0.0), Tasks()
    config = Shelf(made("of the configuration"))
    prompts = Prompts([Recorded(mine), config], tasks, clock=clock, changes=Watch(mine, monotonic=steady, fresh=2.0))

    async def said(version: int | str | None = None) -> str:
        return (await prompts.find("greet", version)).messages[0].content

    assert await said() == "of the configuration"
    first = await theirs.add(a_record("a", labels=("production",), body='"one"'))
    steady.now += 3
    assert await said() == "one"
    assert (await said(1), await said("latest")) == ("one", "one")
    await theirs.add(a_record("b", number=2, labels=("production",), body='"two"'))
    assert await said() == "one"
    steady.now += 3
    assert (await said(), await said(1), await said("latest")) == ("two", "one", "two")
    back = await theirs.find(type(first), "a")
    assert back is not None
    await theirs.change(_labelled(back, "production"))
    steady.now += 3
    assert await said() == "one"
    await theirs.remove(type(first), "a")
    steady.now += 3
    assert await said() == "of the configuration"
    await tasks.aclose()
    await mine.aclose()
    await theirs.aclose()


def _labelled(record: Any, *labels: str) -> Any:
    return replace(record, labels=labels)


class Away:
    """A ledger, and its changes, that can be away."""

    def __init__(self) -> None:
        self.away = False
        self.looks = 0

    async def prompt(self, name: str, number: int | None = None, label: str = "") -> Any:
        """A version."""
        if self.away:
            raise LedgerUnavailable("The ledger is away.")
        return a_record(body='"here"', name=name)

    def tell(self, listener: Any) -> None:
        """Nothing changes."""

    def is_fresh(self) -> bool:
        """It is not."""
        return False

    async def refresh(self) -> None:
        """Looks."""
        self.looks += 1
        if self.away:
            raise LedgerUnavailable("The ledger is away.")


async def test_while_the_ledger_is_away_what_is_known_goes_on(clock: Clock) -> None:
    """It is asked for its changes now and then, and not by every call; what was never had is 503."""
    ledger, tasks = Away(), Tasks()
    stands_in: Any = ledger
    prompts = Prompts([Recorded(stands_in)], tasks, clock=clock, changes=ledger)
    assert (await prompts.find("p", None)).messages[0].content == "here"
    ledger.away = True
    looks = ledger.looks
    for _ in range(5):
        assert (await prompts.find("p", None)).messages[0].content == "here"
    assert ledger.looks == looks + 1
    with pytest.raises(Overloaded, match="The ledger is away"):
        await prompts.find("q", None)
    clock.now += 61
    await prompts.find("p", None)
    await tasks.aclose()
    assert (await prompts.find("p", None)).messages[0].content == "here"


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({"p": {}}, "either 'text' or 'messages'"),
        ({"p": {"text": "a", "messages": [{"role": "user", "content": "b"}]}}, "either 'text' or 'messages'"),
        ({"p": {"text": ""}}, "at least 1 character"),
        ({"p": {"messages": [{"role": "tool", "content": "b"}]}}, "role"),
        ({"p": {"messages": [{"role": "user", "content": ""}]}}, "content"),
        ({"p": {"messages": [{"role": "user", "content": "b", "name": "c"}]}}, "prompts.p"),
        ({"p": {"text": "a", "version": 0}}, "version"),
        ({"p": []}, "has no version"),
        ({"p": [{"text": "a"}, {"text": "b"}]}, "two versions have one number"),
        ({"p": [{"text": "a", "labels": ["x"]}, {"text": "b", "version": 2, "labels": ["x"]}]}, "one label"),
        ({"p": {"text": "a", "labels": ["1"]}}, "taken for a number"),
        ({"p": {"text": "a", "labels": ["latest"]}}, "always stands for the newest"),
        ({"p": {"text": "a", "labels": ["a b"]}}, "the label 'a b' is none"),
        ({"": {"text": "a"}}, "a name has"),
        ({"a\0b": {"text": "a"}}, "a name has"),
        ({"x" * 513: {"text": "a"}}, "a name has"),
    ],
)
def test_a_template_that_cannot_be_is_refused_when_the_gateway_is_made(prompts: Any, words: str) -> None:
    """With the setting and what is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        house(good(), prompts=prompts)
    assert words in str(caught.value)
    assert "prompts" in str(caught.value)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"public_key": "p"}, "secret_key"),
        ({"public_key": "p", "secret_key": "s-e-c", "base_url": "x"}, "base_url"),
        ({"public_key": "p:q", "secret_key": "s-e-c"}, "public_key"),
        ({"public_key": "p", "secret_key": "s-e-c", "timeout": 0}, "timeout"),
    ],
)
def test_a_langfuse_that_cannot_be_is_refused_when_the_gateway_is_made(own: Any, words: str) -> None:
    """With the setting, and without the secret."""
    with pytest.raises(ConfigError, match=words) as caught:
        house(good(), langfuse=own)
    assert "langfuse" in str(caught.value)
    assert "s-e-c" not in str(caught.value)


def test_names_of_the_configuration_may_be_what_calls_can_say() -> None:
    """Slashes, dots and letters of all scripts."""
    app = house(good(), prompts={"team/greet.v2": {"text": "a"}, "chào": {"text": "b"}})
    assert sorted(app.settings.prompts) == ["chào", "team/greet.v2"]
