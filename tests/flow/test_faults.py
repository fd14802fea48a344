"""Whole calls while storage is locked, full, gone, newer than this version, or new.

For each: a clear error or a wait, the right status in the envelope, nothing lost, nothing charged twice, and what was
reserved comes back. What does not live here: odd input and clocks (`test_odd_input.py`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import pytest
from sqlalchemy import text

from compatgw.state.schema import VERSION_TABLE
from compatgw.state.secrets import mint
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, ask, completion, gateway
from tests.flow.breaking import CHAT, Between, Door, Locked, error_of, impatient, lifespan, path_of
from tests.flow.paying import COST, Open, Shop, shop
from tests.state.making import Clock

D = Decimal
# As PostgreSQL and its clients call it for the usual port.
_SOCKET = ".s.PGSQL.5432"
STREAMED = [ROLE, WORD, FINISH, USAGE, DONE]


# --- the database is locked ---


async def test_a_call_that_pays_is_503_while_the_ledger_is_locked_and_goes_when_it_is_not(
    open_sqlite_shop: Open,
) -> None:
    """Nothing is asked upstream without money held for it; the SDK is told to come again."""
    up = Canned(completion())
    one = open_sqlite_shop(up)
    impatient(one)
    key = await one.key(wallet="10")
    await one.post(key)
    lock = Locked(path_of(one))
    lock.take()
    refused = await one.post(key)
    lock.give()
    after = await one.post(key)

    assert (refused.status_code, error_of(refused)["code"]) == (503, "overloaded")
    assert "locked" in error_of(refused)["message"]
    assert refused.headers["retry-after"] == "1"
    assert after.status_code == 200
    assert len(up.asked) == 2
    assert (await one.wallet()).free == 10 - 2 * COST
    assert sorted(row.status for row in await one.rows()) == [200, 200, 503]


async def test_a_short_lock_is_only_a_wait(open_sqlite_shop: Open) -> None:
    """Shorter than the ledger's patience, nobody notices."""
    one = open_sqlite_shop(Canned(completion()))
    impatient(one, busy=0.02, patience=10)
    key = await one.key(wallet="10")
    await one.post(key)
    lock = Locked(path_of(one))
    lock.take()
    asyncio.get_running_loop().call_later(0.2, lock.give)
    got = await one.post(key)

    assert got.status_code == 200
    assert (await one.wallet()).free == 10 - 2 * COST


async def test_calls_that_do_not_pay_go_on_and_their_usage_is_written_later(open_sqlite_shop: Open) -> None:
    """A team without a wallet does not wait for a lock."""
    one = open_sqlite_shop(Canned(completion()))
    impatient(one, patience=30)
    key = await one.key()
    await one.post(key)
    lock = Locked(path_of(one))
    lock.take()
    got = [await one.post(key, stream=stream) for stream in (False, True, False)]
    lock.give()

    assert [each.status_code for each in got] == [200, 200, 200]
    assert len(await one.rows()) == 4


async def test_an_answer_whose_charge_cannot_be_written_is_kept_back_and_not_charged(open_sqlite_shop: Open) -> None:
    """503 in place of an answer that is not paid for; who asks again pays once, and for what it gets."""
    up = Between(Canned(completion()))
    one = open_sqlite_shop(up)
    impatient(one)
    lock = Locked(path_of(one))
    up.do = lock.take
    key = await one.key(wallet="10")
    got = await one.post(key)
    lock.give()
    rows = await one.rows()
    wallet = await one.wallet()

    assert (got.status_code, error_of(got)["code"]) == (503, "overloaded")
    assert await one.charges() == []
    assert (wallet.balance, wallet.reserved) == (D(10), D(0))
    assert [(row.status, row.cost, row.charge) for row in rows] == [(503, COST, D(0))]


async def test_a_stream_whose_charge_cannot_be_written_ends_without_its_end(open_sqlite_shop: Open) -> None:
    """What was said was said; in place of `[DONE]` there is an error, and one charge afterwards."""
    up = Between(Canned(STREAMED, kind=STREAM))
    one = open_sqlite_shop(up)
    impatient(one)
    lock = Locked(path_of(one))
    up.do = lock.take
    got = await one.post(await one.key(wallet="10"), stream=True)
    lock.give()
    await one.app.aclose()
    last = orjson.loads(got.content.split(b"\n\n")[-2].removeprefix(b"data: "))

    assert got.status_code == 200
    assert b"Hello" in got.content
    assert b"[DONE]" not in got.content
    assert last["error"]["code"] == "overloaded"
    assert await one.charges() == [COST]
    assert (await one.wallet()).reserved == 0


async def test_a_charge_that_waits_lets_nobody_else_wait_for_ever(open_sqlite_shop: Open) -> None:
    """Calls that begin meanwhile are told after their own patience, and hold nothing when the lock is gone."""
    up = Between(Canned(completion()))
    one = open_sqlite_shop(up)
    impatient(one)
    key = await one.key(wallet="10")
    held = Locked(path_of(one))
    up.do = held.take
    first = await one.post(key)
    second = await asyncio.wait_for(asyncio.gather(*[one.post(key) for _ in range(3)]), 10)
    held.give()
    await one.app.aclose()
    wallet = await one.wallet()

    assert [each.status_code for each in (first, *second)] == [503] * 4
    assert len(up.answer.asked) == 1
    assert await one.charges() == []
    assert (wallet.balance, wallet.reserved) == (D(10), D(0))


# --- the disk is full ---


async def fill(one: Shop, pages: int | None) -> None:
    """Gives the ledger's connections no more pages than there are, or very many again."""
    session = await one.ledger._session()  # type: ignore[attr-defined]
    for durable in (True, False):
        async with session.database.write(durable=durable) as connection:
            there = (await connection.execute(text("PRAGMA page_count"))).scalar()
            await connection.execute(text(f"PRAGMA max_page_count = {pages or there}"))


async def test_a_full_disk_is_503_for_calls_that_pay_and_nothing_is_half_written(open_sqlite_shop: Open) -> None:
    """The wallet and its entries agree all the time; with room again all goes on."""
    one = open_sqlite_shop(Canned(completion()))
    impatient(one)
    key = await one.key(wallet="10")
    await fill(one, None)
    codes: list[int] = []
    while len(codes) < 400 and 503 not in codes:
        codes.append((await one.post(key)).status_code)
    full = await one.post(key)
    wallet, charges = await one.wallet(), sum([-entry.amount for entry in await entries(one)])
    await fill(one, 1_000_000)
    after = await one.post(key)
    await one.app.aclose()
    later, all_charges = await one.wallet(), sum([-entry.amount for entry in await entries(one)])

    assert codes[-1] == 503
    assert (full.status_code, error_of(full)["code"]) == (503, "overloaded")
    assert "full" in error_of(full)["message"]
    assert wallet.balance == 10 - charges
    assert after.status_code == 200
    assert (later.balance, later.reserved) == (10 - all_charges, D(0))


async def entries(one: Shop) -> list[Any]:
    """All charges of the wallet."""
    from compatgw.state.base import Entry

    found: list[Any] = []
    cursor = None
    while True:
        page = await one.ledger.page(Entry, where={"kind": "charge"}, cursor=cursor, limit=1000)
        found += page.items
        if (cursor := page.cursor) is None:
            return found


# --- PostgreSQL and Redis go, and come back ---


@pytest.fixture
async def postgres_door(empty_ledger: Callable[[str], str], tmp_path: Path) -> AsyncIterator[tuple[str, Door]]:
    """The URL of an empty ledger on PostgreSQL behind a door, and the door."""
    url = empty_ledger("postgres")
    folder = url.partition("host=")[2].partition("&")[0]
    door = Door(tmp_path / _SOCKET, f"{folder}/{_SOCKET}")
    await door.up()
    yield url.replace(folder, str(tmp_path)), door
    await door.down()


@pytest.fixture
async def redis_door(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, Door]]:
    """The URL of a Redis behind a door, and the door."""
    door = Door(tmp_path / "redis.sock", redis_url.removeprefix("unix://"))
    await door.up()
    yield f"unix://{tmp_path}/redis.sock", door
    await door.down()


async def test_a_postgresql_that_goes_and_comes_back_has_every_charge_once(
    postgres_door: tuple[str, Door], clock: Clock
) -> None:
    """Gone before a call: 503 and nothing asked upstream. Gone within one: kept back, and not charged."""
    url, door = postgres_door
    up = Between(Canned(completion()))
    one = shop(up, url, clock)
    impatient(one, busy=0.2, patience=0.3)
    key = await one.key(wallet="10")
    before = await one.post(key)
    await door.down()
    gone = await one.post(key)
    asked = len(up.answer.asked)
    await door.up()
    back = await one.post(key)
    up.do = door.down
    cut = await one.post(key)
    up.do = None
    await door.up()
    after = await one.post(key)
    rows = await one.rows()
    wallet = await one.wallet()
    charges = await one.charges()
    await one.app.aclose()

    assert [each.status_code for each in (before, gone, back, cut, after)] == [200, 503, 200, 503, 200]
    assert asked == 1
    assert error_of(gone)["code"] == error_of(cut)["code"] == "overloaded"
    assert charges == [COST] * 3
    assert (wallet.balance, wallet.reserved) == (10 - 3 * COST, D(0))
    assert len({row.id for row in rows}) == len(rows) == 5


async def test_connections_that_postgresql_cuts_are_nobodys_trouble(
    postgres_door: tuple[str, Door], clock: Clock
) -> None:
    """A server that restarts between calls: the next ones find new connections, pay once, and are not told."""
    url, door = postgres_door
    one = shop(Canned(completion()), url, clock)
    key = await one.key(wallet="10")
    codes = []
    for _ in range(3):
        codes += [each.status_code for each in await asyncio.gather(*[one.post(key, max_tokens=2) for _ in range(5)])]
        await door.down()
        await door.up()
    wallet = await one.wallet()
    await one.app.aclose()

    assert codes == [200] * 15
    assert (wallet.balance, wallet.reserved) == (10 - 15 * COST, D(0))


async def test_a_key_that_is_known_goes_on_while_postgresql_is_away_and_an_unknown_one_is_503(
    postgres_door: tuple[str, Door], clock: Clock
) -> None:
    """For 15 seconds, for teams that do not pay; never 401, which would make people throw their keys away."""
    url, door = postgres_door
    one = shop(Canned(completion()), url, clock)
    impatient(one, busy=0.2, patience=0.2)
    records = one.app._standing.records
    assert records is not None
    records.verifier._watch._monotonic = records.verifier._monotonic = clock
    known, unknown = await one.key(), await one.key()
    await one.post(known)
    await door.down()
    got = []
    for seconds in (0, 10, 20):
        clock.now += seconds
        got.append(((await one.post(known)).status_code, (await one.post(unknown)).status_code))
    await door.up()
    clock.now += 3
    back = [(await one.post(key)).status_code for key in (known, unknown)]
    await one.app.aclose()

    assert got == [(200, 503), (200, 503), (503, 503)]
    assert back == [200, 200]


async def test_without_redis_limits_are_this_process_own_and_status_says_so(
    redis_door: tuple[str, Door], open_sqlite_shop: Open, clock: Clock
) -> None:
    """`on_counters_loss = "local"`: calls go on, limited here; when it is back its numbers count again."""
    url, door = redis_door
    one = open_sqlite_shop(Canned(completion()), state={"counters": url})
    one.app._standing.house.counters._monotonic = clock  # type: ignore[attr-defined]
    key = await one.key(requests=2)
    before = await one.post(key)
    await door.down()
    away = [(await one.post(key)).status_code for _ in range(3)]
    lost = await status(one, key)
    await door.up()
    clock.now += 2
    back = [(await one.post(key)).status_code for _ in range(2)]

    assert before.headers["x-ratelimit-remaining-requests"] == "1"
    assert away == [200, 200, 429]
    assert lost == "lost: limits are of this process alone"
    assert back == [200, 429]
    assert await status(one, key) == "shared"


async def test_without_redis_calls_are_refused_where_the_operator_wants_that(
    redis_door: tuple[str, Door], open_sqlite_shop: Open, clock: Clock
) -> None:
    """`on_counters_loss = "refuse"`: 503, nothing asked upstream, no money held; callers without limits do not care."""
    url, door = redis_door
    up = Canned(completion())
    one = open_sqlite_shop(up, state={"counters": url, "on_counters_loss": "refuse"})
    one.app._standing.house.counters._monotonic = clock  # type: ignore[attr-defined]
    limited, free = await one.key(wallet="10", requests=10), await one.key()
    await door.down()
    refused, allowed = await one.post(limited), await one.post(free)
    lost = await status(one, free)
    await door.up()
    clock.now += 2
    back = await one.post(limited)
    wallet = await one.wallet()

    assert (refused.status_code, error_of(refused)["code"]) == (503, "overloaded")
    assert "counters" in error_of(refused)["message"]
    assert refused.headers["retry-after"] == "1"
    assert (allowed.status_code, back.status_code) == (200, 200)
    assert len(up.asked) == 2
    assert lost == "lost: calls are refused"
    assert (wallet.balance, wallet.reserved) == (10 - 2 * COST, D(0))


@pytest.mark.parametrize("on_loss", ["local", "refuse"])
async def test_a_redis_that_goes_within_a_call_takes_neither_answer_nor_money(
    redis_door: tuple[str, Door], open_sqlite_shop: Open, on_loss: str
) -> None:
    """What its limits reserved is corrected no more; the answer comes and is charged."""
    url, door = redis_door
    one = open_sqlite_shop(
        Between(Canned(completion()), door.down), state={"counters": url, "on_counters_loss": on_loss}
    )
    got = await one.post(await one.key(wallet="10", tokens=100_000, concurrency=1))

    assert got.status_code == 200
    assert (await one.wallet()).balance == 10 - COST


async def test_a_client_that_leaves_while_redis_is_slow_holds_no_place(
    redis_door: tuple[str, Door], open_sqlite_shop: Open
) -> None:
    """It left before it was told that it has a place among the calls at one time; the place is free all the same."""
    url, door = redis_door
    up = Canned(completion())
    one = open_sqlite_shop(up, state={"counters": url})
    key = await one.key(concurrency=1, tokens=10_000)
    await one.post(key)
    door.deaf = asyncio.Event()
    async with one.app.client(api_key=key) as client:
        request = asyncio.create_task(client.post(CHAT, json=ask()))
        await asyncio.wait_for(door.deaf.wait(), 5)
        door.deaf = None
        request.cancel()
        await asyncio.wait([request], timeout=5)
    await one.app.aclose()
    after = await one.post(key)

    assert request.cancelled()
    assert len(up.asked) == 2
    assert after.status_code == 200


async def status(one: Shop, key: str) -> str:
    """What `/api/status` says of the counters."""
    async with one.app.client(api_key=key) as client:
        found: str = (await client.get("/api/status")).json()["data"]["counters"]
    return found


# --- schemas and starting ---


async def test_a_ledger_of_a_newer_version_is_said_and_not_touched(open_sqlite_shop: Open) -> None:
    """503 for calls with keys and for readiness, and what to do; the file is as it was; other routes answer."""
    up = Canned(completion())
    one = open_sqlite_shop(up)
    key = await one.key(wallet="10")
    await one.app.aclose()
    path = path_of(one)
    other = sqlite3.connect(path)
    other.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")  # noqa: S608 - a name of ours
    other.commit()
    tables = other.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    two = open_sqlite_shop(up, keys=["of-settings"])
    async with two.app.client() as client:
        ready, health = await client.get("/readyz"), await client.get("/healthz")
    call = await two.post(key)
    configured = await two.post("of-settings")
    (started,) = await lifespan(two.app, "startup")
    await two.app.aclose()

    assert (ready.status_code, call.status_code, health.status_code) == (503, 503, 200)
    for got in (ready, call):
        assert "newer than" in error_of(got)["message"]
        assert "Upgrade compatgw" in error_of(got)["message"]
        assert "Try again" not in error_of(got)["message"]
        assert got.headers["x-should-retry"] == "false"
    assert started["type"] == "lifespan.startup.failed"
    assert "newer than" in started["message"]
    # Who is known without the ledger, and pays nothing, goes on.
    assert configured.status_code == 200
    assert other.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == tables
    other.close()


async def test_a_postgresql_without_tables_is_said_and_stays_without(postgres_url: str, clock: Clock) -> None:
    """503 and the command that makes them; half a schema is never made, nor is a start with one."""
    import asyncpg  # type: ignore[import-untyped]

    server = await asyncpg.connect(postgres_url)
    await server.execute("DROP DATABASE IF EXISTS fresh")
    await server.execute("CREATE DATABASE fresh")
    try:
        parts = urlsplit(postgres_url)
        url = urlunsplit(parts._replace(path="/fresh"))
        one = shop(Canned(completion()), url, clock)
        got = await one.post(mint().text)
        (started,) = await lifespan(one.app, "startup")
        await one.app.aclose()
        fresh = await asyncpg.connect(url)
        tables = await fresh.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        await fresh.close()
    finally:
        await server.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
        await server.close()

    assert got.status_code == 503
    assert "Run 'compatgw db upgrade' once." in error_of(got)["message"]
    assert got.headers["x-should-retry"] == "false"
    assert started["type"] == "lifespan.startup.failed"
    assert tables == []


async def test_gateways_that_start_on_one_new_file_at_one_time_all_work(tmp_path: Path, clock: Clock) -> None:
    """Whoever comes second waits; one of them makes the tables, and all of them charge."""
    url = f"sqlite:///{tmp_path}/new.db"
    shops = [shop(Canned(completion()), url, clock, keys=["k"]) for _ in range(4)]
    ready = await asyncio.gather(*[_ready(one) for one in shops])
    key = await shops[0].key(wallet="10")
    got = await asyncio.gather(*[one.post(key, max_tokens=2) for one in shops for _ in range(3)])
    wallet = await shops[0].wallet()
    for one in shops:
        await one.app.aclose()

    assert ready == [200] * 4
    assert {each.status_code for each in got} == {200}
    assert (wallet.balance, wallet.reserved) == (10 - 12 * COST, D(0))


async def _ready(one: Shop) -> int:
    async with one.app.client() as client:
        return (await client.get("/readyz")).status_code


async def test_a_file_that_is_no_ledger_is_said_and_left_alone(tmp_path: Path, clock: Clock) -> None:
    """503 and its name; not a byte of it is changed."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes, not a database, " * 100)
    one = shop(Canned(completion()), f"sqlite:///{path}", clock)
    async with one.app.client() as client:
        got = await client.get("/readyz")
    await one.app.aclose()

    assert got.status_code == 503
    assert "is no database" in error_of(got)["message"]
    assert path.read_text() == "my notes, not a database, " * 100


async def test_usage_of_a_ledger_that_was_never_there_does_not_keep_a_gateway_from_closing(
    postgres_door: tuple[str, Door], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what it could not write, and the host's shutdown is complete; where it came in time nothing is lost."""
    url, door = postgres_door
    shops = [shop(Canned(completion()), url, clock, keys=["k"]) for _ in range(2)]
    await door.down()
    codes = []
    for one in shops:
        impatient(one)
        codes += [await _ready(one), (await one.post("k")).status_code]
    told = await asyncio.wait_for(lifespan(shops[0].app, "shutdown"), 30)
    await door.up()
    impatient(shops[1], busy=10, patience=10)
    rows = await shops[1].rows()
    await shops[1].app.aclose()

    assert codes == [503, 200] * 2
    assert [message["type"] for message in told] == ["lifespan.shutdown.complete"]
    assert "closed with 1 usage rows not written" in caplog.text
    assert [row.status for row in rows] == [200]


async def test_a_gateway_that_cannot_count_is_not_ready() -> None:
    """Where the loss of the counters refuses calls; where it does not, they go on."""
    lost = {"counters": "redis://127.0.0.1:1/0"}
    answers = []
    for choice in ("refuse", "local"):
        async with gateway(Canned(), state={**lost, "on_counters_loss": choice}) as app, app.client() as client:
            answers.append((await client.get("/readyz")).status_code)

    assert answers == [503, 200]
