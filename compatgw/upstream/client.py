"""Sends an `Outgoing` to a provider: address, credential, transport; and keeps the credential to itself.

Transports are made when a loop first needs them and are closed with that loop, so that a
gateway works in hosts that never tell it of start or end, and in tests with a loop each.

What does not live here: protocols (`dialects/`), time-outs (`flow/patience.py`), what a status means.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from compatgw.errors import UpstreamFailure, UpstreamTimeout, UpstreamUnavailable
from compatgw.providers import auth
from compatgw.state.loops import PerLoop
from compatgw.upstream.inprocess import InProcessTransport
from compatgw.upstream.transport import Call, TransportFailed, TransportTimeout

if TYPE_CHECKING:
    from compatgw.dialects.base import Outgoing
    from compatgw.upstream.inprocess import ASGIApp
    from compatgw.upstream.transport import Reply, Transport

_ERROR_BODY = 256 * 1024
_HIDDEN = "[redacted]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is reached, with the credential that its repr does not show.

    Attributes:
        name: The provider's name.
        base_url: Without a slash at its end.
        plain: Headers sent with every call, without authentication.
        scheme: How the credential is sent.
        secret: The credential alone, to be taken out of whatever an upstream says, too.
        app: The application that stands in for the server, if any.
        headers: Sent with every call; authentication among them.
    """

    name: str
    base_url: str
    plain: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    scheme: str = "none"
    secret: str = field(default="", repr=False)
    app: ASGIApp | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        signed = auth.headers(self.scheme, self.secret) if self.secret else ()
        object.__setattr__(self, "headers", (*self.plain, *signed))

    def with_secret(self, secret: str) -> Endpoint:
        """The same server, called with another credential.

        Raises:
            ValueError: It holds what no header may; the message does not show it.
        """
        return replace(self, secret=secret)

    def redact(self, text: str) -> str:
        """`text` without the credential."""
        return text.replace(self.secret, _HIDDEN) if self.secret else text


class UpstreamClient:
    """Calls providers.

    Args:
        transport: Which transport to use for providers that are not applications.
        http_client: The host's own httpx or httpx2 client, used instead of one of ours.
        connect_timeout: Seconds until a connection stands.
        user_agent: What upstreams see.
    """

    def __init__(
        self,
        *,
        transport: Literal["auto", "aiohttp", "httpx"] = "auto",
        http_client: Any = None,
        connect_timeout: float = 10.0,
        user_agent: str = "compatgw",
    ) -> None:
        if http_client is None and transport == "aiohttp" and importlib.util.find_spec("aiohttp") is None:
            raise ValueError("transport='aiohttp' needs aiohttp: install compatgw[fast], or use transport='httpx'.")
        self._choice = transport
        self._http_client = http_client
        self._connect_timeout = connect_timeout
        self._common = (
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", user_agent),
        )
        self._transports: PerLoop[Transport] = PerLoop(self._new_transport)

    @property
    def transport_name(self) -> str:
        """The transport that real servers are reached over, and why when it was not named."""
        if self._http_client is not None:
            return "http_client of the host"
        if self._choice == "auto":
            return "aiohttp (auto)" if importlib.util.find_spec("aiohttp") else "httpx (auto)"
        return self._choice

    async def send(self, endpoint: Endpoint, outgoing: Outgoing) -> Reply:
        """Sends `outgoing`, and waits for the head of the answer.

        Raises:
            UpstreamTimeout: No connection in time.
            UpstreamUnavailable: No connection, or it broke.
        """
        call = Call(
            outgoing.method,
            endpoint.base_url + outgoing.path,
            (*self._common, *outgoing.headers, *endpoint.headers),
            outgoing.body,
            self._connect_timeout,
        )
        transport = await self._transport(endpoint)
        try:
            return await transport.send(call)
        except TransportFailed as error:
            raise failed(endpoint, error) from error.__cause__

    async def _transport(self, endpoint: Endpoint) -> Transport:
        if endpoint.app is not None:
            return InProcessTransport(endpoint.app)
        return self._transports.here() or await self._transports.get()

    def _new_transport(self) -> Transport:
        if self._http_client is None and self.transport_name.startswith("aiohttp"):
            from compatgw.upstream.aio import AiohttpTransport

            return AiohttpTransport()
        from compatgw.upstream.hx import HttpxTransport, new_client

        if self._http_client is not None:
            return HttpxTransport(self._http_client, owned=False)
        return HttpxTransport(new_client(), owned=True)

    async def aclose(self) -> None:
        """Closes the connections of the running loop. Idempotent."""
        await self._transports.aclose()


def failed(endpoint: Endpoint, error: TransportFailed) -> UpstreamFailure:
    """What a caller is told of a connection that failed."""
    if isinstance(error, TransportTimeout):
        return UpstreamTimeout(f"{endpoint.name} did not answer: {error}. Try again, or use another model.")
    return UpstreamUnavailable(
        f"{endpoint.name} is out of reach: {error}. Its operator has to look; another model may answer."
    )


async def read_all(endpoint: Endpoint, reply: Reply, limit: int) -> bytes:
    """The whole body of `reply`.

    Raises:
        UpstreamFailure: It is over `limit` bytes, or the connection broke.
    """
    parts: list[bytes] = []
    size = 0
    try:
        while data := await reply.chunk():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise UpstreamFailure(f"The answer of {endpoint.name} is over the limit of {limit} bytes.")
    except TransportFailed as error:
        raise failed(endpoint, error) from error.__cause__
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def read_refusal(endpoint: Endpoint, reply: Reply) -> bytes:
    """As much of an error's body as is worth reading; what came before a broken connection counts."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < _ERROR_BODY and (data := await reply.chunk()):
            parts.append(data)
            size += len(data)
    except TransportFailed:
        return b"".join(parts)
    return b"".join(parts)[:_ERROR_BODY]
