"""The matrix on the gateway of this house, on lossy ones, and over a socket."""

import asyncio
import re
import time
from typing import Any

import pytest

from compatgw import Gateway
from compatgw_testing import FakeServer
from compatgw_testing.matrix import SCENARIOS, SURFACES, UPSTREAMS, Case, MatrixFailure, Target, cases
from compatgw_testing.matrix.scenario import Scenario
from tests.testing.check.broken import call
from tests.testing.matrix.gateways import found, lossy, make, ours
from tests.testing.matrix.numb import WORDS, constant, numb, once, unheard

MAIN = ("openai", "anthropic", "gemini", "cohere", "bedrock")
ALL = cases()
TOGETHER = [(client, upstream) for upstream in UPSTREAMS for client in SURFACES]


@pytest.mark.parametrize(("client", "upstream"), TOGETHER)
def test_the_gateway_holds(client: str, upstream: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every scenario that a client can ask and an upstream can play goes well through the gateway."""
    target = ours()
    chosen = cases([client], [upstream])
    started = time.monotonic()

    async def play() -> list[str]:
        failures = []
        async with asyncio.timeout(50):
            for case in chosen:
                try:
                    await case.run(target)
                except MatrixFailure as failure:
                    failures.append(str(failure))
        return failures

    failures = asyncio.run(play())
    with capsys.disabled():
        took = time.monotonic() - started
        print(f"\n{len(chosen) - len(failures)} of {len(chosen)} {client} x {upstream}, {took:.1f} s")
    assert not failures, "\n\n".join(failures)


def test_every_scenario_is_played() -> None:
    """Each has at least one upstream; each of the main ones plays most of the general scenarios to each client."""
    played = {case.scenario.name for case in ALL}

    assert played == {one.name for one in SCENARIOS}
    for upstream in MAIN:
        for client in SURFACES:
            assert len({case.scenario.name for case in cases([client], [upstream])}) >= 45


def test_ids_are_unique_and_say_it_all() -> None:
    """Client, upstream, scenario, mode."""
    ids = [case.id for case in ALL]

    assert len(set(ids)) == len(ids)
    assert "chat-anthropic-tool_call-stream" in ids
    assert all(re.fullmatch(r"(chat|messages|responses)-[a-z]+-[a-z0-9_]+-(plain|stream)", id) for id in ids)
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert all(one.says.endswith(".") for one in SCENARIOS)


def test_choosing() -> None:
    """By client, upstream and scenario; what makes no sense together gives no case; another name is an error."""
    one = cases(["chat"], ["gemini"], ["text"])

    assert [case.id for case in one] == ["chat-gemini-text-plain", "chat-gemini-text-stream"]
    assert cases(upstreams=["cohere"], scenarios=["malformed_function_call"]) == ()
    assert list(SURFACES) == ["chat", "messages", "responses"]
    for given, said in (
        ({"clients": ["telnet"]}, "no client 'telnet'; it has chat, messages, responses"),
        ({"upstreams": ["acme"]}, "no upstream 'acme'; it has openai, anthropic"),
        ({"scenarios": ["rain"]}, "no scenario 'rain'; it has text"),
    ):
        with pytest.raises(ValueError, match=said):
            cases(**given)


@pytest.mark.parametrize("client", list(SURFACES))
async def test_a_good_answer_of_nobody(client: str) -> None:
    """The answers that the next test relies on are good ones: only the upstream's part is missed."""
    for mode in ("plain", "stream"):
        with pytest.raises(MatrixFailure) as caught:
            await found(f"{client}-openai-temperature-{mode}").run(Target.in_process(lambda _: constant))
        wrong = [line for line in str(caught.value).splitlines() if line.startswith("  - ")]
        assert wrong == [f"  - text: expected 'Fine.', came '{WORDS}'", "  - the upstream was never called"]


@pytest.mark.parametrize("upstream", MAIN)
@pytest.mark.parametrize("client", list(SURFACES))
async def test_no_case_is_vacuous(client: str, upstream: str) -> None:
    """Every single case fails for a gateway that hears and says nothing of what it should."""
    target = Target.in_process(numb)
    passed = []
    for case in cases([client], [upstream]):
        try:
            await case.run(target)
        except MatrixFailure:
            continue
        passed.append(case.id)

    assert passed == []


async def test_a_failure_reads_well() -> None:
    """Scenario, what was expected, what came, what the upstream was to play, and its journal."""
    with pytest.raises(MatrixFailure) as caught:
        await found("chat-anthropic-tool_call-plain").run(lossy(call(lambda one: one["function"].update(arguments=""))))
    text = str(caught.value)

    assert text.startswith("chat-anthropic-tool_call-plain: A tool call arrives with its name and all its arguments")
    assert "arguments of call 0: expected {'city': 'Paris'}, came ''" in text
    assert "client saw: 200 whole, finish='tool_calls', calls=[get_weather()" in text
    assert "upstream:   anthropic was to play Turn(" in text
    assert "journal:    #1 POST /v1/messages -> 200 completed" in text
    assert "test-key" not in text


async def test_a_gateway_that_answers_by_itself() -> None:
    """An answer that no upstream gave is no answer."""
    target = Target.in_process(lambda fakes: make({}) if not fakes else constant)
    with pytest.raises(MatrixFailure, match="the upstream was never called"):
        await found("chat-openai-text-plain").run(target)


async def test_a_gateway_that_never_answers() -> None:
    """It fails in time, and the message says that it waited."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(MatrixFailure, match=r"no end came within 0\.05 s"):
        await found("chat-openai-text-plain").run(Target.in_process(lambda _: app, timeout=0.05))


async def test_a_gateway_that_asks_twice() -> None:
    """A good answer that was paid for twice is noticed."""

    def doubled(fakes: Any) -> Any:
        gateway = make(fakes)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            raw = (await receive())["body"]
            await gateway(scope, once(raw), unheard)
            await gateway(scope, once(raw), send)

        return app

    with pytest.raises(MatrixFailure, match="called 2 times, 1 at most"):
        await found("chat-openai-temperature-plain").run(Target.in_process(doubled))


async def test_a_gateway_at_a_url() -> None:
    """The fakes are served at addresses that the gateway is configured with; cases play over sockets."""
    chosen = cases(upstreams=SOCKETS, scenarios=["text", "tool_call", "cut"])
    gateways: dict[str, Any] = {}

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        await gateways["one"](scope, receive, send)

    with FakeServer(gateway) as server, Target.at(f"{server.origin}/v1", key="test-key", port=0) as target:
        gateways["one"] = _configured(target)
        for case in chosen:
            await case.run(target)
        await gateways["one"].aclose()

    assert len(chosen) == 72


# Bedrock's addresses hold a region, which no server of fakes has: `tests/flow/test_clouds.py` calls it over a socket.
SOCKETS = MAIN[:4]
# What this gateway wants behind the address that the vendor's SDK takes.
VERSIONS = {"openai": "", "anthropic": "/v1", "gemini": "/v1beta", "cohere": ""}


def _configured(target: Target) -> Gateway:
    """A gateway that calls the fakes over sockets."""
    providers = {
        name: {"base_url": target.addresses[name][0] + version, "api_key": target.addresses[name][1]}
        for name, version in VERSIONS.items()
    }
    return Gateway(providers=providers, keys=["test-key"], environ={}, transport="httpx")


async def test_a_gateway_at_a_url_needs_its_fakes() -> None:
    """Outside of `with` it says so."""
    target = Target.at("http://127.0.0.1:9/v1", key="k")

    with pytest.raises(RuntimeError, match="with target"):
        await found("chat-openai-text-plain").run(target)
    with pytest.raises(RuntimeError, match="with target"):
        print(target.addresses)


def test_without_an_event_loop() -> None:
    """`run_sync` gives what the client saw."""
    seen = found("chat-gemini-text-stream").run_sync(ours())

    assert (seen.text, seen.ended, seen.finish) == ("Hello there, how are you?", "whole", "stop")


def test_a_scenario_of_ones_own() -> None:
    """Case, Scenario and Asked are enough to add one."""
    known = found("chat-openai-text-plain")
    own = Scenario(
        name="own", says="It holds.", asked=known.scenario.asked, step=known.scenario.step, expect=known.scenario.expect
    )

    assert Case("chat", known.upstream, own, "plain").run_sync(ours()).text == "Hello there, how are you?"
