"""`Jwks`: the public keys of a token issuer, fetched when they are first needed and kept.

Keys are asked for again in good time before they are an hour old, and when a token names a key that
is not among them, at most once a minute. While the issuer is away the old ones go on, for a day. An
issuer that is slow, broken or redirects costs a caller one bounded wait, and never two fetches at a time.

What does not live here: what a token says, and whether a key fits it (`web/oidc.py`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from compatgw.config import ConfigError
from compatgw.dialects.base import Outgoing
from compatgw.errors import Overloaded, UpstreamFailure
from compatgw.sections import MIB
from compatgw.upstream.client import Endpoint, read_all

if TYPE_CHECKING:
    from compatgw.upstream.client import UpstreamClient

Jwk = Mapping[str, object]
"""A key as the issuer publishes it: the members of one JSON object, unchecked."""

_log = logging.getLogger("compatgw")
_DISCOVERY = "/.well-known/openid-configuration"
_GET = Outgoing("", b"", (("Accept", "application/json"),), method="GET")
# Before keys are too old they are asked for without anybody waiting for it.
_EARLY = 0.8


class _Unusable(Exception):
    """The issuer answered, but not with keys; the text says what was wrong."""


class KeySet:
    """The keys that an issuer published at one time. Never changed: what is made of it can be kept with it."""

    __slots__ = ("_by_id", "_keys")

    def __init__(self, keys: tuple[Jwk, ...]) -> None:
        by_id: dict[str, tuple[Jwk, ...]] = {}
        for key in keys:
            if isinstance(id := key.get("kid"), str):
                by_id[id] = (*by_id.get(id, ()), key)
        self._keys = keys
        self._by_id = by_id

    def find(self, id: str | None) -> tuple[Jwk, ...]:
        """The keys with this id; all of them for None."""
        return self._keys if id is None else self._by_id.get(id, ())


class Jwks:
    """The keys of one issuer.

    Args:
        upstream: What carries the calls: the host's own HTTP client, if it gave one.
        issuer: The issuer, exactly as it names itself.
        jwks_url: Where its keys are. Default: as its discovery document says.
        monotonic: Seconds of a clock that never goes back.
        lifetime: Seconds after which keys are asked for again.
        stale: Seconds more for which they go on while the issuer is away.
        pause: Seconds between two fetches. retry: The same while no keys are known.
        wait: Seconds that a fetch may take.
        limit: Most bytes of an answer.

    Raises:
        ConfigError: An address that is none, or is on another machine without https. It names no setting.
    """

    def __init__(
        self,
        upstream: UpstreamClient,
        issuer: str,
        jwks_url: str | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        lifetime: float = 3600.0,
        stale: float = 86_400.0,
        pause: float = 60.0,
        retry: float = 5.0,
        wait: float = 10.0,
        limit: int = MIB,
    ) -> None:
        given, name = (issuer, "an issuer") if jwks_url is None else (jwks_url, f"the jwks_url of {issuer}")
        if (wrong := _wrong_with(given, local=True)) is not None:
            raise ConfigError(f"{name} {wrong}.")
        if jwks_url is None and not set("?#").isdisjoint(issuer):
            raise ConfigError(f"{name} has a query or a fragment. Leave it out, or set jwks_url.")
        self._upstream = upstream
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._local = _is_loopback(given)
        self._monotonic = monotonic
        self._lifetime = lifetime
        self._stale = stale
        self._pause = pause
        self._retry = retry
        self._wait = wait
        self._limit = limit
        self._keys: KeySet | None = None
        self._fetched = self._tried = -math.inf
        # Why the last fetch brought nothing; None when it brought keys, or there was none.
        self._problem: str | None = None
        self._under_way: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}
        self.fetches = 0

    async def keys(self) -> KeySet:
        """The issuer's keys.

        Raises:
            Overloaded: The issuer cannot be asked, and none are known that are young enough.
        """
        known = self._known()
        age = self._monotonic() - self._fetched
        if known is None or (age > self._lifetime and self._problem is None):
            await self._fetched_anew()
            known = self._known()
        elif age > self._lifetime * _EARLY:
            self._start()
        if known is None:
            raise self._away()
        return known

    async def renewed(self, known: KeySet) -> KeySet:
        """Newer keys than `known`, for a token whose key is not among those.

        `known` itself when the issuer was asked less than a minute ago.

        Raises:
            Overloaded: The issuer cannot be asked: whether it has that key is open.
        """
        if self._keys is known:
            await self._fetched_anew()
        newest = self._known()
        if newest is None or (newest is known and self._problem is not None):
            raise self._away()
        return newest

    async def aclose(self) -> None:
        """Ends what is under way in the running loop. Idempotent; a later call asks anew."""
        task = self._under_way.get(asyncio.get_running_loop())
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _known(self) -> KeySet | None:
        """The keys, while they are young enough to go on."""
        return self._keys if self._monotonic() - self._fetched <= self._lifetime + self._stale else None

    def _due(self) -> float:
        """Seconds until the issuer may be asked again."""
        if self._known() is None:
            if self._problem is None:
                return 0.0
            pause = self._retry
        else:
            pause = self._pause
        return max(0.0, pause - (self._monotonic() - self._tried))

    def _start(self) -> asyncio.Task[None] | None:
        """The fetch that is under way in this loop, or a new one; None when it is too early for that."""
        loop = asyncio.get_running_loop()
        task = self._under_way.get(loop)
        if task is None and not self._due():
            for closed in [other for other in self._under_way if other.is_closed()]:
                del self._under_way[closed]
            self._tried = self._monotonic()
            task = self._under_way[loop] = loop.create_task(self._fetch())
            task.add_done_callback(lambda _: self._under_way.pop(loop, None))
        return task

    async def _fetched_anew(self) -> None:
        task = self._start()
        if task is not None:
            # One caller that leaves does not take the answer from the others.
            await asyncio.wait({task})

    async def _fetch(self) -> None:
        self.fetches += 1
        try:
            async with asyncio.timeout(self._wait):
                keys = await self._load()
        except TimeoutError:
            problem = f"it did not answer within {self._wait:g} seconds"
        except _Unusable as error:
            problem = str(error)
        except UpstreamFailure as error:
            problem = "the call to it failed"
            _log.warning("%s", error.message)
        except Exception as error:  # noqa: BLE001 - the host's own client may raise anything; callers wait for a result
            problem = f"the call to it failed ({type(error).__name__})"
        else:
            self._keys, self._fetched, self._problem = keys, self._monotonic(), None
            return
        self._problem = problem
        _log.warning("The keys of the issuer %s were not fetched: %s.", self._issuer, problem)

    async def _load(self) -> KeySet:
        url = self._jwks_url
        if url is None:
            document = await self._document(self._issuer.removesuffix("/") + _DISCOVERY, "its discovery document")
            if document.get("issuer") != self._issuer:
                raise _Unusable("its discovery document is of another issuer")
            found = document.get("jwks_uri")
            if not isinstance(found, str):
                raise _Unusable("its discovery document has no 'jwks_uri'")
            if (wrong := _wrong_with(found, local=self._local)) is not None:
                raise _Unusable(f"the 'jwks_uri' of its discovery document {wrong}")
            url = found
        keys = (await self._document(url, "its key set")).get("keys")
        if not isinstance(keys, list):
            raise _Unusable("its key set has no list 'keys'")
        return KeySet(tuple(key for key in keys if isinstance(key, dict)))

    async def _document(self, url: str, what: str) -> dict[str, object]:
        endpoint = Endpoint(f"The issuer {self._issuer}", url)
        reply = await self._upstream.send(endpoint, _GET)
        try:
            if reply.status != 200:
                raise _Unusable(f"{what} was answered with status {reply.status}")
            body = await read_all(endpoint, reply, self._limit)
        finally:
            await reply.aclose()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _Unusable(f"{what} is not JSON") from None
        if not isinstance(document, dict):
            raise _Unusable(f"{what} is not a JSON object")
        return document

    def _away(self) -> Overloaded:
        problem = self._problem or "the call to it was ended"
        return Overloaded(
            f"The keys of the token's issuer {self._issuer} cannot be had: {problem}. Try again in a moment.",
            code="issuer_unavailable",
            retry_after=max(1.0, self._due()),
        )


def _wrong_with(url: str, *, local: bool) -> str | None:
    """What is wrong with the address of a document, None for nothing.

    Args:
        local: Plain http to this machine will do.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is no URL"
    if not (url.isascii() and url.isprintable()) or " " in url or parts.scheme not in ("http", "https") or not host:
        return "is no URL that begins with https://"
    if "@" in parts.netloc:
        return "has a user name in it. Leave that out"
    if parts.scheme == "http" and not (local and _is_loopback(url)):
        return f"is on {host} and must begin with https://: whoever can change the keys can sign tokens"
    return None


def _is_loopback(url: str) -> bool:
    """True when a valid address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
