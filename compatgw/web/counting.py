"""`POST /v1/messages/count_tokens`.

What does not live here: how it is counted (`flow/counting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.flow.counting import count
from compatgw.surfaces.table import SURFACES
from compatgw.web.endpoints import call_of, caller_of, hear

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def count_tokens(site: Site, visit: Visit) -> None:
    """How many tokens a request has."""
    surface = SURFACES["/messages/count_tokens"]
    caller = await caller_of(site, visit, surface)
    with site.capacity:
        started = site.house.monotonic()
        body = await visit.body()
        call = call_of(site, visit, surface, surface.parse(body), caller, started, body)
        hear(visit, call)
        with visit.watch():
            await count(call, site.house, visit)
