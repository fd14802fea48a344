"""A real port for the fakes, and the official SDKs pointed at it or at the fakes in the same process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from compatgw_testing import Fake, FakeServer
from tests.testing.doors.sdks import sdk_of
from tests.testing.driver import FAKES
from tests.testing.inprocess import connect

__all__ = ["connect"]

# Tests share these assertions; so that they, too, say what was found.
pytest.register_assert_rewrite(*(f"tests.testing.{name}" for name in ("exchanges", "mutation", "shapes", "surfaces")))


@pytest.fixture(scope="session")
def server() -> Iterator[FakeServer]:
    """One server for the whole run, on which tests mount their fakes."""
    with FakeServer() as server:
        yield server


@pytest.fixture
def origin(server: FakeServer) -> Iterator[Callable[[Fake], str]]:
    """Puts a fake on the port; gives its origin."""
    with ExitStack() as stack:

        def put(fake: Fake) -> str:
            name = f"fake{id(fake)}"
            stack.callback(server.unmount, name)
            return server.mount(name, fake)

        yield put


@pytest.fixture
def sdk(origin: Callable[[Fake], str]) -> Iterator[Callable[..., Any]]:
    """The official SDK of a fake's vendor, pointed at it; retries are off unless said."""
    with ExitStack() as stack:

        def client(fake: Fake, *, retries: int = 0, key: str | None = None, timeout: float = 20) -> Any:
            url = origin(fake) + fake.sdk_path
            made = sdk_of(fake.dialect, url, key or fake.api_key, retries=retries, patience=timeout)
            return stack.enter_context(made)

        yield client


@pytest.fixture(params=sorted(FAKES))
def fake(request: pytest.FixtureRequest) -> Fake:
    """Each dialect's fake in turn."""
    return FAKES[request.param](seed=7)
