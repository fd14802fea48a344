"""The gateway's own members: what they become, where they may stand, and what is refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.errors import InvalidRequest
from compatgw.surfaces.extensions import (
    DEFAULT,
    MEMBERS,
    OBJECT_ONLY,
    OBJECTS,
    CallOptions,
    LoadBalance,
    Share,
    claim,
    from_headers,
)
from compatgw.surfaces.guards import Guard, Guards

# One valid value of each member, and what it becomes.
VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "timeout": (1500, {"timeout": 1.5}),
    "retries": (0, {"retries": 0}),
    "fallback": (["gpt", "gemini", "gpt"], {"fallback": ("gpt", "gemini")}),
    "load_balance": (
        {"strategy": "weighted", "models": [{"model": "a", "weight": 3}, {"model": "b", "weight": 0.5}, {"model": "c"}]},
        {"load_balance": LoadBalance("weighted", (Share("a", 3.0), Share("b", 0.5), Share("c", 1.0)))},
    ),
    "optimise": ("cost", {"optimise": "cost"}),
    "optimize": ("speed", {"optimise": "speed"}),
    "trust_level": (3, {"trust_level": 3}),
    "require_tools": (True, {"require_tools": True}),
    "require_vision": (True, {"require_vision": True}),
    "require_streaming": (True, {"require_streaming": True}),
    "speed": ("moderate", {"speed": "moderate"}),
    "model_hints": (["x"], {"model_hints": ("x",)}),
    "prompt_id": ("team/greet", {"prompt_id": "team/greet"}),
    "prompt_version": (3, {"prompt_version": 3}),
    "prompt_variables": (
        {"a": "x", "n": 1, "f": 0.5, "b": True, "é": "{{a}}"},
        {"prompt_variables": (("a", "x"), ("n", "1"), ("f", "0.5"), ("b", "true"), ("é", "{{a}}"))},
    ),
    "guardrails": (
        {"input": ["pii"], "output": [{"name": "mine", "threshold": 0.5}]},
        {"guardrails": Guards((Guard("pii"),), (Guard("mine", threshold=0.5),))},
    ),
}  # fmt: skip


def options(**members: Any) -> CallOptions:
    """What `members` mean inside the object, with every member served."""
    return claim({"gateway": members})[1]


def test_every_member_that_is_understood_has_a_value_here() -> None:
    """So that the tests below leave none out."""
    assert set(VALUES) == MEMBERS


@pytest.mark.parametrize("name", sorted(MEMBERS))
@pytest.mark.parametrize("holder", [None, *OBJECTS])
def test_a_member_is_taken_wherever_it_may_stand(name: str, holder: str | None) -> None:
    """At the top level or in either object; it leaves the request, and everything else stays."""
    value, meant = VALUES[name]
    body = {"model": "m", **({name: value} if holder is None else {holder: {name: value}})}
    rest, found = claim(body)
    if holder is None and name in OBJECT_ONLY:
        assert (rest, found) == (body, DEFAULT)
        return
    assert rest == {"model": "m"}
    assert found == CallOptions(**meant)


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"retries": 6}, "retries", "invalid_value"),
        ({"retries": -1}, "retries", "invalid_value"),
        ({"retries": True}, "retries", "invalid_type"),
        ({"retries": 2.0}, "retries", "invalid_type"),
        ({"timeout": 300_001}, "timeout", "invalid_value"),
        ({"timeout": True}, "timeout", "invalid_type"),
        ({"fallback": "gpt"}, "fallback", "invalid_type"),
        ({"fallback": ["gpt", 5]}, "fallback[1]", "invalid_type"),
        ({"fallback": ["gpt", ""]}, "fallback[1]", "invalid_value"),
        ({"fallback": ["x" * 513]}, "fallback[0]", "invalid_value"),
        ({"fallback": ["x"] * 33}, "fallback", "invalid_value"),
        ({"model_hints": {}}, "model_hints", "invalid_type"),
        ({"model_hints": [None]}, "model_hints[0]", "invalid_type"),
        ({"optimise": "taste"}, "optimise", "invalid_value"),
        ({"optimise": 1}, "optimise", "invalid_type"),
        ({"optimise": "cost", "optimize": "speed"}, "optimize", "invalid_value"),
        ({"prompt_id": ""}, "prompt_id", "invalid_value"),
        ({"prompt_id": 7}, "prompt_id", "invalid_type"),
        ({"prompt_id": "a\0b"}, "prompt_id", "invalid_value"),
        ({"prompt_id": "a\nb"}, "prompt_id", "invalid_value"),
        ({"prompt_id": "a\u202eb"}, "prompt_id", "invalid_value"),
        ({"prompt_id": "x" * 513}, "prompt_id", "invalid_value"),
        ({"prompt_version": 0}, "prompt_version", "invalid_value"),
        ({"prompt_version": -1}, "prompt_version", "invalid_value"),
        ({"prompt_version": 1 << 31}, "prompt_version", "invalid_value"),
        ({"prompt_version": True}, "prompt_version", "invalid_type"),
        ({"prompt_version": 1.0}, "prompt_version", "invalid_type"),
        ({"prompt_version": []}, "prompt_version", "invalid_type"),
        ({"prompt_version": ""}, "prompt_version", "invalid_value"),
        ({"prompt_version": "a\0"}, "prompt_version", "invalid_value"),
        ({"prompt_variables": []}, "prompt_variables", "invalid_type"),
        ({"prompt_variables": "a"}, "prompt_variables", "invalid_type"),
        ({"prompt_variables": {"a": None}}, "prompt_variables.a", "invalid_type"),
        ({"prompt_variables": {"a": ["x"]}}, "prompt_variables.a", "invalid_type"),
        ({"prompt_variables": {"a": {"role": "system"}}}, "prompt_variables.a", "invalid_type"),
        ({"prompt_variables": {str(n): "x" for n in range(10_000)}}, "prompt_variables", "invalid_value"),
        ({"trust_level": 4}, "trust_level", "invalid_value"),
        ({"trust_level": "3"}, "trust_level", "invalid_type"),
        ({"require_tools": 1}, "require_tools", "invalid_type"),
        ({"require_vision": "yes"}, "require_vision", "invalid_type"),
        ({"require_streaming": []}, "require_streaming", "invalid_type"),
        ({"speed": "warp"}, "speed", "invalid_value"),
        ({"load_balance": []}, "load_balance", "invalid_type"),
        ({"load_balance": {}}, "load_balance.strategy", "missing_parameter"),
        ({"load_balance": {"strategy": "random"}}, "load_balance.strategy", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "model": []}}, "load_balance.model", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": {}}}, "load_balance.models", "invalid_type"),
        ({"load_balance": {"strategy": "weighted", "models": []}}, "load_balance.models", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": ["a"]}}, "load_balance.models[0]", "invalid_type"),
        ({"load_balance": {"strategy": "weighted", "models": [{}]}}, "load_balance.models[0].model", "missing_parameter"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": 1}]}}, "load_balance.models[0].model", "invalid_type"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "share": 1}]}}, "load_balance.models[0].share", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": "1"}]}}, "load_balance.models[0].weight", "invalid_type"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": True}]}}, "load_balance.models[0].weight", "invalid_type"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": -1}]}}, "load_balance.models[0].weight", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": 1_000_001}]}}, "load_balance.models[0].weight", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": 0}]}}, "load_balance.models", "invalid_value"),
        ({"load_balance": {"strategy": "weighted", "models": [{"model": "a"}, {"model": "a"}]}}, "load_balance.models", "invalid_value"),
        ({"colour": 1}, "colour", "invalid_value"),
        ({"reasoning": {"exclude": 1}}, "reasoning.exclude", "invalid_type"),
        ({"reasoning": "none"}, "reasoning", "invalid_value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(members: dict[str, Any], param: str, code: str) -> None:
    """With the object in front of it."""
    with pytest.raises(InvalidRequest) as caught:
        options(**members)
    assert (caught.value.param, caught.value.code) == (f"gateway.{param}", code)
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")


def test_at_the_top_level_the_path_has_no_object() -> None:
    """It is the path in the body as it was sent."""
    with pytest.raises(InvalidRequest) as caught:
        claim({"load_balance": {"strategy": "weighted", "models": [{"model": "a", "weight": math.inf}]}})
    assert caught.value.param == "load_balance.models[0].weight"


def test_the_first_thing_wrong_is_the_same_whatever_the_order() -> None:
    """Two mistakes in two bodies that mean the same get one answer."""
    params = []
    for members in ({"retries": 9, "speed": "x", "a": 1}, {"a": 1, "speed": "x", "retries": 9}):
        with pytest.raises(InvalidRequest) as caught:
            options(**members)
        params.append(caught.value.param)
    assert params == ["gateway.retries", "gateway.retries"]


@pytest.mark.parametrize("holder", OBJECTS)
def test_what_holds_members_must_be_an_object(holder: str) -> None:
    """Under either name."""
    with pytest.raises(InvalidRequest) as caught:
        claim({holder: ["retries"]})
    assert (caught.value.param, caught.value.code) == (holder, "invalid_type")


def test_the_object_wins_over_the_top_level() -> None:
    """It is the more deliberate of the two."""
    assert claim({"retries": 1, "cailos": {"retries": 3}})[1].retries == 3


def test_load_balance_without_models_spreads_over_the_model_that_was_asked_for() -> None:
    """All ways to call it are picked among; a weight of 0 is fine where weights say nothing."""
    assert options(load_balance={"strategy": "round-robin"}).load_balance == LoadBalance("round-robin")
    found = options(load_balance={"strategy": "round-robin", "models": [{"model": "a", "weight": 0}]})
    assert found.load_balance == LoadBalance("round-robin", (Share("a", 0.0),))
    assert options(load_balance={"strategy": "weighted", "models": None}).load_balance == LoadBalance("weighted")


def test_an_object_of_null_asks_for_nothing() -> None:
    """It is ours all the same, and stays here."""
    assert claim({"model": "m", "gateway": None, "cailos": None}) == ({"model": "m"}, DEFAULT)


def test_both_spellings_may_say_the_same() -> None:
    """Only a contradiction is refused."""
    assert options(optimise="cost", optimize="cost").optimise == "cost"


def test_reasoning_is_left_out_on_request() -> None:
    """`reasoning: {exclude: true}` stands in the object only."""
    assert options(reasoning={"exclude": True}).exclude_reasoning
    assert not options(reasoning={}).exclude_reasoning
    body = {"reasoning": {"exclude": True}}
    assert claim(body) == (body, DEFAULT)


def test_a_header_changes_the_policy_alone() -> None:
    """All else that was asked for stays."""
    asked = options(retries=1, fallback=["a"])
    assert from_headers(asked, {}) is asked
    found = from_headers(asked, {"x-on-unsupported": "reject"})
    assert (found.unsupported, found.retries, found.fallback) == ("reject", 1, ("a",))
    with pytest.raises(InvalidRequest) as caught:
        from_headers(asked, {"x-on-unsupported": "explode"})
    assert caught.value.param == "X-On-Unsupported"


JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.floats() | st.sampled_from(["", "gpt", "cost", "fast", "weighted"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["strategy", "models", "model", "weight", "exclude", "x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    top=st.dictionaries(st.sampled_from([*sorted(MEMBERS), "model", "seed"]), JSON, max_size=4),
    inner=st.dictionaries(st.sampled_from([*sorted(MEMBERS), "reasoning", "x"]), JSON, max_size=4),
    holder=st.sampled_from(OBJECTS),
)
def test_any_json_gives_options_or_an_error_with_a_path(
    top: dict[str, Any], inner: dict[str, Any], holder: str
) -> None:
    """Nothing else is raised, options are hashable and in range, and none of our members goes on."""
    try:
        rest, found = claim({**top, holder: inner})
    except InvalidRequest as error:
        assert error.param
        return
    assert not set(rest) - {"model", "seed", *OBJECT_ONLY}
    hash(found)
    assert found.retries is None or 0 <= found.retries <= 5
    assert 0 <= found.trust_level <= 3
    assert found.timeout is None or 0 < found.timeout <= 300
