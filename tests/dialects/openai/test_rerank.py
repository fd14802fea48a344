"""Rerank at OpenAI-like servers, and the reading of rankings that all dialects share."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Context, Result, Target
from compatgw.dialects.openai.rerank import RERANK
from compatgw.errors import GatewayError, UnsupportedParameter, UpstreamFailure


def encode(documents: Any, **members: Any) -> Any:
    """The body that is sent."""
    request: Any = {"model": "asked", "query": "q", "documents": documents, **members}
    return orjson.loads(RERANK.encode(request, Target("p", "m")).body)


def decode(value: Any, **memo: Any) -> Result:
    """What is made of an answer."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return RERANK.decode(body, Context(Target("p", "m"), "ours", 1, memo))


def test_documents_go_as_texts_and_are_never_asked_back() -> None:
    """They are repeated from the request."""
    body = encode(["a", {"text": "b", "title": "B"}], top_n=1, return_documents=True, truncate_prompt_tokens=9)

    assert body == {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1, "truncate_prompt_tokens": 9}


@pytest.mark.parametrize(
    ("document", "fields", "expected"),
    [
        ({"title": "T", "body": "B"}, None, '{"title":"T","body":"B"}'),
        ({"title": "T", "body": "B"}, ["body"], "B"),
        ({"title": "T", "body": "B", "x": 1}, ["title", "body"], '{"title":"T","body":"B"}'),
        ({"text": "t", "body": "B"}, ["body"], "B"),
        ({"year": 1999}, ["year"], '{"year":1999}'),
        ({"title": "T"}, ["body"], "{}"),
        ({}, None, "{}"),
    ],
)
def test_objects_without_a_text_are_ranked_by_their_members(document: Any, fields: Any, expected: str) -> None:
    """By all of them, or by those that were named."""
    more = {} if fields is None else {"rank_fields": fields}

    assert encode([document], **more)["documents"] == [expected]


def test_an_image_is_refused_by_its_place() -> None:
    """Its address as a text would be ranked, and mean nothing."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(["a", {"image": "https://x/y.png"}])
    assert caught.value.param == "documents[1]"


ROWS = [(0, 0.2), (2, 0.9), (1, 0.9)]


@pytest.mark.parametrize(
    ("value", "id", "model"),
    [
        ({"id": "r", "model": "own", "results": [{"index": i, "relevance_score": s} for i, s in ROWS]}, "r", "own"),
        ({"data": [{"index": i, "relevance_score": s, "document": "x"} for i, s in ROWS]}, "ours", "m"),
        ({"id": None, "results": [{"index": i, "score": s, "object": "rerank"} for i, s in ROWS]}, "ours", "m"),
        ([{"index": i, "score": s, "text": "x"} for i, s in ROWS], "ours", "m"),
    ],
)
def test_the_shapes_of_rankings_become_one(value: Any, id: str, model: str) -> None:
    """Sorted by score and then by place, without documents."""
    ranked = [{"index": i, "relevance_score": s} for i, s in ((1, 0.9), (2, 0.9), (0, 0.2))]

    assert decode(value, count=3).body == {"id": id, "object": "list", "model": model, "results": ranked}
    assert decode(value, count=3, top=2).body["results"] == ranked[:2]


@pytest.mark.parametrize(
    ("members", "usage", "told"),
    [
        ({}, None, None),
        ({"usage": {"total_tokens": 9}}, (9, 9), (9, 9)),
        ({"usage": {"prompt_tokens": 5, "total_tokens": 9}}, (5, 9), (5, 9)),
        ({"usage": {}}, None, None),
        ({"meta": {"billed_units": {"search_units": 1}}}, None, None),
        ({"meta": {"billed_units": {"input_tokens": 7.0}}}, (7, 7), (7, 7)),
        ({"meta": {"tokens": {"input_tokens": 8}, "billed_units": {"search_units": 1}}}, (8, 8), (8, 8)),
    ],
)
def test_usage_is_read_where_it_is_told(members: Any, usage: Any, told: Any) -> None:
    """What is billed in other units stays in `meta`."""
    got = decode({"results": [{"index": 0, "relevance_score": 1}], **members})

    assert (got.usage and (got.usage["prompt_tokens"], got.usage["total_tokens"])) == usage
    assert (tuple(got.body["usage"].values()) if "usage" in got.body else None) == told
    assert got.body.get("meta") == members.get("meta")


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        5,
        {},
        [],
        {"results": []},
        {"results": [5]},
        {"results": [{"index": 0}]},
        {"results": [{"relevance_score": 1.0}]},
        {"results": [{"index": 2, "relevance_score": 1.0}]},
        {"results": [{"index": -1, "relevance_score": 1.0}]},
        {"results": [{"index": True, "relevance_score": 1.0}]},
        {"results": [{"index": 0, "relevance_score": None}]},
        {"results": [{"index": 0, "relevance_score": "1"}]},
        {"results": [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 2}]},
        {"error": "out of order"},
        [{"error": {"message": "out of order"}}],
    ],
)
def test_what_is_no_ranking_is_a_failure_of_the_upstream(value: Any) -> None:
    """An index that points nowhere would break the client."""
    with pytest.raises(UpstreamFailure):
        decode(value, count=2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "data", "index", "relevance_score", "score", "usage", "meta", "error"]), inner
        )
    ),
    max_leaves=15,
)


@given(st.binary(max_size=60) | JSON.map(orjson.dumps))
def test_arbitrary_bytes_raise_nothing_but_failures(body: bytes) -> None:
    """Whatever an upstream sends; and what is told points to documents."""
    try:
        got = decode(body, count=3)
    except GatewayError as error:
        assert isinstance(error, UpstreamFailure)
    else:
        assert {one["index"] for one in got.body["results"]} <= {0, 1, 2}
