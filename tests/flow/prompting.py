"""Gateways with templates, and with a Langfuse that has some.

What does not live here: tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import orjson

from compatgw import Gateway
from tests.canned import gateway
from tests.flow.upstreams import CHAT
from tests.state.making import Clock
from tests.upstream.langfuse import PUBLIC, SECRET, FakeLangfuse

MODEL = "up/m"
GREET: dict[str, Any] = {
    "greet": [
        {"text": "Be {{mood}}.", "version": 1, "labels": ["production"]},
        {
            "messages": [
                {"role": "system", "content": "You are {{name}}."},
                {"role": "user", "content": "Who are you?"},
                {"role": "assistant", "content": "I am {{name}}."},
            ],
            "version": 2,
            "labels": ["next"],
        },
    ],
    "plain": {"text": "Say it plainly."},
}


def house(upstream: Any, **settings: Any) -> Gateway:
    """A gateway with templates."""
    return gateway(upstream, prompts=settings.pop("prompts", GREET), **settings)


async def send(app: Gateway, body: Mapping[str, Any], path: str = CHAT, **headers: str) -> httpx.Response:
    """One request."""
    async with app.client(api_key="k") as client:
        sent = {"content-type": "application/json", **headers}
        return await client.post(path, content=orjson.dumps(body), headers=sent)


def over(server: FakeLangfuse, upstream: Any, clock: Clock, **own: Any) -> Gateway:
    """A gateway that knows of a Langfuse; templates are fresh for a minute."""
    given = {"base_url": server.url, "public_key": PUBLIC, "secret_key": SECRET, **own}
    return house(upstream, langfuse=given, clock=clock)


async def renewed(app: Gateway, body: Mapping[str, Any]) -> None:
    """One call, and the end of all that goes on behind it."""
    await send(app, body)
    await app._standing.house.tasks.aclose()
