"""The pages of teams: who pays, with what money, and their own keys at providers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from compatgw.state.base import AuditEntry, Entry, ProviderSecret, Team
from tests.pages.console.operating import Console, form_in, notices, wrong_fields
from tests.pages.visiting import Page

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
async def acme(console: Console) -> Console:
    """A console with a team that has a wallet."""
    await console.office.add_team("acme", "Acme", wallet=True, by="test")
    return console


async def balance(console: Console) -> str:
    """What the team has."""
    wallet = await console.ledger.wallet("acme")
    assert wallet is not None
    return str(wallet.balance.normalize())


async def test_a_team_is_added(console: Console) -> None:
    """With an id of its own or one that is made, with a wallet or without."""
    assert "No teams yet" in (await console.page("/console/teams")).text
    path, page = await console.done(
        "/console/teams",
        "team",
        {
            "id": "acme",
            "name": "Acme & sons",
            "plan": "house",
            "models": "openai/*",
            "wallet": "yes",
            "byok_fallback": "yes",
        },
    )
    assert path == "/console/teams/acme"
    assert "The team Acme & sons is there." in page.text
    team = await console.ledger.find(Team, "acme")
    assert team is not None
    assert (team.name, team.plan, team.models, team.byok_fallback, team.active) == (
        "Acme & sons", "house", ("openai/*",), True, True,
    )  # fmt: skip
    assert await console.ledger.wallet("acme") is not None
    path, _ = await console.done("/console/teams", "team", {"name": "Another"})
    assert path.startswith("/console/teams/team-")
    assert await console.ledger.wallet(path.rpartition("/")[2]) is None
    page = await console.page("/console/teams")
    assert "Acme & sons" in page.text
    assert "no wallet" in page.text


@pytest.mark.parametrize(
    ("values", "status", "field"),
    [
        ({"id": "a b", "name": "n"}, 400, "id"),
        ({"name": ""}, 400, "name"),
        ({"name": "n", "plan": "none"}, 400, "plan"),
        ({"name": "n", "models": "a\x01"}, 400, "models"),
        ({"id": "acme", "name": "n"}, 409, None),
    ],
)
async def test_what_is_wrong_is_said(acme: Console, values: dict[str, Any], status: int, field: str | None) -> None:
    """Next to its field, or above the form where no field is at fault."""
    found, page = await acme.refused("/console/teams", "team", values)
    assert found == status
    assert wrong_fields(page) == ([field] if field else [])
    if field is None:
        assert "There is one of that id already" in page.text
        assert "bad" in notices(page)


async def test_a_team_is_changed(acme: Console) -> None:
    """The form sends back what the team has, and changes what is changed; one of another version does not."""
    before = await acme.ledger.find(Team, "acme")
    stale = await acme.form("/console/teams/acme", "change")
    await acme.done("/console/teams/acme", "change")
    assert await acme.ledger.find(Team, "acme") == before
    await acme.done("/console/teams/acme", "change", {"name": "New", "active": None, "plan": "starter"})
    team = await acme.ledger.find(Team, "acme")
    assert team is not None
    assert (team.name, team.active, team.plan) == ("New", False, "starter")
    assert "switched off" in (await acme.page("/console/teams/acme")).text
    refused = await acme.post(stale, {"name": "Old"})
    assert refused.status_code == 412
    assert ("name", "Old") in form_in(refused, "change").fields


async def test_money_is_put_in_and_taken_out(acme: Console) -> None:
    """A top-up and a correction are in the wallet, in the list of movements, and in the audit log, each with who and why."""
    _, page = await acme.done("/console/teams/acme", "topup", {"amount": "1250.50", "note": "Invoice 7"})
    assert "1,250.50 USD moved; the balance is 1,250.50." in page.text
    _, page = await acme.done("/console/teams/acme", "correction", {"amount": "-0.000001", "note": "Too much"})
    assert await balance(acme) == "1250.499999"
    for words in ("1,250.499999", "+1,250.50", "-0.000001", "Invoice 7", "Too much"):
        assert words in page.text
    entries = (await acme.ledger.page(AuditEntry, where={"kind": "wallet"})).items
    assert [(each.action, each.by) for each in entries[:2]] == [("wallet.correction", "ops"), ("wallet.topup", "ops")]
    await acme.get("/console/teams/acme?lang=vi")
    assert "1.250,499999" in (await acme.page("/console/teams/acme")).text


async def test_a_form_that_is_sent_twice_moves_money_once(acme: Console) -> None:
    """Two presses are one top-up, and the second says so; the same form with another amount is refused."""
    form = await acme.form("/console/teams/acme", "topup")
    for words in ("10.00 USD moved", "done already, once"):
        answer = await acme.post(form, {"amount": "10"})
        assert words in (await acme.page(answer.headers["location"])).text
    assert await balance(acme) == "1E+1"
    answer = await acme.post(form, {"amount": "20"})
    assert answer.status_code == 409
    assert "sent before with another amount" in Page(answer.text).text
    assert await balance(acme) == "1E+1"
    await acme.done("/console/teams/acme", "topup", {"amount": "10"})
    assert await balance(acme) == "2E+1"


@pytest.mark.parametrize(
    ("form", "amount", "status"),
    [
        ("topup", "", 400),
        ("topup", "0", 400),
        ("topup", "-5", 400),
        ("topup", "1,5", 400),
        ("topup", "1e3", 400),
        ("topup", "0.0000000001", 400),
        ("topup", "99999999999999", 400),
        ("correction", "0", 400),
        ("correction", "x", 400),
    ],
)
async def test_amounts_that_are_none(acme: Console, form: str, amount: str, status: int) -> None:
    """Each is refused at its field, with the amount as it was typed, and the form open."""
    answer = await acme.send("/console/teams/acme", form, {"amount": amount, "note": "why"})
    assert answer.status_code == status
    assert wrong_fields(Page(answer.text)) == ["amount"]
    assert dict(form_in(answer, form).fields)["amount"] == amount
    other = form_in(answer, "correction" if form == "topup" else "topup")
    assert dict(other.fields)["amount"] == ""
    assert await balance(acme) == "0"


async def test_nobody_takes_what_is_not_there(acme: Console) -> None:
    """A correction beyond what is free is refused with what is missing; a note too long at its field."""
    await acme.office.topup("acme", Decimal(5), by="test")
    status, page = await acme.refused("/console/teams/acme", "correction", {"amount": "-7.5"})
    assert status == 402
    assert "The wallet lacks 2.50:" in page.text
    status, page = await acme.refused("/console/teams/acme", "topup", {"amount": "1", "note": "x" * 1001})
    assert (status, wrong_fields(page)) == (400, ["note"])
    assert await balance(acme) == "5"


async def test_a_wallet_is_opened_once(console: Console) -> None:
    """A team without one gets one, empty; a second is refused in words."""
    await console.office.add_team("acme", "Acme", by="test")
    form = await console.form("/console/teams/acme", "wallet")
    answer = await console.post(form)
    assert "The wallet is open" in (await console.page(answer.headers["location"])).text
    again = await console.post(form)
    assert again.status_code == 409
    assert "The team has a wallet already." in Page(again.text).text
    assert await balance(console) == "0"


async def test_movements_go_on_over_pages(acme: Console) -> None:
    """Twenty of them, and a link to the older ones."""
    for number in range(25):
        await acme.office.topup("acme", Decimal(number + 1), note=f"note {number:02}", by="test")
    page = await acme.page("/console/teams/acme")
    assert [piece for piece in page.pieces if piece.startswith("note ")] == [f"note {n:02}" for n in range(24, 4, -1)]
    (older,) = [href for href in page.values("href") if "cursor=" in href]
    page = await acme.page(older)
    assert [piece for piece in page.pieces if piece.startswith("note ")] == [f"note {n:02}" for n in range(4, -1, -1)]
    assert len((await acme.ledger.page(Entry, where={"team": "acme"})).items) == 25


# --- own provider keys ---------------------------------------------------------------------------

SECRET = "sk-proj-of-acme-0123456789"


async def test_a_provider_key_is_put_in_and_never_seen(acme: Console) -> None:
    """It is sealed, shown by its last four characters, replaced, and removed after a question; no page shows it."""
    _, page = await acme.done("/console/teams/acme", "own", {"provider": "openai", "secret": f"  {SECRET}\n"})
    assert "The key at openai is stored." in page.text
    assert "…6789" in page.text
    for path in ("/console/teams/acme", "/console/teams", "/console/teams/acme/provider-keys/openai/remove"):
        assert SECRET not in (await acme.get(path)).text
    await acme.done("/console/teams/acme", "own", {"provider": "openai", "secret": "another-key-at-openai-XYZW"})
    (stored,) = (await acme.ledger.page(ProviderSecret)).items
    assert stored.last4 == "XYZW"
    question = "/console/teams/acme/provider-keys/openai/remove"
    assert "Remove the key at openai?" in (await acme.page(question)).text
    path, page = await acme.done(question, "remove")
    assert path == "/console/teams/acme"
    assert not (await acme.ledger.page(ProviderSecret)).items
    assert (await acme.get(question)).status_code == 404


async def test_a_secret_is_not_sent_back(acme: Console) -> None:
    """A form that is refused keeps every value but the secret."""
    answer = await acme.send("/console/teams/acme", "own", {"provider": "nobody", "secret": SECRET})
    assert answer.status_code == 400
    assert wrong_fields(Page(answer.text)) == ["provider"]
    assert SECRET not in answer.text
    answer = await acme.send("/console/teams/acme", "own", {"secret": "two\nlines-" + SECRET})
    assert wrong_fields(Page(answer.text)) == ["secret"]
    assert SECRET not in answer.text


async def test_without_a_ring_the_page_says_what_to_set(
    open_console: Callable[..., Console], empty_ledger: Callable[[str], str]
) -> None:
    """No form stands there that could not work."""
    console = open_console(state={"ledger": empty_ledger("sqlite")})
    await console.login()
    await console.office.add_team("acme", "Acme", by="test")
    page = await console.page("/console/teams/acme")
    assert "state.key_ring" in page.text
    assert "form-own" not in page.values("id")
    answer = await console.http.post(
        "/console/teams/acme/provider-keys",
        data={"csrf": page.values("data-csrf")[0], "provider": "openai", "secret": SECRET},
    )
    assert answer.status_code == 400
    assert "nothing to seal them with" in Page(answer.text).text
    token = {"csrf": page.values("data-csrf")[0]}
    answer = await console.http.post("/console/teams/acme/topup", data={**token, "amount": "5"})
    assert answer.status_code == 404
    assert "It is not there" in Page(answer.text).text


async def test_a_team_that_is_not_there_is_a_page(console: Console) -> None:
    """404, in words, for reading and for every form."""
    token = Page((await console.get("/console/keys")).text).values("data-csrf")[0]
    assert "It is not there" in (await console.page("/console/teams/nope", 404)).text
    for path in ("", "/wallet", "/topup", "/correct", "/provider-keys", "/provider-keys/openai/remove"):
        data = {"csrf": token, "name": "n", "amount": "1", "version": "1", "provider": "openai", "secret": SECRET}
        assert (await console.http.post(f"/console/teams/nope{path}", data=data)).status_code == 404, path
