"""Shops of one ledger, for tests of whole calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.flow.paying import Open, Shop, shop
from tests.state.making import Clock


@pytest.fixture
async def open_shop(ledger_url: str, clock: Clock) -> AsyncIterator[Open]:
    """Opens gateways on one ledger, on each back end."""
    async for each in _opening(ledger_url, clock):
        yield each


@pytest.fixture
async def open_sqlite_shop(empty_ledger: Callable[[str], str], clock: Clock) -> AsyncIterator[Open]:
    """The same on SQLite alone, for what does not depend on the back end."""
    async for each in _opening(empty_ledger("sqlite"), clock):
        yield each


async def _opening(url: str, clock: Clock) -> AsyncIterator[Open]:
    opened: list[Shop] = []

    def new(upstream: Any, **settings: Any) -> Shop:
        opened.append(shop(upstream, url, clock, **settings))
        return opened[-1]

    yield new
    for each in opened:
        await each.app.aclose()
