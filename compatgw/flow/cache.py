"""The exact cache: complete answers under the digest of their request (`policy/cachekey.py`).

What is kept is the hub's own answer with who gave it and when, never a header of an upstream. It is
told plain or as a stream, whichever is asked for. Kept are only answers that are whole: every choice
has its finish reason, and none was cut by a filter. A kept answer that is damaged, or of another version's
form, is a miss and goes. A cache that is lost, slow to come back or full never fails a call: it is a miss.

What does not live here: the key, and which requests have none (`policy/cachekey.py`), requests that wait for
the same answer (`single.py`), who may have it (`admit.py`), and that an answer of a fallback model, or one that
its client did not wait for, is not handed in (`run.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson

from compatgw.dialects.assemble import Assembler, chunks
from compatgw.dialects.base import Answer, Result
from compatgw.errors import InvalidRequest, StreamInterrupted
from compatgw.state.base import CountersLost
from compatgw.wire import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compatgw.dialects.base import Piece
    from compatgw.flow.call import Headers
    from compatgw.policy.access import Caller
    from compatgw.sections import CacheSettings
    from compatgw.state.base import Counters
    from compatgw.wire.chat import ChatChunk, ChatCompletion, Usage

Outcome = Literal["HIT", "MISS", "BYPASS"]
"""What `X-Cache` says: taken from what was there; looked for and not there; not looked for."""

MAX_TTL = 86_400
"""Seconds; most that `X-Cache-TTL` and the configuration may say."""

ABOUT = ("X-Dropped-Params", "X-Clamped-Params", "X-Vision-Fallback")
"""Our own headers that belong to an answer, whenever it is told."""

_log = logging.getLogger("compatgw")
_KIND = "answer"
_RESULT = "result"
# No end at all, and one after which the same request may well end otherwise.
_UNSURE = frozenset({None, "", "content_filter"})
# What a chunk weighs in memory beside its text, roughly.
_PIECE = 2_000
_UNWRITABLE = 1 << 20


# --- what the caller wants -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller says of the cache.

    Attributes:
        look: A kept answer will do, and so will one that an identical request waits for.
        keep: The answer may be kept for others.
        ttl: Seconds: no older answer will do, and for so long the new one is kept. None: as configured.
    """

    look: bool = True
    keep: bool = True
    ttl: int | None = None

    @property
    def asked(self) -> bool:
        """True when the caller asked for the cache by itself, and so for the same answer again."""
        return self.ttl is not None


ANYTHING = Wish()
"""Who says nothing."""


def wish(cache: str | None, ttl: str | None) -> Wish:
    """What the request headers `X-Cache` and `X-Cache-TTL` say, None where one is absent.

    `X-Cache: no-cache` wants a new answer, which is kept. `no-store` takes a kept one but does not
    let the new one be kept. Both, with a comma between, keep the cache out of it.

    Raises:
        InvalidRequest: One of them has another value.
    """
    if cache is None and ttl is None:
        return ANYTHING
    words = {word.strip().lower() for word in (cache or "").split(",")} - {""}
    if words - {"no-cache", "no-store"}:
        raise InvalidRequest("The header X-Cache takes 'no-cache' or 'no-store'.", param="X-Cache")
    seconds: int | None = None
    if ttl is not None:
        text = ttl.strip()
        # No longer than the largest value: what is longer may be too long to be read as a number at all.
        fits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TTL))
        seconds = int(text) if fits else 0
        if not 1 <= seconds <= MAX_TTL:
            raise InvalidRequest(
                f"The header X-Cache-TTL takes a whole number of seconds from 1 to {MAX_TTL}.", param="X-Cache-TTL"
            )
    return Wish("no-cache" not in words, "no-store" not in words, seconds)


def tenant_of(caller: Caller) -> str:
    """Whose answers are shared: the team's, or the caller's own when it has no team."""
    return f"team {caller.team}" if caller.team else f"name {caller.key}"


def headers_of(outcome: Outcome, age: int = 0) -> Headers:
    """`X-Cache`, and with a hit `Age`.

    Args:
        age: Whole seconds since the answer was made; 0 for one that an identical request got just now.
    """
    return (("X-Cache", outcome), ("Age", str(age))) if outcome == "HIT" else (("X-Cache", outcome),)


# --- what is kept ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was kept.

    Attributes:
        answer: The whole answer; of an endpoint that is not chat, a `Result`.
        provider, target: Who gave it, by which model.
        made: Seconds since 1970.
        headers: Of `ABOUT`, as the first caller got them.
    """

    answer: Answer | Result
    provider: str
    target: str
    made: float
    headers: Headers = ()

    def age(self, now: float) -> int:
        """Whole seconds since it was made; 0 where another machine's clock goes ahead of ours."""
        return max(0, int(now - self.made))

    @property
    def usage(self) -> Usage | None:
        """What it came to when it was made."""
        return self.answer.usage if isinstance(self.answer, Result) else self.answer.completion.get("usage")

    def replay(self) -> list[Any]:
        """The answer as a stream has it: role, content, finish reason, usage."""
        return [self.answer] if isinstance(self.answer, Result) else chunks(self.answer.completion)


class Cache:
    """Answers that are kept.

    Args:
        counters: Where.
        clock: Seconds since 1970.
    """

    __slots__ = ("_clock", "_counters", "_lost", "settings")

    def __init__(self, counters: Counters, settings: CacheSettings, clock: Callable[[], float]) -> None:
        self._counters = counters
        self._clock = clock
        self._lost = False
        self.settings = settings

    async def look(self, key: str, *, oldest: int | None = None) -> Stored | None:
        """The answer that was kept under `key`; None where there is none, or the cache is lost.

        Args:
            oldest: Seconds; an older one does not count. None: whatever is still kept.
        """
        try:
            data = await self._counters.get(_name(key))
            self._lost = False
            if data is None:
                return None
            found = _read(data)
            if found is None:
                # Once: whoever looks next finds nothing.
                _log.warning("A kept answer is damaged or of another version. It is dropped and asked for again.")
                await self._counters.drop(_name(key))
                return None
        except CountersLost as error:
            self._missing(error)
            return None
        return found if oldest is None or found.age(self._clock()) <= oldest else None

    async def keep(
        self,
        key: str,
        answer: Answer | Result,
        *,
        provider: str,
        target: str,
        headers: Headers = (),
        ttl: int | None = None,
    ) -> bool:
        """Keeps a complete answer; True when it was kept.

        Args:
            headers: What its first caller was told; of these only `ABOUT` is kept.
            ttl: Seconds. None: as configured.
        """
        if isinstance(answer, Answer) and not whole(answer.completion):
            return False
        data = _written(
            Stored(answer, provider, target, self._clock(), tuple(line for line in headers if line[0] in ABOUT))
        )
        if data is None or len(data) > self.settings.max_entry:
            return False
        try:
            kept = await self._counters.put(_name(key), data, ttl or self.settings.ttl)
        except CountersLost as error:
            self._missing(error)
            return False
        self._lost = False
        return kept

    def _missing(self, error: CountersLost) -> None:
        # Every call comes by here while they are lost.
        if not self._lost:
            self._lost = True
            _log.warning("%s Until it is back no answer is kept, and none is found.", error)


def whole(completion: ChatCompletion) -> bool:
    """True when every choice came to an end of its own, and there is one."""
    reasons = [choice.get("finish_reason") for choice in completion["choices"]]
    return bool(reasons) and _UNSURE.isdisjoint(reasons)


def _name(key: str) -> str:
    return f"answer:{key}"


def _written(entry: Stored) -> bytes | None:
    answer = entry.answer
    head = {"made": entry.made, "provider": entry.provider, "target": entry.target, "headers": entry.headers}
    try:
        if isinstance(answer, Answer):
            body = answer.raw if answer.raw is not None else orjson.dumps(answer.completion)
            return stored.pack(_KIND, head, body)
        head |= {"usage": answer.usage, "type": answer.type, "images": answer.images}
        return stored.pack(_RESULT, head, answer.data if answer.data is not None else orjson.dumps(answer.body))
    except (orjson.JSONEncodeError, ValueError):
        # Nested deeper than can be written, or text that is none.
        return None


def _read(data: bytes) -> Stored | None:
    found = stored.unpack(_KIND, data)
    other = stored.unpack(_RESULT, data) if found is None else None
    try:
        answer: Answer | Result
        if found is not None:
            answer = Answer(cast("ChatCompletion", orjson.loads(found.body)), found.body)
        elif other is not None:
            found, head = other, other.head
            answer = Result(orjson.loads(found.body), head["usage"], found.body, str(head["type"]), int(head["images"]))
        else:
            return None
        head = found.head
        headers = tuple((str(name), str(value)) for name, value in head["headers"])
        return Stored(answer, str(head["provider"]), str(head["target"]), float(head["made"]), headers)
    except (KeyError, TypeError, ValueError):
        return None


# --- streams ---------------------------------------------------------------------------------


class Recording:
    """Puts a stream together as it passes by, to be kept; gives up on one that grows too large.

    Args:
        limit: Bytes, as `CacheSettings.max_entry`.
    """

    __slots__ = ("_assembler", "_left")

    def __init__(self, limit: int) -> None:
        self._assembler: Assembler | None = Assembler()
        self._left = limit

    def add(self, pieces: Iterable[Piece]) -> None:
        """Takes the next chunks."""
        for piece in pieces:
            if self._assembler is None:
                return
            self._left -= _said(piece.chunk)
            if self._left < 0:
                # What was put together so far need not wait for the stream's end.
                self._assembler = None
                return
            self._assembler.add(piece.chunk)

    def answer(self) -> Answer | None:
        """The whole answer; None when it is not complete, or too large."""
        if self._assembler is None:
            return None
        try:
            return Answer(self._assembler.result())
        except StreamInterrupted:
            return None


def weight(piece: Piece) -> int:
    """Bytes that a chunk takes up in memory, roughly."""
    return _PIECE + (2 * len(piece.raw) if piece.raw is not None else _said(piece.chunk))


def _said(chunk: ChatChunk) -> int:
    """How much a chunk adds to its answer."""
    size = 0
    for choice in chunk["choices"]:
        delta, logprobs = choice["delta"], choice.get("logprobs")
        text = delta.get("content")
        # Nearly all chunks are this.
        size += len(text) if text is not None and len(delta) == 1 else _size(delta)
        if logprobs is not None:
            size += _size(logprobs)
    return size


def _size(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        return _UNWRITABLE
