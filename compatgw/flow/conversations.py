"""Responses that are kept, so that they can be retrieved, gone on with, and worked on in the background.

`previous_response_id` leads to the whole conversation in one look. Which upstream answered does not matter: what it
is sent is always all of it. A response belongs to a team, or to the caller who has none; to everybody else it does not
exist. It ends with its time, or when it is deleted.

    parsed = await conversations.resolved(owner, parsed)     before the call: puts the conversation before the input
    await conversations.keep(owner, entry(...))              after it; a large one is not kept

What does not live here: where they are kept (`shelves.py`), what of a response is kept
(`surfaces/responses/stored.py`), the background (`background.py`), routes (`web/`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw.errors import InvalidRequest, NotFound, Overloaded
from compatgw.state.base import StateError
from compatgw.surfaces.responses.request import continued
from compatgw.surfaces.responses.stored import DONE, WORKING, entry

if TYPE_CHECKING:
    from compatgw.dialects.base import Answer
    from compatgw.flow.shelves import Outcome, Shelf
    from compatgw.surfaces.base import Parsed
    from compatgw.surfaces.responses import ResponsesFace
    from compatgw.surfaces.responses.stored import Kept

PREVIOUS = "previous_response_id"
MONTH = 30 * 86_400.0
MIB = 1024 * 1024

_log = logging.getLogger("compatgw")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How responses are kept.

    Attributes:
        keep: Seconds; 0: nothing is kept.
        max_entry: Bytes of one response with its conversation; a larger one is not kept.
        alive: Seconds after which work in the background counts as dead when nothing was heard of it.
        poll: Seconds between two looks at what others do with a response that is worked on.
        patience: Seconds for which it is tried to keep what work in the background came to.
    """

    keep: float = MONTH
    max_entry: int = 4 * MIB
    alive: float = 30.0
    poll: float = 2.0
    patience: float = 600.0


class Conversations:
    """Responses that are kept.

    Args:
        shelf: Where.
    """

    __slots__ = ("settings", "shelf")

    def __init__(self, shelf: Shelf, settings: Keeping | None = None) -> None:
        self.shelf = shelf
        self.settings = settings or Keeping()

    async def find(self, owner: str, id: str, *, param: str | None = None, whole: bool = False) -> Kept:
        """A response that is kept.

        Args:
            owner: Whose: as `cache.tenant_of` says.
            param: Where the request names it.
            whole: With all of its conversation; else `items` may be those alone that it added.

        Raises:
            NotFound: There is none of this id, or it is another's.
            Overloaded: What is kept cannot be reached.
        """
        try:
            found = await self.shelf.find(owner, id, whole=whole)
        except StateError as error:
            raise _lost(error) from None
        if found is None:
            raise NotFound(
                f"There is no response '{id[:128]}'. It was never kept ('store' was false, or it was too large), was "
                "deleted, or its time is over. Send the whole conversation in 'input'.",
                param=param,
                code="previous_response_not_found" if param == PREVIOUS else "response_not_found",
            )
        return found

    async def begin(self, owner: str, kept: Kept) -> bool:
        """Keeps a response that is going to be worked on; False when it is too large.

        Raises:
            Overloaded: It cannot be kept now.
            InvalidRequest: Nothing is kept here.
        """
        own = self.settings
        if not own.keep:
            raise InvalidRequest(
                "This gateway keeps no responses, so nobody could retrieve it. Send it without 'background'.",
                param="background",
            )
        try:
            outcome = await self.shelf.keep(owner, kept, ttl=own.keep, most=own.max_entry, working=own.alive)
        except StateError as error:
            raise _lost(error) from None
        return outcome == "kept"

    async def keep(self, owner: str, kept: Kept) -> bool:
        """Keeps a response; False when it is too large, or cannot be kept now, which is logged. Never raises."""
        own = self.settings
        if not own.keep:
            return False
        try:
            return await self.shelf.keep(owner, kept, ttl=own.keep, most=own.max_entry) == "kept"
        except StateError as error:
            _log.warning("%s The response %.80r is told, but not kept.", error, kept.response["id"])
            return False

    async def end(self, owner: str, kept: Kept) -> Outcome:
        """Keeps what a response came to that was worked on.

        Raises:
            Overloaded: It cannot be kept now.
        """
        try:
            return await self.shelf.end(owner, kept, ttl=self.settings.keep, most=self.settings.max_entry)
        except StateError as error:
            raise _lost(error) from None

    async def attend(self, owner: str, id: str) -> bool:
        """Says that a response is worked on; False when it was cancelled or deleted.

        Raises:
            Overloaded: That cannot be known now.
        """
        try:
            return await self.shelf.attend(owner, id, self.settings.alive)
        except StateError as error:
            raise _lost(error) from None

    async def attended(self, owner: str, id: str) -> bool:
        """True when somebody works on it.

        Raises:
            Overloaded: That cannot be known now.
        """
        try:
            return await self.shelf.attended(owner, id)
        except StateError as error:
            raise _lost(error) from None

    async def drop(self, owner: str, id: str) -> None:
        """Deletes a response.

        Raises:
            NotFound, Overloaded: As `find`.
        """
        await self.find(owner, id)
        try:
            await self.shelf.drop(owner, id)
        except StateError as error:
            raise _lost(error) from None

    async def resolved(self, owner: str, parsed: Parsed) -> Parsed:
        """The request with the conversation that it goes on with; itself where it names none.

        Raises:
            NotFound, Overloaded: As `find`.
            InvalidRequest: That response is not done, or what it leads to is no sound conversation.
        """
        id = parsed.asked["previous"]
        if id is None:
            return parsed
        kept = await self.find(owner, id, param=PREVIOUS, whole=True)
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


def _lost(error: StateError) -> Overloaded:
    _log.warning("What is kept of responses cannot be reached: %s", error)
    return Overloaded("What this gateway keeps of responses cannot be reached. Try again.", retry_after=5)
