"""What Alembic runs: the revisions, on the connection that it is handed, in that connection's transaction.

What does not live here: the lock and the checks (`migrations/__init__.py`).
"""

from __future__ import annotations

from alembic import context

from compatgw.state.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # A file of SQLite can be rolled back as well, so that nobody ever starts with half a schema.
    transactional_ddl=True,
)
context.run_migrations()
