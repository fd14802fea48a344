"""Schemas within the subset of structured output, and tool inputs as objects."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import transform_schema

from compatgw.dialects.anthropic.schema import strict, tool_input
from compatgw.errors import InvalidRequest

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (STRING, STRING),
        ({"type": "string", "format": "email"}, {"type": "string", "format": "email"}),
        ({"type": "string", "format": "iri"}, {"type": "string", "description": "{format: iri}"}),
        (
            {"type": "integer", "minimum": 1, "maximum": 9, "description": "A number"},
            {"type": "integer", "description": "A number\n\n{minimum: 1, maximum: 9}"},
        ),
        (
            {"type": "string", "pattern": "^a", "default": "a"},
            {"type": "string", "description": "{pattern: ^a, default: a}"},
        ),
        ({"type": "array", "items": STRING, "minItems": 1}, {"type": "array", "items": STRING, "minItems": 1}),
        (
            {"type": "array", "items": STRING, "minItems": 2},
            {"type": "array", "items": STRING, "description": "{minItems: 2}"},
        ),
        (
            {
                "type": "object",
                "properties": {"a": STRING},
                "required": ["a"],
                "additionalProperties": True,
                "title": "T",
            },
            {
                "type": "object",
                "properties": {"a": STRING},
                "required": ["a"],
                "additionalProperties": False,
                "title": "T",
            },
        ),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}, "additionalProperties": False}),
        ({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}),
        ({"allOf": [STRING]}, {"allOf": [STRING]}),
        ({"enum": ["a", None]}, {"enum": ["a", None]}),
        ({"const": 1}, {"const": 1}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"$ref": "#/definitions/A", "definitions": {"A": {"type": "object"}}},
            {"$defs": {"A": {"type": "object", "properties": {}, "additionalProperties": False}}, "$ref": "#/$defs/A"},
        ),
        ({"$schema": "x", "type": "string"}, STRING),
        (True, {}),
    ],
)
def test_what_is_outside_the_subset_is_said_in_words(schema: Any, expected: dict[str, Any]) -> None:
    """Instead of a refusal."""
    assert strict(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {
            "$defs": {
                "Tag": {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"], "title": "Tag"}
            },
            "type": "object",
            "title": "Page",
            "properties": {
                "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "title": "Tags"},
                "size": {
                    "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
                    "default": None,
                    "title": "Size",
                },
            },
            "required": ["tags"],
        },
    ],
)
def test_the_vendors_own_transformer_agrees(schema: dict[str, Any]) -> None:
    """On what pydantic writes; but for the spelling of null in words."""
    ours, theirs = strict(schema), transform_schema(schema)

    assert _without_words(ours) == _without_words(theirs)
    assert "default" in ours["properties"]["size"]["description"]


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_words(inner) for name, inner in value.items() if name != "description"}
    return [_without_words(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": {}}),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
            {"type": "object", "properties": {"a": {}}, "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
        ),
        (
            {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
            {
                "type": "object",
                "properties": {"a": {}},
                "$defs": {"A": {"type": "object", "properties": {"a": {}}}},
                "description": "Give one of these sets of members: a",
            },
        ),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}, "required": ["b"]}]},
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
        ),
        (
            {
                "oneOf": [
                    {"properties": {"a": {}, "k": {}}, "required": ["a", "k"]},
                    {"properties": {"k": {}}, "required": ["k"]},
                ]
            },
            {
                "type": "object",
                "properties": {"a": {}, "k": {}},
                "required": ["k"],
                "description": "Give one of these sets of members: a, k; k",
            },
        ),
    ],
)
def test_a_tools_input_is_an_object(schema: Any, expected: dict[str, Any]) -> None:
    """References at the root are followed, alternatives become one object."""
    assert tool_input(schema, "p") == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"anyOf": [{"type": "string"}]},
        {"$ref": "#/$defs/gone"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    ],
)
def test_what_can_be_no_object_is_refused(schema: dict[str, Any]) -> None:
    """With the path of the schema; a reference in a circle ends."""
    with pytest.raises(InvalidRequest) as caught:
        tool_input(schema, "tools[0].function.parameters")
    assert caught.value.param == "tools[0].function.parameters"
