"""The log of requests: which calls there were, narrowed by what is asked for, and all that is known of one.

No text of a request or an answer is kept, so none is shown.

What does not live here: the rows (`admin/usage.py`), sums (`overview.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from compatgw.admin import documents, usage
from compatgw.errors import InvalidRequest
from compatgw.pages.console import figures, spans
from compatgw.pages.console.forms import Form, Tried, tried
from compatgw.state.base import Key, Team

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.pages.console.desk import Desk
    from compatgw.state.base import Page, UsageRow

FILTERS = ("model", "provider", "team", "key", "endpoint", "code", "request")
"""Fields that are looked for exactly."""
OUTCOMES: Mapping[str, str] = {"answered": "false", "failed": "true"}
"""Words of `outcome` to whether a call failed."""
_ROWS = 50


async def show(desk: Desk) -> None:
    """`GET /console/requests`: a page of calls, the newest first."""
    asked = {name: value for name in (*FILTERS, "outcome", "span") if (value := desk.query(name))}
    query, wrong = _query(asked, desk.site.house.clock()), Tried()
    cursor = desk.query("cursor")
    page: Page[UsageRow] | None = None
    try:
        page = await usage.calls(desk.ledger, {**query, "limit": str(_ROWS), **({"cursor": cursor} if cursor else {})})
    except InvalidRequest as error:
        form = Form({name: (value,) for name, value in asked.items()})
        wrong = tried("filters", form, error, desk.language, frozenset(FILTERS))
    await desk.page(
        "console/requests.html",
        status=400 if wrong.text else 200,
        asked=asked,
        spans=spans.SPANS,
        outcomes=tuple(OUTCOMES),
        providers=sorted(desk.site.house.directory.deployments),
        wrong=wrong,
        rows=[_row(desk.language, row) for row in page.items] if page is not None else [],
        cursor=page.cursor if page is not None else None,
        later=bool(cursor),
    )


def _query(asked: Mapping[str, str], now: float) -> dict[str, str]:
    """The filters of a page as the management API has them."""
    query = {name: asked[name] for name in FILTERS if name in asked}
    if (failed := OUTCOMES.get(asked.get("outcome", ""))) is not None:
        query["failed"] = failed
    if (span := asked.get("span", "")) in spans.SPANS:
        query["since"] = f"{now - spans.SPANS[span][0]:.6f}"
    return query


def _row(language: str, row: UsageRow) -> dict[str, object]:
    # What the name that was asked for says already is not said again.
    told = row.model == f"{row.provider}/{row.target}"
    return {
        "id": row.id,
        "at": documents.instant(row.at),
        "model": row.model,
        "provider": "" if told else row.provider,
        "target": "" if told or row.target == row.model else row.target,
        "team": row.team,
        "key": row.key,
        "endpoint": row.endpoint,
        "status": row.status,
        "code": row.code,
        "failed": row.status >= 400,
        "input": figures.whole(language, row.input),
        "output": figures.whole(language, row.output),
        "cost": "" if row.cost is None else figures.amount(language, row.cost),
        "latency": figures.duration(language, round(row.latency * 1000, 1)),
        "stream": row.stream,
        "cached_answer": row.cached_answer,
        "byok": row.byok,
    }


async def one(desk: Desk) -> None:
    """`GET /console/requests/{id}`: a call.

    Raises:
        NotFound: There is none with that id.
    """
    row = await usage.call(desk.ledger, desk.args[0])
    language = desk.language
    key = await desk.ledger.find(Key, row.key) if row.key else None
    team = await desk.ledger.find(Team, row.team) if row.team else None
    document = documents.of_usage(row)
    await desk.page(
        "console/request.html",
        row=_row(language, row),
        call=document,
        key=key,
        team=team,
        first_token=figures.duration(language, round(row.first_token * 1000, 1)) if row.first_token is not None else "",
        speed=_speed(language, row),
        guardrails=[word.partition(":")[::2] for word in row.guardrails.split(",") if word],
        text=orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(),
    )


def _speed(language: str, row: UsageRow) -> str:
    """Output tokens a second once they began to come, "" where that is not known."""
    writing = row.latency - (row.first_token or 0.0)
    if row.first_token is None or row.output < 2 or writing <= 0:
        return ""
    return figures.short(language, round(row.output / writing, 1))
