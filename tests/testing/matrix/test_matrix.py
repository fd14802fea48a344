"""The matrix on the gateway of this house, on lossy ones, and over a socket."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from compatgw import Gateway
from compatgw_testing import FakeServer
from compatgw_testing.matrix import SCENARIOS, SURFACES, UPSTREAMS, Case, MatrixFailure, Target, cases
from compatgw_testing.matrix.scenario import Scenario
from tests.testing.check.broken import (
    DONE,
    Bend,
    Json,
    Said,
    answers,
    call,
    choice,
    chunk,
    counted,
    fragment,
    message,
    plain,
    stream,
)
from tests.testing.matrix.gateways import forgetful, lossy, make, ours

MAIN = ("openai", "anthropic", "gemini", "cohere")
ALL = cases()


@pytest.mark.parametrize("upstream", list(UPSTREAMS))
def test_the_gateway_holds(upstream: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every scenario that an upstream can play goes well through the gateway."""
    target = ours()
    chosen = cases(upstreams=[upstream])
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
        print(f"\n{len(chosen) - len(failures)} of {len(chosen)} {upstream}, {time.monotonic() - started:.1f} s")
    assert not failures, "\n\n".join(failures)


def test_every_scenario_is_played() -> None:
    """Each has at least one upstream; each of the four main ones plays most of the general scenarios."""
    played = {case.scenario.name for case in ALL}

    assert played == {one.name for one in SCENARIOS}
    for upstream in MAIN:
        assert len({case.scenario.name for case in cases(upstreams=[upstream])}) >= 45


def test_ids_are_unique_and_say_it_all() -> None:
    """Client, upstream, scenario, mode."""
    ids = [case.id for case in ALL]

    assert len(set(ids)) == len(ids)
    assert "chat-anthropic-tool_call-stream" in ids
    assert all(re.fullmatch(r"chat-[a-z]+-[a-z0-9_]+-(plain|stream)", id) for id in ids)
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert all(one.says.endswith(".") for one in SCENARIOS)


def test_choosing() -> None:
    """By client, upstream and scenario; what makes no sense together gives no case; another name is an error."""
    one = cases(["chat"], ["gemini"], ["text"])

    assert [case.id for case in one] == ["chat-gemini-text-plain", "chat-gemini-text-stream"]
    assert cases(upstreams=["cohere"], scenarios=["malformed_function_call"]) == ()
    assert list(SURFACES) == ["chat"]
    for given, said in (
        ({"clients": ["telnet"]}, "no client 'telnet'; it has chat"),
        ({"upstreams": ["acme"]}, "no upstream 'acme'; it has openai, anthropic"),
        ({"scenarios": ["rain"]}, "no scenario 'rain'; it has text"),
    ):
        with pytest.raises(ValueError, match=said):
            cases(**given)


# What a gateway may lose, and the scenarios that have to notice.


def _no_arguments(one: Json) -> None:
    one["function"]["arguments"] = ""


def _swallowed_error(events: list[Any]) -> list[Any]:
    """An error in a stream becomes a good end."""
    if not any(one != DONE and one.get("error") for one in events):
        return events
    kept = [one for one in events if one != DONE and not one.get("error")]
    end = {**kept[0], "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]} if kept else {}
    return [*kept, end, DONE]


def _only_first_call(one: Json) -> None:
    if one.get("tool_calls"):
        one["tool_calls"] = one["tool_calls"][:1]


def _said_to_stop(one: Json) -> None:
    if one.get("finish_reason"):
        one["finish_reason"] = "stop"


def _no_thought(one: Json) -> None:
    for name in ("reasoning_content", "reasoning"):
        one.pop(name, None)


def _no_cached(value: Json) -> None:
    (value.get("usage") or {}).pop("prompt_tokens_details", None)


def _first_index(one: Json) -> None:
    one["index"] = 0


def _good_status(said: Said) -> None:
    if said.status >= 400:
        said.status = 200


def _retry_lost(said: Said) -> None:
    for name in ("retry-after", "retry-after-ms"):
        said.headers.pop(name, None)


def _ascii(said: Said) -> None:
    said.body = said.body.decode().encode("ascii", "replace")


LOSSES: dict[str, tuple[Bend, tuple[str, ...]]] = {
    "arguments": (call(_no_arguments), ("chat-anthropic-tool_call-plain", "chat-gemini-tool_nested-plain")),
    "streamed arguments": (
        fragment(_no_arguments),
        (
            "chat-gemini-tool_call-stream",
            "chat-gemini-gemini_tool_after_thought-stream",
            "chat-cohere-tool_call-stream",
        ),
    ),
    "the error in a stream": (
        stream(_swallowed_error),
        (
            "chat-openai-error_mid_stream-stream",
            "chat-anthropic-overloaded_mid_stream-stream",
            "chat-gemini-cut-stream",
            "chat-cohere-truncated-stream",
            "chat-anthropic-truncated_tool-stream",
            "chat-openai-garbage-stream",
        ),
    ),
    "all calls but one": (
        message(_only_first_call),
        ("chat-anthropic-tool_parallel-plain", "chat-cohere-tool_three-plain"),
    ),
    "that calls differ": (
        fragment(_first_index),
        ("chat-openai-tool_parallel-stream", "chat-gemini-gemini_two_tools_two_events-stream"),
    ),
    "why it finished": (
        choice(_said_to_stop),
        (
            "chat-anthropic-tool_call-stream",
            "chat-gemini-length-stream",
            "chat-openai-tool_said_to_stop-stream",
            "chat-anthropic-filtered-stream",
        ),
    ),
    "thought": (
        message(_no_thought),
        ("chat-anthropic-reasoning-plain", "chat-deepseek-reasoning-plain", "chat-gemini-thinking_text_tool-plain"),
    ),
    "streamed thought": (
        choice(lambda one: _no_thought(one["delta"])),
        ("chat-openai-reasoning_and_text_in_one_chunk-stream", "chat-cohere-reasoning_tool-stream"),
    ),
    "what was cached": (plain(_no_cached), ("chat-anthropic-usage_cached-plain", "chat-gemini-usage_cached-plain")),
    "usage": (counted(lambda one: one.pop("usage")), ("chat-openai-usage-stream", "chat-anthropic-text-stream")),
    "that it failed": (
        _good_status,
        ("chat-openai-server_error-plain", "chat-anthropic-overloaded-plain", "chat-gemini-model_missing-plain"),
    ),
    "which failure": (
        answers(lambda said: said.status >= 400, 500, {"error": {"message": "no"}}),
        ("chat-openai-context_length-plain", "chat-anthropic-rate_limited-plain"),
    ),
    "how long to wait": (_retry_lost, ("chat-openai-rate_limited-plain", "chat-anthropic-rate_limited-stream")),
    "letters": (_ascii, ("chat-anthropic-unicode-plain", "chat-gemini-unicode-stream")),
    "the refusal": (
        message(lambda one: one.update(refusal=None)),
        ("chat-openai-refusal-plain", "chat-anthropic-refusal-plain"),
    ),
    "ids within a stream": (
        stream(lambda events: [one.update(id=str(at)) for at, one in enumerate(events) if one != DONE] and None),
        ("chat-cohere-text-stream",),
    ),
    "the end mark": (
        stream(lambda events: events[:-1]),
        ("chat-openai-text-stream", "chat-gemini-finish_without_done-stream")[:1],
    ),
    "the role": (
        choice(lambda one: one["delta"].pop("role", None)),
        ("chat-gemini-text-stream", "chat-mistral-text-stream"),
    ),
    "the object's name": (chunk(lambda one: one.update(object="chunk")), ("chat-anthropic-text-stream",)),
}


def _case(id: str) -> Case:
    return next(case for case in ALL if case.id == id)


@pytest.mark.parametrize("loss", list(LOSSES))
async def test_a_lossy_gateway_is_noticed(loss: str) -> None:
    """Each named case fails."""
    bend, ids = LOSSES[loss]
    for id in ids:
        with pytest.raises(MatrixFailure, match=id):
            await _case(id).run(lossy(bend))


def _member(name: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        body.pop(name, None)
        return json.dumps(body).encode()

    return change


def _role(role: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        body["messages"] = [one for one in body["messages"] if one["role"] != role]
        return json.dumps(body).encode()

    return change


def _results_swapped(raw: bytes) -> bytes:
    body = json.loads(raw)
    results = [one for one in body["messages"] if one["role"] == "tool"]
    texts = [one["content"] for one in results]
    for one, text in zip(results, reversed(texts), strict=True):
        one["content"] = text
    return json.dumps(body).encode()


def _without_media(raw: bytes) -> bytes:
    body = json.loads(raw)
    for one in body["messages"]:
        if isinstance(one["content"], list):
            one["content"] = [part for part in one["content"] if part["type"] == "text"]
    return json.dumps(body).encode()


FORGOTTEN: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "the system": (_role("system"), ("system", "two_systems")),
    "the history": (_role("assistant"), ("history",)),
    "tools": (_member("tools"), ("tool_offered",)),
    "the choice": (_member("tool_choice"), ("tool_required",)),
    "the schema": (_member("response_format"), ("schema_in",)),
    "the limit": (_member("max_tokens"), ("limit",)),
    "the temperature": (_member("temperature"), ("temperature",)),
    "stop": (_member("stop"), ("stop",)),
    "pictures": (_without_media, ("image", "document")),
    "which result is whose": (_results_swapped, ("tool_results",)),
    "letters": (lambda raw: re.sub(rb"\\u[0-9a-f]{4}", b"?", json.dumps(json.loads(raw)).encode()), ("unicode_in",)),
}


@pytest.mark.parametrize("upstream", ["openai", "anthropic", "gemini"])
@pytest.mark.parametrize("forgotten", list(FORGOTTEN))
async def test_a_forgetful_gateway_is_noticed(forgotten: str, upstream: str) -> None:
    """What the upstream was not told is named."""
    change, names = FORGOTTEN[forgotten]
    for case in cases(upstreams=[upstream], scenarios=names):
        with pytest.raises(MatrixFailure, match="was not told"):
            await case.run(forgetful(change))


def _once(raw: bytes) -> Callable[[], Awaitable[Any]]:
    """A `receive` that gives one body, and then waits as for a client that stays."""
    given = [raw]

    async def receive() -> Any:
        if not given:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": given.pop(), "more_body": False}

    return receive


async def _dropped(_: Any) -> None:
    """A `send` that nobody hears."""


def _numb(fakes: Any) -> Any:
    """A gateway that asks its upstream something else, and says the same whatever comes."""
    gateway = make(fakes)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked = json.loads((await receive())["body"])
        other = {"model": asked["model"], "messages": [{"role": "user", "content": "Quite another thing."}]}

        await gateway(scope, _once(json.dumps(other).encode()), _dropped)
        await _constant({**scope, "streams": asked.get("stream")}, receive, send)

    return app


@pytest.mark.parametrize("upstream", MAIN)
async def test_no_case_is_vacuous(upstream: str) -> None:
    """Every single case fails for a gateway that hears and says nothing of what it should."""
    target = Target.in_process(_numb)
    passed = []
    for case in cases(upstreams=[upstream]):
        try:
            await case.run(target)
        except MatrixFailure:
            continue
        passed.append(case.id)

    assert passed == []


async def test_a_failure_reads_well() -> None:
    """Scenario, what was expected, what came, what the upstream was to play, and its journal."""
    with pytest.raises(MatrixFailure) as caught:
        await _case("chat-anthropic-tool_call-plain").run(lossy(call(_no_arguments)))
    text = str(caught.value)

    assert text.startswith("chat-anthropic-tool_call-plain: A tool call arrives with its name and all its arguments")
    assert "arguments of call 0: expected {'city': 'Paris'}, came ''" in text
    assert "client saw: 200 whole, finish='tool_calls', calls=[get_weather()" in text
    assert "upstream:   anthropic was to play Turn(" in text
    assert "journal:    #1 POST /v1/messages -> 200 completed" in text
    assert "test-key" not in text


async def test_a_gateway_that_answers_by_itself() -> None:
    """An answer that no upstream gave is no answer."""
    target = Target.in_process(lambda fakes: make({}) if not fakes else _constant)
    with pytest.raises(MatrixFailure, match="the upstream was never called"):
        await _case("chat-openai-text-plain").run(target)


async def _constant(scope: Any, receive: Any, send: Any) -> None:
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    said = {"role": "assistant", "content": "Numb."}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if scope.get("streams"):
        kind = b"text/event-stream"
        choices = ([{"index": 0, "delta": said}], [{"index": 0, "delta": {}, "finish_reason": "stop"}])
        chunks = [{**head, "object": "chat.completion.chunk", "choices": one} for one in choices]
        chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        raw = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"
    else:
        kind = b"application/json"
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        raw = json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": raw})


async def test_a_gateway_that_never_answers() -> None:
    """It fails in time, and the message says that it waited."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(MatrixFailure, match=r"no end came within 0\.05 s"):
        await _case("chat-openai-text-plain").run(Target.in_process(lambda _: app, timeout=0.05))


async def test_a_gateway_that_asks_twice() -> None:
    """A good answer that was paid for twice is noticed."""

    def doubled(fakes: Any) -> Any:
        gateway = make(fakes)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            raw = (await receive())["body"]
            await gateway(scope, _once(raw), _dropped)
            await gateway(scope, _once(raw), send)

        return app

    with pytest.raises(MatrixFailure, match="called 2 times, 1 at most"):
        await _case("chat-openai-temperature-plain").run(Target.in_process(doubled))


async def test_a_gateway_at_a_url() -> None:
    """The fakes are served at addresses that the gateway is configured with; cases play over sockets."""
    chosen = cases(upstreams=MAIN, scenarios=["text", "tool_call", "cut"])
    gateways: dict[str, Any] = {}

    async def gateway(scope: Any, receive: Any, send: Any) -> None:
        await gateways["one"](scope, receive, send)

    with FakeServer(gateway) as server, Target.at(f"{server.origin}/v1", key="test-key", port=0) as target:
        gateways["one"] = _configured(target)
        for case in chosen:
            await case.run(target)
        await gateways["one"].aclose()

    assert len(chosen) == 24


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
        await _case("chat-openai-text-plain").run(target)
    with pytest.raises(RuntimeError, match="with target"):
        print(target.addresses)


def test_without_an_event_loop() -> None:
    """`run_sync` gives what the client saw."""
    seen = _case("chat-gemini-text-stream").run_sync(ours())

    assert (seen.text, seen.ended, seen.finish) == ("Hello there, how are you?", "whole", "stop")


def test_a_scenario_of_ones_own() -> None:
    """Case, Scenario and Asked are enough to add one."""
    known = _case("chat-openai-text-plain")
    own = Scenario(
        name="own", says="It holds.", asked=known.scenario.asked, step=known.scenario.step, expect=known.scenario.expect
    )

    assert Case("chat", known.upstream, own, "plain").run_sync(ours()).text == "Hello there, how are you?"
