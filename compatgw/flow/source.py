"""Where an answer comes from: the cache, an identical call that is under way, or an upstream.

All three are read alike, bit by bit; a whole answer is one bit. What comes from an upstream is accounted
for here, whoever reads it: counted, charged before its last bit is handed out, and kept for others.

What does not live here: telling it to a client (`run.py`), each of the three (`cache.py`, `single.py`, `attempts.py`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from compatgw.dialects import assemble
from compatgw.dialects.base import Answer, Piece, Result
from compatgw.errors import GatewayError, UpstreamFailure, UpstreamTimeout
from compatgw.flow.admit import renew
from compatgw.flow.attempt import Known
from compatgw.flow.attempts import answered
from compatgw.flow.cache import ABOUT, Recording, headers_of, tenant_of
from compatgw.flow.divided import divided, parts_of
from compatgw.flow.guarding import mended
from compatgw.flow.patience import Patience
from compatgw.flow.settle import charge, delivered, failing, settle
from compatgw.flow.several import needs_several, several
from compatgw.flow.single import Batch
from compatgw.policy import cachekey

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from compatgw.dialects.base import Part
    from compatgw.flow.attempt import Stream
    from compatgw.flow.cache import Cache
    from compatgw.flow.call import Call, Headers, House

_log = logging.getLogger("compatgw")
# Names of unknown members are the caller's own: they fill a header so far and no further.
_HEADER = 2000
# Seconds.
_GRACE = 1.0
# The caller's own choices that can change who answers, or with what.
_CHOOSING = (
    "fallback", "load_balance", "optimise", "trust_level", "require_tools", "require_vision", "require_streaming",
    "speed", "model_hints", "unsupported",
)  # fmt: skip


class Source(Protocol):
    """An answer, to be read to its end."""

    @property
    def held(self) -> list[Any]:
        """What is there already: a whole answer, or pieces."""
        ...

    @property
    def over(self) -> bool:
        """Nothing more comes."""
        ...

    @property
    def about(self) -> Headers:
        """Headers that tell of it."""
        ...

    async def next(self) -> list[Any]:
        """What comes next."""
        ...

    async def aclose(self) -> None:
        """Ends it."""
        ...


async def source(call: Call, house: House) -> Source:
    """Where `call` has its answer from.

    Raises:
        GatewayError: Nowhere; nothing of it was told.
    """
    if house.cache is not None and call.kind.repeats:
        return await _shared(call, house, house.cache)
    found = await _asked(call, house)
    if isinstance(found, (Answer, Result)):
        await _account(call, house, found)
        return _Shown([found], _about(call))
    return await _Direct.begun(_streamed(found, call, house))


async def _asked(call: Call, house: House) -> Answer | Result | Stream:
    """An upstream's own answer; one to a call that is streamed is a stream, whatever the upstream made of it."""
    if call.guard is not None and (rounds := call.guard.rounds):
        found = await mended(call, house, rounds)
        return Known(assemble.chunks(found.completion)) if call.stream else found
    if needs_several(call):
        return await several(call, house)
    parts = parts_of(call)
    return await (answered(call, house) if len(parts) == 1 else divided(call, house, parts))


async def _shared(call: Call, house: House, cache: Cache) -> Source:
    """From the cache or from an identical call, where both are allowed to share."""
    wish = call.wish
    barred = cachekey.bypass(call.native.body if call.native is not None else call.request, asked=wish.asked)
    key = _key(call, house)
    if wish.look and barred is None:
        kept = await cache.look(key, oldest=wish.ttl)
        if kept is not None:
            call.ticket.free = True
            call.usage = kept.usage
            held: list[Any] = kept.replay() if call.stream else [kept.answer]
            about = (("X-Model-Used", kept.target), ("X-Provider", kept.provider), *kept.headers)
            return _Shown(held, (*about, *headers_of("HIT", kept.age(house.clock()))))
    keep = key if wish.keep and barred is None else None

    def work() -> AsyncGenerator[Batch[Any], None]:
        call.flown = True
        return _flown(call, house, keep)

    alone = not (wish.look and wish.keep) or barred is not None
    # Only those who try equally hard share.
    place = f"alone {call.ticket.uid}" if alone else f"{key} {call.options.timeout} {call.options.retries}"
    flights = house.streams if call.stream else house.answers
    # Whoever leads it hears of its own time-out first.
    with call.patience.within(call.seconds(house) + _GRACE, _late):
        reader = await flights.board(place, work)
    call.ticket.free = not reader.led
    outcome = headers_of("BYPASS" if barred or not wish.look else "MISS" if reader.led else "HIT")
    return _Followed(reader, outcome)


def _key(call: Call, house: House) -> str:
    own: dict[str, Any] = {name: str(value) for name in _CHOOSING if (value := getattr(call.options, name))}
    if call.native is not None:
        # What only its own protocol knows changes the answer, too.
        body = {name: value for name, value in call.native.body.items() if name not in cachekey.TOLD}
        own["native"] = [body, call.native.headers]
    elif call.foreign:
        # What it would be refused for is no part of the hub's request.
        own["foreign"] = [list(one) for one in call.foreign]
    if call.guard is not None and (shapes := call.guard.key()):
        own["guardrails"] = shapes
    return cachekey.key(
        call.surface.name, call.request, tenant=tenant_of(call.caller), scope=call.scope, version=house.version, own=own
    )


def _late() -> GatewayError:
    return UpstreamTimeout("The identical call that this one waits for takes too long. Try again, or allow more time.")


async def _flown(call: Call, house: House, keep: str | None) -> AsyncGenerator[Batch[Any], None]:
    """The call upstream in a task of its own, which lives as long as anybody reads it."""
    # Waits are bounded by task, and this is another one.
    call.patience = Patience()
    recording = Recording(house.cache.settings.max_entry) if house.cache is not None and keep is not None else None
    whole: Answer | Result | None = None
    try:
        with failing(call):
            found = await _asked(call, house)
            if isinstance(found, (Answer, Result)):
                await _account(call, house, found)
                whole = found
                yield Batch([found], True, _about(call))
            else:
                async with aclosing(_streamed(found, call, house)) as batches:
                    async for batch in batches:
                        if recording is not None:
                            recording.add(batch.items)
                        yield batch
                if recording is not None:
                    whole = recording.answer()
            await _keep(call, house, keep, whole)
    finally:
        await settle(call, house)
        call.patience.close()


async def _keep(call: Call, house: House, key: str | None, whole: Answer | Result | None) -> None:
    route = call.route
    # An answer in the client's own protocol holds what the hub's form of it does not.
    if key is None or whole is None or house.cache is None or route is None or route.fallback or call.through:
        return
    about = tuple(line for line in _about(call) if line[0] in ABOUT)
    await house.cache.keep(
        key, whole, provider=route.deployment.name, target=route.target.model, headers=about, ttl=call.wish.ttl
    )


async def _streamed(found: Stream, call: Call, house: House) -> AsyncGenerator[Batch[Any], None]:
    """What a stream brings, counted as it passes and charged before its last bit."""
    call.first_token = house.monotonic() - call.started
    call.type = found.type
    try:
        pieces = found.held
        about = _about(call)
        while True:
            _count(call, pieces)
            if found.over:
                break
            call.ticket.sent = True
            yield Batch(pieces, False, about)
            pieces = await found.next()
            if call.ticket.renew_at is not None:
                await renew(call, house)
        call.complete = True
        await charge(call, house)
        yield Batch(pieces, True, about)
    except UpstreamFailure as failure:
        if call.server is not None:
            failure.message = call.server.redact(failure.message)
        raise
    except (GeneratorExit, asyncio.CancelledError):
        if not found.over:
            await _drain(found, call, house)
        raise
    finally:
        await found.aclose()


async def _account(call: Call, house: House, answer: Answer | Result) -> None:
    """Notes what a whole answer came to, and charges it."""
    if isinstance(answer, Result):
        _count(call, [answer])
    else:
        if call.heard is not None:
            call.heard.whole(answer)
        call.usage = answer.completion.get("usage")
        if call.usage is None:
            for choice in answer.completion["choices"]:
                delivered(call, choice["message"])
    call.complete = True
    await charge(call, house)


def _count(call: Call, pieces: Sequence[Piece | Part | Result]) -> None:
    if call.heard is not None:
        call.heard.add(pieces)
    for piece in pieces:
        if not isinstance(piece, Piece):
            call.usage = piece.usage or call.usage
            call.ticket.images += piece.images
            continue
        chunk = piece.chunk
        for choice in chunk["choices"]:
            delivered(call, choice["delta"])
        if usage := chunk.get("usage"):
            call.usage = usage


async def _drain(live: Stream, call: Call, house: House) -> None:
    """Reads on for a while though nobody listens any more, where the settings say so: to learn what it came to."""
    end = house.monotonic() + house.settings.drain
    try:
        while not live.over and (left := end - house.monotonic()) > 0:
            _count(call, await live.next(left))
    except GatewayError as failure:
        _log.debug("%s was not read to its end: %s", call.id, failure.message)
    # It ended as it should; that nobody was there to see it is not the upstream's failure.
    call.complete = live.over


def _about(call: Call) -> Headers:
    """What is known of the answer before its first byte."""
    route, outgoing = call.route, call.outgoing
    if route is None or outgoing is None:
        return ()
    headers = [("X-Model-Used", route.target.model), ("X-Provider", route.deployment.name)]
    if route.key != call.targets[0].key:
        headers.append(("X-Fallback-From", call.targets[0].key[:_HEADER]))
    if call.retries:
        headers.append(("X-Retry-Count", str(call.retries)))
    if call.described:
        headers.append(("X-Vision-Fallback", call.described))
    if outgoing.dropped:
        headers.append(("X-Dropped-Params", ",".join(outgoing.dropped)[:_HEADER]))
    if outgoing.clamped:
        clamped = ",".join(f"{name}={value}" for name, value in outgoing.clamped)
        headers.append(("X-Clamped-Params", clamped[:_HEADER]))
    return tuple(headers)


class _Direct:
    """An upstream's answer, read in the caller's own task."""

    def __init__(self, batches: AsyncGenerator[Batch[Any], None], first: Batch[Any]) -> None:
        self._batches = batches
        self.held: list[Any] = [*first.items]
        self.over = first.over
        self.about = first.about

    @classmethod
    async def begun(cls, batches: AsyncGenerator[Batch[Any], None]) -> _Direct:
        """Read until its first bit."""
        return cls(batches, await anext(batches))

    async def next(self) -> list[Any]:
        batch = await anext(self._batches)
        self.over = batch.over
        return [*batch.items]

    async def aclose(self) -> None:
        await self._batches.aclose()


class _Shown:
    """An answer that is there already."""

    def __init__(self, held: list[Any], about: Headers) -> None:
        self.held = held
        self.over = True
        self.about = about

    async def next(self) -> list[Any]:
        return []

    async def aclose(self) -> None:
        return


class _Followed:
    """An answer that others may be reading, too."""

    def __init__(self, reader: Any, outcome: Headers) -> None:
        self._reader = reader
        self._outcome = outcome
        self.held: list[Any] = reader.held

    @property
    def over(self) -> bool:
        return bool(self._reader.over)

    @property
    def about(self) -> Headers:
        return (*self._reader.about, *self._outcome)

    async def next(self) -> list[Any]:
        found: list[Any] = await self._reader.next()
        return found

    async def aclose(self) -> None:
        await self._reader.aclose()
