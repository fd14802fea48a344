"""`POST /v1/embeddings`: a body becomes a hub request, vectors are told in the form that the client asked for.

The form of an answer is the client's (`encoding_format`, numbers by default), whatever the
upstream gave: numbers become base64 and base64 becomes numbers.

What does not live here: the shapes and the base64 (`wire/embeddings.py`), translation (`dialects/`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, pruned, validated
from compatgw.surfaces.whole import WholeFace, unstreamed
from compatgw.wire.embeddings import (
    MOST_INPUTS,
    MOST_TOKENS,
    EmbeddingsRequest,
    by_kind_of_input,
    packed,
    unpacked,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Result

_TOO_MANY = (
    f"'input' is too long: one request takes {MOST_INPUTS} inputs, and {MOST_TOKENS} token ids in all. "
    "Send it in several requests."
)
_FORMS = "Send a string, a list of strings, a list of token ids, or a list of such lists."


@cache
def validator() -> TypeAdapter[EmbeddingsRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(EmbeddingsRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    value = unstreamed(pruned(value), "embeddings")
    if "input" in value:
        _check(value["input"])
    request = validated(validator(), value)
    return Parsed(request, options)


def _check(given: Any) -> None:
    """Raises InvalidRequest where the validator's own words would not say how to mend it."""
    if by_kind_of_input(given) is None:
        raise InvalidRequest(f"Invalid type for 'input'. {_FORMS}", param="input", code="invalid_type")
    if given == "" or given == []:
        raise InvalidRequest(f"'input' is empty. {_FORMS}", param="input")
    if not isinstance(given, list):
        return
    kind = type(given[0])
    if len(given) > (MOST_TOKENS if kind is int else MOST_INPUTS):
        raise InvalidRequest(_TOO_MANY, param="input")
    for place, one in enumerate(given):
        where = f"input[{place}]"
        if one == "" or one == []:
            raise InvalidRequest(f"'{where}' is empty. Leave it out.", param=where)
        if type(one) is not kind or kind not in (str, int, list):
            raise InvalidRequest(
                f"Invalid type for '{where}': all of 'input' has to be of one kind. {_FORMS}",
                param=where,
                code="invalid_type",
            )
    if kind is list and sum(map(len, given)) > MOST_TOKENS:
        raise InvalidRequest(_TOO_MANY, param="input")


class EmbeddingsFace(WholeFace):
    """How a client of embeddings is told its answer."""

    __slots__ = ()

    def body(self, answer: Result) -> Mapping[str, Any] | None:
        """The answer, with vectors in the form that was asked for."""
        as_text = self.request.get("encoding_format") == "base64"
        data = answer.body["data"]
        if all(isinstance(one["embedding"], str) is as_text for one in data):
            return super().body(answer)
        return {**answer.body, "data": [{**one, "embedding": _in_form(one["embedding"], as_text)} for one in data]}


def _in_form(vector: Any, as_text: bool) -> Any:
    if isinstance(vector, str) is as_text:
        return vector
    return packed(vector) if as_text else unpacked(vector)


EMBEDDINGS = Surface(
    name="embeddings", scope="embeddings", codec="embeddings", parse=parse, face=EmbeddingsFace, envelope=envelope
)
