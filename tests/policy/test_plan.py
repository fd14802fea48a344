"""What a model's name leads to, in which order, and what is listed."""

from typing import Any

import pytest

from compatgw.dialects.base import Dialect, Quirks
from compatgw.errors import NotFound
from compatgw.policy.plan import Deployment, Directory, OwnModel, entry, listing, plan
from compatgw.providers import catalogue
from compatgw.providers.table import PROVIDERS

KNOWN = catalogue.load()


def directory(*names: str, own: dict[str, OwnModel] | None = None, models: tuple[str, ...] = ()) -> Directory:
    """A directory whose active providers are `names`."""
    dialect = Dialect("none")
    deployments = {name: Deployment(name, dialect, Quirks(), models) for name in names}
    return Directory("gw", deployments, own or {}, KNOWN, frozenset(PROVIDERS))


def lead(place: Directory, name: str, scope: frozenset[str] | None = None) -> str:
    """Where `name` leads, as `provider/model`."""
    target = plan(place, name, scope, "hints").target
    return f"{target.provider}/{target.model}"


@pytest.mark.parametrize(
    ("active", "name", "expected"),
    [
        (("openai", "anthropic"), "openai/gpt-4o", "openai/gpt-4o"),
        (("openai", "anthropic"), "openai/not-in-any-list", "openai/not-in-any-list"),
        (("openrouter", "openai"), "openrouter/anthropic/claude-x", "openrouter/anthropic/claude-x"),
        (("openai", "anthropic"), "claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514"),
        (("openai", "anthropic"), "anthropic/claude-sonnet-4", "anthropic/claude-sonnet-4-20250514"),
        (("openai", "anthropic"), "gpt", "openai/gpt-4o"),
        (("groq", "cerebras"), "llama-3.3-70b", "groq/llama-3.3-70b-versatile"),
        (("together", "cerebras"), "llama-3.3-70b", "cerebras/llama-3.3-70b"),
        (("deepinfra",), "llama-3.3-70b", "deepinfra/meta-llama/Llama-3.3-70B-Instruct"),
        (("openrouter",), "claude-sonnet", "openrouter/anthropic/claude-sonnet-4.5"),
        (("mine",), "anything/at:all", "mine/anything/at:all"),
    ],
)
def test_a_name_leads_to_its_target(active: tuple[str, ...], name: str, expected: str) -> None:
    """Ids with a provider, bare ids, aliases, codenames, and whatever a sole provider serves."""
    assert lead(directory(*active), name) == expected


@pytest.mark.parametrize(
    ("active", "name"),
    [
        ((), "gpt-4o"),
        (("openai", "groq"), "not-in-any-list"),
        (("anthropic",), "openai/gpt-4o"),
        (("openai", "groq"), "claude-sonnet"),
        (("openai", "groq"), "openai/"),
        (("openai", "groq"), "/gpt-4o"),
    ],
)
def test_a_name_without_an_active_provider_is_404(active: tuple[str, ...], name: str) -> None:
    """And names the member."""
    with pytest.raises(NotFound) as caught:
        lead(directory(*active), name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_name_of_the_operators_own_comes_first() -> None:
    """It may even hide a provider's id, and carries limits and facts of its own."""
    own = {"gpt": OwnModel("groq/llama-3.3-70b-versatile", max_output=7, traits={"a": 1})}
    target = plan(directory("openai", "groq", own=own), "gpt", None, "drop").target
    assert (target.provider, target.model, target.max_output, target.traits) == (
        "groq",
        "llama-3.3-70b-versatile",
        7,
        {"a": 1},
    )
    assert target.unsupported == "drop"


def test_names_that_lead_in_a_circle_are_404() -> None:
    """A configuration cannot hang a request."""
    own = {"a": OwnModel("b"), "b": OwnModel("a")}
    with pytest.raises(NotFound):
        lead(directory("openai", "groq", own=own), "a")


def test_a_scope_hides_all_other_providers() -> None:
    """And a bare id goes to the one that is left."""
    place = directory("openai", "anthropic")
    assert lead(place, "brand-new", frozenset({"anthropic"})) == "anthropic/brand-new"
    with pytest.raises(NotFound):
        lead(place, "openai/gpt-4o", frozenset({"anthropic"}))


def test_the_catalogues_limits_reach_the_target() -> None:
    """So that dialects clamp to them."""
    assert plan(directory("anthropic"), "anthropic/claude-3-haiku-20240307", None, "hints").target.max_output == 4096


def test_the_list_holds_each_id_once_and_every_id_resolves() -> None:
    """Own names, codenames, then each provider's."""
    place = directory("openai", "groq", "mine", own={"fast": OwnModel("groq/x")}, models=("extra",))
    found = list(listing(place, None))
    rows = [row for row, _ in found]
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert ids[0] == "fast"
    assert {"mine/extra", "openai/gpt-4o", "llama-3.3-70b", "gpt"} <= set(ids)
    for each in found:
        assert entry(place, each.row["id"], None) == each
    owners: dict[Any, Any] = {row["id"]: row["owned_by"] for row in rows}
    assert (owners["fast"], owners["llama-3.3-70b"], owners["openai/gpt-4o"]) == ("gw", "gw", "openai")


def test_every_name_of_the_seeds_is_in_the_catalogue() -> None:
    """Models, codenames and aliases that the published gateways name."""
    models = {
        "claude-opus-4-20250514", "claude-sonnet-4-20250514", "gpt-4o", "gpt-4o-mini", "o3", "gemini-2.5-pro",
        "deepseek-chat", "deepseek-reasoner", "gpt-4.1-mini", "text-embedding-3-small", "gpt-image-1",
    }  # fmt: skip
    assert models <= {model.id for model in KNOWN.models}
    assert {"claude-sonnet", "llama-3.3-70b", "gpt-4o"} <= set(KNOWN.codenames)
    assert {"gpt", "gemini", "anthropic/claude-sonnet-4"} <= set(KNOWN.aliases)


def test_the_catalogue_names_only_providers_and_models_that_are_there() -> None:
    """No row, codename or alias leads nowhere."""
    assert {model.provider for model in KNOWN.models} <= set(PROVIDERS)
    targets = [*KNOWN.aliases.values(), *(name for names in KNOWN.codenames.values() for name in names)]
    for target in targets:
        provider, _, model = target.partition("/")
        assert KNOWN.find(provider, model) is not None, target
