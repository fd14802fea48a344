"""Turns: responses that are kept, each with the one that it goes on from.

What does not live here: what a turn holds (`flow/shelves.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLE = "compatgw_turns"


def upgrade() -> None:
    """Makes the table; responses that counters keep are not moved into it."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        _TABLE,
        sa.Column("seq", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(200), nullable=True, unique=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("previous", number, sa.ForeignKey(f"{_TABLE}.seq"), nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=True),
        sa.Column("working", sa.BigInteger, nullable=True),
        sa.Column("ring", sa.String(200), nullable=False),
        sa.Column("told", sa.LargeBinary, nullable=True),
        sa.Column("added", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{_TABLE}_previous", _TABLE, ["previous"])
    op.create_index(f"ix_{_TABLE}_expires", _TABLE, ["expires"])


def downgrade() -> None:
    """Removes the table with all responses in it."""
    op.drop_table(_TABLE)
