"""The console's first page: what it says is what the management API says, and what is drawn is what it says."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from compatgw.pages.console import overview
from tests.pages.console.looking import DAY, HOUR, Looking, assert_harmless, called, number, some
from tests.pages.console.operating import ADMIN, Console
from tests.pages.test_pages import ATTACKS
from tests.pages.visiting import Page
from tests.state.making import NOW, used

_NAMES = ["Requests", "Tokens", "Cost (USD)", "Errors", "Time taken"]


async def totals(console: Console, **query: str) -> list[dict[str, Any]]:
    """What the management API says."""
    answer = await console.http.get(
        "/api/admin/usage/totals", params=query, headers={"authorization": f"Bearer {ADMIN}"}
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_the_page_says_what_the_api_says(console_of_each: Console) -> None:
    """On each back end: every number of every hour, and of every model."""
    console = console_of_each
    await called(console, *some())
    page = Looking((await console.get("/console")).text)
    since = NOW - NOW % HOUR - 23 * HOUR
    span = {"since": str(since), "until": str(NOW + 1), "percentiles": "true"}
    hours = {each["group"]["hour"]: each for each in await totals(console, group="hour", **span)}
    requests, tokens, cost, errors, latency = page.pictures
    assert [picture.name for picture in page.pictures] == _NAMES

    def told(picture: Any, place: int) -> list[float]:
        return [number(cell) if cell else -1.0 for cell in picture.table.rows[place][1:]]

    assert len(requests.table.rows) == 24
    for place in range(24):
        name = f"2026-{requests.table.rows[place][0].replace(' ', 'T')}:00Z"
        sums = hours.pop(name, None)
        if sums is None:
            assert [told(each, place) for each in page.pictures] == [[0, 0], [0, 0], [0], [0, 0], [-1, -1]]
            continue
        assert told(requests, place) == [sums["calls"] - sums["failed"], sums["failed"]]
        assert told(tokens, place) == [sums["input"], sums["output"]]
        assert told(cost, place) == [float(sums["cost"])]
        assert sum(told(errors, place)) == sums["failed"]
        expected = [-1.0 if sums[each] is None else sums[each] * 1000 for each in ("p50", "p95")]
        assert told(latency, place) == expected
    assert not hours

    table = page.tables[-1]
    assert [row[0] for row in table.rows] == ["claude", "openai/gpt-4o"]
    by_model = {each["group"]["model"]: each for each in await totals(console, group="model", **span)}
    for name, counted, _, failed, taken, given, spent, *times in table.rows:
        # The link's own name says again what it is of.
        calls = counted.removesuffix(f" {name}")
        sums = by_model[name]
        assert [number(each) for each in (calls, failed, taken, given, spent)] == [
            sums["calls"], sums["failed"], sums["input"], sums["output"], float(sums["cost"])
        ]  # fmt: skip
        assert [number(each) for each in times] == [sums["p50"] * 1000, sums["p95"] * 1000]


@pytest.mark.parametrize("query", ["", "?span=7d", "?span=7d&by=hour", "?span=90d"])
async def test_what_is_drawn_is_what_the_table_says(console: Console, query: str) -> None:
    """Every height is the table's number, in the proportion that the axis tells."""
    await called(console, *some())
    page = Looking((await console.get(f"/console{query}")).text)
    for picture in page.pictures:
        top = number(picture.ticks[-1])
        for series in range(len(picture.table.head) - 1):
            heights: dict[int, float] = {}
            for kinds, _ in picture.paths:
                assert kinds
            # A line may have its single points in a path of their own.
            lines = [n for n, (kinds, _) in enumerate(picture.paths) if "dots" not in kinds]
            heights = picture.heights(lines[series])
            if lines[series] + 1 < len(picture.paths) and "dots" in picture.paths[lines[series] + 1][0]:
                heights |= picture.heights(lines[series] + 1)
            for place, row in enumerate(picture.table.rows):
                cell = row[series + 1]
                drawn = heights.pop(place, 0.0)
                assert drawn * top == pytest.approx(number(cell) if cell else 0.0, abs=top / 900), (picture.name, row)
            assert not heights


async def test_the_headlines(console: Console) -> None:
    """Sums of the span, and nothing of what is before it."""
    await called(console, *some())
    page = await console.page("/console")
    for words in (
        "5",
        "40%",
        "2 failed",
        "1,300 in, 4,080 out",
        "1.75",
        "1.50 charged to wallets",
        "1.5 s",
        "3 s for 19 of 20",
    ):
        assert words in page.text, words
    longer = await console.page("/console?span=7d")
    assert "33.3%" in longer.text
    assert "9 s for 19 of 20" in longer.text


async def test_sums_are_narrowed(console: Console) -> None:
    """By model, provider, team and key, together too; each can be taken away, and failed calls are one click away."""
    await called(console, *some())
    page = await console.page("/console?model=claude&provider=anthropic&span=7d")
    assert "66.7%" in page.text
    assert "/console?span=7d&by=day&provider=anthropic" in page.values("href")
    assert "/console?span=7d&by=day&model=claude" in page.values("href")
    assert "/console/requests?span=7d&outcome=failed&model=claude&provider=anthropic" in page.values("href")
    assert [row[0] for row in Looking((await console.get("/console?team=acme")).text).tables[-1].rows] == [
        "openai/gpt-4o"
    ]
    nothing = await console.page("/console?key=nobody")
    assert "Nothing that is chosen here was called" in nothing.text
    assert "/console?span=90d" in nothing.values("href")
    await console.page("/console?model=" + "m" * 300, status=400)


async def test_codes_beyond_five_are_one(console: Console) -> None:
    """The most frequent ones have a colour each; the rest share the last, and nothing is lost."""
    rows = [
        used(f"{code}{n}", at=NOW - n, status=500, code=f"code_{code}") for code in range(8) for n in range(10 - code)
    ]
    await called(console, *rows, used("none", status=500))
    errors = Looking((await console.get("/console")).text).pictures[3]
    assert errors.legend == ["code_0", "code_1", "code_2", "code_3", "code_4", "all others"]
    assert [number(cell) for cell in errors.table.rows[-1][1:]] == [10, 9, 8, 7, 6, 5 + 4 + 3 + 1]
    await called(console, *[used(f"more{n}", at=NOW - 2 * DAY, status=500) for n in range(20)])
    older = Looking((await console.get("/console?span=7d")).text).pictures[3]
    assert older.legend[0] == "without a code"


async def test_nothing_yet(console: Console) -> None:
    """It says what to do next, and draws nothing."""
    answer = await console.get("/console")
    page = Page(answer.text)
    assert "No calls in this time" in page.text
    assert {"/console/keys", "/console/playground", "/docs"} <= set(page.values("href"))
    assert not Looking(answer.text).pictures


async def test_of_very_many_calls_no_times_are_told(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorting them would take longer than anybody waits; all else is there."""
    await called(console, *some())
    monkeypatch.setattr(overview, "_MOST_SORTED", 4)
    answer = await console.get("/console")
    assert "choose a shorter time" in Page(answer.text).text
    pictures = Looking(answer.text).pictures
    assert [bool(each.paths) for each in pictures] == [True, True, True, True, False]
    assert "choose a shorter time" not in (await console.page("/console?team=acme")).text


async def test_calls_that_all_failed(console: Console) -> None:
    """No time is drawn, and none is told; the rest is."""
    await called(console, used("a", status=503, code="circuit_open", input=0, output=0))
    answer = await console.get("/console")
    pictures = Looking(answer.text).pictures
    assert [bool(each.paths) for each in pictures] == [True, False, False, True, False]
    assert pictures[3].legend == ["circuit_open"]
    assert "100%" in Page(answer.text).text


async def test_without_a_ledger(open_console: Callable[..., Console]) -> None:
    """The page says so, and how the gateway is."""
    console = open_console(ledger=False)
    assert (await console.login(next="/console")).headers["location"] == "/console"
    page = await console.page("/console")
    assert "Nothing is written down here" in page.text
    assert "2 providers" in page.text
    assert {"/console/models", "/console/playground"} <= set(page.values("href"))


async def test_the_longest_page_is_small(console: Console) -> None:
    """A week of hours with eleven codes, more than twenty models and numbers of nine digits has fewer than 100 KB."""
    rows = [
        used(
            f"u{hour}-{n}", at=NOW - hour * HOUR - n, model=f"provider-{n}/a-model-with-a-long-name-{n}", input=123_456_789,
            output=98_765_432, cost=Decimal("1234.123456789"), latency=1.234, status=200 if n % 2 else 502, code="" if n % 2 else f"some_error_{n}",
        )
        for hour in range(168) for n in range(22)
    ]  # fmt: skip
    await called(console, *rows)
    for language in ("en", "vi"):
        answer = await console.get(f"/console?span=7d&by=hour&lang={language}")
        assert len(Looking(answer.text).pictures[0].table.rows) == 168
        assert len(answer.content) < 100_000


@pytest.mark.parametrize("attack", ATTACKS)
async def test_names_are_text(console: Console, attack: str) -> None:
    """Models, codes and filters come from callers; they are shown, and are nothing else."""
    await called(
        console, used("a", model=attack, code=attack, status=400, team=attack, key=attack), used("b", model=attack)
    )
    for path in ("/console", f"/console?{urlencode(dict.fromkeys(('model', 'team', 'key'), attack))}"):
        text = (await console.get(path)).text
        assert_harmless(text)
        assert attack in Page(text).text
