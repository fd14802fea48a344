"""Teams, keys and plans by command, on SQLite and PostgreSQL: what is done is what the ledger then has."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime

import pytest

from compatgw.state.secrets import Hasher, id_of
from tests.cli.looking import audit_of, keys_of
from tests.cli.running import Line


def moment(text: str) -> float:
    """A time of a document in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def test_a_team_is_made_as_it_was_asked_for(line: Line) -> None:
    """With everything that the options say, and no more."""
    made = line.json(
        "teams", "create", "Acme Ltd", "--id", "acme", "--model", "gpt-*", "--model", "claude-*", "--plan", "starter",
        "--wallet", "--byok-fallback",
    )  # fmt: skip
    assert {name: made[name] for name in ("object", "id", "name", "active", "models", "plan", "byok_fallback")} == {
        "object": "team",
        "id": "acme",
        "name": "Acme Ltd",
        "active": True,
        "models": ["gpt-*", "claude-*"],
        "plan": "starter",
        "byok_fallback": True,
    }
    assert line.json("teams", "show", "acme") == made
    assert line.json("wallet", "show", "acme")["balance"] == "0.00"
    line.out("wallet", "topup", "acme", "1234.567")
    assert "wallet         1234.567 USD free\n" in line.out("teams", "show", "acme")

    plain = line.json("teams", "create", "Without options")
    assert (plain["models"], plain["plan"], plain["byok_fallback"]) == (["*"], None, False)
    assert "has no wallet" in line.refused("wallet", "show", plain["id"])


def test_a_team_that_is_switched_off_is_listed_only_with_all(line: Line) -> None:
    """And is there again when it is switched on."""
    for id in ("one", "two"):
        line.out("teams", "create", id, "--id", id)
    assert line.json("teams", "deactivate", "one")["active"] is False
    assert [row["ID"] for row in line.rows("teams", "list")] == ["two"]
    assert [(row["ID"], row["STATUS"]) for row in line.rows("teams", "list", "--all")] == [
        ("two", "active"),
        ("one", "inactive"),
    ]
    assert line.json("teams", "activate", "one")["active"] is True
    assert [team["id"] for team in line.json("teams", "list")["data"]] == ["two", "one"]


def test_a_team_is_changed_in_what_is_named_alone(line: Line) -> None:
    """A plan can be taken away, and both at once is no sense."""
    before = line.json("teams", "create", "Acme", "--id", "acme", "--plan", "starter", "--model", "a*")
    after = line.json("teams", "set", "acme", "--name", "Acme Ltd")
    assert {**before, "name": "Acme Ltd", "version": 2} == after
    assert line.json("teams", "set", "acme", "--no-plan", "--byok-fallback")["plan"] is None
    assert line.json("teams", "set", "acme", "--no-byok-fallback", "--model", "b*")["models"] == ["b*"]
    assert line.run("teams", "set", "acme", "--plan", "starter", "--no-plan").exit_code == 2
    assert line.run("teams", "set", "acme").exit_code == 2


def test_a_key_is_made_as_it_was_asked_for(line: Line) -> None:
    """The text is a key of ours, what is stored is its hash, and every option has arrived."""
    line.out("teams", "create", "Acme", "--id", "acme")
    made = line.json(
        "keys", "create", "--team", "acme", "--name", "ci", "--scope", "chat", "--scope", "embeddings", "--model", "gpt-*",
        "--plan", "starter", "--requests", "60", "--tokens", "100000", "--concurrency", "4", "--budget", "20.00",
        "--period", "month", "--expires", "30d",
    )  # fmt: skip
    text = made.pop("key")
    assert id_of(text) == made["id"]
    assert text.endswith(made["hint"])
    assert line.json("keys", "show", made["id"]) == made
    assert {
        name: made[name] for name in ("team", "name", "status", "scopes", "models", "plan", "period", "budget")
    } == {
        "team": "acme",
        "name": "ci",
        "status": "active",
        "scopes": ["chat", "embeddings"],
        "models": ["gpt-*"],
        "plan": "starter",
        "period": "month",
        "budget": "20.00",
    }
    assert (made["requests"], made["tokens"], made["concurrency"]) == (60, 100_000, 4)
    assert moment(made["expires"]) - moment(made["created"]) == pytest.approx(30 * 86_400, abs=60)
    assert text not in line.out("keys", "list") + line.out("keys", "list", "--json")


def test_a_script_gets_the_key_and_nothing_else(line: Line) -> None:
    """`KEY=$(compatgw keys create ...)`: one line on stdout, the explanation on stderr."""
    line.out("teams", "create", "Acme", "--id", "acme")
    got = line.run("keys", "create", "--team", "acme", "--name", "ci")
    assert got.exit_code == 0
    assert id_of(got.stdout.removesuffix("\n")) is not None
    assert "shown this once" in got.stderr
    assert got.stdout.strip() not in got.stderr


def test_a_date_is_its_beginning_in_utc(line: Line) -> None:
    """A time with an offset is that moment; one without is in UTC."""
    line.out("teams", "create", "Acme", "--id", "acme")
    year = datetime.now(UTC).year + 1
    given = {
        f"{year}-12-31": f"{year}-12-31T00:00:00.000000Z",
        f"{year}-12-31T18:00+01:00": f"{year}-12-31T17:00:00.000000Z",
        f"{year}-12-31 18:00": f"{year}-12-31T18:00:00.000000Z",
    }
    for text, stored in given.items():
        made = line.json("keys", "create", "--team", "acme", "--name", "dated", "--expires", text)
        assert made["expires"] == stored


def test_a_key_is_changed_in_what_is_named_alone(line: Line) -> None:
    """And what it has can be taken away."""
    line.out("teams", "create", "Acme", "--id", "acme")
    made = line.json("keys", "create", "--team", "acme", "--name", "ci", "--budget", "5", "--requests", "3")
    made.pop("key")
    after = line.json("keys", "set", made["id"], "--no", "budget", "--tokens", "100", "--scope", "chat")
    assert {**made, "budget": None, "tokens": 100, "scopes": ["chat"], "version": 2} == after
    assert line.run("keys", "set", made["id"], "--no", "budget", "--budget", "3").exit_code == 2
    assert line.run("keys", "set", made["id"]).exit_code == 2


def test_a_rotated_key_keeps_its_id_and_the_old_one_ends_with_the_grace(line: Line, ledger_url: str) -> None:
    """The new text is another; without a grace the old one is no more."""
    line.out("teams", "create", "Acme", "--id", "acme")
    old = line.out("keys", "create", "--team", "acme", "--name", "ci").strip()
    id = str(id_of(old))
    new = line.out("keys", "rotate", id, "--grace", "1h").strip()
    assert id_of(new) == id
    assert new != old
    shown = line.json("keys", "show", id)
    assert moment(shown["previous_until"]) == pytest.approx(time.time() + 3_600, abs=60)
    assert new.endswith(shown["hint"])
    assert line.json("keys", "rotate", id, "--grace", "0")["previous_until"] is None


def test_a_revoked_key_stays_in_the_list_as_such(line: Line) -> None:
    """Until one asks for the active ones; revoking it again changes nothing, and it is not rotated."""
    line.out("teams", "create", "Acme", "--id", "acme")
    ids = [line.json("keys", "create", "--team", "acme", "--name", name)["id"] for name in ("one", "two")]
    revoked = line.json("keys", "revoke", ids[0])
    assert revoked["status"] == "revoked"
    assert line.json("keys", "revoke", ids[0]) == revoked
    assert [(row["ID"], row["STATUS"]) for row in line.rows("keys", "list")] == [
        (ids[1], "active"),
        (ids[0], "revoked"),
    ]
    assert [row["ID"] for row in line.rows("keys", "list", "--active", "--team", "acme")] == [ids[1]]
    assert "revoked" in line.refused("keys", "rotate", ids[0])


def test_a_key_shows_what_it_has_spent(line: Line) -> None:
    """Beside its budget."""
    line.out("teams", "create", "Acme", "--id", "acme")
    id = line.json("keys", "create", "--team", "acme", "--name", "ci", "--budget", "5", "--period", "day")["id"]
    shown = line.out("keys", "show", id)
    assert "budget       5.00 USD (day)\n" in shown
    assert "spent        0.00 USD\n" in shown


def test_plans_are_listed_from_everywhere_and_stored_ones_win(line: Line) -> None:
    """Removing one brings the built-in one back."""
    builtin = {row["ID"]: row for row in line.rows("plans", "list")}
    assert {id: row["SOURCE"] for id, row in builtin.items()} == dict.fromkeys(
        ("enterprise", "professional", "starter"), "built-in"
    )
    assert (builtin["starter"]["REQUESTS/MIN"], builtin["starter"]["TOKENS/MIN"]) == ("60", "100000")
    stored = line.json("plans", "set", "starter", "--requests", "7")
    assert (stored["source"], stored["requests"], stored["tokens"]) == ("ledger", 7, None)
    assert {plan["id"]: plan["requests"] for plan in line.json("plans", "list")["data"]}["starter"] == 7
    assert line.json("plans", "remove", "starter") == {"object": "plan.deleted", "id": "starter", "deleted": True}
    assert {plan["id"]: plan["requests"] for plan in line.json("plans", "list")["data"]}["starter"] == 60
    assert "no plan 'starter' in the ledger" in line.refused("plans", "remove", "starter")


def test_a_plan_of_the_settings_is_listed_as_such(line: Line) -> None:
    """And a team may have it."""
    line.environ["COMPATGW_PLANS__BIG"] = "{requests = 9}"
    assert [row["SOURCE"] for row in line.rows("plans", "list") if row["ID"] == "big"] == ["configuration"]
    assert line.json("teams", "create", "Acme", "--plan", "big")["plan"] == "big"


def test_a_plan_that_somebody_has_is_not_removed(line: Line) -> None:
    """It would leave them without limits."""
    line.out("plans", "set", "mine", "--requests", "7")
    line.out("teams", "create", "Acme", "--id", "acme", "--plan", "mine")
    assert "acme" in line.refused("plans", "remove", "mine")


def test_every_change_says_in_the_audit_log_who_made_it(line: Line, ledger_url: str) -> None:
    """`cli:` and the login name."""
    line.out("teams", "create", "Acme", "--id", "acme", "--wallet")
    id = line.json("keys", "create", "--team", "acme", "--name", "ci")["id"]
    line.out("keys", "rotate", id)
    line.out("keys", "revoke", id)
    line.out("wallet", "topup", "acme", "5")
    entries = audit_of(ledger_url)
    assert {entry.by for entry in entries} == {f"cli:{getpass.getuser()}"}
    assert {"team.create", "wallet.open", "key.create", "key.rotate", "key.revoke", "wallet.topup"} <= {
        entry.action for entry in entries
    }


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("teams", "show", "nobody"), "no team 'nobody'"),
        (("teams", "set", "nobody", "--name", "x"), "no team 'nobody'"),
        (("teams", "create", "x", "--id", "bad id"), "'id' must be"),
        (("teams", "create", "x", "--plan", "nope"), "no plan 'nope'"),
        (("teams", "create", "x\ny"), "control character"),
        (("keys", "show", "nothing"), "no key 'nothing'"),
        (("keys", "revoke", "nothing"), "no key 'nothing'"),
        (("keys", "rotate", "nothing"), "no key 'nothing'"),
        (("keys", "list", "--team", "nobody"), "no team 'nobody'"),
        (("keys", "create", "--team", "nobody", "--name", "x"), "no team 'nobody'"),
        (("keys", "create", "--team", "acme", "--name", "x", "--scope", "chats"), "'chats'"),
        (("keys", "create", "--team", "acme", "--name", "x", "--scope", "admin", "--scope", "chat"), "admin"),
        (("keys", "create", "--team", "acme", "--name", "x", "--expires", "2020-01-01"), "past"),
        (("keys", "create", "--team", "acme", "--name", "x", "--budget", "-1"), "negative"),
        (("plans", "set", "a b"), "'id' must be"),
        (("plans", "set", "x", "--requests", "9999999999"), "1,000,000,000"),
    ],
)
def test_what_cannot_be_is_one_line(line: Line, args: tuple[str, ...], words: str) -> None:
    """On stderr, with status 1, saying what is wrong; and nothing was stored."""
    line.out("teams", "create", "Acme", "--id", "acme")
    assert words in line.refused(*args)
    assert line.json("keys", "list")["data"] == []
    assert len(line.json("teams", "list")["data"]) == 1


def test_the_key_that_is_printed_is_the_one_that_is_stored(line: Line, ledger_url: str) -> None:
    """Its hash proves it."""
    line.out("teams", "create", "Acme", "--id", "acme")
    text = line.out("keys", "create", "--team", "acme", "--name", "ci").strip()
    (stored,) = keys_of(ledger_url)
    assert Hasher().matches(stored.hash, text)
