"""The end of every call, however it ended: what it cost is charged, what it did not use is given back, once.

Money that was held is charged before the last byte of the answer is sent, so that whoever has the
answer has paid for it. A call that failed before any of its answer was sent costs nothing; one that
broke off, or whose client left, costs what was delivered. Where the upstream did not say how many
tokens those were, they are estimated, and the record says so.

What does not live here: prices and arithmetic (`policy/money.py`), letting in (`admit.py`).
"""

from __future__ import annotations

import logging
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from compatgw.errors import Blame, GatewayError, UpstreamFailure
from compatgw.flow.call import ClientGone
from compatgw.flow.storage import told
from compatgw.flow.watching import ended
from compatgw.policy import limits, money
from compatgw.policy.money import Meter
from compatgw.state.base import BadRecord, Missing, ReservationClosed, StateError, UsageRow

if TYPE_CHECKING:
    from types import TracebackType

    from compatgw.flow.call import Call, House
    from compatgw.state.base import Ledger
    from compatgw.wire.chat import AnswerMessage, Delta, Usage

_log = logging.getLogger("compatgw.calls")
_CLIENT_GONE = 499
_ZERO = Decimal(0)


class failing:  # noqa: N801 - used like a function, as `contextlib.suppress` is
    """Notes why a call ends badly; what is raised is for its client.

    Raises:
        GatewayError: In place of a failure of storage.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call = self._call
        if isinstance(error, GatewayError):
            call.failure = call.failure or error
        elif isinstance(error, StateError):
            call.failure = told(error)
            raise call.failure from error
        elif isinstance(error, Exception) and not isinstance(error, ClientGone):
            # Written down as what it is; the last layer of the web tells the client and the log.
            call.failure = GatewayError("The gateway failed.")


def cost_of(call: Call, usage: Usage) -> Decimal | None:
    """What a call of `usage` costs, None for a model without a price.

    Raises:
        GatewayError: It is beyond all amounts, and somebody is to pay for it.
    """
    return _cost(call, money.meter(usage))


def _cost(call: Call, used: Meter) -> Decimal | None:
    price = call.ticket.price
    if price is None:
        return None
    try:
        return money.sum_of((money.cost(price, used), call.ticket.extra))
    except BadRecord as error:
        if not call.ticket.held:
            return None
        raise GatewayError(f"What this call costs cannot be reckoned, and it is not charged. {error}") from error


def delivered(call: Call, part: Delta | AnswerMessage) -> None:
    """Counts a part of the answer that goes to the client, for calls whose upstream does not say how much it was."""
    words = [part.get("content"), part.get("refusal"), part.get("reasoning_content") or part.get("reasoning")]
    for one in part.get("tool_calls") or ():
        if called := one.get("function"):
            words += [called.get("name"), called.get("arguments")]
    call.ticket.delivered += sum([len(word) for word in words if word])


async def charge(call: Call, house: House) -> None:
    """Writes what the call used and, where money is held, charges it: durable on return. Once in a call's life.

    Raises:
        GatewayError: The ledger is away: if some of the answer was sent, the charge is tried again until it is
            there; else nothing is charged. Or the cost is beyond all amounts: then nothing is charged.
    """
    ticket = call.ticket
    if ticket.paid:
        return
    ticket.paid = True
    if house.ledger is None and ticket.price is None and ticket.tokens is None:
        # Nobody counts, nobody pays, and nobody writes it down.
        return
    used, estimated = _used(call)
    ticket.used = 0 if ticket.free else used.input + used.output
    nothing = ticket.free or (used == Meter() and not call.complete)
    beyond: GatewayError | None = None
    try:
        # A call that reached nobody costs nothing, whatever a model's price is.
        reached = call.route is not None and ticket.price is None
        ticket.cost = _ZERO if nothing and not reached else _cost(call, used)
    except GatewayError as error:
        _log.error("%s %s", call.id, error.message)
        call.failure = call.failure or error
        beyond = error
    if house.ledger is not None:
        await _write(call, house, house.ledger, _row(call, house, used, estimated), nothing)
    if beyond is not None:
        raise beyond


async def _write(call: Call, house: House, ledger: Ledger, row: UsageRow, nothing: bool) -> None:
    ticket = call.ticket
    if not ticket.held:
        if not ledger.record(row):
            _log.warning("%s its usage is not recorded: too many records wait for the ledger", call.id)
        return
    try:
        if ticket.cost is None or nothing:
            # First the row, which waits for nobody: a ledger that is away takes the release later.
            ledger.record(row)
            await house.tasks.finish(ledger.release(ticket.uid))
        else:
            await house.tasks.finish(ledger.settle(ticket.uid, ticket.cost, row, keep=ticket.sent))
    except (Missing, ReservationClosed) as error:
        # Only somebody who emptied the tables, or swept too early, makes this happen; the answer stands.
        _log.error("%s could not be charged: %s", call.id, error)
        ledger.record(row)
    except StateError as error:
        if ticket.sent:
            _log.error("%s its charge waits for the ledger: %s", call.id, error)
        else:
            # Nobody has seen the answer, and nobody will: it is not charged, now or later.
            _log.error("%s is not answered, because it cannot be charged: %s", call.id, error)
            failure = told(error)
            ledger.record(replace(row, status=failure.status, code=failure.code))
            house.tasks.start(_let_go(call, ledger))
        raise told(error) from error


async def _let_go(call: Call, ledger: Ledger) -> None:
    try:
        await ledger.release(call.ticket.uid)
    except StateError as error:
        _log.warning("%s what it holds is given back when the ledger is there: %s", call.id, error)


async def settle(call: Call, house: House) -> None:
    """Ends `call`: charges what is not charged yet, gives back what its limits hold, notes how it went."""
    ticket = call.ticket
    try:
        if ticket.held or (ticket.tokens is not None and house.counters.shared):
            # These wait for others; whoever cancels the call does not cancel what it owes.
            await house.tasks.finish(_close(call, house))
        else:
            await _close(call, house)
    finally:
        _note(call, house)
        if call.watched:
            (used, estimated), (status, code) = _used(call), _outcome(call)
            ended(call, house, used, estimated=estimated, status=status, code=code)


async def _close(call: Call, house: House) -> None:
    ticket, claims = call.ticket, call.caller.claims
    try:
        await charge(call, house)
    except GatewayError as error:
        # It was said in the log; the answer is on its way, and the ledger tries again.
        call.failure = call.failure or error
    if ticket.tokens is None:
        return
    corrections = claims.corrections(ticket.tokens, ticket.used)
    if corrections or claims.leases:
        try:
            await house.counters.settle(claims.group, corrections, claims.leases, ticket.uid)
        except StateError as error:
            _log.warning("%s its limits are not corrected: %s", call.id, error)


def _used(call: Call) -> tuple[Meter, bool]:
    """What the call used, and whether that is estimated."""
    ticket = call.ticket
    if call.usage is not None:
        return money.meter(call.usage, ticket.images), False
    # What is no text is all there, or does not count: nobody can tell how much of a sound is how many tokens.
    if not (ticket.delivered or ticket.images or (call.complete and not call.kind.writes)):
        return Meter(), False
    return Meter(input=call.input, output=limits.tokens_of(ticket.delivered), images=ticket.images), True


def _row(call: Call, house: House, used: Meter, estimated: bool) -> UsageRow:
    route, ticket = call.route, call.ticket
    status, code = _outcome(call)
    return UsageRow(
        id=ticket.uid,
        at=house.clock(),
        request=call.id,
        team=call.caller.team,
        key=call.caller.key,
        model=call.request["model"],
        provider=call.deployment,
        target=route.target.model if route is not None else "",
        endpoint=call.surface.name,
        input=used.input,
        cached=used.cached,
        cache_write=used.cache_write,
        output=used.output,
        reasoning=used.reasoning,
        images=used.images,
        cost=ticket.cost,
        estimated=estimated,
        stream=call.stream,
        byok=call.byok,
        cached_answer=ticket.free and route is None,
        latency=house.monotonic() - call.started,
        first_token=call.first_token,
        status=status,
        code=code,
        guardrails=call.guard.status(told=True) if call.guard is not None else "",
    )


def _outcome(call: Call) -> tuple[int, str]:
    """The status that stands for how the call ended, and the code of its failure."""
    if call.failure is not None:
        return call.failure.status, call.failure.code or ""
    return (200, "") if call.complete else (_CLIENT_GONE, "client_gone")


def _note(call: Call, house: House) -> None:
    """One line in the log, without any text of the prompt."""
    took = house.monotonic() - call.started
    failure = call.failure
    if failure is not None and isinstance(failure, UpstreamFailure) and failure.blame is Blame.CREDENTIAL:
        _log.warning("%s %s", call.id, failure.message)
    if _log.isEnabledFor(logging.INFO):
        usage = call.usage
        _log.info(
            "%s model=%r provider=%s stream=%s outcome=%s seconds=%.3f tokens=%s",
            call.id,
            call.request["model"],
            call.deployment or "-",
            call.stream,
            "ok" if failure is None else failure.code,
            took,
            f"{usage['prompt_tokens']}+{usage['completion_tokens']}" if usage is not None else "-",
            extra={"call": _told(call, took)},
        )


def _told(call: Call, took: float) -> dict[str, object]:
    """The same as members, for logs that are collected."""
    status, code = _outcome(call)
    used, estimated = _used(call)
    cost = call.ticket.cost
    return {
        "endpoint": call.surface.name,
        "model": call.request["model"],
        "provider": call.deployment,
        "target": call.route.target.model if call.route is not None else "",
        "stream": call.stream,
        "status": status,
        "code": code,
        "seconds": round(took, 6),
        "upstream_seconds": round(call.upstream, 6),
        "attempts": call.attempts,
        "input_tokens": used.input,
        "output_tokens": used.output,
        "estimated": estimated,
        "cost": None if cost is None else money.text(cost, least=0),
        "team": call.caller.team,
        "key": call.caller.key,
    }
