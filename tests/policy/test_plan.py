"""Which targets a call tries, in which order, and why every other candidate is left out."""

import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from compatgw.dialects.base import Quirks
from compatgw.errors import Forbidden, InvalidRequest, NotFound, UpstreamUnavailable
from compatgw.policy.balance import Average
from compatgw.policy.directory import Candidate, OwnModel, resolve
from compatgw.policy.needs import Needs
from compatgw.policy.ordering import price
from compatgw.policy.plan import LeftOut, Vitals, plan, refusal, sole
from compatgw.providers.prices import Prices
from compatgw.state.base import Price
from tests.policy.planned import NOW, ask, caller, live, look, lost, model, targets, world

ABC = world(model("a"), model("b"), model("c"))


def open_for(seconds: float) -> Vitals:
    """A deployment whose breaker is open for so long."""
    return Vitals(back=NOW + seconds)


# --- names -----------------------------------------------------------------------------------


def test_a_codename_is_tried_in_its_own_order() -> None:
    """All of its providers are targets; nothing is left out, nobody is a fallback."""
    found = plan(ask(), ABC, live())
    assert targets(found) == ["a", "b", "c"]
    assert [(route.why, route.fallback, route.names) for route in found.targets] == [
        ("order", False, ("code", f"{name}/m", "m")) for name in "abc"
    ]
    assert (found.left_out, found.retry_at) == ((), None)


def test_a_target_carries_what_a_codec_needs() -> None:
    """Quirks, limits and the policy for what cannot be carried."""
    quirks = Quirks(n=False)
    place = world(model("a"), quirks={"a": quirks}, own={"mine": OwnModel(("a/m",), max_output=9, traits={"x": 1})})
    (route,) = plan(ask("mine", unsupported="drop"), place, live()).targets
    target = route.target
    assert (target.provider, target.model, target.quirks, target.max_output) == ("a", "m", quirks, 9)
    assert (target.traits, target.unsupported, route.why, route.key) == ({"x": 1}, "drop", "asked", "a/m")


def test_providers_that_are_not_active_or_not_in_scope_are_named() -> None:
    """The plan says what else the name means."""
    place = world(model("a"), model("b"))
    found = look(place, ask(scope=frozenset({"b"})))
    assert (targets(found), lost(found)) == (["b"], {"a": "not_in_scope"})
    found = look(place, ask("b/m", fallback=["absent/x", "nonsense"]))
    assert found.left_out == (
        LeftOut("absent/x", "no_provider", "the lack of an active provider", "absent/x"),
        LeftOut("nonsense", "no_provider", "the lack of an active provider", "nonsense"),
    )


# --- rights ----------------------------------------------------------------------------------


def test_a_team_gets_only_what_it_sees_and_a_key_only_what_it_may() -> None:
    """By the name that was asked for, or by the candidate's own."""
    found = look(ABC, ask(who=caller(visible=("a/*", "b/*"), models=("b/*", "c/*"))))
    assert (targets(found), lost(found)) == (["b"], {"a": "not_for_this_key", "c": "not_visible"})
    assert targets(look(ABC, ask(who=caller(models=("code",))))) == ["a", "b", "c"]
    assert targets(look(ABC, ask(who=caller(models=("m",))))) == ["a", "b", "c"]


def test_a_model_that_the_team_does_not_see_is_404_and_one_not_for_the_key_403() -> None:
    """Whatever the fallback says: it is for models that fail."""
    unseen, barred = caller(visible=("z",)), caller(models=("b/*",))
    with pytest.raises(NotFound) as missing:
        plan(ask("a/m", who=unseen), ABC, live())
    assert (missing.value.status, missing.value.code, missing.value.param) == (404, "model_not_found", "model")
    with pytest.raises(Forbidden) as forbidden:
        plan(ask("a/m", who=barred, fallback=["b/m"]), ABC, live())
    assert (forbidden.value.status, forbidden.value.code) == (403, "model_not_allowed")
    assert lost(look(ABC, ask("a/m", who=barred, fallback=["b/m"]))) == {"a": "not_for_this_key", "b": "not_reached"}
    with pytest.raises(NotFound, match="has no active provider"):
        plan(ask("typo", fallback=["b/m"]), ABC, live())
    with pytest.raises(NotFound, match="has no active provider"):
        plan(ask("a/m", who=caller(visible=("b/*",), models=("c/*",)), fallback=["b/m"]), ABC, live())


def test_what_a_team_does_not_see_stays_unseen_behind_a_refused_model() -> None:
    """No reason but that one is given for it."""
    found = look(ABC, ask("typo", who=caller(visible=("a/*",)), fallback=["a/m", "b/m"]))
    assert lost(found) == {"typo": "no_provider", "a": "not_reached", "b": "not_visible"}


# --- fallback --------------------------------------------------------------------------------


def test_a_fallback_follows_in_order_each_once() -> None:
    """What stands further up already is not tried twice."""
    place = world(model("a"), model("b"), model("c", id="x"), also=("d",))
    found = look(place, ask("b/m", fallback=["c/x", "code", "d/any"]))
    assert targets(found) == ["b", "c", "a", "d"]
    assert [route.fallback for route in found.targets] == [False, True, True, True]
    assert [(loss.model, loss.reason, loss.name) for loss in found.left_out] == [
        ("b/m", "duplicate", "code"),
        ("c/x", "duplicate", "code"),
    ]


def test_a_fallback_that_the_caller_may_not_use_is_left_out_without_an_error() -> None:
    """The rest of the list still counts."""
    found = look(ABC, ask("a/m", who=caller(models=("a/*", "c/*")), fallback=["b/m", "c/m"]))
    assert (targets(found), lost(found)) == (["a", "c"], {"b": "not_for_this_key"})


def test_a_fallback_answers_where_filters_leave_nothing_of_the_first() -> None:
    """Such as a larger model for a longer prompt."""
    place = world(model("a", context=10), model("b"))
    found = look(place, ask("a/m", fallback=["b/m"], needs=Needs(input=60, least=20)))
    assert (targets(found), lost(found)) == (["b"], {"a": "context_too_small"})
    assert found.targets[0].fallback


def test_thread_32_one_model_falls_back_to_another_plain_or_streamed() -> None:
    """tensorzero#2907: the list is part of every plan, whatever is asked for."""
    for streaming in (False, True):
        found = look(ABC, ask("a/m", fallback=["b/m"], needs=Needs(streaming=streaming)))
        assert targets(found) == ["a", "b"]


def test_thread_7_without_a_list_nobody_else_is_tried() -> None:
    """litellm#19077: no fallback but the one that was asked for, in streams as well."""
    assert targets(look(ABC, ask("a/m", needs=Needs(streaming=True)))) == ["a"]


# --- needs and requirements ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "needs", "reason"),
    [
        ({"input": ("text",)}, Needs(images=True), "no_vision"),
        ({"input": ("text", "image")}, Needs(pdfs=True), "no_pdf"),
        ({"input": ("text", "image")}, Needs(audio=True), "no_audio"),
        ({"streaming": False}, Needs(streaming=True), "no_streaming"),
        ({"context": 50}, Needs(input=200, least=51), "context_too_small"),
    ],
)
def test_a_need_that_shows_takes_out_what_is_known_not_to_meet_it(
    facts: dict[str, Any], needs: Needs, reason: str
) -> None:
    """What is not known passes: the provider decides."""
    place = world(model("a", **facts), model("b"), also=("c",))
    found = look(place, ask(needs=needs, fallback=["c/unknown"]))
    assert (targets(found), lost(found)) == (["b", "c"], {"a": reason})


@pytest.mark.parametrize(
    ("quirks", "needs", "unsupported", "reason"),
    [
        (Quirks(tools=False), Needs(tools=True), "hints", "no_tools"),
        (Quirks(tools=False), Needs(tools=True), "reject", "no_tools"),
        (Quirks(tools=False), Needs(tools=True), "drop", None),
        (Quirks(json_schema=False), Needs(json_schema=True), "hints", None),
        (Quirks(json_schema=False), Needs(json_schema=True), "reject", "no_json_schema"),
        (Quirks(json_schema=False, json_object=False), Needs(json_schema=True), "hints", "no_json_schema"),
        (Quirks(json_schema=False, json_object=False), Needs(json_schema=True), "drop", None),
    ],
)
def test_a_provider_that_refuses_tools_or_schemas_is_left_out(
    quirks: Quirks, needs: Needs, unsupported: Any, reason: str | None
) -> None:
    """Unless something stands in for it, or the caller would rather go without."""
    place = world(model("a"), model("b"), quirks={"a": quirks})
    found = look(place, ask(needs=needs, unsupported=unsupported))
    assert lost(found) == ({} if reason is None else {"a": reason})
    assert targets(look(place, ask(unsupported=unsupported))) == ["a", "b"]


def test_a_row_that_says_no_tools_leaves_that_open() -> None:
    """In the catalogue False is also what is not known."""
    place = world(model("a", tools=False, json_schema=False))
    assert targets(look(place, ask(needs=Needs(tools=True, json_schema=True)))) == ["a"]


@pytest.mark.parametrize(
    ("member", "facts", "reason"),
    [
        ("require_tools", {"tools": False}, "no_tools"),
        ("require_vision", {"input": ("text",)}, "no_vision"),
        ("require_vision", {"input": ()}, "no_vision"),
        ("require_streaming", {"streaming": False}, "no_streaming"),
    ],
)
def test_a_requirement_takes_out_whatever_is_not_known_to_meet_it(
    member: str, facts: dict[str, Any], reason: str
) -> None:
    """Models without a row, too; false asks for nothing."""
    place = world(model("a", **facts), model("b"), also=("c",))
    wishes: dict[str, Any] = {member: True}
    found = look(place, ask(fallback=["c/unknown"], **wishes))
    assert (targets(found), lost(found)) == (["b"], {"a": reason, "c": reason})
    wishes[member] = False
    assert targets(look(place, ask(fallback=["c/unknown"], **wishes))) == ["a", "b", "c"]


def test_a_requirement_holds_for_the_provider_too() -> None:
    """A model that calls tools does not at a provider that serves none."""
    place = world(model("a"), quirks={"a": Quirks(tools=False)})
    assert lost(look(place, ask(require_tools=True))) == {"a": "no_tools"}


def test_a_vision_helper_meets_a_need_but_not_a_requirement() -> None:
    """Who sees the images comes first; who does not is marked, so that they are put into words for it."""
    place = world(model("a", input=("text",)), model("b"), also=("c",))
    found = look(place, ask(needs=Needs(images=True), vision_helper=True, fallback=["c/unknown"]))
    assert [(route.deployment.name, route.describe_images) for route in found.targets] == [
        ("b", False),
        ("a", True),
        ("c", False),
    ]
    assert not any(route.describe_images for route in look(place, ask(vision_helper=True)).targets)
    found = look(place, ask(needs=Needs(images=True), vision_helper=True, require_vision=True))
    assert lost(found) == {"a": "no_vision"}


def test_a_context_of_the_operators_own_counts() -> None:
    """It overrides the catalogue's; a prompt that may just fit is sent."""
    place = world(model("a"), own={"small": OwnModel(("a/m",), context=10)})
    assert lost(look(place, ask("small", needs=Needs(input=90, least=30)))) == {"a": "context_too_small"}
    assert targets(look(place, ask("small", needs=Needs(input=30, least=10)))) == ["a"]


def test_a_prompt_that_fits_nowhere_is_the_callers_400() -> None:
    """As the upstream itself would say it, so that SDKs that shorten prompts understand."""
    place = world(model("a", context=10), model("b", context=20))
    with pytest.raises(InvalidRequest) as caught:
        plan(ask(needs=Needs(input=90, least=30)), place, live())
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "context_length_exceeded", "messages")


# --- tiers -----------------------------------------------------------------------------------


def test_trust_level_is_the_least_that_will_do() -> None:
    """A tier that nobody knows is trusted with nothing but level 0."""
    place = world(model("a"), model("b"), model("c"), trust={"a": 1, "b": 3})
    found = look(place, ask(trust_level=2))
    assert (targets(found), lost(found)) == (["b"], {"a": "trust_too_low", "c": "trust_unknown"})
    assert targets(look(place, ask(trust_level=0))) == ["a", "b", "c"]
    lowest = look(world(model("a"), model("b"), model("c"), trust={"a": 0, "b": 1}), ask(trust_level=1))
    assert (targets(lowest), lost(lowest)) == (["b"], {"a": "trust_too_low", "c": "trust_unknown"})


def test_speed_is_the_least_that_will_do() -> None:
    """Whoever asks for moderate takes fast, too; everybody is at least slow."""
    place = world(model("a", speed="slow"), model("b", speed="moderate"), model("c", speed="fast"), model("d"))
    found = look(place, ask(speed="moderate"))
    assert (targets(found), lost(found)) == (["b", "c"], {"a": "too_slow", "d": "speed_unknown"})
    assert targets(look(place, ask(speed="fast"))) == ["c"]
    assert targets(look(place, ask(speed="slow"))) == ["a", "b", "c", "d"]
    assert lost(look(world(model("a"), also=("e",)), ask("e/x", speed="fast"))) == {"e": "speed_unknown"}


def test_thread_30_a_404_says_which_filter_left_no_candidate() -> None:
    """envoyproxy/ai-gateway#1866, #1754: what applied, and to whom, is said."""
    rows = [model(name, input=("text",)) for name in "abcdefg"]
    place = world(*rows, trust=dict.fromkeys("abcdef", 1))
    with pytest.raises(NotFound) as caught:
        plan(ask(trust_level=3), place, live())
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    message = caught.value.message
    assert "trust_level 3 leaves out a/m, b/m, c/m, d/m, e/m and 1 more" in message
    assert "trust_level 3 leaves out g/m" in message
    with pytest.raises(NotFound, match="require_vision leaves out a/m"):
        plan(ask("a/m", require_vision=True), place, live())
    with pytest.raises(NotFound, match="the endpoint 'speech', which its provider does not have, leaves out a/m"):
        plan(replace(ask("a/m"), codec="speech"), world(model("a"), dialect="anthropic"), live())


def test_a_need_that_only_shows_leaves_nobody_out_where_there_is_nobody_else() -> None:
    """The model's own protocol says best which member it cannot carry; where another one can, that is preferred."""
    place = world(model("a", input=("text",)), model("b", input=("text",)))
    seeing = world(model("a", input=("text",)), model("b", input=("text", "image")))
    assert targets(look(place, ask(needs=Needs(images=True)))) == ["a", "b"]
    assert targets(look(seeing, ask(needs=Needs(images=True)))) == ["b"]


def test_a_message_names_five_models_at_most() -> None:
    """Five fit as they are; of more, the rest is counted."""
    place = world(*[model(name) for name in "abcde"])
    with pytest.raises(NotFound, match=r"leaves out a/m, b/m, c/m, d/m, e/m\. Ask for less"):
        plan(ask(trust_level=1), place, live())


def test_a_message_names_no_model_that_the_team_does_not_see() -> None:
    """Filters speak of the others alone."""
    with pytest.raises(NotFound) as caught:
        plan(ask(trust_level=3, who=caller(visible=("a/*",))), ABC, live())
    assert "a/m" in caught.value.message
    assert "b/m" not in caught.value.message


# --- order -----------------------------------------------------------------------------------


def test_quality_comes_first_by_default() -> None:
    """The higher rating first, then those without one in the order of the name."""
    place = world(model("a"), model("b", quality=0.0), model("c"), model("d", quality=80.0), model("e", quality=80.0))
    both: tuple[dict[str, Any], ...] = ({}, {"optimise": "quality"})
    for members in both:
        found = look(place, ask(**members))
        assert targets(found) == ["d", "e", "b", "a", "c"]
        assert [route.why for route in found.targets] == ["quality", "quality", "quality", "order", "order"]


def test_speed_goes_by_tier_then_tokens_a_second_then_what_was_seen() -> None:
    """What is not known comes last at each step."""
    place = world(
        model("a"),
        model("b", speed="slow", tokens_per_second=900.0),
        model("c", speed="fast"),
        model("d", speed="fast", tokens_per_second=300.0),
        model("e", speed="fast"),
        model("f", speed="moderate"),
    )
    vitals = {"e/m": Vitals(average=Average(0.1, NOW)), "a/m": Vitals()}
    found = look(place, ask(optimise="speed"), live(vitals))
    assert targets(found) == ["d", "e", "c", "f", "b", "a"]
    assert {route.why for route in found.targets} == {"speed"}


def test_cost_goes_by_what_this_very_request_costs() -> None:
    """Input and output are weighed as the request has them; a price that nobody knows comes last."""
    place = world(model("a"), model("b"), model("c", max_output=2), prices={"b/m": "2", "c/m": "3"})
    long_answer = Needs(input=1, output=1000)
    found = look(place, ask(optimise="cost", needs=long_answer))
    assert targets(found) == ["c", "b", "a"]
    assert [route.why for route in found.targets] == ["cost", "cost", "order"]
    assert targets(look(place, ask(optimise="cost", needs=Needs(input=1000, output=1)))) == ["b", "c", "a"]


def test_cost_is_told_by_the_size_that_is_asked_for() -> None:
    """A maximum of the request's own counts, else the usual one; at most what the model writes, for each choice."""
    place = world(model("a", max_output=5000), model("b"), prices={"a/m": "1", "b/m": "1"})
    first, second = resolve(place, "code", None)

    def dollars(candidate: Candidate, **needs: Any) -> Decimal | None:
        return price(candidate, ask(needs=Needs(input=1000, **needs)), place)

    assert dollars(first, output=10) == Decimal("0.00101")
    assert dollars(first) == Decimal("0.005096")
    assert dollars(second, output=999, choices=2) == Decimal("0.0012")
    own = {"code": Price(input=Decimal(3), output=Decimal(0))}
    named = replace(place, prices=Prices({}, own))
    assert price(first, ask(needs=Needs(input=1000)), named) == Decimal("0.003")


def test_cost_without_any_prices_keeps_the_order() -> None:
    """And a request for more output than there is breaks nothing."""
    bare = replace(ABC, prices=None)
    assert targets(look(bare, ask(optimise="cost"))) == ["a", "b", "c"]
    place = world(model("a", max_output=None), model("b", max_output=None), prices={"a/m": "5", "b/m": "4"})
    found = look(place, ask(optimise="cost", needs=Needs(input=1, output=10**18, choices=128)))
    assert targets(found) == ["b", "a"]


def test_hints_come_first_in_their_order_and_never_add_a_model() -> None:
    """Whatever name of a candidate they use; the rest keeps its order."""
    place = world(
        model("a", quality=9.0), model("b"), model("c"), model("d", id="x"), aliases={"bee": "b/m"}, also=("e",)
    )
    found = look(place, ask(model_hints=["x", "nonsense", "e/other", "bee", "d/x"]))
    assert targets(found) == ["d", "b", "a", "c"]
    assert [route.why for route in found.targets] == ["hint", "hint", "quality", "order"]
    assert targets(look(place, ask("a/m", model_hints=["b/m"]))) == ["a"]


def test_a_hint_that_means_several_keeps_their_order() -> None:
    """They are equally wanted."""
    place = world(model("a", id="x"), model("b", quality=1.0), model("c", quality=2.0))
    assert targets(look(place, ask(model_hints=["m"]))) == ["c", "b", "a"]


# --- load balance ----------------------------------------------------------------------------


def shares(**weights: float) -> list[dict[str, Any]]:
    """`models` of a `load_balance`."""
    return [{"model": f"{name}/m", "weight": weight} for name, weight in weights.items()]


def first_of(members: dict[str, Any], calls: int, **state: Any) -> Counter[str]:
    """How often each provider came first."""
    drawn = random.Random(5).random
    return Counter(
        targets(look(ABC, ask(load_balance=members), live(turn=turn, random=drawn, **state)))[0]
        for turn in range(calls)
    )


def test_weighted_calls_share_as_the_weights_say() -> None:
    """Chi-square over 10,000 calls; who is not drawn follows, so that a failure spreads."""
    found = first_of({"strategy": "weighted", "models": shares(a=6, b=3, c=1)}, 10_000)
    expected = {"a": 6000, "b": 3000, "c": 1000}
    assert sum((found[name] - many) ** 2 / many for name, many in expected.items()) < 13.8  # p = 0.001, 2 degrees
    route = look(ABC, ask(load_balance={"strategy": "weighted", "models": shares(a=1, b=1)})).targets
    assert [(each.why, each.fallback) for each in route] == [("weighted", False)] * 2


def test_a_weight_of_nothing_gets_no_call_even_when_the_others_rest() -> None:
    """It is out, as the caller says; as a fallback it may still be named."""
    members: dict[str, Any] = {"strategy": "weighted", "models": shares(a=1, b=0)}
    found = look(ABC, ask(load_balance=members))
    assert (targets(found), lost(found)) == (["a"], {"b": "no_weight"})
    found = look(ABC, ask(load_balance=members), live({"a/m": open_for(5)}))
    assert (targets(found), found.retry_at) == ([], NOW + 5)
    assert targets(look(ABC, ask(load_balance=members, fallback=["b/m"]))) == ["a", "b"]


def test_round_robin_takes_turns_among_those_that_are_awake() -> None:
    """One that rests gives its turns to all others alike, not to its neighbour."""
    members = {"strategy": "round-robin", "models": shares(a=1, b=1, c=1)}
    assert first_of(members, 30) == {"a": 10, "b": 10, "c": 10}
    assert first_of(members, 30, vitals={"b/m": open_for(1)}) == {"a": 15, "c": 15}
    assert targets(look(ABC, ask(load_balance=members), live(turn=1))) == ["b", "c", "a"]


def test_least_latency_takes_the_better_of_two_drawn() -> None:
    """The slowest of three is first only if both draws fall on it, which they cannot."""
    vitals = {
        "a/m": Vitals(average=Average(0.3, NOW)),
        "b/m": Vitals(average=Average(0.1, NOW)),
        "c/m": Vitals(average=Average(0.2, NOW)),
    }
    members = {"strategy": "least-latency", "models": [{"model": "code"}]}
    found = first_of(members, 3000, vitals=vitals)
    assert found["a"] == 0
    assert found["b"] == pytest.approx(2000, abs=120)
    busy = {**vitals, "b/m": Vitals(average=Average(0.1, NOW), in_flight=9)}
    assert first_of(members, 3000, vitals=busy)["b"] == 0


def test_least_latency_counts_a_deployment_once_whatever_it_is_called() -> None:
    """Two names of one are one; the second is a duplicate."""
    members = {"strategy": "least-latency", "models": [{"model": "a/m"}, {"model": "code"}]}
    found = look(ABC, ask(load_balance=members))
    assert sorted(targets(found)) == ["a", "b", "c"]
    assert found.left_out == (LeftOut("a/m", "duplicate", "its place further up", "code"),)


def test_load_balance_without_models_spreads_over_the_ways_to_call_the_one_asked_for() -> None:
    """So a codename's providers share its calls."""
    assert first_of({"strategy": "round-robin"}, 9) == {"a": 3, "b": 3, "c": 3}
    found = first_of({"strategy": "weighted"}, 9000)
    assert all(found[name] == pytest.approx(3000, abs=200) for name in "abc")


def test_two_names_of_one_deployment_add_up_their_weights() -> None:
    """It is tried once, and drawn as often as both say."""
    place = world(model("a"), model("b"), model("c"), aliases={"ay": "a/m"})
    models = [{"model": "ay", "weight": 1}, {"model": "a/m", "weight": 1}, {"model": "b/m", "weight": 2}]
    question = ask(load_balance={"strategy": "weighted", "models": models})
    drawn = random.Random(2).random
    found = Counter(targets(look(place, question, live(random=drawn)))[0] for _ in range(4000))
    assert found["a"] == pytest.approx(2000, abs=130)


def test_the_models_of_load_balance_stand_in_for_the_one_asked_for() -> None:
    """It is called only if it is one of them; within a name its own order holds; fallbacks follow."""
    place = world(model("a"), model("b"), model("c", id="x"), model("d", id="y"))
    models = [{"model": "c/x"}, {"model": "m"}]
    found = look(
        place,
        ask("whatever", load_balance={"strategy": "round-robin", "models": models}, fallback=["d/y"]),
        live(turn=1),
    )
    assert targets(found) == ["a", "b", "c", "d"]
    assert [route.fallback for route in found.targets] == [False, False, False, True]


def test_a_model_of_load_balance_that_cannot_be_called_is_left_out() -> None:
    """The others take its calls; when none can, the error is as for one model."""
    models = [{"model": "typo"}, {"model": "a/m"}]
    members = {"strategy": "round-robin", "models": models}
    found = look(ABC, ask(load_balance=members))
    assert (targets(found), lost(found)) == (["a"], {"typo": "no_provider"})
    with pytest.raises(Forbidden):
        plan(ask(load_balance=members, who=caller(models=("b/*",)), fallback=["b/m"]), ABC, live())


def test_without_load_balance_no_random_number_is_asked_for() -> None:
    """The order is stable, whatever was seen of late."""

    def never() -> float:
        raise AssertionError("asked")

    vitals = {"a/m": Vitals(average=Average(9.0, NOW)), "b/m": Vitals(average=Average(0.1, NOW))}
    assert targets(look(ABC, ask(), live(vitals, random=never))) == ["a", "b", "c"]


# --- what rests ------------------------------------------------------------------------------


def test_who_rests_or_is_ejected_is_left_out_while_another_remains() -> None:
    """A moment that is past, or now, is no rest."""
    vitals = {"a/m": open_for(5), "b/m": Vitals(ejected=True), "c/m": Vitals(back=NOW)}
    found = look(ABC, ask(), live(vitals))
    assert (targets(found), lost(found), found.retry_at) == (
        ["c"],
        {"a": "breaker_open", "b": "ejected"},
        None,
    )


def test_a_fallback_that_is_awake_counts_as_another() -> None:
    """Better another model now than the same one in a while."""
    found = look(ABC, ask("a/m", fallback=["b/m"]), live({"a/m": open_for(5)}))
    assert (targets(found), lost(found)) == (["b"], {"a": "breaker_open"})


def test_an_ejected_one_is_the_last_resort_an_open_breaker_never() -> None:
    """Who fails often is better than nobody."""
    found = look(ABC, ask(), live({"a/m": open_for(5), "b/m": Vitals(ejected=True), "c/m": open_for(9)}))
    assert [(route.deployment.name, route.why) for route in found.targets] == [("b", "last_resort")]
    assert lost(found) == {"a": "breaker_open", "c": "breaker_open"}
    both = live({"a/m": Vitals(back=NOW + 5, ejected=True), "b/m": open_for(2), "c/m": open_for(9)})
    assert look(ABC, ask(), both).targets == ()


def test_thread_31_when_all_rest_it_is_503_with_the_time_of_the_first_that_is_back() -> None:
    """litellm#40718, #40958: never "no deployments" without a word when to come back."""
    resting = live({"a/m": open_for(7.5), "b/m": open_for(3.2), "c/m": open_for(60)})
    with pytest.raises(UpstreamUnavailable) as caught:
        plan(ask(), ABC, resting)
    error = caught.value
    assert (error.status, error.type, error.code) == (503, "upstream_error", "circuit_open")
    assert error.retry_after == pytest.approx(3.2)
    assert "a/m, b/m, c/m" in error.message
    assert "3.2" in error.message


def test_litellm_3646_what_rests_is_not_waited_for_but_is_a_target_again_in_time() -> None:
    """The thread wants the call to wait; the contract has 503 at once, and says for how long."""
    vitals = {"a/m": open_for(7.5), "b/m": open_for(3.0), "c/m": open_for(60)}
    found = look(ABC, ask(), live(vitals))
    assert found.retry_at == NOW + 3.0
    later = live(vitals)
    moved = type(later)(now=found.retry_at, vitals=vitals, turn=0, random=later.random)
    assert targets(look(ABC, ask(), moved)) == ["b"]


def test_only_what_the_filters_leave_can_be_waited_for() -> None:
    """A provider that is filtered out is not what comes back."""
    place = world(model("a"), model("b"), trust={"a": 3, "b": 1})
    found = look(place, ask(trust_level=3), live({"a/m": open_for(9), "b/m": open_for(1)}))
    assert (found.retry_at, lost(found)) == (NOW + 9, {"a": "breaker_open", "b": "trust_too_low"})


def test_filters_that_leave_nobody_are_not_a_rest() -> None:
    """Waiting would not help."""
    found = look(ABC, ask(trust_level=1), live({"a/m": open_for(9)}))
    assert found.retry_at is None
    assert isinstance(refusal(found), NotFound)


def test_thread_33_nothing_is_retried_or_spread_unasked() -> None:
    """Portkey#185, #165: options that nobody sent change nothing; retries stay as configured."""
    question = ask()
    assert question.options.retries is None
    for turn, drawn in enumerate((0.0, 0.5, 0.99)):
        assert targets(look(ABC, question, live(turn=turn, random=partial(float, drawn)))) == ["a", "b", "c"]


def test_one_way_is_a_plan_by_itself() -> None:
    """Of one candidate there is nothing to choose; of several, or none, there is no sole way."""
    one, two = world(model("a")), world(model("a"), model("b"))
    (route,) = sole(one, "a/m", None, "hints", "chat")

    assert (route.key, route.why, route.target.unsupported) == ("a/m", "asked", "hints")
    assert sole(two, "code", None, "hints", "chat") == sole(one, "nobody/x", frozenset(), "hints", "chat") == ()
