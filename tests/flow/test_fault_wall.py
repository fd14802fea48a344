"""The fault wall: every trouble in every dialect, plain and streamed, with each way out; streams cut at any place."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import Any

import pytest

from compatgw.dialects.base import Context, StreamDecoder, Target
from compatgw.errors import UpstreamFailure
from tests.flow.cuts import KINDS, Place, wire, wrong_at
from tests.flow.troubles import TROUBLES, Trouble
from tests.flow.wall import MODELS, WAYS, Outcome, Wall, Way, wall

_LETTERS = {"answer": "A", "error": "E", "broken": "B"}
# Milliseconds: half of it must do for the answer of a fallback, on a machine that does much else.
_PATIENCE = 6000
# Calls at one time: the ledger writes what waits together.
_TOGETHER = 32


# As it is, and with a cache, where each call upstream is a flight of its own that others may join.
DIRECT: Mapping[str, Any] = {}
SHARED: Mapping[str, Any] = {"cache": {"enabled": True}}
OpenWall = Callable[[Mapping[str, Any]], Awaitable[Wall]]


@pytest.fixture
async def open_wall(empty_ledger: Callable[[str], str]) -> AsyncIterator[OpenWall]:
    """Makes a wall on SQLite, with these settings."""
    made: list[Wall] = []

    async def new(settings: Mapping[str, Any]) -> Wall:
        made.append(wall(empty_ledger("sqlite"), **settings))
        await made[-1].open()
        return made[-1]

    yield new
    for each in made:
        await each.app.aclose()


def table(rows: Sequence[tuple[str, str, list[Outcome]]]) -> str:
    """The outcomes as lines: the trouble, how its four ways ended, with which code, after how many calls."""
    lines = [f"{'':44} {' '.join(f'{way:>9}' for way in WAYS)}  told"]
    for name, kind, outcomes in rows:
        ends = " ".join(f"{each.ending:>7} {each.calls}" for each in outcomes)
        lines.append(f"{name:36} {kind:>7} {ends}  {outcomes[0].status} {outcomes[0].code}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("dialect", "settings"),
    [*[pytest.param(name, DIRECT, id=name) for name in MODELS], pytest.param("cohere", SHARED, id="cohere-cache")],
)
async def test_every_trouble_ends_in_an_answer_or_an_honest_error(
    open_wall: OpenWall, dialect: str, settings: Mapping[str, Any]
) -> None:
    """As `troubles.py` has it, cell by cell; never a call after content was sent, and one settlement each."""
    one = await open_wall(settings)
    ended = await _ended(one, dialect)
    wrong: list[str] = []
    rows: list[tuple[str, str, list[Outcome]]] = []
    for (name, stream), (must, outcomes) in ended.items():
        kind, got = "stream" if stream else "plain", "".join([_LETTERS[each.ending] for each in outcomes])
        rows.append((name, kind, outcomes))
        if got != must:
            wrong.append(f"{name}, {kind}: {got}, and must be {must}")
        wrong += [f"{name}, {kind}, {way}: {each}" for way, o in zip(WAYS, outcomes, strict=True) for each in o.wrong]
    wrong += await one.wrong_in_the_books()
    print(f"\n{dialect}\n{table(rows)}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("settings", [DIRECT, SHARED], ids=["direct", "cache"])
@pytest.mark.parametrize("dialect", MODELS)
async def test_a_stream_that_ends_at_any_event_or_byte_is_whole_replaced_or_honest(
    open_wall: OpenWall, dialect: str, settings: Mapping[str, Any]
) -> None:
    """At the end of every event, and at fifty bytes by chance; by close, reset and a clean end, with each way out."""
    one = await open_wall(settings)
    told = await wire(one, dialect)
    random = Random(dialect)
    places = [Place(kind, size, way) for size in (0, *told.ends) for kind in KINDS for way in WAYS[:3]]
    drawn = random.choices(WAYS[:3], k=50)
    places += [Place(random.choice(KINDS), random.randrange(len(told.data)), way) for way in drawn]
    count: Counter[str] = Counter()
    wrong = await wrong_at(one, dialect, told, places, count)
    wrong += await one.wrong_in_the_books()
    print(f"\n{dialect}, {len(told.data)} bytes: {dict(sorted(count.items()))}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dialect", MODELS)
async def test_a_decoder_takes_no_part_of_a_stream_for_the_whole(open_wall: OpenWall, dialect: str) -> None:
    """At every single byte: until the event with the finish is there, the end of the bytes is a failure."""
    one = await open_wall(DIRECT)
    told = await wire(one, dialect)
    codec = importlib.import_module(f"compatgw.dialects.{dialect}").DIALECT.chat
    assert codec is not None
    context = Context(Target(provider=dialect, model="m"), id="chatcmpl-1", created=1)
    whole = [size for size in range(len(told.data) + 1) if _is_whole(codec.stream(context), told.data[:size])]

    assert whole[0] >= told.finish - 4
    assert whole == list(range(whole[0], len(told.data) + 1))


def _is_whole(decoder: StreamDecoder, data: bytes) -> bool:
    try:
        decoder.feed(data)
        decoder.finish()
    except UpstreamFailure:
        return False
    return True


async def _ended(one: Wall, dialect: str) -> dict[tuple[str, bool], tuple[str, list[Outcome]]]:
    """By trouble, and whether it was a stream: how its four ways must end, and how they did."""
    cells = [(trouble, stream, way) for trouble in TROUBLES for stream in (False, True) for way in WAYS]
    outcomes: list[Outcome] = []
    for (together, hangs), same in groupby(cells, lambda cell: (cell[0].side_by_side, cell[0].hangs)):
        group = list(same)
        # What hangs costs time and no work: all of it at once.
        size = len(group) if hangs else _TOGETHER if together else 1
        for start in range(0, len(group), size):
            one.clock.pass_by()
            calls = [_cell(one, dialect, *cell) for cell in group[start : start + size]]
            outcomes += await asyncio.gather(*calls)
            one.forget()
    found: dict[tuple[str, bool], tuple[str, list[Outcome]]] = {}
    for (trouble, stream, _), outcome in zip(cells, outcomes, strict=True):
        must = trouble.must(dialect, stream=stream)
        found.setdefault((trouble.name, stream), (must, []))[1].append(outcome)
    return found


async def _cell(one: Wall, dialect: str, trouble: Trouble, stream: bool, way: Way) -> Outcome:
    patience = _PATIENCE if trouble.hangs else None
    return await one.call(dialect, trouble.step, way, stream=stream, patience=patience)
