"""The pages in a real browser: with a pointer, with keys alone, without script, on a phone, and read aloud.

A browser that is missing skips these tests, unless COMPATGW_BROWSER=required.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compatgw import Gateway
from compatgw.pages import words
from tests.pages.visiting import PAGES, gateway

BROWSER = "/usr/bin/chromium"
# Read before the tests' own environment is emptied.
REQUIRED = os.environ.get("COMPATGW_BROWSER") == "required"

if not REQUIRED:
    pytest.importorskip("playwright", reason="playwright is not installed")
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    if not Path(BROWSER).exists():
        pytest.skip(f"there is no {BROWSER}; install chromium", allow_module_level=True)

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # noqa: E402 - where it is
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright  # noqa: E402 - the same

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def site(serve: Callable[..., str]) -> str:
    """A gateway on a real port."""
    return serve(gateway(status_upstreams=True))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a browser that knows nothing yet; fails for anything that the console says."""
    opened: list[BrowserContext] = []
    said: list[str] = []

    def open(url: str, **options: Any) -> Page:
        context = browser.new_context(**options)
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        return page

    yield open
    for context in opened:
        context.close()
    assert not said


def mounted(app: Gateway, root: str) -> Callable[..., Any]:
    """A host that has the gateway under `root`."""

    async def host(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": root} if scope["type"] == "http" else scope, receive, send)

    return host


def test_copying_the_address(site: str, visit: Callable[..., Page]) -> None:
    """The button copies exactly the base URL, says so to eyes and ears, and is itself again after a while."""
    page = visit(f"{site}/docs", permissions=["clipboard-read", "clipboard-write"])
    button = page.locator("[data-copy=base]")
    button.click()
    expect(button).to_contain_text("Copied")
    expect(page.locator("[data-announcer]")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{site}/v1"
    expect(button).to_have_text("Copy Base URL")


def test_search_and_choice_rewrite_every_snippet(site: str, visit: Callable[..., Page]) -> None:
    """Words leave the tags that have all of them; the one that is taken stands in every snippet of its kind."""
    page = visit(f"{site}/docs")
    page.get_by_label("Search models").fill("cohere command-a-03")
    left = page.locator(".tags li:visible")
    expect(left).to_have_count(1)
    left.locator("a").click()
    names = page.locator("[data-model=chat]").all_text_contents()
    assert len(names) > 30
    assert set(names) == {"cohere/command-a-03-2025"}
    assert "cohere" not in "".join(page.locator("[data-model=embedding]").all_text_contents())
    page.get_by_label("Search models").fill("nothing like this")
    expect(page.get_by_text("No model has all of these words.")).to_be_visible()


def test_search_by_keys_alone(site: str, visit: Callable[..., Page]) -> None:
    """Enter takes the first model that is left."""
    page = visit(f"{site}/docs")
    field = page.get_by_label("Search models")
    field.focus()
    page.keyboard.type("gemini-embedding-001")
    page.keyboard.press("Enter")
    assert set(page.locator("[data-model=embedding]").all_text_contents()) == {"gemini/gemini-embedding-001"}


def test_tabs_by_keys_alone(site: str, visit: Callable[..., Page]) -> None:
    """Arrows, Home and End move in a list of tabs and round its ends; all lists of tools follow one choice."""
    page = visit(f"{site}/docs")
    tools = page.get_by_role("tablist", name="What to do it with").first
    tools.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    expect(tools.get_by_role("tab", name="Python")).to_be_focused()
    expect(page.locator("#chat-python")).to_be_visible()
    expect(page.locator("#chat-curl")).to_be_hidden()
    page.keyboard.press("End")
    expect(tools.get_by_role("tab", name="LlamaIndex")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tools.get_by_role("tab", name="curl")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tasks = page.get_by_role("tablist", name="What to do", exact=True)
    tasks.get_by_role("tab", name="Streaming").click()
    expect(page.locator("#stream-node")).to_be_visible()


def test_the_first_tab_leads_past_the_navigation(site: str, visit: Callable[..., Page]) -> None:
    """The first stop of the Tab key is the link to the content, which is seen then, and works."""
    page = visit(f"{site}/docs")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_language_and_theme_are_kept(site: str, visit: Callable[..., Page]) -> None:
    """A choice of language or colours holds on the next page; the colours change without loading anew."""
    page = visit(f"{site}/docs", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("link", name="Dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) != light
    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    page.get_by_role("link", name="Mô hình", exact=True).click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate(ground) != light


def test_the_systems_colours(site: str, visit: Callable[..., Page]) -> None:
    """Who chooses nothing gets the colours of the system."""
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = visit(f"{site}/docs", color_scheme="dark").evaluate(ground)
    assert dark != visit(f"{site}/docs", color_scheme="light").evaluate(ground)


def test_the_visitors_language(site: str, visit: Callable[..., Page]) -> None:
    """Who chooses nothing gets the language of the browser."""
    expect(visit(f"{site}/docs", locale="vi-VN").locator("html")).to_have_attribute("lang", "vi")


def test_health_is_asked_for(site: str, visit: Callable[..., Page]) -> None:
    """The card says Up, and Degraded or Down when `/api/status` does or does not answer."""
    page = visit(f"{site}/docs")
    state = page.locator("[data-state]")
    expect(state).to_have_text("Up")
    expect(page.locator("[data-fact=uptime]")).to_contain_text("second")
    page.route(
        "**/api/status",
        lambda route: route.fulfill(json={"data": {"health": "degraded", "version": "9", "uptime_s": 90_061}}),
    )
    expect(state).to_have_text("Degraded", timeout=15_000)
    expect(page.locator("[data-fact=uptime]")).to_have_text("1 day 1 hour")
    page.route("**/api/status", lambda route: route.fulfill(body="no"))
    expect(state).to_have_text("Down", timeout=15_000)


def test_checking_comes_first(site: str, browser: Browser) -> None:
    """Until the first answer is there the card says Checking."""
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/api/status", lambda route: None)
        page.goto(f"{site}/docs")
        expect(page.locator("[data-state]")).to_have_text("Checking")
        page.unroute_all(behavior="ignoreErrors")


def test_under_a_mount(serve: Callable[..., str], visit: Callable[..., Page]) -> None:
    """At /x/y everything works: files, health, links, cookies of that path, and the address that is shown."""
    origin = serve(mounted(gateway(), "/x/y"))
    page = visit(f"{origin}/x/y/docs")
    expect(page.locator("#base")).to_have_text(f"{origin}/x/y/v1")
    expect(page.locator("[data-state]")).to_have_text("Up")
    page.get_by_role("link", name="Dark colours").click()
    assert [cookie["path"] for cookie in page.context.cookies()] == ["/x/y"]
    for name in ("Models", "API reference", "Status", "Quick start"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
        assert page.url.startswith(f"{origin}/x/y/docs")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.querySelector('.top')).position") == "sticky"


def test_without_script(site: str, visit: Callable[..., Page]) -> None:
    """Everything can be read, models, language and colours can be chosen, and no button stands there for nothing."""
    page = visit(f"{site}/docs", java_script_enabled=False)
    for id in ("chat-curl-code", "images-llamaindex-code", "setup-llm-code"):
        expect(page.locator(f"#{id}")).to_be_visible()
    assert page.locator("button:visible").count() == 0
    assert page.locator("input:visible").count() == 0
    page.locator(".tags a", has_text="cohere/command-a-03-2025").first.click()
    expect(page.locator("#chat-curl-code")).to_contain_text('"model": "cohere/command-a-03-2025"')
    page.get_by_role("link", name="Dark colours").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("link", name="Tiếng Việt").click()
    expect(page.locator("html")).to_have_attribute("lang", "vi")


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_nothing_sticks_out(site: str, visit: Callable[..., Page], width: int, language: str) -> None:
    """On no screen, down to 320 pixels, has a page to be pushed sideways."""
    page = visit(f"{site}/docs?lang={language}", viewport={"width": width, "height": 800})
    for path in PAGES:
        page.goto(f"{site}{path}")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_long_names_stick_out_nowhere(serve: Callable[..., str], visit: Callable[..., Page]) -> None:
    """A gateway with a name and a contact without any space still fits a phone."""
    site = serve(gateway(name="N" * 120, docs={"support": "S" * 200}))
    page = visit(f"{site}/docs", viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", words.LANGUAGES)
def test_everybody_can_use_it(site: str, visit: Callable[..., Page], path: str, theme: str, language: str) -> None:
    """axe finds nothing serious: contrast, labels, roles, order of headings."""
    page = visit(f"{site}{path}?lang={language}&theme={theme}")
    if path == "/docs/api":
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    page.wait_for_load_state("networkidle")
    found = Axe().run(page)
    serious = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical", "moderate")]
    assert not serious, [(each["id"], each["nodes"][0]["html"][:200]) for each in serious]


_PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
    const found = list.getEntriesByName("first-contentful-paint")[0];
    if (found) done(found.startTime);
}).observe({ type: "paint", buffered: true }))"""


@pytest.mark.parametrize("path", PAGES)
def test_the_first_paint_is_quick(site: str, visit: Callable[..., Page], path: str) -> None:
    """A page paints within 200 ms of the question; on a machine so busy that 15 bytes take 50, within four times those."""
    page = visit(f"{site}{path}")
    # A page without an icon of its own makes the browser ask for one.
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    best = {"/healthz": 1e9, path: 1e9}
    for _ in range(8):
        for each in best:
            page.goto(f"{site}{each}")
            best[each] = min(best[each], page.evaluate(_PAINT))
    assert best[path] < max(200, 4 * best["/healthz"]), best


def test_attacks_do_nothing(serve: Callable[..., str], visit: Callable[..., Page]) -> None:
    """A name that tries to run a script is shown, and runs none, also when it is chosen for the snippets."""
    attack = "<img src=x onerror=alert(1)>\"'</script>"
    page = visit(f"{serve(gateway(name=attack, models={attack: 'openai/gpt-4o'}))}/docs")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.locator(".tags a", has_text=attack).click()
    assert page.locator("main img").count() == 0
    expect(page.locator(".brand")).to_contain_text(attack)
    assert "\\\"'\\''</script>" in str(page.locator("#chat-curl-code").text_content())
