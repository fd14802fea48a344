"""Responses that are kept: whose they are, how long, and how they are worked on in the background."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import orjson
import pytest

from compatgw.dialects.base import Answer
from compatgw.errors import GatewayError, InvalidRequest, NotFound, Overloaded, RequestTooLarge, UpstreamFailure
from compatgw.flow.background import Background
from compatgw.flow.conversations import Conversations, Keeping
from compatgw.flow.shelves import CounterShelf, LedgerShelf, Shelf, name_of
from compatgw.flow.tasks import Tasks
from compatgw.state.loss import GuardedCounters
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from compatgw.state.secrets import KeyRing
from compatgw.state.sql import SqlLedger
from compatgw.surfaces.base import Parsed, View
from compatgw.surfaces.responses import ResponsesFace, parse
from compatgw.surfaces.responses.stored import entry, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compatgw.flow.call import Client
    from compatgw.wire.chat import ChatCompletion

OWNER = "team a"


def lost(meanwhile: Any) -> GuardedCounters:
    """Shared counters that are away; meanwhile this process counts for itself, or nobody does."""
    return GuardedCounters(RedisCounters("redis://127.0.0.1:1/0", timeout=0.2), meanwhile)


@pytest.fixture(params=["memory", "redis", "sqlite", "postgres", "sealed"])
async def shelf(request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    """Where responses are kept: in memory, on a real server, in a ledger on each back end."""
    if request.param == "memory":
        yield CounterShelf(MemoryCounters())
    elif request.param == "redis":
        shared = RedisCounters(request.getfixturevalue("redis_url"), prefix=f"kept-{uuid4().hex}")
        yield CounterShelf(shared)
        await shared.aclose()
    else:
        sealed = request.param == "sealed"
        ledger = SqlLedger(request.getfixturevalue("empty_ledger")("sqlite" if sealed else request.param))
        yield LedgerShelf(ledger, KeyRing({"k1": bytes(32)}) if sealed else None, time.time)
        await ledger.aclose()


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def asked(**members: Any) -> Parsed:
    """A request."""
    return parse(orjson.dumps({"model": "m", "input": "hi", **members}))


def face_of(parsed: Parsed, word: str = "w1") -> ResponsesFace:
    """A face for it."""
    return ResponsesFace(parsed, View(word, 9))


def said(text: str) -> Answer:
    """A whole answer."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return Answer(
        cast(
            "ChatCompletion", {"id": "c", "object": "chat.completion", "created": 1, "model": "up", "choices": [choice]}
        )
    )


async def kept(
    conversations: Conversations, parsed: Parsed | None = None, word: str = "w1", text: str = "Hello"
) -> str:
    """The id of a response that was kept."""
    parsed = parsed or asked()
    face = face_of(parsed, word)
    await conversations.settle(OWNER, parsed, face, "up", said(text))
    return f"resp_{word}"


# --- keeping ---------------------------------------------------------------------------------


async def test_a_response_is_kept_with_its_conversation(shelf: Shelf) -> None:
    """What was asked, each item with an id, and what was said."""
    conversations = Conversations(shelf)
    found = await conversations.find(OWNER, await kept(conversations))
    assert found.response["status"] == "completed"
    assert [item["id"] for item in found.inputs] == ["msg_cgww1in00"]
    assert [item["role"] for item in found.items] == ["user", "assistant"]


async def test_a_conversation_is_flat(shelf: Shelf) -> None:
    """The third turn is one look, even when the first two are gone."""
    conversations = Conversations(shelf)
    first = await kept(conversations)
    parsed = await conversations.resolved(OWNER, asked(previous_response_id=first, input="and?"))
    second = await kept(conversations, parsed, "w2", "More")
    await conversations.drop(OWNER, first)
    third = await conversations.resolved(OWNER, asked(previous_response_id=second, input="so?"))
    assert [message["content"] for message in third.request["messages"]] == ["hi", "Hello", "and?", "More", "so?"]
    assert [item["content"][0]["text"] for item in (await conversations.find(OWNER, second)).inputs] == ["and?"]


async def test_nobody_else_has_it(shelf: Shelf) -> None:
    """Neither by its id, nor to go on with, nor to delete."""
    conversations = Conversations(shelf)
    id = await kept(conversations)
    for owner in ("team b", "name a"):
        with pytest.raises(NotFound):
            await conversations.find(owner, id)
        with pytest.raises(NotFound):
            await conversations.drop(owner, id)
        with pytest.raises(NotFound) as caught:
            await conversations.resolved(owner, asked(previous_response_id=id))
        assert (caught.value.param, caught.value.status) == ("previous_response_id", 404)
    assert await conversations.find(OWNER, id)


async def test_names_cannot_be_forged() -> None:
    """An owner and an id that run together are another name."""
    assert name_of("a", "b c") != name_of("a b", "c")
    assert name_of('a","b', "c") != name_of("a", 'b","c')


async def test_whoever_has_an_odd_name_has_it_alone(shelf: Shelf) -> None:
    """Names are a token's own: they may hold what no database takes, and are told apart all the same."""
    conversations, names = Conversations(shelf), ("name a\0", "name a\N{REPLACEMENT CHARACTER}", "name \ud800")
    for number, owner in enumerate(names):
        await conversations.keep(owner, entry(asked(), {**face_of(asked()).queued(), "output": [], "n": number}))
    for number, owner in enumerate(names):
        assert (await conversations.find(owner, "resp_w1")).response["n"] == number


async def test_it_ends_with_its_time() -> None:
    """After so many seconds it is unknown."""
    clock = Clock()
    conversations = Conversations(CounterShelf(MemoryCounters(clock=clock)), Keeping(keep=60))
    id = await kept(conversations)
    clock.now += 59
    await conversations.find(OWNER, id)
    clock.now += 2
    with pytest.raises(NotFound, match="time is over"):
        await conversations.find(OWNER, id)


async def test_what_is_too_large_is_told_but_not_kept() -> None:
    """And the client hears of it: `store` is false."""
    conversations = Conversations(CounterShelf(MemoryCounters()), Keeping(max_entry=2048))
    parsed = asked(input="x" * 3000)
    face = face_of(parsed)
    answer = said("Hello")
    await conversations.settle(OWNER, parsed, face, "up", answer)
    assert orjson.loads(face.whole(answer))["store"] is False
    with pytest.raises(NotFound):
        await conversations.find(OWNER, "resp_w1")


async def test_nothing_is_kept_that_is_not_to_be() -> None:
    """`store: false` is told as such, too."""
    values = MemoryCounters()
    conversations = Conversations(CounterShelf(values))
    parsed = asked(store=False)
    face = face_of(parsed)
    await conversations.settle(OWNER, parsed, face, "up", said("Hello"))
    assert orjson.loads(face.whole(said("Hello")))["store"] is False
    assert await values.get(name_of(OWNER, "resp_w1")) is None


async def test_while_it_is_lost_nothing_is_known() -> None:
    """503 for who asks, also where this process's own memory stands in; an answer is told all the same."""
    for meanwhile in ("local", "refuse"):
        conversations = Conversations(CounterShelf(lost(meanwhile)))
        with pytest.raises(Overloaded):
            await conversations.find(OWNER, "resp_1")
        with pytest.raises(Overloaded):
            await conversations.resolved(OWNER, asked(previous_response_id="resp_1"))
        with pytest.raises(Overloaded):
            await conversations.drop(OWNER, "resp_1")
        parsed = asked()
        face = face_of(parsed)
        await conversations.settle(OWNER, parsed, face, "up", said("Hello"))
        assert orjson.loads(face.whole(said("Hello")))["store"] is False


async def test_what_is_damaged_is_unknown() -> None:
    """Bytes that were changed are no response."""
    values = MemoryCounters()
    conversations = Conversations(CounterShelf(values))
    id = await kept(conversations)
    data = await values.get(name_of(OWNER, id))
    assert data is not None
    await values.put(name_of(OWNER, id), data[:-1] + b"!", 60)
    with pytest.raises(NotFound):
        await conversations.find(OWNER, id)


@pytest.mark.parametrize("status", ["queued", "in_progress", "failed", "cancelled"])
async def test_only_what_is_done_can_be_gone_on_with(status: str) -> None:
    """Anything else is a 400 that says what to do."""
    conversations = Conversations(CounterShelf(MemoryCounters()))
    parsed = asked()
    response = {**face_of(parsed).queued(), "status": status}
    await conversations.keep(OWNER, entry(parsed, response))
    with pytest.raises(InvalidRequest, match=status):
        await conversations.resolved(OWNER, asked(previous_response_id="resp_w1"))


async def test_an_upstreams_output_is_kept_with_its_author() -> None:
    """So that another one is not sent what it cannot read; items that are broken are not kept."""
    conversations = Conversations(CounterShelf(MemoryCounters()))
    parsed = asked()
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": None},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": None},
        "odd",
    ]
    body = {"id": "resp_up", "object": "response", "status": "completed", "output": output}
    answer = Answer(said("x").completion, native=orjson.dumps(body))
    await conversations.settle(OWNER, parsed, face_of(parsed), "up", answer)
    found = await conversations.find(OWNER, "resp_up")
    assert found.items[1:] == ({"type": "reasoning", "id": "rs_1", "summary": [], "gateway_origin": "up"},)
    assert found.response == body


# --- pages -----------------------------------------------------------------------------------

ITEMS = [{"id": f"msg_{number}"} for number in range(5)]


def ids(**query: str) -> tuple[list[str], bool]:
    """Ids on a page, and whether there are more."""
    found = page(ITEMS, query)
    assert found["first_id"] == (found["data"][0]["id"] if found["data"] else None)
    assert found["last_id"] == (found["data"][-1]["id"] if found["data"] else None)
    return [item["id"] for item in found["data"]], found["has_more"]


def test_pages_of_input() -> None:
    """The latest first, unless asked; each goes on behind the last."""
    assert ids() == (["msg_4", "msg_3", "msg_2", "msg_1", "msg_0"], False)
    assert ids(order="asc", limit="2") == (["msg_0", "msg_1"], True)
    assert ids(order="asc", limit="2", after="msg_1") == (["msg_2", "msg_3"], True)
    assert ids(order="asc", after="msg_4") == ([], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"limit": "x"}, "limit"), ({"order": "up"}, "order"),
     ({"after": "msg_9"}, "after"), ({"limit": "9" * 5000}, "limit")],
)  # fmt: skip
def test_what_is_wrong_with_a_page(query: dict[str, str], param: str) -> None:
    """400 with the name of the parameter."""
    with pytest.raises(InvalidRequest) as caught:
        page(ITEMS, query)
    assert caught.value.param == param


# --- the background --------------------------------------------------------------------------


class Desk:
    """A process that works in the background, and calls that it can be told to end."""

    def __init__(self, shelf: Shelf | None = None, **settings: Any) -> None:
        self.tasks = Tasks()
        self.conversations = Conversations(
            shelf or CounterShelf(MemoryCounters()), Keeping(**{"poll": 0.01, **settings})
        )
        self.background = Background(self.conversations, self.tasks)
        self.go = asyncio.Event()
        self.began = asyncio.Event()
        self.ended = ""
        self.parsed = asked(background=True)

    async def begin(self, outcome: Any = "Hello", word: str = "w1") -> str:
        """The id of a response that is worked on until `go`."""
        face = face_of(self.parsed, word)

        async def work(client: Client) -> None:
            self.began.set()
            try:
                await self.go.wait()
            except asyncio.CancelledError:
                self.ended = "cancelled"
                raise
            if isinstance(outcome, BaseException):
                raise outcome
            await client.answer(200, (("X-Provider", "up"),), face.whole(said(outcome)))

        told = await self.background.begin(OWNER, self.parsed, face, work)
        assert (told["status"], told["background"]) == ("queued", True)
        await self.began.wait()
        return str(told["id"])

    async def status(self, id: str) -> str:
        """As it is retrieved."""
        return str((await self.background.retrieve(OWNER, id)).response["status"])


async def test_work_in_the_background(shelf: Shelf) -> None:
    """Queued, in progress, completed; everybody who shares what is kept sees it."""
    one, other = Desk(shelf), Desk(shelf)
    id = await one.begin()
    assert await one.status(id) == "in_progress"
    assert await other.status(id) in ("queued", "in_progress")
    one.go.set()
    await one.tasks.aclose()
    assert await one.status(id) == await other.status(id) == "completed"
    found = await other.background.retrieve(OWNER, id)
    assert found.response["output"][0]["content"][0]["text"] == "Hello"
    again = await other.conversations.resolved(OWNER, asked(previous_response_id=id))
    assert len(again.request["messages"]) == 3


async def test_a_call_that_fails_in_the_background() -> None:
    """Its error is the response's; a fault of our own does not show what it was."""
    desk = Desk()
    desk.go.set()
    first = await desk.begin(UpstreamFailure("The upstream fell over."), "w1")
    second = await desk.begin(ValueError("secret"), "w2")
    await desk.tasks.aclose()
    found = (await desk.background.retrieve(OWNER, first)).response
    assert (found["status"], found["error"]["code"]) == ("failed", "upstream_error")
    found = (await desk.background.retrieve(OWNER, second)).response
    assert found["status"] == "failed"
    assert "secret" not in orjson.dumps(found).decode()


async def test_cancelling(shelf: Shelf) -> None:
    """Ends the call, here or elsewhere, and stays; what is done stays done."""
    for elsewhere in (False, True):
        desk = Desk(shelf)
        other = Desk(shelf) if elsewhere else desk
        word = f"c{elsewhere:d}"
        id = await desk.begin(word=word)
        told = await other.background.cancel(OWNER, id)
        assert told["status"] == "cancelled"
        await desk.tasks.aclose()
        assert desk.ended == "cancelled"
        assert await desk.status(id) == "cancelled"
        assert (await other.background.cancel(OWNER, id))["status"] == "cancelled"


async def test_cancelling_where_the_work_is_done_ends_it_at_once() -> None:
    """Nobody waits for the next look."""
    desk = Desk(poll=600)
    id = await desk.begin()
    await desk.background.cancel(OWNER, id)
    async with asyncio.timeout(5):
        await desk.tasks.aclose()
    assert desk.ended == "cancelled"
    assert await desk.status(id) == "cancelled"


async def test_deleting_ends_the_work(shelf: Shelf) -> None:
    """Nobody could retrieve it."""
    desk = Desk(shelf)
    id = await desk.begin()
    await desk.conversations.drop(OWNER, id)
    await desk.tasks.aclose()
    assert desk.ended == "cancelled"
    with pytest.raises(NotFound):
        await desk.status(id)


async def test_work_whose_process_died_has_failed() -> None:
    """As soon as nothing was heard of it for a while."""
    clock = Clock()
    desk = Desk(CounterShelf(MemoryCounters(clock=clock)), alive=30)
    face = face_of(desk.parsed)
    assert await desk.conversations.begin(OWNER, entry(desk.parsed, face.queued()))
    assert await desk.status("resp_w1") == "queued"
    clock.now += 31
    found = (await desk.background.retrieve(OWNER, "resp_w1")).response
    assert (found["status"], found["error"]["code"]) == ("failed", "server_error")


@pytest.mark.parametrize("size", [5000, 50_000])
async def test_an_answer_that_is_too_large_has_failed(size: int) -> None:
    """Nobody could retrieve it; a question that is too large is refused at once."""
    desk = Desk(max_entry=4096)
    desk.go.set()
    id = await desk.begin("x" * size)
    await desk.tasks.aclose()
    found = (await desk.background.retrieve(OWNER, id)).response
    assert (found["status"], found["error"]["code"]) == ("failed", "request_too_large")
    desk.parsed = asked(background=True, input="x" * 5000)
    with pytest.raises(RequestTooLarge):
        await desk.begin(word="w2")


async def test_nothing_begins_while_nothing_can_be_kept() -> None:
    """503: nobody could ever retrieve it."""
    for meanwhile in ("local", "refuse"):
        desk = Desk(CounterShelf(lost(meanwhile)))
        with pytest.raises(Overloaded):
            await desk.begin()
        assert not desk.began.is_set()


async def test_following_a_stream_as_it_comes() -> None:
    """Live where it is worked on, from any event; elsewhere when it is done; always the same events."""
    shelf = CounterShelf(MemoryCounters())
    desk, other = Desk(shelf), Desk(shelf)
    face = face_of(desk.parsed)
    frames = [b'event: a\ndata: {"type":"a","sequence_number":%d}\n\n' % number for number in range(3)]
    last = {**face.queued(), "status": "completed"}
    frames.append(b"event: z\ndata: " + orjson.dumps({"type": "z", "sequence_number": 3, "response": last}) + b"\n\n")

    async def work(client: Client) -> None:
        await client.begin(())
        await client.write(frames[0] + frames[1])
        await desk.go.wait()
        await client.write(frames[2])
        await client.write(frames[3])
        await client.end()

    told = await desk.background.begin(OWNER, desk.parsed, face, work)
    reader = desk.background.follow(OWNER, told["id"])
    assert await anext(reader) == frames[0] + frames[1]
    late = asyncio.create_task(_all(desk.background.follow(OWNER, told["id"], 0)))
    far = asyncio.create_task(_all(other.background.follow(OWNER, told["id"], 1)))
    await asyncio.sleep(0)
    desk.go.set()
    assert b"".join([part async for part in reader]) == frames[2] + frames[3]
    assert await late == b"".join(frames[1:])
    assert await far == b"".join(frames[2:])
    await desk.tasks.aclose()
    assert await _all(desk.background.follow(OWNER, told["id"], 2)) == frames[3]


async def _all(frames: Any) -> bytes:
    return b"".join([part async for part in frames])


async def test_an_event_that_comes_while_a_reader_is_busy_is_not_waited_for() -> None:
    """It was there before the reader asked."""
    desk = Desk()
    face = face_of(desk.parsed)
    written, hold = asyncio.Event(), asyncio.Event()

    async def work(client: Client) -> None:
        await client.begin(())
        await client.write(b"data: 1\n\n")
        await desk.go.wait()
        await client.write(b"data: 2\n\n")
        written.set()
        await hold.wait()

    told = await desk.background.begin(OWNER, desk.parsed, face, work)
    reader = desk.background.follow(OWNER, told["id"], -2)
    assert await anext(reader) == b"data: 1\n\n"
    desk.go.set()
    await written.wait()
    async with asyncio.timeout(5):
        assert await anext(reader) == b"data: 2\n\n"
    await desk.background.cancel(OWNER, told["id"])
    assert b'"status":"failed","error":{"code":"cancelled"' in b"".join([part async for part in reader])
    await desk.tasks.aclose()


async def test_events_that_are_too_large_are_told_live_alone() -> None:
    """The response is kept without them; later its events are what they would be if each text came at once."""
    desk = Desk(max_entry=4096)
    face = face_of(desk.parsed)
    last = {**face.queued(), "status": "completed"}
    padding = b'event: a\ndata: {"type":"a","sequence_number":0,"x":"' + b"x" * 4096 + b'"}\n\n'
    end = b"event: z\ndata: " + orjson.dumps({"type": "z", "sequence_number": 1, "response": last}) + b"\n\n"

    async def work(client: Client) -> None:
        await client.begin(())
        await client.write(padding + end)
        await client.end()

    told = await desk.background.begin(OWNER, desk.parsed, face, work)
    assert await _all(desk.background.follow(OWNER, told["id"])) == padding + end
    await desk.tasks.aclose()
    assert await desk.status(told["id"]) == "completed"
    again = await _all(desk.background.follow(OWNER, told["id"]))
    assert again.startswith(b"event: response.created\n")
    assert b"event: response.completed\n" in again


async def test_following_what_nobody_has() -> None:
    """Is a 404 before the first byte."""
    with pytest.raises(GatewayError):
        await anext(Desk().background.follow(OWNER, "resp_0"))
