"""`compatgw teams`: who pays, and what all its keys may at most do.

What does not live here: what a team may be (`admin/rules.py`), money (`wallet.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from compatgw.admin import documents
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import Value, When, below_each_other, column, show_json, show_record, show_table, whole
from compatgw.cli.words import ledger_options
from compatgw.errors import NotFound
from compatgw.state.base import Key, ProviderSecret, Team

if TYPE_CHECKING:
    from compatgw.state.base import Wallet

_COLUMNS = (
    column("id"),
    column("name", free=True),
    column("status", standing=True),
    column("plan", 2),
    column("byok fallback", 5),
    column("created", 4),
    column("models", 3, folds=True),
)


@click.group()
def teams() -> None:
    """Who pays, and what all its keys may at most do."""


@teams.command()
@click.argument("name")
@click.option("--id", help="Letters, digits, '.', '_', '-'.  [default: a random one]")
@click.option("--model", "models", multiple=True, metavar="GLOB", help="Models it sees; repeat it.  [default: *]")
@click.option("--plan", help="Limits that all its keys share.")
@click.option("--wallet", is_flag=True, help="Its calls are paid from a wallet, empty at first.")
@click.option("--byok-fallback", is_flag=True, help="When its own provider key fails, go on with the platform's.")
@ledger_options
def create(
    name: str,
    id: str | None,
    models: Sequence[str],
    plan: str | None,
    wallet: bool,
    byok_fallback: bool,
    config: str | None,
    as_json: bool,
) -> None:
    """Make a team.

    \b
    Example:
      compatgw teams create "Acme Ltd" --id acme --plan starter --wallet
    """

    async def work(desk: Desk) -> Team:
        return await desk.office.add_team(
            id, name, models=models or ("*",), plan=plan, byok_fallback=byok_fallback, wallet=wallet, by=desk.by
        )

    _show(at_desk(config, work), as_json)


@teams.command("list")
@click.option("--all", "everyone", is_flag=True, help="Those that are switched off as well.")
@ledger_options
def listed(everyone: bool, config: str | None, as_json: bool) -> None:
    """List teams, the newest first.

    \b
    Example:
      compatgw teams list --all
    """

    async def work(desk: Desk) -> list[Team]:
        return await desk.all(Team, {} if everyone else {"active": True})

    found = at_desk(config, work)
    if as_json:
        show_json(whole(map(documents.of_team, found)))
        return
    rows = [
        (team.id, team.name, _standing(team), team.plan, team.byok_fallback, When(team.created), team.models)
        for team in found
    ]
    show_table(_COLUMNS, rows, empty="No teams. Make one: compatgw teams create NAME")


@teams.command()
@click.argument("id")
@ledger_options
def show(id: str, config: str | None, as_json: bool) -> None:
    """Show a team, its wallet, its keys and its own provider keys.

    \b
    Example:
      compatgw teams show acme
    """

    async def work(desk: Desk) -> tuple[Team, Wallet | None, list[Key], list[ProviderSecret]]:
        team = await desk.ledger.find(Team, id)
        if team is None:
            raise NotFound(f"There is no team '{id}'.", code="not_found")
        where = {"team": id}
        return team, await desk.ledger.wallet(id), await desk.all(Key, where), await desk.all(ProviderSecret, where)

    team, wallet, keys, secrets = at_desk(config, work)
    more: dict[str, Value] = {
        "wallet": f"{below_each_other((wallet.free,), wallet.currency)[0]} free" if wallet is not None else None,
        "keys": len(keys),
        "provider keys": [secret.provider for secret in secrets],
    }
    _show(team, as_json, more)


@teams.command("set")
@click.argument("id")
@click.option("--name", help="For people.")
@click.option("--model", "models", multiple=True, metavar="GLOB", help="Models it sees, in place of those it has.")
@click.option("--plan", help="Limits that all its keys share.")
@click.option("--no-plan", is_flag=True, help="No limits.")
@click.option("--byok-fallback/--no-byok-fallback", default=None, help="Go on with the platform's provider key or not.")
@ledger_options
def change(
    id: str,
    name: str | None,
    models: Sequence[str],
    plan: str | None,
    no_plan: bool,
    byok_fallback: bool | None,
    config: str | None,
    as_json: bool,
) -> None:
    """Change a team: what is named, and nothing else.

    \b
    Example:
      compatgw teams set acme --plan professional --model 'openai/*' --model 'claude-*'
    """
    if plan is not None and no_plan:
        raise click.UsageError("--plan and --no-plan exclude each other.")
    changes: dict[str, object] = {}
    if name is not None:
        changes["name"] = name
    if models:
        changes["models"] = models
    if plan is not None or no_plan:
        changes["plan"] = plan
    if byok_fallback is not None:
        changes["byok_fallback"] = byok_fallback
    if not changes:
        raise click.UsageError("Nothing to change. Give one of --name, --model, --plan, --no-plan, --byok-fallback.")
    _change(id, changes, config, as_json)


@teams.command()
@click.argument("id")
@ledger_options
def activate(id: str, config: str | None, as_json: bool) -> None:
    """Let a team's keys call again.

    \b
    Example:
      compatgw teams activate acme
    """
    _change(id, {"active": True}, config, as_json)


@teams.command()
@click.argument("id")
@ledger_options
def deactivate(id: str, config: str | None, as_json: bool) -> None:
    """Refuse all of a team's keys, with 403, until it is activated.

    \b
    Example:
      compatgw teams deactivate acme
    """
    _change(id, {"active": False}, config, as_json)


def _change(id: str, changes: Mapping[str, object], config: str | None, as_json: bool) -> None:
    async def work(desk: Desk) -> Team:
        return await desk.office.change_team(id, changes, by=desk.by)

    _show(at_desk(config, work), as_json)


def _standing(team: Team) -> str:
    return "active" if team.active else "inactive"


def _show(team: Team, as_json: bool, more: Mapping[str, Value] | None = None) -> None:
    if as_json:
        show_json(documents.of_team(team))
        return
    members: dict[str, Value] = {
        "id": team.id,
        "name": team.name,
        "status": _standing(team),
        "models": team.models,
        "plan": team.plan,
        "byok fallback": team.byok_fallback,
        "created": When(team.created),
    }
    show_record(f"Team {team.id}", {**members, **(more or {})})
