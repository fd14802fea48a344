"""`GET /openapi.json`: the document for this very mount.

What does not live here: what is in it (`document.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson

from compatgw.openapi.document import document
from compatgw.web.origin import home_of

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def answer(site: Site, visit: Visit) -> None:
    """The document, with this mount as its server."""
    # Schemas of everything take a moment the first time: not in the loop.
    made = await asyncio.to_thread(document, site.version, managed=site.house.ledger is not None)
    whole = {**made, "servers": [{"url": home_of(visit, site.house.settings.docs.base_url)}]}
    whole["info"] = {**made["info"], "title": site.house.settings.name}
    headers = (("Cache-Control", "no-cache"), ("Access-Control-Allow-Origin", "*"))
    await visit.answer(200, headers, orjson.dumps(whole))
