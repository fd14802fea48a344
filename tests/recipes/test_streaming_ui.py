"""Recipe: a page that shows an answer while it is written, and what it shows when the stream breaks."""

from collections.abc import AsyncIterator

import openai
import pytest

from compatgw_testing import FakeLLM
from compatgw_testing.doors import inprocess


async def render(client: openai.AsyncOpenAI, question: str) -> AsyncIterator[str]:
    """The application under test: what the page shows, one update after the other."""
    shown, finished = "", False
    try:
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": question}], stream=True
        )
        async for chunk in stream:
            for choice in chunk.choices:
                finished = finished or choice.finish_reason is not None
                if choice.delta.content:
                    shown += choice.delta.content
                    yield shown
    except openai.APIError:
        yield f"{shown} [interrupted, try again]"
        return
    if not finished:
        yield f"{shown} [cut short]"


def in_process(fakes: FakeLLM) -> openai.AsyncOpenAI:
    """The SDK over the fake without a socket: waits take no time."""
    http = inprocess.client(fakes.openai)
    return openai.AsyncOpenAI(
        api_key=fakes.openai.api_key, base_url="http://fake.test/v1", http_client=http, max_retries=0, timeout=5
    )


async def test_it_grows_word_by_word(compatgw_fakes: FakeLLM) -> None:
    """However slow the model is."""
    compatgw_fakes.openai.reply("one two three", first=2.0, rate=1.0)

    async with in_process(compatgw_fakes) as client:
        updates = [update async for update in render(client, "Count.")]

    assert updates == ["one", "one two", "one two three"]
    assert compatgw_fakes.openai.last.pieces[0][0] == 2.0  # seconds on the virtual clock


@pytest.mark.parametrize(
    ("how", "last"),
    [
        ({"cut_after": 3}, "one two [interrupted, try again]"),
        ({"reset_after": 3}, "one two [interrupted, try again]"),
        ({"stall_after": 3}, "one two [interrupted, try again]"),
        ({"error_after": 3, "error": "overloaded"}, "one two [interrupted, try again]"),
        ({"truncate_after": 3}, "one two [cut short]"),
    ],
)
async def test_a_broken_stream_is_said_to_be_broken(compatgw_fakes: FakeLLM, how: dict[str, object], last: str) -> None:
    """Every way of breaking, in no time; a clean early end is told by the missing finish reason alone."""
    compatgw_fakes.openai.fault("one two three", **how)  # type: ignore[arg-type]

    async with in_process(compatgw_fakes) as client:
        updates = [update async for update in render(client, "Count.")]

    assert updates[-1] == last


async def test_characters_arrive_whole(compatgw_fakes: FakeLLM) -> None:
    """Every byte in a piece of its own: no character is shown in halves."""
    compatgw_fakes.openai.reply("naïve 🦉 日本", chunks="torture")

    async with in_process(compatgw_fakes) as client:
        updates = [update async for update in render(client, "Say it.")]

    assert updates == ["naïve 🦉 日本"[: end + 1] for end in range(len("naïve 🦉 日本"))]
