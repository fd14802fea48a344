"""Judges requests and answers by the document that the gateway itself serves."""

import re
from typing import Any

import httpx
import orjson
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

URI = "urn:document"
_BY_PATH = re.compile(r"\{(\w+)\}")


class Judge:
    """What the document says of each exchange.

    Attributes:
        seen: Operations and statuses that were judged, as `createX 200`.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: set[str] = set()
        self._registry = Registry().with_resource(
            URI, Resource.from_contents(document, default_specification=DRAFT202012)
        )

    def check(self, answer: httpx.Response, path: str) -> None:
        """Fails unless request and answer are as the document says of `path`, a path with its places open."""
        request = answer.request
        operation = self.document["paths"][path][request.method.lower()]
        name = f"{operation['operationId']} {answer.status_code}"
        assert str(answer.status_code) in operation["responses"], name
        if answer.status_code < 400:
            self._request(operation, request, name)
        told = self._resolved(operation["responses"][str(answer.status_code)])
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind in told["content"], f"{name}: {kind}"
        assert "X-Request-ID" in told["headers"]
        assert answer.headers["x-request-id"]
        content = told["content"][kind]
        if kind == "application/json":
            self.valid(content["schema"], answer.json(), name)
        elif kind == "text/event-stream":
            for data in re.findall(r"^data: (.*)$", answer.text, re.MULTILINE):
                if data != "[DONE]":
                    self.valid(content["x-event-schema"], orjson.loads(data), name)
        self.seen.add(name)

    def _request(self, operation: dict[str, Any], request: httpx.Request, name: str) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind == "application/json" and request.content:
            schema = operation["requestBody"]["content"][kind]["schema"]
            self.valid(schema, orjson.loads(request.content), f"{name} request")
        elif kind:
            assert kind in operation["requestBody"]["content"], name
        known = {each["name"] for each in map(self._resolved, operation.get("parameters", ())) if each["in"] == "query"}
        assert set(request.url.params) <= known, name

    def valid(self, schema: Any, value: Any, name: str) -> None:
        """Fails unless `value` is what `schema` says."""
        absolute = orjson.loads(orjson.dumps(schema).replace(b'"#/', f'"{URI}#/'.encode()))
        errors = sorted(Draft202012Validator(absolute, registry=self._registry).iter_errors(value), key=str)
        assert not errors, f"{name}: {errors[0].message[:300]} at {list(errors[0].absolute_path)}"

    def _resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value
