"""What all requests to one gateway share in the web layer.

What does not live here: the map of routes (`routes.py`), what is at a route (`endpoints.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.errors import GatewayError
from compatgw.flow.admit import Capacity
from compatgw.state.base import StateError
from compatgw.web.visits import Visits

if TYPE_CHECKING:
    from compatgw.flow.call import House
    from compatgw.flow.chores import Chores
    from compatgw.web.identify import Identify
    from compatgw.web.visit import Visit


class Sign:
    """Whether calls are wanted; one for all sites of a gateway.

    Attributes:
        open: False while shutting down.
    """

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = True

    def close(self) -> None:
        """Says to whoever asks that no more calls are wanted."""
        self.open = False


class Site:
    """One gateway as its endpoints see it; another one once its settings change.

    Args:
        house, identify, version, chores: As below.
        before: That of the former settings: what is under way and what has been counted goes on.

    Attributes:
        house: The rooms that calls go through.
        identify: Recognises callers.
        version: Of the package.
        capacity: The cap on calls in flight.
        scopes: Name to the providers that it has in sight.
        hosts: Host header, in lower case, to a scope.
        sign: Whether calls are wanted.
        started_at: Seconds since 1970.
        started_monotonic: The same moment on the clock that never goes back.
        chores: What is done from time to time; None in a gateway without a ledger.
        visits: The requests under way.
    """

    def __init__(
        self,
        house: House,
        identify: Identify,
        version: str,
        chores: Chores | None = None,
        before: Site | None = None,
    ) -> None:
        self.house = house
        self.chores = chores
        self.identify = identify
        self.version = version
        self.scopes = {name: frozenset(providers) for name, providers in house.settings.scopes.items()}
        self.hosts = {host.lower(): name for host, name in house.settings.hosts.items()}
        self.sign: Sign = before.sign if before is not None else Sign()
        self.capacity: Capacity = before.capacity if before is not None else Capacity(house.settings.max_in_flight)
        self.visits: Visits = (
            before.visits if before is not None else Visits(house.settings.shutdown_grace, self.sign.close)
        )
        self.started_at: float = before.started_at if before is not None else house.clock()
        self.started_monotonic: float = before.started_monotonic if before is not None else house.monotonic()

    @property
    def open(self) -> bool:
        """False while shutting down."""
        return self.sign.open

    def close(self) -> None:
        """Says to whoever asks that no more calls are wanted."""
        self.sign.close()

    async def recognises(self, visit: Visit) -> bool:
        """True for a caller that has a key."""
        try:
            await self.identify(visit)
        except (GatewayError, StateError):
            return False
        return True
