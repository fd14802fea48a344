"""The pages that anybody may read, by their paths below `/docs`.

What does not live here: what is on them (`docs.py`, `models.py`, `status.py`, `reference.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.errors import NotFound
from compatgw.pages import docs, models, reference, status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

PAGES: Mapping[str, Callable[[Site, Visit], Awaitable[None]]] = MappingProxyType(
    {
        "/docs": docs.answer,
        "/docs/models": models.answer,
        "/docs/api": reference.answer,
        "/docs/status": status.answer,
    }
)


async def answer(site: Site, visit: Visit) -> None:
    """One of the pages.

    Raises:
        NotFound: There is none at that path.
    """
    found = PAGES.get(visit.route)
    if found is None:
        raise NotFound(f"There is no page at {visit.route[:128]}. The first one is at /docs.", code="unknown_endpoint")
    await found(site, visit)
