"""Each strictness rule of the Gemini fake has a case that fails without it.

Every `raise` (and every `yield` of a complaint) in the modules with rules is taken out, one at a time, and every
constraint in the description of a request is loosened; then the tables of cases are run.
"""

from types import ModuleType
from typing import Any

import pytest

from compatgw_testing import FakeGemini
from compatgw_testing.fakes.gemini import catalogue, embeddings, fake, imagen, rules, schema, turns
from compatgw_testing.fakes.shape import Obj
from tests.testing import mutation, shapes, test_strict_gemini
from tests.testing.driver import Reply, ask
from tests.testing.gemini import places
from tests.testing.gemini.cases import CASES, TAKEN
from tests.testing.mutation import all_hold, mutants
from tests.testing.surfaces import put, refused


def _says(reply: Reply, hint: str) -> None:
    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


async def _content(case: tuple[Any, str, str]) -> None:
    body, hint, model = case
    _says(await ask(FakeGemini(), body, model=model), hint)


async def _place(case: tuple[str, Any, str]) -> None:
    path, body, hint = case
    _says(await put(FakeGemini(), path, body), hint)


async def _taken(case: tuple[str, Any]) -> None:
    assert (await put(FakeGemini(), *case)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_gemini.REFUSED, _content)
        and await all_hold(CASES, lambda case: refused(FakeGemini(), case))
        and await all_hold(places.CASES, _place)
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize(
    "module", [rules, turns, embeddings, imagen, catalogue, fake], ids=lambda module: module.__name__.rpartition(".")[2]
)
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    await mutation.each_is_needed(mutants(module, "raise", "yield"), _holds)


@pytest.mark.parametrize(
    "shape",
    [schema.REQUEST, schema.VERTEX, schema.COUNTED, embeddings.MANY, embeddings.PREDICT, imagen.PAINT],
    ids=["content", "vertex", "count", "embed", "predict", "paint"],
)
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    await shapes.each_is_needed(shape, _holds)
