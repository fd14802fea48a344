"""`/docs/api`: the reference, rendered from our own OpenAPI document.

What does not live here: the document (`openapi/`).
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.errors import NotFound
from compatgw.openapi.document import document
from compatgw.pages.render import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

MANAGEMENT = "Management"
"""The group that has a page of its own."""


class Member(NamedTuple):
    """A member of a body, or a parameter.

    Attributes:
        name: Its own. where: `path`, `query`, `header`, or "" for the body. kind: In a few words.
        required: It cannot be left out.
        text: What it is for, "" where the name says it.
    """

    name: str
    where: str
    kind: str
    required: bool
    text: str


class Entry(NamedTuple):
    """An operation as the page shows it."""

    id: str
    verb: str
    path: str
    text: str
    members: tuple[Member, ...]
    kinds: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


async def answer(site: Site, visit: Visit) -> None:
    """The page; `?group=management` is that of the management API.

    Raises:
        NotFound: This gateway has none.
    """
    managed = site.house.ledger is not None
    of_management = visit.query().get("group") == MANAGEMENT.lower()
    if of_management and not managed:
        raise NotFound("This gateway keeps no records, and has no management API.", code="unknown_endpoint")
    groups = await asyncio.to_thread(_groups, site.version, managed)
    shown = {tag: entries for tag, entries in groups.items() if (tag == MANAGEMENT) == of_management}
    await page(site, visit, "reference.html", groups=shown, managed=managed, of_management=of_management)


@cache
def _groups(version: str, managed: bool) -> Mapping[str, tuple[Entry, ...]]:
    whole = document(version, managed=managed)
    found: dict[str, list[Entry]] = {}
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append(_entry(whole, path, method, operation))
    return {tag: tuple(entries) for tag, entries in found.items()}


def _entry(whole: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Entry:
    content = operation.get("requestBody", {}).get("content", {})
    body = next((each["schema"] for each in content.values()), None)
    return Entry(
        id=operation["operationId"],
        verb=method.upper(),
        path=path,
        text=operation["summary"],
        members=(*_parameters(operation), *(_members(whole, body) if body is not None else ())),
        kinds=tuple(content),
        answers=tuple((status, _told(whole, each)) for status, each in operation["responses"].items()),
    )


def _parameters(operation: Mapping[str, Any]) -> Iterator[Member]:
    for each in operation.get("parameters", ()):
        # Those that are components are the headers of all calls: the first page tells of them once.
        if "$ref" not in each:
            yield Member(each["name"], each["in"], each["schema"]["type"], each["required"], each["description"])


def _members(whole: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Member]:
    for part in schema.get("allOf", [schema]):
        if part.get("$ref", "").endswith("/GatewayMembers"):
            continue
        found = _resolved(whole, part)
        required = found.get("required", ())
        for name, each in found.get("properties", {}).items():
            # What is the same for all is told of one level down.
            text = each.get("description", "") or _resolved(whole, each).get("description", "")
            yield Member(name, "", _kind(whole, each), name in required, text.partition("\n")[0])


def _resolved(whole: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = schema
    while "$ref" in found:
        place: Any = whole
        for part in found["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        found = place
    return dict(found)


def _told(whole: Mapping[str, Any], response: Mapping[str, Any]) -> str:
    return str(_resolved(whole, response)["description"])


def _kind(whole: Mapping[str, Any], schema: Mapping[str, Any], depth: int = 0) -> str:
    """What a member takes, in a few words: `text`, `list of objects`, `"low" | "high"`."""
    schema = _resolved(whole, schema)
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{each}"' for each in schema["enum"])
    if "anyOf" in schema:
        # That what may be left out may also be null is said once, at the top of the page.
        kinds = dict.fromkeys(_kind(whole, each, depth + 1) for each in schema["anyOf"] if each.get("type") != "null")
        return " | ".join(kinds) if len(kinds) <= 4 else " | ".join([*list(kinds)[:4], "..."])
    kind = schema.get("type", "any")
    if kind == "array" and depth < 3:
        return f"array of {_kind(whole, schema.get('items', {}), depth + 1)}"
    return str(kind)
