"""Jina's embeddings and rerank in its own words, and its refusals."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.jina import DIALECT
from compatgw.errors import UpstreamFailure, UpstreamModelMissing, UpstreamRejected, UpstreamUnavailable

TARGET = Target("jina", "jina-embeddings-v3")


def encode(**members: Any) -> Any:
    """What is sent for embeddings."""
    assert DIALECT.embeddings is not None
    return DIALECT.embeddings.encode({"model": "asked", "input": "a", **members}, TARGET)


def rank(documents: Any, **members: Any) -> Any:
    """What is sent for a ranking."""
    assert DIALECT.rerank is not None
    return DIALECT.rerank.encode({"model": "asked", "query": "q", "documents": documents, **members}, TARGET)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"encoding_format": "float"}, {}),
        ({"encoding_format": "base64"}, {"embedding_type": "base64"}),
        ({"encoding_format": "base64", "output_dtype": "ubinary"}, {"embedding_type": "ubinary"}),
        ({"dimensions": 256}, {"dimensions": 256}),
        ({"task": "retrieval.query"}, {"task": "retrieval.query"}),
        ({"task": "code.passage"}, {"task": "code.passage"}),
        ({"input_type": "search_document"}, {"task": "retrieval.passage"}),
        ({"task_type": "CLUSTERING"}, {"task": "separation"}),
        ({"truncate": True, "late_chunking": True, "normalized": False}, None),
        ({"truncation": "START"}, {"truncate": True}),
    ],
)
def test_embeddings_in_jinas_words(given: Any, expected: Any) -> None:
    """It refuses `encoding_format`, which every SDK sends."""
    more = given if expected is None else expected

    assert orjson.loads(encode(**given).body) == {"model": "jina-embeddings-v3", "input": ["a"], **more}
    assert encode().path == "/embeddings"


def test_members_that_it_would_refuse_are_left_out_and_named() -> None:
    """It knows no others than its own."""
    assert encode(user="u", x=1, task_type="CODE_RETRIEVAL_QUERY").dropped == ("task_type", "user", "x")
    assert rank(["a"], max_tokens_per_doc=5).dropped == ("max_tokens_per_doc",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        ([{"text": "a"}, "b"], [{"text": "a"}, "b"]),
        ([{"image": "https://x/y.png"}, "b"], [{"image": "https://x/y.png"}, "b"]),
        ([{"title": "A", "text": "a"}, "b"], ["a", "b"]),
        ([{"title": "A"}, "b"], ['{"title":"A"}', "b"]),
    ],
)
def test_a_ranking_in_jinas_words(given: Any, expected: Any) -> None:
    """Documents that it reads go as they came, others as texts; none comes back."""
    sent = rank(given, top_n=1, return_documents=True)

    assert sent.path == "/rerank"
    assert orjson.loads(sent.body) == {
        "model": "jina-embeddings-v3",
        "query": "q",
        "documents": expected,
        "return_documents": False,
        "top_n": 1,
    }


@pytest.mark.parametrize("member", ["truncation", "truncate"])
def test_long_documents_are_cut_or_not_as_the_caller_says(member: str) -> None:
    """Under either name."""
    assert orjson.loads(rank(["a"], **{member: False}).body)["truncation"] is False


def test_its_answer_is_openais_already() -> None:
    """So its bytes go on."""
    assert DIALECT.embeddings is not None
    usage = {"total_tokens": 5, "prompt_tokens": 5}
    rows = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    body = orjson.dumps({"model": "jina-embeddings-v3", "object": "list", "usage": usage, "data": rows})

    assert DIALECT.embeddings.decode(body, Context(TARGET, "ours", 1, {"count": 1})).data == body


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (403, {"detail": "Insufficient account balance", "code": "AUTHZ_INSUFFICIENT_BALANCE"}, UpstreamUnavailable, 503),
        (403, {"detail": "AUTHZ_INSUFFICIENT_BALANCE"}, UpstreamUnavailable, 503),
        (403, {"detail": "Forbidden"}, UpstreamFailure, 502),
        (400, {"detail": "Model 'gone' not found", "code": "INPUT_MODEL_NOT_FOUND"}, UpstreamModelMissing, 404),
        (422, {"detail": "Extra inputs are not permitted"}, UpstreamRejected, 400),
    ],
)  # fmt: skip
def test_refusals(status: int, body: Any, kind: type, told: int) -> None:
    """An empty balance is no bad key, though it has the same status."""
    for codec in (DIALECT.embeddings, DIALECT.rerank):
        assert codec is not None
        error = codec.error(status, {}, orjson.dumps(body), TARGET)
        assert isinstance(error, kind)
        assert error.status == told
