"""How those who serve open models with vLLM or its like, for money, differ from OpenAI, one row each.

What does not live here: what the members mean (`habit.py`), vLLM itself (`habits_local.py`), hosts with servers of
their own (`habits_hosts.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compatgw_testing.fakes.openai.habit import Forbidden, Habit
from compatgw_testing.fakes.openai.habits_local import LOCAL

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = replace(LOCAL["vllm"], model_extra={}, request_header=None)

OPEN: Mapping[str, Habit] = {
    "deepinfra": replace(
        _PLAIN,
        paths=("/v1/openai",),
        base="/v1/openai",
        surfaces=frozenset({"chat", "completions", "embeddings", "images", "audio", "models"}),
        usage_extra={"estimated_cost": 0.00001},
        reasoning="reasoning_content",
        errors="detail_error",
    ),
    "scaleway": replace(
        _PLAIN,
        surfaces=frozenset({"chat", "embeddings", "audio", "models", "responses"}),
        reasoning="reasoning_content",
        forbids=(
            Forbidden("frequency_penalty", "'frequency_penalty' is not supported.", r"(?!0$|0\.0$).*"),
            Forbidden("n", "'n' must be 1.", r"(?!1$).*"),
            Forbidden("top_logprobs", "'top_logprobs' is not supported."),
            Forbidden("logit_bias", "'logit_bias' is not supported."),
        ),
    ),
    "novita": replace(
        _PLAIN,
        paths=("/openai/v1", "/v3/openai"),
        base="/openai/v1",
        surfaces=frozenset({"chat", "completions", "embeddings", "models", "responses"}),
        reasoning="reasoning_content",
        errors="reason",
    ),
    "ncompass": replace(_PLAIN, surfaces=frozenset({"chat"}), errors="flat"),
    "nscale": replace(_PLAIN, surfaces=frozenset({"chat", "images", "models"}), errors="flat"),
    "tinfoil": replace(_PLAIN, surfaces=frozenset({"chat", "embeddings", "audio", "models"}), errors="flat"),
    # A model of its own, that writes all places of a text at once.
    "inception": Habit(
        surfaces=frozenset({"chat", "models"}),
        request_header=None,
        id_form="chatcmpl-{uuid}",
        usage_null="never",
        usage_details="none",
        takes=frozenset({"diffusing"}),
        lets=("reasoning_effort",),
        forbids=(
            Forbidden(
                "reasoning_effort",
                "'reasoning_effort' must be one of: instant, low, medium, high.",
                r'(?!"(instant|low|medium|high)"$).*',
            ),
        ),
    ),
}
