"""The catalogue: every name that published gateways use, rows that hold facts, names that lead somewhere."""

from __future__ import annotations

import pytest

from compatgw.providers.catalogue import Catalogue, load
from compatgw.providers.table import PROVIDERS

KNOWN: Catalogue = load()

# What the gateways that we follow name in their documents.
MODELS = [
    ("anthropic", "claude-opus-4-20250514"),
    ("anthropic", "claude-sonnet-4-20250514"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4.1-mini"),
    ("openai", "o3"),
    ("openai", "text-embedding-3-small"),
    ("openai", "gpt-image-1"),
    ("gemini", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-reasoner"),
]
CODENAMES = ["claude-sonnet", "gpt-4o", "llama-3.3-70b"]
ALIASES = ["gpt", "gemini", "claude", "grok", "deepseek", "anthropic/claude-sonnet-4"]


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_models_that_gateways_name_are_known(provider: str, model: str) -> None:
    """With their provider's own id."""
    found = KNOWN.find(provider, model)

    assert found is not None
    assert (found.provider, found.id) == (provider, model)


def test_codenames_and_aliases_that_gateways_name_are_known() -> None:
    """One name for several providers, and short names."""
    assert set(CODENAMES) <= set(KNOWN.codenames)
    assert set(ALIASES) <= set(KNOWN.aliases)
    assert {name.split("/")[0] for name in KNOWN.codenames["llama-3.3-70b"]} >= {"groq", "together", "deepinfra"}


def test_every_name_leads_to_a_model_that_is_known() -> None:
    """A codename or alias without a row would end at an upstream's 404."""
    for names in (*KNOWN.codenames.values(), [n for n in KNOWN.aliases.values() if n not in KNOWN.codenames]):
        for name in names:
            provider, _, model = name.partition("/")
            assert provider in PROVIDERS
            assert KNOWN.find(provider, model) is not None, name


def test_each_model_has_one_row() -> None:
    """And each row a provider of the table."""
    keys = [(model.provider, model.id) for model in KNOWN.models]

    assert len(keys) == len(set(keys))
    assert {provider for provider, _ in keys} <= set(PROVIDERS)
    assert len(keys) >= 60


def test_rows_hold_facts_or_nothing() -> None:
    """Limits are positive, what goes in is known by its word, a date is a date."""
    for model in KNOWN.models:
        assert model.context is None or model.context >= 4096
        assert model.max_output is None or 0 < model.max_output <= (model.context or model.max_output)
        assert model.input[0] == "text"
        assert set(model.input) <= {"text", "image", "pdf", "audio"}
        assert model.created is None or 1_500_000_000 < model.created < 2_000_000_000


def test_what_is_unknown_is_not_found() -> None:
    """Neither a model nor a provider is made up."""
    assert KNOWN.find("openai", "gpt-none") is None
    assert KNOWN.find("nobody", "gpt-4o") is None
    assert KNOWN.of("nobody") == ()
    assert {model.provider for model in KNOWN.of("openai")} == {"openai"}
    assert KNOWN.providers_of("gpt-4o") == ("openai",)
    assert KNOWN.providers_of("gpt-none") == ()


def test_each_gateway_reads_a_catalogue_of_its_own() -> None:
    """There is no shared one to be changed."""
    assert load() is not load()
    assert load() == KNOWN
