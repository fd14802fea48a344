"""Who may come in, how many at a time, and what they have to have.

What does not live here: recognising a caller (`web/identify.py`), giving back (`settle.py`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING

from compatgw.errors import Forbidden, InsufficientQuota, Overloaded, RateLimited, StreamingDisabled
from compatgw.policy import limits, money
from compatgw.policy.access import ALL
from compatgw.policy.directory import wished
from compatgw.policy.needs import is_image, parts_of
from compatgw.policy.plan import Question, plan
from compatgw.policy.sniffing import checked_media
from compatgw.state.base import MOST, BadRecord, Bucket, Budget, StateError
from compatgw.surfaces.extensions import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from compatgw.flow.call import Call, House
    from compatgw.policy.directory import Directory
    from compatgw.policy.plan import Live, Route


_log = logging.getLogger("compatgw")
# Seconds. Only a call that outlives it, or that a living process has lost, is given back by this.
_HELD_FOR = 3600.0
_LEASED_FOR = 600
# About how many tokens a large image and the question about it have.
_OF_IMAGE = 4_000


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
    """Lets `call` in: plans it, and takes what it needs of the caller's limits.

    Raises:
        InvalidRequest: An image or a file is of another kind than it says.
        NotFound: Nobody active serves the model, or the caller's team does not see it.
        Forbidden: The model is not for this key.
        UpstreamUnavailable: All that serves it is left alone for a while.
        StreamingDisabled: A stream was asked where the operator switched streams off.
        RateLimited: A limit is reached; nothing was taken.
    """
    if call.request.get("stream") and not house.settings.streaming:
        raise StreamingDisabled("Streaming is switched off on this gateway. Send the request with 'stream': false.")
    if call.surface.codec == "chat":
        checked_media(call.request)
    call.targets = _sole(call, house) or plan(*asked(call, house)).targets
    await _take(call, house)


def _sole(call: Call, house: House) -> tuple[Route, ...]:
    """The one way to answer the call, where nothing has to be chosen, filtered or left alone: most calls."""
    caller = call.caller
    if call.options is not DEFAULT or caller.visible != ALL or caller.models != ALL:
        return ()
    found = house.sole(call.request["model"], call.scope, house.settings.unsupported, call.surface.codec)
    if not found or not house.health.is_well(found[0].key):
        return ()
    candidate = found[0].candidate
    if house.settings.vision.model is not None and candidate.takes("image") is False:
        # There may be images to be put into words.
        return ()
    context = candidate.context
    if context is not None and call.size > context:
        # It may not fit; the whole planner looks closer. No token is shorter than a byte.
        return ()
    return found


def asked(call: Call, house: House) -> tuple[Question, Directory, Live]:
    """What a planner is to be asked for `call`."""
    settings, model = house.settings, call.request["model"]
    options = wished(house.directory, model, call.options)
    balanced = options.load_balance
    turns_of = f"{model} {balanced}" if balanced is not None and balanced.strategy == "round-robin" else None
    question = Question(
        model=model,
        scope=call.scope,
        caller=call.caller,
        options=options,
        needs=call.kind.needs(call.request, call.input),
        codec=call.surface.codec,
        vision_helper=settings.vision.model is not None,
        unsupported=call.options.unsupported or settings.unsupported,
        output_cap=settings.money.output_cap,
    )
    return question, house.directory, house.health.live(turns_of)


async def _take(call: Call, house: House) -> None:
    """Takes the call's part of all of the caller's limits in one step."""
    claims, ticket = call.caller.claims, call.ticket
    if claims.empty:
        return
    tokens = 0
    if claims.tokens:
        cap = house.settings.money.output_cap
        if not ticket.free:
            tokens = call.kind.reserved(call.request, call.input, cap, call.targets[0].target.max_output)
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


def pays(call: Call, house: House) -> bool:
    """True when somebody pays for what the call takes of the platform's accounts."""
    return house.ledger is not None and (call.caller.wallet or call.caller.budget is not None)


def may_cost(call: Call, house: House, route: Route) -> Decimal | None:
    """The most that the call can cost over `route`; None when its price is not known.

    Raises:
        InsufficientQuota: More than anybody has.
    """
    price = house.prices.of(route.deployment.name, route.target.model, route.names[0])
    if price is None:
        return None
    output = call.kind.output(call.request, house.settings.money.output_cap, route.target.max_output)
    try:
        most = money.estimate(price, call.input, output, call.kind.images(call.request))
        return money.sum_of((most, _to_describe(call, house))) if route.describe_images else most
    except BadRecord:
        raise InsufficientQuota(
            f"This call may cost more than {MOST:,}, which nobody has. Ask for fewer output tokens.", should_retry=False
        ) from None


def _to_describe(call: Call, house: House) -> Decimal:
    """The most that putting the call's images into words can cost; 0 where the price is not known."""
    own = house.settings.vision
    candidates, _ = house.directory.meaning(own.model or "", None)
    images = sum(map(is_image, parts_of(call.request)))
    known = [house.prices.of(one.deployment.name, one.target("hints").model, one.names[0]) for one in candidates]
    each = [money.estimate(price, _OF_IMAGE, own.max_tokens) for price in known if price is not None]
    return money.sum_of([max(each)] * images) if each else Decimal(0)


async def hold(call: Call, house: House, routes: Iterable[Route]) -> None:
    """Holds what the call may cost over the dearest of `routes`, of the team's wallet and of the key's budget. Once.

    Raises:
        InsufficientFunds, BudgetSpent, InsufficientQuota: It may cost more than there is.
    """
    caller, ticket, ledger = call.caller, call.ticket, house.ledger
    if ticket.held or ticket.free or ledger is None or not pays(call, house):
        return
    amount = max((cost for route in routes if (cost := may_cost(call, house, route)) is not None), default=None)
    if amount is None:
        return
    budget = None
    if caller.budget is not None:
        budget = Budget(key=caller.key, label=money.label(caller.period, house.clock()), limit=caller.budget)
    # Whoever is cancelled here holds nothing: the ledger undoes it.
    await ledger.reserve(ticket.uid, caller.team, amount, ttl=_HELD_FOR, wallet=caller.wallet, budget=budget)
    ticket.held = True


def not_priced(call: Call) -> Forbidden:
    """What a caller who pays is told of a model without a price."""
    return Forbidden(
        f"The model '{call.request['model'][:128]}' has no price, and this key pays for what it calls. "
        "The gateway's operator gives it one under 'models.<name>.price'.",
        param="model",
        code="model_not_priced",
    )
