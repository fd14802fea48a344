"""What is at each route: thin functions from a visit to a call or a document.

What does not live here: routing (`routes.py`), the way of a call (`flow/run.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.flow.call import Call, Ticket
from compatgw.flow.run import run
from compatgw.policy import access, plan
from compatgw.surfaces import chat, extensions
from compatgw.web.paths import tail_of

if TYPE_CHECKING:
    from compatgw.policy.plan import Scope
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def chat_completions(site: Site, visit: Visit) -> None:
    """`POST /v1/chat/completions`."""
    caller = await site.identify(visit)
    access.require_scope(caller, "chat")
    with site.capacity:
        started = site.house.monotonic()
        request, options = chat.parse(await visit.body())
        if (policy := visit.header("x-on-unsupported")) is not None:
            options = extensions.from_headers(options, {"x-on-unsupported": policy})
        ticket = Ticket(f"call_{site.house.ids()}")
        call = Call(visit.id, request, options, caller, scope_of(site, visit), visit.patience, started, ticket)
        with visit.watch():
            await run(call, site.house, visit)


async def models(site: Site, visit: Visit) -> None:
    """`GET /v1/models`: what this caller may call."""
    caller = await site.identify(visit)
    access.require_active(caller)
    found = plan.listing(site.house.directory, scope_of(site, visit))
    rows = [row for row, names in found if access.may_use(caller, names)]
    await document(visit, {"object": "list", "data": rows})


async def model(site: Site, visit: Visit) -> None:
    """`GET /v1/models/{id}`; the id may hold slashes, raw or as `%2F`."""
    caller = await site.identify(visit)
    access.require_active(caller)
    name, scope = tail_of(visit.scope, visit.route, "/models/"), scope_of(site, visit)
    row, names = plan.entry(site.house.directory, name, scope)
    if not access.sees(caller, names):
        raise plan.missing(site.house.directory, name, scope)
    access.require_model(caller, names)
    await document(visit, row)


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
    house = site.house
    data: dict[str, Any] = {
        "version": site.version,
        "name": house.settings.name,
        "start_time": int(site.started_at),
        "uptime_s": int(house.monotonic() - site.started_monotonic),
        "status": "up" if site.open else "stopping",
        "in_flight": site.capacity.in_flight,
    }
    if house.settings.status_upstreams or await site.recognises(visit):
        data["transport"] = house.upstream.transport_name
        data["counters"] = house.counters.state
        data["upstreams"] = [
            {
                "name": seen.name,
                "state": seen.state,
                "calls": seen.calls,
                "errors": seen.errors,
                "latency_ms": round(seen.latency * 1000, 1) if seen.latency is not None else None,
                "last_error": seen.last_error,
                "last_error_time": int(seen.last_error_at) if seen.last_error_at is not None else None,
            }
            for seen in house.health
        ]
    await document(visit, {"success": True, "message": "", "data": data})


async def document(visit: Visit, value: Any, status: int = 200) -> None:
    """`value` as JSON."""
    await visit.answer(status, (), orjson.dumps(value))


def scope_of(site: Site, visit: Visit) -> Scope:
    """The providers that the request's path or host has in sight."""
    name = visit.scope_name
    return None if name is None else site.scopes[name]
