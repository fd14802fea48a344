"""`POST /v1/rerank`: requests as Cohere, Jina and Voyage spell them become one hub request.

`top_k` is `top_n`. The answer is Cohere's with the members that Jina's clients read, too;
documents are repeated from the request, in the form that they came in, when it asks for them.

What does not live here: the shapes (`wire/rerank.py`), translation (`dialects/`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, pruned, validated
from compatgw.surfaces.whole import WholeFace, unstreamed
from compatgw.wire.rerank import MOST_DOCUMENTS, RerankRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Result


@cache
def validator() -> TypeAdapter[RerankRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(RerankRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    value = unstreamed(pruned(value), "rerank")
    _tidy(value)
    request = validated(validator(), value)
    return Parsed(request, options)


def _tidy(value: dict[str, Any]) -> None:
    if "top_k" in value:
        other = value.pop("top_k")
        if isinstance(other, bool) or not isinstance(other, int):
            raise InvalidRequest("'top_k' must be a whole number.", param="top_k", code="invalid_type")
        if other < 1:
            raise InvalidRequest("'top_k' must be at least 1.", param="top_k")
        if value.setdefault("top_n", other) != other:
            raise InvalidRequest("'top_k' says something else than 'top_n'. Send one of the two.", param="top_k")
    documents = value.get("documents")
    if documents == []:
        raise InvalidRequest("'documents' is empty. Send at least one to be ranked.", param="documents")
    if not isinstance(documents, list):
        return
    if len(documents) > MOST_DOCUMENTS:
        raise InvalidRequest(
            f"'documents' is too long: one request takes {MOST_DOCUMENTS}. Send it in several requests.",
            param="documents",
        )
    for place, one in enumerate(documents):
        if isinstance(one, dict):
            documents[place] = pruned(one)
        elif not isinstance(one, str):
            where = f"documents[{place}]"
            raise InvalidRequest(
                f"Invalid type for '{where}'. Send a string, or an object such as {{\"text\": ...}}.",
                param=where,
                code="invalid_type",
            )


class RerankFace(WholeFace):
    """How a client of rerank is told its answer."""

    __slots__ = ()

    def body(self, answer: Result) -> Mapping[str, Any]:
        """The answer, with the documents themselves if they were asked for."""
        if not self.request.get("return_documents"):
            return answer.body
        documents = self.request["documents"]
        results = [{**one, "document": _document(documents[one["index"]])} for one in answer.body["results"]]
        return {**answer.body, "results": results}


def _document(given: Any) -> Any:
    return {"text": given} if isinstance(given, str) else given


RERANK = Surface(name="rerank", scope="rerank", codec="rerank", parse=parse, face=RerankFace, envelope=envelope)
