"""The `gateway` fixture: a real gateway whose upstreams are the four fakes, with no socket anywhere."""

from typing import Any

import pytest

from compatgw_testing import FakeAnthropic
from compatgw_testing.harness import KEY, gateway_over

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}
ASK = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("dialect", sorted(MODELS))
async def test_a_call_reaches_its_fake(
    gateway: Any, request: pytest.FixtureRequest, dialect: str, library: str
) -> None:
    """Through either client library; the fake of that dialect is called, the others are not."""
    fake = request.getfixturevalue(f"fake_{dialect}").reply("Bonjour", usage=(7, 3))

    async with gateway.client(library, api_key=KEY) as client:
        answer = await client.post("/v1/chat/completions", json={**ASK, "model": MODELS[dialect]})

    body = answer.json()
    assert answer.status_code == 200, body
    assert body["choices"][0]["message"]["content"] == "Bonjour"
    assert body["usage"]["total_tokens"] == 10
    assert fake.assert_called_once().outcome == "completed"
    for other in set(MODELS) - {dialect}:
        request.getfixturevalue(f"fake_{other}").journal.assert_not_called()


@pytest.mark.parametrize("dialect", sorted(MODELS))
async def test_a_stream_comes_through(gateway: Any, request: pytest.FixtureRequest, dialect: str) -> None:
    """Piece by piece, to the end mark."""
    request.getfixturevalue(f"fake_{dialect}").reply("One two three")

    async with gateway.client(api_key=KEY) as client:
        body = {**ASK, "model": MODELS[dialect], "stream": True}
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            lines = [line async for line in answer.aiter_lines() if line]

    assert lines[-1] == "data: [DONE]"
    assert "One" in lines[1]
    assert len(lines) >= 5


async def test_two_gateways_of_one_seed_give_the_same_bytes() -> None:
    """Clock and ids of the gateway are fixed as the fake's are."""
    bodies = []
    for _ in range(2):
        gateway = gateway_over(anthropic=FakeAnthropic(), seed="a")
        async with gateway.client(api_key=KEY) as client:
            answer = await client.post("/v1/chat/completions", json={**ASK, "model": MODELS["anthropic"]})
        bodies.append((answer.status_code, answer.content))

    assert bodies[0] == bodies[1]
    assert bodies[0][0] == 200


async def test_options_of_ones_own() -> None:
    """They win over those of the harness."""
    gateway = gateway_over(anthropic=FakeAnthropic(), options={"keys": ["mine"]})

    async with gateway.client(api_key="mine") as client:
        answer = await client.post("/v1/chat/completions", json={**ASK, "model": MODELS["anthropic"]})

    assert answer.status_code == 200
