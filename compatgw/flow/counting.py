"""How many tokens a request has: asked of an upstream that counts, else estimated here. It costs nothing.

What does not live here: the estimate (`policy/limits.py`), the protocol (`surfaces/messages/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.dialects.base import Result
from compatgw.flow.admit import admit
from compatgw.flow.attempts import answered
from compatgw.flow.guarding import guarded
from compatgw.flow.prompts import prompted
from compatgw.flow.settle import failing, settle

if TYPE_CHECKING:
    from compatgw.flow.call import Call, Client, House


async def count(call: Call, house: House, client: Client) -> None:
    """Answers `call`, which asks for a count, to `client`. It is one of the caller's requests, of no tokens.

    Raises:
        GatewayError: It may not be asked, or its upstream failed: an estimate would not be what was asked for.
    """
    call.ticket.free = True
    try:
        with failing(call):
            await prompted(call, house)
            await guarded(call, house)
            await admit(call, house)
            await client.answer(200, (), call.face.whole(await _counted(call, house)))
            call.complete = True
    finally:
        await settle(call, house)


async def _counted(call: Call, house: House) -> Result:
    surface = call.surface.name
    # Only upstreams that count are asked: another one would answer the request.
    call.targets = tuple(route for route in call.targets if surface in route.deployment.dialect.native)
    if not call.targets or call.native is None:
        return Result({"input_tokens": call.input})
    found = await answered(call, house)
    if not isinstance(found, Result):
        raise RuntimeError("a count is a result")
    return found
