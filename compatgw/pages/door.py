"""The way to our pages: nothing that they need is imported before somebody asks for one.

What does not live here: the pages.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from compatgw.errors import GatewayError, MethodNotAllowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from compatgw.web.site import Site
    from compatgw.web.visit import Visit

    Endpoint = Callable[[Site, Visit], Awaitable[None]]


class PagesNotInstalled(GatewayError):
    """What pages are made with is not there: 501."""

    status = 501
    type = "not_implemented_error"
    default_code = "not_installed"


class Door:
    """An endpoint that is loaded by its first visit, in a thread: the loop has other work.

    Args:
        load: Imports it and hands it out.
        methods: What may be asked of it; any other method gets 405.
    """

    def __init__(self, load: Callable[[], Endpoint], methods: tuple[str, ...] = ("GET", "HEAD")) -> None:
        self._load = load
        self._methods = methods
        self._endpoint: Endpoint | None = None

    async def __call__(self, site: Site, visit: Visit) -> None:
        """Answers one visit.

        Raises:
            PagesNotInstalled: A library is missing. GatewayError: The visit was refused.
        """
        if visit.method not in self._methods:
            visit.extra.append((b"allow", ", ".join(self._methods).encode()))
            raise MethodNotAllowed(f"{visit.method[:16]} is not allowed here. Use {', '.join(self._methods)}.")
        if self._endpoint is None:
            try:
                self._endpoint = await asyncio.to_thread(self._load)
            except ModuleNotFoundError as error:
                raise PagesNotInstalled(
                    f"The pages of this gateway need {error.name}: its operator installs 'compatgw[console]'."
                ) from None
        await self._endpoint(site, visit)
