"""The way of a call through the gateway, in order, on one screen. Features are steps here, not hooks.

What does not live here: how a step is done.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects.base import Answer, Piece
from compatgw.errors import GatewayError, UpstreamFailure
from compatgw.flow.admit import admit, renew
from compatgw.flow.attempts import answered
from compatgw.flow.call import ClientGone
from compatgw.flow.settle import charge, cost_of, delivered, settle
from compatgw.flow.several import needs_several, several
from compatgw.flow.storage import told
from compatgw.policy import limits, money
from compatgw.state.base import StateError
from compatgw.surfaces import chat
from compatgw.wire.sse import DONE, frame

if TYPE_CHECKING:
    from compatgw.flow.attempt import Stream
    from compatgw.flow.call import Call, Client, Headers, House
    from compatgw.wire.chat import Usage

_log = logging.getLogger("compatgw")
# Names of unknown members are the caller's own: they fill a header so far and no further.
_HEADER = 2000


async def run(call: Call, house: House, client: Client) -> None:
    """Answers `call` to `client`.

    Raises:
        GatewayError: The call failed before anything was sent to the client. Later failures
            are told to the client inside its stream and are not raised.
    """
    try:
        await admit(call, house)
        answer = await (several(call, house) if needs_several(call) else answered(call, house))
        if isinstance(answer, Answer):
            await _whole(answer, call, house, client)
        else:
            await _relay(answer, call, house, client)
    except GatewayError as failure:
        call.failure = failure
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
        await settle(call, house)


async def _whole(answer: Answer, call: Call, house: House, client: Client) -> None:
    call.usage = answer.completion.get("usage")
    for choice in answer.completion["choices"]:
        delivered(call, choice["message"])
    call.complete = True
    await charge(call, house)
    body = chat.render(answer, model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
    await client.whole(_headers(call), body)


async def _relay(live: Stream, call: Call, house: House, client: Client) -> None:
    """Passes a stream on. It ends with `[DONE]` only after a real end, else with one error event."""
    call.first_token = house.monotonic() - call.started
    try:
        call.ticket.sent = True
        await client.begin(_headers(call))
        pieces = live.held
        while True:
            if data := _events(pieces, call, house):
                await client.write(data)
            if live.over:
                break
            pieces = await live.next()
            if call.ticket.renew_at is not None:
                await renew(call, house)
        call.complete = True
        await charge(call, house)
        await client.write(DONE)
    except GatewayError as failure:
        call.failure = failure
        if call.server is not None:
            failure.message = call.server.redact(failure.message)
        if call.route is not None and isinstance(failure, UpstreamFailure):
            house.health.broke(call.route.key, failure)
        await client.write(frame(orjson.dumps(failure.envelope())))
    except (ClientGone, asyncio.CancelledError):
        await _drain(live, call, house)
        raise
    finally:
        await live.aclose()
    await client.end()


async def _drain(live: Stream, call: Call, house: House) -> None:
    """Reads on for a while though the client has left, where the settings say so: to learn what it came to."""
    end = house.monotonic() + house.settings.drain
    try:
        while not live.over and (left := end - house.monotonic()) > 0:
            _events(await live.next(left), call, house)
    except GatewayError as failure:
        _log.debug("%s was not read to its end: %s", call.id, failure.message)
    # It ended as it should; that nobody was there to see it is not the upstream's failure.
    call.complete = live.over


def _events(pieces: list[Piece], call: Call, house: House) -> bytes:
    """The frames of `pieces`; usage is noted, and passed on only to a client that asked for it."""
    out = []
    for piece in pieces:
        chunk = piece.chunk
        for choice in chunk["choices"]:
            delivered(call, choice["delta"])
        if usage := chunk.get("usage"):
            call.usage = usage
            if not chunk["choices"] and not _wants_usage(call):
                continue
            piece = _with_cost(piece, call, usage)
        data = chat.render_chunk(piece, model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
        if data is not None:
            out.append(frame(data))
    return out[0] if len(out) == 1 else b"".join(out)


def _with_cost(piece: Piece, call: Call, usage: Usage) -> Piece:
    """A chunk with usage, and what that costs; `Decimal` is written as the exact number that it is."""
    cost = cost_of(call, usage)
    if cost is None:
        return piece
    priced: Any = {**usage, "cost": orjson.Fragment(money.text(cost, least=0))}
    return Piece({**piece.chunk, "usage": priced})


def _wants_usage(call: Call) -> bool:
    return bool(call.request.get("stream_options", {}).get("include_usage"))


def _echo(call: Call, house: House) -> str | None:
    return call.request["model"] if house.settings.echo_model else None


def _headers(call: Call) -> Headers:
    """What is known of the answer before its first byte."""
    route, outgoing = call.route, call.outgoing
    if route is None or outgoing is None:
        return ()
    headers = [("X-Model-Used", route.target.model), ("X-Provider", route.deployment.name)]
    if route is not call.targets[0] and route.key != call.targets[0].key:
        headers.append(("X-Fallback-From", call.targets[0].key[:_HEADER]))
    if call.retries:
        headers.append(("X-Retry-Count", str(call.retries)))
    if outgoing.dropped:
        headers.append(("X-Dropped-Params", ",".join(outgoing.dropped)[:_HEADER]))
    if outgoing.clamped:
        clamped = ",".join(f"{name}={value}" for name, value in outgoing.clamped)
        headers.append(("X-Clamped-Params", clamped[:_HEADER]))
    if call.ticket.levels:
        headers += limits.headers(call.ticket.levels)
    if call.ticket.cost is not None and not call.stream:
        headers.append(("X-Cost", money.text(call.ticket.cost, least=0)))
    return tuple(headers)
