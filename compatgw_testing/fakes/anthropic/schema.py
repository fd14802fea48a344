"""What Anthropic takes as the schema of structured output.

What does not live here: where a schema may stand (`rules.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.jsonschema import inside, malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a schema for structured output may hold beside its structure.
_SCHEMA_WORDS = frozenset(
    (
        *("type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions"),
        # Vercel's AI SDK sends `$schema` with every schema.
        *("$schema", "description", "title", "default", "minItems", "format", "additionalProperties", "propertyNames"),
    )
)
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


def schema_faults(schema: Any) -> Iterator[str]:
    """What in a schema the structured output of the vendor does not take."""
    if fault := malformed(schema):
        yield f"Invalid schema: {fault}"
        return
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if (kind == "object" or "properties" in schema) and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    for word in schema:
        if word not in _SCHEMA_WORDS:
            yield f"For '{kind}' type, property '{word}' is not supported"
    if schema.get("minItems", 0) not in (0, 1):
        yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if "format" in schema and schema["format"] not in _FORMATS:
        yield f"For 'string' type, format '{schema['format']}' is not supported"
    for _, part in inside(schema):
        yield from schema_faults(part)


def recursive(schema: Any) -> bool:
    """A schema that is not malformed contains itself, by its references."""
    leads = {one: set(_references(_place(schema, one))) for one in _all_references(schema)}
    open_ends = set(leads)
    # What leads nowhere any more is taken away; what is left then goes round.
    while ended := {one for one in open_ends if not leads[one] & open_ends}:
        open_ends -= ended
    return bool(open_ends)


def _all_references(schema: Any) -> set[str]:
    found: set[str] = set()
    new = set(_references(schema))
    while new:
        found |= new
        new = {other for one in new for other in _references(_place(schema, one))} - found
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for _, part in inside(schema):
            yield from _references(part)


def _place(schema: Any, reference: str) -> Any:
    place = schema
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            place = place.get(step, {}) if isinstance(place, dict) else {}
    return place
