"""The ASGI side of a fake: reads a request, sends an answer, and lets it go wrong as the script says.

What does not live here: what is answered.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw_testing.fakes.answer import Frame
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused, ReadTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compatgw_testing.clock import Timeline
    from compatgw_testing.fakes.answer import Answer, Chat, Problem
    from compatgw_testing.faults import Fault
    from compatgw_testing.journal import Call

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Pace = Callable[[int], Awaitable[None]]


class Line(NamedTuple):
    """Where an answer goes.

    Attributes:
        receive: Of ASGI.
        send: Of ASGI.
        timeline: The waits of the call.
        reset: Resets the connection, once all that was sent has left; None if the door cannot.
        pace: Awaited with its number before each stream event.
    """

    receive: Receive
    send: Send
    timeline: Timeline
    reset: Callable[[], Awaitable[None]] | None
    pace: Pace | None


def bent(chat: Chat, fault: Fault, frames: Iterable[Frame], error: Problem | None) -> Iterator[Frame]:
    """The frames of a stream as a fault leaves them; where it ends in a break, `deliver` breaks."""
    done = False
    held: Frame | None = None
    for number, frame in enumerate(frames):
        # A stream shorter than `after` still goes wrong: at its end, rather than not at all.
        late = frame.end and fault.kind in ("garbage", "bad_utf8", "error_event") and not done
        if fault.bytes is None and fault.kind in _AT_AN_EVENT and (number == fault.after or late):
            done = True
            if held is not None:
                yield held
                held = None
            if fault.kind == "garbage":
                yield Frame(chat.garbage())
            elif fault.kind == "bad_utf8":
                yield Frame(chat.garbage().replace(b"{", b"{\xff", 1))
            else:
                if error is not None:
                    yield from chat.error_frames(error)
                return
        if fault.kind == "truncate" and fault.after is None and fault.bytes is None and frame.end:
            break
        # One frame is held back, so that the last is known: the mark after which no more comes.
        if held is not None:
            yield held
        held = frame
    if held is not None and fault.kind != "no_end_mark":
        yield held
        if fault.kind == "two_end_marks":
            yield held


_AT_AN_EVENT = ("cut", "reset", "stall", "truncate", "garbage", "bad_utf8", "error_event")


async def deliver(call: Call, answer: Answer, line: Line) -> None:
    """Sends `answer` as its fault bends it, and notes in `call` how it ended.

    Raises:
        ConnectionCut: The script breaks the connection.
        ConnectionReset: The script resets it.
        ConnectRefused: The script refuses it.
        ReadTimedOut: On virtual time, the client would not have waited so long.
    """
    call.status = answer.status
    left = asyncio.ensure_future(_left(line.receive))
    try:
        await _Delivery(call, answer, line, left).run()
    except ReadTimedOut:
        call.outcome = "faulted"
        raise
    finally:
        left.cancel()
    if call.outcome == "pending":
        call.outcome = "completed" if answer.fault is None else "faulted"


class _Gone(Exception):
    """The client left."""


class _Delivery:
    """One answer on its way."""

    def __init__(self, call: Call, answer: Answer, line: Line, left: asyncio.Future[None]) -> None:
        self._call = call
        self._answer = answer
        self._line = line
        self._left = left
        self._kind = None if answer.fault is None else answer.fault.kind
        self._fault = answer.fault
        self._bytes = 0

    async def run(self) -> None:
        """Sends it all, or as much as the fault lets through."""
        if self._kind == "refuse":
            self._call.outcome = "faulted"
            self._call.status = None
            raise ConnectRefused("the script refuses the connection")
        try:
            if self._kind == "slow" and self._fault is not None:
                await self._wait(self._fault.seconds)
            if self._answer.frames is None:
                await self._body()
            else:
                await self._frames(self._answer.frames)
        except _Gone:
            self._call.outcome = "client_closed"

    async def _frames(self, frames: Iterable[Frame]) -> None:
        await self._line.send(_head(self._answer))
        for frame in frames:
            rate = self._answer.rate
            await self._wait(self._answer.first if not self._call.sent else 1 / rate if rate else 0.0)
            if self._line.pace is not None:
                await self._line.pace(self._call.sent)
            if self._left.done():
                raise _Gone
            if not await self._write(frame.data):
                break
            self._call.sent += 1
        await self._end()

    async def _body(self) -> None:
        await self._wait(self._answer.first)
        fault, body = self._fault, self._answer.body
        if self._kind == "stall":
            self._call.outcome = "faulted"
            await self._stall()
        if self._kind in ("truncate", "garbage"):
            body = body[: len(body) // 2 if fault is None or fault.bytes is None else fault.bytes]
        if self._kind == "bad_utf8":
            body = body.replace(b"{", b"{\xff", 1)
        self._answer.headers.append(("content-length", str(len(body))))
        await self._line.send(_head(self._answer))
        if self._kind in ("cut", "reset"):
            body = body[: len(body) // 4 if fault is None or fault.bytes is None else fault.bytes]
        if self._kind is None and self._answer.cut is None:
            # Nothing goes wrong: head and body leave in one write, as a server writes them.
            self._note(body)
            await self._line.send({"type": "http.response.body", "body": body, "more_body": False})
            return
        if body:
            await self._write(body)
        await self._end()

    async def _write(self, data: bytes) -> bool:
        """Writes one frame in the pieces that are asked for; False once the fault stops everything."""
        room = None
        if self._fault is not None and self._fault.bytes is not None:
            room = self._fault.bytes - self._bytes
            data = data[:room]
        for piece in _cut(data, 1 if self._kind == "dribble" else self._answer.cut, split=self._kind == "split_utf8"):
            if self._kind == "dribble" and self._fault is not None:
                await self._wait(self._fault.seconds)
            if self._left.done():
                raise _Gone
            self._note(piece)
            await self._line.send({"type": "http.response.body", "body": piece, "more_body": True})
            self._line.timeline.sent()
        return room is None or len(data) < room

    def _note(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._call.pieces.append((round(self._line.timeline.elapsed, 6), piece))

    async def _end(self) -> None:
        """The end of an answer: a break, a wait without end, or a clean one."""
        if self._kind in ("cut", "reset", "stall"):
            self._call.outcome = "faulted"
        if self._kind == "stall":
            await self._stall()
        if self._kind == "reset":
            if self._line.reset is not None:
                await self._line.reset()
            raise ConnectionReset("the script resets the connection here")
        if self._kind == "cut":
            raise ConnectionCut("the script cuts the connection here")
        await self._line.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stall(self) -> None:
        await self._line.timeline.wait(math.inf, self._left)
        raise _Gone

    async def _wait(self, seconds: float) -> None:
        if seconds > 0 and not await self._line.timeline.wait(seconds, self._left):
            raise _Gone


def _cut(data: bytes, size: int | None, *, split: bool) -> Iterator[bytes]:
    """`data` in pieces: of `size` bytes, or whole, or with every cut within a character."""
    if split:
        start = 0
        for at, byte in enumerate(data):
            if byte & 0xC0 == 0x80 and data[at - 1] & 0xC0 == 0xC0:  # the second byte of a character
                yield data[start:at]
                start = at
        yield data[start:]
    elif size is None:
        yield data
    else:
        yield from (data[at : at + size] for at in range(0, len(data), size))


def _head(answer: Answer) -> Message:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def read_body(call: Call, receive: Receive, limit: int) -> bool:
    """Reads the body, a little more than `limit` at most; False if the client left before its end."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            call.outcome = "client_closed"
            return False
        if size <= limit:
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        if not message.get("more_body", False):
            call.raw = b"".join(parts)
            return True


async def _left(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def lifespan(receive: Receive, send: Send) -> None:
    """Answers start-up and shutdown; a fake needs neither."""
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
