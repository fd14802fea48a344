"""The console's first page: how the gateway is, and what was asked of it, by time and by model.

What does not live here: sums (`admin/usage.py`), pictures (`charts.py`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from compatgw.admin import usage
from compatgw.pages import words
from compatgw.pages.console import figures, spans
from compatgw.pages.console.charts import Plot, Series, bars, lines, share
from compatgw.policy import money
from compatgw.web.status import data_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from compatgw.pages.console.charts import Drawing, Number
    from compatgw.pages.console.desk import Desk
    from compatgw.pages.console.spans import Span
    from compatgw.state.base import Ledger, UsageTotal

FILTERS = ("model", "provider", "team", "key")
"""What the sums can be narrowed to."""
_MOST_MODELS = 20
# Whoever asks for how long half of them took has all of them sorted, three times.
_MOST_SORTED = 250_000
# Of errors by code, the most frequent first; the last is for all others.
_COLOURS = (3, 5, 4, 2, 1, 6)
_MOST_CODES = len(_COLOURS) - 1


class Seen(NamedTuple):
    """What a span of time has seen.

    Attributes:
        total: Of all of it, None where nothing was called.
        parts: Of each of its hours or days that has seen anything.
        models: By model, the most called first.
        codes: Of failed calls, by part and code.
    """

    total: UsageTotal | None
    parts: Mapping[str, UsageTotal]
    models: tuple[UsageTotal, ...]
    codes: tuple[UsageTotal, ...]


class Row(NamedTuple):
    """A model in the table: its sums as they are shown, and the path of its bar."""

    name: str
    calls: str
    failed: str
    input: str
    output: str
    cost: str
    p50: str
    p95: str
    bar: str


async def show(desk: Desk) -> None:
    """The page."""
    house, language = desk.site.house, desk.language
    now = house.clock()
    span = spans.chosen(desk.query("span"), desk.query("by"), now)
    narrowed = {name: value for name in FILTERS if (value := desk.query(name))}
    seen = await asked(house.ledger, span, narrowed, now) if house.ledger is not None else None
    status = data_of(desk.site, named=True)
    await desk.page(
        "console/overview.html",
        span=span,
        spans=spans.SPANS,
        narrowed=narrowed,
        chips=[
            (name, value, {each: narrowed[each] for each in narrowed if each != name})
            for name, value in narrowed.items()
        ],
        state=status,
        troubled=sorted({each["name"] for each in status["upstreams"] if each["state"] not in ("up", "unknown")}),
        providers=len(house.directory.deployments),
        total=headline(language, seen.total) if seen is not None and seen.total is not None else None,
        charts_of=drawings(language, span, seen) if seen is not None and seen.total is not None else (),
        models=rows(language, seen.models) if seen is not None else (),
        timed=seen is None or seen.total is None or seen.total.calls <= _MOST_SORTED,
        more=max(0, len(seen.models) - _MOST_MODELS) if seen is not None else 0,
    )


async def asked(ledger: Ledger, span: Span, narrowed: Mapping[str, str], now: float) -> Seen:
    """What the ledger knows of a span.

    Raises:
        InvalidRequest: A filter that is none.
    """
    query = {**narrowed, "since": str(span.since), "until": f"{span.until:.6f}"}
    (total,) = (await usage.totals(ledger, query, now)).rows or (None,)
    if total is None:
        return Seen(None, {}, (), ())
    timed = query
    if total.calls <= _MOST_SORTED:
        timed = {**query, "percentiles": "true"}
        # None is gone again only where somebody deletes rows this very moment.
        (total,) = (await usage.totals(ledger, timed, now)).rows or (total,)
    parts = (await usage.totals(ledger, {**timed, "group": span.step}, now)).rows
    models = (await usage.totals(ledger, {**timed, "group": "model"}, now)).rows
    codes: tuple[UsageTotal, ...] = ()
    if total.failed:
        codes = (await usage.totals(ledger, {**query, "group": f"{span.step},code", "failed": "true"}, now)).rows
    ordered = sorted(models, key=lambda each: (-each.calls, each.group))
    return Seen(total, {each.group[0]: each for each in parts}, tuple(ordered), codes)


def headline(language: str, total: UsageTotal) -> dict[str, str]:
    """The sums of a whole span, by the words that name them."""
    whole = partial(figures.whole, language)
    found = {
        "calls": whole(total.calls),
        "failed": whole(total.failed),
        "rate": figures.share(language, total.failed, total.calls),
        "tokens": figures.short(language, total.input + total.output),
        "input": whole(total.input),
        "output": whole(total.output),
        "cost": figures.rough_amount(language, total.cost),
        "charge": figures.rough_amount(language, total.charge) if total.charge else "",
        "p50": "",
        "p95": "",
    }
    for name, value in (("p50", total.p50), ("p95", total.p95)):
        if value is not None:
            found[name] = figures.duration(language, _milliseconds(value))
    return found


def drawings(language: str, span: Span, seen: Seen) -> tuple[tuple[str, Drawing], ...]:
    """The pictures, each with the word that names it."""
    text = partial(words.text, language)
    parts = [seen.parts.get(name) for name in span.names]
    whole, short = partial(figures.whole, language), partial(figures.short, language)

    def of(member: str) -> tuple[int, ...]:
        return tuple(0 if part is None else getattr(part, member) for part in parts)

    def latencies(member: str) -> tuple[Number | None, ...]:
        found = [None if part is None else getattr(part, member) for part in parts]
        return tuple(None if value is None else _milliseconds(value) for value in found)

    calls = Series(text("insight.answered"), tuple(a - b for a, b in zip(of("calls"), of("failed"), strict=True)), 1)
    failed = Series(text("insight.failed"), of("failed"), 3)
    tokens = (Series(text("insight.input"), of("input"), 2), Series(text("insight.output"), of("output"), 4))
    spent: tuple[Decimal, ...] = tuple(money.sum_of(() if part is None else (part.cost,)) for part in parts)
    cost = (Series(text("insight.cost"), spent, 5),)
    speed = (Series(text("insight.p50"), latencies("p50"), 2), Series(text("insight.p95"), latencies("p95"), 3))
    duration, amount = partial(figures.duration, language), partial(figures.amount, language)
    return (
        ("requests", bars(Plot(span.places, (calls, failed), whole, short))),
        ("tokens", bars(Plot(span.places, tokens, whole, short))),
        ("cost", bars(Plot(span.places, cost, amount, short, whole=False))),
        ("errors", bars(Plot(span.places, _errors(language, span, seen.codes), whole, short))),
        ("latency", lines(Plot(span.places, speed, duration, duration))),
    )


def _errors(language: str, span: Span, codes: tuple[UsageTotal, ...]) -> tuple[Series, ...]:
    """A series for each of the most frequent codes, and one for all the rest."""
    sums: dict[str, int] = {}
    for each in codes:
        sums[each.group[1]] = sums.get(each.group[1], 0) + each.calls
    shown = sorted(sums, key=lambda code: (-sums[code], code))
    if len(shown) > _MOST_CODES + 1:
        shown = shown[:_MOST_CODES]
    found = {(each.group[0], each.group[1]): each.calls for each in codes}
    series = [
        Series(
            code or words.text(language, "insight.no-code"),
            tuple(found.get((part, code), 0) for part in span.names),
            colour,
        )
        for colour, code in zip(_COLOURS, shown, strict=False)
    ]
    if len(shown) < len(sums):
        rest = [
            sum(each.calls for each in codes if each.group[0] == part and each.group[1] not in shown)
            for part in span.names
        ]
        series.append(Series(words.text(language, "insight.others"), tuple(rest), _COLOURS[-1]))
    return tuple(series) or (Series(words.text(language, "insight.failed"), (0,) * len(span.names), 3),)


def rows(language: str, models: tuple[UsageTotal, ...]) -> tuple[Row, ...]:
    """The most called models for the table."""
    most = max([each.calls for each in models], default=0)
    whole = partial(figures.whole, language)

    def time(value: float | None) -> str:
        return "" if value is None else figures.duration(language, _milliseconds(value))

    return tuple(
        Row(
            name=each.group[0],
            calls=whole(each.calls),
            failed=whole(each.failed),
            input=whole(each.input),
            output=whole(each.output),
            cost=figures.amount(language, each.cost),
            p50=time(each.p50),
            p95=time(each.p95),
            bar=share(each.calls, most),
        )
        for each in models[:_MOST_MODELS]
    )


def _milliseconds(seconds: float) -> Number:
    """Tenths of them below ten, whole ones from there: what is drawn is what is told."""
    found = seconds * 1000
    return round(found) if found >= 10 else round(found, 1)
