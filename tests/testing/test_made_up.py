"""Made-up values satisfy whatever schema they are made for, suit their names, and follow from the seed alone."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import faker
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing import FakeOpenAI
from compatgw_testing.patterns import Unreadable, matching
from compatgw_testing.sample import sentence, value_for
from tests.testing.driver import ask

NAMES = ("email", "city", "dueDate", "price", "items", "a", "is_ok", "year", "created_at", "name")
PATTERNS = (
    r"^[A-Z]{2}-\d{4}$",
    r"^(?:red|blue)+$",
    r"[a-f0-9]{6}",
    r"^\w+@\w+\.(com|org)$",
    r"^.{3,5}$",
    r"^\d{3}\.\d$",
)


def ranges(numbers: st.SearchStrategy[Any], low: str, high: str, *, room: float) -> st.SearchStrategy[dict[str, Any]]:
    """None, one or both of two bounds with some room between them."""
    both = st.tuples(numbers, numbers).map(lambda two: {low: min(two), high: max(two) + room})
    return st.one_of(st.just({}), numbers.map(lambda one: {low: one}), numbers.map(lambda one: {high: one}), both)


COUNTS = st.integers(0, 5)
BOUNDS = st.integers(-50, 50) | st.floats(-50, 50).map(lambda value: round(value, 2))
STRINGS = st.one_of(
    ranges(COUNTS, "minLength", "maxLength", room=0).map(lambda more: {"type": "string", **more}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.lists(st.text(max_size=4), min_size=1, max_size=3, unique=True).map(lambda some: {"enum": some}),
    st.sampled_from(("date", "date-time", "email", "uuid")).map(lambda form: {"type": "string", "format": form}),
)
NUMBERS = st.one_of(
    ranges(BOUNDS, "minimum", "maximum", room=1).map(lambda more: {"type": "integer", **more}),
    ranges(BOUNDS, "minimum", "maximum", room=0).map(lambda more: {"type": "number", **more}),
    ranges(BOUNDS, "exclusiveMinimum", "exclusiveMaximum", room=2).map(lambda more: {"type": "integer", **more}),
    ranges(BOUNDS, "exclusiveMinimum", "exclusiveMaximum", room=0.5).map(lambda more: {"type": "number", **more}),
    st.sampled_from((2, 5, 0.5, 0.1)).map(lambda step: {"type": "number", "multipleOf": step, "minimum": -20}),
)
SIMPLE = st.one_of(
    STRINGS, NUMBERS, st.just({"type": "boolean"}), st.just({"type": "null"}), st.just({"const": [1, {"a": None}]})
)


def larger(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas made of schemas."""
    properties = st.dictionaries(st.sampled_from(NAMES), parts, max_size=4)
    objects = st.builds(
        lambda members, needed, closed: {
            "type": "object",
            "properties": members,
            "required": sorted(set(needed) & set(members)) if closed else sorted(set(needed)),
            **({"additionalProperties": False} if closed else {}),
        },
        properties,
        st.lists(st.sampled_from(NAMES), max_size=3),
        st.booleans(),
    )
    lists = st.builds(
        lambda item, more: {"type": "array", "items": item, **more},
        parts,
        ranges(COUNTS, "minItems", "maxItems", room=0),
    )
    wide = STRINGS.filter(lambda one: "enum" not in one and one.get("maxLength", 9) > 3)
    unique = wide.map(lambda item: {"type": "array", "items": item, "uniqueItems": True, "minItems": 2})
    either = st.lists(parts, min_size=1, max_size=3).map(lambda some: {"anyOf": [{"type": "null"}, *some]})
    both = st.tuples(objects, objects).map(lambda two: {"allOf": [{"type": "object"}, two[0]]} | {"title": str(two[1])})
    return st.one_of(objects, lists, unique, either, both)


SCHEMAS = st.recursive(SIMPLE, larger, max_leaves=8)


def faults(value: Any, schema: Any, at: str = "") -> Iterator[str]:
    """What in a value goes against a schema: a validator of its own, for the words used here."""
    if schema is True or schema == {}:
        return
    for part in schema.get("allOf", ()):
        yield from faults(value, part, at)
    if "anyOf" in schema and all(list(faults(value, part, at)) for part in schema["anyOf"]):
        yield f"{at}: no branch"
    if "const" in schema and value != schema["const"]:
        yield f"{at}: const"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: enum"
    if "type" in schema and not TYPES[schema["type"]](value):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    for word, holds in BOUND_BY.items():
        if word in schema and isinstance(value, (str, list, int, float)) and not holds(value, schema[word]):
            yield f"{at}: {value!r} against {word} {schema[word]}"
    if isinstance(value, dict):
        missing = set(schema.get("required", ())) - set(value)
        known = schema.get("properties", {})
        others = set(value) - set(known) if schema.get("additionalProperties") is False else set()
        yield from (f"{at}: {name}" for name in (*missing, *others))
        for name in set(value) & set(known):
            yield from faults(value[name], known[name], f"{at}.{name}")
    if isinstance(value, list):
        for one in value:
            yield from faults(one, schema.get("items", True), f"{at}[]")


TYPES: Mapping[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
BOUND_BY: Mapping[str, Any] = {
    "minLength": lambda value, bound: len(value) >= bound,
    "maxLength": lambda value, bound: len(value) <= bound,
    "pattern": lambda value, bound: re.search(bound, value),
    "minItems": lambda value, bound: len(value) >= bound,
    "maxItems": lambda value, bound: len(value) <= bound,
    "uniqueItems": lambda value, bound: len({repr(one) for one in value}) == len(value),
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "multipleOf": lambda value, bound: (value / bound) == int(value / bound),
}


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.integers(0, 99))
def test_any_value_is_valid(schema: dict[str, Any], seed: int) -> None:
    """Whatever is asked for, within what this can do."""
    value = value_for(schema, random.Random(seed))

    assert list(faults(value, schema)) == []


def test_the_validator_finds_faults() -> None:
    """Otherwise the test above would say nothing."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 2}}, "required": ["a"]}

    assert list(faults({"a": 1}, schema))
    assert list(faults({}, schema))
    assert list(faults({"a": "x"}, {"anyOf": [schema, {"type": "null"}]}))
    assert not list(faults({"a": 2}, schema))


@pytest.mark.parametrize(
    ("name", "kind", "form"),
    [
        ("email", "string", r"@example\.(com|org|net)$"),
        ("userEmail", "string", "@"),
        ("first_name", "string", r"^[A-Z][a-z]+$"),
        ("customerName", "string", r" "),
        ("city", "string", r"^[A-Z]"),
        ("birth_date", "string", r"^\d{4}-\d\d-\d\d$"),
        ("createdAt", "string", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"),
        ("phoneNumber", "string", r"^\+1-555-01\d\d$"),
        ("website", "string", r"^https://example\.com/[a-z]+$"),
        ("postal_code", "string", r"^\d{5}"),
        ("summary", "string", r"^[A-Z].* .*\.$"),
        ("age", "integer", r"^([1-9]\d)$"),
        ("year", "integer", r"^(199|20[012])\d$"),
        ("price", "number", r"^\d+(\.\d\d?)?$"),
        ("latitude", "number", r"^-?\d+\.\d+$"),
        ("orderId", "string", r"^[a-z]+-\d{4}$"),
        ("request uuid", "string", r"^[0-9a-f]{8}-"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_values_suit_the_names_of_their_properties(name: str, kind: str, form: str, seed: int) -> None:
    """Snake case, camel case and words apart."""
    schema = {"type": "object", "properties": {name: {"type": kind}}}

    value = value_for(schema, random.Random(seed))

    assert isinstance(value, dict)
    assert re.search(form, str(value[name])), value


def test_the_items_of_a_list_suit_its_name() -> None:
    """Cities are cities, and emails are addresses."""
    strings = {"type": "array", "items": {"type": "string"}, "minItems": 2}
    schema = {"type": "object", "properties": {"cities": strings, "emails": strings}}

    value = value_for(schema, random.Random(1))

    assert isinstance(value, dict)
    assert all(city[0].isupper() for city in value["cities"])
    assert all("@" in email for email in value["emails"])


def test_a_name_gives_way_to_bounds() -> None:
    """An age of at most 9, a city of three letters, a price in steps of 5."""
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "maximum": 9},
            "city": {"type": "string", "maxLength": 3},
            "price": {"type": "number", "multipleOf": 5, "minimum": 11},
        },
    }

    assert list(faults(value_for(schema, random.Random(1)), schema)) == []


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("seed", range(5))
def test_patterns_are_matched(pattern: str, seed: int) -> None:
    """The usual ones, each time by another text."""
    assert re.search(pattern, matching(pattern, random.Random(seed)))


@pytest.mark.parametrize("pattern", [r"(?=a)b", "(a", "a)", "[a", r"\p{L}", "*a", "[^\\w\\s-]" + "{", "\\"])
def test_patterns_of_another_kind_are_told(pattern: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(Unreadable):
        matching(pattern, random.Random(1))


def test_others_that_use_faker_change_nothing() -> None:
    """Neither their seed nor what they took before; and theirs is not changed."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "email": {"type": "string"}}}
    before = value_for(schema, random.Random(3)), sentence(random.Random(3))
    theirs = faker.Faker()
    faker.Faker.seed(99)
    expected = [theirs.name() for _ in range(3)]
    faker.Faker.seed(99)

    found = [theirs.name()]
    after = value_for(schema, random.Random(3)), sentence(random.Random(3))
    found += [theirs.name(), theirs.name()]

    assert after == before
    assert found == expected


async def test_an_answer_that_nobody_scripted_is_a_sentence() -> None:
    """The same for the same question and seed, another for another."""
    one, same, other, later = [
        (await ask(FakeOpenAI(seed=seed), {"model": "m", "messages": [{"role": "user", "content": text}]})).json
        for seed, text in ((1, "Hi"), (1, "Hi"), (2, "Hi"), (1, "And?"))
    ]
    texts = [each["choices"][0]["message"]["content"] for each in (one, same, other, later)]

    assert re.fullmatch(r"[A-Z][\w' -]+ [\w' -]+\.", texts[0])
    assert texts[0] == texts[1]
    assert len({texts[0], texts[2], texts[3]}) == 3


def test_faker_is_imported_when_it_is_needed() -> None:
    """Not with the package, a fake or a scripted answer."""
    program = (
        "import sys, random\n"
        "import compatgw_testing\n"
        "compatgw_testing.FakeOpenAI().reply('Hi')\n"
        "print('faker' in sys.modules)\n"
        "from compatgw_testing.sample import sentence\n"
        "sentence(random.Random(1))\n"
        "print('faker' in sys.modules)\n"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert ran.stdout.split() == ["False", "True"]


def test_without_faker_the_message_says_what_to_install() -> None:
    """Scripted answers do without it."""
    program = (
        "import sys, random\n"
        "sys.modules['faker.generator'] = None\n"
        "from compatgw_testing.sample import sentence\n"
        "try:\n"
        "    sentence(random.Random(1))\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert "install compatgw[testing], or script every answer" in ran.stdout
