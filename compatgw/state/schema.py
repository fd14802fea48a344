"""The tables, and how values of records become columns. Imports SQLAlchemy: only back ends import this file.

A table's columns bear the names of its record's fields, so that a row is a record and back.
`seq` numbers rows in the order in which they came, for pages. All names begin with `compatgw_`:
the database may be the host's own.

What does not live here: how the tables come to be (`migrations/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from compatgw.policy.money import from_units, units
from compatgw.state.base import (
    AuditEntry,
    Entry,
    Key,
    Plan,
    Prompt,
    ProviderSecret,
    Reservation,
    Team,
    UsageRow,
    Wallet,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from sqlalchemy.engine import Dialect
    from sqlalchemy.schema import SchemaItem

HEAD = "0004"
"""The revision of `migrations/` that these tables are."""
VERSION_TABLE = "compatgw_schema"

# Long enough for ids and names of other systems, short enough for every index.
NAME = 200
MICRO = 1_000_000
"""Parts of a second that times are kept in."""


class Money(TypeDecorator["Decimal"]):
    """An amount, as a whole number of billionths."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """To billionths."""
        return None if value is None else units(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """From billionths; sums come back as other kinds of numbers."""
        return None if value is None else from_units(int(value))


class Instant(TypeDecorator[float]):
    """A time, as a whole number of microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> int | None:
        """To microseconds."""
        return None if value is None else round(value * MICRO)

    def process_result_value(self, value: Any, dialect: Dialect) -> float | None:
        """From microseconds."""
        return None if value is None else int(value) / MICRO


class Words(TypeDecorator[tuple[str, ...]]):
    """Some texts, as a JSON list."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """To JSON."""
        return None if value is None else orjson.dumps(list(value)).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """From JSON."""
        return None if value is None else tuple(orjson.loads(value))


class Fields(TypeDecorator[Mapping[str, object]]):
    """Anything with names, as a JSON object."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, object] | None, dialect: Dialect) -> str | None:
        """To JSON."""
        return None if value is None else orjson.dumps(dict(value)).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Mapping[str, object] | None:
        """From JSON."""
        return None if value is None else orjson.loads(value)


metadata = MetaData()


# SQLite numbers rows by itself only where the column is its own INTEGER.
_SEQ = BigInteger().with_variant(Integer, "sqlite")


def _seq() -> Column[int]:
    return Column("seq", _SEQ, primary_key=True, autoincrement=True)


def _id() -> Column[str]:
    return Column("id", String(NAME), nullable=False, unique=True)


def _team() -> Column[str]:
    return Column("team", String(NAME), ForeignKey("compatgw_teams.id"), nullable=False, index=True)


def _stamps() -> tuple[Column[Any], Column[Any]]:
    return Column("created", Instant, nullable=False), Column("version", Integer, nullable=False)


def _limits() -> tuple[Column[Any], ...]:
    return Column("requests", BigInteger), Column("tokens", BigInteger), Column("concurrency", BigInteger)


def _numbered(name: str, *columns: SchemaItem) -> Table:
    # Without AUTOINCREMENT SQLite would give the number of a deleted row to the next one.
    return Table(name, metadata, _seq(), *columns, sqlite_autoincrement=True)


teams = _numbered(
    "compatgw_teams",
    _id(),
    Column("name", String(NAME), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("models", Words, nullable=False),
    Column("plan", String(NAME)),
    Column("byok_fallback", Boolean, nullable=False),
    Column("metadata", Fields, nullable=False),
    *_stamps(),
)
plans = _numbered("compatgw_plans", _id(), *_limits(), *_stamps())
keys = _numbered(
    "compatgw_keys",
    _id(),
    _team(),
    Column("name", String(NAME), nullable=False),
    Column("hash", Text, nullable=False),
    Column("hint", String(NAME), nullable=False),
    Column("old_hash", Text),
    Column("old_until", Instant),
    Column("scopes", Words, nullable=False),
    Column("models", Words, nullable=False),
    Column("plan", String(NAME)),
    *_limits(),
    Column("budget", Money),
    Column("period", String(8), nullable=False),
    Column("expires", Instant),
    Column("revoked", Instant),
    Column("metadata", Fields, nullable=False),
    *_stamps(),
)
secrets = _numbered(
    "compatgw_secrets",
    _id(),
    _team(),
    Column("provider", String(NAME), nullable=False),
    Column("ring", String(NAME), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("last4", String(8), nullable=False),
    *_stamps(),
    UniqueConstraint("team", "provider", name="compatgw_secrets_provider"),
)
prompts = _numbered(
    "compatgw_prompts",
    _id(),
    Column("name", String(NAME), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("body", Text, nullable=False),
    Column("labels", Words, nullable=False),
    Column("by", String(NAME), nullable=False),
    Column("changed", Instant),
    Column("changed_by", String(NAME), nullable=False),
    Column("removed", Boolean, nullable=False),
    *_stamps(),
    UniqueConstraint("name", "number", name="compatgw_prompts_number"),
)

wallets = Table(
    "compatgw_wallets",
    metadata,
    Column("team", String(NAME), ForeignKey("compatgw_teams.id"), primary_key=True),
    Column("currency", String(8), nullable=False),
    Column("balance", Money, nullable=False),
    Column("reserved", Money, nullable=False),
    *_stamps(),
    # The database itself keeps what the arithmetic promises.
    CheckConstraint("reserved >= 0 AND reserved <= balance", name="compatgw_wallets_covered"),
)
entries = _numbered(
    "compatgw_entries",
    _id(),
    Column("team", String(NAME), ForeignKey("compatgw_wallets.team"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("amount", Money, nullable=False),
    Column("balance", Money, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reservation", String(NAME), unique=True),
    Column("idempotency", String(NAME)),
    Column("by", String(NAME), nullable=False),
    Column("note", Text, nullable=False),
    UniqueConstraint("team", "idempotency", name="compatgw_entries_idempotency"),
)
reservations = Table(
    "compatgw_reservations",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("team", String(NAME), nullable=False),
    Column("amount", Money, nullable=False),
    Column("wallet", Boolean, nullable=False),
    Column("owner", String(NAME), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, nullable=False),
    Column("budget_key", String(NAME)),
    Column("budget_label", String(16)),
    Column("charged", Money, nullable=False),
    Column("shortfall", Money, nullable=False),
    Column("closed", Instant),
    Index("compatgw_reservations_open", "state", "expires"),
)
spends = Table(
    "compatgw_spends",
    metadata,
    Column("key", String(NAME), primary_key=True),
    Column("label", String(16), primary_key=True),
    Column("spent", Money, nullable=False),
    Column("reserved", Money, nullable=False),
)
processes = Table(
    "compatgw_processes",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("seen", Instant, nullable=False),
)

usage = _numbered(
    "compatgw_usage",
    _id(),
    Column("at", Instant, nullable=False, index=True),
    Column("request", String(NAME), nullable=False, index=True),
    Column("team", String(NAME), nullable=False),
    Column("key", String(NAME), nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", String(NAME), nullable=False),
    Column("target", Text, nullable=False),
    Column("endpoint", String(NAME), nullable=False),
    *[
        Column(name, BigInteger, nullable=False)
        for name in ("input", "cached", "cache_write", "output", "reasoning", "images")
    ],
    Column("cost", Money),
    Column("charge", Money, nullable=False),
    *[Column(name, Boolean, nullable=False) for name in ("estimated", "stream", "byok", "cached_answer")],
    Column("latency", Instant, nullable=False),
    Column("first_token", Instant),
    Column("status", Integer, nullable=False),
    Column("code", String(NAME), nullable=False),
    Column("guardrails", Text, nullable=False, server_default=""),
    Index("compatgw_usage_team", "team", "at"),
    Index("compatgw_usage_key", "key", "at"),
)
turns = _numbered(
    "compatgw_turns",
    # None once it was deleted, or has ended, while later turns go on from it.
    Column("id", String(NAME), unique=True),
    Column("owner", Text, nullable=False),
    Column("previous", _SEQ, ForeignKey("compatgw_turns.seq"), index=True),
    Column("created", Instant, nullable=False),
    Column("expires", Instant, index=True),
    Column("working", Instant),
    Column("ring", String(NAME), nullable=False),
    Column("told", LargeBinary),
    Column("added", LargeBinary, nullable=False),
)
audit = _numbered(
    "compatgw_audit",
    _id(),
    Column("at", Instant, nullable=False, index=True),
    Column("by", String(NAME), nullable=False),
    Column("action", String(NAME), nullable=False),
    Column("kind", String(NAME), nullable=False),
    Column("subject", String(NAME), nullable=False),
    Column("before", Text),
    Column("after", Text),
)
changes = _numbered(
    "compatgw_changes",
    Column("kind", String(NAME), nullable=False),
    Column("id", String(NAME), nullable=False),
    Column("at", Instant, nullable=False),
)

TABLES: Mapping[type, Table] = MappingProxyType(
    {
        Team: teams,
        Plan: plans,
        Key: keys,
        ProviderSecret: secrets,
        Prompt: prompts,
        Wallet: wallets,
        Entry: entries,
        Reservation: reservations,
        UsageRow: usage,
        AuditEntry: audit,
    }
)
TIMES: Mapping[type, str] = MappingProxyType({Entry: "at", UsageRow: "at", AuditEntry: "at"})
"""The field that `since` and `until` bound, where it is not `created`."""
