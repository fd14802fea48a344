"""`Desk`: what a page of the console has before it: the visit, the operator, the office, the form that was sent.

    async def show(desk: Desk) -> None:
        await desk.page("console/plans.html", plans=...)

    async def put(desk: Desk) -> None:
        async def act() -> None:
            await desk.office.put_plan(..., by=desk.by)
            await desk.go("/console/plans", "saved")

        await desk.submitted("plan", _FIELDS, act, show)

Every function that answers a visit takes a desk alone, and gets one only behind a session, and a form only with the
session's token. A template has, beside what every page has (`pages/render.py`): `csrf`, `operator` (its name),
`items` and `here` (the navigation), `records` (False without a ledger), `notice` and `secret` (what the page before
left, once), `tried` (a form that was refused), and the functions `amount(text)` and `moment(text)`.

What does not live here: routes and what guards them (`routes.py`, `guard.py`), any one page.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from compatgw.errors import GatewayError, NotFound
from compatgw.pages import words
from compatgw.pages.console import figures
from compatgw.pages.console.forms import Form, Tried, tried
from compatgw.pages.console.guard import as_principal
from compatgw.pages.render import page, redirect, view_of
from compatgw.policy.access import Principal
from compatgw.state.base import StateError

if TYPE_CHECKING:
    from compatgw.admin.office import Office
    from compatgw.pages.console.sessions import Session, Sessions
    from compatgw.policy.access import Caller
    from compatgw.state.base import Ledger
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

HEADERS = (("Cache-Control", "no-store"), ("X-Robots-Tag", "noindex"))
"""Of every answer of the console: nobody keeps it."""
ITEMS = (
    ("/console", "console.overview"),
    ("/console/requests", "console.requests"),
    ("/console/playground", "console.playground"),
    ("/console/keys", "console.keys"),
    ("/console/teams", "console.teams"),
    ("/console/plans", "console.plans"),
    ("/console/models", "console.models"),
    ("/console/prompts", "console.prompts"),
)
"""The navigation: path and text."""
_log = logging.getLogger("compatgw")

LEFT = "done"
"""The member of a query that has a page look for what the one before left."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is in.

    Attributes:
        caller: As the management API knows it.
        session: Its session.
    """

    caller: Caller
    session: Session

    @property
    def name(self) -> str:
        """For the audit log and for people."""
        return self.caller.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a page has before it.

    Attributes:
        site, visit: The gateway and the request.
        operator: Who is in. sessions: Where sessions are.
        records: Changes the ledger; None in a gateway without one.
        args: What stands in the route's open places.
        form: What was sent; empty for a page that is read.
        left: What the page before left.
        tried: A form that was refused just now.
    """

    site: Site
    visit: Visit
    operator: Operator
    sessions: Sessions
    records: Office | None
    args: tuple[str, ...] = ()
    form: Form = field(default_factory=Form)
    left: Mapping[str, Any] = field(default_factory=dict)
    tried: Tried = field(default_factory=Tried)

    @property
    def by(self) -> str:
        """Who does what is done here, as the audit log has it."""
        return self.operator.name

    @property
    def office(self) -> Office:
        """Changes the ledger.

        Raises:
            NotFound: There is none.
        """
        if self.records is None:
            raise NotFound("This gateway keeps no records: set 'state.ledger'.", code="no_records")
        return self.records

    @property
    def ledger(self) -> Ledger:
        """Is read.

        Raises:
            NotFound: There is none.
        """
        if self.site.house.ledger is None:
            raise NotFound("This gateway keeps no records: set 'state.ledger'.", code="no_records")
        return self.site.house.ledger

    @property
    def language(self) -> str:
        """Of the visit."""
        return view_of(self.visit).language

    def query(self, name: str) -> str:
        """A member of the query without space around it, "" where there is none."""
        return self.visit.query().get(name, "").strip()

    async def caller(self, team: str | None = None) -> Caller:
        """The operator as a caller of models: all of them, or what `team` may, paid by it.

        Raises:
            Forbidden: No such team.
        """
        return await as_principal(self.site, self.visit, Principal(name=f"console:{self.by}", team=team))

    async def page(
        self, template: str, /, *, status: int | None = None, headers: Iterable[tuple[str, str]] = (), **context: Any
    ) -> None:
        """Answers with a template."""
        given = {**_shared(self.site, self.visit), **_of(self), **context}
        code = self.tried.status if status is None else status
        await page(self.site, self.visit, template, status=code, headers=(*HEADERS, *headers), **given)

    async def go(self, path: str, notice: str = "", /, *, at: str = "", secret: str = "", **values: str) -> None:
        """Sends the browser on to a page that says, once, what was done.

        Args:
            path: Within the mount; may have a query.
            notice: `console.done-NOTICE` is the text. values: What it asks for.
            at: The place on the page, an id.
            secret: Shown once, and kept sealed until then.
        """
        try:
            if notice:
                await self.sessions.leave(self.operator.session, {"notice": notice, "values": values, "secret": secret})
                path += f"{'&' if '?' in path else '?'}{LEFT}=1"
        except StateError as error:
            # What was asked for is done; that nobody is told of it undoes nothing.
            _log.warning("%s: %r was done, and the console could not say so: %s", self.visit.id, notice, error)
        await redirect(self.visit, path + (f"#{at}" if at else ""), HEADERS[1:])

    async def submitted(
        self,
        name: str,
        fields: frozenset[str],
        act: Callable[[], Awaitable[None]],
        again: Callable[[Desk], Awaitable[None]],
    ) -> None:
        """Does what a form asks for; one that is refused is shown again with its values and what is wrong.

        Args:
            name: Of the form. fields: Its fields, by the names that errors have for them.
            act: Does it, and sends the browser on.
            again: Shows the page with the form.
        """
        try:
            await act()
        except (GatewayError, StateError) as error:
            refused = tried(name, self.form, error, self.language, fields)
            await again(replace(self, tried=refused))


def _of(desk: Desk) -> dict[str, Any]:
    notice = desk.left.get("notice", "")
    text = words.text(desk.language, f"console.done-{notice}", **desk.left["values"]) if notice else ""
    return {
        "csrf": desk.operator.session.csrf,
        "operator": desk.operator.name,
        "records": desk.records is not None,
        "notice": text,
        "secret": desk.left.get("secret", ""),
        "tried": desk.tried,
    }


def _shared(site: Site, visit: Visit) -> dict[str, Any]:
    language = view_of(visit).language
    return {
        "items": ITEMS,
        "here": _here(visit.route),
        "currency": site.house.settings.money.currency,
        "amount": partial(_amount, language),
        "moment": moment,
        **NOBODY,
    }


NOBODY: Mapping[str, Any] = MappingProxyType(
    {"csrf": "", "operator": "", "records": True, "notice": "", "secret": "", "tried": Tried()}
)
"""What templates have where nobody is in."""


async def outside(
    site: Site,
    visit: Visit,
    template: str,
    /,
    *,
    status: int = 200,
    headers: Iterable[tuple[str, str]] = (),
    **more: Any,
) -> None:
    """Answers a visit of somebody who is not in."""
    given = {**_shared(site, visit), **more}
    await page(site, visit, template, status=status, headers=(*HEADERS, *headers), **given)


def _here(route: str) -> str:
    """The place in the navigation that a route belongs to."""
    return next((path for path, _ in reversed(ITEMS) if route == path or route.startswith(path + "/")), "")


def _amount(language: str, value: str | Decimal) -> str:
    """An amount as documents have it, for people."""
    return figures.amount(language, Decimal(value))


def moment(iso: str) -> str:
    """A time for whoever has no script, such as `2026-11-21 13:18 UTC`."""
    return f"{iso[:10]} {iso[11:16]} UTC"
