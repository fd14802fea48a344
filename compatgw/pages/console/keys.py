"""`/console/keys`: keys of all teams. The text of a key is shown once, on the page after it was made.

What does not live here: what a key may be (`admin/rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.admin import documents, rules, shapes
from compatgw.errors import NotFound
from compatgw.pages.console import plans
from compatgw.policy import money
from compatgw.policy.access import ADMIN, ALL, SCOPES
from compatgw.state.base import Key, Team

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.pages.console.desk import Desk
    from compatgw.pages.console.forms import Form
    from compatgw.state.base import Ledger

_ROWS = 50
_MOST_PAGES = 20
_MOST_TEAMS = 200
_LIMITS = ("requests", "tokens", "concurrency")
_FIELDS = frozenset({"team", "name", "scopes", "models", "plan", *_LIMITS, "budget", "period", "expires"})
GRACES = (0, 3_600, 86_400, 604_800)
"""Seconds for which a key that was rotated may stay good."""
KINDS = (*ALL, *sorted(SCOPES - {*ALL, ADMIN}), ADMIN)
"""Scopes in the order in which they are shown."""


async def show(desk: Desk) -> None:
    """`GET /console/keys`: those that are not revoked, the newest first; `?team=`, `?name=` and `?all=1` choose.

    `?new=1` opens the form.
    """
    where: dict[str, object] = {
        name: shapes.text(value, name) for name in ("team", "name") if (value := desk.query(name))
    }
    keys, cursor = await _keys(desk.ledger, where, desk.query("cursor") or None, revoked=bool(desk.query("all")))
    teams = await desk.ledger.page(Team, limit=_MOST_TEAMS)
    now = desk.office.now()
    await desk.page(
        "console/keys.html",
        keys=[documents.of_key(key, now) for key in keys],
        cursor=cursor,
        query={name: value for name in ("team", "name", "all") if (value := desk.query(name))},
        fresh=bool(desk.query("new")),
        # Where there are too many to choose from, its id is typed in.
        teams=None if teams.cursor else [(team.id, team.name) for team in reversed(teams.items)],
        plans=await plans.known(desk),
        scopes=KINDS,
    )


async def _keys(
    ledger: Ledger, where: Mapping[str, object], cursor: str | None, *, revoked: bool
) -> tuple[list[Key], str | None]:
    """Some keys and the cursor of the next ones; of the ledger's pages as many as it takes to fill half of ours."""
    found: list[Key] = []
    for _ in range(_MOST_PAGES):
        page = await ledger.page(Key, where=where, cursor=cursor, limit=_ROWS)
        found += [key for key in page.items if revoked or key.revoked is None]
        cursor = page.cursor
        if cursor is None or len(found) >= _ROWS // 2:
            break
    return found, cursor


async def mint(desk: Desk) -> None:
    """`POST /console/keys`: a new key."""
    form = desk.form

    async def act() -> None:
        key, text = await desk.office.mint_key(form.text("team"), form.text("name"), **_values(form), by=desk.by)
        await desk.go(f"/console/keys/{key.id}", "key-minted", secret=text, name=key.name)

    await desk.submitted("mint", _FIELDS, act, show)


def _values(form: Form) -> dict[str, Any]:
    """The members of a key that a form has."""
    scopes = form.all("scopes")
    if "*" in scopes and ADMIN not in scopes:
        scopes = ALL
    budget, expires = form.text("budget"), form.text("expires")
    return {
        "scopes": scopes,
        "models": form.words("models") or ALL,
        "plan": form.optional("plan"),
        **{name: form.number(name) for name in _LIMITS},
        "budget": rules.amount(budget, "budget") if budget else None,
        "period": rules.period(form.text("period") or "total", "period"),
        "expires": shapes.moment(expires, "expires") if expires else None,
    }


async def one(desk: Desk) -> None:
    """`GET /console/keys/{id}`."""
    key = await _key(desk)
    team = await desk.ledger.find(Team, key.team)
    await desk.page(
        "console/key.html",
        key=documents.of_key(key, desk.office.now()),
        team=team,
        spent=await _spent(desk.ledger, key, desk.office.now()),
        plans=await plans.known(desk),
        scopes=KINDS,
    )


async def _key(desk: Desk) -> Key:
    found = await desk.ledger.find(Key, desk.args[0])
    if found is None:
        raise NotFound(f"There is no key '{desk.args[0][:80]}'.", code="not_found")
    return found


async def _spent(ledger: Ledger, key: Key, now: float) -> dict[str, str] | None:
    """What the key has spent of its budget, None where it has none."""
    if key.budget is None:
        return None
    label = money.label(key.period, now)
    spend = await ledger.spend(key.id, label)
    return {"label": label, "spent": money.text(spend.spent), "left": money.text(money.left(key.budget, spend))}


async def change(desk: Desk) -> None:
    """`POST /console/keys/{id}`."""
    form = desk.form

    async def act() -> None:
        key = await _key(desk)
        changes = {"name": form.text("name"), **_values(form)}
        if key.expires is not None and form.text("expires") == documents.instant(key.expires)[:10]:
            # The form has no room for its time of day.
            del changes["expires"]
        version = shapes.number(form.text("version"), "version")
        await desk.office.change_key(key.id, changes, version=version, by=desk.by)
        await desk.go(f"/console/keys/{key.id}", "saved")

    await desk.submitted("key", _FIELDS, act, one)


async def ask_rotation(desk: Desk) -> None:
    """`GET /console/keys/{id}/rotate`: the question."""
    await desk.page("console/key-rotate.html", key=await _key(desk), graces=GRACES)


async def rotate(desk: Desk) -> None:
    """`POST /console/keys/{id}/rotate`: a new text for the key."""

    async def act() -> None:
        grace = shapes.number(desk.form.text("grace") or "0", "grace")
        key, text = await desk.office.rotate_key(desk.args[0], grace=grace, by=desk.by)
        await desk.go(f"/console/keys/{key.id}", "key-rotated", secret=text, name=key.name)

    await desk.submitted("rotate", frozenset({"grace"}), act, ask_rotation)


async def ask_end(desk: Desk) -> None:
    """`GET /console/keys/{id}/revoke`: the question."""
    await desk.page("console/key-revoke.html", key=await _key(desk))


async def revoke(desk: Desk) -> None:
    """`POST /console/keys/{id}/revoke`: ends the key for good."""

    async def act() -> None:
        key = await desk.office.revoke_key(desk.args[0], by=desk.by)
        await desk.go(f"/console/keys/{key.id}", "key-revoked", name=key.name)

    await desk.submitted("revoke", frozenset(), act, ask_end)
