"""`/docs/status`: how the gateway is, as everybody may see it.

What does not live here: the facts (`web/status.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.pages.render import page, view_of
from compatgw.pages.words import text
from compatgw.web.status import data_of

if TYPE_CHECKING:
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

STATES = ("checking", "up", "degraded", "down")
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


async def answer(site: Site, visit: Visit) -> None:
    """The page."""
    await page(site, visit, "status.html", **health(site, visit))


def health(site: Site, visit: Visit) -> dict[str, Any]:
    """What the health card shows, in the visit's language.

    Returns:
        `state` as in `/api/status`, `words` of its states as JSON, `uptime` in words, `upstreams` where anybody
        may see them.
    """
    language = view_of(visit).language
    data = data_of(site, named=site.house.settings.status_upstreams)
    words = {state: text(language, f"status.{state}") for state in STATES}
    started = datetime.fromtimestamp(data["start_time"], UTC).isoformat().replace("+00:00", "Z")
    return {
        "state": data,
        "words": orjson.dumps(words).decode(),
        "uptime": _duration(language, data["uptime_s"]),
        "started": started,
        "upstreams": [
            {**each, "latency_ms": each.get("latency_ms"), "last_error_at": _instant(each.get("last_error_time"))}
            for each in data.get("upstreams", [])
        ],
    }


def _instant(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _duration(language: str, seconds: int) -> str:
    """The two largest units of a span, as in `2 days 3 hours`."""
    words: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count and len(words) < 2:
            words.append(text(language, f"status.{unit}", count=count))
    return " ".join(words) or text(language, "status.seconds", count=0)
