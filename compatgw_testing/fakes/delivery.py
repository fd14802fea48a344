"""The ASGI side of a fake: reads a request, sends an answer, and lets it go wrong as the script says.

What does not live here: what is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compatgw_testing.fakes.answer import Answer, Chat, Problem
    from compatgw_testing.journal import Call
    from compatgw_testing.script import Fault

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Pace = Callable[[int], Awaitable[None]]


class ConnectionCut(ConnectionError):
    """The fake breaks the connection, as its script says; the server below it closes the socket."""


def bent(chat: Chat, fault: Fault, frames: Iterable[Frame], error: Problem | None) -> Iterator[Frame]:
    """The frames of a stream as a fault leaves them; where it ends in a break, `deliver` breaks."""
    done = False
    for number, frame in enumerate(frames):
        # A stream shorter than `after` still goes wrong: at its end, rather than not at all.
        late = frame.end and fault.kind in ("garbage", "error_event") and not done
        if number == fault.after or late:
            done = True
            if fault.kind == "garbage":
                yield Frame(chat.garbage())
            else:
                if error is not None:
                    yield from chat.error_frames(error)
                return
        if fault.kind == "truncate" and fault.after is None and frame.end:
            return
        yield frame


async def deliver(call: Call, answer: Answer, receive: Receive, send: Send, pace: Pace | None) -> None:
    """Sends `answer` as its fault bends it, and notes in `call` how it ended.

    Raises:
        ConnectionCut: The script breaks the connection.
    """
    call.status = answer.status
    left = asyncio.ensure_future(_left(receive))
    try:
        if answer.frames is None:
            await _send_body(call, answer, left, send)
        else:
            await _send_frames(call, answer, left, send, pace)
    finally:
        left.cancel()
    if call.outcome == "pending":
        call.outcome = "completed" if answer.fault is None else "faulted"


async def _send_frames(call: Call, answer: Answer, left: asyncio.Future[None], send: Send, pace: Pace | None) -> None:
    await send(_head(answer))
    for frame in answer.frames or ():
        if pace is not None:
            await pace(call.sent)
        if left.done():
            call.outcome = "client_closed"
            return
        await send({"type": "http.response.body", "body": frame.data, "more_body": True})
        call.sent += 1
    await _break_off(call, answer.fault, left)
    if call.outcome == "pending":
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _break_off(call: Call, fault: Fault | None, left: asyncio.Future[None]) -> None:
    if fault is not None and fault.kind == "cut":
        call.outcome = "faulted"
        raise ConnectionCut("the script cuts the connection here")
    if fault is not None and fault.kind == "stall":
        call.outcome = "faulted"
        await left
        call.outcome = "client_closed"


async def _send_body(call: Call, answer: Answer, left: asyncio.Future[None], send: Send) -> None:
    fault, body = answer.fault, answer.body
    if fault is not None and fault.kind == "stall":
        await _break_off(call, fault, left)
        return
    if fault is not None and fault.kind in ("truncate", "garbage"):
        body = body[: len(body) // 2]
    answer.headers.append(("content-length", str(len(body))))
    await send(_head(answer))
    if fault is not None and fault.kind == "cut":
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await _break_off(call, fault, left)
    await send({"type": "http.response.body", "body": body, "more_body": False})


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
