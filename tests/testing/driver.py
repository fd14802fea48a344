"""Drives an ASGI application by hand: one request, and every message that comes back."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from compatgw_testing import Fake, FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI
from compatgw_testing.faults import ReadTimedOut
from compatgw_testing.specimens import PIXEL

PNG = PIXEL
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
# The fakes by dialect, for tests that hold for all of them.
FAKES: dict[str, type[Fake]] = {
    "openai": FakeOpenAI,
    "anthropic": FakeAnthropic,
    "gemini": FakeGemini,
    "cohere": FakeCohere,
}


@dataclass
class Reply:
    """What came back. `failure` is what the application raised."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def raw(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.raw)

    @property
    def events(self) -> list[Any]:
        """The JSON of each event of a stream."""
        text = self.raw.decode().replace("\r\n", "\n")
        data = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
        return [json.loads(one) for one in data if one != "[DONE]"]


async def request(
    app: Any,
    path: str,
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    mount: str = "",
    leave_after: int | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Reply:
    """Sends one request; `leave_after` closes the connection once so many pieces came."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    pure, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(mount + pure),
        "raw_path": (mount + pure).encode(),
        "root_path": mount,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "extensions": extensions or {},
    }
    reply = Reply()
    gone, asked = asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": raw, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message.get("body"):
            reply.pieces.append(message["body"])
        if leave_after is not None and len(reply.pieces) >= leave_after:
            gone.set()
            await asyncio.sleep(0)

    try:
        await app(scope, receive, send)
    except (ConnectionError, ReadTimedOut) as failure:
        reply.failure = failure
    return reply


def credentials(fake: Fake) -> dict[str, str]:
    """The headers that a fake wants."""
    return {
        "openai": {"authorization": f"Bearer {fake.api_key}", "api-key": fake.api_key},
        "anthropic": {"x-api-key": fake.api_key, "anthropic-version": "2023-06-01"},
        "gemini": {"x-goog-api-key": fake.api_key},
        "cohere": {"authorization": f"Bearer {fake.api_key}"},
    }[fake.dialect]


def question(dialect: str, text: str = "Hi", /, **members: Any) -> dict[str, Any]:
    """The smallest chat request of a dialect."""
    if dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], **members}
    body = {"model": MODELS[dialect], "messages": [{"role": "user", "content": text}], **members}
    return {"max_tokens": 200, **body} if dialect == "anthropic" else body


MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-6",
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
}


async def ask(fake: Fake, body: object = None, *, stream: bool = False, model: str = "", **how: Any) -> Reply:
    """Sends a chat request with the right credentials; default body: the smallest one."""
    dialect = fake.dialect
    if body is None:
        body = question(dialect)
    if stream and dialect != "gemini" and isinstance(body, dict):
        body = {**body, "stream": True}
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = {
        "openai": f"{fake.base_path}/chat/completions",
        "anthropic": "/v1/messages",
        "gemini": f"/v1beta/models/{model or MODELS['gemini']}:{verb}",
        "cohere": "/v2/chat",
    }[dialect]
    headers = {**credentials(fake), **how.pop("headers", {})}
    return await request(fake, path, body, headers=headers, **how)
