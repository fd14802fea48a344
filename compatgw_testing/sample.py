"""Made-up content: ids, a sentence, and values that satisfy a JSON schema, all from a seed.

The same seed gives the same bytes in every process. What does not live here: anything that
knows a vendor.
"""

from __future__ import annotations

import hashlib
import random
import re
import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = Any
_ALNUM = string.ascii_letters + string.digits
_SUBJECTS = ("The answer", "A short note", "This reply", "The summary", "One example")
_VERBS = ("comes", "arrives", "was made", "is here", "follows")
_PLACES = ("from the test double", "without a network", "from a fixed seed", "out of a small script", "as you asked")
_FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT3M",
    "email": "ada@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/a",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "8f14e45f-ceea-467f-a0e6-1a2b3c4d5e6f",
}
# Tried in turn against a `pattern`: a full generator would need a regex engine turned round.
_SHAPES = ("a", "A", "abc", "ABC", "Abc", "0", "1", "12", "123", "1234", "12345", "123456789", "AB12", "a1", "abc-1")


class Ids:
    """Ids of one call: the same for the same seed, call and purpose.

    Args:
        seed: The fake's seed.
        ordinal: Which call it is.
    """

    __slots__ = ("_root",)

    def __init__(self, seed: int | str, ordinal: int) -> None:
        self._root = f"{seed}|{ordinal}|"

    def hex(self, purpose: str, length: int) -> str:
        """`length` hexadecimal digits."""
        return hashlib.shake_256((self._root + purpose).encode()).hexdigest((length + 1) // 2)[:length]

    def alnum(self, purpose: str, length: int, alphabet: str = _ALNUM) -> str:
        """`length` letters and digits."""
        digest = hashlib.shake_256((self._root + purpose).encode()).digest(length)
        return "".join(alphabet[byte % len(alphabet)] for byte in digest)

    def uuid(self, purpose: str) -> str:
        """A random-looking UUID (version 4)."""
        text = self.hex(purpose, 32)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def rng(seed: int | str, text: str) -> random.Random:
    """A random source that depends on the seed and on what was asked."""
    return random.Random(f"{seed}|{text}")


def sentence(source: random.Random) -> str:
    """A short plain sentence."""
    return f"{source.choice(_SUBJECTS)} {source.choice(_VERBS)} {source.choice(_PLACES)}."


def value_for(schema: Schema, source: random.Random) -> object:
    """A value that satisfies `schema`: JSON Schema, or the OpenAPI form with upper-case types.

    Handles types, enum, const, references within the schema, anyOf, oneOf, allOf, bounds, formats and simple
    patterns; optional properties are filled too, as models do. An odd pattern may be missed.
    """
    return _value(schema, schema, source, 0)


def _value(schema: Schema, root: Schema, source: random.Random, depth: int) -> object:
    if not isinstance(schema, dict) or depth > 30:
        return "any"
    if isinstance(schema.get("$ref"), str):
        return _value(_resolve(schema["$ref"], root), root, source, depth + 1)
    if "const" in schema:
        return schema["const"]
    if choices := _list(schema, "enum"):
        return source.choice(choices)
    if parts := _list(schema, "allOf"):
        return _value(_merged([schema, *parts], root), root, source, depth + 1)
    for word in ("anyOf", "oneOf"):
        if branches := _list(schema, word):
            rest = {name: value for name, value in schema.items() if name != word}
            return _value(_merged([rest, _branch(branches, depth)], root), root, source, depth + 1)
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, root, source, depth)
    if kind == "array":
        return _array(schema, root, source, depth)
    if kind in ("integer", "number"):
        return _number(schema, kind, source)
    if kind == "boolean":
        return source.random() < 0.5
    return None if kind == "null" else _string(schema, source)


# A schema comes from whoever calls: what is not of the type that it should have counts as absent.


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _dict(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = schema.get(name)
    return value if isinstance(value, dict) else {}


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _count(schema: Mapping[str, Any], name: str) -> int | None:
    value = _bound(schema, name)
    return None if value is None else max(0, min(int(value), 1000))


def _kind(schema: Mapping[str, Any]) -> str:
    given = schema.get("type")
    if isinstance(given, list):
        given = next((one for one in given if str(one).lower() != "null"), "null")
    if given is None:
        given = "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(given).lower()


def _object(schema: Mapping[str, Any], root: Schema, source: random.Random, depth: int) -> dict[str, object]:
    required = _list(schema, "required")
    return {
        name: _value(part, root, source, depth + 1)
        for name, part in _dict(schema, "properties").items()
        # A schema may contain itself: deep down only what must be there is filled.
        if depth < 6 or name in required
    }


def _array(schema: Mapping[str, Any], root: Schema, source: random.Random, depth: int) -> list[object]:
    least = _count(schema, "minItems")
    count = (least or 0) if depth > 6 else max(1, least or 0)
    most = _count(schema, "maxItems")
    given = [_value(one, root, source, depth + 1) for one in _list(schema, "prefixItems")]
    given += [_value(schema.get("items", {}), root, source, depth + 1) for _ in range(count - len(given))]
    return given if most is None else given[:most]


def _branch(branches: list[Schema], depth: int) -> Schema:
    """The first branch that is not null; deep down null where it is allowed, so that recursion ends."""
    nulls = [one for one in branches if isinstance(one, dict) and one.get("type") == "null"]
    rest = [one for one in branches if one not in nulls]
    return nulls[0] if nulls and (depth > 6 or not rest) else rest[0]


def _merged(parts: list[Schema], root: Schema) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for part in parts:
        whole = part
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            whole = _resolve(part["$ref"], root)
        for name, value in whole.items() if isinstance(whole, dict) else ():
            if name == "allOf":
                continue
            if name in ("properties", "$defs"):
                out[name] = {**_dict(out, name), **_dict(whole, name)}
            elif name == "required":
                out[name] = [*_list(out, name), *_list(whole, name)]
            else:
                out[name] = value
    return out


def _resolve(reference: str, root: Schema) -> Schema:
    place = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            place = place.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(place, dict) else {}
    return place


def _number(schema: Mapping[str, Any], kind: str, source: random.Random) -> float:
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    if above is not None:
        low = above + (1 if kind == "integer" else 0.5)
    if below is not None:
        high = below - (1 if kind == "integer" else 0.5)
    if low is None:
        low = 1 if high is None or high >= 1 else high
    if high is None:
        high = low + 9
    if step := _bound(schema, "multipleOf"):
        return -(-low // step) * step
    bottom, top = int(-(-low // 1)), int(high // 1)
    return source.randint(bottom, top) if bottom <= top else float(low)


def _string(schema: Mapping[str, Any], source: random.Random) -> str:
    low, high = _count(schema, "minLength") or 0, _count(schema, "maxLength")
    if isinstance(pattern := schema.get("pattern"), str):
        shapes = (*_FORMATS.values(), *_SHAPES, *("x" * n for n in range(low, low + 3)))
        for shape in shapes:
            if _matches(pattern, shape) and low <= len(shape) <= (len(shape) if high is None else high):
                return shape
    text = _FORMATS.get(str(schema.get("format"))) or source.choice(("alpha", "beta", "gamma", "delta"))
    text = text.ljust(low, "x")
    return text if high is None else text[:high]


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # JSON Schema knows patterns that Python does not
        return False
