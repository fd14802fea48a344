"""Each strictness rule of the Gemini fake has a case that fails without it.

Every `raise` (and every `yield` of a complaint) in the modules with rules is taken out, one at a time, and every
constraint in the description of a request is loosened; then the tables of cases are run.
"""

from types import ModuleType
from typing import Any

import pytest

from compatgw_testing import FakeGemini
from compatgw_testing.fakes.gemini import catalogue, embeddings, fake, rules, schema, turns
from compatgw_testing.fakes.shape import Obj
from tests.testing import test_strict_gemini
from tests.testing.driver import ask
from tests.testing.gemini import places
from tests.testing.gemini.cases import CASES, TAKEN
from tests.testing.mutation import all_hold, mutants, survivors
from tests.testing.shapes import untested
from tests.testing.surfaces import Case, put, refused


async def _content(case: tuple[Any, str, str]) -> None:
    body, hint, model = case
    reply = await ask(FakeGemini(), body, model=model)
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _surface(case: Case) -> None:
    await refused(FakeGemini(), case)


async def _place(case: tuple[str, Any, str]) -> None:
    path, body, hint = case
    reply = await put(FakeGemini(), path, body)
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _taken(case: tuple[str, Any]) -> None:
    assert (await put(FakeGemini(), *case)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_gemini.REFUSED, _content)
        and await all_hold(CASES, _surface)
        and await all_hold(places.CASES, _place)
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize(
    "module", [rules, turns, embeddings, catalogue, fake], ids=lambda module: module.__name__.rpartition(".")[2]
)
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    found = mutants(module, "raise", "yield")

    left = await survivors(module, _holds, "raise", "yield")

    print(f"{module.__name__}: {len(found)} rules taken out, {len(left)} survived")
    assert [str(one) for one in left] == []
    assert found


@pytest.mark.parametrize(
    "shape",
    [schema.REQUEST, schema.VERTEX, schema.COUNTED, embeddings.MANY, embeddings.PREDICT],
    ids=["content", "vertex", "count", "embed", "predict"],
)
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    count, left = await untested(shape, _holds)

    print(f"{count} constraints loosened, {len(left)} untested")
    assert left == []
    assert count
