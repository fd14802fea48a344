"""The catalogue: every name that published gateways use, rows that hold facts, names that lead somewhere."""

from __future__ import annotations

from typing import get_args

import pytest

from compatgw.providers.catalogue import Catalogue, Model, Speed, load
from compatgw.providers.table import PROVIDERS

KNOWN: Catalogue = load()

# What the gateways that we follow name in their documents: the name that a caller sends, and where it leads.
NAMES = [
    # one gateway for each vendor, with the vendor's own ids
    ("claude-opus-4-20250514", "anthropic/claude-opus-4-20250514"),
    ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514"),
    ("gpt-4o", "openai/gpt-4o"),
    ("gpt-4o-mini", "openai/gpt-4o-mini"),
    ("o3", "openai/o3"),
    ("gemini-2.5-pro", "gemini/gemini-2.5-pro"),
    ("deepseek-chat", "deepseek/deepseek-chat"),
    ("deepseek-reasoner", "deepseek/deepseek-reasoner"),
    # `provider/model`
    ("anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4-20250514"),
    ("openai/gpt-4.1-mini", "openai/gpt-4.1-mini"),
    # codenames, and the id that an answer names
    ("claude-sonnet", "anthropic/claude-sonnet-4-5"),
    ("gpt-4o-2024-08-06", "openai/gpt-4o-2024-08-06"),
    ("llama-3.3-70b", "groq/llama-3.3-70b-versatile"),
    # other surfaces
    ("text-embedding-3-small", "openai/text-embedding-3-small"),
    ("omni-moderation-latest", "openai/omni-moderation-latest"),
    ("rerank-v3.5", "cohere/rerank-v3.5"),
    ("mistral-embed", "mistral/mistral-embed"),
    ("gpt-image-1", "openai/gpt-image-1"),
    # short names
    ("gpt", "openai/gpt-4o"),
    ("gemini", "gemini/gemini-2.5-flash"),
    ("claude", "anthropic/claude-sonnet-4-5"),
    ("grok", "xai/grok-3-mini"),
    ("deepseek", "deepseek/deepseek-chat"),
]
# The providers that they have behind them.
BEHIND = [
    "openai", "anthropic", "gemini", "cohere", "groq", "together", "deepinfra", "cerebras", "scaleway", "sambanova",
    "xai", "openrouter", "novita", "ncompass", "nscale", "inception", "tinfoil", "deepseek",
]  # fmt: skip


def _row(name: str) -> Model | None:
    """What `name` means where all providers are active, by the catalogue alone."""
    codename = KNOWN.codenames.get(name)
    full = codename[0] if codename else KNOWN.aliases.get(name, name)
    provider, _, model = full.partition("/")
    if (found := KNOWN.find(provider, model)) is not None:
        return found
    owners = KNOWN.providers_of(full)
    return KNOWN.find(owners[0], full) if owners else None


@pytest.mark.parametrize(("name", "target"), NAMES)
def test_each_name_that_gateways_use_leads_to_its_model(name: str, target: str) -> None:
    """Models, codenames and aliases."""
    found = _row(name)

    assert found is not None
    assert f"{found.provider}/{found.id}" == target


@pytest.mark.parametrize("provider", BEHIND)
def test_each_provider_that_gateways_have_behind_them_serves_a_model_that_is_known(provider: str) -> None:
    """So each of them can answer a name by itself."""
    assert KNOWN.of(provider)


def test_a_codename_has_the_providers_that_gateways_name_for_it() -> None:
    """The same model from several."""
    assert {name.partition("/")[0] for name in KNOWN.codenames["llama-3.3-70b"]} >= {"groq", "together", "deepinfra"}


def test_every_name_leads_to_a_model_that_is_known() -> None:
    """A codename or alias without a row would end at an upstream's 404."""
    assert not set(KNOWN.codenames) & set(KNOWN.aliases)
    for names in (*KNOWN.codenames.values(), *((target,) for target in KNOWN.aliases.values())):
        assert len(set(names)) == len(names)
        for name in names:
            provider, _, model = name.partition("/")
            assert provider in PROVIDERS
            assert KNOWN.find(provider, model) is not None, name


def test_each_model_has_one_row() -> None:
    """And each row a provider of the table."""
    keys = [(model.provider, model.id) for model in KNOWN.models]

    assert len(keys) == len(set(keys))
    assert {provider for provider, _ in keys} <= set(PROVIDERS)
    assert len(keys) >= 130


def test_rows_hold_facts_or_nothing() -> None:
    """Limits are positive, what goes in and out is known by its word, a date is a date."""
    for model in KNOWN.models:
        assert model.context is None or model.context >= (4096 if "text" in model.output else 512)
        assert model.max_output is None or 0 < model.max_output <= (model.context or model.max_output)
        assert model.input[0] == "text"
        assert set(model.input) <= {"text", "image", "pdf", "audio"}
        assert model.output
        assert set(model.output) <= {"text", "image", "audio", "embedding", "transcript", "scores"}
        assert model.created is None or 1_500_000_000 < model.created < 2_000_000_000


def test_what_writes_no_text_neither_streams_nor_calls_tools() -> None:
    """Or a filter would let it through."""
    other = [model for model in KNOWN.models if not {"text", "transcript"} & set(model.output)]

    assert {"text-embedding-3-small", "gpt-image-1"} <= {model.id for model in other}
    assert not any(model.streaming or model.tools or model.json_schema for model in other)


def test_ratings_are_on_their_scales() -> None:
    """And who states tokens a second has a tier that fits them."""
    for model in KNOWN.models:
        assert model.quality is None or 0 <= model.quality <= 100
        assert model.speed is None or model.speed in get_args(Speed)
        if model.tokens_per_second is not None:
            assert 1 <= model.tokens_per_second <= 10_000
            assert model.speed == "fast" or model.tokens_per_second < 200
    assert {model.speed for model in KNOWN.models} == {None, *get_args(Speed)}


def test_each_provider_has_a_tier_of_trust() -> None:
    """A new row of the table needs one, or `trust_level` leaves it out."""
    assert set(KNOWN.trust) == set(PROVIDERS)
    assert set(KNOWN.trust.values()) == {0, 1, 2, 3}
    assert all(KNOWN.trust[name] == 3 for name, row in PROVIDERS.items() if row.local)


def test_further_ids_lead_to_their_model() -> None:
    """Each to one, and never over a row of its own."""
    ids = {(model.provider, model.id) for model in KNOWN.models}
    further = [(model.provider, other) for model in KNOWN.models for other in model.also]

    assert len(further) == len(set(further))
    assert not ids & set(further)
    assert KNOWN.find("openai", "gpt-4o-2024-11-20") is KNOWN.find("openai", "gpt-4o")
    assert KNOWN.providers_of("claude-opus-4-0") == ("anthropic",)
    assert "gpt-4o-2024-11-20" not in {model.id for model in KNOWN.of("openai")}


def test_a_row_wins_over_another_ones_further_id() -> None:
    """Whatever the order."""
    first = _model("a", also=("b",))
    second = _model("b")
    for models in ((first, second), (second, first)):
        known = Catalogue(models=models, codenames={}, aliases={})
        assert known.find("p", "a") is first
        assert known.find("p", "b") is second
        assert known.of("p") == models
        assert known.trust == {}


def _model(id: str, also: tuple[str, ...] = ()) -> Model:
    return Model(
        id=id, provider="p", context=None, max_output=None, input=("text",), tools=True, json_schema=True,
        reasoning=False, created=None, also=also,
    )  # fmt: skip


def test_what_is_unknown_is_not_found() -> None:
    """Neither a model nor a provider is made up."""
    assert KNOWN.find("openai", "gpt-none") is None
    assert KNOWN.find("openai", "gpt-4o-2024-05-13") is None
    assert KNOWN.find("nobody", "gpt-4o") is None
    assert KNOWN.of("nobody") == ()
    assert {model.provider for model in KNOWN.of("openai")} == {"openai"}
    assert KNOWN.providers_of("gpt-4o") == ("openai",)
    assert KNOWN.providers_of("gpt-none") == ()


def test_the_catalogue_is_read_once_and_cannot_be_changed() -> None:
    """All gateways of a process share it."""
    assert load() is load()
    for mapping in (KNOWN.aliases, KNOWN.codenames, KNOWN.trust):
        with pytest.raises(TypeError):
            mapping["x"] = "y"  # type: ignore[index]
