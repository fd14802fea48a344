"""Wallets, provider keys and usage by command, on SQLite and PostgreSQL."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from compatgw.state.base import UsageRow, purpose
from compatgw.state.secrets import KeyRing
from tests.cli.conftest import RING
from tests.cli.looking import secrets_of, use
from tests.cli.running import Line

SECRET = "sk-a-key-of-the-provider-1234"
DAY = 86_400.0


def test_money_is_put_in_corrected_and_shown(line: Line) -> None:
    """The balance is the sum of the entries, which are shown with it."""
    line.out("teams", "create", "Acme", "--id", "acme")
    assert line.json("wallet", "open", "acme")["balance"] == "0.00"
    first = line.json("wallet", "topup", "acme", "50.00", "--note", "Invoice 1042", "--idempotency-key", "inv-1042")
    assert (first["kind"], first["amount"], first["balance"], first["note"]) == (
        "topup",
        "50.00",
        "50.00",
        "Invoice 1042",
    )
    second = line.json("wallet", "correct", "acme", "-2.123456789", "--note", "Charged twice")
    assert (second["kind"], second["amount"], second["balance"]) == ("correction", "-2.123456789", "47.876543211")
    shown = line.json("wallet", "show", "acme")
    assert (shown["balance"], shown["reserved"], shown["free"], shown["currency"]) == (
        "47.876543211",
        "0.00",
        "47.876543211",
        "USD",
    )
    assert shown["entries"] == [second, first]
    assert line.json("wallet", "entries", "acme", "--kind", "topup")["data"] == [first]
    assert line.json("wallet", "entries", "acme", "--until", "1d")["data"] == []
    assert line.json("wallet", "show", "acme", "--entries", "1")["entries"] == [second]


def test_one_idempotency_key_moves_money_once(line: Line) -> None:
    """A script that is run again does no harm, and is told; another amount under the same key is refused."""
    line.out("teams", "create", "Acme", "--id", "acme", "--wallet")
    once = ("wallet", "topup", "acme", "5", "--idempotency-key", "one")
    first = line.json(*once)
    again = line.run(*once)
    assert (again.exit_code, "made the entry before" in again.stderr) == (0, True)
    assert line.json(*once) == first
    assert line.json("wallet", "show", "acme")["balance"] == "5.00"
    assert "one" in line.refused("wallet", "topup", "acme", "6", "--idempotency-key", "one")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("wallet", "topup", "acme", "-5"), "Give more than 0"),
        (("wallet", "topup", "acme", "0"), "Give more than 0"),
        (("wallet", "correct", "acme", "-5.01"), "0.01 too little"),
        (("wallet", "open", "acme"), "has a wallet already"),
        (("wallet", "open", "nobody"), "no team 'nobody'"),
        (("wallet", "show", "nobody"), "no team 'nobody'"),
        (("wallet", "topup", "bare", "5"), "bare"),
        (("wallet", "show", "bare"), "compatgw wallet open bare"),
    ],
)
def test_money_that_cannot_move_stays(line: Line, args: tuple[str, ...], words: str) -> None:
    """With one line that says why."""
    line.out("teams", "create", "Acme", "--id", "acme", "--wallet")
    line.out("teams", "create", "Bare", "--id", "bare")
    line.out("wallet", "topup", "acme", "5")
    assert words in line.refused(*args)
    assert line.json("wallet", "show", "acme")["balance"] == "5.00"


@pytest.mark.parametrize("amount", ["5,00", "1e3", "nan", "five", "", "0.0000000001", "12345678901"])
def test_what_is_no_amount_is_a_usage_error(line: Line, amount: str) -> None:
    """Status 2, before anything is looked at."""
    got = line.run("wallet", "topup", "acme", amount)
    assert (got.exit_code, got.stdout) == (2, "")


def test_a_wallet_has_the_currency_of_the_settings(line: Line) -> None:
    """And all amounts are shown in it."""
    line.environ["COMPATGW_MONEY__CURRENCY"] = "EUR"
    line.out("teams", "create", "Acme", "--id", "acme", "--wallet")
    line.out("wallet", "topup", "acme", "1234.5")
    assert line.out("wallet", "show", "acme").splitlines()[:3] == [
        "balance   1234.50 EUR",
        "reserved  0.00 EUR",
        "free      1234.50 EUR",
    ]


def test_a_provider_key_comes_from_stdin_and_is_never_shown(line: Line, ledger_url: str) -> None:
    """It opens with the ring, and only its last four characters are told."""
    line.out("teams", "create", "Acme", "--id", "acme")
    stored = line.json("provider-keys", "set", "acme", "openai", stdin=SECRET + "\n")
    assert (stored["provider"], stored["last4"], stored["ring"]) == ("openai", "1234", "k1")
    (sealed,) = secrets_of(ledger_url)
    assert KeyRing.parse(RING).open(sealed.seal, of=purpose("acme", "openai")) == SECRET
    shown = [
        line.out("provider-keys", "list"),
        line.out("provider-keys", "list", "--json", "--team", "acme"),
        line.run("provider-keys", "set", "acme", "openai", stdin=SECRET).output,
    ]
    assert all("1234" in text and SECRET not in text for text in shown)
    assert line.json("provider-keys", "remove", "acme", "openai")["deleted"] is True
    assert "no key of its own at 'openai'" in line.refused("provider-keys", "remove", "acme", "openai")


def test_a_ring_that_was_rotated_seals_all_keys_anew(line: Line, ledger_url: str) -> None:
    """After that the old key of the ring is not needed any more; the second time there is nothing to do."""
    line.out("teams", "create", "Acme", "--id", "acme")
    for provider in ("openai", "anthropic", "gemini"):
        line.out("provider-keys", "set", "acme", provider, stdin=f"{provider}-{SECRET}")
    newer = "k2:" + base64.b64encode(bytes(range(32, 64))).decode()
    line.environ["COMPATGW_STATE__KEY_RING"] = f"{newer},{RING}"
    assert line.out("provider-keys", "reseal") == "3 provider keys were sealed anew.\n"
    assert line.json("provider-keys", "reseal") == {"object": "provider_keys.resealed", "count": 0}
    ring = KeyRing.parse(newer)
    opened = {each.provider: ring.open(each.seal, of=each.purpose) for each in secrets_of(ledger_url)}
    assert opened == {provider: f"{provider}-{SECRET}" for provider in ("openai", "anthropic", "gemini")}


def test_a_provider_key_needs_a_ring_a_team_a_provider_and_a_text(line: Line) -> None:
    """Each is said in one line, without the secret."""
    line.out("teams", "create", "Acme", "--id", "acme")
    put = ("provider-keys", "set", "acme", "openai")
    refusals = [
        line.refused("provider-keys", "set", "nobody", "openai", stdin=SECRET),
        line.refused("provider-keys", "set", "acme", "opnai", stdin=SECRET),
        line.refused(*put, stdin=""),
        line.refused(*put, stdin="two\nlines"),
        line.refused(*put, stdin=b"\xff\xfe"),
        line.refused(*put, stdin="x" * 100_000),
    ]
    del line.environ["COMPATGW_STATE__KEY_RING"]
    refusals += [line.refused(*put, stdin=SECRET), line.refused("provider-keys", "reseal")]
    for text, words in zip(
        refusals,
        ("nobody", "opnai", "empty", "line break", "no text", "characters", "state.key_ring", "state.key_ring"),
        strict=True,
    ):
        assert words in text
        assert SECRET not in text


def calls() -> list[UsageRow]:
    """Six calls of two teams over four days, with sums that one can add up by hand."""
    now = time.time()
    return [
        UsageRow(
            id=f"u{number}",
            at=now - days * DAY,
            request=f"r{number}",
            team=team,
            key="k1" if team == "acme" else "k2",
            model=model,
            provider="openai",
            input=1_000_000 * (number + 1),
            cached=10,
            output=100,
            reasoning=5,
            cost=Decimal("0.000000001"),
            charge=Decimal("1.25") if team == "acme" else Decimal(0),
            status=status,
        )
        for number, (days, team, model, status) in enumerate(
            [
                (0.0, "acme", "gpt-4o", 200),
                (0.0, "acme", "gpt-4o", 500),
                (0.0, "acme", "odd model", 200),
                (2.0, "labs", "gpt-4o", 200),
                (2.0, "labs", "gpt-4o", 200),
                (60.0, "labs", "gpt-4o", 200),
            ]
        )
    ]


def test_usage_is_summed_by_what_is_asked(line: Line, ledger_url: str) -> None:
    """With a last row of totals that add up; what is older than asked is left out."""
    use(ledger_url, calls())
    rows = line.rows("usage", "--by", "team", "--by", "key")
    assert [
        (row["TEAM"], row["KEY"], row["CALLS"], row["FAILED"], row["INPUT"], row["CHARGE_USD"]) for row in rows
    ] == [
        ("acme", "k1", "3", "1", "6000000", "3.75"),
        ("labs", "k2", "2", "0", "9000000", "0.00"),
        ("total", "-", "5", "1", "15000000", "3.75"),
    ]
    assert rows[-1]["COST_USD"] == "0.000000005"
    assert line.rows("usage", "--since", "90d")[-1]["CALLS"] == "6"
    assert [row["CALLS"] for row in line.rows("usage", "--team", "labs", "--model", "gpt-4o", "--by", "model")] == [
        "2",
        "2",
    ]
    assert [row["CALLS"] for row in line.rows("usage", "--key", "k1", "--by", "provider")] == ["3", "3"]
    assert line.rows("usage", "--until", "30d", "--since", "90d", "--by", "team")[0]["CALLS"] == "1"


def test_usage_by_hours_and_how_long_calls_took(line: Line, ledger_url: str) -> None:
    """Half of the answered calls, and 19 of 20, in seconds; of all sums together there is none."""
    rows = calls()
    use(ledger_url, [replace(row, latency=number / 2) for number, row in enumerate(rows)])
    found = line.rows("usage", "--by", "hour", "--times", "--team", "acme")
    assert [(row["CALLS"], row["P50"], row["P95"]) for row in found] == [("3", "0.000", "1.000"), ("3", "-", "-")]
    assert found[0]["HOUR"].endswith(":00:00Z")
    assert line.json("usage", "--times", "--by", "team")["data"][0]["p95"] == 1.0
    assert line.json("usage", "--by", "team")["data"][0]["p95"] is None


def test_usage_as_json_is_what_the_management_api_answers(line: Line, ledger_url: str) -> None:
    """A list of sums, amounts as exact texts, without a row of totals."""
    use(ledger_url, calls())
    found = line.json("usage", "--by", "model", "--by", "team")
    assert (found["object"], found["has_more"], found["next_cursor"]) == ("list", False, None)
    assert [total["group"] for total in found["data"]] == [
        {"model": "gpt-4o", "team": "acme"},
        {"model": "gpt-4o", "team": "labs"},
        {"model": "odd model", "team": "acme"},
    ]
    assert found["data"][0]["charge"] == "2.50"
    assert found["data"][0]["cost"] == "0.000000002"


def test_usage_without_calls_is_a_head_alone(line: Line) -> None:
    """A script finds its columns, and an empty list in JSON."""
    assert line.out("usage").split() == [
        "DAY", "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "COST_USD", "CHARGE_USD",
    ]  # fmt: skip
    assert line.json("usage")["data"] == []


def test_usage_of_a_time_that_is_none_is_a_usage_error(line: Line) -> None:
    """Status 2."""
    assert line.run("usage", "--since", "last week").exit_code == 2
    assert line.run("usage", "--since", "1d", "--until", "2d").exit_code == 2
    assert line.run("usage", "--by", "colour").exit_code == 2
