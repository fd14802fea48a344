"""A request made ready for one target: in its client's own protocol where the upstream speaks it, else in the hub's.

On the way to the hub's form stands what only a target decides: reasoning that its client dropped is put back, what
another vendor signed is left out, links that the upstream does not follow are followed for it, files that its
protocol carries inside of JSON are read.

What does not live here: the protocols (`dialects/`), each of these steps (`vault.py`, `fetch.py`, `uploads.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compatgw.dialects.base import Leftovers
from compatgw.errors import UnsupportedParameter, UpstreamTimeout
from compatgw.flow.cache import tenant_of
from compatgw.flow.fetch import inlined
from compatgw.flow.uploads import loaded
from compatgw.policy import reasoning
from compatgw.wire.multipart import Form

if TYPE_CHECKING:
    from compatgw.dialects.base import Codec, Outgoing, Target
    from compatgw.flow.call import Call, House
    from compatgw.policy.plan import Route
    from compatgw.wire.native import Foreign


class Prepared(NamedTuple):
    """A request as it can be sent.

    Attributes:
        codec: Who wrote it, and reads the answer.
        outgoing: The request.
        native: It is in the client's own protocol, and so will be the answer.
    """

    codec: Codec[Any, Any]
    outgoing: Outgoing
    native: bool = False


async def prepared(call: Call, house: House, route: Route, seconds: float) -> Prepared:
    """The request of `call` for `route`.

    Args:
        seconds: How long it may wait for what has to be fetched.

    Raises:
        InvalidRequest: The target does not take it, or what it links to cannot be had.
    """
    dialect, target, native = route.deployment.dialect, route.target, call.native
    if native is not None:
        own = dialect.native.get(native.surface)
        if own is not None and own.serves(target.quirks) and own.takes(native, target):
            if not call.stripped:
                return Prepared(own, own.encode(native, target), native=True)
            if own.bare is not None:
                return Prepared(own, own.encode(own.bare(native), target), native=True)
        if native.bound:
            param, why = native.bound[0]
            raise UnsupportedParameter(
                f"'{param}' is not supported by model '{target.model}' at {target.provider}. {why}", param=param
            )
    codec: Codec[Any, Any] | None = getattr(dialect, call.surface.codec)
    if codec is None:
        raise RuntimeError("a call is planned over upstreams that have its endpoint")
    request = call.request
    if call.surface.codec == "chat":
        request = await _chat(call, house, route, seconds)
    elif codec.inlines(target.quirks) and request.get("files"):
        form = await loaded(Form(files=tuple(request["files"])), house.settings.max_body)
        request = {**request, "files": list(form.files)}
    foreign = native.foreign if native is not None else call.foreign
    dropped = _foreign(foreign, target) if foreign else ()
    outgoing = codec.encode(request, target)
    return Prepared(codec, outgoing._replace(dropped=(*outgoing.dropped, *dropped)) if dropped else outgoing)


async def _chat(call: Call, house: House, route: Route, seconds: float) -> Any:
    dialect, target, request = route.deployment.dialect, route.target, call.request
    if call.stripped:
        request = reasoning.stripped(request)
    else:
        away = route.key != call.targets[0].key
        request = reasoning.for_target(request, dialect, target, away=away)
        if house.vault is not None and reasoning.returns(dialect, target):
            request = await house.vault.restored(tenant_of(call.caller), request, dialect, target)
    if route.describe_images:
        request = await house.describe(call, house, request)
    if call.links:
        with call.patience.within(seconds, _slow_link):
            request = await inlined(request, dialect, target, call.fetcher(house))
    return request


def _foreign(foreign: tuple[Foreign, ...], target: Target) -> list[str]:
    """Names of what only the client's own protocol knows.

    Raises:
        UnsupportedParameter: It changes what the caller gets, or the caller wants nothing left out.
    """
    left = Leftovers(target)
    for one in foreign:
        if one.semantic:
            left.semantic(one.name, one.value, one.param, one.why)
        else:
            left.hint(one.name, one.value)
    return left.dropped


def _slow_link() -> UpstreamTimeout:
    return UpstreamTimeout("What the request links to did not come in time. Send it as data, or allow more time.")
