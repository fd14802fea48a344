"""Figures, states and the playground in a real browser; and every page of the console for everybody who looks at it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from compatgw.pages import words
from tests.canned import Canned
from tests.gated import GatedUpstream
from tests.pages.console.conftest import gateway
from tests.pages.console.lively import CALL, fill
from tests.pages.console.operating import ADMIN, PLAIN
from tests.state.making import Clock

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(180)

REFUSED = "Failed to load resource: the server responded with a status of {}"
_LONGEST = "/console?span=7d&by=hour"
PATHS = (
    "/console",
    _LONGEST,
    "/console?model=nobody",
    "/console/requests",
    "/console/requests?model=nobody",
    f"/console/requests/{CALL}",
    "/console/playground",
    "/console/models",
    "/console/keys",
    "/console/keys/KEY",
    "/console/keys/KEY/rotate",
    "/console/keys/KEY/revoke",
    "/console/teams",
    "/console/teams/acme",
    "/console/plans",
    "/console/plans?edit=gold",
    "/console/prompts",
    "/console/prompts/greet",
    "/console/nothing",
)
WIDTHS = (320, 390, 768, 1280)


@pytest.fixture
def lively(serve: Callable[..., str], empty_ledger: Callable[[str], str], clock: Clock) -> tuple[str, str]:
    """The origin of a gateway that has seen something, and the id of its key."""
    app = gateway(empty_ledger("sqlite"), clock)
    key = fill(app)
    return serve(app), key


def opened(page: Page) -> None:
    """Opens all that can be opened: what is inside is looked at, too."""
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")


# --- figures -----------------------------------------------------------------------------------------


def test_numbers_under_the_pointer(lively: tuple[str, str], entered: Callable[..., Page]) -> None:
    """They are a row of the table, in the words of its head; where the pointer leaves they go."""
    from playwright.sync_api import expect

    page = entered(lively[0], "/console")
    figure = page.locator("[data-chart]").first
    box = figure.locator(".plot > svg").bounding_box()
    assert box is not None
    readout = figure.locator("[data-readout]")
    for place in (0, 11, 23):
        page.mouse.move(box["x"] + box["width"] * (place + 0.5) / 24, box["y"] + 20)
        cells = figure.locator("tbody tr").nth(place).locator("th, td").all_text_contents()
        expect(readout).to_have_text(f"{cells[0].strip()} · Answered: {cells[1].strip()} · Failed: {cells[2].strip()}")
    page.mouse.move(0, 0)
    expect(readout).to_be_empty()


def test_hours_are_the_visitors(lively: tuple[str, str], entered: Callable[..., Page]) -> None:
    """The place of the last call is told in the visitor's zone, on the axis and in the table; days stay those of UTC."""
    from playwright.sync_api import expect

    page = entered(lively[0], "/console", timezone_id="Asia/Ho_Chi_Minh")
    rows = page.locator("[data-chart] tbody").first.locator("tr")
    assert rows.nth(22).locator("th").text_content() == "Nov 18, 2026, 5:00 PM"
    expect(page.locator("[data-zone]")).to_contain_text("your own time zone")
    page.goto(f"{lively[0]}/console?span=7d")
    expect(page.locator("[data-zone]")).to_contain_text("UTC")
    assert (page.locator("[data-chart] tbody tr th").first.text_content() or "").strip() == "Nov 12, 2026"


def test_spans_are_links(lively: tuple[str, str], entered: Callable[..., Page]) -> None:
    """Each span, each step and each model is a click away, without script."""
    from playwright.sync_api import expect

    page = entered(lively[0], "/console", java_script_enabled=False)
    for name, places in (("7 days", 7), ("Hours", 168), ("30 days", 30), ("90 days", 90), ("24 hours", 24)):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("[data-chart]").first.locator("tbody tr")).to_have_count(places)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="openai/gpt-4o-mini", exact=True).click()
    expect(page.get_by_role("list", name="Only these")).to_contain_text("openai/gpt-4o-mini")
    page.locator("tbody a", has_text="openai/gpt-4o-mini").last.click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("openai/gpt-4o-mini")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", name="How it went")).to_be_visible()


# --- states ------------------------------------------------------------------------------------------


def test_a_test_button_and_states_that_come_anew(site: str, entered: Callable[..., Page]) -> None:
    """What came of the test has the focus; the states follow what others call, without a click."""
    from playwright.sync_api import expect

    page = entered(site, "/console/models")
    page.clock.install()
    page.reload()
    page.get_by_role("button", name="Test OpenAI (").click()
    expect(page.locator("#tried")).to_contain_text("answered")
    expect(page.locator("#tried")).to_be_focused()
    assert "done" not in page.url
    calls = page.locator("#live tbody").first.locator("tr").nth(1).locator("td").nth(3)
    expect(calls).to_have_text("0")
    said = {"model": "anthropic/claude-sonnet-4-5", "messages": [{"role": "user", "content": "Hi"}]}
    other = page.request.post(f"{site}/v1/chat/completions", data=said, headers={"authorization": f"Bearer {PLAIN}"})
    assert other.ok
    page.clock.run_for(5_100)
    expect(calls).to_have_text("1")
    page.clock.run_for(5_100)
    expect(page.locator("#live tbody").nth(1)).to_contain_text("anthropic/claude-sonnet-4-5")


def test_times_that_come_anew_are_the_visitors(
    serve: Callable[..., str], empty_ledger: Callable[[str], str], entered: Callable[..., Page]
) -> None:
    """A failure that happened meanwhile is told in the visitor's zone and language, as all times are."""
    from playwright.sync_api import expect

    providers = {"openai": {"app": Canned(b"{}", status=500), "api_key": "x"}}
    site = serve(gateway(empty_ledger("sqlite"), providers=providers))
    page = entered(site, "/console/models", locale="vi-VN", timezone_id="Asia/Ho_Chi_Minh")
    page.clock.install()
    page.reload()
    said = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "retries": 0}
    page.request.post(f"{site}/v1/chat/completions", data=said, headers={"authorization": f"Bearer {PLAIN}"})
    page.clock.run_for(5_100)
    failed = page.locator("#live time").first
    expect(failed).to_be_visible()
    local = page.evaluate(
        "(iso) => new Intl.DateTimeFormat('vi', {dateStyle: 'medium', timeStyle: 'short'}).format(new Date(iso))",
        failed.get_attribute("datetime"),
    )
    expect(failed).to_have_text(local)


def test_whoever_left_is_asked_for_nothing(site: str, entered: Callable[..., Page]) -> None:
    """A page that nobody touches for ten minutes asks no more, so that its session can end."""
    page = entered(site, "/console/models")
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_response("**/console/models"):
        page.clock.run_for(5_100)
    page.clock.fast_forward(660_000)
    page.wait_for_load_state("networkidle")
    before = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == before


# --- the playground ----------------------------------------------------------------------------------


@pytest.fixture
def gated(serve: Callable[..., str], empty_ledger: Callable[[str], str], upstream: GatedUpstream) -> str:
    """A gateway whose upstream answers when the test lets it."""
    providers = {"openai": {"app": upstream, "api_key": "x"}}
    return serve(gateway(empty_ledger("sqlite"), providers=providers))


def ask(page: Page, **values: str) -> None:
    """Fills in the form and sends it."""
    for name, value in {"model": "openai/gpt-4o", "prompt": "Hello!", **values}.items():
        field = page.locator(f"#ask-{name}")
        if not field.is_visible():
            page.get_by_text("More options").click()
        field.fill(value)
    page.get_by_role("button", name="Send").click()


def test_the_answer_comes_while_it_is_written(
    gated: str, upstream: GatedUpstream, entered: Callable[..., Page]
) -> None:
    """Each word is there before the next one is written; then target, tokens, headers, plan and what was sent."""
    from playwright.sync_api import expect

    page = entered(gated, "/console/playground")
    ask(page, prompt="Count, <b>please</b>.")
    said = page.locator("[data-said]")
    upstream.let(2)
    expect(said).to_have_text("word1 ")
    expect(page.locator("[data-plan]")).to_contain_text("openai/gpt-4o")
    expect(page.locator("[data-plan]")).to_contain_text("The one way to call this name.")
    expect(page.get_by_role("button", name="Stop")).to_be_enabled()
    upstream.let(1)
    expect(said).to_have_text("word1 word2 ")
    upstream.let(3)
    expect(said).to_have_text("word1 word2 word3 word4 ")
    expect(page.locator("[data-fact=target]")).to_have_text(re.compile("^openai/"))
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    page.get_by_text("Headers of the answer").click()
    expect(page.locator("[data-headers]")).to_contain_text("x-provider")
    page.get_by_text("What is sent").click()
    expect(page.locator("#sent")).to_contain_text('"content": "Count, <b>please</b>."')
    expect(page.locator("[data-announcer]")).to_have_text("word1 word2 word3 word4 ")


@pytest.mark.parametrize("streamed", [True, False])
def test_what_it_cost_is_told(site: str, entered: Callable[..., Page], streamed: bool) -> None:
    """Tokens, money and time, whether the answer came bit by bit or whole."""
    from playwright.sync_api import expect

    page = entered(site, "/console/playground")
    page.get_by_label("Bit by bit").set_checked(streamed)
    ask(page)
    expect(page.locator("[data-fact=tokens]")).to_have_text(re.compile(r"^\d+ in, \d+ out$"))
    expect(page.locator("[data-fact=cost]")).to_have_text(re.compile(r"^0\.\d+ USD$"))
    expect(page.locator("[data-fact=took]")).to_have_text(re.compile(r"^[\d.,]+ m?s$"))
    expect(page.locator("[data-fact=status]")).to_have_text("200")


def test_an_answer_is_stopped(gated: str, upstream: GatedUpstream, entered: Callable[..., Page]) -> None:
    """What has come stays; the provider is left at once, and the next request goes out."""
    from playwright.sync_api import expect

    page = entered(gated, "/console/playground")
    ask(page)
    upstream.let(2)
    expect(page.locator("[data-said]")).to_have_text("word1 ")
    page.get_by_role("button", name="Stop").click()
    assert upstream.closed.wait(10)
    expect(page.locator("[data-said]")).to_have_text("word1 ")
    upstream.let(6)
    page.locator("#ask-prompt").press("Control+Enter")
    expect(page.locator("[data-said]")).to_have_text("word1 word2 word3 word4 ")


def test_what_is_wrong_is_said_by_its_field(site: str, entered: Callable[..., Page]) -> None:
    """With the focus there; what has no field is said where the answer would be."""
    from playwright.sync_api import expect

    page = entered(site, "/console/playground", expects=REFUSED.format("400 (Bad Request)"))
    ask(page, extra="{")
    field = page.locator("#ask-extra")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#ask-extra-wrong")).to_contain_text("is no JSON")
    ask(page, extra='{"surprise": 1, "retries": "many"}')
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-problem]")).to_contain_text("retries")
    ask(page, extra="")
    expect(page.locator("[data-problem]")).to_be_hidden()
    expect(page.locator("[data-said]")).not_to_be_empty()


def test_an_answer_that_breaks_off(
    serve: Callable[..., str], empty_ledger: Callable[[str], str], entered: Callable[..., Page]
) -> None:
    """What came stays, and it is said that it is not all."""
    from playwright.sync_api import expect

    first = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"So"}}]}\n\n'
    providers = {"openai": {"app": Canned([first], kind="text/event-stream", then="break"), "api_key": "x"}}
    page = entered(serve(gateway(empty_ledger("sqlite"), providers=providers)), "/console/playground")
    ask(page)
    expect(page.locator("[data-said]")).to_have_text("So")
    expect(page.locator("[data-problem]")).to_contain_text("upstream_stream_interrupted")


def test_attacks_do_nothing(
    serve: Callable[..., str], empty_ledger: Callable[[str], str], entered: Callable[..., Page]
) -> None:
    """What is asked, answered, thought, called and refused is text, while it comes and when it is whole."""
    from playwright.sync_api import expect

    attack = "<img src=x onerror=alert(1)>\"'</script><svg onload=alert(2)>"
    delta = {
        "content": attack,
        "reasoning_content": attack,
        "tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": attack, "arguments": attack}}],
    }
    chunk = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": attack,
        "choices": [{"index": 0, "delta": delta}],
    }
    error = {"error": {"message": attack, "type": "server_error", "code": None, "param": None}}
    pieces = [b"data: " + orjson.dumps(each) + b"\n\n" for each in (chunk, error)]
    app = Canned(pieces, kind="text/event-stream", headers={"x-request-id": "odd"})
    names = {attack: "openai/gpt-4o"}
    site = serve(gateway(empty_ledger("sqlite"), providers={"openai": {"app": app, "api_key": "x"}}, models=names))
    page = entered(site, "/console/playground")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    ask(page, model=attack, prompt=attack, system=attack)
    expect(page.locator("[data-said]")).to_contain_text(attack)
    expect(page.locator("[data-reasoning]")).to_have_text(attack)
    expect(page.locator("[data-problem]")).to_be_visible()
    opened(page)
    expect(page.locator("#sent")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0
    for path in ("/console", "/console/requests", "/console/models"):
        page.goto(f"{site}{path}")
        opened(page)
        assert page.locator("main img").count() == 0


def test_a_session_that_ended_is_said(site: str, entered: Callable[..., Page]) -> None:
    """The words that were typed stay where they are."""
    from playwright.sync_api import expect

    page = entered(site, "/console/playground", expects=REFUSED.format("401 (Unauthorized)"))
    page.context.clear_cookies()
    ask(page, prompt="A long question.")
    expect(page.locator("[data-problem]")).to_contain_text("session_over")
    expect(page.locator("#ask-prompt")).to_have_value("A long question.")


def test_the_plan_alone(gated: str, upstream: GatedUpstream, entered: Callable[..., Page]) -> None:
    """Nobody is called for it."""
    from playwright.sync_api import expect

    page = entered(gated, "/console/playground")
    page.get_by_label("Plan only").check()
    ask(page, extra='{"fallback": ["anthropic/claude-sonnet-4-5"]}')
    expect(page.locator("[data-plan]")).to_contain_text("Left out: 1")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    assert not upstream.requests


def test_without_script(site: str, entered: Callable[..., Page]) -> None:
    """The form answers with a page: the whole answer, its headers and cost, and the plan."""
    from playwright.sync_api import expect

    page = entered(site, "/console/playground", java_script_enabled=False)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    ask(page, system="Be brief.")
    expect(page.locator("[data-said]")).not_to_be_empty()
    expect(page.locator("[data-fact=status]")).to_have_text("200")
    expect(page.locator("[data-plan]")).to_contain_text("openai/gpt-4o")
    expect(page.locator("#ask-system")).to_have_value("Be brief.")


def test_under_a_mount(
    serve: Callable[..., str], empty_ledger: Callable[[str], str], entered: Callable[..., Page]
) -> None:
    """At /x/y: figures, tests, states that come anew and answers that come bit by bit stay within the mount."""
    from playwright.sync_api import expect

    app = gateway(empty_ledger("sqlite"))

    async def host(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/x/y"} if scope["type"] == "http" else scope, receive, send)

    site = serve(host) + "/x/y"
    page = entered(site, "/console/playground")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ask(page)
    expect(page.locator("[data-fact=cost]")).to_contain_text("USD")
    page.goto(f"{site}/console/models")
    page.get_by_role("button", name="Test OpenAI (").click()
    page.locator("#tried").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Requests", exact=True)).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    for link in page.locator("main a").all():
        assert (link.get_attribute("href") or "").startswith("/x/y/")
    assert asked
    assert all(url.startswith(f"{site}/") for url in asked)


# --- all pages ---------------------------------------------------------------------------------------


def everywhere(key: str) -> list[str]:
    """The paths of all pages, the login among them."""
    return ["/console/login?why=ended", *[path.replace("KEY", key) for path in PATHS]]


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("vi", "dark")])
def test_everybody_can_use_every_page(
    lively: tuple[str, str], entered: Callable[..., Page], language: str, theme: str
) -> None:
    """axe finds nothing serious: contrast, labels, roles, order of headings; with all that opens open."""
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

    site, key = lively
    page = entered(site, "/console/models", expects=REFUSED.format("404 (Not Found)"))
    page.get_by_role("button", name="Test OpenAI (").click()
    page.locator("#tried").wait_for()
    page.goto(f"{site}/console?lang={language}&theme={theme}")
    found = []
    for path in everywhere(key):
        if path == _LONGEST:
            # The same as the first with seven times the rows, which takes axe a while.
            continue
        page.goto(f"{site}{path}")
        opened(page)
        seen = Axe().run(page).response["violations"]
        found += [
            (path, each["id"], each["nodes"][0]["html"][:200], each["nodes"][0].get("failureSummary", "")[:300])
            for each in seen
            if each["impact"] in ("serious", "critical", "moderate")
        ]
    assert not found


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_nothing_sticks_out(lively: tuple[str, str], entered: Callable[..., Page], language: str) -> None:
    """On no screen, down to 320 pixels, has a page to be pushed sideways; no page has 100 KB."""
    site, key = lively
    page = entered(site, "/console", expects=REFUSED.format("404 (Not Found)"))
    page.goto(f"{site}/console?lang={language}")
    found: list[tuple[str, int, int]] = []
    for path in everywhere(key):
        answer = page.goto(f"{site}{path}")
        assert answer is not None
        if len(answer.body()) >= 100_000:
            found.append((path, 0, len(answer.body())))
        opened(page)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                found.append((path, width, over))
    assert not found


def test_the_login_is_looked_at_too(site: str, visit: Callable[..., Page]) -> None:
    """Nothing serious before anybody is in, with the refusal of a wrong key."""
    from axe_playwright_python.sync_playwright import Axe

    page: Any = visit(f"{site}/console/login", expects=REFUSED.format("401 (Unauthorized)"))
    page.locator("#key").fill(ADMIN + "x")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    opened(page)
    seen = Axe().run(page).response["violations"]
    assert not [each["id"] for each in seen if each["impact"] in ("serious", "critical", "moderate")]
