"""What a model's name leads to, in which order, and what is listed."""

from typing import Any

import pytest

from compatgw.dialects.base import Quirks
from compatgw.dialects.table import DIALECTS
from compatgw.errors import NotFound
from compatgw.policy.access import Caller
from compatgw.policy.directory import (
    Absent,
    Deployment,
    Directory,
    OwnModel,
    entry,
    listing,
    may_use,
    missing,
    resolve,
    sees,
)
from compatgw.policy.limits import claims
from compatgw.providers import catalogue
from compatgw.providers.catalogue import Catalogue, Model
from compatgw.providers.table import PROVIDERS

KNOWN = catalogue.load()
SHARED = KNOWN.codenames["llama-3.3-70b"]


def directory(
    *names: str, own: dict[str, OwnModel] | None = None, models: tuple[str, ...] = (), known: Catalogue = KNOWN
) -> Directory:
    """A directory whose active providers are `names`."""
    dialect = DIALECTS["openai"]
    deployments = {name: Deployment(name, dialect, Quirks(), models) for name in names}
    return Directory("gw", deployments, own or {}, known, frozenset(PROVIDERS))


def leads(place: Directory, name: str, scope: frozenset[str] | None = None) -> list[str]:
    """Where `name` leads, as `provider/model`."""
    return [candidate.key for candidate in resolve(place, name, scope)]


@pytest.mark.parametrize(
    ("active", "name", "expected"),
    [
        (("openai", "anthropic"), "openai/gpt-4o", ["openai/gpt-4o"]),
        (("openai", "anthropic"), "openai/not-in-any-list", ["openai/not-in-any-list"]),
        (("openrouter", "openai"), "openrouter/anthropic/claude-x", ["openrouter/anthropic/claude-x"]),
        (("openai", "anthropic"), "claude-sonnet-4-20250514", ["anthropic/claude-sonnet-4-20250514"]),
        (("openai", "anthropic"), "anthropic/claude-sonnet-4", ["anthropic/claude-sonnet-4-20250514"]),
        (("openai", "anthropic"), "gpt", ["openai/gpt-4o"]),
        (("groq", "cerebras"), "llama-3.3-70b", ["groq/llama-3.3-70b-versatile", "cerebras/llama-3.3-70b"]),
        (
            ("together", "cerebras"),
            "llama-3.3-70b",
            ["cerebras/llama-3.3-70b", "together/meta-llama/Llama-3.3-70B-Instruct-Turbo"],
        ),
        (("deepinfra",), "llama-3.3-70b", ["deepinfra/meta-llama/Llama-3.3-70B-Instruct"]),
        (("openrouter",), "claude-sonnet", ["openrouter/anthropic/claude-sonnet-4.5"]),
        (("openrouter",), "openai/gpt-4o", ["openrouter/openai/gpt-4o"]),
        (("openrouter", "openai"), "openai/gpt-4o", ["openai/gpt-4o"]),
        (("mine",), "anything/at:all", ["mine/anything/at:all"]),
        (("tinfoil", "cerebras"), "gpt-oss-120b", ["cerebras/gpt-oss-120b", "tinfoil/gpt-oss-120b"]),
        (
            ("deepinfra", "nscale"),
            "meta-llama/Llama-3.3-70B-Instruct",
            ["deepinfra/meta-llama/Llama-3.3-70B-Instruct", "nscale/meta-llama/Llama-3.3-70B-Instruct"],
        ),
    ],
)
def test_a_name_leads_to_all_its_candidates(active: tuple[str, ...], name: str, expected: list[str]) -> None:
    """Ids with a provider, bare ids, aliases, codenames, and whatever a sole provider serves; the preferred first."""
    assert leads(directory(*active), name) == expected


def test_a_codename_keeps_its_own_order_whatever_order_providers_have() -> None:
    """Its list is the order of preference."""
    providers = [key.partition("/")[0] for key in SHARED]
    assert leads(directory(*reversed(providers)), "llama-3.3-70b") == list(SHARED)


def test_a_bare_id_goes_to_every_provider_that_has_it_in_the_providers_order() -> None:
    """Those of the catalogue and those of the configuration alike, each once."""
    place = directory("mine", "yours", models=("same", "same"))
    assert leads(place, "same") == ["mine/same", "yours/same"]


def test_a_row_answers_to_its_further_names_too() -> None:
    """A dated id is the same model."""
    row = next(model for model in KNOWN.models if model.also)
    place = directory(row.provider, "mine")
    found = resolve(place, row.also[0], None)
    assert [candidate.known for candidate in found] == [row]


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
    place = directory(*active)
    assert resolve(place, name, None) == ()
    with pytest.raises(NotFound) as caught:
        entry(place, name, None)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_what_is_not_here_is_said_with_its_reason() -> None:
    """A provider that is not active, and one that this path does not show."""
    place = directory("groq", "cerebras")
    candidates, absent = place.meaning("gpt-oss-120b", frozenset({"groq"}))
    assert [candidate.key for candidate in candidates] == ["groq/openai/gpt-oss-120b"]
    assert absent == (
        Absent("cerebras/gpt-oss-120b", "not_in_scope"),
        Absent("sambanova/gpt-oss-120b", "no_provider"),
        Absent("tinfoil/gpt-oss-120b", "no_provider"),
    )
    assert directory("openai", "groq").meaning("grok-3-mini", None).absent == (
        Absent("xai/grok-3-mini", "no_provider"),
    )


def test_a_name_of_the_operators_own_comes_first() -> None:
    """It may even hide a provider's id, and carries limits and facts of its own."""
    own = {"gpt": OwnModel(("groq/llama-3.3-70b-versatile",), max_output=7, context=9, traits={"a": 1})}
    (found,) = resolve(directory("openai", "groq", own=own), "gpt", None)
    target = found.target("drop")
    assert (target.provider, target.model, target.max_output, target.traits, found.context) == (
        "groq",
        "llama-3.3-70b-versatile",
        7,
        {"a": 1},
        9,
    )
    assert target.unsupported == "drop"
    assert found.names == ("gpt", "groq/llama-3.3-70b-versatile", "llama-3.3-70b-versatile")


def test_a_name_of_the_operators_own_may_mean_a_codename() -> None:
    """Then its facts hold at every provider; what it does not say stays the catalogue's."""
    own = {"big": OwnModel(("llama-3.3-70b",), max_output=5)}
    found = resolve(directory("groq", "cerebras", own=own), "big", None)
    assert [candidate.key for candidate in found] == ["groq/llama-3.3-70b-versatile", "cerebras/llama-3.3-70b"]
    assert [candidate.max_output for candidate in found] == [5, 5]
    assert [candidate.context for candidate in found] == [
        candidate.known.context for candidate in found if candidate.known
    ]


def test_names_that_lead_in_a_circle_are_404() -> None:
    """Neither a configuration nor a catalogue can hang a request."""
    own = {"a": OwnModel(("b",)), "b": OwnModel(("a",))}
    assert resolve(directory("openai", "groq", own=own), "a", None) == ()
    round_about = Catalogue((), {"x": ("y", "openai/m"), "y": ("x",)}, {"p": "q", "q": "p"})
    place = directory("openai", "groq", known=round_about)
    assert leads(place, "x") == ["openai/m"]
    assert leads(place, "p") == []


def test_a_scope_hides_all_other_providers() -> None:
    """And a bare id goes to the one that is left."""
    place = directory("openai", "anthropic")
    assert leads(place, "brand-new", frozenset({"anthropic"})) == ["anthropic/brand-new"]
    assert leads(place, "openai/gpt-4o", frozenset({"anthropic"})) == []


def test_the_catalogues_facts_reach_the_candidate() -> None:
    """So that dialects clamp to its limits and filters know its tier."""
    (found,) = resolve(directory("anthropic"), "anthropic/claude-3-haiku-20240307", None)
    assert (found.target("hints").max_output, found.trust, found.takes("image"), found.takes("audio")) == (
        4096,
        2,
        True,
        False,
    )
    (strange,) = resolve(directory("mine"), "m", None)
    assert (strange.known, strange.trust, strange.context, strange.takes("image")) == (None, None, None, None)


def test_a_row_that_does_not_say_what_it_takes_leaves_that_open() -> None:
    """Nothing listed is not known, never no."""
    row = Model(
        id="m", provider="mine", context=None, max_output=None, input=(), tools=True, json_schema=True,
        reasoning=False, created=None,
    )  # fmt: skip
    (found,) = resolve(directory("mine", known=Catalogue((row,), {}, {})), "m", None)
    assert found.takes("image") is None


def test_what_a_name_means_is_found_once() -> None:
    """Names repeat; the same value is given again."""
    place = directory("groq", "cerebras")
    assert resolve(place, "llama-3.3-70b", None) is resolve(place, "llama-3.3-70b", None)
    assert resolve(place, "llama-3.3-70b", frozenset({"groq"})) is not resolve(place, "llama-3.3-70b", None)


def test_a_very_long_name_is_cut_in_its_message() -> None:
    """A caller's own bytes fill no error."""
    message = missing(directory("openai", "groq"), "x" * 500, None).message
    assert "x" * 125 + "..." in message
    assert "x" * 126 not in message
    assert "groq, openai" in message
    assert "No provider is active" in missing(directory(), "m", None).message
    assert "Active providers: groq." in missing(directory("openai", "groq"), "m", frozenset({"groq"})).message


# --- what is listed --------------------------------------------------------------------------


def test_the_list_holds_each_id_once_and_every_id_resolves() -> None:
    """Own names, codenames, then each provider's."""
    place = directory(
        "openai",
        "groq",
        "mine",
        own={"fast": OwnModel(("groq/x",)), "gone": OwnModel(("xai/y",))},
        models=("extra", "gpt-4o"),
    )
    found = list(listing(place, None))
    ids = [row["id"] for row, _ in found]
    assert len(ids) == len(set(ids))
    assert ids[0] == "fast"
    assert "gone" not in ids
    assert {"mine/extra", "openai/gpt-4o", "llama-3.3-70b", "gpt"} <= set(ids)
    for each in found:
        assert entry(place, each.row["id"], None) == each
    owners: dict[Any, Any] = {row["id"]: row["owned_by"] for row, _ in found}
    assert (owners["fast"], owners["llama-3.3-70b"], owners["openai/gpt-4o"]) == ("gw", "gw", "openai")


def test_the_list_of_a_scope_shows_its_providers_alone() -> None:
    """And their limits."""
    rows = [row for row, _ in listing(directory("openai", "anthropic"), frozenset({"anthropic"}))]
    assert {row["owned_by"] for row in rows} == {"anthropic", "gw"}
    row = next(row for row in rows if row["id"] == "anthropic/claude-3-haiku-20240307")
    assert (row["context_length"], row["max_output_tokens"]) == (200_000, 4096)
    bare = entry(directory("mine"), "m", None).row
    assert bare == {"id": "m", "object": "model", "created": 0, "owned_by": "mine"}


def test_a_model_is_listed_for_who_may_call_it_in_one_way_at_least() -> None:
    """Rights that hold for one way and rights that hold for another do not add up."""

    def caller(visible: str, models: str) -> Caller:
        return Caller(name="c", key="c", claims=claims("c", ()), visible=(visible,), models=(models,))

    found = entry(directory("groq", "cerebras"), "llama-3.3-70b", None)
    assert may_use(caller("cerebras/*", "*"), found)
    assert sees(caller("cerebras/*", "groq/*"), found)
    assert not may_use(caller("cerebras/*", "groq/*"), found)
    assert not sees(caller("openai/*", "*"), found)


# --- the catalogue ---------------------------------------------------------------------------


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
