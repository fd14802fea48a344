"""JSON Schemas become the two dialects that Gemini reads.

`json_schema` gives the newer one (`parametersJsonSchema`, `responseJsonSchema`): references
stay, all under `$defs` of the root; `allOf` is merged, `const` becomes `enum`. `openapi` gives
the older one (`parameters`, `responseSchema`): references are put in place, types are upper
case, `null` is `nullable`.

A keyword that the dialect refuses is never sent. Where it says something that a model can
obey, it is told in the description instead. Names of properties are never taken for keywords.

What does not live here: which model reads which dialect (`models.py`), checking answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

JSON_KEYS = frozenset(
    {
        "$defs", "$ref", "type", "format", "title", "description", "enum", "items", "prefixItems", "minItems",
        "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties", "required",
        "propertyOrdering",
    }
)  # fmt: skip
OPENAPI_KEYS = frozenset(
    {
        "type", "format", "title", "description", "nullable", "default", "enum", "items", "minItems", "maxItems",
        "minLength", "maxLength", "pattern", "minimum", "maximum", "properties", "required", "minProperties",
        "maxProperties", "propertyOrdering", "anyOf",
    }
)  # fmt: skip

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_JSON_FORMATS = frozenset({"date-time", "date", "time", "float", "double", "int32", "int64"})
_OPENAPI_FORMATS = frozenset({"date-time", "enum", "float", "double", "int32", "int64"})
# What a model can obey although no field carries it, in the order in which it is told.
_TELLING = (
    "format", "pattern", "minLength", "maxLength", "multipleOf", "uniqueItems", "minProperties", "maxProperties",
    "default",
)  # fmt: skip
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_NOTE_LIMIT = 200
# Bounds for putting references in place: a page of definitions can mean a library of copies.
_DEPTH = 24
_NODES = 4000


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the dialect of `parametersJsonSchema` and `responseJsonSchema`."""
    return _Reader(schema, JSON_KEYS, _JSON_FORMATS).whole()


def openapi(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` in the dialect of `parameters` and `responseSchema`, without references."""
    plain = _Reader(schema, JSON_KEYS | OPENAPI_KEYS, _OPENAPI_FORMATS).whole()
    return _Inliner(plain.pop("$defs", {})).convert(plain)


def takes_arguments(schema: Mapping[str, Any]) -> bool:
    """False when `schema` is that of a function without arguments."""
    if schema.get("type", "object") != "object":
        return True
    return any(schema.get(key) for key in ("properties", "additionalProperties", "$ref", "allOf", "anyOf", "oneOf"))


def is_object(schema: Mapping[str, Any]) -> bool:
    """True when every value of `schema` is an object, as far as its root tells."""
    plain = _Reader(schema, JSON_KEYS, _JSON_FORMATS).whole()
    return plain.get("type") == "object" or (plain.get("type") is None and "properties" in plain)


# --- one schema, normalised ------------------------------------------------------------------


class _Reader:
    """Reads one schema into nodes that hold only `keys`, and collects what they refer to."""

    def __init__(self, root: Mapping[str, Any], keys: frozenset[str], formats: frozenset[str]) -> None:
        self._root = root
        self._keys = keys
        self._formats = formats
        self._names: dict[str, str] = {}  # pointer to the name of its definition
        self._waiting: list[tuple[str, Any]] = []

    def whole(self) -> dict[str, Any]:
        """The root, with all that it refers to in its `$defs`."""
        out = self._node(self._unfolded(self._root))
        definitions: dict[str, Any] = {}
        while self._waiting:  # a list, not recursion: definitions may form a long chain
            name, target = self._waiting.pop()
            definitions[name] = self._node(target)
        if definitions:
            out["$defs"] = definitions
        return out

    def _unfolded(self, node: Any) -> Any:
        """The root without a reference at its top, which functions cannot have."""
        seen: set[str] = set()
        while isinstance(node, dict) and isinstance(node.get("$ref"), str) and node["$ref"] not in seen:
            seen.add(node["$ref"])
            found = self._resolve(node["$ref"])
            if not isinstance(found, dict):
                break
            rest = {key: value for key, value in node.items() if key not in ("$ref", "$defs", "definitions")}
            node = {**found, **rest}
        return node

    def _node(self, node: Any) -> dict[str, Any]:
        if not isinstance(node, dict):
            return {}
        if isinstance(node.get("allOf"), list):
            node = self._merged(node, set())
        if isinstance(node.get("$ref"), str):
            return self._reference(node)
        out: dict[str, Any] = {}
        notes: list[str] = []
        types = _types(node)
        self._values(node, types, out, notes)
        self._limits(node, types, out, notes)
        self._branches(node, types, out)
        self._children(node, out)
        if types:
            out["type"] = types[0] if len(types) == 1 else types
        if isinstance(node.get("title"), str):
            out["title"] = node["title"]
        notes += [_note(key, node[key]) for key in _TELLING if key not in out and _tells(key, node.get(key))]
        _describe(out, node.get("description"), notes)
        return out

    def _reference(self, node: dict[str, Any]) -> dict[str, Any]:
        pointer = node["$ref"]
        name = self._names.get(pointer)
        if name is None:
            found = self._resolve(pointer)
            if found is None:
                return _described({}, node.get("description"))
            name = self._names[pointer] = self._name(pointer)
            self._waiting.append((name, found))
        reference = {"$ref": f"#/$defs/{name}"}
        branches = [reference, {"type": "null"}] if node.get("nullable") is True else [reference]
        description = node.get("description")
        # Beside a reference only other `$` keywords may stand, so a description goes around it.
        if len(branches) == 1 and not isinstance(description, str):
            return reference
        return _described({"anyOf": branches}, description)

    def _name(self, pointer: str) -> str:
        raw = unquote(pointer).rpartition("/")[2] or "root"
        name = base = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in raw)
        taken = set(self._names.values())
        number = 1
        while name in taken:
            number += 1
            name = f"{base}_{number}"
        return name

    def _resolve(self, pointer: str) -> Any:
        """What a reference within the document points to, None when it leads nowhere."""
        if pointer != "#" and not pointer.startswith("#/"):
            return None
        found: Any = self._root
        for step in unquote(pointer[1:]).split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return found if isinstance(found, dict | bool) else None

    def _merged(self, node: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        """`node` with the members of its `allOf` in it; its own come first."""
        parts = node["allOf"]
        out = {key: value for key, value in node.items() if key != "allOf"}
        if len(parts) == 1 and isinstance(parts[0], dict) and "$ref" in parts[0] and not out.keys() & _STRUCTURE:
            return {**parts[0], **out}  # the usual way to give a reference a description
        for part in parts:
            if isinstance(part, dict) and isinstance(part.get("$ref"), str):
                if part["$ref"] in seen:
                    continue
                seen = seen | {part["$ref"]}
                part = self._unfolded(part)
            if isinstance(part, dict) and isinstance(part.get("allOf"), list):
                part = self._merged(part, seen)
            if isinstance(part, dict):
                out = _combined(out, part)
        return out

    def _values(self, node: dict[str, Any], types: list[str], out: dict[str, Any], notes: list[str]) -> None:
        """`enum` and `const`, of which only texts and numbers can be listed."""
        values = [node["const"]] if "const" in node else node.get("enum")
        if not isinstance(values, list):
            return
        listed = [v for v in values if isinstance(v, str | int | float) and not isinstance(v, bool)]
        if None in values and types and "null" not in types:
            types.append("null")
        if not types:
            types += list(dict.fromkeys(map(_type_of, values)))
        if listed and all(v is None or v in listed for v in values):
            out["enum"] = listed
        elif values != [None]:
            notes.append(_note("one of", values))

    def _limits(self, node: dict[str, Any], types: list[str], out: dict[str, Any], notes: list[str]) -> None:
        for key in ("minimum", "maximum"):
            if _is_number(node.get(key)):
                out[key] = node[key]
        for key, bound, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            value = node.get(key)
            if not _is_number(value):
                continue
            if types == ["integer"] and isinstance(value, int):
                out.setdefault(bound, value + step)
            else:
                out.setdefault(bound, value)
                notes.append(_note(key, value))
        for key in _COUNTS:
            value = node.get(key)
            if key in self._keys and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                out[key] = value
        for key in ("pattern", "default"):
            if key in self._keys and node.get(key) is not None and (key == "default" or isinstance(node[key], str)):
                out[key] = node[key]
        if node.get("format") in self._formats:
            out["format"] = node["format"]

    def _branches(self, node: dict[str, Any], types: list[str], out: dict[str, Any]) -> None:
        for key in ("anyOf", "oneOf"):
            if isinstance(node.get(key), list):
                branches = [self._node(branch) for branch in node[key] if isinstance(branch, dict | bool)]
                if branches:
                    out[key] = branches
        if node.get("nullable") is True:
            if types and "null" not in types:
                types.append("null")
            elif "anyOf" in out:
                out["anyOf"].append({"type": "null"})

    def _children(self, node: dict[str, Any], out: dict[str, Any]) -> None:
        properties = node.get("properties")
        if isinstance(properties, dict):
            out["properties"] = {name: self._node(child) for name, child in properties.items() if child is not False}
        required = node.get("required")
        if isinstance(required, list) and isinstance(properties, dict):
            names = [name for name in dict.fromkeys(filter(_is_text, required)) if name in out["properties"]]
            if names:
                out["required"] = names
        extra = node.get("additionalProperties")
        if isinstance(extra, dict | bool):
            out["additionalProperties"] = self._node(extra) if isinstance(extra, dict) else extra
        prefix = node.get("prefixItems")
        items = node.get("items")
        if isinstance(items, list):  # the older spelling of `prefixItems`
            prefix, items = items, node.get("additionalItems")
        if isinstance(items, dict):
            out["items"] = self._node(items)
        if isinstance(prefix, list) and prefix:
            out["prefixItems"] = [self._node(item) for item in prefix]
        order = node.get("propertyOrdering")
        if isinstance(order, list) and all(map(_is_text, order)):
            out["propertyOrdering"] = order


_STRUCTURE = frozenset({"properties", "required", "items", "anyOf", "oneOf", "enum", "const", "additionalProperties"})


def _combined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both schemas at once, as far as one node can say it; where they differ, `first` is kept."""
    out = {**second, **first}
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        out["properties"] = {**second["properties"], **first["properties"]}
    if isinstance(first.get("required"), list) and isinstance(second.get("required"), list):
        out["required"] = [*first["required"], *second["required"]]
    if isinstance(first.get("enum"), list) and isinstance(second.get("enum"), list):
        out["enum"] = [value for value in first["enum"] if value in second["enum"]] or first["enum"]
    return out


def _types(node: dict[str, Any]) -> list[str]:
    given = node.get("type")
    words = given if isinstance(given, list) else [given]
    types = [w.lower() for w in words if isinstance(w, str) and w.lower() in TYPES]
    if not types and given is None:
        if isinstance(node.get("properties"), dict):
            return ["object"]
        if isinstance(node.get("items"), dict | list) or isinstance(node.get("prefixItems"), list):
            return ["array"]
    return list(dict.fromkeys(types))


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _tells(key: str, value: Any) -> bool:
    return value is not None if key == "default" else bool(value)


def _note(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return f"{key}: {text[:_NOTE_LIMIT]}"


def _describe(out: dict[str, Any], description: Any, notes: Iterable[str]) -> None:
    words = description if isinstance(description, str) else ""
    told = "; ".join(notes)
    if told:
        words = f"{words} ({told})" if words else told
    if words:
        out["description"] = words


def _described(out: dict[str, Any], description: Any) -> dict[str, Any]:
    return {"description": description, **out} if isinstance(description, str) else out


# --- the older dialect -----------------------------------------------------------------------


class _Inliner:
    """Puts definitions in the place of references, within bounds, and writes the OpenAPI subset."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._left = _NODES

    def convert(self, node: dict[str, Any], path: tuple[str, ...] = (), depth: int = 0) -> dict[str, Any]:
        """`node` without references; a cycle and whatever is too deep or too much becomes any object."""
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            return {"type": "OBJECT"}
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name in path:
                return {"type": "OBJECT"}
            return self.convert(self._definitions[name], (*path, name), depth + 1)
        given = node.get("type", [])
        types = [given] if isinstance(given, str) else given
        kinds = [kind for kind in types if kind != "null"]
        out = {key: value for key, value in node.items() if key in OPENAPI_KEYS and key not in _REWRITTEN}
        if len(types) > len(kinds):
            out["nullable"] = True
        branches = node.get("anyOf") or node.get("oneOf")
        if len(kinds) > 1:
            branches = [{**{k: v for k, v in node.items() if k != "description"}, "type": kind} for kind in kinds]
        elif kinds:
            branches = None
        if branches:
            return self._choice(branches, out, path, depth)
        self._fill(node, kinds[0] if kinds else "", out, path, depth)
        return out

    def _choice(
        self, branches: list[dict[str, Any]], out: dict[str, Any], path: tuple[str, ...], depth: int
    ) -> dict[str, Any]:
        """`anyOf`, beside which only a description counts; one branch alone takes its place."""
        kept = [branch for branch in branches if branch.get("type") != "null"]
        around: dict[str, Any] = {key: out[key] for key in ("description", "nullable") if key in out}
        if len(kept) < len(branches):
            around["nullable"] = True
        if len(kept) < 2:
            return {**self.convert(kept[0] if kept else {}, path, depth + 1), **around}
        return {"anyOf": [self.convert(branch, path, depth + 1) for branch in kept], **around}

    def _fill(self, node: dict[str, Any], kind: str, out: dict[str, Any], path: tuple[str, ...], depth: int) -> None:
        values = node.get("enum")
        if isinstance(values, list):
            if all(map(_is_text, values)):
                out["enum"], kind = values, "string"
            else:
                _describe(out, out.get("description"), [_note("one of", values)])
        if not kind:
            kind = "number" if "minimum" in node or "maximum" in node else "string"
        out["type"] = kind.upper()
        if kind == "object" and node.get("properties"):
            properties = node["properties"]
            out["properties"] = {n: self.convert(child, path, depth + 1) for n, child in properties.items()}
            if "required" in node:
                out["required"] = node["required"]
            out["propertyOrdering"] = list(properties)
        elif kind == "array":
            out["items"] = self._items(node, path, depth)

    def _items(self, node: dict[str, Any], path: tuple[str, ...], depth: int) -> dict[str, Any]:
        branches = [*node.get("prefixItems", ()), *([node["items"]] if "items" in node else ())]
        different = [branch for n, branch in enumerate(branches) if branch not in branches[:n]]
        if not different:
            return {"type": "STRING"}
        if len(different) == 1:
            return self.convert(different[0], path, depth + 1)
        return self._choice(different, {}, path, depth)


_REWRITTEN = frozenset({"type", "enum", "items", "properties", "required", "propertyOrdering", "anyOf", "nullable"})
