"""Embeddings, rerank and moderations through a real gateway, read by the vendors' own SDKs."""

from __future__ import annotations

from typing import Any

import cohere
import openai
import pytest
from openai import OpenAI
from openai.types import CreateEmbeddingResponse, ModerationCreateResponse

from compatgw import Gateway
from compatgw_testing import FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.harness import KEY
from tests.surfaces.vendors import JINA, MISTRAL, VOYAGE

MODELS = {
    "openai": "text-embedding-3-small",
    "gemini": "gemini-embedding-001",
    "cohere": "embed-v4.0",
    "voyage": "voyage-4",
    "jina": "jina-embeddings-v3",
    "mistral": "mistral-embed",
}
UPSTREAMS = sorted(MODELS)


def gateway_of(**options: Any) -> Gateway:
    """A gateway over a fake or a strict stand-in of each vendor."""
    fakes = {"openai": FakeOpenAI(), "gemini": FakeGemini(), "cohere": FakeCohere()}
    providers: dict[str, Any] = {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()}
    for name, app in (("voyage", VOYAGE), ("jina", JINA), ("mistral", MISTRAL)):
        providers[name] = {"app": app, "api_key": "k"}
    return Gateway(**{"providers": providers, "keys": [KEY], "environ": {}, "retries": {"most": 0}, **options})


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("qualified", [True, False])
async def test_embeddings_in_process(upstream: str, qualified: bool) -> None:
    """By the model's own id, and with its provider before it; base64 by default."""
    model = f"{upstream}/{MODELS[upstream]}" if qualified else MODELS[upstream]
    async with gateway_of().async_openai(api_key=KEY) as ai:
        got = await ai.embeddings.create(model=model, input=["one", "two", "three"], dimensions=256, user="u")

    CreateEmbeddingResponse.model_validate(got.model_dump(), strict=True)
    assert [row.index for row in got.data] == [0, 1, 2]
    assert {len(row.embedding) for row in got.data} == {256}
    assert len({tuple(row.embedding) for row in got.data}) == 3


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_embeddings_over_a_socket(upstream: str, serve: Any) -> None:
    """The synchronous client, which reads plain numbers as well."""
    with OpenAI(base_url=serve(gateway_of()) + "/v1", api_key=KEY, max_retries=0) as ai:
        packed = ai.embeddings.create(model=MODELS[upstream], input="one")
        plain = ai.embeddings.create(model=MODELS[upstream], input="one", encoding_format="float")

    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("upstream", ["gemini", "cohere", "voyage"])
async def test_more_than_one_call_takes(upstream: str) -> None:
    """Parts go side by side and come back in order, with usage added up."""
    texts = [f"{number:05d}" + "x" * (number % 9) for number in range(1100)]
    async with gateway_of().async_openai(api_key=KEY) as ai:
        whole = await ai.embeddings.create(model=MODELS[upstream], input=texts, dimensions=256)
        places = (0, 95, 96, 100, 999, 1000, 1099)
        alone = await ai.embeddings.create(
            model=MODELS[upstream], input=[texts[place] for place in places], dimensions=256
        )

    assert [row.index for row in whole.data] == list(range(1100))
    for place, one in zip(places, alone.data, strict=True):
        assert whole.data[place].embedding == one.embedding
    if upstream == "voyage":
        assert whole.usage.total_tokens == 3 * 1100


async def test_what_is_left_out_is_named_in_a_header() -> None:
    """As for chats."""
    async with gateway_of().client(api_key=KEY) as http:
        answer = await http.post("/v1/embeddings", json={"model": "mistral-embed", "input": "a", "user": "u"})
        refused = await http.post(
            "/v1/embeddings",
            json={"model": "mistral-embed", "input": "a", "user": "u"},
            headers={"X-On-Unsupported": "reject"},
        )

    assert (answer.status_code, answer.headers["x-dropped-params"]) == (200, "user")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "user")


async def test_moderations() -> None:
    """Without a model, with one of another vendor, and over an image."""
    picture: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    async with gateway_of().async_openai(api_key=KEY) as ai:
        usual = await ai.moderations.create(input=["I will kill you", "a nice day"])
        other = await ai.moderations.create(input="I hate you", model="mistral-moderation-latest")
        seen = await ai.moderations.create(input=[{"type": "text", "text": "a"}, picture])

    for got in (usual, other, seen):
        ModerationCreateResponse.model_validate(got.model_dump(by_alias=True), strict=True)
    assert [result.flagged for result in usual.results] == [True, False]
    assert other.results[0].categories.hate
    assert len(seen.results) == 1


@pytest.mark.parametrize(
    ("model", "order"), [("rerank-v3.5", None), ("rerank-2.5", [1, 0]), ("jina-reranker-v3", [1, 0])]
)
async def test_rerank(model: str, order: list[int] | None) -> None:
    """Jina's shape by plain HTTP, with and without `/v1`; Cohere's own types take the answer."""
    asked = {"model": model, "query": "q", "documents": ["a", "longer"], "top_k": 2, "return_documents": True}
    async with gateway_of().client(api_key=KEY) as http:
        body = (await http.post("/v1/rerank", json=asked)).json()
        bare = (await http.post("/rerank", json=asked)).json()

    found = [one["index"] for one in body["results"]]
    assert found == [one["index"] for one in bare["results"]] == (order or found)
    assert [one["document"]["text"] for one in body["results"]] == [["a", "longer"][index] for index in found]
    read = cohere.V2RerankResponse.model_validate(body)
    assert [one.index for one in read.results] == found


async def test_the_endpoint_has_to_be_there() -> None:
    """A vendor without it is left out by name, and never asked."""
    async with gateway_of().client(api_key=KEY) as http:
        ranked = await http.post("/v1/rerank", json={"model": "openai/x", "query": "q", "documents": ["a"]})
        judged = await http.post("/v1/moderations", json={"model": "cohere/x", "input": "a"})

    for answer, word in ((ranked, "rerank"), (judged, "moderations")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
        assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("embeddings", {"model": "voyage-4", "input": [1, 2]}, "input"),
        ("embeddings", {"model": "voyage-4", "input": ["a", ""]}, "input[1]"),
        ("moderations", {"input": [{"type": "x"}]}, "input[0].type"),
        ("rerank", {"model": "rerank-v3.5", "query": "q", "documents": [5]}, "documents[0]"),
    ],
)
async def test_bad_input_is_the_callers_400(path: str, body: Any, param: str) -> None:
    """In OpenAI's envelope, with the path of what is wrong."""
    async with gateway_of().client(api_key=KEY) as http:
        answer = await http.post(f"/v1/{path}", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_a_key_needs_the_scope() -> None:
    """Each endpoint has its own."""
    bodies: dict[str, Any] = {
        "embeddings": {"model": "voyage-4", "input": "a"},
        "rerank": {"model": "rerank-2.5", "query": "q", "documents": ["a"]},
        "moderations": {"input": "a"},
    }
    keys = [{"key": f"key-{name}", "scopes": [name]} for name in bodies]
    gateway = gateway_of(keys=keys)
    for own in bodies:
        async with gateway.client(api_key=f"key-{own}") as http:
            for path, body in bodies.items():
                answer = await http.post(f"/v1/{path}", json=body)
                assert answer.status_code == (200 if path == own else 403), (own, path, answer.text)


async def test_the_upstreams_own_failure() -> None:
    """An unknown model is the caller's 404 in the SDK's own exception."""
    async with gateway_of().async_openai(api_key=KEY) as ai:
        with pytest.raises(openai.NotFoundError):
            await ai.embeddings.create(model="voyage/nonexistent", input="a")


async def test_coheres_sdk() -> None:
    """It asks at `/v2/rerank`."""
    async with gateway_of().client(api_key=KEY) as http:
        client = cohere.AsyncClientV2(api_key=KEY, base_url=str(http.base_url).rstrip("/"), httpx_client=http)
        got = await client.rerank(model="rerank-v3.5", query="q", documents=["a", "b"], top_n=1)

    assert len(got.results) == 1


async def test_quirks_of_embeddings_are_configured_as_one_table() -> None:
    """How many inputs a server of one's own takes, in which form it gives vectors, and what it lacks."""
    fake = FakeOpenAI()
    quirks = {"embeddings": {"most": 5, "form": "float"}, "lacks": ["rerank"]}
    mine = {"app": fake, "base_url": "http://mine/v1", "api_key": fake.api_key, "quirks": quirks}
    gateway = gateway_of(providers={"mine": mine})
    async with gateway.async_openai(api_key=KEY) as ai, gateway.client(api_key=KEY) as http:
        got = await ai.embeddings.create(model="mine/x", input=[str(number) for number in range(12)])
        ranked = await http.post("/v1/rerank", json={"model": "mine/x", "query": "q", "documents": ["a"]})

    assert len(got.data) == 12
    assert sorted(len(call.body["input"]) for call in fake.calls) == [2, 5, 5]
    assert not any("encoding_format" in call.body for call in fake.calls)
    assert ranked.status_code == 404
