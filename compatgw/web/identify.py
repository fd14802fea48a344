"""Who is calling: keys from the configuration, or the host's own `authenticate=`.

Keys are compared by keyed digest: looking one up takes the same time whichever it is, and
the keys themselves are not kept.

What does not live here: what a caller may do (`policy/access.py`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from compatgw.errors import Unauthenticated
from compatgw.policy.access import Principal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import HTTPConnection

    from compatgw.web.visit import Visit

Authenticate = Callable[["HTTPConnection"], Awaitable[Principal | None]]
"""An `authenticate=` callable: a connection to the caller's principal, or None to refuse it."""


async def anonymous(connection: HTTPConnection) -> Principal:
    """Lets everybody in: the explicit opt-out, `Gateway(authenticate=compatgw.anonymous)`."""
    return Principal(name="anonymous")


class Identify:
    """Recognises callers.

    Args:
        keys: Each key with its principal.
        authenticate: Decides instead of the keys when given.
    """

    def __init__(self, keys: Iterable[tuple[str, Principal]], authenticate: Authenticate | None) -> None:
        self._pepper = secrets.token_bytes(32)
        self._known = {self._digest(key): principal for key, principal in keys}
        self._authenticate = authenticate

    @property
    def closed(self) -> bool:
        """True when nobody can get in."""
        return not self._known and self._authenticate is None

    async def __call__(self, visit: Visit) -> Principal:
        """The caller.

        Raises:
            Unauthenticated: No key, or one that is not known.
        """
        if self._authenticate is not None:
            # Imported for those who use it: it is half of what importing this package would take.
            from starlette.requests import HTTPConnection

            principal = await self._authenticate(HTTPConnection(visit.scope))
            if principal is None:
                raise Unauthenticated("The application that this gateway is mounted in did not recognise the caller.")
            return principal
        key = key_of(visit)
        if key is None:
            raise Unauthenticated(_missing(self.closed), code="missing_api_key")
        principal = self._known.get(self._digest(key))
        if principal is None:
            raise Unauthenticated("The API key is not valid. Check it, or ask the gateway's operator for a new one.")
        return principal

    def _digest(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), key=self._pepper, digest_size=32).digest()


def key_of(visit: Visit) -> str | None:
    """The key that a request carries; one in `x-api-key` or `api-key` decides alone."""
    for name in ("x-api-key", "api-key"):
        if (value := visit.header(name)) is not None:
            return value
    scheme, _, token = (visit.header("authorization") or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def _missing(closed: bool) -> str:
    if closed:
        return (
            "This gateway has no keys yet, so nobody may call it. Its operator configures keys=[...], passes "
            "authenticate=, or opens it to all with authenticate=compatgw.anonymous."
        )
    return "No API key was given. Send it in the header 'Authorization: Bearer <key>'."
