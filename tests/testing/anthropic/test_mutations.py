"""Each strictness rule of the Anthropic fake has a case that fails without it.

Every `raise` (and every `yield` of a complaint) in the modules with rules is taken out, one at a time, and every
constraint in the description of a request is loosened; then the tables of cases are run.
"""

from types import ModuleType
from typing import Any

import pytest

from compatgw_testing import FakeAnthropic
from compatgw_testing.fakes.anthropic import fake, rules, schema, turns
from compatgw_testing.fakes.shape import Obj
from tests.testing import mutation, shapes, test_strict_anthropic
from tests.testing.anthropic import places
from tests.testing.anthropic.cases import CASES, TAKEN
from tests.testing.driver import ask
from tests.testing.mutation import all_hold, mutants
from tests.testing.surfaces import refused

# Constraints that no table tests.
LEFT = {
    ".messages: high=100000": "takes long: test_surfaces.py",
}
NEWEST = {"anthropic-version": "2026-10-21"}


async def _message(fake: FakeAnthropic, body: Any, hint: str, **headers: str) -> None:
    reply = await ask(fake, body, headers=headers)
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _taken(body: Any) -> None:
    assert (await ask(FakeAnthropic(), body)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_anthropic.REFUSED, lambda case: _message(FakeAnthropic(), *case))
        and await all_hold(test_strict_anthropic.NEW_REFUSED, lambda case: _message(FakeAnthropic(), *case, **NEWEST))
        and await all_hold(CASES, lambda case: refused(FakeAnthropic(), case))
        and await all_hold(places.CASES, lambda case: _message(places.fake(), *case))
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize("module", [rules, turns, schema, fake], ids=lambda module: module.__name__.rpartition(".")[2])
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    await mutation.each_is_needed(mutants(module, "raise", "yield"), _holds)


@pytest.mark.parametrize("shape", [rules.REQUEST, rules.COUNT, rules.CUSTOM_TOOL], ids=["message", "count", "tool"])
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    await shapes.each_is_needed(shape, _holds, LEFT)
