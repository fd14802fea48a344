"""`GET /metrics`: what it says is what happened, as Prometheus' own parsers read it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Gateway
from compatgw.telemetry.base import Ended, Tried
from compatgw.telemetry.labels import Models
from compatgw.telemetry.metrics import Metrics
from tests.canned import FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask
from tests.flow.upstreams import BUSY, CHAT, Turns, good, post, several, streamed
from tests.telemetry.sightings import Page, fetched, page

OPEN: Any = {"metrics": "open"}
WHERE = {"endpoint": "chat", "provider": "one", "model": "m"}


def watched(upstreams: dict[str, Any], **settings: Any) -> Gateway:
    """A gateway whose numbers anybody may read."""
    return several(upstreams, telemetry=OPEN, **settings)


@pytest.mark.parametrize("openmetrics", [False, True])
async def test_a_plain_call_is_counted(openmetrics: bool) -> None:
    """Once, with its tokens, its time and its attempt, in either format."""
    app = watched({"one": good()})
    await post(app)
    found = await page(app, openmetrics=openmetrics)

    assert found.value("compatgw_calls_total", **WHERE, status="200", code="ok") == 1
    assert found.value("compatgw_tokens_total", **WHERE, direction="input") == 3
    assert found.value("compatgw_tokens_total", **WHERE, direction="output") == 2
    assert found.value("compatgw_attempts_total", provider="one", model="m", code="ok") == 1
    assert found.value("compatgw_call_duration_seconds_count", **WHERE) == 1
    assert found.value("compatgw_call_duration_seconds_bucket", **WHERE, le="+Inf") == 1
    assert found.value("compatgw_overhead_seconds_count", endpoint="chat") == 1
    assert found.value("compatgw_time_to_first_token_seconds_count") == 0
    assert found.value("compatgw_calls_in_flight", endpoint="chat") == 0
    assert found.value("compatgw_build_info") == 1


async def test_a_stream_has_a_first_token() -> None:
    """And its overhead is what passed until then."""
    app = watched({"one": streamed()})
    await post(app, stream=True)
    found = await page(app)

    assert found.value("compatgw_time_to_first_token_seconds_count", **WHERE) == 1
    assert found.value("compatgw_tokens_total", **WHERE, direction="output") == 2
    first = found.value("compatgw_time_to_first_token_seconds_sum")
    assert (
        0 < found.value("compatgw_overhead_seconds_sum") <= first <= found.value("compatgw_call_duration_seconds_sum")
    )


async def test_a_stream_that_breaks_is_a_failure() -> None:
    """Although its status was 200 when it began."""
    app = watched({"one": Canned([ROLE, WORD], kind=STREAM, then="break")})
    await post(app, stream=True)
    found = await page(app)

    assert found.value("compatgw_calls_total", code="upstream_stream_interrupted") == 1
    assert found.value("compatgw_calls_total") == 1
    assert found.value("compatgw_calls_in_flight") == 0


async def test_a_client_that_leaves_is_counted_as_that() -> None:
    """And nothing is in flight any more."""
    up = Canned(then="hang")
    app = watched({"one": up})
    call = asyncio.create_task(post(app))
    await up.began.wait()
    during = await page(app)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    after = await page(app)

    assert during.value("compatgw_calls_in_flight", endpoint="chat") == 1
    assert after.value("compatgw_calls_in_flight", endpoint="chat") == 0
    assert after.value("compatgw_calls_total", status="499", code="client_gone") == 1
    assert after.value("compatgw_attempts_total", code="cancelled") == 1


async def test_a_call_that_is_cancelled_again_and_again_is_still_told_of(redis_url: str) -> None:
    """Also while it gives back what it holds: nothing stays in flight for ever."""
    up = Canned(then="hang")
    app = Gateway(
        providers={"one": {"app": up, "base_url": "http://one/v1", "api_key": "x", "models": ["m"]}},
        keys=[{"key": "k", "requests": 1000}],
        state={"counters": redis_url},
        telemetry=OPEN,
        environ={},
    )
    headers = [(b"authorization", b"Bearer k"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": CHAT,
        "raw_path": CHAT.encode(),
        "root_path": "",
        "headers": headers,
    }
    body = {"type": "http.request", "body": orjson.dumps({**ask(), "model": "one/m"})}
    messages = iter([body])

    async def receive() -> Any:
        if (message := next(messages, None)) is not None:
            return message
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        """Nobody listens."""

    call = asyncio.ensure_future(app(scope, receive, send))
    await up.began.wait()
    while not call.done():
        call.cancel()
        await asyncio.sleep(0)
    found = await page(app)
    await app.aclose()

    assert found.value("compatgw_calls_in_flight") == 0
    assert found.value("compatgw_calls_total", code="client_gone") == 1


async def test_retries_and_fallbacks_are_counted() -> None:
    """With who failed, and who answered instead."""
    app = watched({"one": Turns(Canned(BUSY, 503)), "two": good()}, retries=1)
    await post(app, fallback=["two/m"])
    found = await page(app)

    assert found.value("compatgw_attempts_total", provider="one", code="upstream_unavailable") == 2
    assert found.value("compatgw_attempts_total", provider="two", code="ok") == 1
    assert found.value("compatgw_retries_total") == 1
    assert found.value("compatgw_fallbacks_total", provider="two") == 1
    assert found.value("compatgw_calls_total", provider="two", code="ok") == 1


async def test_requests_that_are_no_calls_are_counted_apart() -> None:
    """A wrong key, a wrong body, a wrong path."""
    app = watched({"one": good()})
    async with app.client(api_key="wrong") as client:
        await client.post(CHAT, json=ask())
    async with app.client(api_key="k") as client:
        await client.post(CHAT, content=b"{", headers={"content-type": "application/json"})
        await client.get("/nowhere")
    found = await page(app)

    assert found.value("compatgw_requests_refused_total", status="401", code="invalid_api_key") == 1
    assert found.value("compatgw_requests_refused_total", status="400", code="invalid_json") == 1
    assert found.value("compatgw_requests_refused_total", status="404", code="unknown_endpoint") == 1
    assert found.value("compatgw_calls_total") == 0


async def test_limits_that_refuse_are_counted() -> None:
    """The second call of a minute with one."""
    limited = Gateway(
        providers={"one": {"app": good(), "base_url": "http://one/v1", "api_key": "x", "models": ["m"]}},
        keys=[{"key": "k", "requests": 1}],
        telemetry=OPEN,
        environ={},
    )
    assert [(await post(limited)).status_code for _ in range(2)] == [200, 429]

    assert (await page(limited)).value("compatgw_limits_refused_total", code="rate_limit_exceeded") == 1
    assert (await page(limited)).value("compatgw_limits_refused_total") == 1


async def test_kept_answers_are_hits_and_cost_nothing() -> None:
    """Their tokens were counted when they were made."""
    app = watched({"one": good()}, cache={"enabled": True}, models={"one/m": {"price": {"input": "1", "output": "1"}}})
    for _ in range(3):
        await post(app)
    found = await page(app)

    assert found.value("compatgw_cache_hits_total", endpoint="chat") == 2
    assert found.value("compatgw_tokens_total") == 5
    assert found.value("compatgw_calls_total") == 3


async def test_cost_is_exact_and_in_the_wallets_currency() -> None:
    """Ten times very little is what it is, to the last digit."""
    price = {"price": {"input": "0.1", "output": "0.2"}}
    app = watched({"one": good()}, models={"one/m": price}, money={"currency": "VND"})
    for _ in range(10):
        await post(app)
    (line,) = [line for line in (await fetched(app)).text.splitlines() if line.startswith("compatgw_cost_total")]

    assert line == 'compatgw_cost_total{endpoint="chat",provider="one",model="m",currency="VND"} 0.000007'


async def test_an_open_breaker_is_seen() -> None:
    """As the one state of three that is 1."""
    app = watched({"one": Canned(BUSY, 500)}, breaker={"streak": 2})
    for _ in range(3):
        await post(app)
    found = await page(app)

    assert {
        state: found.value("compatgw_breaker_state", provider="one", state=state)
        for state in ("closed", "half_open", "open")
    } == {"closed": 0, "half_open": 0, "open": 1}


# --- who may read it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metrics", "none", "caller", "admin"),
    [("off", 404, 404, 404), ("admin", 401, 403, 200), ("keys", 401, 200, 200), ("open", 200, 200, 200)],
)
async def test_who_may_read_it(metrics: str, none: int, caller: int, admin: int) -> None:
    """Nobody, keys that manage, all keys, or anybody; and nobody where nothing is set."""
    keys: Any = ["k", {"key": "a", "name": "ops", "scopes": ["admin"]}]
    app = Gateway(providers={}, keys=keys, telemetry={"metrics": metrics}, environ={})

    assert [(await fetched(app, key)).status_code for key in (None, "k", "a")] == [none, caller, admin]
    assert (await fetched(Gateway(keys=keys, environ={}), "a")).status_code == 404


async def test_it_is_under_the_mount_and_in_the_format_that_is_asked_for() -> None:
    """Prometheus says which it likes best."""
    app = watched({"one": good()})
    plain, asked = await fetched(app), await fetched(app, openmetrics=True)

    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert asked.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert asked.text.endswith("# EOF\n")
    assert plain.headers["cache-control"] == "no-store"
    transport = httpx.ASGITransport(app=_mounted(app, "/ai"))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        assert (await client.get("/ai/metrics")).status_code == 200


def _mounted(app: Any, prefix: str) -> Any:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": prefix}, receive, send)

    return mounted


# --- what cannot be done with it ---------------------------------------------------------------


async def test_callers_cannot_fill_it_with_names() -> None:
    """Models that nobody knows are `other` until they answer, and then only so many."""
    down = Canned(orjson.dumps({"error": {"message": "no such model"}}), 404)
    app = several({"one": {"app": down, "models": []}}, telemetry=OPEN)
    for number in range(60):
        await post(app, model=f'one/made-up-{number}\n"x"')
    found = await page(app)

    assert {labels["model"] for labels in found.rows("compatgw_calls_total")} == {"other"}
    assert found.value("compatgw_calls_total", model="other") == 60


def test_ten_thousand_models_are_so_many_series_and_no_more() -> None:
    """Even where an upstream answers under any name."""
    metrics = Metrics(version="1", currency="USD", started=0.0, models=Models({("up", "known")}))
    for number in range(10_000):
        name = "known" if number == 9_999 else f"model-{number}"
        metrics.tried(
            None, None, Tried(provider="up", model=name, at=0.0, seconds=0.1, code="" if number % 2 else f"c{number}")
        )
        metrics.ended(None, over(target=name, code="" if number % 2 else f"code-{number}"))
    text = metrics.text().decode()
    found = Page(text, openmetrics=False)

    assert found.value("compatgw_calls_total") == 10_000
    assert found.value("compatgw_attempts_total") == 10_000
    assert found.value("compatgw_calls_total", model="known") == 1
    assert found.value("compatgw_calls_total", model="other") > 9_000
    assert len(found.rows("compatgw_calls_total")) <= 1_001
    assert len(text) < 1_000_000


def over(**members: Any) -> Ended:
    """A call that is over."""
    plain: Any = {
        "id": "r", "endpoint": "chat", "model": "x", "provider": "up", "target": "m", "stream": False, "status": 200,
        "code": "", "at": 0.0, "seconds": 0.5, "first_token": None, "upstream": 0.4, "input": 1, "output": 1, "cached": 0,
        "reasoning": 0, "estimated": False, "cost": None, "attempts": 1, "retries": 0, "fallback": False,
        "cached_answer": False, "byok": False, "team": "", "key": "",
    }  # fmt: skip
    return Ended(**{**plain, **members})


# --- several at once ---------------------------------------------------------------------------


def test_calls_from_several_threads_are_all_counted() -> None:
    """Each thread has a loop of its own, and all have the gateway in common."""
    app = watched({"one": good(), "two": Canned([ROLE, WORD, FINISH, USAGE, b"data: [DONE]\n\n"], kind=STREAM)})

    def run() -> None:
        async def calls() -> None:
            plain = [post(app) for _ in range(20)]
            await asyncio.gather(*plain, *[post(app, model="two/m", stream=True) for _ in range(20)])
            await app.aclose()

        asyncio.run(calls())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = asyncio.run(page(app))

    assert found.value("compatgw_calls_total", code="ok") == 160
    assert found.value("compatgw_tokens_total") == 160 * 5
    assert found.value("compatgw_attempts_total") == 160
    assert found.value("compatgw_calls_in_flight") == 0
    assert found.value("compatgw_call_duration_seconds_count") == 160


async def test_two_gateways_share_nothing_and_a_new_one_begins_at_nothing() -> None:
    """As after a restart, which Prometheus takes for what it is."""
    one, two = watched({"one": good()}), watched({"one": good()})
    await post(one)

    assert (await page(one)).value("compatgw_calls_total") == 1
    assert (await page(two)).value("compatgw_calls_total") == 0
    assert (await page(two)).value("compatgw_start_time_seconds") > 0
