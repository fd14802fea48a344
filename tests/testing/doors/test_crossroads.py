"""Many applications on one address."""

import asyncio
import threading
from typing import Any

import pytest

from compatgw_testing import FakeAnthropic, FakeOpenAI
from compatgw_testing.doors import inprocess
from compatgw_testing.doors.crossroads import Crossroads
from tests.testing.driver import credentials, question


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers where it was mounted, and what it was asked for."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['root_path']} {scope['path']}".encode()})


async def get(app: Any, path: str) -> tuple[int, str]:
    """Status and text."""
    async with inprocess.client(app) as client:
        answer = await client.get(path)
    return answer.status_code, answer.text


async def test_the_longest_prefix_serves() -> None:
    """A prefix ends at a slash; the application sees it as its root path, and the whole path."""
    roads = Crossroads({"a": echo, "/a/b/": echo})

    assert roads.prefixes == ("/a", "/a/b")
    assert await get(roads, "/a/x") == (200, "/a /a/x")
    assert await get(roads, "/a/b/x") == (200, "/a/b /a/b/x")
    assert await get(roads, "/a/b") == (200, "/a/b /a/b")
    assert (await get(roads, "/ab/x"))[0] == 404


async def test_roads_may_lead_to_roads() -> None:
    """Root paths add up."""
    assert await get(Crossroads({"/one": Crossroads({"/two": echo})}), "/one/two/x") == (200, "/one/two /one/two/x")


async def test_fakes_know_their_own_paths() -> None:
    """Below a prefix a fake answers as it does alone, and its journal has its own path."""
    fakes = {"openai": FakeOpenAI().reply("a"), "anthropic": FakeAnthropic().reply("b")}
    async with inprocess.client(Crossroads(fakes)) as client:
        for name, path in (("openai", "/v1/chat/completions"), ("anthropic", "/v1/messages")):
            answer = await client.post(f"/{name}{path}", json=question(name), headers=credentials(fakes[name]))
            assert answer.status_code == 200
            assert fakes[name].last.path == path


async def test_nobody_owns_what_is_not_mounted() -> None:
    """404, in words; and the stray is kept, so that a test may tell of it."""
    roads = Crossroads({"/a": echo})
    roads.unmount("/a")
    roads.unmount("/a")

    status, text = await get(roads, "/a/v1/models?key=secret")

    assert status == 404
    assert "No test owns /a/v1/models" in text
    assert list(roads.strays) == ["GET /a/v1/models"]


async def test_a_default_serves_the_rest() -> None:
    """At the root, with no root path."""
    assert await get(Crossroads({"/a": echo}, default=echo), "/b/x") == (200, " /b/x")


def test_a_prefix_is_mounted_once() -> None:
    """Two applications under one path, or one under none, is a mistake."""
    roads = Crossroads({"/a": echo})

    with pytest.raises(ValueError, match="/a is taken"):
        roads.mount("a/", echo)
    with pytest.raises(ValueError, match="not under the root"):
        roads.mount("/", echo)


async def test_only_http_can_be_stray() -> None:
    """Another protocol that nobody serves is an error of the caller; lifespan is answered."""
    roads, sent = Crossroads(), []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    with pytest.raises(ValueError, match="nothing is mounted for a websocket at /x"):
        await roads({"type": "websocket", "path": "/x"}, receive, send)
    await roads({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_mounting_from_many_threads() -> None:
    """Nothing is lost when tests come and go at the same time."""
    roads = Crossroads()

    def work(number: int) -> None:
        for turn in range(50):
            roads.mount(f"/{number}/{turn}", echo)
        for turn in range(0, 50, 2):
            roads.unmount(f"/{number}/{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)

    assert len(roads.prefixes) == 8 * 25
