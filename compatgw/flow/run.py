"""The way of a call through the gateway, in order, on one screen. Features are steps here, not hooks.

What does not live here: how a step is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from compatgw.dialects.base import Answer
from compatgw.errors import GatewayError
from compatgw.flow.admit import admit
from compatgw.flow.attempt import Live, attempt
from compatgw.flow.settle import settle
from compatgw.surfaces import chat
from compatgw.wire.sse import DONE, frame

if TYPE_CHECKING:
    from compatgw.dialects.base import Piece
    from compatgw.flow.call import Call, Client, Headers, House

# Names of unknown members are the caller's own: they fill a header so far and no further.
_HEADER = 2000


async def run(call: Call, house: House, client: Client) -> None:
    """Answers `call` to `client`.

    Raises:
        GatewayError: The call failed before anything was sent to the client. Later failures
            are told to the client inside its stream and are not raised.
    """
    try:
        admit(call, house)
        policy = call.options.unsupported or house.settings.unsupported
        call.route = house.plan(call.request["model"], call.scope, policy)
        answer = await attempt(call, house, call.route)
        if isinstance(answer, Live):
            await _relay(answer, call, house, client)
        else:
            await _whole(answer, call, house, client)
    except GatewayError as failure:
        call.failure = failure
        raise
    finally:
        settle(call, house)


async def _whole(answer: Answer, call: Call, house: House, client: Client) -> None:
    call.usage = answer.completion.get("usage")
    body = chat.render(answer, model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
    await client.whole(_headers(call), body)


async def _relay(live: Live, call: Call, house: House, client: Client) -> None:
    """Passes a stream on. It ends with `[DONE]` only after a real end, else with one error event."""
    call.first_token = house.monotonic() - call.started
    try:
        await client.begin(_headers(call))
        pieces = live.held
        while True:
            if data := _events(pieces, call, house):
                await client.write(data)
            if live.over:
                break
            pieces = await live.next()
        await client.write(DONE)
    except GatewayError as failure:
        call.failure = failure
        failure.message = house.endpoints[_route_name(call)].redact(failure.message)
        await client.write(frame(orjson.dumps(failure.envelope())))
    finally:
        await live.aclose()
    await client.end()


def _events(pieces: list[Piece], call: Call, house: House) -> bytes:
    """The frames of `pieces`; usage is noted, and passed on only to a client that asked for it."""
    out = []
    for piece in pieces:
        chunk = piece.chunk
        if usage := chunk.get("usage"):
            call.usage = usage
            if not chunk["choices"] and not _wants_usage(call):
                continue
        data = chat.render_chunk(piece, model=_echo(call, house), exclude_reasoning=call.options.exclude_reasoning)
        if data is not None:
            out.append(frame(data))
    return out[0] if len(out) == 1 else b"".join(out)


def _wants_usage(call: Call) -> bool:
    return bool(call.request.get("stream_options", {}).get("include_usage"))


def _echo(call: Call, house: House) -> str | None:
    return call.request["model"] if house.settings.echo_model else None


def _route_name(call: Call) -> str:
    return call.route.deployment.name if call.route is not None else ""


def _headers(call: Call) -> Headers:
    """What is known of the answer before its first byte."""
    route, outgoing = call.route, call.outgoing
    if route is None or outgoing is None:
        return ()
    headers = [("X-Model-Used", route.target.model), ("X-Provider", route.deployment.name)]
    if outgoing.dropped:
        headers.append(("X-Dropped-Params", ",".join(outgoing.dropped)[:_HEADER]))
    if outgoing.clamped:
        clamped = ",".join(f"{name}={value}" for name, value in outgoing.clamped)
        headers.append(("X-Clamped-Params", clamped[:_HEADER]))
    return tuple(headers)
