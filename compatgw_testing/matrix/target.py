"""The gateway under test: in this process over fakes that it is given, or at a URL and told where the fakes are.

What does not live here: cases.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from compatgw_testing.doors import inprocess
from compatgw_testing.matrix.upstreams import UPSTREAMS
from compatgw_testing.server import FakeServer

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from compatgw_testing.doors.exchange import App
    from compatgw_testing.fakes.base import Fake
    from compatgw_testing.matrix.upstreams import Upstream

Factory = Callable[[Mapping[str, "Fake"]], "App"]
Naming = Callable[["Upstream", str], str]
ORIGIN = "http://gateway.test"
PORT = 9700
# Seconds for one case.
TIMEOUT = 30.0


def prefixed(upstream: Upstream, model: str) -> str:
    """The model's id as most gateways want it: `anthropic/claude-sonnet-4-5`."""
    return f"{upstream.name}/{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one case is played: the client to the gateway, its base URL, and the fake behind it."""

    http: httpx.AsyncClient
    base_url: str
    fake: Fake


class Target:
    """A gateway that cases are played against. Made by `in_process` or `at`.

    Attributes:
        key: What the client gives as its key.
        naming: How the gateway names an upstream's model.
        timeout: Seconds that one case may take.
    """

    def __init__(
        self, key: str, naming: Naming, *, make: Factory | None, base_url: str, port: int, host: str, timeout: float
    ) -> None:
        self.key = key
        self.naming = naming
        self.timeout = timeout
        self._make = make
        self._base_url = base_url.rstrip("/")
        self._fakes: dict[str, Fake] = {}
        self._host, self._port = host, port
        self._server: FakeServer | None = None

    @classmethod
    def in_process(
        cls,
        make: Factory,
        *,
        key: str = "test-key",
        base_path: str = "/v1",
        naming: Naming = prefixed,
        timeout: float = TIMEOUT,
    ) -> Self:
        """A gateway in this process; each case gets a fresh one over a fresh fake.

        Args:
            make: Gives an ASGI application for fakes by upstream name, such as `lambda fakes: gateway_over(**fakes)`.
            key: What the client gives as its key.
            base_path: Where the gateway's API begins.
            naming: How the gateway names an upstream's model.
            timeout: Seconds that one case may take.
        """
        return cls(key, naming, make=make, base_url=ORIGIN + base_path, port=0, host="", timeout=timeout)

    @classmethod
    def at(
        cls,
        base_url: str,
        *,
        key: str,
        port: int = PORT,
        host: str = "127.0.0.1",
        naming: Naming = prefixed,
        timeout: float = TIMEOUT,
    ) -> Self:
        """A gateway at a URL. Within `with target:` the fakes are served for it; `addresses` says where.

        Args:
            base_url: What an SDK takes as base URL, such as `http://127.0.0.1:4000/v1`.
            key: A key of that gateway.
            port: Where the fakes are served; 0 for a free port.
            host: The address that they listen on.
            naming: How the gateway names an upstream's model.
            timeout: Seconds that one case may take.
        """
        return cls(key, naming, make=None, base_url=base_url, port=port, host=host, timeout=timeout)

    # The fakes of a gateway at a URL.

    def __enter__(self) -> Self:
        if self._make is None:
            self._fakes = {name: row.fake(name) for name, row in UPSTREAMS.items()}
            self._server = FakeServer(dict(self._fakes), host=self._host, port=self._port).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def addresses(self) -> dict[str, tuple[str, str]]:
        """Base URL and key of each upstream, for the gateway's configuration.

        Raises:
            RuntimeError: It is not within `with target:`.
        """
        if self._server is None:
            raise RuntimeError("the fakes are served within `with target:`, and only for a gateway at a URL")
        origin = self._server.origin
        return {name: (f"{origin}/{name}{fake.sdk_path}", fake.api_key) for name, fake in self._fakes.items()}

    # Cases.

    @asynccontextmanager
    async def place(self, upstream: Upstream, seed: str) -> AsyncIterator[Place]:
        """Where a case is played; one at a time for a gateway at a URL.

        Raises:
            RuntimeError: The fakes of a gateway at a URL are not served.
        """
        if self._make is not None:
            fake = upstream.fake(seed)
            app = self._make({upstream.name: fake})
            async with inprocess.client(app, library="httpx", timeout=self.timeout) as http:
                yield Place(http=http, base_url=self._base_url, fake=fake)
            return
        if self._server is None:
            raise RuntimeError("a gateway at a URL needs its fakes: play the case within `with target:`")
        fake = self._fakes[upstream.name]
        fake.reset()
        async with httpx.AsyncClient(timeout=self.timeout) as http:
            yield Place(http=http, base_url=self._base_url, fake=fake)
