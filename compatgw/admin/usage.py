"""What was called: rows and sums, as the management API and the console ask the ledger for them.

What does not live here: how sums are made (`state/queries.py`), what documents look like (`documents.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from compatgw.admin import shapes
from compatgw.errors import NotFound
from compatgw.state.base import BadRecord, UsageRow

if TYPE_CHECKING:
    from compatgw.state.base import Grouping, Ledger, Page, UsageTotal

DAY = 86_400.0
SPAN = 30 * DAY
"""How far back sums go unless asked otherwise."""
MOST_GROUPS = 10_000
"""As many sums as are given at once."""

_WHOSE: Mapping[str, shapes.Reader] = MappingProxyType(
    {
        **dict.fromkeys(("team", "key", "model", "provider", "endpoint", "code"), shapes.text),
        "status": shapes.number,
        "failed": shapes.flag,
        **shapes.SPAN,
    }
)
ROWS: Mapping[str, shapes.Reader] = MappingProxyType({"request": shapes.text, **_WHOSE})
"""What rows are filtered by."""
TOTALS: Mapping[str, shapes.Reader] = MappingProxyType({"group": shapes.groups, "percentiles": shapes.flag, **_WHOSE})
"""What sums are asked for by."""


class Totals(NamedTuple):
    """Sums over calls.

    Attributes:
        rows: The sums. group: What they are by, in that order.
        since, until: The span that they are of.
        more: There are more than are given.
    """

    rows: tuple[UsageTotal, ...]
    group: tuple[Grouping, ...]
    since: float
    until: float
    more: bool


async def calls(ledger: Ledger, query: Mapping[str, str]) -> Page[UsageRow]:
    """A page of calls, the newest first.

    Args:
        query: Members of `ROWS`, `cursor`, `limit`.

    Raises:
        InvalidRequest: One that is unknown, or has a value that it does not take.
    """
    listing = shapes.listing(query, ROWS)
    try:
        return await ledger.page(UsageRow, where=listing.where, cursor=listing.cursor, limit=listing.limit)
    except BadRecord:
        # All else was looked at before.
        raise shapes.wrong_cursor() from None


async def call(ledger: Ledger, id: str) -> UsageRow:
    """One call.

    Raises:
        NotFound: There is none with that id.
    """
    found = await ledger.page(UsageRow, where={"id": id.replace("\0", "")[: shapes.LONGEST_FILTER]}, limit=1)
    if not found.items or found.items[0].id != id:
        raise NotFound(
            f"There is no call '{id[:80]}'. One that has just ended is written within a second.", code="not_found"
        )
    return found.items[0]


async def totals(ledger: Ledger, query: Mapping[str, str], now: float) -> Totals:
    """Sums over calls, of the last 30 days unless asked otherwise.

    Args:
        query: Members of `TOTALS`.

    Raises:
        InvalidRequest: One that is unknown, or has a value that it does not take.
    """
    where = shapes.query(query, TOTALS)
    group, percentiles = where.pop("group", ()), where.pop("percentiles", False)
    until = where.pop("until", now)
    since = where.pop("since", max(0.0, until - SPAN))
    rows = await ledger.usage(group, since=since, until=until, where=where, percentiles=percentiles)
    return Totals(rows, group, since, until, len(rows) == MOST_GROUPS)
