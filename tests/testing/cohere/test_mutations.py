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
from tests.testing import mutation, shapes, test_strict_cohere
from tests.testing.cohere import places
from tests.testing.cohere.cases import CASES, TAKEN
from tests.testing.mutation import all_hold, mutants
from tests.testing.surfaces import put, refused


async def _place(path: str, body: Any, status: int, hint: str) -> None:
    reply = await put(FakeCohere(), path, body)
    assert reply.status == status
    assert hint in reply.json["message"]


async def _taken(case: tuple[str, Any]) -> None:
    assert (await put(FakeCohere(), *case)).status == 200


async def _holds() -> bool:
    """Whether every case of every table holds."""
    return (
        await all_hold(test_strict_cohere.REFUSED, lambda case: _place("/v2/chat", *case))
        and await all_hold(CASES, lambda case: refused(FakeCohere(), case))
        and await all_hold(places.CASES, lambda case: _place(*case))
        and await all_hold(TAKEN, _taken)
    )


@pytest.mark.parametrize(
    "module",
    [rules, embeddings, rerank, tokens, catalogue, fake],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
async def test_each_rule_has_a_case_that_fails_without_it(module: ModuleType) -> None:
    """No mutant survives."""
    await mutation.each_is_needed(mutants(module, "raise", "yield"), _holds)


@pytest.mark.parametrize(
    "shape",
    [rules.REQUEST, embeddings.EMBED, rerank.RERANK, tokens.TOKENIZE],
    ids=["chat", "embed", "rerank", "tokenize"],
)
async def test_each_constraint_has_a_case_that_fails_without_it(shape: Obj) -> None:
    """What is needed, what is closed, every choice and every bound."""
    await shapes.each_is_needed(shape, _holds)
