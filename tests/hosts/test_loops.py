"""One gateway in many event loops, and nothing left behind in any of them."""

import asyncio
import gc
import random
from collections.abc import Callable
from typing import Any, Literal

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from compatgw import Gateway
from tests.canned import DONE, FINISH, KEY, ROLE, STREAM, WORD, Canned, ask, completion, gateway


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
def test_a_loop_for_each_request_is_served(transport: Literal["aiohttp", "httpx"], serve: Callable[..., str]) -> None:
    """A test client without `with` makes one each time; connections close with their loop, without a warning."""
    origin = serve(Canned(completion()))
    app = Gateway(
        providers={"up": {"base_url": f"{origin}/v1", "auth": "none"}}, keys=["k"], transport=transport, environ={}
    )
    client = TestClient(Starlette(routes=[Mount("/ai", app)]))
    for _ in range(3):
        assert client.post("/ai/v1/chat/completions", json=ask(), headers=KEY).status_code == 200
    assert list(app._standing.house.upstream._transports) == []
    gc.collect()


async def test_closing_is_idempotent_and_a_later_call_opens_anew(serve: Callable[..., str]) -> None:
    """Hosts close on shutdown; some go on afterwards."""
    origin = serve(Canned(completion()))
    async with Gateway(providers={"up": {"base_url": f"{origin}/v1", "auth": "none"}}, keys=["k"], environ={}) as app:
        for _ in range(2):
            async with app.client(api_key="k") as client:
                assert (await client.post("/v1/chat/completions", json=ask())).status_code == 200
            await app.aclose()
            await app.aclose()


class Random:
    """Outcomes of upstreams and clients, by a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def upstream(self) -> Canned:
        """Whole, cut, broken or silent."""
        pieces = [ROLE, WORD, WORD, FINISH, DONE][: self._dice.randint(0, 5)]
        return Canned(pieces, kind=STREAM, then=self._dice.choice(["end", "break", "hang"]))

    def patience(self) -> int:
        """After how many events the client leaves."""
        return self._dice.randint(0, 6)


async def test_whatever_happens_no_task_and_no_slot_is_left() -> None:
    """Upstreams fail and clients leave at random points; then everything is as before."""
    dice = Random(7)
    up = Canned()

    async def current(*args: Any) -> None:
        await up(*args)

    app: Any = gateway(current)
    before = asyncio.all_tasks()
    for _ in range(150):
        up = dice.upstream()
        leave = dice.patience()
        async with app.client(api_key="k") as client:
            body = orjson.dumps(ask(stream=True, timeout=5))
            headers = {"content-type": "application/json"}
            async with client.stream("POST", "/v1/chat/completions", content=body, headers=headers) as response:
                seen = 0
                async for _ in response.aiter_bytes():
                    seen += 1
                    if seen >= leave:
                        break
        if up.began.is_set():
            await asyncio.wait_for(up.ended.wait(), 5)
    for _ in range(3):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert app._standing.site.capacity.in_flight == 0


def test_the_hosts_own_client_carries_every_call(serve: Callable[..., str]) -> None:
    """Proxies, retries and mocks of the host see them."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, content=completion(), headers={"content-type": "application/json"})

    async def call() -> int:
        async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as own:
            app = Gateway(
                providers={"openai": {"api_key": "x"}}, keys=["k"], http_client=own, environ={}, transport="aiohttp"
            )
            async with app.client(api_key="k") as client:
                return (await client.post("/v1/chat/completions", json=ask(model="openai/gpt-4o"))).status_code

    assert asyncio.run(call()) == 200
    assert seen == ["https://api.openai.com/v1/chat/completions"]


async def test_pytest_httpx_sees_calls_over_the_httpx_transport(httpx_mock: Any) -> None:
    """What it registers is what the gateway gets."""
    httpx_mock.add_response(url="https://api.openai.com/v1/chat/completions", content=completion())
    app = Gateway(providers={"openai": {"api_key": "x"}}, keys=["k"], transport="httpx", environ={})
    async with app.client(api_key="k") as client:
        got = await client.post("/v1/chat/completions", json=ask(model="openai/gpt-4o"))
    assert got.json()["choices"][0]["message"]["content"] == "Hello"
    await app.aclose()
