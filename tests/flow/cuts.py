"""Streams that end too early, at any byte: what each fake writes, and how a call must end that gets so much of it.

What does not live here: making the calls (`wall.py`).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from compatgw_testing.faults import Fault
from compatgw_testing.script import Step, Turn, reply
from tests.flow.wall import FIRST, USAGE, Wall, Way

Kind = Literal["cut", "reset", "truncate"]
KINDS: tuple[Kind, ...] = ("cut", "reset", "truncate")

# What the last event has that a dialect cannot do without.
_FINISH: Mapping[str, bytes] = {
    "openai": b'"finish_reason":"stop"',
    "anthropic": b'"message_stop"',
    "gemini": b'"finishReason"',
    "cohere": b'"message-end"',
}
# Of an event that ends in a blank line, so many bytes may be missing before somebody may take it for unfinished.
_BLANK = 4


@dataclass(frozen=True, slots=True)
class Wire:
    """What a fake writes for `FIRST`, when nothing goes wrong.

    Attributes:
        data: All of it.
        ends: Where each event ends.
        content: Where the first event ends that says something.
        finish: Where the event ends without which nothing is whole.
    """

    data: bytes
    ends: tuple[int, ...]
    content: int
    finish: int

    def letters(self, kind: Kind, size: int, way: Way) -> str:
        """How a call may end whose first attempt gets `size` bytes: `A`, `E`, `B`, or one of several."""
        early = "A" if way in ("retry", "fallback") else "E"
        if size < self.content:
            return early if size < self.content - _BLANK else early + "B"
        if size < self.finish:
            return "B" if size < self.finish - _BLANK else "BA"
        # All was said. Whether somebody minds that the connection then breaks is not for this test.
        return "A" if kind == "truncate" else "AB"


async def wire(one: Wall, dialect: str) -> Wire:
    """Asks once and looks at what was written; nothing of it stays."""
    outcome = await one.call(dialect, lambda _: reply(FIRST, usage=USAGE), "neither", stream=True)
    pieces = [piece for _, piece in one.fakes[dialect].calls.last.pieces]
    one.forget()
    assert (outcome.ending, outcome.text, outcome.wrong) == ("answer", FIRST, ())
    ends, size = [], 0
    for piece in pieces:
        size += len(piece)
        ends.append(size)
    words = json.dumps(FIRST.split()[0], ensure_ascii=False).encode().rstrip(b'"')
    first = next(end for end, piece in zip(ends, pieces, strict=True) if words in piece)
    finish = next(end for end, piece in zip(ends, pieces, strict=True) if _FINISH[dialect] in piece)
    return Wire(b"".join(pieces), tuple(ends), first, finish)


def ended(kind: Kind, size: int) -> Callable[[str], Step]:
    """The answer, of which so many bytes arrive."""
    return lambda _: Turn(text=FIRST, usage=reply("", usage=USAGE).usage, fault=Fault(kind=kind, bytes=size))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream ends, how, and what the call may do then."""

    kind: Kind
    size: int
    way: Way


# Calls at one time: the ledger writes what waits together.
_TOGETHER = 32


async def wrong_at(
    one: Wall, dialect: str, told: Wire, places: Sequence[Place], count: Counter[str] | None = None
) -> list[str]:
    """Makes a call for each place, some side by side; what was wrong with how they ended.

    Args:
        count: Gets how many ended in which way.
    """
    wrong: list[str] = []
    for start in range(0, len(places), _TOGETHER):
        group = places[start : start + _TOGETHER]
        steps = [ended(place.kind, place.size) for place in group]
        calls = [one.call(dialect, step, place.way, stream=True) for step, place in zip(steps, group, strict=True)]
        for outcome, place in zip(await asyncio.gather(*calls), group, strict=True):
            may, letter = told.letters(place.kind, place.size, place.way), outcome.ending[0].upper()
            name = f"{dialect}, {place.kind} after {place.size} of {len(told.data)} bytes, {place.way}"
            wrong += [f"{name}: {fault}" for fault in outcome.wrong]
            if letter not in may:
                wrong.append(f"{name}: {letter}, and must be {may}")
            if count is not None:
                count[f"{place.way}: {outcome.ending}"] += 1
        one.forget()
    return wrong
