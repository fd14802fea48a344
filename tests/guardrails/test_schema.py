"""Answers that have to follow a JSON Schema, and schemas that come from strangers."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from compatgw.errors import InvalidRequest
from compatgw.guardrails.base import Spot, Verdict, settled, whole
from compatgw.guardrails.schema import MAX_FAILURES, SchemaGuard, Shape, instruction, repair
from tests.guardrails.streams import checker_of, cut_everywhere, streamed

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "mail": {"$ref": "#/$defs/mail"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"mail": {"type": "string", "pattern": "^[^@]+@[^@]+$"}},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"name": "Ada", "age": 36, "mail": "a@x.com"}', ()),
        ('{"name": 1, "age": 36}', ("At 'name': 1 is not of type 'string'.",)),
        (
            '{"age": -1}',
            ("At 'age': -1 is less than the minimum of 0.", "At the top level: 'name' is a required property."),
        ),
        ('{"name": "Ada", "age": 1, "x": 1}', ("At the top level: 'x' must not be there.",)),
        ('{"name": "Ada", "age": 1, "mail": "no"}', ("At 'mail': 'no' does not match '^[^@]+@[^@]+$'.",)),
        (
            "Sure! {}",
            ("The answer is not valid JSON: unexpected character, expected a JSON value at line 1 column 1.",),
        ),
        ("", ("The answer is not valid JSON: Input is a zero-length, empty document at line 1 column 1.",)),
    ],
)
def test_failures_are_sentences_that_a_model_can_be_told(text: str, wanted: tuple[str, ...]) -> None:
    """What and where."""
    assert sorted(Shape(PERSON).check(text)) == sorted(wanted)


def test_a_guarded_answer_is_held_until_it_is_known_to_be_right() -> None:
    """Nothing of a wrong one goes out, and a right one is as it was, however it is cut."""
    right, wrong = '{"name": "Ada", "age": 36}', '{"name": "Ada"}'
    guardrail = SchemaGuard(Shape(PERSON))

    for way in cut_everywhere(right):
        assert streamed(checker_of(guardrail), way) == Verdict("pass", right)
    verdict = settled(whole(checker_of(guardrail), wrong))
    assert (verdict.action, verdict.text, verdict.categories) == ("block", "", ("schema",))
    assert "'age' is a required property" in verdict.reason
    assert checker_of(guardrail).feed(wrong) == Verdict("pass")


@pytest.mark.parametrize(
    "spot", [Spot(), Spot("output", "reasoning"), Spot("output", "arguments"), Spot("output", "refusal")]
)
def test_only_the_content_of_answers_is_looked_at(spot: Spot) -> None:
    """Neither requests nor tool calls nor refusals."""
    assert SchemaGuard(Shape(PERSON)).open().over(spot) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([], "is an object"),
        ({"type": "nope"}, "not valid at 'type'"),
        ({"$ref": "https://example.com/s.json"}, "only refer to itself"),
        ({"properties": {"a": {"$dynamicRef": "other.json#x"}}}, "only refer to itself"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "2020-12"),
        ({"pattern": "(?=a)b"}, "not served"),
        ({"pattern": "(a)\\1"}, "not served"),
        ({"patternProperties": {"(?<!a)b": {}}}, "not served"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "one JSON Schema"),
        ({"enum": [0], "allOf": [{}] * 20_000}, "smaller"),
    ],
)
def test_schemas_that_are_not_served_are_refused_with_their_reason(schema: Any, why: str) -> None:
    """At once, with the member of the request."""
    with pytest.raises(InvalidRequest, match=why) as caught:
        Shape(schema, param="guardrails.output[0].schema")
    assert caught.value.param == "guardrails.output[0].schema"


def test_a_schema_ten_thousand_levels_deep_is_refused() -> None:
    """Without running out of stack."""
    schema: Any = {}
    for _ in range(10_000):
        schema = {"not": schema}

    with pytest.raises(InvalidRequest, match="levels"):
        Shape(schema)


def test_what_stands_in_constants_is_no_schema() -> None:
    """A `$ref` in an `enum` is a value."""
    assert Shape({"const": {"$ref": "https://example.com"}}).check('{"$ref": "https://example.com"}') == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {
            "$defs": {
                **{f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)},
                "a40": {"type": "string"},
            },
            "$ref": "#/$defs/a0",
        },
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/none"}},
        {"pattern": "^(a+)+$"},
        {"uniqueItems": True, "items": {"type": "string"}},
    ],
    ids=["endless", "doubling", "dangling", "backtracking", "unique"],
)
def test_no_schema_takes_long(schema: Any) -> None:
    """References without end, references that double, patterns that backtrack, long lists; the bound is loose."""
    shape = Shape(schema)
    before = time.perf_counter()

    for text in (
        '{"a": 1}',
        orjson.dumps("a" * 50_000 + "b").decode(),
        orjson.dumps([{"a": [n]} for n in range(20_000)]).decode(),
    ):
        shape.check(text)

    assert time.perf_counter() - before < 30


@pytest.mark.parametrize(
    "text", ["[" * 10_000 + "]" * 10_000, "[" * 200 + "]" * 200, '{"a":' * 10_000 + "1" + "}" * 10_000]
)
def test_deep_answers_are_refused(text: str) -> None:
    """Also where the schema would follow them."""
    assert len(Shape({"items": {"$ref": "#"}, "additionalProperties": {"$ref": "#"}}).check(text)) == 1


def test_failures_are_few_and_short() -> None:
    """A model is not told a megabyte."""
    failures = Shape({"items": {"type": "string"}}).check(orjson.dumps([[n] * 5000 for n in range(100)]).decode())

    assert len(failures) == MAX_FAILURES
    assert all(len(failure) < 500 for failure in failures)


def test_repair_tells_the_model_what_it_said_and_what_is_wrong() -> None:
    """Two messages, and the words that make a model answer in the form at all."""
    messages = repair("{}", ("At the top level: 'name' is a required property.",))

    assert [message["role"] for message in messages] == ["assistant", "user"]
    assert "'name' is a required property" in str(messages[1]["content"])
    assert '"required":["name","age"]' in instruction(PERSON)


SCHEMAS = st.sampled_from(
    [
        PERSON,
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, "maxItems": 3},
        {
            "type": "object",
            "patternProperties": {"^a": {"type": "integer"}},
            "additionalProperties": {"type": "string"},
        },
        {
            "type": "object",
            "patternProperties": {"b$": True},
            "properties": {"a": {"type": "null"}},
            "additionalProperties": False,
        },
        {"oneOf": [{"type": "integer"}, {"minimum": 2}], "not": {"const": 5}},
        {"if": {"type": "string"}, "then": {"pattern": "^a+$"}, "else": {"type": ["null", "boolean"]}},
        {"prefixItems": [{"type": "string"}], "items": False, "contains": {"const": "a"}},
        {"properties": {"a": {"$ref": "#"}}, "unevaluatedProperties": False},
        True,
        False,
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 6) | st.sampled_from(["", "a", "aa", "ab", "b", 1.0, 2.5]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "ab", "name", "age"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(SCHEMAS, VALUES)
@settings(max_examples=400, deadline=None)
def test_what_is_valid_is_what_the_library_says(schema: Any, value: Any) -> None:
    """Our own keywords judge as those that they take the place of."""
    assert (Shape(schema).check_value(value) == ()) is Draft202012Validator(schema).is_valid(value)
