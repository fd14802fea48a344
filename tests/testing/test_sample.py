"""Made-up values satisfy the schema that they were made from."""

import random
import re
from typing import Any

import pytest

from compatgw_testing.sample import Ids, value_for

TREE: dict[str, Any] = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "parent": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}


def satisfies(value: Any, schema: Any) -> bool:
    """A small check of its own: types, bounds, enums, required members."""
    kind = schema.get("type")
    if "enum" in schema:
        return value in schema["enum"]
    if kind == "object":
        names = set(schema.get("required", ()))
        return names <= set(value) and all(
            satisfies(value[n], s) for n, s in schema["properties"].items() if n in value
        )
    if kind == "array":
        size = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 99)
        return size and all(satisfies(one, schema.get("items", {})) for one in value)
    if kind in ("integer", "number"):
        right = isinstance(value, int) or (kind == "number" and isinstance(value, float))
        return right and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind == "string":
        return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 999)
    return kind is None or isinstance(value, bool)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}}, "required": ["a", "b"]},
        {"type": "array", "items": {"type": "integer", "minimum": 5, "maximum": 5}, "minItems": 3, "maxItems": 3},
        {"type": "integer", "minimum": -3, "maximum": -2},
        {"type": "number", "minimum": 0.25, "maximum": 0.5},
        {"type": "integer", "maximum": -7},
        {"type": "string", "minLength": 9, "maxLength": 9},
        {"type": "string", "maxLength": 2},
        {"enum": ["a", 3, None]},
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_value_satisfies_its_schema(schema: Any, seed: int) -> None:
    """Whatever the seed."""
    assert satisfies(value_for(schema, random.Random(seed)), schema)


def test_references_unions_and_the_openapi_form() -> None:
    """A schema that contains itself ends; upper-case types are types; the first real branch is taken."""
    source = random.Random(1)

    tree = value_for(TREE, source)
    optional = value_for({"anyOf": [{"type": "null"}, {"type": "integer"}]}, source)
    listed = value_for({"type": ["null", "string"]}, source)
    merged = value_for({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, source)
    shouted = value_for({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}, source)

    assert isinstance(tree, dict)
    assert isinstance(tree["name"], str)
    assert isinstance(optional, int)
    assert isinstance(listed, str)
    assert merged == {"a": 1, "b": 2}
    assert isinstance(shouted, dict)


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ({"type": "string", "format": "date-time"}, r"\d{4}-\d\d-\d\dT"),
        ({"type": "string", "format": "email"}, "@"),
        ({"type": "string", "pattern": r"^\d{3}$"}, r"^\d{3}$"),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "^[A-Z]{3}$"),
    ],
)
def test_formats_and_simple_patterns(schema: Any, pattern: str) -> None:
    """Strings look as they should."""
    value = value_for(schema, random.Random(1))

    assert isinstance(value, str)
    assert re.search(pattern, value)


@pytest.mark.parametrize("length", [1, 9, 24, 40])
def test_ids_differ_by_purpose_and_call(length: int) -> None:
    """And have the length asked for."""
    ids = Ids("seed", 1)

    assert len(ids.alnum("a", length)) == len(ids.hex("a", length)) == length
    assert ids.alnum("a", 24) != ids.alnum("b", 24)
    assert ids.alnum("a", 24) != Ids("seed", 2).alnum("a", 24)
    assert ids.uuid("a")[14] == "4"
