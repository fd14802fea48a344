"""`POST /v1/messages/count_tokens`.

What does not live here: how it is counted (`flow/counting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.flow.counting import count
from compatgw.policy import access
from compatgw.surfaces.table import SURFACES
from compatgw.web.endpoints import call_of

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def count_tokens(site: Site, visit: Visit) -> None:
    """How many tokens a request has."""
    surface = SURFACES["/messages/count_tokens"]
    visit.envelope = surface.envelope
    visit.tell_id(surface.ids)
    caller = await site.identify(visit)
    access.require_scope(caller, surface.scope)
    with site.capacity:
        started = site.house.monotonic()
        body = await visit.body()
        call = call_of(site, visit, surface, surface.parse(body), caller, started)
        call.size = len(body)
        with visit.watch():
            await count(call, site.house, visit)
