"""What is in some JSON, reduced to paths and types, so that two answers can be compared by their form.

A path is where a value stands (`.content[]<text>.text`); objects go by their `type`. What does not live here: where
the answers come from (`exchanges.py`).
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

Shape = dict[str, set[str]]


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


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(one)
