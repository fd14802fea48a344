"""`/console/teams`: teams, and the page of one with its wallet, its keys and its own provider keys.

What does not live here: moving money (`wallets.py`), provider keys (`provider_keys.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from compatgw.admin import documents, shapes
from compatgw.errors import NotFound
from compatgw.pages.console import plans
from compatgw.policy.access import ALL
from compatgw.state.base import Entry, Key, ProviderSecret, Team

if TYPE_CHECKING:
    from compatgw.admin.documents import WalletDocument
    from compatgw.pages.console.desk import Desk
    from compatgw.pages.console.forms import Form

_ROWS = 50
_ENTRIES = 20
_KEYS = 10
# A team has one for each provider at most.
_MOST_PROVIDERS = 200
_FIELDS = frozenset({"id", "name", "models", "plan"})


async def show(desk: Desk) -> None:
    """`GET /console/teams`: the newest first."""
    page = await desk.ledger.page(Team, cursor=desk.query("cursor") or None, limit=_ROWS)
    wallets = await asyncio.gather(*[desk.ledger.wallet(team.id) for team in page.items])
    await desk.page(
        "console/teams.html",
        teams=[
            (documents.of_team(team), documents.of_wallet(wallet) if wallet is not None else None)
            for team, wallet in zip(page.items, wallets, strict=True)
        ],
        cursor=page.cursor,
        plans=await plans.known(desk),
    )


async def add(desk: Desk) -> None:
    """`POST /console/teams`: a new team."""
    form = desk.form

    async def act() -> None:
        team = await desk.office.add_team(
            form.optional("id"), **_values(form), wallet=form.ticked("wallet"), by=desk.by
        )
        await desk.go(f"/console/teams/{team.id}", "team-added", name=team.name)

    await desk.submitted("team", _FIELDS, act, show)


def _values(form: Form) -> dict[str, Any]:
    """The members of a team that a form has."""
    return {
        "name": form.text("name"),
        "models": form.words("models") or ALL,
        "plan": form.optional("plan"),
        "byok_fallback": form.ticked("byok_fallback"),
    }


async def one(desk: Desk) -> None:
    """`GET /console/teams/{id}`; `?cursor=` leads to older movements of money."""
    team = await found(desk)
    ledger, now = desk.ledger, desk.office.now()
    wallet = await ledger.wallet(team.id)
    entries = await ledger.page(Entry, where={"team": team.id}, cursor=desk.query("cursor") or None, limit=_ENTRIES)
    keys = await ledger.page(Key, where={"team": team.id}, limit=_KEYS)
    own = await ledger.page(ProviderSecret, where={"team": team.id}, limit=_MOST_PROVIDERS)
    await desk.page(
        "console/team.html",
        team=documents.of_team(team),
        wallet=_shown(wallet),
        entries=[documents.of_entry(entry) for entry in entries.items],
        cursor=entries.cursor,
        keys=[documents.of_key(key, now) for key in keys.items],
        more_keys=keys.cursor is not None,
        own=[documents.of_provider_key(secret) for secret in own.items],
        providers=sorted(desk.site.house.keys),
        sealed=desk.site.house.settings.state.key_ring is not None,
        plans=await plans.known(desk),
        # Sent twice, a movement is made once.
        once=desk.site.house.ids(),
    )


def _shown(wallet: Any) -> WalletDocument | None:
    return None if wallet is None else documents.of_wallet(wallet)


async def found(desk: Desk) -> Team:
    """The team that a route names.

    Raises:
        NotFound: There is none.
    """
    team = await desk.ledger.find(Team, desk.args[0])
    if team is None:
        raise NotFound(f"There is no team '{desk.args[0][:80]}'.", code="not_found")
    return team


async def change(desk: Desk) -> None:
    """`POST /console/teams/{id}`."""
    form = desk.form

    async def act() -> None:
        changes = {**_values(form), "active": form.ticked("active")}
        version = shapes.number(form.text("version"), "version")
        await desk.office.change_team(desk.args[0], changes, version=version, by=desk.by)
        await desk.go(f"/console/teams/{desk.args[0]}", "saved")

    await desk.submitted("change", _FIELDS, act, one)
