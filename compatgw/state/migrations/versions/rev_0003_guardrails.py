"""Usage: what guardrails did to a call.

What does not live here: the table itself (`rev_0001_first.py`).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLE = "compatgw_usage"


def upgrade() -> None:
    """Adds the column; of calls that are there nobody knows."""
    op.add_column(_TABLE, sa.Column("guardrails", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Removes the column."""
    op.drop_column(_TABLE, "guardrails")
