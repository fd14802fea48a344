"""The official Anthropic SDK in the same process as FakeAnthropic, sync and async, over every surface."""

from collections.abc import Callable
from typing import Any, Literal

import anthropic
import pytest
from pydantic import BaseModel

from compatgw_testing import FakeAnthropic
from tests.testing.inprocess import Connect, entered, listed, maybe, paged

MODEL = "claude-sonnet-4-6"
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 99, "messages": [{"role": "user", "content": "Hi"}]}
TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }
]


class Trip(BaseModel):
    """What is asked for as structured output."""

    city: str
    days: int
    mood: Literal["calm", "wild"]


async def test_chat(connect: Connect) -> None:
    """Text, usage that adds up, and the id of the request."""
    client = await connect(FakeAnthropic().reply("Bonjour", usage={"input": 20, "output": 4, "cached": 8}))

    answer = await maybe(client.messages.create(**ASK))

    assert answer.content[0].text == "Bonjour"
    assert (answer.stop_reason, answer._request_id[:4]) == ("end_turn", "req_")
    used = answer.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.output_tokens) == (12, 8, 4)


async def test_stream(connect: Connect) -> None:
    """Thought and text in pieces; the SDK puts the whole message together."""
    client = await connect(FakeAnthropic().reply("One two three", reasoning="Let me count", usage=(3, 7)))
    seen: list[str] = []

    async with entered(client.messages.stream(**ASK)) as stream:
        for event in await listed(stream):
            seen += [event.text] if event.type == "text" else []
        whole = await maybe(stream.get_final_message())

    assert seen == ["One", " two", " three"]
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert (whole.content[0].thinking, whole.usage.output_tokens) == ("Let me count", 7)


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(connect: Connect, streamed: bool) -> None:
    """Parallel calls, sent back with their results, are answered."""
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
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

    assert [block.input for block in asked] == [{"city": "Paris"}, {"city": "Oslo"}]
    assert (first.stop_reason, second.content[0].text) == ("tool_use", "18 and 3")


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
    """Page by page, with capabilities."""
    client = await connect(FakeAnthropic(models=["claude-opus-5-5", "b", "c"]))

    names = [model.id for model in await listed(paged(client.models.list(limit=2)))]
    model = await maybe(client.models.retrieve("claude-opus-5-5"))

    assert names == ["claude-opus-5-5", "b", "c"]
    assert model.capabilities.thinking.types.disabled.supported is False
    assert (model.max_tokens, model.lifecycle) == (128_000, "active")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (402, anthropic.PaymentRequiredError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (408, anthropic.RequestTimeoutError),
        (409, anthropic.ConflictError),
        (413, anthropic.RequestTooLargeError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (503, anthropic.ServiceUnavailableError),
        (504, anthropic.GatewayTimeoutError),
        (529, anthropic.OverloadedError),
    ],
)
@pytest.mark.parametrize("counting", [False, True])
async def test_each_error_class(
    connect: Connect,
    status: int,
    kind: type[anthropic.APIStatusError],
    counting: bool,
) -> None:
    """On either surface, with the id of the request."""
    client = await connect(FakeAnthropic().fail(status, "Sorry."))

    count = {"model": MODEL, "messages": ASK["messages"]}

    with pytest.raises(kind, match=r"Sorry\.") as error:
        await maybe(client.messages.count_tokens(**count) if counting else client.messages.create(**ASK))

    assert (error.value.status_code, (error.value.request_id or "")[:4]) == (status, "req_")


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
