"""What is told of a plan: the answer to `X-Gateway-Explain: 1` and of `compatgw explain`.

What does not live here: planning itself (`plan.py`), how the answer travels (`web/`, `cli/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from compatgw.policy import money
from compatgw.policy.ordering import price
from compatgw.policy.plan import Vitals

if TYPE_CHECKING:
    from compatgw.policy.plan import LeftOut, Plan, Reason, Route, Why


class ExplainedTarget(TypedDict):
    """A target; what is not known is null.

    `price` is the most that the request costs there, in the currency of prices; `latency` in seconds to the
    first byte, as seen of late; `context` in tokens.
    """

    model: str
    provider: str
    name: str
    reason: Why
    sentence: str
    fallback: bool
    describes_images: bool
    price: str | None
    context: int | None
    trust: int | None
    latency: float | None


class ExplainedLoss(TypedDict):
    """A candidate that is left out, as `provider/model`, and the name that it was found under."""

    model: str
    name: str
    reason: Reason
    sentence: str


class ExplainedNeeds(TypedDict):
    """What the request needs; tokens are estimated."""

    tools: bool
    images: bool
    pdfs: bool
    audio: bool
    json_schema: bool
    streaming: bool
    input_tokens: int
    output_tokens: int | None
    choices: int


class Explained(TypedDict):
    """A plan for people.

    `retry_after` is in seconds, when everything that is left rests; `unused_hints` are those of `model_hints`
    that mean no candidate at all.
    """

    object: str
    model: str
    targets: list[ExplainedTarget]
    left_out: list[ExplainedLoss]
    needs: ExplainedNeeds
    retry_after: float | None
    unused_hints: list[str]


def explain(plan: Plan, *, hidden: bool = False) -> Explained:
    """A plan for people.

    Args:
        hidden: Show what the caller's team does not see, too: for the operator, never for the caller.
    """
    question, needs = plan.question, plan.question.needs
    told = [found for found in plan.left_out if hidden or found.reason != "not_visible"]
    return {
        "object": "gateway.plan",
        "model": question.model,
        "targets": [_target(route, plan) for route in plan.targets],
        "left_out": [_loss(found) for found in told],
        "needs": {
            "tools": needs.tools,
            "images": needs.images,
            "pdfs": needs.pdfs,
            "audio": needs.audio,
            "json_schema": needs.json_schema,
            "streaming": needs.streaming,
            "input_tokens": needs.input,
            "output_tokens": needs.output,
            "choices": needs.choices,
        },
        "retry_after": None if plan.retry_at is None else plan.retry_at - plan.live.now,
        "unused_hints": _unused(plan, {*[route.key for route in plan.targets], *[found.model for found in told]}),
    }


def _target(route: Route, plan: Plan) -> ExplainedTarget:
    candidate = route.candidate
    cost = price(candidate, plan.question, plan.directory)
    state = plan.live.vitals.get(candidate.key, Vitals())
    return {
        "model": candidate.model,
        "provider": candidate.deployment.name,
        "name": candidate.names[0],
        "reason": route.why,
        "sentence": _PLACES[route.why],
        "fallback": route.fallback,
        "describes_images": route.describe_images,
        "price": None if cost is None else money.text(cost, least=0),
        "context": candidate.context,
        "trust": candidate.trust,
        "latency": state.average.seconds,
    }


_PLACES: dict[Why, str] = {
    "asked": "It is the one way that is left to call this name.",
    "hint": "'model_hints' names it.",
    "order": "It stands here in the order of its name.",
    "quality": "Its quality rating puts it here.",
    "speed": "Its speed tier, tokens a second and latency put it here.",
    "cost": "What the request costs there puts it here.",
    "weighted": "It was drawn by its weight.",
    "round-robin": "It is its turn.",
    "least-latency": "Its latency puts it here.",
    "last_resort": "It fails much more often than others, but nothing else is left.",
}


def _loss(found: LeftOut) -> ExplainedLoss:
    by = found.by.rstrip(",")
    return {
        "model": found.model,
        "name": found.name,
        "reason": found.reason,
        "sentence": f"It is left out by {by}.",
    }


def _unused(plan: Plan, told: set[str]) -> list[str]:
    question = plan.question
    return [
        hint
        for hint in question.options.model_hints
        if not any(candidate.key in told for candidate in plan.directory.meaning(hint, question.scope).candidates)
    ]
