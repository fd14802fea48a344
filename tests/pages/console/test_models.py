"""Models and providers: their states as they are, and a test that is a real call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from compatgw.state.base import UsageRow
from compatgw_testing.fakes import FakeOpenAI
from tests.canned import Canned
from tests.pages.console.looking import Looking, assert_harmless
from tests.pages.console.operating import PLAIN, Console, Form, Forms
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page


async def button(console: Console, model: str, path: str = "/console/models") -> Form:
    """The form that tests a model."""
    forms = Forms((await console.get(path)).text).found
    return next(form for form in forms if form.action.endswith("/models/test") and ("model", model) in form.fields)


async def tried(console: Console, model: str, path: str = "/console/models") -> Page:
    """Presses it; gives the page that tells what came of it."""
    answer = await console.post(await button(console, model, path))
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].endswith("#tried")
    return await console.page(answer.headers["location"])


async def recorded(console: Console) -> UsageRow:
    """The one call that was written down, as soon as it is."""
    async with asyncio.timeout(10):
        while not (rows := (await console.ledger.page(UsageRow)).items):
            pass
    (row,) = rows
    return row


async def test_a_test_is_a_real_call(console: Console) -> None:
    """It reaches the provider, is told with its cost and target, and stands in the log in the operator's name."""
    page = await tried(console, "openai/gpt-4o-mini")
    row = await recorded(console)
    assert (row.key, row.team, row.model, row.target, row.status) == (
        "console:ops",
        "",
        "openai/gpt-4o-mini",
        "gpt-4o-mini",
        200,
    )
    assert row.cost is not None
    for words in ("openai/gpt-4o-mini answered", "200", row.request):
        assert words in page.text
    assert f"/console/requests?request={row.request}" in page.values("href")
    assert f"{row.cost:.6f}" in page.text
    again = await console.page("/console/models")
    assert "answered" not in again.text
    states = Looking((await console.get("/console/models")).text).tables
    assert states[1].rows[0][:2] == ["openai/gpt-4o-mini", "Up"]


async def test_what_embeds_is_tested_by_embedding(console: Console) -> None:
    """A model that does not chat is asked for what it does; one that paints is not asked at all."""
    page = await tried(console, "openai/text-embedding-3-small", "/console/models?q=embedding")
    assert "answered" in page.text
    assert (await recorded(console)).endpoint == "embeddings"
    pictures = Forms((await console.get("/console/models?q=gpt-image-1")).text).found
    assert not [form for form in pictures if ("model", "openai/gpt-image-1") in form.fields]
    form = await button(console, "openai/gpt-4o-mini")
    answer = await console.post(form, {"model": "openai/gpt-image-1"})
    assert answer.status_code == 400


async def test_a_test_that_fails_says_why(open_console: Callable[..., Console]) -> None:
    """Status, code and message; without a second try, and the state of the model follows."""
    broken = Canned(status=500, body=b'{"error": {"message": "out of order"}}')
    console = open_console(providers={"openai": {"app": broken, "api_key": "of-the-platform"}})
    await console.login()
    page = await tried(console, "openai/gpt-4o-mini")
    assert "openai/gpt-4o-mini did not answer" in page.text
    assert "502" in page.text
    assert "upstream_error" in page.text
    assert len(broken.asked) == 1
    assert "of-the-platform" not in page.text
    for _ in range(4):
        await tried(console, "openai/gpt-4o-mini")
    assert len(broken.asked) == 5
    page = await tried(console, "openai/gpt-4o-mini")
    assert "circuit_open" in page.text
    assert len(broken.asked) == 5
    providers, deployments, _ = Looking((await console.get("/console/models")).text).tables
    assert "Left alone" in providers.rows[0][1]
    assert deployments.rows[0][2].startswith("open: no calls")
    assert "again in " in deployments.rows[0][2]
    overview = await console.page("/console")
    assert "In trouble: openai" in overview.text


@pytest.mark.parametrize("model", ["no/such", "", "openai/" + "x" * 3000])
async def test_a_test_of_nothing_is_an_outcome_too(console: Console, model: str) -> None:
    """Whatever is sent is told on the page."""
    form = await button(console, "openai/gpt-4o-mini")
    answer = await console.post(form, {"model": model})
    assert answer.status_code == 303
    page = await console.page(answer.headers["location"])
    assert "did not answer" in page.text or "answered" in page.text


async def test_providers_are_shown_as_they_are(open_console: Callable[..., Console]) -> None:
    """Where each is, how many keys and models it has; never a key, nor what stands before the @ of an address."""
    fake = FakeOpenAI()
    console = open_console(
        providers={
            "openai": {"app": fake, "api_key": fake.api_key},
            "groq": {
                "api_key": "gsk-secret-one",
                "api_keys": ["gsk-secret-two"],
                "base_url": "https://name:word@groq.example/openai/v1",
            },
        }
    )
    await console.login()
    answer = await console.get("/console/models")
    openai, groq = Looking(answer.text).tables[0].rows
    assert openai[0].startswith("OpenAI")
    assert "in this process" in openai[0]
    assert "groq.example" in groq[0]
    assert groq[3] == "2"
    for secret in ("gsk-secret", "name:word", fake.api_key):
        assert secret not in answer.text


async def test_models_are_searched_and_paged(console: Console) -> None:
    """Fifty to a page, by words and by provider; what is nobody's is said to be none."""
    page = Looking((await console.get("/console/models")).text)
    assert len(page.tables[-1].rows) == 50
    first = [row[0] for row in page.tables[-1].rows]
    second = [row[0] for row in Looking((await console.get("/console/models?page=2")).text).tables[-1].rows]
    assert second
    assert not set(first) & set(second)
    found = Looking((await console.get("/console/models?q=HAIKU claude&provider=anthropic")).text).tables[-1].rows
    assert found
    assert all("haiku" in row[0] for row in found)
    for odd in ("page=0", "page=99999999999", "page=x", "page=-1"):
        assert (await console.get(f"/console/models?{odd}")).status_code == 200
    nothing = await console.page("/console/models?q=nothing-like-this")
    assert "No model has all of these words." in nothing.text


async def test_without_providers_or_ledger(open_console: Callable[..., Console]) -> None:
    """It says what to do next; without a ledger a test is told all the same, and written down nowhere."""
    empty = open_console(providers={})
    await empty.login()
    assert "OPENAI_API_KEY" in (await empty.page("/console/models")).text
    bare = open_console(ledger=False)
    await bare.login(next="/console/models")
    page = await tried(bare, "openai/gpt-4o-mini")
    assert "answered" in page.text
    assert not [href for href in page.values("href") if "requests?request=" in href]


async def test_what_callers_call_is_seen(console: Console) -> None:
    """Calls of everybody count, not the operator's alone."""
    client = console.gateway.client(api_key=PLAIN)
    for _ in range(3):
        await client.post(
            "/v1/chat/completions", json={"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi"}]}
        )
    await client.aclose()
    providers, deployments, _ = Looking((await console.get("/console/models")).text).tables
    assert [row[4] for row in providers.rows] == ["0", "3"]
    assert deployments.rows[0][:4] == ["anthropic/claude-sonnet-4-5", "Up", "closed: calls pass", "3"]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_names_and_answers_are_text(open_console: Callable[..., Console], attack: str) -> None:
    """Names of models, words of the search, what an upstream says in answers and in errors."""
    said = {"id": "c", "object": "chat.completion", "created": 1, "model": attack, "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": attack}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}  # fmt: skip
    refused = {"error": {"message": attack, "type": "invalid_request_error"}}
    names: dict[str, Any] = {"models": {attack: "openai/gpt-4o"}}
    for app in (Canned(orjson.dumps(said)), Canned(orjson.dumps(refused), status=400)):
        console = open_console(providers={"openai": {"app": app, "api_key": "x"}}, **names)
        await console.login()
        listed = await console.http.get("/console/models", params={"q": attack})
        assert_harmless(listed.text)
        form = await button(console, attack)
        answer = await console.post(form)
        told = await console.get(answer.headers["location"])
        assert_harmless(told.text)
        assert Page(told.text).text.count(attack) >= 2
        await console.aclose()


async def test_the_page_is_small(console: Console) -> None:
    """Below 100 KB in either language, with everything that the demo has."""
    for language in ("en", "vi"):
        assert len((await console.get(f"/console/models?lang={language}")).content) < 100_000
