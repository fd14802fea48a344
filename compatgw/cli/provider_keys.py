"""`compatgw provider-keys`: teams' own keys at providers.

What does not live here: sealing (`state/secrets.py`), using them (`flow/credentials.py`).
"""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING

import click

from compatgw.admin import documents
from compatgw.admin.office import Office
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.progress import bar
from compatgw.cli.tables import Value, When, column, show_json, show_record, show_table, whole
from compatgw.cli.words import fail, ledger_options
from compatgw.errors import NotFound
from compatgw.state.base import ProviderSecret
from compatgw.state.secrets import Hasher, mint

if TYPE_CHECKING:
    from collections.abc import Callable

# Longer than any key, so that a key that is too long is refused in words.
_MOST = 64 * 1024


@click.group()
def provider_keys() -> None:
    """Teams' own keys at providers, kept sealed.

    They are used instead of the platform's, and never shown again.
    """


@provider_keys.command("set")
@click.argument("team")
@click.argument("provider")
@ledger_options
def put(team: str, provider: str, config: str | None, as_json: bool) -> None:
    """Store a team's own key at a provider.

    It takes the place of the one that is there. The key is asked for, or read from stdin; it is never
    an argument, which others could see.

    \b
    Example:
      compatgw provider-keys set acme openai < key.txt
    """
    secret = _secret(team, provider)

    async def work(desk: Desk) -> ProviderSecret:
        return await desk.office.put_provider_key(team, provider, secret, by=desk.by)

    stored = at_desk(config, work)
    if as_json:
        show_json(documents.of_provider_key(stored))
        return
    members: dict[str, Value] = {
        "team": stored.team,
        "provider": stored.provider,
        "key": f"...{stored.last4}" if stored.last4 else None,
        "sealed with": stored.ring,
        "created": When(stored.created),
    }
    show_record(f"Provider key of team {stored.team}", members)


@provider_keys.command("list")
@click.option("--team", help="Of this team only.")
@ledger_options
def listed(team: str | None, config: str | None, as_json: bool) -> None:
    """List which team has a key at which provider.

    \b
    Example:
      compatgw provider-keys list --team acme
    """

    async def work(desk: Desk) -> list[ProviderSecret]:
        return await desk.all(ProviderSecret, {"team": team} if team is not None else {})

    found = at_desk(config, work)
    if as_json:
        show_json(whole(map(documents.of_provider_key, found)))
        return
    columns = (column("team"), column("provider"), column("last four"), column("sealed with", 1), column("created", 2))
    rows = [(each.team, each.provider, each.last4, each.ring, When(each.created)) for each in found]
    show_table(columns, rows, empty="No provider keys. Store one: compatgw provider-keys set TEAM PROVIDER")


@provider_keys.command()
@click.argument("team")
@click.argument("provider")
@ledger_options
def remove(team: str, provider: str, config: str | None, as_json: bool) -> None:
    """Delete a team's own key at a provider.

    Its calls then go on with the platform's.

    \b
    Example:
      compatgw provider-keys remove acme openai
    """

    async def work(desk: Desk) -> bool:
        return await desk.office.remove_provider_key(team, provider, by=desk.by)

    if not at_desk(config, work):
        raise NotFound(f"The team '{team}' has no key of its own at '{provider}'.", code="not_found")
    if as_json:
        deleted: documents.DeletedDocument = {"object": "provider_key.deleted", "id": provider, "deleted": True}
        show_json(deleted)
    else:
        click.echo(f"The key of team {team} at {provider} was removed.", err=True)


@provider_keys.command()
@ledger_options
def reseal(config: str | None, as_json: bool) -> None:
    """Seal all provider keys with the ring's newest key.

    That is the first of `state.key_ring`. Put a new one in front, run this, then take the old one out. Responses that
    the old one sealed cannot be read without it: where these matter, leave it there until `responses.keep` is over.

    \b
    Example:
      compatgw provider-keys reseal
    """

    async def work(desk: Desk) -> int:
        ring = desk.ring
        if ring is None:
            # The office says how to configure one.
            return await desk.office.reseal(by=desk.by)
        waiting = sum(each.ring != ring.current for each in await desk.all(ProviderSecret))
        with bar("Sealing", waiting) as advance:
            return await _telling(desk, advance).reseal(by=desk.by)

    done = at_desk(config, work)
    if as_json:
        show_json({"object": "provider_keys.resealed", "count": done})
    else:
        click.echo(f"{done} provider keys were sealed anew." if done != 1 else "1 provider key was sealed anew.")


def _telling(desk: Desk, advance: Callable[[], None]) -> Office:
    """The desk's office, telling of each change: it tells whose key was changed once for each."""
    return Office(
        desk.ledger,
        mint=mint,
        hash=Hasher().hash,
        ring=desk.ring,
        prefix=desk.settings.state.key_prefix,
        currency=desk.settings.money.currency,
        plans=desk.office.plans,
        clock=time.time,
        ids=lambda: secrets.token_hex(12),
        changed=lambda *ids: advance(),
    )


def _secret(team: str, provider: str) -> str:
    if sys.stdin.isatty():
        asked: str = click.prompt(f"Key of team {team} at {provider}", hide_input=True, err=True)
        return asked
    try:
        return sys.stdin.read(_MOST)
    except UnicodeDecodeError:
        fail("What came on stdin is no text. Give the key alone.")
