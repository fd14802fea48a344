"""Made-up content: ids, a sentence, and values that satisfy a JSON schema, all from a seed.

The same seed gives the same bytes in every process. What does not live here: anything that
knows a vendor.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import string
from typing import TYPE_CHECKING, Any

from compatgw_testing.lifelike import Lifelike
from compatgw_testing.patterns import Unreadable, matching

if TYPE_CHECKING:
    from collections.abc import Mapping

Schema = Any
_ALNUM = string.ascii_letters + string.digits
_WORDS = ("alpha", "beta", "gamma", "delta")


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
    return random.Random(f"{seed}|{text}".encode("utf-8", "surrogatepass"))


def sentence(source: random.Random) -> str:
    """A short plain sentence."""
    return Lifelike(source).sentence()


def value_for(schema: Schema, source: random.Random) -> object:
    """A value that satisfies `schema`: JSON Schema, or the OpenAPI form with upper-case types.

    Texts and numbers suit the names of their properties. Handles types, enum, const, references within the schema,
    anyOf, oneOf, allOf, bounds, counts, unique items, formats and the usual patterns; optional properties are filled
    too, as models do. What `not`, `if` and `oneOf` rule out is not looked at, and an odd pattern may be missed.
    """
    return _Maker(schema, source).value(schema, "", 0)


class _Maker:
    """Makes one value.

    Args:
        root: The whole schema, for references.
        source: All chance comes from it.
    """

    def __init__(self, root: Schema, source: random.Random) -> None:
        self._root = root
        self._source = source
        self._like = Lifelike(source)

    def value(self, schema: Schema, name: str, depth: int) -> object:
        """A value for a part of the schema; `name` is the property's."""
        if not isinstance(schema, dict) or depth > 40:
            return "any"
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("$ref"), str):
            rest = {word: part for word, part in schema.items() if word != "$ref"}
            return self.value(merged([_resolve(schema["$ref"], self._root), rest], self._root), name, depth + 1)
        if parts := _list(schema, "allOf"):
            rest = {word: part for word, part in schema.items() if word != "allOf"}
            return self.value(merged([rest, *parts], self._root), name, depth + 1)
        for word in ("anyOf", "oneOf"):
            if branches := _list(schema, word):
                rest = {other: part for other, part in schema.items() if other != word}
                return self.value(merged([rest, _branch(branches, depth)], self._root), name, depth + 1)
        if choices := _list(schema, "enum"):
            fitting = [one for one in choices if _is_a(one, schema)] or choices
            return self._source.choice(fitting)
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number(schema, kind, name)
        if kind == "boolean":
            return self._source.random() < 0.5
        return None if kind == "null" else self._string(schema, name)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, object]:
        properties = _dict(schema, "properties")
        required = [one for one in _list(schema, "required") if isinstance(one, str)]
        most = _count(schema, "maxProperties")
        names = list(dict.fromkeys([*(one for one in properties if one in required), *required]))
        # A schema may contain itself: deep down only what must be there is filled.
        if depth < 6:
            names += [one for one in properties if one not in names and properties[one] is not False]
            if most is not None:
                names = names[: max(most, len(set(required)))]
            names = [*(one for one in properties if one in names), *(one for one in names if one not in properties)]
        others = schema.get("additionalProperties", True)
        least = _count(schema, "minProperties") or 0
        if others is not False:
            names += [one for number in range(least) if (one := f"key{number + 1}") not in names][: least - len(names)]
        return {one: self.value(self._member(schema, one, others), one, depth + 1) for one in names}

    def _member(self, schema: Mapping[str, Any], name: str, others: Schema) -> Schema:
        """The schema of a property, whichever way it is given."""
        properties = _dict(schema, "properties")
        if name in properties:
            return properties[name]
        for pattern, part in _dict(schema, "patternProperties").items():
            if _matches(pattern, name):
                return part
        return others if isinstance(others, dict) else {"type": "string"}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[object]:
        least, most = _count(schema, "minItems"), _count(schema, "maxItems")
        count = (least or 0) if depth > 6 else max(1, least or 0)
        item = schema.get("items", {})
        # The items of a list of cities are cities.
        single = re.sub(r"(?<=[a-rt-z])s$", "", re.sub(r"ies$", "y", name))
        given = [self.value(one, "", depth + 1) for one in _list(schema, "prefixItems")]
        if item is False:
            return given if most is None else given[:most]
        if isinstance(item, dict) and not item:
            item = {"type": "string"}
        if "contains" in schema:
            given.append(self.value(schema["contains"], single, depth + 1))
        tries = 20 * (count + 1)
        while len(given) < count and tries > 0:
            tries -= 1
            one = self.value(item, single, depth + 1)
            if schema.get("uniqueItems") is not True or all(not _same(one, other) for other in given):
                given.append(one)
        return given if most is None else given[:most]

    def _number(self, schema: Mapping[str, Any], kind: str, name: str) -> float:
        low, high = _range(schema)
        step = _bound(schema, "multipleOf")
        if step is not None and step > 0:
            return _multiple(step, schema, kind)
        suiting = self._like.number_for(name)
        if suiting is not None and _within(suiting, schema):
            if kind == "number":
                return suiting
            if _within(round(suiting), schema):
                return round(suiting)
        bottom = low if low is not None else 1 if high is None or high > 1 else high - 9
        top = high if high is not None else bottom + 9
        whole = [one for one in (math.ceil(bottom), math.floor(top)) if _within(one, schema)]
        if len(whole) == 2 and whole[0] <= whole[1]:
            found = self._source.randint(*whole)
            return found if _within(found, schema) else whole[0]
        if kind == "integer":
            near = [one for one in range(math.floor(bottom) - 1, math.floor(bottom) + 4) if _within(one, schema)]
            return near[0] if near else math.ceil(bottom)
        middle = (bottom + top) / 2
        return next((one for one in (*whole, middle, bottom, top) if _within(one, schema)), middle)

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        low, high = _count(schema, "minLength") or 0, _count(schema, "maxLength")
        if isinstance(pattern := schema.get("pattern"), str):
            for least in (0, 0, 0, 0, 0, low, low, low):
                try:
                    text = matching(pattern, self._source, least=least)
                except Unreadable:
                    break
                if _matches(pattern, text) and low <= len(text) <= (len(text) if high is None else high):
                    return text
        if isinstance(form := schema.get("format"), str) and (made := self._like.format(form)) is not None:
            return made
        made = self._like.text_for(name)
        if made is None or not low <= len(made) <= (len(made) if high is None else high):
            made = self._source.choice(_WORDS)
        made = made.ljust(low, "x")
        return made if high is None else made[:high]


# A schema comes from whoever calls: what is not of the type that it should have counts as absent.


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _dict(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = schema.get(name)
    return value if isinstance(value, dict) else {}


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    value = schema.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def _count(schema: Mapping[str, Any], name: str) -> int | None:
    value = _bound(schema, name)
    return None if value is None else max(0, min(int(value), 1000))


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    given = schema.get("type")
    return [str(one).lower() for one in (given if isinstance(given, list) else [given]) if one is not None]


def _kind(schema: Mapping[str, Any]) -> str:
    if kinds := _kinds(schema):
        return next((one for one in kinds if one != "null"), "null")
    for word, kind in (("properties", "object"), ("required", "object"), ("items", "array"), ("prefixItems", "array")):
        if word in schema:
            return kind
    return "number" if {"minimum", "maximum", "multipleOf"} & set(schema) else "string"


def _is_a(value: object, schema: Mapping[str, Any]) -> bool:
    """A choice is of a type that the schema allows, and no text where there is a length."""
    names = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "null": value is None,
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        "object": isinstance(value, dict),
        "array": isinstance(value, list),
    }
    kinds = _kinds(schema)
    if kinds and not any(names.get(kind, True) for kind in kinds):
        return False
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _within(value, schema)
    return not isinstance(value, str) or (_count(schema, "minLength") or 0) <= len(value)


def _same(one: object, other: object) -> bool:
    """Equal as JSON: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _branch(branches: list[Schema], depth: int) -> Schema:
    """The first branch that is not null; deep down one that ends, so that recursion does."""
    nulls = [one for one in branches if isinstance(one, dict) and one.get("type") == "null"]
    rest = [one for one in branches if one not in nulls]
    if depth > 6:
        flat = [one for one in rest if isinstance(one, dict) and not {"$ref", "properties", "items"} & set(one)]
        return (nulls or flat or rest)[0]
    return (rest or nulls)[0]


_LOWEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def merged(parts: list[Schema], root: Schema) -> dict[str, Any]:
    """One schema that asks for what all of `parts` ask for."""
    out: dict[str, Any] = {}
    for part in parts:
        whole = part
        for _ in range(10):
            if not (isinstance(whole, dict) and isinstance(whole.get("$ref"), str)):
                break
            rest = {word: one for word, one in whole.items() if word != "$ref"}
            found = _resolve(whole["$ref"], root)
            whole = {**found, **rest} if isinstance(found, dict) else rest
        if isinstance(whole, dict) and (inner := _list(whole, "allOf")):
            whole = merged([{word: one for word, one in whole.items() if word != "allOf"}, *inner], root)
        for word, value in whole.items() if isinstance(whole, dict) else ():
            out[word] = _joined(word, out[word], value) if word in out else value
    return out


def _joined(word: str, one: Any, other: Any) -> Any:
    """What two schemas say by the same word, as one."""
    if word in ("properties", "$defs", "patternProperties") and isinstance(one, dict) and isinstance(other, dict):
        both = {name: {"allOf": [one[name], other[name]]} for name in one if name in other and one[name] != other[name]}
        return {**one, **other, **both}
    if word == "required" and isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    if word == "enum" and isinstance(one, list) and isinstance(other, list):
        return [choice for choice in one if choice in other] or other
    if word == "type":
        mine, theirs = _kinds({"type": one}), _kinds({"type": other})
        mine = [kind for kind in mine if kind in theirs or (kind == "integer" and "number" in theirs)]
        return mine or ["integer" if theirs == ["integer"] else theirs[0]] if theirs else one
    numbers = isinstance(one, (int, float)) and isinstance(other, (int, float))
    if numbers and word in _LOWEST:
        return max(one, other)
    if numbers and word in _HIGHEST:
        return min(one, other)
    if word == "additionalProperties":
        return False if one is False or other is False else other
    return other


def _resolve(reference: str, root: Schema) -> Schema:
    place = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if not step:
            continue
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            place = place[int(step)] if step.isdigit() and int(step) < len(place) else {}
        else:
            place = place.get(step, {}) if isinstance(place, dict) else {}
    return place


def _range(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The bounds of a number; those that are excluded lie just outside of what fits."""
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    lows = [one for one in (low, above) if one is not None]
    highs = [one for one in (high, below) if one is not None]
    return (max(lows) if lows else None), (min(highs) if highs else None)


def _within(value: float, schema: Mapping[str, Any]) -> bool:
    """No bound of the schema rules the number out."""
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    above, below = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    # OpenAPI says with true that the bound beside it is excluded.
    if schema.get("exclusiveMinimum") is True:
        above = low
    if schema.get("exclusiveMaximum") is True:
        below = high
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
        and (below is None or value < below)
    )


def _multiple(step: float, schema: Mapping[str, Any], kind: str) -> float:
    """A multiple within bounds; of a step such as 0.01 one whose division comes out even, as validators divide."""
    low, high = _range(schema)
    first = math.ceil(low / step) if low is not None else min(1, math.floor(high / step)) if high is not None else 1
    falling = low is None and high is not None
    for count in range(first, first - 50, -1) if falling else range(first, first + 50):
        value = count * step
        even = (value / step) == int(value / step)
        if even and _within(value, schema) and (kind == "number" or value == int(value)):
            return int(value) if value == int(value) else value
    return first * step


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:  # JSON Schema knows patterns that Python does not
        return False
