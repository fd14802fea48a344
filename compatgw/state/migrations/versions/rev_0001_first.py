"""The first schema: teams, plans, keys, wallets, usage, sealed provider keys, prompts, audit.

What does not live here: later changes; a revision that was released is never edited.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBERED: Any = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Makes all tables."""
    _owners()
    _money()
    _records()
    _journals()


def downgrade() -> None:
    """Refuses: there is nothing before it but an empty database."""
    raise NotImplementedError("There is no schema before the first. Use an empty database.")


def _owners() -> None:
    op.create_table(
        "compatgw_teams",
        _seq(),
        _text("id", unique=True),
        _text("name"),
        _flag("active"),
        _long("models"),
        _text("plan", needed=False),
        _flag("byok_fallback"),
        _long("metadata"),
        *_stamps(),
        **_NUMBERED,
    )
    op.create_table("compatgw_plans", _seq(), _text("id", unique=True), *_limits(), *_stamps(), **_NUMBERED)
    op.create_table(
        "compatgw_keys",
        _seq(),
        _text("id", unique=True),
        _team(),
        _text("name"),
        _long("hash"),
        _text("hint"),
        _long("old_hash", needed=False),
        _big("old_until", needed=False),
        _long("scopes"),
        _long("models"),
        _text("plan", needed=False),
        *_limits(),
        _big("budget", needed=False),
        _text("period", 8),
        _big("expires", needed=False),
        _big("revoked", needed=False),
        _long("metadata"),
        *_stamps(),
        **_NUMBERED,
    )
    op.create_index("ix_compatgw_keys_team", "compatgw_keys", ["team"])


def _money() -> None:
    op.create_table(
        "compatgw_wallets",
        sa.Column("team", sa.String(200), sa.ForeignKey("compatgw_teams.id"), primary_key=True),
        _text("currency", 8),
        _big("balance"),
        _big("reserved"),
        *_stamps(),
        sa.CheckConstraint("reserved >= 0 AND reserved <= balance", name="compatgw_wallets_covered"),
    )
    op.create_table(
        "compatgw_entries",
        _seq(),
        _text("id", unique=True),
        sa.Column("team", sa.String(200), sa.ForeignKey("compatgw_wallets.team"), nullable=False),
        _text("kind", 16),
        _big("amount"),
        _big("balance"),
        _big("at"),
        _text("reservation", needed=False, unique=True),
        _text("idempotency", needed=False),
        _text("by"),
        _long("note"),
        sa.UniqueConstraint("team", "idempotency", name="compatgw_entries_idempotency"),
        **_NUMBERED,
    )
    op.create_index("ix_compatgw_entries_team", "compatgw_entries", ["team"])
    op.create_table(
        "compatgw_reservations",
        sa.Column("id", sa.String(200), primary_key=True),
        _text("team"),
        _big("amount"),
        _flag("wallet"),
        _text("owner"),
        _text("state", 16),
        _big("created"),
        _big("expires"),
        _text("budget_key", needed=False),
        _text("budget_label", 16, needed=False),
        _big("charged"),
        _big("shortfall"),
        _big("closed", needed=False),
    )
    op.create_index("compatgw_reservations_open", "compatgw_reservations", ["state", "expires"])
    op.create_table(
        "compatgw_spends",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("label", sa.String(16), primary_key=True),
        _big("spent"),
        _big("reserved"),
    )
    op.create_table("compatgw_processes", sa.Column("id", sa.String(200), primary_key=True), _big("seen"))


def _records() -> None:
    op.create_table(
        "compatgw_secrets",
        _seq(),
        _text("id", unique=True),
        _team(),
        _text("provider"),
        _text("ring"),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        _text("last4", 8),
        *_stamps(),
        sa.UniqueConstraint("team", "provider", name="compatgw_secrets_provider"),
        **_NUMBERED,
    )
    op.create_index("ix_compatgw_secrets_team", "compatgw_secrets", ["team"])
    op.create_table(
        "compatgw_prompts",
        _seq(),
        _text("id", unique=True),
        _text("name"),
        sa.Column("number", sa.Integer, nullable=False),
        _text("kind", 8),
        _long("body"),
        _long("labels"),
        *_stamps(),
        sa.UniqueConstraint("name", "number", name="compatgw_prompts_number"),
        **_NUMBERED,
    )


def _journals() -> None:
    op.create_table(
        "compatgw_usage",
        _seq(),
        _text("id", unique=True),
        _big("at"),
        *[_text(name) for name in ("request", "team", "key")],
        _long("model"),
        _text("provider"),
        _long("target"),
        _text("endpoint"),
        *[_big(name) for name in ("input", "cached", "cache_write", "output", "reasoning", "images")],
        _big("cost", needed=False),
        _big("charge"),
        *[_flag(name) for name in ("estimated", "stream", "byok", "cached_answer")],
        _big("latency"),
        _big("first_token", needed=False),
        sa.Column("status", sa.Integer, nullable=False),
        _text("code"),
        **_NUMBERED,
    )
    op.create_index("ix_compatgw_usage_at", "compatgw_usage", ["at"])
    op.create_index("ix_compatgw_usage_request", "compatgw_usage", ["request"])
    op.create_index("compatgw_usage_team", "compatgw_usage", ["team", "at"])
    op.create_index("compatgw_usage_key", "compatgw_usage", ["key", "at"])
    op.create_table(
        "compatgw_audit",
        _seq(),
        _text("id", unique=True),
        _big("at"),
        *[_text(name) for name in ("by", "action", "kind", "subject")],
        _long("before", needed=False),
        _long("after", needed=False),
        **_NUMBERED,
    )
    op.create_index("ix_compatgw_audit_at", "compatgw_audit", ["at"])
    op.create_table("compatgw_changes", _seq(), _text("kind"), _text("id"), _big("at"), **_NUMBERED)


def _seq() -> sa.Column[Any]:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("seq", number, primary_key=True, autoincrement=True)


def _text(name: str, size: int = 200, *, needed: bool = True, unique: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(size), nullable=not needed, unique=unique or None)


def _long(name: str, *, needed: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=not needed)


def _big(name: str, *, needed: bool = True) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=not needed)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _team() -> sa.Column[Any]:
    return sa.Column("team", sa.String(200), sa.ForeignKey("compatgw_teams.id"), nullable=False)


def _limits() -> list[sa.Column[Any]]:
    return [_big(name, needed=False) for name in ("requests", "tokens", "concurrency")]


def _stamps() -> list[sa.Column[Any]]:
    return [_big("created"), sa.Column("version", sa.Integer, nullable=False)]
