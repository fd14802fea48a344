"""Nothing is read without a session and nothing is changed but by a form of its own: each way around it is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from compatgw.pages.console import guard
from compatgw.pages.console.routes import EVERYWHERE, WITH_RECORDS
from compatgw.pages.console.sessions import Sessions
from compatgw.pages.render import GUARDS
from compatgw.state.base import AuditEntry, CountersLost, LedgerUnavailable
from tests.pages.console.operating import ADMIN, Console, Forms
from tests.pages.visiting import Page

ROUTES = {path: methods for table in (EVERYWHERE, WITH_RECORDS) for path, methods in table.items()}
READ = sorted(path for path, methods in ROUTES.items() if "GET" in methods)
SENT = sorted(path for path, methods in ROUTES.items() if "POST" in methods)


def at(path: str) -> str:
    """The address of a route, with something in its open places."""
    return f"/console/{path.replace('*', 'acme')}".rstrip("/")


async def audited(console: Console) -> int:
    """How many changes there have been."""
    return len((await console.ledger.page(AuditEntry, limit=1000)).items)


async def token_of(console: Console) -> str:
    """What forms of the session send."""
    return Page((await console.get("/console/keys")).text).values("data-csrf")[0]


# --- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READ)
async def test_nothing_is_read_without_a_session(outside: Console, path: str) -> None:
    """Each page leads to the login, without a word of what is on it, whatever key stands in a header."""
    for headers in ({}, {"authorization": f"Bearer {ADMIN}"}, {"x-api-key": ADMIN}, {"cookie": "cgw_console=x"}):
        for method in ("GET", "HEAD"):
            answer = await outside.http.request(method, at(path), headers=headers)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/login")
            assert answer.content == b""
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", SENT)
async def test_nothing_is_changed_without_a_session(outside: Console, path: str) -> None:
    """Each form leads to the login, and changes nothing; our own script is told so in the envelope."""
    before = await audited(outside)
    answer = await outside.http.post(at(path), data={"csrf": "x", "name": "n"})
    assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/console/login")
    scripted = await outside.http.post(at(path), headers={"x-csrf-token": "x"}, json={})
    assert (scripted.status_code, scripted.json()["error"]["code"]) == (401, "session_over")
    assert await audited(outside) == before


async def test_every_page_is_guarded(console: Console) -> None:
    """Pages, the login, failures and redirects: in nobody's frame, nothing inline, kept by nobody, found by no engine."""
    await console.office.add_team("acme", "Acme", by="test")
    for path in (
        "keys",
        "teams",
        "teams/acme",
        "plans",
        "prompts",
        "login",
        "nothing",
        "keys/nope",
        "keys/nope/rotate",
    ):
        answer = await console.get(f"/console/{path}")
        for name, value in GUARDS:
            assert answer.headers[name] == value
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        # The login leads whoever is in on.
        assert answer.is_redirect or answer.headers["x-robots-tag"] == "noindex"
        page = Page(answer.text)
        assert "style" not in [name for _, attributes in page.elements for name in attributes]
        assert all(attributes.get("src") for tag, attributes in page.elements if tag == "script")
        assert "style" not in [tag for tag, _ in page.elements]
        assert len(answer.content) < 100_000


# --- forms from elsewhere -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", SENT)
async def test_no_form_is_taken_without_its_token(console: Console, path: str) -> None:
    """Without the token, with one that is wrong, with that of another session, in a query: 403, and nothing happens."""
    before, right = await audited(console), await token_of(console)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(console.gateway), base_url="http://site") as http:
        other = Console(console.gateway, http, console.clock)
        await other.login()
        theirs = await token_of(other)
    assert theirs != right
    for data, query in (
        ({}, {}),
        ({"csrf": ""}, {}),
        ({"csrf": "x"}, {}),
        ({"csrf": right[:-1]}, {}),
        ({"csrf": right + "0"}, {}),
        ({"csrf": right.upper()}, {}),
        ({"csrf": theirs}, {}),
        ({"csrf": "é"}, {}),
        ({}, {"csrf": right}),
    ):
        answer = await console.http.post(at(path), data={"name": "n", **data}, params=query)
        assert answer.status_code == 403, data
        assert "Nothing was changed" in answer.text
    for headers in ({}, {"x-csrf-token": theirs}, {"x-csrf-token": "x"}):
        answer = await console.http.post(at(path), json={"csrf": right}, headers=headers)
        assert answer.status_code == 403
    assert await audited(console) == before


FROM_ELSEWHERE = (
    {"origin": "https://evil.example"},
    {"origin": "http://site.evil.example"},
    {"origin": "http://site:8080"},
    {"origin": "null"},
    {"origin": ""},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://site"},
)


@pytest.mark.parametrize("path", SENT)
async def test_no_form_is_taken_from_another_site(console: Console, path: str) -> None:
    """A form whose browser says that another site sent it is refused, its token right or not."""
    token = await token_of(console)
    before = await audited(console)
    for headers in FROM_ELSEWHERE:
        for more in ({}, {"x-csrf-token": token}):
            answer = await console.http.post(at(path), data={"csrf": token, "name": "n"}, headers={**headers, **more})
            assert answer.status_code == 403, headers
    assert await audited(console) == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://site"},
        {"origin": "https://site"},
        {"origin": "https://ai.example.com"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": "https://behind-a-proxy.example"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_a_form_of_our_own_is_taken(open_console: Callable[..., Console], headers: dict[str, str]) -> None:
    """From this host over whichever scheme, from where the operator says that it is, or where the browser itself says so."""
    console = open_console(docs={"base_url": "https://ai.example.com/ai"})
    await console.login()
    form = await console.form("/console/plans", "plan")
    answer = await console.http.post(
        form.action, data={"csrf": dict(form.fields)["csrf"], "id": "gold"}, headers=headers
    )
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("cookie", "field", "headers"),
    [
        (None, "x", {}),
        ("x", None, {}),
        ("", "", {}),
        ("x", "y", {}),
        ("x", "x", {"origin": "https://evil.example"}),
        ("x", "x", {"sec-fetch-site": "cross-site"}),
    ],
)
async def test_nobody_is_logged_in_from_elsewhere(
    outside: Console, cookie: str | None, field: str | None, headers: dict[str, str]
) -> None:
    """A login takes a form of our own, too: without its cookie and the same in its field nobody comes in."""
    if cookie is not None:
        outside.http.cookies.set("cgw_login", cookie)
    data = {"key": ADMIN, **({"csrf": field} if field is not None else {})}
    answer = await outside.http.post("/console/login", data=data, headers=headers)
    assert answer.status_code == 403
    assert not any(line.startswith("cgw_console=") for line in answer.headers.get_list("set-cookie"))


async def test_a_script_of_ours_sends_the_token_in_a_header(console: Console) -> None:
    """With the token in `X-CSRF-Token` a body need not be a form; what fails then is an envelope."""
    token = await token_of(console)
    answer = await console.http.post("/console/keys/nope/revoke", json={}, headers={"x-csrf-token": token})
    assert answer.status_code == 404
    refused = await console.http.post("/console/nothing", json={}, headers={"x-csrf-token": token})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_page")


# --- links from elsewhere -----------------------------------------------------------------------------


async def test_a_link_from_a_mail_leads_to_its_page(console: Console) -> None:
    """A browser keeps the cookie back from what another site began: a page of ours sends the visit once more."""
    token = console.http.cookies["cgw_console"]
    console.http.cookies.clear()
    answer = await console.get("/console/keys?team=acme", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    page = Page(answer.text)
    assert ("meta", {"http-equiv": "refresh", "content": "0"}) in page.elements
    assert "/console/keys?team=acme" in page.values("href")
    assert "ops" not in page.text
    again = await console.get("/console/keys?team=acme", headers={"sec-fetch-site": "same-origin"})
    assert (again.status_code, again.headers["location"]) == (
        303,
        "/console/login?next=%2Fconsole%2Fkeys%3Fteam%3Dacme",
    )
    console.http.cookies.set("cgw_console", token)
    assert (await console.get("/console/keys?team=acme", headers={"sec-fetch-site": "same-origin"})).status_code == 200


# --- odd visits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused(console: Console, method: str) -> None:
    """Only reading and forms; the answer says so."""
    answer = await console.http.request(method, "/console/keys")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_what_takes_a_form_alone_leads_back_when_it_is_read(console: Console) -> None:
    """Whoever loads the address of a form anew comes to the page that it is on."""
    await console.office.add_team("acme", "Acme", by="test")
    answer = await console.get("/console/teams/acme/topup")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/teams/acme")
    assert (await console.get("/console/prompts/greet/labels")).headers["location"] == "/console/prompts/greet"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"csrf=%ff&name=%c3%28", "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
        (b"a=b&" * 5000, "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 3_000_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 403),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 403),
        (b"", "", 403),
    ],
)
async def test_odd_bodies_are_refused(console: Console, body: bytes, kind: str, status: int) -> None:
    """What is no form, or too much of one, fails with a page that says so."""
    answer = await console.http.post("/console/keys", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_cookie_is_found_among_the_hosts_own(console: Console) -> None:
    """Whatever cookies the host of a mount sets, and in however many lines, the session is found."""
    token = console.http.cookies["cgw_console"]
    console.http.cookies.clear()
    for line in (
        f'a={{"json": [1, 2]}}; cgw_console={token}; b',
        f"x=\x01\xff; =; ;; cgw_console={token}",
        f"cgw_console={token}; cgw_console=other",
        f"xcgw_console=1; cgw_console={token}",
    ):
        answer = await console.http.get("/console/keys", headers=[(b"cookie", line.encode("latin-1"))])
        assert answer.status_code == 200, line
    split = [(b"cookie", b"a=1"), (b"cookie", b"cgw_console=" + token.encode())]
    assert (await console.http.get("/console/keys", headers=split)).status_code == 200
    assert (await console.http.get("/console/keys", headers=[(b"cookie", b"cgw_console=other")])).status_code == 303


async def test_failures_are_pages(console: Console) -> None:
    """What is not there is said in the visitor's language, with the navigation and the request's id."""
    for language, words in (("en", "There is no such page"), ("vi", "Bảng điều khiển không có trang này")):
        answer = await console.get(f"/console/nothing/at/all?lang={language}", headers={"x-request-id": "mine"})
        assert answer.status_code == 404
        page = Page(answer.text)
        assert words in page.text
        assert "mine" in page.text
        assert "/console/keys" in page.values("href")


async def test_a_ledger_that_is_away_is_said_and_nobody_is_thrown_out(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger cannot be reached pages say so with 503, and the session goes on afterwards."""

    async def away(*given: Any, **more: Any) -> Any:
        raise LedgerUnavailable("The database is locked.")

    with monkeypatch.context() as patch:
        patch.setattr(type(console.ledger), "page", away)
        answer = await console.get("/console/keys")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "cannot be reached right now" in Page(answer.text).text
    assert (await console.get("/console/keys")).status_code == 200


async def test_what_is_done_is_done_though_nobody_can_say_so(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where counters fail after a change, the page after it comes all the same, and nobody is told to repeat it."""
    form = await console.form("/console/teams", "team")

    async def away(self: Any, session: Any, value: Any) -> None:
        raise CountersLost("The counters' server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "leave", away)
        answer = await console.post(form, {"id": "acme", "name": "Acme"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/teams/acme")
    assert "Acme" in (await console.page("/console/teams/acme")).text


async def test_a_team_that_is_half_made_says_so(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that left something behind is told as it is, not as if nothing had been written."""

    async def away(*given: Any, **more: Any) -> Any:
        raise LedgerUnavailable("The database is locked.")

    with monkeypatch.context() as patch:
        patch.setattr(type(console.ledger), "open_wallet", away)
        status, page = await console.refused("/console/teams", "team", {"id": "acme", "name": "A", "wallet": "yes"})
    assert status == 503
    assert "was added, but is not active" in page.text
    with monkeypatch.context() as patch:
        patch.setattr(type(console.ledger), "add", away)
        status, page = await console.refused("/console/teams", "team", {"id": "labs", "name": "L"})
    assert status == 503
    assert "Nothing was written" in page.text


async def test_counters_that_are_away_let_nobody_in(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sessions cannot be looked at nobody is in, no page is shown, and the session goes on afterwards."""

    async def away(*given: Any, **more: Any) -> Any:
        raise CountersLost("The counters' server does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(type(console.gateway._standing.house.counters), "get", away)
        for path in ("/console/keys", "/console/login"):
            answer = await console.get(path)
            assert answer.status_code == 503
            assert "cannot be reached right now" in Page(answer.text).text
            assert "ops" not in Page(answer.text).text
    assert (await console.get("/console/keys")).status_code == 200


async def test_a_fault_of_our_own_is_a_page_and_in_the_log(
    console: Console, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody foresaw shows no trace: a page with the request's id, and the cause in the log under it."""

    async def broken(*given: Any, **more: Any) -> Any:
        raise RuntimeError("what nobody should see")

    token = await token_of(console)
    monkeypatch.setattr(type(console.ledger), "page", broken)
    answer = await console.get("/console/keys", headers={"x-request-id": "mine"})
    assert answer.status_code == 500
    assert "The gateway failed" in Page(answer.text).text
    assert "mine" in Page(answer.text).text
    assert "what nobody should see" not in answer.text
    assert "what nobody should see" in caplog.text
    scripted = await console.http.post("/console/keys", data={"name": "n"}, headers={"x-csrf-token": token})
    assert (scripted.status_code, scripted.json()["error"]["code"]) == (500, "internal_error")


def test_ways_out_are_closed() -> None:
    """What a login may lead to is judged the same for texts that no browser sends."""
    for path in ("/console/" + "\x00", "/console\n", "/console/a\x7f", "/console/a\tb", "/CONSOLE", " /console"):
        assert guard.inside(path) == "/console"
    assert guard.inside(None) == "/console"


async def test_forms_of_pages_all_bring_the_token(console: Console) -> None:
    """No page has a form that would be refused: each that sends has the token of the session."""
    await console.office.add_team("acme", "Acme", wallet=True, by="test")
    key, _ = await console.office.mint_key("acme", "k", by="test")
    await console.office.prompts.add("greet", text="hi", labels=("production",), by="test")
    token = await token_of(console)
    seen = 0
    for path in (
        "keys",
        f"keys/{key.id}",
        f"keys/{key.id}/rotate",
        "teams",
        "teams/acme",
        "plans",
        "prompts",
        "prompts/greet",
    ):
        for form in Forms((await console.get(f"/console/{path}")).text).found:
            if form.method == "post":
                assert ("csrf", token) in form.fields
                seen += 1
    assert seen > 15
