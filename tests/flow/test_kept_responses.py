"""Responses that a ledger keeps, through whole gateways: past a restart, in other processes, sealed, and while it is away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from compatgw import Gateway
from compatgw.flow.background import Background
from compatgw.flow.conversations import Conversations, Keeping
from compatgw.flow.shelves import LedgerShelf
from compatgw.flow.tasks import Tasks
from compatgw.state.secrets import KeyRing
from compatgw.state.sql import SqlLedger
from compatgw.surfaces.base import View
from compatgw.surfaces.responses import ResponsesFace, parse
from tests.canned import DONE, FINISH, ROLE, STREAM, USAGE, WORD, Canned, completion
from tests.flow.paying import RING
from tests.state.making import Clock

DAY = 86_400.0
OWNER = "team a"
RESPONSES = "/v1/responses"

New = Callable[..., Gateway]


@pytest.fixture
async def new(ledger_url: str, clock: Clock) -> AsyncIterator[New]:
    """Opens gateways on one ledger, as processes would one after another or beside each other."""
    opened: list[Gateway] = []

    def make(upstream: Any = None, state: Any = None, **settings: Any) -> Gateway:
        given: dict[str, Any] = {
            "providers": {"up": {"app": upstream or Canned(completion()), "base_url": "http://up/v1", "api_key": "k"}},
            "keys": [{"key": "k", "name": "one"}, {"key": "other", "name": "two"}],
            "environ": {},
            "retries": {"most": 0},
            "clock": clock,
            **settings,
        }
        opened.append(Gateway(state={"ledger": ledger_url, **(state or {})}, **given))
        return opened[-1]

    yield make
    for each in opened:
        await each.aclose()


async def post(gateway: Gateway, input: str = "hi", key: str = "k", **members: Any) -> httpx.Response:
    """One request."""
    async with gateway.client(api_key=key) as client:
        return await client.post(RESPONSES, json={"model": "up/m", "input": input, **members})


async def get(gateway: Gateway, path: str, key: str = "k", method: str = "GET") -> httpx.Response:
    """What is at `path` of a response."""
    async with gateway.client(api_key=key) as client:
        return await client.request(method, f"{RESPONSES}/{path}")


def texts(body: Any) -> list[str]:
    """What an upstream was asked, message by message."""
    return [message["content"] for message in body["messages"]]


async def content_of(gateway: Gateway) -> list[bytes]:
    """What stands in the ledger, every byte of each kept response."""
    ledger: Any = gateway._standing.house.ledger
    session = await ledger._session()
    async with session.database.read() as connection:
        rows = await connection.exec_driver_sql("SELECT told, added FROM compatgw_turns ORDER BY seq")
        return [b"".join(bytes(part or b"") for part in row) for row in rows]


async def test_a_conversation_outlives_the_process(new: New) -> None:
    """What one gateway kept, the next one retrieves, lists, goes on with, and deletes."""
    first = new()
    one = (await post(first, "hi")).json()
    two = (await post(first, "and?", previous_response_id=one["id"])).json()
    await first.aclose()
    up = Canned(completion())
    second = new(up)
    three = (await post(second, "so?", previous_response_id=two["id"])).json()

    assert texts(up.asked[0]) == ["hi", "Hello", "and?", "Hello", "so?"]
    assert (await get(second, two["id"])).json() == two
    items = (await get(second, f"{two['id']}/input_items")).json()["data"]
    assert [item["content"][0]["text"] for item in items] == ["and?"]
    assert (await get(second, one["id"], method="DELETE")).json()["deleted"] is True
    assert (await get(second, one["id"])).status_code == 404
    assert (await post(second, "?", previous_response_id=one["id"])).status_code == 404
    await post(second, "yes?", previous_response_id=three["id"])
    assert texts(up.asked[-1]) == ["hi", "Hello", "and?", "Hello", "so?", "Hello", "yes?"]


async def test_processes_beside_each_other_see_the_same(new: New) -> None:
    """And of one caller's nothing is seen by another."""
    one, other = new(), new()
    kept = (await post(one)).json()

    assert (await get(other, kept["id"])).json() == kept
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        got = await get(other, kept["id"] + path, "other", method)
        assert (got.status_code, got.json()["error"]["code"]) == (404, "response_not_found")
    got = await post(other, key="other", previous_response_id=kept["id"])
    assert (got.status_code, got.json()["error"]["code"]) == (404, "previous_response_not_found")
    assert (await get(one, kept["id"])).status_code == 200


async def test_a_conversation_is_not_written_anew_with_each_turn(new: New) -> None:
    """Each turn adds what it adds; the tenth is as small as the second."""
    gateway = new()
    id = (await post(gateway, "word0 " * 50)).json()["id"]
    for number in range(1, 10):
        id = (await post(gateway, f"word{number} " * 50, previous_response_id=id)).json()["id"]

    sizes = [len(each) for each in await content_of(gateway)]
    assert len(sizes) == 10
    assert max(sizes[1:]) - min(sizes[1:]) < 100


async def test_store_false_leaves_nothing(new: New) -> None:
    """Neither whole nor streamed; and nothing is left of a gateway that is to keep nothing."""
    gateway, none = new(), new(responses={"keep": 0})
    got = await post(gateway, store=False)
    assert got.json()["store"] is False
    got = await post(none)
    assert (got.status_code, got.json()["store"]) == (200, False)
    refused = await post(none, background=True)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "background")
    assert await content_of(gateway) == []
    assert (await get(none, "resp_1")).status_code == 404


async def test_it_ends_with_its_time_and_is_pruned(new: New, clock: Clock) -> None:
    """Unknown to the second; the chores take it away, and leave what still has time."""
    gateway = new(responses={"keep": 30 * DAY})
    old = (await post(gateway)).json()["id"]
    clock.now += 29 * DAY
    young = (await post(gateway)).json()["id"]
    assert (await get(gateway, old)).status_code == 200
    clock.now += DAY
    assert (await get(gateway, old)).status_code == 404
    assert len(await content_of(gateway)) == 2
    clock.now += 1
    chores = gateway._standing.site.chores
    assert chores is not None
    await chores.once(prune=True)

    assert len(await content_of(gateway)) == 1
    assert (await get(gateway, young)).status_code == 200


async def test_it_is_sealed_where_there_is_a_key_ring(new: New) -> None:
    """Nothing can be read in the database; without the key it is as if it were not there, and with it all is well."""
    sealed, plain = new(state={"key_ring": RING}), new()
    first = (await post(sealed, "my secret wish")).json()
    second = (await post(sealed, "and?", previous_response_id=first["id"])).json()

    assert all(b"secret wish" not in each and b"Hello" not in each for each in await content_of(sealed))
    assert (await get(plain, second["id"])).status_code == 404
    assert (await get(sealed, second["id"])).json() == second
    rotated = new(state={"key_ring": f"k2:{'b2' * 21}s=,{RING}"})
    assert (await get(rotated, second["id"])).json() == second
    third = (await post(rotated, "so?", previous_response_id=second["id"])).json()
    await get(rotated, first["id"], method="DELETE")
    up = Canned(completion())
    again = new(up, state={"key_ring": f"k2:{'b2' * 21}s=,{RING}"})
    await post(again, "yes?", previous_response_id=third["id"])
    assert texts(up.asked[0]) == ["my secret wish", "Hello", "and?", "Hello", "so?", "Hello", "yes?"]


async def test_what_is_not_sealed_can_be_read_by_who_seals(new: New) -> None:
    """A key ring that is set later does not lose what is there."""
    kept = (await post(new(), "plain")).json()
    assert (await get(new(state={"key_ring": RING}), kept["id"])).json() == kept


async def test_a_row_that_was_moved_to_another_owner_does_not_open(new: New, caplog: pytest.LogCaptureFixture) -> None:
    """Who can write to the database, but has no key, cannot show one caller's words to another."""
    gateway = new(state={"key_ring": RING})
    kept = (await post(gateway)).json()["id"]
    mine = (await post(gateway, key="other")).json()["id"]
    ledger: Any = gateway._standing.house.ledger
    session = await ledger._session()
    async with session.database.write() as connection:
        await connection.exec_driver_sql(
            "UPDATE compatgw_turns SET told = (SELECT told FROM compatgw_turns WHERE owner = 'name one'), "
            "added = (SELECT added FROM compatgw_turns WHERE owner = 'name one') WHERE owner = 'name two'"
        )

    assert (await get(gateway, mine, "other")).status_code == 404
    assert (await get(gateway, kept)).status_code == 200
    assert "does not open" in caplog.text


async def test_an_answer_is_given_while_the_ledger_is_away(caplog: pytest.LogCaptureFixture) -> None:
    """It says that it was not kept, and the log says why; whatever needs what is kept is 503."""
    up = Canned(completion())
    given: Any = {"providers": {"up": {"app": up, "base_url": "http://up/v1", "api_key": "k"}}, "environ": {}}
    gateway = Gateway(keys=["k"], state={"ledger": "postgresql://user:SEEDED@127.0.0.1:1/none"}, **given)
    whole = await post(gateway)
    assert (whole.status_code, whole.json()["store"]) == (200, False)
    assert whole.json()["output"][0]["content"][0]["text"] == "Hello"
    assert f"The response {whole.json()['id']!r} is told, but not kept." in caplog.text
    up.pieces, up.headers = [ROLE, WORD, FINISH, USAGE, DONE], [(b"content-type", STREAM.encode())]
    stream = await post(gateway, stream=True)
    last = stream.text.strip().rpartition("data: ")[2]
    assert orjson.loads(last)["type"] == "response.completed"
    assert orjson.loads(last)["response"]["store"] is False
    asked = len(up.asked)

    refused = [
        await get(gateway, "resp_1"),
        await get(gateway, "resp_1", method="DELETE"),
        await get(gateway, "resp_1/cancel", method="POST"),
        await post(gateway, previous_response_id="resp_1"),
        await post(gateway, background=True),
    ]
    for got in refused:
        assert (got.status_code, got.json()["error"]["code"]) == (503, "overloaded")
        assert "keeps of responses cannot be reached" in got.json()["error"]["message"]
        assert got.headers["retry-after"] == "5"
    assert len(up.asked) == asked
    assert "SEEDED" not in caplog.text
    await gateway.aclose()


async def test_a_turn_whose_past_was_deleted_meanwhile_keeps_it(new: New) -> None:
    """The call had it already: so it is kept as the beginning of a conversation of its own."""
    up = Gate(completion())
    gateway = new(up)
    up.go.set()
    first = (await post(gateway)).json()["id"]
    up.go.clear()
    up.began.clear()
    call = asyncio.create_task(post(gateway, "and?", previous_response_id=first))
    await up.began.wait()
    await get(gateway, first, method="DELETE")
    assert await content_of(gateway) == []
    up.go.set()
    second = (await call).json()
    await post(gateway, "so?", previous_response_id=second["id"])

    assert texts(up.asked[-1]) == ["hi", "Hello", "and?", "Hello", "so?"]


class Gate(Canned):
    """An upstream that waits until it may answer."""

    def __init__(self, *members: Any, **more: Any) -> None:
        super().__init__(*members, **more)
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        self.began.set()
        await self.go.wait()
        await super().__call__(scope, receive, send)


# --- the background --------------------------------------------------------------------------


async def status(gateway: Gateway, id: str) -> str:
    """Of a response, as it is retrieved."""
    return str((await get(gateway, id)).json()["status"])


async def test_work_in_the_background_is_seen_from_elsewhere(new: New) -> None:
    """Queued there, completed there, cancelled from there, and gone on with."""
    up = Gate(completion())
    one, other = new(up), new()
    first, second = [(await post(one, background=True)).json()["id"] for _ in range(2)]
    assert await status(one, first) == "in_progress"
    assert await status(other, first) == "queued"
    assert (await get(other, f"{second}/cancel", method="POST")).json()["status"] == "cancelled"
    up.go.set()
    await one._standing.house.tasks.aclose()

    assert await status(one, first) == await status(other, first) == "completed"
    assert await status(one, second) == await status(other, second) == "cancelled"
    got = await post(other, "and?", previous_response_id=first)
    assert got.status_code == 200


async def test_work_that_a_shutdown_ended_has_failed(new: New) -> None:
    """The next process says so at once."""
    up = Gate(completion())
    one, other = new(up, shutdown_grace=0.0), new()
    id = (await post(one, background=True)).json()["id"]
    await up.began.wait()
    await one.aclose()

    got = (await get(other, id)).json()
    assert (got["status"], got["error"]["code"]) == ("failed", "overloaded")
    assert "The gateway stopped" in got["error"]["message"]


async def test_work_whose_process_died_has_failed(new: New, clock: Clock) -> None:
    """When nothing was heard of it for half a minute; what comes of it after all is told then."""
    up = Gate(completion())
    one, other = new(up), new()
    id = (await post(one, background=True)).json()["id"]
    clock.now += 29
    assert await status(other, id) == "queued"
    clock.now += 2
    got = (await get(other, id)).json()

    assert (got["status"], got["error"]["code"]) == ("failed", "server_error")
    assert "died" in got["error"]["message"]
    up.go.set()
    await one._standing.house.tasks.aclose()
    assert await status(other, id) == "completed"


async def test_what_the_background_came_to_waits_for_the_ledger(empty_ledger: Callable[[str], str]) -> None:
    """While it is locked nothing is lost: whoever follows has all of it, and it is kept when the lock is gone."""
    url = empty_ledger("sqlite")
    ledger, tasks, go = SqlLedger(url, busy=0.01), Tasks(), asyncio.Event()
    shelf = LedgerShelf(ledger, KeyRing({"k": bytes(32)}), Clock())
    conversations = Conversations(shelf, Keeping(poll=0.01))
    background = Background(conversations, tasks)
    parsed = parse(b'{"model": "m", "input": "hi", "background": true}')
    face = ResponsesFace(parsed, View("w1", 9))
    done = {**face.queued(), "status": "completed"}
    frame = b"event: z\ndata: " + orjson.dumps({"type": "z", "sequence_number": 0, "response": done}) + b"\n\n"

    async def work(client: Any) -> None:
        await go.wait()
        await client.begin(())
        await client.write(frame)
        await client.end()

    await background.begin(OWNER, parsed, face, work)
    other = sqlite3.connect(Path(url.removeprefix("sqlite:///")), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    follower = background.follow(OWNER, "resp_w1")
    go.set()
    assert [part async for part in follower] == [frame]
    other.execute("ROLLBACK")
    other.close()
    await tasks.aclose()

    assert (await background.retrieve(OWNER, "resp_w1")).response["status"] == "completed"
    await ledger.aclose()


async def test_what_can_never_be_kept_is_named_in_the_log(
    empty_ledger: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """Waiting is bounded."""
    url = empty_ledger("sqlite")
    ledger, tasks, go = SqlLedger(url, busy=0.01), Tasks(), asyncio.Event()
    conversations = Conversations(LedgerShelf(ledger, None, Clock()), Keeping(poll=0.01, patience=0.0))
    background = Background(conversations, tasks)
    parsed = parse(b'{"model": "m", "input": "hi", "background": true}')

    async def work(client: Any) -> None:
        await go.wait()
        raise RuntimeError("fell over")

    await background.begin(OWNER, parsed, ResponsesFace(parsed, View("w1", 9)), work)
    other = sqlite3.connect(Path(url.removeprefix("sqlite:///")), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    go.set()
    await tasks.aclose()
    other.execute("ROLLBACK")
    other.close()

    assert "'resp_w1' came to could not be kept, and is lost" in caplog.text
    await ledger.aclose()
