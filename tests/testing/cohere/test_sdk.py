"""The official Cohere SDK in the same process as FakeCohere, sync and async, over every surface."""

import base64
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from cohere.core.request_options import RequestOptions

from compatgw_testing import FakeCohere
from tests.testing.cohere.cases import IMAGE
from tests.testing.inprocess import Connect, listed, maybe

ONCE: RequestOptions = {"max_retries": 0}
ASK: Any = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": "Hi"}], "request_options": ONCE}
EMBED: Any = {"model": "embed-v4.0", "input_type": "search_document", "request_options": ONCE}
RANK: Any = {"model": "rerank-v3.5", "query": "cats", "documents": ["tax", "dogs", "cats"], "request_options": ONCE}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
    for name in ("get_weather", "get_time")
]


async def test_chat(connect: Connect) -> None:
    """Text, finish reason and usage: tokens are billed and real, both as floats."""
    client = await connect(FakeCohere().reply("Bonjour", usage={"input": 20, "output": 4, "cached": 8}))

    answer = await maybe(client.chat(**ASK))

    assert (answer.message.content[0].text, answer.finish_reason) == ("Bonjour", "COMPLETE")
    assert (answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens) == (20.0, 4.0)
    assert (answer.usage.billed_units.output_tokens, answer.usage.cached_tokens) == (4.0, 8.0)


async def test_stream(connect: Connect) -> None:
    """Thought is content 0 and text content 1; the end tells the usage."""
    client = await connect(FakeCohere().reply("Bonjour à tous", reasoning="A greeting", usage=(3, 5)))

    events = await listed(client.chat_stream(**{**ASK, "model": "command-a-reasoning-08-2025"}))

    deltas = [(event.index, event.delta.message.content) for event in events if event.type == "content-delta"]
    assert "".join(content.thinking for index, content in deltas if index == 0) == "A greeting"
    assert "".join(content.text for index, content in deltas if index == 1) == "Bonjour à tous"
    assert (events[0].type, events[-1].type) == ("message-start", "message-end")
    assert events[-1].delta.usage.tokens.output_tokens == 5.0


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(connect: Connect, streamed: bool) -> None:
    """A plan and parallel calls, counted from 0, are answered when they are sent back with their results."""
    calls = [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}), ("get_time", {})]
    client = await connect(FakeCohere().tool_calls(*calls, text="I will look.").reply("18 and 3"))
    asked: list[Any] = []
    plan = ""

    if streamed:
        events = await listed(client.chat_stream(**ASK, tools=TOOLS))
        for event in events:
            if event.type == "tool-plan-delta":
                plan += event.delta.message.tool_plan
            elif event.type == "tool-call-start":
                asked.append(event.delta.message.tool_calls.model_dump())
            elif event.type == "tool-call-delta":
                asked[event.index]["function"]["arguments"] += event.delta.message.tool_calls.function.arguments
        finish = events[-1].delta.finish_reason
    else:
        first = await maybe(client.chat(**ASK, tools=TOOLS))
        plan, finish = first.message.tool_plan, first.finish_reason
        asked = [one.model_dump() for one in first.message.tool_calls]
        assert first.message.content is None
    turn = {"role": "assistant", "tool_calls": asked, "tool_plan": plan}
    results = [{"role": "tool", "tool_call_id": one["id"], "content": "18"} for one in asked]
    answer = await maybe(client.chat(**{**ASK, "messages": [*ASK["messages"], turn, *results]}, tools=TOOLS))

    assert (plan, finish) == ("I will look.", "TOOL_CALL")
    assert [(one["function"]["name"], json.loads(one["function"]["arguments"])) for one in asked] == calls
    assert answer.message.content[0].text == "18 and 3"


async def test_structured_output(connect: Connect) -> None:
    """Nothing scripted: what is made up satisfies the schema."""
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    client = await connect(FakeCohere())

    answer = await maybe(client.chat(**ASK, response_format={"type": "json_object", "json_schema": schema}))

    assert isinstance(json.loads(answer.message.content[0].text)["days"], int)


async def test_a_required_tool_is_called(connect: Connect) -> None:
    """Nothing scripted: REQUIRED calls a tool."""
    client = await connect(FakeCohere())

    answer = await maybe(client.chat(**ASK, tools=TOOLS, tool_choice="REQUIRED"))

    assert answer.message.tool_calls[0].function.name == "get_weather"


async def test_embeddings(connect: Connect) -> None:
    """In several forms at once, of the size asked for."""
    client = await connect(FakeCohere())
    forms = ["float", "int8", "ubinary", "base64"]

    answer = await maybe(client.embed(**EMBED, texts=["a", "b"], embedding_types=forms, output_dimension=256))

    found = answer.embeddings
    assert [len(vector) for vector in found.float_] == [256, 256]
    assert (len(found.int8[1]), len(found.ubinary[1])) == (256, 32)
    assert struct.unpack("<256f", base64.b64decode(found.base64[1])) == pytest.approx(found.float_[1], abs=1e-6)
    assert answer.texts == ["a", "b"]
    assert (answer.response_type, answer.meta.billed_units.input_tokens) == ("embeddings_by_type", 2.0)


async def test_embeddings_of_pictures(connect: Connect) -> None:
    """Alone, and beside text."""
    client = await connect(FakeCohere())
    mixed = [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": IMAGE}}]}]

    alone = await maybe(client.embed(**{**EMBED, "input_type": "image"}, images=[IMAGE], embedding_types=["float"]))
    both = await maybe(client.embed(**EMBED, inputs=mixed, embedding_types=["float"]))

    assert (alone.images[0].width, alone.images[0].format) == (1, "png")
    assert len(both.embeddings.float_) == 1


async def test_ranking(connect: Connect) -> None:
    """The nearest first."""
    client = await connect(FakeCohere().similar("cats", "dogs", cos=0.8))

    answer = await maybe(client.rerank(**RANK, top_n=2))

    assert [one.index for one in answer.results] == [2, 1]
    assert [one.relevance_score for one in answer.results] == pytest.approx([1, 0.9])
    assert answer.meta.billed_units.search_units == 1.0


async def test_models(connect: Connect) -> None:
    """By endpoint and by name."""
    client = await connect(FakeCohere())

    embedders = (await maybe(client.models.list(endpoint="embed"))).models
    one = await maybe(client.models.get("rerank-v3.5"))

    assert [model.name for model in embedders] == ["embed-v4.0", "embed-english-v3.0"]
    assert one.endpoints == ["rerank"]


async def test_models_that_the_fake_was_given(connect: Connect) -> None:
    """They are listed in pages; others are 404."""
    client = await connect(FakeCohere(models=["a", "b"]))

    page = await maybe(client.models.list(page_size=1))

    assert ([model.name for model in page.models], page.next_page_token) == (["a"], "1")
    assert (await maybe(client.models.get("b"))).name == "b"
    with pytest.raises(cohere.NotFoundError, match="not found"):
        await maybe(client.chat(**ASK))


async def test_tokens(connect: Connect) -> None:
    """Words are tokens."""
    client = await connect(FakeCohere())

    tokens = await maybe(client.tokenize(text="a b", model="command-a-03-2025", offline=False))

    assert tokens.token_strings == ["a", " b"]


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
        (499, cohere.ClientClosedRequestError),
        (500, cohere.InternalServerError),
        (501, cohere.NotImplementedError),
        (503, cohere.ServiceUnavailableError),
        (504, cohere.GatewayTimeoutError),
    ],
)
@pytest.mark.parametrize("surface", ["chat", "stream", "embed", "rerank"])
async def test_each_error_class(connect: Connect, status: int, kind: type[ApiError], surface: str) -> None:
    """On every surface; the body is flat."""
    client = await connect(FakeCohere().fail(status, "Sorry."))
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "chat": lambda: maybe(client.chat(**ASK)),
        "stream": lambda: listed(client.chat_stream(**ASK)),
        "embed": lambda: maybe(client.embed(**EMBED, texts=["a"], embedding_types=["float"])),
        "rerank": lambda: maybe(client.rerank(**RANK)),
    }

    with pytest.raises(kind) as error:
        await calls[surface]()

    body = error.value.body
    assert error.value.status_code == status
    assert (body if isinstance(body, dict) else vars(body))["message"] == "Sorry."


async def test_a_refusal_of_the_vendor(connect: Connect) -> None:
    """97 texts are too many."""
    client = await connect(FakeCohere())

    with pytest.raises(cohere.BadRequestError, match="at most 96"):
        await maybe(client.embed(**EMBED, texts=["a"] * 97, embedding_types=["float"]))
