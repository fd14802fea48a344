"""The public interface as applications use it. Never run: mypy and pyright read it, both in their strict modes.

What does not live here: the check that they find nothing (`test_typing.py`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import assert_type

import httpx
import httpx2
import openai
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from compatgw import (
    ConfigError,
    Ended,
    Gateway,
    GatewayError,
    Principal,
    StateError,
    __version__,
    anonymous,
    from_config,
)

version: str = __version__
assert_type(from_config(), Gateway)


# --- made ---


async def who(connection: HTTPConnection) -> Principal | None:
    user = connection.headers.get("x-user")
    return Principal(name=user, models=("openai/*",)) if user else None


def told(call: Ended) -> None:
    assert_type(call.cost, Decimal | None)
    assert_type(call.input, int)
    assert_type(call.seconds, float)
    assert_type(call.code, str)


async def told_later(call: Ended) -> None:
    told(call)


from_file = Gateway("compatgw.toml")
from_mapping = Gateway({"keys": ["k"]}, environ={})
closed = Gateway(authenticate=who, on_call=told)
opened = Gateway(authenticate=anonymous, on_call=told_later)
full = Gateway(
    name="acme",
    providers={"openai": {"api_key": "sk-..."}, "local": {"base_url": "http://localhost:8000/v1", "auth": "none"}},
    models={"fast": "openai/gpt-4o-mini", "dear": {"target": "openai/gpt-4o", "price": {"input": "2.5"}}},
    keys=["k", {"key": "admin", "scopes": ["admin"]}],
    unsupported="drop",
    transport="httpx",
    timeouts={"total": 30.0},
    cache={"enabled": True},
    state={"ledger": "sqlite:///acme.db"},
    shutdown_grace=5.0,
    http_client=httpx.AsyncClient(),
)
other = Gateway(http_client=httpx2.AsyncClient())
assert_type(full.providers, tuple[str, ...])
assert_type(full.transport, str)


def careful() -> Gateway | None:
    try:
        return from_config()
    except ConfigError as error:
        print(str(error))
        return None


# --- mounted ---

app = FastAPI(lifespan=full.lifespan)
app.mount("/ai", full)
starlette = Starlette(routes=[Mount("/ai", full)], lifespan=full.lifespan)
dispatched = full.beside(starlette, "/ai")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    async with full.lifespan():
        yield


async def by_hand() -> None:
    try:
        await full.open()
    except StateError as error:
        print(str(error))
    await full.aclose()
    async with Gateway() as gateway:
        assert_type(gateway, Gateway)


# --- called from inside ---


async def ask(question: str) -> str | None:
    client = full.async_openai(api_key="k")
    assert_type(client, openai.AsyncOpenAI)
    assert_type(full.openai(principal=Principal(name="job")), openai.OpenAI)
    answer = await client.chat.completions.create(model="fast", messages=[{"role": "user", "content": question}])
    return answer.choices[0].message.content


async def raw() -> None:
    async with full.client(api_key="k") as client:
        assert_type(client, httpx.AsyncClient)
        assert_type((await client.get("/v1/models")).status_code, int)
    async with full.client("httpx2") as newer:
        assert_type(newer, httpx2.AsyncClient)


def shown(error: GatewayError) -> str:
    assert_type(error.status, int)
    assert_type(error.retry_after, float | None)
    return error.envelope()["error"]["message"]
