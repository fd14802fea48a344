"""The official Anthropic SDK in the same process as FakeAnthropic, sync and async, over every surface."""

from collections.abc import Callable
from typing import Any, Literal

import anthropic
import pytest
from pydantic import BaseModel

from compatgw_testing import FakeAnthropic
from tests.testing.inprocess import Connect, entered, listed, maybe, paged

MODEL = "claude-sonnet-4-6"
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}]}
THINKING = {"type": "enabled", "budget_tokens": 1024}
TOOLS: list[Any] = [
    {"name": name, "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
    for name in ("get_weather", "get_time")
]


class Trip(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int
    mood: Literal["calm", "wild"]


async def test_chat(connect: Connect) -> None:
    """Text, the id of the request, and usage that tells cached tokens apart from the others."""
    usage: Any = {"input": 20, "output": 4, "cached": 8, "cache_write": 2}
    client = await connect(FakeAnthropic().reply("Bonjour", usage=usage))

    answer = await maybe(client.messages.create(**ASK))

    assert answer.content[0].text == "Bonjour"
    assert (answer.stop_reason, answer._request_id[:4]) == ("end_turn", "req_")
    used = answer.usage
    assert (used.input_tokens, used.output_tokens) == (10, 4)
    assert (used.cache_read_input_tokens, used.cache_creation_input_tokens) == (8, 2)


async def test_stream(connect: Connect) -> None:
    """Signed thought and text in pieces; the SDK puts the whole message together."""
    client = await connect(FakeAnthropic().reply("One two 👋", reasoning="Let me count", usage=(3, 7)))

    async with entered(client.messages.stream(**ASK, thinking=THINKING)) as stream:
        events = await listed(stream)
        whole = await maybe(stream.get_final_message())

    assert [event.text for event in events if event.type == "text"] == ["One", " two", " 👋"]
    assert (events[0].type, events[-1].type) == ("message_start", "message_stop")
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert (whole.content[0].thinking, whole.content[1].text) == ("Let me count", "One two 👋")
    assert whole.content[0].signature
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (3, 7)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(connect: Connect, streamed: bool) -> None:
    """Parallel calls after text, sent back with their results, are answered."""
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}), ("get_time", {})]
    client = await connect(FakeAnthropic().tool_calls(*calls, text="Both.").reply("18 and 3"))

    if streamed:
        async with entered(client.messages.stream(**ASK, tools=TOOLS)) as stream:
            first = await maybe(stream.get_final_message())
    else:
        first = await maybe(client.messages.create(**ASK, tools=TOOLS))
    asked = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "18"} for block in asked]
    history = [*ASK["messages"], {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = await maybe(client.messages.create(**{**ASK, "messages": history}, tools=TOOLS))

    assert [block.type for block in first.content] == ["text", *["tool_use"] * 3]
    assert [(block.name, block.input) for block in asked] == calls
    assert (first.stop_reason, second.content[0].text) == ("tool_use", "18 and 3")


async def test_a_thinking_tool_round_trip(connect: Connect) -> None:
    """The turn with its signed thought, sent back unchanged, is taken; with a changed thought it is not."""
    fake = FakeAnthropic().reply(reasoning="I need it.", calls=[("get_weather", {"city": "Paris"})]).reply("18 degrees")
    client = await connect(fake)

    first = await maybe(client.messages.create(**ASK, tools=TOOLS, thinking=THINKING))
    content = [block.model_dump(exclude_none=True) for block in first.content]
    result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "18"}
    history = [*ASK["messages"], {"role": "assistant", "content": content}, {"role": "user", "content": [result]}]
    asked = {**ASK, "messages": history, "tools": TOOLS, "thinking": THINKING}
    second = await maybe(client.messages.create(**asked))
    content[0]["thinking"] = "Something else."

    assert second.content[0].text == "18 degrees"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        await maybe(client.messages.create(**asked))


async def test_a_forced_tool_is_called(connect: Connect) -> None:
    """Nothing scripted: the named tool is called."""
    client = await connect(FakeAnthropic())

    message = await maybe(client.messages.create(**ASK, tools=TOOLS, tool_choice={"type": "tool", "name": "get_time"}))

    assert message.content[0].name == "get_time"


async def test_a_refusal_and_a_redacted_thought(connect: Connect) -> None:
    """A refusal is a stop reason with details; encrypted thought is a block of its own."""
    client = await connect(FakeAnthropic().refuse("No.").reply("Hm", reasoning="secret", redacted=True))

    refused = await maybe(client.messages.create(**ASK))
    redacted = await maybe(client.messages.create(**ASK))

    assert (refused.stop_reason, refused.stop_details.explanation) == ("refusal", "No.")
    assert [block.type for block in redacted.content] == ["redacted_thinking", "text"]


async def test_structured_output(connect: Connect) -> None:
    """Nothing scripted: what is made up satisfies the model's schema."""
    client = await connect(FakeAnthropic())

    answer = await maybe(client.messages.parse(**ASK, output_format=Trip))

    assert isinstance(answer.parsed_output, Trip)
    assert answer.parsed_output.city.istitle()


async def test_counting_tokens(connect: Connect) -> None:
    """The newest SDK counts as many as a message has read."""
    client = await connect(FakeAnthropic().reply("Hi"))

    count = await maybe(client.messages.count_tokens(model=MODEL, messages=ASK["messages"], tools=TOOLS))
    answer = await maybe(client.messages.create(**ASK, tools=TOOLS))

    assert count.input_tokens == answer.usage.input_tokens > 0


async def test_models(connect: Connect) -> None:
    """Page by page, with capabilities; others are not found."""
    client = await connect(FakeAnthropic(models=["claude-opus-5-5", "b", "c"]))

    page = await maybe(client.models.list(limit=2))
    names = [model.id for model in await listed(paged(client.models.list(limit=2)))]
    model = await maybe(client.models.retrieve("claude-opus-5-5"))

    assert [one.id for one in page.data] == ["claude-opus-5-5", "b"]
    assert names == ["claude-opus-5-5", "b", "c"]
    assert (await maybe(client.models.retrieve("b"))).id == "b"
    with pytest.raises(anthropic.NotFoundError, match=f"model: {MODEL}"):
        await maybe(client.messages.create(**ASK))
    assert model.capabilities.thinking.types.disabled.supported is False
    assert (model.max_tokens, model.lifecycle) == (128_000, "active")


@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.PaymentRequiredError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (408, anthropic.RequestTimeoutError, "timeout_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (413, anthropic.RequestTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (503, anthropic.ServiceUnavailableError, "api_error"),
        (504, anthropic.GatewayTimeoutError, "timeout_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("surface", ["messages", "stream", "count"])
async def test_each_error_class(
    connect: Connect, status: int, kind: type[anthropic.APIStatusError], name: str, surface: str
) -> None:
    """On every surface, with the vendor's type and the id of the request."""
    client = await connect(FakeAnthropic().fail(status, "Sorry."))
    calls: dict[str, Callable[[], Any]] = {
        "messages": lambda: client.messages.create(**ASK),
        "stream": lambda: client.messages.create(**ASK, stream=True),
        "count": lambda: client.messages.count_tokens(model=MODEL, messages=ASK["messages"]),
    }

    with pytest.raises(kind, match=r"Sorry\.") as error:
        await maybe(calls[surface]())

    body: Any = error.value.body
    assert (error.value.status_code, body["error"]["type"]) == (status, name)
    assert error.value.request_id == body["request_id"]
    assert body["request_id"].startswith("req_")


async def test_the_sdk_obeys_retry_after(connect: Connect) -> None:
    """Overloaded twice, then an answer."""
    fake = FakeAnthropic().fail(529, retry_after=0.01, times=2).reply("ok")
    client = (await connect(fake)).with_options(max_retries=2)

    message = await maybe(client.messages.create(**ASK))

    assert message.content[0].text == "ok"
    assert len(fake.calls) == 3


async def test_an_error_inside_a_stream_is_raised(connect: Connect) -> None:
    """The error event ends the stream with the vendor's type."""
    client = await connect(FakeAnthropic().fault("One two three", error_after=4, error="overloaded"))

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async with entered(client.messages.stream(**ASK)) as stream:
            await maybe(stream.get_final_message())


async def test_a_wrong_key(connect: Connect) -> None:
    """401 on every surface."""
    client = await connect(FakeAnthropic(), key="wrong")

    calls: list[Callable[[], Any]] = [
        lambda: client.messages.create(**ASK),
        lambda: client.messages.count_tokens(model=MODEL, messages=ASK["messages"]),
        lambda: client.models.retrieve("a"),
    ]

    for call in calls:
        with pytest.raises(anthropic.AuthenticationError):
            await maybe(call())


async def test_a_refusal_of_the_vendor(connect: Connect) -> None:
    """What the fake would not take is a BadRequestError that names the member."""
    client = await connect(FakeAnthropic())

    with pytest.raises(anthropic.BadRequestError, match="tool_choice may only be specified while providing tools"):
        await maybe(client.messages.create(**ASK, tool_choice={"type": "auto"}))


async def test_rate_limits_are_read_from_headers(connect: Connect) -> None:
    """As an application reads them: from the raw answer."""
    client = await connect(FakeAnthropic().quota(rpm=5))

    raw = await maybe(client.messages.with_raw_response.create(**ASK))

    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "4"
