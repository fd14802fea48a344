"""FakeGemini refuses what Gemini refuses, one test for each rule."""

import base64
from typing import Any

import pytest

from compatgw_testing import FakeGemini
from tests.testing.driver import PNG, ask, question, request

NEW, OLD = "gemini-3-pro-preview", "gemini-2.5-flash"
DUMMY = "skip_thought_signature_validator"
OBJECT = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
USER = {"role": "user", "parts": [{"text": "Hi"}]}


def declared(*functions: object, **members: object) -> dict[str, Any]:
    """A request with these function declarations."""
    return question("gemini", **{"tools": [{"functionDeclarations": list(functions)}], **members})


def function(name: str = "f", **members: object) -> dict[str, Any]:
    """A function declaration."""
    return {"name": name, "description": "d", **members}


def config(**members: object) -> dict[str, Any]:
    """A request with this generation config."""
    return question("gemini", generationConfig=members)


def talk(*contents: object, **members: object) -> dict[str, Any]:
    """A request with these contents."""
    return question("gemini", **{"contents": list(contents), **members})


def parts(*given: object, role: str = "user") -> dict[str, Any]:
    """A content."""
    return {"role": role, "parts": list(given)}


def calls(*names: str, signature: str | None = None, **members: object) -> dict[str, Any]:
    """A model content of calls, the first one signed."""
    given: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": {}, **members}} for name in names]
    if signature is not None:
        given[0]["thoughtSignature"] = signature
    return parts(*given, role="model")


def results(*names: str, response: object = None, **members: object) -> dict[str, Any]:
    """A user content of results."""
    return parts(*({"functionResponse": {"name": name, "response": response or {}, **members}} for name in names))


# Rule: request, part of the message, model.
REFUSED: dict[str, tuple[Any, str, str]] = {
    "body is an object": ([1], "Invalid value", OLD),
    "contents are needed": ({}, "contents is not specified", OLD),
    "contents are not empty": (talk(), "contents is not specified", OLD),
    "unknown member": (
        question("gemini", messages=[]),
        'Invalid JSON payload received. Unknown name "messages": Cannot find field.',
        OLD,
    ),
    "unknown member inside": (
        config(max_completion_tokens=5),
        "Unknown name \"max_completion_tokens\" at 'generation_config': Cannot find field.",
        OLD,
    ),
    "unknown member of a schema": (
        declared(function(parameters={**OBJECT, "additionalProperties": False})),
        "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        OLD,
    ),
    "unknown member of a part": (talk(parts({"type": "text", "text": "a"})), 'Unknown name "type"', OLD),
    "type is not a list": (
        declared(function(parameters={"type": ["OBJECT", "NULL"]})),
        "Invalid value at 'tools[0].function_declarations[0].parameters.type'",
        OLD,
    ),
    "wrong type": (config(temperature="hot"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT)", OLD),
    "role": (talk({"role": "assistant", "parts": [{"text": "a"}]}), "Please use a valid role: user, model.", OLD),
    "parts are not empty": (talk(parts()), "contents[0].parts: contents.parts must not be empty", OLD),
    "a part has data": (talk(parts({"thought": True})), "required oneof field 'data'", OLD),
    "a part has one kind of data": (
        talk(parts({"text": "a", "functionCall": {"name": "f"}})),
        "oneof field 'data' is already set",
        OLD,
    ),
    "media is base64": (
        talk(parts({"inlineData": {"mimeType": "image/png", "data": "%%"}})),
        "Base64 decoding failed",
        OLD,
    ),
    "media has a type": (talk(parts({"inlineData": {"data": PNG}})), "mimeType is not specified", OLD),
    "a call is not first": (
        talk(calls("f"), results("f")),
        "function call turn comes immediately after a user turn",
        OLD,
    ),
    "a call follows the user": (
        talk(USER, parts({"text": "a"}, role="model"), calls("f"), results("f")),
        "function call turn comes immediately after a user turn",
        OLD,
    ),
    "calls are answered": (
        talk(USER, calls("f"), USER),
        "function response turn comes immediately after a function call turn",
        OLD,
    ),
    "a call is not last": (talk(USER, calls("f")), "function response turn comes immediately", OLD),
    "results have calls": (talk(USER, results("f")), "function response turn comes immediately after", OLD),
    "as many results as calls": (
        talk(USER, calls("f", "g"), results("f")),
        "equal to the number of function call parts",
        OLD,
    ),
    "results have the calls' names": (talk(USER, calls("f"), results("g")), "'g' does not match", OLD),
    "results have the calls' ids": (
        talk(USER, calls("f", id="1"), results("f", id="2")),
        "'f' does not match",
        OLD,
    ),
    "a result has a name": (
        talk(USER, calls("f"), parts({"functionResponse": {"response": {}}})),
        "name is not specified",
        OLD,
    ),
    "a response is an object": (
        talk(USER, calls("f"), results("f", response="18")),
        "'contents[2].parts[0].function_response.response' (type.googleapis.com/google.protobuf.Struct)",
        OLD,
    ),
    "a call in the current turn is signed": (
        talk(USER, calls("f"), results("f")),
        "Function call is missing a thought_signature in functionCall parts",
        NEW,
    ),
    "each step of the turn is signed": (
        talk(USER, calls("f", signature=DUMMY), results("f"), calls("g"), results("g")),
        "Function call `g`, position 3",
        NEW,
    ),
    "a signature is one of ours": (
        talk(USER, calls("f", signature=base64.b64encode(b"no").decode()), results("f")),
        "Thought signature is not valid",
        NEW,
    ),
    "function name": (declared(function("1f")), "Invalid function name", OLD),
    "function names differ": (declared(function(), function()), "Duplicate function declaration found: f", OLD),
    "one form of parameters": (
        declared(function(parameters=OBJECT, parametersJsonSchema={"type": "object"})),
        "only one of parameters and parameters_json_schema",
        OLD,
    ),
    "parameters are an object": (declared(function(parameters={"type": "STRING"})), "should be of type OBJECT", OLD),
    "functions beside search before 3": (
        question("gemini", tools=[{"functionDeclarations": [function()]}, {"googleSearch": {}}]),
        "Tool use with function calling is unsupported",
        OLD,
    ),
    "functions beside search from 3 on": (
        question("gemini", tools=[{"functionDeclarations": [function()]}, {"googleSearch": {}}]),
        "include_server_side_tool_invocations",
        NEW,
    ),
    "server side invocations before 3": (
        question("gemini", toolConfig={"includeServerSideToolInvocations": True}),
        "not supported for this model",
        OLD,
    ),
    "JSON beside functions before 3": (
        declared(function(), generationConfig={"responseMimeType": "application/json"}),
        "Function calling with a response mime type: 'application/json' is unsupported",
        OLD,
    ),
    "functions with an image model": (declared(function()), "not enabled for this model", "gemini-2.5-flash-image"),
    "allowed names need a mode": (
        declared(function(), toolConfig={"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}),
        "allowed_function_names may only be set",
        OLD,
    ),
    "allowed names are declared": (
        declared(function(), toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}),
        "'g'",
        OLD,
    ),
    "mode": (
        declared(function(), toolConfig={"functionCallingConfig": {"mode": "required"}}),
        "Invalid value at 'tool_config.function_calling_config.mode'",
        OLD,
    ),
    "temperature range": (config(temperature=2.5), "generation_config.temperature", OLD),
    "stop sequences": (config(stopSequences=list("abcdef")), "generation_config.stop_sequences", OLD),
    "candidate count": (config(candidateCount=9), "generation_config.candidate_count", OLD),
    "seed is an int32": (config(seed=2**31), "generation_config.seed", OLD),
    "penalty range": (config(presencePenalty=2), "[-2.0, 2.0)", OLD),
    "one schema": (
        config(responseMimeType="application/json", responseSchema=OBJECT, responseJsonSchema={"type": "object"}),
        "Only one of response_schema",
        OLD,
    ),
    "schema needs JSON": (config(responseSchema=OBJECT), "only allowed when response_mime_type", OLD),
    "JSON schema needs JSON": (config(responseJsonSchema={}), "only allowed when response_mime_type", OLD),
    "mime type": (config(responseMimeType="text/html"), "response_mime_type", OLD),
    "logprobs need their switch": (config(logprobs=2), "response_logprobs", OLD),
    "budget and level": (
        config(thinkingConfig={"thinkingBudget": 1024, "thinkingLevel": "LOW"}),
        "only one of thinking budget and thinking level",
        NEW,
    ),
    "level with 2.5": (config(thinkingConfig={"thinkingLevel": "LOW"}), "level is not supported", OLD),
    "level value": (config(thinkingConfig={"thinkingLevel": "HUGE"}), "thinking_level", NEW),
    "minimal level with 3 pro": (config(thinkingConfig={"thinkingLevel": "MINIMAL"}), "MINIMAL is not supported", NEW),
    "budget of flash": (config(thinkingConfig={"thinkingBudget": 30_000}), "budget 30000 is invalid", OLD),
    "budget of pro": (config(thinkingConfig={"thinkingBudget": 0}), "budget 0 is invalid", "gemini-2.5-pro"),
    "budget of flash-lite": (
        config(thinkingConfig={"thinkingBudget": 100}),
        "budget 100 is invalid",
        "gemini-2.5-flash-lite",
    ),
    "thinking with 2.0": (
        config(thinkingConfig={"thinkingBudget": 0}),
        "not enabled for this model",
        "gemini-2.0-flash",
    ),
    "thinking with gemma": (config(thinkingConfig={}), "not enabled for this model", "gemma-3-27b-it"),
    "safety categories once": (
        question("gemini", safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}] * 2),
        "duplicated category",
        OLD,
    ),
    "safety category": (
        question("gemini", safetySettings=[{"category": "HARASSMENT", "threshold": "BLOCK_NONE"}]),
        "safety_settings[0].category",
        OLD,
    ),
    "cached content stands alone": (
        question("gemini", cachedContent="cachedContents/a", systemInstruction={"parts": [{"text": "a"}]}),
        "CachedContent can not be used",
        OLD,
    ),
    "system instruction is text": (
        question("gemini", systemInstruction={"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}),
        "text parts only",
        OLD,
    ),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """A request against the rule is INVALID_ARGUMENT in Google's envelope."""
    body, hint, model = REFUSED[rule]
    fake = FakeGemini().reply("never said")

    reply = await ask(fake, body, model=model)

    error = reply.json["error"]
    assert (reply.status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert hint in error["message"]
    assert len(fake.unused) == 1


SIGNED = calls("f", "g", signature=DUMMY)
ACCEPTED: dict[str, tuple[Any, str]] = {
    "snake case": (
        {
            "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": PNG}}, {"text": "a"}]}],
            "system_instruction": {"parts": [{"text": "a"}]},
            "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 0}},
            "tools": [{"function_declarations": [function(parameters_json_schema={"type": "object"})]}],
        },
        OLD,
    ),
    "single items for lists": (
        {"contents": {"parts": {"text": "a"}}, "tools": {"functionDeclarations": function(parameters=OBJECT)}},
        OLD,
    ),
    "no role": (talk({"parts": [{"text": "a"}]}), OLD),
    "URL-safe base64 without padding": (
        talk(
            parts(
                {"inlineData": {"mimeType": "image/png", "data": PNG.replace("+", "-").replace("/", "_").rstrip("=")}}
            )
        ),
        OLD,
    ),
    "model speaks first": (talk(parts({"text": "a"}, role="model"), USER), OLD),
    "calls without signatures before 3": (talk(USER, calls("f"), results("f")), OLD),
    "calls of earlier turns without signatures": (
        talk(USER, calls("f"), results("f"), parts({"text": "a"}, role="model"), USER),
        NEW,
    ),
    "the dummy signature": (talk(USER, SIGNED, results("f", "g")), NEW),
    "the dummy signature in base64": (
        talk(USER, calls("f", signature=base64.b64encode(DUMMY.encode()).decode()), results("f")),
        NEW,
    ),
    "results and then the user": (talk(USER, calls("f"), results("f"), USER), OLD),
    "search and functions from 3 on": (
        question(
            "gemini",
            tools=[{"functionDeclarations": [function()]}, {"googleSearch": {}}],
            toolConfig={"includeServerSideToolInvocations": True},
        ),
        NEW,
    ),
    "JSON beside functions from 3 on": (
        declared(function(), generationConfig={"responseMimeType": "application/json"}),
        NEW,
    ),
    "free JSON schema": (
        config(responseMimeType="application/json", responseJsonSchema={"type": ["object", "null"], "x": 1}),
        OLD,
    ),
    "null members": (question("gemini", tools=None, generationConfig={"temperature": None}), OLD),
    "empty text with a signature": (
        talk(USER, parts({"text": "a"}, {"text": "", "thoughtSignature": DUMMY}, role="model"), USER),
        NEW,
    ),
    "dynamic budget": (config(thinkingConfig={"thinkingBudget": -1, "includeThoughts": True}), OLD),
}


@pytest.mark.parametrize("rule", ACCEPTED)
async def test_accepted(rule: str) -> None:
    """What Gemini takes, the fake takes."""
    body, model = ACCEPTED[rule]

    reply = await ask(FakeGemini(), body, model=model)

    assert reply.status == 200, reply.raw


async def test_keys() -> None:
    """A wrong key is a 400 with its reason, none is a 403, and one in the query is taken."""
    fake = FakeGemini()
    path, body = f"/v1beta/models/{OLD}:generateContent", question("gemini")

    wrong = await request(fake, path, body, headers={"x-goog-api-key": "no"})
    none = await request(fake, path, body)
    query = await request(fake, f"{path}?key={fake.api_key}", body)

    assert (wrong.status, wrong.json["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert (none.status, none.json["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert query.status == 200


async def test_errors_of_streams_have_the_form_of_streams() -> None:
    """With alt=sse the content type is the stream's; without it the envelope stands in a list."""
    fake = FakeGemini().fail(429, times=2)

    sse = await ask(fake, stream=True)
    path = f"/v1beta/models/{OLD}:streamGenerateContent"
    array = await request(fake, path, question("gemini"), headers={"x-goog-api-key": fake.api_key})

    assert (sse.status, sse.headers["content-type"]) == (429, "text/event-stream")
    assert sse.json["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert array.json[0]["error"]["status"] == "RESOURCE_EXHAUSTED"


async def test_a_stream_without_sse_is_one_array() -> None:
    """Without `alt=sse` the vendor sends one growing JSON array."""
    fake = FakeGemini().reply("One two")

    path = f"/v1beta/models/{OLD}:streamGenerateContent"
    reply = await request(fake, path, question("gemini"), headers={"x-goog-api-key": fake.api_key})

    assert reply.headers["content-type"].startswith("application/json")
    texts = [one["candidates"][0]["content"]["parts"][0]["text"] for one in reply.json]
    assert "".join(texts) == "One two"


async def test_bad_json_and_unknown_paths() -> None:
    """400 in the envelope; an unknown path is the front end's page."""
    fake = FakeGemini()

    broken = await ask(fake, b"{")
    unknown = await request(fake, "/v1beta/nothing", {})

    assert (broken.status, broken.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert unknown.status == 404
    assert unknown.headers["content-type"].startswith("text/html")


async def test_a_blocked_stream_has_feedback_and_no_candidates() -> None:
    """One response, which counts the prompt only."""
    reply = await ask(FakeGemini().block("SAFETY"), stream=True)

    (event,) = reply.events
    assert event["promptFeedback"] == {"blockReason": "SAFETY"}
    assert "candidates" not in event
    assert event["usageMetadata"]["totalTokenCount"] == event["usageMetadata"]["promptTokenCount"]


async def test_candidates_and_logprobs() -> None:
    """As many candidates as asked for; logprobs stand in the last response."""
    fake = FakeGemini().reply("One two")

    body = (await ask(fake, config(candidateCount=2, responseLogprobs=True, logprobs=1))).json

    assert [one["index"] for one in body["candidates"]] == [0, 1]
    chosen = body["candidates"][0]["logprobsResult"]["chosenCandidates"]
    assert "".join(one["token"] for one in chosen) == "One two"


async def test_members_that_hold_their_default_are_left_out() -> None:
    """No zero in usage, and older models leave out index 0."""
    fake = FakeGemini().reply("a", usage=(3, 1), times=2)

    new = (await ask(fake)).json
    old = (await ask(fake, model="gemini-2.0-flash")).json

    assert set(new["usageMetadata"]) == {
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "promptTokensDetails",
        "serviceTier",
    }
    assert new["candidates"][0]["index"] == 0
    assert "index" not in old["candidates"][0]


async def test_a_limit_spent_on_thought_leaves_no_parts() -> None:
    """As recorded: content without parts, finish reason MAX_TOKENS."""
    fake = FakeGemini().reply(finish="length", usage={"input": 3, "output": 9, "reasoning": 9})

    candidate = (await ask(fake)).json["candidates"][0]

    assert candidate["content"] == {"role": "model"}
    assert candidate["finishReason"] == "MAX_TOKENS"
