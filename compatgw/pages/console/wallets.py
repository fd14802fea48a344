"""Money of a team: opening its wallet, topping it up, correcting it.

What does not live here: the page that shows it (`teams.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from compatgw.admin import rules
from compatgw.pages.console import figures, teams

if TYPE_CHECKING:
    from compatgw.pages.console.desk import Desk

_FIELDS = frozenset({"amount", "note"})


async def open_one(desk: Desk) -> None:
    """`POST /console/teams/{id}/wallet`: an empty wallet."""

    async def act() -> None:
        await desk.office.open_wallet(desk.args[0], by=desk.by)
        await desk.go(f"/console/teams/{desk.args[0]}", "wallet-opened", at="wallet")

    await desk.submitted("wallet", frozenset(), act, teams.one)


async def top_up(desk: Desk) -> None:
    """`POST /console/teams/{id}/topup`."""
    await _move(desk, "topup")


async def correct(desk: Desk) -> None:
    """`POST /console/teams/{id}/correct`."""
    await _move(desk, "correction")


async def _move(desk: Desk, kind: Literal["topup", "correction"]) -> None:
    form = desk.form

    async def act() -> None:
        moved = await desk.office.move(
            desk.args[0],
            kind,
            rules.amount(form.text("amount"), "amount"),
            idempotency=form.optional("once"),
            note=form.text("note"),
            by=desk.by,
        )
        await desk.go(
            f"/console/teams/{desk.args[0]}",
            "moved" if moved.new else "moved-before",
            at="wallet",
            amount=figures.amount(desk.language, moved.entry.amount),
            balance=figures.amount(desk.language, moved.entry.balance),
            currency=desk.site.house.settings.money.currency,
        )

    await desk.submitted(kind, _FIELDS, act, teams.one)
