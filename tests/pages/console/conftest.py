"""Gateways with a console, operators that are in, and a browser."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from compatgw import Gateway
from compatgw_testing.fakes import FakeAnthropic, FakeOpenAI
from tests.pages.console.operating import ADMIN, PLAIN, RING, Console
from tests.state.making import Clock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

BROWSER = "/usr/bin/chromium"
# Read before the tests' own environment is emptied.
REQUIRED = os.environ.get("COMPATGW_BROWSER") == "required"


def gateway(url: str | None, clock: Clock | None = None, **settings: Any) -> Gateway:
    """A gateway over the fakes with an operator; with a ledger where there is a `url`."""
    fakes = {"openai": FakeOpenAI(), "anthropic": FakeAnthropic()}
    given: dict[str, Any] = {
        "state": {"ledger": url, "key_ring": RING} if url is not None else {},
        "keys": [{"key": ADMIN, "name": "ops", "scopes": ["admin"]}, {"key": PLAIN, "name": "app"}],
        "providers": {name: {"app": fake, "api_key": fake.api_key} for name, fake in fakes.items()},
        "plans": {"house": {"requests": 7}},
        **settings,
    }
    clocks: dict[str, Any] = {} if clock is None else {"clock": clock, "monotonic": clock}
    return Gateway(environ={}, **clocks, **given)


@pytest.fixture
async def open_console(clock: Clock, empty_ledger: Callable[[str], str]) -> AsyncIterator[Callable[..., Console]]:
    """Opens gateways, each with somebody in front of it who is not in yet."""
    opened: list[Console] = []

    def open(*, ledger: bool | str = True, root: str = "", scheme: str = "http", **settings: Any) -> Console:
        url = ledger if isinstance(ledger, str) else empty_ledger("sqlite") if ledger else None
        made = gateway(url, clock, **settings)
        # What escapes a gateway is a failure of the test, and the address is the visitor's.
        transport = httpx.ASGITransport(made, root_path=root, client=("203.0.113.7", 40_000))
        http = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://site{root}")
        opened.append(Console(made, http, clock, root))
        return opened[-1]

    yield open
    for console in opened:
        await console.aclose()


@pytest.fixture
async def outside(open_console: Callable[..., Console]) -> Console:
    """A console that nobody is in."""
    return open_console()


@pytest.fixture
async def console(outside: Console) -> Console:
    """A console with the operator in it, on SQLite."""
    answer = await outside.login()
    assert answer.status_code == 303
    return outside


@pytest.fixture
async def console_of_each(open_console: Callable[..., Console], ledger_url: str) -> Console:
    """The same on each back end."""
    found = open_console(ledger=ledger_url)
    assert (await found.login()).status_code == 303
    return found


# --- a browser -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a file; where there is none they are skipped, unless COMPATGW_BROWSER=required.

    While it is open its driver's loop runs in this thread: such a file has no test that is async.
    """
    if not REQUIRED:
        pytest.importorskip("playwright", reason="playwright is not installed")
        if not Path(BROWSER).exists():
            pytest.skip(f"there is no {BROWSER}; install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a browser that knows nothing yet; fails for anything that the browser's console says."""
    opened: list[BrowserContext] = []
    said: list[str] = []

    def open(url: str, *, expects: str = "", **options: Any) -> Page:
        context = browser.new_context(**options)
        opened.append(context)
        page = context.new_page()
        # What a page is refused with is said there, too.
        page.on("console", lambda message: said.append(message.text) if message.text != expects else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        return page

    yield open
    for context in opened:
        context.close()
    assert not said


@pytest.fixture
def site(serve: Callable[..., str], empty_ledger: Callable[[str], str]) -> str:
    """A gateway with a ledger on a real port."""
    return serve(gateway(empty_ledger("sqlite")))


@pytest.fixture
def entered(visit: Callable[..., Page]) -> Callable[..., Page]:
    """Opens a page of the console with the operator logged in by its form."""

    def open(site: str, path: str = "/console/keys", **options: Any) -> Page:
        page = visit(f"{site}{path}", **options)
        page.locator("#key").fill(ADMIN)
        page.locator("main form button[type=submit]").click()
        page.wait_for_url(f"{site}{path}")
        page.wait_for_load_state()
        return page

    return open
