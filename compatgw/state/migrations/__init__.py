"""Brings a database to the schema of this version, or says why it cannot be used.

One transaction and one lock: whoever comes second waits and finds the work done, and a process
that dies half way leaves the database as it was.

What does not live here: the tables as they are now (`state/schema.py`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from compatgw.state.base import SchemaMismatch
from compatgw.state.schema import HEAD, VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection

_log = logging.getLogger("compatgw")
FOLDER = Path(__file__).parent
# Any number will do that no other program takes for its own lock.
_LOCK = 0x636F6D7061746777 >> 1


def revision(connection: Connection) -> str | None:
    """The revision of the database, None when it has none of our tables."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    return found


def check(connection: Connection) -> None:
    """Passes when the database has the schema of this version.

    Raises:
        SchemaMismatch: It has another one, or none.
    """
    found = revision(connection)
    if found == HEAD:
        return
    if found is None:
        raise SchemaMismatch("The database has no tables of compatgw yet. Run 'compatgw db upgrade' once.")
    if found > HEAD:
        raise SchemaMismatch(_newer(found))
    raise SchemaMismatch(f"The database's schema is {found}, this version needs {HEAD}. Run 'compatgw db upgrade'.")


def upgrade(connection: Connection) -> str:
    """Makes or changes the tables within the transaction of `connection`, which the caller commits.

    Returns:
        The revision that the database was at, empty for none.

    Raises:
        SchemaMismatch: The database is newer than this version.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = revision(connection)
    if found == HEAD:
        return HEAD
    if found is not None and found > HEAD:
        raise SchemaMismatch(_newer(found))
    # Alembic takes longer to import than all the rest, and is needed once in a database's life.
    import alembic.command
    import alembic.config

    config = alembic.config.Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, HEAD)
    _log.info("The ledger's schema went from %s to %s.", found or "nothing", HEAD)
    return found or ""


def _newer(found: str) -> str:
    return (
        f"The database's schema is {found[:40]}, newer than {HEAD}, the newest that this version of compatgw knows. "
        "Upgrade compatgw, or use another database."
    )
