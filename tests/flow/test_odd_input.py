"""Whole calls with clocks that jump, prices beyond all measure, and keys, headers and names that nobody should send.

For each: the right status in the envelope, nothing lost, nothing charged twice, and what was reserved comes back.
What does not live here: storage that fails (`test_faults.py`).
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest

from compatgw.errors import GatewayError, Unauthenticated
from compatgw.state.base import AuditEntry, StateError
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, chunk, completion, gateway
from tests.flow.breaking import CHAT, Between, error_of, raw
from tests.flow.paying import COST, Open, Shop, shop
from tests.state.making import Clock

D = Decimal
STREAMED = [ROLE, WORD, FINISH, USAGE, DONE]


# --- clocks ---


async def test_a_clock_that_goes_back_opens_no_limit_and_loses_no_money(open_shop: Open, clock: Clock) -> None:
    """Limits count on a clock that cannot be set; charges are made once, whatever the time that they are written under."""
    one = open_shop(Canned(completion()))
    key = await one.key(wallet="10", requests=3)
    codes = []
    for jump in (0, -86_400, 2 * 86_400, -40 * 86_400):
        clock.now += jump
        codes.append((await one.post(key)).status_code)
    wallet = await one.wallet()

    assert codes == [200, 200, 200, 429]
    assert (wallet.balance, wallet.reserved) == (10 - 3 * COST, D(0))
    assert len(await one.charges()) == 3


async def test_a_clock_that_jumps_within_a_call_ends_no_reservation_of_the_living(
    open_shop: Open, clock: Clock
) -> None:
    """Sweeps before and after: an hour back, a day on; the call is charged once and nothing stays held."""
    shops: list[Shop] = []

    async def jump() -> None:
        for seconds in (-3600, 86_400, -86_400):
            clock.now += seconds
            await shops[0].ledger.sweep()

    one = open_shop(Between(Canned(completion()), jump))
    shops.append(one)
    key = await one.key(wallet="10", budget=D(5))
    got = await one.post(key)
    wallet = await one.wallet()
    (row,) = await one.rows()
    spend = await one.ledger.spend(key[4:16], "total")

    assert got.status_code == 200
    assert await one.charges() == [COST] == [row.charge]
    assert (wallet.balance, wallet.reserved) == (10 - COST, D(0))
    assert (spend.spent, spend.reserved) == (COST, D(0))


async def test_two_nodes_whose_clocks_differ_charge_each_call_once(open_shop: Open, ledger_url: str) -> None:
    """One takes the other for dead and gives back what it held: the call is charged all the same, and only once."""
    ahead = shop(Canned(completion()), ledger_url, Clock(1_795_100_000.0))

    async def sweep() -> None:
        assert await ahead.ledger.sweep() == 1

    one = open_shop(Between(Canned(completion()), sweep))
    key = await one.key(wallet="10")
    got = await one.post(key)
    wallet = await one.wallet()
    await ahead.app.aclose()

    assert got.status_code == 200
    assert await one.charges() == [COST]
    assert (wallet.balance, wallet.reserved) == (10 - COST, D(0))


async def test_expiry_and_days_follow_the_clock_both_ways(open_shop: Open, clock: Clock) -> None:
    """A key that has expired is good again when the clock is set back, and a day's budget is that day's."""
    one = open_shop(Canned(completion()))
    late = await one.key(expires=clock.now + 60)
    daily = await one.key(budget=D("0.013"), period="day")
    seen = []
    for jump in (0, 120, -120):
        clock.now += jump
        seen.append((await one.post(late)).status_code)
    days = []
    for jump in (0, 86_400, 0, -86_400):
        clock.now += jump
        days.append((await one.post(daily, max_tokens=2)).status_code)

    assert seen == [200, 401, 200]
    assert days == [200, 200, 402, 402]


# --- prices and numbers beyond all measure ---


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_would_cost_beyond_a_billion_leaves_nothing_behind(open_shop: Open, stream: bool) -> None:
    """An upstream that tells of a quadrillion tokens: the caller gets an error of ours, and its money and places back."""
    usage = {"prompt_tokens": 2**50, "completion_tokens": 2**50, "total_tokens": 2**51}
    pieces = [ROLE, WORD, FINISH, chunk(usage=usage), DONE]
    up = Canned(pieces, kind=STREAM) if stream else Canned(completion(usage=usage))
    one = open_shop(up)
    key = await one.key(wallet="10", budget=D(5), concurrency=1)
    got = await one.post(key, stream=stream, stream_options={"include_usage": True} if stream else None)
    (row,) = await one.rows()
    wallet = await one.wallet()
    spend = await one.ledger.spend(key[4:16], "total")
    up.pieces = [completion()]
    up.headers = [(b"content-type", b"application/json")]
    after = await one.post(key)

    if stream:
        assert b"[DONE]" not in got.content
        assert b'"internal_error"' in got.content
    else:
        assert (got.status_code, error_of(got)["code"]) == (500, "internal_error")
    assert (wallet.reserved, spend.reserved) == (D(0), D(0))
    assert (wallet.balance, row.charge, row.status) == (D(10), D(0), 500)
    assert after.status_code == 200


@pytest.mark.parametrize("unpaid", [False, True])
async def test_numbers_that_no_column_holds_do_not_lose_the_record(open_shop: Open, unpaid: bool) -> None:
    """The largest count that an upstream's answer can hold is written as it is, where its price allows it."""
    usage = {"prompt_tokens": 2**53 - 2, "completion_tokens": 1, "total_tokens": 2**53 - 1}
    one = open_shop(
        Canned(completion(usage=usage)), models={"m": {"target": "up/m", "price": {"input": "0", "output": "1"}}}
    )
    key = await one.key(wallet=None if unpaid else "10")
    got = await one.post(key)
    rows = await one.rows()

    assert got.status_code == 200
    assert [(row.input, row.output) for row in rows] == [(2**53 - 2, 1)]


@pytest.mark.parametrize("most", [10**9, 10**15, 2**63])
async def test_a_maximum_beyond_all_measure_is_a_refusal_that_says_what_is_wrong(open_shop: Open, most: int) -> None:
    """402 or 400 about the caller's own number, never a word about the operator's prices; nothing is taken."""
    up = Canned(completion())
    one = open_shop(up)
    key = await one.key(wallet="10", requests=5, tokens=100_000)
    got = await one.post(key, max_tokens=most)
    wallet = await one.wallet()

    assert got.status_code in (400, 402)
    assert "mistake in a price" not in error_of(got)["message"]
    assert up.asked == []
    assert (wallet.balance, wallet.reserved) == (D(10), D(0))


async def test_the_dearest_price_there_can_be_is_reckoned_with_exactly(open_sqlite_shop: Open) -> None:
    """A billion for a million tokens, and nine decimals: no float, no overflow, nothing rounded down."""
    price = {"input": "999999999.999999999", "output": "1000000000", "per_request": "0.000000001"}
    one = open_sqlite_shop(Canned(completion()), models={"m": {"target": "up/m", "price": price}})
    got = await one.post(await one.key(wallet="1000000"), max_tokens=2)

    assert got.status_code == 200
    # 3 x 999.999999999999999 + 2 x 1000 + 0.000000001, up to the next billionth.
    assert D(got.headers["x-cost"]) == D("5000.000000001") == 1_000_000 - (await one.wallet()).balance


# --- names and keys that nobody should send ---


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_any_key_is_401_and_proves_nothing(open_sqlite_shop: Open, header: str) -> None:
    """Whatever bytes it is made of; no proof is made, the answer does not grow with it, and nothing is written."""
    one = open_sqlite_shop(Canned(completion()))
    records = one.app._standing.records
    assert records is not None
    for key in _KEYS:
        sent = ("Bearer " + key if header == "authorization" else key).encode("latin-1")
        status, _, body = await raw(one.app, [(header.encode(), sent)])

        assert status == 401, key[:20]
        assert orjson.loads(body)["error"]["code"] in ("invalid_api_key", "missing_api_key")
        assert len(body) < 500
    assert records.verifier.proofs == 0
    assert await one.rows() == []


_KEYS = (
    "x" * 10_000, "cgw-" + "0" * 9_996, "\x00", "cgw-\x00" + "a" * 49, "\x7f\x80\xff", "a.b.c", "..", "\xe9" * 50, " ", ""
)  # fmt: skip


# What these say is a wish, and a wrong one is told so.
_HEARD = (b"x-on-unsupported", b"idempotency-key", b"x-cache-ttl")


@pytest.mark.parametrize(
    "header", [b"x-request-id", b"idempotency-key", b"x-cache-ttl", b"user-agent", b"traceparent", b"x-on-unsupported"]
)
async def test_other_headers_may_hold_anything(open_sqlite_shop: Open, header: bytes) -> None:
    """The answer has a request id of its own making, and its headers are lines; a bad wish is the caller's 400."""
    one = open_sqlite_shop(Canned(completion()))
    key = await one.key(wallet="10")
    ids = set()
    for value in (b"\x00", b"\xff\xfe", b"x" * 50_000, b"a\rb\nc", b""):
        status, headers, body = await raw(one.app, [(b"authorization", f"Bearer {key}".encode()), (header, value)])

        assert status == (400 if header in _HEARD else 200), value[:20]
        assert headers[b"x-request-id"].startswith(b"req_")
        for name, told in headers.items():
            assert not {0, 10, 13} & set(name + told)
        assert orjson.loads(body)
        ids.add(headers[b"x-request-id"].decode())

    assert {row.request for row in await one.rows()} == (set() if header in _HEARD else ids)


_NAMES = (
    "m\0", "\0", "up/\0", "up/" + "x" * 100_000, "x" * 100_000, "x" * 500, "up/模型🦜", "up/a\r\nset-cookie: x", "up/%s%n{}"
)  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_may_be_called_anything_and_is_written_down(
    open_shop: Open, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call is answered or refused, its record has as much of the name as fits, and nothing grows with it."""
    one = open_shop(Canned(STREAMED, kind=STREAM) if stream else Canned(completion()))
    key = await one.key()
    answered = 0
    with caplog.at_level("INFO", logger="compatgw.calls"):
        for name in _NAMES:
            got = await one.post(key, model=name, stream=stream)

            assert got.status_code in (200, 400, 404), name[:20]
            assert sum(len(header) + len(value) for header, value in got.headers.items()) < 8_000
            answered += got.status_code == 200
    rows = await one.rows()

    assert answered >= 4
    assert len([row for row in rows if row.status == 200]) == answered
    assert all(0 < len(row.model) <= 1024 and "\0" not in row.model + row.target for row in rows)
    assert all(len(record.getMessage()) < 2_000 for record in caplog.records if record.name == "compatgw.calls")


@pytest.mark.parametrize("name", ["\\ud800", "\\udc00m", "up/\\ud83d"])
async def test_half_a_character_is_not_json(open_sqlite_shop: Open, name: str) -> None:
    """400 `invalid_json`, and no record of a call that never was one."""
    one = open_sqlite_shop(Canned(completion()))
    key = await one.key()
    body = f'{{"model": "{name}", "messages": [{{"role": "user", "content": "hi"}}]}}'.encode()
    status, _, answer = await raw(one.app, [(b"authorization", f"Bearer {key}".encode())], body)

    assert (status, orjson.loads(answer)["error"]["code"]) == (400, "invalid_json")
    assert await one.rows() == []


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "", "x" * 10_000])
async def test_a_team_that_cannot_be_stored_is_refused_in_words(open_shop: Open, name: str) -> None:
    """By the office, on both databases alike, with nothing written; a team's name may be any that can be."""
    one = open_shop(Canned())
    for id in (None, name):
        with pytest.raises((GatewayError, StateError)) as caught:
            await one.office.add_team(id, "Fine" if id else name, wallet=True, by="test")
        assert len(str(caught.value)) < 500
    assert (await one.ledger.page(AuditEntry)).items == ()
    made = await one.office.add_team("t9", "Ünïcødé 🦜 'quoted'; DROP TABLE x", by="test")

    assert (await one.ledger.account("t9")).team == made  # type: ignore[union-attr]


@pytest.mark.parametrize("word", [b"again", b"\xe9\xff", b"k" * 200])
async def test_an_idempotency_key_of_a_top_up_moves_money_once(open_shop: Open, word: bytes) -> None:
    """However often and at whatever moment it comes; with another amount it is 409."""
    one = open_shop(Canned())
    await one.key(wallet="0")
    admin = await one.key(scopes=("admin",))

    async def topup(amount: str) -> httpx.Response:
        async with one.app.client(api_key=admin) as client:
            return await client.post(
                "/api/admin/teams/t1/wallet/topups", json={"amount": amount}, headers=[(b"idempotency-key", word)]
            )

    got = await asyncio.gather(*[topup("5") for _ in range(5)])
    other = await topup("6")

    assert {each.status_code for each in got} <= {200, 201}
    assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_conflict")
    assert other.headers["x-should-retry"] == "false"
    assert (await one.wallet()).balance == 5


async def test_half_a_character_in_a_message_does_not_break_the_answer() -> None:
    """Whoever raises it, the host's `authenticate=` too: JSON cannot hold it, the envelope can be sent."""

    async def who(connection: Any) -> None:
        raise Unauthenticated("half \ud800", param="\udfff")

    async with gateway(Canned(), keys=[], authenticate=who).client() as client:
        got = await client.post(CHAT, json=ask())

    assert got.status_code == 401
    assert got.json()["error"]["message"] == "half ?"
