"""Descriptions of JSON, and what in a value goes against one.

A vendor's request is described as data (`Obj({"model": Str(), ...}, required=("model",))`);
`check` lists the violations in reading order and the vendor's own rules put them into words.
A member that is null counts as absent, unless it is required.

What does not live here: any vendor's field names, statuses or messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Path = tuple[str | int, ...]
Kind = Literal["missing", "type", "unknown", "value", "low", "high", "short", "long", "few", "many", "pattern"]


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong.

    Attributes:
        kind: `missing` member; wrong `type`; `unknown` member; `value` not one of the choices; number too `low` or
            `high`; string too `short` or `long`; too `few` or too `many` items; `pattern` not matched.
        path: Where, from the root.
        want: What would be right: a type, the choices, a bound.
        got: What stands there.
    """

    kind: Kind
    path: Path
    want: str
    got: Any = None


@dataclass(frozen=True, slots=True)
class Free:
    """Anything at all."""


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Str:
    """A string: one of `choices` if there are any, of `low` to `high` characters, matching `pattern` as a whole."""

    choices: tuple[str, ...] = ()
    low: int = 0
    high: int | None = None
    pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Num:
    """A number from `low` to `high`, both allowed; `whole` for integers."""

    low: float | None = None
    high: float | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Arr:
    """A list of `low` to `high` items; `single`: one item may stand without its list."""

    item: Shape
    low: int = 0
    high: int | None = None
    single: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """An object with names of the caller's choice."""

    item: Shape
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Obj:
    """An object with these members; `open`: others are let through."""

    fields: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object whose member `key` says which of `branches` it is; `open`: other tags are let through."""

    key: str
    branches: Mapping[str, Shape]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Either:
    """One shape for each JSON type: `string`, `number`, `boolean`, `array`, `object`, `null`."""

    by: Mapping[str, Shape] = field(default_factory=dict)


Shape = Free | Bool | Str | Num | Arr | Map | Obj | Tagged | Either


def kind_of(value: object) -> str:
    """The JSON type of a parsed value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def check(shape: Shape, value: Any, path: Path = ()) -> Iterator[Violation]:
    """What in `value` goes against `shape`, in reading order."""
    match shape:
        case Free():
            return
        case Bool():
            if not isinstance(value, bool):
                yield Violation("type", path, "boolean", value)
        case Str():
            yield from _string(shape, value, path)
        case Num():
            yield from _number(shape, value, path)
        case Arr():
            yield from _array(shape, value, path)
        case Map():
            if not isinstance(value, dict):
                yield Violation("type", path, "object", value)
                return
            if shape.high is not None and len(value) > shape.high:
                yield Violation("many", path, str(shape.high), len(value))
            for name, one in value.items():
                yield from check(shape.item, one, (*path, name))
        case Obj():
            yield from _object(shape, value, path)
        case Tagged():
            yield from _tagged(shape, value, path)
        case Either():
            branch = shape.by.get(kind_of(value))
            if branch is None:
                yield Violation("type", path, " or ".join(shape.by), value)
            else:
                yield from check(branch, value, path)


def _string(shape: Str, value: Any, path: Path) -> Iterator[Violation]:
    if not isinstance(value, str):
        yield Violation("type", path, "string", value)
    elif shape.choices and value not in shape.choices:
        yield Violation("value", path, ", ".join(f"'{one}'" for one in shape.choices), value)
    elif len(value) < shape.low:
        yield Violation("short", path, str(shape.low), value)
    elif shape.high is not None and len(value) > shape.high:
        yield Violation("long", path, str(shape.high), value)
    elif shape.pattern is not None and not re.fullmatch(shape.pattern, value):
        yield Violation("pattern", path, shape.pattern, value)


def _number(shape: Num, value: Any, path: Path) -> Iterator[Violation]:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (shape.whole and not whole):
        yield Violation("type", path, "integer" if shape.whole else "number", value)
    elif shape.low is not None and value < shape.low:
        yield Violation("low", path, f"{shape.low:g}", value)
    elif shape.high is not None and value > shape.high:
        yield Violation("high", path, f"{shape.high:g}", value)


def _array(shape: Arr, value: Any, path: Path) -> Iterator[Violation]:
    if not isinstance(value, list):
        yield Violation("type", path, "array", value)
        return
    if len(value) < shape.low:
        yield Violation("few", path, str(shape.low), len(value))
    if shape.high is not None and len(value) > shape.high:
        yield Violation("many", path, str(shape.high), len(value))
    for index, one in enumerate(value):
        yield from check(shape.item, one, (*path, index))


def _object(shape: Obj, value: Any, path: Path) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield Violation("type", path, "object", value)
        return
    if not shape.open:
        for name in value:
            if name not in shape.fields:
                yield Violation("unknown", (*path, name), ", ".join(shape.fields), value[name])
    for name in shape.required:
        if name not in value:
            yield Violation("missing", (*path, name), "")
    for name, one in shape.fields.items():
        if name in value and (value[name] is not None or name in shape.required):
            yield from check(one, value[name], (*path, name))


def _tagged(shape: Tagged, value: Any, path: Path) -> Iterator[Violation]:
    if not isinstance(value, dict):
        yield Violation("type", path, "object", value)
        return
    if shape.key not in value:
        yield Violation("missing", (*path, shape.key), "")
        return
    tag = value[shape.key]
    branch = shape.branches.get(tag) if isinstance(tag, str) else None
    if branch is not None:
        yield from check(branch, value, path)
    elif not shape.open or not isinstance(tag, str):
        kind: Kind = "value" if isinstance(tag, str) else "type"
        yield Violation(kind, (*path, shape.key), ", ".join(f"'{one}'" for one in shape.branches), tag)


def tidy(shape: Shape, value: Any, rename: Callable[[str], str]) -> Any:
    """`value` with the known members under the names that `rename` gives, and single items put into lists.

    What `shape` says nothing about stays as it is.
    """
    match shape:
        case Arr():
            items = [value] if shape.single and isinstance(value, dict) else value
            return [tidy(shape.item, one, rename) for one in items] if isinstance(items, list) else items
        case Map() if isinstance(value, dict):
            return {name: tidy(shape.item, one, rename) for name, one in value.items()}
        case Obj() if isinstance(value, dict):
            out = {}
            for name, one in value.items():
                known = rename(name) if rename(name) in shape.fields else name
                out[known] = tidy(shape.fields[known], one, rename) if known in shape.fields else one
            return out
        case Either():
            branch = shape.by.get(kind_of(value))
            return value if branch is None else tidy(branch, value, rename)
    return value


def written(path: Path) -> str:
    """A path as JavaScript writes it: `messages[0].content`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out
