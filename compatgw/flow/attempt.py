"""One try at one target: encode, send, and read until the answer is whole or its stream has content.

A stream is held back until the first event that says something: until then a failure is an
ordinary HTTP error, and nothing has been promised to the client.

What does not live here: choosing the target, sending anything to the client.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from compatgw.dialects import assemble
from compatgw.dialects.base import Answer, Context, Piece, unstreamed
from compatgw.errors import UpstreamFailure, UpstreamTimeout
from compatgw.flow.call import EVENTS, JSON
from compatgw.flow.prepare import prepared
from compatgw.flow.sieve import Sieve
from compatgw.flow.watching import trying
from compatgw.upstream.client import failed, read_all, read_refusal
from compatgw.upstream.transport import TransportFailed
from compatgw.wire.sse import EventTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.dialects.base import Codec, Outgoing, Part, Result, StreamDecoder
    from compatgw.errors import GatewayError
    from compatgw.flow.call import Call, House
    from compatgw.upstream.client import Endpoint
    from compatgw.upstream.transport import Reply


Ending = Literal["whole", "left"] | UpstreamFailure
"""How a stream ended: by its real end, by its reader leaving it, or by a failure."""


class Stream(Protocol):
    """An answer that comes bit by bit.

    Attributes:
        held: What came until its first content.
        over: Nothing more comes.
        type: Its content type, as far as the upstream knows it.
    """

    held: list[Any]
    over: bool
    type: str

    async def next(self, seconds: float | None = None) -> list[Any]:
        """The next pieces, perhaps none."""
        ...

    async def aclose(self) -> None:
        """Ends it."""
        ...


class Known:
    """An answer that is there already, read like a stream that has come to its end."""

    __slots__ = ("held", "over", "type")

    def __init__(self, held: list[Any], type: str = "") -> None:
        self.held = held
        self.over = True
        self.type = type

    async def next(self, seconds: float | None = None) -> list[Any]:
        """Nothing more."""
        return []

    async def aclose(self) -> None:
        """Does nothing: there is nothing to close."""


class Live:
    """A stream that has begun to say something.

    Attributes:
        held: What came until its first content.
    """

    __slots__ = (
        "_call", "_decoder", "_ended", "_endpoint", "_reply", "_seconds", "held", "over", "sieve", "type",
    )  # fmt: skip

    def __init__(self, call: Call, endpoint: Endpoint, reply: Reply, decoder: StreamDecoder, seconds: float) -> None:
        self._call = call
        self._ended: Callable[[Ending], None] | None = None
        self._endpoint = endpoint
        self._reply = reply
        self._decoder = decoder
        self._seconds = seconds
        self.held: list[Any] = []
        self.over = False
        self.type = reply.headers.get("content-type", "")
        self.sieve: Sieve | None = None

    @property
    def skipped(self) -> int:
        """Events that were left out because nobody can read them."""
        return self.sieve.skipped if self.sieve is not None else 0

    def when_ended(self, tell: Callable[[Ending], None]) -> None:
        """Tells how it ended, once."""
        self._ended = tell
        if self.over:
            self._end("whole")

    def _end(self, ending: Ending) -> None:
        if self._ended is not None:
            tell, self._ended = self._ended, None
            tell(ending)

    async def next(self, seconds: float | None = None) -> list[Any]:
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
            self._end("whole")
        return pieces

    async def _read(self, seconds: float | None) -> list[Any]:
        decoder, sieve = self._decoder, self.sieve
        try:
            with self._call.patience.within(self._seconds if seconds is None else seconds, self._stopped):
                data = await self._reply.chunk()
            if sieve is not None:
                over = not data
                data = sieve.feed(data) if data else sieve.finish()
                pieces = decoder.feed(data) if data else []
                if not over and not decoder.done:
                    return pieces
                pieces += decoder.finish()
            elif data:
                pieces = decoder.feed(data)
                if not decoder.done:
                    return pieces
                pieces += decoder.finish()
            else:
                pieces = decoder.finish()
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
            if pieces and any(_says_something(piece) for piece in pieces):
                return

    async def aclose(self) -> None:
        """Ends the call upstream."""
        self._end("left")
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
    codec: Codec[Any, Any]
    outgoing: Outgoing
    context: Context
    seconds: float


async def attempt(call: Call, house: House, seconds: float) -> Answer | Result | Stream:
    """Tries the call's route, for so many seconds: until the whole answer, or a stream's first content.

    Raises:
        GatewayError: It did not deliver; nothing was sent to the client.
    """
    route, endpoint = call.route, call.server
    if route is None or endpoint is None:
        raise RuntimeError("a call is tried after it was let in")
    codec, outgoing, call.through = await prepared(call, house, route, seconds)
    if call.watched:
        outgoing = trying(call, house, outgoing)
    elif call.trace:
        outgoing = outgoing._replace(headers=(*outgoing.headers, *call.trace))
    call.outgoing = outgoing
    context = Context(route.target, f"chatcmpl-{call.ticket.word}", int(house.clock()), outgoing.memo)
    way = _Way(call, house, endpoint, codec, outgoing, context, seconds)
    try:
        if not call.stream:
            return await _whole(way)
        if codec.stream is unstreamed:
            answer = await _whole(way)
            return Known([answer], "" if isinstance(answer, Answer) else answer.type)
        return await _stream(way)
    except UpstreamFailure as failure:
        failure.message = endpoint.redact(failure.message)
        raise


async def _whole(way: _Way) -> Answer | Result:
    call, house, endpoint, seconds = way.call, way.house, way.endpoint, way.seconds
    with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
        reply = await house.upstream.send(endpoint, way.outgoing)
        try:
            if not 200 <= reply.status < 300:
                raise await _refused(way, reply)
            body = await read_all(endpoint, reply, house.settings.max_answer)
        finally:
            await reply.aclose()
    answer: Answer | Result = way.codec.decode(body, way.context)
    return answer


async def _stream(way: _Way) -> Stream:
    call, house, endpoint, codec = way.call, way.house, way.endpoint, way.codec
    seconds = way.seconds
    with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
        reply = await house.upstream.send(endpoint, way.outgoing)
    try:
        kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
        if 200 <= reply.status < 300 and _is_stream(kind, codec.stream_type):
            between = call.options.timeout or house.settings.timeouts.between
            live = Live(call, endpoint, reply, codec.stream(way.context), between)
            if house.settings.on_malformed_event == "skip" and codec.stream_type == EVENTS:
                live.sieve = Sieve()
            await live.until_content(seconds)
            return live
        with call.patience.within(seconds, lambda: _late(endpoint, seconds)):
            if not 200 <= reply.status < 300:
                raise await _refused(way, reply)
            # Some answer a stream with plain JSON: errors with status 200, caches, old proxies.
            body = await read_all(endpoint, reply, house.settings.max_answer)
        answer: Answer | Result = codec.decode(body, way.context)
    except BaseException:
        await reply.aclose()
        raise
    await reply.aclose()
    return Known(assemble.chunks(answer.completion) if isinstance(answer, Answer) else [answer])


def _is_stream(kind: str, wanted: str) -> bool:
    """True for the content type of a codec's streams; where any will do, JSON is still an answer of its own."""
    return kind == wanted if wanted else kind != JSON


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


def _says_something(piece: Piece | Part | Result) -> bool:
    if not isinstance(piece, Piece):
        return True
    for choice in piece.chunk["choices"]:
        if choice["finish_reason"] is not None:
            return True
        for name, value in choice["delta"].items():
            if name != "role" and value:
                return True
    return False
