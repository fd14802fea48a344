"""Plans over the management API: those of the ledger, of the settings, and the built-in ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.admin.desk import Desk
from tests.state.making import key as a_key


async def test_plans_of_all_sources_are_listed(desk: Desk) -> None:
    """Stored ones first, and one that stands before another of its name is listed once."""
    await desk.done("PUT", "plans/gold", {"requests": 5, "tokens": 1000, "concurrency": 2})
    await desk.done("PUT", "plans/starter", {"requests": 1})

    plans = await desk.rows("plans")

    assert [(plan["id"], plan["source"], plan["version"]) for plan in plans] == [
        ("starter", "ledger", 1),
        ("gold", "ledger", 1),
        ("enterprise", "built-in", 0),
        ("house", "configuration", 0),
        ("professional", "built-in", 0),
    ]
    for plan in plans:
        assert await desk.done("GET", f"plans/{plan['id']}") == plan
    for limit in range(1, 7):
        assert await desk.pages("plans", limit=limit) == plans


async def test_a_built_in_plan_has_its_limits(local: Desk) -> None:
    """As the gateway ships it, without a time and with version 0."""
    answer = await local.ask("GET", "plans/professional")

    assert answer.headers["etag"] == '"0"'
    assert answer.json() == {
        "object": "plan",
        "id": "professional",
        "source": "built-in",
        "requests": 300,
        "tokens": 500_000,
        "concurrency": None,
        "created": None,
        "version": 0,
    }


async def test_a_plan_is_stored_and_replaced_whole(desk: Desk) -> None:
    """201 for a new one, 200 after that; what is left out is no limit any more."""
    first = await desk.ask("PUT", "plans/gold", {"requests": 5, "tokens": 9})
    second = await desk.ask("PUT", "plans/gold", {"tokens": 10})

    assert (first.status_code, first.headers["etag"]) == (201, '"1"')
    assert (second.status_code, second.headers["etag"]) == (200, '"2"')
    assert (second.json()["requests"], second.json()["tokens"]) == (None, 10)
    actions = [(row["action"], row["subject"]) for row in await desk.rows("audit")]
    assert actions == [("plan.change", "gold"), ("plan.create", "gold")]


async def test_if_match_holds_for_plans(desk: Desk) -> None:
    """A version, none at all (`"0"`), or any (`*`)."""

    async def put(match: str, requests: int) -> int:
        answer = await desk.ask("PUT", "plans/gold", {"requests": requests}, headers={"If-Match": match})
        return answer.status_code

    assert [await put('"1"', 1), await put("*", 1), await put('"0"', 1)] == [412, 412, 201]
    assert [await put('"0"', 2), await put('"2"', 2), await put('"1"', 2)] == [412, 412, 200]
    assert [await put("*", 3), await put('"3"', 4)] == [200, 200]
    assert (await desk.done("GET", "plans/gold"))["requests"] == 4


async def test_a_plan_put_by_many_at_the_same_time_is_one(desk: Desk) -> None:
    """Each succeeds, none is lost, and the versions count them."""
    answers = await asyncio.gather(*[desk.ask("PUT", "plans/gold", {"requests": n}) for n in range(1, 6)])

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4, 5]
    assert len(await desk.rows("audit", kind="plan")) == 5


async def test_a_plan_in_use_is_not_deleted(desk: Desk) -> None:
    """Its teams and keys would be without limits; of a revoked key that does not matter."""
    await desk.done("PUT", "plans/gold", {"requests": 5})
    await desk.team(plan="gold")
    await desk.ledger.add(a_key("k1", team="acme", plan="gold"))

    assert await desk.refused("DELETE", "plans/gold") == (409, "in_use", None)
    await desk.done("PATCH", "teams/acme", {"plan": None})
    assert await desk.refused("DELETE", "plans/gold") == (409, "in_use", None)
    await desk.done("POST", "keys/k1/revoke")

    assert await desk.done("DELETE", "plans/gold") == {"object": "plan.deleted", "id": "gold", "deleted": True}
    assert await desk.refused("DELETE", "plans/gold") == (404, "not_found", None)
    assert await desk.refused("GET", "plans/gold") == (404, "not_found", None)
    audit = (await desk.rows("audit", action="plan.remove"))[0]
    assert (audit["before"]["requests"], audit["after"]) == (5, None)


async def test_under_a_stored_plan_the_one_of_the_settings_comes_back(desk: Desk) -> None:
    """It may be deleted although it is in use; the one of the settings itself may not."""
    await desk.done("PUT", "plans/house", {"requests": 5})
    await desk.team(plan="house")

    await desk.done("DELETE", "plans/house")

    assert (await desk.done("GET", "plans/house"))["source"] == "configuration"
    assert await desk.refused("DELETE", "plans/house") == (404, "not_found", None)


async def test_a_stored_plan_can_be_given_to_teams_and_keys(local: Desk) -> None:
    """As can one of the settings; one that nobody knows cannot."""
    await local.done("PUT", "plans/gold", {})
    await local.team("a", plan="gold")
    await local.team("b", plan="house")

    assert await local.refused("PATCH", "teams/a", {"plan": "silver"}) == (400, "invalid_value", "plan")


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("plans/gold", {"requests": -1}, "invalid_value", "requests"),
        ("plans/gold", {"tokens": "5"}, "invalid_type", "tokens"),
        ("plans/gold", {"concurrency": 2_000_000_000}, "invalid_value", "concurrency"),
        ("plans/gold", {"id": "silver"}, "invalid_value", "id"),
        ("plans/.hidden", {}, "invalid_value", "id"),
        ("plans/" + "x" * 65, {}, "invalid_value", "id"),
        ("plans/a%00", {}, "invalid_value", "id"),
        ("plans/a%20b", {}, "invalid_value", "id"),
        ("plans/gold", None, "invalid_json", None),
    ],
)
async def test_a_plan_that_cannot_be_is_refused(
    local: Desk, path: str, body: Any, code: str, param: str | None
) -> None:
    """With the member at fault, and nothing is stored."""
    assert await local.refused("PUT", path, body) == (400, code, param)
    assert {plan["source"] for plan in await local.rows("plans")} == {"built-in", "configuration"}
