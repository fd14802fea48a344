"""FakeCohere refuses what Cohere refuses, one test for each rule."""

from typing import Any

import pytest

from compatgw_testing import FakeCohere
from tests.testing.driver import PNG, ask, question, request

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "f_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLS = {"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will."}
RESULT = {"role": "tool", "tool_call_id": "f_1", "content": "1"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {}}


def with_members(**members: object) -> dict[str, Any]:
    """The smallest request with these members."""
    return question("cohere", **members)


def talk(*messages: object, **members: object) -> dict[str, Any]:
    """A request with these messages."""
    return question("cohere", **{"messages": list(messages), **members})


def image(url: str) -> dict[str, Any]:
    """A user message with an image."""
    return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}


# Rule: request, status, part of the message.
REFUSED: dict[str, tuple[Any, int, str]] = {
    "body is an object": ([1], 400, "body"),
    "model is needed": ({"messages": [USER]}, 400, "model must be provided"),
    "messages are needed": ({"model": "command-a-03-2025"}, 400, "messages must be provided"),
    "messages are not empty": (talk(), 400, "messages"),
    "unknown member": (with_members(top_p=0.5), 422, "'top_p'"),
    "unknown role": (talk({"role": "developer", "content": "a"}), 400, "messages[0].role"),
    "p below 1": (with_members(p=1), 400, "p must be at most 0.99"),
    "p above 0": (with_members(p=0), 400, "p must be at least 0.01"),
    "k range": (with_members(k=501), 400, "k must be at most 500"),
    "temperature range": (with_members(temperature=1.5), 400, "temperature"),
    "frequency penalty range": (with_members(frequency_penalty=-0.5), 400, "frequency_penalty"),
    "presence penalty range": (with_members(presence_penalty=1.5), 400, "presence_penalty"),
    "stop sequences": (with_members(stop_sequences=list("abcdef")), 400, "stop_sequences"),
    "max_tokens range": (with_members(max_tokens=0), 400, "max_tokens"),
    "tool_choice in lower case": (with_members(tools=[TOOL], tool_choice="required"), 400, "tool_choice"),
    "tool_choice as an object": (with_members(tools=[TOOL], tool_choice={"type": "function"}), 400, "tool_choice"),
    "a required choice needs tools": (with_members(tool_choice="REQUIRED"), 400, "tool_choice"),
    "parameters are needed": (
        with_members(tools=[{"type": "function", "function": {"name": "f"}}]),
        400,
        "tools[0].function.parameters must be provided",
    ),
    "parameters are an object": (
        with_members(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        400,
        "must be of type object",
    ),
    "tool names differ": (with_members(tools=[TOOL, TOOL]), 400, "unique"),
    "strict per tool": (
        with_members(tools=[{"type": "function", "function": {**TOOL["function"], "strict": True}}]),  # type: ignore[dict-item]
        422,
        "strict",
    ),
    "strict tools need a required parameter": (
        with_members(tools=[TOOL], strict_tools=True),
        400,
        "needs a required parameter",
    ),
    "results have a call": (talk(USER, RESULT), 400, "tool_call_id 'f_1'"),
    "results have this call": (talk(USER, CALLS, {**RESULT, "tool_call_id": "f_2"}), 400, "tool_call_id 'f_2'"),
    "results follow their calls": (talk(USER, CALLS, USER, RESULT), 400, "no tool message for the tool calls f_1"),
    "calls are answered": (talk(USER, CALLS), 400, "no tool message for the tool calls f_1"),
    "no empty content beside calls": (talk(USER, {**CALLS, "content": ""}, RESULT), 400, "content must be left out"),
    "the assistant says something": (talk(USER, {"role": "assistant"}, USER), 400, "content or tool_calls"),
    "the user says something": (talk({"role": "user", "content": ""}), 400, "must not be empty"),
    "arguments are a string": (
        talk(USER, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}, RESULT),
        400,
        "messages[1].tool_calls[0].function.arguments",
    ),
    "no audio parts": (
        talk({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
        400,
        "messages[0].content[0].type",
    ),
    "no images in results": (
        talk(USER, CALLS, {**RESULT, "content": image("https://a.example/b.png")["content"]}),
        400,
        "messages[2].content[0].type",
    ),
    "image is base64": (talk(image("data:image/png;base64,%%")), 400, "image_url.url"),
    "image has an address": (talk(image("b.png")), 400, "image_url.url"),
    "json_schema is no type": (
        with_members(response_format={"type": "json_schema", "json_schema": SCHEMA}),
        400,
        "response_format.type",
    ),
    "a schema needs json_object": (
        with_members(response_format={"type": "text", "json_schema": SCHEMA}),
        400,
        "json_schema",
    ),
    "JSON beside tools": (with_members(tools=[TOOL], response_format={"type": "json_object"}), 400, "json_object"),
    "safety_mode beside tools": (with_members(tools=[TOOL], safety_mode="STRICT"), 400, "safety_mode"),
    "safety_mode beside documents": (with_members(documents=["a"], safety_mode="STRICT"), 400, "safety_mode"),
    "safety_mode value": (with_members(safety_mode="NONE"), 400, "safety_mode"),
    "thinking type": (with_members(thinking={"type": "adaptive"}), 400, "thinking.type"),
    "citation mode": (with_members(citation_options={"mode": "off"}), 400, "citation_options.mode"),
    "stream is a flag": (with_members(stream="yes"), 400, "stream"),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """A request against the rule is refused with a flat body."""
    body, status, hint = REFUSED[rule]
    fake = FakeCohere().reply("never said")

    reply = await ask(fake, body)

    assert reply.status == status
    assert set(reply.json) == {"id", "message"}
    assert hint in reply.json["message"]
    assert len(reply.headers["x-debug-trace-id"]) == 32
    assert len(fake.unused) == 1


ACCEPTED: dict[str, Any] = {
    "round trip with a document": talk(
        USER,
        CALLS,
        {**RESULT, "content": [{"type": "document", "document": {"id": "1", "data": {"temperature": "3"}}}]},
    ),
    "content beside calls": talk(USER, {**CALLS, "content": [{"type": "thinking", "thinking": "Hm"}]}, RESULT),
    "system anywhere": talk(USER, {"role": "system", "content": "Be brief."}, USER),
    "images": talk(image(f"data:image/png;base64,{PNG}"), image("https://a.example/b.png")),
    "schema": with_members(response_format={"type": "json_object", "json_schema": SCHEMA}),
    "null members": with_members(tools=None, temperature=None, tool_choice=None),
    "documents": with_members(documents=["a", {"id": "1", "data": {"text": "b"}}]),
    "no tool is called": with_members(tools=[TOOL], tool_choice="NONE"),
    "limits": with_members(p=0.99, k=500, frequency_penalty=1, presence_penalty=0, temperature=1),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What Cohere takes, the fake takes."""
    reply = await ask(FakeCohere(), ACCEPTED[rule])

    assert reply.status == 200, reply.raw


async def test_keys_paths_and_methods() -> None:
    """401 without the key; models are under v1 only; the rest is 404 or 405."""
    fake = FakeCohere()

    none = await request(fake, "/v2/chat", question("cohere"))
    wrong = await request(fake, "/v2/chat", question("cohere"), headers={"authorization": "Bearer no"})
    models = await request(fake, "/v2/models", method="GET", headers={"authorization": f"Bearer {fake.api_key}"})
    method = await request(fake, "/v2/chat", method="GET")
    broken = await ask(fake, b"{")

    assert [reply.status for reply in (none, wrong, models, method, broken)] == [401, 401, 404, 405, 400]


async def test_named_failures() -> None:
    """An overflow has its error type; the monthly limit of trial keys says so."""
    fake = FakeCohere().fail("context_length").fail("quota")

    overflow, quota = await ask(fake), await ask(fake)

    assert (overflow.status, overflow.json["error_type"]) == (400, "TOO_MANY_TOKENS")
    assert (quota.status, "Trial key" in quota.json["message"]) == (429, True)
