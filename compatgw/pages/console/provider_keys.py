"""A team's own keys at providers: put in and taken out, and never shown.

What does not live here: the page that lists them (`teams.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.errors import NotFound
from compatgw.pages.console import teams
from compatgw.state.base import ProviderSecret

if TYPE_CHECKING:
    from compatgw.pages.console.desk import Desk

_FIELDS = frozenset({"provider", "secret"})


async def put(desk: Desk) -> None:
    """`POST /console/teams/{id}/provider-keys`: seals one, in place of the one that is there."""
    form = desk.form

    async def act() -> None:
        stored = await desk.office.put_provider_key(desk.args[0], form.text("provider"), form.raw("secret"), by=desk.by)
        await desk.go(f"/console/teams/{desk.args[0]}", "own-key-put", at="own-keys", provider=stored.provider)

    await desk.submitted("own", _FIELDS, act, teams.one)


async def ask_removal(desk: Desk) -> None:
    """`GET /console/teams/{id}/provider-keys/{provider}/remove`: the question."""
    team, provider = await teams.found(desk), desk.args[1]
    there = await desk.ledger.page(ProviderSecret, where={"team": team.id, "provider": provider}, limit=1)
    if not there.items:
        raise _missing(provider)
    await desk.page("console/own-key-remove.html", team=team, provider=provider, fallback=team.byok_fallback)


async def remove(desk: Desk) -> None:
    """`POST /console/teams/{id}/provider-keys/{provider}/remove`."""
    team, provider = desk.args

    async def act() -> None:
        if not await desk.office.remove_provider_key(team, provider, by=desk.by):
            raise _missing(provider)
        await desk.go(f"/console/teams/{team}", "own-key-removed", at="own-keys", provider=provider)

    await desk.submitted("remove", frozenset(), act, ask_removal)


def _missing(provider: str) -> NotFound:
    return NotFound(f"The team has no key of its own at '{provider[:80]}'.", code="not_found")
