"""Each assertion can fail: broken servers, one for each way to be broken, and who has to notice."""

import asyncio

import pytest

from compatgw_testing.check.scorecard import ASSERTIONS
from tests.testing.check.broken import Bent
from tests.testing.check.mutations import ON_ANSWERS, Mutation
from tests.testing.check.mutations_http import ON_HTTP
from tests.testing.check.servers import good, scored

MUTATIONS = (*ON_ANSWERS, *ON_HTTP)
# Assertions that a test of their own makes fail, because it takes more than a bent answer.
ELSEWHERE = {
    "stream.not_held_back": "it takes a clock: `test_a_stream_that_is_held_back`",
    "headers.keep_alive": "it takes a socket: `test_connections_that_are_closed`",
}


def _name(mutation: Mutation) -> str:
    return "+".join(mutation.fails[:2])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=_name)
async def test_a_broken_server_is_noticed(mutation: Mutation) -> None:
    """Each assertion that has to notice fails; none is skipped instead."""
    async with asyncio.timeout(30):
        card = await scored(Bent(good(), mutation.bend), *mutation.fails)

    states = {one.assertion.id: (one.state, one.evidence) for one in card.results}
    missed = {id: state for id, state in states.items() if state[0] != "fail"}
    assert not missed
    assert all(evidence for _, evidence in states.values())


def test_every_assertion_can_fail() -> None:
    """For each there is a broken server, here or in a test of its own."""
    shown = {id for mutation in MUTATIONS for id in mutation.fails} | set(ELSEWHERE)

    assert {one.id for one in ASSERTIONS} - shown == set()
    assert shown - {one.id for one in ASSERTIONS} == set()
