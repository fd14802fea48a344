"""The official Google SDK takes FakeGemini for Gemini, on its default path and on v1beta."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from compatgw_testing import FakeGemini

Sdk = Callable[..., Any]
MODEL = "gemini-3-pro-preview"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: Any = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, description="d", parameters_json_schema=SCHEMA)
            for name in ("get_weather", "get_time")
        ]
    )
]


def test_an_answer_gives_text_and_usage(sdk: Sdk) -> None:
    """A scripted reply arrives; thought is counted apart from the text."""
    fake = FakeGemini().reply("Bonjour", usage={"input": 20, "output": 6, "cached": 8, "reasoning": 4})

    answer = sdk(fake).models.generate_content(model=MODEL, contents="Hi")

    usage = answer.usage_metadata
    assert answer.text == "Bonjour"
    assert answer.candidates[0].finish_reason == "STOP"
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count) == (20, 2, 4)
    assert (usage.total_token_count, usage.cached_content_token_count) == (26, 8)
    assert fake.last.path == f"/v1/models/{MODEL}:generateContent"


def test_v1beta_is_served_too(origin: Callable[..., str]) -> None:
    """What most gateways call."""
    fake = FakeGemini().reply("Hello")
    options = types.HttpOptions(base_url=origin(fake), api_version="v1beta")
    client = genai.Client(api_key=fake.api_key, http_options=options)

    answer = client.models.generate_content(model=MODEL, contents="Hi")
    client.close()

    assert answer.text == "Hello"
    assert fake.last.path.startswith("/v1beta/")


def test_a_stream_gives_thought_text_and_growing_usage(sdk: Sdk) -> None:
    """Thought comes marked and first; usage never falls and ends at the total."""
    fake = FakeGemini().reply("Bonjour à tous", reasoning="A greeting", usage={"input": 3, "output": 5, "reasoning": 2})
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))

    chunks = list(sdk(fake).models.generate_content_stream(model=MODEL, contents="Hi", config=config))

    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if part.thought) == "A greeting"
    assert "".join(part.text for part in parts if not part.thought) == "Bonjour à tous"
    totals = [chunk.usage_metadata.total_token_count for chunk in chunks]
    assert totals == sorted(totals)
    assert totals[-1] == 8
    assert [chunk.candidates[0].finish_reason for chunk in chunks][-2:] == [None, "STOP"]


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tool_calls(sdk: Sdk, stream: bool) -> None:
    """Calls come whole, without ids before 3.5, and only the first is signed."""
    fake = FakeGemini().tool_calls(("get_weather", {"city": "Paris"}), ("get_time", {}))
    client = sdk(fake)
    config = types.GenerateContentConfig(tools=TOOLS)

    if stream:
        chunks = client.models.generate_content_stream(model=MODEL, contents="Hi", config=config)
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts if part.function_call]
    else:
        answer = client.models.generate_content(model=MODEL, contents="Hi", config=config)
        parts = answer.candidates[0].content.parts

    assert [(part.function_call.name, part.function_call.args) for part in parts] == [
        ("get_weather", {"city": "Paris"}),
        ("get_time", {}),
    ]
    assert [part.function_call.id for part in parts] == [None, None]
    assert parts[0].thought_signature
    assert parts[1].thought_signature is None


def test_ids_of_calls_come_from_3_5_on(sdk: Sdk) -> None:
    """The version is read from the model's name."""
    fake = FakeGemini().tool_call("get_weather")

    answer = sdk(fake).models.generate_content(model="gemini-3.5-flash", contents="Hi")

    assert answer.function_calls[0].id


def test_a_signed_tool_round_trip(sdk: Sdk) -> None:
    """The signature that was given is taken back; a made-up one is not."""
    fake = FakeGemini().tool_call("get_weather", city="Paris").reply("18 degrees")
    client = sdk(fake)
    config = types.GenerateContentConfig(tools=TOOLS)
    question = types.Content(role="user", parts=[types.Part(text="Hi")])
    result = types.Content(
        role="user", parts=[types.Part.from_function_response(name="get_weather", response={"output": "18"})]
    )

    turn = client.models.generate_content(model=MODEL, contents=[question], config=config).candidates[0].content
    answer = client.models.generate_content(model=MODEL, contents=[question, turn, result], config=config)
    turn.parts[0].thought_signature = b"somebody else's"

    assert answer.text == "18 degrees"
    with pytest.raises(errors.ClientError, match="signature"):
        client.models.generate_content(model=MODEL, contents=[question, turn, result], config=config)


def test_structured_output(sdk: Sdk) -> None:
    """Nothing scripted: the SDK parses an object of the schema that was asked for."""

    class Trip(BaseModel):
        city: str
        days: int

    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)

    answer = sdk(FakeGemini()).models.generate_content(model=MODEL, contents="Hi", config=config)

    assert isinstance(answer.parsed, Trip)


def test_a_forced_function_is_called(sdk: Sdk) -> None:
    """Nothing scripted: mode ANY calls the function that is allowed."""
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["get_time"])
    config = types.GenerateContentConfig(tools=TOOLS, tool_config=types.ToolConfig(function_calling_config=calling))

    answer = sdk(FakeGemini()).models.generate_content(model=MODEL, contents="Hi", config=config)

    assert answer.function_calls[0].name == "get_time"


def test_refusal_and_blocked_prompt(sdk: Sdk) -> None:
    """A refusal is finish reason SAFETY; a blocked prompt has no candidates."""
    fake = FakeGemini().refuse().block("PROHIBITED_CONTENT")
    client = sdk(fake)

    refused = client.models.generate_content(model=MODEL, contents="Hi")
    blocked = client.models.generate_content(model=MODEL, contents="Hi")

    assert refused.candidates[0].finish_reason == "SAFETY"
    assert blocked.candidates is None
    assert blocked.prompt_feedback.block_reason == "PROHIBITED_CONTENT"


def test_a_stream_without_sse_is_one_array(sdk: Sdk, origin: Callable[..., str]) -> None:
    """Without `alt=sse` the vendor sends one growing JSON array."""
    fake = FakeGemini().reply("One two")
    body = {"contents": [{"parts": [{"text": "Hi"}]}]}

    url = f"{origin(fake)}/v1beta/models/{MODEL}:streamGenerateContent"
    answer = httpx.post(url, json=body, headers={"x-goog-api-key": fake.api_key})

    assert answer.headers["content-type"].startswith("application/json")
    texts = [one["candidates"][0]["content"]["parts"][0]["text"] for one in answer.json()]
    assert "".join(texts) == "One two"


def test_models_are_listed_and_retrieved(sdk: Sdk) -> None:
    """The list pages; names carry their prefix."""
    client = sdk(FakeGemini(models=["a", "b", "c"]))

    assert [model.name for model in client.models.list(config={"page_size": 2})] == ["models/a", "models/b", "models/c"]
    assert client.models.get(model="b").name == "models/b"
    with pytest.raises(errors.ClientError, match="is not found"):
        client.models.generate_content(model=MODEL, contents="Hi")


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ClientError, "UNAUTHENTICATED"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (404, errors.ClientError, "NOT_FOUND"),
        (413, errors.ClientError, "INVALID_ARGUMENT"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
        (504, errors.ServerError, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_error_class(sdk: Sdk, status: int, kind: type[errors.APIError], name: str, stream: bool) -> None:
    """A scripted status raises the SDK's class for it, with the RPC name."""
    models = sdk(FakeGemini().fail(status, "Sorry.")).models
    call = models.generate_content_stream if stream else models.generate_content

    with pytest.raises(kind, match=r"Sorry\.") as error:
        list(call(model=MODEL, contents="Hi"))

    assert error.value.code == status
    assert error.value.status == name


def test_how_long_to_wait_stands_in_the_details(sdk: Sdk) -> None:
    """There is no retry-after header; RetryInfo says it."""
    fake = FakeGemini().fail(429, retry_after=34.4)

    with pytest.raises(errors.ClientError) as error:
        sdk(fake).models.generate_content(model=MODEL, contents="Hi")

    details = error.value.details["error"]["details"]
    assert details[-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}


def test_a_wrong_key_is_a_400(sdk: Sdk) -> None:
    """Not a 401: the reason stands in the details."""
    with pytest.raises(errors.ClientError) as error:
        sdk(FakeGemini(), key="wrong").models.generate_content(model=MODEL, contents="Hi")

    assert error.value.code == 400
    assert error.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
