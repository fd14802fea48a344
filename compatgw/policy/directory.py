"""What a model's name can mean: every way to call it, the preferred first, and what is listed.

A name is looked up in this order, and the first kind that leads anywhere decides:

1. a name of the operator's own (`[models.NAME]`), with all that it lists,
2. a codename of the catalogue, with all active providers in its list,
3. an alias of the catalogue,
4. `provider/model` with the name of an active provider; what follows the slash goes on as it is,
5. a model id of the catalogue, or one listed for a provider in the configuration, at every provider that has it,
6. where only one provider is in sight, any id: it goes to that provider.

What does not live here: which of the ways a call takes (`plan.py`), who may use a model (`access.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

from compatgw.dialects.base import Dialect, Policy, Quirks, Target
from compatgw.errors import NotFound
from compatgw.policy import access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from compatgw.policy.access import Caller
    from compatgw.providers.catalogue import Catalogue, Model
    from compatgw.providers.prices import Prices
    from compatgw.surfaces.extensions import CallOptions, LoadBalance

Scope = frozenset[str] | None
"""Names of the providers in sight; None: all."""

Names = tuple[str, ...]
"""What one way to a model is called: as asked, `provider/model`, and the bare id unless that has a slash of its
own: another provider's name for it must not pass for that provider."""

# Names are the caller's own: as many meanings are remembered, and no more.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Deployment:
    """A provider as this gateway uses it."""

    name: str
    dialect: Dialect
    quirks: Quirks
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnModel:
    """A name of the operator's own; None leaves a member to the catalogue.

    Attributes:
        targets: What it means, the preferred first. weights: The share of each; none: all the same.
        fallback, load_balance: What holds where a call does not say.
    """

    targets: tuple[str, ...]
    max_output: int | None = None
    context: int | None = None
    traits: Mapping[str, Any] = field(default_factory=dict)
    fallback: tuple[str, ...] = ()
    load_balance: LoadBalance | None = None
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model at one provider that a name can mean.

    Attributes:
        key: `provider/model`, the name of this deployment everywhere.
        deployment: The provider.
        model: The id that the provider is asked for.
        names: What it is called.
        known: The catalogue's row, None without one.
        trust: The provider's tier, None when not known.
        context: Most tokens that it takes in, None when not known.
        max_output: Most tokens that it writes, None when not known.
        traits: Facts for the dialect that differ from its own table.
        listed: The operator says in which order the ways to call it are tried.
        weight: Its share, where calls are shared by weights that the operator gave.
    """

    key: str
    deployment: Deployment
    model: str
    names: Names
    known: Model | None
    trust: int | None
    context: int | None
    max_output: int | None
    traits: Mapping[str, Any]
    listed: bool = False
    weight: float = 1.0

    def takes(self, kind: str) -> bool | None:
        """Whether it takes `image`, `pdf` or `audio`; None when not known."""
        if self.known is None or not self.known.input:
            return None
        return kind in self.known.input

    def target(self, unsupported: Policy) -> Target:
        """The target that a codec is given."""
        return Target(
            self.deployment.name, self.model, self.deployment.quirks, self.max_output, self.traits, unsupported
        )


class Absent(NamedTuple):
    """What a name also means, but not here: `no_provider` has it active, or it is `not_in_scope`."""

    key: str
    reason: Literal["no_provider", "not_in_scope"]


class Meaning(NamedTuple):
    """All that a name means, each once, the preferred first."""

    candidates: tuple[Candidate, ...]
    absent: tuple[Absent, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that a name can mean in one gateway.

    Attributes:
        name: The gateway's own name, the owner of its codenames.
        deployments: Active providers by name, in order of preference.
        own: The operator's own names.
        catalogue: What is known of models.
        known: Names of all providers that there are, active or not.
        prices: What models cost; None where nobody knows.
    """

    name: str
    deployments: Mapping[str, Deployment]
    own: Mapping[str, OwnModel]
    catalogue: Catalogue
    known: frozenset[str] = frozenset()
    prices: Prices | None = None
    _serving: Mapping[str, tuple[Deployment, ...]] = field(init=False, repr=False, compare=False)
    _meaning: Callable[[str, Scope], Meaning] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        serving: dict[str, dict[str, Deployment]] = {}
        for deployment in self.deployments.values():
            for model in deployment.models:
                serving.setdefault(model, {})[deployment.name] = deployment
            for row in self.catalogue.of(deployment.name):
                for id in (row.id, *row.also):
                    serving.setdefault(id, {})[deployment.name] = deployment
        object.__setattr__(self, "_serving", {id: tuple(found.values()) for id, found in serving.items()})
        object.__setattr__(self, "_meaning", lru_cache(_REMEMBERED)(partial(_meaning, self)))

    def meaning(self, name: str, scope: Scope) -> Meaning:
        """What `name` means to callers with this scope; remembered, because names repeat."""
        return self._meaning(name, scope)

    def serving(self, model: str) -> tuple[Deployment, ...]:
        """The active providers that have `model` under this very id, in order of preference."""
        return self._serving.get(model, ())


def wished(directory: Directory, name: str, options: CallOptions) -> CallOptions:
    """`options` of a call for `name`, with what the operator says of it where the caller says nothing."""
    own = directory.own.get(name)
    if own is None or not (own.fallback or own.load_balance):
        return options
    return replace(
        options,
        fallback=options.fallback or own.fallback,
        load_balance=options.load_balance or own.load_balance,
    )


def resolve(directory: Directory, name: str, scope: Scope) -> tuple[Candidate, ...]:
    """Every way to call `name`, the preferred first; none where nothing active answers to it."""
    return directory.meaning(name, scope).candidates


def _meaning(directory: Directory, name: str, scope: Scope) -> Meaning:
    own = directory.own.get(name)
    search = _Search(directory, scope)
    weights: dict[str, float] = {}
    for place, target in enumerate((name,) if own is None else own.targets):
        search.find(target)
        if own is not None and own.weights:
            for key in search.found:
                weights.setdefault(key, own.weights[place])
    return Meaning(
        tuple(
            _candidate(directory, name, deployment, model, own, weights.get(key, 1.0))
            for key, (deployment, model) in search.found.items()
        ),
        tuple(Absent(key, reason) for key, reason in search.absent.items()),
    )


def _candidate(
    directory: Directory, name: str, deployment: Deployment, model: str, own: OwnModel | None, weight: float = 1.0
) -> Candidate:
    known = directory.catalogue.find(deployment.name, model)
    context = known.context if known is not None else None
    max_output = known.max_output if known is not None else None
    if own is not None:
        context, max_output = own.context or context, own.max_output or max_output
    return Candidate(
        key=f"{deployment.name}/{model}",
        deployment=deployment,
        model=model,
        names=_names(name, deployment.name, model),
        known=known,
        trust=directory.catalogue.trust.get(deployment.name),
        context=context,
        max_output=max_output,
        traits=own.traits if own is not None else {},
        listed=own is not None and len(own.targets) > 1,
        weight=weight,
    )


def _names(asked: str, provider: str, model: str) -> Names:
    names = (asked, f"{provider}/{model}")
    return names if "/" in model else (*names, model)


class _Search:
    """One look-up: what was found, what would be elsewhere, and the names that were followed."""

    __slots__ = ("_directory", "_scope", "_seen", "absent", "found")

    def __init__(self, directory: Directory, scope: Scope) -> None:
        self._directory = directory
        self._scope = scope
        # Codenames and aliases may lead in a circle.
        self._seen: set[str] = set()
        self.found: dict[str, tuple[Deployment, str]] = {}
        self.absent: dict[str, Literal["no_provider", "not_in_scope"]] = {}

    def find(self, name: str) -> bool:
        """Adds what `name` means; False when that is nothing that can be called."""
        if name in self._seen:
            return False
        self._seen.add(name)
        catalogue = self._directory.catalogue
        # All of them, not up to the first that is found.
        members = [self.find(member) for member in catalogue.codenames.get(name, ())]
        if any(members):
            return True
        alias = catalogue.aliases.get(name)
        if alias is not None and self.find(alias):
            return True
        return self._at_its_provider(name) or self._by_id(name) or self._at_the_only_one(name)

    def _at_its_provider(self, name: str) -> bool:
        prefix, slash, model = name.partition("/")
        if not slash or not model:
            return False
        if prefix not in self._directory.deployments:
            if prefix in self._directory.known:
                self.absent[name] = "no_provider"
            return False
        return self._add(self._directory.deployments[prefix], model)

    def _by_id(self, name: str) -> bool:
        for provider in self._directory.catalogue.providers_of(name):
            if provider not in self._directory.deployments:
                self.absent[f"{provider}/{name}"] = "no_provider"
        added = [self._add(deployment, name) for deployment in self._directory.serving(name)]
        return any(added)

    def _at_the_only_one(self, name: str) -> bool:
        in_sight = [deployment for deployment in self._directory.deployments.values() if self._sees(deployment)]
        prefix, slash, _ = name.partition("/")
        # A name that begins with a provider we know of is meant for that one, not for whoever is left.
        if len(in_sight) != 1 or len(self._seen) != 1 or (slash and prefix in self._directory.known):
            return False
        return self._add(in_sight[0], name)

    def _add(self, deployment: Deployment, model: str) -> bool:
        key = f"{deployment.name}/{model}"
        if not self._sees(deployment):
            self.absent[key] = "not_in_scope"
            return False
        self.found[key] = (deployment, model)
        return True

    def _sees(self, deployment: Deployment) -> bool:
        return self._scope is None or deployment.name in self._scope


def missing(directory: Directory, model: str, scope: Scope) -> NotFound:
    """What is said of a model that nothing active answers to, and of one that the caller does not see."""
    text = f"The model '{shown(model)}' does not exist here or has no active provider."
    active = sorted(name for name in directory.deployments if scope is None or name in scope)
    if active:
        text += f" Active providers: {', '.join(active)}. GET /v1/models lists what can be called."
    else:
        text += " No provider is active: set a provider's key, such as OPENAI_API_KEY, or configure one."
    return NotFound(text, param="model")


def shown(model: str) -> str:
    """A model's name as messages show it: callers may make it as long as they like."""
    return model if len(model) <= 128 else model[:125] + "..."


# --- what is listed --------------------------------------------------------------------------


class ModelEntry(TypedDict, total=False):
    """A row of `GET /v1/models`."""

    id: str
    object: str
    created: int
    owned_by: str
    context_length: int
    max_output_tokens: int


class Listing(NamedTuple):
    """A model that can be named: its row for clients, and the names of every way to call it."""

    row: ModelEntry
    ways: tuple[Names, ...]


def sees(caller: Caller, found: Listing) -> bool:
    """True when the caller's team sees the model, in at least one way."""
    return any(access.sees(caller, names) for names in found.ways)


def may_use(caller: Caller, found: Listing) -> bool:
    """True when the caller may call the model, in at least one way."""
    return any(access.may_use(caller, names) for names in found.ways)


def listing(directory: Directory, scope: Scope) -> Iterator[Listing]:
    """The models in sight, each id once: the operator's own names, then codenames, then each provider's."""
    seen: set[str] = set()
    catalogue = directory.catalogue
    for name in (*directory.own, *catalogue.codenames, *catalogue.aliases):
        if name not in seen and (found := directory.meaning(name, scope).candidates):
            seen.add(name)
            yield _listed(directory, name, found)
    for deployment in directory.deployments.values():
        if scope is not None and deployment.name not in scope:
            continue
        for model in (*deployment.models, *(row.id for row in catalogue.of(deployment.name))):
            name = f"{deployment.name}/{model}"
            if name not in seen:
                seen.add(name)
                yield _listed(directory, name, (_candidate(directory, name, deployment, model, None),))


def entry(directory: Directory, model: str, scope: Scope) -> Listing:
    """One model, under the id that was asked for.

    Raises:
        NotFound: Nothing active answers to that name.
    """
    if not (found := resolve(directory, model, scope)):
        raise missing(directory, model, scope)
    return _listed(directory, model, found)


def _listed(directory: Directory, name: str, found: tuple[Candidate, ...]) -> Listing:
    # What is said of a model that several serve is true of the preferred one.
    first = found[0]
    coded = name in directory.catalogue.codenames or name in directory.own
    row: ModelEntry = {
        "id": name,
        "object": "model",
        "created": (first.known.created if first.known is not None else None) or 0,
        "owned_by": directory.name if coded else first.deployment.name,
    }
    if first.context:
        row["context_length"] = first.context
    if first.max_output:
        row["max_output_tokens"] = first.max_output
    return Listing(row, tuple(candidate.names for candidate in found))
