"""JSON Schemas in the two dialects, judged by the SDK's own type and by the lists of keywords."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.gemini import schema

JSON_REFUSED = frozenset(
    {"$schema", "strict", "examples", "if", "then", "else", "not", "const", "allOf", "patternProperties", "default"}
)


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def field(child: Any) -> dict[str, Any]:
    """What a property's schema becomes in the newer dialect."""
    found: dict[str, Any] = schema.json_schema(obj(x=child))["properties"]["x"]
    return found


def old(child: Any) -> dict[str, Any]:
    """What a property's schema becomes in the older dialect."""
    found: dict[str, Any] = schema.openapi(obj(x=child))["properties"]["x"]
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string"}, {"type": "string"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 3}, {"type": "integer", "enum": [3]}),
        ({"const": None}, {"type": "null"}),
        ({"const": True}, {"type": "boolean", "description": "one of: [true]"}),
        ({"type": "string", "enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a"]}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": "format: uri"}),
        (
            {"type": "string", "description": "d", "pattern": "^a$", "minLength": 2},
            {"type": "string", "description": "d (pattern: ^a$; minLength: 2)"},
        ),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        (
            {"type": "number", "exclusiveMaximum": 1.5},
            {"type": "number", "maximum": 1.5, "description": "exclusiveMaximum: 1.5"},
        ),
        ({"type": "boolean", "default": False}, {"type": "boolean", "description": "default: false"}),
        (
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ),
        ({"items": [{"type": "string"}]}, {"type": "array", "prefixItems": [{"type": "string"}]}),
        ({"anyOf": [{"type": "string"}, True]}, {"anyOf": [{"type": "string"}, {}]}),
        ({"allOf": [obj(a={"type": "string"}), {"required": ["a"]}]}, {**obj(a={"type": "string"}), "required": ["a"]}),
        (
            {"type": "string", "$schema": "s", "strict": True, "examples": ["a"], "not": {}, "if": {}},
            {"type": "string"},
        ),
        (
            {"anyOf": [{"type": "string"}], "nullable": True, "propertyOrdering": ["a"]},
            {"anyOf": [{"type": "string"}, {"type": "null"}], "propertyOrdering": ["a"]},
        ),
        ({"allOf": [{"enum": ["a", "b"]}, {"enum": ["b"]}]}, {"type": "string", "enum": ["b"]}),
        ({"const": {"a": 1}}, {"type": "object", "description": 'one of: [{"a":1}]'}),
        (True, {}),
        ("nonsense", {}),
    ],
)
def test_the_newer_dialect_keeps_what_it_knows_and_tells_the_rest(given: Any, expected: dict[str, Any]) -> None:
    """Keywords outside of the vendor's list are rewritten, told in the description, or left out."""
    assert field(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "string"}, {"type": "STRING"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "d"}, {"type": "INTEGER", "nullable": True, "description": "d"}),
        ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, {"anyOf": [{"type": "INTEGER"}, {"type": "STRING"}]}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": [1, 2]}, {"type": "INTEGER", "description": "one of: [1,2]"}),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        ({"prefixItems": [{"type": "string"}, {"type": "integer"}]}, {"type": "ARRAY", "items": {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}}),
        ({"type": "string", "pattern": "^a$", "maxLength": 3}, {"type": "STRING", "pattern": "^a$", "maxLength": 3}),
        ({"type": "string", "format": "email"}, {"type": "STRING", "description": "format: email"}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "INTEGER", "minimum": 1}),
        ({"type": "object", "additionalProperties": False}, {"type": "OBJECT"}),
        ({"type": "null"}, {"type": "STRING", "nullable": True}),
        ({"anyOf": [{"type": "null"}]}, {"type": "STRING", "nullable": True}),
        ({}, {"type": "STRING"}),
    ],
)  # fmt: skip
def test_the_older_dialect_is_the_openapi_subset(given: Any, expected: dict[str, Any]) -> None:
    """Types in capitals, `nullable`, text enumerations only, no `additionalProperties`, `const` or lists of types."""
    assert old(given) == expected


def test_the_older_dialect_orders_properties_as_the_caller_does() -> None:
    """Older models write members in the order of their names unless told."""
    found = schema.openapi({**obj(b={"type": "string"}, a={"type": "string"}), "required": ["a", "gone"]})

    assert found["propertyOrdering"] == ["b", "a"]
    assert found["required"] == ["a"]


def test_names_of_properties_are_never_taken_for_keywords() -> None:
    """A property may be called `not`, `$ref`, `type` or `allOf`."""
    names = ["not", "$ref", "type", "allOf", "const", "$schema", "default"]
    given = obj(**{name: {"type": "string"} for name in names})

    assert list(schema.json_schema(given)["properties"]) == names
    assert list(schema.openapi(given)["properties"]) == names


def test_definitions_are_gathered_at_the_root() -> None:
    """Wherever a reference points in the document, it then points to `$defs`; beside it stands nothing."""
    given = {
        **obj(
            a={"$ref": "#/definitions/A", "description": "said"},
            b={"$ref": "#/$defs/B~1C"},
            c={"type": "array", "items": {"$ref": "#/properties/d"}},
            d={"type": "integer"},
            e={"allOf": [{"$ref": "#/definitions/A"}], "title": "t"},
        ),
        "definitions": {"A": obj(self={"$ref": "#/definitions/A"})},
        "$defs": {"B/C": {"type": "string"}, "unused": {"type": "string"}},
    }
    found = schema.json_schema(given)

    assert found["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/A"}], "description": "said"}
    assert found["properties"]["b"] == {"$ref": "#/$defs/B_1C"}
    assert found["properties"]["c"]["items"] == {"$ref": "#/$defs/d"}
    assert found["properties"]["e"] == {"$ref": "#/$defs/A"}
    assert found["$defs"] == {
        "A": obj(self={"$ref": "#/$defs/A"}),
        "B_1C": {"type": "string"},
        "d": {"type": "integer"},
    }


def test_definitions_of_one_name_stay_apart() -> None:
    """Names are told by their last step alone."""
    given = {
        **obj(a={"$ref": "#/$defs/A"}, b={"$ref": "#/definitions/A"}, c={"$ref": "#/$defs/L/anyOf/1"}),
        "$defs": {"A": {"type": "string"}, "L": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}},
        "definitions": {"A": {"type": "integer"}},
    }

    assert schema.json_schema(given)["$defs"] == {
        "A": {"type": "string"},
        "A_2": {"type": "integer"},
        "1": {"type": "boolean"},
    }


def test_a_merge_that_refers_to_itself_ends() -> None:
    """Each reference is merged once."""
    given = {
        **obj(a={"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}], "properties": {"x": {}}}),
        "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"required": ["x"]}], "type": "object"}},
    }

    assert schema.json_schema(given)["properties"]["a"] == {
        "type": "object",
        "properties": {"x": {}},
        "required": ["x"],
    }


def test_a_reference_at_the_root_is_put_in_place() -> None:
    """Recursive models are written so by pydantic, and functions need an object at the root."""
    given = {"$ref": "#/$defs/Node", "$defs": {"Node": obj(next={"$ref": "#/$defs/Node"})}}

    assert schema.is_object(given)
    assert schema.json_schema(given) == {
        **obj(next={"$ref": "#/$defs/Node"}),
        "$defs": {"Node": obj(next={"$ref": "#/$defs/Node"})},
    }


def test_cycles_end_in_any_object_where_references_must_be_in_place() -> None:
    """The older dialect has no references."""
    given = {"$defs": {"N": obj(next={"$ref": "#/$defs/N"}, v={"type": "string"})}, **obj(n={"$ref": "#/$defs/N"})}

    assert schema.openapi(given)["properties"]["n"]["properties"]["next"] == {"type": "OBJECT"}


@pytest.mark.parametrize(
    "pointer", ["#/$defs/gone", "https://example.com/s", "#anchor", "#/properties/a/type/0", "#/%"]
)
def test_a_reference_that_leads_nowhere_allows_anything(pointer: str) -> None:
    """It would be refused, and there is nothing to put in its place."""
    assert field({"$ref": pointer, "description": "d"}) == {"description": "d"}


def test_definitions_that_multiply_stay_bounded() -> None:
    """Twenty definitions that each use the next one twice would be a million copies."""
    defs = {f"d{n}": obj(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"}) for n in range(24)}
    given = {"$defs": {**defs, "d24": {"type": "string"}}, **obj(x={"$ref": "#/$defs/d0"})}

    assert len(orjson.dumps(schema.openapi(given))) < 2_000_000
    assert len(schema.json_schema(given)["$defs"]) == 25


def test_a_long_chain_of_definitions_is_no_recursion() -> None:
    """A thousand definitions in a row are legal."""
    defs = {f"d{n}": obj(a={"$ref": f"#/$defs/d{n + 1}"}) for n in range(1500)}
    given = {"$defs": {**defs, "d1500": {"type": "string"}}, **obj(x={"$ref": "#/$defs/d0"})}

    assert len(schema.json_schema(given)["$defs"]) == 1501
    types.Schema.model_validate(schema.openapi(given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, False),
        ({"type": "object"}, False),
        ({"type": "object", "properties": {}}, False),
        ({"type": "object", "properties": {}, "additionalProperties": False}, False),
        ({"type": "object", "additionalProperties": True}, True),
        (obj(a={}), True),
        ({"$ref": "#/$defs/A"}, True),
        ({"type": "array"}, True),
    ],
)
def test_functions_without_arguments_are_told_apart(given: dict[str, Any], expected: bool) -> None:
    """For them no schema is sent at all."""
    assert schema.takes_arguments(given) is expected


# --- what holds for any schema -----------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
pointers = st.sampled_from(["#", "#/$defs/A", "#/definitions/A", "#/properties/x", "#/$defs/gone", "x"])
words = st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null", "any"])


def nodes(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(children, max_size=3)
    maps = st.dictionaries(st.sampled_from(["x", "not", "$ref", "type", "a b"]), children, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": words | st.lists(words, max_size=3),
            "properties": maps,
            "required": st.lists(st.sampled_from(["x", "not", "gone"]), max_size=3),
            "items": children | lists,
            "prefixItems": lists,
            "anyOf": lists,
            "oneOf": lists,
            "allOf": lists,
            "not": children,
            "if": children,
            "patternProperties": maps,
            "additionalProperties": children | st.booleans(),
            "$ref": pointers,
            "$defs": st.fixed_dictionaries({}, optional={"A": children}),
            "definitions": st.fixed_dictionaries({}, optional={"A": children}),
            "enum": st.lists(scalars, max_size=3),
            "const": scalars,
            "default": scalars,
            "examples": st.lists(scalars, max_size=2),
            "format": st.sampled_from(["date-time", "uri", "int32"]),
            "minimum": scalars,
            "exclusiveMinimum": scalars,
            "minItems": scalars,
            "minLength": scalars,
            "pattern": scalars,
            "nullable": st.booleans(),
            "description": scalars,
            "title": scalars,
            "$schema": st.just("s"),
            "strict": st.just(True),
        },
    )


schemas = st.recursive(st.booleans() | nodes(st.nothing() | st.booleans()) | scalars, nodes, max_leaves=8).filter(
    lambda value: isinstance(value, dict)
)


def walk(node: Any, keys: frozenset[str], root: dict[str, Any]) -> None:
    assert isinstance(node, dict)
    assert node.keys() <= keys, f"refused: {sorted(node.keys() - keys)}"
    if "$ref" in node:
        assert not [key for key in node if not key.startswith("$")]
        assert node["$ref"].removeprefix("#/$defs/") in root["$defs"]
    for key in ("properties", "$defs"):
        for child in node.get(key, {}).values():
            walk(child, keys, root)
    for key in ("anyOf", "oneOf", "prefixItems"):
        for child in node.get(key, ()):
            walk(child, keys, root)
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            walk(node[key], keys, root)


@settings(max_examples=150, deadline=None)
@given(schemas)
def test_no_refused_keyword_is_ever_sent(given: dict[str, Any]) -> None:
    """Whatever a caller writes as a schema, only keywords of the vendor's lists come out, references lead somewhere."""
    before = orjson.dumps(given)
    newer = schema.json_schema(given)
    older = schema.openapi(given)

    walk(newer, schema.JSON_KEYS, newer)
    walk(older, schema.OPENAPI_KEYS, older)
    types.Schema.model_validate(older)
    assert not JSON_REFUSED & schema.JSON_KEYS
    assert orjson.dumps(given) == before, "the caller's schema is left alone"
