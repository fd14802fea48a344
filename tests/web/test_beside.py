"""The gateway and another application behind one door."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw import StateError
from compatgw.web.beside import Beside


class Answering:
    """An application that remembers what it was asked."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Remembers."""
        self.scopes.append(scope)


async def nothing() -> None:
    """Does nothing."""


async def unreachable() -> None:
    """The ledger is away."""
    raise StateError("The ledger cannot be reached.")


@pytest.mark.parametrize(
    ("path", "root", "inside", "told"),
    [
        ("/ai/v1/models", "", True, "/ai"),
        ("/ai", "", True, "/ai"),
        ("/ai/", "", True, "/ai"),
        ("/aix/v1", "", False, ""),
        ("/v1/models", "", False, ""),
        ("/proxy/ai/v1", "/proxy", True, "/proxy/ai"),  # uvicorn --root-path
        ("/ai/v1", "/proxy", True, "/proxy/ai"),  # granian, hypercorn
        ("/proxy/other", "/proxy", False, "/proxy"),
    ],
)
async def test_the_prefix_is_looked_for_in_the_route(path: str, root: str, inside: bool, told: str) -> None:
    """Whatever the server makes of its root path; what the host is handed is what came."""
    gateway, host = Answering(), Answering()
    scope = {"type": "http", "path": path, "root_path": root}
    nobody: Any = None
    await Beside(gateway, host, "/ai", opened=nothing, closed=nothing)(scope, nobody, nobody)
    found = (gateway if inside else host).scopes
    assert [one["root_path"] for one in found] == [told]
    assert [one["path"] for one in found] == [path]
    assert scope == {"type": "http", "path": path, "root_path": root}


async def test_a_ledger_that_is_away_stops_the_start_of_both() -> None:
    """The host is not begun."""
    host = Answering()
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    beside = Beside(Answering(), host, "/ai", opened=unreachable, closed=nothing)
    await beside({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": "compatgw: The ledger cannot be reached."}]
    assert host.scopes == []


async def test_a_host_that_fails_in_its_own_start_is_heard() -> None:
    """Only one that said nothing at all is taken for one without a lifespan."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise RuntimeError("the host broke")

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        """Takes it."""

    with pytest.raises(RuntimeError, match="the host broke"):
        await Beside(Answering(), broken, "/ai", opened=nothing, closed=nothing)({"type": "lifespan"}, receive, send)
