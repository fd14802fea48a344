"""What is told of a plan."""

import orjson

from compatgw.policy.balance import Average
from compatgw.policy.explaining import explain
from compatgw.policy.needs import Needs
from compatgw.policy.plan import Vitals
from tests.policy.planned import NOW, ask, caller, live, look, model, world

PLACE = world(model("a", input=("text",)), model("b"), model("c"), trust={"b": 2}, prices={"b/m": "2.5"})


def test_a_plan_is_told_whole() -> None:
    """Each target with its facts, each loss with its reason, the needs, and hints that mean nothing here."""
    question = ask(
        needs=Needs(images=True, streaming=True, input=1000, least=300, output=200),
        model_hints=["b/m", "d/m", "a/m"],
        fallback=["c/m"],
    )
    found = explain(look(PLACE, question, live({"b/m": Vitals(average=Average(0.25, NOW))})))
    assert found["object"] == "gateway.plan"
    assert found["model"] == "code"
    assert found["targets"][0] == {
        "model": "m",
        "provider": "b",
        "name": "code",
        "reason": "hint",
        "sentence": "'model_hints' names it.",
        "fallback": False,
        "describes_images": False,
        "price": "0.00275",
        "context": 1000,
        "trust": 2,
        "latency": 0.25,
    }
    second = found["targets"][1]
    assert (second["provider"], second["price"], second["trust"], second["latency"]) == ("c", None, None, None)
    assert found["left_out"] == [
        {"model": "a/m", "name": "code", "reason": "no_vision", "sentence": "It is left out by an image in the request."},
        {"model": "c/m", "name": "c/m", "reason": "duplicate", "sentence": "It is left out by its place further up."},
    ]  # fmt: skip
    assert found["needs"] == {
        "tools": False,
        "images": True,
        "pdfs": False,
        "audio": False,
        "json_schema": False,
        "streaming": True,
        "input_tokens": 1000,
        "output_tokens": 200,
        "choices": 1,
    }
    assert (found["retry_after"], found["unused_hints"]) == (None, ["d/m"])
    assert orjson.loads(orjson.dumps(found)) == found


def test_a_plan_without_targets_is_told_too() -> None:
    """Why nobody is left, and when the first is back."""
    resting = {name: Vitals(back=NOW + 4) for name in ("b/m", "c/m")}
    found = explain(look(PLACE, ask(trust_level=2), live(resting)))
    assert (found["targets"], found["retry_after"]) == ([], 4.0)
    assert [(loss["model"], loss["reason"]) for loss in found["left_out"]] == [
        ("a/m", "trust_unknown"),
        ("c/m", "trust_unknown"),
        ("b/m", "breaker_open"),
    ]
    assert found["left_out"][-1]["sentence"] == "It is left out by its breaker, for another 4 seconds."
    unknown = explain(look(PLACE, ask("typo")))
    assert [loss["reason"] for loss in unknown["left_out"]] == ["no_provider"]


def test_what_the_team_does_not_see_is_told_to_the_operator_alone() -> None:
    """To the caller it does not exist."""
    found = look(PLACE, ask(who=caller(visible=("b/*",)), model_hints=["a/m", "b/m"]))
    assert (explain(found)["left_out"], explain(found)["unused_hints"]) == ([], ["a/m"])
    assert explain(found, hidden=True)["unused_hints"] == []
    assert [loss["model"] for loss in explain(found, hidden=True)["left_out"]] == ["a/m", "c/m"]
