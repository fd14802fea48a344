"""Cohere's ranking of documents: what is accepted, what it asks for, what is answered.

What does not live here: the vectors that it compares (`vectors.py`), routes (`fake.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.cohere.rules import phrased
from compatgw_testing.fakes.shape import Arr, Bool, Num, Obj, Str, check
from compatgw_testing.request import Request

if TYPE_CHECKING:
    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.vectors import Vectors

RERANK = Obj(
    {
        "model": Str(low=1),
        "query": Str(low=1),
        "documents": Arr(Str(), low=1),
        "top_n": Num(1, whole=True),
        "max_tokens_per_doc": Num(1, whole=True),
        "relevant_spans": Bool(),
        "priority": Num(0, 999, whole=True),
    },
    ("model", "query", "documents"),
)


def check_rerank(body: Any) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    for violation in check(RERANK, body):
        raise phrased(violation)


def read_rerank(body: Json) -> Request:
    """A request in the shape over all dialects: first the query, then the documents."""
    texts = [str(body["query"]), *(str(one) for one in body["documents"])]
    top = body.get("top_n")
    settings = {} if top is None else {"top_n": int(top)}
    return Request(model=str(body["model"]), surface="rerank", inputs=tuple(texts), settings=settings, prompt=texts)


def ranked(vectors: Vectors, request: Request, identity: str) -> Json:
    """The answer: the nearest documents first; a cosine of 1 is a score of 1, of -1 is 0."""
    query, *documents = request.inputs
    top = request.settings.get("top_n")
    kept = vectors.ranked(query, documents)[: top if isinstance(top, int) else None]
    return {
        "id": identity,
        "results": [{"index": index, "relevance_score": score} for index, score in kept],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": float(-(-len(documents) // 100))}},
    }
