"""JSON Schema as a caller sends it: is it one at all, and which schemas stand inside it.

What does not live here: which of its words a vendor takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf", "prefixItems")


def malformed(schema: Any) -> str | None:
    """What makes `schema` no JSON Schema; None if it is one, as far as this looks."""
    if isinstance(schema, bool):
        return None
    if not isinstance(schema, dict):
        return "a schema has to be an object"
    for word in _NAMED:
        if not isinstance(schema.get(word, {}), dict):
            return f"'{word}' has to be an object"
    for word in (*_LISTED, "required", "enum"):
        if not isinstance(schema.get(word, []), list):
            return f"'{word}' has to be a list"
    if not all(isinstance(name, str) for name in schema.get("required", [])):
        return "'required' has to hold names"
    kind = schema.get("type", "object")
    if not isinstance(kind, str) and not (isinstance(kind, list) and all(isinstance(one, str) for one in kind)):
        return "'type' has to be a name or a list of names"
    if not isinstance(schema.get("minItems", 0), int):
        return "'minItems' has to be a number"
    return next((fault for _, part in inside(schema) if (fault := malformed(part))), None)


def inside(schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas right inside one that is not malformed, each with its place."""
    for word in _NAMED:
        for name, part in schema.get(word, {}).items():
            yield f"{word}.{name}", part
    for word in _LISTED:
        for number, part in enumerate(schema.get(word, [])):
            yield f"{word}.{number}", part
    if "items" in schema:
        yield "items", schema["items"]
