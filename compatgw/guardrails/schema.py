"""The guardrail `schema_validation`: an answer is JSON that follows a schema (JSON Schema 2020-12), or it is refused.

A schema may come from a caller, so nothing in it is trusted: it refers to nothing outside of itself, its size and
depth are bounded, patterns run in an engine whose time is linear (and which therefore has no look-around and no
back references), and the steps of one check are counted.

    shape = Shape(schema)                     once
    failures = shape.check(text)              () or sentences
    messages = repair(text, failures)         what the model is told, to be sent after the first messages

What does not live here: sending repair rounds and what they cost (`flow/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from compatgw.errors import InvalidRequest
from compatgw.guardrails.base import Checker, Pure, Spot, Stage, Verdict, Watch

if TYPE_CHECKING:
    from compatgw.wire.chat import Message

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_DEPTH = 64
MAX_SCHEMA_PARTS = 10_000
MAX_DEPTH = 64
"""Levels of objects and lists in an answer."""
MAX_BYTES = 4_000_000
MAX_STEPS = 50_000
"""Keywords that one check may look at: references can multiply a small schema without end."""
MAX_FAILURES = 10
_SAID = 300
_REFERENCES = ("$ref", "$dynamicRef")
_APART = frozenset({"const", "enum", "default", "examples"})


class TooMuch(Exception):
    """A check took more steps than it may."""


class Shape:
    """A schema that texts are checked against.

    Args:
        schema: The schema, an object, or true or false.
        param: Where it stands in the request, for the error.

    Raises:
        InvalidRequest: It is none, is too large, or asks for what is not served.
        ImportError: `jsonschema` is not installed.
    """

    __slots__ = ("_patterns", "_schema")

    def __init__(self, schema: object, *, param: str | None = None) -> None:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError as BadSchema

        if not isinstance(schema, dict | bool):
            raise InvalidRequest("A JSON Schema is an object.", param=param, code="invalid_type")
        self._patterns: dict[str, SchemaValidator] = {}
        self._look_over(schema, param)
        try:
            Draft202012Validator.check_schema(schema)
        except BadSchema as error:
            where = _place(error.absolute_path, "the schema")
            raise InvalidRequest(
                f"The JSON Schema is not valid at {where}: {_short(error.message)}.", param=param
            ) from None
        except RecursionError:
            raise InvalidRequest("The JSON Schema nests too deep. Flatten it.", param=param) from None
        self._schema = schema

    def check(self, text: str) -> tuple[str, ...]:
        """What is wrong with a text, as sentences that a model can be told; empty when nothing is."""
        if len(text) > MAX_BYTES:
            return (f"The answer is longer than {MAX_BYTES} characters, which is more than can be checked.",)
        try:
            value = orjson.loads(text.encode("utf-8", "replace"))
        except orjson.JSONDecodeError as error:
            return (f"The answer is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}.",)
        if _depth(value, MAX_DEPTH) > MAX_DEPTH:
            return (f"The answer nests more than {MAX_DEPTH} levels of objects and lists.",)
        return self.check_value(value)

    def check_value(self, value: object) -> tuple[str, ...]:
        """The same for a value that is no text any more."""
        try:
            return tuple(dict.fromkeys(islice(self._failures(value), MAX_FAILURES)))
        except (RecursionError, TooMuch):
            return ("The answer cannot be checked: with this schema it takes more steps than one check may have.",)

    def _failures(self, value: object) -> Iterator[str]:
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import best_match
        from jsonschema.validators import extend
        from referencing import Registry
        from referencing.exceptions import Unresolvable

        steps = _Steps()
        keywords = {name: steps.counted(each) for name, each in Draft202012Validator.VALIDATORS.items()}
        keywords["pattern"] = steps.counted(self._pattern)
        keywords["patternProperties"] = steps.counted(self._pattern_properties)
        keywords["additionalProperties"] = steps.counted(self._additional_properties)
        keywords["uniqueItems"] = steps.counted(_unique_items)
        made: Any = extend(Draft202012Validator, keywords)  # type: ignore[no-untyped-call]  # its stubs forgot
        try:
            for error in made(self._schema, registry=Registry()).iter_errors(value):
                inner = best_match(error.context) if error.context else None
                told = f"At {_place(error.absolute_path, 'the top level')}: {_short(error.message)}"
                if inner is not None and not inner.context:
                    told += f" (nearest: at {_place(inner.absolute_path, 'the top level')}, {_short(inner.message)})"
                yield f"{told}."
        except Unresolvable as error:
            missing = _short(str(error.ref))
            yield f"The answer cannot be checked: the schema refers to {missing}, which it does not have."

    # --- what a schema may hold --------------------------------------------------------------

    def _look_over(self, schema: Any, param: str | None) -> None:
        """Refuses what could take too long or lead elsewhere, without recursion."""
        parts = 0
        seen_pattern_properties = seen_unevaluated = False
        left: list[tuple[Any, int]] = [(schema, 1)]
        while left:
            value, depth = left.pop()
            parts += 1
            if parts > MAX_SCHEMA_PARTS or depth > MAX_SCHEMA_DEPTH:
                raise InvalidRequest(
                    f"The JSON Schema has more than {MAX_SCHEMA_PARTS} parts or {MAX_SCHEMA_DEPTH} levels. "
                    "Make it smaller.",
                    param=param,
                )
            if isinstance(value, list):
                left += [(each, depth + 1) for each in value]
            elif isinstance(value, dict):
                self._look_at(value, param)
                seen_pattern_properties |= isinstance(value.get("patternProperties"), dict)
                seen_unevaluated |= "unevaluatedProperties" in value
                left += [(each, depth + 1) for name, each in value.items() if name not in _APART]
        if seen_pattern_properties and seen_unevaluated:
            raise InvalidRequest(
                "'patternProperties' and 'unevaluatedProperties' are not served in one JSON Schema. Leave one out.",
                param=param,
            )

    def _look_at(self, value: Mapping[str, Any], param: str | None) -> None:
        if isinstance(value.get("$schema"), str) and value["$schema"].rstrip("#") != DIALECT:
            raise InvalidRequest(
                f"The JSON Schema says '$schema': {_short(value['$schema'])}. Served is 2020-12: leave the member out.",
                param=param,
            )
        for name in _REFERENCES:
            if isinstance(value.get(name), str) and not value[name].startswith("#"):
                raise InvalidRequest(
                    f"The JSON Schema refers to {_short(value[name])}. It may only refer to itself, "
                    "as in '#/$defs/NAME'.",
                    param=param,
                )
        if isinstance(value.get("pattern"), str):
            self._compile(value["pattern"], param)
        if isinstance(value.get("patternProperties"), dict):
            for pattern in value["patternProperties"]:
                self._compile(pattern, param)

    def _compile(self, pattern: str, param: str | None) -> None:
        try:
            self._patterns[pattern] = SchemaValidator(
                core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
            )
        except SchemaError:
            raise InvalidRequest(
                f"The JSON Schema has a pattern that is not served: {_short(pattern)}. Look-around and back "
                "references are not, as their time has no bound.",
                param=param,
            ) from None

    # --- keywords whose time would have no bound ---------------------------------------------

    def _found(self, pattern: str, text: str) -> bool:
        try:
            self._patterns[pattern].validate_python(text)
        except ValidationError:
            return False
        except KeyError:
            raise TooMuch from None
        return True

    def _pattern(self, validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, str) and not self._found(pattern, value):
            yield _error(f"{value[:64]!r} does not match {pattern!r}")

    def _pattern_properties(
        self, validator: Any, patterns: Mapping[str, Any], value: Any, schema: Any
    ) -> Iterator[Any]:
        for pattern, below in patterns.items() if isinstance(value, dict) else ():
            for name, member in value.items():
                if self._found(pattern, name):
                    yield from validator.descend(member, below, path=name, schema_path=pattern)

    def _additional_properties(
        self, validator: Any, allowed: Any, value: Any, schema: Mapping[str, Any]
    ) -> Iterator[Any]:
        if not isinstance(value, dict):
            return
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        extra = [
            name for name in value if name not in named and not any(self._found(pattern, name) for pattern in patterns)
        ]
        if isinstance(allowed, dict):
            for name in extra:
                yield from validator.descend(value[name], allowed, path=name)
        elif allowed is False and extra:
            yield _error(f"{', '.join(map(repr, extra[:5]))[:200]} must not be there")


class _Steps:
    """Counts the keywords that one check looks at."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def counted(self, keyword: Any) -> Any:
        def look(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            # What a keyword goes through itself counts, too.
            self._left -= 1 + (len(instance) >> 6 if isinstance(instance, list | dict) else 0)
            if self._left < 0:
                raise TooMuch
            found: Iterator[Any] | None = keyword(validator, value, instance, schema)
            return iter(found) if found is not None else iter(())

        return look


def _unique_items(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
    if wanted and isinstance(value, list):
        seen = {orjson.dumps(_plain(each), option=orjson.OPT_SORT_KEYS) for each in value}
        if len(seen) < len(value):
            yield _error("the list has an entry twice")


def _plain(value: Any) -> Any:
    """A value whose bytes are the same if it is the same: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _error(message: str) -> Any:
    from jsonschema.exceptions import ValidationError as Failure

    return Failure(message)


def _depth(value: Any, most: int) -> int:
    """How many levels nest, without recursion; stops above `most`."""
    depth, level = 0, [value]
    while level and depth <= most:
        depth += 1
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
            elif isinstance(each, list):
                below += each
        level = [each for each in below if isinstance(each, dict | list)]
    return depth


def _place(path: Iterable[str | int], top: str) -> str:
    said = "".join([f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]).removeprefix(".")
    return f"'{_short(said)}'" if said else top


def _short(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= _SAID else f"{text[: _SAID // 2]} ... {text[-_SAID // 2 :]}"


def repair(text: str, failures: Sequence[str]) -> list[Message]:
    """The two messages that ask a model to mend its answer: what it said, and what is wrong with it."""
    wrong = "\n".join([f"- {failure}" for failure in failures])
    return [
        {"role": "assistant", "content": text},
        {
            "role": "user",
            "content": "Your answer does not have the required form:\n"
            f"{wrong}\nAnswer again with the whole corrected JSON and nothing else.",
        },
    ]


def instruction(schema: object) -> str:
    """What tells a model without structured output to answer in this form."""
    return (
        "Answer with one JSON value and nothing else: no explanation, no code fence. It has to follow this JSON "
        f"Schema:\n{orjson.dumps(schema).decode()}"
    )


class SchemaGuard:
    """The guardrail: content of answers is held until its end, and goes out if it has the shape.

    Args:
        shape: What it has to be.
        repair: Rounds that a model may have to mend its answer, 0 to 3; made by whoever runs the call.
        name: For headers, errors and records.
    """

    __slots__ = ("name", "repair", "shape")

    def __init__(self, shape: Shape, *, repair: int = 0, name: str = "schema_validation") -> None:
        self.shape = shape
        self.repair = repair
        self.name = name

    def open(self) -> Watch:
        """It keeps nothing of a call."""
        return _SchemaWatch(self.shape)


class _SchemaWatch:
    __slots__ = ("_shape",)

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    @property
    def stage(self) -> Stage:
        return "judge"

    def glance(self, texts: Iterable[str]) -> None:
        """Nothing is kept of them."""

    def over(self, spot: Spot) -> Checker | None:
        return _Held(self._shape) if spot.direction == "output" and spot.kind == "content" else None


class _Held(Pure):
    """Holds a text until all of it is there."""

    __slots__ = ("_pieces", "_shape")

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._pieces: list[str] = []

    def feed(self, text: str) -> Verdict:
        """Nothing goes out before the end."""
        self._pieces.append(text)
        return Verdict("pass")

    def finish(self) -> Verdict:
        """All of it, if it has the shape."""
        text = "".join(self._pieces)
        self._pieces = []
        failures = self._shape.check(text)
        return Verdict("block", "", ("schema",), " ".join(failures)) if failures else Verdict("pass", text)
