"""The table of efforts, budgets and levels; every form of asking; what is reported when it does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import InvalidRequest

from .asking import FLASH, NEW, PRO, send

LITE = "gemini-2.5-flash-lite"
FIRST_PRO = "gemini-3-pro-preview"
FOUR = "gemini-3-flash-preview"


def thought(request: dict[str, Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = send(request, model)[0].get("generationConfig", {}).get("thinkingConfig", {})
    return found


@pytest.mark.parametrize(
    ("effort", "flash", "lite", "pro", "first", "four", "new"),
    [
        ("none", 0, 0, 128, "LOW", "MINIMAL", "LOW"),
        ("minimal", 1024, 1024, 1024, "LOW", "MINIMAL", "LOW"),
        ("low", 1024, 1024, 1024, "LOW", "LOW", "LOW"),
        ("medium", 8192, 8192, 8192, "HIGH", "MEDIUM", "MEDIUM"),
        ("high", 24576, 24576, 24576, "HIGH", "HIGH", "HIGH"),
        ("xhigh", 24576, 24576, 32768, "HIGH", "HIGH", "HIGH"),
        ("max", 24576, 24576, 32768, "HIGH", "HIGH", "HIGH"),
    ],
)
def test_efforts_are_budgets_before_gemini_3_and_levels_since(
    effort: str, flash: int, lite: int, pro: int, first: str, four: str, new: str
) -> None:
    """Whoever asks for thinking also gets its summary; `none` asks for none."""
    shown = {} if effort == "none" else {"includeThoughts": True}
    request = {"reasoning_effort": effort}

    for model, budget in ((FLASH, flash), (LITE, lite), (PRO, pro)):
        assert thought(request, model) == {"thinkingBudget": budget, **shown}
    for model, level in ((FIRST_PRO, first), (FOUR, four), (NEW, new)):
        assert thought(request, model) == {"thinkingLevel": level, **shown}


def test_the_highest_level_is_used_where_it_is_listed() -> None:
    """No row lists it yet; configuration may."""
    for effort in ("xhigh", "max"):
        body, outgoing = send({"reasoning_effort": effort}, NEW, traits={"levels": ["LOW", "HIGH", "XHIGH"]})
        assert body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "XHIGH"
        assert outgoing.clamped == ()


@pytest.mark.parametrize("model", [FLASH, NEW])
def test_nothing_is_said_unless_it_was_asked(model: str) -> None:
    """The model's own default is the best one."""
    assert "generationConfig" not in send({}, model)[0]


@pytest.mark.parametrize(
    ("request_", "flash", "new"),
    [
        ({"reasoning": {"effort": "low"}}, {"thinkingBudget": 1024, "includeThoughts": True}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ({"reasoning": {"max_tokens": 5000}}, {"thinkingBudget": 5000, "includeThoughts": True}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ({"reasoning": {"max_tokens": 1024}}, {"thinkingBudget": 1024, "includeThoughts": True}, {"thinkingLevel": "LOW", "includeThoughts": True}),
        ({"reasoning": {"max_tokens": 9000}}, {"thinkingBudget": 9000, "includeThoughts": True}, {"thinkingLevel": "HIGH", "includeThoughts": True}),
        ({"reasoning": {"max_tokens": -1}}, {"thinkingBudget": -1, "includeThoughts": True}, {"includeThoughts": True}),
        ({"reasoning": {"enabled": True}}, {"includeThoughts": True}, {"includeThoughts": True}),
        ({"reasoning": {"enabled": False}}, {"thinkingBudget": 0}, {"thinkingLevel": "LOW"}),
        ({"reasoning": {"effort": "high", "exclude": True}}, {"thinkingBudget": 24576}, {"thinkingLevel": "HIGH"}),
        ({"reasoning": {"exclude": True}}, {}, {}),
        ({"reasoning": {"effort": None, "verbosity": 1}}, {"includeThoughts": True}, {"includeThoughts": True}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinkingBudget": 2000, "includeThoughts": True}, {"thinkingLevel": "MEDIUM", "includeThoughts": True}),
        ({"thinking": {"type": "enabled"}}, {"includeThoughts": True}, {"includeThoughts": True}),
        ({"thinking": {"type": "disabled"}}, {"thinkingBudget": 0}, {"thinkingLevel": "LOW"}),
        ({"enable_thinking": True}, {"includeThoughts": True}, {"includeThoughts": True}),
        ({"enable_thinking": False}, {"thinkingBudget": 0}, {"thinkingLevel": "LOW"}),
        ({"include_reasoning": True}, {"includeThoughts": True}, {"includeThoughts": True}),
        ({"include_reasoning": False, "reasoning_effort": "low"}, {"thinkingBudget": 1024}, {"thinkingLevel": "LOW"}),
        ({"google": {"thinking_config": {"thinking_budget": 7, "include_thoughts": True}}}, {"thinkingBudget": 7, "includeThoughts": True}, {"thinkingBudget": 7, "includeThoughts": True}),
        ({"extra_body": {"google": {"thinkingConfig": {"thinkingLevel": "LOW"}}}, "reasoning_effort": "high"}, {"thinkingLevel": "LOW"}, {"thinkingLevel": "LOW"}),
    ],
)  # fmt: skip
def test_every_form_of_asking_is_understood(
    request_: dict[str, Any], flash: dict[str, Any], new: dict[str, Any]
) -> None:
    """The vendor's own form comes first and unchanged."""
    assert thought(request_, FLASH) == flash
    assert thought(request_, NEW) == new


@pytest.mark.parametrize(
    ("request_", "model", "clamped"),
    [
        ({"reasoning_effort": "none"}, PRO, (("reasoning_effort", "128"),)),
        ({"reasoning_effort": "none"}, FLASH, ()),
        ({"reasoning_effort": "none"}, NEW, (("reasoning_effort", "low"),)),
        ({"reasoning_effort": "minimal"}, NEW, (("reasoning_effort", "low"),)),
        ({"reasoning_effort": "medium"}, FIRST_PRO, (("reasoning_effort", "high"),)),
        ({"reasoning_effort": "xhigh"}, NEW, (("reasoning_effort", "high"),)),
        ({"reasoning": {"max_tokens": 99999}}, FLASH, (("reasoning.max_tokens", "24576"),)),
        ({"reasoning": {"max_tokens": 100}}, LITE, (("reasoning.max_tokens", "512"),)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1}}, PRO, (("thinking.budget_tokens", "128"),)),
        ({"thinking": {"type": "disabled"}}, PRO, (("thinking", "128"),)),
    ],
)
def test_what_was_changed_to_fit_is_reported(
    request_: dict[str, Any], model: str, clamped: tuple[tuple[str, str], ...]
) -> None:
    """With what was sent instead."""
    assert send(request_, model)[1].clamped == clamped


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemma-3-27b-it", "gemini-2.5-flash-image"])
def test_models_that_do_not_think_are_never_told_how(model: str) -> None:
    """Any setting is an error there; to ask for none is what they do anyway."""
    for request_, dropped in (
        ({"reasoning_effort": "high"}, ("reasoning_effort",)),
        ({"reasoning": {"max_tokens": 100}}, ("reasoning",)),
        ({"thinking": {"type": "enabled"}}, ("thinking",)),
        ({"google": {"thinking_config": {"thinking_budget": 1}}}, ("google.thinking_config",)),
        ({"reasoning_effort": "none"}, ()),
        ({"thinking": {"type": "disabled"}}, ()),
    ):
        body, outgoing = send(request_, model)
        assert "generationConfig" not in body
        assert outgoing.dropped == dropped


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": "many"}}, "reasoning.max_tokens"),
        ({"reasoning": "high"}, "reasoning"),
        ({"thinking": True}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1.5}}, "thinking.budget_tokens"),
        ({"enable_thinking": "yes"}, "enable_thinking"),
        ({"google": {"thinking_config": 3}}, "google.thinking_config"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(request_: dict[str, Any], param: str) -> None:
    """These members are not OpenAI's, so nothing has checked them before."""
    with pytest.raises(InvalidRequest) as caught:
        send(request_)

    assert caught.value.param == param
