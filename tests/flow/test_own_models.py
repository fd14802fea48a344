"""Names of the operator's own that mean several models: who is called, in which order, and what takes over.

What does not live here: what names mean (`tests/policy/test_directory.py`), what requests say (`test_options.py`).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from compatgw import Gateway
from compatgw.config import ConfigError
from tests.canned import Canned
from tests.flow.upstreams import BUSY, either, explained, post, several

BROKEN = Canned(BUSY, 500)


def over(models: dict[str, Any], **settings: Any) -> Gateway:
    """A gateway with these names over three providers, the first of which fails."""
    return several(
        {"broken": BROKEN, "one": either("one"), "two": either("two")},
        models=models,
        random=random.Random(7),
        # What fails is not left alone: each call begins anew.
        breaker={"streak": 1000, "ratio": 1.0},
        **settings,
    )


async def provider(app: Gateway, **members: Any) -> str:
    """Who answers."""
    got = await post(app, **members)
    assert got.status_code == 200, got.text
    return got.headers["x-provider"]


@pytest.mark.parametrize("targets", [["broken/m", "two/m", "one/m"], {"target": ["broken/m", "two/m", "one/m"]}])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_list_is_tried_in_its_order(targets: Any, stream: bool) -> None:
    """The first that answers; the others stand in the plan."""
    app = over({"smart": targets})

    assert await provider(app, model="smart", stream=stream) == "two"
    plan = await explained(app, model="smart")
    assert [target["provider"] for target in plan["targets"]] == ["broken", "two", "one"]


async def test_its_fallback_is_tried_when_all_of_it_fails() -> None:
    """Unless the caller names others."""
    app = over({"smart": {"target": "broken/m", "fallback": ["two/m"]}})

    got = await post(app, model="smart")
    assert (got.headers["x-provider"], got.headers["x-fallback-from"]) == ("two", "broken/m")
    assert await provider(app, model="smart", fallback=["one/m"]) == "one"


async def test_a_name_that_has_a_fallback_of_its_own_lends_it_to_nobody() -> None:
    """Only what was asked for decides what takes over."""
    app = over({"a": {"target": "broken/m", "fallback": ["b"]}, "b": {"target": "broken/m", "fallback": ["one/m"]}})

    assert (await post(app, model="a")).status_code == 502


async def test_a_name_may_have_a_fallback_and_no_other_target() -> None:
    """It then means what it meant."""
    app = over({"broken/m": {"fallback": ["one/m"]}})

    assert await provider(app, model="broken/m") == "one"


async def test_shares_hold_where_the_caller_does_not_say() -> None:
    """About three of four; a caller's own strategy wins."""
    app = over({"smart": {"target": ["one/m", "two/m"], "load_balance": "weighted", "weights": [3, 1]}})

    found = Counter([await provider(app, model="smart") for _ in range(200)])
    assert 130 < found["one"] < 170
    assert found["one"] + found["two"] == 200
    taken = [await provider(app, model="smart", load_balance={"strategy": "round-robin"}) for _ in range(4)]
    assert taken in (["one", "two", "one", "two"], ["two", "one", "two", "one"])


async def test_turns_are_taken() -> None:
    """One after the other."""
    app = over({"smart": {"target": ["one/m", "two/m"], "load_balance": "round-robin"}})

    taken = [await provider(app, model="smart") for _ in range(4)]
    assert taken in (["one", "two", "one", "two"], ["two", "one", "two", "one"])


async def test_a_key_for_the_name_alone_reaches_all_that_it_lists() -> None:
    """It need not know of the providers behind it; a fallback that is not for it is passed over."""
    smart = {"target": ["broken/m", "two/m"], "load_balance": "weighted", "weights": [1000, 1], "fallback": ["one/m"]}
    app = over({"smart": smart}, keys=[{"key": "k", "models": ["smart"]}])

    assert await provider(app, model="smart") == "two"
    assert (await post(app, model="one/m")).status_code == 403
    plan = await explained(app, model="smart")
    assert {target["provider"] for target in plan["targets"]} == {"broken", "two"}


async def test_a_running_gateway_takes_a_new_list() -> None:
    """As every other model."""
    app = over({})
    await app.add_model("smart", ["broken/m", "one/m"])

    assert await provider(app, model="smart") == "one"


@pytest.mark.parametrize(
    ("models", "where"),
    [
        ({"smart": []}, "models.smart"),
        ({"smart": {"target": []}}, "models.smart.target"),
        ({"smart": {"target": ["one/m"], "weights": [1, 2]}}, "models.smart.weights"),
        ({"smart": {"target": ["one/m"], "weights": [0]}}, "models.smart.weights.0"),
        ({"smart": {"target": ["one/m"], "load_balance": "dice"}}, "models.smart.load_balance"),
        ({"smart": {"target": 5}}, "models.smart.target"),
    ],
)
def test_what_is_no_list_is_refused(models: dict[str, Any], where: str) -> None:
    """With the setting's name."""
    with pytest.raises(ConfigError, match=f"Setting '{where}'"):
        over(models)
