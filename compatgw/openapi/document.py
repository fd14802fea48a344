"""The document: operations and the JSON schemas of their shapes, put together.

What does not live here: the operations (`calls.py`, `own.py`, `management.py`), serving it (`endpoint.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from compatgw.errors import ErrorEnvelope
from compatgw.openapi import calls, management, own
from compatgw.openapi.headers import REQUEST
from compatgw.openapi.options import GatewayMembers

if TYPE_CHECKING:
    from typing import Literal

    from compatgw.openapi.operation import Answer, Operation, Parameter

    Mode = Literal["validation", "serialization"]

JSON = "application/json"
EVENTS = "text/event-stream"
_BEGINNING, _END = re.compile(r"^\\A"), re.compile(r"\\[zZ]$")
_MODULE = re.compile(r"compatgw__\w+?__(\w+?)__")
_REF = "#/components/schemas/{model}"
REASONS: Mapping[int, str] = {
    400: "The request is wrong; `param` names the member.",
    401: "No key, or one that is not known, revoked or expired.",
    402: "The wallet or the budget is spent.",
    403: "The key is good, but not for this.",
    404: "There is nothing of that name.",
    405: "The method is not allowed; `Allow` lists those that are.",
    409: "What is there does not allow it.",
    412: "The record is another version than `If-Match` says.",
    413: "The body is too large.",
    415: "The body is of the wrong type.",
    429: "A limit is reached: the caller's own, or the provider's.",
    500: "The gateway's own fault.",
    501: "Streaming is switched off.",
    502: "The provider failed.",
    503: "It cannot be answered now.",
    504: "The provider did not answer in time.",
}
"""What each status of an error means."""


def operations(*, managed: bool) -> tuple[Operation, ...]:
    """Every operation; `managed`: with those of the management API."""
    return (*calls.OPERATIONS, *own.OPERATIONS, *(management.OPERATIONS if managed else ()))


@cache
def document(version: str, *, managed: bool) -> Mapping[str, Any]:
    """The document without `servers`, and with no gateway's own name; made once.

    Args:
        version: Of the package.
        managed: The gateway has a ledger, and with it the management API.
    """
    wanted = operations(managed=managed)
    refs, schemas = _schemas(wanted)
    paths: dict[str, dict[str, Any]] = {}
    for each in wanted:
        paths.setdefault(each.path, {})[each.method] = _operation(each, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "compatgw",
            "version": version,
            "description": "An OpenAI-compatible gateway. Paths under `/v1` answer without `/v1`, too. Members that "
            "are null mean the same as leaving them out.",
        },
        "tags": [{"name": name} for name in dict.fromkeys(each.tag for each in wanted)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": _failures(wanted, refs),
            "parameters": {name: _header(name, text) for name, text in REQUEST.items()},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key, or a token of a known issuer."},
                "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
    }


# --- schemas ---------------------------------------------------------------------------------


def _shapes(wanted: Iterable[Operation]) -> dict[tuple[int, str], tuple[Any, Mode]]:
    """Every shape once, by its identity and what it is for."""
    found: dict[tuple[int, str], tuple[Any, Mode]] = {}

    def add(shape: Any, mode: Mode) -> None:
        if shape is not None:
            found.setdefault((id(shape), mode), (shape, mode))

    add(ErrorEnvelope, "serialization")
    add(GatewayMembers, "validation")
    for each in wanted:
        add(each.body, "validation")
        add(each.form, "validation")
        add(each.error, "serialization")
        for answer in each.answers.values():
            add(answer.json, "serialization")
            add(answer.events, "serialization")
    return found


def _schemas(wanted: Iterable[Operation]) -> tuple[dict[tuple[int, str], dict[str, Any]], dict[str, Any]]:
    """A schema for each shape, and the components that these name."""
    shapes = _shapes(wanted)
    inputs = [(key, mode, TypeAdapter(shape)) for key, (shape, mode) in shapes.items()]
    made, shared = TypeAdapter.json_schemas(inputs, ref_template=_REF)
    components = {_named(name): _loosened(schema) for name, schema in shared.get("$defs", {}).items()}
    bodies = {schema.get("$ref", "").rpartition("/")[2] for (_, mode), schema in made.items() if mode == "validation"}
    for name in components:
        if name in map(_named, bodies) or name.endswith("Message"):
            components[name] = _nullable(components[name])
    return {key: _loosened(schema) for (key, _), schema in made.items()}, components


def _named(name: str) -> str:
    """A component's name: of two shapes of one name, each has that of its protocol before it."""
    return _MODULE.sub(lambda found: found[1].capitalize(), name)


def _loosened(schema: Any) -> Any:
    """A schema as others read it.

    `oneOf` is `anyOf`: which branch counts is told by a word in the value, and open branches overlap. Patterns
    begin and end as JSON Schema's do.
    """
    if isinstance(schema, dict):
        found = {("anyOf" if name == "oneOf" else name): _loosened(value) for name, value in schema.items()}
        if isinstance(pattern := found.get("pattern"), str):
            found["pattern"] = _END.sub("$", _BEGINNING.sub("^", pattern))
        if isinstance(reference := found.get("$ref"), str):
            found["$ref"] = _named(reference)
        return found
    return [_loosened(value) for value in schema] if isinstance(schema, list) else schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """A request's schema: what may be left out may be null."""
    if not schema.get("additionalProperties"):
        return schema
    required = schema.get("required", ())
    properties = {
        name: each if name in required else {"anyOf": [each, {"type": "null"}]}
        for name, each in schema["properties"].items()
    }
    return {**schema, "properties": properties}


# --- operations ------------------------------------------------------------------------------


def _operation(each: Operation, refs: Mapping[tuple[int, str], dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": each.id, "tags": [each.tag], "summary": each.text}
    parameters = [_parameter(parameter) for parameter in each.parameters]
    if each.members:
        parameters += [{"$ref": f"#/components/parameters/{name}"} for name in REQUEST]
    if parameters:
        made["parameters"] = parameters
    content = _request(each, refs)
    if content:
        made["requestBody"] = {"required": each.body_required, "content": content}
    made["responses"] = {str(status): _answer(answer, refs) for status, answer in each.answers.items()}
    kind = "Message" if each.error is not None else ""
    for status in (*each.errors, 405, 500):
        made["responses"].setdefault(str(status), {"$ref": f"#/components/responses/{kind}Error{status}"})
    made["security"] = _security(each)
    return made


def _request(each: Operation, refs: Mapping[tuple[int, str], dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if each.body is not None:
        schema = refs[id(each.body), "validation"]
        if each.members:
            schema = {"allOf": [schema, refs[id(GatewayMembers), "validation"]]}
        content[JSON] = {"schema": schema}
    if each.form is not None:
        files = {name: {"type": "string", "format": "binary"} for name in each.files}
        own = {"type": "object", "properties": files, "required": list(each.files[:1])}
        content["multipart/form-data"] = {"schema": {"allOf": [refs[id(each.form), "validation"], own]}}
    return content


def _answer(answer: Answer, refs: Mapping[tuple[int, str], dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.json is not None:
        content[JSON] = {"schema": refs[id(answer.json), "serialization"]}
    if answer.events is not None:
        # OpenAPI 3.1 has no word for events: the schema is that of the JSON behind each `data: `.
        inner = refs[id(answer.events), "serialization"]
        content[EVENTS] = {"schema": {"type": "string"}, "x-event-schema": inner}
    for kind in answer.other:
        content[kind] = {"schema": {"type": "string"}}
    made: dict[str, Any] = {"description": answer.text}
    headers = {"X-Request-ID": "The request's id.", **answer.headers}
    made["headers"] = _headers(headers)
    if content:
        made["content"] = content
    return made


def _failures(wanted: Iterable[Operation], refs: Mapping[tuple[int, str], dict[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for each in wanted:
        shape, kind = (each.error, "Message") if each.error is not None else (ErrorEnvelope, "")
        for status in (*each.errors, 405, 500):
            headers = {"X-Request-ID": "The request's id."}
            if status in (429, 503):
                headers["Retry-After"] = "Seconds to wait."
            made[f"{kind}Error{status}"] = {
                "description": REASONS.get(status, "The method is not allowed." if status == 405 else "Our fault."),
                "headers": {
                    name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
                },
                "content": {JSON: {"schema": refs[id(shape), "serialization"]}},
            }
    return made


def _headers(texts: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.text,
        "schema": {"type": parameter.kind},
    }


def _header(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def _security(each: Operation) -> list[dict[str, list[str]]]:
    keys: list[dict[str, list[str]]] = [{"key": []}, {"x-api-key": []}, {"api-key": []}]
    if each.security == "none":
        return []
    return [{}, *keys] if each.security == "optional" else keys
