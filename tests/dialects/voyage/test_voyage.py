"""Voyage's embeddings and rerank in its own words, and its refusals."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.voyage import DIALECT
from compatgw.errors import UpstreamModelMissing, UpstreamRateLimited, UpstreamRejected

TARGET = Target("voyage", "voyage-4")


def encode(**members: Any) -> Any:
    """What is sent for embeddings."""
    assert DIALECT.embeddings is not None
    return DIALECT.embeddings.encode({"model": "asked", "input": "a", **members}, TARGET)


def rank(**members: Any) -> Any:
    """What is sent for a ranking."""
    assert DIALECT.rerank is not None
    return DIALECT.rerank.encode({"model": "asked", "query": "q", "documents": ["a", {"text": "b"}], **members}, TARGET)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"encoding_format": "float"}, {}),
        ({"encoding_format": "base64"}, {"encoding_format": "base64"}),
        ({"encoding_format": "base64", "output_dtype": "int8"}, {"output_dtype": "int8"}),
        ({"encoding_format": "base64", "output_dtype": "float"}, {"encoding_format": "base64"}),
        ({"dimensions": 256}, {"output_dimension": 256}),
        ({"input_type": "search_query"}, {"input_type": "query"}),
        ({"task": "retrieval.passage"}, {"input_type": "document"}),
        ({"truncate": "NONE"}, {"truncation": False}),
        ({"truncate": "START"}, {"truncation": True}),
        ({"truncation": False}, {"truncation": False}),
    ],
)
def test_embeddings_in_voyages_words(given: Any, expected: Any) -> None:
    """Base64 is asked for where it holds floats."""
    assert orjson.loads(encode(**given).body) == {"model": "voyage-4", "input": ["a"], **expected}
    assert encode().path == "/embeddings"


def test_members_that_it_would_refuse_are_left_out_and_named() -> None:
    """It knows no others than its own."""
    assert encode(user="u", input_type="clustering", x=1).dropped == ("input_type", "user", "x")
    assert rank(max_tokens_per_doc=5, user="u").dropped == ("max_tokens_per_doc", "user")


def test_a_ranking_in_voyages_words() -> None:
    """`top_k`, texts alone, and no documents back."""
    sent = rank(top_n=1, return_documents=True, truncation=False)

    assert sent.path == "/rerank"
    assert orjson.loads(sent.body) == {
        "model": "voyage-4",
        "query": "q",
        "documents": ["a", "b"],
        "top_k": 1,
        "truncation": False,
    }


def test_its_total_is_what_was_read() -> None:
    """It tells nothing else."""
    assert DIALECT.embeddings is not None
    body = {"object": "list", "data": [{"embedding": [1.0], "index": 0}], "usage": {"total_tokens": 12}}
    got = DIALECT.embeddings.decode(orjson.dumps(body), Context(TARGET, "ours", 1))

    assert got.usage == {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12}
    assert got.body["usage"] == {"prompt_tokens": 12, "total_tokens": 12}


@pytest.mark.parametrize(
    ("status", "detail", "kind", "told"),
    [
        (400, "Model gone is not supported. Supported models are ['voyage-4'].", UpstreamModelMissing, 404),
        (400, "Request to model 'voyage-4' failed. The batch size limit is 1000.", UpstreamRejected, 400),
        (429, "You have not yet added your payment method in the billing page.", UpstreamRateLimited, 429),
    ],
)
def test_refusals(status: int, detail: str, kind: type, told: int) -> None:
    """A limit speaks of billing there, and passes all the same."""
    for codec in (DIALECT.embeddings, DIALECT.rerank):
        assert codec is not None
        error = codec.error(status, {"retry-after": "7"}, orjson.dumps({"detail": detail}), TARGET)
        assert isinstance(error, kind)
        assert error.status == told
        if status == 429:
            assert error.retry_after == 7


def test_a_bad_key_is_ours_and_never_told() -> None:
    """As everywhere."""
    assert DIALECT.embeddings is not None
    error = DIALECT.embeddings.error(401, {}, b'{"detail": "Provided API key pa-secret is invalid."}', TARGET)

    assert error.status == 502
    assert "pa-secret" not in error.message
