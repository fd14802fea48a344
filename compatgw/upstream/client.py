"""Sends an `Outgoing` to a provider: address, credential, transport; and keeps the credential to itself.

Transports are made when a loop first needs them and are closed with that loop, so that a
gateway works in hosts that never tell it of start or end, and in tests with a loop each.

What does not live here: protocols (`dialects/`), time-outs (`flow/patience.py`), what a status means.
"""

from __future__ import annotations

import importlib.util
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from compatgw.errors import GatewayError, UpstreamFailure, UpstreamTimeout, UpstreamUnavailable
from compatgw.providers import auth
from compatgw.state.loops import PerLoop
from compatgw.upstream.body import FormBody
from compatgw.upstream.inprocess import InProcessTransport
from compatgw.upstream.tokens import GoogleTokens
from compatgw.upstream.transport import Call, TransportFailed, TransportTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.dialects.base import Outgoing
    from compatgw.providers.auth import Credential, GoogleAccount
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
        scheme: How the credential is sent (`providers/auth.py`).
        secret: The credential alone, to be taken out of whatever an upstream says, too.
        app: The application that stands in for the server, if any.
        realm: What signatures hold for, where calls are signed: region and service, joined by `/`.
        query: Sent with every call, without the `?` before it.
        credential: What `secret` is under `scheme`.
        headers: Sent with every call; authentication among them.
    """

    name: str
    base_url: str
    plain: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    scheme: str = "none"
    secret: str = field(default="", repr=False)
    app: ASGIApp | None = field(default=None, repr=False)
    realm: str = ""
    query: str = ""
    credential: Credential = field(init=False, repr=False)
    headers: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        credential = auth.read(self.scheme, self.secret, self.realm)
        object.__setattr__(self, "credential", credential)
        object.__setattr__(self, "headers", (*self.plain, *credential.headers))

    def with_secret(self, secret: str) -> Endpoint:
        """The same server, called with another credential.

        Raises:
            ValueError: It holds what no header may; the message does not show it.
        """
        return replace(self, secret=secret)

    def url(self, path: str) -> str:
        """The address of `path`, which may have a query of its own."""
        if not self.query:
            return self.base_url + path
        return f"{self.base_url}{path}{'&' if '?' in path else '?'}{self.query}"

    def redact(self, text: str) -> str:
        """`text` without the credential."""
        return self.credential.redact(text, _HIDDEN)


def _boundary() -> str:
    return f"compatgw-{secrets.token_hex(16)}"


class UpstreamClient:
    """Calls providers.

    Args:
        transport: Which transport to use for providers that are not applications.
        http_client: The host's own httpx or httpx2 client, used instead of one of ours.
        connect_timeout: Seconds until a connection stands.
        user_agent: What upstreams see.
        clock: Seconds since 1970: signatures and access tokens carry it.
        boundary: Gives a new word for between the parts of a form, which must stand in none of them.
    """

    def __init__(
        self,
        *,
        transport: Literal["auto", "aiohttp", "httpx"] = "auto",
        http_client: Any = None,
        connect_timeout: float = 10.0,
        user_agent: str = "compatgw",
        clock: Callable[[], float] = time.time,
        boundary: Callable[[], str] = _boundary,
    ) -> None:
        if http_client is None and transport == "aiohttp" and importlib.util.find_spec("aiohttp") is None:
            raise ValueError("transport='aiohttp' needs aiohttp: install compatgw[fast], or use transport='httpx'.")
        self._choice = transport
        self._http_client = http_client
        self._connect_timeout = connect_timeout
        self._plain = (("Accept-Encoding", "identity"), ("User-Agent", user_agent))
        self._common = (("Content-Type", "application/json"), *self._plain)
        self._boundary = boundary
        self._clock = clock
        self._transports: PerLoop[Transport] = PerLoop(self._new_transport)
        self._tokens: PerLoop[GoogleTokens] = PerLoop(lambda: GoogleTokens(clock=clock))

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
            UpstreamFailure: The credential is good for no access token.
            GatewayError: A file of the form could not be read.
        """
        credential = endpoint.credential
        form = None if outgoing.form is None else FormBody(outgoing.form, self._boundary())
        common = self._common if form is None else (*form.headers, *self._plain)
        granted = () if credential.account is None else await self._granted(endpoint, credential.account)
        call = Call(
            outgoing.method,
            endpoint.url(outgoing.path),
            (*common, *outgoing.headers, *endpoint.headers, *granted),
            outgoing.body if form is None else form,
            self._connect_timeout,
        )
        if credential.signs is not None:
            signed = credential.sign(call.method, call.url, call.headers, outgoing.body, self._clock())
            call = call._replace(headers=(*call.headers, *signed))
        transport = await self._transport(endpoint)
        try:
            reply = await transport.send(call)
        except TransportFailed as error:
            if form is not None and form.lost is not None:
                raise GatewayError("The upload could not be read back from this gateway's disk.") from form.lost
            raise failed(endpoint, error) from error.__cause__
        if credential.account is not None and reply.status == 401 and (tokens := self._tokens.here()) is not None:
            tokens.forget(credential.account)
        return reply

    async def _granted(self, endpoint: Endpoint, account: GoogleAccount) -> tuple[tuple[str, str], ...]:
        """The headers that carry an access token."""
        tokens = self._tokens.here() or await self._tokens.get()

        async def post(url: str, form: bytes) -> tuple[int, bytes]:
            kind = (("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json"))
            call = Call("POST", url, (*kind, *self._plain), form, self._connect_timeout)
            transport = await self._transport(endpoint)
            try:
                reply = await transport.send(call)
            except TransportFailed as error:
                raise failed(endpoint, error) from None
            try:
                return reply.status, await read_all(endpoint, reply, _ERROR_BODY)
            finally:
                await reply.aclose()

        return await tokens.headers(account, endpoint.name, post)

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
        await self._tokens.aclose()
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
