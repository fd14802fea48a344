"""Keys over the management API: minted once, narrowed, rotated, revoked, and held to at once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from compatgw.state.base import Key
from tests.admin.desk import Desk
from tests.state.making import key as a_key

FULL: dict[str, Any] = {
    "name": "of the website",
    "scopes": ["chat", "embeddings"],
    "models": ["openai/gpt-*"],
    "plan": "house",
    "requests": 60,
    "tokens": 0,
    "concurrency": None,
    "budget": "12.50",
    "period": "month",
    "metadata": {"owner": "web"},
}


async def models(desk: Desk, text: str) -> httpx.Response:
    """What a caller with that key is answered when it asks for the models."""
    return await desk.http.get("/v1/models", headers={"Authorization": f"Bearer {text}"})


async def test_a_key_is_minted_and_works_at_once(desk: Desk) -> None:
    """The text is shown with the answer, that once, and opens the surface."""
    await desk.team()

    answer = await desk.ask("POST", "keys", {"team": "acme", "expires": "2027-01-01T00:00:00+01:00", **FULL})

    key = answer.json()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["location"] == f"/api/admin/keys/{key['id']}"
    text = key.pop("key")
    assert text.startswith("cgw-" + key["id"])
    assert text.endswith(key["hint"])
    assert key["expires"] == "2026-12-31T23:00:00.000000Z"
    assert {"team": "acme", "status": "active", "revoked": None, "previous_until": None, **FULL}.items() <= key.items()
    assert await desk.done("GET", f"keys/{key['id']}") == key
    assert await desk.rows("keys") == [key]
    assert (await models(desk, text)).status_code == 200


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(1_800_000_000, 0), (1_800_000_000.25, 250_000), ("1800000000.5", 500_000), ("2027-01-15T08:00:00Z", 0)],
)
async def test_an_expiry_is_a_time_in_either_form(local: Desk, given: object, seconds: int) -> None:
    """Seconds or ISO 8601; it is shown in one form."""
    await local.team()

    assert (await local.key(expires=given))["expires"] == f"2027-01-15T08:00:00.{seconds:06}Z"


async def test_a_revoked_key_is_refused_at_once(desk: Desk) -> None:
    """On this node with the next call; revoking it again changes nothing."""
    await desk.team()
    key = await desk.key()
    assert (await models(desk, key["key"])).status_code == 200

    first = await desk.done("POST", f"keys/{key['id']}/revoke")
    desk.clock.now += 5
    again = await desk.done("POST", f"keys/{key['id']}/revoke", {})

    assert (await models(desk, key["key"])).status_code == 401
    assert first["status"] == "revoked"
    assert again == first
    assert [row["action"] for row in await desk.rows("audit", kind="key")] == ["key.revoke", "key.create"]


async def test_a_rotated_key_goes_on_for_its_grace(desk: Desk) -> None:
    """The new text works at once, the old one until its time is over; id and members stay."""
    await desk.team()
    key = await desk.key(**FULL)

    answer = await desk.ask("POST", f"keys/{key['id']}/rotate", {"grace_s": 3600})

    new = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["etag"] == '"2"'
    assert new["key"] != key["key"]
    assert new["previous_until"] == "2026-11-18T12:06:40.000000Z"
    same = set(new) - {"key", "hint", "previous_until", "version"}
    assert {name: new[name] for name in same} == {name: key[name] for name in same}
    assert (await models(desk, key["key"])).status_code == 200
    assert (await models(desk, new["key"])).status_code == 200
    desk.clock.now += 3600
    assert (await models(desk, key["key"])).status_code == 401
    assert (await models(desk, new["key"])).status_code == 200


async def test_without_grace_the_old_text_ends_at_once(desk: Desk) -> None:
    """Also when it was in use a moment ago."""
    await desk.team()
    key = await desk.key()
    assert (await models(desk, key["key"])).status_code == 200

    new = await desk.done("POST", f"keys/{key['id']}/rotate", {"grace_s": 0})

    assert new["previous_until"] is None
    assert (await models(desk, key["key"])).status_code == 401
    assert (await models(desk, new["key"])).status_code == 200


async def test_a_rotation_has_a_day_of_grace_without_a_body(local: Desk) -> None:
    """The default is 86,400 seconds."""
    await local.team()
    key = await local.key()

    new = await local.done("POST", f"keys/{key['id']}/rotate")

    assert new["previous_until"] == "2026-11-19T11:06:40.000000Z"


async def test_a_key_that_ended_is_not_rotated(local: Desk) -> None:
    """A new text would not work either; the answer says what to do instead."""
    await local.team()
    revoked, expired = await local.key(), await local.key(expires=local.clock.now + 10)
    await local.done("POST", f"keys/{revoked['id']}/revoke")
    local.clock.now += 10

    assert await local.refused("POST", f"keys/{revoked['id']}/rotate") == (409, "key_revoked", None)
    assert await local.refused("POST", f"keys/{expired['id']}/rotate") == (409, "key_expired", None)
    assert (await local.done("GET", f"keys/{expired['id']}"))["status"] == "expired"
    later = local.clock.now + 100
    assert (await local.done("PATCH", f"keys/{expired['id']}", {"expires": later}))["status"] == "active"
    assert (await models(local, expired["key"])).status_code == 200


async def test_a_change_holds_at_once(desk: Desk) -> None:
    """A caller whose key loses its scope is refused with the next call."""
    await desk.team()
    key = await desk.key()
    body = {"model": "openai/gpt-4o", "messages": []}
    headers = {"Authorization": f"Bearer {key['key']}"}
    assert (await desk.http.post("/v1/chat/completions", json=body, headers=headers)).status_code != 403

    await desk.done("PATCH", f"keys/{key['id']}", {"scopes": ["embeddings"]})

    answer = await desk.http.post("/v1/chat/completions", json=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")


async def test_an_inactive_team_holds_at_once(desk: Desk) -> None:
    """All its keys are refused with the next call, and let in again when it is active."""
    await desk.team()
    key = await desk.key()
    body = {"model": "openai/gpt-4o", "messages": []}
    headers = {"Authorization": f"Bearer {key['key']}"}

    async def ask() -> str:
        answer = await desk.http.post("/v1/chat/completions", json=body, headers=headers)
        code: str = answer.json()["error"]["code"]
        return code

    before = await ask()
    await desk.done("PATCH", "teams/acme", {"active": False})
    assert await ask() == "team_inactive"
    await desk.done("PATCH", "teams/acme", {"active": True})
    assert await ask() == before


async def test_members_of_a_key_are_changed(desk: Desk) -> None:
    """Null takes limits away; whose key it is cannot be changed."""
    await desk.team()
    key = await desk.key(**FULL)
    del key["key"]
    changes = {"name": "n", "requests": None, "budget": None, "plan": None, "models": ["*"], "period": "day"}

    changed = await desk.done("PATCH", f"keys/{key['id']}", changes, headers={"If-Match": '"1"'})

    assert changed == {**key, **changes, "version": 2}
    assert await desk.refused("PATCH", f"keys/{key['id']}", {"team": "other"}) == (400, "invalid_value", "team")
    late = await desk.refused("PATCH", f"keys/{key['id']}", {"name": "m"}, headers={"If-Match": '"1"'})
    assert late == (412, "changed", None)


@pytest.mark.parametrize(
    ("member", "value", "code", "param"),
    [
        ("name", "x" * 10_000, "invalid_value", "name"),
        ("name", None, "invalid_type", "name"),
        ("scopes", ["chat", "admin"], "invalid_value", "scopes"),
        ("scopes", ["*", "admin"], "invalid_value", "scopes"),
        ("scopes", ["fly"], "invalid_value", "scopes[0]"),
        ("scopes", [], "invalid_value", "scopes"),
        ("scopes", "chat", "invalid_type", "scopes"),
        ("models", [""], "invalid_value", "models[0]"),
        ("plan", "gold", "invalid_value", "plan"),
        ("requests", -1, "invalid_value", "requests"),
        ("requests", 1_000_000_001, "invalid_value", "requests"),
        ("requests", 1.5, "invalid_type", "requests"),
        ("requests", True, "invalid_type", "requests"),
        ("tokens", "5", "invalid_type", "tokens"),
        ("concurrency", 10**30, "invalid_type", "concurrency"),
        ("budget", "-1", "invalid_value", "budget"),
        ("budget", "1e3", "invalid_value", "budget"),
        ("budget", "1_000", "invalid_value", "budget"),
        ("budget", "١٢", "invalid_value", "budget"),
        ("budget", " 1", "invalid_value", "budget"),
        ("budget", "0.0000000001", "invalid_value", "budget"),
        ("budget", "2000000000", "invalid_value", "budget"),
        ("budget", 1.5, "invalid_type", "budget"),
        ("budget", True, "invalid_type", "budget"),
        ("period", "week", "invalid_value", "period"),
        ("expires", 1_000, "invalid_value", "expires"),
        ("expires", "2026-11-18T11:06:40Z", "invalid_value", "expires"),
        ("expires", "2027-01-01T00:00:00", "invalid_value", "expires"),
        ("expires", "tomorrow", "invalid_value", "expires"),
        ("expires", "9999-01-01T00:00:00Z", "invalid_value", "expires"),
        ("expires", True, "invalid_type", "expires"),
        ("expires", 1e300, "invalid_value", "expires"),
        ("metadata", None, "invalid_type", "metadata"),
        ("hash", "x", "invalid_value", "hash"),
        ("revoked", None, "invalid_value", "revoked"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(local: Desk, member: str, value: Any, code: str, param: str) -> None:
    """When it is minted as when it is changed, with the member at fault, and nothing is stored."""
    await local.team()
    await local.ledger.add(a_key("k1", team="acme"))
    body = {"team": "acme", "name": "x", member: value}
    if isinstance(value, int) and value > 2**63:
        # JSON has it, this test's own writer has not.
        content: Any = f'{{"{member}": {value}, "team": "acme", "name": "x"}}'.encode()
        change: Any = f'{{"{member}": {value}}}'.encode()
    else:
        content, change = body, {member: value}

    assert await local.refused("POST", "keys", content) == (400, code, param)
    assert await local.refused("PATCH", "keys/k1", change) == (400, code, param)
    assert [key["version"] for key in await local.rows("keys")] == [1]


async def test_a_key_needs_a_team_that_is_there(local: Desk) -> None:
    """The member is named, also when no team could have that id."""
    for team in ("nobody", "a\0b", "x" * 10_000, ""):
        assert await local.refused("POST", "keys", {"team": team, "name": "x"}) == (400, "invalid_value", "team")
    assert await local.refused("POST", "keys", {"name": "x"}) == (400, "missing_parameter", "team")


@pytest.mark.parametrize("grace", [-1, 366 * 86_400 + 1, "60", None, True])
async def test_a_grace_is_a_bounded_number_of_seconds(local: Desk, grace: Any) -> None:
    """Nothing else rotates a key."""
    await local.team()
    await local.ledger.add(a_key("k1", team="acme"))

    status, _, param = await local.refused("POST", "keys/k1/rotate", {"grace_s": grace})

    assert (status, param) == (400, "grace_s")
    assert (await local.done("GET", "keys/k1"))["version"] == 1


async def test_a_key_that_is_not_there_is_not_found(local: Desk) -> None:
    """For every route of it."""
    for method, path, body in [
        ("GET", "keys/none", None),
        ("PATCH", "keys/none", {"name": "x"}),
        ("POST", "keys/none/rotate", None),
        ("POST", "keys/none/revoke", None),
        ("GET", "keys/" + "x" * 10_000, None),
    ]:
        assert await local.refused(method, path, body) == (404, "not_found", None)


async def test_actions_take_no_members(local: Desk) -> None:
    """A body that an action does not know is refused rather than ignored."""
    await local.team()
    await local.ledger.add(a_key("k1", team="acme"))

    assert await local.refused("POST", "keys/k1/revoke", {"when": 0}) == (400, "invalid_value", "when")
    assert await local.refused("POST", "keys/k1/rotate", {"grace": 0}) == (400, "invalid_value", "grace")
    assert (await local.done("GET", "keys/k1"))["version"] == 1


async def test_keys_are_listed_by_pages_while_they_change(desk: Desk) -> None:
    """120 keys, each once, while some are revoked and others come in between; filters hold on every page."""
    await desk.team()
    await desk.team("other")
    for number in range(120):
        await desk.ledger.add(a_key(f"k{number:03}", team="acme", name="even" if number % 2 == 0 else "odd"))
    first = await desk.done("GET", "keys", team="acme", limit=50)

    for number in (3, 60, 100):
        await desk.done("POST", f"keys/k{number:03}/revoke")
    await desk.ledger.add(a_key("late", team="acme"))
    await desk.ledger.add(a_key("foreign", team="other"))
    rest = await desk.pages("keys", team="acme", limit=50, cursor=first["next_cursor"])

    found = [key["id"] for key in [*first["data"], *rest]]
    assert found == [f"k{number:03}" for number in reversed(range(120))]
    assert {key["id"] for key in rest if key["status"] == "revoked"} == {"k003", "k060"}
    assert len(await desk.pages("keys", name="even", limit=7)) == 60
    assert len(await desk.pages("keys", team="other")) == 1


async def test_of_two_rotations_at_the_same_time_one_is_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is told so: made as well, it would end the text that callers still use."""
    await desk.team()
    key = await desk.key()
    find, both, seen = desk.ledger.find, asyncio.Barrier(2), list[object]()

    async def together(kind: Any, id: str) -> Any:
        found = await find(kind, id)
        # Neither goes on before the other has seen the key as it is, too.
        seen.append(found)
        if len(seen) <= 2:
            await both.wait()
        return found

    monkeypatch.setattr(desk.ledger, "find", together)
    answers = await asyncio.gather(*[desk.ask("POST", f"keys/{key['id']}/rotate") for _ in range(2)])

    made, refused = sorted(answers, key=lambda answer: answer.status_code)
    assert (made.status_code, made.json()["version"]) == (200, 2)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "changed")
    for text in (key["key"], made.json()["key"]):
        assert (await models(desk, text)).status_code == 200


async def test_what_is_stored_of_a_key_is_a_hash(desk: Desk) -> None:
    """Of neither text is anything in the ledger but its last characters."""
    await desk.team()
    key = await desk.key()
    new = await desk.done("POST", f"keys/{key['id']}/rotate")

    stored = await desk.ledger.find(Key, key["id"])

    assert stored is not None
    assert stored.hash.startswith("$argon2id$")
    assert (stored.old_hash or "").startswith("$argon2id$")
    for text in (key["key"], new["key"]):
        assert text not in f"{stored} {stored.hash} {stored.old_hash}"
