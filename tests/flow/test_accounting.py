"""Limits, money and usage of whole calls: what is taken before, charged once, and given back after."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import httpx
import orjson

from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, completion
from tests.flow.paying import COST, Open
from tests.state.making import Clock

ZERO = Decimal(0)


def error_of(response: httpx.Response) -> dict[str, Any]:
    """The envelope's inside."""
    found: dict[str, Any] = response.json()["error"]
    return found


def stream(client: httpx.AsyncClient) -> AbstractAsyncContextManager[httpx.Response]:
    """A streamed chat request under way."""
    return client.stream("POST", "/v1/chat/completions", json=ask(stream=True))


async def until_content(response: httpx.Response) -> None:
    """Reads until the first word of the answer."""
    async for data in response.aiter_raw():
        if b"Hello" in data:
            return


# --- money ---


async def test_a_call_is_charged_exactly_what_it_cost(open_shop: Open) -> None:
    """The header says it, the wallet lacks it, the record has it, and nothing stays reserved."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="10")
    got = await one.post(key)
    wallet = await one.wallet()
    (row,) = await one.rows()

    assert got.status_code == 200
    assert got.headers["x-cost"] == "0.0123"
    assert (wallet.balance, wallet.reserved) == (10 - COST, ZERO)
    assert (row.cost, row.charge, row.input, row.output, row.status, row.estimated) == (COST, COST, 3, 2, 200, False)
    assert (row.team, row.provider, row.target, row.model, row.request) == (
        "t1",
        "up",
        "m",
        "m",
        got.headers["x-request-id"],
    )


async def test_a_stream_is_charged_before_its_last_byte(open_shop: Open) -> None:
    """Whoever has read `[DONE]` finds the charge in the ledger; the usage chunk says what it was."""
    one = open_shop(Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM))
    key = await one.key(wallet="10")
    balances = []
    async with one.app.client(api_key=key) as client:
        body = ask(stream=True, stream_options={"include_usage": True})
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            seen = b""
            async for data in response.aiter_raw():
                seen += data
                if b"[DONE]" in data:
                    balances.append((await one.wallet()).balance)
    last = orjson.loads(seen.split(b"\n\n")[-3].removeprefix(b"data: "))

    assert balances == [10 - COST]
    assert last["usage"]["cost"] == 0.0123
    assert b'"cost":0.0123' in seen
    assert "x-cost" not in response.headers


async def test_usage_is_kept_for_streams_whose_client_did_not_ask(open_shop: Open) -> None:
    """mozilla-ai/any-llm#968: a key's usage was recorded for whole answers and not for streams."""
    one = open_shop(Canned([ROLE, WORD, FINISH, USAGE, DONE], kind=STREAM))
    await one.post(await one.key(), stream=True)
    (row,) = await one.rows()

    assert (row.input, row.output, row.stream, row.cost, row.charge) == (3, 2, True, COST, ZERO)
    assert row.first_token is not None


async def test_an_empty_wallet_is_402_and_says_what_is_missing(open_shop: Open) -> None:
    """Nothing is asked of the upstream, and no SDK tries again."""
    up = Canned(completion())
    one = open_shop(up)
    got = await one.post(await one.key(wallet="0.01"), max_tokens=100)
    wallet = await one.wallet()
    (row,) = await one.rows()

    assert got.status_code == 402
    assert got.headers["x-should-retry"] == "false"
    assert (error_of(got)["type"], error_of(got)["code"]) == ("insufficient_quota", "insufficient_balance")
    assert "is missing" in error_of(got)["message"]
    assert up.asked == []
    assert (wallet.balance, wallet.reserved) == (Decimal("0.01"), ZERO)
    assert (row.status, row.code, row.cost) == (402, "insufficient_balance", ZERO)


async def test_a_model_without_a_price_is_not_for_teams_that_pay(open_shop: Open) -> None:
    """403, unless the operator lets it be free; teams without a wallet do not care."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="10")
    refused = await one.post(key, model="unpriced")
    free = open_shop(Canned(completion()), money={"unpriced": "free"})
    allowed = await free.post(key, model="unpriced")
    row = next(row for row in await free.rows() if row.status == 200)

    assert (refused.status_code, error_of(refused)["code"]) == (403, "model_not_priced")
    assert allowed.status_code == 200
    assert "x-cost" not in allowed.headers
    assert row.cost is None
    assert (await one.wallet()).balance == 10


async def test_a_failed_call_costs_nothing(open_shop: Open) -> None:
    """QuantumNous/new-api#95: no charge where the upstream answered with an error, streamed or not."""
    one = open_shop(Canned(b'{"error": {"message": "broken"}}', status=500))
    key = await one.key(wallet="10")
    codes = [(await one.post(key, stream=stream)).status_code for stream in (False, True)]
    wallet = await one.wallet()
    rows = await one.rows()

    assert codes == [502, 502]
    assert (wallet.balance, wallet.reserved) == (Decimal(10), ZERO)
    assert await one.charges() == []
    assert {(row.status, row.cost, row.charge, row.code) for row in rows} == {(502, ZERO, ZERO, "upstream_error")}


async def test_a_stream_that_breaks_off_costs_what_was_delivered(open_shop: Open) -> None:
    """QuantumNous/new-api#5235: neither everything nor nothing; estimated, and the record says so."""
    one = open_shop(Canned([ROLE, WORD, WORD], kind=STREAM, then="break"))
    got = await one.post(await one.key(wallet="10"), stream=True)
    (row,) = await one.rows()

    assert b"upstream_stream_interrupted" in got.content
    assert b"[DONE]" not in got.content
    # Ten characters of an answer are about three tokens; the question's five are about the request's own.
    assert (row.output, row.estimated, row.status, row.code) == (3, True, 503, "upstream_stream_interrupted")
    assert await one.charges() == [row.charge] == [row.cost]
    assert row.charge > 0


async def test_a_client_that_leaves_pays_for_what_it_got(open_shop: Open) -> None:
    """BerriAI/litellm#37140, #17364: the upstream is let go at once, and the call is not booked as zero."""
    up = Canned([ROLE, WORD], kind=STREAM, then="hang")
    one = open_shop(up)
    key = await one.key(wallet="10")
    async with one.app.client(api_key=key) as client, stream(client) as response:
        await until_content(response)
    await asyncio.wait_for(up.ended.wait(), 5)
    (row,) = await one.rows()
    wallet = await one.wallet()

    assert (row.status, row.code, row.estimated, row.output) == (499, "client_gone", True, 2)
    assert row.charge == row.cost == 10 - wallet.balance > 0
    assert wallet.reserved == 0


async def test_calls_at_one_time_never_spend_below_zero(open_shop: Open) -> None:
    """BerriAI/litellm#34732, #40095: each holds what it may cost before it is let through."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="0.05")
    got = await asyncio.gather(*[one.post(key, max_tokens=1) for _ in range(20)])
    wallet = await one.wallet()
    codes = [each.status_code for each in got]

    assert set(codes) == {200, 402}
    assert wallet.balance == Decimal("0.05") - codes.count(200) * COST >= 0
    assert wallet.reserved == 0


async def test_a_budget_is_for_a_period_and_for_one_key(open_shop: Open, clock: Clock) -> None:
    """It needs no wallet; the next day it is whole again, and other keys have their own."""
    one = open_shop(Canned(completion()))
    key = await one.key(budget=Decimal("0.02"), period="day")
    other = await one.key()
    first = await one.post(key, max_tokens=2)
    second = await one.post(key, max_tokens=2)
    third = await one.post(other, max_tokens=2)
    clock.now += 86_400
    next_day = await one.post(key, max_tokens=2)

    assert [each.status_code for each in (first, second, third, next_day)] == [200, 402, 200, 200]
    assert "budget" in error_of(second)["message"]


async def test_reasoning_is_billed_and_the_upstream_is_believed(open_shop: Open) -> None:
    """QuantumNous/new-api#6265: its own count wins over any estimate; reasoning tokens are part of the output."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5000,
        "total_tokens": 5010,
        "completion_tokens_details": {"reasoning_tokens": 4990},
    }
    one = open_shop(Canned(completion(usage=usage)))
    got = await one.post(await one.key(wallet="10"))
    (row,) = await one.rows()

    assert got.headers["x-cost"] == "5.011"
    assert (row.output, row.reasoning, row.charge, row.estimated) == (5000, 4990, Decimal("5.011"), False)


# --- limits ---


async def test_limits_are_said_on_success_and_on_refusal(open_shop: Open) -> None:
    """The whole family each time; the refusal says when to come again."""
    one = open_shop(Canned(completion()))
    key = await one.key(requests=2, tokens=100_000)
    first, second, third = [await one.post(key, max_tokens=10) for _ in range(3)]

    assert [each.status_code for each in (first, second, third)] == [200, 200, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in (first, second, third)] == ["1", "0", "0"]
    assert {each.headers["x-ratelimit-limit-tokens"] for each in (first, second, third)} == {"100000"}
    assert (error_of(third)["type"], error_of(third)["code"]) == ("requests", "rate_limit_exceeded")
    assert 1 <= int(third.headers["retry-after"]) <= 30
    assert "x-ratelimit-reset-requests" in third.headers


async def test_tokens_are_reserved_and_set_right_afterwards(open_shop: Open) -> None:
    """What was reserved and not used is there for the next call; a call over the limit waits for its turn."""
    one = open_shop(Canned(completion()))
    key = await one.key(tokens=1000)
    got = [await one.post(key, max_tokens=900) for _ in range(3)]
    too_much = await one.post(key, max_tokens=1100)

    assert [each.status_code for each in got] == [200, 200, 200]
    assert (too_much.status_code, error_of(too_much)["type"]) == (429, "tokens")


async def test_a_refusal_takes_nothing(open_shop: Open) -> None:
    """A call that is refused for its tokens leaves the requests as they were."""
    one = open_shop(Canned(completion()))
    key = await one.key(requests=3, tokens=1000)
    await one.post(key, max_tokens=10)
    refused = await one.post(key, max_tokens=5000)
    after = await one.post(key, max_tokens=10)

    assert refused.status_code == 429
    assert after.headers["x-ratelimit-remaining-requests"] == "1"


async def test_a_place_among_calls_at_one_time_is_given_back(open_shop: Open) -> None:
    """When the answer is there, when it failed, and when the client left."""
    up = Canned([ROLE, WORD], kind=STREAM, then="hang")
    one = open_shop(up)
    key = await one.key(concurrency=1)
    async with one.app.client(api_key=key) as client, stream(client) as response:
        await until_content(response)
        crowded = await client.post("/v1/chat/completions", json=ask())
    await asyncio.wait_for(up.ended.wait(), 5)
    await one.app.aclose()
    up.then = "end"
    after = await one.post(key, stream=True)

    assert (crowded.status_code, error_of(crowded)["type"]) == (429, "requests")
    assert after.status_code == 200


async def test_a_call_without_money_leaves_its_tokens(open_shop: Open) -> None:
    """Refused with 402 after its tokens were taken, it gives them back."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="0.001", tokens=1000)
    refused = [await one.post(key, max_tokens=900) for _ in range(3)]

    assert [each.status_code for each in refused] == [402, 402, 402]


async def test_a_plan_of_the_settings_limits_its_teams(open_shop: Open) -> None:
    """Its requests are shared by the team's keys."""
    one = open_shop(Canned(completion()), plans={"tiny": {"requests": 1}})
    first = await one.key(team={"plan": "tiny"})
    second = await one.key()

    assert [(await one.post(key)).status_code for key in (first, second)] == [200, 429]


# --- who may ---


async def test_a_model_that_the_team_does_not_see_is_404_and_one_that_is_not_for_the_key_403(open_shop: Open) -> None:
    """Both in the list of models and in calls; the 404 is the one of a model that does not exist."""
    one = open_shop(Canned(completion()), models={"a": "up/a", "b": "up/b", "c": "up/c"})
    key = await one.key(team={"models": ("a", "b")}, models=("a", "c"))
    async with one.app.client(api_key=key) as client:
        listed = [row["id"] for row in (await client.get("/v1/models")).json()["data"]]
        got = {name: await one.post(key, model=name) for name in "abc"}
        read = {name: (await client.get(f"/v1/models/{name}")).status_code for name in "abc"}

    assert listed == ["a"]
    assert {name: each.status_code for name, each in got.items()} == {"a": 200, "b": 403, "c": 404} == read
    assert error_of(got["b"])["code"] == "model_not_allowed"
    assert error_of(got["c"])["code"] == "model_not_found"


async def test_an_inactive_team_and_a_narrow_scope_are_403(open_shop: Open) -> None:
    """With a code of their own."""
    one = open_shop(Canned(completion()))
    narrow = await one.key(scopes=("embeddings",))
    wide = await one.key()
    scope = await one.post(narrow)
    await one.office.change_team("t1", {"active": False}, by="test")
    team = await one.post(wide)
    async with one.app.client(api_key=wide) as client:
        models = await client.get("/v1/models")

    assert models.status_code == 403
    assert (scope.status_code, error_of(scope)["code"]) == (403, "insufficient_scope")
    assert (team.status_code, error_of(team)["code"]) == (403, "team_inactive")


async def test_revoked_and_expired_keys_are_refused_at_once_on_this_node(open_shop: Open, clock: Clock) -> None:
    """401 with a code that says which."""
    one = open_shop(Canned(completion()))
    gone, late = await one.key(), await one.key(expires=clock.now + 60)
    before = [(await one.post(key)).status_code for key in (gone, late)]
    await one.office.revoke_key(gone[4:16], by="test")
    revoked = await one.post(gone)
    clock.now += 60
    expired = await one.post(late)

    assert before == [200, 200]
    assert (revoked.status_code, error_of(revoked)["code"]) == (401, "invalid_api_key")
    assert (expired.status_code, error_of(expired)["code"]) == (401, "expired_api_key")
