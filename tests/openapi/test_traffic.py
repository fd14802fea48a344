"""Real requests and answers of every surface are what the document says of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from compatgw.openapi import calls
from tests.openapi.checking import Judge
from tests.pages.visiting import KEY, gateway

ADMIN = "page-admin"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HELLO = [{"role": "user", "content": "Hello!"}]
SEEN = [
    {"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]}
]
CHATS = ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "cohere/command-a-03-2025")
CALLED = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Hue"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "Sunny"},
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    *[("/chat/completions", {"model": model, "messages": HELLO}) for model in CHATS],
    *[("/chat/completions", {"model": model, "messages": HELLO, "stream": True}) for model in CHATS],
    *[("/chat/completions", {"model": model, "messages": CALLED, "tools": [{"type": "function", "function": WEATHER}]}) for model in CHATS],
    ("/chat/completions", {"model": CHATS[0], "messages": SEEN, "stream": True, "stream_options": {"include_usage": True}}),
    (
        "/chat/completions",
        {
            "model": CHATS[0],
            "messages": [{"role": "system", "content": "Be brief, in JSON."}, *HELLO],
            "temperature": 0.5,
            "max_completion_tokens": 50,
            "n": 2,
            "seed": 7,
            "stop": ["x"],
            "response_format": {"type": "json_object"},
            "fallback": [CHATS[1]],
            "retries": 1,
            "timeout": 5000,
            "gateway": {"optimise": "cost", "speed": "fast", "model_hints": [CHATS[0]]},
        },
    ),
    ("/responses", {"model": CHATS[0], "input": "Hello!"}),
    ("/responses", {"model": CHATS[1], "input": HELLO, "stream": True}),
    ("/responses", {"model": CHATS[0], "input": HELLO, "tools": [{"type": "function", **WEATHER}], "stream": True}),
    ("/messages", {"model": CHATS[1], "max_tokens": 50, "messages": HELLO}),
    ("/messages", {"model": CHATS[1], "max_tokens": 50, "messages": HELLO, "stream": True}),
    ("/messages", {"model": CHATS[0], "max_tokens": 50, "system": "Be brief.", "messages": HELLO, "stream": True}),
    ("/messages", {"model": CHATS[2], "max_tokens": 50, "messages": HELLO}),
    ("/messages/count_tokens", {"model": CHATS[1], "messages": HELLO}),
    ("/completions", {"model": CHATS[0], "prompt": "Once"}),
    ("/completions", {"model": CHATS[1], "prompt": "Once", "stream": True, "max_tokens": 20}),
    ("/embeddings", {"model": "openai/text-embedding-3-small", "input": ["a", "b"]}),
    ("/embeddings", {"model": "openai/text-embedding-3-small", "input": "a", "encoding_format": "base64", "dimensions": 8}),
    ("/embeddings", {"model": "gemini/gemini-embedding-001", "input": "a"}),
    ("/rerank", {"model": "cohere/rerank-v3.5", "query": "cat", "documents": ["a cat", "a dog"], "top_n": 1}),
    ("/images/generations", {"model": "openai/gpt-image-1", "prompt": "A cat"}),
    ("/images/edits", {"model": "openai/gpt-image-1", "prompt": "A cat", "images": [{"image_url": PIXEL}]}),
    ("/audio/speech", {"model": "openai/gpt-4o-mini-tts", "input": "Hello", "voice": "alloy"}),
    ("/moderations", {"model": "openai/omni-moderation-latest", "input": "Hello"}),
]  # fmt: skip
WRONG: list[tuple[str, dict[str, Any], int]] = [
    ("/chat/completions", {"model": CHATS[0]}, 400),
    ("/chat/completions", {"model": "no/such", "messages": HELLO}, 404),
    ("/messages", {"model": CHATS[1], "messages": HELLO}, 400),
    ("/messages", {"model": "no/such", "max_tokens": 5, "messages": HELLO}, 404),
    ("/responses", {"model": CHATS[0], "input": 5}, 400),
    ("/embeddings", {"model": CHATS[0]}, 400),
    ("/images/generations", {"model": "openai/gpt-image-1"}, 400),
    ("/audio/speech", {"model": "openai/gpt-4o-mini-tts"}, 400),
    ("/moderations", {}, 400),
    ("/rerank", {"model": "cohere/rerank-v3.5", "query": "cat", "documents": []}, 400),
    ("/completions", {"model": CHATS[0], "prompt": 5}, 400),
]


@pytest.fixture
async def client(empty_ledger: Callable[[str], str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key, of a gateway with a ledger."""
    keys = [KEY, {"key": ADMIN, "name": "ops", "scopes": ["admin"]}]
    settings: dict[str, Any] = {
        "state": {"ledger": empty_ledger("sqlite"), "key_ring": "k1:" + "MTEx" * 10 + "MTE="},
        "keys": keys,
        "status_upstreams": True,
    }
    made = gateway(**settings)
    transport = httpx.ASGITransport(made)
    headers = {"authorization": f"Bearer {KEY}"}
    async with made, httpx.AsyncClient(transport=transport, base_url="http://site", headers=headers) as found:
        yield found


@pytest.fixture
async def judge(client: httpx.AsyncClient) -> Judge:
    """Judges by the document that this gateway serves."""
    return Judge((await client.get("/openapi.json")).json())


async def test_calls_are_as_the_document_says(client: httpx.AsyncClient, judge: Judge) -> None:
    """Each surface, whole and streamed, translated and not: body, answer, events, type and headers."""
    for path, body in CALLS:
        answer = await client.post(f"/v1{path}", json=body)
        assert answer.status_code == 200, (path, body["model"], answer.text[:300])
        judge.check(answer, f"/v1{path}")
    done = {each.id for each in calls.OPERATIONS if f"{each.id} 200" in judge.seen}
    forms = {"createTranscription", "createTranslation"}
    kept = {"getResponse", "deleteResponse", "listResponseInputs", "cancelResponse"}
    assert done == {each.id for each in calls.OPERATIONS} - forms - kept


async def test_forms_are_as_the_document_says(client: httpx.AsyncClient, judge: Judge) -> None:
    """Recordings and images that are sent as forms."""
    wave = (
        "a.wav",
        b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00@\x1f\x00\x00@\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00",
        "audio/wav",
    )
    for path, model in (
        ("/audio/transcriptions", "openai/gpt-4o-mini-transcribe"),
        ("/audio/translations", "openai/whisper-1"),
    ):
        answer = await client.post(f"/v1{path}", data={"model": model}, files={"file": wave})
        assert answer.status_code == 200, answer.text
        judge.check(answer, f"/v1{path}")
    assert {"createTranscription 200", "createTranslation 200"} <= judge.seen


async def test_null_means_left_out(client: httpx.AsyncClient, judge: Judge) -> None:
    """What the document lets be null at the top of a body, the gateway takes as left out."""
    for path, body in CALLS:
        operation = judge.document["paths"][f"/v1{path}"]["post"]
        first = operation["requestBody"]["content"]["application/json"]["schema"]["allOf"][0]["$ref"]
        schema = judge.document["components"]["schemas"][first.rpartition("/")[2]]
        nulls = {name: None for name in schema["properties"] if name not in schema.get("required", ())}
        answer = await client.post(f"/v1{path}", json={**nulls, **body})
        assert answer.status_code == 200, (path, answer.text[:300])
        judge.check(answer, f"/v1{path}")


@pytest.mark.parametrize("index", range(len(WRONG)))
async def test_errors_are_as_the_document_says(client: httpx.AsyncClient, judge: Judge, index: int) -> None:
    """A refusal has a status that the operation names, in the envelope of its protocol; no wrong body is valid."""
    path, body, status = WRONG[index]
    answer = await client.post(f"/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    judge.check(answer, f"/v1{path}")
    if status == 400 and body.get("documents") != []:
        operation = judge.document["paths"][f"/v1{path}"]["post"]
        with pytest.raises(AssertionError):
            judge.valid(operation["requestBody"]["content"]["application/json"]["schema"], body, "wrong")


async def test_callers_without_a_key_are_refused_as_the_document_says(client: httpx.AsyncClient, judge: Judge) -> None:
    """401 in each protocol's envelope, and what needs no key needs none."""
    del client.headers["authorization"]
    for path, methods in judge.document["paths"].items():
        for method, operation in methods.items():
            if operation["security"] and {} not in operation["security"]:
                real = path.replace("{", "").replace("}", "")
                body: Any = {} if "requestBody" in operation else None
                answer = await client.request(method, real, json=body)
                assert answer.status_code in (401, 404), (path, answer.text)
                judge.check(answer, path)
    for path in ("/healthz", "/readyz", "/api/status", "/openapi.json"):
        judge.check(await client.get(path), path)


async def test_responses_that_are_kept(client: httpx.AsyncClient, judge: Judge) -> None:
    """Retrieving, listing what was asked, cancelling, deleting."""
    made = (await client.post("/v1/responses", json={"model": CHATS[0], "input": "Hello!", "background": True})).json()
    place, path = f"/v1/responses/{made['id']}", "/v1/responses/{id}"
    judge.check(await client.get(place), path)
    judge.check(await client.get(f"{place}/input_items", params={"limit": 5}), f"{path}/input_items")
    judge.check(await client.post(f"{place}/cancel"), f"{path}/cancel")
    judge.check(await client.delete(place), path)
    judge.check(await client.get(place), path)
    assert {"getResponse 200", "getResponse 404", "deleteResponse 200", "listResponseInputs 200"} <= judge.seen


async def test_what_the_gateway_tells_of_itself(client: httpx.AsyncClient, judge: Judge) -> None:
    """Models, the caller's key, health, status before and after a call."""
    judge.check(await client.get("/v1/models"), "/v1/models")
    judge.check(await client.get("/v1/models/openai/gpt-4o"), "/v1/models/{id}")
    judge.check(await client.get("/v1/models/no/such"), "/v1/models/{id}")
    judge.check(await client.get("/v1/key"), "/v1/key")
    judge.check(await client.get("/v1/generation", params={"id": "req_none"}), "/v1/generation")
    judge.check(await client.get("/api/status"), "/api/status")
    await client.post("/v1/chat/completions", json={"model": CHATS[0], "messages": HELLO})
    judge.check(await client.get("/api/status"), "/api/status")
    judge.check(await client.get("/metrics", headers={"authorization": f"Bearer {ADMIN}"}), "/metrics")
    judge.check(await client.post("/api/admin/reload"), "/api/admin/reload")
    admin = {"authorization": f"Bearer {ADMIN}"}
    judge.check(await client.post("/api/admin/reload", headers=admin), "/api/admin/reload")
    assert {"reloadSettings 200", "reloadSettings 403"} <= judge.seen


async def test_management_is_as_the_document_says(client: httpx.AsyncClient, judge: Judge) -> None:
    """A team, its wallet, key, provider key, plan and prompt come into being, change, are listed, and go."""
    client.headers["authorization"] = f"Bearer {ADMIN}"

    async def ask(method: str, path: str, body: Any = None, **places: str) -> Any:
        real = path.format(**places)
        sent = {} if body is None else {"json": body}
        answer = await client.request(method, f"/api/admin/{real}", **sent)
        assert answer.status_code < 300, (real, answer.text)
        judge.check(answer, f"/api/admin/{path}")
        return answer.json()

    team = (await ask("POST", "teams", {"name": "Crew", "models": ["*"], "metadata": {"a": 1}}))["id"]
    await ask("PATCH", "teams/{team}", {"plan": "starter"}, team=team)
    await ask("GET", "teams/{team}", team=team)
    await ask("POST", "teams/{team}/wallet", {}, team=team)
    await ask("POST", "teams/{team}/wallet/topups", {"amount": "12.50", "note": "n"}, team=team)
    await ask("POST", "teams/{team}/wallet/corrections", {"amount": "-1.25"}, team=team)
    await ask("GET", "teams/{team}/wallet", team=team)
    await ask("GET", "teams/{team}/wallet/entries", team=team)
    await ask("PUT", "teams/{team}/provider-keys/{provider}", {"secret": "sk-abcdefgh"}, team=team, provider="openai")
    await ask("GET", "teams/{team}/provider-keys", team=team)
    await ask("POST", "provider-keys/reseal", {})
    await ask("DELETE", "teams/{team}/provider-keys/{provider}", team=team, provider="openai")
    minted = await ask("POST", "keys", {"team": team, "name": "bot", "budget": "5", "period": "month", "requests": 60})
    await ask("PATCH", "keys/{key}", {"tokens": 1000, "expires": "2030-01-01"}, key=minted["id"])
    await ask("GET", "keys/{key}", key=minted["id"])
    await ask("POST", "keys/{key}/rotate", {"grace_s": 60}, key=minted["id"])
    await ask("GET", "keys")
    await ask("PUT", "plans/{plan}", {"requests": 5}, plan="small")
    await ask("GET", "plans/{plan}", plan="small")
    await ask("GET", "plans")
    await ask("DELETE", "plans/{plan}", plan="small")
    await ask("POST", "prompts", {"name": "greet", "text": "Hello {{name}}", "labels": []})
    await ask("PUT", "prompts/{prompt}/labels/{label}", {"number": 1}, prompt="greet", label="beta")
    await ask("DELETE", "prompts/{prompt}/labels/{label}", prompt="greet", label="beta")
    await ask("GET", "prompts")
    await ask("GET", "prompts/{prompt}", prompt="greet")
    await ask("GET", "prompts/{prompt}/{number}", prompt="greet", number="1")
    await ask("DELETE", "prompts/{prompt}/{number}", prompt="greet", number="1")
    await ask("POST", "prompts", {"name": "greet", "messages": [{"role": "system", "content": "Hi"}]})
    await ask("DELETE", "prompts/{prompt}", prompt="greet")
    for path in ("teams", "usage/totals", "audit"):
        await ask("GET", path)
    await client.post("/v1/moderations", json={"input": "Hello"}, headers={"authorization": f"Bearer {KEY}"})
    # It is written down soon after its end.
    async with asyncio.timeout(10):
        while not (found := (await ask("GET", "usage"))["data"]):
            pass
    await ask("GET", "usage/{call}", call=found[0]["id"])
    await ask("POST", "keys/{key}/revoke", {}, key=minted["id"])
    await ask("POST", "reload")
    judged = {name.split()[0] for name in judge.seen}
    assert judged == {
        operation["operationId"]
        for path, methods in judge.document["paths"].items()
        if path.startswith("/api/admin/")
        for operation in methods.values()
    }


async def test_what_a_team_knows_of_its_key(client: httpx.AsyncClient, judge: Judge) -> None:
    """A key with team, wallet, budget and limits tells all of them as the document says."""
    own = {"authorization": f"Bearer {ADMIN}"}
    team = (await client.post("/api/admin/teams", json={"name": "Crew", "wallet": True}, headers=own)).json()["id"]
    body = {"team": team, "name": "bot", "budget": "5", "period": "month", "requests": 60, "concurrency": 2}
    key = (await client.post("/api/admin/keys", json=body, headers=own)).json()["key"]
    client.headers["authorization"] = f"Bearer {key}"
    answer = await client.get("/v1/key")
    judge.check(answer, "/v1/key")
    assert answer.json()["wallet"]
    assert answer.json()["budget"]
    assert answer.json()["limits"]
    refused = await client.post("/v1/chat/completions", json={"model": CHATS[0], "messages": HELLO})
    judge.check(refused, "/v1/chat/completions")
    assert "createChatCompletion 402" in judge.seen
