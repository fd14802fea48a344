"""Drives a fake by hand on virtual time: no event loop of a server, no socket, and nothing sleeps."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from compatgw_testing import Fake
from compatgw_testing.faults import ReadTimedOut
from tests.testing.driver import MODELS, Reply, credentials, question


async def ask(
    fake: Fake, body: object = None, *, stream: bool = False, read_timeout: float | None = None, leave_after: int = 0
) -> Reply:
    """Sends a chat request on virtual time; `leave_after` closes the connection once so many pieces came."""
    dialect = fake.dialect
    sent: Any = question(dialect) if body is None else body
    if stream and dialect != "gemini":
        sent = {**sent, "stream": True}
    verb = "streamGenerateContent" if stream else "generateContent"
    path = {
        "openai": "/v1/chat/completions",
        "anthropic": "/v1/messages",
        "gemini": f"/v1beta/models/{MODELS['gemini']}:{verb}",
        "cohere": "/v2/chat",
    }[dialect]
    scope = {
        "type": "http",
        "method": "POST",
        "path": unquote(path),
        "query_string": b"alt=sse" if stream and dialect == "gemini" else b"",
        "headers": [(name.encode(), value.encode()) for name, value in credentials(fake).items()],
        "extensions": {"compatgw_testing": {"virtual": True, "read_timeout": read_timeout}},
    }
    reply = Reply()
    gone, asked = asyncio.Event(), False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": json.dumps(sent).encode(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message.get("body"):
            reply.pieces.append(message["body"])
        if leave_after and len(reply.pieces) >= leave_after:
            gone.set()
            await asyncio.sleep(0)

    try:
        await fake(scope, receive, send)
    except (ConnectionError, ReadTimedOut) as failure:
        reply.failure = failure
    return reply


def times(fake: Fake) -> list[float]:
    """When each piece of the latest answer went out."""
    return [at for at, _ in fake.last.pieces]
