"""Where responses are kept: in the ledger, or in counters where there is none.

    CounterShelf   one value for each response, with its whole conversation; ends with its time, or with the memory
    LedgerShelf    one row for each response, with what it added to its conversation; every process sees it, and it
                   outlives them all

Either holds what was asked and what was answered, as text, until its time is over or it is deleted. In the ledger it
is sealed where the gateway has a key ring; the owner's name and the times are not.

What does not live here: whose responses are kept and for how long (`conversations.py`), the rows (`state/turns.py`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal, Protocol

import orjson

from compatgw.state.base import CountersLost, Missing, SealBroken, Sealed, Turn
from compatgw.surfaces.responses.stored import WORKING, Kept
from compatgw.wire import stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.state.base import Counters, Ledger
    from compatgw.state.secrets import KeyRing

Outcome = Literal["kept", "large", "gone"]
"""What came of keeping: done; too large, nothing was changed; nobody works on it any more, nothing was changed."""

_log = logging.getLogger("compatgw")
_WHOLE = "response"
_TOLD = "told"
_ADDED = "added"


class Shelf(Protocol):
    """Where responses are kept. Every method raises `StateError` when it cannot be reached."""

    async def find(self, owner: str, id: str, *, whole: bool) -> Kept | None:
        """A response; None when there is none, its time is over, it is another's, or damaged.

        Args:
            whole: With all of its conversation; else `items` may be those alone that it added.
        """
        ...

    async def keep(self, owner: str, kept: Kept, *, ttl: float, most: int, working: float | None = None) -> Outcome:
        """Keeps a response.

        Args:
            ttl: Seconds for which it is kept.
            most: Bytes that it may have with its conversation.
            working: Seconds for which it counts as worked on in the background; None: it is done.
        """
        ...

    async def end(self, owner: str, kept: Kept, *, ttl: float, most: int) -> Outcome:
        """Keeps what a response came to that is worked on."""
        ...

    async def attend(self, owner: str, id: str, seconds: float) -> bool:
        """Says that it is worked on for so long; False when nobody is to work on it any more."""
        ...

    async def attended(self, owner: str, id: str) -> bool:
        """True when somebody works on it."""
        ...

    async def drop(self, owner: str, id: str) -> None:
        """Deletes a response."""
        ...


def name_of(owner: str, id: str) -> str:
    """Where a response of this owner stands: nobody else can name it."""
    # Names come from tokens, and ids from addresses: they may hold what is no character.
    whose, which = (word.encode("utf-8", "surrogatepass") for word in (owner, id))
    return f"response:{blake2b(b'%d %b%b' % (len(whose), whose, which), digest_size=32).hexdigest()}"


class CounterShelf:
    """Responses in counters.

    Args:
        values: Where. While they are away and this process's own memory stands in, nothing is kept or found:
            nobody else would, nor this process when it is over.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Counters) -> None:
        self._values = values

    async def find(self, owner: str, id: str, *, whole: bool) -> Kept | None:
        """A response, always with all of its conversation; see `Shelf`."""
        data = await self._values.get(name_of(owner, id))
        found = None if data is None else _read_whole(data)
        if found is None:
            self._require()
        return found

    async def keep(self, owner: str, kept: Kept, *, ttl: float, most: int, working: float | None = None) -> Outcome:
        """Keeps a response; see `Shelf`."""
        data = _written(kept)
        if data is None or len(data) > most:
            return "large"
        name = name_of(owner, kept.response["id"])
        if working is not None:
            await self._values.put(_mark(name), b"1", working)
        await self._values.put(name, data, ttl)
        try:
            self._require()
        except CountersLost:
            await self._values.drop(name, _mark(name))
            raise
        return "kept"

    async def end(self, owner: str, kept: Kept, *, ttl: float, most: int) -> Outcome:
        """Keeps what it came to; see `Shelf`."""
        id = kept.response["id"]
        if not await self._is_working(owner, id):
            return "gone"
        outcome = await self.keep(owner, kept, ttl=ttl, most=most)
        if outcome == "kept":
            await self._values.drop(_mark(name_of(owner, id)))
        return outcome

    async def attend(self, owner: str, id: str, seconds: float) -> bool:
        """Says that it is worked on; see `Shelf`."""
        await self._values.put(_mark(name_of(owner, id)), b"1", seconds)
        return await self._is_working(owner, id)

    async def attended(self, owner: str, id: str) -> bool:
        """True when somebody works on it; see `Shelf`."""
        return await self._values.get(_mark(name_of(owner, id))) is not None

    async def drop(self, owner: str, id: str) -> None:
        """Deletes a response; see `Shelf`."""
        name = name_of(owner, id)
        await self._values.drop(name, _mark(name))

    async def _is_working(self, owner: str, id: str) -> bool:
        found = await self.find(owner, id, whole=False)
        return found is not None and found.response["status"] in WORKING

    def _require(self) -> None:
        if self._values.state.startswith("lost"):
            raise CountersLost("The counters, which keep responses, do not answer.")


class LedgerShelf:
    """Responses in a ledger.

    Args:
        ledger: Where.
        ring: Seals what is kept; None: it is not sealed.
        clock: Seconds since 1970.
    """

    __slots__ = ("_clock", "_ledger", "_ring")

    def __init__(self, ledger: Ledger, ring: KeyRing | None, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._ring = ring
        self._clock = clock

    async def find(self, owner: str, id: str, *, whole: bool) -> Kept | None:
        """A response; see `Shelf`."""
        name, owner = name_of(owner, id), _plain(owner)
        if whole:
            turns = await self._ledger.conversation(name, owner)
        else:
            turn = await self._ledger.turn(name, owner)
            turns = () if turn is None else (turn,)
        if not turns or (whole and not turns[0].first):
            return None
        try:
            return self._read(turns)
        except SealBroken as error:
            _log.warning("A kept response cannot be read. %s", error)
            return None

    async def keep(self, owner: str, kept: Kept, *, ttl: float, most: int, working: float | None = None) -> Outcome:
        """Keeps a response; see `Shelf`."""
        now = self._clock()
        until = now + working if working is not None else None
        turn = self._turn(owner, kept, most, created=now, expires=now + ttl, working=until)
        if turn is None:
            return "large"
        try:
            await self._ledger.keep_turn(turn, after=name_of(owner, kept.previous) if kept.previous else None)
        except Missing:
            if working is not None:
                raise
            # It was deleted, or ended, while this call was under way: so this turn begins the conversation.
            whole = self._turn(owner, kept._replace(before=0), most, created=now, expires=now + ttl, working=until)
            if whole is None:
                return "large"
            await self._ledger.keep_turn(whole)
        return "kept"

    async def end(self, owner: str, kept: Kept, *, ttl: float, most: int) -> Outcome:
        """Keeps what it came to; its time goes on as it began. See `Shelf`."""
        turn = self._turn(owner, kept, most)
        if turn is None:
            return "large"
        return "kept" if await self._ledger.end_turn(turn) else "gone"

    async def attend(self, owner: str, id: str, seconds: float) -> bool:
        """Says that it is worked on; see `Shelf`."""
        return await self._ledger.attend_turn(name_of(owner, id), _plain(owner), self._clock() + seconds)

    async def attended(self, owner: str, id: str) -> bool:
        """True when somebody works on it; see `Shelf`."""
        turn = await self._ledger.turn(name_of(owner, id), _plain(owner))
        return turn is not None and turn.working is not None and turn.working > self._clock()

    async def drop(self, owner: str, id: str) -> None:
        """Deletes a response; see `Shelf`."""
        await self._ledger.forget_turn(name_of(owner, id), _plain(owner))

    # --- what stands in a turn -------------------------------------------------------------------

    def _turn(self, owner: str, kept: Kept, most: int, **times: Any) -> Turn | None:
        try:
            told = orjson.dumps(kept.response)
            own = orjson.dumps({"inputs": len(kept.inputs), "items": kept.items[kept.before :]})
            size = len(told) + len(kept.events) + len(own) + len(orjson.dumps(kept.items[: kept.before]))
        except orjson.JSONEncodeError:
            # Text that is none, or deeper than can be written.
            return None
        if size > most:
            return None
        turn = Turn(
            id=name_of(owner, kept.response["id"]),
            owner=_plain(owner),
            told=stored.pack(_TOLD, {"size": len(told)}, told + kept.events),
            added=stored.pack(_ADDED, {}, own),
            **times,
        )
        if (ring := self._ring) is None:
            return turn
        told, own = [
            ring.seal_data(data, of=_of(turn, part)).data
            for part, data in ((_TOLD, turn.told or b""), (_ADDED, turn.added))
        ]
        return replace(turn, ring=ring.current, told=told, added=own)

    def _read(self, turns: tuple[Turn, ...]) -> Kept | None:
        """The last of `turns`, with what all of them added; None for what is damaged."""
        told = self._opened(turns[-1], _TOLD)
        if told is None:
            return None
        own: list[Any] = []
        items: list[Any] = []
        inputs = 0
        for turn in turns:
            added = self._opened(turn, _ADDED)
            if added is None:
                return None
            body = orjson.loads(added.body)
            own, inputs = body["items"], body["inputs"]
            items += own
        size = told.head["size"]
        response = orjson.loads(told.body[:size])
        return Kept(response, tuple(own[:inputs]), tuple(items), told.body[size:])

    def _opened(self, turn: Turn, part: str) -> stored.Kept | None:
        data = turn.told if part == _TOLD else turn.added
        if data is None:
            return None
        if turn.ring:
            if self._ring is None:
                raise SealBroken(f"It was sealed with {turn.ring[:40]!r}, and there is no key ring any more.")
            data = self._ring.open_data(Sealed(turn.ring, data), of=_of(turn, part))
        found = stored.unpack(part, data)
        if found is None:
            _log.warning("A kept response is damaged or of another version.")
        return found


def _of(turn: Turn, part: str) -> str:
    """What a part of a turn is sealed for: nobody can hand it to another owner, nor as another response."""
    # A turn that others go on from may have lost its id.
    return f"response {part} {turn.id if part == _TOLD else turn.owner}"


def _plain(owner: str) -> str:
    """The owner as every database takes it; names are made of the owner itself."""
    return owner.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _mark(name: str) -> str:
    return f"{name}:alive"


def _written(kept: Kept) -> bytes | None:
    body: dict[str, Any] = {"response": kept.response, "inputs": kept.inputs, "items": kept.items}
    try:
        line = orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Text that is none, or deeper than can be written.
        return None
    return stored.pack(_WHOLE, {"size": len(line)}, line + kept.events)


def _read_whole(data: bytes) -> Kept | None:
    found = stored.unpack(_WHOLE, data)
    if found is None:
        _log.warning("A kept response is damaged or of another version.")
        return None
    size = int(found.head["size"])
    body = orjson.loads(found.body[:size])
    return Kept(body["response"], tuple(body["inputs"]), tuple(body["items"]), found.body[size:])
