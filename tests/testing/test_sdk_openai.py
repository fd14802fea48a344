"""The official OpenAI SDK takes FakeOpenAI for OpenAI."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest
from pydantic import BaseModel, ConfigDict

from compatgw_testing import FakeOpenAI

Sdk = Callable[..., Any]
ASK: Any = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("get_weather", "get_time")
]


def test_chat_gives_text_and_usage(sdk: Sdk) -> None:
    """A scripted reply arrives whole, with its usage and the vendor's request id."""
    fake = FakeOpenAI().reply("Bonjour à tous", usage={"input": 11, "output": 4, "cached": 8, "reasoning": 1})

    answer = sdk(fake).chat.completions.create(**ASK)

    assert answer.choices[0].message.content == "Bonjour à tous"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 4, 15)
    assert answer.usage.prompt_tokens_details.cached_tokens == 8
    assert answer.usage.completion_tokens_details.reasoning_tokens == 1
    assert answer._request_id.startswith("req_")
    assert fake.assert_called_once().body == ASK


def test_a_stream_assembles_to_the_reply(sdk: Sdk) -> None:
    """The SDK's own accumulator gets text, one role, finish reason and usage."""
    fake = FakeOpenAI().reply(chunks=["Bon", "jour", " 👋"], usage=(3, 3))

    with sdk(fake).chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream:
        answer = stream.get_final_completion()

    assert answer.choices[0].message.content == "Bonjour 👋"
    assert answer.choices[0].message.role == "assistant"
    assert answer.usage.total_tokens == 6


def test_usage_is_streamed_only_when_asked_for(sdk: Sdk) -> None:
    """Without include_usage no chunk has usage and none is without choices."""
    fake = FakeOpenAI().reply("Hello there")

    chunks = list(sdk(fake).chat.completions.create(**ASK, stream=True))

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tool_calls_arrive_in_order(sdk: Sdk, stream: bool) -> None:
    """Text, then two calls with ids and arguments of their own."""
    calls = (("get_weather", {"city": "Paris"}), ("get_time", {"city": "Oslo"}))
    fake = FakeOpenAI().tool_calls(*calls, text="Let me see.")
    client = sdk(fake)

    if stream:
        with client.chat.completions.stream(**ASK, tools=TOOLS) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(**ASK, tools=TOOLS).choices[0]

    got = [(one.function.name, json.loads(one.function.arguments)) for one in choice.message.tool_calls]
    assert got == list(calls)
    assert choice.message.content == "Let me see."
    assert choice.finish_reason == "tool_calls"
    assert len({one.id for one in choice.message.tool_calls}) == 2


def test_a_tool_round_trip(sdk: Sdk) -> None:
    """The call, sent back with its result, is answered."""
    fake = FakeOpenAI().tool_call("get_weather", city="Paris").reply("18 degrees")
    client = sdk(fake)

    message = client.chat.completions.create(**ASK, tools=TOOLS).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18"}
    history = [*ASK["messages"], message, result]
    answer = client.chat.completions.create(model="gpt-4o", messages=history, tools=TOOLS)

    assert answer.choices[0].message.content == "18 degrees"


def test_parse_gets_an_object_of_the_schema(sdk: Sdk) -> None:
    """Nothing scripted: structured output is made from the schema that was asked for."""

    class Trip(BaseModel):
        model_config = ConfigDict(extra="forbid")
        city: str
        days: int

    answer = sdk(FakeOpenAI()).chat.completions.parse(**ASK, response_format=Trip)

    assert isinstance(answer.choices[0].message.parsed, Trip)


def test_a_forced_tool_is_called_with_made_up_arguments(sdk: Sdk) -> None:
    """Nothing scripted: the tool that was named is called with arguments of its schema."""
    choice = {"type": "function", "function": {"name": "get_time"}}

    answer = sdk(FakeOpenAI()).chat.completions.create(**ASK, tools=TOOLS, tool_choice=choice)

    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "get_time"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_a_refusal_is_a_refusal(sdk: Sdk) -> None:
    """The words stand in `refusal`, not in `content`, plain and streamed."""
    fake = FakeOpenAI().refuse("No.").refuse("No, no.")
    client = sdk(fake)

    plain = client.chat.completions.create(**ASK).choices[0].message
    with client.chat.completions.stream(**ASK) as events:
        streamed = events.get_final_completion().choices[0].message

    assert (plain.content, plain.refusal) == (None, "No.")
    assert streamed.refusal == "No, no."


def test_n_choices_and_logprobs(sdk: Sdk) -> None:
    """n gives as many choices; logprobs come for each piece."""
    answer = sdk(FakeOpenAI()).chat.completions.create(**ASK, n=2, logprobs=True, top_logprobs=1)

    assert [choice.index for choice in answer.choices] == [0, 1]
    tokens = [one.token for one in answer.choices[0].logprobs.content]
    assert "".join(tokens) == answer.choices[0].message.content


def test_models_are_listed_and_retrieved(sdk: Sdk) -> None:
    """Any id is retrieved, slashes included, unless the fake was given a list."""
    client = sdk(FakeOpenAI())
    strict = sdk(FakeOpenAI(models=["one", "two"]))

    assert "gpt-4o" in [model.id for model in client.models.list()]
    assert client.models.retrieve("vendor/model:x").id == "vendor/model:x"
    assert [model.id for model in strict.models.list()] == ["one", "two"]
    with pytest.raises(openai.NotFoundError, match="does not exist") as error:
        strict.chat.completions.create(**ASK)
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, openai.BadRequestError, None),
        (401, openai.AuthenticationError, "invalid_api_key"),
        (402, openai.APIStatusError, "insufficient_quota"),
        (403, openai.PermissionDeniedError, "insufficient_permissions"),
        (404, openai.NotFoundError, "model_not_found"),
        (409, openai.ConflictError, "conflict"),
        (413, openai.APIStatusError, "request_too_large"),
        (422, openai.UnprocessableEntityError, None),
        (429, openai.RateLimitError, "rate_limit_exceeded"),
        (500, openai.InternalServerError, None),
        (503, openai.InternalServerError, "overloaded"),
        (529, openai.InternalServerError, "overloaded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_error_class(
    sdk: Sdk, status: int, kind: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    """A scripted status raises the SDK's class for it, with code and request id."""
    fake = FakeOpenAI().fail(status, "Sorry.")

    with pytest.raises(kind, match=r"Sorry\.") as error:
        sdk(fake).chat.completions.create(**ASK, stream=stream)

    assert error.value.status_code == status
    assert error.value.code == code
    assert str(error.value.request_id).startswith("req_")
    assert fake.last.outcome == "failed"


def test_named_failures(sdk: Sdk) -> None:
    """What callers tell apart by code has a name in the script."""
    fake = FakeOpenAI().fail("context_length").fail("quota")
    client = sdk(fake)

    with pytest.raises(openai.BadRequestError) as overflow:
        client.chat.completions.create(**ASK)
    with pytest.raises(openai.RateLimitError) as quota:
        client.chat.completions.create(**ASK)

    assert overflow.value.code == "context_length_exceeded"
    assert quota.value.code == "insufficient_quota"


def test_the_sdk_obeys_retry_after(sdk: Sdk) -> None:
    """Twice too many requests, then an answer: three calls, one result."""
    fake = FakeOpenAI().fail(429, retry_after=0.01, times=2).reply("ok")

    answer = sdk(fake, retries=2).chat.completions.create(**ASK)

    assert answer.choices[0].message.content == "ok"
    assert [call.status for call in fake.calls] == [429, 429, 200]


def test_a_wrong_key_is_refused(sdk: Sdk) -> None:
    """The vendor's 401, the key masked."""
    with pytest.raises(openai.AuthenticationError) as error:
        sdk(FakeOpenAI(), key="sk-wrong-wrong-wrong").chat.completions.create(**ASK)

    assert error.value.code == "invalid_api_key"
    assert "sk-wrong-wrong-wrong" not in str(error.value)
