"""Cross-origin calls from browsers: off unless origins are configured.

What does not live here: authentication; a preflight carries none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.web.visit import Visit

_EXPOSED = (
    b"x-request-id, retry-after, retry-after-ms, x-should-retry, x-model-used, x-provider, x-dropped-params, "
    b"x-clamped-params, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
_ALLOWED = "authorization, content-type, x-api-key, api-key, x-request-id, idempotency-key"


def apply(visit: Visit, origins: Sequence[str]) -> bool:
    """Puts the headers of an allowed origin onto the answer; True when the request is a preflight."""
    origin = visit.header("origin")
    if origin is None or ("*" not in origins and origin not in origins):
        return False
    visit.extra += [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]
    if visit.method != "OPTIONS" or visit.header("access-control-request-method") is None:
        return False
    wanted = visit.header("access-control-request-headers") or _ALLOWED
    visit.extra += [
        (b"access-control-allow-methods", b"GET, POST, DELETE, OPTIONS"),
        (b"access-control-allow-headers", wanted.encode("latin-1")),
        (b"access-control-max-age", b"86400"),
    ]
    return True
