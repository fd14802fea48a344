"""Whole calls to clouds: signed over real sockets, with tokens, under their own paths; and no secret in what comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from compatgw import Gateway
from compatgw_testing import FakeAnthropic, FakeBedrock, FakeGemini, FakeOpenAI, FakeServer, ToolCall, tool_calls
from compatgw_testing.harness import gateway_over

KEY = "test-key"
SECRET = "AKIDREAL0000000000:real/secret+access+key"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc123"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
CALL = ToolCall("f", {"a": 1})
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


@pytest.fixture
def bedrock() -> Iterator[tuple[FakeBedrock, str]]:
    """A server that checks every signature, and its address."""
    fake = FakeBedrock(SECRET)
    with FakeServer(fake) as server:
        yield fake, server.origin


def client(gateway: Gateway) -> httpx.AsyncClient:
    """A client of a gateway."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(gateway),
        base_url="http://gateway.test/v1",
        headers={"authorization": f"Bearer {KEY}"},
    )


async def ask(gateway: Gateway, model: str, **members: Any) -> httpx.Response:
    """One question."""
    async with client(gateway) as http:
        return await http.post("/chat/completions", json={**ASKED, "model": model, **members})


@pytest.fixture(params=["aiohttp", "httpx"])
async def gateway(request: pytest.FixtureRequest, bedrock: tuple[FakeBedrock, str]) -> AsyncIterator[Gateway]:
    """A gateway that reaches that server, over each transport."""
    own = {"base_url": bedrock[1], "region": "eu-west-1", "api_key": SECRET}
    made = Gateway(providers={"bedrock": own}, keys=[KEY], environ={}, transport=request.param)
    yield made
    await made.aclose()


# --- Bedrock ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [MODEL, ARN])
async def test_a_signed_call_arrives(gateway: Gateway, bedrock: tuple[FakeBedrock, str], model: str) -> None:
    """The server computes the same signature, over the path as it came and the port that it listens on."""
    bedrock[0].reply("Hello there", reasoning="Hm")
    answer = (await ask(gateway, f"bedrock/{model}", reasoning_effort="low")).json()

    assert answer["choices"][0]["message"]["content"] == "Hello there"
    call = bedrock[0].calls[-1]
    assert call.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDREAL0000000000/")
    assert "/eu-west-1/bedrock/aws4_request" in call.headers["authorization"]
    assert call.path == f"/model/{model}/converse"


async def test_a_stream_arrives_and_ends(gateway: Gateway, bedrock: tuple[FakeBedrock, str]) -> None:
    """Its frames become chunks, with calls and totals."""
    bedrock[0].enqueue(tool_calls(CALL, text="On it"))
    text = (
        await ask(gateway, f"bedrock/{MODEL}", stream=True, stream_options={"include_usage": True}, tools=[TOOL])
    ).text
    chunks = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]

    assert text.endswith("data: [DONE]\n\n")
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]) == "On it"
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_wrong_secret_is_the_operators_matter(bedrock: tuple[FakeBedrock, str]) -> None:
    """502, and not a word of the key."""
    own = {"base_url": bedrock[1], "region": "eu-west-1", "api_key": "AKIDREAL0000000000:another/secret"}
    gateway = Gateway(providers={"bedrock": own}, keys=[KEY], environ={})
    answer = await ask(gateway, f"bedrock/{MODEL}")
    await gateway.aclose()

    assert answer.status_code == 502
    assert "another" not in answer.text
    assert "AKID" not in answer.text


async def test_whatever_an_upstream_repeats_of_a_secret_is_taken_out() -> None:
    """From the message that a caller gets."""
    id, secret, token = "AKIDREAL0000000000", "real/secret+access+key", "session/token=="
    fake = FakeBedrock(f"{id}:{secret}")
    fake.fail(400, f"bad {secret} and {token} in it")
    fake.authorize = lambda call: None  # type: ignore[method-assign]
    gateway = gateway_over(
        bedrock=fake, options={"providers": {"bedrock": {"app": fake, "api_key": f"{id}:{secret}:{token}"}}}
    )
    answer = await ask(gateway, f"bedrock/{MODEL}")

    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "bad [redacted] and [redacted] in it"


async def test_a_bedrock_api_key_is_enough() -> None:
    """As a bearer token."""
    fake = FakeBedrock("bedrock-api-key-1")
    answer = await ask(gateway_over(bedrock=fake), f"bedrock/{MODEL}")

    assert answer.status_code == 200
    assert fake.calls[-1].headers["authorization"] == "Bearer bedrock-api-key-1"


async def test_a_whole_tool_loop_with_reasoning() -> None:
    """The strict fake takes back what it gave, signatures included."""
    fake = FakeBedrock()
    fake.enqueue(tool_calls(CALL, reasoning="I need f"))
    fake.reply("Done")
    gateway = gateway_over(bedrock=fake)
    members: dict[str, Any] = {"tools": [TOOL], "reasoning_effort": "low"}
    first = (await ask(gateway, f"bedrock/{MODEL}", **members)).json()["choices"][0]["message"]
    talk = [*ASKED["messages"], first, {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "42"}]
    second = await ask(gateway, f"bedrock/{MODEL}", **{**members, "messages": talk})

    assert second.json()["choices"][0]["message"]["content"] == "Done"
    assert "signature" in str(fake.calls[-1].body)


# --- Vertex AI -------------------------------------------------------------------------------


def account() -> str:
    """Credentials of a service account."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    members = {
        "type": "service_account",
        "project_id": "p-1",
        "client_email": "r@p-1.test",
        "private_key": key.decode(),
    }
    return json.dumps(members)


class Google:
    """Gives tokens, and hands every other call to fakes of Gemini and Claude."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.bodies: list[Any] = []
        self.gemini = FakeGemini("ya29.minted")
        self.claude = FakeAnthropic("ya29.minted")

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        if request.url.host == "oauth2.googleapis.com":
            return httpx.Response(200, json={"access_token": "ya29.minted", "expires_in": 3599})
        assert request.headers["authorization"] == "Bearer ya29.minted"
        body = orjson.loads(await request.aread())
        self.bodies.append(body)
        if "anthropic" in request.url.path:
            model, _, method = request.url.path.rpartition("/")[2].partition(":")
            assert body.pop("anthropic_version") == "vertex-2023-10-16"
            assert (method == "streamRawPredict") == body.get("stream", False)
            fake: Any = self.claude
            path, body = "/v1/messages", {"model": model, **body}
        else:
            fake = self.gemini
            path = "/v1beta" + request.url.path.partition("/publishers/google")[2]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake), base_url="http://fake.test") as http:
            found = await http.post(
                path,
                params=dict(request.url.params),
                content=orjson.dumps(body),
                headers={
                    "content-type": "application/json", "x-goog-api-key": "ya29.minted", "x-api-key": "ya29.minted",
                    "anthropic-version": request.headers.get("anthropic-version", ""),
                },
            )  # fmt: skip
        return httpx.Response(
            found.status_code, headers={"content-type": found.headers["content-type"]}, content=found.content
        )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("provider", "model", "path"),
    [
        ("vertex", "gemini-2.5-flash", "/v1beta1/projects/p-1/locations/europe-west4/publishers/google/models/gemini-2.5-flash:"),
        ("vertex-anthropic", "claude-sonnet-4-5@20250929", "/v1/projects/p-1/locations/europe-west4/publishers/anthropic/models/claude-sonnet-4-5@20250929:"),
    ],
)  # fmt: skip
async def test_models_on_vertex(provider: str, model: str, path: str, stream: bool) -> None:
    """One token for both calls, the model and project in the path, the answer as ever."""
    google = Google()
    async with httpx.AsyncClient(transport=httpx.MockTransport(google)) as http:
        own = {"api_key": account(), "region": "europe-west4"}
        gateway = Gateway(providers={provider: own}, keys=[KEY], environ={}, http_client=http)
        answers = [await ask(gateway, f"{provider}/{model}", stream=stream, max_tokens=50) for _ in range(2)]
        await gateway.aclose()

    assert [answer.status_code for answer in answers] == [200, 200]
    assert not stream or all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
    assert google.urls[0] == "https://oauth2.googleapis.com/token"
    assert len(google.urls) == 3
    assert all(url.startswith(f"https://europe-west4-aiplatform.googleapis.com{path}") for url in google.urls[1:])
    assert all("model" not in body for body in google.bodies)


async def test_an_express_key_needs_no_project() -> None:
    """It goes in a header, never in the address."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(404, json={"error": {"message": "no"}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        gateway = Gateway(providers={"vertex": {"api_key": "AQ.express"}}, keys=[KEY], environ={}, http_client=http)
        await ask(gateway, "vertex/gemini-2.5-flash")
        await gateway.aclose()

    assert (
        str(seen[0].url)
        == "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent"
    )
    assert seen[0].headers["x-goog-api-key"] == "AQ.express"


# --- Azure -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "own", "url", "header"),
    [
        ("azure", {"account": "res"}, "https://res.openai.azure.com/openai/v1/chat/completions", "api-key"),
        ("azure", {"account": "res", "auth": "bearer"}, "https://res.openai.azure.com/openai/v1/chat/completions", "authorization"),
        ("azure-deployments", {"account": "res"}, "https://res.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", "api-key"),
        ("azure-deployments", {"base_url": "https://r.test/openai?api-version=2025-04-01-preview"}, "https://r.test/openai/deployments/my-gpt/chat/completions?api-version=2025-04-01-preview", "api-key"),
    ],
)  # fmt: skip
async def test_both_doors_of_azure(provider: str, own: dict[str, str], url: str, header: str) -> None:
    """With a key or an Entra token."""
    fake, seen = FakeOpenAI(), []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake), base_url="http://fake.test") as http:
            headers = {"content-type": "application/json", "authorization": f"Bearer {fake.api_key}"}
            found = await http.post("/v1/chat/completions", content=await request.aread(), headers=headers)
        return httpx.Response(found.status_code, headers={"content-type": "application/json"}, content=found.content)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        gateway = Gateway(providers={provider: {**own, "api_key": "k-1"}}, keys=[KEY], environ={}, http_client=http)
        answered = await ask(gateway, f"{provider}/my-gpt")
        await gateway.aclose()

    assert answered.status_code == 200
    assert str(seen[0].url) == url
    assert seen[0].headers[header] == {"api-key": "k-1", "authorization": "Bearer k-1"}[header]
    assert ("authorization" in seen[0].headers) == (header == "authorization")


# --- faults ----------------------------------------------------------------------------------

BREAKS: list[dict[str, Any]] = [
    {"cut_after": 0}, {"cut_after": 3}, {"cut_after_bytes": 200}, {"reset_after": 3}, {"truncate_after": 1}, {"truncate_after": 4},
    {"truncate_after_bytes": 150}, {"truncated": True}, {"no_end_mark": True}, {"garbage_after": 2}, {"bad_utf8_after": 2},
    {"error_after": 2, "error": 429}, {"error_after": 0, "error": 500}, {"html": 502}, {"empty": True},
    {"error_200": True, "error": 429}, {"content_type": "text/plain"},
]  # fmt: skip


@pytest.mark.parametrize("way", BREAKS, ids=[" ".join(f"{k}={v}" for k, v in way.items()) for way in BREAKS])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_what_breaks_upstream_never_looks_like_success(way: Any, stream: bool) -> None:
    """An error with its envelope, or one event of it behind what was said; the end mark never."""
    fake = FakeBedrock()
    fake.fault("Hello there, how are you today?", **way)
    answer = await ask(gateway_over(bedrock=fake), f"bedrock/{MODEL}", stream=stream)
    unharmed = not stream and bool({"no_end_mark", "truncated", "bad_utf8_after", "content_type"} & way.keys())

    if unharmed and answer.status_code == 200:
        assert answer.json()["choices"][0]["message"]["content"]
    elif answer.status_code == 200:
        last = answer.text.rstrip().rpartition("\n\n")[2]
        assert json.loads(last.removeprefix("data: "))["error"]["message"]
        assert "[DONE]" not in answer.text
    else:
        assert answer.status_code in (429, 502, 503)
        assert answer.json()["error"]["message"]


async def test_a_stream_that_says_its_end_twice_has_ended() -> None:
    """What comes behind the end is not read."""
    fake = FakeBedrock()
    fake.fault("Hello", two_end_marks=True)
    answer = await ask(gateway_over(bedrock=fake), f"bedrock/{MODEL}", stream=True)

    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.text.count("[DONE]") == 1


async def test_a_limited_key_gives_way_to_the_next() -> None:
    """Keys of one provider take over from each other, signed each with its own."""
    fake = FakeBedrock()
    seen: list[str] = []
    fake.authorize = lambda call: seen.append(call.headers["authorization"])  # type: ignore[method-assign]
    fake.fail(429)
    fake.reply("From the second")
    own = {"app": fake, "api_key": "AKIDONE:s1", "api_keys": ["AKIDTWO:s2"]}
    answer = await ask(
        gateway_over(bedrock=fake, options={"providers": {"bedrock": own}, "retries": {"most": 1}}), f"bedrock/{MODEL}"
    )

    assert answer.json()["choices"][0]["message"]["content"] == "From the second"
    assert ["AKIDONE" in seen[0], "AKIDTWO" in seen[1]] == [True, True]
