"""Single flight: identical requests at one time make one upstream call, and all get its answer.

The call upstream is a *flight*. It is a task of its own and belongs to nobody who waits for it: the first
asker, its leader, only begins it. So when the leader leaves, nothing has to be handed over, nothing is
asked of the upstream twice, and the others get their answer; when all have left, the flight is cancelled at once.

What it brings, it brings to all as it comes. Followers of a stream read the same chunks live, those that
come late from the first one on: what is expected of a stream is its first word, not its last. The chunks
are kept once, in a log that all read at their own pace:

* the fastest reader sets the pace. The flight is at most `ahead` bytes before it, so a client that reads
  slowly, and alone, holds its upstream back as it would without any of this;
* a slow one among others holds nobody back. The log keeps what it lacks, up to `limit` bytes; who is further
  behind is cut off, with an error inside its stream that says so;
* once a log is over `limit`, what all have read goes, and nobody may come aboard any more: the next identical
  request begins another flight.

A flight that fails before it brought anything has failed for its leader. For the others it depends (`reach`):

* a request that is itself at fault (the upstream's 400, no such model) fails for all: it would again;
* a wallet, budget or limit that is too small is the leader's own: each of the others tries for itself;
* everything else may be over in a moment, and a thousand must not fail with the one that was unlucky. The next
  in line leads a second flight, with retries and fallbacks of its own, and the others go with it. Who has waited
  for two fails with the second: two independent plans that fail say something about the upstream, and nobody
  waits for a row of them. A failure after the first item goes to all readers, who have begun to tell it.

In one process and loop: others make their own call. What a flight brings is shared: read it, never change it.

What does not live here: which requests are identical (`policy/cachekey.py`), keeping answers (`cache.py`),
what the call upstream is and who pays for it (`run.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from compatgw.errors import (
    Blame,
    Forbidden,
    GatewayError,
    InsufficientQuota,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    StreamInterrupted,
    UpstreamFailure,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.flow.call import Headers

Item = TypeVar("Item")
Reach = Literal["all", "again", "leader"]

_log = logging.getLogger("compatgw")
_TWICE = 2
_OF_THE_REQUEST = (InvalidRequest, NotFound, Forbidden)
_OF_THE_LEADER = (InsufficientQuota, RateLimited)
_OF_THE_REQUEST_UPSTREAM = frozenset({Blame.CALLER, Blame.CONTEXT, Blame.MODEL})


class Batch(NamedTuple, Generic[Item]):
    """What a flight brings next.

    Attributes:
        over: These are the last.
        about: With the first: headers that every reader tells of it.
    """

    items: Sequence[Item]
    over: bool = False
    about: Headers = ()


Work = Callable[[], AsyncGenerator[Batch[Item], None]]
"""Begins the call upstream. A batch with `over` is the last; what stands behind it, such as keeping the answer,
still runs, and is not cancelled by readers that leave. It raises `GatewayError` alone. Once it was called, its body
is always begun, even when all have left by then: what it took over, it can give back in a `finally`."""


def reach(failure: GatewayError) -> Reach:
    """Whom a failure is for: all who wait, its leader alone, or who has tried before."""
    if isinstance(failure, UpstreamFailure):
        return "all" if failure.blame in _OF_THE_REQUEST_UPSTREAM else "again"
    if isinstance(failure, _OF_THE_LEADER):
        return "leader"
    return "all" if isinstance(failure, _OF_THE_REQUEST) else "again"


class Flights(Generic[Item]):
    """The flights of one gateway that bring one kind of thing, such as whole answers or chunks.

    Args:
        weigh: Bytes that an item takes up in memory.
        limit: Bytes that one log may hold, and that one reader may be behind.
        ahead: Bytes that a flight may be before its fastest reader.
    """

    __slots__ = ("_ahead", "_flights", "_limit", "_tasks", "_weigh")

    def __init__(self, weigh: Callable[[Item], int], *, limit: int = 8 << 20, ahead: int = 256 << 10) -> None:
        self._weigh = weigh
        self._limit = limit
        self._ahead = min(ahead, limit)
        self._flights: dict[tuple[asyncio.AbstractEventLoop, str], _Flight[Item]] = {}
        # All of them, even those that nobody can come aboard of any more.
        self._tasks: dict[asyncio.Task[None], _Flight[Item]] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._tasks)

    async def board(self, key: str, work: Work[Item]) -> Reader[Item]:
        """Goes with the flight of `key`, or begins it; returns when it has brought something.

        Args:
            key: What identical requests have in common.
            work: The call upstream, for the case that there is none under way.

        Raises:
            GatewayError: The flight failed; see above for whom.
        """
        waited = 0
        place = (asyncio.get_running_loop(), key)
        while True:
            flight = self._flights.get(place)
            led = flight is None
            if flight is None:
                flight = self._begin(place, work)
            reader = Reader(flight, led=led)
            try:
                reader.held = await reader.next()
            except GatewayError as failure:
                await reader.aclose()
                waited += 1
                kind = reach(failure)
                if led or kind == "all" or (kind == "again" and waited >= _TWICE):
                    raise
            except BaseException:
                await reader.aclose()
                raise
            else:
                return reader

    async def aclose(self) -> None:
        """Ends those of the running loop, and waits for their end. What was told to its end is still kept."""
        loop = asyncio.get_running_loop()
        while own := {task: flight for task, flight in self._tasks.items() if task.get_loop() is loop}:
            for flight in own.values():
                flight.cancel()
            await asyncio.wait(own)

    def _begin(self, place: tuple[asyncio.AbstractEventLoop, str], work: Work[Item]) -> _Flight[Item]:
        flight = _Flight(self._weigh, self._limit, self._ahead, lambda: self._forget(place, flight))
        self._flights[place] = flight
        task = place[0].create_task(flight.fly(work()))
        flight.task = task
        self._tasks[task] = flight
        task.add_done_callback(self._tasks.__delitem__)
        return flight

    def _forget(self, place: tuple[asyncio.AbstractEventLoop, str], flight: _Flight[Item]) -> None:
        if self._flights.get(place) is flight:
            del self._flights[place]


class Reader(Generic[Item]):
    """One asker's way through what a flight brings; to be read like `attempt.Live`.

    Attributes:
        held: What had come when it came aboard.
        over: True once the last item was handed out.
        led: It began the flight: its caller is who pays for it.
    """

    __slots__ = ("_flight", "at", "cut", "held", "led", "over", "taken")

    def __init__(self, flight: _Flight[Item], *, led: bool) -> None:
        self._flight = flight
        self.led = led
        self.held: list[Item] = []
        self.over = False
        # Items and bytes from the flight's beginning that it has read.
        self.at = 0
        self.taken = 0
        self.cut = False
        flight.readers.add(self)

    @property
    def about(self) -> Headers:
        """What the flight's first batch said of it."""
        return self._flight.about

    async def next(self) -> list[Item]:
        """All items that have come since; waits for some, unless these were the last.

        Raises:
            GatewayError: The flight failed, or went too far ahead of this reader.
        """
        flight = self._flight
        while True:
            if self.cut:
                raise StreamInterrupted(
                    "The answer was read too slowly: what follows is no longer there. Send the request again, and "
                    "read faster."
                )
            if (items := flight.read(self)) or self.over:
                return items
            if flight.failure is not None:
                raise _twin(flight.failure)
            await flight.news.wait()

    async def aclose(self) -> None:
        """Leaves. The last to leave a flight that is not over ends it."""
        self._flight.leave(self)


class _Flight(Generic[Item]):
    """One call upstream, what it brought, and who reads it.

    Attributes:
        about: What the first batch said of it.
        news: Set, and then another, whenever something has come.
        failure: How it failed.
    """

    __slots__ = (
        "_ahead", "_base", "_begun", "_bytes", "_cancelled", "_forget", "_front", "_limit", "_log", "_open", "_over",
        "_taken", "_total", "_weigh", "_weights", "about", "failure", "news", "readers", "task",
    )  # fmt: skip

    def __init__(self, weigh: Callable[[Item], int], limit: int, ahead: int, forget: Callable[[], None]) -> None:
        self._weigh = weigh
        self._limit = limit
        self._ahead = ahead
        self._forget = forget
        self._log: list[Item] = []
        self._weights: list[int] = []
        # Items that went from the log's beginning; bytes in it; bytes that ever came, and that any reader has taken.
        self._base = 0
        self._bytes = 0
        self._total = 0
        self._front = 0
        self._taken = asyncio.Event()
        self._open = True
        self._begun = False
        self._cancelled = False
        self._over = False
        self.about: Headers = ()
        self.readers: set[Reader[Item]] = set()
        self.news = asyncio.Event()
        self.failure: GatewayError | None = None
        self.task: asyncio.Task[None] | None = None

    # --- the flight ---

    async def fly(self, work: AsyncGenerator[Batch[Item], None]) -> None:
        self._begun = True
        if self._cancelled:
            # The work begins all the same, and meets this at its first wait.
            _cancel(asyncio.current_task())
        try:
            async with contextlib.aclosing(work):
                await self._follow(work)
        except GatewayError as failure:
            self._fail(failure)
        except asyncio.CancelledError:
            self._fail(Overloaded("The gateway is shutting down. Send the request again.", retry_after=1))
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, everybody who waits has to be told
            _log.exception("A call that several may wait for failed inside the gateway.")
            broken = GatewayError("The gateway failed inside. Its operator finds the reason in its log.")
            broken.__cause__ = error
            self._fail(broken)
        finally:
            # Before anybody runs who was told of a failure: the first begins the next flight, the others find that.
            self._close()

    async def _follow(self, work: AsyncGenerator[Batch[Item], None]) -> None:
        async for items, over, about in work:
            self.about = self.about or about
            self._add(items)
            self._over = self._over or over
            if items or over:
                self._tell()
            while not over and self._total - self._front >= self._ahead:
                self._taken.clear()
                await self._taken.wait()
        if not self._over:
            raise StreamInterrupted("The answer ended before it was complete. Send the request again.")

    def _add(self, items: Sequence[Item]) -> None:
        before = self._total
        for item in items:
            weight = self._weigh(item)
            self._log.append(item)
            self._weights.append(weight)
            self._bytes += weight
            self._total += weight
        if self._bytes <= self._limit:
            return
        self._close()
        for reader in list(self.readers):
            # Whoever had all before this batch is not behind, however large the batch is.
            if before - reader.taken > self._limit:
                reader.cut = True
                self.readers.discard(reader)
        self._trim()

    def _trim(self) -> None:
        """Lets go of what all have read, once nobody can come aboard any more."""
        read = min((reader.at for reader in self.readers), default=self._base) - self._base
        if read > 0:
            self._bytes -= sum(self._weights[:read])
            del self._log[:read], self._weights[:read]
            self._base += read

    def _fail(self, failure: GatewayError) -> None:
        if self._over:
            # All of it was told; what failed came after.
            _log.error("An answer was told, but what follows it failed: %s", failure.message)
            return
        self.failure = failure
        self._tell()

    def _tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._forget()

    # --- its readers ---

    def read(self, reader: Reader[Item]) -> list[Item]:
        """What `reader` has not read yet."""
        items = self._log[reader.at - self._base :]
        reader.at = self._base + len(self._log)
        reader.taken = self._total
        reader.over = self._over
        if reader.taken > self._front:
            self._front = reader.taken
            self._taken.set()
        return items

    def leave(self, reader: Reader[Item]) -> None:
        """`reader` wants no more."""
        self.readers.discard(reader)
        if not self.readers:
            self.cancel()

    def cancel(self) -> None:
        """Ends it, unless it has brought all that it had to: what is left then is to keep it."""
        if self._over or self.failure is not None:
            return
        self._close()
        if not self._cancelled:
            self._cancelled = True
            if self._begun:
                _cancel(self.task)


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _twin(failure: GatewayError) -> GatewayError:
    """The same failure for one more reader: raising one object in a thousand tasks strings their traces together."""
    twin = type(failure).__new__(type(failure), *failure.args)
    twin.__dict__.update(failure.__dict__)
    twin.__cause__ = failure
    return twin
