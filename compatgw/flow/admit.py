"""Who may come in, how many at a time, and what they have to have.

What does not live here: recognising a caller (`web/identify.py`), giving back (`settle.py`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from compatgw.errors import Forbidden, InsufficientQuota, Overloaded, RateLimited, StreamingDisabled
from compatgw.policy import access, limits, money
from compatgw.policy.plan import missing
from compatgw.state.base import MOST, BadRecord, Bucket, Budget, StateError

if TYPE_CHECKING:
    from types import TracebackType

    from compatgw.flow.call import Call, House


_log = logging.getLogger("compatgw")
# Seconds. Only a call that outlives it, or that a living process has lost, is given back by this.
_HELD_FOR = 3600.0
_LEASED_FOR = 600


class Capacity:
    """A cap on the calls in flight: what is over it is refused at once, never queued."""

    __slots__ = ("_limit", "in_flight")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0

    def __enter__(self) -> None:
        if self.in_flight >= self._limit:
            raise Overloaded(
                f"The gateway already has {self._limit} calls in flight. Try again in a moment.", retry_after=1
            )
        self.in_flight += 1

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.in_flight -= 1


async def admit(call: Call, house: House) -> None:
    """Lets `call` in: takes what it needs of the caller's limits, and holds what it may cost.

    Raises:
        NotFound: Nobody active serves the model, or the caller's team does not see it.
        Forbidden: The model is not for this key, has no price, or the team's own provider key does not work.
        StreamingDisabled: A stream was asked where the operator switched streams off.
        RateLimited: A limit is reached; nothing was taken.
        InsufficientQuota: The wallet or the key's budget is too small.
    """
    caller, model = call.caller, call.request["model"]
    route = house.plan(model, call.scope, call.options.unsupported or house.settings.unsupported)
    if not access.sees(caller, route.names):
        raise missing(house.directory, model, call.scope)
    access.require_model(caller, route.names)
    if call.stream and not house.settings.streaming:
        raise StreamingDisabled("Streaming is switched off on this gateway. Send the request with 'stream': false.")
    call.route = route
    platform = house.endpoints[route.deployment.name]
    own = house.own_keys.endpoint(caller.account, platform)
    call.use(own or platform, byok=own is not None)
    call.ticket.price = house.prices.of(route.deployment.name, route.target.model, model)
    await _take(call, house)
    if not call.byok:
        await hold(call, house)


async def _take(call: Call, house: House) -> None:
    """Takes the call's part of all of the caller's limits in one step."""
    claims, ticket = call.caller.claims, call.ticket
    if claims.empty:
        return
    tokens = 0
    if claims.tokens:
        cap = house.settings.money.output_cap
        tokens = limits.reserved_tokens(call.request, cap, call.route.target.max_output if call.route else None)
    try:
        verdict = await house.counters.take(claims.group, claims.costs(tokens), claims.leases, ticket.uid, _LEASED_FOR)
    except asyncio.CancelledError:
        # Nobody knows whether it has its places by now: they are not kept until their time is over.
        if claims.leases and house.counters.shared:
            with suppress(StateError):
                await house.tasks.finish(house.counters.settle(claims.group, (), claims.leases, ticket.uid))
        raise
    ticket.levels = verdict.levels
    if not verdict.admitted:
        found = verdict.refused_by
        raise RateLimited(
            limits.refusal(verdict),
            kind=found.kind if isinstance(found, Bucket) else "requests",
            retry_after=limits.retry_after(verdict.retry_after),
            headers=limits.headers(verdict.levels),
        )
    ticket.tokens = tokens
    if claims.leases:
        ticket.renew_at = house.monotonic() + _LEASED_FOR / 2


async def renew(call: Call, house: House) -> None:
    """Keeps the places of a long stream among calls at one time, once half of their time is over."""
    ticket, claims, now = call.ticket, call.caller.claims, house.monotonic()
    if ticket.renew_at is None or now < ticket.renew_at:
        return
    ticket.renew_at = now + _LEASED_FOR / 2
    try:
        await house.counters.renew(claims.group, claims.leases, ticket.uid, _LEASED_FOR)
    except StateError as error:
        _log.warning("%s its place among calls at one time may end before it does: %s", call.id, error)


async def hold(call: Call, house: House) -> None:
    """Holds what the call may cost of the team's wallet and of the key's budget, where it has one of them.

    Raises:
        Forbidden: The model has no price.
        InsufficientFunds, BudgetSpent, InsufficientQuota: It may cost more than there is.
    """
    caller, ticket, ledger = call.caller, call.ticket, house.ledger
    if ledger is None or call.route is None or not (caller.wallet or caller.budget is not None):
        return
    if ticket.price is None:
        if house.settings.money.unpriced == "free":
            return
        raise Forbidden(
            f"The model '{call.request['model'][:128]}' has no price, and this key pays for what it calls. "
            "The gateway's operator gives it one under 'models.<name>.price'.",
            param="model",
            code="model_not_priced",
        )
    ticket.input = limits.input_tokens(call.request)
    output = limits.output_tokens(call.request, house.settings.money.output_cap, call.route.target.max_output)
    budget = None
    if caller.budget is not None:
        budget = Budget(key=caller.key, label=money.label(caller.period, house.clock()), limit=caller.budget)
    try:
        amount = money.estimate(ticket.price, ticket.input, output)
    except BadRecord:
        raise InsufficientQuota(
            f"This call may cost more than {MOST:,}, which nobody has. Ask for fewer output tokens.", should_retry=False
        ) from None
    # Whoever is cancelled here holds nothing: the ledger undoes it.
    await ledger.reserve(ticket.uid, caller.team, amount, ttl=_HELD_FOR, wallet=caller.wallet, budget=budget)
    ticket.held = True
