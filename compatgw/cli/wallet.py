"""`compatgw wallet`: a team's money.

What does not live here: how money moves (`policy/money.py`, `state/accounts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, get_args

import click

from compatgw.admin import documents
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import (
    Value,
    When,
    below_each_other,
    column,
    on_terminal,
    show_json,
    show_record,
    show_table,
    whole,
)
from compatgw.cli.words import as_amount, as_past, ledger_options
from compatgw.errors import NotFound
from compatgw.state.base import Entry, EntryKind, Team

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.admin.office import Moved
    from compatgw.state.base import Wallet

_LAST = 10
# So that a negative amount is not taken for an option.
_NEGATIVE: Mapping[str, bool] = {"ignore_unknown_options": True}


@click.group()
def wallet() -> None:
    """A team's money: opened, topped up, corrected, shown.

    A team that has a wallet pays its calls from it; the balance never falls below zero.
    """


@wallet.command("open")
@click.argument("team")
@ledger_options
def opened(team: str, config: str | None, as_json: bool) -> None:
    """Give a team a wallet.

    It is empty at first, and from then on the team's calls are paid from it.

    \b
    Example:
      compatgw wallet open acme
    """

    async def work(desk: Desk) -> Wallet:
        return await desk.office.open_wallet(team, by=desk.by)

    found = at_desk(config, work)
    if as_json:
        show_json(documents.of_wallet(found))
    else:
        _show(found)


def _moving(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments and options of a movement of money."""
    command = ledger_options(command)
    for parameter in (
        click.option("--note", default="", metavar="TEXT", help="Why; kept with the entry."),
        click.option(
            "--idempotency-key", "idempotency", metavar="KEY", help="The same key again moves nothing a second time."
        ),
        click.argument("amount", callback=as_amount),
        click.argument("team"),
    ):
        command = parameter(command)
    return command


@wallet.command(context_settings=_NEGATIVE)
@_moving
def topup(team: str, amount: Decimal, idempotency: str | None, note: str, config: str | None, as_json: bool) -> None:
    """Put money into a team's wallet.

    \b
    Example:
      compatgw wallet topup acme 50.00 --idempotency-key invoice-1042 --note "Invoice 1042"
    """

    async def work(desk: Desk) -> tuple[Moved, Wallet]:
        moved = await desk.office.move(team, "topup", amount, idempotency=idempotency, note=note, by=desk.by)
        return moved, await _wallet(desk, team)

    _show_moved(*at_desk(config, work), as_json)


@wallet.command(context_settings=_NEGATIVE)
@_moving
def correct(team: str, amount: Decimal, idempotency: str | None, note: str, config: str | None, as_json: bool) -> None:
    """Add to a wallet, or take from it.

    A negative amount takes, down to what calls have not reserved.

    \b
    Example:
      compatgw wallet correct acme -2.50 --note "Charged twice"
    """

    async def work(desk: Desk) -> tuple[Moved, Wallet]:
        moved = await desk.office.move(team, "correction", amount, idempotency=idempotency, note=note, by=desk.by)
        return moved, await _wallet(desk, team)

    _show_moved(*at_desk(config, work), as_json)


@wallet.command()
@click.argument("team")
@click.option(
    "--entries", "most", default=_LAST, show_default=True, type=click.IntRange(0, 1000), help="How many of the last."
)
@ledger_options
def show(team: str, most: int, config: str | None, as_json: bool) -> None:
    """Show a wallet and its last entries.

    The balance, what calls have reserved of it, and what is free.

    \b
    Example:
      compatgw wallet show acme
    """

    async def work(desk: Desk) -> tuple[Wallet, Sequence[Entry]]:
        found = await _wallet(desk, team)
        last = (await desk.ledger.page(Entry, where={"team": team}, limit=most)).items if most else ()
        return found, last

    found, last = at_desk(config, work)
    if as_json:
        show_json({**documents.of_wallet(found), "entries": [documents.of_entry(entry) for entry in last]})
        return
    _show(found)
    if last:
        click.echo()
        _show_entries(last, found.currency)
    elif on_terminal() and most:
        click.echo(f"\nNothing was moved yet. Top it up: compatgw wallet topup {team} AMOUNT")


@wallet.command()
@click.argument("team")
@click.option("--kind", type=click.Choice(get_args(EntryKind)), help="Only these.")
@click.option("--since", callback=as_past, metavar="WHEN", help="From then on: 30d, 2026-11-01, a time.")
@click.option("--until", callback=as_past, metavar="WHEN", help="Before then.")
@ledger_options
def entries(
    team: str, kind: str | None, since: float | None, until: float | None, config: str | None, as_json: bool
) -> None:
    """List all movements of a team's money, the newest first.

    \b
    Example:
      compatgw wallet entries acme --kind topup --since 90d
    """
    where = {"team": team, "kind": kind, "since": since, "until": until}

    async def work(desk: Desk) -> tuple[Wallet, list[Entry]]:
        found = await _wallet(desk, team)
        return found, await desk.all(Entry, {name: value for name, value in where.items() if value is not None})

    found, moved = at_desk(config, work)
    if as_json:
        show_json(whole(map(documents.of_entry, moved)))
    else:
        _show_entries(moved, found.currency)


async def _wallet(desk: Desk, team: str) -> Wallet:
    found = await desk.ledger.wallet(team)
    if found is not None:
        return found
    if await desk.ledger.find(Team, team) is None:
        raise NotFound(f"There is no team '{team}'.", code="not_found")
    raise NotFound(f"The team '{team}' has no wallet. Open one: compatgw wallet open {team}", code="not_found")


def _show_moved(moved: Moved, found: Wallet, as_json: bool) -> None:
    if not moved.new:
        click.echo("Nothing was moved: this idempotency key has made the entry before.", err=True)
    if as_json:
        show_json(documents.of_entry(moved.entry))
        return
    _show(found)


def _show(found: Wallet) -> None:
    balance, reserved, free = below_each_other((found.balance, found.reserved, found.free), found.currency)
    members: dict[str, Value] = {
        "balance": balance,
        "reserved": reserved,
        "free": free,
        "opened": When(found.created),
    }
    show_record(f"Wallet of team {found.team}", members)


def _show_entries(found: Sequence[Entry], currency: str) -> None:
    columns = (
        column("at"),
        column("kind"),
        column(f"amount {currency}"),
        column(f"balance {currency}"),
        column("by", 2),
        column("id", 4),
        column("idempotency key", 3),
        column("note", 1, free=True),
    )
    rows = [
        (When(each.at), each.kind, each.amount, each.balance, each.by or None, each.id, each.idempotency, each.note)
        for each in found
    ]
    show_table(columns, rows, empty="No entries.")
