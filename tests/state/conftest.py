"""What the contract suites of storage share: ledgers and counters on every back end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from compatgw.state.sql import SqlLedger
from tests.state.making import Clock, NewLedger


@pytest.fixture
async def new_ledger(ledger_url: str, clock: Clock) -> AsyncIterator[NewLedger]:
    """Opens ledgers on the same database, as other processes would; closes them at the end."""
    opened: list[SqlLedger] = []

    def new(**options: Any) -> SqlLedger:
        given: dict[str, Any] = {"clock": clock, "busy": 5.0, **options}
        opened.append(SqlLedger(ledger_url, **given))
        return opened[-1]

    yield new
    for ledger in opened:
        await ledger.aclose()


@pytest.fixture
async def ledger(new_ledger: NewLedger) -> SqlLedger:
    """A ledger on each back end."""
    return new_ledger()


@pytest.fixture(params=["memory", "redis"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[MemoryCounters | RedisCounters]:
    """Empty counters on each back end."""
    if request.param == "memory":
        yield MemoryCounters()
        return
    shared = RedisCounters(request.getfixturevalue("redis_url"))
    await (await shared._client()).redis.flushall()
    yield shared
    await shared.aclose()
