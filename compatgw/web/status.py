"""The gateway's state as a document: what anybody may know, and its upstreams by name.

What does not live here: who may know which (`endpoints.py`), the page (`pages/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NotRequired

from typing_extensions import TypedDict

from compatgw.policy import breaker

if TYPE_CHECKING:
    from compatgw.flow.health import Sighting
    from compatgw.web.site import Site

Overall = Literal["up", "degraded", "down"]
_WELL = frozenset({"up", "unknown"})
_OUT = frozenset({"open"})


class UpstreamStatus(TypedDict):
    """A provider that nothing has called yet has a name and a state alone."""

    name: str
    state: str
    model: NotRequired[str]
    breaker: NotRequired[str]
    ejected: NotRequired[bool]
    back_in_s: NotRequired[float]
    calls: NotRequired[int]
    errors: NotRequired[int]
    skipped_events: NotRequired[int]
    in_flight: NotRequired[int]
    latency_ms: NotRequired[float | None]
    last_error: NotRequired[str | None]
    last_error_time: NotRequired[int | None]


class StatusData(TypedDict):
    """`start_time` is in seconds since 1970. The last three are for callers, or where the operator allows it."""

    version: str
    name: str
    start_time: int
    uptime_s: int
    status: Literal["up", "stopping"]
    health: Overall
    in_flight: int
    transport: NotRequired[str]
    counters: NotRequired[str]
    upstreams: NotRequired[list[UpstreamStatus]]


class StatusDocument(TypedDict):
    """`GET /api/status`."""

    success: bool
    message: str
    data: StatusData


def overall(site: Site) -> Overall:
    """`down`: nothing can be answered; `degraded`: not everything, or not as configured; else `up`."""
    house, now = site.house, site.house.clock()
    if not site.open or not house.directory.deployments:
        return "down"
    by_provider: dict[str, set[str]] = {}
    for seen in house.health:
        by_provider.setdefault(seen.name, set()).add(seen.state(now))
    if len(by_provider) == len(house.directory.deployments) and all(states <= _OUT for states in by_provider.values()):
        return "down"
    if not all(states <= _WELL for states in by_provider.values()) or house.counters.state.startswith("lost"):
        return "degraded"
    return "up"


def data_of(site: Site, *, named: bool) -> StatusData:
    """The state of a gateway.

    Args:
        named: With its upstreams.
    """
    house, now = site.house, site.house.clock()
    data: StatusData = {
        "version": site.version,
        "name": house.settings.name,
        "start_time": int(site.started_at),
        "uptime_s": int(house.monotonic() - site.started_monotonic),
        "status": "up" if site.open else "stopping",
        "health": overall(site),
        "in_flight": site.capacity.in_flight,
    }
    if named:
        data["transport"] = house.upstream.transport_name
        data["counters"] = house.counters.state
        data["upstreams"] = [_upstream(seen, now) for seen in sorted(house.health, key=lambda seen: seen.key)]
        met = {seen.name for seen in house.health}
        data["upstreams"] += [{"name": name, "state": "unknown"} for name in house.keys if name not in met]
    return data


def _upstream(seen: Sighting, now: float) -> UpstreamStatus:
    return {
        "name": seen.name,
        "model": seen.key.partition("/")[2],
        "state": seen.state(now),
        "breaker": breaker.phase(seen.breaker, now).value,
        "ejected": seen.vitals.ejected,
        "back_in_s": round(max(0.0, (seen.vitals.back or 0.0) - now), 3),
        "calls": seen.calls,
        "errors": seen.errors,
        "skipped_events": seen.skipped,
        "in_flight": seen.vitals.in_flight,
        "latency_ms": _milliseconds(seen.vitals.average.seconds),
        "last_error": seen.last_error,
        "last_error_time": int(seen.last_error_at) if seen.last_error_at is not None else None,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return round(seconds * 1000, 1) if seconds is not None else None
