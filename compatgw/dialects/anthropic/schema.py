"""JSON Schemas as Anthropic takes them: for structured output and strict tools, and for a tool's input.

Structured output knows a subset. What lies outside of it moves into the description of its
place, where the model still reads it, instead of being refused. A tool's input must be an
object at its root, without alternatives there.

What does not live here: which models take which form (`models.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)  # fmt: skip
_DEFINITIONS = ("$defs", "definitions")
# What a reader of a schema needs and a model does not.
_SILENT = frozenset({"$schema", "$id", "$comment", "additionalProperties", "nullable"})
_LITERALS = (str, int, float, bool, type(None))


def strict(schema: Any) -> dict[str, Any]:
    """`schema` within the subset of structured output; anything else is said in descriptions.

    Args:
        schema: A JSON Schema; True and False, which are schemas too, become `{}`.
    """
    if not isinstance(schema, dict):
        return {}
    out: dict[str, Any] = {}
    rest = {name: value for name, value in schema.items() if name not in _SILENT}
    for name in _DEFINITIONS:
        if isinstance(found := rest.get(name), dict):
            del rest[name]
            out["$defs"] = {**out.get("$defs", {}), **{key: strict(inner) for key, inner in found.items()}}
    if isinstance(reference := rest.pop("$ref", None), str):
        # Beside a reference only definitions may stand.
        return {**out, "$ref": reference.replace("#/definitions/", "#/$defs/")}
    for name in ("title", "description"):
        if isinstance(rest.get(name), str):
            out[name] = rest.pop(name)
    _kind(schema, rest, out)
    _structure(rest, out)
    if rest:
        said = ", ".join(f"{name}: {_text(value)}" for name, value in rest.items())
        before = f"{out['description']}\n\n" if out.get("description") else ""
        out["description"] = f"{before}{{{said}}}"
    return out


def _kind(schema: Mapping[str, Any], rest: dict[str, Any], out: dict[str, Any]) -> None:
    """Type, or the values that are allowed, or the alternatives."""
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(found := rest.get(name), list) and found:
            sent = "allOf" if name == "allOf" else "anyOf"
            if sent not in out:
                out[sent] = [strict(inner) for inner in rest.pop(name)]
    literal = (
        isinstance(found := rest.get("enum"), list) and bool(found) and all(isinstance(v, _LITERALS) for v in found)
    )
    if literal:
        out["enum"] = rest.pop("enum")
    if "const" in rest and isinstance(rest["const"], _LITERALS):
        out["const"] = rest.pop("const")
    kind = rest.pop("type", None)
    if kind is None and "properties" in rest:
        kind = "object"
    if schema.get("nullable") is True and isinstance(kind, str):
        kind = [kind, "null"]
    if kind is not None:
        out["type"] = kind


def _structure(rest: dict[str, Any], out: dict[str, Any]) -> None:
    kinds = out.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "object" in kinds:
        properties = rest.pop("properties", None)
        out["properties"] = (
            {name: strict(inner) for name, inner in properties.items()} if isinstance(properties, dict) else {}
        )
        if isinstance(required := rest.pop("required", None), list):
            out["required"] = [name for name in required if name in out["properties"]]
        out["additionalProperties"] = False
    if "array" in kinds:
        if "items" in rest and isinstance(rest["items"], dict):
            out["items"] = strict(rest.pop("items"))
        if rest.get("minItems") in (0, 1):
            out["minItems"] = rest.pop("minItems")
    if "string" in kinds and rest.get("format") in _FORMATS:
        out["format"] = rest.pop("format")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


# --- a tool's input --------------------------------------------------------------------------


def tool_input(parameters: Mapping[str, Any] | None, param: str) -> dict[str, Any]:
    """A function's `parameters` as an `input_schema`: an object at its root, byte for byte if it is one already.

    Raises:
        InvalidRequest: The root cannot be an object.
    """
    if not parameters:
        return {"type": "object", "properties": {}}
    schema = dict(parameters)
    if isinstance(reference := schema.get("$ref"), str):
        schema = {**_resolved(reference, schema, param), **{n: v for n, v in schema.items() if n in _DEFINITIONS}}
    if any(schema.get(name) for name in ("anyOf", "oneOf", "allOf")):
        schema = _flat(schema, param)
    kind = schema.get("type")
    if kind == "object":
        return schema
    if kind is None or (isinstance(kind, list) and "object" in kind):
        return {**schema, "type": "object"} if "type" in schema else {"type": "object", **schema}
    raise _not_an_object(param)


def _resolved(reference: str, root: Mapping[str, Any], param: str) -> dict[str, Any]:
    found: Any = root
    for _ in range(8):  # a reference may lead to another one
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            break
        if not isinstance(found.get("$ref"), str):
            return dict(found)
        reference, found = found["$ref"], root
    raise InvalidRequest(f"'{param}' refers to '{reference[:200]}', which is not in it.", param=param)


def _flat(schema: Mapping[str, Any], param: str) -> dict[str, Any]:
    """One object in place of alternatives; which members belong together is said in its description."""
    out = {name: value for name, value in schema.items() if name not in ("anyOf", "oneOf", "allOf")}
    properties = dict(out.get("properties") or {})
    required = list(out.get("required") or ())
    notes: list[str] = []
    for name in ("allOf", "anyOf", "oneOf"):
        branches = [_branch(branch, schema, param) for branch in schema.get(name) or ()]
        for branch in branches:
            for key, inner in (branch.get("properties") or {}).items():
                properties.setdefault(key, inner)
        wanted = [list(branch.get("required") or ()) for branch in branches]
        if name == "allOf":
            required += [key for keys in wanted for key in keys]
        elif wanted:
            required += [key for key in wanted[0] if all(key in keys for keys in wanted)]
            notes.append("Give one of these sets of members: " + "; ".join(_members(branch) for branch in branches))
    out = {**out, "type": "object", "properties": properties}
    if required:
        out["required"] = list(dict.fromkeys(required))
    if notes:
        out["description"] = "\n\n".join(filter(None, (str(out.get("description") or ""), *notes)))
    return out


def _branch(branch: Any, root: Mapping[str, Any], param: str) -> dict[str, Any]:
    if isinstance(branch, dict) and isinstance(reference := branch.get("$ref"), str):
        branch = _resolved(reference, root, param)
    if not isinstance(branch, dict) or branch.get("type", "object") != "object":
        raise _not_an_object(param)
    return branch


def _members(branch: Mapping[str, Any]) -> str:
    names: Iterable[str] = branch.get("properties") or branch.get("required") or ()
    return ", ".join(map(str, names)) or "none"


def _not_an_object(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{param}' must describe an object: set 'type' to \"object\" at its root, with one property for each.",
        param=param,
    )
