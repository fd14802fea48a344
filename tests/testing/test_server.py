"""A fake on a real port."""

import asyncio
import threading
import time

import httpx
import pytest

from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, FakeServer
from tests.testing.driver import credentials, question


def test_start_serve_stop() -> None:
    """Answers as soon as `start` returns, and the thread is gone after `stop`."""
    fake = FakeOpenAI().reply("Hello")
    server = FakeServer(fake)

    server.start()
    answer = httpx.post(f"{server.base_url}/chat/completions", json=question("openai"), headers=credentials(fake))
    server.stop()
    server.stop()

    assert answer.json()["choices"][0]["message"]["content"] == "Hello"
    assert not [thread for thread in threading.enumerate() if thread.name == f"fake-{server.port}"]
    with pytest.raises(RuntimeError, match="starts once"):
        server.start()


def test_addresses() -> None:
    """The port is known before the start; each vendor's SDK has its own idea of a base URL."""
    urls = {}
    for fake in (FakeOpenAI(), FakeOpenAI(habit="groq"), FakeAnthropic(), FakeGemini(), FakeCohere()):
        with FakeServer(fake) as server:
            assert server.origin == f"http://127.0.0.1:{server.port}"
            urls[fake.dialect, fake.base_path] = server.sdk_url.removeprefix(server.origin)

    assert urls == {
        ("openai", "/v1"): "/v1",
        ("openai", "/openai/v1"): "/openai/v1",
        ("anthropic", "/v1"): "",
        ("gemini", "/v1beta"): "",
        ("cohere", ""): "",
    }


def test_a_stalled_call_does_not_hold_up_the_end() -> None:
    """The server stops while a client still waits."""
    fake = FakeOpenAI().fault("Hello", stall_after=1)
    with FakeServer(fake) as server, httpx.Client(timeout=20) as client:
        body, url = question("openai", stream=True), f"{server.base_url}/chat/completions"
        with client.stream("POST", url, json=body, headers=credentials(fake)) as answer:
            assert next(answer.iter_bytes()).startswith(b"data: ")
            before = time.monotonic()
            server.stop()

    assert time.monotonic() - before < 5


def test_two_runs_send_the_same_head() -> None:
    """No date and no server header: nothing in an answer depends on when it is given."""
    heads = []
    for _ in range(2):
        fake = FakeAnthropic()
        with FakeServer(fake) as server:
            answer = httpx.post(f"{server.base_url}/messages", json=question("anthropic"), headers=credentials(fake))
            heads.append(answer.headers.multi_items())

    assert heads[0] == heads[1]
    assert "date" not in dict(heads[0])


def test_lifespan_is_answered() -> None:
    """A host that insists on it may run it."""
    sent: list[str] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    asyncio.run(FakeOpenAI()({"type": "lifespan"}, receive, send))  # type: ignore[arg-type]

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(ValueError, match="serves HTTP"):
        asyncio.run(FakeOpenAI()({"type": "websocket"}, receive, send))  # type: ignore[arg-type]
