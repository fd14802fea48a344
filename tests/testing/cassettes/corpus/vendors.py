"""The scenarios of vendors that speak OpenAI's protocol, each in its own ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compatgw_testing.fakes.openai.habits import HABITS
from tests.testing.cassettes.corpus.on_openai import TOOLS, USAGE, streamed, user, whole
from tests.testing.cassettes.corpus.scenario import (
    HELLO,
    WHERE,
    Scenario,
    failing,
    hello,
    refused,
    thinking,
    weather,
)

# A model for each, as the vendor names it; what is not here has no name of its own.
MODELS: Mapping[str, str] = {
    "azure": "gpt-4o-mini",
    "groq": "openai/gpt-oss-20b",
    "mistral": "mistral-small-latest",
    "deepseek": "deepseek-reasoner",
    "openrouter": "openai/gpt-4o-mini",
    "perplexity": "sonar",
    "xai": "grok-4",
}
VENDORS = tuple(name for name, habit in HABITS.items() if name != "openai" and "chat" in habit.surfaces)


def scenarios(vendor: str) -> Mapping[str, Scenario]:
    """What is asked of a vendor: what it is known to do in its own way."""
    habit, model = HABITS[vendor], MODELS.get(vendor, "some-model")
    usage: Any = {} if "stream_options" in habit.refuses else USAGE
    found = {
        "plain": Scenario(whole(messages=user(HELLO)), hello, model),
        "stream": Scenario(streamed(messages=user(HELLO), **usage), hello, model),
        "error_401": Scenario(refused(whole(messages=user(HELLO))), failing(401), model, live=False),
        "error_429": Scenario(refused(whole(messages=user(HELLO))), failing(429), model, live=False),
    }
    if habit.tools:
        found["tools_stream"] = Scenario(streamed(messages=user(WHERE), tools=TOOLS, **usage), weather, model)
    if habit.reasoning is not None:
        found["reasoning"] = Scenario(streamed(messages=user(HELLO), **usage), thinking, model)
    return found
