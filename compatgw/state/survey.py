"""What stands in a database: its schema and its rows; and bringing the schema up to date by hand.

For operators who look at a ledger from outside: nothing here makes a ledger where there is none, but `upgrade`.

What does not live here: using a ledger (`sql.py`), the revisions (`migrations/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, inspect, select

from compatgw.state import migrations
from compatgw.state.database import Database, Place, place_of
from compatgw.state.schema import HEAD, metadata

_BUSY = 5.0
_OURS = "compatgw_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A database as it is.

    Attributes:
        place: Its URL without a password.
        revision: Of its schema; None when it has none of our tables.
        head: The revision that this version of compatgw needs.
        rows: Of each of our tables that is there, by name.
    """

    place: str
    revision: str | None
    head: str
    rows: Mapping[str, int]


async def survey(url: str, *, busy: float = _BUSY) -> Survey:
    """Looks, and changes nothing.

    Args:
        busy: Seconds to wait for a connection.

    Raises:
        LedgerUnavailable: The URL is none, or the database is gone.
    """
    place = place_of(url)
    if not _is_there(place):
        return Survey(place=place.shown, revision=None, head=HEAD, rows={})
    database = Database(place, busy)
    try:
        async with database.read() as connection:
            revision = await connection.run_sync(migrations.revision)
            there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
            rows = {}
            for table in metadata.sorted_tables:
                if table.name in there:
                    counted = await connection.execute(select(func.count()).select_from(table))
                    rows[table.name.removeprefix(_OURS)] = int(counted.scalar_one())
    finally:
        await database.aclose()
    return Survey(place=place.shown, revision=revision, head=HEAD, rows=dict(sorted(rows.items())))


async def upgrade(url: str, *, busy: float = _BUSY) -> tuple[str | None, str]:
    """Brings the schema to that of this version; the revisions before (None: no tables) and after.

    Raises:
        SchemaMismatch: The database is newer than this version. LedgerUnavailable: Gone, or locked.
    """
    database = Database(place_of(url), busy)
    try:
        before = await database.prepare(upgrade=True)
    finally:
        await database.aclose()
    return before or None, HEAD


def _is_there(place: Place) -> bool:
    # Whoever connects to a file of SQLite that is not there makes it.
    return not place.sqlite or Path(place.url.database or "").is_file()
