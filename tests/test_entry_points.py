"""What other packages register: dialects and guardrails, found by their entry points in a real installation."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compatgw import ConfigError, Gateway
from tests.canned import ask
from tests.flow.upstreams import good

DIALECT = """
from dataclasses import replace

from compatgw.dialects.table import DIALECTS

SHOUTING = replace(DIALECTS["openai"], name="shouting")
NONE = 7
"""
GUARDRAIL = """
def mine(text, spot):
    return text.replace("blue", "red")
"""
Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package of one module, as pip leaves it: the module, and its metadata with entry points."""
    made: list[str] = []

    def package(name: str, code: str, entries: str) -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entries)
        made.append(name)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in made:
        sys.modules.pop(name, None)


def house(**settings: Any) -> Gateway:
    """One upstream."""
    provider = {"app": good(), "base_url": "http://up/v1", "api_key": "x", "models": ["m"], **settings.pop("up", {})}
    return Gateway(providers={"up": provider}, keys=["k"], environ={}, **settings)


async def test_a_registered_dialect_is_spoken(install: Install) -> None:
    """By the name that it is registered under."""
    install("shouting_dialect", DIALECT, "[compatgw.dialects]\nshouting = shouting_dialect:SHOUTING\n")
    app = house(up={"dialect": "shouting"})
    async with app.client(api_key="k") as client:
        got = await client.post("/v1/chat/completions", json={**ask(), "model": "up/m"})

    assert got.status_code == 200
    assert got.json()["choices"][0]["message"]["content"] == "Hello"


def test_what_is_no_dialect_is_said_at_the_start(install: Install) -> None:
    """With what it is, and where it came from."""
    install("broken_dialect", DIALECT, "[compatgw.dialects]\nbroken = broken_dialect:NONE\n")
    with pytest.raises(ConfigError, match=r"broken_dialect:NONE registers is a int"):
        house(up={"dialect": "broken"})


def test_a_dialect_that_nobody_has_is_named_with_those_that_are_there(install: Install) -> None:
    """Registered ones among them."""
    install("other_dialect", DIALECT, "[compatgw.dialects]\nother = other_dialect:SHOUTING\n")
    with pytest.raises(ConfigError, match=r"'nope' is not one of .*openai, other"):
        house(up={"dialect": "nope"})


async def test_a_registered_guardrail_can_be_asked_for(install: Install) -> None:
    """And demanded, by its name."""
    install("my_guardrail", GUARDRAIL, "[compatgw.guardrails]\nmine = my_guardrail:mine\n")
    up = good()
    app = house(up={"app": up}, guardrails={"input": ["mine"]})
    async with app.client(api_key="k") as client:
        body = {"model": "up/m", "messages": [{"role": "user", "content": "a blue door"}]}
        got = await client.post("/v1/chat/completions", json=body)

    assert got.headers["x-guardrail-status"] == "mine:redact"
    assert up.asked[0]["messages"][0]["content"] == "a red door"
