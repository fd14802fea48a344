"""Where a gateway is mounted, as whoever visits it reaches it.

What does not live here: the route within the mount (`paths.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from compatgw.web.visit import Visit

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_DEFAULT_PORT = {"http": 80, "https": 443}


def root_of(visit: Visit) -> str:
    """The path of the mount, fit for an address between any quotes; "" where it is the root."""
    return quote(visit.root, safe="/~:@%+,=-._")


def home_of(visit: Visit, public: str | None = None) -> str:
    """The address of the mount, without a slash at its end.

    Args:
        public: Where the operator says that it is; else it is what the visit itself used.
    """
    return (public or origin_of(visit) + root_of(visit)).rstrip("/")


def origin_of(visit: Visit) -> str:
    """Scheme and host as the visitor used them; the server's own address where the host is no host's name."""
    scheme = visit.scope.get("scheme", "http")
    host = visit.header("host") or ""
    if _HOST.fullmatch(host):
        return f"{scheme}://{host}"
    server, port = visit.scope.get("server") or ("localhost", None)
    server = f"[{server}]" if ":" in server else server
    return f"{scheme}://{server}" if port in (None, _DEFAULT_PORT.get(scheme)) else f"{scheme}://{server}:{port}"
