"""What tests of storage are made of: a clock, records with sensible members, a way to new ledgers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol

from compatgw.state.base import Key, Prompt, ProviderSecret, Team, UsageRow, Wallet
from compatgw.state.sql import SqlLedger

NOW = 1_795_000_000.0


class Clock:
    """A clock that stands still until it is moved; `steady` never goes back."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class NewLedger(Protocol):
    """Opens one more ledger on the same database."""

    def __call__(self, **options: Any) -> SqlLedger:
        """With these options."""
        ...


def team(id: str = "t1", **members: Any) -> Team:
    """A team."""
    return Team(id=id, name=f"Team {id}", **members)


def key(id: str = "k1", **members: Any) -> Key:
    """A key of team `t1`."""
    given: dict[str, Any] = {"team": "t1", "name": f"Key {id}", "hash": "no real hash", **members}
    return Key(id=id, **given)


def secret(id: str = "s1", **members: Any) -> ProviderSecret:
    """A sealed key of team `t1`."""
    given: dict[str, Any] = {"team": "t1", "provider": "openai", "ring": "r1", "sealed": b"\0\xff", **members}
    return ProviderSecret(id=id, **given)


def prompt(id: str = "p1", **members: Any) -> Prompt:
    """A prompt."""
    given: dict[str, Any] = {"name": "greet", "number": 1, "kind": "text", "body": '"Hello {{name}}"', **members}
    return Prompt(id=id, **given)


def used(id: str = "u1", **members: Any) -> UsageRow:
    """A call of key `k1`."""
    given: dict[str, Any] = {
        "at": NOW,
        "request": f"req-{id}",
        "team": "t1",
        "key": "k1",
        "model": "gpt-4o",
        "provider": "openai",
        "input": 100,
        "output": 20,
        **members,
    }
    return UsageRow(id=id, **given)


async def paid(ledger: SqlLedger, amount: str = "10", team_id: str = "t1") -> None:
    """Gives a team with that much in its wallet to `ledger`."""
    await ledger.add(team(team_id))
    await ledger.open_wallet(team_id, "USD")
    if Decimal(amount):
        await ledger.topup(team_id, Decimal(amount))


async def wallet(ledger: SqlLedger, team_id: str = "t1") -> Wallet:
    """The team's wallet."""
    found = await ledger.wallet(team_id)
    assert found is not None
    return found


def money(text: str) -> Decimal:
    """An amount as the ledger gives it back."""
    return Decimal(text).quantize(Decimal("1E-9"))
