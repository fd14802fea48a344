"""What was used, over the management API: rows and sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.admin.desk import Desk
from tests.state.making import NOW, used

DAY = 86_400


async def written(desk: Desk, *rows: Any) -> None:
    """Writes usage rows, as calls that are over leave them."""
    for row in rows:
        assert desk.ledger.record(row)
    # Closing writes what waits; the next use connects anew.
    await desk.ledger.aclose()


async def test_a_call_is_shown_as_it_went(desk: Desk) -> None:
    """Every member, amounts as texts."""
    row = used("u1", cost=Decimal("0.000000012"), charge=Decimal("0.5"), first_token=0.25, latency=1.5, code="")
    await written(desk, row)

    (shown,) = await desk.rows("usage")

    assert {
        "object": "usage",
        "id": "u1",
        "cost": "0.000000012",
        "charge": "0.50",
        "latency": 1.5,
    }.items() <= shown.items()
    assert {"team": "t1", "key": "k1", "model": "gpt-4o", "input": 100, "first_token": 0.25}.items() <= shown.items()
    assert shown["at"] == "2026-11-18T11:06:40.000000Z"
    assert (await desk.rows("usage", request="req-u1")) == [shown]
    assert await desk.done("GET", "usage/u1") == shown
    for id in ("u2", "u1%00", "u" * 500):
        assert await desk.refused("GET", f"usage/{id}") == (404, "not_found", None)


async def test_calls_are_filtered(desk: Desk) -> None:
    """By team, key, model, provider, endpoint, request, status, code and time, also together."""
    await written(
        desk,
        used("a"),
        used(
            "b", team="t2", key="k2", model="claude", provider="anthropic", status=429, at=NOW + 10, cost=None, code="x"
        ),
        used("c", key="k3", at=NOW + 20, endpoint="embeddings"),
    )

    async def ids(**query: Any) -> str:
        return "".join(row["id"] for row in await desk.rows("usage", **query))

    assert await ids() == "cba"
    assert await ids(team="t1") == "ca"
    assert await ids(team="t1", key="k3") == "c"
    assert await ids(model="claude") == "b"
    assert await ids(provider="openai") == "ca"
    assert await ids(request="req-b") == "b"
    assert await ids(status="429") == "b"
    assert await ids(failed="true") == await ids(code="x") == "b"
    assert await ids(failed="false") == "ca"
    assert await ids(endpoint="embeddings") == "c"
    assert await ids(since=str(NOW + 10), until=str(NOW + 20)) == "b"
    assert await ids(since="2026-11-18T11:07:00Z") == "c"
    assert await ids(team="nobody") == ""


async def test_calls_are_listed_by_pages_while_others_end(desk: Desk) -> None:
    """120 calls, each once, the newest first."""
    await written(desk, *[used(f"u{number:03}") for number in range(120)])
    first = await desk.done("GET", "usage", limit=50)

    await written(desk, used("late"))
    rest = await desk.pages("usage", limit=50, cursor=first["next_cursor"])

    assert [row["id"] for row in [*first["data"], *rest]] == [f"u{number:03}" for number in reversed(range(120))]


async def test_calls_are_summed_up(desk: Desk) -> None:
    """By each word and by several, exactly, within the span."""
    await written(
        desk,
        used("a", charge=Decimal("0.1"), cost=Decimal("0.000000001"), reasoning=3, cached=5),
        used("b", charge=Decimal("0.2"), cost=Decimal("0.000000002"), at=NOW - DAY),
        used("c", model="claude", provider="anthropic", key="k2", team="t2", status=502),
    )
    desk.clock.now += 1

    by_day = await desk.done("GET", "usage/totals", group="day")
    everything = await desk.done("GET", "usage/totals")
    both = await desk.rows("usage/totals", group="team,model")

    assert by_day["group"] == ["day"]
    assert (by_day["object"], by_day["has_more"], by_day["next_cursor"]) == ("list", False, None)
    assert (by_day["since"], by_day["until"]) == ("2026-10-19T11:06:41.000000Z", "2026-11-18T11:06:41.000000Z")
    assert [(row["group"], row["calls"]) for row in by_day["data"]] == [
        ({"day": "2026-11-17"}, 1),
        ({"day": "2026-11-18"}, 2),
    ]
    assert everything["data"] == [
        {
            "object": "usage.total",
            "group": {},
            "calls": 3,
            "failed": 1,
            "input": 300,
            "cached": 5,
            "output": 60,
            "reasoning": 3,
            "cost": "0.000000003",
            "charge": "0.30",
            "p50": None,
            "p95": None,
        }
    ]
    assert [(row["group"], row["calls"]) for row in both] == [
        ({"team": "t1", "model": "gpt-4o"}, 2),
        ({"team": "t2", "model": "claude"}, 1),
    ]
    assert [row["group"] for row in await desk.rows("usage/totals", group="key", provider="openai")] == [{"key": "k1"}]
    assert (await desk.rows("usage/totals", until=str(NOW)))[0]["calls"] == 1
    assert await desk.rows("usage/totals", since="2026-11-19") == []
    assert await desk.rows("usage/totals", team="nobody") == []
    assert [row["group"] for row in await desk.rows("usage/totals", group="hour,code", failed="true")] == [
        {"hour": "2026-11-18T11:00:00Z", "code": ""}
    ]
    (timed,) = await desk.rows("usage/totals", percentiles="true")
    assert (timed["p50"], timed["p95"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("path", "query", "param"),
    [
        ("usage", {"colour": "red"}, "colour"),
        ("usage", {"status": "ok"}, "status"),
        ("usage", {"status": "-1"}, "status"),
        ("usage", {"status": "99999999999"}, "status"),
        ("usage", {"since": "yesterday"}, "since"),
        ("usage", {"since": "2026-11-18T11:07:00"}, "since"),
        ("usage", {"until": "-1"}, "until"),
        ("usage", {"until": "nan"}, "until"),
        ("usage", {"until": "99999999999"}, "until"),
        ("usage", {"team": "x" * 10_000}, "team"),
        ("usage", {"team": "a\0b"}, "team"),
        ("usage", {"limit": "0"}, "limit"),
        ("usage", {"limit": "1001"}, "limit"),
        ("usage", {"limit": "many"}, "limit"),
        ("usage", {"limit": ""}, "limit"),
        ("usage", {"cursor": "x"}, "cursor"),
        ("usage", {"cursor": "9" * 30}, "cursor"),
        ("usage", {"cursor": "9" * 10_000}, "cursor"),
        ("usage", {"cursor": ""}, "cursor"),
        ("usage/totals", {"group": "colour"}, "group"),
        ("usage/totals", {"group": "day,day"}, "group"),
        ("usage/totals", {"group": "day,"}, "group"),
        ("usage/totals", {"limit": "5"}, "limit"),
        ("usage/totals", {"request": "r"}, "request"),
        ("usage/totals", {"percentiles": "yes"}, "percentiles"),
        ("usage/totals", {"failed": "1"}, "failed"),
        ("usage", {"failed": "maybe"}, "failed"),
        ("teams", {"active": "yes"}, "active"),
        ("teams", {"id": "acme"}, "id"),
        ("keys", {"hash": "x"}, "hash"),
        ("plans", {"cursor": "x"}, "cursor"),
        ("plans", {"name": "x"}, "name"),
        ("audit", {"before": "x"}, "before"),
    ],
)
async def test_a_query_that_cannot_be_is_refused(local: Desk, path: str, query: dict[str, str], param: str) -> None:
    """With the parameter at fault."""
    assert await local.refused("GET", path, **query) == (400, "invalid_value", param)


async def test_a_plus_that_nobody_escaped_is_read(local: Desk) -> None:
    """In a query it arrives as a space."""
    await written(local, used("a"))

    answer = await local.http.get("/api/admin/usage?since=2026-11-18T12:06:40+01:00")

    assert [row["id"] for row in answer.json()["data"]] == ["a"]
