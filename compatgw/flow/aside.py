"""Calls that the gateway makes of its own while it works on a client's: to another model, on nobody's limits.

Such a call goes the whole way upstream, through retries and fallbacks, in the caller's name but not with the caller's
rights: it is the operator who chose the model. It is no request of the caller's, so it takes nothing of limits and
has no record.

What does not live here: what is asked, and why (`vision.py`, `guarding.py`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.dialects.base import Answer, Result
from compatgw.flow.admit import asked
from compatgw.flow.attempts import answered
from compatgw.flow.call import Ticket
from compatgw.flow.patience import Patience
from compatgw.policy import money
from compatgw.policy.access import ALL
from compatgw.policy.plan import plan
from compatgw.surfaces.extensions import DEFAULT

if TYPE_CHECKING:
    from compatgw.flow.call import Call, House
    from compatgw.surfaces.base import Surface


class Aside(NamedTuple):
    """What came of it.

    Attributes:
        answer: A completion, or the result of any other endpoint.
        cost: What it cost, 0 where nobody knows.
    """

    answer: Answer | Result
    cost: Decimal


async def aside(call: Call, house: House, surface: Surface, request: Any, purpose: str) -> Aside:
    """The whole answer to `request`, which is made on behalf of `call`.

    Args:
        surface: By which the gateway itself would be asked this.
        purpose: One word, for the call's id.

    Raises:
        GatewayError: Nobody serves the model, or no upstream answered.
    """
    own = replace(
        call,
        surface=surface,
        request=request,
        options=DEFAULT,
        native=None,
        caller=replace(call.caller, models=ALL, visible=ALL),
        scope=None,
        ticket=Ticket(f"{call.ticket.word}-{purpose}", free=True),
        guard=None,
        retries=0,
        # Waits are bounded by task, and this may be another one.
        patience=Patience(),
        _input=-1,
        _fetcher=call.fetcher(house),
    )
    try:
        own.targets = plan(*asked(own, house)).targets
        found = await answered(own, house)
    finally:
        own.patience.close()
    if not isinstance(found, (Answer, Result)):
        raise RuntimeError("a call that is not streamed has a whole answer")
    usage = found.completion.get("usage") if isinstance(found, Answer) else found.usage
    price = own.ticket.price
    if usage is None or price is None:
        return Aside(found, Decimal(0))
    return Aside(found, money.cost(price, money.meter(usage)))
