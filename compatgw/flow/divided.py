"""Requests of more than an upstream takes in one call: cut into parts, sent side by side, their answers joined.

Each part goes its own way through retries and fallbacks, in a task that ends with the call.

What does not live here: how requests are cut and answers joined (`dialects/`), choices of a chat (`several.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.dialects import batches, images
from compatgw.dialects.base import Result
from compatgw.flow.attempts import answered
from compatgw.flow.patience import Patience

if TYPE_CHECKING:
    from compatgw.dialects.base import Codec, Quirks
    from compatgw.flow.call import Call, House
    from compatgw.policy.plan import Route

# Parts of one call that are under way at one time.
_SIDE_BY_SIDE = 4


class _Division(NamedTuple):
    """How one kind of request is divided.

    Attributes:
        split: A request and all of its targets, to its parts.
        join: Their answers, to one.
        pinned: All parts have to be answered by the same model: vectors of two do not compare.
    """

    split: Callable[[Any, Sequence[Route]], list[Any]]
    join: Callable[[Sequence[Result]], Result]
    pinned: bool = False


def parts_of(call: Call) -> list[Any]:
    """The requests that `call` is cut into; itself where one will do, and on a stream."""
    division = _DIVISIONS.get(call.surface.codec)
    return [call.request] if division is None or call.stream else division.split(call.request, call.targets)


async def divided(call: Call, house: House, parts: Sequence[Any]) -> Result:
    """The answer to all `parts` of `call`.

    Raises:
        GatewayError: One of them failed for good; the others are cancelled.
    """
    division, gate = _DIVISIONS[call.surface.codec], asyncio.Semaphore(_SIDE_BY_SIDE)
    calls = [call.part(part, call.native) for part in parts]
    first, results = calls[0], []
    if division.pinned:
        results.append(await _answered(first, house, gate))
        for one in calls[1:]:
            one.targets = (first.route,) if first.route is not None else ()
    tasks = [asyncio.ensure_future(_answered(one, house, gate)) for one in calls[len(results) :]]
    try:
        results += await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    call.join(calls)
    return division.join(results)


async def _answered(call: Call, house: House, gate: asyncio.Semaphore) -> Result:
    async with gate:
        # Waits are bounded by task, and this is another one.
        call.patience = Patience()
        try:
            found = await answered(call, house)
        finally:
            call.patience.close()
    if not isinstance(found, Result):
        raise RuntimeError("a part of a call has a whole answer")
    return found


def _codecs(routes: Sequence[Route], name: str) -> list[tuple[Codec[Any, Any], Route]]:
    return [(codec, route) for route in routes if (codec := getattr(route.deployment.dialect, name)) is not None]


def _inputs(name: str) -> Callable[[Any, Sequence[Route]], list[Any]]:
    def split(request: Any, routes: Sequence[Route]) -> list[Any]:
        found = [batches.most(codec, route.target) for codec, route in _codecs(routes, name)]
        return list(batches.split(request, min((limit for limit in found if limit is not None), default=None)))

    return split


def _gives_several(codec: Codec[Any, Any], quirks: Quirks) -> bool:
    return codec.n and quirks.n and not quirks.images.chat


def _pictures(name: str) -> Callable[[Any, Sequence[Route]], list[Any]]:
    def split(request: Any, routes: Sequence[Route]) -> list[Any]:
        count = request.get("n") or 1
        if count < 2 or all(_gives_several(codec, route.target.quirks) for codec, route in _codecs(routes, name)):
            return [request]
        alone = {member: value for member, value in request.items() if member != "n"}
        return [alone] * count

    return split


_DIVISIONS: Mapping[str, _Division] = MappingProxyType(
    {
        "embeddings": _Division(_inputs("embeddings"), batches.join, pinned=True),
        "moderations": _Division(_inputs("moderations"), batches.join),
        "images": _Division(_pictures("images"), images.join),
        "edits": _Division(_pictures("edits"), images.join),
    }
)
"""By the kind of the request."""
