"""Prompts: who made a version and who moved its labels, and versions that were removed.

What does not live here: the table itself (`rev_0001_first.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLE = "compatgw_prompts"


def upgrade() -> None:
    """Adds the columns; nobody knows who made what is there."""
    op.add_column(_TABLE, sa.Column("by", sa.String(200), nullable=False, server_default=""))
    op.add_column(_TABLE, sa.Column("changed", sa.BigInteger, nullable=True))
    op.add_column(_TABLE, sa.Column("changed_by", sa.String(200), nullable=False, server_default=""))
    op.add_column(_TABLE, sa.Column("removed", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Removes the columns."""
    for name in ("removed", "changed_by", "changed", "by"):
        op.drop_column(_TABLE, name)
