"""A real port for the fakes, and the official SDKs pointed at it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import cohere
import httpx
import openai
import pytest
from google import genai

from compatgw_testing import Fake, FakeServer
from tests.testing.driver import FAKES


class Crossroads:
    """Serves several fakes on one port, each under a path of its own, as a host application mounts them."""

    def __init__(self) -> None:
        self.fakes: dict[str, Fake] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        name = scope["path"].split("/", 2)[1]
        await self.fakes[name]({**scope, "root_path": f"/{name}"}, receive, send)


@pytest.fixture(scope="session")
def crossroads() -> Iterator[tuple[Crossroads, FakeServer]]:
    """One server for the whole run."""
    roads = Crossroads()
    with FakeServer(roads) as server:
        yield roads, server


@pytest.fixture
def origin(
    crossroads: tuple[Crossroads, FakeServer], request: pytest.FixtureRequest
) -> Iterator[Callable[[Fake], str]]:
    """Puts a fake on the port; gives its origin."""
    roads, server = crossroads
    mine: list[str] = []

    def put(fake: Fake) -> str:
        name = f"fake{id(fake)}"
        roads.fakes[name] = fake
        mine.append(name)
        return f"{server.origin}/{name}"

    yield put
    for name in mine:
        del roads.fakes[name]


@pytest.fixture
def sdk(origin: Callable[[Fake], str]) -> Iterator[Callable[..., Any]]:
    """The official SDK of a fake's vendor, pointed at it; retries are off unless said."""
    with ExitStack() as stack:

        def client(fake: Fake, *, retries: int = 0, key: str | None = None, timeout: float = 20) -> Any:
            key = key or fake.api_key
            url = origin(fake) + fake.sdk_path
            if fake.dialect == "openai":
                return stack.enter_context(
                    openai.OpenAI(base_url=url, api_key=key, max_retries=retries, timeout=timeout)
                )
            if fake.dialect == "anthropic":
                return stack.enter_context(
                    anthropic.Anthropic(base_url=url, api_key=key, max_retries=retries, timeout=timeout)
                )
            if fake.dialect == "cohere":
                http = stack.enter_context(httpx.Client(timeout=timeout))
                return cohere.ClientV2(api_key=key, base_url=url, httpx_client=http)
            options = genai.types.HttpOptions(base_url=url, timeout=int(timeout * 1000))
            gemini = genai.Client(api_key=key, http_options=options)
            stack.callback(gemini.close)
            return gemini

        yield client


@pytest.fixture(params=sorted(FAKES))
def fake(request: pytest.FixtureRequest) -> Fake:
    """Each dialect's fake in turn."""
    return FAKES[request.param](seed=7)
