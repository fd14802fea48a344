"""`compatgw db`: the ledger's database, from outside.

What does not live here: the schema (`state/schema.py`, `state/migrations/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from compatgw.cli.progress import bar
from compatgw.cli.setting import is_made, run_on_ledger, settings_of, tell_made
from compatgw.cli.tables import Long, Value, column, show_json, show_record, show_table
from compatgw.cli.words import ledger_options
from compatgw.state.opening import open_ledger
from compatgw.state.survey import Survey, survey
from compatgw.state.survey import upgrade as upgraded

if TYPE_CHECKING:
    from compatgw.config import Settings


@click.group("db")
def database() -> None:
    """The ledger's database: its schema and its rows."""


@database.command()
@ledger_options
def upgrade(config: str | None, as_json: bool) -> None:
    """Bring the schema to that of this version.

    In one transaction: all of it or nothing. SQLite files are brought up to date by whoever opens them,
    PostgreSQL only by this command.

    \b
    Example:
      COMPATGW_STATE__LEDGER=postgresql://gateway:secret@db/gateway compatgw db upgrade
    """
    settings = settings_of(config, ledger=True)
    made = is_made(settings)

    async def work() -> tuple[str | None, str]:
        with bar("Upgrading"):
            return await upgraded(_url(settings))

    before, after = run_on_ledger(work())
    if not made:
        tell_made()
    if as_json:
        show_json({"object": "database.upgrade", "from": before, "to": after})
    elif before == after:
        click.echo(f"The schema is {after} already.")
    else:
        click.echo(f"The schema went from {before or 'nothing'} to {after}.")


@database.command()
@ledger_options
def show(config: str | None, as_json: bool) -> None:
    """Show where the ledger is, its schema and its rows.

    Changes nothing, and makes nothing.

    \b
    Example:
      compatgw db show
    """
    settings = settings_of(config, ledger=True)
    found = run_on_ledger(survey(_url(settings)))
    if as_json:
        show_json(
            {
                "object": "database",
                "place": found.place,
                "schema": found.revision,
                "needed": found.head,
                "rows": dict(found.rows),
            }
        )
        return
    members: dict[str, Value] = {"place": found.place, "schema": _standing(found)}
    show_record("Ledger", members)
    if found.rows:
        click.echo()
        show_table((column("table"), column("rows")), [(name, Long(rows)) for name, rows in found.rows.items()])


def _standing(found: Survey) -> str:
    if found.revision is None:
        return f"none yet; this version needs {found.head}: run 'compatgw db upgrade'"
    if found.revision == found.head:
        return f"{found.revision}, that of this version"
    if found.revision < found.head:
        return f"{found.revision}, older than {found.head}: run 'compatgw db upgrade'"
    return f"{found.revision}, newer than {found.head}: upgrade compatgw"


def _url(settings: Settings) -> str:
    if settings.state.ledger is None:
        raise AssertionError("the settings name a ledger")
    url = settings.state.ledger.get_secret_value()
    # Says what a URL or this installation lacks; it connects to nothing.
    open_ledger(url)
    return url
