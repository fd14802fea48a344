"""FakeGemini beside content: embeddings, counting, models, Vertex, and what is refused there."""

import math
from typing import Any

import pytest

from compatgw_testing import FakeGemini
from tests.testing.driver import ask, request
from tests.testing.gemini import places
from tests.testing.gemini.cases import BEARER, CASES, EMBEDDER, FIRST, PLACE, TAKEN, TEXT, item, path
from tests.testing.surfaces import put, refused
from tests.testing.test_strict_gemini import NEW, OLD, USER, function, talk


@pytest.mark.parametrize("rule", CASES)
async def test_refused(rule: str) -> None:
    """A request against the rule gets the status and the words of Google; an unknown path the front end's page."""
    case = CASES[rule]

    reply = await refused(FakeGemini(), case)

    if case.hint == "Not Found":
        assert reply.headers["content-type"].startswith("text/html")
    else:
        names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
        assert reply.json["error"]["status"] == names[case.status]
        assert reply.json["error"]["code"] == case.status


@pytest.mark.parametrize("place", places.CASES)
async def test_refused_in_each_place(place: str) -> None:
    """A good request that is changed in one place is refused with words about that place."""
    where, body, hint = places.CASES[place]

    reply = await put(FakeGemini(), where, body)

    assert reply.status == 400
    assert hint in reply.json["error"]["message"]


@pytest.mark.parametrize("name", places.GOOD)
async def test_the_good_requests_are_taken(name: str) -> None:
    """Otherwise the test above would say nothing."""
    reply = await put(FakeGemini(), *places.GOOD[name])

    assert reply.status == 200, reply.raw


@pytest.mark.parametrize("rule", TAKEN)
async def test_taken(rule: str) -> None:
    """What Gemini takes, the fake takes."""
    where, body = TAKEN[rule]

    reply = await put(FakeGemini(), where, body)

    assert reply.status == 200, reply.raw


def length(values: list[float]) -> float:
    """Of a vector."""
    return math.sqrt(sum(value * value for value in values))


async def test_embeddings_are_one_for_each_text() -> None:
    """Alone or together the same, in order, of the dimensions asked for; usage counts where the model counts."""
    fake = FakeGemini()
    texts = [{"parts": [{"text": text}]} for text in ("a", "b")]

    both = (await put(fake, path("batchEmbedContents"), {"requests": [item(content=one) for one in texts]})).json
    alone = (await put(fake, path("embedContent"), {"content": texts[1]})).json
    short = (await put(fake, path("embedContent"), {"content": texts[1], "outputDimensionality": 8})).json

    first, second = (one["values"] for one in both["embeddings"])
    assert first != second
    assert alone["embedding"]["values"] == second
    assert (len(second), len(short["embedding"]["values"])) == (3072, 8)
    assert length(short["embedding"]["values"]) == pytest.approx(1)
    assert both["usageMetadata"]["promptTokenCount"] == 2
    assert fake.calls[0].request is not None
    assert (fake.calls[0].request.inputs, fake.calls[0].request.surface) == (("a", "b"), "embeddings")


async def test_shorter_vectors_of_the_first_model_are_not_of_length_1() -> None:
    """As its documents say; cosines hold all the same."""
    fake = FakeGemini().similar("a", "b", cos=0.9)
    requests = [
        {"model": f"models/{FIRST}", "content": {"parts": [{"text": text}]}, "outputDimensionality": 768}
        for text in ("a", "b")
    ]

    answer = (await put(fake, path("batchEmbedContents", FIRST), {"requests": requests})).json
    whole = (await put(fake, path("embedContent", FIRST), {"content": TEXT})).json

    one, other = (each["values"] for each in answer["embeddings"])
    assert length(one) == pytest.approx(0.5)
    assert sum(a * b for a, b in zip(one, other, strict=True)) / length(one) / length(other) == pytest.approx(0.9)
    assert length(whole["embedding"]["values"]) == pytest.approx(1)
    assert "usageMetadata" not in answer


async def test_a_count_is_what_a_request_of_the_same_has_read() -> None:
    """With the whole request inside, system text and tools are counted, too."""
    fake = FakeGemini()
    whole: dict[str, Any] = talk(USER, tools=[{"functionDeclarations": [function()]}], systemInstruction=TEXT)

    count = await put(fake, path("countTokens", OLD), {"generateContentRequest": {**whole, "model": f"models/{OLD}"}})
    bare = await put(fake, path("countTokens", OLD), {"contents": whole["contents"]})
    answer = await ask(fake, whole)

    assert count.json["totalTokens"] == answer.json["usageMetadata"]["promptTokenCount"]
    assert bare.json["totalTokens"] < count.json["totalTokens"]
    assert "totalBillableCharacters" not in count.json


async def test_vertex_answers_in_its_own_way() -> None:
    """With the time and the kind of traffic, without the index; by a bearer token or an express key."""
    fake = FakeGemini().reply("Hi", reasoning="Hm", times=2).tool_call("f")
    where = f"{PLACE}/models/{OLD}:generateContent"
    tools = {"tools": [{"functionDeclarations": [function()]}]}

    token = await request(fake, where, talk(USER), headers={"authorization": f"Bearer {fake.api_key}"})
    key = await request(fake, f"{where}?key={fake.api_key}", talk(USER))
    called = (await put(fake, where, talk(USER, **tools))).json

    assert (token.status, key.status) == (200, 200)
    assert token.json["usageMetadata"]["trafficType"] == "ON_DEMAND"
    assert token.json["createTime"].endswith("Z")
    assert "index" not in token.json["candidates"][0]
    assert "finishMessage" not in called["candidates"][0]
    assert BEARER["authorization"] == f"Bearer {fake.api_key}"


async def test_vertex_embeds_and_counts_in_its_own_way() -> None:
    """Predictions for the older models; all tokens are told."""
    fake = FakeGemini()

    predicted = await put(fake, f"{PLACE}/models/text-embedding-005:predict", {"instances": [{"content": "Hello"}]})
    embedded = await put(fake, f"{PLACE}/models/{EMBEDDER}:embedContent", {"content": TEXT})
    counted = await put(fake, f"{PLACE}/models/{OLD}:countTokens", {"contents": [USER]})

    (one,) = predicted.json["predictions"]
    assert (len(one["embeddings"]["values"]), one["embeddings"]["statistics"]["token_count"]) == (768, 2)
    assert embedded.json["usageMetadata"]["totalTokenCount"] == 1
    assert counted.json["totalBillableCharacters"] == 2


async def test_unknown_models_are_told_by_their_place() -> None:
    """With the version of the path and the method; on Vertex by their whole name."""
    fake = FakeGemini(models=["known"])

    one = await put(fake, "/v1/models/a:generateContent", talk(USER))
    streamed = await put(fake, "/v1alpha/models/a:streamGenerateContent?alt=sse", talk(USER))
    embedded = await put(fake, "/v1beta/models/a:batchEmbedContents", {})
    got = await put(fake, "/v1beta/models/a", method="GET")
    vertex = await put(fake, f"{PLACE}/models/a:generateContent", talk(USER))

    assert "models/a is not found for API version v1, or is not supported for generateContent" in one.raw.decode()
    assert "API version v1alpha, or is not supported for generateContent" in streamed.raw.decode()
    assert "is not supported for embedContent" in embedded.raw.decode()
    assert "is not supported for getModel" in got.raw.decode()
    name = "projects/p/locations/global/publishers/google/models/a"
    assert vertex.json["error"]["message"] == f"Publisher Model `{name}` not found."
    assert {each.status for each in (one, streamed, embedded, got, vertex)} == {404}


async def test_models_are_paged_and_tell_what_they_do() -> None:
    """Embeddings have methods of their own; a default is left out."""
    fake = FakeGemini(models=["gemini-2.0-flash", NEW, FIRST])

    first = (await put(fake, "/v1/models?pageSize=2", method="GET")).json
    second = (await put(fake, f"/v1/models?pageSize=2&pageToken={first['nextPageToken']}", method="GET")).json

    old, new = first["models"]
    assert (old["name"], "thinking" in old, new["thinking"]) == ("models/gemini-2.0-flash", False, True)
    assert "embedContent" in second["models"][0]["supportedGenerationMethods"]
    assert "nextPageToken" not in second


async def test_embedding_counts_for_the_quota_and_can_fail() -> None:
    """A scripted failure and a quota hold for each surface."""
    fake = FakeGemini().fail(503).quota(tpm=100)
    body = {"content": {"parts": [{"text": "a" * 360}]}}

    failed, good, much = [await put(fake, path("embedContent"), body) for _ in range(3)]

    assert [one.status for one in (failed, good, much)] == [503, 200, 429]
    details = much.json["error"]["details"]
    assert details[-1]["@type"].endswith("RetryInfo")


async def test_the_service_tier_is_the_one_asked_for() -> None:
    """In usage, as lately recorded."""
    fake = FakeGemini()

    plain, flex = await ask(fake), await ask(fake, talk(USER, serviceTier="flex"))

    assert (plain.json["usageMetadata"]["serviceTier"], flex.json["usageMetadata"]["serviceTier"]) == (
        "standard",
        "flex",
    )


async def test_without_strictness_anything_readable_is_served() -> None:
    """And what cannot be read is a 400."""
    fake = FakeGemini(strict=False)

    loose = await put(fake, path("batchEmbedContents"), {"requests": [{"content": TEXT}] * 101})
    unreadable = await put(fake, path("embedContent"), {})
    uncounted = await put(fake, path("countTokens", OLD), {})

    assert [one.status for one in (loose, unreadable, uncounted)] == [200, 400, 400]
