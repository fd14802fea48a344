"""Replaying: an application that gives recorded answers again, for clients in any language.

Chunk for chunk, at once or at the speed of the recording, and ending as it ended. What does not live here: which answer
a request gets (`match.py`), the port (`server.py` of the package).
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final

from compatgw_testing.cassettes.format import Chunk, Interaction
from compatgw_testing.cassettes.incoming import ClientGone, request_of, while_there
from compatgw_testing.cassettes.match import Matcher
from compatgw_testing.cassettes.scrub import Scrubber
from compatgw_testing.cassettes.services import dialect_of
from compatgw_testing.cassettes.telling import error_answer
from compatgw_testing.doors.lifespan import answer_lifespan
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused, ReadTimedOut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping

    from compatgw_testing.cassettes.format import Head, RecordedRequest
    from compatgw_testing.doors.exchange import Receive, Send

MISS: Final = "no_cassette_match"
_LARGEST_PIECE: Final = 48


class Replay:
    """An ASGI application that answers from recorded interactions, each below `/SERVICE`.

    Args:
        answers: What is given to whom; or interactions, each given once.
        speed: 0 gives everything at once, 1 in the recorded time, 2 in half of it.
        rechunk: A seed: chunks are cut anew, at places that follow from it. Default: as recorded.
        scrubber: Takes secrets out of what comes in, as they were taken out of what was recorded.
        sleep: Waits for seconds.
        clock: Seconds.

    Attributes:
        misses: What was said of each request that nothing answered.

    Raises:
        ValueError: `speed` is negative.
    """

    def __init__(
        self,
        answers: Matcher | Iterable[Interaction],
        *,
        speed: float = 0.0,
        rechunk: int | str | None = None,
        scrubber: Scrubber | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed={speed}: time does not run backwards; 0 is at once, 1 as recorded")
        self.answers = answers if isinstance(answers, Matcher) else Matcher(answers)
        self.misses: list[str] = []
        self._speed = speed
        self._rechunk = rechunk
        self._scrubber = Scrubber() if scrubber is None else scrubber
        self._sleep = sleep
        self._clock = clock

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        try:
            request = await request_of(scope, receive, self.answers.services)
        except ClientGone:
            return
        interaction = self.taken(request)
        if interaction is None:
            await self.refuse(request, send)
        else:
            await self.play(interaction, scope, receive, send)

    def taken(self, request: RecordedRequest) -> Interaction | None:
        """The next recorded answer to a request, if there is one."""
        return self.answers.take(self._scrubber.request(request))

    async def refuse(self, request: RecordedRequest, send: Send) -> None:
        """Answers a request that nothing was recorded for, and notes it."""
        message = self.answers.miss(self._scrubber.request(request))
        self.misses.append(message)
        await error_answer(send, dialect_of(request.service), 400, MISS, message)

    async def play(
        self, interaction: Interaction, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Gives one answer.

        Raises:
            ConnectionCut: The answer was cut here, or it stalled, or its client left here.
            ConnectionReset: The connection was reset here.
            ConnectRefused: There was no connection.
            ReadTimedOut: It stalled here, and the door plays time.
        """
        try:
            await while_there(receive, self._play(interaction, scope, send))
        except ClientGone:
            return

    async def _play(self, one: Interaction, scope: MutableMapping[str, Any], send: Send) -> None:
        began = self._clock()
        if one.head is not None:
            await self._until(began, one.head.t_ms)
            await send(_start(one.head, one))
            pieces = one.chunks if self._rechunk is None else rechunked(one.chunks, self._rechunk)
            for chunk in pieces:
                await self._until(began, chunk.t_ms)
                await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
        await self._until(began, one.end.t_ms)
        await self._end(one, scope, send)

    async def _end(self, one: Interaction, scope: MutableMapping[str, Any], send: Send) -> None:
        kind = one.end.kind
        able = (scope.get("extensions") or {}).get("compatgw_testing") or {}
        if kind == "eof" and one.head is not None:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif kind == "reset":
            if (reset := able.get("reset")) is not None:
                await reset()
            raise ConnectionReset("the recorded connection was reset here")
        elif kind == "refused":
            raise ConnectRefused("the recorded connection was refused")
        elif kind == "timeout" and able.get("virtual"):
            raise ReadTimedOut("nothing more came while this was recorded")
        else:
            raise ConnectionCut(f"the recorded answer ends here ({kind})")

    async def _until(self, began: float, t_ms: float) -> None:
        if self._speed:
            wait = began + t_ms / 1000 / self._speed - self._clock()
            if wait > 0:
                await self._sleep(wait)


def rechunked(chunks: Iterable[Chunk], seed: int | str) -> Iterator[Chunk]:
    """The same bytes, cut at other places: within events, lines, characters. A piece comes when its last byte did.

    Args:
        chunks: As recorded.
        seed: From which the places follow.
    """
    recorded = tuple(chunks)
    body = b"".join(chunk.data for chunk in recorded)
    places = random.Random(f"{seed}|{len(body)}")  # the same for the same answer, whatever was asked before
    ends: list[tuple[int, float]] = []
    for chunk in recorded:
        ends.append((len(chunk.data) + (ends[-1][0] if ends else 0), chunk.t_ms))
    at = number = 0
    while at < len(body):
        upto = min(len(body), at + places.randint(1, places.choice((1, 3, _LARGEST_PIECE))))
        while ends[number][0] < upto:
            number += 1
        yield Chunk(ends[number][1], body[at:upto])
        at = upto


def _start(head: Head, one: Interaction) -> dict[str, Any]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    if one.end.kind == "eof" and one.request.method != "HEAD":
        # A file may have been edited by hand.
        length = str(len(one.body)).encode()
        headers = [(name, length if name == b"content-length" else value) for name, value in headers]
    return {"type": "http.response.start", "status": head.status, "headers": headers}
