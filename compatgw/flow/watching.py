"""Tells observers of calls. Nothing that they do hurts a call.

What does not live here: what they make of it (`telemetry/`).
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from compatgw.telemetry.base import Began, Ended, Tried

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from compatgw.errors import GatewayError
    from compatgw.flow.call import Call, House
    from compatgw.flow.tasks import Tasks
    from compatgw.policy.money import Meter

_log = logging.getLogger("compatgw")
# Headers that hold what nobody else is to see.
_SECRET = frozenset({"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization", "x-goog-api-key"})


class Callback:
    """The `on_call` of a host as an observer: it is told of every call that is over.

    Args:
        tell: Takes an `Ended`; may be async. It is then run as a task of its own.
        tasks: Owns that.
    """

    def __init__(self, tell: Callable[[Ended], Awaitable[None] | None], tasks: Tasks) -> None:
        self._tell = tell
        self._tasks = tasks

    def began(self, call: Began) -> None:
        """Nothing."""

    def headers(self, token: Any) -> tuple[tuple[str, str], ...]:
        """None."""
        return ()

    def tried(self, token: Any, attempt: Tried) -> None:
        """Nothing."""

    def ended(self, token: Any, call: Ended) -> None:
        """Tells the host."""
        found = self._tell(call)
        if inspect.isawaitable(found):
            self._tasks.start(_awaited(found))


async def _awaited(told: Awaitable[None]) -> None:
    try:
        await told
    except Exception:  # noqa: BLE001 - the host's own; whatever it is, the call goes on
        _log.exception("on_call= raised. The call that it was told of is not touched by that.")


def began(call: Call, house: House, headers: Mapping[str, str]) -> None:
    """The call is on its way."""
    shown = {name: value for name, value in headers.items() if name not in _SECRET}
    told = Began(
        id=call.id, endpoint=call.surface.name, model=call.request["model"], stream=call.stream, at=house.clock(),
        headers=shown,
    )  # fmt: skip
    call.watched = tuple((observer, _safely(observer.began, told)) for observer in house.observers)
    sent: list[tuple[str, str]] = []
    for observer, token in call.watched:
        sent += _safely(observer.headers, token) or ()
    call.trace = tuple(sent)


def tried(call: Call, house: House, at: float, seconds: float, failure: GatewayError | None) -> None:
    """An attempt at the call's route is over."""
    call.attempts += 1
    call.upstream += seconds
    route = call.route
    if not call.watched or route is None:
        return
    status = getattr(failure, "upstream_status", None)
    told = Tried(
        provider=route.deployment.name, model=route.target.model, at=at, seconds=seconds,
        code=failure.code or "" if failure is not None else "", status=status,
    )  # fmt: skip
    for observer, token in call.watched:
        _safely(observer.tried, token, told)


def ended(call: Call, house: House, used: Meter, *, estimated: bool, status: int, code: str) -> None:
    """The call is over."""
    if not call.watched:
        return
    route, ticket = call.route, call.ticket
    seconds = house.monotonic() - call.started
    told = Ended(
        id=call.id,
        endpoint=call.surface.name,
        model=call.request["model"],
        provider=call.deployment,
        target=route.target.model if route is not None else "",
        stream=call.stream,
        status=status,
        code=code,
        at=house.clock() - seconds,
        seconds=seconds,
        first_token=call.first_token,
        upstream=call.upstream,
        input=used.input,
        output=used.output,
        cached=used.cached,
        reasoning=used.reasoning,
        estimated=estimated,
        cost=ticket.cost,
        attempts=call.attempts,
        fallback=route is not None and bool(call.targets) and route.key != call.targets[0].key,
        cached_answer=ticket.free and route is None,
        byok=call.byok,
        team=call.caller.team,
        key=call.caller.key,
    )
    for observer, token in call.watched:
        _safely(observer.ended, token, told)


def _safely(told: Callable[..., Any], *args: Any) -> Any:
    try:
        return told(*args)
    except Exception:  # noqa: BLE001 - as above
        _log.exception("An observer of calls raised. The call is not touched by that.")
        return None
