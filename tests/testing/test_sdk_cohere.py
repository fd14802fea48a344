"""The official Cohere SDK takes FakeCohere for Cohere."""

import json
from collections.abc import Callable
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from cohere.core.request_options import RequestOptions

from compatgw_testing import FakeCohere

Sdk = Callable[..., Any]
ONCE: RequestOptions = {"max_retries": 0}
ASK: Any = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}], "request_options": ONCE}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("get_weather", "get_time")
]


def test_chat_gives_text_and_usage(sdk: Sdk) -> None:
    """A scripted reply arrives; tokens are billed and real, both as floats."""
    fake = FakeCohere().reply("Bonjour", usage={"input": 20, "output": 4, "cached": 8})

    answer = sdk(fake).chat(**ASK)

    assert answer.message.content[0].text == "Bonjour"
    assert answer.finish_reason == "COMPLETE"
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (20.0, 4.0)
    assert answer.usage.billed_units.output_tokens == 4.0
    assert answer.usage.cached_tokens == 8.0


def test_a_stream_gives_thought_then_text(sdk: Sdk) -> None:
    """Thought is content 0 and text content 1; the end event has the usage."""
    fake = FakeCohere().reply("Bonjour à tous", reasoning="A greeting", usage=(3, 5))

    events = list(sdk(fake).chat_stream(**{**ASK, "model": "command-a-reasoning-08-2025"}))

    deltas = [(event.index, event.delta.message.content) for event in events if event.type == "content-delta"]
    assert "".join(content.thinking for index, content in deltas if index == 0) == "A greeting"
    assert "".join(content.text for index, content in deltas if index == 1) == "Bonjour à tous"
    assert events[0].type == "message-start"
    assert events[-1].type == "message-end"
    assert events[-1].delta.usage.tokens.output_tokens == 5.0


@pytest.mark.parametrize("stream", [False, True])
def test_parallel_tool_calls_with_a_plan(sdk: Sdk, stream: bool) -> None:
    """Prose before calls is the plan; calls are counted from 0."""
    fake = FakeCohere().tool_calls(("get_weather", {"city": "Paris"}), ("get_time", {}), text="I will look.")
    client = sdk(fake)

    if stream:
        events = list(client.chat_stream(**ASK, tools=TOOLS))
        plan = "".join(event.delta.message.tool_plan for event in events if event.type == "tool-plan-delta")
        names = [event.delta.message.tool_calls.function.name for event in events if event.type == "tool-call-start"]
        arguments = ["", ""]
        for event in events:
            if event.type == "tool-call-delta":
                arguments[event.index] += event.delta.message.tool_calls.function.arguments
        finish = events[-1].delta.finish_reason
    else:
        answer = client.chat(**ASK, tools=TOOLS)
        plan, finish = answer.message.tool_plan, answer.finish_reason
        names = [one.function.name for one in answer.message.tool_calls]
        arguments = [one.function.arguments for one in answer.message.tool_calls]
        assert answer.message.content is None

    assert plan == "I will look."
    assert names == ["get_weather", "get_time"]
    assert [json.loads(one) for one in arguments] == [{"city": "Paris"}, {}]
    assert finish == "TOOL_CALL"


def test_a_tool_round_trip(sdk: Sdk) -> None:
    """The call, sent back with its result, is answered."""
    fake = FakeCohere().tool_call("get_weather", city="Paris").reply("18 degrees")
    client = sdk(fake)

    call = client.chat(**ASK, tools=TOOLS).message.tool_calls[0]
    turn = {"role": "assistant", "tool_calls": [call.model_dump()], "tool_plan": "I will look."}
    result = {"role": "tool", "tool_call_id": call.id, "content": "18"}
    answer = client.chat(**{**ASK, "messages": [*ASK["messages"], turn, result]}, tools=TOOLS)

    assert answer.message.content[0].text == "18 degrees"


def test_structured_output(sdk: Sdk) -> None:
    """Nothing scripted: JSON that satisfies the schema, which stands right under `json_schema`."""
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}

    answer = sdk(FakeCohere()).chat(**ASK, response_format={"type": "json_object", "json_schema": schema})

    assert isinstance(json.loads(answer.message.content[0].text)["days"], int)


def test_a_required_tool_is_called(sdk: Sdk) -> None:
    """Nothing scripted: REQUIRED calls a tool."""
    answer = sdk(FakeCohere()).chat(**ASK, tools=TOOLS, tool_choice="REQUIRED")

    assert answer.message.tool_calls[0].function.name == "get_weather"


def test_models_are_listed_and_retrieved(sdk: Sdk) -> None:
    """Under v1, with features; unknown ones are 404 if the fake was given a list."""
    client = sdk(FakeCohere(models=["a", "b"]))

    assert [model.name for model in client.models.list(page_size=1).models] == ["a"]
    assert client.models.list(page_size=1).next_page_token == "1"
    assert client.models.get("b").name == "b"
    with pytest.raises(cohere.NotFoundError, match="not found"):
        client.chat(**ASK)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, cohere.BadRequestError),
        (401, cohere.UnauthorizedError),
        (402, ApiError),
        (403, cohere.ForbiddenError),
        (404, cohere.NotFoundError),
        (413, ApiError),
        (422, cohere.UnprocessableEntityError),
        (429, cohere.TooManyRequestsError),
        (498, cohere.InvalidTokenError),
        (500, cohere.InternalServerError),
        (503, cohere.ServiceUnavailableError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_error_class(sdk: Sdk, status: int, kind: type[ApiError], stream: bool) -> None:
    """A scripted status raises the SDK's class for it; the body is flat."""
    client = sdk(FakeCohere().fail(status, "Sorry."))

    with pytest.raises(kind) as error:
        list(client.chat_stream(**ASK)) if stream else client.chat(**ASK)

    assert error.value.status_code == status
    body = error.value.body
    assert (body if isinstance(body, dict) else vars(body))["message"] == "Sorry."
