"""Embeddings at OpenAI-like upstreams: what is sent, and how their answers are read."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Context, EmbeddingQuirks, Policy, Quirks, Result, Target
from compatgw.dialects.openai.embeddings import EMBEDDINGS
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError, UnsupportedParameter, UpstreamFailure, UpstreamRateLimited
from compatgw.providers.table import PROVIDERS
from compatgw.wire.embeddings import packed


def encode(row: str | Quirks = "vllm", policy: Policy = "hints", **members: Any) -> tuple[Any, tuple[str, ...]]:
    """The body that is sent, and what was left out."""
    quirks = PROVIDERS[row].quirks if isinstance(row, str) else row
    request: Any = {"model": "asked", "input": "hi", **members}
    sent = EMBEDDINGS.encode(request, Target("p", "m", quirks, unsupported=policy))
    return orjson.loads(sent.body), sent.dropped


def decode(value: Any, quirks: Quirks | None = None, **memo: Any) -> Result:
    """What is made of an answer."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return EMBEDDINGS.decode(body, Context(Target("p", "m", quirks or Quirks()), "ours", 1, memo))


def answer(*vectors: Any, **members: Any) -> dict[str, Any]:
    """An answer as OpenAI writes it."""
    rows = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return {"object": "list", "data": rows, "model": "own", "usage": usage, **members}


# --- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["float", "base64"])
def test_a_request_goes_as_it_is_with_the_upstreams_model(form: str) -> None:
    """Young members reach an upstream that may know them; the form is the client's."""
    given: Any = {
        "input": ["a", "b"],
        "dimensions": 8,
        "user": "u",
        "encoding_format": form,
        "input_type": "query",
        "x": 1,
    }

    assert encode(**given) == ({"model": "m", **given}, ())


@pytest.mark.parametrize(
    ("row", "given", "expected", "dropped"),
    [
        ("openai", {"input_type": "query", "truncate": "END", "user": "u"}, {"user": "u"}, {"input_type", "truncate"}),
        ("mistral", {"encoding_format": "base64", "dimensions": 8}, {"output_dimension": 8}, set()),
        ("mistral", {"user": "u", "x": 1, "output_dtype": "int8"}, {"output_dtype": "int8"}, {"user", "x"}),
        ("perplexity", {"encoding_format": "base64", "dimensions": 128}, {"dimensions": 128}, set()),
        ("dashscope", {"encoding_format": "base64"}, {}, set()),
        ("nvidia", {"encoding_format": "base64"}, {"encoding_format": "base64", "input_type": "passage"}, set()),
        ("nvidia", {"input_type": "search_query"}, {"input_type": "query"}, set()),
        ("nvidia", {"task_type": "RETRIEVAL_DOCUMENT"}, {"input_type": "passage"}, set()),
        ("nvidia", {"task": "separation"}, {"input_type": "passage"}, {"task"}),
        ("nvidia", {"input_type": "qurey"}, {"input_type": "qurey"}, set()),
        ("vllm", {"output_dtype": "int8", "encoding_format": "base64"}, {"output_dtype": "int8"}, set()),
        ("vllm", {"output_dtype": "float", "encoding_format": "base64"}, None, set()),
    ],
)
def test_a_request_in_the_providers_words(row: str, given: Any, expected: Any, dropped: set[str]) -> None:
    """What vendors' documents and recordings show them to take."""
    body, left = encode(row, **given)

    assert body == {"model": "m", "input": "hi", **(given if expected is None else expected)}
    assert set(left) == dropped


def test_every_row_takes_the_request_of_an_sdk() -> None:
    """With the members that it always sends, and no word about any of them."""
    for name, row in PROVIDERS.items():
        if row.dialect == "openai":
            body, left = encode(name, input=["a"], encoding_format="base64")
            assert (body["model"], body["input"], left) == ("m", ["a"], ())


def test_the_path_is_the_protocols_but_where_a_row_says_another() -> None:
    """One vendor keeps embeddings below `/v1`, and chats not."""
    request: Any = {"model": "m", "input": "a"}

    assert EMBEDDINGS.encode(request, Target("p", "m")).path == "/embeddings"
    assert EMBEDDINGS.encode(request, Target("p", "m", PROVIDERS["perplexity"].quirks)).path == "/v1/embeddings"


@pytest.mark.parametrize("given", [[1, 2], [[1], [2]]])
def test_token_ids_pass_where_they_may(given: Any) -> None:
    """And are refused where the row knows better."""
    assert encode(input=given)[0]["input"] == given
    with pytest.raises(UnsupportedParameter) as caught:
        encode("mistral", input=given)
    assert caught.value.param == "input"


def test_members_that_are_left_out_are_an_error_under_the_policy_reject() -> None:
    """As everywhere."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode("mistral", "reject", user="u")
    assert caught.value.param == "user"


def test_a_member_that_changes_the_answer_is_refused_where_the_row_says_so() -> None:
    """Under the policy `drop` it is left out and named."""
    quirks = Quirks(reject=frozenset({"dimensions"}))

    with pytest.raises(UnsupportedParameter) as caught:
        encode(quirks, dimensions=8)
    assert caught.value.param == "dimensions"
    assert encode(quirks, "drop", dimensions=8) == ({"model": "m", "input": "hi"}, ("dimensions",))


def test_purposes_without_one_for_when_nobody_said() -> None:
    """Then nothing is said."""
    quirks = Quirks(embeddings=EmbeddingQuirks(purposes={"query": "q"}))

    assert encode(quirks)[0] == {"model": "m", "input": "hi"}
    assert encode(quirks, input_type="query")[0]["input_type"] == "q"


def test_of_two_words_for_the_purpose_one_is_told() -> None:
    """The other is named as left out."""
    body, left = encode("nvidia", input_type="query", task="retrieval.passage")

    assert body["input_type"] == "query"
    assert left == ("task",)


def test_a_request_is_left_as_it_was() -> None:
    """Codecs are pure: the next attempt starts from the same request."""
    request: Any = {"model": "a", "input": ["x"], "encoding_format": "base64", "dimensions": 3, "input_type": "query"}
    before = orjson.dumps(request)
    for row in ("nvidia", "mistral"):
        EMBEDDINGS.encode(request, Target("p", "m", PROVIDERS[row].quirks))

    assert orjson.dumps(request) == before


@pytest.mark.parametrize("endpoint", ["embeddings", "rerank", "moderations"])
def test_rows_say_which_of_the_endpoints_they_have(endpoint: str) -> None:
    """A server that nobody knows is asked for all of them."""
    codec = getattr(DIALECTS["openai"], endpoint)
    have = {name for name, row in PROVIDERS.items() if codec.serves(row.quirks)}

    assert codec.serves(Quirks())
    assert ("openai" in have, "vllm" in have, "groq" in have) == {
        "embeddings": (True, True, False),
        "rerank": (False, True, False),
        "moderations": (True, False, False),
    }[endpoint]


# --- answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [[0.5, 1], packed([0.5, 1.0])])
def test_an_answer_of_openai_goes_on_as_its_own_bytes(vector: Any) -> None:
    """Its usage is read beside."""
    body = orjson.dumps(answer(vector))
    got = decode(body, count=1, packed=True)

    assert got.data == body
    assert got.usage == {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2}


def test_base64_that_nobody_asked_for_becomes_numbers() -> None:
    """Some upstreams give nothing else."""
    got = decode(answer(packed([0.5, 1.0])), count=1, packed=False)

    assert got.data is None
    assert got.body == answer([0.5, 1.0])


@pytest.mark.parametrize("text", ["", "AAAA", "%%%", "AAAAAA==="])
def test_base64_that_holds_no_vector_is_a_failure_though_it_was_asked_for(text: str) -> None:
    """Its numbers are the client's to read, but there have to be some."""
    with pytest.raises(UpstreamFailure):
        decode(answer(text), count=1, packed=True)


@pytest.mark.parametrize(
    "change",
    [
        {"object": "embeddings"},
        {"model": ""},
        {"model": None},
        {"usage": {"total_tokens": 2}},
        {"usage": {"prompt_tokens": 2, "total_tokens": None}},
        {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]},
        {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
        {"data": [{"index": "0", "embedding": [1.0]}, {"index": None, "embedding": [2.0]}]},
    ],
)
def test_an_answer_that_is_almost_openais_is_mended(change: dict[str, Any]) -> None:
    """In the order of the inputs, with every member in its place."""
    got = decode(answer([1.0], [2.0], **change), count=2)

    assert got.data is None
    assert got.body["data"] == answer([1.0], [2.0])["data"]
    assert got.body["object"] == "list"
    assert got.body["model"] == ("own" if "model" not in change else "m")
    assert got.body["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


@pytest.mark.parametrize(
    "usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -1}, {"prompt_tokens": True}, 5]
)
def test_usage_that_is_none_is_not_made_up(usage: Any) -> None:
    """The member is there for clients' types; limits and money hear that nobody knows."""
    got = decode(answer([1.0], usage=usage))

    assert got.usage is None
    assert got.body["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_more_that_a_vendor_says_of_usage_is_kept() -> None:
    """Whatever has to be mended beside it."""
    usage = {"cost": {"total_cost": 2.8e-08}, "prompt_tokens": 7, "total_tokens": 7, "request_count": None}
    got = decode(answer([1.0], usage=usage, object="x"))

    assert got.body["usage"] == {"prompt_tokens": 7, "total_tokens": 7, "cost": {"total_cost": 2.8e-08}}


def test_whole_numbers_of_one_byte_become_numbers() -> None:
    """A vendor that has no floats writes base64 of those."""
    quirks = Quirks(embeddings=EmbeddingQuirks(form="int8"))
    text = base64.b64encode(bytes([0, 1, 127, 128, 255])).decode()

    assert decode(answer(text), quirks).body["data"][0]["embedding"] == [0, 1, 127, -128, -1]
    with pytest.raises(UpstreamFailure):
        decode(answer("no base64"), quirks)


@pytest.mark.parametrize(
    "value",
    [
        b"<html>",
        b"",
        [],
        5,
        {},
        {"data": None},
        {"data": []},
        {"data": [5]},
        answer(),
        answer(None),
        answer([]),
        answer(["a"]),
        answer([None]),
        answer([[1.0]]),
        answer({"float": [1.0]}),
        answer(""),
        answer("AAAA"),
        answer("%%%"),
        answer(base64.b64encode(b"\x00\x00\xc0\x7f").decode()),
        answer([1.0], [2.0]),
        answer([1e308, 1e308]),
    ],
)
def test_what_holds_no_vectors_is_a_failure_of_the_upstream(value: Any) -> None:
    """Never an answer with something else in it: it would go into somebody's index."""
    with pytest.raises(UpstreamFailure) as caught:
        decode(value, count=1)
    assert caught.value.status == 502


def test_an_error_in_spite_of_200_is_that_error() -> None:
    """Proxies do so."""
    with pytest.raises(UpstreamRateLimited):
        decode({"error": {"message": "slow down", "code": 429}})
    with pytest.raises(UpstreamRateLimited):
        decode([{"error": {"message": "slow down", "code": 429}}])


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["data", "embedding", "index", "usage", "model", "error"]), inner, max_size=4
            )
        ),
        max_leaves=15,
    ).map(orjson.dumps)
)
def test_arbitrary_bytes_raise_nothing_but_failures(body: bytes) -> None:
    """Whatever an upstream sends."""
    for quirks in (Quirks(), Quirks(embeddings=EmbeddingQuirks(form="int8"))):
        try:
            got = decode(body, quirks)
        except GatewayError as error:
            assert isinstance(error, UpstreamFailure)
        else:
            assert got.body["data"]
