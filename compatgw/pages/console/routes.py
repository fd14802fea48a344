"""`Console`: everything at `/console` and below, each page behind a session, each form behind its token.

What does not live here: what is on a page (its own module), sessions (`sessions.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from compatgw.errors import Forbidden, GatewayError, MethodNotAllowed, NotFound, Unauthenticated
from compatgw.flow.call import ClientGone
from compatgw.flow.storage import told
from compatgw.pages.console import (
    guard,
    keys,
    login,
    models,
    overview,
    plans,
    playground,
    prompts,
    provider_keys,
    requests,
    teams,
    wallets,
)
from compatgw.pages.console.desk import LEFT, Desk, Operator, outside
from compatgw.pages.console.forms import Form, explained, form_of, is_form
from compatgw.pages.console.guard import ROOT, forgotten, given
from compatgw.pages.console.login import SESSION
from compatgw.pages.console.sessions import Sessions
from compatgw.pages.render import redirect, view_of
from compatgw.state.base import StateError

if TYPE_CHECKING:
    from compatgw.admin.office import Office
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

_log = logging.getLogger("compatgw")

Page = Callable[[Desk], Awaitable[None]]
Pages = Mapping[str, Mapping[str, Page]]

# `*` is an open place; what is in it stands in `Desk.args`.
EVERYWHERE: Pages = MappingProxyType(
    {
        "": {"GET": overview.show},
        "models": {"GET": models.show},
        "models/test": {"POST": models.test},
        "playground": {"GET": playground.show, "POST": playground.send},
        "playground/plan": {"POST": playground.plan},
        "playground/run": {"POST": playground.run},
    }
)
"""Pages of every gateway, by path below the root and method."""
WITH_RECORDS: Pages = MappingProxyType(
    {
        "requests": {"GET": requests.show},
        "requests/*": {"GET": requests.one},
        "keys": {"GET": keys.show, "POST": keys.mint},
        "keys/*": {"GET": keys.one, "POST": keys.change},
        "keys/*/rotate": {"GET": keys.ask_rotation, "POST": keys.rotate},
        "keys/*/revoke": {"GET": keys.ask_end, "POST": keys.revoke},
        "plans": {"GET": plans.show, "POST": plans.put},
        "plans/*/remove": {"GET": plans.ask_removal, "POST": plans.remove},
        "teams": {"GET": teams.show, "POST": teams.add},
        "teams/*": {"GET": teams.one, "POST": teams.change},
        "teams/*/wallet": {"POST": wallets.open_one},
        "teams/*/topup": {"POST": wallets.top_up},
        "teams/*/correct": {"POST": wallets.correct},
        "teams/*/provider-keys": {"POST": provider_keys.put},
        "teams/*/provider-keys/*/remove": {"GET": provider_keys.ask_removal, "POST": provider_keys.remove},
        "prompts": {"GET": prompts.show, "POST": prompts.add},
        "prompts/*": {"GET": prompts.one},
        "prompts/*/labels": {"POST": prompts.label},
        "prompts/*/remove": {"GET": prompts.ask_removal, "POST": prompts.remove},
        "prompts/*/*/remove": {"GET": prompts.ask_removal, "POST": prompts.remove},
    }
)
"""Pages of gateways that have a ledger; the others say that they have none."""


class Console:
    """Answers everything below `/console`.

    Args:
        office: Changes the ledger; None in a gateway without one.
    """

    def __init__(self, office: Office | None) -> None:
        self._office = office

    async def __call__(self, site: Site, visit: Visit) -> None:
        """Answers one visit, failures too: to people by a page, to our script by the envelope.

        Raises:
            Exception: To our script.
        """
        try:
            await self._answer(site, visit)
        except ClientGone:
            raise
        except Exception as error:
            if visit.started or visit.header(guard.CSRF_HEADER) is not None:
                raise
            await outside(site, visit, "console/failed.html", **_failure(visit, error))

    async def _answer(self, site: Site, visit: Visit) -> None:
        path = visit.route.removeprefix(ROOT).strip("/")
        if path == "login":
            await (login.enter if visit.method == "POST" else login.show)(site, visit)
            return
        sessions = Sessions(site.house.counters, site.house.settings.console)
        found = await _who(site, visit, sessions)
        if found is None:
            await _to_login(site, visit)
            return
        desk = Desk(site=site, visit=visit, operator=found, sessions=sessions, records=self._office)
        try:
            await self._page(desk, path)
        except (GatewayError, StateError) as error:
            if visit.started or visit.header(guard.CSRF_HEADER) is not None:
                raise
            await desk.page("console/failed.html", **_failure(visit, error))

    async def _page(self, desk: Desk, path: str) -> None:
        site, visit, session = desk.site, desk.visit, desk.operator.session
        if visit.method == "POST":
            desk = replace(desk, form=await _form(site, visit, session.csrf))
        elif LEFT in visit.query() and (left := await desk.sessions.take(session)) is not None:
            desk = replace(desk, left=left)
        if path == "logout":
            if visit.method != "POST":
                raise _not_allowed(visit, ("POST",))
            await login.leave(site, visit, session.token)
            return
        page, args, needs = _find(visit, path)
        if needs and self._office is None:
            await desk.page("console/norecords.html", status=200 if visit.method != "POST" else 404)
            return
        await page(replace(desk, args=args))


async def _who(site: Site, visit: Visit, sessions: Sessions) -> Operator | None:
    """Who is in; None for nobody, and for somebody whose key opens this no more."""
    token = given(visit, SESSION)
    session = await sessions.find(token)
    if session is None:
        return None
    try:
        caller = await guard.operator(site, visit, session.key)
    except (Unauthenticated, Forbidden):
        await sessions.end(session.token)
        return None
    return Operator(caller, session)


async def _to_login(site: Site, visit: Visit) -> None:
    if visit.header(guard.CSRF_HEADER) is not None:
        raise Unauthenticated("The session is over. Log in again.", code="session_over")
    query = (visit.scope.get("query_string") or b"").decode("latin-1")
    here = visit.route + (f"?{query}" if query and visit.method != "POST" else "")
    known = given(visit, SESSION) is not None
    if guard.from_elsewhere(visit) and not known and visit.method != "POST":
        # Its browser keeps our cookie back from what another site began; from a page of our own it sends it.
        await outside(site, visit, "console/again.html", goal=guard.inside(here))
        return
    asked = {"next": goal} if (goal := guard.inside(here)) != ROOT else {}
    if visit.method == "POST":
        asked["why"] = "unsaved"
    elif known:
        asked["why"] = "ended"
    headers = (forgotten(visit, SESSION),) if known else ()
    await redirect(visit, f"{ROOT}/login" + (f"?{urlencode(asked)}" if asked else ""), headers)


async def _form(site: Site, visit: Visit, token: str) -> Form:
    """What was sent, when a page of this session sent it."""
    guard.require_own_page(visit, site.house.settings.docs.base_url)
    form = await form_of(visit) if is_form(visit) else None
    guard.require_token(visit, token, form)
    return form or Form()


def _find(visit: Visit, path: str) -> tuple[Page, tuple[str, ...], bool]:
    """The page at a path, what stands in its open places, and whether it needs a ledger."""
    parts = path.split("/")
    for pages, needs in ((EVERYWHERE, False), (WITH_RECORDS, True)):
        for route, methods in pages.items():
            places = route.split("/")
            if len(places) != len(parts) or any(
                place not in ("*", part) for place, part in zip(places, parts, strict=True)
            ):
                continue
            page = methods.get("GET" if visit.method == "HEAD" else visit.method)
            if page is None and visit.method == "POST":
                raise _not_allowed(visit, tuple(methods))
            page = page or _up
            return page, tuple(part for place, part in zip(places, parts, strict=True) if place == "*"), needs
    raise NotFound(f"There is no page at {visit.route[:128]} in the console.", code="unknown_page")


async def _up(desk: Desk) -> None:
    """Where there is only a form to send, reading leads to the page that it is on."""
    await redirect(desk.visit, desk.visit.route.rpartition("/")[0])


def _not_allowed(visit: Visit, methods: tuple[str, ...]) -> MethodNotAllowed:
    visit.extra.append((b"allow", ", ".join(methods).encode()))
    return MethodNotAllowed(f"{visit.method} is not allowed here. Use {', '.join(methods)}.")


def _failure(visit: Visit, error: Exception) -> dict[str, Any]:
    """What the page of a failure shows; one that is ours goes into the log."""
    if not isinstance(error, (GatewayError, StateError)):
        _log.error("%s failed inside the console", visit.id, exc_info=error)
        error = GatewayError("The gateway failed.")
    wrong = told(error) if isinstance(error, StateError) else error
    wait = () if wrong.retry_after is None else (("Retry-After", str(max(1, -int(-wrong.retry_after // 1)))),)
    return {
        "status": wrong.status,
        "headers": (*wait, *wrong.headers),
        "code": wrong.status,
        "text": explained(error, view_of(visit).language),
        "request": visit.id,
    }
