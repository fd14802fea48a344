"""What stands before every page of the console: the cookie, where a form comes from, and whose key it is.

The cookie is `SameSite=Strict`: no other site can make a browser send it, not even by a link. So that a link in a
mail still leads to its page, a visit from elsewhere that brings none is sent once more from a page of our own
(`routes.py`). A form is taken with a token of its session alone, and only from a page of this origin.

What does not live here: sessions (`sessions.py`), the login (`login.py`).
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from compatgw.errors import GatewayError, Unauthenticated
from compatgw.pages.render import cookie
from compatgw.policy import access
from compatgw.web.origin import origin_of
from compatgw.web.visit import Visit

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from compatgw.pages.console.forms import Form
    from compatgw.policy.access import Caller, Principal
    from compatgw.web.site import Site

ROOT = "/console"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
_KEY_HEADERS = (b"authorization", b"x-api-key", b"api-key")
_LONGEST_NEXT = 1_000
_NEXT = re.compile(r"/console(?:[/?][^\\\s\x00-\x1f\x7f]*)?")


class Forged(GatewayError):
    """A form that no page of the session sent: 403. Nothing was changed."""

    status = 403
    type = "permission_error"
    default_code = "forged_request"


# --- cookies -----------------------------------------------------------------------------------


def given(visit: Visit, name: str) -> str | None:
    """The value of a cookie; of several the first, which is the one of the longest path."""
    wanted = _own(visit, name)
    for header, line in visit.scope["headers"]:
        # A host's cookies may hold anything: what one of them looks like must not hide another.
        for part in line.decode("latin-1").split(";") if header == b"cookie" else ():
            found, _, value = part.strip().partition("=")
            if found == wanted:
                return str(value)
    return None


def kept(visit: Visit, name: str, value: str) -> tuple[str, str]:
    """The line that has a browser keep a cookie until it is closed, out of reach of scripts and other sites."""
    return cookie(visit, _own(visit, name), value, age=None, http_only=True, strict=True)


def forgotten(visit: Visit, name: str) -> tuple[str, str]:
    """The line that has a browser forget it."""
    return cookie(visit, _own(visit, name), "", age=0, http_only=True, strict=True)


def _own(visit: Visit, name: str) -> str:
    # A cookie of that prefix cannot be set by whoever stands between on plain http.
    return f"__Secure-{name}" if visit.scope.get("scheme") == "https" else name


# --- where a form comes from -------------------------------------------------------------------


def from_elsewhere(visit: Visit) -> bool:
    """True for a visit that a browser says another site began."""
    return visit.header("sec-fetch-site") == "cross-site"


def require_own_page(visit: Visit, public: str | None) -> None:
    """Passes for a request that a page of this origin sent, as far as the browser says so.

    Args:
        public: Where the operator says that the mount is.

    Raises:
        Forged: Another page did.
    """
    site = visit.header("sec-fetch-site")
    if site is not None:
        # Of the browser itself, past every proxy that changes the Host.
        own = site in ("same-origin", "none")
    else:
        origin = visit.header("origin")
        known = {urlsplit(each).netloc.lower() for each in (origin_of(visit), public or "") if each}
        own = origin is None or urlsplit(origin).netloc.lower() in known
    if not own:
        raise Forged("The form came from another site. Nothing was changed. Open the page here and send it again.")


def require_token(visit: Visit, wanted: str, form: Form | None) -> None:
    """Passes when the request has the token of its session, in a form's field or in the header.

    Raises:
        Forged: It has none, or another.
    """
    found = visit.header(CSRF_HEADER) or (form.raw(CSRF_FIELD) if form is not None else "")
    if not hmac.compare_digest(found.encode("utf-8", "replace"), wanted.encode()):
        raise Forged("The page is out of date. Nothing was changed. Load it again and repeat it.")


def inside(path: str | None) -> str:
    """`path` where it is one of the console, else the console's first page: for going on after a login."""
    if path is None or len(path) > _LONGEST_NEXT or not _NEXT.fullmatch(path) or not path.isascii():
        return ROOT
    parts = unquote(path.partition("?")[0]).split("/")
    if any(part in (".", "..") or "\\" in part for part in parts) or "" in parts[1:]:
        return ROOT
    return ROOT if parts[2:3] in (["login"], ["logout"]) else path


# --- whose key it is ---------------------------------------------------------------------------


async def operator(site: Site, visit: Visit, key: str) -> Caller:
    """The operator that an admin key stands for, by the very check that the management API makes.

    Args:
        key: "" where the host is to recognise its operator in the visit itself.

    Raises:
        Unauthenticated: No such key. Forbidden: It is for something else. StateError: The ledger is away.
    """
    if not key.isascii() or not key.isprintable():
        raise Unauthenticated("The admin key holds characters that no key has. Check it.")
    headers = visit.scope["headers"]
    if key:
        headers = [(name, value) for name, value in headers if name.lower() not in _KEY_HEADERS]
        headers.append((b"authorization", b"Bearer " + key.encode()))
    caller = await _recognised(site, visit, {**visit.scope, "headers": headers})
    access.require_scope(caller, access.ADMIN)
    return caller


async def as_principal(site: Site, visit: Visit, principal: Principal) -> Caller:
    """A principal that the console vouches for, as a caller of models."""
    return await _recognised(site, visit, {**visit.scope, **site.identify.vouch(principal)})


async def _recognised(site: Site, visit: Visit, scope: MutableMapping[str, Any]) -> Caller:
    async def nothing(message: Any = None) -> Any:
        raise RuntimeError("who calls is told by the head of a request alone")

    asked = Visit(scope, nothing, nothing, site.house.settings, visit.word)
    asked.root, asked.route = visit.root, visit.route
    try:
        return await site.identify(asked)
    finally:
        asked.patience.close()
