"""The way of a call through the gateway, in order, on one screen. Features are steps here, not hooks.

What does not live here: how a step is done.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects.base import Piece, Result
from compatgw.errors import GatewayError
from compatgw.flow.admit import admit
from compatgw.flow.call import EVENTS, JSON
from compatgw.flow.guarding import guarded
from compatgw.flow.idempotency import Replayed
from compatgw.flow.memory import Memory
from compatgw.flow.prompts import prompted
from compatgw.flow.settle import cost_of, failing, settle
from compatgw.flow.source import source
from compatgw.policy import limits, money

if TYPE_CHECKING:
    from compatgw.flow.call import Call, Client, Headers, House
    from compatgw.flow.idempotency import Claim
    from compatgw.flow.source import Source
    from compatgw.wire.chat import Usage

_ZERO = Decimal(0)


async def run(call: Call, house: House, client: Client) -> None:
    """Answers `call` to `client`.

    Raises:
        GatewayError: The call failed before anything was sent to the client. Later failures
            are told to the client inside its stream and are not raised.
    """
    try:
        with failing(call):
            await prompted(call, house)
            await guarded(call, house)
            await admit(call, house)
            claim = await house.idempotency.claimed(call)
            if isinstance(claim, Replayed):
                call.ticket.free = call.complete = True
                await client.answer(claim.status, claim.headers, claim.body, claim.type)
            elif claim is None:
                await _answer(call, house, client)
            else:
                async with claim:
                    await _answer(call, house, client, claim)
    finally:
        if not call.flown:
            await settle(call, house)


async def _answer(call: Call, house: House, client: Client, claim: Claim | None = None) -> None:
    found = await source(call, house)
    try:
        if call.guard is not None:
            found = await call.guard.over(found, call, house)
        if call.stream:
            await _relay(found, call, house, client)
        else:
            await _whole(found, call, house, client, claim)
    finally:
        await found.aclose()


async def _whole(found: Source, call: Call, house: House, client: Client, claim: Claim | None) -> None:
    answer = found.held[0]
    await Memory(call, house).keep(answer)
    body, kind = call.face.whole(answer), answer.type if isinstance(answer, Result) else JSON
    headers = _headers(call, house, found.about)
    if claim is not None:
        await claim.keep(headers, body, kind=kind)
    if call.ticket.free:
        call.complete = True
    await client.answer(200, headers, body, kind)


async def _relay(found: Source, call: Call, house: House, client: Client) -> None:
    """Passes a stream on. Its face ends it as complete only after a real end, else as what it is: broken."""
    face = call.face
    try:
        await client.begin(_headers(call, house, found.about), face.stream_type or call.type)
        if data := face.begin():
            await client.write(data)
        pieces, memory = found.held, Memory(call, house)
        while True:
            memory.add(pieces)
            if data := face.events(_priced(pieces, call)):
                await client.write(data)
            if found.over:
                break
            pieces = await found.next()
        if call.ticket.free:
            call.complete = True
        await memory.keep()
        last = face.end()
        if call.guard is not None and face.stream_type == EVENTS:
            last = f": guardrails {call.guard.status(told=True)}\n\n".encode() + last
    except GatewayError as failure:
        call.failure = call.failure or failure
        last = face.failed(failure)
        if not last:
            # Nothing in a sound can say that it broke off, so its end does not come.
            await client.cut()
            return
    if last:
        await client.write(last)
    await client.end()


def _priced(pieces: list[Any], call: Call) -> list[Any]:
    """The pieces, with what the call costs where one of them tells its usage."""
    for number, piece in enumerate(pieces):
        if isinstance(piece, Piece) and (usage := piece.chunk.get("usage")):
            return [*pieces[:number], _with_cost(piece, call, usage), *pieces[number + 1 :]]
    return pieces


def _with_cost(piece: Piece, call: Call, usage: Usage) -> Piece:
    """A chunk with usage, and what that costs; `Decimal` is written as the exact number that it is."""
    cost = _ZERO if call.ticket.free else cost_of(call, usage)
    if cost is None:
        return piece
    priced: Any = {**usage, "cost": orjson.Fragment(money.text(cost, least=0))}
    return Piece({**piece.chunk, "usage": priced}, native=piece.native)


def _headers(call: Call, house: House, about: Headers) -> Headers:
    """What is known of the answer, and of this caller, before its first byte."""
    headers = [*about]
    if call.ticket.levels:
        headers += limits.headers(call.ticket.levels)
    if call.guard is not None:
        headers.append(("X-Guardrail-Status", call.guard.status(told=not call.stream)))
    own = house.monotonic() - call.started - call.upstream
    headers.append(("Server-Timing", f"gateway;dur={own * 1000:.1f}, upstream;dur={call.upstream * 1000:.1f}"))
    cost = _ZERO if call.ticket.free else call.ticket.cost
    if cost is not None and not call.stream:
        headers.append(("X-Cost", money.text(cost, least=0)))
    return tuple(headers)
