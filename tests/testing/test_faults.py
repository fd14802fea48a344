"""What goes wrong on purpose, in process: the same for every dialect."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from compatgw_testing import ConnectionCut, Fake, ScriptError, ToolCall, Turn, fault
from tests.testing.driver import FAKES, ask

TEXT = "One two three four"


async def whole(fake: Fake) -> list[bytes]:
    """The events of a stream that nothing happens to."""
    return (await ask(FAKES[fake.dialect](seed=fake.seed).reply(TEXT), stream=True)).pieces


async def test_a_cut_stream_breaks_after_so_many_events(fake: Fake) -> None:
    """Whole events arrive, then the connection is gone without an end."""
    fake.fault(TEXT, cut_after=2)

    reply = await ask(fake, stream=True)

    assert reply.pieces == (await whole(fake))[:2]
    assert isinstance(reply.failure, ConnectionCut)
    assert (fake.last.outcome, fake.last.sent) == ("faulted", 2)


async def test_a_stream_cut_at_once_has_a_head_and_no_event(fake: Fake) -> None:
    """`cut_after=0` breaks after the head."""
    reply = await ask(fake.fault(TEXT, cut_after=0), stream=True)

    assert (reply.status, reply.pieces) == (200, [])
    assert isinstance(reply.failure, ConnectionCut)


async def test_a_cut_plain_answer_breaks_halfway(fake: Fake) -> None:
    """Less arrives than the head has promised."""
    reply = await ask(fake.fault(TEXT, cut_after=0))

    assert 0 < len(reply.raw) < int(reply.headers["content-length"])
    assert isinstance(reply.failure, ConnectionCut)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stalled_answer_never_ends(fake: Fake, stream: bool) -> None:
    """Nothing more comes, however long one waits; a caller that gives up is noted."""
    waiting = asyncio.create_task(ask(fake.fault(TEXT, stall_after=2), stream=stream))
    for _ in range(50):
        await asyncio.sleep(0)
    stalled = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert stalled
    assert fake.last.sent == (2 if stream else 0)
    assert fake.last.outcome == "client_closed"


async def test_a_stalled_stream_ends_when_the_client_leaves(fake: Fake) -> None:
    """The fake sees the closed connection and stops."""
    reply = await ask(fake.fault(TEXT, stall_after=2), stream=True, leave_after=2)

    assert len(reply.pieces) == 2
    assert fake.last.outcome == "client_closed"


async def test_a_truncated_stream_ends_cleanly_without_its_end(fake: Fake) -> None:
    """No finish reason, no end mark, no broken connection."""
    full = await whole(fake)

    reply = await ask(fake.fault(TEXT, truncated=True), stream=True)

    assert reply.failure is None
    assert reply.pieces == full[: len(reply.pieces)]
    assert TEXT.split()[-1] in reply.pieces[-1].decode() or b"stop" in reply.pieces[-1] or b"end" in reply.pieces[-1]
    assert 0 < len(reply.pieces) < len(full)
    assert fake.last.outcome == "faulted"


async def test_a_stream_truncated_by_number(fake: Fake) -> None:
    """Exactly so many events, then a clean end."""
    reply = await ask(fake.fault(TEXT, truncate_after=3), stream=True)

    assert reply.pieces == (await whole(fake))[:3]
    assert reply.failure is None


async def test_garbage_is_one_event_among_good_ones(fake: Fake) -> None:
    """The event is no JSON; everything else is there."""
    full = await whole(fake)

    reply = await ask(fake.fault(TEXT, garbage_after=2), stream=True)

    assert reply.pieces[:2] + reply.pieces[3:] == full
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.pieces[2].decode().split("data: ")[1])


async def test_garbage_later_than_the_stream_comes_before_its_end(fake: Fake) -> None:
    """A number that is too large does not make the fault vanish."""
    full = await whole(fake)

    reply = await ask(fake.fault(TEXT, garbage_after=999), stream=True)

    assert len(reply.pieces) == len(full) + 1
    assert sorted(reply.pieces[:-1]) != sorted(full)


async def test_an_error_inside_a_stream_ends_it(fake: Fake) -> None:
    """Status 200, some events, the vendor's error event, and no more."""
    reply = await ask(fake.fault(TEXT, error_after=2, error=500), stream=True)

    last = [one for one in reply.events if "error" in json.dumps(one)]
    assert reply.status == 200
    assert reply.pieces[:2] == (await whole(fake))[:2]
    assert last
    assert reply.failure is None
    assert len(reply.pieces) in (3, 4), "the error, and the end mark of a vendor that has one"


async def test_an_error_event_is_an_error_answer_where_nothing_streams(fake: Fake) -> None:
    """A plain answer cannot fail halfway, so it fails."""
    assert (await ask(fake.fault(TEXT, error_after=2, error=429))).status == 429


@pytest.mark.parametrize("stream", [False, True])
async def test_an_html_page(fake: Fake, stream: bool) -> None:
    """What a proxy in front of the vendor says."""
    reply = await ask(fake.fault(html=502), stream=stream)

    assert (reply.status, reply.headers["content-type"]) == (502, "text/html")
    assert reply.raw.startswith(b"<html>")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_empty_body(fake: Fake, stream: bool) -> None:
    """200 and nothing."""
    reply = await ask(fake.fault(empty=True), stream=stream)

    assert (reply.status, reply.raw) == (200, b"")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_under_status_200(fake: Fake, stream: bool) -> None:
    """The vendor's envelope, but nothing in the status says so."""
    expected = (await ask(FAKES[fake.dialect](seed=7).fail(429), stream=stream)).json

    reply = await ask(fake.fault(error_200=True, error=429), stream=stream)

    assert reply.status == 200
    assert reply.json == expected


async def test_a_plain_answer_can_end_early_or_be_garbage(fake: Fake) -> None:
    """Half of the JSON, with a length that fits."""
    for reply in [await ask(fake.fault(TEXT, **way)) for way in ({"truncated": True}, {"garbage_after": 0})]:
        assert len(reply.raw) == int(reply.headers["content-length"])
        with pytest.raises(json.JSONDecodeError):
            _ = reply.json


async def test_a_fault_without_an_answer_bends_a_made_up_one(fake: Fake) -> None:
    """Only the way it goes wrong was scripted."""
    reply = await ask(fake.fault(truncate_after=2), stream=True)

    assert len(reply.pieces) == 2


async def test_a_client_that_leaves_is_noted(fake: Fake) -> None:
    """The fake stops writing when nobody reads."""
    fake.reply("word " * 50)

    reply = await ask(fake, stream=True, leave_after=3)

    assert fake.last.outcome == "client_closed"
    assert len(reply.pieces) < 10


async def test_the_pace_is_set_from_outside(fake: Fake) -> None:
    """The hook is awaited before each event, with its number."""
    waited: list[int] = []

    async def pace(number: int) -> None:
        waited.append(number)

    fake.pace = pace
    reply = await ask(fake.reply(TEXT), stream=True)

    assert waited == list(range(len(reply.pieces)))


async def test_a_client_that_leaves_before_its_request_is_whole(fake: Fake) -> None:
    """Nothing is answered and no step of the script is used."""
    messages: Iterator[dict[str, object]] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[object] = []

    async def receive() -> dict[str, object]:
        return next(messages)

    async def send(message: object) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [], "query_string": b""}
    await fake.reply("a")(scope, receive, send)

    assert sent == []
    assert fake.last.outcome == "client_closed"
    assert len(fake.unused) == 1


async def test_arguments_that_are_no_json(fake: Fake) -> None:
    """Sent as they are where the vendor has strings, and as an empty object where it has objects."""
    fake.reply(calls=[ToolCall("f", '{"a":')], finish="length", times=2)

    plain, streamed = await ask(fake), await ask(fake, stream=True)

    assert plain.status == streamed.status == 200
    if fake.dialect in ("openai", "cohere"):
        assert plain.raw.count(b'{\\"a\\":') == 1


def test_a_fault_goes_wrong_in_one_way() -> None:
    """None or two ways are a mistake in the script."""
    with pytest.raises(ScriptError, match="exactly one way, 0 were given"):
        fault("a")
    with pytest.raises(ScriptError, match="exactly one way, 2 were given"):
        fault("a", cut_after=1, html=502)
    assert fault(Turn(text="a"), empty=True).text == "a"
