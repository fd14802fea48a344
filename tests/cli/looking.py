"""What a ledger has, read past the command line; and what it is given to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from compatgw.state.base import AuditEntry, Key, ProviderSecret, UsageRow
from compatgw.state.sql import SqlLedger


def audit_of(url: str) -> tuple[AuditEntry, ...]:
    """All that was written down."""
    found: tuple[AuditEntry, ...] = asyncio.run(_all(url, AuditEntry))
    return found


def keys_of(url: str) -> tuple[Key, ...]:
    """All keys."""
    found: tuple[Key, ...] = asyncio.run(_all(url, Key))
    return found


def secrets_of(url: str) -> tuple[ProviderSecret, ...]:
    """All sealed provider keys."""
    found: tuple[ProviderSecret, ...] = asyncio.run(_all(url, ProviderSecret))
    return found


async def _all(url: str, kind: Any) -> tuple[Any, ...]:
    ledger = SqlLedger(url)
    try:
        return (await ledger.page(kind, limit=1000)).items
    finally:
        await ledger.aclose()


def use(url: str, rows: Iterable[UsageRow]) -> None:
    """Writes calls down."""
    asyncio.run(_use(url, rows))


async def _use(url: str, rows: Iterable[UsageRow]) -> None:
    ledger = SqlLedger(url)
    await ledger.open()
    for row in rows:
        assert ledger.record(row)
    await ledger.aclose()


def add(url: str, records: Iterable[Any]) -> None:
    """Stores records."""
    asyncio.run(_add(url, records))


async def _add(url: str, records: Iterable[Any]) -> None:
    ledger = SqlLedger(url)
    try:
        for record in records:
            await ledger.add(record)
    finally:
        await ledger.aclose()


def statement(url: str, text: str) -> None:
    """Runs a statement that no transaction may hold."""
    asyncio.run(_statement(url, text))


async def _statement(url: str, text: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(text)
    finally:
        await connection.close()
