"""Responses that are worked on in the background: told at once as `queued`, and looked at later.

    begin      keeps the queued response, and starts the work as a task of its own, which no client's leaving ends
    retrieve   as it is by now; failed, when whoever worked on it died
    follow     its events: those there are, and those that come, from behind any number
    cancel     ends it, wherever it is worked on

The work of one process is seen by all that share what is kept: a mark says that it is alive, and the worker looks
every few seconds whether somebody cancelled it. Events go out live where the work is done; elsewhere they come
together at the end.

What does not live here: keeping (`conversations.py`), the call itself (`run.py`), routes (`web/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.errors import GatewayError, InvalidRequest, Overloaded, RequestTooLarge
from compatgw.flow.call import EVENTS, JSON, ClientGone
from compatgw.flow.shelves import name_of
from compatgw.surfaces.responses.stored import WORKING, Kept, entry, number_of, replay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from compatgw.flow.call import Client, Headers
    from compatgw.flow.conversations import Conversations
    from compatgw.flow.shelves import Outcome
    from compatgw.flow.tasks import Tasks
    from compatgw.surfaces.base import Parsed
    from compatgw.surfaces.responses import ResponsesFace

    Work = Callable[[Client], Awaitable[None]]
    """The call: answers to a client, or raises `GatewayError` before it has told it anything."""

Json = dict[str, Any]

_log = logging.getLogger("compatgw")
_PROVIDER = "X-Provider"
# Events say everything in small pieces, and then twice again: so much larger than the response may they be.
_EVENTS = 4


class Collected:
    """A client that keeps what it is told, for those who ask later.

    Args:
        limit: Bytes; of a larger answer it wants no more.

    Attributes:
        body: The whole answer, b"" for a stream.
        frames: The events of a stream.
        provider: Who answered.
        over: Nothing more comes.
        too_large: It was over the limit.
    """

    __slots__ = ("_limit", "_news", "_size", "body", "frames", "over", "provider", "too_large")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._news = asyncio.Event()
        self.body = b""
        self.frames: list[bytes] = []
        self.provider = ""
        self.over = False
        self.too_large = False

    async def answer(self, status: int, headers: Headers, body: bytes, kind: str = JSON) -> None:
        """A complete answer."""
        self._about(headers)
        self._grow(len(body))
        self.body = body

    async def begin(self, headers: Headers, kind: str = EVENTS) -> None:
        """A stream begins."""
        self._about(headers)

    async def write(self, data: bytes) -> None:
        """Whole events of a stream."""
        self._grow(len(data))
        self.frames += [frame + b"\n\n" for frame in data.split(b"\n\n") if frame]
        self._tell()

    async def end(self) -> None:
        """The stream is over."""

    async def cut(self) -> None:
        """The stream broke off."""

    def close(self) -> None:
        """Nothing more comes."""
        self.over = True
        self._tell()

    async def news(self) -> None:
        """Waits for more; returns at once when nothing more comes."""
        if not self.over:
            await self._news.wait()

    def _about(self, headers: Headers) -> None:
        self.provider = next((value for name, value in headers if name == _PROVIDER), "")

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._limit:
            self.too_large = True
            raise ClientGone

    def _tell(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Background:
    """What is worked on, by this process and others.

    Args:
        conversations: Where responses are kept.
        tasks: Owns the work.
    """

    __slots__ = ("_kept", "_tasks", "_working")

    def __init__(self, conversations: Conversations, tasks: Tasks) -> None:
        self._kept = conversations
        self._tasks = tasks
        # What this process works on, by the name under which it is kept.
        self._working: dict[str, tuple[Collected, asyncio.Task[None]]] = {}

    async def begin(self, owner: str, parsed: Parsed, face: ResponsesFace, work: Work) -> Json:
        """Starts the work; the response as its client is told at once.

        Raises:
            Overloaded: It cannot be kept now, so nobody could retrieve it.
            InvalidRequest: Nothing is kept here.
            RequestTooLarge: It is too large to be kept.
        """
        queued = face.queued()
        name = name_of(owner, queued["id"])
        if not await self._kept.begin(owner, entry(parsed, queued)):
            raise RequestTooLarge(
                f"This conversation is too large to be worked on in the background: {self._kept.settings.max_entry} "
                "bytes is the most that is kept. Send it without 'background'.",
                param="background",
            )
        client = Collected(_EVENTS * self._kept.settings.max_entry)
        call = self._tasks.start(_called(work, client))
        self._working[name] = (client, call)
        self._tasks.start(self._work(owner, name, parsed, face, client, call))
        return queued

    async def retrieve(self, owner: str, id: str) -> Kept:
        """A response as it is by now.

        Raises:
            NotFound, Overloaded: As `Conversations.find`.
        """
        kept = await self._kept.find(owner, id)
        if kept.response["status"] not in WORKING:
            return kept
        if name_of(owner, id) in self._working:
            return kept._replace(response={**kept.response, "status": "in_progress"})
        if await self._kept.attended(owner, id):
            return kept
        # It may have been done between the two looks.
        kept = await self._kept.find(owner, id)
        if kept.response["status"] not in WORKING:
            return kept
        error = {"code": "server_error", "message": "Whoever worked on this response died. Send the request again."}
        return kept._replace(response={**kept.response, "status": "failed", "error": error})

    async def follow(self, owner: str, id: str, after: int = -1) -> AsyncIterator[bytes]:
        """Frames of a response from behind event `after`, until it is over.

        Raises:
            NotFound, Overloaded: As `Conversations.find`, with the first frame.
        """
        kept = await self.retrieve(owner, id)
        found = self._working.get(name_of(owner, id))
        if found is not None:
            place, client = 0, found[0]
            while True:
                frames, place = client.frames[place:], len(client.frames)
                if told := b"".join(frame for frame in frames if number_of(frame) > after):
                    yield told
                if place < len(client.frames):
                    continue
                if client.over:
                    break
                await client.news()
            if client.frames:
                return
            kept = await self.retrieve(owner, id)
        while kept.response["status"] in WORKING:
            kept = await self.retrieve(owner, id)
            if kept.response["status"] in WORKING:
                await asyncio.sleep(self._kept.settings.poll)
        yield replay(kept, after)

    async def cancel(self, owner: str, id: str) -> Json:
        """The response, which is worked on no more.

        Raises:
            NotFound, Overloaded: As `Conversations.find`.
            InvalidRequest: It was never in the background.
        """
        kept = await self.retrieve(owner, id)
        if not kept.response.get("background"):
            raise InvalidRequest(
                "Only a response in the background can be cancelled. Close the connection to end another.", param="id"
            )
        if kept.response["status"] not in WORKING:
            return dict(kept.response)
        cancelled = {**kept.response, "status": "cancelled"}
        if await self._kept.end(owner, kept._replace(response=cancelled)) == "gone":
            # It came to its end meanwhile.
            return dict((await self.retrieve(owner, id)).response)
        found = self._working.get(name_of(owner, id))
        if found is not None:
            found[1].cancel()
        return cancelled

    async def aclose(self, seconds: float) -> None:
        """Waits so long for what the running loop works on; what is left then is ended, and kept as failed."""
        loop = asyncio.get_running_loop()
        own = [call for _, call in self._working.values() if call.get_loop() is loop]
        _, late = await asyncio.wait(own, timeout=seconds) if own else ((), ())
        for call in late:
            call.cancel()

    # --- the work --------------------------------------------------------------------------------

    async def _work(
        self, owner: str, name: str, parsed: Parsed, face: ResponsesFace, client: Collected, call: asyncio.Task[None]
    ) -> None:
        """Looks after the call, and keeps what it came to."""
        try:
            wanted = True
            while wanted and not (await asyncio.wait([call], timeout=self._kept.settings.poll))[0]:
                # Nobody can have cancelled what cannot be reached.
                with contextlib.suppress(Overloaded):
                    wanted = await self._kept.attend(owner, face.queued()["id"])
            if wanted:
                wanted = await self._done(owner, parsed, face, client, call)
            else:
                call.cancel()
                await asyncio.wait([call])
            if not wanted and client.frames:
                # Whoever follows it has to hear that this is not the end of an answer.
                client.frames.append(face.failed(GatewayError("The response was cancelled.", code="cancelled")))
        finally:
            call.cancel()
            self._working.pop(name, None)
            client.close()

    async def _done(
        self, owner: str, parsed: Parsed, face: ResponsesFace, client: Collected, call: asyncio.Task[None]
    ) -> bool:
        """Keeps what the call came to; False when it was cancelled or deleted before."""
        response = self._outcome(face, client, call)
        kept = entry(parsed, response, provider=client.provider if face.passes else "")
        events = b"".join(client.frames) if not client.too_large else b""
        # Without its events rather than not at all, and what is too large itself has failed.
        broken = face.broken(_too_large(self._kept.settings.max_entry))
        for form in (kept._replace(events=events), kept, entry(parsed, broken)):
            outcome = await self._end(owner, form, client)
            if outcome != "large":
                return outcome == "kept"
        return True

    def _outcome(self, face: ResponsesFace, client: Collected, call: asyncio.Task[None]) -> Json:
        """The response that a call came to which is over."""
        failure = None if call.cancelled() else call.exception()
        if client.too_large:
            return face.broken(_too_large(self._kept.settings.max_entry))
        if isinstance(failure, GatewayError):
            return face.broken(failure)
        if call.cancelled():
            return face.broken(Overloaded("The gateway stopped before this was done. Send the request again."))
        if failure is not None:
            _log.error("A call in the background failed inside the gateway.", exc_info=failure)
            return face.broken(GatewayError("The gateway failed. Send the request again."))
        if client.frames:
            return cast("Json", orjson.loads(client.frames[-1].partition(b"data: ")[2])["response"])
        return cast("Json", orjson.loads(client.body))

    async def _end(self, owner: str, kept: Kept, client: Collected) -> Outcome:
        """Keeps what it came to: again and again while that cannot be done, for nobody else has it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._kept.settings.patience
        try:
            while True:
                try:
                    return await self._kept.end(owner, kept)
                except Overloaded:
                    if loop.time() >= until:
                        raise
                    # Whoever follows it has all of it, and waits for nothing.
                    client.close()
                    await asyncio.sleep(self._kept.settings.poll)
        except (Overloaded, asyncio.CancelledError) as error:
            _log.error("What the response %.80r came to could not be kept, and is lost.", kept.response["id"])
            if isinstance(error, asyncio.CancelledError):
                raise
            return "kept"


async def _called(work: Work, client: Collected) -> None:
    with contextlib.suppress(ClientGone):
        await work(client)


def _too_large(most: int) -> GatewayError:
    return RequestTooLarge(f"The answer is too large to be kept: {most} bytes is the most. Ask for a stream instead.")
