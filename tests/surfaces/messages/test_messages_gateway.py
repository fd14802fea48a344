"""The surface inside of a gateway: keys, headers, fallbacks, and reasoning on its way between vendors."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import orjson
import pytest

from compatgw_testing.harness import KEY, gateway_over
from tests.surfaces.messages.bench import MODELS, client, read
from tests.surfaces.messages.grammar import check

HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}
PATH = "/v1/messages"


async def post(app: Any, body: Any, path: str = PATH, **headers: str) -> httpx.Response:
    """One request, with a key where no other header of one is given."""
    given = headers or {"x-api-key": KEY}
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.test") as http:
        return await http.post(path, content=content, headers={"content-type": "application/json", **given})


def ask(model: str, **members: Any) -> dict[str, Any]:
    """A request."""
    return {"model": model, "max_tokens": 256, "messages": HI, **members}


@pytest.mark.parametrize("headers", [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}])
async def test_both_ways_to_send_a_key(gateway: Any, fake_openai: Any, headers: dict[str, str]) -> None:
    """The elder SDKs send `x-api-key`, the newer ones a bearer."""
    fake_openai.reply("Hello")
    got = await post(gateway, ask("openai/gpt-4o-mini"), **headers)
    assert got.status_code == 200
    assert got.json()["content"] == [{"type": "text", "text": "Hello"}]


@pytest.mark.parametrize(
    ("headers", "code"), [({"x-api-key": "wrong"}, "invalid_api_key"), ({"x-other": "1"}, "missing_api_key")]
)
async def test_no_key(gateway: Any, headers: dict[str, str], code: str) -> None:
    """401 in the protocol's own envelope."""
    got = await post(gateway, ask("openai/gpt-4o-mini"), **headers)
    assert got.status_code == 401
    body = got.json()
    assert body["type"] == "error"
    assert (body["error"]["type"], body["error"]["code"]) == ("authentication_error", code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": "openai/gpt-4o-mini"}'])
async def test_bad_bodies(gateway: Any, body: bytes) -> None:
    """400 in the protocol's own envelope."""
    got = await post(gateway, body)
    assert got.status_code == 400
    assert got.json()["error"]["type"] == "invalid_request_error"


async def test_an_unknown_model(gateway: Any) -> None:
    """The SDK's own class for it."""
    async with client(gateway) as ai:
        with pytest.raises(anthropic.NotFoundError):
            await ai.messages.create(**ask("openai2/none"))


async def test_what_was_left_out_is_said(gateway: Any, fake_openai: Any) -> None:
    """Hints of Anthropic's own stand in `X-Dropped-Params`; the upstream never sees them."""
    fake_openai.reply("Hello")
    members = {"context_management": {"edits": [{"type": "x"}]}, "container": "c", "top_k": 5}
    got = await post(gateway, ask("openai/gpt-4o-mini", **members))
    assert got.status_code == 200, got.text
    assert set(got.headers["x-dropped-params"].split(",")) == set(members)
    assert not members.keys() & fake_openai.calls[0].body.keys()


async def test_what_cannot_be_left_out_is_refused(gateway: Any) -> None:
    """Unless the caller says that it may be."""
    tools = [TOOL, {"type": "web_search_20250305", "name": "web_search"}]
    got = await post(gateway, ask("openai/gpt-4o-mini", tools=tools))
    assert got.status_code == 400
    assert got.json()["error"]["param"] == "tools[1].type"


async def test_it_may_be_left_out(gateway: Any, fake_openai: Any) -> None:
    """`X-On-Unsupported: drop` sends the rest."""
    fake_openai.reply("Hello")
    tools = [TOOL, {"type": "web_search_20250305", "name": "web_search"}]
    headers = {"x-api-key": KEY, "x-on-unsupported": "drop"}
    got = await post(gateway, ask("openai/gpt-4o-mini", tools=tools), **headers)
    assert got.status_code == 200, got.text
    assert got.headers["x-dropped-params"] == "tools"
    assert [tool["function"]["name"] for tool in fake_openai.calls[0].body["tools"]] == ["f"]


async def test_a_length_over_the_models_limit(gateway: Any, fake_anthropic: Any) -> None:
    """It is sent as the limit, and said."""
    fake_anthropic.reply("Hello")
    got = await post(gateway, ask("anthropic/claude-opus-4-1", max_tokens=100_000))
    assert got.status_code == 200, got.text
    assert got.headers["x-clamped-params"] == "max_tokens=32000"
    assert fake_anthropic.calls[0].body["max_tokens"] == 32_000


async def test_headers_of_the_protocol(gateway: Any, fake_anthropic: Any) -> None:
    """Version and betas go on as they came; a key of the caller's does not."""
    fake_anthropic.reply("Hello")
    headers = {"x-api-key": KEY, "anthropic-version": "2026-10-21", "anthropic-beta": "a-1,b-2"}
    got = await post(gateway, ask("anthropic/claude-sonnet-5"), f"{PATH}?beta=true", **headers)
    assert got.status_code == 200, got.text
    seen = fake_anthropic.calls[0].headers
    assert (seen["anthropic-version"], seen["anthropic-beta"]) == ("2026-10-21", "a-1,b-2")
    assert seen.get("x-api-key") != KEY


# --- fallbacks and reasoning -----------------------------------------------------------------


def thoughtful(signature: str = "EqQBfromanotherplace") -> list[Any]:
    """A conversation with a signed thought before a call."""
    return [
        *HI,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Let me call f.", "signature": signature},
                {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "7"}]},
    ]


@pytest.mark.parametrize("other", ["openai", "gemini", "cohere"])
async def test_a_fallback_to_another_vendor(fake_llm: Any, other: str) -> None:
    """What Anthropic signed goes to nobody else; the conversation does, and the client hears its own protocol."""
    fakes = {name: getattr(fake_llm, name) for name in ("anthropic", other)}
    fakes["anthropic"].thoughts.trust("EqQBfromanotherplace")
    fakes["anthropic"].fail(529)
    fakes[other].reply("Seven.")
    body = ask("anthropic/claude-sonnet-5", messages=thoughtful(), tools=[TOOL], fallback=[f"{other}/{MODELS[other]}"])
    got = await post(gateway_over(fakes), body)
    assert got.status_code == 200, got.text
    assert got.json()["content"][0]["text"] == "Seven."
    sent = orjson.dumps(fakes[other].calls[0].body).decode()
    assert "EqQBfromanotherplace" not in sent
    assert "7" in sent


async def test_a_fallback_to_anthropic(fake_llm: Any) -> None:
    """A thought that another vendor's model had is left out: Anthropic would refuse the request for it."""
    fakes = {name: getattr(fake_llm, name) for name in ("openai", "anthropic")}
    fakes["openai"].fail(503)
    fakes["anthropic"].reply("Seven.")
    body = ask(
        "openai/gpt-4o-mini",
        messages=thoughtful(""),
        tools=[TOOL],
        thinking={"type": "adaptive"},
        fallback=["anthropic/claude-sonnet-5"],
    )
    got = await post(gateway_over(fakes), body)
    assert got.status_code == 200, got.text
    blocks = fakes["anthropic"].calls[0].body["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["tool_use"]


async def test_a_fallback_before_the_first_word(fake_llm: Any) -> None:
    """A stream that breaks before it says anything is another vendor's from its first event on."""
    fakes = {name: getattr(fake_llm, name) for name in ("anthropic", "openai")}
    fakes["anthropic"].fault("One two.", error_after=2, error="overloaded")
    fakes["openai"].reply("Three.")
    body = ask("anthropic/claude-sonnet-5", stream=True, fallback=["openai/gpt-4o-mini"])
    got = await post(gateway_over(fakes), body)
    events = read(got.content)
    check(events)
    assert "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta") == "Three."


async def test_signatures_of_gemini(gateway: Any, fake_gemini: Any) -> None:
    """Its thought signature of a call comes back to it through a client that knows only Anthropic's protocol."""
    fake_gemini.tool_calls(("f", {"a": 1}), reasoning="Let me call f.")
    fake_gemini.reply("Seven.")
    model = "gemini/gemini-3-pro-preview"
    async with client(gateway) as ai:
        first = await ai.messages.create(**ask(model, tools=[TOOL], max_tokens=4096, thinking={"type": "adaptive"}))
        kept = [block for block in first.content if block.type == "redacted_thinking"]
        assert len(kept) == 1
        use = next(block for block in first.content if block.type == "tool_use")
        result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "7"}
        talk: Any = [*HI, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
        again = await ai.messages.create(**ask(model, tools=[TOOL], messages=talk))
    assert again.content[0].to_dict()["text"] == "Seven."
    given = _signatures(orjson.loads(fake_gemini.calls[0].answer)) if hasattr(fake_gemini.calls[0], "answer") else None
    sent = _signatures(fake_gemini.calls[1].body)
    assert sent
    assert "skip_thought_signature_validator" not in sent
    assert given is None or set(sent) <= set(given)


def _signatures(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["thoughtSignature"]] if isinstance(value.get("thoughtSignature"), str) else []
        return own + [found for inner in value.values() for found in _signatures(inner)]
    return [found for inner in value for found in _signatures(inner)] if isinstance(value, list) else []


async def test_a_stream_that_is_cut(gateway: Any, fake_llm: Any) -> None:
    """Over every protocol: one `error`, in order, and no end."""
    for name, model in MODELS.items():
        fake = getattr(fake_llm, name)
        fake.fault("One two three four five.", cut_after=4)
        got = await post(gateway, ask(f"{name}/{model}", stream=True))
        events = read(got.content)
        check(events, failed=True)
        assert events[-1]["error"]["code"] == "upstream_stream_interrupted"
