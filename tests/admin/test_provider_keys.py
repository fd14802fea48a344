"""Teams' own provider keys over the management API: written, never read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from compatgw.state.base import ProviderSecret
from compatgw.state.secrets import KeyRing
from tests.admin.desk import NEWER_RING, OTHER_RING, RING, Desk

SECRET = "sk-proj-of-acme-0123456789-wxyz"


async def stored(desk: Desk) -> ProviderSecret:
    """The one sealed key of the ledger."""
    (found,) = (await desk.ledger.page(ProviderSecret)).items
    return found


async def test_a_provider_key_is_stored_sealed(desk: Desk) -> None:
    """Answers show its end and when it was put there; the ring opens what is stored."""
    await desk.team()

    answer = await desk.ask("PUT", "teams/acme/provider-keys/openai", {"secret": SECRET + "\n"})

    assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
    assert answer.json() == {
        "object": "provider_key",
        "team": "acme",
        "provider": "openai",
        "last4": "wxyz",
        "ring": "k1",
        "created": "2026-11-18T11:06:40.000000Z",
        "version": 1,
    }
    assert await desk.rows("teams/acme/provider-keys") == [answer.json()]
    found = await stored(desk)
    assert SECRET.encode() not in found.sealed
    assert KeyRing.parse(RING).open(found.seal, of=found.purpose) == SECRET


async def test_a_provider_key_is_replaced(desk: Desk) -> None:
    """200, the next version, and the new secret is what the ring opens."""
    await desk.team()
    await desk.done("PUT", "teams/acme/provider-keys/openai", {"secret": SECRET})

    answer = await desk.ask("PUT", "teams/acme/provider-keys/openai", {"secret": "sk-newer-0123456789-abcd"})

    assert (answer.status_code, answer.json()["last4"], answer.json()["version"]) == (200, "abcd", 2)
    found = await stored(desk)
    assert KeyRing.parse(RING).open(found.seal, of=found.purpose) == "sk-newer-0123456789-abcd"


async def test_of_a_short_secret_nothing_is_shown(local: Desk) -> None:
    """Four characters of eight would be half of it."""
    await local.team()

    assert (await local.done("PUT", "teams/acme/provider-keys/openai", {"secret": "12345678"}))["last4"] == ""


async def test_if_match_holds_for_provider_keys(desk: Desk) -> None:
    """A version, none at all (`"0"`), or any (`*`)."""
    await desk.team()

    async def put(match: str) -> int:
        answer = await desk.ask(
            "PUT", "teams/acme/provider-keys/openai", {"secret": SECRET}, headers={"If-Match": match}
        )
        return answer.status_code

    assert [await put('"1"'), await put("*"), await put('"0"')] == [412, 412, 201]
    assert [await put('"0"'), await put('"1"'), await put('"1"'), await put("*")] == [412, 200, 412, 200]


async def test_a_provider_key_is_deleted(desk: Desk) -> None:
    """Once; after that there is none."""
    await desk.team()
    await desk.done("PUT", "teams/acme/provider-keys/openai", {"secret": SECRET})

    deleted = await desk.done("DELETE", "teams/acme/provider-keys/openai")

    assert deleted == {"object": "provider_key.deleted", "id": "openai", "deleted": True}
    assert await desk.rows("teams/acme/provider-keys") == []
    assert await desk.refused("DELETE", "teams/acme/provider-keys/openai") == (404, "not_found", None)
    assert [row["action"] for row in await desk.rows("audit", kind="provider_key")] == [
        "provider_key.remove",
        "provider_key.create",
    ]
    assert (await desk.rows("audit", kind="provider_key"))[0]["subject"] == "acme/openai"


async def test_a_provider_key_put_by_many_at_the_same_time_is_one(desk: Desk) -> None:
    """Each succeeds, and one row is left."""
    await desk.team()

    answers = await asyncio.gather(
        *[desk.ask("PUT", "teams/acme/provider-keys/openai", {"secret": f"{SECRET}-{n:04}"}) for n in range(5)]
    )

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert (await stored(desk)).version == 5


async def test_all_are_sealed_anew_after_a_rotation(open_desk: Callable[..., Desk], ledger_url: str) -> None:
    """With the ring's newest key, each once, the audit log says so, and the secrets stay what they were."""
    before = open_desk(ledger_url)
    for number in range(3):
        await before.team(f"t{number}")
        await before.done("PUT", f"teams/t{number}/provider-keys/openai", {"secret": f"{SECRET}-{number}"})
    after = open_desk(ledger_url, state={"ledger": ledger_url, "key_ring": NEWER_RING})

    first = await after.done("POST", "provider-keys/reseal")
    second = await after.done("POST", "provider-keys/reseal", {})

    assert first == {"object": "provider_keys.resealed", "count": 3}
    assert second["count"] == 0
    rows = (await after.ledger.page(ProviderSecret)).items
    newest_alone = KeyRing.parse(NEWER_RING.partition(",")[0])
    assert [newest_alone.open(row.seal, of=row.purpose) for row in rows] == [f"{SECRET}-{n}" for n in (2, 1, 0)]
    audit = await after.rows("audit", action="provider_key.reseal")
    assert [(row["before"]["ring"], row["after"]["ring"]) for row in audit] == [("k1", "k2")] * 3


async def test_what_does_not_open_is_named_and_the_rest_is_sealed_anew(
    open_desk: Callable[..., Desk], empty_ledger: Callable[[str], str]
) -> None:
    """One team's key was sealed with a ring that is gone: the others are not kept from a new seal."""
    url = empty_ledger("sqlite")
    lost = open_desk(url, state={"ledger": url, "key_ring": OTHER_RING})
    await lost.team("gone")
    await lost.done("PUT", "teams/gone/provider-keys/openai", {"secret": SECRET})
    known = open_desk(url)
    await known.team()
    await known.done("PUT", "teams/acme/provider-keys/openai", {"secret": SECRET})
    now = open_desk(url, state={"ledger": url, "key_ring": NEWER_RING})

    answer = await now.ask("POST", "provider-keys/reseal")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (409, "seal_broken")
    assert "1 provider keys were sealed anew, 1 do not open" in error["message"]
    assert "gone/openai" in error["message"]
    assert [row["ring"] for row in await now.rows("teams/acme/provider-keys")] == ["k2"]


async def test_without_a_ring_nothing_is_stored(
    open_desk: Callable[..., Desk], empty_ledger: Callable[[str], str]
) -> None:
    """The answer says which setting is missing."""
    url = empty_ledger("sqlite")
    desk = open_desk(url, state={"ledger": url})
    await desk.team()

    answer = await desk.ask("PUT", "teams/acme/provider-keys/openai", {"secret": SECRET})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_key_ring")
    assert "state.key_ring" in answer.json()["error"]["message"]
    assert (await desk.refused("POST", "provider-keys/reseal"))[1] == "no_key_ring"


@pytest.mark.parametrize(
    ("provider", "body", "code", "param"),
    [
        ("openai", {"secret": ""}, "invalid_value", "secret"),
        ("openai", {"secret": " \n"}, "invalid_value", "secret"),
        ("openai", {"secret": "planted-secret\nX-Evil: 1"}, "invalid_value", "secret"),
        ("openai", {"secret": "planted-secret\0"}, "invalid_value", "secret"),
        ("openai", {"secret": "planted-secret-é"}, "invalid_value", "secret"),
        ("openai", {"secret": "planted-secret" * 2000}, "invalid_value", "secret"),
        ("openai", {"secret": ["planted-secret"]}, "invalid_type", "secret"),
        ("openai", {"secret": {"planted-secret": 1}}, "invalid_type", "secret"),
        ("openai", {"key": "planted-secret"}, "missing_parameter", "secret"),
        ("openai", b'{"secret": "planted-secret', "invalid_json", None),
        ("nobody", {"secret": SECRET}, "invalid_value", "provider"),
        ("x" * 65, {"secret": SECRET}, "invalid_value", "provider"),
    ],
)
async def test_a_provider_key_that_cannot_be_is_refused(
    local: Desk, provider: str, body: Any, code: str, param: str | None
) -> None:
    """With the member at fault, and no answer shows what was sent."""
    await local.team()

    answer = await local.ask("PUT", f"teams/acme/provider-keys/{provider}", body)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert "planted" not in answer.text
    assert await local.rows("teams/acme/provider-keys") == []
