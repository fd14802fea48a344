"""Every request that a vendor really accepted is accepted by its fake, and what it refused is refused.

The recordings are not part of the project: `COMPATGW_RECORDINGS` names their folder.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from compatgw_testing import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from tests.testing.driver import PNG, credentials, request

pytestmark = pytest.mark.recordings

FOLDERS = {
    "openai": ("openai/chat", "openai/chat-stream"),
    "anthropic": ("anthropic/messages", "anthropic/messages-stream"),
    "gemini": ("gemini/generate", "gemini/generate-stream"),
    "cohere": ("cohere/chat-v2", "cohere/chat-v2-stream"),
    **{name: (f"{name}/chat", f"{name}/chat-stream") for name in ("azure", "groq", "mistral", "deepseek")},
    **{name: (f"{name}/chat", f"{name}/chat-stream") for name in ("openrouter", "perplexity")},
}
# How many requests there are to judge, so that a lost folder is noticed.
COUNTS = {"openai": 48, "anthropic": 59, "gemini": 43, "cohere": 17, "azure": 8, "groq": 14, "mistral": 14}
COUNTS |= {"deepseek": 8, "openrouter": 18, "perplexity": 3}
# Refused by the vendor for what a fake cannot know.
UNKNOWABLE = {
    "openllmetry--vision-test-vision-2": "the vendor could not download the image",
    "ruby_llm--chat-real-error-scenarios-cohere-command-a-03-2025-handles-context-length-exceeded-errors-0": (
        "the long text is not in the recording"
    ),
    "ruby_llm--chat-real-error-scenarios-perplexity-sonar-handles-context-length-exceeded-errors-0": (
        "the long text is not in the recording"
    ),
    "pydantic-ai--groq-test-tool-use-failed-error-0": "the model's own output was the fault",
    "pydantic-ai--groq-test-tool-use-failed-error-with-text-0": "the model's own output was the fault",
    "pydantic-ai--openrouter-test-openrouter-errors-raised-0": "the vendor's own rate limit",
}


def folder() -> Path:
    """Where the recordings are; skips without them."""
    name = os.environ.get("COMPATGW_RECORDINGS")
    if not name:
        pytest.skip("COMPATGW_RECORDINGS is not set")
    return Path(name)


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(one)


def fake_for(provider: str, body: Any, *, models: list[str] | None = None) -> Fake:
    """The vendor's fake, taking the signatures in `body` for its own."""
    if provider == "anthropic":
        anthropic = FakeAnthropic(models=models)
        for one in objects(body):
            if "signature" in one:
                anthropic.thoughts.trust(one["signature"])
            if one.get("type") == "redacted_thinking":
                anthropic.thoughts.trust(one["data"])
        return anthropic
    if provider == "gemini":
        gemini = FakeGemini(models=models)
        for one in objects(body):
            if signature := one.get("thoughtSignature", one.get("thought_signature")):
                gemini.signatures.trust(signature)
        return gemini
    return FakeCohere(models=models) if provider == "cohere" else FakeOpenAI(habit=provider, models=models)


async def status_of(fake: Fake, recorded: dict[str, Any], headers: dict[str, str]) -> tuple[int, bytes]:
    """What the fake answers to a recorded request."""
    for one in objects(recorded["body_json"]):
        for name, value in one.items():
            if isinstance(value, str) and value.startswith("<stripped"):
                one[name] = PNG  # base64 that was too long to keep
    parts = urlsplit(recorded["url"])
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    reply = await request(fake, path, recorded["body_json"], headers=headers)
    return reply.status, reply.raw


@pytest.mark.parametrize("provider", FOLDERS)
async def test_accepted_requests_are_accepted(provider: str) -> None:
    """All of them, whatever is in them."""
    refused: list[str] = []
    judged = 0
    for path in sorted(one for name in FOLDERS[provider] for one in (folder() / name).glob("*.json")):
        record = json.loads(path.read_bytes())
        if record["response"]["status"] != 200 or record["request"].get("body_json") is None:
            continue
        judged += 1
        fake = fake_for(provider, record["request"]["body_json"])
        version = record["request"]["headers"].get("anthropic-version")
        headers = credentials(fake) | ({"anthropic-version": version} if version else {})
        status, raw = await status_of(fake, record["request"], headers)
        if status != 200:
            refused.append(f"{path.stem}: {status} {raw[:200]!r}")

    assert refused == []
    assert judged >= COUNTS[provider]


@pytest.mark.parametrize("provider", FOLDERS)
async def test_refused_requests_are_refused_with_the_same_status(provider: str) -> None:
    """Bad bodies, unknown models, wrong keys."""
    other: list[str] = []
    for path in sorted((folder() / provider / "error").glob("*.json")):
        record = json.loads(path.read_bytes())
        sent, status = record["request"], record["response"]["status"]
        chat = any(word in sent["url"] for word in ("/chat/completions", "/messages", "enerateContent", "/v2/chat"))
        if not chat or "count_tokens" in sent["url"] or sent.get("body_json") is None or path.stem in UNKNOWABLE:
            continue
        fake = fake_for(provider, sent["body_json"], models=["known"] if status == 404 else None)
        headers = dict.fromkeys(credentials(fake), "wrong") if wrong_key(record) else credentials(fake)
        if provider == "anthropic":
            headers["anthropic-version"] = "2023-06-01"
        got, raw = await status_of(fake, sent, headers)
        if got != status:
            other.append(f"{path.stem}: the vendor said {status}, the fake {got} {raw[:200]!r}")

    assert other == []


def wrong_key(record: dict[str, Any]) -> bool:
    """The vendor refused because of the key."""
    return record["response"]["status"] == 401 or "API_KEY_INVALID" in json.dumps(record["response"])
