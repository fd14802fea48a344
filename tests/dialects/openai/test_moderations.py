"""Moderations at OpenAI and Mistral: what is sent, and how their answers become one shape."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Context, Quirks, Result, Target
from compatgw.dialects.openai.moderations import MODERATIONS
from compatgw.errors import GatewayError, UnsupportedParameter, UpstreamFailure
from compatgw.providers.table import PROVIDERS
from compatgw.wire.moderations import CATEGORIES

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
WORDS = {"type": "text", "text": "a"}


def encode(given_: Any, row: str = "openai", **members: Any) -> Any:
    """What is sent."""
    request: Any = {"model": "asked", "input": given_, **members}
    return MODERATIONS.encode(request, Target("p", "m", PROVIDERS[row].quirks))


def decode(value: Any, **memo: Any) -> Result:
    """What is made of an answer."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return MODERATIONS.decode(body, Context(Target("p", "m", Quirks()), "ours", 1, memo))


def found(*true: str, **more: Any) -> dict[str, Any]:
    """A result as OpenAI writes it."""
    return {
        "flagged": bool(true),
        "categories": {name: name in true for name in CATEGORIES},
        "category_scores": {name: 0.9 if name in true else 0.1 for name in CATEGORIES},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        **more,
    }


def answer(*results: Any, **members: Any) -> dict[str, Any]:
    """An answer as OpenAI writes it."""
    return {"id": "modr-1", "model": "own", "results": list(results), **members}


@pytest.mark.parametrize("given_", ["a", ["a", "b"], [WORDS, PICTURE]])
def test_a_request_goes_as_it_is_with_the_upstreams_model(given_: Any) -> None:
    """In each of its forms."""
    sent = encode(given_, x=1)

    assert sent.path == "/moderations"
    assert orjson.loads(sent.body) == {"model": "m", "input": given_, "x": 1}


def test_a_vendor_that_judges_texts_alone() -> None:
    """Parts become one text; an image is refused by its place."""
    assert orjson.loads(encode([WORDS, WORDS], "mistral").body) == {"model": "m", "input": "a\na"}
    with pytest.raises(UnsupportedParameter) as caught:
        encode([WORDS, PICTURE], "mistral")
    assert caught.value.param == "input[1]"


def test_an_answer_of_openai_goes_on_as_its_own_bytes() -> None:
    """It has every category."""
    body = orjson.dumps(answer(found("hate"), found()))

    assert decode(body, count=2).data == body


def test_categories_that_nobody_judged_say_so() -> None:
    """Older models have neither the two youngest nor input types; null is such a word, too."""
    old = found("violence")
    del old["category_applied_input_types"], old["categories"]["illicit"], old["category_scores"]["illicit"]
    old["categories"]["illicit/violent"] = None
    got = decode(answer(old), count=1, types=["text"])
    result = got.body["results"][0]

    assert got.data is None
    assert set(result["categories"]) == set(result["category_scores"]) == set(CATEGORIES)
    for name in ("illicit", "illicit/violent"):
        assert result["categories"][name] is False
        assert result["category_scores"][name] == 0.0
        assert result["category_applied_input_types"][name] == []
    assert result["category_applied_input_types"]["violence"] == ["text"]
    assert result["flagged"]


@pytest.mark.parametrize(
    ("given_", "types"), [("a", ["text"]), ([PICTURE], ["image"]), ([WORDS, PICTURE], ["text", "image"])]
)
def test_input_types_that_the_upstream_does_not_say_are_those_that_were_sent(given_: Any, types: list[str]) -> None:
    """For every category that it judged."""
    result = decode(
        answer({"categories": {"hate": True}, "category_scores": {"hate": 0.5}}), **encode(given_).memo
    ).body["results"][0]

    assert result["category_applied_input_types"]["hate"] == types


def test_mistrals_names_become_openais_and_the_rest_stays() -> None:
    """Two of its categories may be one of OpenAI's: the higher score counts."""
    flags = {"dangerous": False, "criminal": True, "selfharm": True, "health": False, "jailbreaking": True}
    scores = {"dangerous": 0.2, "criminal": 0.8, "selfharm": 0.7, "health": 0.1, "jailbreaking": 0.6}
    result = decode(answer({"categories": flags, "category_scores": scores})).body["results"][0]

    assert {name for name, flag in result["categories"].items() if flag} == {"illicit", "self-harm", "jailbreaking"}
    assert result["category_scores"]["illicit"] == 0.8
    assert result["category_scores"]["health"] == 0.1
    assert result["flagged"] is True
    assert set(result["categories"]) == {*CATEGORIES, "health", "jailbreaking"}


def test_an_answer_without_id_or_model_gets_them() -> None:
    """Typed clients insist on both."""
    body = decode({"results": [found()]}).body

    assert (body["id"], body["model"]) == ("ours", "m")


@pytest.mark.parametrize(
    "value",
    [
        b"no JSON",
        [],
        {},
        {"results": []},
        {"results": {}},
        answer(5),
        answer({}),
        answer({"categories": {}}),
        answer({"flagged": True}),
        answer(found(), found()),
        {"error": {"message": "broken"}},
    ],
)
def test_what_holds_no_judgement_is_a_failure_of_the_upstream(value: Any) -> None:
    """Never an answer that says that nothing was found."""
    with pytest.raises(UpstreamFailure):
        decode(value, count=1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["results", "categories", "category_scores", "flagged", "hate", "pii", "usage"]), inner
        )
    ),
    max_leaves=15,
)


@given(st.binary(max_size=60) | JSON.map(orjson.dumps) | JSON.map(lambda one: orjson.dumps({"results": [one]})))
def test_arbitrary_bytes_raise_nothing_but_failures(body: bytes) -> None:
    """And whatever is told has every category, in its type."""
    try:
        got = decode(body)
    except GatewayError as error:
        assert isinstance(error, UpstreamFailure)
    else:
        for result in got.body["results"]:
            assert set(CATEGORIES) <= set(result["categories"])
            assert all(isinstance(flag, bool) for flag in result["categories"].values())
            assert all(isinstance(score, int | float) for score in result["category_scores"].values())
