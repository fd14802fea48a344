"""The way of a call through the gateway, in order, on one screen. Features are steps here, not hooks.

What does not live here: how a step is done.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects.base import Piece
from compatgw.errors import GatewayError
from compatgw.flow.admit import admit
from compatgw.flow.call import ClientGone
from compatgw.flow.idempotency import Replayed
from compatgw.flow.settle import cost_of, settle
from compatgw.flow.source import source
from compatgw.flow.storage import told
from compatgw.policy import limits, money
from compatgw.state.base import StateError
from compatgw.surfaces import chat
from compatgw.wire.sse import DONE, frame

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
        await admit(call, house)
        claim = await house.idempotency.claimed(call)
        if isinstance(claim, Replayed):
            call.ticket.free = call.complete = True
            await client.answer(claim.status, claim.headers, claim.body)
        elif claim is None:
            await _answer(call, house, client)
        else:
            async with claim:
                await _answer(call, house, client, claim)
    except GatewayError as failure:
        call.failure = call.failure or failure
        raise
    except StateError as error:
        call.failure = told(error)
        raise call.failure from error
    except ClientGone:
        raise
    except Exception:
        # Written down as what it is; the last layer of the web tells the client and the log.
        call.failure = GatewayError("The gateway failed.")
        raise
    finally:
        if not call.flown:
            await settle(call, house)


async def _answer(call: Call, house: House, client: Client, claim: Claim | None = None) -> None:
    found = await source(call, house)
    try:
        if call.stream:
            await _relay(found, call, house, client)
        else:
            await _whole(found, call, house, client, claim)
    finally:
        await found.aclose()


async def _whole(found: Source, call: Call, house: House, client: Client, claim: Claim | None) -> None:
    body = chat.render(found.held[0], model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
    headers = _headers(call, found.about)
    if claim is not None:
        await claim.keep(headers, body)
    if call.ticket.free:
        call.complete = True
    await client.answer(200, headers, body)


async def _relay(found: Source, call: Call, house: House, client: Client) -> None:
    """Passes a stream on. It ends with `[DONE]` only after a real end, else with one error event."""
    try:
        await client.begin(_headers(call, found.about))
        pieces = found.held
        while True:
            if data := _events(pieces, call, house):
                await client.write(data)
            if found.over:
                break
            pieces = await found.next()
        if call.ticket.free:
            call.complete = True
        await client.write(DONE)
    except GatewayError as failure:
        call.failure = call.failure or failure
        await client.write(frame(orjson.dumps(failure.envelope())))
    await client.end()


def _events(pieces: list[Piece], call: Call, house: House) -> bytes:
    """The frames of `pieces`; usage is passed on only to a client that asked for it."""
    out = []
    for piece in pieces:
        if usage := piece.chunk.get("usage"):
            if not piece.chunk["choices"] and not _wants_usage(call):
                continue
            piece = _with_cost(piece, call, usage)
        data = chat.render_chunk(piece, model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
        if data is not None:
            out.append(frame(data))
    return out[0] if len(out) == 1 else b"".join(out)


def _with_cost(piece: Piece, call: Call, usage: Usage) -> Piece:
    """A chunk with usage, and what that costs; `Decimal` is written as the exact number that it is."""
    cost = _ZERO if call.ticket.free else cost_of(call, usage)
    if cost is None:
        return piece
    priced: Any = {**usage, "cost": orjson.Fragment(money.text(cost, least=0))}
    return Piece({**piece.chunk, "usage": priced})


def _wants_usage(call: Call) -> bool:
    return bool(call.request.get("stream_options", {}).get("include_usage"))


def _echo(call: Call, house: House) -> str | None:
    return call.request["model"] if house.settings.echo_model else None


def _headers(call: Call, about: Headers) -> Headers:
    """What is known of the answer, and of this caller, before its first byte."""
    headers = [*about]
    if call.ticket.levels:
        headers += limits.headers(call.ticket.levels)
    cost = _ZERO if call.ticket.free else call.ticket.cost
    if cost is not None and not call.stream:
        headers.append(("X-Cost", money.text(cost, least=0)))
    return tuple(headers)
