"""The plan of a call: the targets that it tries, in order, and why every other candidate is left out.

    names -> candidates (directory) -> filters -> order -> what rests is taken out -> targets

* The model that was asked for comes first, or the models of `load_balance` in the order that they were
  picked in; `model` is then not called unless it is one of them. The models of `fallback` follow.
* A need that the request only shows (an image, a tool) takes out what is known not to meet it, unless that
  leaves nobody; whether anything else does is the provider's to say. A `require_*` takes out whatever is not
  known to, and leaves nobody rather than that.
* `trust_level` and `speed` are the least that will do: `speed: moderate` takes fast models, too, and the
  lowest of each leaves nobody out. A tier that is not known counts as the lowest.
* Within one name: `model_hints`, then `optimise`, then the order of the name itself. Hints prefer among
  what could be called anyway; they never add a model.
* A candidate whose breaker is open never is a target. One that was ejected is while nothing else is left.
* A model that cannot be called at all (unknown, not visible, not for this key) is an error whatever
  `fallback` says: a fallback is for models that fail. Elsewhere such a model is just left out.

What does not live here: what names mean (`directory.py`), the filters (`filtering.py`), the order within a name
(`ordering.py`), what is told of a plan (`explaining.py`), trying targets (`flow/`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple

from compatgw.errors import Forbidden, InvalidRequest, NotFound, UpstreamUnavailable
from compatgw.policy import balance, limits
from compatgw.policy.balance import NEW, Average
from compatgw.policy.directory import missing, shown
from compatgw.policy.filtering import against, has_endpoint
from compatgw.policy.ordering import ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compatgw.dialects.base import Policy, Target
    from compatgw.errors import GatewayError
    from compatgw.policy.access import Caller
    from compatgw.policy.directory import Candidate, Deployment, Directory, Names, Scope
    from compatgw.policy.needs import Needs
    from compatgw.surfaces.extensions import CallOptions, LoadBalance

Reason = Literal[
    "not_visible",  # the caller's team does not see it
    "not_for_this_key",  # the team sees it, this key may not use it
    "not_in_scope",  # its provider is not shown at this path or host
    "no_provider",  # its provider is not active here, or nobody knows the name
    "no_endpoint",  # its provider does not have the endpoint
    "no_tools",
    "no_vision",
    "no_pdf",
    "no_audio",
    "no_json_schema",
    "no_streaming",
    "context_too_small",  # the prompt is surely longer than what it takes
    "trust_too_low",
    "trust_unknown",
    "too_slow",
    "speed_unknown",
    "no_weight",  # `load_balance` gives it no share
    "breaker_open",
    "ejected",  # it fails much more often than the others that serve the model
    "not_reached",  # a fallback of a model that cannot be called at all
    "duplicate",  # it stands further up already
]
"""Why a candidate is left out."""

Why = Literal[
    "asked",  # the one way to call the model that was asked for
    "hint",  # `model_hints` names it
    "order",  # the order of the name that it stands under
    "quality",
    "speed",
    "cost",
    "weighted",
    "round-robin",
    "least-latency",
    "last_resort",  # it was ejected, and nothing better is left
]
"""Why a target stands where it stands."""


class LeftOut(NamedTuple):
    """A candidate that is no target.

    Attributes:
        model: `provider/model`; the bare name where nobody knows it.
        reason: A word.
        by: What leaves it out, as part of a sentence: `trust_level 3`.
        name: The name that it was found under.
    """

    model: str
    reason: Reason
    by: str
    name: str


@dataclass(frozen=True, slots=True)
class Route:
    """One way to answer a call.

    Attributes:
        candidate: The model at its provider.
        target: What a codec is given.
        why: Why it stands where it stands.
        fallback: Its name is one of `fallback`, not the model that was asked for.
        describe_images: It cannot see the request's images: they have to be put into words first.
        deployment: The provider. key: `provider/model`.
    """

    candidate: Candidate
    target: Target
    why: Why
    fallback: bool = False
    describe_images: bool = False
    deployment: Deployment = field(init=False, compare=False)
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        # Most calls go over a route that was made long ago.
        object.__setattr__(self, "deployment", self.candidate.deployment)
        object.__setattr__(self, "key", self.candidate.key)

    @property
    def names(self) -> Names:
        """What the model is called, the name that led here first."""
        return self.candidate.names


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be planned.

    Attributes:
        model: The name that was asked for.
        scope: Which providers are in sight.
        caller: Who asks.
        options: What the caller wants of the gateway.
        needs: What the request needs.
        codec: The kind of the request: which codec has to be there.
        unsupported: What happens to members that a model cannot carry.
        vision_helper: A model is configured that puts images into words for those that see none.
        output_cap: Output tokens that a price is estimated with when the request names no maximum.
    """

    model: str
    scope: Scope
    caller: Caller
    options: CallOptions
    needs: Needs
    codec: str = "chat"
    unsupported: Policy = "hints"
    vision_helper: bool = False
    output_cap: int = 4096


@dataclass(slots=True)
class Vitals:
    """What is known of one deployment now; a planner only reads it, whoever sees calls come and go keeps it so.

    Attributes:
        back: The moment from which its breaker admits calls; None, and any that is past: it does.
        ejected: It is left out for failing much more than the others.
        average: Of the time to its first byte.
        in_flight: Calls that it is answering.
    """

    back: float | None = None
    ejected: bool = False
    average: Average = NEW
    in_flight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is known now.

    Attributes:
        now: Seconds since 1970, on the clock of breakers and averages.
        vitals: By `provider/model`; one that is not in it has not been called yet.
        turn: Calls before this one with the same `load_balance`, or for the same model; for `round-robin`.
            One counter for all would give models that are called in turn always the same turn.
        random: Numbers from 0 to below 1; asked only for `load_balance`.
    """

    now: float
    vitals: Mapping[str, Vitals]
    turn: int
    random: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a call is to try.

    Attributes:
        question: What was asked.
        targets: In order; none: see `refusal`.
        left_out: All other candidates.
        retry_at: When everything that is left rests: the moment at which the first is back.
        live: What was known. directory: Where it was looked up.
    """

    question: Question
    targets: tuple[Route, ...]
    left_out: tuple[LeftOut, ...]
    retry_at: float | None
    live: Live = field(repr=False, compare=False)
    directory: Directory = field(repr=False, compare=False)


def plan(question: Question, directory: Directory, live: Live) -> Plan:
    """The plan of a call; it has at least one target.

    Raises:
        NotFound: Nobody serves the model, the caller does not see it, or the filters leave nothing of it.
        Forbidden: The caller sees the model, and may not use it.
        InvalidRequest: The prompt is longer than any of its ways takes (`context_length_exceeded`).
        UpstreamUnavailable: All that is left rests (`circuit_open`), with the time until the first is back.
    """
    found = survey(question, directory, live)
    if not found.targets:
        raise refusal(found)
    return found


def sole(directory: Directory, model: str, scope: Scope, unsupported: Policy, codec: str) -> tuple[Route, ...]:
    """The one way to call `model`, where there is just one and so nothing to choose; else nothing."""
    candidates, _ = directory.meaning(model, scope)
    own = directory.own.get(model)
    if own is not None and (own.fallback or own.load_balance):
        return ()
    if len(candidates) != 1 or not has_endpoint(candidates[0].deployment, codec):
        return ()
    return (Route(candidates[0], candidates[0].target(unsupported), "asked"),)


def survey(question: Question, directory: Directory, live: Live) -> Plan:
    """As `plan`, but one without targets is no error: it is to be looked at."""
    found = _survey(question, directory, live)
    if found.targets or not any(lost.reason in _INFERRED for lost in found.left_out):
        return found
    # What a request only shows to need is a reason to prefer another model. Where there is none, the
    # model's own protocol says best which member it cannot carry.
    plain = replace(question.needs, tools=False, images=False, pdfs=False, audio=False, json_schema=False)
    relaxed = _survey(replace(question, needs=plain), directory, live)
    return relaxed if relaxed.targets else found


_INFERRED = frozenset({"no_tools", "no_vision", "no_pdf", "no_audio", "no_json_schema"})


def _survey(question: Question, directory: Directory, live: Live) -> Plan:
    left_out: list[LeftOut] = []
    groups = _groups(question, directory, left_out)
    awake, retry_at = _awake(groups, live, left_out)
    routes = _routes(awake, question, directory, live, left_out)
    return Plan(question, routes, tuple(left_out), retry_at, live, directory)


# --- who is left -----------------------------------------------------------------------------


class _Group(NamedTuple):
    """The candidates of one name that pass the filters.

    Attributes:
        name: The name.
        candidates: In the order of the name.
        weight: Its share. fallback: It stands in `fallback`.
    """

    name: str
    candidates: Sequence[Candidate]
    weight: float = 1.0
    fallback: bool = False


def _groups(question: Question, directory: Directory, left_out: list[LeftOut]) -> list[_Group]:
    """The names that are tried, in order, each with the candidates that pass."""
    balanced = question.options.load_balance
    if balanced is None or not balanced.models:
        groups = [_Group(question.model, _passing(question.model, question, directory, left_out))]
    else:
        groups = [
            _Group(share.model, _passing(share.model, question, directory, left_out), share.weight)
            for share in balanced.models
        ]
        if balanced.strategy == "weighted":
            left_out += [
                LeftOut(candidate.key, "no_weight", "a weight of 0", group.name)
                for group in groups
                if not group.weight
                for candidate in group.candidates
            ]
            groups = [group for group in groups if group.weight]
    if not question.options.fallback:
        return groups
    barred = not any(group.candidates for group in groups) and all(found.reason in _BARRED for found in left_out)
    for name in question.options.fallback:
        others: list[LeftOut] = []
        candidates = _passing(name, question, directory, others)
        if barred:
            others += [LeftOut(candidate.key, "not_reached", "", name) for candidate in candidates]
            others = [found if found.reason == "not_visible" else _not_reached(found) for found in others]
            candidates = []
        left_out += others
        groups.append(_Group(name, candidates, fallback=True))
    return groups


def _not_reached(found: LeftOut) -> LeftOut:
    return found._replace(reason="not_reached", by="the model that was asked for, which cannot be called at all,")


# A model that is left out for one of these cannot be called by this caller, whatever it sends.
_BARRED = frozenset({"not_visible", "not_for_this_key", "not_in_scope", "no_provider"})


def _passing(name: str, question: Question, directory: Directory, left_out: list[LeftOut]) -> list[Candidate]:
    """The candidates of `name` that the caller may use and the filters leave."""
    candidates, absent = directory.meaning(name, question.scope)
    passing = []
    for candidate in candidates:
        found = against(candidate, question)
        if found is None:
            passing.append(candidate)
        else:
            left_out.append(LeftOut(candidate.key, found[0], found[1], name))
    for key, reason in absent:
        left_out.append(LeftOut(key, reason, _ABSENT[reason], name))
    if not candidates and not absent:
        left_out.append(LeftOut(shown(name), "no_provider", _ABSENT["no_provider"], name))
    return passing


_ABSENT: Mapping[Literal["no_provider", "not_in_scope"], str] = {
    "no_provider": "the lack of an active provider",
    "not_in_scope": "this path, which shows other providers,",
}


def _awake(groups: list[_Group], live: Live, left_out: list[LeftOut]) -> tuple[list[_Group], float | None]:
    """The groups without what rests, or the moment at which the first of all that rest is back."""
    vitals = live.vitals
    if not vitals:
        return groups, None
    resting: list[tuple[float, LeftOut]] = []
    ejected: list[LeftOut] = []
    awake, second = [], []
    for group in groups:
        free, last = [], []
        for candidate in group.candidates:
            state = vitals.get(candidate.key)
            if state is None:
                free.append(candidate)
            elif state.back is not None and state.back > live.now:
                by = f"its breaker, for another {state.back - live.now:.3g} seconds,"
                resting.append((state.back, LeftOut(candidate.key, "breaker_open", by, group.name)))
            elif state.ejected:
                last.append(candidate)
                ejected.append(LeftOut(candidate.key, "ejected", "the share of its calls that fail", group.name))
            else:
                free.append(candidate)
        awake.append(group._replace(candidates=free))
        second.append(group._replace(candidates=last))
    left_out += [found for _, found in resting]
    if any(group.candidates for group in awake):
        left_out += ejected
        return awake, None
    if ejected:
        # Whoever fails often is still better than nobody.
        return second, None
    return awake, min((back for back, _ in resting), default=None)


# --- in which order --------------------------------------------------------------------------


class _Placed(NamedTuple):
    """A candidate in its place."""

    candidate: Candidate
    why: Why
    name: str
    fallback: bool = False


def _routes(
    groups: Sequence[_Group], question: Question, directory: Directory, live: Live, left_out: list[LeftOut]
) -> tuple[Route, ...]:
    """The targets, each once, where it stands first."""
    balanced = question.options.load_balance
    shared = [group for group in groups if balanced is not None and not group.fallback and group.candidates]
    placed = _picked(balanced, shared, question, directory, live) if balanced is not None and shared else []
    for group in groups:
        if balanced is None or group.fallback:
            found = ordered(group.candidates, question, directory, live)
            placed += [_Placed(candidate, why, group.name, group.fallback) for candidate, why in found]
    routes: dict[str, Route] = {}
    for candidate, why, name, fallback in placed:
        if candidate.key in routes:
            left_out.append(LeftOut(candidate.key, "duplicate", "its place further up", name))
            continue
        state = live.vitals.get(candidate.key)
        if state is not None and state.ejected:
            why = "last_resort"
        # Such a candidate is left only where there is a vision helper.
        describe = question.needs.images and candidate.takes("image") is False
        routes[candidate.key] = Route(candidate, candidate.target(question.unsupported), why, fallback, describe)
    return tuple(routes.values())


def _picked(
    balanced: LoadBalance, groups: Sequence[_Group], question: Question, directory: Directory, live: Live
) -> list[_Placed]:
    """The candidates of the models that share the calls, in the order in which this call tries them."""
    strategy = balanced.strategy
    placed = [
        [_Placed(one, strategy, group.name) for one, _ in ordered(group.candidates, question, directory, live)]
        for group in groups
    ]
    repeated: list[_Placed] = []
    if strategy == "least-latency" or not balanced.models:
        # Each deployment takes calls of its own, and only once, whatever it was named.
        single: dict[str, _Placed] = {}
        every = chain.from_iterable(placed)
        repeated = [one for one in every if single.setdefault(one.candidate.key, one) is not one]
        placed = [[one] for one in single.values()]
    order: Sequence[int]
    if strategy == "round-robin":
        order = balance.round_robin(len(placed), live.turn)
    elif strategy == "least-latency":
        states = [live.vitals.get(one.candidate.key, _UNSEEN) for one, *_ in placed]
        averages, busy = [state.average for state in states], [state.in_flight for state in states]
        order = balance.least_latency(averages, busy, live.now, live.random)
    else:
        weights = (
            [group.weight for group in groups] if balanced.models else [one.candidate.weight for one, *_ in placed]
        )
        order = balance.weighted(weights, live.random)
    return [*chain.from_iterable(placed[place] for place in order), *repeated]


_UNSEEN = Vitals()


# --- when nobody is left ---------------------------------------------------------------------

_NAMED = 5


def refusal(plan: Plan) -> GatewayError:
    """What a client is told of a plan without targets."""
    question, left_out = plan.question, plan.left_out
    model = shown(question.model)
    if plan.retry_at is not None:
        wait = plan.retry_at - plan.live.now
        resting = [found.model for found in left_out if found.reason == "breaker_open"]
        return UpstreamUnavailable(
            f"Everything that could answer the model '{model}' rests after failures: {_some(resting)}. "
            f"Try again in {limits.duration(int(wait * 1000) + 1)}.",
            code="circuit_open",
            retry_after=wait,
        )
    filtered: dict[tuple[Reason, str], list[str]] = {}
    for found in left_out:
        if found.reason not in _BARRED and found.reason != "not_reached":
            filtered.setdefault((found.reason, found.by), []).append(found.model)
    if {reason for reason, _ in filtered} == {"context_too_small"}:
        return InvalidRequest(
            f"The prompt has about {question.needs.input} tokens, and the model '{model}' takes fewer. "
            "Shorten the messages, or choose a model with a larger context.",
            param="messages",
            code="context_length_exceeded",
        )
    if filtered:
        said = "; ".join(f"{by} leaves out {_some(models)}" for (_, by), models in filtered.items())
        return NotFound(
            f"No candidate is left for the model '{model}': {said}. Ask for less, or for another model.", param="model"
        )
    if any(found.reason == "not_for_this_key" for found in left_out):
        return Forbidden(
            f"This key may not use the model '{model}'. Ask the gateway's operator, or choose another model.",
            param="model",
        )
    return missing(plan.directory, question.model, question.scope)


def _some(models: Sequence[str]) -> str:
    names = ", ".join(shown(model) for model in models[:_NAMED])
    return names if len(models) <= _NAMED else f"{names} and {len(models) - _NAMED} more"
