"""`GET /metrics`: the numbers of this gateway in this process, for Prometheus.

What does not live here: what is counted (`telemetry/metrics.py`), how it is written (`telemetry/exposition.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.errors import NotFound
from compatgw.policy import access, breaker
from compatgw.telemetry.exposition import OPENMETRICS, TEXT, wants_openmetrics
from compatgw.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def metrics(site: Site, visit: Visit) -> None:
    """Prometheus' text format, or OpenMetrics to those who ask for it.

    Raises:
        NotFound: The settings keep it off.
        Unauthenticated, Forbidden: It is for keys, or for keys that manage, and the caller has none.
    """
    found = next((each for each in site.house.observers if isinstance(each, Metrics)), None)
    if found is None:
        raise NotFound("There are no metrics here: 'telemetry.metrics' is off.", code="unknown_endpoint")
    allowed = site.house.settings.telemetry.metrics
    if allowed != "open":
        caller = await site.identify(visit)
        access.require_active(caller)
        if allowed == "admin":
            access.require_scope(caller, access.ADMIN)
    openmetrics = wants_openmetrics(visit.header("accept") or "")
    body = found.text(_breakers(site), openmetrics=openmetrics)
    await visit.answer(200, (("Cache-Control", "no-store"),), body, OPENMETRICS if openmetrics else TEXT)


def _breakers(site: Site) -> Iterator[tuple[str, str, str]]:
    now = site.house.clock()
    for seen in site.house.health:
        yield seen.name, seen.key.partition("/")[2], breaker.phase(seen.breaker, now).value
