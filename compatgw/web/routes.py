"""The map of routes, and the layer that lets nothing but an answer out.

What does not live here: what is at a route (`endpoints.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from compatgw.errors import GatewayError, MethodNotAllowed, NotFound
from compatgw.flow.call import ClientGone
from compatgw.flow.storage import told
from compatgw.flow.watching import refused
from compatgw.state.base import StateError
from compatgw.surfaces.table import SURFACES
from compatgw.web import cors, counting, endpoints, metrics, own
from compatgw.web.paths import place_of
from compatgw.web.visit import Visit

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from compatgw.web.site import Site
    from compatgw.web.visit import Receive, Send

_log = logging.getLogger("compatgw")

Endpoint = Callable[["Site", Visit], Awaitable[None]]


async def _respond(site: Site, visit: Visit) -> None:
    """`POST /v1/responses`."""
    from compatgw.web import responses

    await responses.create(site, visit)


def _response(route: str) -> Endpoints | None:
    """What is at the path of a response; None for another path."""
    if not route.startswith("/responses/"):
        return None
    from compatgw.web import responses

    return responses.found(route)


# Their endpoints do more than call.
_OTHERS: Mapping[str, Endpoint] = {"/messages/count_tokens": counting.count_tokens, "/responses": _respond}

Endpoints = Mapping[str, Endpoint]
"""By method."""

# Surface routes answer with and without `/v1`.
_SURFACE: Mapping[str, Endpoints] = {
    **{path: {"POST": _OTHERS.get(path) or endpoints.calls(path)} for path in SURFACES},
    "/models": {"GET": endpoints.models},
    "/key": {"GET": own.key},
    "/generation": {"GET": own.generation},
}
_MODEL: Endpoints = {"GET": endpoints.model}
_OWN: Mapping[str, Endpoints] = {
    "/healthz": {"GET": endpoints.healthz},
    "/readyz": {"GET": endpoints.readyz},
    "/metrics": {"GET": metrics.metrics},
    "/api/status": {"GET": endpoints.status},
}


class Router:
    """Everything that one gateway answers over HTTP, as an ASGI application.

    Args:
        branches: Path prefixes, such as `/api/admin`, to what answers everything below them.
    """

    def __init__(self, site: Site, branches: Mapping[str, Endpoint] = MappingProxyType({})) -> None:
        self._site = site
        self._branches = branches

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one request. Nothing leaves but cancellation."""
        visit = Visit(scope, receive, send, self._site.house.settings, self._site.house.ids())
        visits = self._site.visits
        room = visits.here() or await visits.get()
        room.enter(visit)
        try:
            if self._site.chores is not None:
                await self._site.chores.start()
            await self._answer(visit)
        except ClientGone:
            _log.debug("%s the client left", visit.id)
        except asyncio.CancelledError:
            if not await visit.interrupted():
                raise
        finally:
            room.leave(visit)
            visit.patience.close()

    async def _answer(self, visit: Visit) -> None:
        try:
            endpoint = self._find(visit)
            if endpoint is not None:
                await endpoint(self._site, visit)
            else:
                await visit.answer(204, (), b"")
        except GatewayError as error:
            await self._refuse(visit, error)
        except StateError as error:
            await self._refuse(visit, told(error))
        except (ClientGone, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - the last layer: what escapes here becomes the host's error page
            _log.exception("%s failed inside the gateway", visit.id)
            await visit.error(
                GatewayError(f"The gateway failed. Its operator finds the cause in the log under {visit.id}.")
            )

    async def _refuse(self, visit: Visit, error: GatewayError) -> None:
        if visit.face is None and self._site.house.observers:
            refused(self._site.house, error)
        await visit.error(error)

    def _find(self, visit: Visit) -> Endpoint | None:
        """The endpoint of a visit, or None for a preflight that is answered already."""
        origins = self._site.house.settings.cors_origins
        preflight = bool(origins) and cors.apply(visit, origins)
        place = place_of(visit.scope)
        if place is None:
            raise _unknown(visit)
        visit.root, visit.route = place
        route = visit.route
        if self._site.hosts:
            visit.scope_name = self._site.hosts.get((visit.header("host") or "").partition(":")[0].lower())
        # Most requests are calls; nothing else stands below that path.
        if not route.startswith("/v1/"):
            for prefix, branch in self._branches.items():
                if route == prefix or route.startswith(prefix + "/"):
                    return None if preflight else branch
        found = _OWN.get(route)
        if found is None:
            head, _, rest = route[1:].partition("/")
            if head in self._site.scopes and rest:
                visit.scope_name = head
                route = "/" + rest
            # Cohere's clients ask for their own version of the one endpoint that is like theirs.
            if route.startswith("/v1/") or route == "/v2/rerank":
                route = route[3:]
            visit.route = route
            found = _SURFACE.get(route) or _response(route)
            if found is None and route.startswith("/models/"):
                found = _MODEL
        if found is None:
            raise _unknown(visit)
        if preflight:
            return None
        endpoint = found.get("GET" if visit.method == "HEAD" else visit.method)
        if endpoint is None:
            allowed = ", ".join(found)
            visit.extra.append((b"allow", allowed.encode()))
            raise MethodNotAllowed(f"{visit.method[:16]} is not allowed here. Use {allowed}.")
        return endpoint


def _unknown(visit: Visit) -> NotFound:
    path = str(visit.scope.get("path", ""))[:128]
    return NotFound(
        f"There is nothing at {visit.method[:16]} {path}. The base URL of this gateway ends in /v1.",
        code="unknown_endpoint",
    )
