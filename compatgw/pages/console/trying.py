"""A call that the console makes for its operator, and what came of it, whole: for a page, not for a client.

It goes the whole way of a call, through plan, retries and breakers, and is written down as one of the operator's.

What does not live here: calls that go out bit by bit (`playground.py`), the way of a call (`flow/run.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from compatgw.errors import GatewayError
from compatgw.flow.call import EVENTS, JSON
from compatgw.flow.run import run
from compatgw.flow.watching import began
from compatgw.policy import money
from compatgw.web.endpoints import call_of

if TYPE_CHECKING:
    from decimal import Decimal

    from compatgw.flow.call import Call, Headers
    from compatgw.pages.console.desk import Desk
    from compatgw.policy.access import Caller
    from compatgw.surfaces.base import Surface


class Outcome(NamedTuple):
    """What came of a call.

    Attributes:
        status: HTTP status. error: What went wrong, "" for nothing. code, param: Of the error.
        answer: The body, read as JSON; None where there is none.
        headers: Those of the answer that are the gateway's own.
        target: `provider/model` that was asked last, "" where nobody was.
        cost: Of the call, None where nobody knows.
        milliseconds: Until the whole answer was there.
    """

    status: int
    error: str
    code: str
    param: str
    answer: Any
    headers: Headers
    target: str
    cost: Decimal | None
    milliseconds: int

    @property
    def ok(self) -> bool:
        """True for an answer."""
        return not self.error

    def document(self) -> dict[str, Any]:
        """It as JSON can hold it."""
        cost = None if self.cost is None else money.text(self.cost)
        return {**self._asdict(), "cost": cost, "ok": self.ok}


@dataclass(slots=True)
class Kept:
    """A client that keeps what it is answered. Implements `flow.call.Client`.

    Attributes:
        status, headers, body: Of the answer.
    """

    status: int = 0
    headers: Headers = ()
    body: bytes = b""

    async def answer(self, status: int, headers: Headers, body: bytes, kind: str = JSON) -> None:
        """A complete answer."""
        self.status, self.headers, self.body = status, headers, body

    async def begin(self, headers: Headers, kind: str = EVENTS) -> None:
        """The head of an answer that comes bit by bit."""
        self.status, self.headers = 200, headers

    async def write(self, data: bytes) -> None:
        """Some of it."""
        self.body += data

    async def end(self) -> None:
        """Its end."""

    async def cut(self) -> None:
        """It broke off."""


async def whole(desk: Desk, surface: Surface, caller: Caller, body: bytes) -> Outcome:
    """Makes the call that `body` asks for by `surface`; what fails is an outcome, too."""
    site, visit, house = desk.site, desk.visit, desk.site.house
    kept, started = Kept(), house.monotonic()
    call: Call | None = None
    failure: GatewayError | None = None
    try:
        with site.capacity:
            call = call_of(site, visit, surface, surface.parse(body), caller, started, body)
            if house.observers:
                began(call, house, visit.headers)
            visit.call = call
            with visit.watch():
                await run(call, house, kept)
    except GatewayError as error:
        failure = error
    route = call.route if call is not None else None
    return Outcome(
        status=failure.status if failure is not None else kept.status,
        error=str(failure) if failure is not None else "",
        code=failure.code if failure is not None else "",
        param=(failure.param or "") if failure is not None else "",
        answer=orjson.loads(kept.body) if kept.body else None,
        headers=kept.headers if failure is None else failure.headers,
        target=route.key if route is not None else "",
        cost=call.ticket.cost if call is not None else None,
        milliseconds=round((house.monotonic() - started) * 1000),
    )
