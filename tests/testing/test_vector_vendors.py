"""The fakes of vendors that make vectors and rankings and no chat: what they take, refuse and answer, each in its words."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.harness import gateway_over
from tests.testing.openai.forms import post

DOCUMENTS = ["Paris is in France.", "Rome is in Italy.", "Berlin is in Germany."]


async def sent(vendor: str, path: str, **members: Any) -> Any:
    """The answer to one request."""
    return await post(FakeOpenAI(habit=vendor), path, {"model": "m", **members})


# Path and members, by what they show; `texts` stands for what is embedded or ranked.
TAKEN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "voyage: its own members": (
        "voyage",
        "/embeddings",
        {"input": "a", "input_type": "query", "output_dimension": 8, "output_dtype": "float", "truncation": False},
    ),
    "voyage: base64": ("voyage", "/embeddings", {"input": ["a"], "encoding_format": "base64"}),
    "voyage: nulls": ("voyage", "/embeddings", {"input": ["a"], "output_dimension": None, "input_type": None}),
    "voyage: a ranking": ("voyage", "/rerank", {"query": "a", "documents": ["b"], "top_k": 1, "truncation": True}),
    "jina: its own members": (
        "jina",
        "/embeddings",
        {"input": "a", "task": "retrieval.query", "dimensions": 8, "late_chunking": True, "truncate": True},
    ),
    "jina: base64": ("jina", "/embeddings", {"input": ["a"], "embedding_type": "base64"}),
    "jina: documents as objects": ("jina", "/rerank", {"query": "a", "documents": [{"text": "b"}], "top_n": 1}),
}


@pytest.mark.parametrize("what", TAKEN)
async def test_what_is_taken(what: str) -> None:
    """A vendor's own words."""
    vendor, path, members = TAKEN[what]
    reply = await sent(vendor, path, **members)

    assert (reply.status, reply.json["model"]) == (200, "m")


REFUSED: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "voyage: OpenAI's name": ("voyage", "/embeddings", {"input": "a", "dimensions": 8}, 400, "dimensions"),
    "voyage: a user": ("voyage", "/embeddings", {"input": "a", "user": "u"}, 400, "user"),
    "voyage: floats by name": ("voyage", "/embeddings", {"input": "a", "encoding_format": "float"}, 400, "float"),
    "voyage: another purpose": ("voyage", "/embeddings", {"input": "a", "input_type": "code"}, 400, "input_type"),
    "voyage: token ids": ("voyage", "/embeddings", {"input": [1, 2]}, 400, "texts"),
    "voyage: top_n": ("voyage", "/rerank", {"query": "a", "documents": ["b"], "top_n": 1}, 400, "top_n"),
    "voyage: objects": ("voyage", "/rerank", {"query": "a", "documents": [{"text": "b"}]}, 400, "documents[0]"),
    "voyage: nothing to rank": ("voyage", "/rerank", {"query": "a", "documents": []}, 400, "documents"),
    "voyage: no question": ("voyage", "/rerank", {"documents": ["b"]}, 400, "query"),
    "voyage: no rank": ("voyage", "/rerank", {"query": "a", "documents": ["b"], "top_k": 0}, 400, "top_k"),
    "voyage: chat": ("voyage", "/chat/completions", {"messages": []}, 404, "Invalid URL"),
    "jina: how OpenAI asks for base64": (
        "jina",
        "/embeddings",
        {"input": "a", "encoding_format": "base64"},
        422,
        "encoding_format",
    ),
    "jina: another purpose": ("jina", "/embeddings", {"input": "a", "task": "query"}, 400, "task"),
    "jina: token ids": ("jina", "/embeddings", {"input": [[1]]}, 400, "texts"),
    "jina: top_k": ("jina", "/rerank", {"query": "a", "documents": ["b"], "top_k": 1}, 422, "top_k"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused(what: str) -> None:
    """In the vendor's envelope, with the name of what is wrong."""
    vendor, path, members, status, hint = REFUSED[what]
    reply = await sent(vendor, path, **members)

    assert (reply.status, list(reply.json)) == (status, ["detail"])
    assert hint in reply.json["detail"]


@pytest.mark.parametrize("vendor", ["voyage", "jina"])
async def test_vectors_are_the_same_in_either_form(vendor: str) -> None:
    """As numbers, and as base64 of floats; usage is the vendor's."""
    packed = {"embedding_type" if vendor == "jina" else "encoding_format": "base64"}
    size = {"dimensions" if vendor == "jina" else "output_dimension": 8}
    plain = (await sent(vendor, "/embeddings", input=["cat"], **size)).json
    short = (await sent(vendor, "/embeddings", input=["cat"], **size, **packed)).json

    found = struct.unpack("<8f", base64.b64decode(short["data"][0]["embedding"]))
    assert list(found) == pytest.approx(plain["data"][0]["embedding"])
    assert set(plain["usage"]) == ({"total_tokens", "prompt_tokens"} if vendor == "jina" else {"total_tokens"})


async def test_rankings_in_their_words() -> None:
    """The nearest first, as many as were asked for; Jina repeats the documents unless it is told not to."""
    whole = (await sent("voyage", "/rerank", query="Rome is in Italy.", documents=DOCUMENTS)).json
    voyage = (await sent("voyage", "/rerank", query="Rome is in Italy.", documents=DOCUMENTS, top_k=1)).json
    repeated = (await sent("jina", "/rerank", query="Rome is in Italy.", documents=DOCUMENTS, top_n=1)).json
    short = (await sent("jina", "/rerank", query="Rome is in Italy.", documents=DOCUMENTS, return_documents=False)).json

    assert whole["data"][0] == {"index": 1, "relevance_score": 1.0}
    assert sorted(one["index"] for one in whole["data"]) == [0, 1, 2]
    assert voyage["data"] == whole["data"][:1]
    assert repeated["results"] == [{"index": 1, "relevance_score": 1.0, "document": {"text": DOCUMENTS[1]}}]
    assert short["results"] == whole["data"]
    assert set(whole["usage"]) == {"total_tokens"}


@pytest.mark.parametrize("vendor", ["voyage", "jina"])
async def test_the_gateway_speaks_their_words(vendor: str) -> None:
    """Embeddings and rankings of its own surfaces arrive as the vendor takes them, and come back as callers expect."""
    fake = FakeOpenAI(habit=vendor)
    app = gateway_over({vendor: fake})
    ranking = {"model": f"{vendor}/m", "query": DOCUMENTS[2], "documents": [*DOCUMENTS], "top_n": 2}
    wanted = {"model": f"{vendor}/m", "input": ["a", "b"], "dimensions": 8, "user": "u"}
    async with app.client(api_key="test-key") as client:
        ranked = await client.post("/v1/rerank", json={**ranking, "return_documents": True})
        found = await client.post("/v1/embeddings", json={**wanted, "encoding_format": "base64"})
        fake.fail(429, retry_after=2.0)
        late = await client.post("/v1/rerank", json=ranking)
        fake.fail(401)
        closed = await client.post("/v1/embeddings", json=wanted)

    assert (ranked.status_code, found.status_code, late.status_code, closed.status_code) == (200, 200, 429, 503)
    assert ranked.json()["results"][0] == {"index": 2, "relevance_score": 1.0, "document": {"text": DOCUMENTS[2]}}
    assert len(ranked.json()["results"]) == 2
    assert ranked.json()["usage"]["total_tokens"] > 0
    assert [len(base64.b64decode(one["embedding"])) for one in found.json()["data"]] == [32, 32]
    assert late.headers["retry-after"] == "2"


@pytest.mark.parametrize(
    ("row", "status", "body"),
    [
        ("bedrock-openai", 403, {"Message": "This key may not do that."}),
        ("bedrock-openai", 400, {"message": "The request is not valid."}),
        (
            "vertex-openai",
            401,
            [{"error": {"code": 401, "message": "Incorrect API key provided.", "status": "UNAUTHENTICATED"}}],
        ),
    ],
)
async def test_errors_at_the_doors_of_clouds(row: str, status: int, body: Any) -> None:
    """Each in its envelope; callers get its sentence, or that the gateway's own key is refused."""
    fake = FakeOpenAI(habit=row).fail(status).fail(status)
    plain = await post(fake, "/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "a"}]})
    assert (plain.status, plain.json) == (status, body)
    text = body[0]["error"]["message"] if isinstance(body, list) else next(iter(body.values()))
    options = {"providers": {"up": {"app": fake, "base_url": f"http://up{fake.sdk_path}", "api_key": fake.api_key}}}
    app = gateway_over(options=options)
    async with app.client(api_key="test-key") as client:
        got = await client.post(
            "/v1/chat/completions", json={"model": "up/m", "messages": [{"role": "user", "content": "a"}]}
        )
    assert (text if status == 400 else "refused this gateway's own credential") in got.json()["error"]["message"]
    assert '{"' not in got.json()["error"]["message"]
