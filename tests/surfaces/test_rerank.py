"""What the rerank surface takes and refuses, and what Cohere's SDK and users of Jina's shape read of its answers."""

from __future__ import annotations

from typing import Any

import cohere
import httpx
import orjson
import pytest
from cohere.core.api_error import ApiError

from compatgw.dialects.base import Result
from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces.base import View
from compatgw.surfaces.rerank import RERANK, RerankFace, parse
from compatgw_testing.fakes import FakeCohere

from .piping import Pipe
from .vendors import JINA, VOYAGE, Vendor, jina_rerank

ASKED: dict[str, Any] = {"model": "m", "query": "q", "documents": ["a", "b"]}


def parsed(**members: Any) -> Any:
    """The hub request that such a body becomes."""
    return parse(orjson.dumps({**ASKED, **members})).request


def refused(body: Any) -> InvalidRequest:
    """What is wrong with `body`."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body if isinstance(body, bytes) else orjson.dumps(body))
    return caught.value


# --- requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"top_n": 1, "return_documents": True}, {"top_n": 1, "return_documents": True}),
        ({"top_k": 2}, {"top_n": 2}),
        ({"top_k": 2, "top_n": 2}, {"top_n": 2}),
        ({"top_n": None, "max_tokens_per_doc": None, "stream": False}, {}),
        ({"documents": [{"text": "a", "title": None}, "b"]}, {"documents": [{"text": "a"}, "b"]}),
        ({"documents": [{"image": "https://x/y.png"}]}, {"documents": [{"image": "https://x/y.png"}]}),
        ({"truncation": True, "priority": 3}, {"truncation": True, "priority": 3}),
    ],
)
def test_the_spellings_of_three_vendors_become_one(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """`top_k` is `top_n`; documents stay in the form that they came in."""
    assert parsed(**given) == {**ASKED, **expected}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"nothing", None, "invalid_json"),
        (b'{"query": NaN}', None, "invalid_json"),
        (b'{"documents": ' + b"[" * 230 + b"]" * 230 + b"}", None, "invalid_json"),
        ([], None, "invalid_type"),
        ({"query": "q", "documents": ["a"]}, "model", "missing_parameter"),
        ({"model": "m", "documents": ["a"]}, "query", "missing_parameter"),
        ({"model": "m", "query": None, "documents": ["a"]}, "query", "missing_parameter"),
        ({"model": "m", "query": "q"}, "documents", "missing_parameter"),
        ({**ASKED, "query": ""}, "query", "invalid_value"),
        ({**ASKED, "query": ["q"]}, "query", "invalid_type"),
        ({**ASKED, "documents": []}, "documents", "invalid_value"),
        ({**ASKED, "documents": "a"}, "documents", "invalid_type"),
        ({**ASKED, "documents": {"text": "a"}}, "documents", "invalid_type"),
        ({**ASKED, "documents": ["a", 5]}, "documents[1]", "invalid_type"),
        ({**ASKED, "documents": ["a", None]}, "documents[1]", "invalid_type"),
        ({**ASKED, "documents": [["a"]]}, "documents[0]", "invalid_type"),
        ({**ASKED, "documents": ["a", {"text": 5}]}, "documents[1].text", "invalid_type"),
        ({**ASKED, "documents": ["a"] * 10_001}, "documents", "invalid_value"),
        ({**ASKED, "top_n": 0}, "top_n", "invalid_value"),
        ({**ASKED, "top_n": "1"}, "top_n", "invalid_type"),
        ({**ASKED, "top_n": True}, "top_n", "invalid_type"),
        ({**ASKED, "top_k": 0}, "top_k", "invalid_value"),
        ({**ASKED, "top_k": 1.5}, "top_k", "invalid_type"),
        ({**ASKED, "top_k": True}, "top_k", "invalid_type"),
        ({**ASKED, "top_k": 1, "top_n": 2}, "top_k", "invalid_value"),
        ({**ASKED, "return_documents": "yes"}, "return_documents", "invalid_type"),
        ({**ASKED, "max_tokens_per_doc": 0}, "max_tokens_per_doc", "invalid_value"),
        ({**ASKED, "rank_fields": "title"}, "rank_fields", "invalid_type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body: Any, param: str | None, code: str) -> None:
    """The first thing that is wrong, as a caller can mend it."""
    error = refused(body)

    assert (error.status, error.param, error.code) == (400, param, code)
    assert error.message.endswith(".")


def test_there_are_no_streams() -> None:
    """Silence would leave a client waiting for events."""
    error = refused({**ASKED, "stream": True})

    assert isinstance(error, UnsupportedParameter)
    assert error.param == "stream"


# --- answers ---------------------------------------------------------------------------------


def told(echo: bool = False, **members: Any) -> Any:
    """What a client with such a request is told of a ranking of its two documents."""
    ranked = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    result = Result({"id": "r", "object": "list", "model": "own", "results": ranked})
    found = parse(orjson.dumps({**ASKED, **members}))
    return orjson.loads(RerankFace(found, View("id", 1, echo)).whole(result))


def test_documents_are_repeated_only_on_wish_and_in_the_form_that_they_came_in() -> None:
    """A text as an object, an object as it was."""
    assert [set(one) for one in told()["results"]] == [{"index", "relevance_score"}] * 2

    given = [{"text": "a", "title": "A"}, "b"]
    documents = [one["document"] for one in told(documents=given, return_documents=True)["results"]]
    assert documents == [{"text": "b"}, {"text": "a", "title": "A"}]


def test_the_model_that_was_asked_for_is_echoed_on_wish() -> None:
    """Else it is the one that answered."""
    assert told()["model"] == "own"
    assert told(echo=True)["model"] == "m"


# --- through every protocol, judged by Cohere's SDK ------------------------------------------


def pipe(provider: str) -> Pipe:
    """A bench over that provider."""
    fake = FakeCohere()
    fake.vectors.similar("what is the capital?", "Paris is the capital, by far the longest document here.", cos=0.9)
    app = {"cohere": fake, "voyage": VOYAGE, "jina": JINA, "vllm": VLLM}[provider]
    key = fake.api_key if provider == "cohere" else "test-key"
    return Pipe(RERANK, provider, app, key=key, model="rerank-v3.5")


def vllm_rerank(body: dict[str, Any]) -> Any:
    """`POST /v1/rerank` of vLLM: the longest document is the best, and each is repeated."""
    found = jina_rerank({name: body[name] for name in ("model", "query", "documents", "top_n") if name in body})
    return {"id": "rerank-b1", **found, "usage": {"total_tokens": 56}}


VLLM = Vendor(rerank=vllm_rerank)
QUERY = "what is the capital?"
DOCUMENTS = ["no", "Paris is the capital, by far the longest document here.", "something else"]
PROVIDERS = ["cohere", "jina", "vllm", "voyage"]


def over(app: Pipe) -> cohere.AsyncClientV2:
    """Cohere's asynchronous client, in process."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app))
    return cohere.AsyncClientV2(api_key="k", base_url="http://test", httpx_client=client)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_sdk_reads_a_ranking(provider: str) -> None:
    """Sorted, cut, and pointing to the documents of the request."""
    bench = pipe(provider)
    client = over(bench)
    whole = await client.rerank(model="m", query=QUERY, documents=DOCUMENTS)
    best = await client.rerank(model="m", query=QUERY, documents=DOCUMENTS, top_n=1)

    assert sorted(one.index for one in whole.results) == [0, 1, 2]
    scores = [one.relevance_score for one in whole.results]
    assert scores == sorted(scores, reverse=True)
    assert [one.index for one in best.results] == [1]
    assert whole.id


def test_the_synchronous_sdk_over_a_socket(serve: Any) -> None:
    """What Cohere bills is in `meta`, where its SDK looks for it."""
    with httpx.Client() as http:
        client = cohere.ClientV2(api_key="k", base_url=serve(pipe("cohere")), httpx_client=http)
        got = client.rerank(model="m", query=QUERY, documents=DOCUMENTS, max_tokens_per_doc=100)

    assert got.meta is not None
    assert got.meta.billed_units is not None
    assert got.meta.billed_units.search_units == 1


async def test_the_sdk_meets_an_error_as_an_error() -> None:
    """With its status and the envelope."""
    with pytest.raises(ApiError) as caught:
        await over(pipe("cohere")).rerank(model="m", query="", documents=DOCUMENTS)

    assert caught.value.status_code == 400
    assert caught.value.body["error"]["param"] == "query"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_users_of_jinas_shape(provider: str) -> None:
    """Plain HTTP: `top_k` or `top_n`, objects, documents back, tokens where they are told."""
    bench = pipe(provider)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bench)) as client:
        asked = {
            "model": "m",
            "query": QUERY,
            "documents": [{"text": one} for one in DOCUMENTS],
            "top_k": 2,
            "return_documents": True,
        }
        body = (await client.post("http://test/v1/rerank", json=asked)).json()

    assert body["object"] == "list"
    assert body["model"] == "rerank-v3.5"
    assert [one["document"] for one in body["results"]] == [
        {"text": DOCUMENTS[one["index"]]} for one in body["results"]
    ]
    assert len(body["results"]) == 2
    assert ("usage" in body) is (provider != "cohere")
    if provider != "cohere":
        assert bench.results[0].usage == {"completion_tokens": 0, **body["usage"]}


async def test_images_go_to_the_vendor_that_ranks_them() -> None:
    """The others refuse them by name."""
    given = ["a", {"image": "https://example.com/a.png"}]
    bench = pipe("jina")
    status, body = await bench.tell(model="m", query="q", documents=given, return_documents=True)
    assert status == 200
    assert bench.bodies[0]["documents"] == given
    assert {"image": "https://example.com/a.png"} in [one["document"] for one in body["results"]]

    for provider in ("cohere", "voyage", "vllm"):
        status, body = await pipe(provider).tell(model="m", query="q", documents=given)
        assert (status, body["error"]["param"]) == (400, "documents[1]")
        assert body["error"]["code"] == "unsupported_parameter"
