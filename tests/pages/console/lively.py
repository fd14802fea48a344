"""A console on a real port that has seen something: teams, keys, money, prompts, and calls of forty days."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random

from compatgw import Gateway
from compatgw.state.base import UsageRow
from tests.pages.console.looking import DAY, HOUR
from tests.state.making import NOW, used

_MODELS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gpt-4o", "openai/text-embedding-3-small")
_CODES = {
    "upstream_rate_limited": 429, "upstream_timeout": 504, "model_not_found": 404, "upstream_error": 502,
    "invalid_value": 400, "content_blocked": 400, "circuit_open": 503,
}  # fmt: skip
CALL = "call_1"
"""A call that all is known of."""


def calls() -> list[UsageRow]:
    """About as many as a small team makes, the same each time."""
    random = Random(7)
    found = []
    for number in range(600):
        code = random.choice(list(_CODES)) if random.random() < 0.06 else ""
        taken, given = int(random.lognormvariate(6, 1)), int(random.lognormvariate(5, 1))
        cost = Decimal(taken * 3 + given * 15) / 1_000_000
        made = used(
            f"call_{number}", at=NOW - random.random() ** 2 * 40 * DAY, model=random.choice(_MODELS), team="acme",
            key=random.choice(["k1", "k2"]), provider=random.choice(["openai", "anthropic"]), target="its-own-name",
            input=taken, output=0 if code else given, cached=taken // 3, cost=None if code else cost,
            charge=Decimal(0) if code else cost, latency=0.02 if code else random.lognormvariate(0, 1),
            first_token=None if code else 0.2, status=_CODES.get(code, 200), code=code, stream=number % 2 == 0,
            guardrails="pii:redact" if number % 9 == 0 else "",
        )  # fmt: skip
        found.append(made)
    found.append(used("now", at=NOW - HOUR, model=_MODELS[0], latency=0.5, cost=Decimal("0.01")))
    return found


async def _fill(gateway: Gateway) -> str:
    records = gateway._standing.records
    assert records is not None
    office, ledger = records.office, records.ledger
    for each in calls():
        assert ledger.record(each)
    await office.add_team("acme", "Acme Corporation", wallet=True, metadata={"since": 2026}, by="ops")
    await office.move("acme", "topup", Decimal("250"), note="First money", by="ops", idempotency=None)
    await office.put_provider_key("acme", "openai", "sk-proj-0123456789", by="ops")
    key, _ = await office.mint_key("acme", "Nightly tests", budget=Decimal(5), period="month", by="ops")
    await office.prompts.add("greet", text="Hello {{name}}, be brief.", labels=("production",), by="ops")
    await office.prompts.add("greet", text="Hello {{name}}, be kind and brief.", labels=("beta",), by="ops")
    await office.put_plan("gold", requests=1200, by="ops")
    await ledger.aclose()
    return key.id


def fill(gateway: Gateway) -> str:
    """Puts all of that into a gateway's ledger; the id of its key."""
    # In a thread: whoever drives a browser has a loop of its own running.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_fill(gateway))).result()
