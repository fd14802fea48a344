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
from tests.testing import test_strict_anthropic
from tests.testing.anthropic import places
from tests.testing.anthropic.cases import CASES, TAKEN
from tests.testing.driver import ask
from tests.testing.mutation import all_hold, mutants, survivors
from tests.testing.shapes import untested
from tests.testing.surfaces import Case, refused

# Constraints that no table tests.
LEFT = {
    ".messages: high=100000": "takes long: test_surfaces.py",
}


async def _message(case: tuple[Any, str]) -> None:
    body, hint = case
    reply = await ask(FakeAnthropic(), body)
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _newer(case: tuple[Any, str]) -> None:
    body, hint = case
    reply = await ask(FakeAnthropic(), body, headers={"anthropic-version": "2026-10-21"})
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _place(case: tuple[Any, str]) -> None:
    body, hint = case
    reply = await ask(places.fake(), body)
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _surface(case: Case) -> None:
    await refused(FakeAnthropic(), case)


async def _taken(body: Any) -> None:
    assert (await ask(FakeAnthropic(), body)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_anthropic.REFUSED, _message)
        and await all_hold(test_strict_anthropic.NEW_REFUSED, _newer)
        and await all_hold(CASES, _surface)
        and await all_hold(places.CASES, _place)
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize("module", [rules, turns, schema, fake], ids=lambda module: module.__name__.rpartition(".")[2])
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    found = mutants(module, "raise", "yield")

    left = await survivors(module, _holds, "raise", "yield")

    print(f"{module.__name__}: {len(found)} rules taken out, {len(left)} survived")
    assert [str(one) for one in left] == []
    assert found


@pytest.mark.parametrize("shape", [rules.REQUEST, rules.COUNT, rules.CUSTOM_TOOL], ids=["message", "count", "tool"])
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    count, left = await untested(shape, _holds)

    print(f"{count} constraints loosened, {len(left)} untested")
    assert [one for one in left if one not in LEFT] == []
    assert count
