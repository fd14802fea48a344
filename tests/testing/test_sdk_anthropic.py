"""The official Anthropic SDK takes FakeAnthropic for Anthropic."""

from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from compatgw_testing import FakeAnthropic

Sdk = Callable[..., Any]
ASK: Any = {"model": "claude-sonnet-4-6", "max_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}]}
TOOLS: Any = [
    {"name": name, "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    for name in ("get_weather", "get_time")
]


def test_a_message_gives_text_and_usage(sdk: Sdk) -> None:
    """A scripted reply arrives; cached tokens are told apart from the others."""
    fake = FakeAnthropic().reply("Bonjour", usage={"input": 20, "output": 4, "cached": 8, "cache_write": 2})

    message = sdk(fake).messages.create(**ASK)

    assert message.content[0].text == "Bonjour"
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 10
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (8, 2)
    assert message.usage.output_tokens == 4
    assert message._request_id.startswith("req_")


def test_a_stream_assembles_to_the_reply(sdk: Sdk) -> None:
    """The SDK's own accumulator gets thought with its signature, text and usage."""
    fake = FakeAnthropic().reply("Bonjour 👋", reasoning="A greeting.", usage=(3, 5))

    with sdk(fake).messages.stream(**ASK, thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        names = [event.type for event in stream]
        message = stream.get_final_message()

    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking == "A greeting."
    assert message.content[0].signature
    assert message.content[1].text == "Bonjour 👋"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 5)
    assert names[0] == "message_start"
    assert names[-1] == "message_stop"


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tool_calls_arrive_in_order(sdk: Sdk, stream: bool) -> None:
    """Text first, then the calls with their inputs; one without arguments has an empty input."""
    fake = FakeAnthropic().tool_calls(("get_weather", {"city": "Paris"}), ("get_time", {}), text="Let me see.")
    client = sdk(fake)

    if stream:
        with client.messages.stream(**ASK, tools=TOOLS) as events:
            message = events.get_final_message()
    else:
        message = client.messages.create(**ASK, tools=TOOLS)

    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert [(one.name, one.input) for one in message.content[1:]] == [
        ("get_weather", {"city": "Paris"}),
        ("get_time", {}),
    ]
    assert message.stop_reason == "tool_use"


def test_a_thinking_tool_round_trip(sdk: Sdk) -> None:
    """The turn with its signed thought, sent back unchanged, is taken; with a changed thought it is not."""
    fake = FakeAnthropic().reply(reasoning="I need it.", calls=[("get_weather", {"city": "Paris"})]).reply("18 degrees")
    client = sdk(fake)
    thinking = {"type": "enabled", "budget_tokens": 1024}

    first = client.messages.create(**ASK, tools=TOOLS, thinking=thinking)
    content = [block.model_dump(exclude_none=True) for block in first.content]
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "18"}
    history = [*ASK["messages"], {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    asked = {**ASK, "messages": history, "tools": TOOLS, "thinking": thinking}
    second = client.messages.create(**asked)
    content[0]["thinking"] = "Something else."

    assert second.content[0].text == "18 degrees"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        client.messages.create(**asked)


def test_parse_gets_an_object_of_the_schema(sdk: Sdk) -> None:
    """Nothing scripted: structured output is made from the schema that the SDK sends."""

    class Trip(BaseModel):
        city: str
        days: int

    message = sdk(FakeAnthropic()).messages.parse(**ASK, output_format=Trip)

    assert isinstance(message.parsed_output, Trip)


def test_a_forced_tool_is_called(sdk: Sdk) -> None:
    """Nothing scripted: the named tool is called."""
    message = sdk(FakeAnthropic()).messages.create(**ASK, tools=TOOLS, tool_choice={"type": "tool", "name": "get_time"})

    assert message.content[0].name == "get_time"


def test_a_refusal_and_a_redacted_thought(sdk: Sdk) -> None:
    """A refusal is a stop reason with details; encrypted thought is a block of its own."""
    fake = FakeAnthropic().refuse("No.").reply("Hm", reasoning="secret", redacted=True)
    client = sdk(fake)

    refused = client.messages.create(**ASK)
    redacted = client.messages.create(**ASK)

    assert refused.stop_reason == "refusal"
    assert refused.stop_details.explanation == "No."
    assert [block.type for block in redacted.content] == ["redacted_thinking", "text"]


def test_models_are_listed_and_retrieved(sdk: Sdk) -> None:
    """The list pages, and any id is retrieved unless the fake was given a list."""
    client = sdk(FakeAnthropic(models=["a", "b", "c"]))

    page = client.models.list(limit=2)

    assert [model.id for model in page.data] == ["a", "b"]
    assert [model.id for model in client.models.list(limit=2)] == ["a", "b", "c"]
    assert client.models.retrieve("b").id == "b"
    with pytest.raises(anthropic.NotFoundError, match="model: claude-sonnet-4-6"):
        client.messages.create(**ASK)


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.APIStatusError, "api_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_error_class(sdk: Sdk, status: int, kind: type[anthropic.APIStatusError], name: str, stream: bool) -> None:
    """A scripted status raises the SDK's class for it, with the vendor's type and request id."""
    fake = FakeAnthropic().fail(status, "Sorry.")

    with pytest.raises(kind, match=r"Sorry\.") as error:
        sdk(fake).messages.create(**ASK, stream=stream)

    assert error.value.status_code == status
    body: Any = error.value.body
    assert body["error"]["type"] == name
    assert error.value.request_id == body["request_id"]


def test_the_sdk_obeys_retry_after(sdk: Sdk) -> None:
    """Overloaded twice, then an answer."""
    fake = FakeAnthropic().fail(529, retry_after=0.01, times=2).reply("ok")

    message = sdk(fake, retries=2).messages.create(**ASK)

    assert message.content[0].text == "ok"
    assert len(fake.calls) == 3


def test_an_error_inside_a_stream_is_raised(sdk: Sdk) -> None:
    """The error event ends the stream with the vendor's type."""
    fake = FakeAnthropic().fault("One two three", error_after=4, error="overloaded")

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), sdk(fake).messages.stream(**ASK) as stream:
        stream.get_final_message()
