"""A gateway with a ledger, and a client that manages it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from compatgw import Gateway
from compatgw.state.sql import SqlLedger
from tests.admin.desk import ADMIN, RING, Desk
from tests.canned import Canned
from tests.state.making import Clock


@pytest.fixture
async def open_desk(clock: Clock) -> AsyncIterator[Callable[..., Desk]]:
    """Opens gateways on a ledger's URL, each with a client that has the scope `admin`."""
    opened: list[Desk] = []

    def open(url: str, **settings: Any) -> Desk:
        given: dict[str, Any] = {
            "state": {"ledger": url, "key_ring": RING},
            "keys": [{"key": ADMIN, "name": "ops", "scopes": ["admin"]}, {"key": "plain", "name": "app"}],
            "providers": {"openai": {"app": Canned(), "api_key": "of-the-platform"}},
            "plans": {"house": {"requests": 7}},
            **settings,
        }
        gateway = Gateway(clock=clock, environ={}, **given)
        ledger = SqlLedger(url, clock=clock)
        opened.append(Desk(gateway, gateway.client(api_key=ADMIN), ledger, clock))
        return opened[-1]

    yield open
    for desk in opened:
        await desk.aclose()


@pytest.fixture
async def desk(open_desk: Callable[..., Desk], ledger_url: str) -> Desk:
    """A gateway on each back end."""
    return open_desk(ledger_url)


@pytest.fixture
async def local(open_desk: Callable[..., Desk], empty_ledger: Callable[[str], str]) -> Desk:
    """A gateway on SQLite, for what the back end does not matter to."""
    return open_desk(empty_ledger("sqlite"))
