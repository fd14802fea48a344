"""A request as it comes in through ASGI, and the client that may leave before its answer is whole.

What does not live here: what is done with it (`record.py`, `replay.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from compatgw_testing.cassettes.format import RecordedRequest
from compatgw_testing.cassettes.services import PATH_SAFE, SERVICES
from compatgw_testing.fakes.delivery import client_left

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from compatgw_testing.doors.exchange import Receive

_LARGEST: Final = 256 * 1024 * 1024
# What an answer may take to notice that its client is gone.
_GRACE: Final = 5.0


class ClientGone(Exception):
    """The client left."""


async def request_of(scope: Mapping[str, Any], receive: Receive, addresses: Collection[str] = ()) -> RecordedRequest:
    """The whole request, headers included, with its service.

    `/openai/v1/models` is `/v1/models` of openai. The address of a server that is not known is named by its host:
    `/127.0.0.1:8080/v1/models`. Where there is only one service, its name may be left out.

    Args:
        scope: Of ASGI.
        receive: Of ASGI.
        addresses: Services that are meant, besides those that are known.

    Raises:
        ClientGone: The client left before its end.
    """
    service, path = placed(_below(scope), addresses)
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        if sum(map(len, parts)) > _LARGEST:
            raise ValueError(f"a request of more than {_LARGEST} bytes has no place on a cassette")
    query = scope.get("query_string", b"").decode("latin-1")
    return RecordedRequest(
        method=scope["method"].upper(),
        service=service,
        path=path,
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]),
        body=b"".join(parts),
    )


def placed(path: str, addresses: Collection[str] = ()) -> tuple[str, str]:
    """The service that a path belongs to, and the path on that service."""
    first, slash, rest = path.lstrip("/").partition("/")
    named = {mount_of(address): address for address in addresses}
    if slash and (first in named or first in SERVICES):
        return named.get(first, first), f"/{rest}"
    if len(named) == 1:
        return next(iter(named.values())), path
    return ("openai", path) if first.startswith("v1") else (first or "openai", f"/{rest}")


def mount_of(service: str) -> str:
    """The first part of the paths under which a service stands here."""
    return urlsplit(service).netloc if "://" in service else service


def _below(scope: Mapping[str, Any]) -> str:
    """The path below the mount, escaped as a URL is."""
    root = str(scope.get("root_path", ""))
    path: str = scope["path"]
    raw = (scope.get("raw_path") or b"").split(b"?")[0].decode("latin-1")
    if raw and raw.startswith(f"{root}/"):
        return raw.removeprefix(root)
    below = path.removeprefix(root) if path.startswith(f"{root}/") else path
    return quote(below, safe=PATH_SAFE)


async def while_there(
    receive: Receive, answer: Coroutine[Any, Any, None], *, gone: asyncio.Event | None = None, grace: float = 0.0
) -> None:
    """Runs `answer`, and cancels it when the client leaves.

    Args:
        receive: Of ASGI.
        answer: What is run.
        gone: Set when the client has left, before the cancellation.
        grace: Seconds that `answer` then has to end by itself.

    Raises:
        ClientGone: The client left, and the answer had not ended.
    """
    left = asyncio.ensure_future(client_left(receive))
    task = asyncio.ensure_future(answer)
    try:
        await asyncio.wait((left, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and gone is not None:
            gone.set()
            await asyncio.wait((task,), timeout=grace)
        if not task.done():
            raise ClientGone
        await task
    finally:
        for one in (left, task):
            one.cancel()
        await asyncio.wait((left, task), timeout=_GRACE)
        if task.done() and not task.cancelled():
            # It has been told already, or nobody is there to be told.
            task.exception()
