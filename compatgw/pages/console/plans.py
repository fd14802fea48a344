"""`/console/plans`: limits under a name, those of the ledger and those of the settings.

What does not live here: who has a plan (`keys.py`, `teams.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.admin import documents, shapes
from compatgw.errors import NotFound
from compatgw.policy.limits import PLANS
from compatgw.state.base import Plan

if TYPE_CHECKING:
    from compatgw.admin.documents import PlanDocument
    from compatgw.pages.console.desk import Desk

# More than anybody has; the newest of them.
_MOST = 500
_FIELDS = frozenset({"id", "requests", "tokens", "concurrency"})


async def known(desk: Desk) -> list[PlanDocument]:
    """Every plan that teams and keys can be given, by name; one of the ledger stands before one of the settings."""
    found = {name: documents.of_plan(plan, _source(plan)) for name, plan in desk.office.plans.items()}
    stored = await desk.ledger.page(Plan, limit=_MOST)
    found |= {plan.id: documents.of_plan(plan, "ledger") for plan in stored.items}
    return [found[name] for name in sorted(found)]


def _source(plan: Plan) -> documents.Source:
    return "built-in" if PLANS.get(plan.id) == plan else "configuration"


async def show(desk: Desk) -> None:
    """`GET /console/plans`; `?edit=` fills the form in with one of them."""
    plans = await known(desk)
    edit = next((plan for plan in plans if plan["id"] == desk.query("edit")), None)
    await desk.page("console/plans.html", plans=plans, edit=edit)


async def put(desk: Desk) -> None:
    """`POST /console/plans`: stores one."""
    form = desk.form

    async def act() -> None:
        limits = {name: form.number(name) for name in ("requests", "tokens", "concurrency")}
        version = shapes.number(form.text("version"), "version") if form.text("version") else None
        plan = await desk.office.put_plan(form.text("id"), **limits, version=version, by=desk.by)
        await desk.go("/console/plans", "plan-put", name=plan.id)

    await desk.submitted("plan", _FIELDS, act, show)


async def ask_removal(desk: Desk) -> None:
    """`GET /console/plans/{id}/remove`: the question."""
    plan = await desk.ledger.find(Plan, desk.args[0])
    if plan is None:
        raise NotFound(f"There is no plan '{desk.args[0][:80]}' in the ledger.", code="not_found")
    below = desk.office.plans.get(plan.id)
    await desk.page("console/plan-remove.html", plan=documents.of_plan(plan, "ledger"), below=below)


async def remove(desk: Desk) -> None:
    """`POST /console/plans/{id}/remove`."""

    async def act() -> None:
        if not await desk.office.remove_plan(desk.args[0], by=desk.by):
            raise NotFound(f"There is no plan '{desk.args[0][:80]}' in the ledger.", code="not_found")
        await desk.go("/console/plans", "plan-removed", name=desk.args[0])

    await desk.submitted("remove", frozenset(), act, ask_removal)
