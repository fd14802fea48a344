"""Each real exchange of OpenAI's family is acceptable to the fake of its vendor, and answered in the vendor's shape.

The fake is told to say what the vendor said; then the paths and JSON types of the two answers are compared. What the
fake has and no recording of the vendor has, and what a recording has and the fake has not, fails unless it is listed
in `odd.py` with a reason.
"""

import re
from dataclasses import replace
from typing import Any

import pytest

from compatgw_testing import FakeOpenAI
from compatgw_testing.fakes.openai import HABITS
from tests.testing.driver import PNG, Reply, credentials, request
from tests.testing.openai.odd import ERRORS, LACKS, NOT_SERVED, UNKNOWN, Odd
from tests.testing.openai.recorded import Record, Shape, events_of, merged, records, shape_of, turn_of

pytestmark = pytest.mark.recordings

PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "images": "/images/generations",
    "moderations": "/moderations",
    "audio": "/audio/speech",
    "completions": "/completions",
    "models": "/models",
}
# How many exchanges there are to judge, so that a lost folder is noticed.
COUNTS = {
    "alibaba": {"chat": 3, "chat-stream": 3},
    "anthropic": {"chat": 1},
    "azure": {"chat": 7, "chat-stream": 2, "embeddings": 1, "responses": 2, "responses-stream": 1},
    "bedrock-mantle": {"chat": 1, "responses": 4, "responses-stream": 2},
    "cerebras": {"chat": 4, "models": 1},
    "cloudflare": {"chat": 2, "chat-stream": 2},
    "crusoe": {"chat": 3, "chat-stream": 1},
    "databricks": {"chat": 2, "chat-stream": 3},
    "deepseek": {"chat": 7, "chat-stream": 8, "models": 1, "responses": 4, "responses-stream": 3},
    "gemini": {"chat": 2, "chat-stream": 3},
    "groq": {"chat": 12, "chat-stream": 6},
    "huggingface": {"chat": 4, "chat-stream": 2},
    "mistral": {"chat": 13, "chat-stream": 8, "embeddings": 2, "models": 2},
    "moonshot": {"chat": 3, "chat-stream": 1},
    "ollama": {"chat": 6, "chat-stream": 3, "embeddings": 1},
    "openai": {
        "audio": 2,
        "chat": 30,
        "chat-stream": 20,
        "completions": 3,
        "completions-stream": 1,
        "embeddings": 3,
        "images": 3,
        "models": 2,
        "moderations": 2,
        "responses": 23,
        "responses-stream": 14,
    },
    "openrouter": {"chat": 12, "chat-stream": 6, "models": 2, "responses": 1, "responses-stream": 3},
    "perplexity": {"chat": 4, "chat-stream": 3, "embeddings": 1},
    "snowflake": {"chat": 4, "chat-stream": 2},
    "together": {"chat": 2, "completions": 1},
    "xai": {"chat": 4, "chat-stream": 8, "images": 1, "responses": 6, "responses-stream": 1},
    "zai": {"chat": 4, "chat-stream": 1},
}
CASES = [(vendor, surface) for vendor, surfaces in COUNTS.items() for surface in surfaces]


def habit_of(vendor: str) -> str:
    """The habit of the vendor whose recordings these are."""
    return f"{vendor}-openai" if vendor in ("gemini", "anthropic") else vendor


def judged(vendor: str, surface: str) -> list[Record]:
    """The exchanges that the fake has to do with, each with a request."""
    return [
        record if record.body is not None or record.method == "GET" else invented(record)
        for record in records(vendor, surface)
        if record.status == 200 and not listed(record, NOT_SERVED)
    ]


def listed(record: Record, odd: tuple[Odd, ...]) -> bool:
    """Whether an exchange is an exception."""
    return any(re.search(one.pattern, record.name + record.path) for one in odd)


def invented(record: Record) -> Record:
    """An exchange whose request was not recorded, with the smallest one that fits."""
    surface = record.surface.removesuffix("-stream")
    body: dict[str, Any] = {"model": "m"}
    body |= {"input": "Hi"} if surface == "responses" else {"messages": [{"role": "user", "content": "Hi"}]}
    if record.events:
        body["stream"] = True
        asks = "stream_options" not in HABITS[habit_of(record.vendor)].refuses
        if asks and surface == "chat" and any(event.get("usage") for event in record.events):
            body["stream_options"] = {"include_usage": True}
    return replace(record, body=body, method="POST")


async def answered(record: Record, **ways: Any) -> Reply:
    """What the fake answers to a recorded request, told to say what the vendor said."""
    habit = habit_of(record.vendor)
    fake = FakeOpenAI(habit=habit, **ways)
    surface = record.surface.removesuffix("-stream")
    if record.method == "POST" and surface in ("chat", "responses", "completions") and record.status == 200:
        fake.enqueue(turn_of(record))
    body = restored(record.body)
    if isinstance(body, dict) and body.get("previous_response_id"):
        fake.stored.trust(body["previous_response_id"])
    path = record.path or HABITS[habit].base + PATHS[surface]
    return await request(fake, path, body, method=record.method, headers=credentials(fake))


def restored(value: Any) -> Any:
    """A body in which base64 that was too long to keep is some base64 again."""
    if isinstance(value, dict):
        return {name: restored(one) for name, one in value.items()}
    if isinstance(value, list):
        return [restored(one) for one in value]
    return PNG if isinstance(value, str) and value.startswith("<stripped") else value


def shape(record: Record, reply: Reply | None = None) -> Shape:
    """The shape of the recorded answer, or of the fake's."""
    if reply is None:
        return shape_of(*(record.events or (record.answer,)))
    return shape_of(*(events_of(reply.raw.decode()) if record.events else (reply.json,)))


def unlisted(found: set[str], odd: tuple[Odd, ...], vendor: str, surface: str) -> list[str]:
    """What no entry excuses."""
    mine = [one for one in odd if re.fullmatch(one.vendor, vendor) and re.fullmatch(one.surface, surface)]
    return sorted(path for path in found if not any(re.match(one.pattern, path) for one in mine))


@pytest.mark.parametrize(("vendor", "surface"), CASES)
async def test_accepted_and_answered_in_the_vendors_shape(vendor: str, surface: str) -> None:
    """No request is refused; no path or type is the fake's own, none of the vendor's is lost."""
    exchanges = judged(vendor, surface)
    own = merged(shape(one) for one in exchanges)
    refused: list[str] = []
    unknown: set[str] = set()
    lacks: set[str] = set()
    for one in exchanges:
        reply = await answered(one)
        if reply.status != 200:
            refused.append(f"{one.name}: {reply.status} {reply.raw[:200]!r}")
        elif surface != "audio":
            fakes = shape(one, reply)
            unknown |= {f"{path} {kind}" for path, kinds in fakes.items() for kind in kinds - own.get(path, set())}
            lacks |= set(shape(one)) - set(fakes)

    assert refused == []
    assert unlisted(unknown, UNKNOWN, vendor, surface) == []
    assert unlisted(lacks, LACKS, vendor, surface) == []
    assert len(exchanges) == COUNTS[vendor][surface]


@pytest.mark.parametrize(
    "vendor", ["azure", "deepseek", "groq", "mistral", "ollama", "openai", "perplexity", "together"]
)
async def test_refused_as_the_vendor_refuses(vendor: str) -> None:
    """The same status, and an envelope of the same shape."""
    wrong: list[str] = []
    for one in records(vendor, "error"):
        if listed(one, (*NOT_SERVED, *ERRORS)):
            continue
        record = one if one.body is not None else invented(replace(one, surface="chat"))
        key = "wrong" if one.status == 401 else None
        models = ["known"] if one.status == 404 else None
        reply = await answered_with(record, key, models)
        theirs, ours = shape_of(one.answer), shape_of(reply.json)
        different = sorted(set(theirs) ^ set(ours))
        if reply.status != one.status or different:
            wrong.append(f"{one.name}: {one.status}, the fake {reply.status} {reply.raw[:200]!r} {different}")

    assert wrong == []


async def answered_with(record: Record, key: str | None, models: list[str] | None) -> Reply:
    """What the fake answers to a request that the vendor refused."""
    habit = habit_of(record.vendor)
    fake = FakeOpenAI(habit=habit, models=models)
    headers = credentials(fake) if key is None else dict.fromkeys(credentials(fake), f"Bearer {key}")
    path = record.path or HABITS[habit].base + PATHS["chat"]
    return await request(fake, path, restored(record.body), method=record.method, headers=headers)


def test_every_exception_is_needed() -> None:
    """A pattern that excuses nothing in any recording is stale."""
    everything = {
        path
        for vendor, surface in CASES
        for one in records(vendor, surface)
        for path in shape(one)
        if one.answer is not None or one.events
    }
    names = [
        one.name + one.path
        for vendor in COUNTS
        for surface in (*PATHS, *(f"{name}-stream" for name in PATHS), "error")
        for one in records(vendor, surface)
    ]

    assert [odd.pattern for odd in LACKS if not any(re.match(odd.pattern, path) for path in everything)] == []
    assert [
        odd.pattern for odd in (*NOT_SERVED, *ERRORS) if not any(re.search(odd.pattern, one) for one in names)
    ] == []
    assert all(odd.reason for odd in (*LACKS, *UNKNOWN, *NOT_SERVED, *ERRORS))
