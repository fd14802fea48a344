"""One try at one target: encode, send, and read until the answer is whole or its stream has content.

A stream is held back until the first event that says something: until then a failure is an
ordinary HTTP error, and nothing has been promised to the client.

What does not live here: choosing the target, sending anything to the client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

from compatgw.dialects import assemble
from compatgw.dialects.base import Answer, Context, Piece
from compatgw.errors import Blame, NotFound, UpstreamFailure, UpstreamTimeout
from compatgw.upstream.client import failed, read_all, read_refusal
from compatgw.upstream.transport import TransportFailed
from compatgw.wire.sse import EventTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.dialects.base import ChatCodec, Outgoing, StreamDecoder
    from compatgw.errors import GatewayError
    from compatgw.flow.call import Call, House
    from compatgw.upstream.client import Endpoint
    from compatgw.upstream.transport import Reply


LEFT = UpstreamFailure("The client left before the end.", blame=Blame.CALLER)
"""Stands for a stream that was not read to its end, through no fault of its upstream."""


class Stream(Protocol):
    """An answer that comes bit by bit.

    Attributes:
        held: What came until its first content.
        over: Nothing more comes.
    """

    held: list[Piece]
    over: bool

    async def next(self, seconds: float | None = None) -> list[Piece]:
        """The next chunks, perhaps none."""
        ...

    async def aclose(self) -> None:
        """Ends it."""
        ...


class Live:
    """A stream that has begun to say something.

    Attributes:
        held: What came until its first content.
    """

    __slots__ = ("_call", "_decoder", "_ended", "_endpoint", "_reply", "_seconds", "held", "over")

    def __init__(self, call: Call, endpoint: Endpoint, reply: Reply, decoder: StreamDecoder, seconds: float) -> None:
        self._call = call
        self._ended: Callable[[UpstreamFailure | None], None] | None = None
        self._endpoint = endpoint
        self._reply = reply
        self._decoder = decoder
        self._seconds = seconds
        self.held: list[Piece] = []
        self.over = False

    def when_ended(self, tell: Callable[[UpstreamFailure | None], None]) -> None:
        """Tells how it ended, once: None for its real end, its failure, or the one that it was left for."""
        self._ended = tell
        if self.over:
            self._end(None)

    def _end(self, failure: UpstreamFailure | None) -> None:
        if self._ended is not None:
            tell, self._ended = self._ended, None
            tell(failure)

    async def next(self, seconds: float | None = None) -> list[Piece]:
        """The next chunks, perhaps none; `over` tells when these were the last.

        Args:
            seconds: How long to wait, instead of the time between chunks.

        Raises:
            UpstreamFailure: The stream failed, stopped, or ended before its protocol allows it.
        """
        try:
            pieces = await self._read(seconds)
        except UpstreamFailure as failure:
            self._end(failure)
            raise
        if self.over:
            self._end(None)
        return pieces

    async def _read(self, seconds: float | None) -> list[Piece]:
        try:
            with self._call.patience.within(self._seconds if seconds is None else seconds, self._stopped):
                data = await self._reply.chunk()
            if data:
                pieces = self._decoder.feed(data)
                if not self._decoder.done:
                    return pieces
                pieces += self._decoder.finish()
            else:
                pieces = self._decoder.finish()
        except TransportFailed as error:
            raise interrupted(self._endpoint, error) from error.__cause__
        except EventTooLarge as error:
            raise UpstreamFailure(f"{self._endpoint.name} sent something that is not a stream: {error}.") from None
        self.over = True
        return pieces

    async def until_content(self, seconds: float) -> None:
        """Reads and holds back until the first chunk that says something, or the end; `seconds` for all of it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.over:
            # Comments keep a wait short for ever; the sum of the waits has its bound, too.
            if (left := end - loop.time()) <= 0:
                raise self._stopped()
            pieces = await self.next(left)
            self.held += pieces
            if any(_says_something(piece) for piece in pieces):
                return

    async def aclose(self) -> None:
        """Ends the call upstream."""
        self._end(LEFT)
        await self._reply.aclose()

    def _stopped(self) -> GatewayError:
        return UpstreamTimeout(
            f"{self._endpoint.name} sent nothing of its answer for too long (limit {self._seconds:g} seconds between "
            "pieces). Send the request again, or allow more time."
        )


class _Way(NamedTuple):
    """What one attempt goes by."""

    call: Call
    house: House
    endpoint: Endpoint
    codec: ChatCodec
    outgoing: Outgoing
    context: Context
    seconds: float


async def attempt(call: Call, house: House, seconds: float) -> Answer | Live:
    """Tries the call's route, for so many seconds: until the whole answer, or a stream's first content.

    Raises:
        GatewayError: It did not deliver; nothing was sent to the client.
    """
    route, endpoint = call.route, call.server
    if route is None or endpoint is None:
        raise RuntimeError("a call is tried after it was let in")
    codec = route.deployment.dialect.chat
    if codec is None:
        raise NotFound(f"{route.target.provider} has no chat completions.", code="unknown_endpoint")
    call.outgoing = outgoing = codec.encode(call.request, route.target)
    context = Context(route.target, f"chatcmpl-{house.ids()}", int(house.clock()), outgoing.memo)
    way = _Way(call, house, endpoint, codec, outgoing, context, seconds)
    try:
        return await (_stream(way) if call.stream else _whole(way))
    except UpstreamFailure as failure:
        failure.message = endpoint.redact(failure.message)
        raise


async def _whole(way: _Way) -> Answer:
    call, house, endpoint, seconds = way.call, way.house, way.endpoint, way.seconds
    with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
        reply = await house.upstream.send(endpoint, way.outgoing)
        try:
            if not 200 <= reply.status < 300:
                raise await _refused(way, reply)
            body = await read_all(endpoint, reply, house.settings.max_answer)
        finally:
            await reply.aclose()
    return way.codec.decode(body, way.context)


async def _stream(way: _Way) -> Live:
    call, house, endpoint, codec = way.call, way.house, way.endpoint, way.codec
    timeouts = house.settings.timeouts
    seconds = way.seconds
    with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
        reply = await house.upstream.send(endpoint, way.outgoing)
    try:
        live = Live(call, endpoint, reply, codec.stream(way.context), call.options.timeout or timeouts.between)
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if 200 <= reply.status < 300 and kind == codec.stream_type:
            await live.until_content(seconds)
            return live
        with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
            if not 200 <= reply.status < 300:
                raise await _refused(way, reply)
            # Some answer a stream with plain JSON: errors with status 200, caches, old proxies.
            body = await read_all(endpoint, reply, house.settings.max_answer)
        live.held = assemble.chunks(codec.decode(body, way.context).completion)
        live.over = True
    except BaseException:
        await reply.aclose()
        raise
    return live


async def _refused(way: _Way, reply: Reply) -> GatewayError:
    endpoint = way.endpoint
    if reply.status < 400:
        return UpstreamFailure(
            f"{endpoint.name} answered with status {reply.status} instead of an answer; redirects are not followed. "
            "Its operator has to check base_url.",
            upstream_status=reply.status,
        )
    body = await read_refusal(endpoint, reply)
    return way.codec.error(reply.status, reply.headers, body, way.context.target)


def _late(endpoint: Endpoint, seconds: float) -> GatewayError:
    return UpstreamTimeout(f"{endpoint.name} did not answer within {seconds:g} seconds. Try again, or allow more time.")


def interrupted(endpoint: Endpoint, error: TransportFailed) -> GatewayError:
    """What a client is told when the connection breaks within a stream."""
    failure = failed(endpoint, error)
    failure.code = "upstream_stream_interrupted"
    return failure


def _says_something(piece: Piece) -> bool:
    for choice in piece.chunk["choices"]:
        if choice["finish_reason"] is not None:
            return True
        for name, value in choice["delta"].items():
            if name != "role" and value:
                return True
    return False
