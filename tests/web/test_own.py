"""`/v1/key` and `/v1/generation`: what a caller may know of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from compatgw import Gateway, Principal
from tests.canned import Canned, completion, gateway
from tests.flow.paying import Shop, shop
from tests.state.making import Clock


@pytest.fixture
async def one(empty_ledger: Callable[[str], str], clock: Clock) -> AsyncIterator[Shop]:
    """A gateway with a ledger."""
    opened = shop(Canned(completion()), empty_ledger("sqlite"), clock)
    yield opened
    await opened.app.aclose()


async def get(app: Gateway, path: str, key: str | None = "k") -> Any:
    """What is at `path`, for a caller."""
    async with app.client(api_key=key) as client:
        return (await client.get(path)).json()


async def test_a_key_of_the_ledger_learns_what_it_has(one: Shop, clock: Clock) -> None:
    """Limits with what is left of them, the team's balance, its own budget, and nothing secret."""
    text = await one.key(
        wallet="10",
        team={"plan": "starter"},
        requests=5,
        concurrency=2,
        budget=Decimal(3),
        period="month",
        expires=clock.now + 3600,
    )
    await one.post(text, max_tokens=2)
    found = await get(one.app, "/v1/key", text)

    assert (found["object"], found["name"], found["team"]) == ("key", "App", {"id": "t1", "name": "Team"})
    assert found["hint"] == text[-4:]
    remaining = {(row["of"], row["kind"], row["limit"]): row["remaining"] for row in found["limits"]}
    assert remaining.keys() == {
        ("team", "requests", 60),
        ("team", "tokens", 100_000),
        ("key", "requests", 5),
        ("key", "concurrency", 2),
    }
    assert (remaining["key", "requests", 5], remaining["key", "concurrency", 2]) == (4, None)
    assert found["wallet"] == {"currency": "USD", "balance": "9.9877", "reserved": "0.00", "free": "9.9877"}
    assert (found["budget"]["limit"], found["budget"]["spent"], found["budget"]["remaining"]) == (
        "3.00",
        "0.0123",
        "2.9877",
    )
    assert found["expires_at"].endswith("Z")
    assert text not in str(found)


async def test_who_has_nothing_learns_that() -> None:
    """A key of the settings in a gateway without a ledger, and a principal of the host."""
    plain = await get(gateway(Canned()), "/v1/key")

    async def who(connection: Any) -> Principal:
        return Principal(name="job", team="t9", requests=7)

    hosted = await get(gateway(Canned(), authenticate=who), "/v1/key", None)

    assert (plain["id"], plain["team"], plain["wallet"], plain["budget"], plain["limits"]) == (
        "key-1",
        None,
        None,
        None,
        [],
    )
    assert (hosted["team"], hosted["limits"][0]["limit"]) == ({"id": "t9", "name": None}, 7)


async def test_new_api_4569_what_one_call_came_to_is_found_by_its_request_id(one: Shop) -> None:
    """QuantumNous/new-api#4569, #1550: tokens, cost and time, for the team whose call it was."""
    text = await one.key(wallet="10")
    got = await one.post(text)
    id = got.headers["x-request-id"]
    found = (await get(one.app, f"/v1/generation?id={id}", text))["data"]
    await one.office.add_team("t2", "Others", by="test")
    _, other = await one.office.mint_key("t2", "Else", by="test")
    foreign = await get(one.app, f"/v1/generation?id={id}", other)

    assert (found["id"], found["total_cost"], found["charged"]) == (id, "0.0123", "0.0123")
    assert (found["tokens_prompt"], found["tokens_completion"], found["status"]) == (3, 2, 200)
    assert (found["model"], found["provider_name"], found["streamed"]) == ("m", "up", False)
    assert foreign["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "code"), [("/v1/generation", "missing_parameter"), ("/v1/generation?id=nobody", "not_found")]
)
async def test_a_call_that_is_not_there(one: Shop, path: str, code: str) -> None:
    """Says what to give."""
    found = await get(one.app, path, await one.key())

    assert found["error"]["code"] == code


async def test_a_gateway_without_records_says_so() -> None:
    """And how to have them."""
    found = await get(gateway(Canned()), "/v1/generation?id=req_1")

    assert "state.ledger" in found["error"]["message"]
