"""Rerank requests and answers as TypedDicts: the members that Cohere, Jina and Voyage share.

OpenAI has no such endpoint; the hub's shape is Cohere's second version, with documents as
strings or objects as Jina and Cohere's first version take them.

What does not live here: other spellings (`surfaces/rerank.py`), vendors' shapes (`dialects/`).
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON, Open, by_kind

MOST_DOCUMENTS = 10_000
"""Documents that one request may hold."""


class Document(Open):
    """A document as an object: a `text`, or whatever else a vendor ranks."""

    text: NotRequired[str]


OneDocument = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[Document, Tag("<object>")],
    Discriminator(by_kind),
]


class RerankRequest(Open):
    """The body of `POST /v1/rerank`, null members left out.

    Attributes:
        top_n: How many of the best are told. Default: all.
        return_documents: The answer repeats each document. Default: it does not.
        max_tokens_per_doc: Documents are cut behind so many tokens.
        rank_fields: Members of documents that are ranked by, where they are objects.
    """

    model: Annotated[str, Field(min_length=1, max_length=512)]
    query: Annotated[str, Field(min_length=1)]
    documents: Annotated[list[OneDocument], Field(min_length=1, max_length=MOST_DOCUMENTS)]
    top_n: NotRequired[Annotated[int, Field(ge=1)]]
    return_documents: NotRequired[bool]
    max_tokens_per_doc: NotRequired[Annotated[int, Field(ge=1)]]
    rank_fields: NotRequired[list[str]]
    truncation: NotRequired[bool]
    truncate: NotRequired[bool]
    user: NotRequired[str]


class Ranked(TypedDict):
    """One document's place. `index` counts the request's documents from 0."""

    index: int
    relevance_score: float
    document: NotRequired[JSON]


class Ranking(TypedDict):
    """An answer: the best document first. `meta` holds what Cohere bills, `usage` tokens where they are told."""

    id: str
    object: Literal["list"]
    model: str
    results: list[Ranked]
    usage: NotRequired[dict[str, JSON]]
    meta: NotRequired[dict[str, JSON]]
