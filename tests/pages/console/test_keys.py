"""The pages of keys: made and shown once, changed, rotated, revoked, and found again."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from compatgw.state.base import AuditEntry, Key
from tests.pages.console.operating import Console, Form, form_in, notices, wrong_fields
from tests.pages.visiting import Page


@pytest.fixture
async def acme(console: Console) -> Console:
    """A console with a team."""
    await console.office.add_team("acme", "Acme", by="test")
    return console


def secret_in(page: Page) -> str:
    """The text of a key that a page shows."""
    at = page.elements.index(("code", {"id": "secret", "class": "secret"}))
    assert at
    found: list[str] = [piece for piece in page.pieces if piece.startswith("cgw-")]
    return found[0]


async def test_a_key_is_made_shown_once_and_calls(acme: Console) -> None:
    """The page after shows the key, which calls at once; no page shows it again, and the log says who made it."""
    path, page = await acme.done("/console/keys", "mint", {"team": "acme", "name": "Web"})
    text = secret_in(page)
    assert notices(page) == ["good"]
    called = await acme.http.get("/v1/models", headers={"authorization": f"Bearer {text}"})
    assert called.status_code == 200
    for again in (path, f"{path}?done=1", "/console/keys", "/console/teams/acme"):
        answer = await acme.get(again)
        assert answer.status_code == 200
        assert text not in answer.text
        assert not notices(Page(answer.text))
    (entry,) = (await acme.ledger.page(AuditEntry, where={"action": "key.create"})).items
    assert entry.by == "ops"
    assert text not in f"{entry.before}{entry.after}"


async def test_a_key_has_what_the_form_says(acme: Console) -> None:
    """Every field of the form is in the key, whatever the digits are grouped with."""
    await acme.office.put_plan("gold", requests=5, by="test")
    await acme.done(
        "/console/keys",
        "mint",
        {
            "team": "acme",
            "name": "  Nightly  jobs ",
            "scopes": ["chat", "embeddings"],
            "models": "openai/*\n\nanthropic/claude-*, x",
            "plan": "gold",
            "requests": "1,200",
            "tokens": "2 000 000",
            "concurrency": "0",
            "budget": "12.50",
            "period": "month",
            "expires": "2030-01-31",
        },
    )
    (key,) = (await acme.ledger.page(Key)).items
    assert (key.name, key.scopes) == ("Nightly  jobs", ("chat", "embeddings"))
    assert key.models == ("openai/*", "anthropic/claude-*", "x")
    assert (key.plan, key.requests, key.tokens, key.concurrency) == ("gold", 1200, 2_000_000, 0)
    assert (key.budget, key.period) == (Decimal("12.5"), "month")
    assert key.expires == datetime(2030, 1, 31, tzinfo=UTC).timestamp()


async def test_a_key_of_a_bare_form_may_do_what_its_team_may(acme: Console) -> None:
    """Name and team are enough."""
    await acme.done("/console/keys", "mint", {"name": "n"})
    (key,) = (await acme.ledger.page(Key)).items
    assert (key.team, key.scopes, key.models) == ("acme", ("*",), ("*",))
    assert (key.plan, key.requests, key.budget, key.expires) == (None, None, None, None)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": "a\x07b"}, "name"),
    ({"team": "nobody"}, "team"),
    ({"scopes": None}, "scopes"),
    ({"scopes": ["admin", "chat"]}, "scopes"),
    ({"scopes": ["none"]}, "scopes"),
    ({"models": "x" * 201}, "models"),
    ({"plan": "none"}, "plan"),
    ({"requests": "many"}, "requests"),
    ({"tokens": "-1"}, "tokens"),
    ({"concurrency": "9999999999"}, "concurrency"),
    ({"budget": "1,5"}, "budget"),
    ({"budget": "-1"}, "budget"),
    ({"expires": "2001-01-01"}, "expires"),
    ({"expires": "tomorrow"}, "expires"),
]


@pytest.mark.parametrize(("values", "field"), WRONG)
async def test_what_is_wrong_is_said_next_to_its_field(acme: Console, values: dict[str, Any], field: str) -> None:
    """400, the form is open, every value is as it was sent, the field is marked, and nothing was made."""
    sent = {
        "name": "Kept <name>",
        "models": "openai/*",
        "scopes": ["chat"],
        "budget": "3.25",
        "period": "day",
        **values,
    }
    answer = await acme.send("/console/keys", "mint", sent)
    assert answer.status_code == 400
    page = Page(answer.text)
    if field != "scopes":
        assert wrong_fields(page) == [field]
    assert f"mint-{field}-wrong" in page.values("id")
    assert "open" in next(attributes for tag, attributes in page.elements if attributes.get("id") == "mint")
    form = form_in(answer, "mint")
    for name, value in sent.items():
        wanted = [] if value is None else value if isinstance(value, list) else [value]
        # What no box or list offers cannot be chosen again.
        if (name, value) in (("scopes", ["none"]), ("plan", "none"), ("team", "nobody")):
            continue
        assert sorted(each for found, each in form.fields if found == name) == sorted(wanted), name
    assert not (await acme.ledger.page(Key)).items


async def test_what_is_wrong_is_said_in_the_visitors_language(acme: Console) -> None:
    """Vietnamese pages say it in Vietnamese, and their title says that nothing was saved."""
    await acme.get("/console/keys?lang=vi")
    status, page = await acme.refused("/console/keys", "mint", {"name": ""})
    assert status == 400
    assert "Hãy nhập tên từ 1 đến 200 ký tự" in page.text
    assert "Chưa lưu: Khóa" in page.text


async def test_the_first_steps_are_said(console: Console) -> None:
    """Without a team the page leads to making one; without a key the form is open at once."""
    page = await console.page("/console/keys")
    assert "First a team" in page.text
    assert "/console/teams#team" in page.values("href")
    await console.office.add_team("acme", "Acme", by="test")
    page = await console.page("/console/keys")
    assert "No keys yet" in page.text
    assert "open" in next(attributes for _, attributes in page.elements if attributes.get("id") == "mint")


async def test_keys_are_listed_and_found(acme: Console) -> None:
    """The newest first, without revoked ones unless asked, of one team or name, page by page."""
    await acme.office.add_team("labs", "Labs", by="test")
    keys = [(await acme.office.mint_key("acme" if n % 2 else "labs", f"key {n:02}", by="test"))[0] for n in range(70)]
    await acme.office.revoke_key(keys[69].id, by="test")

    def names(page: Page) -> list[str]:
        return [piece for piece in page.pieces if piece.startswith("key ")]

    first = await acme.page("/console/keys")
    assert names(first) == [f"key {n:02}" for n in range(68, 19, -1)]
    (older,) = [href for href in first.values("href") if "cursor=" in href]
    assert names(await acme.page(older)) == [f"key {n:02}" for n in range(19, -1, -1)]
    assert names(await acme.page("/console/keys?all=1"))[0] == "key 69"
    assert names(await acme.page("/console/keys?team=acme"))[:2] == ["key 67", "key 65"]
    assert names(await acme.page("/console/keys?name=key+07")) == ["key 07"]
    assert "No such keys" in (await acme.page("/console/keys?team=nobody")).text
    for query in ("cursor=x", "cursor=-1", "team=" + "x" * 300):
        assert (await acme.get(f"/console/keys?{query}")).status_code == 400
    assert (await acme.get("/console/keys?team=%00")).status_code == 400


async def test_very_many_revoked_keys_hide_nothing(acme: Console) -> None:
    """A key that is good is on the first page, however many were revoked after it."""
    await acme.office.mint_key("acme", "key of old", by="test")
    for n in range(120):
        key, _ = await acme.office.mint_key("acme", f"gone {n}", by="test")
        await acme.office.revoke_key(key.id, by="test")
    page = await acme.page("/console/keys")
    assert "key of old" in page.text
    assert "gone" not in page.text


async def test_a_key_is_changed(acme: Console) -> None:
    """The form holds what the key has, sends it back unchanged, and changes what is changed."""
    key, _ = await acme.office.mint_key(
        "acme", "n", scopes=("chat",), models=("openai/*", "x"), requests=9, budget=Decimal("1.5"), period="day",
        expires=1_900_000_123.5, metadata={"cost": "centre"}, by="test",
    )  # fmt: skip
    path = f"/console/keys/{key.id}"
    await acme.done(path, "key")
    same = await acme.ledger.find(Key, key.id)
    assert same == key
    _, page = await acme.done(path, "key", {"name": "m", "models": "", "requests": "", "expires": ""})
    assert "Saved." in page.text
    after = await acme.ledger.find(Key, key.id)
    assert after is not None
    assert (after.name, after.models, after.requests, after.expires) == ("m", ("*",), None, None)
    assert (after.scopes, after.budget, after.period, after.metadata) == (
        ("chat",),
        key.budget,
        "day",
        {"cost": "centre"},
    )


async def test_two_operators_do_not_undo_each_other(acme: Console) -> None:
    """Who saves a form of a key that was changed meanwhile is told so, keeps what was typed, and saves the next time."""
    key, _ = await acme.office.mint_key("acme", "n", by="test")
    path = f"/console/keys/{key.id}"
    form: Form = await acme.form(path, "key")
    await acme.office.change_key(key.id, {"requests": 5}, by="else")
    answer = await acme.post(form, {"name": "mine"})
    assert answer.status_code == 412
    assert "Somebody else changed it meanwhile" in Page(answer.text).text
    again = form_in(answer, "key")
    assert ("name", "mine") in again.fields
    assert (await acme.post(again)).status_code == 303


async def test_what_the_page_has_no_more_is_said_all_the_same(acme: Console) -> None:
    """A form of a key that was revoked, or of a team that is gone from sight, is refused in words, and shown no more."""
    key, _ = await acme.office.mint_key("acme", "n", by="test")
    form = await acme.form(f"/console/keys/{key.id}", "key")
    await acme.office.revoke_key(key.id, by="else")
    answer = await acme.post(form, {"name": "m"})
    assert answer.status_code == 412
    assert "Somebody else changed it meanwhile" in Page(answer.text).text
    assert "form-key" not in Page(answer.text).values("id")


async def test_a_key_is_rotated(acme: Console) -> None:
    """The page asks first; the new text is shown once, and the old one goes on for as long as was chosen."""
    key, old = await acme.office.mint_key("acme", "n", by="test")
    path, page = await acme.done(f"/console/keys/{key.id}/rotate", "rotate", {"grace": "3600"})
    new = secret_in(page)
    assert path == f"/console/keys/{key.id}"
    assert new != old
    for text, status in ((old, 200), (new, 200)):
        assert (await acme.http.get("/v1/models", headers={"authorization": f"Bearer {text}"})).status_code == status
    acme.clock.now += 3600
    await acme.login()
    for text, status in ((old, 401), (new, 200)):
        assert (await acme.http.get("/v1/models", headers={"authorization": f"Bearer {text}"})).status_code == status
    assert new not in (await acme.get(path)).text
    status, page = await acme.refused(f"/console/keys/{key.id}/rotate", "rotate", {"grace": "soon"})
    assert (status, wrong_fields(page)) == (400, ["grace"])


async def test_a_key_is_revoked(acme: Console) -> None:
    """Reading the question revokes nothing; its form does, at once, and the page offers neither again."""
    key, text = await acme.office.mint_key("acme", "n", by="test")
    path = f"/console/keys/{key.id}"
    question = await acme.page(f"{path}/revoke")
    assert "cannot be undone" in question.text
    assert (await acme.http.get("/v1/models", headers={"authorization": f"Bearer {text}"})).status_code == 200
    _, page = await acme.done(f"{path}/revoke", "revoke")
    assert "The key n is revoked." in page.text
    assert (await acme.http.get("/v1/models", headers={"authorization": f"Bearer {text}"})).status_code == 401
    assert not [href for href in page.values("href") if href.endswith(("/rotate", "/revoke"))]
    status, page = await acme.refused(f"{path}/rotate", "rotate")
    assert status == 409
    assert "The key is revoked. Make another." in page.text


async def test_what_a_key_spent_is_shown(acme: Console) -> None:
    """Its budget with what is spent and left of it."""
    key, _ = await acme.office.mint_key("acme", "n", budget=Decimal("1500"), by="test")
    page = await acme.page(f"/console/keys/{key.id}")
    assert "0.00 of 1,500.00 spent, 1,500.00 left" in page.text


async def test_a_key_that_is_not_there_is_a_page(console: Console) -> None:
    """404, in words."""
    for path in ("nope", "nope/rotate", "nope/revoke"):
        assert "It is not there" in (await console.page(f"/console/keys/{path}", 404)).text


async def test_on_each_back_end(console_of_each: Console) -> None:
    """The way from the first team to a key that is revoked, on SQLite and PostgreSQL."""
    console = console_of_each
    await console.done("/console/teams", "team", {"id": "acme", "name": "Acme", "wallet": "yes"})
    await console.done("/console/teams/acme", "topup", {"amount": "10"})
    path, page = await console.done("/console/keys", "mint", {"name": "n"})
    text = secret_in(page)
    assert (await console.http.get("/v1/key", headers={"authorization": f"Bearer {text}"})).json()["wallet"][
        "free"
    ] == "10.00"
    await console.done(f"{path}/revoke", "revoke")
    assert (await console.http.get("/v1/key", headers={"authorization": f"Bearer {text}"})).status_code == 401
