"""`POST /v1/messages/count_tokens`.

What does not live here: how it is counted (`flow/counting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.flow.counting import count
from compatgw.policy import access
from compatgw.surfaces.messages import COUNT_TOKENS
from compatgw.web.endpoints import call_of

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def count_tokens(site: Site, visit: Visit) -> None:
    """How many tokens a request has."""
    visit.envelope = COUNT_TOKENS.envelope
    visit.tell_id(COUNT_TOKENS.ids)
    caller = await site.identify(visit)
    access.require_scope(caller, COUNT_TOKENS.scope)
    with site.capacity:
        started = site.house.monotonic()
        body = await visit.body()
        call = call_of(site, visit, COUNT_TOKENS, COUNT_TOKENS.parse(body), caller, started)
        call.size = len(body)
        with visit.watch():
            await count(call, site.house, visit)
