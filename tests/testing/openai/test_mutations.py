"""Each strictness rule of the OpenAI fake has a case that fails without it.

Every `raise` (and every `yield` of a complaint) in the modules with rules is taken out, one at a time; then the
tables of cases are run.
"""

from types import ModuleType
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.fakes.openai import audio, completions, embeddings, images, moderations, rules, wording
from compatgw_testing.fakes.openai.responses import rules as response_rules
from compatgw_testing.fakes.openai.responses import store, surface
from tests.testing import test_habits, test_strict_openai
from tests.testing.driver import ask, question
from tests.testing.mutation import Mutant, all_hold, each_is_needed, mutants
from tests.testing.openai import cases, test_strict

# Refusals that are none of the vendor's.
NO_RULES = {
    "ValueError(": "a number that nobody checked: tests/testing/openai/test_strict.py",
    "refuse(f'compatgw_testing:": "the script's own mistake: tests/testing/openai/test_surfaces.py",
}


async def _chat(case: tuple[Any, str | None, str]) -> None:
    body, param, hint = case
    reply = await ask(FakeOpenAI(), body)
    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert hint in (error["code"] or "") + error["message"]


async def _habit(case: tuple[str, dict[str, Any], int, str]) -> None:
    habit, members, status, hint = case
    reply = await ask(FakeOpenAI(habit=habit), question("openai", **members))
    assert reply.status == status
    assert hint in reply.raw.decode()


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_openai.REFUSED, _chat)
        and await all_hold(cases.CASES, test_strict.refused)
        and await all_hold(test_habits.REFUSED, _habit)
    )


def _no_rule(mutant: Mutant) -> bool:
    return any(words in mutant.text for words in NO_RULES)


@pytest.mark.parametrize(
    "module",
    [rules, wording, response_rules, store, surface, embeddings, moderations, images, audio, completions],
    ids=lambda module: module.__name__.partition("openai.")[2],
)
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    await each_is_needed([one for one in mutants(module) if not _no_rule(one)], _holds)


async def test_complaints_about_schemas() -> None:
    """Every complaint that makes a schema unfit for strict mode."""
    await each_is_needed([one for one in mutants(rules, "yield") if one.function == "strict_faults"], _holds)


def test_a_mutant_is_undone() -> None:
    """Afterwards the rule holds again."""
    mutant = mutants(wording)[0]
    before = wording.members_of.__code__

    with mutant.apply():
        during = wording.members_of.__code__

    assert mutant.function == "members_of"
    assert during is not before
    assert wording.members_of.__code__ is before
