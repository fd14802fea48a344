"""Retries, fallbacks, several keys, several choices, breakers: which upstream answers, and an honest end where none does."""

from __future__ import annotations

import asyncio
import base64
import itertools
import random
from typing import Any

import orjson
import pytest

from compatgw import Gateway
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, completion
from tests.flow.upstreams import Turns, good, post, several, streamed

PATIENT = {"most": 2, "base": 0.001, "cap": 0.002}
BUSY = b'{"error": {"message": "busy"}}'


def house(retries: dict[str, Any] | None = None, **upstreams: Any) -> Gateway:
    """A gateway with these providers, each with a model `m`."""
    settings = upstreams.pop("settings", {})
    return Gateway(
        providers={
            name: {
                "app": app,
                "base_url": "http://up/v1",
                "api_key": f"{name}-key",
                "models": ["m"],
                **settings.pop(name, {}),
            }
            for name, app in upstreams.items()
        },
        keys=["k"],
        environ={},
        retries=PATIENT if retries is None else retries,
        **settings,
    )


# --- retries ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
async def test_what_passes_is_tried_again_unseen(status: int, stream: bool) -> None:
    """The answer says only how often; a stream no less than a plain call (BerriAI/litellm#29808)."""
    up = Turns(Canned(BUSY, status), Canned(BUSY, status), streamed() if stream else good())
    got = await post(house(one=up), stream=stream)

    assert (got.status_code, up.calls) == (200, 3)
    assert got.headers["x-retry-count"] == "2"
    assert b"Hello" in got.content


@pytest.mark.parametrize(("status", "calls"), [(400, 1), (404, 1), (422, 1), (401, 1), (402, 1), (500, 3)])
async def test_what_does_not_pass_is_not_tried_again(status: int, calls: int) -> None:
    """Callers' faults, our own key and our own account are as wrong the second time."""
    up = Turns(Canned(BUSY, status))
    await post(house(one=up))

    assert up.calls == calls


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_a_caller_says_how_often(retries: int) -> None:
    """From 0 to 5; more is refused."""
    up = Turns(Canned(BUSY, 500))
    got = await post(house(one=up), retries=retries)
    too_many = await post(house(one=up), retries=6)

    assert (got.status_code, up.calls) == (502, retries + 1)
    assert too_many.status_code == 400


async def test_a_wait_that_is_too_long_is_passed_on_instead() -> None:
    """The client gets the upstream's own Retry-After, and nothing is tried meanwhile."""
    up = Turns(Canned(BUSY, 429, headers={"retry-after": "3600"}))
    got = await post(house(one=up))

    assert (got.status_code, up.calls, got.headers["retry-after"]) == (429, 1, "3600")


# --- fallbacks ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "broken",
    [
        Canned(BUSY, 500),
        Canned(BUSY, 401),
        Canned(BUSY, 402),
        Canned(b'{"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}', 404),
        Canned(b'{"error": {"message": "maximum context length is 10", "code": "context_length_exceeded"}}', 400),
        Canned([], status=0, then="break"),
        Canned([ROLE], kind=STREAM, then="break"),
        Canned([b'data: {"error": {"message": "overloaded", "code": 529}}\n\n'], kind=STREAM),
        Canned([], kind=STREAM),
    ],
    ids=["500", "401", "402", "404", "context", "no connection", "cut before content", "error in the stream", "empty"],
)
async def test_the_next_model_answers_when_the_first_fails(broken: Canned, stream: bool) -> None:
    """Portkey-AI/gateway, maximhq/bifrost#2917, #5395: also streams that die before their first content."""
    other = Turns(streamed() if stream else good())
    got = await post(house({"most": 0}, one=broken, two=other), stream=stream, fallback=["two/m"])

    assert (got.status_code, other.calls) == (200, 1)
    assert (got.headers["x-provider"], got.headers["x-fallback-from"]) == ("two", "one/m")
    assert b"Hello" in got.content
    assert not stream or got.content.endswith(b"data: [DONE]\n\n")


async def test_a_fault_of_the_caller_goes_nowhere_else() -> None:
    """mozilla-ai/otari#546: another model would not take the request either."""
    other = Turns(good())
    got = await post(house(one=Canned(BUSY, 400), two=other), fallback=["two/m"])

    assert (got.status_code, other.calls) == (400, 0)


async def test_after_the_first_content_nobody_else_is_called() -> None:
    """What was sent was sent: the stream ends with an error, and without `[DONE]`."""
    other = Turns(streamed())
    got = await post(
        house(one=Canned([ROLE, WORD], kind=STREAM, then="break"), two=other), stream=True, fallback=["two/m"]
    )

    assert other.calls == 0
    assert b"upstream_stream_interrupted" in got.content
    assert b"[DONE]" not in got.content


async def test_a_target_that_hangs_leaves_time_for_the_next() -> None:
    """BerriAI/litellm#40404: a stall reaches the fallback, because each target has its share of the time."""
    hanging = Canned([ROLE], kind=STREAM, then="hang")
    got = await post(house(one=hanging, two=streamed()), stream=True, fallback=["two/m"], timeout=400)

    assert (got.status_code, got.headers["x-provider"]) == (200, "two")
    await asyncio.wait_for(hanging.ended.wait(), 5)


async def test_when_all_fail_the_most_telling_failure_is_told() -> None:
    """BerriAI/litellm#38610: an ordinary error with a status, not a stream that begins and breaks."""
    limited = Canned(BUSY, 429, headers={"retry-after": "7"})
    got = await post(house({"most": 0}, one=Canned(BUSY, 401), two=limited), stream=True, fallback=["two/m"])

    assert (got.status_code, got.json()["error"]["code"]) == (429, "upstream_rate_limited")
    assert got.headers["retry-after"] == "7"


async def test_a_codename_is_answered_by_whoever_serves_it() -> None:
    """Its providers are each other's fallback, in its order."""
    app = Gateway(
        providers={
            "groq": {"app": Canned(BUSY, 500), "api_key": "a"},
            "cerebras": {"app": good(), "api_key": "b"},
        },
        keys=["k"],
        environ={},
        retries={"most": 0},
    )
    got = await post(app, model="llama-3.3-70b")

    assert (got.status_code, got.headers["x-provider"]) == (200, "cerebras")


# --- several keys ---


async def test_the_next_key_of_a_provider_takes_over_from_a_limited_one() -> None:
    """At once, without a retry being counted; and the limited one is left alone for as long as it was asked."""
    up = Turns(Canned(BUSY, 429, headers={"retry-after": "60"}), good())
    app = house({"most": 0}, one=up, settings={"one": {"api_keys": ["second-key"]}})
    first, second = await post(app), await post(app)

    assert [each.status_code for each in (first, second)] == [200, 200]
    assert up.keys == ["one-key", "second-key", "second-key"]
    assert "x-retry-count" not in first.headers


# --- breakers ---


async def test_an_upstream_that_keeps_failing_is_left_alone() -> None:
    """503 `circuit_open` with the time until it is tried again, and `/api/status` says so."""
    up = Turns(Canned(BUSY, 500))
    app = house({"most": 0}, one=up, settings={"breaker": {"streak": 3, "open_for": 30}})
    codes = [(await post(app)).status_code for _ in range(3)]
    got = await post(app)
    async with app.client(api_key="k") as client:
        (row,) = (await client.get("/api/status")).json()["data"]["upstreams"]

    assert (codes, up.calls) == ([502] * 3, 3)
    assert (got.status_code, got.json()["error"]["code"]) == (503, "circuit_open")
    assert 1 <= int(got.headers["retry-after"]) <= 30
    assert (row["state"], row["breaker"], row["model"]) == ("open", "open", "m")


async def test_an_open_breaker_sends_calls_to_the_fallback_at_once() -> None:
    """The failing upstream is not asked again."""
    up = Turns(Canned(BUSY, 500))
    app = house({"most": 0}, one=up, two=good(), settings={"breaker": {"streak": 1, "open_for": 30}})
    answers = [await post(app, fallback=["two/m"]) for _ in range(3)]

    assert [each.status_code for each in answers] == [200] * 3
    assert up.calls == 1


# --- several choices ---


@pytest.mark.parametrize("stream", [False, True])
async def test_choices_that_an_upstream_gives_one_at_a_time_are_merged(stream: bool) -> None:
    """As many calls as choices, indices in order, one id, usage summed; a part that fails falls back alone."""
    up = Turns(streamed() if stream else good(), Canned(BUSY, 500), streamed() if stream else good())
    app = house(one=up, settings={"one": {"quirks": {"n": False}}})
    got = await post(app, n=3, stream=stream, stream_options={"include_usage": True} if stream else None)

    assert (got.status_code, up.calls) == (200, 4)
    if not stream:
        body = got.json()
        assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
        assert body["usage"]["total_tokens"] == 15
        return
    events = [orjson.loads(event[6:]) for event in got.content.split(b"\n\n")[:-2]]
    assert {choice["index"] for event in events for choice in event["choices"]} == {0, 1, 2}
    assert len({event["id"] for event in events}) == 1
    assert [event["usage"]["total_tokens"] for event in events if event.get("usage")] == [15]
    assert got.content.endswith(b"data: [DONE]\n\n")


async def test_a_part_that_fails_for_good_fails_the_call() -> None:
    """And nothing of it goes on."""
    up = Turns(good(), Canned(BUSY, 400))
    app = house({"most": 0}, one=up, settings={"one": {"quirks": {"n": False}}})
    got = await post(app, n=2)

    assert got.status_code == 400
    assert len(asyncio.all_tasks()) == 1


# --- explaining ---


async def test_a_plan_is_explained_and_nobody_is_called() -> None:
    """`X-Gateway-Explain: 1` gives targets, what is left out, and why."""
    up = Turns(good())
    app = house(one=up, two=up)
    got = await post(app, {"X-Gateway-Explain": "1"}, fallback=["two/m", "nobody/x"])
    plan = got.json()

    assert up.calls == 0
    assert [f"{row['provider']}/{row['model']}" for row in plan["targets"]] == ["one/m", "two/m"]
    assert [row["reason"] for row in plan["left_out"]] == ["no_provider"]


# --- the client leaves ---


@pytest.mark.parametrize("drain", [0, 5])
async def test_a_stream_whose_client_left_is_ended_or_read_to_its_end(drain: int) -> None:
    """By setting; read to its end, its usage is the upstream's own and no estimate."""
    gate = asyncio.Event()

    class Slow(Canned):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            try:
                for piece in self.pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    if piece is WORD:
                        await gate.wait()
                await send({"type": "http.response.body", "body": b""})
            finally:
                self.ended.set()

    up = Slow([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM)
    app = house(one=up, settings={"drain": drain})
    async with app.client(api_key="k") as client:
        body = {**ask(stream=True), "model": "one/m"}
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            async for data in response.aiter_raw():
                if b"Hello" in data:
                    break
            gate.set() if drain else None
    await asyncio.wait_for(up.ended.wait(), 5)
    gate.set()
    (seen,) = app._standing.house.health

    # What was left in the middle says nothing of its upstream.
    assert (seen.calls, seen.errors, seen.vitals.in_flight) == (1 if drain else 0, 0, 0)


async def test_keys_that_are_all_limited_are_each_tried_once() -> None:
    """An upstream that asks for no rest at all must not have them take turns for ever."""
    up = Turns(Canned(BUSY, 429, headers={"retry-after": "0"}))
    app = house({"most": 0}, one=up, settings={"one": {"api_keys": ["second-key", "third-key"]}})
    got = await asyncio.wait_for(post(app, timeout=500), 5)

    assert (got.status_code, len(up.keys)) == (429, 3)
    assert set(up.keys) == {"one-key", "second-key", "third-key"}


async def test_a_plain_call_that_hangs_leaves_time_for_the_next_where_an_attempt_is_bounded() -> None:
    """`timeouts.attempt` holds while others are behind; the last target has all that is left."""
    whole = await post(house(one=Canned(completion(), then="hang"), two=good()), fallback=["two/m"], timeout=200)
    shared = house(one=Canned(completion(), then="hang"), two=good(), settings={"timeouts": {"attempt": 0.1}})
    got = await post(shared, fallback=["two/m"])

    assert whole.status_code == 504
    assert (got.status_code, got.headers["x-provider"]) == (200, "two")


async def test_with_a_seed_and_clocks_the_same_requests_give_the_same_routes_and_bytes() -> None:
    """Also where latencies decide: they are measured with the clock that is given."""

    async def run() -> list[tuple[str, bytes]]:
        ticks = itertools.count()
        app = several(
            {name: good(name) for name in ("one", "two", "three")},
            random=random.Random(7),
            clock=lambda: 1_700_000_000.0,
            monotonic=lambda: next(ticks) / 1000,
        )
        models = [{"model": f"{name}/m"} for name in ("one", "two", "three")]
        balanced = {"strategy": "least-latency", "models": models}
        answers = [await post(app, load_balance=balanced) for _ in range(24)]
        return [(got.headers["x-provider"], got.content) for got in answers]

    first, second = await run(), await run()

    assert first == second
    assert {provider for provider, _ in first} == {"one", "two", "three"}


async def test_a_fallback_that_does_not_take_the_request_is_passed_by() -> None:
    """Why the model that was asked failed is told, not what the other one lacks."""
    up = {"one": {"app": Canned(BUSY, 503), "dialect": "openai"}, "two": {"app": good(), "dialect": "anthropic"}}
    got = await post(several(up), fallback=["two/m"], logprobs=True)
    alone = await post(several(up), model="two/m", logprobs=True)

    assert (got.status_code, got.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert (alone.status_code, alone.json()["error"]["param"]) == (400, "logprobs")


async def test_a_picture_that_is_none_is_refused_before_anybody_is_asked() -> None:
    """What it says it is and what it is have to agree."""
    up = good()
    url = "data:image/png;base64," + base64.b64encode(b"%PDF-1.7 not a picture").decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    got = await post(several({"one": up}), messages=[{"role": "user", "content": content}])

    assert (got.status_code, got.json()["error"]["param"]) == (400, "messages[0].content[0].image_url.url")
    assert up.asked == []
