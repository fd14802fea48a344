"""Gemini's embeddings: batches of one model, tasks, lengths that are made 1."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from compatgw.dialects import batches
from compatgw.dialects.base import Context, Policy, Result, Target
from compatgw.dialects.gemini.embeddings import EMBEDDINGS
from compatgw.errors import UnsupportedParameter, UpstreamFailure
from compatgw.providers.table import PROVIDERS


def encode(policy: Policy = "hints", model: str = "gemini-embedding-001", **members: Any) -> Any:
    """What is sent."""
    request: Any = {"model": "asked", "input": ["a", "b"], **members}
    return EMBEDDINGS.encode(request, Target("gemini", model, unsupported=policy))


def on_vertex(model: str, **members: Any) -> tuple[str, Any]:
    """The path on Vertex AI, and the body."""
    request: Any = {"model": "asked", "input": "a", **members}
    sent = EMBEDDINGS.encode(request, Target("vertex", model, PROVIDERS["vertex"].quirks))
    return sent.path, orjson.loads(sent.body)


def decode(value: Any, **memo: Any) -> Result:
    """What is made of an answer."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return EMBEDDINGS.decode(body, Context(Target("gemini", "m"), "ours", 1, memo))


def test_each_text_is_a_request_of_its_own_in_the_batch() -> None:
    """With the model that the path names, too."""
    sent = encode(dimensions=256, input_type="search_document")

    assert sent.path == "/models/gemini-embedding-001:batchEmbedContents"
    shared = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 256}
    assert orjson.loads(sent.body) == {
        "requests": [{"content": {"parts": [{"text": text}]}, **shared} for text in ("a", "b")]
    }


def test_one_text_goes_the_same_way() -> None:
    """There is no second path."""
    assert len(orjson.loads(encode(input="a").body)["requests"]) == 1


def test_tuned_models_keep_their_folder() -> None:
    """In the path and in each request."""
    sent = encode(model="tunedModels/mine")

    assert sent.path == "/tunedModels/mine:batchEmbedContents"
    assert orjson.loads(sent.body)["requests"][0]["model"] == "tunedModels/mine"


@pytest.mark.parametrize(
    ("given", "task"),
    [
        ({}, None),
        ({"input_type": "query"}, "RETRIEVAL_QUERY"),
        ({"input_type": "SEARCH_QUERY"}, "RETRIEVAL_QUERY"),
        ({"task": "retrieval.passage"}, "RETRIEVAL_DOCUMENT"),
        ({"task": "text-matching"}, "SEMANTIC_SIMILARITY"),
        ({"task_type": "CODE_RETRIEVAL_QUERY"}, "CODE_RETRIEVAL_QUERY"),
        ({"task_type": "BRAND_NEW"}, "BRAND_NEW"),
        ({"input_type": "clustering"}, "CLUSTERING"),
    ],
)
def test_a_purpose_in_any_vendors_words(given: Any, task: str | None) -> None:
    """A word that nobody knows is the upstream's to judge."""
    assert orjson.loads(encode(**given).body)["requests"][0].get("taskType") == task


def test_vertex_has_other_ways() -> None:
    """One text by one, by the method that the model's generation has."""
    young, old = "gemini-embedding-2-preview", "gemini-embedding-001"
    asked = {"dimensions": 768, "input_type": "query"}

    assert on_vertex(young) == (f"/models/{young}:embedContent", {"content": {"parts": [{"text": "a"}]}})
    config = {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 768}
    assert on_vertex(young, **asked)[1]["embedContentConfig"] == config
    assert on_vertex(old) == (f"/models/{old}:predict", {"instances": [{"content": "a"}]})
    assert on_vertex(old, **asked)[1] == {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 768},
    }
    assert batches.most(EMBEDDINGS, Target("vertex", old, PROVIDERS["vertex"].quirks)) == 1


def test_predictions_tell_tokens_each() -> None:
    """They are added up, unless one does not say."""
    told = {"embeddings": {"values": [1.0], "statistics": {"token_count": 3.0, "truncated": False}}}
    silent = {"embeddings": {"values": [2.0], "statistics": None}}

    assert decode({"predictions": [told, told]}, count=2).usage == {
        "prompt_tokens": 6,
        "completion_tokens": 0,
        "total_tokens": 6,
    }
    got = decode({"predictions": [told, silent]}, count=2)
    assert got.usage is None
    assert [row["embedding"] for row in got.body["data"]] == [[1.0], [2.0]]


def test_hints_are_named_and_what_changes_numbers_is_refused() -> None:
    """As everywhere."""
    assert encode(user="u", truncate=True, output_dtype="float").dropped == ("user", "truncate")
    with pytest.raises(UnsupportedParameter) as caught:
        encode(output_dtype="int8")
    assert caught.value.param == "output_dtype"
    assert encode("drop", output_dtype="int8").dropped == ("output_dtype",)


def test_shorter_vectors_get_the_length_that_openais_have() -> None:
    """Only when fewer dimensions were asked for; a vector of nothing stays as it is."""
    value = {"embeddings": [{"values": [3.0, 4.0]}, {"values": [0.0, 0.0]}, {"values": [0.6, 0.8]}]}

    plain, unit = decode(value, count=3), decode(value, count=3, unit=True)
    assert [row["embedding"] for row in plain.body["data"]] == [[3.0, 4.0], [0.0, 0.0], [0.6, 0.8]]
    assert math.hypot(*unit.body["data"][0]["embedding"]) == pytest.approx(1)
    assert [row["embedding"] for row in unit.body["data"]][1:] == [[0.0, 0.0], [0.6, 0.8]]


def test_usage_where_a_model_tells_it() -> None:
    """The younger ones do."""
    value = {"embeddings": [{"values": [1.0]}], "usageMetadata": {"promptTokenCount": 4}}

    assert decode(value).usage == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}
    assert decode({"embeddings": [{"values": [1.0]}]}).usage is None


def test_a_single_answer_is_read_as_well() -> None:
    """That of `embedContent`, which Vertex has alone for some models."""
    assert decode({"embedding": {"values": [1.0]}}, count=1).body["data"][0]["embedding"] == [1.0]


@pytest.mark.parametrize(
    "value",
    [
        b"<html>",
        {},
        {"embeddings": None},
        {"embeddings": []},
        {"embeddings": [None]},
        {"embeddings": [{}]},
        {"embeddings": [{"values": ["a"]}]},
        {"embeddings": [{"values": [1.0]}]},
        {"embedding": None},
        {"predictions": None},
        {"predictions": [None]},
        {"predictions": [{"embeddings": {"values": [1.0]}}, {"embeddings": 5}]},
        {"error": {"code": 500, "message": "broken", "status": "INTERNAL"}},
    ],
)
def test_what_holds_no_vectors_is_a_failure_of_the_upstream(value: Any) -> None:
    """Two were asked for."""
    with pytest.raises(UpstreamFailure):
        decode(value, count=2)
