"""Loosens single constraints in a description of JSON, so that a test can prove that each one is tested.

What does not live here: rules that are statements (`mutation.py`), any dialect's descriptions and cases.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from compatgw_testing.fakes.shape import Arr, Bool, Either, Free, Map, Num, Obj, Shape, Str, Tagged

_LOOSE: dict[str, Any] = {"choices": (), "low": None, "high": None, "pattern": None, "whole": False}


@dataclass(frozen=True)
class Loosened:
    """One constraint less: `member` of `node`, which stands at `path`, gets `value`."""

    path: str
    node: Any
    member: str
    value: Any

    @contextmanager
    def apply(self) -> Iterator[None]:
        """The constraint does not hold inside; afterwards it does again."""
        kept = getattr(self.node, self.member)
        object.__setattr__(self.node, self.member, self.value)
        try:
            yield
        finally:
            object.__setattr__(self.node, self.member, kept)

    def __str__(self) -> str:
        return f"{self.path or 'body'}: {self.member}={getattr(self.node, self.member)!r}"[:200]


def loosened(shape: Shape, path: str = "", seen: set[int] | None = None) -> Iterator[Loosened]:
    """Every constraint in a shape; what stands in it several times counts once."""
    seen = set() if seen is None else seen
    if id(shape) in seen:
        return
    seen.add(id(shape))
    match shape:
        case Str() | Num() | Arr():
            for one in fields(shape):
                given = getattr(shape, one.name)
                loose = 0 if one.name == "low" and not isinstance(shape, Num) else _LOOSE.get(one.name)
                if one.name in _LOOSE and given != loose:
                    yield Loosened(path, shape, one.name, loose)
            if isinstance(shape, Arr):
                yield from loosened(shape.item, f"{path}[]", seen)
        case Map():
            yield from loosened(shape.item, f"{path}.*", seen)
        case Obj():
            for name in shape.required:
                rest = tuple(one for one in shape.required if one != name)
                yield Loosened(f"{path}.{name}", shape, "required", rest)
            if not shape.open:
                yield Loosened(path, shape, "open", True)
            for name, part in shape.fields.items():
                yield from loosened(part, f"{path}.{name}", seen)
        case Tagged():
            if not shape.open:
                yield Loosened(path, shape, "open", True)
            for name, part in shape.branches.items():
                yield from loosened(part, f"{path}<{name}>", seen)
        case Either():
            for part in shape.by.values():
                yield from loosened(part, path, seen)
        case Free() | Bool():
            pass


async def each_is_needed(shape: Shape, run_cases: Callable[[], Awaitable[bool]], left: Collection[str] = ()) -> None:
    """There are constraints, and without each, but for those in `left`, a case no longer holds."""
    assert await run_cases(), "the cases have to hold before a constraint is loosened"
    every = list(loosened(shape))
    untested = []
    for one in every:
        with one.apply():
            holds = await run_cases()
        if holds:
            untested.append(str(one))

    print(f"{len(every)} constraints loosened, {len(untested)} untested")
    assert [one for one in untested if one not in left] == []
    assert every
