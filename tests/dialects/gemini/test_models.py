"""The rows of models, their overrides, and the path that a model's id becomes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Target
from compatgw.dialects.gemini import models


def traits(model: str, **overrides: Any) -> models.Traits:
    return models.traits(Target("Google", model, traits=overrides))


@pytest.mark.parametrize(
    ("model", "thinking", "levels", "signatures"),
    [
        ("gemini-3-pro-preview", "level", ("LOW", "HIGH"), True),
        ("gemini-3.1-pro-preview", "level", ("LOW", "MEDIUM", "HIGH"), True),
        ("gemini-3-flash-preview", "level", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), True),
        ("gemini-3.1-flash-lite", "level", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), True),
        ("gemini-3.6-flash", "level", ("MINIMAL", "LOW", "MEDIUM", "HIGH"), True),
        ("gemini-3.7-flash", "level", ("LOW", "MEDIUM", "HIGH"), True),
        ("gemini-4-ultra", "level", ("LOW", "MEDIUM", "HIGH"), True),
        ("a-model-of-tomorrow", "level", ("LOW", "MEDIUM", "HIGH"), True),
        ("gemini-3-pro-image-preview", "none", (), False),
        ("gemini-3.1-flash-image", "level", ("MINIMAL", "HIGH"), False),
        ("gemini-2.5-flash-image", "none", (), False),
        ("gemini-2.5-pro", "budget", (), False),
        ("gemini-2.5-flash-preview-tts", "none", (), False),
        ("gemini-2.0-flash-001", "none", (), False),
        ("gemini-1.5-flash", "none", (), False),
        ("gemma-3-27b-it", "none", (), False),
        ("tunedModels/mine", "none", (), False),
        ("models/gemini-2.5-pro", "budget", (), False),
    ],
)
def test_a_models_row_is_found_by_its_id(model: str, thinking: str, levels: tuple[str, ...], signatures: bool) -> None:
    """Thinking is set by level from Gemini 3 on, by budget for 2.5, not at all elsewhere."""
    found = traits(model)

    assert (found.thinking, found.levels, found.signatures) == (thinking, levels, signatures)


@pytest.mark.parametrize(
    ("model", "least", "most", "off"),
    [
        ("gemini-2.5-pro", 128, 32768, False),
        ("gemini-2.5-flash", 1, 24576, True),
        ("gemini-2.5-flash-lite", 512, 24576, True),
    ],
)
def test_budgets_have_the_range_of_their_model(model: str, least: int, most: int, off: bool) -> None:
    """Pro cannot be switched off, Lite thinks at least 512 tokens if at all."""
    found = traits(model)

    assert (found.budget_min, found.budget_max, found.thinking_off) == (least, most, off)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.0-flash", True),
        ("gemini-2.0-flash-lite", False),
        ("gemini-2.5-flash", False),
        ("gemini-3-pro", False),
    ],
)
def test_penalties_are_known_by_few_models(model: str, expected: bool) -> None:
    """Anywhere else a penalty is an error, not a hint that is ignored."""
    assert traits(model).penalties is expected


def test_configuration_overrides_single_traits() -> None:
    """Lists of a configuration file are taken where a row has tuples; unknown names are for others."""
    found = traits("gemini-2.5-pro", thinking="level", levels=["LOW"], signatures=True, budget_max=9, unknown=1)

    assert (found.thinking, found.levels, found.signatures, found.budget_max) == ("level", ("LOW",), True, 9)
    assert found.budget_min == 128


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent"),
        ("models/gemini-2.5-pro", "/models/gemini-2.5-pro:generateContent"),
        ("tunedModels/mine-1", "/tunedModels/mine-1:generateContent"),
        ("a/b", "/models/a%2Fb:generateContent"),
        ("tunedModels/../models/x", "/tunedModels/..%2Fmodels%2Fx:generateContent"),
        ("x?key=1#y", "/models/x%3Fkey%3D1%23y:generateContent"),
        ("x:batchEmbedContents", "/models/x%3AbatchEmbedContents:generateContent"),
        ("x\r\nHost: y", "/models/x%0D%0AHost%3A%20y:generateContent"),
        ("..", "/models/..:generateContent"),
    ],
)
def test_a_models_id_becomes_one_segment_of_the_path(model: str, expected: str) -> None:
    """Only the two folders of models pass as folders."""
    assert models.path(Target("Google", model), "generateContent") == expected


@given(st.text(min_size=1))
def test_no_models_id_leads_to_another_path(model: str) -> None:
    """Whatever the id holds: two segments, the method at the end, no query, no fragment, nothing but ASCII."""
    path = models.path(Target("Google", model), "generateContent")
    parts = urlsplit(path)

    assert path.isascii()
    assert path.isprintable()
    assert (parts.query, parts.fragment, parts.path.count("/")) == ("", "", 2)
    assert parts.path.split("/")[1] in ("models", "tunedModels")
    assert parts.path.split("/")[2].rpartition(":")[2] == "generateContent"
