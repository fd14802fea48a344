"""The table of models: which row an id finds, and how configuration overrides it."""

from __future__ import annotations

import pytest

from compatgw.dialects.anthropic.models import known, traits

from .claude_asking import target


@pytest.mark.parametrize(
    ("model", "thinking", "forced", "sampling", "prefill", "structured"),
    [
        ("claude-3-haiku-20240307", (), True, True, True, False),
        ("claude-3-5-sonnet-20241022", (), True, True, True, False),
        ("claude-3-7-sonnet-latest", ("enabled", "disabled"), True, True, True, False),
        ("claude-opus-4-20250514", ("enabled", "disabled"), True, True, True, False),
        ("claude-sonnet-4@20250514", ("enabled", "disabled"), True, True, True, False),
        ("claude-opus-4-1-20250805", ("enabled", "disabled"), True, True, True, False),
        ("claude-haiku-4-5", ("enabled", "disabled"), True, True, True, True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", ("enabled", "disabled"), True, True, True, True),
        ("anthropic/claude-opus-4.5", ("enabled", "disabled"), True, True, True, True),
        ("claude-opus-4-6", ("adaptive", "enabled", "disabled"), True, True, False, True),
        ("claude-sonnet-4-6", ("adaptive", "enabled", "disabled"), True, True, False, True),
        ("claude-opus-4-7", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-opus-4-8", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-sonnet-5", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-sonnet-5-20260401", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-opus-5", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-opus-5-20260501", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-haiku-5-5", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("claude-opus-5-5", ("adaptive", "between_tools"), False, False, False, True),
        ("claude-fable-5", ("adaptive", "between_tools"), True, False, False, True),
        ("claude-fable-5-20260901", ("adaptive", "between_tools"), True, False, False, True),
        ("claude-fable-5-1", ("adaptive", "between_tools"), False, False, False, True),
        ("claude-mythos-5-2", ("adaptive", "between_tools"), False, False, False, True),
        ("claude-mythos-preview", ("adaptive", "between_tools"), True, False, False, True),
        ("claude-sonnet-6-1", ("adaptive", "between_tools", "disabled"), True, False, False, True),
        ("some-other-model", ("enabled", "disabled"), True, True, True, False),
    ],
)
def test_an_id_finds_its_row(
    model: str, thinking: tuple[str, ...], forced: bool, sampling: bool, prefill: bool, structured: bool
) -> None:
    """As every host writes the ids; a date is not a version."""
    found = known(model)

    assert found.thinking == thinking
    assert (found.forced, found.sampling, found.prefill, found.structured) == (forced, sampling, prefill, structured)


@pytest.mark.parametrize(
    ("model", "thinks", "system_role", "most"),
    [
        ("claude-3-haiku-20240307", False, False, 4096),
        ("claude-3-5-haiku-20241022", False, False, 8192),
        ("claude-opus-4-1", False, False, 32_000),
        ("claude-sonnet-4-5", False, False, 64_000),
        ("claude-sonnet-4-6", False, False, 64_000),
        ("claude-opus-4-6", False, False, 128_000),
        ("claude-opus-4-7", False, False, 128_000),
        ("claude-opus-4-8", False, True, 128_000),
        ("claude-sonnet-5-5", True, True, 128_000),
        ("claude-opus-5-5", True, True, 128_000),
        ("some-other-model", False, False, None),
    ],
)
def test_an_id_finds_its_limits(model: str, thinks: bool, system_role: bool, most: int | None) -> None:
    """Whether it thinks unasked, takes system messages in between, and how much it writes."""
    found = known(model)

    assert (found.thinks, found.system_role, found.max_output) == (thinks, system_role, most)


def test_configuration_overrides_single_traits() -> None:
    """Under the names of the attributes; what belongs to other dialects is left alone."""
    overridden = traits(target("claude-opus-5-5", traits={"forced": True, "efforts": ["low"], "levels": ["LOW"]}))

    assert overridden.forced is True
    assert overridden.efforts == ("low",)
    assert overridden.sampling is False


def test_the_catalogue_knows_the_length_of_answers_better() -> None:
    """And the operator knows best."""
    assert traits(target("claude-opus-5-5", max_output=9)).max_output == 9
    assert traits(target("claude-opus-5-5", max_output=9, traits={"max_output": 7})).max_output == 7
