"""What a call carries on its way, and what all calls of one gateway share.

What does not live here: the way itself (`run.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from compatgw.config import Settings
    from compatgw.dialects.base import Outgoing, Policy
    from compatgw.errors import GatewayError
    from compatgw.flow.health import Health
    from compatgw.flow.patience import Patience
    from compatgw.policy.access import Principal
    from compatgw.policy.plan import Directory, Route, Scope
    from compatgw.surfaces.extensions import CallOptions
    from compatgw.upstream.client import Endpoint, UpstreamClient
    from compatgw.wire.chat import ChatRequest, Usage

Headers = tuple[tuple[str, str], ...]


class Client(Protocol):
    """Whoever waits for the answer; its methods send to it and wait until it has taken it."""

    async def whole(self, headers: Headers, body: bytes) -> None:
        """A complete JSON answer."""
        ...

    async def begin(self, headers: Headers) -> None:
        """The head of a stream."""
        ...

    async def write(self, data: bytes) -> None:
        """Whole events of a stream."""
        ...

    async def end(self) -> None:
        """The end of a stream."""
        ...


@dataclass(frozen=True, slots=True)
class House:
    """The rooms that every call of one gateway goes through.

    Attributes:
        settings: The settings.
        directory: What a model's name can mean.
        plan: `policy.plan.plan` over that directory; it remembers, because names repeat.
        endpoints: Where each active provider is reached.
        upstream: The way out.
        health: What was last seen of each provider.
        clock: Seconds since 1970.
        monotonic: Seconds of a clock that never goes back.
        ids: A new random word at each call.
    """

    settings: Settings
    directory: Directory
    plan: Callable[[str, Scope, Policy], Route]
    endpoints: Mapping[str, Endpoint]
    upstream: UpstreamClient
    health: Health
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    ids: Callable[[], str]


@dataclass(slots=True)
class Call:
    """One client request in flight.

    Attributes:
        id: The request id that the client sees.
        request: The hub request.
        options: What the caller asked of the gateway itself.
        principal: Who calls.
        scope: Which providers are in sight.
        patience: Bounds every wait.
        started: `House.monotonic` when it came.
        route: Where it goes, once planned.
        outgoing: What was sent, once encoded.
        usage: Tokens, once known.
        first_token: Seconds until the first content of a stream.
        failure: Why it ended badly.
    """

    id: str
    request: ChatRequest
    options: CallOptions
    principal: Principal
    scope: Scope
    patience: Patience
    started: float
    route: Route | None = None
    outgoing: Outgoing | None = None
    usage: Usage | None = None
    first_token: float | None = None
    failure: GatewayError | None = None

    @property
    def stream(self) -> bool:
        """True when the caller wants events."""
        return bool(self.request.get("stream"))
