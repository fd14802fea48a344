"""What is at each route: thin functions from a visit to a call or a document.

What does not live here: routing (`routes.py`), the way of a call (`flow/run.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.flow import cache, idempotency
from compatgw.flow.admit import asked
from compatgw.flow.call import Call, Ticket
from compatgw.flow.prompts import prompted
from compatgw.flow.run import run
from compatgw.flow.uploads import received
from compatgw.flow.watching import began, passed
from compatgw.policy import access, directory
from compatgw.policy.explaining import explain
from compatgw.policy.plan import survey
from compatgw.surfaces import extensions
from compatgw.surfaces.base import View
from compatgw.surfaces.table import SURFACES
from compatgw.web.paths import tail_of
from compatgw.web.status import data_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compatgw.policy.access import Caller
    from compatgw.policy.directory import Scope
    from compatgw.surfaces.base import Parsed, Surface
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit
    from compatgw.wire.multipart import Form

    Endpoint = Callable[[Site, Visit], Awaitable[None]]

_OPTIONS = ("x-on-unsupported", "x-guardrails")
# Most requests have none of them.
_WISHES = frozenset(
    {
        b"x-on-unsupported",
        b"x-guardrails",
        b"x-cache",
        b"x-cache-ttl",
        b"idempotency-key",
        b"x-gateway-explain",
        b"traceparent",
    }
)


def calls(path: str) -> Endpoint:
    """The endpoint of the surface at `path`, which is loaded with the first call."""

    async def endpoint(site: Site, visit: Visit) -> None:
        await serve(site, visit, SURFACES[path])

    return endpoint


async def serve(site: Site, visit: Visit, surface: Surface) -> None:
    """A call by `surface`: who calls, may they, what do they want, and on to its way."""
    caller = await caller_of(site, visit, surface)
    with site.capacity:
        started = site.house.monotonic()
        if surface.parse_form is not None and visit.is_form:
            async with received(visit.headers(), visit.chunks(), most=site.house.settings.max_upload) as form:
                parsed = surface.parse_form(_fields(form), form.files)
                await called(site, visit, call_of(site, visit, surface, parsed, caller, started))
            return
        body = await visit.body()
        call = call_of(site, visit, surface, surface.parse(body), caller, started, body)
        await called(site, visit, call)


async def caller_of(site: Site, visit: Visit, surface: Surface) -> Caller:
    """Who calls by `surface`, and may; from now on failures are told in its way."""
    visit.envelope = surface.envelope
    visit.tell_id(surface.ids)
    caller = await site.identify(visit)
    access.require_scope(caller, surface.scope)
    return caller


async def called(site: Site, visit: Visit, call: Call) -> None:
    """Sends `call` on its way, or tells the plan that it would have, where its client asks for that."""
    if hear(visit, call) and visit.header("x-gateway-explain") == "1":
        # Not through guardrails: they may ask others, and nothing is sent for a plan.
        await prompted(call, site.house)
        await document(visit, explain(survey(*asked(call, site.house))))
        return
    if site.house.observers:
        began(call, site.house, visit.headers)
    visit.call = call
    with visit.watch():
        await run(call, site.house, visit)


def _fields(form: Form) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, text in form.fields:
        fields.setdefault(name, []).append(text)
    return fields


def call_of(
    site: Site, visit: Visit, surface: Surface, parsed: Parsed, caller: Caller, started: float, body: bytes = b""
) -> Call:
    """The call that a request asks for; `body` where that is JSON."""
    house = site.house
    if parsed.native is not None and surface.headers:
        heard = [(name, value) for name in surface.headers if (value := visit.header(name)) is not None]
        parsed = parsed._replace(native=parsed.native._replace(headers=(*parsed.native.headers, *heard)))
    face = surface.face(parsed, View(visit.word, int(house.clock()), house.settings.echo_model))
    visit.face = face
    return Call(
        visit.id,
        surface,
        parsed,
        face,
        caller,
        scope_of(site, visit),
        visit.patience,
        started,
        Ticket(visit.word),
        size=len(body),
        # Most bodies hold no link; which ones do, and for whom they are followed, is looked at later.
        links=b"http" in body,
    )


def hear(visit: Visit, call: Call) -> bool:
    """Notes what the request's headers say of the call; False when they say nothing.

    Raises:
        InvalidRequest: One of them has a value that it does not take.
    """
    if not visit.has_any(_WISHES):
        return False
    heard = {name: value for name in _OPTIONS if (value := visit.header(name)) is not None}
    if heard:
        call.options = extensions.from_headers(call.options, heard)
    call.wish = cache.wish(visit.header("x-cache"), visit.header("x-cache-ttl"))
    call.word = idempotency.wanted(visit.header("idempotency-key"), stream=call.stream)
    call.trace = passed(visit.header)
    return True


async def models(site: Site, visit: Visit) -> None:
    """`GET /v1/models`: what this caller may call."""
    caller = await site.identify(visit)
    access.require_active(caller)
    found = directory.listing(site.house.directory, scope_of(site, visit))
    rows = [each.row for each in found if directory.may_use(caller, each)]
    await document(visit, {"object": "list", "data": rows})


async def model(site: Site, visit: Visit) -> None:
    """`GET /v1/models/{id}`; the id may hold slashes, raw or as `%2F`."""
    caller = await site.identify(visit)
    access.require_active(caller)
    name, scope = tail_of(visit.scope, visit.route, "/models/"), scope_of(site, visit)
    found = directory.entry(site.house.directory, name, scope)
    if not directory.sees(caller, found):
        raise directory.missing(site.house.directory, name, scope)
    if not directory.may_use(caller, found):
        raise access.not_allowed(name)
    await document(visit, found.row)


async def healthz(site: Site, visit: Visit) -> None:
    """`GET /healthz`: the process answers."""
    await document(visit, {"status": "ok"})


async def readyz(site: Site, visit: Visit) -> None:
    """`GET /readyz`: calls can be answered; 503 while shutting down or without any provider."""
    ready = site.open and bool(site.house.directory.deployments)
    if ready and site.house.ledger is not None:
        await site.house.ledger.open()
    if ready and site.house.settings.state.on_counters_loss == "refuse":
        await site.house.counters.ping()
    await document(visit, {"status": "ready" if ready else "not ready"}, 200 if ready else 503)


async def status(site: Site, visit: Visit) -> None:
    """`GET /api/status`: the gateway's state; upstreams by name only to callers or where allowed."""
    named = site.house.settings.status_upstreams or await site.recognises(visit)
    await document(visit, {"success": True, "message": "", "data": data_of(site, named=named)})


async def document(visit: Visit, value: Any, status: int = 200) -> None:
    """`value` as JSON."""
    await visit.answer(status, (), orjson.dumps(value))


def scope_of(site: Site, visit: Visit) -> Scope:
    """The providers that the request's path or host has in sight."""
    name = visit.scope_name
    return None if name is None else site.scopes[name]
