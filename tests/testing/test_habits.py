"""FakeOpenAI takes on the habits of vendors that speak OpenAI's protocol."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing import FakeLLM, FakeOpenAI, ScriptError, reply
from compatgw_testing.fakes.openai import HABITS
from tests.testing.driver import PNG, Reply, ask, credentials, question, request

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
TALKING = sorted(name for name, habit in HABITS.items() if "chat" in habit.surfaces)
COUNTED = {"stream_options": {"include_usage": True}}


async def streamed(habit: str, answer: str = "Hello there", *, counted: bool = True, **members: Any) -> Reply:
    """A stream of a vendor's."""
    fake = FakeOpenAI(habit=habit).reply(answer, reasoning="Hm, hello", usage=(5, 4), **members)
    body = question("openai", **(COUNTED if counted and habit != "mistral" else {}))
    return await ask(fake, body, stream=True)


def deltas(reply: Reply, name: str) -> list[Any]:
    """One member of each delta."""
    return [choice["delta"].get(name) for event in reply.events for choice in event["choices"]]


@pytest.mark.parametrize("habit", TALKING)
async def test_text_and_usage_arrive_whatever_the_habit(habit: str) -> None:
    """The pieces join to the text; usage stands somewhere in the stream."""
    reply = await streamed(habit)

    pieces = [piece for piece in deltas(reply, "content") if isinstance(piece, str)]
    assert "".join(pieces) == "Hello there"
    assert b'"total_tokens":9' in reply.raw


@pytest.mark.parametrize("habit", TALKING)
async def test_plain_answers_have_the_same_text(habit: str) -> None:
    """Text, usage and finish reason."""
    fake = FakeOpenAI(habit=habit).reply("Hello there", usage=(5, 4))

    body = (await ask(fake)).json

    assert body["choices"][0]["message"]["content"] == "Hello there"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 9


@pytest.mark.parametrize(
    ("habit", "prefix"),
    [
        ("openai", b"data: {"),
        ("openrouter", b": OPENROUTER PROCESSING\n\n"),
        ("deepseek", b": keep-alive\n\n"),
        ("azure", b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results"'),
    ],
)
async def test_how_a_stream_begins(habit: str, prefix: bytes) -> None:
    """Comments, and Azure's chunk about the prompt."""
    assert (await streamed(habit)).raw.startswith(prefix)


@pytest.mark.parametrize("habit", TALKING)
async def test_how_a_stream_ends(habit: str) -> None:
    """With [DONE], or with nothing but the end of the connection."""
    raw = (await streamed(habit)).raw

    assert raw.endswith(b"data: [DONE]\n\n") == HABITS[habit].done
    assert raw.endswith(b"\r\n\r\n") == (habit == "perplexity")


@pytest.mark.parametrize(
    ("habit", "where"),
    [
        ("openai", [(0, True)]),
        ("azure", [(0, True)]),
        ("groq", [(1, True)]),
        ("mistral", [(1, True)]),
        ("deepseek", [(1, True)]),
        ("openrouter", [(1, True)]),
    ],
)
async def test_where_usage_stands(habit: str, where: list[Any]) -> None:
    """Number of choices of the chunk that has it; there is one such chunk."""
    reply = await streamed(habit)

    assert [(len(event["choices"]), True) for event in reply.events if event.get("usage")] == where


async def test_perplexity_counts_in_every_chunk_and_repeats_the_text() -> None:
    """Usage grows; `message` holds the text so far; the last object is another."""
    reply = await streamed("perplexity")

    totals = [event["usage"]["completion_tokens"] for event in reply.events]
    assert totals == sorted(totals)
    assert totals[-1] == 4
    assert [event["choices"][0]["message"]["content"] for event in reply.events] == [
        "Hello",
        "Hello there",
        "Hello there",
    ]
    assert reply.events[-1]["object"] == "chat.completion.done"
    assert reply.events[0]["citations"]


async def test_groq_says_usage_in_its_own_member_even_unasked() -> None:
    """Under `x_groq` in the finish chunk."""
    events = (await streamed("groq", counted=False)).events

    assert events[0]["x_groq"]["id"].startswith("req_")
    assert events[-1]["x_groq"]["usage"]["total_tokens"] == 9
    assert "usage" not in events[-1]


@pytest.mark.parametrize(
    ("habit", "member"), [("deepseek", "reasoning_content"), ("groq", "reasoning"), ("openrouter", "reasoning")]
)
async def test_where_thought_stands(habit: str, member: str) -> None:
    """In the vendor's member, not in the text."""
    reply = await streamed(habit)

    assert "".join(one or "" for one in deltas(reply, member)) == "Hm, hello"


async def test_thought_in_parts_in_details_and_not_at_all() -> None:
    """Mistral types its content, OpenRouter adds details, OpenAI keeps it to itself."""
    mistral = [one[0] for one in deltas(await streamed("mistral"), "content") if isinstance(one, list)]
    details = [one for one in deltas(await streamed("openrouter"), "reasoning_details") if one]

    assert "".join(one["thinking"][0]["text"] for one in mistral) == "Hm, hello"
    assert "".join(one[0]["text"] for one in details) == "Hm, hello"
    assert b"Hm" not in (await streamed("openai")).raw


async def test_roles() -> None:
    """Once, or in every delta."""
    assert deltas(await streamed("openai"), "role").count("assistant") == 1
    assert set(deltas(await streamed("openrouter"), "role")) == {"assistant"}


async def test_mistral_sends_calls_whole_with_the_finish_reason() -> None:
    """One delta with all calls, without index and type, ids of nine characters."""
    fake = FakeOpenAI(habit="mistral").tool_calls(("f", {"a": 1}), ("g", {}))

    events = (await ask(fake, question("openai", tools=[TOOL]), stream=True)).events

    choice = events[-1]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert [set(call) for call in choice["delta"]["tool_calls"]] == [{"id", "function"}] * 2
    assert all(len(call["id"]) == 9 for call in choice["delta"]["tool_calls"])
    assert events[-1]["usage"]


ASKED = {"role": "user", "content": "a"}
CALLED: dict[str, Any] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "content": "1"}
LOOP = {"messages": [ASKED, CALLED, RESULT]}
SHAPE = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
# Rule: habit, members of the request, status, part of the answer.
REFUSED: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "mistral: unknown member": ("mistral", {"top_k": 1}, 422, "top_k"),
    "mistral: stream_options": ("mistral", {"stream": True, **COUNTED}, 422, "stream_options"),
    "mistral: max_completion_tokens": ("mistral", {"max_completion_tokens": 5}, 422, "max_completion_tokens"),
    "mistral: developer": ("mistral", {"messages": [{"role": "developer", "content": "a"}]}, 400, "developer"),
    "mistral: unknown member of a message": (
        "mistral",
        {"messages": [{**ASKED, "annotations": []}]},
        422,
        "annotations",
    ),
    "mistral: after a tool comes the assistant": (
        "mistral",
        {"messages": [ASKED, CALLED, RESULT, {"role": "user", "content": "b"}]},
        400,
        "Unexpected role 'user' after role 'tool'",
    ),
    "mistral: no instructions behind a tool": (
        "mistral",
        {"messages": [ASKED, CALLED, RESULT, {"role": "system", "content": "b"}]},
        400,
        "Unexpected role 'system' after role 'tool'",
    ),
    "mistral: no instructions behind the assistant": (
        "mistral",
        {"messages": [ASKED, {"role": "assistant", "content": "b"}, {"role": "system", "content": "c"}, ASKED]},
        400,
        "Unexpected role 'system' after role 'assistant'",
    ),
    "mistral: last is the assistant": (
        "mistral",
        {"messages": [ASKED, {"role": "assistant", "content": "b"}]},
        400,
        "Expected last role",
    ),
    "mistral: ids": (
        "mistral",
        {
            "messages": [
                ASKED,
                {**CALLED, "tool_calls": [{**CALLED["tool_calls"][0], "id": "call_1"}]},
                {**RESULT, "tool_call_id": "call_1"},
            ]
        },
        400,
        "must match",
    ),
    "groq: unknown member": ("groq", {"top_k": 1}, 400, "top_k"),
    "groq: logit_bias": ("groq", {"logit_bias": {"1": 1}}, 400, "logit_bias"),
    "groq: unknown member of a message": ("groq", {"messages": [{**ASKED, "annotations": []}]}, 400, "annotations"),
    "groq: names": ("groq", {"messages": [{**ASKED, "name": "ada"}]}, 400, "messages[0].name"),
    "groq: n": ("groq", {"n": 2}, 400, "at most 1"),
    "groq: two ways to ask for thought": (
        "groq",
        {"include_reasoning": True, "reasoning_format": "parsed"},
        400,
        "cannot specify both",
    ),
    "groq: raw thought with tools": ("groq", {"reasoning_format": "raw", "tools": [TOOL]}, 400, "'raw'"),
    "groq: raw thought with a schema": ("groq", {"reasoning_format": "raw", "response_format": SHAPE}, 400, "'raw'"),
    "perplexity: tools": ("perplexity", {"tools": [TOOL]}, 400, "not supported"),
    "perplexity: two users in a row": ("perplexity", {"messages": [ASKED, ASKED]}, 400, "alternate"),
    "azure: unknown member": ("azure", {"top_k": 1}, 400, "top_k"),
    "deepseek: thought is sent back with its calls": (
        "deepseek",
        {"model": "deepseek-v4", **LOOP},
        400,
        "reasoning_content in the thinking mode must be passed back",
    ),
    "deepseek: thinking that was asked for": (
        "deepseek",
        {"model": "deepseek-chat", "thinking": {"type": "enabled"}, **LOOP},
        400,
        "reasoning_content",
    ),
    "deepseek: the word json": ("deepseek", {"response_format": {"type": "json_object"}}, 400, "json"),
    "deepseek: developer": ("deepseek", {"messages": [{"role": "developer", "content": "a"}]}, 400, "developer"),
    "moonshot: thinking is an object": ("moonshot", {"thinking": True}, 400, "expected an object"),
    "moonshot: two ways to think": (
        "moonshot",
        {"thinking": {"type": "enabled"}, "reasoning_effort": "low"},
        400,
        "cannot be used together",
    ),
    "moonshot: thought is sent back with its calls": (
        "moonshot",
        {"model": "kimi-k2.5", **LOOP},
        400,
        "reasoning_content",
    ),
    "moonshot: temperature of a model that thinks": (
        "moonshot",
        {"model": "kimi-k2-thinking", "temperature": 0.5},
        400,
        "invalid temperature",
    ),
    "xai: stop with a model that thinks": ("xai", {"model": "grok-4", "stop": ["a"]}, 400, "stop"),
    "xai: penalties with a model that thinks": (
        "xai",
        {"model": "grok-4", "presence_penalty": 1},
        400,
        "presence_penalty",
    ),
    "xai: effort with a model without": (
        "xai",
        {"model": "grok-4", "reasoning_effort": "low"},
        400,
        "reasoning_effort",
    ),
    "cerebras: penalties": ("cerebras", {"frequency_penalty": 1}, 400, "frequency_penalty"),
    "cerebras: logit_bias": ("cerebras", {"logit_bias": {"1": 1}}, 400, "logit_bias"),
    "cerebras: unknown member": ("cerebras", {"top_k": 1}, 400, "top_k"),
    "zai: tool_choice": ("zai", {"tools": [TOOL], "tool_choice": "required"}, 400, "only supports auto"),
    "alibaba: thinking without a stream": (
        "alibaba",
        {"model": "qwen3-32b", "enable_thinking": True},
        400,
        "must be set to false for non-streaming calls",
    ),
    "alibaba: thinking without a stream, unsaid": ("alibaba", {"model": "qwen3-32b"}, 400, "enable_thinking"),
    "ollama: the address of an image": (
        "ollama",
        {"messages": [{"role": "user", "content": [PICTURE]}]},
        400,
        "only base64",
    ),
    "lmstudio: json_object": (
        "lmstudio",
        {"messages": [{"role": "user", "content": "json"}], "response_format": {"type": "json_object"}},
        400,
        "must be 'json_schema' or 'text'",
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """What this vendor does not take, in words that name it."""
    habit, members, status, hint = REFUSED[rule]

    reply = await ask(FakeOpenAI(habit=habit), question("openai", **members))

    assert reply.status == status
    assert hint in reply.raw.decode()


ACCEPTED: dict[str, tuple[str, dict[str, Any]]] = {
    "deepseek: thought sent back": (
        "deepseek",
        {"model": "deepseek-v4", "messages": [ASKED, {**CALLED, "reasoning_content": ""}, RESULT]},
    ),
    "deepseek: thinking is off": ("deepseek", {"model": "deepseek-v4", "thinking": {"type": "disabled"}, **LOOP}),
    "deepseek: a model that does not think": ("deepseek", {"model": "deepseek-chat", **LOOP}),
    "moonshot: the temperature that is allowed": ("moonshot", {"model": "kimi-k2.5", "temperature": 1.0}),
    "groq: one": ("groq", {"n": 1, "reasoning_format": "parsed"}),
    "xai: stop with a model that does not think": ("xai", {"model": "grok-3", "stop": ["a"]}),
    "alibaba: thinking in a stream": ("alibaba", {"model": "qwen3-32b", "enable_thinking": True, "stream": True}),
    "alibaba: thinking is off": ("alibaba", {"model": "qwen3-32b", "enable_thinking": False}),
    "zai: auto": ("zai", {"tools": [TOOL], "tool_choice": "auto"}),
    "ollama: an image in the request": (
        "ollama",
        {
            "messages": [
                {"role": "user", "content": [{**PICTURE, "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}
            ]
        },
    ),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What is near a rule of the vendor's but does not break it."""
    habit, members = ACCEPTED[rule]

    reply = await ask(FakeOpenAI(habit=habit), question("openai", **members))

    assert reply.status == 200, reply.raw


@pytest.mark.parametrize("habit", ["deepseek", "openrouter"])
async def test_unknown_members_are_let_through(habit: str) -> None:
    """Vendors that ignore what they do not know."""
    assert (await ask(FakeOpenAI(habit=habit), question("openai", top_k=1))).status == 200


async def test_forms_of_errors() -> None:
    """Integer codes, text codes, FastAPI's detail."""
    router = (await ask(FakeOpenAI(habit="openrouter").fail(429))).json
    azure = (await ask(FakeOpenAI(habit="azure"), headers={"api-key": "no"})).json
    mistral = (await ask(FakeOpenAI(habit="mistral"), headers={"authorization": "Bearer no"})).json
    unknown = (await ask(FakeOpenAI(habit="mistral"), question("openai", top_k=1))).json

    assert router["error"]["code"] == 429
    assert azure["error"]["code"] == "401"
    assert mistral == {"detail": "Unauthorized"}
    assert unknown["message"]["detail"][0]["loc"] == ["body", "top_k"]


@pytest.mark.parametrize(
    ("habit", "path"),
    [
        ("azure", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("deepseek", "/v1/chat/completions"),
        ("groq", "/openai/v1/chat/completions"),
        ("openrouter", "/api/v1/chat/completions"),
    ],
)
async def test_paths(habit: str, path: str) -> None:
    """Where the vendor's documents put it."""
    fake = FakeOpenAI(habit=habit)

    assert (await request(fake, path, question("openai"), headers=credentials(fake))).status == 200


def one_choice(event: Any) -> Any:
    """The only choice of a chunk; empty if it has none."""
    return event["choices"][0] if event["choices"] else {}


@pytest.mark.parametrize(
    ("habit", "whole"), [("xai", True), ("ollama", True), ("groq", True), ("zai", True), ("cerebras", False)]
)
async def test_whole_calls(habit: str, whole: bool) -> None:
    """Some send each call in one delta."""
    fake = FakeOpenAI(habit=habit).tool_calls(("f", {"city": "Oslo"}), ("f", {"city": "Paris"}))

    events = (await ask(fake, question("openai", tools=[TOOL]), stream=True)).events

    calls = [call for event in events for call in one_choice(event).get("delta", {}).get("tool_calls") or ()]
    assert (len(calls) == 2) is whole
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}{"city":"Paris"}'


@pytest.mark.parametrize(
    ("habit", "pattern"),
    [
        ("openai", r"call_\w{24}"),
        ("mistral", r"\w{9}"),
        ("moonshot", r"functions\.f:0"),
        ("xai", r"call_\d{8}"),
        ("ollama", r"call_[a-z0-9]{8}"),
        ("databricks", r"toolu_bdrk_\w{24}"),
        ("deepseek", r"call_00_\w{24}"),
        ("gemini-openai", ""),
    ],
)
async def test_ids_of_calls(habit: str, pattern: str) -> None:
    """As the vendor gives them."""
    fake = FakeOpenAI(habit=habit).tool_call("f")

    call = (await ask(fake, question("openai", tools=[TOOL]))).json["choices"][0]["message"]["tool_calls"][0]

    assert re.fullmatch(pattern, call["id"])


@pytest.mark.parametrize(("habit", "roles"), [("xai", 1), ("cloudflare", 0), ("zai", 3), ("moonshot", 1)])
async def test_where_the_role_stands(habit: str, roles: int) -> None:
    """In the first delta that says something, in none, or in all."""
    fake = FakeOpenAI(habit=habit).reply("Hello there")

    events = (await ask(fake, stream=True)).events

    assert sum("role" in one_choice(event).get("delta", {}) for event in events) == roles


@pytest.mark.parametrize(
    ("habit", "reasons"),
    [("openai", [None, None, None, "stop"]), ("cerebras", [0, 0, 0, "stop"]), ("snowflake", [0, 0, 0])],
)
async def test_where_the_finish_reason_stands(habit: str, reasons: list[Any]) -> None:
    """Null before the end, absent before the end (0), or absent altogether."""
    fake = FakeOpenAI(habit=habit).reply("Hello there")

    events = (await ask(fake, stream=True)).events

    found = [one_choice(event).get("finish_reason", 0) for event in events if event["choices"]]
    assert found[: len(reasons)] == reasons


async def test_usage_in_the_vendors_way() -> None:
    """Reasoning apart, cached tokens flat, nulls until the end."""
    used = {"input": 20, "output": 9, "cached": 8, "cache_write": 4, "reasoning": 5}

    async def usage(habit: str) -> Any:
        return (await ask(FakeOpenAI(habit=habit).reply("Hello", usage=used))).json["usage"]

    xai, together, databricks = await usage("xai"), await usage("together"), await usage("databricks")
    stream = (await ask(FakeOpenAI(habit="databricks").reply("Hello there"), stream=True)).events

    assert (xai["completion_tokens"], xai["total_tokens"]) == (4, 29)
    assert together["cached_tokens"] == 8
    assert (databricks["cache_read_input_tokens"], databricks["cache_creation_input_tokens"]) == (8, 4)
    assert [event["usage"]["completion_tokens"] is None for event in stream] == [True] * (len(stream) - 1) + [False]


async def test_json_as_an_object() -> None:
    """Cloudflare answers JSON that was asked for as an object, without usage."""
    fake = FakeOpenAI(habit="cloudflare").reply('{"a":1}')

    answer = (await ask(fake, question("openai", response_format=SHAPE))).json

    assert answer["choices"][0]["message"]["content"] == {"a": 1}
    assert "usage" not in answer


async def test_null_thought_beside_text() -> None:
    """DashScope says with each piece of text that it is no thought."""
    thoughts = deltas(await streamed("alibaba"), "reasoning_content")

    assert thoughts == ["", "Hm,", " hello", None, None, None, None][: len(thoughts)]


@pytest.mark.parametrize(
    ("habit", "body"),
    [
        ("xai", {"code": "rate_limit_exceeded", "error": "Slow down."}),
        ("huggingface", {"error": "Slow down."}),
        ("lmstudio", {"error": "Slow down."}),
        ("zai", {"error": {"code": "1302", "message": "Slow down."}}),
        (
            "cloudflare",
            {"success": False, "errors": [{"code": 3040, "message": "Slow down."}], "messages": [], "result": None},
        ),
        ("nvidia", {"type": "about:blank", "title": "requests", "status": 429, "detail": "Slow down."}),
        (
            "sglang",
            {"object": "error", "message": "Slow down.", "type": "requests", "param": None, "code": 429},
        ),
        ("vllm", {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": 429}}),
        ("groq", {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}),
        ("databricks", {"error_code": "RATE_LIMIT_EXCEEDED", "message": "Slow down."}),
        ("gemini-openai", [{"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}]),
    ],
)
async def test_envelopes(habit: str, body: Any) -> None:
    """Each vendor's own."""
    reply = await ask(FakeOpenAI(habit=habit).fail(429, "Slow down."))

    assert (reply.status, reply.json) == (429, body)


@pytest.mark.parametrize("habit", ["together", "alibaba"])
async def test_ids_beside_errors(habit: str) -> None:
    """OpenAI's envelope, and an id."""
    body = (await ask(FakeOpenAI(habit=habit).fail(429))).json

    assert body["error"]["code"] == "rate_limit_exceeded"
    assert body["id" if habit == "together" else "request_id"]


@pytest.mark.parametrize("habit", TALKING)
async def test_tool_loops_close_whatever_the_habit(habit: str) -> None:
    """A vendor takes its own call back, with its thought and its result."""
    if not HABITS[habit].tools:
        pytest.skip("the vendor has no tools")
    fake = FakeOpenAI(habit=habit).enqueue(reply(calls=[("f", {})], reasoning="Hm")).reply("done")
    body = question("openai", tools=[TOOL])
    message = (await ask(fake, body)).json["choices"][0]["message"]
    call = message["tool_calls"][0]
    sent = {"role": "assistant", "content": message.get("content"), "tool_calls": message["tool_calls"]}
    if "reasoning_content" in message:
        sent["reasoning_content"] = message["reasoning_content"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "1"}

    answer = await ask(fake, {**body, "messages": [*body["messages"], sent, result]})

    assert answer.status == 200, answer.raw
    assert answer.json["choices"][0]["message"]["content"] == "done"


async def test_errors_inside_streams() -> None:
    """As data, under a name, or in a chunk with its own end mark."""

    async def ends(habit: str) -> bytes:
        fake = FakeOpenAI(habit=habit).fault("Hello there my friend", error=429, error_after=2)
        return (await ask(fake, stream=True)).raw

    groq, router, own = await ends("groq"), await ends("openrouter"), await ends("openai")

    assert b'event: error\ndata: {"error":{' in groq
    assert router.endswith(b"data: [DONE]\n\n")
    last = json.loads(router.split(b"data: ")[-2])
    assert (last["error"]["code"], last["choices"][0]["finish_reason"]) == (429, "error")
    assert own.split(b"\n\n")[-2].startswith(b'data: {"error":{')


@pytest.mark.parametrize(("habit", "milliseconds"), [("openai", "2000"), ("azure", "2000"), ("groq", None)])
async def test_how_long_to_wait(habit: str, milliseconds: str | None) -> None:
    """In seconds, by OpenAI's servers in milliseconds, too."""
    headers = (await ask(FakeOpenAI(habit=habit).fail(429, retry_after=2))).headers

    assert (headers["retry-after"], headers.get("retry-after-ms")) == ("2", milliseconds)


@pytest.mark.parametrize("make", [lambda: FakeOpenAI(habit="gorq"), lambda: FakeLLM().vendor("gorq")])
def test_a_habit_that_is_not_known(make: Callable[[], FakeOpenAI]) -> None:
    """The names that there are, are told."""
    with pytest.raises(ScriptError, match=r"no vendor 'gorq' speaks .*; there are .*groq"):
        make()
