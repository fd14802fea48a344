"""Gateways with fakes behind them, and what a page holds."""

import contextlib
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx

from compatgw import Gateway
from compatgw_testing.fakes import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI

KEY = "page-key"
PAGES = ("/docs", "/docs/models", "/docs/api", "/docs/status")


def gateway(**settings: Any) -> Gateway:
    """A gateway over the fakes."""
    fakes = {"openai": FakeOpenAI(), "anthropic": FakeAnthropic(), "gemini": FakeGemini(), "cohere": FakeCohere()}
    providers = {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()}
    return Gateway(**{"providers": providers, "keys": [KEY], "environ": {}, **settings})


@contextlib.asynccontextmanager
async def visitor(gateway: Gateway, root: str = "", **options: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway that is mounted under `root`."""
    transport = httpx.ASGITransport(gateway, root_path=root)
    async with gateway, httpx.AsyncClient(transport=transport, base_url=f"http://site{root}", **options) as client:
        yield client


class Page(HTMLParser):
    """What stands in a page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Text."""
        self.pieces.append(data)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.pieces)

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]
