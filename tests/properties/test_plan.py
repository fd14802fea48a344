"""Laws of plans: what holds for every world, caller, wish and moment."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Quirks
from compatgw.errors import Forbidden, InvalidRequest, NotFound, UpstreamUnavailable
from compatgw.policy.access import Caller
from compatgw.policy.balance import Average
from compatgw.policy.directory import Directory, resolve
from compatgw.policy.explaining import explain
from compatgw.policy.needs import Needs
from compatgw.policy.plan import Live, Plan, Question, Vitals, plan, refusal, survey
from compatgw.surfaces.extensions import CallOptions, LoadBalance, Share
from tests.policy.planned import NOW, caller, model, world

PROVIDERS = "abcde"
NAMES = ["code", "m", "x", "a/m", "b/m", "c/x", "d/any", "al", "absent/m", "typo"]
GLOBS = ["*", "code", "m", "a/*", "b/*", "?/m", "c/x", "z"]


def some_world(seed: int) -> Directory:
    """A few providers with rows that know more or less, all by one number: drawing each fact takes far longer."""
    any_of = random.Random(seed)
    rows = [
        model(
            provider,
            id=any_of.choice(["m", "m", "x"]),
            context=any_of.choice([None, 10, 1000]),
            input=any_of.choice([(), ("text",), ("text", "image"), ("text", "image", "pdf", "audio")]),
            tools=any_of.random() < 0.7,
            streaming=any_of.random() < 0.8,
            quality=any_of.choice([None, 1.0, 2.0]),
            speed=any_of.choice([None, "fast", "moderate", "slow"]),
            tokens_per_second=any_of.choice([None, 100.0, 200.0]),
        )
        for provider in any_of.sample(PROVIDERS, any_of.randint(1, 5))
    ]
    quirks = [Quirks(), Quirks(tools=False), Quirks(json_schema=False), Quirks(json_schema=False, json_object=False)]
    return world(
        *rows,
        trust={provider: any_of.randint(0, 3) for provider in PROVIDERS if any_of.random() < 0.7},
        prices={key: any_of.choice("012") for key in ("a/m", "b/m", "c/x", "code") if any_of.random() < 0.7},
        quirks={provider: any_of.choice(quirks) for provider in PROVIDERS},
        aliases={"al": "b/m"},
        also=("d",) if "d" not in {row.provider for row in rows} else (),
    )


WORLDS = st.builds(some_world, st.integers(0, 100_000))
LISTS = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
BALANCES = st.none() | st.builds(
    LoadBalance,
    st.sampled_from(["round-robin", "least-latency", "weighted"]),
    st.lists(st.sampled_from(NAMES), max_size=3, unique=True).flatmap(
        lambda names: st.tuples(*[st.builds(Share, st.just(name), st.sampled_from([0.0, 1.0, 5.0])) for name in names])
    ),
)
OPTIONS = st.builds(
    CallOptions,
    fallback=LISTS,
    load_balance=BALANCES,
    optimise=st.sampled_from([None, "quality", "speed", "cost"]),
    trust_level=st.integers(0, 3),
    require_tools=st.booleans(),
    require_vision=st.booleans(),
    require_streaming=st.booleans(),
    speed=st.sampled_from([None, "fast", "moderate", "slow"]),
    model_hints=LISTS,
)
NEEDS = st.builds(
    Needs,
    tools=st.booleans(),
    images=st.booleans(),
    pdfs=st.booleans(),
    audio=st.booleans(),
    json_schema=st.booleans(),
    streaming=st.booleans(),
    input=st.integers(0, 100),
    least=st.integers(0, 30),
    output=st.none() | st.integers(1, 50),
    choices=st.integers(1, 3),
)
CALLERS = st.builds(
    lambda visible, models: caller(models=tuple(models), visible=tuple(visible)),
    st.lists(st.sampled_from(GLOBS), min_size=1, max_size=3),
    st.lists(st.sampled_from(GLOBS), min_size=1, max_size=3),
)
SCOPES = st.none() | st.frozensets(st.sampled_from(PROVIDERS), min_size=1)
QUESTIONS = st.builds(
    Question,
    model=st.sampled_from(NAMES),
    scope=SCOPES,
    caller=CALLERS,
    options=OPTIONS,
    needs=NEEDS,
    unsupported=st.sampled_from(["hints", "drop", "reject"]),
    vision_helper=st.booleans(),
)
# Everything that may be asked for at once rarely leaves anybody: most laws are about those who are left.
PLAIN = st.builds(Question, model=st.sampled_from(NAMES[:5]), scope=st.none(), caller=st.just(caller()), options=st.builds(CallOptions, fallback=LISTS, load_balance=BALANCES, optimise=st.sampled_from([None, "speed", "cost"]), model_hints=LISTS), needs=st.just(Needs(input=5)))  # fmt: skip
ASKED = QUESTIONS | PLAIN
VITALS = st.dictionaries(
    st.sampled_from(["a/m", "a/x", "b/m", "b/x", "c/m", "c/x", "d/any", "d/m", "e/m", "e/x"]),
    st.builds(
        Vitals,
        back=st.none() | st.sampled_from([NOW - 1, NOW, NOW + 3, NOW + 9]),
        ejected=st.booleans(),
        average=st.builds(Average, st.none() | st.floats(0, 5), st.just(NOW - 1)),
        in_flight=st.integers(0, 3),
    ),
)


def moment(vitals: dict[str, Vitals], seed: int = 0, turn: int = 0) -> Live:
    """What is known, with random numbers of its own."""
    return Live(now=NOW, vitals=vitals, turn=turn, random=random.Random(seed).random)


def keys(found: Plan) -> list[str]:
    """The targets as `provider/model`."""
    return [route.key for route in found.targets]


def reachable(found: Plan) -> set[str]:
    """The targets, and those that are none only for what happens at the moment."""
    return {*keys(found), *(loss.model for loss in found.left_out if loss.reason in ("ejected", "breaker_open"))}


@given(place=WORLDS, question=ASKED, vitals=VITALS, seed=st.integers(0, 9), turn=st.integers(0, 9))
def test_equal_inputs_give_equal_plans(
    place: Directory, question: Question, vitals: dict[str, Vitals], seed: int, turn: int
) -> None:
    """Time, turn and random numbers are arguments; nothing else is remembered that could change it."""
    one, other = (survey(question, place, moment(vitals, seed, turn)) for _ in range(2))
    assert (one.targets, one.left_out, one.retry_at) == (other.targets, other.left_out, other.retry_at)


@given(place=WORLDS, question=ASKED, vitals=VITALS, seed=st.integers(0, 9), turn=st.integers(0, 9))
def test_targets_and_left_out_partition_what_the_names_mean(
    place: Directory, question: Question, vitals: dict[str, Vitals], seed: int, turn: int
) -> None:
    """No target stands twice, and everything that any name means is in exactly one of the two."""
    found = survey(question, place, moment(vitals, seed, turn))
    assert len(set(keys(found))) == len(found.targets)
    balanced = question.options.load_balance
    names = [share.model for share in balanced.models] if balanced is not None and balanced.models else [question.model]
    meant: Counter[tuple[str, str]] = Counter()
    for name in [*names, *question.options.fallback]:
        candidates, absent = place.meaning(name, question.scope)
        every = [candidate.key for candidate in candidates] + [key for key, _ in absent]
        meant.update((name, key) for key in every or [name])
    told = Counter((route.names[0], route.key) for route in found.targets)
    told.update((loss.name, loss.model) for loss in found.left_out)
    assert told == meant


@given(place=WORLDS, question=ASKED, vitals=VITALS, seed=st.integers(0, 9))
def test_who_rests_is_never_a_target_and_nobody_waits_while_another_is_awake(
    place: Directory, question: Question, vitals: dict[str, Vitals], seed: int
) -> None:
    """There are targets, or there is a moment to wait for, or there is nothing to wait for."""
    found = survey(question, place, moment(vitals, seed))
    for route in found.targets:
        state = vitals.get(route.key, Vitals())
        assert state.back is None or state.back <= NOW
        assert (route.why == "last_resort") == state.ejected
    resting = [loss for loss in found.left_out if loss.reason == "breaker_open"]
    assert (found.retry_at is not None) == (not found.targets and bool(resting))
    if found.retry_at is not None:
        assert found.retry_at > NOW
        assert found.retry_at == min(vitals[loss.model].back or 0 for loss in resting)
    ejected = [route for route in found.targets if route.why == "last_resort"]
    assert len(ejected) in (0, len(found.targets))


FILTERS: list[dict[str, Any]] = [
    {"trust_level": 2},
    {"require_tools": True},
    {"require_vision": True},
    {"require_streaming": True},
    {"speed": "fast"},
    {"speed": "moderate"},
]


@given(place=WORLDS, question=PLAIN, vitals=VITALS, added=st.sampled_from(FILTERS))
def test_a_filter_never_adds_a_target(
    place: Directory, question: Question, vitals: dict[str, Vitals], added: dict[str, Any]
) -> None:
    """But for one that was ejected, where the filter takes away the better ones."""
    wide = survey(question, place, moment(vitals))
    narrow = survey(replace(question, options=replace(question.options, **added)), place, moment(vitals))
    assert set(keys(narrow)) <= reachable(wide)
    assert reachable(narrow) <= reachable(wide)
    awake = {key: replace(state, ejected=False) for key, state in vitals.items()}
    wide = survey(question, place, moment(awake))
    narrow = survey(replace(question, options=replace(question.options, **added)), place, moment(awake))
    assert set(keys(narrow)) <= set(keys(wide))


@given(place=WORLDS, question=PLAIN, needs=NEEDS)
def test_a_need_never_adds_a_target(place: Directory, question: Question, needs: Needs) -> None:
    """Whatever the request shows can only take out."""
    without = set(keys(survey(question, place, moment({}))))
    assert set(keys(survey(replace(question, needs=needs), place, moment({})))) <= without


@given(place=WORLDS, question=ASKED, vitals=VITALS, who=CALLERS)
def test_whoever_narrows_gets_nothing_that_the_wider_lacks(
    place: Directory, question: Question, vitals: dict[str, Vitals], who: Caller
) -> None:
    """Fewer globs, a smaller scope: never another target, but for one that only a need took from the wider.

    What the request shows to need is let go where nobody is left who meets it, and a narrow view leaves fewer.
    """
    wider = replace(question, caller=caller())
    narrower = replace(question, caller=who)
    shown = replace(question.needs, tools=False, images=False, pdfs=False, audio=False, json_schema=False)
    found = reachable(survey(wider, place, moment(vitals)))
    without = reachable(survey(replace(wider, needs=shown), place, moment(vitals)))
    assert reachable(survey(narrower, place, moment(vitals))) <= found | without


@given(place=WORLDS, question=ASKED, vitals=VITALS, turn=st.integers(0, 9))
def test_a_fallback_never_changes_the_order_of_the_first(
    place: Directory, question: Question, vitals: dict[str, Vitals], turn: int
) -> None:
    """Without ejected ones the plan without it is the beginning of the plan with it."""
    awake = {key: replace(state, ejected=False) for key, state in vitals.items()}
    without = replace(question, options=replace(question.options, fallback=()))
    alone = survey(without, place, moment(awake, 3, turn))
    together = survey(question, place, moment(awake, 3, turn))
    assert keys(together)[: len(alone.targets)] == keys(alone)
    assert not any(route.fallback for route in together.targets[: len(alone.targets)])
    assert all(route.fallback for route in together.targets[len(alone.targets) :])


@given(place=WORLDS, question=ASKED, vitals=VITALS)
def test_a_hint_and_a_goal_change_the_order_alone(
    place: Directory, question: Question, vitals: dict[str, Vitals]
) -> None:
    """Nobody comes or goes by `model_hints`, `optimise` or the strategy of a spread."""
    bare = replace(question, options=replace(question.options, model_hints=(), optimise=None))
    assert set(keys(survey(question, place, moment(vitals)))) == set(keys(survey(bare, place, moment(vitals))))


@given(place=WORLDS, question=ASKED, vitals=VITALS)
def test_a_plan_without_targets_has_one_honest_error(
    place: Directory, question: Question, vitals: dict[str, Vitals]
) -> None:
    """400 for a prompt that is too long, 403, 404, or 503 with a time; `plan` raises it, and never otherwise."""
    found = survey(question, place, moment(vitals))
    told = explain(found)
    assert len(told["targets"]) == len(found.targets)
    assert not any(loss["reason"] == "not_visible" for loss in told["left_out"])
    if found.targets:
        assert plan(question, place, moment(vitals)).targets == found.targets
        return
    error = refusal(found)
    assert isinstance(error, Forbidden | InvalidRequest | NotFound | UpstreamUnavailable)
    if isinstance(error, UpstreamUnavailable):
        assert error.code == "circuit_open"
        assert error.retry_after is not None
        assert error.retry_after > 0
    hidden = {loss.model for loss in found.left_out if loss.reason == "not_visible"}
    shown = {loss.model for loss in found.left_out} - hidden
    asked = {question.model, *question.options.fallback}
    assert not any(model in error.message for model in hidden - shown - asked if "/" in model)


@given(place=WORLDS, name=st.sampled_from(NAMES), scope=SCOPES)
def test_a_smaller_scope_shows_no_other_provider(place: Directory, name: str, scope: frozenset[str] | None) -> None:
    """Every candidate is of a provider in sight, and each stands once."""
    found = resolve(place, name, scope)
    assert len({candidate.key for candidate in found}) == len(found)
    assert all(scope is None or candidate.deployment.name in scope for candidate in found)
    assert all(candidate.names[0] == name for candidate in found)
