"""`POST /v1/moderations`: a body becomes a hub request, an answer becomes a body.

What does not live here: the shapes (`wire/moderations.py`), other vendors' categories (`dialects/`).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, pruned, validated
from compatgw.surfaces.whole import WholeFace, unstreamed
from compatgw.wire.moderations import DEFAULT_MODEL, ModerationsRequest, by_kind_of_input

_FORMS = "Send a string, a list of strings, or a list of parts of type 'text' or 'image_url'."


@cache
def validator() -> TypeAdapter[ModerationsRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(ModerationsRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds; without a model it is for OpenAI's own default.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    value = unstreamed(pruned(value), "moderations")
    value.setdefault("model", DEFAULT_MODEL)
    if "input" in value:
        value["input"] = _tidy(value["input"])
    request = validated(validator(), value)
    return Parsed(request, options)


def _tidy(given: Any) -> Any:
    """The input without null members; raises InvalidRequest where it is of no kind, or of several."""
    if by_kind_of_input(given) is None:
        raise InvalidRequest(f"Invalid type for 'input'. {_FORMS}", param="input", code="invalid_type")
    if given == []:
        raise InvalidRequest(f"'input' is empty. {_FORMS}", param="input")
    if isinstance(given, str):
        return given
    kind = type(given[0])
    for place, one in enumerate(given):
        if type(one) is not kind or kind not in (str, dict):
            where = f"input[{place}]"
            raise InvalidRequest(
                f"Invalid type for '{where}': all of 'input' has to be of one kind. {_FORMS}",
                param=where,
                code="invalid_type",
            )
    return given if kind is str else [_part(one) for one in given]


def _part(given: dict[str, Any]) -> dict[str, Any]:
    part = pruned(given)
    if isinstance(part.get("image_url"), dict):
        part = {**part, "image_url": pruned(part["image_url"])}
    return part


class ModerationsFace(WholeFace):
    """How a client of moderations is told its answer."""

    __slots__ = ()


MODERATIONS = Surface(
    name="moderations", scope="moderations", codec="moderations", parse=parse, face=ModerationsFace, envelope=envelope
)
