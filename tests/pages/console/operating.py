"""What tests of the console work at: a gateway, its pages read as HTML, and forms that are sent as a browser sends them."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.pages.visiting import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from compatgw import Gateway
    from compatgw.admin.office import Office
    from compatgw.state.base import Ledger
    from tests.state.making import Clock

ADMIN = "the-operators-own-key"
PLAIN = "a-key-that-calls-models"
RING = "k1:" + base64.b64encode(b"1" * 32).decode()


@dataclass
class Form:
    """A form of a page: where it leads, and what it would send as it stands."""

    id: str
    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class Forms(HTMLParser):
    """All forms of a page, filled in as the page fills them in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open: Form | None = None
        self._select: tuple[str, list[str], list[str]] | None = None
        self._area: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form, or a field of the one that is open."""
        got = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(got.get("id", ""), got.get("method", "get"), got.get("action", ""))
            self.found.append(self._open)
        elif self._open is None:
            return
        elif tag == "input" and got.get("name"):
            if got.get("type") in ("checkbox", "radio") and "checked" not in got:
                return
            self._open.fields.append((got["name"], got.get("value", "on")))
        elif tag == "select":
            self._select = (got["name"], [], [])
        elif tag == "option" and self._select is not None:
            _, others, chosen = self._select
            (chosen if "selected" in got else others).append(got["value"])
        elif tag == "textarea":
            self._area = got["name"]
            self._open.fields.append((self._area, ""))

    def handle_data(self, data: str) -> None:
        """What stands in a textarea."""
        if self._area is not None and self._open is not None:
            name, before = self._open.fields[-1]
            # A browser takes the first line break away.
            whole = before + (data.removeprefix("\n") if not before else data)
            self._open.fields[-1] = (name, whole)

    def handle_endtag(self, tag: str) -> None:
        """The end of one of them."""
        if tag == "form":
            self._open = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select" and self._select is not None and self._open is not None:
            name, others, chosen = self._select
            self._open.fields.append((name, (chosen or others or [""])[0]))
            self._select = None


@dataclass
class Console:
    """A gateway and an operator in front of it."""

    gateway: Gateway
    http: httpx.AsyncClient
    clock: Clock
    root: str = ""

    @property
    def office(self) -> Office:
        """The office of the gateway."""
        records = self.gateway._standing.records
        assert records is not None
        return records.office

    @property
    def ledger(self) -> Ledger:
        """The ledger of the gateway."""
        records = self.gateway._standing.records
        assert records is not None
        return records.ledger

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """One page, or where it leads."""
        return await self.http.get(path, **options)

    async def page(self, path: str, status: int = 200, **options: Any) -> Page:
        """A page that is there."""
        answer = await self.get(path, **options)
        assert answer.status_code == status, (answer.status_code, answer.headers.get("location"), answer.text[:2000])
        return Page(answer.text)

    async def form(self, path: str, id: str) -> Form:
        """A form of a page."""
        answer = await self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("location"))
        return form_in(answer, id)

    async def post(self, form: Form, values: Mapping[str, Any] | None = None, **headers: str) -> httpx.Response:
        """Sends a form with other values in it; a list is several of a name, None takes a field out."""
        assert form.method == "post"
        given = dict(values or {})
        data: dict[str, list[str]] = {}
        for name, value in form.fields:
            if name not in given:
                data.setdefault(name, []).append(value)
        for name, value in given.items():
            if value is not None:
                data[name] = list(value) if isinstance(value, (list, tuple)) else [str(value)]
        path = urlsplit(form.action).path.removeprefix(self.root)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, data=data, headers=sent)

    async def send(self, path: str, id: str, values: Mapping[str, Any] | None = None) -> httpx.Response:
        """Opens a page, fills in a form of it, and sends it."""
        return await self.post(await self.form(path, id), values)

    async def done(self, path: str, id: str, values: Mapping[str, Any] | None = None) -> tuple[str, Page]:
        """The same, for what succeeds: where it leads, and the page there."""
        answer = await self.send(path, id, values)
        assert answer.status_code == 303, (answer.status_code, notices(Page(answer.text)), answer.text[-3000:])
        goal = answer.headers["location"].removeprefix(self.root)
        return goal.partition("?")[0].partition("#")[0], await self.page(goal)

    async def refused(self, path: str, id: str, values: Mapping[str, Any] | None = None) -> tuple[int, Page]:
        """The same, for what does not: the status, and the page that shows the form again."""
        answer = await self.send(path, id, values)
        assert answer.status_code >= 400, answer.headers.get("location")
        return answer.status_code, Page(answer.text)

    async def login(self, key: str = ADMIN, next: str = "/console/keys") -> httpx.Response:
        """Logs in, or is refused."""
        answer = await self.get("/console/login", params={"next": next})
        (form,) = Forms(answer.text).found
        return await self.post(form, {"key": key})

    async def aclose(self) -> None:
        """Closes all of it."""
        await self.http.aclose()
        await self.gateway.aclose()


class Closed(HTMLParser):
    """Fails for an element that is closed where it is not open, or not at all: a browser would guess."""

    # Of the last one the end may be left out.
    VOID = frozenset(
        {"meta", "link", "input", "br", "img", "hr", "path", "circle", "rect", "line", "polyline", "option"}
    )

    def __init__(self, text: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens one."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (self.getpos(), tag, names)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes one."""
        if tag not in self.VOID:
            assert self._open, (self.getpos(), tag)
            assert self._open.pop() == tag, (self.getpos(), tag)


def form_in(answer: httpx.Response, id: str) -> Form:
    """A form of an answer, by its id without `form-`."""
    found = Forms(answer.text).found
    return next(form for form in found if form.id == f"form-{id}")


def notices(page: Page) -> list[str]:
    """The classes of all that a page says in a box: `good`, `bad`, ..."""
    return [
        attributes["class"].split("notice-")[-1]
        for tag, attributes in page.elements
        if tag == "p" and attributes.get("class", "").startswith("notice")
    ]


def wrong_fields(page: Page) -> list[str]:
    """The names of the fields that a page says are wrong, each with its text tied to it."""
    ids = page.values("id")
    found = []
    for _, attributes in page.elements:
        if attributes.get("aria-invalid") == "true":
            assert set(attributes["aria-describedby"].split()) <= set(ids)
            found.append(attributes["name"])
    return found
