"""Where a request goes, whichever host mounted the gateway and however it fills in the scope.

Hosts disagree: most leave the mount's prefix in `path` and name it in `root_path`, some strip
it, some add a slash, some name a prefix that is not in the path. Measured over seven hosts and
five servers; `tests/web/test_paths.py` holds the table.

What does not live here: what is at a route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping


class Place(NamedTuple):
    """A request's route within the gateway, and the prefix that it is mounted under."""

    root: str
    route: str


def place_of(scope: Mapping[str, Any]) -> Place | None:
    """The place that a scope means; None when it is outside of the mount."""
    root = (scope.get("root_path") or "").rstrip("/")
    path: str = scope["path"]
    route = path
    cut = 0
    while root:
        suffix = root[cut:]
        if path == suffix or path.startswith(suffix + "/"):
            route = path[len(suffix) :]
            break
        cut = root.find("/", cut + 1)
        if cut < 0:
            break
    route = route or "/"
    if not route.startswith("/"):
        # Litestar cuts the mount off by its length: the slash is gone at `/`, and a longer name's rest is left.
        raw = scope.get("raw_path")
        whole = unquote(raw.partition(b"?")[0].decode("latin-1")).rstrip("/") if isinstance(raw, bytes) else None
        if whole not in (f"/{route}".rstrip("/"), f"{root}/{route}".rstrip("/")):
            return None
        route = f"/{route}"
    if route.startswith("//"):
        route = "/" + route.lstrip("/")
    if len(route) > 1 and route.endswith("/"):
        route = route.rstrip("/") or "/"
    raw = scope.get("raw_path")
    if not root and isinstance(raw, bytes) and len(raw) > len(path):
        root = _cut_off(raw, route)
    return Place(root, route)


def _cut_off(raw: bytes, route: str) -> str:
    """The mount that is in the path as it was sent alone: Litestar cuts it off and names it nowhere."""
    whole = unquote(raw.partition(b"?")[0].decode("latin-1")).rstrip("/")
    own = route.rstrip("/")
    return whole[: len(whole) - len(own)].rstrip("/") if whole.endswith(own) else ""


def tail_of(scope: Mapping[str, Any], route: str, marker: str) -> str:
    """What follows `marker` in the route, decoded exactly once even if it holds a `%` of its own."""
    raw = scope.get("raw_path")
    if isinstance(raw, bytes) and b"%25" in raw:
        _, found, rest = raw.partition(b"?")[0].partition(marker.encode())
        if found:
            return unquote(rest.decode("latin-1")).rstrip("/")
    return route.partition(marker)[2]
