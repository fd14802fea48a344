"""The same seed gives the same bytes: in one process, in another, in process and over a socket."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from compatgw_testing import Fake
from tests.testing.doors.sdks import stream_text
from tests.testing.driver import FAKES, SCHEMA, ask, credentials, question

RUN = """
import asyncio, sys
from tests.testing.driver import FAKES
from tests.testing.test_same_bytes import transcript
for name in sorted(FAKES):
    sys.stdout.buffer.write(asyncio.run(transcript(FAKES[name](seed="a"))))
"""


async def transcript(fake: Fake) -> bytes:
    """Heads and bodies of several calls, made up and scripted."""
    out: list[bytes] = []
    fake.reply("One two", reasoning="Hm").tool_calls(("f", {"a": 1}), ("g", {})).fail(429)
    for number in range(5):
        reply = await ask(fake, stream=bool(number % 2))
        out.append(repr((reply.status, sorted(reply.headers.items()), reply.pieces)).encode())
    return b"\n".join(out)


async def test_two_runs_are_byte_identical(fake: Fake) -> None:
    """Ids, times, signatures, texts: everything follows from the seed."""
    twin = FAKES[fake.dialect](seed=7)

    assert await transcript(fake) == await transcript(twin)


async def test_another_seed_gives_other_ids(fake: Fake) -> None:
    """Tests do not share ids."""
    other = FAKES[fake.dialect](seed=8)

    assert await transcript(fake) != await transcript(other)


def test_another_process_gives_the_same_bytes() -> None:
    """No hash seed of Python's, no clock and no address gets in."""
    here = [asyncio.run(transcript(FAKES[name](seed="a"))) for name in sorted(FAKES)]

    there = subprocess.run([sys.executable, "-c", RUN], capture_output=True, check=True).stdout

    assert there == b"".join(here)


def test_a_socket_gives_the_same_body(fake: Fake, origin: Callable[[Fake], str]) -> None:
    """What is sent in process is what a port sends."""
    twin = FAKES[fake.dialect](seed=7)
    paths = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "cohere": "/v2/chat"}
    path = paths.get(fake.dialect, "/v1beta/models/gemini-2.5-flash:generateContent")

    inside = asyncio.run(ask(twin))
    outside = httpx.post(origin(fake) + path, json=question(fake.dialect), headers=credentials(fake))

    assert outside.content == inside.raw


def test_journals_of_two_ports_are_equal(fake: Fake, sdk: Callable[..., Any]) -> None:
    """The official SDK over a socket, twice, under another path each time: plain, streamed, failed, cut."""
    dumps = []
    for one in (fake, FAKES[fake.dialect](seed=7)):
        one.fail(500).fault("One two three", cut_after=2).reply("One two", chunks="bytes")
        client = sdk(one)
        for _ in range(4):
            with suppress(Exception):
                stream_text(client, one.dialect)
        dumps.append(json.dumps(one.calls.dump()))

    assert dumps[0] == dumps[1]
    assert "127.0.0.1" not in dumps[0]
    assert [call.outcome for call in fake.calls] == ["failed", "faulted", "completed", "completed"]


async def test_the_same_question_gets_the_same_made_up_answer(fake: Fake) -> None:
    """However many calls came before; ids differ."""
    first, second = [await ask(fake) for _ in range(2)]
    other = await ask(fake, question(fake.dialect, "Something else altogether, with a schema"))

    assert text_of(fake, first.json) == text_of(fake, second.json)
    assert first.raw != second.raw
    assert other.status == 200


def text_of(fake: Fake, body: Any) -> str:
    """The text of a plain answer."""
    if fake.dialect == "openai":
        return str(body["choices"][0]["message"]["content"])
    if fake.dialect == "gemini":
        return str(body["candidates"][0]["content"]["parts"][0]["text"])
    content = body["content"] if fake.dialect == "anthropic" else body["message"]["content"]
    return str(content[0]["text"])


async def test_streamed_and_plain_say_the_same(fake: Fake) -> None:
    """The pieces of the stream join to the plain text, and usage agrees."""
    plain = text_of(fake, (await ask(fake)).json)

    streamed = (await ask(fake, stream=True)).raw.decode()

    for word in plain.split():
        assert word in streamed


async def test_a_limit_cuts_the_made_up_answer(fake: Fake) -> None:
    """Fewer tokens than words: the finish reason is the vendor's word for it."""
    limits: dict[str, dict[str, Any]] = {
        "openai": {"max_tokens": 2},
        "anthropic": {"max_tokens": 2},
        "gemini": {"generationConfig": {"maxOutputTokens": 2}},
        "cohere": {"max_tokens": 2},
    }

    reply = await ask(fake, question(fake.dialect, **limits[fake.dialect]))

    assert len(text_of(fake, reply.json).split()) == 2
    assert any(word in reply.raw for word in (b'"length"', b'"max_tokens"', b"MAX_TOKENS"))


async def test_json_without_a_schema(fake: Fake) -> None:
    """Asked for some JSON, it answers an object."""
    asked: dict[str, dict[str, Any]] = {
        "openai": {"response_format": {"type": "json_object"}},
        "anthropic": {"output_config": {"format": {"type": "json_schema", "schema": {**SCHEMA, "properties": {}}}}},
        "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
        "cohere": {"response_format": {"type": "json_object"}},
    }

    reply = await ask(fake, question(fake.dialect, "Some JSON, please.", **asked[fake.dialect]))

    assert text_of(fake, reply.json).startswith("{")
