"""Who comes in, for how long, and what they are told who do not."""

from __future__ import annotations

import asyncio
import re
import shlex
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from compatgw import Principal
from compatgw.pages.console import guard
from compatgw.state.base import Team
from tests.cli.running import Line
from tests.issuer import AUDIENCE, Issuer
from tests.pages.console.operating import ADMIN, PLAIN, Console, Forms, notices
from tests.pages.visiting import Page

SESSION = "cgw_console"


class Blocks(HTMLParser):
    """The blocks of code of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One begins."""
        if tag == "pre":
            self._within = True
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        """It ends."""
        self._within = self._within and tag != "pre"

    def handle_data(self, data: str) -> None:
        """Its text."""
        if self._within:
            self.found[-1] += data


def line_of(answer: httpx.Response, name: str) -> str:
    """The `Set-Cookie` line of a cookie."""
    (found,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}=")]
    return found


async def test_an_admin_key_opens_the_console(outside: Console) -> None:
    """Without a session every page leads to the login, from where the key leads to the page that was wanted."""
    first = await outside.get("/console/teams")
    assert (first.status_code, first.headers["location"]) == (303, "/console/login?next=%2Fconsole%2Fteams")
    answer = await outside.login(next="/console/teams")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/teams")
    page = await outside.page("/console/teams")
    assert "ops" in page.text
    again = await outside.get("/console/login?next=/console/plans")
    assert (again.status_code, again.headers["location"]) == (303, "/console/plans")


@pytest.mark.parametrize(
    ("key", "status", "words"),
    [
        ("", 401, "No such key"),
        ("wrong", 401, "No such key"),
        ("cgw-abc_def", 401, "No such key"),
        (PLAIN, 403, "not for management"),
        ("kéy", 401, "No such key"),
        ("a\nb: c", 401, "No such key"),
        ("x" * 10_000, 401, "No such key"),
    ],
)
async def test_other_keys_do_not(outside: Console, key: str, status: int, words: str) -> None:
    """A key that is none, or none for management, is refused in words, without a cookie and without the key."""
    answer = await outside.login(key)
    assert answer.status_code == status
    assert words in Page(answer.text).text
    assert not key or key not in answer.text
    assert not any(line.startswith(SESSION) for line in answer.headers.get_list("set-cookie"))
    assert (await outside.get("/console/keys")).status_code == 303


async def test_keys_of_the_ledger_come_in(outside: Console) -> None:
    """A minted key with the scope admin opens the console under its own name, and the audit log has that name."""
    await outside.office.add_team("ops-team", "Ops", by="test")
    _, text = await outside.office.mint_key("ops-team", "anna", scopes=("admin",), by="test")
    assert (await outside.login(text)).status_code == 303
    await outside.done("/console/plans", "plan", {"id": "gold", "requests": "5"})
    (entry,) = (await outside.http.get("/api/admin/audit", headers={"authorization": f"Bearer {ADMIN}"})).json()[
        "data"
    ][:1]
    assert (entry["by"], entry["action"]) == ("anna", "plan.create")


async def test_the_cookie_is_locked_up(open_console: Callable[..., Console]) -> None:
    """HttpOnly, SameSite=Strict, for the mount alone, until the browser is closed; over https Secure besides."""
    console = open_console(root="/x/y")
    line = line_of(await console.login(), SESSION)
    assert line.partition("; ")[2] == "Path=/x/y; SameSite=Strict; HttpOnly"
    safe = open_console(scheme="https", ledger=False)
    line = line_of(await safe.login(), f"__Secure-{SESSION}")
    assert line.partition("; ")[2] == "Path=/; SameSite=Strict; Secure; HttpOnly"
    assert (await safe.get("/console/keys")).status_code == 200


async def test_a_login_makes_a_session_of_its_own(outside: Console) -> None:
    """A session id that somebody planted is not taken over, and one that was there before is over."""
    planted = "A" * 43
    outside.http.cookies.set(SESSION, planted)
    first = line_of(await outside.login(), SESSION).partition(";")[0].partition("=")[2]
    assert first != planted
    outside.http.cookies.clear()
    outside.http.cookies.set(SESSION, planted)
    assert (await outside.get("/console/keys")).status_code == 303
    outside.http.cookies.clear()
    outside.http.cookies.set(SESSION, first)
    page = await outside.get("/console/login?why=ended")
    form = Forms(page.text).found[0]
    second = line_of(await outside.post(form, {"key": ADMIN}), SESSION).partition(";")[0].partition("=")[2]
    assert second not in (first, planted)
    outside.http.cookies.clear()
    outside.http.cookies.set(SESSION, first)
    assert (await outside.get("/console/keys")).status_code == 303


async def test_logging_out_ends_the_session(console: Console) -> None:
    """The session is over at once, the cookie is gone, and what is left of it opens nothing."""
    token = console.http.cookies[SESSION]
    answer = await console.get("/console/keys")
    form = next(form for form in Forms(answer.text).found if form.action.endswith("/console/logout"))
    left = await console.post(form)
    assert (left.status_code, left.headers["location"]) == (303, "/console/login?why=left")
    assert "Max-Age=0" in line_of(left, SESSION)
    assert "You are logged out." in (await console.page("/console/login?why=left")).text
    console.http.cookies.set(SESSION, token)
    assert (await console.get("/console/keys")).status_code == 303


async def test_logging_out_takes_a_form(console: Console) -> None:
    """A link logs nobody out."""
    assert (await console.get("/console/logout")).status_code == 405
    assert (await console.get("/console/keys")).status_code == 200


async def test_sessions_end_by_themselves(open_console: Callable[..., Console]) -> None:
    """After the idle time, and after the longest one, the next page is the login, which says so."""
    console = open_console(console={"idle": 600, "longest": 1500})
    await console.login()
    console.clock.now += 599
    assert (await console.get("/console/keys")).status_code == 200
    console.clock.now += 600
    over = await console.get("/console/keys")
    assert over.headers["location"] == "/console/login?next=%2Fconsole%2Fkeys&why=ended"
    assert "Your session is over" in (await console.page(over.headers["location"])).text
    await console.login()
    for _ in range(4):
        console.clock.now += 300
        assert (await console.get("/console/keys")).status_code == 200
    console.clock.now += 300
    assert (await console.get("/console/keys")).status_code == 303


async def test_what_was_sent_too_late_is_said_to_be_lost(console: Console) -> None:
    """A form of a session that ended meanwhile saves nothing, and the login says so and leads back to its page."""
    form = await console.form("/console/teams", "team")
    console.clock.now += 1800
    answer = await console.post(form, {"id": "acme", "name": "Acme"})
    assert answer.headers["location"] == "/console/login?next=%2Fconsole%2Fteams&why=unsaved"
    assert "nothing was saved" in (await console.page(answer.headers["location"])).text
    assert not (await console.ledger.page(Team)).items


@pytest.mark.parametrize("end", ["revoke", "rotate", "scope", "expire", "team"])
async def test_a_key_that_is_over_ends_its_sessions(outside: Console, end: str) -> None:
    """Whoever revokes, rotates, narrows or lets expire an admin key has thrown out whoever is in with it."""
    office = outside.office
    await office.add_team("ops-team", "Ops", by="test")
    key, text = await office.mint_key("ops-team", "anna", scopes=("admin",), expires=outside.clock.now + 900, by="test")
    await outside.login(text)
    assert (await outside.get("/console/keys")).status_code == 200
    if end == "revoke":
        await office.revoke_key(key.id, by="test")
    elif end == "rotate":
        await office.rotate_key(key.id, grace=0, by="test")
    elif end == "scope":
        await office.change_key(key.id, {"scopes": ["chat"]}, by="test")
    elif end == "team":
        await office.change_team("ops-team", {"active": False}, by="test")
    else:
        outside.clock.now += 900
    assert (await outside.get("/console/keys")).headers["location"].endswith("why=ended")
    # Not even when the key is good again.
    await office.change_team("ops-team", {"active": True}, by="test")
    assert (await outside.get("/console/keys")).status_code == 303


async def test_a_key_that_a_reload_takes_away_ends_its_sessions(console: Console) -> None:
    """A key that the configuration names no more opens nothing from then on."""
    assert (await console.get("/console/keys")).status_code == 200
    await console.gateway.reload(keys=["another"])
    assert (await console.get("/console/keys")).status_code == 303


async def test_a_token_of_an_issuer_opens_the_console_until_it_ends(open_console: Callable[..., Console]) -> None:
    """Who has a token with the scope for management is in under its name, and out when the token ends."""
    issuer = Issuer()
    issuer.add()
    way = httpx.AsyncClient(transport=httpx.ASGITransport(issuer))
    console = open_console(
        ledger=False,
        http_client=way,
        oidc=[{"issuer": issuer.url, "audience": [AUDIENCE], "scopes": ["admin"]}],
        keys=[],
    )
    assert (await console.login(issuer.token(exp=console.clock.now - 300))).status_code == 401
    assert (await console.login(issuer.token(exp=console.clock.now + 300))).status_code == 303
    assert "ann" in (await console.page("/console/keys")).text
    console.clock.now += 600
    assert (await console.get("/console/keys")).headers["location"].endswith("why=ended")
    await way.aclose()


# --- attempts ------------------------------------------------------------------------------------


async def test_attempts_are_counted(outside: Console) -> None:
    """Ten wrong keys from one address, then 429 with the time until the next; the right one has to wait as well."""
    for _ in range(10):
        assert (await outside.login("wrong")).status_code == 401
    refused = await outside.login(ADMIN)
    assert refused.status_code == 429
    wait = int(refused.headers["retry-after"])
    assert 25 <= wait <= 30
    assert f"in {wait} seconds" in Page(refused.text).text
    outside.clock.now += wait
    assert (await outside.login(ADMIN)).status_code == 303


async def test_whoever_has_the_key_is_not_counted(outside: Console) -> None:
    """Logins that succeed are given back: thirty in a row."""
    for _ in range(30):
        outside.http.cookies.clear()
        assert (await outside.login()).status_code == 303


async def test_attempts_are_counted_by_customer_and_in_all(open_console: Callable[..., Console]) -> None:
    """Another address has attempts of its own, another one of the same IPv6 network has not; all together have 300."""
    console = open_console(ledger=False)

    async def tries(address: str) -> int:
        transport = httpx.ASGITransport(console.gateway, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://site") as http:
            one = Console(console.gateway, http, console.clock)
            return (await one.login("wrong")).status_code

    for number in range(10):
        assert await tries(f"2001:db8:1:2::{number:x}") == 401
    assert await tries("2001:db8:1:2:ffff::1") == 429
    assert await tries("2001:db8:1:3::1") == 401
    assert await tries("203.0.113.9") == 401
    statuses = [await tries(f"10.0.{number}.1") for number in range(300)]
    assert statuses[:288] == [401] * 288
    assert statuses[288:] == [429] * 12


# --- where a login leads ---------------------------------------------------------------------------

INSIDE = [
    "/console",
    "/console/keys",
    "/console/keys?team=a&name=b%20c",
    "/console/prompts/greet?version=2&against=1",
    "/console?period=day",
]
OUTSIDE = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/evil",
    "/consolex",
    "/console//evil.example",
    "/console/../docs",
    "/console/%2e%2e/docs",
    "/console/%2E./%2e%2e//evil.example",
    "/console/..%2f..%2f",
    "/console/%5cevil",
    "/console\\evil",
    "/console/a\r\nset-cookie: x=y",
    "/console/a b",
    "javascript:alert(1)",
    "console/keys",
    "/console/login",
    "/console/login?next=/console/login",
    "/console/logout",
    "/console/" + "x" * 2000,
    "/console/\u202ekeys",
    "",
]


@pytest.mark.parametrize("goal", INSIDE)
async def test_a_login_goes_on_to_the_page_that_was_wanted(outside: Console, goal: str) -> None:
    """With its query."""
    answer = await outside.login(next=goal)
    assert (answer.status_code, answer.headers["location"]) == (303, goal)


@pytest.mark.parametrize("goal", OUTSIDE)
async def test_a_login_leads_nowhere_else(outside: Console, goal: str) -> None:
    """Whatever `next` says in the address or in the form, the way leads into the console of this mount."""
    answer = await outside.login(next=goal)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    outside.http.cookies.clear()
    form = Forms((await outside.get("/console/login")).text).found[0]
    answer = await outside.post(form, {"key": ADMIN, "next": goal})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert guard.inside(goal) == "/console"


# --- hosts that know their operators -----------------------------------------------------------------


async def test_a_host_knows_its_operators(open_console: Callable[..., Console]) -> None:
    """Where `authenticate=` decides, whoever it says is an operator comes in without a key, and it is asked each time."""
    known: dict[str, Principal] = {"boss": Principal(name="boss", scopes=("admin",)), "app": Principal(name="app")}

    async def authenticate(connection: Any) -> Principal | None:
        return known.get(connection.cookies.get("host_session", ""))

    console = open_console(ledger=False, keys=[], authenticate=authenticate)
    assert (await console.login("")).status_code == 401
    console.http.cookies.set("host_session", "app")
    assert (await console.login("")).status_code == 403
    console.http.cookies.set("host_session", "boss")
    assert "whoever the application" in (await console.page("/console/login")).text
    assert (await console.login("", next="/console/keys")).status_code == 303
    assert "boss" in (await console.page("/console/keys")).text
    del known["boss"]
    assert (await console.get("/console/keys")).status_code == 303


async def test_an_open_gateway_has_no_open_console(open_console: Callable[..., Console]) -> None:
    """Who lets everybody call models lets nobody manage: anonymous callers have no scope for it."""
    import compatgw

    console = open_console(ledger=False, keys=[], authenticate=compatgw.anonymous)
    assert (await console.login("")).status_code == 403


# --- several processes ------------------------------------------------------------------------------


async def test_processes_share_sessions(
    open_console: Callable[..., Console], empty_ledger: Callable[[str], str], redis_url: str
) -> None:
    """On one Redis who logged in at one process is in at the other, is out of both at once, and is counted by both."""
    state = {"ledger": empty_ledger("sqlite"), "counters": redis_url}
    one, other = open_console(state=state), open_console(state=state)
    assert (await one.login()).status_code == 303
    token = one.http.cookies[SESSION]
    other.http.cookies.set(SESSION, token)
    _, page = await other.done("/console/teams", "team", {"id": "acme", "name": "Acme"})
    assert "The team Acme is there." in page.text
    form = next(form for form in Forms((await other.get("/console/keys")).text).found if "logout" in form.action)
    await other.post(form)
    assert (await one.get("/console/keys")).status_code == 303
    for number in range(10):
        assert (await (one, other)[number % 2].login("wrong")).status_code == 401
    assert (await one.login("wrong")).status_code == (await other.login("wrong")).status_code == 429


# --- without a ledger, without a console ------------------------------------------------------------


async def test_a_gateway_without_a_ledger_says_so(open_console: Callable[..., Console]) -> None:
    """Pages of records say what to set; their forms are refused."""
    console = open_console(ledger=False)
    assert (await console.login()).status_code == 303
    for path in ("keys", "teams", "plans", "prompts", "keys/x", "teams/x"):
        page = await console.page(f"/console/{path}")
        assert "This gateway keeps no records" in page.text
        assert "ledger =" in page.text
    token = Page((await console.get("/console/keys")).text).values("data-csrf")[0]
    answer = await console.http.post("/console/keys", data={"csrf": token})
    assert answer.status_code == 404


async def test_the_console_can_be_switched_off(open_console: Callable[..., Console]) -> None:
    """With `console.enabled = false` there is nothing at `/console`, in the envelope of the API."""
    console = open_console(ledger=False, console={"enabled": False})
    for path in ("/console", "/console/login", "/console/keys"):
        answer = await console.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_endpoint")


@pytest.mark.parametrize("setting", [{"idle": 5}, {"longest": 1}, {"idle": "x"}, {"other": 1}])
async def test_settings_of_the_console_are_looked_at(open_console: Callable[..., Console], setting: Any) -> None:
    """A time that makes no sense, or a member that is none, is refused by name."""
    with pytest.raises(ValueError, match=f"console.{next(iter(setting))}"):
        open_console(ledger=False, console=setting)


async def test_the_ways_to_a_key_are_ways_to_a_key(
    open_console: Callable[..., Console], empty_ledger: Callable[[str], str]
) -> None:
    """What the login page says is what works: the commands make a key that opens it, and so do the lines of the file."""
    url = empty_ledger("sqlite")
    console = open_console(ledger=url)
    file, commands = [text for text in Blocks((await console.get("/console/login")).text).found if text]
    line = Line(COMPATGW_STATE__LEDGER=url)
    # In a thread: each command has a loop of its own.
    outputs = [await asyncio.to_thread(line.out, *shlex.split(command)[1:]) for command in commands.splitlines()]
    (minted,) = re.findall(r"cgw-\S+", outputs[-1])
    assert (await console.login(minted)).status_code == 303
    keys = tomllib.loads(file)["keys"]
    assert (
        await open_console(ledger=False, keys=keys, secret_source={"OPERATOR_KEY": "it"}.get).login("it")
    ).is_redirect


async def test_the_login_says_what_to_do_without_a_key(outside: Console) -> None:
    """It names both ways to an admin key, in either language, and none of the gateway's own."""
    for language, words in (("en", "I have no admin key"), ("vi", "Tôi chưa có khóa quản trị")):
        page = await outside.page(f"/console/login?lang={language}")
        assert words in page.text
        assert 'scopes = ["admin"]' in page.text
        assert "compatgw keys create" in page.text
        assert ADMIN not in page.text
        assert not notices(page)
