"""From the model that a caller names to the target that answers.

A name is looked up in this order, and the first hit decides:

1. a name of the operator's own (`[models.NAME]`),
2. a codename of the catalogue, served by the first active provider in its list,
3. an alias of the catalogue,
4. `provider/model` with the name of an active provider; what follows the slash goes on as it is,
5. a model id of the catalogue, or one listed for a provider in the configuration,
6. where only one provider is in sight, any id: it goes to that provider.

What does not live here: who may use a model (`flow/admit.py`), health, retries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from compatgw.dialects.base import Dialect, Policy, Quirks, Target
from compatgw.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.providers.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Deployment:
    """A provider as this gateway uses it."""

    name: str
    dialect: Dialect
    quirks: Quirks
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A name of the operator's own; None leaves a member to the catalogue."""

    target: str
    max_output: int | None = None
    context: int | None = None
    traits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that a name can mean in one gateway.

    Attributes:
        name: The gateway's own name, the owner of its codenames.
        deployments: Active providers by name, in order of preference.
        own: The operator's own names.
        catalogue: What is known of models.
        known: Names of all providers that there are, active or not.
    """

    name: str
    deployments: Mapping[str, Deployment]
    own: Mapping[str, OwnModel]
    catalogue: Catalogue
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer a call.

    Attributes:
        names: What the model is called: as asked, `provider/model`, and the bare id unless that has a
            slash of its own: another provider's name for it must not pass for that provider.
    """

    deployment: Deployment
    target: Target
    names: tuple[str, ...]


class Listing(NamedTuple):
    """A model that can be named: its row for clients, and all its names."""

    row: ModelEntry
    names: tuple[str, ...]


class ModelEntry(TypedDict, total=False):
    """A row of `GET /v1/models`."""

    id: str
    object: str
    created: int
    owned_by: str
    context_length: int
    max_output_tokens: int


Scope = frozenset[str] | None
"""Names of the providers in sight; None: all."""


def plan(directory: Directory, model: str, scope: Scope, unsupported: Policy) -> Route:
    """The route for `model`.

    Raises:
        NotFound: Nothing active answers to that name; the message says what is.
    """
    own = directory.own.get(model)
    wanted = own.target if own is not None else model
    found = _find(directory, wanted, scope, set())
    if found is None:
        raise missing(directory, model, scope)
    deployment, upstream_model = found
    known = directory.catalogue.find(deployment.name, upstream_model)
    max_output = known.max_output if known is not None else None
    if own is not None and own.max_output is not None:
        max_output = own.max_output
    return Route(
        deployment,
        Target(
            provider=deployment.name,
            model=upstream_model,
            quirks=deployment.quirks,
            max_output=max_output,
            traits=own.traits if own is not None else {},
            unsupported=unsupported,
        ),
        _names(model, deployment.name, upstream_model),
    )


def _names(asked: str, provider: str, model: str) -> tuple[str, ...]:
    names = (asked, f"{provider}/{model}")
    return names if "/" in model else (*names, model)


def _find(directory: Directory, name: str, scope: Scope, seen: set[str]) -> tuple[Deployment, str] | None:
    if name in seen:
        return None
    seen.add(name)
    active = directory.deployments
    catalogue = directory.catalogue
    for candidate in catalogue.codenames.get(name, ()):
        if (found := _find(directory, candidate, scope, seen)) is not None:
            return found
    if (alias := catalogue.aliases.get(name)) is not None and (
        found := _find(directory, alias, scope, seen)
    ) is not None:
        return found
    prefix, slash, rest = name.partition("/")
    if slash and rest and prefix in active and _visible(prefix, scope):
        return active[prefix], rest
    for deployment in active.values():
        if _visible(deployment.name, scope) and (
            name in deployment.models or catalogue.find(deployment.name, name) is not None
        ):
            return deployment, name
    in_sight = [deployment for deployment in active.values() if _visible(deployment.name, scope)]
    # A name that begins with a provider we know of is meant for that one, not for whoever is left.
    if len(in_sight) == 1 and len(seen) == 1 and not (slash and prefix in directory.known):
        return in_sight[0], name
    return None


def _visible(provider: str, scope: Scope) -> bool:
    return scope is None or provider in scope


def missing(directory: Directory, model: str, scope: Scope) -> NotFound:
    """What is said of a model that nothing active answers to, and of one that the caller does not see."""
    return NotFound(_missing(directory, model, scope), param="model")


def _missing(directory: Directory, model: str, scope: Scope) -> str:
    shown = model if len(model) <= 128 else model[:125] + "..."
    text = f"The model '{shown}' does not exist here or has no active provider."
    active = [name for name in directory.deployments if _visible(name, scope)]
    if not active:
        return f"{text} No provider is active: set a provider's key, such as OPENAI_API_KEY, or configure one."
    return f"{text} Active providers: {', '.join(sorted(active))}. GET /v1/models lists what can be called."


def listing(directory: Directory, scope: Scope) -> Iterator[Listing]:
    """The models in sight, each id once: the operator's own names, then codenames, then each provider's."""
    seen: set[str] = set()
    catalogue = directory.catalogue
    for name, own in directory.own.items():
        if (found := _find(directory, own.target, scope, set())) is not None:
            seen.add(name)
            yield _listed(directory, name, found, own)
    for name in (*catalogue.codenames, *catalogue.aliases):
        if name not in seen and (found := _find(directory, name, scope, set())) is not None:
            seen.add(name)
            yield _listed(directory, name, found, None)
    for deployment in directory.deployments.values():
        if not _visible(deployment.name, scope):
            continue
        for model in (*deployment.models, *(row.id for row in catalogue.of(deployment.name))):
            name = f"{deployment.name}/{model}"
            if name not in seen:
                seen.add(name)
                yield _listed(directory, name, (deployment, model), None)


def entry(directory: Directory, model: str, scope: Scope) -> Listing:
    """One model, under the id that was asked for.

    Raises:
        NotFound: Nothing active answers to that name.
    """
    route = plan(directory, model, scope, "hints")
    return _listed(directory, model, (route.deployment, route.target.model), directory.own.get(model))


def _listed(directory: Directory, name: str, found: tuple[Deployment, str], own: OwnModel | None) -> Listing:
    deployment, model = found
    return Listing(_entry(directory, name, found, own), _names(name, deployment.name, model))


def _entry(directory: Directory, name: str, found: tuple[Deployment, str], own: OwnModel | None) -> ModelEntry:
    deployment, upstream_model = found
    known = directory.catalogue.find(deployment.name, upstream_model)
    coded = name in directory.catalogue.codenames or own is not None
    row: ModelEntry = {
        "id": name,
        "object": "model",
        "created": (known.created if known is not None else None) or 0,
        "owned_by": directory.name if coded else deployment.name,
    }
    context = own.context if own is not None and own.context else known.context if known is not None else None
    if context:
        row["context_length"] = context
    output = own.max_output if own is not None and own.max_output else known.max_output if known is not None else None
    if output:
        row["max_output_tokens"] = output
    return row
