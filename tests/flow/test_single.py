"""Single flight: identical requests at one time make one call, whoever of them leaves, fails or dawdles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from compatgw.errors import (
    Blame,
    Forbidden,
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    NotFound,
    RateLimited,
    StreamInterrupted,
    Unauthenticated,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
)
from compatgw.flow.single import Batch, Flights, Reader, reach


class Up:
    """Work that the test lets go on step by step.

    Attributes:
        steps: What each flight brings.
        failures: How the first flights fail. after: How many steps those bring before.
        calls: Flights that began. ended: Those whose `finally` ran. kept: Those whose tail ran. made: Steps made.
        gate: Every step waits for one word in it, when it is there; `tail` and `cleanup` likewise
            before what stands behind the last, and before the end.
    """

    def __init__(self, *steps: str, failures: list[Exception] | None = None, after: int = 0) -> None:
        self.steps = steps
        self.failures = failures or []
        self.after = after
        self.calls = self.ended = self.kept = self.made = 0
        self.gate: asyncio.Semaphore | None = None
        self.tail: asyncio.Event | None = None
        self.cleanup: asyncio.Event | None = None

    async def work(self) -> AsyncGenerator[Batch[str], None]:
        """One flight."""
        self.calls += 1
        failure = self.failures.pop(0) if self.failures else None
        try:
            for number, step in enumerate(self.steps if failure is None else self.steps[: self.after]):
                # A call upstream always waits.
                await (self.gate.acquire() if self.gate is not None else asyncio.sleep(0))
                self.made += 1
                yield Batch([step], failure is None and number == len(self.steps) - 1)
            if failure is not None:
                await asyncio.sleep(0)
                raise failure
            if self.tail is not None:
                await self.tail.wait()
            self.kept += 1
        finally:
            if self.cleanup is not None:
                await self.cleanup.wait()
            self.ended += 1


@pytest.fixture
async def flights() -> AsyncIterator[Flights[str]]:
    """Flights of words, each of which weighs its letters; no task of theirs outlives the test."""
    made: Flights[str] = Flights(len, limit=100, ahead=20)
    before = asyncio.all_tasks()
    yield made
    await settled()
    assert asyncio.all_tasks() - {asyncio.current_task()} <= before
    assert len(made) == 0


async def settled() -> None:
    """Lets all go on that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def read(flights: Flights[str], work: Up, key: str = "k") -> str:
    """All that one asker gets."""
    reader = await flights.board(key, work.work)
    try:
        return "".join(await rest(reader))
    finally:
        await reader.aclose()


async def rest(reader: Reader[str]) -> list[str]:
    """What a reader had when it came aboard, and all that follows."""
    got = [*reader.held]
    while not reader.over:
        got += await reader.next()
    return got


async def test_a_thousand_at_once_make_one_call(flights: Flights[str]) -> None:
    """All get the answer, and the work is done once."""
    up = Up("Hello")
    got = await asyncio.gather(*(read(flights, up) for _ in range(1000)))

    assert (set(got), len(got)) == ({"Hello"}, 1000)
    assert (up.calls, up.ended, up.kept) == (1, 1, 1)


async def test_one_of_them_leads(flights: Flights[str]) -> None:
    """Exactly one is told that the call is its own: it pays."""
    up = Up("Hello")
    readers = await asyncio.gather(*(flights.board("k", up.work) for _ in range(10)))

    assert [reader.led for reader in readers] == [True] + [False] * 9


async def test_other_requests_make_their_own_call(flights: Flights[str]) -> None:
    """Keys are apart."""
    up = Up("Hello")
    await asyncio.gather(*(read(flights, up, f"k{number}") for number in range(5)))

    assert up.calls == 5


async def test_whoever_comes_after_the_end_makes_a_new_call(flights: Flights[str]) -> None:
    """A flight is no cache."""
    up = Up("Hello")
    await read(flights, up)
    await settled()
    await read(flights, up)

    assert up.calls == 2


async def test_the_leader_leaves_and_the_rest_get_their_answer(flights: Flights[str]) -> None:
    """The call upstream goes on, once."""
    up = Up("Hello")
    up.gate = asyncio.Semaphore(0)
    asking = [asyncio.ensure_future(read(flights, up)) for _ in range(1000)]
    await settled()
    asking[0].cancel()
    await settled()
    up.gate.release()
    got = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(got[0], asyncio.CancelledError)
    assert set(got[1:]) == {"Hello"}
    assert (up.calls, up.kept) == (1, 1)


async def test_the_leader_leaves_before_its_flight_has_begun(flights: Flights[str]) -> None:
    """The same in the moment between the first asker and the first step."""
    up = Up("Hello")
    asking = [asyncio.ensure_future(read(flights, up)) for _ in range(3)]
    asking[0].get_loop().call_soon(asking[0].cancel)
    got = await asyncio.gather(*asking, return_exceptions=True)

    assert set(got[1:]) == {"Hello"}
    assert up.calls == 1


async def test_when_all_have_left_the_call_is_cancelled(flights: Flights[str]) -> None:
    """Nobody waits for it; the next asker has a call of its own at once, however long the old one takes to go."""
    up = Up("Hello")
    up.gate, up.cleanup = asyncio.Semaphore(0), asyncio.Event()
    asking = [asyncio.ensure_future(read(flights, up)) for _ in range(50)]
    await settled()
    for one in asking:
        one.cancel()
    await asyncio.wait(asking)
    late = asyncio.ensure_future(read(flights, up))
    await settled()
    calls, ended = up.calls, up.ended
    up.cleanup.set()
    up.gate.release()

    assert (calls, ended) == (2, 0)
    assert await late == "Hello"
    await settled()
    assert (up.calls, up.ended, up.kept) == (2, 2, 1)


async def test_a_call_that_is_ended_before_it_began_is_begun_all_the_same(flights: Flights[str]) -> None:
    """What the work took over from its caller is given back in its own `finally`, always."""
    up = Up("Hello")
    one = asyncio.ensure_future(read(flights, up))
    # Runs between the asker's first step and the flight's.
    closing = asyncio.ensure_future(flights.aclose())
    await closing

    with pytest.raises(GatewayError, match="shutting down"):
        await one
    assert (up.calls, up.ended, up.made) == (1, 1, 0)


async def test_what_stands_behind_the_end_is_not_cut_off_by_readers_who_have_all(flights: Flights[str]) -> None:
    """The answer is being kept while its readers go; who comes meanwhile gets it, without another call."""
    up = Up("Hello")
    up.tail = asyncio.Event()
    first = await read(flights, up)
    late = await read(flights, up)
    await settled()
    kept = up.kept
    up.tail.set()
    await settled()

    assert (first, late, up.calls, kept, up.kept) == ("Hello", "Hello", 1, 0, 1)


# --- failures ---


def rejected() -> GatewayError:
    """The upstream's 400."""
    return UpstreamRejected("no such thing", blame=Blame.CALLER, param="x")


def down() -> GatewayError:
    """A failure that may be over in a moment."""
    return UpstreamTimeout("late")


async def outcomes(flights: Flights[str], up: Up, askers: int) -> list[str]:
    """What each asker got: the answer, or the class of its error."""
    found = await asyncio.gather(*(read(flights, up) for _ in range(askers)), return_exceptions=True)
    return [one if isinstance(one, str) else type(one).__name__ for one in found]


async def test_a_request_at_fault_fails_for_all(flights: Flights[str]) -> None:
    """It would again; each gets an error of its own, equal in all that is told."""
    up = Up(failures=[rejected()])
    found = await asyncio.gather(*(read(flights, up) for _ in range(100)), return_exceptions=True)
    errors = [one for one in found if isinstance(one, UpstreamRejected)]

    assert up.calls == 1
    assert len({id(error) for error in errors}) == len(found) == 100
    assert {(str(error), error.status, error.code, error.param) for error in errors} == {
        ("no such thing", 400, "invalid_value", "x")
    }


async def test_one_transient_failure_fails_the_leader_alone(flights: Flights[str]) -> None:
    """The other 999 go with a second flight, of which there is one."""
    up = Up("Hello", failures=[down()])
    found = await outcomes(flights, up, 1000)

    assert found == ["UpstreamTimeout"] + ["Hello"] * 999
    assert up.calls == 2


async def test_two_transient_failures_fail_all_who_waited_for_both(flights: Flights[str]) -> None:
    """Nobody waits for a row of them."""
    up = Up(failures=[down() for _ in range(10)])

    assert set(await outcomes(flights, up, 1000)) == {"UpstreamTimeout"}
    assert up.calls == 2


async def test_an_empty_purse_is_its_owners_own(flights: Flights[str]) -> None:
    """Each of the others tries for itself, until one can pay; that one leads the rest."""
    up = Up("Hello", failures=[InsufficientQuota("spent") for _ in range(4)])
    found = await outcomes(flights, up, 20)

    assert sorted(found) == ["Hello"] * 16 + ["InsufficientQuota"] * 4
    assert up.calls == 5


@pytest.mark.parametrize(
    ("failure", "whom"),
    [
        (UpstreamRejected("x", blame=Blame.CALLER), "all"),
        (UpstreamFailure("x", blame=Blame.CONTEXT), "all"),
        (UpstreamFailure("x", blame=Blame.MODEL), "all"),
        (InvalidRequest("x"), "all"),
        (NotFound("x"), "all"),
        (Forbidden("x", code="model_not_priced"), "all"),
        (UpstreamFailure("x", blame=Blame.CREDENTIAL), "again"),
        (UpstreamFailure("x", blame=Blame.ACCOUNT), "again"),
        (UpstreamRateLimited("x", blame=Blame.LIMIT), "again"),
        (UpstreamTimeout("x"), "again"),
        (GatewayError("x"), "again"),
        (Unauthenticated("x"), "again"),
        (InsufficientQuota("x"), "leader"),
        (RateLimited("x", kind="requests", retry_after=1), "leader"),
    ],
)
def test_whom_a_failure_is_for(failure: GatewayError, whom: str) -> None:
    """The table of the module's docstring."""
    assert reach(failure) == whom


async def test_every_kind_of_failure_can_be_told_to_many(flights: Flights[str]) -> None:
    """Also those whose constructor wants more than a message."""
    failure = RateLimited("slow", kind="tokens", retry_after=3, headers=(("a", "b"),))
    up = Up("He", "llo", failures=[failure], after=1)
    found = await asyncio.gather(*(read(flights, up) for _ in range(3)), return_exceptions=True)

    assert [(one.type, one.retry_after, one.headers, one.message) for one in found if isinstance(one, RateLimited)] == [
        ("tokens", 3, (("a", "b"),), "slow")
    ] * 3


async def test_a_bug_in_the_work_is_a_500_for_its_readers(
    flights: Flights[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for ever, and the log has the reason."""
    up = Up(failures=[ZeroDivisionError("secret detail"), ZeroDivisionError("secret detail")])
    found = await asyncio.gather(*(read(flights, up) for _ in range(5)), return_exceptions=True)

    assert {(type(one), str(one)) for one in found} == {
        (GatewayError, "The gateway failed inside. Its operator finds the reason in its log.")
    }
    assert up.calls == 2
    assert "ZeroDivisionError" in caplog.text


async def test_work_that_stops_before_its_end_has_failed(flights: Flights[str]) -> None:
    """An answer that is not said to be over is none."""

    async def cut() -> AsyncGenerator[Batch[str], None]:
        yield Batch(["He"])

    reader = await flights.board("k", cut)
    with pytest.raises(StreamInterrupted):
        await rest(reader)


async def test_a_failure_behind_the_end_spoils_no_answer(
    flights: Flights[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log."""

    async def work() -> AsyncGenerator[Batch[str], None]:
        await asyncio.sleep(0)
        yield Batch(["Hello"], over=True)
        raise GatewayError("the cellar is full")

    reader = await flights.board("k", work)
    await settled()

    assert await rest(reader) == ["Hello"]
    assert "the cellar is full" in caplog.text


# --- streams ---


async def test_followers_hear_each_word_as_it_comes_and_late_ones_from_the_first(flights: Flights[str]) -> None:
    """A follower waits for the next word, never for the end."""
    up = Up("a", "b", "c", "d")
    up.gate = asyncio.Semaphore(1)
    first = await flights.board("k", up.work)
    second = await flights.board("k", up.work)
    up.gate.release()
    heard = [first.held, second.held, await first.next(), await second.next()]
    late = await flights.board("k", up.work)
    up.gate.release()
    up.gate.release()

    assert heard == [["a"], ["a"], ["b"], ["b"]]
    assert late.held == ["a", "b"]
    assert [await rest(reader) for reader in (first, second, late)] == [["a", "c", "d"], ["a", "c", "d"], list("abcd")]
    assert up.calls == 1


async def test_all_are_told_what_the_first_batch_says(flights: Flights[str]) -> None:
    """Headers about the answer are those of whoever asked the upstream."""

    async def work() -> AsyncGenerator[Batch[str], None]:
        await asyncio.sleep(0)
        yield Batch(["a"], about=(("X-Provider", "up"),))
        yield Batch(["b"], over=True)

    readers = [await flights.board("k", work) for _ in range(2)]

    assert [reader.about for reader in readers] == [(("X-Provider", "up"),)] * 2
    assert [await rest(reader) for reader in readers] == [["a", "b"]] * 2


async def test_a_slow_reader_alone_holds_its_upstream_back(flights: Flights[str]) -> None:
    """The work is never further ahead than it may be (20), whatever it could bring; and nothing is lost."""
    up = Up(*["12345"] * 100)
    reader = await flights.board("k", up.work)
    made = [up.made]
    for _ in range(3):
        await settled()
        made.append(up.made)
        await reader.next()

    assert made == [1, 5, 9, 13]
    assert len(await rest(reader)) == 100 - 12


async def test_the_log_of_a_long_stream_stays_small(flights: Flights[str]) -> None:
    """What its only reader has read goes, once the log is over its limit."""
    up = Up(*["12345"] * 1000)
    reader = await flights.board("k", up.work)
    longest = 0
    while not reader.over:
        await reader.next()
        longest = max(longest, len(reader._flight._log))

    # 100 for the limit, 20 ahead.
    assert longest <= 24
    assert len(reader._flight._weights) == len(reader._flight._log)


async def test_a_slow_reader_holds_nobody_back_and_is_cut_off(flights: Flights[str]) -> None:
    """The fast one gets all; the slow one an error, after what is still there; the log stays small."""
    up = Up(*["12345"] * 200)
    slow = await flights.board("k", up.work)
    fast = await flights.board("k", up.work)
    got = await rest(fast)

    assert len(got) == 200
    with pytest.raises(StreamInterrupted, match="too slowly"):
        await rest(slow)
    assert len(slow._flight._log) < 50


async def test_a_slow_reader_within_the_limit_loses_nothing(flights: Flights[str]) -> None:
    """It reads on from where it was, long after the fast one has gone."""
    up = Up(*["12345"] * 20)
    slow = await flights.board("k", up.work)
    await read(flights, up)

    assert len(await rest(slow)) == 20


async def test_one_large_batch_cuts_nobody_off_who_had_all_before(flights: Flights[str]) -> None:
    """Who was there cannot have read it before it came."""
    up = Up("a", "x" * 500, "b")
    readers = [await flights.board("k", up.work) for _ in range(2)]

    got = await asyncio.gather(*map(rest, readers))

    assert [len("".join(words)) for words in got] == [502, 502]


async def test_nobody_comes_aboard_once_the_beginning_is_gone(flights: Flights[str]) -> None:
    """A late one begins a flight of its own, with all of the words."""
    up = Up(*["12345"] * 50)
    first = await flights.board("k", up.work)
    for _ in range(8):
        await settled()
        await first.next()
    late = await flights.board("k", up.work)

    assert (late.led, up.calls) == (True, 2)
    assert len(await rest(late)) == 50
    await rest(first)


async def test_a_failure_in_the_middle_reaches_all_after_what_they_had(flights: Flights[str]) -> None:
    """All have begun to tell the answer: each hears what came, and then the error."""
    up = Up("a", "b", "c", failures=[down()], after=2)
    up.gate = asyncio.Semaphore(1)
    readers = [await flights.board("k", up.work) for _ in range(3)]
    up.gate.release()
    heard = []
    for reader in readers:
        heard.append([*reader.held, *await reader.next()])
        with pytest.raises(UpstreamTimeout):
            await reader.next()

    assert heard == [["a", "b"]] * 3
    assert up.calls == 1


async def test_readers_that_leave_in_the_middle_end_the_call_with_the_last(flights: Flights[str]) -> None:
    """The first may go, the last cancels."""
    up = Up("a", "b", "c")
    up.gate = asyncio.Semaphore(1)
    first = await flights.board("k", up.work)
    second = await flights.board("k", up.work)
    await first.aclose()
    await settled()
    ended = up.ended
    await second.aclose()
    await second.aclose()
    await settled()

    assert (ended, up.ended, up.kept) == (0, 1, 0)


async def test_work_that_waits_for_its_readers_is_ended_too(flights: Flights[str]) -> None:
    """Leaving also wakes a flight that is as far ahead as it may be."""
    up = Up(*["12345"] * 100)
    reader = await flights.board("k", up.work)
    await settled()
    await reader.aclose()
    await settled()

    assert (up.made, up.ended) == (5, 1)


# --- the end ---


async def test_closing_ends_all_flights_and_tells_who_waits(flights: Flights[str]) -> None:
    """One that nobody may board any more is ended as well; what was told to its end is still kept."""
    waiting, long, told = Up("Hello"), Up(*["12345"] * 50), Up("Hello")
    waiting.gate = asyncio.Semaphore(0)
    told.tail = asyncio.Event()
    asking = asyncio.ensure_future(read(flights, waiting, "w"))
    reader = await flights.board("l", long.work)
    for _ in range(8):
        await settled()
        await reader.next()
    await read(flights, told, "t")
    closing = asyncio.ensure_future(flights.aclose())
    await settled()
    told.tail.set()
    await closing

    with pytest.raises(GatewayError, match="shutting down") as found:
        await asking
    assert found.value.status == 503
    assert (waiting.ended, long.ended, told.kept) == (1, 1, 1)


def test_each_loop_has_flights_of_its_own() -> None:
    """One gateway may be called in two loops; they never wait for each other."""
    flights: Flights[str] = Flights(len)
    both = threading.Barrier(2, timeout=10)
    calls: list[int] = []

    async def ask() -> None:
        async def work() -> AsyncGenerator[Batch[str], None]:
            # Both are under way at one time.
            both.wait()
            calls.append(1)
            yield Batch(["Hello"], over=True)

        reader = await flights.board("k", work)
        assert reader.led
        await reader.aclose()
        await settled()

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert (len(calls), len(flights)) == (2, 0)
