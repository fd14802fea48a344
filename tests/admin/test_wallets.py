"""Wallets over the management API: exact amounts, each movement once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.admin.desk import Desk


async def test_a_wallet_is_opened_once(desk: Desk) -> None:
    """It is empty, in the gateway's currency, and its answer says where it is."""
    await desk.team()

    answer = await desk.ask("POST", "teams/acme/wallet")

    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/admin/teams/acme/wallet"
    assert answer.json() == {
        "object": "wallet",
        "team": "acme",
        "currency": "USD",
        "balance": "0.00",
        "reserved": "0.00",
        "free": "0.00",
        "created": "2026-11-18T11:06:40.000000Z",
    }
    assert await desk.refused("POST", "teams/acme/wallet") == (409, "duplicate", None)
    assert len(await desk.rows("audit", kind="wallet")) == 1


async def test_a_wallet_holds_exactly_what_was_put_in(desk: Desk) -> None:
    """Texts and whole numbers, down to a billionth; corrections take, too."""
    await desk.team(wallet=True)

    for amount in ("12.50", 7, "0.000000001", "+1.1"):
        assert (await desk.ask("POST", "teams/acme/wallet/topups", {"amount": amount})).status_code == 201
    entry = await desk.done("POST", "teams/acme/wallet/corrections", {"amount": "-0.6", "note": "billed twice"})

    assert {"kind": "correction", "amount": "-0.60", "balance": "20.000000001", "by": "ops"}.items() <= entry.items()
    assert (entry["object"], entry["note"], entry["idempotency_key"]) == ("wallet.entry", "billed twice", None)
    assert (await desk.done("GET", "teams/acme/wallet"))["balance"] == "20.000000001"
    entries = await desk.rows("teams/acme/wallet/entries")
    assert [row["amount"] for row in entries] == ["-0.60", "1.10", "0.000000001", "7.00", "12.50"]
    assert sum(Decimal(row["amount"]) for row in entries) == Decimal("20.000000001")


async def test_a_topup_is_made_once_for_each_idempotency_key(desk: Desk) -> None:
    """The same key again gives the first entry and 200, and neither money nor an audit entry."""
    await desk.team(wallet=True)
    headers = {"Idempotency-Key": "invoice-17"}

    first = await desk.ask("POST", "teams/acme/wallet/topups", {"amount": "5"}, headers=headers)
    desk.clock.now += 60
    again = await desk.ask("POST", "teams/acme/wallet/topups", {"amount": "5.00"}, headers=headers)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert first.json()["idempotency_key"] == "invoice-17"
    assert (await desk.done("GET", "teams/acme/wallet"))["balance"] == "5.00"
    assert len(await desk.rows("audit", action="wallet.topup")) == 1
    assert await desk.rows("teams/acme/wallet/entries", idempotency_key="invoice-17") == [first.json()]


async def test_of_many_topups_with_one_key_one_is_made(desk: Desk) -> None:
    """At the same time: one 201, the others 200 with the same entry."""
    await desk.team(wallet=True)
    headers = {"Idempotency-Key": "once"}

    answers = await asyncio.gather(
        *[desk.ask("POST", "teams/acme/wallet/topups", {"amount": "5"}, headers=headers) for _ in range(6)]
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert (await desk.done("GET", "teams/acme/wallet"))["balance"] == "5.00"


async def test_an_idempotency_key_is_not_for_something_else(desk: Desk) -> None:
    """Another amount or kind is a conflict; another team has keys of its own."""
    await desk.team(wallet=True)
    await desk.team("other", wallet=True)
    headers = {"Idempotency-Key": "a"}
    await desk.done("POST", "teams/acme/wallet/topups", {"amount": "5"}, headers=headers)

    conflict = (409, "idempotency_conflict", None)
    assert await desk.refused("POST", "teams/acme/wallet/topups", {"amount": "6"}, headers=headers) == conflict
    assert await desk.refused("POST", "teams/acme/wallet/corrections", {"amount": "5"}, headers=headers) == conflict
    await desk.done("POST", "teams/other/wallet/topups", {"amount": "6"}, headers=headers)
    assert (await desk.done("GET", "teams/acme/wallet"))["balance"] == "5.00"


async def test_a_correction_takes_no_more_than_there_is(desk: Desk) -> None:
    """What is reserved by a call that runs is not free either."""
    await desk.team(wallet=True)
    await desk.done("POST", "teams/acme/wallet/topups", {"amount": "5"})
    await desk.ledger.reserve("call", "acme", Decimal(2), ttl=60)

    wallet = await desk.done("GET", "teams/acme/wallet")
    refused = await desk.refused("POST", "teams/acme/wallet/corrections", {"amount": "-3.01"})
    await desk.done("POST", "teams/acme/wallet/corrections", {"amount": "-3"})

    assert (wallet["balance"], wallet["reserved"], wallet["free"]) == ("5.00", "2.00", "3.00")
    assert refused == (402, "insufficient_balance", None)
    assert (await desk.done("GET", "teams/acme/wallet"))["free"] == "0.00"
    assert len(await desk.rows("audit", action="wallet.correction")) == 1


async def test_a_wallets_tag_changes_with_what_is_in_it(local: Desk) -> None:
    """Also with what calls reserve, which counts no versions."""
    await local.team(wallet=True)
    tags = [(await local.ask("GET", "teams/acme/wallet")).headers["etag"]]
    await local.done("POST", "teams/acme/wallet/topups", {"amount": "50"})
    tags.append((await local.ask("GET", "teams/acme/wallet")).headers["etag"])
    await local.ledger.reserve("call", "acme", Decimal(2), ttl=60)
    tags.append((await local.ask("GET", "teams/acme/wallet")).headers["etag"])

    assert tags == ['"0.00-0.00"', '"50.00-0.00"', '"50.00-2.00"']


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        ("topups", {"amount": "0"}, "invalid_value", "amount"),
        ("topups", {"amount": "-1"}, "invalid_value", "amount"),
        ("corrections", {"amount": 0}, "invalid_value", "amount"),
        ("topups", b'{"amount": 12.5}', "invalid_type", "amount"),
        ("topups", b'{"amount": 12.0}', "invalid_type", "amount"),
        ("topups", b'{"amount": 1e2}', "invalid_type", "amount"),
        ("topups", b'{"amount": 99999999999999999999999999}', "invalid_type", "amount"),
        ("topups", {"amount": None}, "invalid_type", "amount"),
        ("topups", {"amount": True}, "invalid_type", "amount"),
        ("topups", {"amount": ["1"]}, "invalid_type", "amount"),
        ("topups", {"amount": "1,5"}, "invalid_value", "amount"),
        ("topups", {"amount": "NaN"}, "invalid_value", "amount"),
        ("topups", {"amount": "Infinity"}, "invalid_value", "amount"),
        ("topups", {"amount": "1e1"}, "invalid_value", "amount"),
        ("topups", {"amount": "1" * 10_000}, "invalid_value", "amount"),
        ("topups", {"amount": "1000000001"}, "invalid_value", "amount"),
        ("topups", {"amount": "0.0000000001"}, "invalid_value", "amount"),
        ("topups", {"amount": ""}, "invalid_value", "amount"),
        ("topups", {"amount": "1", "note": "x" * 1001}, "invalid_value", "note"),
        ("topups", {"amount": "1", "note": "a\0"}, "invalid_value", "note"),
        ("topups", {"amount": "1", "note": 1}, "invalid_type", "note"),
        ("topups", {"amount": "1", "currency": "EUR"}, "invalid_value", "currency"),
        ("topups", {}, "missing_parameter", "amount"),
        ("topups", None, "invalid_json", None),
    ],
)
async def test_money_that_is_none_is_refused(local: Desk, path: str, body: Any, code: str, param: str | None) -> None:
    """No float is ever taken for an amount, and nothing moves."""
    await local.team(wallet=True)

    assert await local.refused("POST", f"teams/acme/wallet/{path}", body) == (400, code, param)
    assert await local.rows("teams/acme/wallet/entries") == []


@pytest.mark.parametrize("key", [b"", b"x" * 201, b"a\x85"])
async def test_an_idempotency_key_that_cannot_be_is_refused(local: Desk, key: bytes) -> None:
    """Empty, too long, or with a control character."""
    await local.team(wallet=True)

    answer = await local.http.post(
        "/api/admin/teams/acme/wallet/topups", content=b'{"amount": "1"}', headers={b"Idempotency-Key": key}
    )

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_wallet_holds_at_most_a_billion(local: Desk) -> None:
    """Two amounts that are possible alone do not fit together."""
    await local.team(wallet=True)
    await local.done("POST", "teams/acme/wallet/topups", {"amount": "1000000000"})

    assert (await local.refused("POST", "teams/acme/wallet/topups", {"amount": "1"}))[:2] == (400, "invalid_value")


async def test_a_team_without_a_wallet_has_none(local: Desk) -> None:
    """404 with a way out, and no money moves."""
    await local.team()

    assert await local.refused("GET", "teams/acme/wallet") == (404, "not_found", None)
    assert await local.refused("GET", "teams/acme/wallet/entries") == (404, "not_found", None)
    assert await local.refused("POST", "teams/acme/wallet/topups", {"amount": "1"}) == (404, "not_found", None)


async def test_entries_are_listed_by_pages_while_money_moves(desk: Desk) -> None:
    """120 entries, each once, the newest first, whatever comes meanwhile; filters and another team's stay apart."""
    await desk.team(wallet=True)
    await desk.team("other", wallet=True)
    await desk.done("POST", "teams/other/wallet/topups", {"amount": "1"})
    for number in range(120):
        await desk.office.topup("acme", Decimal(number + 1), by="test", note=str(number))
    first = await desk.done("GET", "teams/acme/wallet/entries", limit=50)

    await desk.done("POST", "teams/acme/wallet/corrections", {"amount": "-1"})
    rest = await desk.pages("teams/acme/wallet/entries", limit=50, cursor=first["next_cursor"])

    assert [row["note"] for row in [*first["data"], *rest]] == [str(number) for number in reversed(range(120))]
    assert len(await desk.rows("teams/acme/wallet/entries", kind="correction")) == 1
    assert len(await desk.pages("teams/acme/wallet/entries", by="test", limit=100)) == 120
    assert await desk.rows("teams/acme/wallet/entries", until=str(desk.clock.now)) == []
