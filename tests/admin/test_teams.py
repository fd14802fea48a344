"""Teams over the management API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.admin.desk import Desk

FULL = {
    "id": "acme",
    "name": "Acme & Söhne",
    "active": False,
    "models": ["openai/*", "claude-*"],
    "plan": "starter",
    "byok_fallback": True,
    "metadata": {"cost_center": 7, "tags": ["a", None]},
}


async def test_a_team_is_added_as_it_is_read(desk: Desk) -> None:
    """Every member comes back as it was given, with its place and its version."""
    answer = await desk.ask("POST", "teams", FULL)

    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/admin/teams/acme"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["cache-control"] == "no-store"
    expected = {"object": "team", "created": "2026-11-18T11:06:40.000000Z", "version": 1, **FULL}
    assert answer.json() == expected
    read = await desk.ask("GET", "teams/acme")
    assert (read.json(), read.headers["etag"]) == (expected, '"1"')


async def test_a_team_needs_no_more_than_a_name(local: Desk) -> None:
    """It sees all models, has no limits, and its id is made."""
    team = await local.done("POST", "teams", {"name": "x"})

    assert team["id"].startswith("team-")
    assert (team["active"], team["models"], team["plan"], team["metadata"]) == (True, ["*"], None, {})


async def test_a_team_may_be_added_with_a_wallet(desk: Desk) -> None:
    """It is active only once it has its wallet, and both stand in the audit log."""
    team = await desk.team(wallet=True)

    assert team["active"] is True
    assert (await desk.done("GET", "teams/acme/wallet"))["balance"] == "0.00"
    actions = [row["action"] for row in await desk.rows("audit")]
    assert actions == ["team.change", "wallet.open", "team.create"]
    assert (await desk.rows("audit", action="team.create"))[0]["after"]["active"] is False


async def test_an_inactive_team_with_a_wallet_stays_inactive(local: Desk) -> None:
    """The wallet does not switch it on."""
    assert (await local.team(wallet=True, active=False))["active"] is False


async def test_an_id_is_taken_once(desk: Desk) -> None:
    """The second team of an id is a conflict, and changes nothing."""
    await desk.team()

    assert await desk.refused("POST", "teams", {"id": "acme", "name": "other"}) == (409, "duplicate", None)
    assert (await desk.done("GET", "teams/acme"))["name"] == "Team acme"


async def test_a_change_replaces_what_it_names(desk: Desk) -> None:
    """Other members stay; null takes the plan away."""
    await desk.ask("POST", "teams", FULL)

    answer = await desk.ask("PATCH", "teams/acme", {"active": True, "plan": None, "metadata": {}})

    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    team = answer.json()
    assert (team["active"], team["plan"], team["metadata"], team["name"]) == (True, None, {}, "Acme & Söhne")
    assert await desk.done("GET", "teams/acme") == team


async def test_a_change_to_nothing_is_none(local: Desk) -> None:
    """The version stays, and the audit log has no entry."""
    await local.team()

    answer = await local.ask("PATCH", "teams/acme", {"name": "Team acme"})

    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert await local.rows("audit", action="team.change") == []


async def test_if_match_refuses_another_version(desk: Desk) -> None:
    """The version that is there is changed, an older one is not."""
    await desk.team()

    first = await desk.ask("PATCH", "teams/acme", {"name": "one"}, headers={"If-Match": '"1"'})
    late = await desk.refused("PATCH", "teams/acme", {"name": "two"}, headers={"If-Match": '"1"'})

    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    assert late == (412, "changed", None)
    assert (await desk.done("PATCH", "teams/acme", {"name": "three"}, headers={"If-Match": "*"}))["version"] == 3


async def test_of_two_changes_to_one_version_one_is_made(desk: Desk) -> None:
    """At the same time, with `If-Match`: one 200, one 412, and the record is the winner's."""
    await desk.team()

    async def change(name: str) -> tuple[int, str]:
        answer = await desk.ask("PATCH", "teams/acme", {"name": name}, headers={"If-Match": '"1"'})
        return answer.status_code, name

    outcomes = sorted(await asyncio.gather(*[change(f"name {number}") for number in range(4)]))

    assert [status for status, _ in outcomes] == [200, 412, 412, 412]
    assert (await desk.done("GET", "teams/acme"))["name"] == outcomes[0][1]


async def test_changes_at_the_same_time_are_all_made(desk: Desk) -> None:
    """Without `If-Match` each is made to the newest version: none is lost."""
    await desk.team()
    changes: list[dict[str, Any]] = [
        {"name": "new"},
        {"active": False},
        {"models": ["a"]},
        {"byok_fallback": True},
        {"metadata": {"a": 1}},
    ]

    answers = await asyncio.gather(*[desk.ask("PATCH", "teams/acme", change) for change in changes])

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["etag"] for answer in answers} == {f'"{number}"' for number in range(2, 7)}
    team = await desk.done("GET", "teams/acme")
    for change in changes:
        assert change.items() <= team.items()


async def test_teams_are_listed_by_pages_while_others_come(desk: Desk) -> None:
    """Nobody is missing or told twice who was there at the beginning; the newest come first."""
    for number in range(120):
        await desk.office.add_team(f"t{number:03}", "x", by="test")
    first = await desk.done("GET", "teams", limit=50)

    await desk.team("late")
    await desk.done("PATCH", "teams/t010", {"name": "changed"})
    second = await desk.done("GET", "teams", limit=50, cursor=first["next_cursor"])
    await desk.team("later")
    third = await desk.done("GET", "teams", limit=50, cursor=second["next_cursor"])

    found = [team["id"] for page in (first, second, third) for team in page["data"]]
    assert found == [f"t{number:03}" for number in reversed(range(120))]
    assert (third["has_more"], third["next_cursor"]) == (False, None)
    assert (await desk.done("GET", "teams"))["data"][0]["id"] == "later"
    assert len(await desk.pages("teams", limit=1000)) == 122


async def test_teams_are_filtered(desk: Desk) -> None:
    """By name, plan, whether they are active, and when they were added."""
    await desk.team("a", plan="starter")
    desk.clock.now += 100
    await desk.team("b", active=False)

    async def ids(**query: Any) -> list[str]:
        return [team["id"] for team in await desk.rows("teams", **query)]

    assert await ids(active="false") == ["b"]
    assert await ids(active="true") == ["a"]
    assert await ids(plan="starter") == ["a"]
    assert await ids(name="Team b") == ["b"]
    assert await ids(since=str(desk.clock.now)) == ["b"]
    assert await ids(until="2026-11-18T11:08:20Z") == ["a"]
    assert await ids(until="2026-11-18T12:08:20+01:00") == ["a"]
    assert await ids(name="nobody") == []


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"name": "x" * 10_000}, "invalid_value", "name"),
        ({"name": "a\0b"}, "invalid_value", "name"),
        ({"name": "a\nb"}, "invalid_value", "name"),
        ({"name": ""}, "invalid_value", "name"),
        ({"name": "  "}, "invalid_value", "name"),
        ({"name": 7}, "invalid_type", "name"),
        ({"id": "x"}, "missing_parameter", "name"),
        ({"name": "x", "id": "a/b"}, "invalid_value", "id"),
        ({"name": "x", "id": ".."}, "invalid_value", "id"),
        ({"name": "x", "id": "x" * 65}, "invalid_value", "id"),
        ({"name": "x", "id": ""}, "invalid_value", "id"),
        ({"name": "x", "id": "a\0"}, "invalid_value", "id"),
        ({"name": "x", "nmae": "y"}, "invalid_value", "nmae"),
        ({"name": "x", "version": 3}, "invalid_value", "version"),
        ({"name": "x", "created": 1}, "invalid_value", "created"),
        ({"name": "x", "active": "yes"}, "invalid_type", "active"),
        ({"name": "x", "active": 1}, "invalid_type", "active"),
        ({"name": "x", "models": "openai/*"}, "invalid_type", "models"),
        ({"name": "x", "models": []}, "invalid_value", "models"),
        ({"name": "x", "models": ["a", 1]}, "invalid_type", "models[1]"),
        ({"name": "x", "models": ["a", "\0"]}, "invalid_value", "models[1]"),
        ({"name": "x", "models": ["a"] * 1001}, "invalid_value", "models"),
        ({"name": "x", "plan": "gold"}, "invalid_value", "plan"),
        ({"name": "x", "plan": 5}, "invalid_type", "plan"),
        ({"name": "x", "metadata": ["a"]}, "invalid_type", "metadata"),
        ({"name": "x", "metadata": {"a": "x" * 70_000}}, "invalid_value", "metadata"),
        ({"name": "x", "wallet": "yes"}, "invalid_type", "wallet"),
        (["name"], "invalid_type", None),
        (b"{", "invalid_json", None),
        (b'{"name": "\xff"}', "invalid_json", None),
        (b'{"name": "\\ud800"}', "invalid_json", None),
        (b"", "invalid_json", None),
    ],
)
async def test_a_team_that_cannot_be_is_refused(local: Desk, body: Any, code: str, param: str | None) -> None:
    """With the member that is at fault, and nothing is stored."""
    assert await local.refused("POST", "teams", body) == (400, code, param)
    assert await local.rows("teams") == []
    assert await local.rows("audit") == []


async def test_metadata_may_nest_only_so_deep(local: Desk) -> None:
    """What could be stored but not shown again is refused with 400."""
    deep: Any = 1
    for _ in range(60):
        deep = [deep]

    assert await local.refused("POST", "teams", {"name": "x", "metadata": {"a": deep}}) == (
        400,
        "invalid_value",
        "metadata",
    )


async def test_a_team_that_is_not_there_is_not_found(local: Desk) -> None:
    """For every route below it, also with an id that no team could have."""
    for id in ("nobody", "x" * 10_000, "a%00b", "%2e%2e%2fkeys"):
        assert (await local.refused("GET", f"teams/{id}"))[:2] in [(404, "not_found"), (404, "unknown_endpoint")]
    for method, path, body in [
        ("PATCH", "teams/nobody", {"name": "x"}),
        ("POST", "teams/nobody/wallet", None),
        ("GET", "teams/nobody/wallet", None),
        ("GET", "teams/nobody/wallet/entries", None),
        ("POST", "teams/nobody/wallet/topups", {"amount": "1"}),
        ("GET", "teams/nobody/provider-keys", None),
        ("PUT", "teams/nobody/provider-keys/openai", {"secret": "sk-of-nobody-at-all"}),
        ("DELETE", "teams/nobody/provider-keys/openai", None),
    ]:
        assert await local.refused(method, path, body) == (404, "not_found", None), path
