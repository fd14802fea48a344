"""Cohere's embeddings and rerank: purposes, types, cutting, and what is billed."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Result, Target
from compatgw.dialects.cohere.embeddings import EMBEDDINGS
from compatgw.dialects.cohere.rerank import RERANK
from compatgw.errors import UnsupportedParameter, UpstreamFailure


def encode(**members: Any) -> Any:
    """What is sent."""
    request: Any = {"model": "asked", "input": "a", **members}
    return EMBEDDINGS.encode(request, Target("cohere", "embed-v4.0"))


def body(**members: Any) -> Any:
    """The body that is sent, without what always stands in it."""
    sent = orjson.loads(encode(**members).body)
    return {name: value for name, value in sent.items() if name not in ("model", "texts")}


def decode(value: Any, **memo: Any) -> Result:
    """What is made of an answer."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return EMBEDDINGS.decode(data, Context(Target("cohere", "m"), "ours", 1, memo))


PLAIN = {"input_type": "search_document", "embedding_types": ["float"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"encoding_format": "base64"}, {}),
        ({"dimensions": 512}, {"output_dimension": 512}),
        ({"input_type": "search_query"}, {"input_type": "search_query"}),
        ({"input_type": "query"}, {"input_type": "search_query"}),
        ({"task_type": "CLASSIFICATION"}, {"input_type": "classification"}),
        ({"task": "separation"}, {"input_type": "clustering"}),
        ({"input_type": "image"}, {"input_type": "image"}),
        ({"truncate": "START"}, {"truncate": "START"}),
        ({"truncate": True}, {"truncate": "END"}),
        ({"truncation": False}, {"truncate": "NONE"}),
        ({"output_dtype": "int8"}, {"embedding_types": ["int8"]}),
        ({"max_tokens": 9, "priority": 1}, {"max_tokens": 9, "priority": 1}),
    ],
)
def test_a_request_in_coheres_words(given: Any, expected: Any) -> None:
    """It is asked for numbers whatever the client wants, and told a purpose even when nobody said one."""
    assert body(**given) == {**PLAIN, **expected}
    assert encode(**given).dropped == ()
    assert encode().path == "/v2/embed"


def test_hints_are_left_out_and_named() -> None:
    """A purpose that it does not have is one."""
    assert encode(user="u", task="text-matching", x=1).dropped == ("task", "user", "x")


def test_what_it_bills_is_what_was_read() -> None:
    """Its numbers are floats."""
    value = {
        "id": "e",
        "embeddings": {"float": [[0.5]]},
        "meta": {"billed_units": {"input_tokens": 4.0, "image_tokens": 0}},
    }
    got = decode(value, count=1)

    assert got.usage == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    assert got.body["model"] == "m"


@pytest.mark.parametrize(
    ("value", "memo", "expected"),
    [
        ({"embeddings": {"float": [[0.5]], "int8": [[5]]}}, {"kind": "int8"}, [5]),
        ({"embeddings": {"float": [[0.5]], "int8": [[5]]}}, {}, [0.5]),
        ({"embeddings": {"float": None, "int8": [[5]]}}, {}, [5]),
        ({"embeddings": [[0.5]]}, {}, [0.5]),
    ],
)
def test_vectors_of_the_type_that_was_asked_for(value: Any, memo: Any, expected: Any) -> None:
    """Or of the only one, or of the protocol's first version."""
    assert decode(value, **memo).body["data"][0]["embedding"] == expected


@pytest.mark.parametrize(
    "value", [b"", {}, {"embeddings": {}}, {"embeddings": {"float": []}}, {"embeddings": [[None]]}, {"embeddings": 5}]
)
def test_what_holds_no_vectors_is_a_failure_of_the_upstream(value: Any) -> None:
    """Never an answer without any."""
    with pytest.raises(UpstreamFailure):
        decode(value, count=1)


def test_a_ranking_is_asked_for_with_texts_alone() -> None:
    """Its second version takes nothing else, and repeats no documents."""
    request: Any = {
        "model": "asked",
        "query": "q",
        "documents": ["a", {"text": "b"}, {"title": "C"}],
        "top_n": 2,
        "return_documents": True,
        "max_tokens_per_doc": 9,
        "truncation": True,
    }
    sent = RERANK.encode(request, Target("cohere", "rerank-v3.5"))

    assert sent.path == "/v2/rerank"
    assert orjson.loads(sent.body) == {
        "model": "rerank-v3.5",
        "query": "q",
        "documents": ["a", "b", '{"title":"C"}'],
        "top_n": 2,
        "max_tokens_per_doc": 9,
    }
    assert sent.dropped == ("truncation",)
    with pytest.raises(UnsupportedParameter):
        RERANK.encode(request | {"documents": [{"image": "x"}]}, Target("cohere", "m"))


def test_spans_that_cohere_tells_stay() -> None:
    """They are young, and asked for by name."""
    value = {"results": [{"index": 0, "relevance_score": 0.5, "relevant_spans": [{"start": 1}]}]}
    got = RERANK.decode(orjson.dumps(value), Context(Target("cohere", "m"), "ours", 1, {"count": 1}))

    assert got.body["results"][0]["relevant_spans"] == [{"start": 1}]
