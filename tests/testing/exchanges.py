"""Real exchanges with vendors: read from disk, put to the vendor's fake, and the two answers compared both ways.

A fake is told to say what the vendor said. What it has and no recording has, and what a recording has and it has not,
has to be listed with a reason (`Odd`). What does not live here: any vendor's scripts (`anthropic/recorded.py` and its
like) and exceptions (`odd.py` beside them). The recordings are not part of the project: `COMPATGW_RECORDINGS` names
their folder.
"""

import json
import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.testing.driver import PNG, Reply
from tests.testing.paths import Shape, alien, merged, shape_of


class Odd(NamedTuple):
    """An exception: what, why, and on which surfaces.

    `pattern` is matched from the beginning of a path, or of a path and a type, or anywhere in the name and the address
    of an exchange; `surface` (`vendor/name`) as a whole.
    """

    pattern: str
    reason: str
    surface: str = ".*"


@dataclass(frozen=True)
class Record:
    """One exchange with a vendor; `surface` is `vendor/name`, `path` with its query, empty if it was not recorded."""

    name: str
    surface: str
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: Any = field(repr=False)
    status: int
    answer: Any = field(repr=False)
    text: str = field(repr=False)

    @property
    def vendor(self) -> str:
        """Whose answer it is."""
        return self.surface.partition("/")[0]

    @property
    def kind(self) -> str:
        """The surface, be it streamed or not."""
        return self.surface.partition("/")[2].removesuffix("-stream")

    @property
    def streamed(self) -> bool:
        """The answer is a stream."""
        return self.surface.endswith("-stream")

    @property
    def said(self) -> tuple[Any, ...]:
        """The answer's JSON: one value, or each event's; nothing if it is no JSON."""
        if self.streamed and self.answer is None:
            return tuple(events_of(self.text))
        if self.streamed and isinstance(self.answer, list):
            return tuple(self.answer)
        return () if self.answer is None else (self.answer,)


@cache
def records(surface: str) -> tuple[Record, ...]:
    """The exchanges with one vendor on one surface, `vendor/name`; skips the test if there are no recordings."""
    folder = os.environ.get("COMPATGW_RECORDINGS")
    if not folder:
        pytest.skip("COMPATGW_RECORDINGS is not set")
    return tuple(_record(path, surface) for path in sorted((Path(folder) / surface).glob("*.json")))


def _record(path: Path, surface: str) -> Record:
    given = json.loads(path.read_bytes())
    sent, got = given["request"], given["response"]
    parts = urlsplit(sent.get("url") or "")
    return Record(
        name=path.stem,
        surface=surface,
        method=sent.get("method") or "POST",
        path=parts.path + (f"?{parts.query}" if parts.query else "") if parts.netloc else "",
        headers={name.lower(): value for name, value in (sent.get("headers") or {}).items()},
        body=restored(sent.get("body_json")),
        status=got["status"],
        answer=got.get("body_json"),
        text=got.get("body_text") or "",
    )


def restored(value: Any) -> Any:
    """A body in which base64 that was too long to keep is some base64 again."""
    if isinstance(value, dict):
        return {name: restored(one) for name, one in value.items()}
    if isinstance(value, list):
        return [restored(one) for one in value]
    return PNG if isinstance(value, str) and value.startswith("<stripped") else value


def events_of(text: str) -> Iterator[Any]:
    """The JSON of each event of a stream."""
    for line in text.replace("\r\n", "\n").split("\n"):
        data = line[5:].strip() if line.startswith("data:") else ""
        if data and data != "[DONE]":
            yield json.loads(data)


@dataclass(frozen=True)
class Judge:
    """Holds a fake against the recordings of its vendors.

    Attributes:
        asked: The exchange; with the smallest request that fits if none was recorded.
        answered: What the fake answers to it, told to say what the vendor said; takes `key` and `models`, too.
        not_served: Exchanges that are no business of the fake.
        errors: Refusals that a fake cannot give.
        lacks: What recordings have and the fake has not.
        unknown: What the fake has and no recording has.
        free: Members whose trees are the caller's own.
        spare: Paths of an error that may be missing.
        name_of: What names the error, in a body; the fake's has to be the vendor's.
        wrong_key: Whether a vendor refused because of the key.
    """

    asked: Callable[[Record], Record]
    answered: Callable[..., Awaitable[Reply]]
    not_served: tuple[Odd, ...]
    errors: tuple[Odd, ...]
    lacks: tuple[Odd, ...]
    unknown: tuple[Odd, ...]
    free: Collection[str] = ()
    spare: Collection[str] = ()
    name_of: Callable[[Any], Any] = lambda _: None
    wrong_key: Callable[[Record], bool] = lambda record: record.status == 401

    def judged(self, surface: str) -> list[Record]:
        """The exchanges that the fake has to do with, each with a request."""
        known = [one for one in records(surface) if one.status == 200]
        return [self.asked(one) for one in known if not _listed(one, self.not_served)]

    def refused(self, *surfaces: str) -> list[Record]:
        """What the vendor refused and the fake has to refuse."""
        known = [one for surface in surfaces for one in records(surface)]
        return [one for one in known if not _listed(one, (*self.not_served, *self.errors))]

    async def agrees(self, surface: str) -> None:
        """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
        refused, unknown, lacks = await self._differences(surface)

        assert refused == []
        assert _unlisted(unknown, self.unknown, surface) == []
        assert _unlisted(lacks, self.lacks, surface) == []

    async def refuses(self, *surfaces: str) -> None:
        """What the vendor refused gets the same status, the same name of the error and an envelope of the same shape."""
        wrong: list[str] = []
        for one in self.refused(*surfaces):
            key = "wrong" if self.wrong_key(one) else None
            reply = await self.answered(self.asked(one), key=key, models=["known"] if one.status == 404 else None)
            theirs, ours = one.answer or json.loads(one.text), reply.json
            different = sorted((_members(theirs) ^ _members(ours)) - set(self.spare))
            if reply.status != one.status or different or self.name_of(theirs) != self.name_of(ours):
                wrong.append(f"{one.name}: {one.status}, the fake {reply.status} {reply.raw[:200]!r} {different}")

        assert wrong == []

    async def needs_its_exceptions(self, surfaces: Iterable[str], errors: Iterable[str]) -> None:
        """Each exception excuses something, and has its reason."""
        found = [(surface, await self._differences(surface)) for surface in surfaces]
        unknown = {(surface, path) for surface, (_, paths, _) in found for path in paths}
        lacks = {(surface, path) for surface, (_, _, paths) in found for path in paths}
        every = [one for surface in (*(surface for surface, _ in found), *errors) for one in records(surface)]
        exchanges = (*self.not_served, *self.errors)

        assert _idle(self.unknown, unknown) == []
        assert _idle(self.lacks, lacks) == []
        assert [odd.pattern for odd in exchanges if not any(_listed(one, [odd]) for one in every)] == []
        assert all(one.reason for one in (*self.unknown, *self.lacks, *exchanges))

    async def _differences(self, surface: str) -> tuple[list[str], set[str], set[str]]:
        """The refusals of one surface, what is the fake's own, and what it lacks."""
        exchanges = self.judged(surface)
        own = merged(shape_of(one.said, self.free) for one in exchanges)
        refused: list[str] = []
        unknown: set[str] = set()
        lacks: set[str] = set()
        for one in exchanges:
            reply = await self.answered(one)
            if reply.status != 200:
                refused.append(f"{one.name}: {reply.status} {reply.raw[:300]!r}")
            elif one.said:
                fakes = self._shape(one, reply)
                unknown |= alien(fakes, own)
                lacks |= set(shape_of(one.said, self.free)) - set(fakes)
        return refused, unknown, lacks

    def _shape(self, record: Record, reply: Reply) -> Shape:
        if "event-stream" in reply.headers["content-type"]:
            return shape_of(events_of(reply.raw.decode()), self.free)
        return shape_of(reply.json if record.streamed else [reply.json], self.free)


def _members(error: Any) -> set[str]:
    """The paths in an error, whatever its type is."""
    return {re.sub("<[^>]*>", "", path) for path in shape_of([error])}


def _listed(record: Record, odd: Iterable[Odd]) -> bool:
    return any(re.search(one.pattern, f"{record.name} {record.path}") for one in odd)


def _unlisted(found: Collection[str], odd: Iterable[Odd], surface: str) -> list[str]:
    """What no exception excuses."""
    mine = [one.pattern for one in odd if re.fullmatch(one.surface, surface)]
    return sorted(path for path in found if not any(re.match(pattern, path) for pattern in mine))


def _idle(odd: Iterable[Odd], found: Collection[tuple[str, str]]) -> list[str]:
    """Exceptions that excuse none of some pairs of surface and path."""
    return [
        one.pattern
        for one in odd
        if not any(re.fullmatch(one.surface, surface) and re.match(one.pattern, path) for surface, path in found)
    ]
