"""A gateway with a ledger over a canned upstream, and teams that pay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import orjson

from compatgw import Gateway
from compatgw.state.base import Entry, Ledger, UsageRow, Wallet
from compatgw.state.secrets import Hasher
from tests.canned import ask

PRICE = {"input": "100", "output": "1000", "per_request": "0.01"}
"""A cent a call, and of a million tokens; `completion()` has 3 in and 2 out: 0.0123."""
COST = Decimal("0.0123")
CHEAP = Hasher(time_cost=1, memory_cost=8, parallelism=1)
RING = "k1:" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


@dataclass
class Shop:
    """One gateway and its ledger.

    Attributes:
        app: The gateway.
        ledger: Its ledger.
        office: What changes it.
    """

    app: Gateway
    ledger: Ledger
    office: Any

    async def key(self, wallet: str | None = None, team: dict[str, Any] | None = None, **members: Any) -> str:
        """A key of team `t1`, which is made with that much in its wallet."""
        if await self.ledger.account("t1") is None:
            await self.office.add_team("t1", "Team", wallet=wallet is not None, by="test", **(team or {}))
            if wallet is not None and Decimal(wallet):
                await self.office.topup("t1", Decimal(wallet), by="test")
        _, text = await self.office.mint_key("t1", "App", by="test", **members)
        return str(text)

    async def post(self, key: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        """One chat request."""
        async with self.app.client(api_key=key) as client:
            sent = {"content-type": "application/json", **(headers or {})}
            return await client.post("/v1/chat/completions", content=orjson.dumps(ask(**members)), headers=sent)

    async def rows(self) -> list[UsageRow]:
        """All usage that is written once the gateway is closed, the newest first."""
        await self.app.aclose()
        return list((await self.ledger.page(UsageRow, limit=1000)).items)

    async def wallet(self) -> Wallet:
        """The wallet of `t1`."""
        found = await self.ledger.wallet("t1")
        assert found is not None
        return found

    async def charges(self) -> list[Decimal]:
        """What was taken from it, call by call."""
        entries = (await self.ledger.page(Entry, where={"team": "t1"})).items
        return [-entry.amount for entry in entries if entry.kind == "charge"]


Open = Callable[..., Shop]
"""Opens a shop over an upstream, with further settings."""


def shop(upstream: Any, url: str, clock: Callable[[], float], **settings: Any) -> Shop:
    """A gateway whose only provider, `up`, is `upstream`; its model `m` has `PRICE`."""
    state = {"ledger": url, "key_ring": RING, **settings.pop("state", {})}
    given: dict[str, Any] = {
        "providers": {"up": {"app": upstream, "base_url": "http://upstream/v1", "api_key": "sk-platform-secret"}},
        "models": {"m": {"target": "up/m", "price": PRICE}, "unpriced": "up/unpriced"},
        "environ": {},
        "retries": {"most": 0},
        "breaker": {"streak": 0, "least_calls": 1000},
        "clock": clock,
        **settings,
    }
    app = Gateway(state=state, **given)
    records = app._standing.records
    assert records is not None
    # What proving a key costs is looked at elsewhere.
    records.verifier._hasher = CHEAP
    records.office._hash = CHEAP.hash
    return Shop(app, records.ledger, records.office)
