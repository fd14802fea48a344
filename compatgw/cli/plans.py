"""`compatgw plans`: limits under a name.

What does not live here: what limits do (`policy/limits.py`).
"""

from __future__ import annotations

import click

from compatgw.admin import documents
from compatgw.admin.documents import Source
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import Long, Value, When, column, show_json, show_record, show_table, whole
from compatgw.cli.words import ledger_options, limit_options
from compatgw.errors import NotFound
from compatgw.policy.limits import PLANS
from compatgw.state.base import Plan

_NO_LIMIT = "no limit"


@click.group()
def plans() -> None:
    """Limits under a name, for teams and keys.

    A plan of the ledger wins over one of the settings, and that over a built-in one.
    """


@plans.command("list")
@ledger_options
def listed(config: str | None, as_json: bool) -> None:
    """List all plans.

    Those of the ledger, those of the settings, and the built-in ones.

    \b
    Example:
      compatgw plans list
    """

    async def work(desk: Desk) -> list[tuple[Plan, Source]]:
        stored = {plan.id: plan for plan in await desk.all(Plan)}
        found: list[tuple[Plan, Source]] = [(plan, "ledger") for plan in stored.values()]
        for id, plan in sorted(desk.office.plans.items()):
            if id not in stored:
                found.append((plan, "built-in" if PLANS.get(id) == plan else "configuration"))
        return found

    found = at_desk(config, work)
    if as_json:
        show_json(whole(documents.of_plan(plan, source) for plan, source in found))
        return
    columns = (
        column("id"),
        column("requests/min"),
        column("tokens/min"),
        column("concurrency"),
        column("source", 1),
        column("created", 2),
    )
    rows = [
        (
            plan.id,
            _count(plan.requests),
            _count(plan.tokens),
            _count(plan.concurrency),
            source,
            When(plan.created) if source == "ledger" else None,
        )
        for plan, source in found
    ]
    show_table(columns, rows)


@plans.command("set")
@click.argument("id")
@limit_options
@ledger_options
def put(
    id: str, requests: int | None, tokens: int | None, concurrency: int | None, config: str | None, as_json: bool
) -> None:
    """Store a plan, new or in place of the one of that name.

    What is not named has no limit.

    \b
    Example:
      compatgw plans set team-s --requests 120 --tokens 200000
    """

    async def work(desk: Desk) -> Plan:
        return await desk.office.put_plan(id, requests=requests, tokens=tokens, concurrency=concurrency, by=desk.by)

    plan = at_desk(config, work)
    if as_json:
        show_json(documents.of_plan(plan, "ledger"))
        return
    members: dict[str, Value] = {
        "id": plan.id,
        "requests/min": _count(plan.requests) or _NO_LIMIT,
        "tokens/min": _count(plan.tokens) or _NO_LIMIT,
        "concurrency": _count(plan.concurrency) or _NO_LIMIT,
        "created": When(plan.created),
    }
    show_record(f"Plan {plan.id}", members)


@plans.command()
@click.argument("id")
@ledger_options
def remove(id: str, config: str | None, as_json: bool) -> None:
    """Delete a plan that nobody has.

    Only those of the ledger; one of the settings by that name holds again.

    \b
    Example:
      compatgw plans remove team-s
    """

    async def work(desk: Desk) -> bool:
        return await desk.office.remove_plan(id, by=desk.by)

    if not at_desk(config, work):
        raise NotFound(f"There is no plan '{id}' in the ledger.", code="not_found")
    if as_json:
        deleted: documents.DeletedDocument = {"object": "plan.deleted", "id": id, "deleted": True}
        show_json(deleted)
    else:
        click.echo(f"The plan {id} was removed.", err=True)


def _count(limit: int | None) -> Long | None:
    return Long(limit) if limit is not None else None
