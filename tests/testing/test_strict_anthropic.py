"""FakeAnthropic refuses what Anthropic refuses, one test for each rule."""

import base64
from typing import Any

import pytest

from compatgw_testing import FakeAnthropic
from tests.testing.driver import PNG, SCHEMA, ask, question, request

JPEG = base64.b64encode(b"\xff\xd8\xff\xe0jpeg").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
USER = {"role": "user", "content": "Hi"}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
MARK = {"type": "ephemeral"}
MANUAL = {"type": "enabled", "budget_tokens": 1024}


def use(call: str = "toolu_a", **members: object) -> dict[str, Any]:
    """A tool call."""
    return {"type": "tool_use", "id": call, "name": "f", "input": {}, **members}


def result(call: str = "toolu_a", **members: object) -> dict[str, Any]:
    """A tool result."""
    return {"type": "tool_result", "tool_use_id": call, **members}


def text(words: str = "Hi", **members: object) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": words, **members}


def user(*blocks: object) -> dict[str, Any]:
    """A user message of blocks."""
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: object) -> dict[str, Any]:
    """An assistant message of blocks."""
    return {"role": "assistant", "content": list(blocks)}


def system(*blocks: object) -> dict[str, Any]:
    """A system message in the conversation."""
    return {"role": "system", "content": list(blocks)}


def talk(*messages: object, **members: object) -> dict[str, Any]:
    """A request with these messages."""
    return question("anthropic", **{"messages": list(messages), "tools": [TOOL], **members})


def with_members(**members: object) -> dict[str, Any]:
    """The smallest request with these members."""
    return question("anthropic", **members)


def media(kind: str, media_type: str, data: str) -> dict[str, Any]:
    """An image or document in base64."""
    return {"type": kind, "source": {"type": "base64", "media_type": media_type, "data": data}}


def shaped(schema: object) -> dict[str, Any]:
    """A request for structured output."""
    return with_members(output_config={"format": {"type": "json_schema", "schema": schema}})


def without(name: str) -> dict[str, Any]:
    """The smallest request without one of its members."""
    body = question("anthropic")
    del body[name]
    return body


OBJECT = {"type": "object", "additionalProperties": False}
# Rule: request, part of the message.
REFUSED: dict[str, tuple[Any, str]] = {
    "body is an object": ([1], "dictionary"),
    "max_tokens is needed": (without("max_tokens"), "max_tokens: Field required"),
    "model is needed": (without("model"), "model: Field required"),
    "messages are needed": (without("messages"), "messages: Field required"),
    "messages are not empty": (talk(), "messages: List should have at least 1"),
    "unknown member": (with_members(top_logprobs=1), "top_logprobs: Extra inputs are not permitted"),
    "max_tokens is whole": (with_members(max_tokens="5"), "max_tokens: Input should be a valid integer"),
    "max_tokens of the model": (with_members(max_tokens=128_001), "max_tokens: 128001 > 128000"),
    "max_tokens of an older model": (with_members(model="claude-opus-4-1", max_tokens=32_001), "32001 > 32000"),
    "max_tokens of an old model": (with_members(model="claude-3-5-sonnet-20241022", max_tokens=8193), "8193 > 8192"),
    "temperature range": (with_members(temperature=1.5), "temperature: Input should be less than or equal to 1"),
    "unknown role": (talk({"role": "tool", "content": "a"}), "messages.0.role"),
    "first message is the user's": (talk(assistant(text())), "first message must use the user role"),
    "content is not empty": (
        talk({"role": "user", "content": ""}),
        "messages.0: all messages must have non-empty content",
    ),
    "blocks are not empty": (talk(user()), "messages.0: all messages must have non-empty content"),
    "content is not blank": (talk({"role": "user", "content": " \n"}), "non-whitespace"),
    "text is not empty": (talk(user(text(""))), "text content blocks must be non-empty"),
    "text is not blank": (talk(user(text(" "))), "text content blocks must contain non-whitespace text"),
    "text in a result is not empty": (
        talk(USER, assistant(use()), user(result(content=[text("")]))),
        "messages.2.content.0.content.0.text: text content blocks must be non-empty",
    ),
    "unknown block": (talk(user({"type": "image_url", "image_url": {}})), "messages.0.content.0.type"),
    "unknown member of a block": (talk(user(text(index=1))), "messages.0.content.0.index: Extra inputs"),
    "block of another role": (talk(user(use())), "messages.0.content.0.type"),
    "calls are answered": (
        talk(USER, assistant(use()), USER),
        "`tool_use` ids were found without `tool_result` blocks",
    ),
    "every call is answered": (
        talk(USER, assistant(use(), use("toolu_b")), user(result())),
        "without `tool_result` blocks immediately after: toolu_b",
    ),
    "in one message": (
        talk(USER, assistant(use(), use("toolu_b")), user(result()), user(result("toolu_b"))),
        "without `tool_result` blocks immediately after: toolu_b",
    ),
    "results before text": (
        talk(USER, assistant(use()), user(text(), result())),
        "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_a",
    ),
    "calls stand last": (talk(USER, assistant(use(), text()), user(result())), "without `tool_result`"),
    "the last message has no open call": (talk(USER, assistant(use())), "without `tool_result`"),
    "results have calls": (talk(USER, assistant(text()), user(result())), "unexpected `tool_use_id`"),
    "results have calls from the start": (talk(user(result())), "unexpected `tool_use_id`"),
    "ids are unique": (talk(USER, assistant(use(), use()), user(result())), "ids must be unique"),
    "ids of a pattern": (
        talk(USER, assistant(use("f:0")), user(result("f:0"))),
        "messages.1.content.0.id: String should match",
    ),
    "ids of results of a pattern": (
        talk(USER, assistant(use()), user(result("f:0"))),
        "messages.2.content.0.tool_use_id: String should match",
    ),
    "input is an object": (talk(USER, assistant(use(input="{}")), user(result())), "messages.1.content.0.input"),
    "tool names of a pattern": (with_members(tools=[{**TOOL, "name": "a.b"}]), "tools.0.name: String should match"),
    "user_id of at most 256": (with_members(metadata={"user_id": "a" * 257}), "at most 256 characters"),
    "tool names are unique": (with_members(tools=[TOOL, TOOL]), "Tool names must be unique"),
    "input_schema is needed": (with_members(tools=[{"name": "f"}]), "tools.0.input_schema: Field required"),
    "input_schema is an object": (
        with_members(tools=[{"name": "f", "input_schema": {"type": "string"}}]),
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    "input_schema has a type": (
        with_members(tools=[{"name": "f", "input_schema": {}}]),
        "tools.0.custom.input_schema.type: Field required",
    ),
    "input_schema without anyOf on top": (
        with_members(tools=[{"name": "f", "input_schema": {"type": "object", "anyOf": []}}]),
        "does not support oneOf, allOf, or anyOf",
    ),
    "unknown member of a tool": (with_members(tools=[{**TOOL, "parameters": {}}]), "tools.0.parameters: Extra inputs"),
    "tool_choice is an object": (with_members(tools=[TOOL], tool_choice="auto"), "tool_choice"),
    "tool_choice value": (with_members(tools=[TOOL], tool_choice={"type": "required"}), "tool_choice.type"),
    "tool_choice needs tools": (with_members(tool_choice={"type": "auto"}), "only be specified while providing tools"),
    "tool_choice names a tool": (
        with_members(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}),
        "Tool 'g' not found",
    ),
    "none has no parallel switch": (
        with_members(tools=[TOOL], tool_choice={"type": "none", "disable_parallel_tool_use": True}),
        "tool_choice.disable_parallel_tool_use: Extra inputs",
    ),
    "forced choice with late models": (
        with_members(model="claude-opus-5-5", tools=[TOOL], tool_choice={"type": "any"}),
        "not supported for this model",
    ),
    "forced choice with manual thinking": (
        with_members(tools=[TOOL], tool_choice={"type": "any"}, thinking=MANUAL, max_tokens=2000),
        "Thinking may not be enabled when tool_choice forces tool use",
    ),
    "sampling with 4.7": (with_members(model="claude-opus-4-7", temperature=0), "`temperature` is deprecated"),
    "temperature and top_p": (with_members(temperature=0.5, top_p=0.5), "cannot both be specified"),
    "blank stop sequence": (with_members(stop_sequences=["a", " "]), "stop_sequences.1"),
    "budget of at least 1024": (
        with_members(thinking={"type": "enabled", "budget_tokens": 1000}, max_tokens=2000),
        "thinking.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "budget below max_tokens": (with_members(thinking=MANUAL, max_tokens=1024), "`max_tokens` must be greater"),
    "budget is needed": (with_members(thinking={"type": "enabled"}), "thinking.budget_tokens: Field required"),
    "adaptive has no budget": (
        with_members(thinking={"type": "adaptive", "budget_tokens": 1024}),
        "thinking.budget_tokens: Extra inputs",
    ),
    "manual thinking with 4.7": (
        with_members(model="claude-opus-4-7", thinking=MANUAL, max_tokens=2000),
        "thinking.type.enabled",
    ),
    "adaptive thinking with 4.5": (
        with_members(model="claude-haiku-4-5", thinking={"type": "adaptive"}),
        "thinking.type.adaptive",
    ),
    "thinking is always on": (
        with_members(model="claude-fable-5", thinking={"type": "disabled"}),
        "thinking.type.disabled",
    ),
    "temperature with thinking": (
        with_members(thinking=MANUAL, max_tokens=2000, temperature=0.5),
        "`temperature` may only be set to 1",
    ),
    "top_k with thinking": (with_members(thinking=MANUAL, max_tokens=2000, top_k=5), "`top_k` must be unset"),
    "top_p with thinking": (with_members(thinking=MANUAL, max_tokens=2000, top_p=0.5), "`top_p` must be greater"),
    "a signature of nobody": (
        talk(USER, assistant({"type": "thinking", "thinking": "a", "signature": "EqQB"}, text()), USER),
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "redacted data of nobody": (
        talk(USER, assistant({"type": "redacted_thinking", "data": "EqQB"}, text()), USER),
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
    "a pending turn begins with its thought": (
        talk(USER, assistant(use()), user(result()), thinking=MANUAL, max_tokens=2000),
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    "final assistant text is trimmed": (
        talk(USER, assistant(text("Once ")), model="claude-haiku-4-5"),
        "final assistant content cannot end with trailing whitespace",
    ),
    "final assistant string is trimmed": (
        talk(USER, {"role": "assistant", "content": "Once\n"}, model="claude-haiku-4-5"),
        "final assistant content cannot end with trailing whitespace",
    ),
    "no prefill from 4.6 on": (talk(USER, assistant(text("Once"))), "does not support assistant message prefill"),
    "system role with old models": (talk(USER, system(text())), "role 'system' is not supported on this model"),
    "system role is not first": (talk(system(text()), USER, model="claude-opus-4-8"), "first message"),
    "system role after the user": (
        talk(USER, assistant(text()), system(text()), model="claude-opus-4-8"),
        "must follow a user message",
    ),
    "system role before the assistant": (
        talk(USER, system(text()), USER, model="claude-opus-4-8"),
        "must be last or be followed by an assistant message",
    ),
    "four cache marks": (
        talk(user(*(text(cache_control=MARK) for _ in range(4))), system=[text(cache_control=MARK)]),
        "A maximum of 4 blocks with cache_control may be provided. Found 5",
    ),
    "cache marks of tools count": (
        talk(user(*(text(cache_control=MARK) for _ in range(4))), tools=[{**TOOL, "cache_control": MARK}]),
        "Found 5",
    ),
    "the automatic mark counts": (
        talk(user(*(text(cache_control=MARK) for _ in range(4))), cache_control=MARK),
        "Found 5",
    ),
    "cache mark on thinking": (
        talk(
            USER, assistant({"type": "thinking", "thinking": "", "signature": "", "cache_control": MARK}, text()), USER
        ),
        "messages.1.content.0.cache_control: Extra inputs",
    ),
    "cache mark on empty text": (
        talk(user(text(""), text("", cache_control=MARK))),
        "cache_control cannot be set for empty",
    ),
    "cache mark type": (with_members(system=[text(cache_control={"type": "persistent"})]), "cache_control.type"),
    "schema is closed": (shaped({"type": "object"}), "'additionalProperties' must be explicitly set to false"),
    "schema is a schema": (shaped({**OBJECT, "properties": []}), "'properties' has to be an object"),
    "schema is closed inside": (
        shaped({**OBJECT, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}),
        "'additionalProperties' must be explicitly set to false",
    ),
    "schema keyword": (
        shaped({**OBJECT, "properties": {"a": {"type": "integer", "minimum": 1}}}),
        "For 'integer' type, property 'minimum' is not supported",
    ),
    "schema format": (
        shaped({**OBJECT, "properties": {"a": {"type": "string", "format": "phone"}}}),
        "format 'phone' is not supported",
    ),
    "schema minItems": (
        shaped({**OBJECT, "properties": {"a": {"type": "array", "items": {}, "minItems": 2}}}),
        "'minItems' values other than 0 or 1",
    ),
    "structured output with old models": (
        with_members(
            model="claude-3-haiku-20240307", output_config={"format": {"type": "json_schema", "schema": OBJECT}}
        ),
        "does not support structured outputs",
    ),
    "effort of the model": (
        with_members(model="claude-opus-4-6", output_config={"effort": "xhigh"}),
        "does not support effort level 'xhigh'. Supported levels: high, low, max, medium.",
    ),
    "effort with a model without": (
        with_members(model="claude-sonnet-4-5", output_config={"effort": "low"}),
        "does not support the effort parameter",
    ),
    "metadata": (with_members(metadata={"user": "a"}), "metadata.user: Extra inputs"),
    "image type": (talk(user(media("image", "image/bmp", PNG))), "source.media_type"),
    "image is base64": (talk(user(media("image", "image/png", "%%"))), "valid base64"),
    "image is what it says": (
        talk(user(media("image", "image/png", JPEG))),
        "specified using the image/png media type, but the image appears to be a image/jpeg image",
    ),
    "image in a result": (
        talk(USER, assistant(use()), user(result(content=[media("image", "image/png", JPEG)]))),
        "messages.2.content.0.content.0.source.base64",
    ),
    "document type": (talk(user(media("document", "text/html", PDF))), "source.media_type"),
    "document is a PDF": (talk(user(media("document", "application/pdf", PNG))), "The PDF specified was not valid"),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """A request against the rule is a 400 in Anthropic's envelope."""
    body, hint = REFUSED[rule]
    fake = FakeAnthropic().reply("never said")

    reply = await ask(fake, body)

    assert (reply.status, reply.json["type"], reply.json["error"]["type"]) == (400, "error", "invalid_request_error")
    assert hint in reply.json["error"]["message"]
    assert reply.headers["request-id"] == reply.json["request_id"]
    assert len(fake.unused) == 1


# Refused only under the version of October 2026.
NEW_REFUSED: dict[str, tuple[Any, str]] = {
    "sampling even by default": (with_members(temperature=1), "temperature"),
    "document of the assistant": (
        talk(USER, assistant(media("document", "application/pdf", PDF), text()), USER),
        "document blocks are not permitted",
    ),
    "citations of the user": (talk(user(text(citations=[{"type": "char_location"}]))), "citations are not permitted"),
}


@pytest.mark.parametrize("rule", NEW_REFUSED)
async def test_refused_by_the_new_version_only(rule: str) -> None:
    """The version that the client names decides."""
    body, hint = NEW_REFUSED[rule]
    fake = FakeAnthropic()

    old = await ask(fake, body)
    new = await ask(fake, body, headers={"anthropic-version": "2026-10-21"})

    assert old.status == 200, old.raw
    assert new.status == 400
    assert hint in new.json["error"]["message"]


ACCEPTED: dict[str, Any] = {
    "consecutive messages of one role": talk(USER, USER),
    "several results and then text": talk(
        USER,
        assistant(text(), use(), use("toolu_b")),
        user(result("toolu_b", content="1"), result(is_error=True, content=[media("image", "image/png", PNG)]), text()),
    ),
    "empty result": talk(USER, assistant(use()), user(result())),
    "prefill with 4.5": talk(USER, assistant(text("Once")), model="claude-haiku-4-5"),
    "empty final assistant": talk(USER, {"role": "assistant", "content": ""}, model="claude-haiku-4-5"),
    "system as text": with_members(system="Be brief."),
    "four marks": talk(user(*(text(cache_control=MARK) for _ in range(4)))),
    "adaptive thinking and forced choice with 4.6": with_members(
        thinking={"type": "adaptive"}, tools=[TOOL], tool_choice={"type": "any"}
    ),
    "system role with 4.8": talk(USER, system(text()), model="claude-opus-4-8"),
    "PDF": talk(user(media("document", "application/pdf", PDF))),
    "default sampling with 4.7": with_members(model="claude-opus-4-7", temperature=1),
    "schema": shaped({**SCHEMA, "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}),
    "cache is warmed": with_members(max_tokens=0),
    "null members": with_members(system=None, tools=None, thinking=None, stop_sequences=None),
    "the vendor's own tools": with_members(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    "a model that nobody knows": with_members(model="my-model", temperature=0.5, thinking=None),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What Anthropic takes, the fake takes."""
    reply = await ask(FakeAnthropic(), ACCEPTED[rule])

    assert reply.status == 200, reply.raw


async def test_key_and_version() -> None:
    """The key in either header; the version is needed and has to be one."""
    fake = FakeAnthropic()
    body, path = question("anthropic"), "/v1/messages"
    version = {"anthropic-version": "2023-06-01"}

    bearer = await request(fake, path, body, headers={"authorization": f"Bearer {fake.api_key}", **version})
    none = await request(fake, path, body, headers=version)
    wrong = await request(fake, path, body, headers={"x-api-key": "no", **version})
    unversioned = await request(fake, path, body, headers={"x-api-key": fake.api_key})
    odd = await request(fake, path, body, headers={"x-api-key": fake.api_key, "anthropic-version": "2"})

    assert bearer.status == 200
    assert [(one.status, one.json["error"]["type"]) for one in (none, wrong)] == [(401, "authentication_error")] * 2
    assert "header is required" in unversioned.json["error"]["message"]
    assert "not a valid version" in odd.json["error"]["message"]


async def test_a_signature_is_bound_to_its_model() -> None:
    """Another model refuses what this one signed; without its text it is taken back."""
    fake = FakeAnthropic().reply("a", reasoning="Thought.")
    block = (await ask(fake)).json["content"][0]
    bare = {**block, "thinking": ""}

    same = await ask(fake, talk(USER, assistant(block, text()), USER))
    empty = await ask(fake, talk(USER, assistant(bare, text()), USER))
    other = await ask(fake, talk(USER, assistant(block, text()), USER, model="claude-opus-4-6"))

    assert (same.status, empty.status, other.status) == (200, 200, 400)


async def test_thought_is_omitted_from_4_7_on() -> None:
    """The block is there with its signature, its text only if `summarized` was asked for."""
    fake = FakeAnthropic().reply("a", reasoning="Thought.", times=2)
    new = with_members(model="claude-opus-4-7", thinking={"type": "adaptive"})
    shown = with_members(model="claude-opus-4-7", thinking={"type": "adaptive", "display": "summarized"})

    blocks = [(await ask(fake, body)).json["content"][0] for body in (new, shown)]

    assert [block["thinking"] for block in blocks] == ["", "Thought."]
    assert all(block["signature"] for block in blocks)


async def test_bad_json_large_bodies_unknown_paths_and_methods() -> None:
    """Each has the vendor's status and envelope."""
    fake = FakeAnthropic()

    broken = await ask(fake, b"{")
    large = await ask(fake, b" " * (32 * 1024 * 1024 + 1))
    unknown = await request(fake, "/v1/complete", {})
    method = await request(fake, "/v1/messages", method="GET")

    assert [(one.status, one.json["error"]["type"]) for one in (broken, large, unknown, method)] == [
        (400, "invalid_request_error"),
        (413, "request_too_large"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
    ]
