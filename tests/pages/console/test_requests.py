"""The log of requests: every call by its filters, page by page, and all that is known of one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.pages.console.looking import HOUR, Looking, assert_harmless, called, some
from tests.pages.console.operating import ADMIN, Console, wrong_fields
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page
from tests.state.making import NOW, money, used


async def shown(console: Console, **query: str) -> str:
    """The ids of the calls that a page shows, put together."""
    page = await console.page(f"/console/requests?{urlencode(query)}")
    links = [href.rpartition("/")[2] for href in page.values("href") if href.startswith("/console/requests/")]
    return "".join(links)


async def test_calls_are_narrowed_as_the_api_narrows_them(console_of_each: Console) -> None:
    """On each back end: by every filter alone and by several, by outcome, and by time."""
    console = console_of_each
    await called(console, *some())
    assert await shown(console) == "fedcba"
    for query in (
        {"model": "claude"}, {"provider": "anthropic"}, {"team": "acme"}, {"key": "k1"}, {"endpoint": "chat"},
        {"code": "upstream_error"}, {"request": "req-b"}, {"model": "claude", "code": "rate_limit_exceeded"},
    ):  # fmt: skip
        answer = await console.http.get("/api/admin/usage", params=query, headers={"authorization": f"Bearer {ADMIN}"})
        expected = "".join(row["id"] for row in answer.json()["data"])
        assert expected
        assert await shown(console, **query) == expected, query
    assert await shown(console, outcome="failed") == "dc"
    assert await shown(console, outcome="answered") == "feba"
    assert await shown(console, span="24h") == "edcba"
    assert await shown(console, span="7d", outcome="answered", model="old") == "f"
    assert await shown(console, model="nobody's") == ""


async def test_pages_hold_while_calls_come_in(console: Console) -> None:
    """120 calls, each once, the newest first; a filter goes along, and a way back is there."""
    await called(console, *[used(f"u{n:03}", model="m") for n in range(120)], used("other", model="x"))
    found: list[str] = []
    path = "/console/requests?model=m"
    while path:
        page = await console.page(path)
        found += [href.rpartition("/")[2] for href in page.values("href") if href.startswith("/console/requests/")]
        await called(console, used(f"late{len(found)}", model="m"))
        older = [attributes["href"] for tag, attributes in page.elements if attributes.get("rel") == "next"]
        assert ("/console/requests?model=m" in page.values("href")) == (path != "/console/requests?model=m")
        path = older[0] if older else ""
    assert found == [f"u{n:03}" for n in reversed(range(120))]


async def test_the_form_keeps_what_was_asked(console: Console) -> None:
    """Fields show the filters; one that cannot be is said next to its field, and nothing is shown."""
    await called(console, *some())
    page = await console.page("/console/requests?model=claude&outcome=failed&span=7d")
    chosen = [attributes["value"] for tag, attributes in page.elements if tag == "option" and "selected" in attributes]
    assert chosen == ["7d", "failed"]
    assert "claude" in page.values("value")
    wrong = await console.page(f"/console/requests?team={'x' * 300}", status=400)
    assert wrong_fields(wrong) == ["team"]
    assert "x" * 300 in wrong.values("value")
    assert not Looking((await console.get(f"/console/requests?team={'x' * 300}")).text).tables


@pytest.mark.parametrize("query", ["cursor=x", "cursor=99999999999999999999999", "outcome=odd&span=odd&cursor=-1"])
async def test_what_leads_nowhere_is_refused(console: Console, query: str) -> None:
    """A cursor that came with no page is said to be none."""
    page = await console.page(f"/console/requests?{query}", status=400)
    assert "cursor" in page.text


async def test_nothing_yet(console: Console) -> None:
    """No calls at all and none that are like that are told apart."""
    page = await console.page("/console/requests")
    assert "No calls yet" in page.text
    assert {"/console/keys", "/console/playground"} <= set(page.values("href"))
    page = await console.page("/console/requests?model=x")
    assert "No call is like that" in page.text


async def test_all_that_is_known_of_one(console: Console) -> None:
    """Every member of the API's document, its team and key by name, and no text of it."""
    await console.office.add_team("acme", "Acme & Sons", by="test")
    key, _ = await console.office.mint_key("acme", "Nightly", by="test")
    row = used(
        "call_1", at=NOW - HOUR, request="req_1", team="acme", key=key.id, model="fast", provider="anthropic",
        target="claude-haiku-4-5", endpoint="responses", input=1200, cached=200, cache_write=100, output=340,
        reasoning=40, images=2, cost=money("0.0125"), charge=money("0.02"), estimated=True, stream=True, byok=True,
        cached_answer=True, latency=2.5, first_token=0.5, guardrails="pii:redact,mine:pass",
    )  # fmt: skip
    await called(console, row)
    page = await console.page("/console/requests/call_1")
    for words in (
        "req_1", "fast", "anthropic", "claude-haiku-4-5", "responses", "Acme & Sons", "Nightly", "1,200", "200", "100",
        "340", "40", "0.0125", "0.02", "2.5 s", "500 ms", "170 tokens a second", "this gateway: the provider did not say",
        "Guardrail pii", "redact", "Guardrail mine", "is not kept",
    ):  # fmt: skip
        assert words in page.text, words
    document = (await console.http.get("/api/admin/usage/call_1", headers={"authorization": f"Bearer {ADMIN}"})).json()
    for member, value in document.items():
        assert f'"{member}": ' in page.text
        assert str(value) in page.text or value in (True, False, None)
    assert {"/console/teams/acme", f"/console/keys/{key.id}", "/console/requests?model=fast"} <= set(
        page.values("href")
    )
    assert "/console/playground?model=fast" not in page.values("href")


async def test_one_that_failed(console: Console) -> None:
    """What nobody knows is said to be unknown."""
    await called(console, used("bad", status=404, code="model_not_found", cost=None, provider="", key="gone", team=""))
    page = await console.page("/console/requests/bad")
    for words in ("404", "model_not_found", "not known", "gone"):
        assert words in page.text
    assert "/console/playground?model=gpt-4o" in page.values("href")
    missing = await console.page("/console/requests/none", status=404)
    assert "It is not there, or not any more." in missing.text


async def test_without_a_ledger(open_console: Any) -> None:
    """The page says so."""
    console = open_console(ledger=False)
    await console.login()
    assert "ledger" in (await console.page("/console/requests")).text


@pytest.mark.parametrize("attack", ATTACKS)
async def test_whatever_callers_send_is_text(console: Console, attack: str) -> None:
    """In rows, in fields, on a call's own page."""
    names = dict.fromkeys(
        ("model", "provider", "target", "endpoint", "team", "key", "code", "guardrails", "request"), attack
    )
    await called(console, used("x", status=400, **names))
    for path in (
        "/console/requests",
        f"/console/requests?{urlencode({'model': attack, 'code': attack})}",
        "/console/requests/x",
    ):
        answer = await console.get(path)
        assert answer.status_code == 200
        assert_harmless(answer.text)
        assert attack in Page(answer.text).text


async def test_fifty_rows_are_a_small_page(console: Console) -> None:
    """With names as long as they are kept, too, it stays below 100 KB for what people call things."""
    rows = [
        used(f"call_{n:024x}", model="provider/a-rather-long-name-of-a-model-2026-11-18", target="another-rather-long-name",
             team="team_1234567890abcdef", key="key_1234567890abcdef", code="upstream_rate_limited", status=429, stream=True)
        for n in range(60)
    ]  # fmt: skip
    await called(console, *rows)
    for language in ("en", "vi"):
        assert len((await console.get(f"/console/requests?lang={language}")).content) < 100_000
