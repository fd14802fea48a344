"""Requests cut into parts and answers joined again: nothing is lost, and everything stays in its order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects import batches
from compatgw.dialects.base import EmbeddingQuirks, Quirks, Result, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import UpstreamFailure

TEXTS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=60)
TOKENS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=60)


@given(TEXTS | TOKENS, st.integers(1, 70), st.dictionaries(st.sampled_from(["user", "dimensions", "x"]), st.integers()))
def test_parts_hold_all_inputs_in_order_and_no_more_than_they_may(given_: Any, most: int, more: dict[str, Any]) -> None:
    """Every other member stands in each of them, and there are as few as can be."""
    request = {"model": "m", "input": given_, **more}
    parts = batches.split(request, most)

    assert [one for part in parts for one in part["input"]] == given_
    assert all(1 <= len(part["input"]) <= most for part in parts)
    assert len(parts) == -(-len(given_) // most)
    assert all({**part, "input": given_} == request for part in parts)


@pytest.mark.parametrize("given_", ["one text", [1, 2, 3, 4], [{"type": "text", "text": "a"}] * 4])
def test_what_is_one_input_is_never_cut(given_: Any) -> None:
    """A text, a list of token ids, the parts of one message."""
    request = {"model": "m", "input": given_}

    assert batches.split(request, 1) == [request]
    assert batches.split(request, None) == [request]


def test_a_batch_of_nothing_is_a_mistake_of_ours() -> None:
    """It would never end."""
    with pytest.raises(ValueError, match="at least 1"):
        batches.split({"input": ["a"]}, 0)
    with pytest.raises(ValueError, match="no answers"):
        batches.join([])


def answer(vectors: list[Any], tokens: int | None, **more: Any) -> Result:
    """A part's answer."""
    rows = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    body = {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": tokens or 0, **more}}
    usage: Any = None
    if tokens is not None:
        usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    return Result(body, usage, b"raw")


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=9), min_size=1, max_size=9), st.integers(0, 50))
def test_joined_answers_are_numbered_anew_and_added_up(parts: list[list[int]], tokens: int) -> None:
    """One vector for each input, in order, and the sum of what the parts came to."""
    joined = batches.join([answer([[value] for value in part], tokens) for part in parts])

    assert [row["embedding"] for row in joined.body["data"]] == [[value] for part in parts for value in part]
    assert [row["index"] for row in joined.body["data"]] == list(range(sum(map(len, parts))))
    assert joined.usage is not None
    assert joined.usage["total_tokens"] == joined.body["usage"]["prompt_tokens"] == tokens * len(parts)
    assert (joined.data is None) is (len(parts) > 1)


@given(st.data())
def test_split_and_join_undo_each_other(data: st.DataObject) -> None:
    """An upstream that answers each part by its own inputs has answered the whole."""
    texts = data.draw(TEXTS)
    parts = batches.split({"model": "m", "input": texts}, data.draw(st.integers(1, 70)))
    joined = batches.join([answer(list(part["input"]), len(part["input"])) for part in parts])

    assert [row["embedding"] for row in joined.body["data"]] == texts


def test_vectors_of_different_models_are_never_put_side_by_side() -> None:
    """Another model may have stepped in for one part; whoever searched them would find nonsense."""
    one, other = answer([[1]], 5), answer([[2]], 5)
    other = other._replace(body={**other.body, "model": "n"})

    with pytest.raises(UpstreamFailure, match=r"different models \(m, n\)"):
        batches.join([one, other])


def test_usage_that_one_part_does_not_say_is_not_said() -> None:
    """A sum of some would be wrong."""
    assert batches.join([answer([[1]], 5), answer([[1]], None)]).usage is None


def test_other_numbers_of_usage_are_added_up_too() -> None:
    """Where every part has them; words stay where all say the same."""
    cost: Any = {"cost": {"currency": "USD", "total": 0.5}}
    joined = batches.join([answer([[1]], 5, **cost, seconds=1), answer([[1]], 6, **cost)])

    assert joined.body["usage"] == {"prompt_tokens": 11, "cost": {"currency": "USD", "total": 1.0}}


def test_moderations_are_joined_by_their_results() -> None:
    """They have no numbers of their own."""
    parts = [Result({"id": "i", "model": "m", "results": [{"flagged": flag}]}) for flag in (True, False)]
    joined = batches.join(parts)

    assert joined.body == {"id": "i", "model": "m", "results": [{"flagged": True}, {"flagged": False}]}


def test_the_smaller_limit_counts() -> None:
    """That of the protocol, or that of one upstream."""
    limits = {name: dialect.embeddings.most for name, dialect in DIALECTS.items() if dialect.embeddings is not None}
    assert limits.items() >= {"openai": 2048, "gemini": 100, "cohere": 96, "voyage": 1000, "jina": 2048}.items()

    codec = DIALECTS["openai"].embeddings
    assert codec is not None
    assert batches.most(codec, Target("p", "m")) == 2048
    assert batches.most(codec, Target("p", "m", Quirks(embeddings=EmbeddingQuirks(most=10)))) == 10
    rerank = DIALECTS["openai"].moderations
    assert rerank is not None
    assert batches.most(rerank, Target("p", "m")) is None
