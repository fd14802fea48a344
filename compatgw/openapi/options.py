"""The gateway's own members of requests, as a shape: `surfaces/extensions.py` reads them, and says what each must be.

What does not live here: what they do.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from compatgw.surfaces.extensions import MAX_RETRIES, MAX_TIMEOUT_MS, MAX_TRUST
from compatgw.wire.chat import JSON

ModelName = Annotated[str, Field(min_length=1, max_length=512)]


class WeightedModel(TypedDict):
    """A model among others."""

    model: ModelName
    weight: NotRequired[Annotated[float, Field(gt=0)]]


class Balance(TypedDict):
    """How a call picks its model."""

    strategy: Literal["weighted", "round-robin", "least-latency"]
    models: NotRequired[list[WeightedModel | ModelName]]


class GuardrailLists(TypedDict, total=False):
    """Names, or objects with a `name` and how it works."""

    input: list[str | dict[str, JSON]]
    output: list[str | dict[str, JSON]]


class Members(TypedDict, total=False):
    """Members that may stand at the top level of a body. None of them reaches a provider."""

    fallback: Annotated[list[ModelName], Field(max_length=32, description="Models that are tried in order.")]
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES, description="Further attempts of each model.")]
    timeout: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_MS, description="Milliseconds.")]
    load_balance: Balance
    guardrails: GuardrailLists
    prompt_id: Annotated[str, Field(description="A template whose messages come first.")]
    prompt_version: Annotated[int | str, Field(description="Its number, or a label.")]
    prompt_variables: dict[str, str | float | bool]
    optimise: Literal["quality", "speed", "cost"]
    optimize: Literal["quality", "speed", "cost"]
    trust_level: Annotated[int, Field(ge=0, le=MAX_TRUST, description="The least trust tier.")]
    require_tools: bool
    require_vision: bool
    require_streaming: bool
    model_hints: Annotated[list[ModelName], Field(max_length=32, description="Models that are preferred.")]


class Options(Members, total=False):
    """The same inside one object, and what stands only there."""

    speed: Literal["fast", "moderate", "slow"]
    reasoning: dict[str, JSON]


class GatewayMembers(Members, total=False):
    """What any request may ask of the gateway itself."""

    gateway: Options
