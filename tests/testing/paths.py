"""Real exchanges with vendors: read from disk, and compared with a fake's answers by the paths and types in them.

A path is where a value stands (`.content[]<text>.text`); objects go by their `type`. What a fake has and no
recording has, and what a recording has and the fake has not, has to be listed with a reason (`Odd`). What does not live
here: any dialect's scripts and exceptions (`anthropic/`, `gemini/`, `cohere/`). The recordings are not part of the
project: `COMPATGW_RECORDINGS` names their folder.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.testing.driver import PNG

Shape = dict[str, set[str]]


class Odd(NamedTuple):
    """An exception: what, why, and on which surfaces. Patterns are matched from the beginning, `surface` as a whole."""

    pattern: str
    reason: str
    surface: str = ".*"


@dataclass(frozen=True)
class Record:
    """One exchange with a vendor; `path` with its query, empty if the request was not recorded."""

    name: str
    vendor: str
    surface: str
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: Any = field(repr=False)
    status: int
    answer: Any = field(repr=False)
    text: str = field(repr=False)

    @property
    def streamed(self) -> bool:
        """The answer is a stream."""
        return self.surface.endswith("-stream")

    @property
    def said(self) -> tuple[Any, ...]:
        """The answer's JSON: one value, or each event's."""
        if not self.streamed:
            return (self.answer,)
        if self.answer is not None:
            return tuple(self.answer) if isinstance(self.answer, list) else (self.answer,)
        return tuple(events_of(self.text))


def folder() -> Path:
    """Where the recordings are; skips without them."""
    name = os.environ.get("COMPATGW_RECORDINGS")
    if not name:
        pytest.skip("COMPATGW_RECORDINGS is not set")
    return Path(name)


@cache
def records(vendor: str, surface: str) -> tuple[Record, ...]:
    """The exchanges of one vendor on one surface."""
    return tuple(_record(path, vendor, surface) for path in sorted((folder() / vendor / surface).glob("*.json")))


def _record(path: Path, vendor: str, surface: str) -> Record:
    given = json.loads(path.read_bytes())
    sent, got = given["request"], given["response"]
    parts = urlsplit(sent.get("url") or "")
    return Record(
        name=path.stem,
        vendor=vendor,
        surface=surface,
        method=sent.get("method") or "POST",
        path=parts.path + (f"?{parts.query}" if parts.query else ""),
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


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(one)


# Shapes.


def shape_of(values: Iterable[Any], free: Collection[str] = ()) -> Shape:
    """Every path in some values, with the JSON types that stand there.

    Args:
        values: Answers, or the events of a stream: each path then begins with the event's type.
        free: Members whose trees are the caller's own.
    """
    found: Shape = {}
    for value in values:
        root = value["type"] if isinstance(value, dict) and isinstance(value.get("type"), str) else ""
        for path, kind in _paths(value, root, free):
            found.setdefault(path or ".", set()).add(kind)
    return found


def _paths(value: Any, at: str, free: Collection[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and isinstance(value.get("type"), str) and at != value["type"]:
        at += f"<{value['type']}>"
    yield at, kind_of(value)
    if isinstance(value, dict):
        for name, one in value.items():
            if name in free:
                yield f"{at}.{name}", kind_of(one)
            else:
                yield from _paths(one, f"{at}.{name}", free)
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, f"{at}[]", free)


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def merged(shapes: Iterable[Shape]) -> Shape:
    """All the paths of several shapes."""
    found: Shape = {}
    for shape in shapes:
        for path, kinds in shape.items():
            found.setdefault(path, set()).update(kinds)
    return found


def alien(fakes: Shape, vendors: Shape) -> set[str]:
    """Paths, each with its type, that a fake has and the vendor never had."""
    return {f"{path} {kind}" for path, kinds in fakes.items() for kind in kinds - vendors.get(path, set())}


def unlisted(found: Collection[str], odd: Iterable[Odd], surface: str) -> list[str]:
    """What no exception excuses."""
    mine = [one.pattern for one in odd if re.fullmatch(one.surface, surface)]
    return sorted(path for path in found if not any(re.match(pattern, path) for pattern in mine))


def idle(odd: Iterable[Odd], found: Collection[tuple[str, str]]) -> list[str]:
    """Exceptions that excuse none of some pairs of surface and path."""
    return [
        one.pattern
        for one in odd
        if not any(re.fullmatch(one.surface, surface) and re.match(one.pattern, path) for surface, path in found)
    ]
