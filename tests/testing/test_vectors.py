"""Embeddings follow from text and seed alone, have length 1, and are as near each other as they are set to be."""

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw_testing import FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.script import ScriptError
from compatgw_testing.vectors import Vectors
from tests.testing.driver import credentials, request


def cosine(vectors: Vectors, one: str, other: str, dimensions: int = 64) -> float:
    """Between the embeddings of two texts."""
    first, second = vectors.embed(one, dimensions), vectors.embed(other, dimensions)
    return sum(a * b for a, b in zip(first, second, strict=True))


@settings(max_examples=50, deadline=None)
@given(st.text(), st.integers(1, 300))
def test_every_vector_has_its_dimensions_and_length_1(text: str, dimensions: int) -> None:
    """Whatever the text."""
    vector = Vectors(7).embed(text, dimensions)

    assert len(vector) == dimensions
    assert math.hypot(*vector) == pytest.approx(1)


def test_the_same_text_and_seed_give_the_same_vector() -> None:
    """Another seed, text or number of dimensions another; space around a text is nothing."""
    vectors = Vectors(1)

    assert vectors.embed("cats", 8) == Vectors(1).embed("cats", 8) == vectors.embed(" cats\n", 8)
    assert vectors.embed("cats", 8) != Vectors(2).embed("cats", 8)
    assert vectors.embed("cats", 8) != vectors.embed("dogs", 8)


def test_another_process_gives_the_same() -> None:
    """Nothing depends on the hashes of one process."""
    program = "from compatgw_testing.vectors import Vectors; print(Vectors('s').embed('cats', 3))"

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)

    assert ran.stdout.strip() == str(Vectors("s").embed("cats", 3))


def test_what_is_changed_in_a_vector_stays_with_who_changed_it() -> None:
    """The next one who asks gets the right one, also of texts that were placed."""
    vectors = Vectors()
    vectors.similar("a", "b", cos=0.5)
    expected = vectors.embed("b", 8)

    vectors.embed("b", 8).clear()

    assert vectors.embed("b", 8) == expected


def test_different_texts_are_nearly_at_right_angles() -> None:
    """So no text is near another by chance."""
    vectors = Vectors()
    texts = [f"text {number}" for number in range(20)]

    found = [cosine(vectors, a, b, 1024) for at, a in enumerate(texts) for b in texts[:at]]

    assert max(map(abs, found)) < 0.2


@settings(max_examples=50, deadline=None)
@given(st.floats(-1, 1), st.integers(2, 64))
def test_two_texts_are_as_near_as_they_are_set_to_be(cos: float, dimensions: int) -> None:
    """From opposite to equal, in any number of dimensions that has room."""
    vectors = Vectors(3)
    vectors.similar("a", "b", cos=cos)

    assert cosine(vectors, "a", "b", dimensions) == pytest.approx(cos, abs=1e-6)
    assert math.hypot(*vectors.embed("b", dimensions)) == pytest.approx(1)


def test_many_texts_can_be_placed() -> None:
    """Each pair as set, in whichever order they are named and asked for; the rest stays at right angles."""
    vectors = Vectors()
    told = {("a", "b"): 0.9, ("c", "a"): 0.5, ("b", "c"): 0.6, ("d", "c"): -0.3}
    for (one, other), cos in told.items():
        vectors.similar(one, other, cos=cos)

    for (one, other), cos in reversed(told.items()):
        assert cosine(vectors, other, one) == pytest.approx(cos, abs=1e-6)
    assert abs(cosine(vectors, "d", "elsewhere", 1024)) < 0.2


def test_a_pair_can_be_set_anew() -> None:
    """The last word counts, also for what was asked for before."""
    vectors = Vectors()
    vectors.similar("a", "b", cos=0.9)
    before = cosine(vectors, "a", "b")
    vectors.similar("b", "a", cos=0.1)

    assert (before, cosine(vectors, "a", "b")) == pytest.approx((0.9, 0.1))


def test_cleared_texts_are_free_again() -> None:
    """As if nothing had been said."""
    vectors = Vectors()
    free = vectors.embed("b", 64)
    vectors.similar("a", "b", cos=0.9)
    placed = vectors.embed("b", 64)
    vectors.clear()

    assert placed != free
    assert vectors.embed("b", 64) == free


@pytest.mark.parametrize(("one", "other", "cos"), [("a", "b", 1.1), ("a", "b", -2), ("a", "a", 0.5)])
def test_what_makes_no_sense_is_refused(one: str, other: str, cos: float) -> None:
    """At once, where it is said."""
    with pytest.raises(ScriptError, match="two texts and a cosine from -1 to 1"):
        Vectors().similar(one, other, cos=cos)


def test_what_cannot_hold_at_once_is_told() -> None:
    """With the texts and the cosines."""
    vectors = Vectors()
    for one, other, cos in (("a", "b", 1.0), ("c", "a", 1.0), ("c", "b", 0.0)):
        vectors.similar(one, other, cos=cos)

    with pytest.raises(ScriptError, match=r"'c' has the cosines 1 to 'a', 0 to 'b' at once"):
        vectors.embed("c", 16)


def test_three_that_are_too_far_apart_are_told() -> None:
    """Near to two texts that are opposite is impossible."""
    vectors = Vectors()
    for one, other, cos in (("a", "b", -1.0), ("c", "a", 0.9), ("c", "b", 0.9)):
        vectors.similar(one, other, cos=cos)

    with pytest.raises(ScriptError, match="at once"):
        vectors.embed("c", 16)


ASKS: dict[str, tuple[Any, str, Any, Any]] = {
    "openai": (
        FakeOpenAI,
        "/v1/embeddings",
        lambda text: {"model": "text-embedding-3-small", "input": text},
        lambda body: body["data"][0]["embedding"],
    ),
    "gemini": (
        FakeGemini,
        "/v1/models/gemini-embedding-2:embedContent",
        lambda text: {"content": {"parts": [{"text": text}]}, "outputDimensionality": 1536},
        lambda body: body["embedding"]["values"],
    ),
    "cohere": (
        FakeCohere,
        "/v2/embed",
        lambda text: {"model": "embed-v4.0", "input_type": "search_query", "texts": [text]},
        lambda body: body["embeddings"]["float"][0],
    ),
}


@pytest.mark.parametrize("dialect", ASKS)
async def test_each_dialect_asks_for_the_same_vectors(dialect: str) -> None:
    """Those of its fake's seed, with what `similar` says."""
    kind, path, ask, read = ASKS[dialect]
    fake = kind(seed=5).similar("cats", "dogs", cos=0.7)

    cats, dogs = [
        read((await request(fake, path, ask(text), headers=credentials(fake))).json) for text in ("cats", "dogs")
    ]

    assert cats == pytest.approx(Vectors(5).embed("cats", 1536))
    assert sum(a * b for a, b in zip(cats, dogs, strict=True)) == pytest.approx(0.7)


@pytest.mark.parametrize("dialect", ASKS)
async def test_an_impossible_set_is_told_and_not_swallowed(dialect: str) -> None:
    """The call ends with the mistake in the script, not with vectors that say something else."""
    kind, path, ask, _ = ASKS[dialect]
    fake = kind().similar("a", "b", cos=1.0).similar("c", "a", cos=1.0).similar("c", "b", cos=0.0)

    with pytest.raises(ScriptError):
        await request(fake, path, ask("c"), headers=credentials(fake))
