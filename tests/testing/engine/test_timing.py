"""Time: the virtual clock, the waits of a call, and the times that are noted of its pieces."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing import Fake, fault, reply
from compatgw_testing.clock import EPOCH, Timeline, VirtualClock, WallClock
from compatgw_testing.faults import ReadTimedOut
from compatgw_testing.script import words
from tests.testing.doors.sdks import stream_text
from tests.testing.engine.virtual import ask, times

TEXT = "One two three four"


def left() -> asyncio.Future[None]:
    """What is done when the client is gone."""
    return asyncio.get_running_loop().create_future()


def test_the_virtual_clock_stands_still() -> None:
    """Until it is told to go on; never back."""
    clock = VirtualClock()

    assert clock.now() == clock.now() == EPOCH
    clock.advance(1.5)
    assert clock.now() == EPOCH + 1.5
    with pytest.raises(ValueError, match=r"time does not run backwards: advance\(-1\)"):
        clock.advance(-1)
    assert VirtualClock(7).now() == 7


def test_the_wall_clock_is_the_machines() -> None:
    """Seconds since 1970."""
    assert abs(WallClock().now() - time.time()) < 1


async def test_virtual_waits_are_counted_and_take_no_time() -> None:
    """An hour passes at once."""
    line, started = Timeline(virtual=True), time.monotonic()

    assert await line.wait(3600, left())
    assert await line.wait(0.5, left())
    assert await line.wait(0, left())
    assert await line.wait(-1, left())

    assert line.elapsed == 3600.5
    assert time.monotonic() - started < 5


async def test_a_client_that_left_ends_a_wait() -> None:
    """At once, on either time."""
    for virtual in (True, False):
        gone = left()
        gone.set_result(None)
        line = Timeline(virtual=virtual)

        assert not await line.wait(30, gone)
        assert not await line.wait(0, gone)
        assert await line.wait(0, left())


async def test_real_waits_take_their_time() -> None:
    """And the elapsed time is measured."""
    line = Timeline(virtual=False)

    assert await line.wait(0.02, left())

    assert 0.019 <= line.elapsed < 5


async def test_patience_ends_as_the_clients_timeout() -> None:
    """What was waited since the last piece counts together; the time that passes is the client's patience."""
    line = Timeline(virtual=True, read_timeout=10)

    assert await line.wait(6, left())
    line.sent()
    assert await line.wait(6, left())
    assert await line.wait(4, left())
    with pytest.raises(ReadTimedOut, match=r"longer than the client waits \(10 s\)"):
        await line.wait(0.5, left())

    assert line.elapsed == 16


@pytest.mark.parametrize(("read_timeout", "elapsed", "words"), [(10.0, 12.0, "10 s"), (None, 2.0, "for ever")])
async def test_a_wait_without_end(read_timeout: float | None, elapsed: float, words: str) -> None:
    """On virtual time it ends as the timeout, even of a client that has none: its test would hang for ever."""
    line = Timeline(virtual=True, read_timeout=read_timeout)
    await line.wait(2, left())
    line.sent()

    with pytest.raises(ReadTimedOut, match=words):
        await line.wait(math.inf, left())

    assert line.elapsed == elapsed


async def test_a_wait_without_end_on_real_time_ends_with_the_client() -> None:
    """When it leaves."""
    gone = left()
    waiting = asyncio.create_task(Timeline(virtual=False).wait(math.inf, gone))
    await asyncio.sleep(0)
    assert not waiting.done()
    gone.set_result(None)

    assert not await waiting


async def test_first_and_rate_are_played_exactly(fake: Fake) -> None:
    """The first event after so many seconds, the rest at so many a second."""
    fake.reply(TEXT, first=2, rate=4)

    answer = await ask(fake, stream=True)

    assert times(fake) == [2 + 0.25 * number for number in range(len(answer.pieces))]
    assert fake.last.virtual


async def test_pieces_of_one_event_go_out_at_one_time(fake: Fake) -> None:
    """The rate counts events, not bytes."""
    fake.reply("ab", chunks="bytes", first=1, rate=2)

    await ask(fake, stream=True)

    assert len(fake.last.pieces) > 50
    assert sorted(set(times(fake))) == [1 + 0.5 * number for number in range(fake.last.sent)]


async def test_a_plain_answer_comes_when_its_stream_would_have_ended(fake: Fake) -> None:
    """Time to the first token, and all tokens after it."""
    fake.reply(TEXT, first=2, rate=4, usage=(5, 8))

    await ask(fake)

    assert times(fake) == [4.0]


async def test_without_delays_everything_is_at_once(fake: Fake) -> None:
    """Zero, exactly."""
    await ask(fake.reply(TEXT), stream=True)

    assert set(times(fake)) == {0.0}


async def test_a_slow_head(fake: Fake) -> None:
    """Then the answer as ever; or the timeout of a client that does not wait so long."""
    fake.fault(TEXT, slow=30, times=2)

    answer = await ask(fake, stream=True, read_timeout=60)
    assert set(times(fake)) == {30.0}
    assert answer.failure is None
    late = await ask(fake, stream=True, read_timeout=10)

    assert isinstance(late.failure, ReadTimedOut)
    assert (late.status, late.pieces, fake.last.outcome, fake.last.response_headers) == (0, [], "client_closed", {})


async def test_a_dribble_is_one_byte_after_the_other(fake: Fake) -> None:
    """Slower in all than the client waits for one piece, and still in time."""
    fake.fault(TEXT, dribble=0.5)

    answer = await ask(fake, stream=True, read_timeout=1)

    assert answer.failure is None
    assert fake.last.finished
    assert {len(one) for one in answer.pieces} == {1}
    assert times(fake) == [0.5 * (number + 1) for number in range(len(answer.pieces))]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stall_of_thirty_seconds_takes_none(fake: Fake, stream: bool) -> None:
    """The client's timeout comes at once."""
    started = time.monotonic()

    answer = await ask(fake.fault(TEXT, stall_after=2), stream=stream, read_timeout=30)

    assert isinstance(answer.failure, ReadTimedOut)
    assert len(answer.pieces) == (2 if stream else 0)
    assert fake.last.outcome == "client_closed"
    assert time.monotonic() - started < 5


async def test_a_rate_slower_than_patience_times_out(fake: Fake) -> None:
    """Between two events."""
    answer = await ask(fake.reply(TEXT, first=1, rate=0.1), stream=True, read_timeout=5)

    assert isinstance(answer.failure, ReadTimedOut)
    assert times(fake) == [1.0]


async def test_a_client_that_leaves_on_virtual_time(fake: Fake) -> None:
    """It is noticed before the next event."""
    answer = await ask(fake.reply("word " * 50, rate=1), stream=True, leave_after=3)

    assert len(answer.pieces) == 3
    assert fake.last.outcome == "client_closed"


async def test_the_same_delays_give_the_same_journal(fake: Fake) -> None:
    """Byte for byte, times included: on virtual time nothing is measured."""
    dumps = []
    for one in (fake, type(fake)(seed=7)):
        one.enqueue(reply(TEXT, first=0.3, rate=7), fault(TEXT, dribble=0.01), fault(TEXT, slow=1.1))
        one.fault(TEXT, stall_after=1)
        for _ in range(4):
            await ask(one, stream=True, read_timeout=60)
        dumps.append(repr(one.calls.dump()).encode())

    assert dumps[0] == dumps[1]
    assert b"0.442857" in dumps[0]


def test_on_a_socket_delays_are_real(fake: Fake, sdk: Callable[..., Any]) -> None:
    """Little ones here: first event, then the rest at a rate."""
    fake.reply(TEXT, first=0.03, rate=200)

    assert stream_text(sdk(fake), fake.dialect) == TEXT

    taken = times(fake)
    assert not fake.last.virtual
    assert taken == sorted(taken)
    assert 0.029 <= taken[0] < 5
    assert taken[-1] >= 0.03 + 0.004 * (len(taken) - 1)


def test_words_are_events() -> None:
    """So that a rate means what people mean by tokens a second."""
    assert len(words(TEXT)) == 4
