"""Usage in the ledger, on every back end: rows that are written behind, sums over them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from compatgw.state.base import BadRecord, Team, UsageRow, UsageTotal
from compatgw.state.sql import SqlLedger
from tests.state.making import NOW, NewLedger, money, used

DAY = 86_400.0
MIDNIGHT = NOW - NOW % DAY
A, B = "2026-11-18", "2026-11-19"


async def test_rows_are_written_behind_and_flushed_at_the_end(new_ledger: NewLedger) -> None:
    """Also those that were recorded before anything was opened."""
    ledger = new_ledger()
    rows = [used(f"u{n}", cost=money("0.5"), first_token=0.25, latency=1.5, code="", byok=True) for n in range(3)]
    for row in rows:
        assert ledger.record(row)
    await ledger.aclose()
    late = used("late", stream=True, estimated=True, images=2)
    assert ledger.record(late)
    await ledger.aclose()

    assert (await new_ledger().page(UsageRow)).items == (late, *reversed(rows))


async def test_rows_wait_for_company_and_not_for_long(ledger: SqlLedger) -> None:
    """Whoever looks finds them soon, in few transactions."""
    await ledger.open()
    writer = (await ledger._session()).writer
    before = writer.transactions
    for n in range(500):
        ledger.record(used(f"u{n}"))
    found = 0
    async with asyncio.timeout(10):
        while found < 500:
            found = len((await ledger.page(UsageRow, limit=1000)).items)

    assert writer.transactions - before == 1


async def test_a_row_that_was_written_is_not_written_again(ledger: SqlLedger) -> None:
    """A transaction whose end is not known is repeated."""
    for _ in range(2):
        ledger.record(used())
    await ledger.aclose()
    ledger.record(used(model="other"))
    await ledger.aclose()

    assert [row.model for row in (await ledger.page(UsageRow)).items] == ["gpt-4o"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"model": "a\0b"}, {"model": "a\N{REPLACEMENT CHARACTER}b"}),
        ({"model": "\ud800é"}, {"model": "?é"}),
        ({"code": "x" * 500}, {"code": "x" * 200}),
        ({"model": "x" * 10_000}, {"model": "x" * 1024}),
    ],
)
async def test_a_call_that_happened_is_written_down_whatever_it_is_called(
    ledger: SqlLedger, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    """Names come from callers; what cannot be stored is cut."""
    row = used(**given)
    ledger.record(row)
    await ledger.aclose()

    assert (await ledger.page(UsageRow)).items == (replace(row, **kept),)


async def test_one_row_that_cannot_be_written_takes_no_other_with_it(ledger: SqlLedger) -> None:
    """A number beyond 64 bits; the others are written, and it is counted."""
    await ledger.open()
    writer = (await ledger._session()).writer
    for row in (used("a"), used("b", input=2**70), used("c")):
        ledger.record(row)
    await ledger.aclose()

    assert {row.id for row in (await ledger.page(UsageRow)).items} == {"a", "c"}
    assert writer.dropped == 1


async def fill(ledger: SqlLedger) -> None:
    """Some calls over two days."""
    rows = [
        used("a", at=MIDNIGHT, model="m1", input=1, output=10, cost=money("0.1"), charge=money("0.2")),
        used("b", at=MIDNIGHT + DAY - 0.000001, model="m2", input=2, output=20, cached=1, reasoning=5),
        used("c", at=MIDNIGHT + DAY, model="m1", input=4, output=40, status=500, code="upstream_error"),
        used("d", at=MIDNIGHT + DAY + 1, model="m1", input=8, team="t2", key="k2", cost=money("0.000000001")),
    ]
    for row in rows:
        ledger.record(row)
    await ledger.aclose()


async def test_sums_by_day_and_model(ledger: SqlLedger) -> None:
    """Days are UTC's; sums are exact."""
    await fill(ledger)
    found = await ledger.usage(["day", "model"], since=0, until=NOW + 9 * DAY)

    def total(
        day: str, model: str, calls: int, failed: int, *numbers: int, cost: str = "0", charge: str = "0"
    ) -> UsageTotal:
        taken, cached, given, reasoning = numbers
        return UsageTotal(
            group=(day, model),
            calls=calls,
            failed=failed,
            input=taken,
            cached=cached,
            output=given,
            reasoning=reasoning,
            cost=money(cost),
            charge=money(charge),
        )

    assert found == (
        total("2026-11-18", "m1", 1, 0, 1, 0, 10, 0, cost="0.1", charge="0.2"),
        total("2026-11-18", "m2", 1, 0, 2, 1, 20, 5),
        total("2026-11-19", "m1", 2, 1, 12, 0, 60, 0, cost="0.000000001"),
    )


@pytest.mark.parametrize(
    ("group", "where", "since", "until", "expected"),
    [
        ([], {}, 0.0, 9e9, {(): 15}),
        ([], {"team": "t2"}, 0.0, 9e9, {(): 8}),
        ([], {"team": "t3"}, 0.0, 9e9, {}),
        (["team"], {}, 0.0, 9e9, {("t1",): 7, ("t2",): 8}),
        (["key", "provider"], {"status": 200}, 0.0, 9e9, {("k1", "openai"): 3, ("k2", "openai"): 8}),
        (["day"], {"model": "m1"}, MIDNIGHT + DAY, 9e9, {("2026-11-19",): 12}),
        (["day"], {}, 0.0, MIDNIGHT + DAY, {("2026-11-18",): 3}),
        (
            ["hour"],
            {},
            0.0,
            9e9,
            {(f"{day}:00:00Z",): n for day, n in ((f"{A}T00", 1), (f"{A}T23", 2), (f"{B}T00", 12))},
        ),
        (["code", "endpoint"], {}, 0.0, 9e9, {("", "chat"): 11, ("upstream_error", "chat"): 4}),
        (["model"], {"failed": True}, 0.0, 9e9, {("m1",): 4}),
        (["model"], {"failed": False, "team": "t1"}, 0.0, 9e9, {("m1",): 1, ("m2",): 2}),
    ],
)
async def test_sums_by_whatever_is_asked(
    ledger: SqlLedger,
    group: Any,
    where: dict[str, Any],
    since: float,
    until: float,
    expected: dict[tuple[str, ...], int],
) -> None:
    """From `since`, before `until`, filtered by any field."""
    await fill(ledger)
    found = await ledger.usage(group, since=since, until=until, where=where)

    assert {total.group: total.input for total in found} == expected


async def test_what_usage_cannot_be_grouped_or_filtered_by(ledger: SqlLedger) -> None:
    """In words."""
    with pytest.raises(BadRecord, match="grouped by 'colour'"):
        await ledger.usage(["colour"], since=0, until=1)  # type: ignore[list-item]
    with pytest.raises(BadRecord, match="filtered by 'x'"):
        await ledger.usage(["day"], since=0, until=1, where={"x": 1})
    with pytest.raises(BadRecord, match="failed: 1 is neither"):
        await ledger.usage(["day"], since=0, until=1, where={"failed": 1})
    with pytest.raises(BadRecord, match="filtered by 'failed'"):
        await ledger.page(Team, where={"failed": True})


async def test_usage_is_found_by_the_id_that_the_client_saw(ledger: SqlLedger) -> None:
    """A client may send the same id twice: both calls are there."""
    for id in ("a", "b"):
        ledger.record(used(id, request="req-1", charge=Decimal(0)))
    await ledger.aclose()

    assert len((await ledger.page(UsageRow, where={"request": "req-1"})).items) == 2


def nearest_rank(latencies: list[float], percent: int) -> float | None:
    """The least of them that at least `percent` in a hundred do not exceed."""
    return sorted(latencies)[-(-percent * len(latencies) // 100) - 1] if latencies else None


@pytest.mark.parametrize("group", [[], ["model"], ["hour", "model"], ["code"]])
async def test_percentiles_are_those_of_answered_calls(ledger: SqlLedger, group: list[Any]) -> None:
    """Half, and 19 of 20, were over within that time, exactly; a call that failed at once makes nothing look quick."""
    rows = [
        used(
            f"u{n}",
            at=NOW + n * 60,
            model=f"m{n % 7 % 3}",
            latency=(n * 7919 % 101) / 8,
            status=200 if n % 4 or n > 90 else 502,
            code="" if n % 4 or n > 90 else "upstream_error",
        )
        for n in range(100)
    ]
    for row in rows:
        ledger.record(row)
    await ledger.aclose()
    found = await ledger.usage(group, since=0, until=9e9, percentiles=True)

    def place(row: UsageRow) -> tuple[str, ...]:
        hour = datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%dT%H:00:00Z")
        return tuple({"hour": hour, "model": row.model, "code": row.code}[name] for name in group)

    places = {place(row) for row in rows}
    answered = {each: [row.latency for row in rows if row.status == 200 and place(row) == each] for each in places}
    assert {total.group: (total.p50, total.p95) for total in found} == {
        each: (nearest_rank(latencies, 50), nearest_rank(latencies, 95)) for each, latencies in answered.items()
    }
    plain = await ledger.usage(group, since=0, until=9e9)
    assert plain == tuple(replace(total, p50=None, p95=None) for total in found)


async def test_percentiles_of_nothing(ledger: SqlLedger) -> None:
    """Where no call was answered there are none, and no call at all is no sum."""
    ledger.record(used(status=500, latency=1.0))
    await ledger.aclose()

    (found,) = await ledger.usage([], since=0, until=9e9, percentiles=True)
    assert (found.calls, found.p50, found.p95) == (1, None, None)
    assert await ledger.usage([], since=0, until=1, percentiles=True) == ()


async def test_calls_that_failed_are_listed_alone(ledger: SqlLedger) -> None:
    """Whatever their status is."""
    for id, status in (("a", 200), ("b", 399), ("c", 400), ("d", 503)):
        ledger.record(used(id, status=status))
    await ledger.aclose()

    assert [row.id for row in (await ledger.page(UsageRow, where={"failed": True})).items] == ["d", "c"]
    assert [row.id for row in (await ledger.page(UsageRow, where={"failed": False})).items] == ["b", "a"]
