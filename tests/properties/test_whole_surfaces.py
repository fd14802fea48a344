"""Surfaces whose answers come whole: anything goes in, and a request or an error that names its place comes out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import InvalidRequest
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.embeddings import EMBEDDINGS
from compatgw.surfaces.moderations import MODERATIONS
from compatgw.surfaces.rerank import RERANK

SURFACES = [EMBEDDINGS, RERANK, MODERATIONS]
NAMES = (
    "model", "input", "query", "documents", "top_n", "top_k", "encoding_format", "dimensions", "user", "stream",
    "input_type", "truncate", "return_documents", "rank_fields", "type", "text", "image_url", "url", "gateway",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
TEXT = st.text(min_size=1, max_size=6)
# Requests that are nearly right, so that what comes after the first check is reached.
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "model": TEXT,
        "query": TEXT,
        "input": TEXT | st.lists(TEXT, min_size=1, max_size=3) | st.lists(st.integers(0, 9), max_size=3) | JSON,
        "documents": st.lists(TEXT | st.fixed_dictionaries({"text": TEXT | JSON}), max_size=3) | JSON,
        "top_n": st.integers(-1, 3) | JSON,
        "top_k": st.integers(-1, 3) | JSON,
        "dimensions": st.integers(-1, 3) | JSON,
        "encoding_format": st.sampled_from(["float", "base64"]) | JSON,
        "stream": JSON,
    },
)

PURPOSES = {
    "cohere": {"search_document", "search_query", "classification", "clustering"},
    "gemini": {
        "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY", "CLASSIFICATION", "CLUSTERING",
        "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY",
    },
    "voyage": {"query", "document"},
    "jina": {"retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"},
    "nvidia": {"query", "passage"},
}  # fmt: skip
MEMBER = {"cohere": "input_type", "gemini": "taskType", "voyage": "input_type", "jina": "task", "nvidia": "input_type"}


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@given(st.binary(max_size=40) | (JSON | NEARLY).map(orjson.dumps))
def test_a_body_is_a_request_or_the_callers_mistake(surface: Any, body: bytes) -> None:
    """Nothing else is raised, the mistake is a 400, and what is taken can be written again."""
    try:
        request = surface.parse(body).request
    except InvalidRequest as error:
        assert error.status == 400
        assert error.code in {
            "invalid_json", "invalid_type", "invalid_value", "missing_parameter", "unsupported_parameter",
        }  # fmt: skip
        assert (error.param is None) is (error.code == "invalid_json" or not isinstance(orjson.loads(body), dict))
    else:
        assert None not in request.values()
        again = surface.parse(orjson.dumps(request)).request
        assert again == request


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
@given(NEARLY)
def test_what_is_taken_is_sent_by_every_codec_or_refused_by_name(surface: Any, body: Any) -> None:
    """And the request is left as it was."""
    try:
        request = surface.parse(orjson.dumps(body)).request
    except InvalidRequest:
        return
    before = orjson.dumps(request)
    for name, row in PROVIDERS.items():
        codec = getattr(DIALECTS[row.dialect], surface.codec)
        if codec is not None:
            try:
                assert orjson.loads(codec.encode(request, Target(name, "m", row.quirks)).body)
            except InvalidRequest as error:
                assert error.code == "unsupported_parameter"
                assert (error.param or "").partition("[")[0] in request
    assert orjson.dumps(request) == before


@pytest.mark.parametrize("theirs", sorted({word for words in PURPOSES.values() for word in words}))
@pytest.mark.parametrize("vendor", sorted(PURPOSES))
def test_a_purpose_in_one_vendors_words_is_told_to_another_in_its_own(vendor: str, theirs: str) -> None:
    """Or left out and named; a vendor's own word is never changed."""
    row = PROVIDERS[vendor]
    codec = DIALECTS[row.dialect].embeddings
    assert codec is not None
    request: Any = {"model": "m", "input": "a", "input_type": theirs}
    sent = codec.encode(request, Target(vendor, "m", row.quirks))
    body = orjson.loads(sent.body)
    told = (body["requests"][0] if "requests" in body else body).get(MEMBER[vendor])

    assert told is None or told in PURPOSES[vendor]
    if theirs in PURPOSES[vendor]:
        assert told == theirs
        assert sent.dropped == ()
    if told is None:
        assert sent.dropped == ("input_type",)
