"""Cookies, addresses and redirects of pages: for this mount alone, whatever the visit looks like."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.config import Settings
from compatgw.pages.render import cookie, cookies, redirect, view_of
from compatgw.web.origin import home_of, origin_of, root_of
from compatgw.web.visit import Visit

SAFE = frozenset(string.ascii_letters + string.digits + "/~:@%+,=-._")


def visit(root: str = "", sent: list[Any] | None = None, headers: dict[str, str] | None = None, **scope: Any) -> Visit:
    """A visit of a page of a gateway under `root`."""

    async def send(message: Any) -> None:
        assert sent is not None
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    lines = [(name.encode(), value.encode("utf-8", "replace")) for name, value in (headers or {}).items()]
    whole = {"type": "http", "method": "GET", "path": f"{root}/docs", "headers": lines, "query_string": b"", **scope}
    found = Visit(whole, receive, send, Settings(), "w")
    found.root = root
    return found


async def test_cookies_of_a_session_are_locked_up() -> None:
    """Over https `Secure`; out of scripts' reach, and with requests of our own pages alone, where that is asked for."""
    name, line = cookie(visit("/x", scheme="https"), "s", "v", age=None, http_only=True, strict=True)
    assert (name, line) == ("Set-Cookie", "s=v; Path=/x; SameSite=Strict; Secure; HttpOnly")
    assert cookie(visit(), "s", "v", age=60)[1] == "s=v; Path=/; SameSite=Lax; Max-Age=60"


@pytest.mark.parametrize("line", ["", "a", "a=b; c", "=;=;", "a=\x01; b=2", 'x="\\'])
async def test_any_cookie_line_can_be_read(line: str) -> None:
    """A line that is no cookie's is no failure."""
    assert isinstance(dict(cookies(visit(headers={"cookie": line}))), dict)


@given(st.text())
async def test_addresses_hold_nothing_that_ends_them(root: str) -> None:
    """Whatever prefix a host names, no quote, space or angle bracket of it reaches a page."""
    clean = root.encode("utf-8", "replace").decode()
    assert set(root_of(visit(clean))) <= SAFE


@given(st.text())
async def test_hosts_hold_nothing_that_ends_them(host: str) -> None:
    """Whatever Host header comes, what is shown is a host's name or the server's own address."""
    found = origin_of(visit(headers={"host": host}, server=("10.0.0.1", 8787), scheme="https"))
    assert set(found) <= set(string.ascii_letters + string.digits + "._-:/[]")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({"headers": {"host": "a.example:8443"}, "scheme": "https"}, "https://a.example:8443/x"),
        ({"headers": {"host": "[::1]:8000"}}, "http://[::1]:8000/x"),
        ({"headers": {"host": "a b"}, "server": ("::1", 80)}, "http://[::1]/x"),
        ({"headers": {"host": "a/b"}, "server": ("h", 443), "scheme": "https"}, "https://h/x"),
        ({"headers": {"host": "a@b"}, "server": ("h", 8000)}, "http://h:8000/x"),
        ({"server": None}, "http://localhost/x"),
        ({"server": ("/run/socket", None), "headers": {"host": "h"}}, "http://h/x"),
    ],
)
async def test_where_a_mount_is(scope: dict[str, Any], expected: str) -> None:
    """The visitor's own address of the mount, over whatever it came."""
    assert home_of(visit("/x", **scope)) == expected


async def test_the_operators_word_wins() -> None:
    """`docs.base_url` is the mount's address, without a slash at its end."""
    assert view_of(visit("/x"), "https://a.example/ai/").home == "https://a.example/ai"


async def test_a_redirect_leads_into_the_mount() -> None:
    """303 to the path below this mount, never kept."""
    sent: list[Any] = []
    await redirect(visit("/x y", sent), "/console?next=1")
    headers = dict(sent[0]["headers"])
    assert (sent[0]["status"], headers[b"location"]) == (303, b"/x%20y/console?next=1")
    assert headers[b"cache-control"] == b"no-store"
