"""Which settings and which ledger a command works with: those of the server in the same place.

What does not live here: what settings there are (`config.py`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import click

from compatgw import config
from compatgw.cli.words import fail
from compatgw.config import FILE, ConfigError, Settings

Result = TypeVar("Result")

LEDGER = "sqlite:///compatgw.db"
"""Where records are kept when no setting says it."""
_CLASSES = re.compile(r"^\([\w.]+\) (<class [^>]*>: )?")
_FILE = Path(LEDGER.removeprefix("sqlite:///"))
_NEEDED = ("sqlalchemy", "aiosqlite", "alembic", "argon2", "cryptography")


def source_of(named: str | None) -> str | None:
    """The settings file: the one that is named, that of `COMPATGW_CONFIG`, or the one in this folder."""
    return named or os.environ.get("COMPATGW_CONFIG") or (FILE if Path(FILE).is_file() else None)


def settings_of(named: str | None, *, ledger: bool) -> Settings:
    """The settings; a mistake in them ends the command.

    Args:
        ledger: With one in any case: `LEDGER` when none is configured.
    """
    try:
        found = config.load(source_of(named), {}, os.environ)
        if ledger and found.state.ledger is None:
            found = config.load(source_of(named), {"state": {"ledger": LEDGER}}, os.environ)
    except ConfigError as error:
        fail(str(error))
    return found


def is_default(settings: Settings) -> bool:
    """True when the ledger is the one that nobody named."""
    return settings.state.ledger is not None and settings.state.ledger.get_secret_value() == LEDGER


def missing() -> str | None:
    """A package that a ledger needs and this installation lacks."""
    return next((library for library in _NEEDED if importlib.util.find_spec(library) is None), None)


def is_made(settings: Settings) -> bool:
    """False when opening the ledger will make the file of the default one."""
    return not is_default(settings) or _FILE.is_file()


def tell_made() -> None:
    """Says that the file of the default ledger was made."""
    click.echo(
        f"Made {_FILE} in this folder for teams, keys and usage; set 'state.ledger' to keep them elsewhere.", err=True
    )


def run_on_ledger(work: Coroutine[object, object, Result]) -> Result:
    """Runs `work`. What the database refuses for good ends the command; the ledger itself names what passes."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return asyncio.run(work)
    except SQLAlchemyError as error:
        lines = str(error.args[0] if error.args else type(error).__name__).splitlines()
        # Before the database's own words stand the names of classes.
        words = _CLASSES.sub("", lines[0]).rstrip(".")
        fail(f"The database refuses: {words}. Mend it there, or name another in 'state.ledger'.")
