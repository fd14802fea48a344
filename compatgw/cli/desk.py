"""Where commands work: the ledger of the settings, opened, with its office, for the time of one command.

What does not live here: what is done there, and what is printed of it.
"""

from __future__ import annotations

import getpass
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from compatgw.assembly import records_of
from compatgw.cli.setting import is_made, missing, run_on_ledger, settings_of, tell_made
from compatgw.cli.words import fail
from compatgw.config import ConfigError
from compatgw.providers.table import PROVIDERS

if TYPE_CHECKING:
    from compatgw.admin.office import Office
    from compatgw.config import Settings
    from compatgw.state.base import Ledger, Listed
    from compatgw.state.secrets import KeyRing

Result = TypeVar("Result")

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Desk:
    """What a command works with.

    Attributes:
        settings: Of the server.
        ledger: What is read. office: What changes it.
        ring: Seals provider keys; None where none is configured.
        by: Who works here, for the audit log.
        now: Seconds since 1970.
    """

    settings: Settings
    ledger: Ledger
    office: Office
    ring: KeyRing | None
    by: str
    now: float

    async def all(self, kind: type[Listed], where: Mapping[str, object] | None = None) -> list[Listed]:
        """Every record there is, the newest first, however many pages they fill."""
        found: list[Listed] = []
        cursor: str | None = None
        while True:
            page = await self.ledger.page(kind, where=where, cursor=cursor, limit=_PAGE)
            found.extend(page.items)
            if (cursor := page.cursor) is None:
                return found


def at_desk(config: str | None, work: Callable[[Desk], Awaitable[Result]]) -> Result:
    """Runs `work` with the ledger of the settings, and closes it.

    Args:
        config: As named by `--config`.
    """
    if (library := missing()) is not None:
        fail(f"This command needs {library}: pip install 'compatgw[standalone]'")
    settings = settings_of(config, ledger=True)
    return run_on_ledger(_at_desk(settings, work))


async def _at_desk(settings: Settings, work: Callable[[Desk], Awaitable[Result]]) -> Result:
    made = is_made(settings)
    try:
        # A team may have a key at any provider that there is a row for, switched on here or not.
        records = records_of(settings, clock=time.time, ids=_word, providers=(*PROVIDERS, *settings.providers))
    except ConfigError as error:
        fail(str(error))
    if records is None:
        raise AssertionError("the settings name a ledger")
    try:
        await records.ledger.open()
        if not made:
            tell_made()
        desk = Desk(settings, records.ledger, records.office, records.ring, whoami(), time.time())
        return await work(desk)
    finally:
        await records.ledger.aclose()


def whoami() -> str:
    """Who works here, as the audit log has it: `cli:` and the login name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        # In a container a process may run as somebody without a name.
        return f"cli:{os.getuid()}"


def _word() -> str:
    return secrets.token_hex(12)
