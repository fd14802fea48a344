"""`compatgw keys`: keys that callers send.

What does not live here: what a key may be (`admin/rules.py`), how one is made (`state/secrets.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args

import click

from compatgw.admin import documents
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import Long, Value, When, column, show_json, show_record, show_table, told, whole
from compatgw.cli.words import as_amount, as_duration, as_future, ledger_options, limit_options
from compatgw.errors import NotFound
from compatgw.policy import money
from compatgw.state.base import Key, Period, Team

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = "1d"


@click.group()
def keys() -> None:
    """Keys that callers send: made, changed, rotated, revoked.

    A key belongs to a team, and narrows what the team may do.
    """


def _narrowing(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what a key may do."""
    for option in (
        click.option(
            "--expires",
            callback=as_future,
            metavar="WHEN",
            help="When it ends: 30d, 2026-12-31 (its beginning in UTC), 2026-12-31T18:00+01:00.",
        ),
        click.option("--period", type=click.Choice(get_args(Period)), help="In which the budget is counted."),
        click.option("--budget", callback=as_amount, metavar="AMOUNT", help="What it may spend in a period."),
    ):
        command = option(command)
    command = limit_options(command)
    for option in (
        click.option("--plan", help="Limits of its own, beside the team's."),
        click.option("--model", "models", multiple=True, metavar="GLOB", help="Models it may use; repeat it."),
        click.option(
            "--scope",
            "scopes",
            multiple=True,
            metavar="SCOPE",
            help="chat, embeddings, ..., or admin; repeat it.",
        ),
    ):
        command = option(command)
    return command


def _given(**members: object) -> dict[str, Any]:
    """The members that were named on the command line."""
    return {name: value for name, value in members.items() if value is not None and value != ()}


@keys.command()
@click.option("--team", required=True, help="Id of the team that it belongs to.")
@click.option("--name", required=True, help="For people.")
@_narrowing
@ledger_options
def create(team: str, name: str, config: str | None, as_json: bool, **members: object) -> None:
    """Make a key and print it, this once. The key alone goes to stdout, what it is to stderr.

    Without options it may do all that its team may: every scope but admin, every model, no limits
    of its own, for ever.

    \b
    Example:
      KEY=$(compatgw keys create --team acme --name ci --model 'gpt-*' --budget 20.00 --period month)
      compatgw keys create --team ops --name admin --scope admin --expires 30d
    """
    wanted = _given(**members)
    if "period" in wanted and "budget" not in wanted:
        raise click.UsageError("--period says nothing without --budget.")

    async def work(desk: Desk) -> tuple[Key, str, float]:
        key, text = await desk.office.mint_key(team, name, by=desk.by, **wanted)
        return key, text, desk.now

    _show_minted(at_desk(config, work), "made", as_json)


@keys.command("list")
@click.option("--team", help="Of this team only.")
@click.option("--active", is_flag=True, help="Only those that are good now.")
@ledger_options
def listed(team: str | None, active: bool, config: str | None, as_json: bool) -> None:
    """List keys, the newest first; never the keys themselves.

    \b
    Example:
      compatgw keys list --team acme --active
    """

    async def work(desk: Desk) -> tuple[list[Key], float, str]:
        if team is not None and await desk.ledger.find(Team, team) is None:
            raise NotFound(f"There is no team '{team}'.", code="not_found")
        found = await desk.all(Key, {"team": team} if team is not None else {})
        return found, desk.now, desk.settings.money.currency

    found, now, currency = at_desk(config, work)
    shown = [key for key in found if not active or key.standing(now) == "active"]
    if as_json:
        show_json(whole(documents.of_key(key, now) for key in shown))
        return
    columns = (
        column("id"),
        column("name", free=True),
        column("team"),
        column("status", standing=True),
        column("hint", 2),
        column("plan", 3),
        column("requests", 5),
        column("tokens", 5),
        column("concurrency", 6),
        column(f"budget {currency}", 3),
        column("period", 4),
        column("expires", 2),
        column("scopes", 6, folds=True),
        column("models", 6, folds=True),
        column("created", 7),
    )
    rows = [_row(key, now) for key in shown]
    show_table(columns, rows, empty="No keys. Make one: compatgw keys create --team TEAM --name NAME")


@keys.command()
@click.argument("id")
@ledger_options
def show(id: str, config: str | None, as_json: bool) -> None:
    """Show a key and what it has spent; never the key itself.

    \b
    Example:
      compatgw keys show 4fTq0dXbWm2K
    """

    async def work(desk: Desk) -> tuple[Key, float, str, Decimal | None]:
        key = await desk.ledger.find(Key, id)
        if key is None:
            raise NotFound(f"There is no key '{id}'.", code="not_found")
        spent = None
        if key.budget is not None:
            spent = (await desk.ledger.spend(id, money.label(key.period, desk.now))).spent
        return key, desk.now, desk.settings.money.currency, spent

    key, now, currency, spent = at_desk(config, work)
    _show(key, now, as_json, currency, spent)


@keys.command("set")
@click.argument("id")
@click.option("--name", help="For people.")
@_narrowing
@click.option(
    "--no",
    "without",
    multiple=True,
    type=click.Choice(["plan", "requests", "tokens", "concurrency", "budget", "expires"]),
    help="Take one of these away; repeat it.",
)
@ledger_options
def change(id: str, without: Sequence[str], config: str | None, as_json: bool, **members: object) -> None:
    """Change a key: what is named, and nothing else.

    \b
    Example:
      compatgw keys set 4fTq0dXbWm2K --requests 60 --no budget
    """
    changes = _given(**members)
    both = sorted(set(changes) & set(without))
    if both:
        raise click.UsageError(f"--{both[0]} and --no {both[0]} exclude each other.")
    changes.update(dict.fromkeys(without))
    if not changes:
        raise click.UsageError("Nothing to change. Name what shall be other.")

    async def work(desk: Desk) -> tuple[Key, float, str]:
        return await desk.office.change_key(id, changes, by=desk.by), desk.now, desk.settings.money.currency

    key, now, currency = at_desk(config, work)
    _show(key, now, as_json, currency)


@keys.command()
@click.argument("id")
@click.option(
    "--grace", default=_DAY, show_default=True, callback=as_duration, help="How long the old one stays good; 0: not."
)
@ledger_options
def rotate(id: str, grace: float, config: str | None, as_json: bool) -> None:
    """Make a new key in place of one, and print it, this once.

    It has the same id, limits and budget.

    \b
    Example:
      KEY=$(compatgw keys rotate 4fTq0dXbWm2K --grace 1h)
    """

    async def work(desk: Desk) -> tuple[Key, str, float]:
        key, text = await desk.office.rotate_key(id, grace=grace, by=desk.by)
        return key, text, desk.now

    _show_minted(at_desk(config, work), "rotated", as_json)


@keys.command()
@click.argument("id")
@ledger_options
def revoke(id: str, config: str | None, as_json: bool) -> None:
    """End a key for good; running gateways refuse it within 5 seconds.

    \b
    Example:
      compatgw keys revoke 4fTq0dXbWm2K
    """

    async def work(desk: Desk) -> tuple[Key, str]:
        return await desk.office.revoke_key(id, by=desk.by), desk.settings.money.currency

    key, currency = at_desk(config, work)
    # By the key's own time: the clock of this command was read before.
    _show(key, key.revoked or 0.0, as_json, currency)


def _row(key: Key, now: float) -> tuple[Value, ...]:
    limits = tuple(_count(limit) for limit in (key.requests, key.tokens, key.concurrency))
    period = key.period if key.budget is not None else None
    expires = When(key.expires) if key.expires is not None else None
    standing = key.standing(now)
    head = (key.id, key.name, key.team, standing, key.hint, key.plan)
    return (*head, *limits, key.budget, period, expires, key.scopes, key.models, When(key.created))


def _show_minted(made: tuple[Key, str, float], what: str, as_json: bool) -> None:
    key, text, now = made
    if as_json:
        show_json(documents.of_minted(key, text, now))
        return
    old = f" The one before is good until {told(key.old_until)}." if key.old_until is not None else ""
    end = f" It ends {told(key.expires)}." if key.expires is not None else ""
    click.echo(f"Key {key.id} of team {key.team} was {what}.{old}{end} It is shown this once:", err=True)
    click.echo(text)


def _show(key: Key, now: float, as_json: bool, currency: str, spent: Decimal | None = None) -> None:
    if as_json:
        show_json(documents.of_key(key, now))
        return
    members: dict[str, Value] = {
        "id": key.id,
        "name": key.name,
        "team": key.team,
        "status": key.standing(now),
        "hint": f"...{key.hint}",
        "scopes": key.scopes,
        "models": key.models,
        "plan": key.plan,
        "requests": _count(key.requests),
        "tokens": _count(key.tokens),
        "concurrency": _count(key.concurrency),
        "budget": f"{money.text(key.budget)} {currency} ({key.period})" if key.budget is not None else None,
    }
    times: Mapping[str, float | None] = {
        "expires": key.expires,
        "revoked": key.revoked,
        "old one until": key.old_until if key.old_hash is not None else None,
        "created": key.created,
    }
    if spent is not None:
        members["spent"] = f"{money.text(spent)} {currency}"
    show_record(f"Key {key.id}", {**members, **{head: When(at) for head, at in times.items() if at is not None}})


def _count(limit: int | None) -> Long | None:
    return Long(limit) if limit is not None else None
