"""Responses that are kept, so that they can be retrieved, gone on with, and worked on in the background.

Each one is kept with its whole conversation, so that `previous_response_id` is one look. Which upstream answered
does not matter: what it is sent is always the whole conversation. A response belongs to a team, or to the caller
who has none; to everybody else it does not exist. It ends with its time, or when it is deleted.

    parsed = await conversations.resolved(owner, parsed)     before the call: puts the conversation before the input
    await conversations.keep(owner, entry(...))              after it; a large one is not kept

What does not live here: what of a response is kept (`surfaces/responses/stored.py`), the background
(`background.py`), routes (`web/`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from compatgw.errors import InvalidRequest, NotFound, Overloaded
from compatgw.state.base import CountersLost
from compatgw.surfaces.responses.request import continued
from compatgw.surfaces.responses.stored import DONE, WORKING, Kept, entry
from compatgw.wire import stored

if TYPE_CHECKING:
    from compatgw.dialects.base import Answer
    from compatgw.surfaces.base import Parsed
    from compatgw.surfaces.responses import ResponsesFace

PREVIOUS = "previous_response_id"
MONTH = 30 * 86_400.0
MIB = 1024 * 1024

_log = logging.getLogger("compatgw")
_KIND = "response"


class Values(Protocol):
    """Where responses are kept: a part of `Counters`, or a ledger that has as much."""

    @property
    def state(self) -> str:
        """For people; begins with `lost` while what is kept cannot be reached."""
        ...

    async def get(self, name: str) -> bytes | None:
        """The value under `name`, None when there is none or its time is over."""
        ...

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        """Keeps `value` for `ttl` seconds; with `only_new` only if there is none. True when it was kept."""
        ...

    async def drop(self, *names: str) -> None:
        """Forgets values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How responses are kept.

    Attributes:
        keep: Seconds.
        max_entry: Bytes of one response with its conversation; a larger one is not kept.
        alive: Seconds after which work in the background counts as dead when nothing was heard of it.
        poll: Seconds between two looks at what others do with a response that is worked on.
    """

    keep: float = MONTH
    max_entry: int = 4 * MIB
    alive: float = 30.0
    poll: float = 2.0


class Conversations:
    """Responses that are kept.

    Args:
        values: Where.
    """

    __slots__ = ("settings", "values")

    def __init__(self, values: Values, settings: Keeping | None = None) -> None:
        self.values = values
        self.settings = settings or Keeping()

    async def find(self, owner: str, id: str, *, param: str | None = None) -> Kept:
        """A response that is kept.

        Args:
            owner: Whose: as `cache.tenant_of` says.
            param: Where the request names it.

        Raises:
            NotFound: There is none of this id, or it is another's.
            Overloaded: What is kept cannot be reached.
        """
        try:
            data = await self.values.get(name_of(owner, id))
        except CountersLost:
            raise _lost() from None
        found = None if data is None else _read(data)
        if found is None:
            if self.values.state.startswith("lost"):
                raise _lost()
            raise NotFound(
                f"There is no response '{id[:128]}'. It was never kept ('store' was false, or it was too large), was "
                "deleted, or its time is over. Send the whole conversation in 'input'.",
                param=param,
                code="previous_response_not_found" if param == PREVIOUS else "response_not_found",
            )
        return found

    async def keep(self, owner: str, kept: Kept) -> bool:
        """Keeps a response; False when it is too large, or cannot be kept now. Never raises."""
        data = _written(kept)
        if data is None or len(data) > self.settings.max_entry:
            return False
        name = name_of(owner, kept.response["id"])
        try:
            done = await self.values.put(name, data, self.settings.keep)
            if self.values.state.startswith("lost"):
                # This process's own memory stands in: nobody else would find it, nor this one when it is over.
                await self.values.drop(name)
                return False
            return done
        except CountersLost as error:
            _log.warning("%s A response is told, but not kept.", error)
            return False

    async def drop(self, owner: str, id: str) -> None:
        """Deletes a response.

        Raises:
            NotFound, Overloaded: As `find`.
        """
        await self.find(owner, id)
        try:
            await self.values.drop(name_of(owner, id))
        except CountersLost:
            raise _lost() from None

    async def resolved(self, owner: str, parsed: Parsed) -> Parsed:
        """The request with the conversation that it goes on with; itself where it names none.

        Raises:
            NotFound, Overloaded: As `find`.
            InvalidRequest: That response is not done, or what it leads to is no sound conversation.
        """
        id = parsed.asked["previous"]
        if id is None:
            return parsed
        kept = await self.find(owner, id, param=PREVIOUS)
        status = kept.response["status"]
        if status not in DONE:
            when = "Wait until it is done" if status in WORKING else "Go on with the one before it"
            raise InvalidRequest(
                f"The response '{id[:128]}' is '{status}' and cannot be gone on with. {when}.", param=PREVIOUS
            )
        return continued(parsed, kept.items)

    async def settle(
        self, owner: str, parsed: Parsed, face: ResponsesFace, provider: str, answer: Answer | None = None
    ) -> None:
        """Keeps what a call came to, before its client hears of the end; the face then says whether it was kept.

        Args:
            face: Has told all of a stream but its end, or is about to tell `answer`.
            provider: Who answered.
            answer: The whole answer, where it is not streamed.
        """
        if not parsed.asked["store"] or parsed.asked["background"]:
            return
        response = face.response(answer)
        if response is None:
            return
        kept = entry(parsed, response, provider=provider if face.passes else "")
        if not await self.keep(owner, kept):
            face.unkept()


def name_of(owner: str, id: str) -> str:
    """Where a response of this owner stands: nobody else can name it."""
    return f"response:{blake2b(orjson.dumps([owner, id]), digest_size=32).hexdigest()}"


def _lost() -> Overloaded:
    return Overloaded("What this gateway keeps of responses cannot be reached. Try again.", retry_after=5)


def _written(kept: Kept) -> bytes | None:
    body: dict[str, Any] = {"response": kept.response, "inputs": kept.inputs, "items": kept.items}
    try:
        line = orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Text that is none, or deeper than can be written.
        return None
    return stored.pack(_KIND, {"size": len(line)}, line + kept.events)


def _read(data: bytes) -> Kept | None:
    found = stored.unpack(_KIND, data)
    if found is None:
        _log.warning("A kept response is damaged or of another version.")
        return None
    size = int(found.head["size"])
    body = orjson.loads(found.body[:size])
    return Kept(body["response"], tuple(body["inputs"]), tuple(body["items"]), found.body[size:])
