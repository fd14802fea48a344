"""`/v1/responses`: calls that go on with what is kept, calls in the background, and what is kept itself.

What does not live here: the protocol (`surfaces/responses/`), keeping (`flow/conversations.py`), the background
(`flow/background.py`).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from compatgw.flow.cache import tenant_of
from compatgw.flow.patience import Patience
from compatgw.flow.run import run
from compatgw.flow.watching import began
from compatgw.surfaces.responses import RESPONSES
from compatgw.surfaces.responses.stored import deleted, page, starting_after, streams
from compatgw.web.endpoints import call_of, called, caller_of, document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from compatgw.flow.call import Call, Client
    from compatgw.surfaces.base import Parsed
    from compatgw.surfaces.responses import ResponsesFace
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

    Endpoint = Callable[[Site, Visit], Awaitable[None]]

_ONE = re.compile(r"/responses/([^/]+)(/input_items|/cancel)?")


async def create(site: Site, visit: Visit) -> None:
    """`POST /v1/responses`."""
    caller = await caller_of(site, visit, RESPONSES)
    with site.capacity:
        started = site.house.monotonic()
        body = await visit.body()
        parsed = await site.house.conversations().resolved(tenant_of(caller), RESPONSES.parse(body))
        call = call_of(site, visit, RESPONSES, parsed, caller, started, body)
        if not parsed.asked["background"]:
            await called(site, visit, call)
            return
    await _begin(site, visit, call, parsed)


async def _begin(site: Site, visit: Visit, call: Call, parsed: Parsed) -> None:
    house, owner = site.house, tenant_of(call.caller)

    async def work(client: Client) -> None:
        with site.capacity:
            # Waits are bounded by task, and this is another one.
            call.patience = Patience()
            if house.observers:
                began(call, house, visit.headers)
            try:
                await run(call, house, client)
            finally:
                call.patience.close()

    queued = await house.background().begin(owner, parsed, cast("ResponsesFace", call.face), work)
    if call.stream:
        await _tell(visit, house.background().follow(owner, queued["id"]))
    else:
        await document(visit, queued)


async def retrieve(site: Site, visit: Visit, id: str) -> None:
    """`GET /v1/responses/{id}`; with `stream=true` its events, from behind `starting_after`."""
    owner, query = tenant_of(await caller_of(site, visit, RESPONSES)), visit.query()
    background = site.house.background()
    if streams(query):
        await _tell(visit, background.follow(owner, id, starting_after(query)))
    else:
        await document(visit, (await background.retrieve(owner, id)).response)


async def delete(site: Site, visit: Visit, id: str) -> None:
    """`DELETE /v1/responses/{id}`."""
    await site.house.conversations().drop(tenant_of(await caller_of(site, visit, RESPONSES)), id)
    await document(visit, deleted(id))


async def input_items(site: Site, visit: Visit, id: str) -> None:
    """`GET /v1/responses/{id}/input_items`."""
    kept = await site.house.conversations().find(tenant_of(await caller_of(site, visit, RESPONSES)), id)
    await document(visit, page(kept.inputs, visit.query()))


async def cancel(site: Site, visit: Visit, id: str) -> None:
    """`POST /v1/responses/{id}/cancel`."""
    await document(visit, await site.house.background().cancel(tenant_of(await caller_of(site, visit, RESPONSES)), id))


async def _tell(visit: Visit, frames: AsyncIterator[bytes]) -> None:
    """Events as they come; the first one before the head, so that what is not there is an ordinary error."""
    with visit.watch():
        first: Any = await anext(frames, b"")
        await visit.begin(())
        if first:
            await visit.write(first)
        async for more in frames:
            await visit.write(more)
        await visit.end()


_METHODS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "": MappingProxyType({"GET": retrieve, "DELETE": delete}),
        "/input_items": MappingProxyType({"GET": input_items}),
        "/cancel": MappingProxyType({"POST": cancel}),
    }
)


def found(route: str) -> Mapping[str, Endpoint] | None:
    """Endpoints by method of a path such as `/responses/resp_1/cancel`; None for another path."""
    matched = _ONE.fullmatch(route)
    if matched is None:
        return None

    def of(endpoint: Any) -> Endpoint:
        async def bound(site: Site, visit: Visit) -> None:
            await endpoint(site, visit, matched[1])

        return bound

    return {method: of(endpoint) for method, endpoint in _METHODS[matched[2] or ""].items()}
