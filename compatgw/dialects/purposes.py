"""What embeddings are for: every vendor has its own words, and each is understood at every other.

A caller says it in `input_type`, `task_type` or `task`. A word that nobody here knows is passed
on, so that the vendor that does not know it either says so.

What does not live here: any one vendor's words.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers

Purpose = Literal["query", "document", "similarity", "classification", "clustering", "question", "fact", "code"]

MEMBERS = ("input_type", "task_type", "task")
"""Members that say it, the first that is there wins."""
_WORDS: Mapping[str, Purpose] = MappingProxyType(
    {
        "query": "query",
        "search_query": "query",
        "retrieval_query": "query",
        "retrieval.query": "query",
        "document": "document",
        "passage": "document",
        "search_document": "document",
        "retrieval_document": "document",
        "retrieval.passage": "document",
        "similarity": "similarity",
        "semantic_similarity": "similarity",
        "text-matching": "similarity",
        "classification": "classification",
        "clustering": "clustering",
        "separation": "clustering",
        "question_answering": "question",
        "fact_verification": "fact",
        "code_retrieval_query": "code",
    }
)


def told(request: Mapping[str, Any], words: Mapping[Purpose, str], left: Leftovers) -> str | None:
    """The purpose of `request` in an upstream's own words, None when it has none or nobody said.

    Args:
        request: A hub request for embeddings.
        words: The upstream's own word for each purpose that it knows.
        left: Hears of a purpose that the upstream does not know.
    """
    found: str | None = None
    for member in MEMBERS:
        given = request.get(member)
        if not isinstance(given, str):
            continue
        if found is not None:
            left.hint(member, given)
            continue
        purpose = _WORDS.get(given.lower())
        if given in words.values() or purpose is None:
            found = given
        elif purpose in words:
            found = words[purpose]
        else:
            left.hint(member, given)
    return found
