"""Logging in and out. A login is an attempt with an admin key, and attempts are counted.

What does not live here: sessions (`sessions.py`), cookies and tokens (`guard.py`).
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
from typing import TYPE_CHECKING

from compatgw.errors import Forbidden, GatewayError, RateLimited, Unauthenticated
from compatgw.flow.storage import told
from compatgw.pages.console import guard
from compatgw.pages.console.desk import outside
from compatgw.pages.console.forms import Form, form_of
from compatgw.pages.console.guard import ROOT, forgotten, given, inside, kept
from compatgw.pages.console.sessions import Sessions
from compatgw.pages.render import redirect
from compatgw.state.base import Bucket, StateError

if TYPE_CHECKING:
    from compatgw.state.base import Counters
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

SESSION = "cgw_console"
"""The cookie of a session."""
_FORM = "cgw_login"
# Attempts of one address, and of all, in so many milliseconds; they flow back evenly.
_OF_ONE, _OF_ALL, _PERIOD = 10, 300, 300_000
_GROUP = "console"
_log = logging.getLogger("compatgw")


async def show(site: Site, visit: Visit) -> None:
    """`GET /console/login`."""
    sessions = Sessions(site.house.counters, site.house.settings.console)
    goal = inside(visit.query().get("next"))
    if await sessions.find(given(visit, SESSION)) is not None and "why" not in visit.query():
        await redirect(visit, goal)
        return
    await _form(site, visit, goal, why=visit.query().get("why", ""))


async def enter(site: Site, visit: Visit) -> None:
    """`POST /console/login`: 303 into the console, or the form again.

    Raises:
        Forged: The form came from elsewhere. StateError: The counters are away.
    """
    guard.require_own_page(visit, site.house.settings.docs.base_url)
    form = await form_of(visit)
    goal = inside(form.raw("next"))
    mark = given(visit, _FORM) or ""
    if not mark or not hmac.compare_digest(form.raw(guard.CSRF_FIELD).encode(), mark.encode()):
        await _form(site, visit, goal, why="no-cookie", status=403)
        return
    try:
        await _enter(site, visit, form, goal)
    except (GatewayError, StateError) as error:
        refused = told(error) if isinstance(error, StateError) else error
        wait = -int(-(refused.retry_after or 0) // 1)
        why = {401: "wrong-key", 403: "not-admin", 429: "too-often"}.get(refused.status, "not-now")
        headers = (("Retry-After", str(max(1, wait))),) if wait else ()
        await _form(site, visit, goal, why=why, status=refused.status, wait=wait, headers=headers)


async def _enter(site: Site, visit: Visit, form: Form, goal: str) -> None:
    address = _address(visit)
    await _attempt(site.house.counters, address)
    # Where the host recognises callers, it may know its operator without any key.
    key = form.text("key")
    if not key and not site.identify.by_host:
        raise Unauthenticated("No admin key was given.")
    try:
        caller = await guard.operator(site, visit, key)
    except (Unauthenticated, Forbidden) as error:
        _log.warning("a login to the console from %s was refused: %s", address, error.code)
        raise
    sessions = Sessions(site.house.counters, site.house.settings.console)
    if (before := given(visit, SESSION)) is not None:
        await sessions.end(before)
    session = await sessions.begin(key)
    await _forgive(site.house.counters, address)
    _log.info("%r logged in to the console from %s", caller.name, address)
    await redirect(visit, goal, (kept(visit, SESSION, session.token), forgotten(visit, _FORM)))


async def leave(site: Site, visit: Visit, token: str) -> None:
    """Ends a session: 303 to the login."""
    await Sessions(site.house.counters, site.house.settings.console).end(token)
    await redirect(visit, f"{ROOT}/login?why=left", (forgotten(visit, SESSION),))


async def _form(
    site: Site,
    visit: Visit,
    goal: str,
    *,
    why: str,
    status: int = 200,
    wait: int = 0,
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    mark = given(visit, _FORM) or secrets.token_urlsafe(24)
    why = why if why in WHY else ""
    await outside(
        site,
        visit,
        "console/login.html",
        status=status,
        headers=(kept(visit, _FORM, mark), *headers),
        csrf=mark,
        goal=goal,
        why=why,
        wait=wait,
        by_host=site.identify.by_host,
    )


WHY = ("wrong-key", "not-admin", "too-often", "not-now", "no-cookie", "left", "ended", "unsaved")
"""Why the form is there: `console.why-...`."""


# --- attempts ----------------------------------------------------------------------------------


def _buckets(address: str) -> tuple[Bucket, Bucket]:
    return (
        Bucket(f"login:{address}", "requests", _OF_ONE, _PERIOD),
        Bucket("login", "requests", _OF_ALL, _PERIOD),
    )


async def _attempt(counters: Counters, address: str) -> None:
    verdict = await counters.take(_GROUP, [(bucket, 1) for bucket in _buckets(address)])
    if not verdict.admitted:
        raise RateLimited(
            "Too many logins were tried.", kind="requests", retry_after=max(1.0, verdict.retry_after / 1000)
        )


async def _forgive(counters: Counters, address: str) -> None:
    """Gives an attempt back: who has the key may come in as often as they like."""
    await counters.settle(_GROUP, [(bucket, -1) for bucket in _buckets(address)])


def _address(visit: Visit) -> str:
    """Who tries: an address, of IPv6 the network that one customer has; "unknown" where the server does not say."""
    client = visit.scope.get("client")
    host = str(client[0]) if client else "unknown"
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
