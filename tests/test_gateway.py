"""Putting a gateway together: what is active, and what is refused before anything is served."""

from typing import Any

import httpx
import pytest

from compatgw import ConfigError, Gateway
from tests.canned import Canned, ask, completion, gateway


def test_without_providers_every_one_whose_key_is_set_is_active() -> None:
    """Under their usual names; servers of one's own are never active by themselves."""
    environ = {
        "ANTHROPIC_API_KEY": "a",
        "GEMINI_API_KEY": "b",
        "OPENAI_API_KEY": "",
        "VLLM_API_KEY": "c",
        "AZURE_OPENAI_API_KEY": "its address is not known",
    }
    assert set(Gateway(keys=["k"], environ=environ).providers) == {"anthropic", "gemini"}


def test_named_providers_are_the_only_ones_and_find_their_keys() -> None:
    """Naming one is enough when its key is in the environment."""
    app = Gateway(providers={"openai": {}}, keys=["k"], environ={"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b"})
    assert app.providers == ("openai",)


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ({"openai": {}}, "OPENAI_API_KEY"),
        ({"mine": {"auth": "none"}}, "'providers.mine.base_url'"),
        ({"azure": {"api_key": "x"}}, "RESOURCE.openai.azure.com"),
        ({"mine": {"base_url": "localhost:8000", "auth": "none"}}, "https://"),
        ({"mine": {"base_url": "http://x"}}, 'auth = "none"'),
        ({"openai": {"api_key": "a\nb"}}, "line break"),
        ({"openai": {"api_key": "x", "dialect": "klingon"}}, "'klingon'"),
        ({"openai": {"api_key": "x", "quirks": {"speed": 1}}}, "not a quirk"),
        ({"openai": {"api_key": "x", "quirks": {"max_tokens": "some"}}}, "quirks.max_tokens"),
        ({"openai": {"api_key": "x", "app": "text"}}, "ASGI application"),
    ],
)
def test_a_provider_that_cannot_work_is_refused_at_once(providers: Any, words: str) -> None:
    """With what to do about it, and without the key."""
    with pytest.raises(ConfigError) as caught:
        Gateway(providers=providers, keys=["k"], environ={})
    assert words in str(caught.value)
    assert "a\nb" not in str(caught.value)


def test_a_host_that_leads_nowhere_is_refused_at_once() -> None:
    """Rather than with the first request."""
    with pytest.raises(ConfigError, match="'hosts'"):
        Gateway(providers={}, hosts={"a.example": "nowhere"}, keys=["k"], environ={})


async def test_quirks_of_the_configuration_override_the_row() -> None:
    """Lists of a TOML file become what the row has."""
    up = Canned(completion())
    providers = {"openai": {"app": up, "api_key": "x", "quirks": {"drop": ["user"], "max_tokens": "max_tokens"}}}
    app = Gateway(providers=providers, keys=["k"], environ={})
    async with app.client(api_key="k") as client:
        got = await client.post(
            "/v1/chat/completions", json=ask(model="openai/gpt-4o", user="u", max_completion_tokens=5)
        )
    assert up.asked[0]["max_tokens"] == 5
    assert got.headers["x-dropped-params"] == "user"


async def test_clock_and_ids_are_the_callers_to_choose() -> None:
    """A run can be repeated."""
    up = Canned(completion(id="", created=0))

    async def run() -> httpx.Response:
        words = iter(f"{n:03d}" for n in range(9))
        app = gateway(up, clock=lambda: 1000.0, ids=lambda: next(words))
        async with app.client(api_key="k") as client:
            return await client.post("/v1/chat/completions", json=ask())

    first, second = await run(), await run()
    assert first.content == second.content
    assert first.headers["x-request-id"] == second.headers["x-request-id"] == "req_000"
    assert first.json()["created"] == 1000


async def test_headers_of_the_configuration_are_sent_upstream() -> None:
    """OpenRouter's titles, GitHub's versions."""
    up = Canned(completion())
    app = Gateway(
        providers={"openrouter": {"app": up, "api_key": "x", "headers": {"X-Title": "mine"}}}, keys=["k"], environ={}
    )
    async with app.client(api_key="k") as client:
        await client.post("/v1/chat/completions", json=ask(model="openrouter/a/b"))
    assert up.seen[0][b"x-title"] == b"mine"
    assert up.asked[0]["model"] == "a/b"
