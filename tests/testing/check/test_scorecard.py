"""The scorecard on servers that are good: the fake and the gateway over each dialect; and what it takes to judge."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from compatgw_testing import FakeOpenAI, FakeServer
from compatgw_testing.check import asks
from compatgw_testing.check.base import Assertion, Fails, expect, must, short
from compatgw_testing.check.probe import Probe, Unreachable
from compatgw_testing.check.scorecard import ASSERTIONS, GROUPS, Scorecard, chosen, judge
from compatgw_testing.doors import inprocess
from compatgw_testing.harness import KEY
from tests.testing.check.broken import Bent, Json, Said, choice, head, plain
from tests.testing.check.servers import EMBEDDER, MODEL, UPSTREAMS, Extras, gateway, good, scored, sensible

# What does not hold of a server of this house, with the reason.
_GATEWAY = {
    "tools.orphan": "a result without its call is passed on as text where the upstream can read it so",
}


def _failed(card: Scorecard) -> dict[str, str]:
    return {one.assertion.id: one.evidence for one in card.results if one.state == "fail"}


async def test_the_fake_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """All that must hold does; what does not is listed above; only two assertions have nothing to judge."""
    async with asyncio.timeout(40):
        card = await scored(sensible(FakeOpenAI(models=(MODEL, EMBEDDER))))

    with capsys.disabled():
        print(f"\n{card.count('pass')} of {len(ASSERTIONS)} hold of the fake, {card.requests} requests")
    assert not _failed(card)
    assert card.ok
    assert {one.assertion.id for one in card.results if one.state == "skip"} <= {
        "stream.not_held_back",
        "headers.keep_alive",
        "headers.length",
    }


@pytest.mark.parametrize("upstream", sorted(UPSTREAMS))
async def test_the_gateway_holds(upstream: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In front of each dialect all that must hold does."""
    async with asyncio.timeout(40):
        card = await scored(gateway(), key=KEY, model=UPSTREAMS[upstream])

    with capsys.disabled():
        print(f"\n{card.count('pass')} of {len(ASSERTIONS)} hold of the gateway over {upstream}")
    assert set(_failed(card)) <= set(_GATEWAY), _failed(card)
    assert card.ok
    assert card.blocked == 0


async def test_a_good_server_holds() -> None:
    """The server that mutations are made from: whatever fails there fails for its mutation."""
    async with asyncio.timeout(40):
        card = await scored(good())

    assert not _failed(card)


def test_the_table() -> None:
    """Ids are unique and begin with their group; each says one sentence; there are some 150 or more."""
    ids = [one.id for one in ASSERTIONS]

    assert len(set(ids)) == len(ids) >= 150
    assert all(one.says.endswith(".") and one.says[0] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ`" for one in ASSERTIONS)
    assert all(one.id.count(".") == 1 and one.severity in ("must", "should", "may") for one in ASSERTIONS)
    assert len(GROUPS) >= 18


def test_choosing() -> None:
    """By group, by id, or all; another name is an error that lists the groups."""
    assert {one.group for one in chosen(["usage"])} == {"usage"}
    assert [one.id for one in chosen(["stream.done_last"])] == ["stream.done_last"]
    assert chosen([]) == ASSERTIONS
    with pytest.raises(ValueError, match=r"'nothing' is no group.*models, chat"):
        chosen(["nothing"])


class Clocked:
    """Streams two chunks, and moves a clock before the head and before each piece."""

    def __init__(self, before: float, between: float) -> None:
        self.now = 0.0
        self.before, self.between = before, between

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self.now += self.before
        for word in ("one", "two"):
            chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]}
            await send(
                {"type": "http.response.body", "body": f"data: {json.dumps(chunk)}\n\n".encode(), "more_body": True}
            )
            self.now += self.between
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


@pytest.mark.parametrize(("before", "between", "state"), [(5.0, 0.0, "fail"), (1.0, 2.0, "pass"), (0.1, 0.1, "skip")])
async def test_a_stream_that_is_held_back(before: float, between: float, state: str) -> None:
    """One that comes all at its end is noticed; one that is quick tells nothing."""
    app = Clocked(before, between)
    async with inprocess.client(app, library="httpx") as http:
        probe = Probe(http, "http://server.test/v1", model="m", clock=lambda: app.now)
        card = await judge(probe, chosen(["stream.not_held_back"]))

    assert card.results[0].state == state


@pytest.mark.parametrize("closing", [False, True])
async def test_connections_that_are_closed(closing: bool) -> None:
    """Over a socket: a server that closes its connections fails the assertion, another passes it."""
    app = Bent(FakeOpenAI(), head("connection", "close")) if closing else FakeOpenAI()
    with FakeServer(app) as server:
        async with httpx.AsyncClient(timeout=10) as http:
            probe = Probe(http, f"{server.origin}/v1", key=FakeOpenAI.default_key, model=MODEL, timeout=10)
            card = await judge(probe, chosen(["headers.keep_alive"]))

    assert card.results[0].state == ("fail" if closing else "pass")


async def test_equal_requests_are_sent_once() -> None:
    """Assertions share answers: a whole group takes few requests."""
    fake = FakeOpenAI(models=(MODEL,))
    card = await scored(fake, "stream", "content")

    assert len(card.results) > 30
    assert card.requests == len(fake.calls) < 12


async def test_what_depends_on_a_failure_is_not_judged() -> None:
    """A server that cannot stream fails for that; the chunks are skipped as blocked, and it does not conform."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"no"})

    card = await scored(app, "stream", "content")

    assert set(_failed(card)) == {"stream.status", "stream.content_type", "content.length", "content.n"}
    assert card.blocked == len(card.results) - 5
    assert not card.ok


async def test_a_shape_that_no_judge_foresaw() -> None:
    """It is a failure of the assertion, and the run goes on."""

    @must("odd.shape")
    async def odd(probe: Probe) -> None:
        """Holds."""
        raise KeyError("nobody thought of it")

    async with inprocess.client(FakeOpenAI(), library="httpx") as http:
        probe = Probe(http, "http://server.test/v1", key=FakeOpenAI.default_key, model=MODEL)
        card = await judge(probe, (odd, *chosen(["chat.status"])))

    assert [one.state for one in card.results] == ["fail", "pass"]
    assert "nobody thought of it" in card.result("odd.shape").evidence
    assert isinstance(odd, Assertion)


async def test_finding_the_api_and_a_model() -> None:
    """A URL without `/v1` is tried with it; the first model that chats is taken."""
    fake = FakeOpenAI(models=("text-embedding-3-small", MODEL))
    async with inprocess.client(fake, library="httpx") as http:
        probe = Probe(http, "http://user:secret@server.test", key=FakeOpenAI.default_key)
        card = await judge(probe, chosen(["chat.status"]))

    assert (card.url, card.model, card.ok) == ("http://server.test/v1", MODEL, True)
    assert probe.embedding_model == "text-embedding-3-small"


async def test_a_limit_under_its_newer_name() -> None:
    """A model that refuses `max_tokens` is asked with `max_completion_tokens`."""
    async with inprocess.client(FakeOpenAI(), library="httpx") as http:
        probe = Probe(http, "http://server.test/v1", key=FakeOpenAI.default_key, model="o3")
        card = await judge(probe, chosen(["chat"]))

    assert probe.asked()["max_completion_tokens"]
    assert card.ok
    assert card.result("chat.max_tokens").state == "skip"


def _short(said: Said) -> None:
    """A model that is done after two tokens, whatever the limit."""
    if said.chat and said.status == 200 and said.asked.get("max_tokens") == 5:
        if said.streamed:
            events = said.events
            for one in events[1:-2]:
                one["choices"][0]["delta"] = {}
            events[-2]["choices"][0]["finish_reason"] = "stop"
            said.events = events
        else:
            value = said.value
            value["choices"][0]["finish_reason"] = "stop"
            value["usage"]["completion_tokens"] = 2
            said.value = value


async def test_a_model_of_few_words() -> None:
    """One that is done before its limit gives nothing to judge, and conforms."""
    ids = ("chat.max_tokens", "content.length")
    card = await scored(Bent(good(), _short), *ids)

    assert [one.state for one in card.results] == ["skip", "skip"]
    assert card.ok


async def test_a_call_that_ran_into_the_limit() -> None:
    """Its arguments are not judged, plain or streamed."""

    def length(one: Json) -> None:
        if one.get("finish_reason"):
            one["finish_reason"] = "length"

    for bend, id in (
        (plain(lambda value: length(value["choices"][0])), "tools.arguments"),
        (choice(length), "tools.stream_arguments"),
    ):
        card = await scored(Bent(good(), bend), id)
        assert card.result(id).evidence == "the call ran into the limit of tokens"
        assert card.ok


async def test_a_connection_that_was_idle_too_long() -> None:
    """A request whose connection breaks before any answer is sent once more, and only once."""
    broken: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].endswith("/models") and len(broken) < 1:
            broken.append(scope["path"])
            raise ConnectionResetError
        if scope["method"] == "HEAD":
            broken.append("HEAD")
            raise ConnectionResetError
        await FakeOpenAI()(scope, receive, send)

    card = await scored(app, "models.status", "headers.head")

    assert [one.state for one in card.results] == ["pass", "fail"]
    assert broken[1:] == ["HEAD", "HEAD"]


async def test_no_model_to_ask() -> None:
    """It says what to give."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'{"object": "list", "data": []}'})

    async with inprocess.client(app, library="httpx") as http:
        with pytest.raises(Unreachable, match="--model"):
            await Probe(http, "http://server.test/v1").prepare()


async def test_the_key_is_never_shown() -> None:
    """Not even when a server repeats it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": headers.get(b"authorization", b"") + b" is refused"})

    card = await scored(app, "chat", key="sk-very-secret-key")

    assert "is refused" in card.result("chat.status").evidence
    assert not any("very-secret" in one.evidence for one in card.results)


async def test_a_server_that_never_answers() -> None:
    """Each request has an end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    async with inprocess.client(app, library="httpx", timeout=None) as http:
        probe = Probe(http, "http://server.test/v1", model=MODEL, timeout=0.05)
        card = await judge(probe, chosen(["chat.status", "cancel.stream"]))

    assert "not finished within 0.05 s" in card.result("chat.status").evidence
    assert card.result("cancel.stream").blocked


def test_evidence_is_short() -> None:
    """Whatever is shown is clipped."""
    assert len(short("x" * 10_000)) == 200
    assert short(b"\xff") == "'\\xff'"
    assert short({1}) == "{1}"
    with pytest.raises(Fails, match="because"):
        expect(False, "because")


async def test_extras_are_only_extras() -> None:
    """The test's own embeddings and responses do not shadow the fake."""
    async with inprocess.client(Extras(FakeOpenAI()), library="httpx") as http:
        probe = Probe(http, "http://server.test/v1", key=FakeOpenAI.default_key, model=MODEL)
        await probe.prepare()
        message = await probe.message(messages=asks.user("Hi."))

    assert message["role"] == "assistant"
