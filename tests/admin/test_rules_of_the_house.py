"""What holds for every route of the management API: who may, which methods, and what never gets out."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.admin.desk import ADMIN, RING, Desk
from tests.state.making import key as a_key
from tests.state.making import team as a_team

# Every route, with the methods that it has.
ROUTES: dict[str, set[str]] = {
    "teams": {"GET", "POST"},
    "teams/acme": {"GET", "PATCH"},
    "teams/acme/wallet": {"GET", "POST"},
    "teams/acme/wallet/topups": {"POST"},
    "teams/acme/wallet/corrections": {"POST"},
    "teams/acme/wallet/entries": {"GET"},
    "teams/acme/provider-keys": {"GET"},
    "teams/acme/provider-keys/openai": {"PUT", "DELETE"},
    "keys": {"GET", "POST"},
    "keys/k1": {"GET", "PATCH"},
    "keys/k1/rotate": {"POST"},
    "keys/k1/revoke": {"POST"},
    "plans": {"GET"},
    "plans/gold": {"GET", "PUT", "DELETE"},
    "provider-keys/reseal": {"POST"},
    "prompts": {"GET", "POST"},
    "prompts/greet": {"GET", "DELETE"},
    "prompts/greet/1": {"GET", "DELETE"},
    "prompts/greet/labels/next": {"PUT", "DELETE"},
    "usage": {"GET"},
    "usage/totals": {"GET"},
    "audit": {"GET"},
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")


@pytest.mark.parametrize("path", ROUTES)
async def test_a_route_has_its_methods_and_no_other(local: Desk, path: str) -> None:
    """405 for all others, with what is allowed."""
    own = ROUTES[path]
    allowed = own | ({"HEAD"} if "GET" in own else set())
    for method in METHODS:
        answer = await local.ask(method, path)
        if method in allowed:
            assert answer.status_code != 405, method
        else:
            assert answer.status_code == 405, method
            assert set(answer.headers["allow"].split(", ")) == allowed
            assert method == "HEAD" or answer.json()["error"]["code"] == "method_not_allowed"


async def test_only_the_scope_admin_manages(local: Desk) -> None:
    """A key for models gets 403, nobody and a wrong key 401, for every route, before anything else is looked at."""
    await local.team()
    model_key = (await local.key())["key"]
    before = len(await local.rows("audit"))
    for path, methods in ROUTES.items():
        for method in methods:
            for key, status, code in [
                ("plain", 403, "insufficient_scope"),
                (model_key, 403, "insufficient_scope"),
                ("wrong", 401, "invalid_api_key"),
                (None, 401, "missing_api_key"),
            ]:
                headers = {"Authorization": f"Bearer {key}" if key else ""}
                refused = await local.refused(method, path, {"name": "x"}, headers=headers)
                assert refused[:2] == (status, code), (method, path, key)
    assert len(await local.rows("audit")) == before


async def test_a_key_for_management_calls_no_models(local: Desk) -> None:
    """One of the settings as one of the ledger; the latter manages, and stops when it is revoked."""
    await local.team()
    minted = await local.key(scopes=["admin"], name="second operator")
    headers = {"Authorization": f"Bearer {minted['key']}"}
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "x"}]}
    for key in (ADMIN, minted["key"]):
        answer = await local.http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "insufficient_scope")

    await local.done("PATCH", "teams/acme", {"name": "changed"}, headers=headers)

    assert (await local.rows("audit", by="second operator"))[0]["action"] == "team.change"
    await local.done("POST", f"keys/{minted['id']}/revoke")
    assert (await local.refused("GET", "teams", headers=headers))[0] == 401


@pytest.mark.parametrize(
    "path", ["", "nothing", "teams/a/b", "keys/k/spin", "teams//wallet/x", "usage/totals/x", "TEAMS", "/teams"]
)
async def test_an_unknown_path_is_not_found(local: Desk, path: str) -> None:
    """404 `unknown_endpoint` in the envelope, for whoever may manage."""
    assert (await local.refused("GET", path))[:2] == (404, "unknown_endpoint")


@pytest.mark.parametrize("path", ["teams", "teams/acme", "keys", "plans/house", "usage/totals", "audit"])
async def test_head_is_get_without_its_body(local: Desk, path: str) -> None:
    """The same status and the same headers."""
    await local.team()

    get, head = await local.ask("GET", path), await local.ask("HEAD", path)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "cache-control", "etag"):
        assert head.headers.get(name) == get.headers.get(name)


@pytest.mark.parametrize("path", [path for path, methods in ROUTES.items() if "GET" in methods])
async def test_every_answer_is_json_that_nobody_stores(local: Desk, path: str) -> None:
    """`Cache-Control: no-store`, whatever is shown."""
    await local.team(wallet=True)

    answer = await local.ask("GET", path)

    assert answer.headers["content-type"] == "application/json"
    if answer.status_code == 200:
        assert answer.headers["cache-control"] == "no-store"
        assert "object" in answer.json()


@pytest.mark.parametrize("path", [path for path, methods in ROUTES.items() if "POST" in methods])
async def test_changes_take_no_query(local: Desk, path: str) -> None:
    """What stands there would be ignored, and somebody meant it."""
    assert await local.refused("POST", path, {}, dry_run="1") == (400, "invalid_value", "dry_run")


@pytest.mark.parametrize("value", ["1", 'W/"1"', '"a"', '"1", "2"', "", '""', '"1' + "0" * 40 + '"'])
async def test_an_if_match_that_is_no_etag_is_refused(local: Desk, value: str) -> None:
    """Rather than taken for another version, or for none."""
    await local.team()

    for method, path in [("PATCH", "teams/acme"), ("PUT", "plans/gold")]:
        body = {"name": "x"} if method == "PATCH" else {}
        refused = await local.refused(method, path, body, headers={"If-Match": value})
        assert refused == (400, "invalid_value", "If-Match")


async def test_what_has_no_condition_takes_none(local: Desk) -> None:
    """An `If-Match` that could not be kept is refused, and nothing is done."""
    await local.done("PUT", "plans/gold", {})
    await local.ledger.add(a_team("t1"))
    await local.ledger.add(a_key("k1"))

    for method, path in [("DELETE", "plans/gold"), ("POST", "keys/k1/revoke"), ("POST", "keys/k1/rotate")]:
        refused = await local.refused(method, path, headers={"If-Match": '"1"'})
        assert refused == (400, "invalid_value", "If-Match")

    assert (await local.done("GET", "keys/k1"))["version"] == 1
    assert (await local.done("GET", "plans/gold"))["source"] == "ledger"


async def test_a_body_must_be_json_by_its_own_word(local: Desk) -> None:
    """A form that a browser sends from anywhere changes nothing."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        refused = await local.refused("POST", "teams", b'{"name": "x"}', headers={"Content-Type": kind})
        assert refused[:2] == (415, "unsupported_media_type")


async def test_the_mount_is_part_of_where_a_record_is(local: Desk) -> None:
    """`Location` begins with the prefix that the gateway is mounted under."""

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await local.gateway({**scope, "root_path": "/ai", "path": "/ai" + scope["path"]}, receive, send)

    import httpx

    async with httpx.AsyncClient(transport=httpx.ASGITransport(mounted), base_url="http://host") as http:
        answer = await http.post(
            "/api/admin/teams", json={"name": "x", "id": "acme"}, headers={"Authorization": f"Bearer {ADMIN}"}
        )

    assert answer.headers["location"] == "/ai/api/admin/teams/acme"


async def test_every_change_is_written_down_and_no_secret_gets_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """All changes there are, then every document, every audit row and the log, looked through for what was planted."""
    caplog.set_level(logging.DEBUG)
    planted = "sk-planted-0123456789-abcdefgh"
    await desk.team(wallet=True)
    await desk.done("PATCH", "teams/acme", {"name": "Other"})
    minted = await desk.key()
    key = f"keys/{minted['id']}"
    await desk.done("PATCH", key, {"name": "renamed"})
    rotated = await desk.done("POST", f"{key}/rotate")
    await desk.done("POST", f"{key}/revoke")
    await desk.done("PUT", "plans/gold", {"requests": 1})
    await desk.done("PUT", "plans/gold", {"requests": 2})
    await desk.done("DELETE", "plans/gold")
    await desk.done("POST", "teams/acme/wallet/topups", {"amount": "5"}, headers={"Idempotency-Key": "i"})
    await desk.done("POST", "teams/acme/wallet/corrections", {"amount": "-1", "note": "n"})
    await desk.done("PUT", "teams/acme/provider-keys/openai", {"secret": planted})
    await desk.done("PUT", "teams/acme/provider-keys/openai", {"secret": planted + "x"})
    await desk.done("DELETE", "teams/acme/provider-keys/openai")

    audit = await desk.pages("audit", limit=5)

    assert [row["action"] for row in reversed(audit)] == [
        "team.create",
        "wallet.open",
        "team.change",
        "team.change",
        "key.create",
        "key.change",
        "key.rotate",
        "key.revoke",
        "plan.create",
        "plan.change",
        "plan.remove",
        "wallet.topup",
        "wallet.correction",
        "provider_key.create",
        "provider_key.replace",
        "provider_key.remove",
    ]
    assert {row["by"] for row in audit} == {"ops"}
    change = next(row for row in audit if row["action"] == "key.change")
    assert (change["before"]["name"], change["after"]["name"]) == ("of a test", "renamed")
    assert (change["before"]["version"], change["after"]["version"]) == (1, 2)
    assert change["subject"] == minted["id"]
    shown = [(await desk.ask("GET", path)).text for path, methods in ROUTES.items() if "GET" in methods]
    shown += [(await desk.ask("GET", key)).text, str(audit)]
    secrets = [minted["key"][16:], rotated["key"][16:], planted, ADMIN, RING.partition(":")[2]]
    # The driver of SQLite tells its own debug log what is stored, and that is a hash.
    found = [secret for secret in secrets if any(secret in text for text in [*shown, caplog.text])]
    assert not found
    assert not any("argon2" in text for text in shown)
    # What is looked for would be found: the ends of the keys are shown.
    assert minted["hint"] in str(audit)


async def test_the_audit_log_is_filtered(desk: Desk) -> None:
    """By who, kind, subject, action and time."""
    await desk.team("a")
    desk.clock.now += 100
    await desk.team("b")
    await desk.done("PATCH", "teams/a", {"active": False})
    await desk.office.change_team("b", {"active": False}, by="cli:root")

    async def subjects(**query: Any) -> str:
        return "".join(row["subject"] for row in await desk.rows("audit", **query))

    assert await subjects() == "baba"
    assert await subjects(by="cli:root") == "b"
    assert await subjects(action="team.create") == "ba"
    assert await subjects(subject="a") == "aa"
    assert await subjects(kind="team", since=str(desk.clock.now)) == "bab"
    assert await subjects(until=str(desk.clock.now)) == "a"
    assert await subjects(kind="plan") == ""


async def test_a_change_that_is_refused_is_not_written_down(desk: Desk) -> None:
    """The entry and the change are one transaction."""
    await desk.team(wallet=True)
    before = len(await desk.rows("audit"))

    await desk.refused("POST", "teams", {"id": "acme", "name": "again"})
    await desk.refused("POST", "teams/acme/wallet")
    await desk.refused("POST", "teams/acme/wallet/corrections", {"amount": "-1"})
    await desk.refused("PATCH", "teams/acme", {"name": "x"}, headers={"If-Match": '"99"'})

    assert len(await desk.rows("audit")) == before
