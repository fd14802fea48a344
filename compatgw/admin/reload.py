"""`POST /api/admin/reload`: the gateway reads its file and its variables again, in all processes that share counters.

For keys with the scope `admin`.

What does not live here: what becomes of it (`standing.py`, `renewing.py`), the management of records (`api.py`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import orjson
from typing_extensions import TypedDict

from compatgw.config import ConfigError
from compatgw.errors import InvalidRequest, MethodNotAllowed, NotFound
from compatgw.policy import access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

PATH = "/api/admin/reload"
_log = logging.getLogger("compatgw")


class Reloaded(TypedDict):
    """What is answered.

    `others_told`: there may be other processes, and they were told to do the same.
    """

    object: Literal["gateway.reload"]
    reloaded: bool
    others_told: bool


class Reload:
    """The endpoint.

    Args:
        reload: Reads the settings again, or raises `ConfigError` and changes nothing; says whether other processes
            were told to do so, too.
    """

    def __init__(self, reload: Callable[[], Awaitable[bool]]) -> None:
        self._reload = reload

    async def __call__(self, site: Site, visit: Visit) -> None:
        """Answers one request.

        Raises:
            GatewayError: It was refused; the gateway goes on as before.
        """
        caller = await site.identify(visit)
        access.require_scope(caller, access.ADMIN)
        if visit.route != PATH:
            raise NotFound(f"There is nothing at {visit.route[:128]}.", code="unknown_endpoint")
        if visit.method != "POST":
            visit.extra.append((b"allow", b"POST"))
            raise MethodNotAllowed(f"{visit.method[:16]} is not allowed here. Use POST.")
        try:
            told = await self._reload()
        except ConfigError as error:
            raise InvalidRequest(f"Nothing was changed. {error}", code="invalid_configuration") from None
        _log.warning("%s the settings were read again, as %s asked", visit.id, caller.name)
        said: Reloaded = {"object": "gateway.reload", "reloaded": True, "others_told": told}
        await visit.answer(200, (("Cache-Control", "no-store"),), orjson.dumps(said))
