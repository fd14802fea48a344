"""What tests of the console's figures see: pictures with their paths, tables with their cells, calls to look back at."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from compatgw.state.base import UsageRow
from tests.pages.visiting import Page
from tests.state.making import NOW, money, used

if TYPE_CHECKING:
    from tests.pages.console.operating import Console

HOUR, DAY = 3600, 86_400
_BAR = re.compile(r"M(\d+) (\d+)V(\d+)")
_POINT = re.compile(r"[ML](\d+) (\d+)")


@dataclass
class Table:
    """A table: the names of its columns, and its rows."""

    label: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


@dataclass
class Picture:
    """A picture: its name, the words beside its axis from the lowest, its paths by colour, and its table."""

    name: str = ""
    ticks: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    legend: list[str] = field(default_factory=list)
    paths: list[tuple[str, str]] = field(default_factory=list)
    words: str = ""
    table: Table = field(default_factory=Table)

    def heights(self, number: int) -> dict[int, float]:
        """How much of the whole height each place of a series has; places by their number."""
        kinds, d = self.paths[number]
        if "line" in kinds:
            return {int(x) // 10: 1 - int(y) / 1000 for x, y in _POINT.findall(d)}
        return {int(x) // 10: (int(low) - int(high)) / 1000 for x, low, high in _BAR.findall(d)}


class Looking(HTMLParser):
    """All tables and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.pictures: list[Picture] = []
        self._figure: Picture | None = None
        # Where text goes: the end of a cell may be left out.
        self._into = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        got = {name: value or "" for name, value in attrs}
        classes, figure = got.get("class", "").split(), self._figure
        if tag == "figure" and "data-chart" in got:
            self._figure = Picture()
            self.pictures.append(self._figure)
        elif tag == "table":
            self.tables.append(figure.table if figure is not None else Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("th", "td"):
            self.tables[-1].rows[-1].append("")
            self._into = "cell"
        elif figure is None:
            return
        elif tag == "path":
            figure.paths.append((got.get("class", ""), got["d"]))
        elif tag in ("h3", "desc"):
            self._into = tag
        elif tag in ("text", "li"):
            self._into = "mark" if "mark" in classes else tag
            self._words(figure).append("")

    def handle_endtag(self, tag: str) -> None:
        """It ends."""
        if tag in ("th", "td", "tr", "tbody", "h3", "desc", "text", "li"):
            self._into = ""
        elif tag == "thead":
            self.tables[-1].head = self.tables[-1].rows.pop()
        elif tag == "figure":
            self._figure = None

    def handle_data(self, data: str) -> None:
        """Text, to where it belongs."""
        figure = self._figure
        if self._into == "cell":
            row = self.tables[-1].rows[-1]
            row[-1] = (row[-1] + data).strip()
        elif figure is None or not self._into:
            return
        elif self._into == "h3":
            figure.name += data
        elif self._into == "desc":
            figure.words += data
        else:
            self._words(figure)[-1] += data

    def _words(self, figure: Picture) -> list[str]:
        return {"text": figure.ticks, "mark": figure.marks, "li": figure.legend}[self._into]


def number(text: str) -> float:
    """A number as English pages write it, without what stands behind it."""
    found = re.match(r"[\d,]*\.?\d+", text)
    assert found is not None, text
    times = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12, "s": 1e3}.get(text.removesuffix("ms")[-1:], 1.0)
    return float(found[0].replace(",", "")) * times


async def called(console: Console, *calls: Any) -> None:
    """Writes usage rows as calls that are over leave them, a second ago."""
    for call in calls:
        assert console.ledger.record(call)
    # They are written together, soon.
    async with asyncio.timeout(20):
        while not (await console.ledger.page(UsageRow, where={"id": calls[-1].id}, limit=1)).items:
            pass
    console.clock.now = NOW + 1


def some() -> list[Any]:
    """Calls of the last day and before, by two models and two teams; some failed."""
    return [
        used("a", at=NOW, model="openai/gpt-4o", cost=money("0.25"), latency=1.5, team="acme", key="k1"),
        used("b", at=NOW - HOUR, model="openai/gpt-4o", cost=money("1.5"), charge=money("1.5"), latency=0.5, input=900),
        used("c", at=NOW - HOUR + 60, model="claude", provider="anthropic", status=502, code="upstream_error"),
        used("d", at=NOW - 5 * HOUR, model="claude", provider="anthropic", status=429, code="rate_limit_exceeded"),
        used("e", at=NOW - 5 * HOUR + 1, model="claude", provider="anthropic", output=4_000, latency=3.0),
        used("f", at=NOW - 3 * DAY, model="old", latency=9.0),
    ]


def assert_harmless(text: str) -> None:
    """A page has no element, attribute or address of an attack's making, and reckons nothing that one asks it to."""
    page = Page(text)
    scripts = [attributes.get("src", "") for tag, attributes in page.elements if tag == "script"]
    assert scripts
    assert all(source.startswith("/assets/") for source in scripts)
    assert all(not name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {tag for tag, _ in page.elements}.isdisjoint({"img", "iframe", "object", "embed", "base", "i"})
    assert all(not value.lower().startswith("javascript:") for value in page.values("href"))
    assert "60481729" not in page.text
