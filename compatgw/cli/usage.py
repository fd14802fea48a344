"""`compatgw usage`: what was called and what it cost.

What does not live here: how sums are made (`state/queries.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import click

from compatgw.admin import documents
from compatgw.cli.desk import Desk, at_desk
from compatgw.cli.tables import Long, Value, column, show_json, show_table, whole
from compatgw.cli.words import as_past, ledger_options
from compatgw.policy import money
from compatgw.state.base import Grouping, UsageTotal

# As the ledger has it.
_MOST_GROUPS = 10_000
_TIMES = ("p50", "p95")


@click.command()
@click.option(
    "--by",
    "group",
    multiple=True,
    type=click.Choice(get_args(Grouping)),
    help="In sums by this; repeat it. [default: day]",
)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    callback=as_past,
    metavar="WHEN",
    help="From then: 30d, 2026-11-01, a time.",
)
@click.option("--until", callback=as_past, metavar="WHEN", help="Before then.  [default: now]")
@click.option("--team", help="Of this team only.")
@click.option("--key", help="Of the key with this id only.")
@click.option("--model", help="Of this model only, as it was asked for.")
@click.option(
    "--times", is_flag=True, help="Within how many seconds half, and 19 of 20, of the answered calls were over."
)
@ledger_options
def usage(
    group: Sequence[Grouping],
    since: float,
    until: float | None,
    team: str | None,
    key: str | None,
    model: str | None,
    times: bool,
    config: str | None,
    as_json: bool,
) -> None:
    """What was called and what it cost, in sums.

    Hours and days are those of UTC. `cost` is what providers take, `charge` what wallets paid.

    \b
    Example:
      compatgw usage --by team --by model --since 30d
      compatgw usage --by day --team acme --since 2026-11-01 --until 2026-12-01 --json
    """
    by = tuple(dict.fromkeys(group)) or ("day",)
    where = {name: value for name, value in (("team", team), ("key", key), ("model", model)) if value is not None}
    if until is not None and until <= since:
        raise click.UsageError("--until is not after --since.")

    async def work(desk: Desk) -> tuple[Sequence[UsageTotal], float, str]:
        end = until if until is not None else desk.now
        found = await desk.ledger.usage(by, since=since, until=end, where=where, percentiles=times)
        return found, end, desk.settings.money.currency

    found, end, currency = at_desk(config, work)
    if len(found) == _MOST_GROUPS:
        click.echo(f"These are the first {_MOST_GROUPS:,} sums; there are more. Ask for a shorter time.", err=True)
    if as_json:
        totals = whole(documents.of_total(total, by) for total in found)
        totals["has_more"] = len(found) == _MOST_GROUPS
        show_json({**totals, "since": documents.instant(since), "until": documents.instant(end), "group": by})
        return
    # Where nobody has a wallet, what providers take is what matters.
    paid = any(total.charge for total in found)
    columns = (
        *(column(name, folds=name == "model") for name in by),
        column("calls"),
        column("failed", 3),
        column("input", 1),
        column("cached", 4),
        column("output", 1),
        column("reasoning", 5),
        column(f"cost {currency}", 2 if paid else 0),
        column(f"charge {currency}", 0 if paid else 2),
        *(column(name, 1) for name in _TIMES if times),
    )
    rows = [_row(total, times=times) for total in found]
    sums = _total(found, len(by), times=times) if found else None
    show_table(columns, rows, total=sums, empty="No calls in that time.")


def _row(total: UsageTotal, *, times: bool) -> tuple[Value, ...]:
    counts = (total.calls, total.failed, total.input, total.cached, total.output, total.reasoning)
    took = [None if (seconds := getattr(total, name)) is None else f"{seconds:.3f}" for name in _TIMES if times]
    return (*total.group, *map(Long, counts), total.cost, total.charge, *took)


def _total(found: Sequence[UsageTotal], width: int, *, times: bool) -> tuple[Value, ...]:
    """Sums of the sums; of times there are none."""
    fields = ("calls", "failed", "input", "cached", "output", "reasoning")
    counts = [Long(sum(getattr(total, field) for total in found)) for field in fields]
    cost, charge = (money.sum_of(getattr(total, field) for total in found) for field in ("cost", "charge"))
    return ("total", *[None] * (width - 1), *counts, cost, charge, *[None for _ in _TIMES if times])
