"""What Claude Code sends, over an upstream of its own protocol and over the others: each habit of it by name."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import orjson
import pytest
from anthropic import AsyncAnthropic

from compatgw_testing.harness import KEY
from tests.surfaces.messages.bench import MODELS, Scene, read
from tests.surfaces.messages.grammar import accumulated, check

MARK = {"type": "ephemeral"}
BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,"
    "context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24"
)
USER = '{"device_id":"1e884bade73758c3046b67df39371","account_uuid":"","session_id":"e7872c04-7260-4132-ba02-6689595b89d5"}'
TOOLS: list[Any] = [
    {
        "name": "Bash",
        "description": "Runs a command.",
        "input_schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"command": {"type": "string"}, "timeout": {"type": "number", "maximum": 600_000}},
            "required": ["command"],
            "additionalProperties": False,
        },
    },
    {
        "name": "mcp__a_server_with_a_long_name__and_a_tool_whose_name_is_longer_than_64_characters",
        "description": "Found by a search for tools.",
        "input_schema": {"type": "object", "properties": {}},
        "defer_loading": True,
        "eager_input_streaming": True,
    },
    {
        "name": "TodoWrite",
        "description": "Writes the list.",
        "input_schema": {"type": "object", "properties": {"todos": {"type": "array", "items": {"type": "string"}}}},
        "strict": True,
        "input_examples": [{"todos": ["a"]}],
        "cache_control": MARK,
    },
]
SYSTEM: list[Any] = [
    {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.0.1; cc_entrypoint=cli; cch=0000;"},
    {"type": "text", "text": "You are Claude Code.", "cache_control": MARK},
    {"type": "text", "text": "You help with software.", "cache_control": {**MARK, "ttl": "1h"}},
]


def main_request(model: str, *more: Any, **members: Any) -> dict[str, Any]:
    """The request of a turn."""
    reminder = {"type": "text", "text": "<system-reminder>\nToday is Monday.\n</system-reminder>"}
    # The newest message has the mark: there may be four of them.
    asked = {"type": "text", "text": "List the files.", **({} if more else {"cache_control": MARK})}
    return {
        "model": model,
        "max_tokens": 32_000,
        "stream": True,
        "system": SYSTEM,
        "tools": TOOLS,
        "messages": [
            {"role": "user", "content": [reminder, asked]},
            {"role": "system", "content": "Available agent types:\n- claude: everything"},
            *more,
        ],
        "metadata": {"user_id": USER},
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "medium"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        **members,
    }


@pytest.fixture(params=sorted(MODELS))
def scene(request: pytest.FixtureRequest, gateway: Any) -> Scene:
    """The gateway over each protocol."""
    name, fake = request.param, request.getfixturevalue(f"fake_{request.param}")
    return Scene(name, f"{name}/{MODELS[name]}", gateway, fake, native=name == "anthropic")


@pytest.fixture
def fake(scene: Scene) -> Any:
    """Its upstream."""
    return scene.fake


async def post(scene: Scene, body: Any, path: str = "/v1/messages") -> httpx.Response:
    """One call as Claude Code makes it."""
    headers = {
        "authorization": f"Bearer {KEY}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": BETAS,
        "anthropic-dangerous-direct-browser-access": "true",
        "x-app": "cli",
        "user-agent": "claude-cli/2.0.1 (external, cli)",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(scene.app)) as http:
        return await http.post(f"http://gateway.test{path}?beta=true", content=orjson.dumps(body), headers=headers)


async def stream(scene: Scene, body: Any) -> dict[str, Any]:
    """The message that a stream of its comes to."""
    got = await post(scene, body)
    assert got.status_code == 200, got.text
    assert got.headers["content-type"].startswith("text/event-stream")
    check(read(got.content))
    return accumulated(got.content)


async def test_a_turn_with_a_call(scene: Scene, fake: Any) -> None:
    """The whole request is served as it stands; the call comes under the name that the client gave the tool."""
    fake.tool_calls(("Bash", {"command": "ls"}), text="Looking.")
    found = await stream(scene, main_request(scene.model))
    assert found["stop_reason"] == "tool_use"
    (use,) = [block for block in found["content"] if block["type"] == "tool_use"]
    assert (use["name"], use["input"]) == ("Bash", {"command": "ls"})
    seen = fake.calls[0].request
    assert len(seen.tools) == 3
    assert "You are Claude Code." in seen.messages[0].text


async def test_the_line_of_its_bill(scene: Scene, fake: Any) -> None:
    """The first line of system text changes with every request: it goes to Anthropic alone."""
    fake.reply("ok")
    await stream(scene, main_request(scene.model))
    assert ("x-anthropic-billing-header" in fake.calls[0].request.messages[0].text) is (scene.name == "anthropic")


async def test_its_betas_and_query(scene: Scene, fake: Any) -> None:
    """`?beta=true` is taken everywhere; the list of betas and `context_management` go to Anthropic unchanged."""
    fake.reply("ok")
    await stream(scene, main_request(scene.model))
    (sent,) = fake.calls
    if scene.native:
        assert sent.headers["anthropic-beta"] == BETAS
        assert sent.body == main_request(MODELS["anthropic"])
    else:
        assert "anthropic-beta" not in sent.headers
        assert "context_management" not in orjson.dumps(sent.body).decode()


async def test_a_long_name_of_a_tool(scene: Scene, fake: Any) -> None:
    """It is cut for vendors that take 64 characters, and whole again in the answer."""
    name = TOOLS[1]["name"]
    fake.reply("ok")
    await stream(scene, main_request(scene.model))
    sent = next(one for one in fake.calls[0].request.tools if one.startswith("mcp__"))
    fake.tool_calls((sent, {}))
    found = await stream(scene, main_request(scene.model))
    assert [block["name"] for block in found["content"] if block["type"] == "tool_use"] == [name]


async def test_the_turn_behind_a_call(scene: Scene, fake: Any) -> None:
    """Its thinking, call and result come back, with a system message behind them; all of it arrives."""
    fake.tool_calls(("Bash", {"command": "ls"}), reasoning="Files." if scene.name != "cohere" else None)
    first = await stream(scene, main_request(scene.model))
    (use,) = [block for block in first["content"] if block["type"] == "tool_use"]
    keep = ("type", "text", "id", "name", "input", "thinking", "signature", "data")
    said = [{name: block[name] for name in keep if block.get(name) is not None} for block in first["content"]]
    result = {"type": "tool_result", "tool_use_id": use["id"], "content": "a.txt", "is_error": False}
    result["cache_control"] = MARK
    fake.reply("There is a.txt.")
    more: list[Any] = [{"role": "assistant", "content": said}, {"role": "user", "content": [result]}]
    more.append({"role": "system", "content": "The user has opened a.txt."})
    found = await stream(scene, main_request(scene.model, *more))
    assert "".join(block.get("text") or "" for block in found["content"]) == "There is a.txt."
    messages = fake.calls[1].request.messages
    assert any("a.txt" in message.text for message in messages if message.role == "tool")
    assert any("opened a.txt" in message.text for message in messages)


async def test_a_failed_call_and_an_interruption(scene: Scene, fake: Any) -> None:
    """Results that are errors, and words of the user behind them, arrive in order."""
    fake.reply("Sorry.")
    more: list[Any] = [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "x"}},
                {"type": "tool_use", "id": "toolu_02", "name": "Bash", "input": {"command": "y"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_01", "content": "no such file", "is_error": True},
                {"type": "tool_result", "tool_use_id": "toolu_02", "content": "done"},
                {"type": "text", "text": "[Request interrupted by user]"},
            ],
        },
    ]
    await stream(scene, main_request(scene.model, *more))
    seen = fake.calls[0].request.messages
    assert ["no such file" in m.text or "done" in m.text for m in seen if m.role == "tool"] == [True, True]
    assert "interrupted" in seen[-1].text


async def test_a_title(scene: Scene, fake: Any) -> None:
    """The small call for a title: no tools, no thinking, a schema, and not streamed in all versions."""
    fake.reply('{"title": "Files"}')
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    body = {
        "model": scene.model,
        "max_tokens": 512,
        "temperature": 1,
        "system": [{"type": "text", "text": "Write a title."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "List the files."}]}],
        "thinking": {"type": "disabled"},
        "tools": [],
        "metadata": {"user_id": USER},
        "output_config": {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}},
    }
    got = await post(scene, body)
    assert got.status_code == 200, got.text
    assert got.json()["content"] == [{"type": "text", "text": '{"title": "Files"}'}]


async def test_its_probe(scene: Scene, fake: Any) -> None:
    """One token of `quota`, by which it learns whether it is let in."""
    fake.reply("Hi", finish="length")
    body = {"model": scene.model, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}
    got = await post(scene, {**body, "metadata": {"user_id": USER}})
    assert got.status_code == 200, got.text
    assert got.json()["stop_reason"] == "max_tokens"


async def test_counting(scene: Scene) -> None:
    """The count of a whole conversation with all tools."""
    request = main_request(scene.model)
    body = {name: request[name] for name in ("model", "messages", "system", "tools", "thinking")}
    got = await post(scene, body, "/v1/messages/count_tokens")
    assert got.status_code == 200, got.text
    assert got.json()["input_tokens"] > 0


async def test_a_search_of_the_vendors_own(scene: Scene, fake: Any) -> None:
    """`web_search` is Anthropic's to do; elsewhere it is refused by name."""
    if scene.name == "anthropic":
        fake.reply("Found.")
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    got = await post(scene, main_request(scene.model, tools=[search]))
    if scene.name == "anthropic":
        assert got.status_code == 200, got.text
        return
    assert got.status_code == 400
    error = got.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (
        "invalid_request_error",
        "unsupported_parameter",
        "tools[0].type",
    )


async def test_a_prompt_that_is_too_long(scene: Scene, fake: Any) -> None:
    """It reads the words that make it shorten its history."""
    fake.fail("context_length")
    got = await post(scene, main_request(scene.model))
    assert got.status_code == 400
    assert "prompt is too long" in got.json()["error"]["message"]


async def test_an_upstream_that_is_overloaded(scene: Scene, fake: Any) -> None:
    """In the midst of a stream it is an `error` event of a type that it tries again for."""
    if scene.name in ("gemini", "cohere"):
        pytest.skip("this vendor has no errors of that kind inside a stream")
    fake.fault("One two three.", error_after=4, error="overloaded")
    got = await post(scene, main_request(scene.model))
    events = read(got.content)
    check(events, failed=True)
    assert events[-1]["error"]["type"] == ("overloaded_error" if scene.name == "anthropic" else "api_error")


async def test_the_sdk_it_is_built_on(scene: Scene, fake: Any) -> None:
    """The same request through the SDK's beta API, as it makes it."""
    fake.reply("ok")
    body = main_request(scene.model)
    del body["stream"]
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(scene.app))
    async with (
        AsyncAnthropic(
            auth_token=KEY, base_url="http://gateway.test", http_client=http, default_query={"beta": "true"}
        ) as ai,
        ai.beta.messages.stream(**body, betas=BETAS.split(",")) as events,
    ):
        found = await events.get_final_message()
    assert found.stop_reason == "end_turn"
