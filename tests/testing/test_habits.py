"""FakeOpenAI takes on the habits of vendors that speak OpenAI's protocol."""

from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.fakes.openai import HABITS
from tests.testing.driver import Reply, ask, credentials, question, request

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
COUNTED = {"stream_options": {"include_usage": True}}


async def streamed(habit: str, answer: str = "Hello there", *, counted: bool = True, **members: Any) -> Reply:
    """A stream of a vendor's."""
    fake = FakeOpenAI(habit=habit).reply(answer, reasoning="Hm, hello", usage=(5, 4), **members)
    body = question("openai", **(COUNTED if counted and habit != "mistral" else {}))
    return await ask(fake, body, stream=True)


def deltas(reply: Reply, name: str) -> list[Any]:
    """One member of each delta."""
    return [choice["delta"].get(name) for event in reply.events for choice in event["choices"]]


@pytest.mark.parametrize("habit", sorted(HABITS))
async def test_text_and_usage_arrive_whatever_the_habit(habit: str) -> None:
    """The pieces join to the text; usage stands somewhere in the stream."""
    reply = await streamed(habit)

    pieces = [piece for piece in deltas(reply, "content") if isinstance(piece, str)]
    assert "".join(pieces) == "Hello there"
    assert b'"total_tokens":9' in reply.raw


@pytest.mark.parametrize("habit", sorted(HABITS))
async def test_plain_answers_have_the_same_text(habit: str) -> None:
    """Text, usage and finish reason."""
    fake = FakeOpenAI(habit=habit).reply("Hello there", usage=(5, 4))

    body = (await ask(fake)).json

    assert body["choices"][0]["message"]["content"] == "Hello there"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == 9


@pytest.mark.parametrize(
    ("habit", "prefix"),
    [
        ("openai", b"data: {"),
        ("openrouter", b": OPENROUTER PROCESSING\n\n"),
        ("deepseek", b": keep-alive\n\n"),
        ("azure", b'data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results"'),
    ],
)
async def test_how_a_stream_begins(habit: str, prefix: bytes) -> None:
    """Comments, and Azure's chunk about the prompt."""
    assert (await streamed(habit)).raw.startswith(prefix)


@pytest.mark.parametrize("habit", sorted(HABITS))
async def test_how_a_stream_ends(habit: str) -> None:
    """With [DONE], or with nothing but the end of the connection."""
    raw = (await streamed(habit)).raw

    assert raw.endswith(b"data: [DONE]\n\n") == HABITS[habit].done
    assert raw.endswith(b"\r\n\r\n") == (habit == "perplexity")


@pytest.mark.parametrize(
    ("habit", "where"),
    [
        ("openai", [(0, True)]),
        ("azure", [(0, True)]),
        ("groq", [(1, True)]),
        ("mistral", [(1, True)]),
        ("deepseek", [(1, True)]),
        ("openrouter", [(1, True)]),
    ],
)
async def test_where_usage_stands(habit: str, where: list[Any]) -> None:
    """Number of choices of the chunk that has it; there is one such chunk."""
    reply = await streamed(habit)

    assert [(len(event["choices"]), True) for event in reply.events if event.get("usage")] == where


async def test_perplexity_counts_in_every_chunk_and_repeats_the_text() -> None:
    """Usage grows; `message` holds the text so far; the last object is another."""
    reply = await streamed("perplexity")

    totals = [event["usage"]["completion_tokens"] for event in reply.events]
    assert totals == sorted(totals)
    assert totals[-1] == 4
    assert [event["choices"][0]["message"]["content"] for event in reply.events] == [
        "Hello",
        "Hello there",
        "Hello there",
    ]
    assert reply.events[-1]["object"] == "chat.completion.done"
    assert reply.events[0]["citations"]


async def test_groq_says_usage_in_its_own_member_even_unasked() -> None:
    """Under `x_groq` in the finish chunk."""
    events = (await streamed("groq", counted=False)).events

    assert events[0]["x_groq"]["id"].startswith("req_")
    assert events[-1]["x_groq"]["usage"]["total_tokens"] == 9
    assert "usage" not in events[-1]


@pytest.mark.parametrize(
    ("habit", "member"), [("deepseek", "reasoning_content"), ("groq", "reasoning"), ("openrouter", "reasoning")]
)
async def test_where_thought_stands(habit: str, member: str) -> None:
    """In the vendor's member, not in the text."""
    reply = await streamed(habit)

    assert "".join(one or "" for one in deltas(reply, member)) == "Hm, hello"


async def test_thought_in_parts_in_details_and_not_at_all() -> None:
    """Mistral types its content, OpenRouter adds details, OpenAI keeps it to itself."""
    mistral = [one[0] for one in deltas(await streamed("mistral"), "content") if isinstance(one, list)]
    details = [one for one in deltas(await streamed("openrouter"), "reasoning_details") if one]

    assert "".join(one["thinking"][0]["text"] for one in mistral) == "Hm, hello"
    assert "".join(one[0]["text"] for one in details) == "Hm, hello"
    assert b"Hm" not in (await streamed("openai")).raw


async def test_roles() -> None:
    """Once, or in every delta."""
    assert deltas(await streamed("openai"), "role").count("assistant") == 1
    assert set(deltas(await streamed("openrouter"), "role")) == {"assistant"}


async def test_mistral_sends_calls_whole_with_the_finish_reason() -> None:
    """One delta with all calls, without index and type, ids of nine characters."""
    fake = FakeOpenAI(habit="mistral").tool_calls(("f", {"a": 1}), ("g", {}))

    events = (await ask(fake, question("openai", tools=[TOOL]), stream=True)).events

    choice = events[-1]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert [set(call) for call in choice["delta"]["tool_calls"]] == [{"id", "function"}] * 2
    assert all(len(call["id"]) == 9 for call in choice["delta"]["tool_calls"])
    assert events[-1]["usage"]


REFUSED: dict[str, tuple[str, dict[str, Any], int]] = {
    "mistral: unknown member": ("mistral", {"top_k": 1}, 422),
    "mistral: stream_options": ("mistral", {"stream": True, **COUNTED}, 422),
    "mistral: max_completion_tokens": ("mistral", {"max_completion_tokens": 5}, 422),
    "mistral: developer": ("mistral", {"messages": [{"role": "developer", "content": "a"}]}, 400),
    "mistral: unknown member of a message": (
        "mistral",
        {"messages": [{"role": "user", "content": "a", "annotations": []}]},
        422,
    ),
    "mistral: after a tool comes the assistant": (
        "mistral",
        {
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "abcdefghi", "content": "1"},
                {"role": "user", "content": "b"},
            ]
        },
        400,
    ),
    "mistral: last is the assistant": (
        "mistral",
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        400,
    ),
    "mistral: ids": (
        "mistral",
        {
            "messages": [
                {"role": "user", "content": "a"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            ]
        },
        400,
    ),
    "groq: unknown member": ("groq", {"top_k": 1}, 400),
    "groq: logit_bias": ("groq", {"logit_bias": {"1": 1}}, 400),
    "groq: unknown member of a message": (
        "groq",
        {"messages": [{"role": "user", "content": "a", "annotations": []}]},
        400,
    ),
    "perplexity: tools": ("perplexity", {"tools": [TOOL]}, 400),
    "perplexity: two users in a row": (
        "perplexity",
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
        400,
    ),
    "azure: unknown member": ("azure", {"top_k": 1}, 400),
}


@pytest.mark.parametrize("rule", REFUSED)
async def test_refused(rule: str) -> None:
    """What this vendor does not take."""
    habit, members, status = REFUSED[rule]

    assert (await ask(FakeOpenAI(habit=habit), question("openai", **members))).status == status


@pytest.mark.parametrize("habit", ["deepseek", "openrouter"])
async def test_unknown_members_are_let_through(habit: str) -> None:
    """Vendors that ignore what they do not know."""
    assert (await ask(FakeOpenAI(habit=habit), question("openai", top_k=1))).status == 200


async def test_forms_of_errors() -> None:
    """Integer codes, text codes, FastAPI's detail."""
    router = (await ask(FakeOpenAI(habit="openrouter").fail(429))).json
    azure = (await ask(FakeOpenAI(habit="azure"), headers={"api-key": "no"})).json
    mistral = (await ask(FakeOpenAI(habit="mistral"), headers={"authorization": "Bearer no"})).json
    unknown = (await ask(FakeOpenAI(habit="mistral"), question("openai", top_k=1))).json

    assert router["error"]["code"] == 429
    assert azure["error"]["code"] == "401"
    assert mistral == {"detail": "Unauthorized"}
    assert unknown["message"]["detail"][0]["loc"] == ["body", "top_k"]


@pytest.mark.parametrize(
    ("habit", "path"),
    [
        ("azure", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"),
        ("deepseek", "/v1/chat/completions"),
        ("groq", "/openai/v1/chat/completions"),
        ("openrouter", "/api/v1/chat/completions"),
    ],
)
async def test_paths(habit: str, path: str) -> None:
    """Where the vendor's documents put it."""
    fake = FakeOpenAI(habit=habit)

    assert (await request(fake, path, question("openai"), headers=credentials(fake))).status == 200
