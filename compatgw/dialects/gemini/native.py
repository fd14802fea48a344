"""Gemini's own request members, which callers write beside OpenAI's under the name `google`.

`{"google": {...}}` stands in `extra_body` (as the vendor's OpenAI-like layer documents it), in
`extra_content`, or at the top level; names may be in either case style. They are passed to the
native fields as they are, but for their case.

What does not live here: what OpenAI's own members become (`request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers

READ = frozenset({"extra_body", "extra_content", "google"})

# Members of `generationConfig`, and of the request around it, with the type that each must have.
GENERATION: Mapping[str, type] = {
    "thinkingConfig": dict, "imageConfig": dict, "speechConfig": dict, "mediaResolution": str, "audioTimestamp": bool,
}  # fmt: skip
AROUND: Mapping[str, type] = {"cachedContent": str, "safetySettings": list, "labels": dict}
OTHER: Mapping[str, type] = {"tools": list, "include": list}
_KINDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
_TYPES = {**GENERATION, **AROUND, **OTHER}
# What callers may have of an answer's metadata, and its name in the answer of this gateway.
INCLUDABLE = {
    "safety_ratings": "safetyRatings",
    "grounding_metadata": "groundingMetadata",
    "url_context_metadata": "urlContextMetadata",
    "citation_metadata": "citationMetadata",
}


class Native(NamedTuple):
    """Gemini's own members of one request, by their names there.

    Attributes:
        members: As they are sent.
        include: Metadata of the answer that the caller wants, by the names of `INCLUDABLE`.
    """

    members: Mapping[str, Any]
    include: tuple[str, ...]


def read(request: Mapping[str, Any], left: Leftovers) -> Native:
    """The caller's native members.

    Raises:
        InvalidRequest: One of them has another type than it must have.
    """
    found: dict[str, Any] = {}
    for param, google in _holders(request, left):
        if not isinstance(google, dict):
            raise InvalidRequest(f"'{param}' must be an object.", param=param, code="invalid_type")
        for key, value in google.items():
            name = _camel(key)
            wanted = _TYPES.get(name)
            if wanted is None:
                left.hint(f"google.{key}", value)
            elif value is not None and not isinstance(value, wanted):
                where = f"{param}.{key}"
                raise InvalidRequest(f"'{where}' must be {_KINDS[wanted]}.", param=where, code="invalid_type")
            elif value is not None:
                found[name] = value if name == "labels" else _cased(value)
    include = tuple(name for name in found.pop("include", ()) if isinstance(name, str) and name in INCLUDABLE)
    return Native(found, include)


def _holders(request: Mapping[str, Any], left: Leftovers) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for holder in ("extra_body", "extra_content"):
        outer = request.get(holder)
        if not isinstance(outer, dict):
            left.hint(holder, outer)
            continue
        for name, value in outer.items():
            if name == "google" and value is not None:
                found.append((f"{holder}.google", value))
            else:
                left.hint(f"{holder}.{name}", value)
    if request.get("google") is not None:
        found.append(("google", request["google"]))
    return found


def _cased(value: Any) -> Any:
    if isinstance(value, dict):
        return {_camel(key): _cased(inner) for key, inner in value.items()}
    return [_cased(inner) for inner in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
