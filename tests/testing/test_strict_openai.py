"""FakeOpenAI refuses what OpenAI refuses, one test for each rule."""

from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from tests.testing.driver import PNG, SCHEMA, ask, question, request

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OTHER = {**CALL, "id": "call_b"}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL, OTHER]}
RESULT = {"role": "tool", "tool_call_id": "call_a", "content": "1"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
LOOSE = {"type": "object", "properties": {"a": {"type": "string"}}, "required": []}


def said(*parts: object, **members: object) -> dict[str, Any]:
    """A request whose user says `parts`."""
    return question("openai", **{"messages": [{"role": "user", "content": list(parts)}], **members})


def talk(*messages: object, **members: object) -> dict[str, Any]:
    """A request with these messages."""
    return question("openai", **{"messages": list(messages), **members})


def with_members(**members: object) -> dict[str, Any]:
    """The smallest request with these members."""
    return question("openai", **members)


def named(name: str, **function: object) -> dict[str, Any]:
    """A tool of this name."""
    return {"type": "function", "function": {"name": name, **function}}


def image(url: str) -> dict[str, Any]:
    """A part with an image."""
    return {"type": "image_url", "image_url": {"url": url}}


def shaped(schema: object, **members: object) -> dict[str, Any]:
    """A response format with a schema."""
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, **members}}


# Rule: request, param of the answer, part of its message or its code.
REFUSED: dict[str, tuple[Any, str | None, str]] = {
    "body is an object": ([1], None, "object"),
    "model is needed": ({"messages": [USER]}, "model", "missing_required_parameter"),
    "messages are needed": ({"model": "gpt-4o"}, "messages", "missing_required_parameter"),
    "messages are not empty": (talk(), "messages", "empty_array"),
    "unknown member": (with_members(top_k=3), None, "Unrecognized request argument supplied: top_k"),
    "unknown role": (talk({"role": "bot", "content": "Hi"}), "messages[0].role", "invalid_value"),
    "missing role": (talk({"content": "Hi"}), "messages[0].role", "missing_required_parameter"),
    "content is text or parts": (talk({"role": "user", "content": 5}), "messages[0].content", "invalid_type"),
    "user content is needed": (talk({"role": "user"}), "messages[0].content", "missing_required_parameter"),
    "user content is not null": (talk({"role": "user", "content": None}), "messages[0].content", "invalid_type"),
    "content has parts": (said(), "messages[0].content", "empty_array"),
    "unknown part": (said({"type": "video", "video": "x"}), "messages[0].content[0].type", "invalid_value"),
    "part of another role": (
        talk({"role": "system", "content": [image("https://a.example/b.png")]}),
        "messages[0].content[0].type",
        "invalid_value",
    ),
    "part without its member": (said({"type": "text"}), "messages[0].content[0].text", "missing_required_parameter"),
    "assistant says something": (talk({"role": "assistant", "content": None}), "messages[0].content", "null"),
    "image data URL": (
        said(image("data:image/png;base64,%%%")),
        "messages[0].content[0].image_url.url",
        "invalid_image_url",
    ),
    "image data URL of another type": (
        said(image(f"data:application/pdf;base64,{PNG}")),
        "messages[0].content[0].image_url.url",
        "invalid_image_url",
    ),
    "image URL scheme": (said(image("ftp://a/b.png")), "messages[0].content[0].image_url.url", "invalid_value"),
    "audio is base64": (
        said({"type": "input_audio", "input_audio": {"data": "!", "format": "wav"}}),
        "messages[0].content[0].input_audio.data",
        "invalid_value",
    ),
    "audio format": (
        said({"type": "input_audio", "input_audio": {"data": PNG, "format": "ogg"}}),
        "messages[0].content[0].input_audio.format",
        "invalid_value",
    ),
    "file data or id": (
        said({"type": "file", "file": {"filename": "a.pdf"}}),
        "messages[0].content[0].file",
        "missing_required_parameter",
    ),
    "file is base64": (
        said({"type": "file", "file": {"file_data": "data:application/pdf;base64,!", "filename": "a.pdf"}}),
        "messages[0].content[0].file.file_data",
        "invalid_value",
    ),
    "every call is answered": (talk(USER, CALLS, RESULT, tools=[TOOL]), "messages.[3].role", "call_b"),
    "answered before anything else": (talk(USER, CALLS, USER, tools=[TOOL]), "messages.[2].role", "call_a, call_b"),
    "a result has a call": (talk(USER, RESULT), "messages.[1].role", "must be a response"),
    "a result has this call": (
        talk(USER, CALLS, {**RESULT, "tool_call_id": "call_c"}, tools=[TOOL]),
        "messages.[2].role",
        "call_c",
    ),
    "a result names its call": (
        talk(USER, {"role": "tool", "content": "1"}),
        "messages[1].tool_call_id",
        "missing_required_parameter",
    ),
    "ids of at most 40": (
        talk(USER, {**CALLS, "tool_calls": [{**CALL, "id": "c" * 41}]}),
        "messages[1].tool_calls[0].id",
        "string_above_max_length",
    ),
    "arguments are a string": (
        talk(USER, {**CALLS, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}),
        "messages[1].tool_calls[0].function.arguments",
        "invalid_type",
    ),
    "no empty list of calls": (
        talk(USER, {"role": "assistant", "content": "a", "tool_calls": []}, USER),
        "messages[1].tool_calls",
        "empty_array",
    ),
    "tool name": (with_members(tools=[named("a.b")]), "tools[0].function.name", "pattern"),
    "tool name of at most 64": (
        with_members(tools=[named("a" * 65)]),
        "tools[0].function.name",
        "string_above_max_length",
    ),
    "unknown member of a tool": (
        with_members(tools=[named("a", input_schema={})]),
        "tools[0].function.input_schema",
        "unknown_parameter",
    ),
    "tools are not empty": (with_members(tools=[]), "tools", "empty_array"),
    "tool_choice needs tools": (with_members(tool_choice="auto"), "tool_choice", "only allowed"),
    "parallel_tool_calls needs tools": (with_members(parallel_tool_calls=False), "parallel_tool_calls", "only allowed"),
    "function_call needs functions": (with_members(function_call="auto"), "function_call", "only allowed"),
    "tool_choice value": (with_members(tools=[TOOL], tool_choice="any"), "tool_choice", "invalid_value"),
    "tool_choice names a tool": (
        with_members(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
        "tool_choice",
        "not found",
    ),
    "strict tools are closed": (
        with_members(tools=[named("f", strict=True, parameters=LOOSE)]),
        "tools[0].function.parameters",
        "additionalProperties",
    ),
    "strict tools need every property": (
        with_members(tools=[named("f", strict=True, parameters={**LOOSE, "additionalProperties": False})]),
        "tools[0].function.parameters",
        "required",
    ),
    "strict schemas are closed": (
        with_members(response_format=shaped(LOOSE, strict=True)),
        "response_format",
        "invalid_json_schema",
    ),
    "strict schemas are schemas": (
        with_members(response_format=shaped({"type": "object", "properties": []}, strict=True)),
        "response_format",
        "'properties' has to be an object",
    ),
    "format name": (
        with_members(response_format={"type": "json_schema", "json_schema": {"schema": SCHEMA}}),
        "response_format.json_schema.name",
        "missing_required_parameter",
    ),
    "format type": (with_members(response_format={"type": "json"}), "response_format.type", "invalid_value"),
    "json_object needs the word": (with_members(response_format={"type": "json_object"}), "messages", "json"),
    "stream_options need stream": (
        with_members(stream_options={"include_usage": True}),
        "stream_options",
        "only allowed",
    ),
    "unknown stream option": (
        with_members(stream=True, stream_options={"usage": True}),
        "stream_options.usage",
        "unknown_parameter",
    ),
    "top_logprobs need logprobs": (with_members(top_logprobs=2), "top_logprobs", "only allowed"),
    "top_logprobs range": (with_members(logprobs=True, top_logprobs=21), "top_logprobs", "integer_above_max_value"),
    "temperature range": (with_members(temperature=2.5), "temperature", "decimal_above_max_value"),
    "temperature type": (with_members(temperature="hot"), "temperature", "invalid_type"),
    "top_p range": (with_members(top_p=-0.5), "top_p", "decimal_below_min_value"),
    "penalty range": (with_members(presence_penalty=3), "presence_penalty", "integer_above_max_value"),
    "n range": (with_members(n=0), "n", "integer_below_min_value"),
    "n is whole": (with_members(n=1.5), "n", "invalid_type"),
    "max_tokens range": (with_members(max_tokens=0), "max_tokens", "integer_below_min_value"),
    "stop has at most 4": (with_members(stop=list("abcde")), "stop", "array_above_max_length"),
    "logit_bias range": (with_members(logit_bias={"5": 101}), "logit_bias.5", "integer_above_max_value"),
    "seed is whole": (with_members(seed="1"), "seed", "invalid_type"),
    "stream is a flag": (with_members(stream="yes"), "stream", "invalid_type"),
    "metadata holds strings": (with_members(metadata={"a": 1}), "metadata.a", "invalid_type"),
    "metadata keys of at most 64": (with_members(metadata={"a" * 65: "b"}), "metadata", "64"),
    "metadata has at most 16": (
        with_members(metadata={str(n): "" for n in range(17)}),
        "metadata",
        "array_above_max_length",
    ),
    "reasoning_effort value": (with_members(model="o3", reasoning_effort="huge"), "reasoning_effort", "invalid_value"),
    "audio output needs audio": (with_members(modalities=["text", "audio"]), "audio", "missing_required_parameter"),
    "max_tokens with o-series": (with_members(model="o3-mini", max_tokens=5), "max_tokens", "unsupported_parameter"),
    "max_tokens with gpt-5": (with_members(model="gpt-5-mini", max_tokens=5), "max_tokens", "unsupported_parameter"),
    "stop with gpt-5": (with_members(model="gpt-5-mini", stop=["a"]), "stop", "unsupported_parameter"),
    "temperature with gpt-5": (with_members(model="gpt-5", temperature=0), "temperature", "unsupported_value"),
    "top_p with o-series": (with_members(model="o3", top_p=0.5), "top_p", "unsupported_value"),
    "parallel calls with o-series": (
        with_members(model="o3-mini", tools=[TOOL], parallel_tool_calls=False),
        "parallel_tool_calls",
        "unsupported_parameter",
    ),
    "temperature with a 5.x that thinks": (
        with_members(model="gpt-5.4", temperature=0, reasoning_effort="low"),
        "temperature",
        "unsupported_value",
    ),
    "audio with a model without": (
        said({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        "messages[0]",
        "invalid_value",
    ),
    "reasoning_effort with gpt-4": (with_members(reasoning_effort="low"), None, "Unrecognized request argument"),
    "web search with a model without": (with_members(web_search_options={}), "web_search_options", "not supported"),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """A request against the rule is a 400 in OpenAI's envelope that names the member."""
    body, param, hint = REFUSED[rule]
    fake = FakeOpenAI().reply("never said")

    reply = await ask(fake, body)

    error = reply.json["error"]
    assert (reply.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert hint in (error["code"] or "") + error["message"]
    assert reply.headers["x-request-id"].startswith("req_")
    assert fake.last.outcome == "refused"
    assert len(fake.unused) == 1, "a refused call takes no step of the script"


ACCEPTED: dict[str, Any] = {
    "empty text": talk({"role": "user", "content": ""}),
    "null members": with_members(temperature=None, stop=None, tools=None, stream_options=None),
    "system and developer anywhere": talk(
        USER, {"role": "developer", "content": "a"}, {"role": "system", "content": "b"}
    ),
    "several parts": said(
        {"type": "text", "text": "a"},
        image(f"data:image/png;base64,{PNG}"),
        image("https://a.example/b.png"),
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
    ),
    "results in any order": talk(USER, CALLS, {**RESULT, "tool_call_id": "call_b"}, RESULT, tools=[TOOL]),
    "unknown members of messages": talk({**USER, "annotations": []}),
    "audio with an audio model": said(
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, model="gpt-4o-audio-preview"
    ),
    "strict schema": with_members(response_format=shaped(SCHEMA, strict=True)),
    "json_object with the word": talk({"role": "user", "content": "as JSON"}, response_format={"type": "json_object"}),
    "allowed tools": with_members(
        tools=[TOOL],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
    ),
    "temperature with a 5.x that does not think": with_members(model="gpt-5.4", temperature=0),
    "temperature 1 with gpt-5": with_members(model="gpt-5", temperature=1),
    "tool_choice none without tools": with_members(tool_choice="none"),
    "functions": with_members(functions=[{"name": "f", "parameters": SCHEMA}], function_call={"name": "f"}),
    "custom tool": with_members(tools=[{"type": "custom", "custom": {"name": "f"}}]),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What OpenAI takes, the fake takes."""
    reply = await ask(FakeOpenAI(), ACCEPTED[rule])

    assert reply.status == 200, reply.raw


async def test_no_key_and_a_wrong_key() -> None:
    """Both are 401; only the wrong one has a code."""
    fake = FakeOpenAI()

    none = await request(fake, "/v1/chat/completions", question("openai"))
    wrong = await request(fake, "/v1/chat/completions", question("openai"), headers={"authorization": "Bearer no"})

    assert (none.status, none.json["error"]["code"]) == (401, None)
    assert (wrong.status, wrong.json["error"]["code"]) == (401, "invalid_api_key")


async def test_bad_json_unknown_paths_and_methods() -> None:
    """400 for a body that is no JSON, 404 for an unknown URL, 405 for a method."""
    fake = FakeOpenAI()

    broken = [await ask(fake, raw) for raw in (b"{", b"\xff{}", b'{"a": NaN}', b"[" * 100_000)]
    unknown = await request(fake, "/chat/completions", question("openai"))
    method = await request(fake, "/v1/chat/completions", method="GET")

    assert [reply.status for reply in broken] == [400] * 4
    assert unknown.json["error"]["message"] == "Invalid URL (POST /chat/completions)"
    assert unknown.status == 404
    assert (method.status, method.json["error"]["code"]) == (405, "method_not_supported")


async def test_lenient_on_request() -> None:
    """`strict=False` answers a request that the vendor would refuse."""
    reply = await ask(FakeOpenAI(strict=False).reply("ok"), with_members(top_k=3, temperature=9))

    assert reply.json["choices"][0]["message"]["content"] == "ok"
