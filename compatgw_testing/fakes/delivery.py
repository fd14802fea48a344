"""The ASGI side of a fake: reads a request, sends an answer, and lets it go wrong as the script says.

What does not live here: what is answered.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from compatgw_testing.fakes.answer import Frame
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused, ReadTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compatgw_testing.clock import Timeline
    from compatgw_testing.doors.exchange import Message, Receive, Send
    from compatgw_testing.fakes.answer import Answer, Chat, Problem
    from compatgw_testing.faults import Fault
    from compatgw_testing.journal import Call

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
    whole = list(frames)
    if fault.bytes is not None or fault.kind not in _AT_AN_EVENT:
        yield from _marked(whole, fault)
        return
    # A stream shorter than `after` still goes wrong: before its end, rather than not at all.
    ending = next((number for number, frame in enumerate(whole) if frame.end), len(whole))
    if fault.after is None:
        at = ending
    elif fault.after < len(whole) or fault.kind in ("cut", "reset", "stall"):
        at = fault.after
    else:
        at = max(0, len(whole) - 1) if fault.kind == "truncate" else ending
    yield from whole[:at]
    if fault.kind == "error_event":
        if error is not None:
            chat.sent = at
            yield from chat.error_frames(error)
    elif fault.kind == "garbage":
        yield Frame(chat.garbage())
        yield from whole[at:]
    elif fault.kind == "bad_utf8":
        yield from (frame._replace(data=spoiled(frame.data)) for frame in whole[at : at + 1])
        yield from whole[at + 1 :]


def spoiled(data: bytes) -> bytes:
    """JSON, or an event of it, with a byte that is no UTF-8: in a text of the model's if there is one."""
    for opening in (b'"text":"', b'"content":"', b'":"', b'": "', b"{", b""):
        before, found, after = data.rpartition(opening) if opening else (b"", b"", data)
        if found == opening:
            break
    return before + found + b"\xff" + after


def _marked(frames: list[Frame], fault: Fault) -> list[Frame]:
    """The frames without the mark after which no more comes, or with two of it."""
    if fault.kind == "no_end_mark":
        return frames[:-1]
    return [*frames, *frames[-1:]] if fault.kind == "two_end_marks" else frames


# Faults after which a client still waits for something.
_OPEN = ("cut", "reset", "stall")
# Faults that leave a part of a plain answer.
_IN_PART = (*_OPEN, "truncate", "garbage")
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
    call.virtual = line.timeline.virtual
    left = asyncio.ensure_future(client_left(line.receive))
    try:
        await _Delivery(call, answer, line, left).run()
    except ReadTimedOut:
        # What this client does is what a client in real time does: it leaves.
        call.outcome = "client_closed"
        raise
    except asyncio.CancelledError:
        if call.ended is None:
            call.outcome = "client_closed"
        raise
    finally:
        call.ended = time.monotonic() if call.ended is None else call.ended
        call.status = None if call.answered is None else call.status
        left.cancel()
        await asyncio.wait((left,), timeout=1)


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
        await self._open()
        rest = iter(frames)
        frame, number = next(rest, None), 0
        while frame is not None:
            following = next(rest, None)
            rate = self._answer.rate
            await self._wait(self._answer.first if number == 0 else 1 / rate if rate else 0.0)
            if self._line.pace is not None:
                await self._line.pace(number)
            if self._left.done():
                raise _Gone
            await self._write(frame, last=following is None)
            if self._room() == 0:
                break
            frame, number = following, number + 1
        await self._end()

    async def _body(self) -> None:
        await self._wait(self._answer.first)
        fault, body = self._fault, self._answer.body
        if self._kind == "stall":
            await self._stall()
        if self._kind in ("truncate", "garbage"):
            body = body[: len(body) // 2 if fault is None or fault.bytes is None else fault.bytes]
        if self._kind == "bad_utf8":
            body = spoiled(body)
        self._answer.headers.append(("content-length", str(len(body))))
        await self._open()
        if self._kind in ("cut", "reset"):
            body = body[: len(body) // 4 if fault is None or fault.bytes is None else fault.bytes]
        if self._kind is None and self._answer.cut is None:
            # Nothing goes wrong: head and body leave in one write, as a server writes them.
            if body:
                self._note(body)
            self._call.finished = True
            self._done()
            await self._line.send({"type": "http.response.body", "body": body, "more_body": False})
            return
        if body:
            await self._write(Frame(body), last=True)
        await self._end()

    async def _open(self) -> None:
        self._call.response_headers = {name.lower(): value for name, value in self._answer.headers}
        self._call.answered = time.monotonic()
        await self._line.send(_head(self._answer))
        self._line.timeline.sent()

    def _room(self) -> int | None:
        """Bytes that the fault still lets through; None if it does not count them."""
        return None if self._fault is None or self._fault.bytes is None else self._fault.bytes - self._bytes

    async def _write(self, frame: Frame, *, last: bool) -> None:
        """Writes one frame, or as much of it as the fault lets through, in the pieces that are asked for."""
        part = frame.data[: self._room()]
        size = 1 if self._kind == "dribble" else self._answer.cut
        pieces = list(cut(part, size, split=self._kind == "split_utf8"))
        for number, piece in enumerate(pieces, 1):
            if self._kind == "dribble" and self._fault is not None:
                await self._wait(self._fault.seconds)
            if self._left.done():
                raise _Gone
            self._note(piece)
            if number == len(pieces) and len(part) == len(frame.data):
                self._whole(frame, last)
            await self._line.send({"type": "http.response.body", "body": piece, "more_body": True})
            self._line.timeline.sent()

    def _whole(self, frame: Frame, last: bool) -> None:
        """Notes that a frame leaves whole, before it does: what a client has, its test finds in the journal."""
        if self._answer.frames is None:
            self._call.finished = self._kind not in _IN_PART
        else:
            self._call.sent += 1
            self._call.finished = self._call.finished or (frame.end and self._kind != "error_event")
        if last and self._kind not in _OPEN:
            self._done()

    def _done(self) -> None:
        """Nothing more comes that a client would have to wait for."""
        if self._call.outcome == "pending":
            self._call.outcome = "completed" if self._answer.fault is None else "faulted"
        if self._call.ended is None:
            self._call.ended = time.monotonic()

    def _note(self, piece: bytes) -> None:
        self._bytes += len(piece)
        self._call.pieces.append((round(self._line.timeline.elapsed, 6), piece))

    async def _end(self) -> None:
        """The end of an answer: a break, a wait without end, or a clean one."""
        if self._kind == "stall":
            await self._stall()
        self._done()
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


def cut(data: bytes, size: int | None, *, split: bool = False) -> Iterator[bytes]:
    """`data` in pieces, none empty: of `size` bytes, or whole, or with every cut within a character."""
    if split:
        start = 0
        for at, byte in enumerate(data):
            if byte & 0xC0 == 0x80 and data[at - 1] & 0xC0 == 0xC0:  # the second byte of a character
                yield data[start:at]
                start = at
        data = data[start:]
        size = None
    step = size or len(data) or 1
    yield from (data[at : at + step] for at in range(0, len(data), step))


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


async def client_left(receive: Receive) -> None:
    """Returns when the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
