"""Each strictness rule of the Cohere fake has a case that fails without it.

Every `raise` (and every `yield` of a complaint) in the modules with rules is taken out, one at a time, and every
constraint in the description of a request is loosened; then the tables of cases are run.
"""

from types import ModuleType
from typing import Any

import pytest

from compatgw_testing import FakeCohere
from compatgw_testing.fakes.cohere import catalogue, embeddings, fake, rerank, rules, tokens
from compatgw_testing.fakes.shape import Obj
from tests.testing import test_strict_cohere
from tests.testing.cohere import places
from tests.testing.cohere.cases import CASES, TAKEN
from tests.testing.driver import ask
from tests.testing.mutation import all_hold, mutants, survivors
from tests.testing.shapes import untested
from tests.testing.surfaces import Case, put, refused


async def _chat(case: tuple[Any, int, str]) -> None:
    body, status, hint = case
    reply = await ask(FakeCohere(), body)
    assert reply.status == status
    assert hint in reply.json["message"]


async def _surface(case: Case) -> None:
    await refused(FakeCohere(), case)


async def _place(case: tuple[str, Any, int, str]) -> None:
    path, body, status, hint = case
    reply = await put(FakeCohere(), path, body)
    assert reply.status == status
    assert hint in reply.json["message"]


async def _taken(case: tuple[str, Any]) -> None:
    assert (await put(FakeCohere(), *case)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_cohere.REFUSED, _chat)
        and await all_hold(CASES, _surface)
        and await all_hold(places.CASES, _place)
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize(
    "module",
    [rules, embeddings, rerank, tokens, catalogue, fake],
    ids=lambda module: module.__name__.rpartition(".")[2],
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
    [rules.REQUEST, embeddings.EMBED, rerank.RERANK, tokens.TOKENIZE],
    ids=["chat", "embed", "rerank", "tokenize"],
)
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    count, left = await untested(shape, _holds)

    print(f"{count} constraints loosened, {len(left)} untested")
    assert left == []
    assert count
