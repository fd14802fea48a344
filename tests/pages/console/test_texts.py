"""Whatever people wrote is text on every page, every link leads somewhere within the mount, and no page holds a secret."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from compatgw.pages import words
from compatgw.pages.console import forms, keys, login
from compatgw.pages.console.desk import ITEMS
from compatgw.policy.access import SCOPES
from compatgw.state.base import Key, ProviderSecret
from tests.pages.console.operating import ADMIN, PLAIN, RING, Closed, Console, Forms
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page

SECRET = "sk-proj-of-acme-0123456789"


def assert_harmless(text: str, attack: str) -> None:
    """The page has no element, attribute or address that it would not have without the attack."""
    page = Page(text)
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {tag for tag, _ in page.elements}.isdisjoint({"img", "iframe", "object", "embed", "base", "b", "i"})
    assert all(attributes.get("src", "").startswith("/assets/") for tag, attributes in page.elements if tag == "script")
    assert all(
        not value.lower().startswith("javascript:") for name in ("href", "action", "src") for value in page.values(name)
    )
    if attack != escape(attack):
        assert attack not in text


async def furnished(console: Console, words: str) -> list[str]:
    """Puts `words` into everything that people write, and gives the pages that show it."""
    office = console.office
    await office.add_team("acme", words, models=(words, "*"), wallet=True, metadata={words: words}, by=words)
    await office.topup("acme", Decimal(7), note=words, by=words)
    key, _ = await office.mint_key("acme", words, models=(words,), metadata={words: words}, by=words)
    await office.put_provider_key("acme", "openai", SECRET, by=words)
    await office.prompts.add("greet", text=words, labels=("production",), by=words)
    await office.prompts.add("greet", text=f"{words}\n{words}", by=words)
    return [
        "/console/keys", f"/console/keys/{key.id}", f"/console/keys/{key.id}/rotate", f"/console/keys/{key.id}/revoke",
        "/console/teams", "/console/teams/acme", "/console/teams/acme/provider-keys/openai/remove", "/console/plans",
        "/console/prompts", "/console/prompts/greet", "/console/prompts/greet/remove", "/console/prompts/greet/2/remove",
    ]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
async def test_whatever_people_wrote_is_text(open_console: Callable[..., Console], attack: str) -> None:
    """Names, notes, metadata, globs, prompts, plans, operators, the gateway: no page takes a word of it for its own."""
    console = open_console(
        name=attack,
        keys=[{"key": ADMIN, "name": attack, "scopes": ["admin"]}],
        plans={attack: {"requests": 1}},
        # A name that is not printable is none.
        prompts={attack: {"text": attack}} if attack.isprintable() else {},
        docs={"support": attack},
    )
    await console.login()
    for path in await furnished(console, attack):
        answer = await console.get(path)
        assert answer.status_code == 200, path
        assert_harmless(answer.text, attack)
        assert attack in Page(answer.text).text
        assert len(answer.content) < 100_000


@pytest.mark.parametrize("attack", ATTACKS)
async def test_whatever_is_sent_is_text(console: Console, attack: str) -> None:
    """Forms that are refused, queries, ids and headers: what comes back of them is text."""
    await console.office.add_team("acme", "Acme", wallet=True, by="test")
    sent: list[tuple[str, str, dict[str, Any]]] = [
        (
            "/console/keys",
            "mint",
            {"name": attack + "\x01", "models": attack, "requests": attack, "budget": attack, "expires": attack},
        ),
        ("/console/keys", "mint", {"name": attack, "plan": attack, "team": attack, "scopes": [attack]}),
        ("/console/teams", "team", {"id": attack, "name": attack, "models": attack, "plan": attack}),
        ("/console/teams/acme", "topup", {"amount": attack, "note": attack, "once": attack}),
        ("/console/teams/acme", "own", {"provider": attack, "secret": attack}),
        ("/console/plans", "plan", {"id": attack, "requests": attack}),
        ("/console/prompts", "prompt", {"name": attack, "content": [attack, attack], "labels": attack}),
    ]
    for path, id, values in sent:
        answer = await console.send(path, id, values)
        assert answer.status_code in (400, 404), (path, answer.status_code)
        assert_harmless(answer.text, attack)
    for path in ("keys", "teams", "plans", "prompts", "keys/" + attack, "teams/" + attack, attack):
        query = dict.fromkeys(("team", "name", "edit", "version", "cursor", "why", "next", "done", attack), attack)
        header = attack.encode("ascii", "ignore").decode()
        answer = await console.get(f"/console/{path}", params=query, headers={"x-request-id": header, "host": header})
        assert answer.status_code in (200, 400, 404), path
        assert_harmless(answer.text, attack)
    console.http.cookies.clear()
    answer = await console.get("/console/login", params={"next": attack, "why": attack, "lang": attack})
    assert_harmless(answer.text, attack)


# --- links -----------------------------------------------------------------------------------------


async def crawled(console: Console, start: str) -> dict[str, str]:
    """Every page of the console that links lead to from `start`, by its address."""
    found: dict[str, str] = {}
    ahead = [start]
    # A page with other values of the same query leads nowhere else.
    known = {(start, frozenset[str]())}
    while ahead:
        path = ahead.pop()
        answer = await console.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        found[path] = answer.text
        Closed(answer.text)
        page = Page(answer.text)
        for address in (*page.values("href"), *[form.action for form in Forms(answer.text).found]):
            assert address.startswith((f"{console.root}/", "#", "?")), (path, address)
        for address in page.values("href"):
            goal = address.removeprefix(console.root).partition("#")[0]
            kind = (goal.partition("?")[0], frozenset(parse_qs(goal.partition("?")[2])))
            # Nor does the same page in another language or other colours.
            if goal.startswith("/console") and kind not in known and kind[1].isdisjoint({"lang", "theme"}):
                known.add(kind)
                ahead.append(goal)
    return found


@pytest.mark.parametrize("root", ["", "/x/y"])
async def test_every_link_leads_to_a_page_of_this_mount(open_console: Callable[..., Console], root: str) -> None:
    """From the list of keys one comes to every page of the console; all of them are there, each anchor has its goal."""
    console = open_console(root=root)
    await console.login()
    wanted = await furnished(console, "words")
    pages = await crawled(console, "/console/keys")
    assert set(wanted) <= set(pages)
    assert {path for path, _ in ITEMS} <= set(pages)
    for path, text in pages.items():
        page = Page(text)
        assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(page.values("id")), path
        ids = page.values("id")
        assert len(ids) == len(set(ids)), path
        for name in ("for", "aria-labelledby", "aria-describedby"):
            for value in page.values(name):
                assert set(value.split()) <= set(ids), (path, name, value)


async def test_no_page_holds_a_secret(console: Console) -> None:
    """Not the operator's key, not a minted one, no provider's key, no hash, no ring, and no session."""
    await furnished(console, "words")
    _, page = await console.done("/console/keys", "mint", {"team": "acme", "name": "n"})
    minted = next(piece for piece in page.pieces if piece.startswith("cgw-"))
    stored = (await console.ledger.page(Key)).items
    sealed = (await console.ledger.page(ProviderSecret)).items
    secrets = [
        ADMIN, PLAIN, SECRET, minted, RING, RING.removeprefix("k1:"), console.http.cookies["cgw_console"],
        *[key.hash for key in stored], *[secret.sealed.hex() for secret in sealed],
    ]  # fmt: skip
    for path, text in (await crawled(console, "/console/keys")).items():
        for secret in secrets:
            assert secret not in text, path


async def test_tables_can_be_reached_by_keys(console: Console) -> None:
    """What may be wider than a phone can be moved with the keyboard, and has a name."""
    for path in await furnished(console, "words"):
        page = await console.page(path)
        for tag, attributes in page.elements:
            if tag == "div" and "scroll" in attributes.get("class", ""):
                assert attributes["tabindex"] == "0"
                assert attributes.get("aria-label") or attributes.get("aria-labelledby")


# --- texts -----------------------------------------------------------------------------------------


def test_what_is_put_together_is_there() -> None:
    """Texts that are found by the name of something are there for each of these things."""
    known = words.texts(words.FIRST)
    wanted = {label for _, label in ITEMS}
    wanted |= {f"console.scope-{'all' if scope == '*' else scope}" for scope in SCOPES}
    wanted |= {f"console.grace-{span}" for span in keys.GRACES}
    wanted |= {f"console.why-{why}" for why in login.WHY}
    wanted |= {f"console.entry-{kind}" for kind in ("topup", "correction", "charge")}
    wanted |= {f"console.from-{source}" for source in ("ledger", "configuration", "built-in")}
    wanted |= {f"console.key-{standing}" for standing in ("active", "expired", "revoked")}
    wanted |= {f"console.period-{period}" for period in ("total", "month", "day")}
    assert wanted <= set(known)
    assert set(keys.KINDS) == SCOPES


def test_notices_are_there() -> None:
    """Everything that a page says after something was done has its text, and none is left over."""
    source = "\n".join(path.read_text() for path in Path(forms.__file__).parent.glob("*.py"))
    known = {key.removeprefix("console.done-") for key in words.texts(words.FIRST) if key.startswith("console.done-")}
    asked = {name for name in re.findall(r'"([a-z-]+)"', source) if name in known}
    assert asked == known
