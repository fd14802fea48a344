"""`Idempotency-Key`: a request that is sent again with the same key gets the first one's answer, and costs nothing.

    claim   before the call: nobody had the key -> the call is made;
            the first is answered -> its answer again; else 409
    keep    after an answer, and after a refusal that is the request's own: kept for a day
    release after everything else: the next one with the key makes the call

For answers that are not streamed. On a stream the header is ignored, whatever it says: what a client has had of
a broken stream nobody knows.

Kept are answers and refusals that the same request would meet again (400, 404, 413, 415, 422). Never what may be over
without any change of the request: 5xx, 429, a conflict, and 401, 402 and 403, which a top-up or a new right mends.
The key is the caller's own: one team's, one API key's, under one mount. The configuration's version is no part of
it: who retries after a deployment wants the first answer all the more. The claim of a process that died ends by itself.

While shared counters are lost, claims are of this process alone or calls with the header are refused, as
`on_counters_loss` says; an answer that cannot be kept is told all the same.

What does not live here: what "the same request" is (`policy/cachekey.fingerprint`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import orjson

from compatgw.errors import Conflict, GatewayError, InvalidRequest
from compatgw.flow.call import JSON
from compatgw.policy.cachekey import fingerprint as fingerprint_of
from compatgw.state.base import CountersLost
from compatgw.wire import stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from compatgw.flow.call import Call, Headers
    from compatgw.policy.access import Caller
    from compatgw.policy.directory import Scope
    from compatgw.sections import IdempotencySettings
    from compatgw.state.base import Counters

HEADER = "Idempotency-Key"
MARKER = ("Idempotent-Replayed", "true")
"""Header of every answer that is a first one again."""

ABOUT = (
    "X-Model-Used", "X-Provider", "X-Cost", "X-Fallback-From", "X-Retry-Count", "X-Guardrail-Status",
    "X-Dropped-Params", "X-Clamped-Params", "X-Vision-Fallback",
)  # fmt: skip
"""Headers that are told again: those about the answer. Not the limits, which have moved on."""

_log = logging.getLogger("compatgw")
_LONGEST = 255
_KIND = "idem"
_OK = 200
# Refusals that may be over without any change of the request.
_PASSING = frozenset({401, 402, 403, 408, 409, 425, 429})
_CLAIMS = 3


@dataclass(frozen=True, slots=True)
class Replayed:
    """The first answer, to be told again."""

    status: int
    headers: Headers
    body: bytes
    type: str = JSON


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands under a key. `by`: who claimed it, while it runs."""

    state: Literal["running", "done", "large"]
    fingerprint: str
    by: str = ""
    status: int = 0
    headers: Headers = ()
    body: bytes = b""
    type: str = JSON


def wanted(header: str | None, *, stream: bool) -> str | None:
    """The key that a request carries; None without one, and on a stream.

    Raises:
        InvalidRequest: It is not 1 to 255 printable ASCII characters.
    """
    if header is None or stream:
        return None
    if not 1 <= len(header) <= _LONGEST or not (header.isascii() and header.isprintable()) or header.isspace():
        raise InvalidRequest(
            f"The header {HEADER} takes 1 to {_LONGEST} printable ASCII characters, such as a UUID.", param=HEADER
        )
    return header


def name_of(key: str, caller: Caller, scope: Scope) -> str:
    """Where a caller's key stands: apart from every other caller's, and from the same key under another mount."""
    text = orjson.dumps([caller.team, caller.key, None if scope is None else sorted(scope), key])
    return f"idem:{blake2b(text, digest_size=32).hexdigest()}"


class Idempotency:
    """Keys that were used.

    Args:
        counters: Where they are kept.
        ids: A new random word at each call.
    """

    __slots__ = ("_counters", "_ids", "settings")

    def __init__(self, counters: Counters, settings: IdempotencySettings, ids: Callable[[], str]) -> None:
        self._counters = counters
        self._ids = ids
        self.settings = settings

    async def claimed(self, call: Call) -> Claim | Replayed | None:
        """What `claim` says for a call; None for one that carries no key, or where keys are not heard.

        Raises:
            Conflict, CountersLost: As for `claim`.
        """
        if call.word is None or not self.settings.enabled:
            return None
        # As the client sent it: a template that changed meanwhile makes no other request of it.
        sent = call.parsed
        body = sent.native.body if sent.native is not None else sent.request
        asked = {"request": body, "options": str(call.options)}
        return await self.claim(name_of(call.word, call.caller, call.scope), fingerprint_of(call.surface.name, asked))

    async def claim(self, name: str, fingerprint: str) -> Claim | Replayed:
        """The right to make the call, or the answer that it had.

        Args:
            name: As `name_of` says.
            fingerprint: Of the request (`policy/cachekey.fingerprint`).

        Raises:
            Conflict: The key was used for another request; the first is still running; or its answer
                was too large to be kept.
            CountersLost: The counters are lost, and calls are refused meanwhile.
        """
        mine = _Entry("running", fingerprint, self._ids())
        for _ in range(_CLAIMS):
            if await self._counters.put(name, _written(mine), self.settings.running, only_new=True):
                return Claim(self._counters, self.settings, name, mine)
            data = await self._counters.get(name)
            if data is None:
                # It ended, or was given back, between the two.
                continue
            found = _read(data)
            if found is None:
                _log.warning("What was kept under an Idempotency-Key is damaged. It is dropped.")
                await self._counters.drop(name)
                continue
            if found.fingerprint != fingerprint:
                raise _conflict("was used for another request. Send a new key with a new request.")
            if found.state == "done":
                return Replayed(found.status, (*found.headers, MARKER), found.body, found.type)
            if found.state == "large":
                raise _conflict("was used, and its answer was too large to be kept. Send a new key to ask again.")
            break
        raise _conflict("is that of a request that is still running. Wait for its answer, or send a new key.")


class Claim:
    """The right to make the call of one key; ends with `keep`, `fail` or `release`. None of them raises."""

    __slots__ = ("_counters", "_mine", "_name", "_settings")

    def __init__(self, counters: Counters, settings: IdempotencySettings, name: str, mine: _Entry) -> None:
        self._counters = counters
        self._settings = settings
        self._name = name
        self._mine = mine

    async def __aenter__(self) -> Claim:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(value, GatewayError):
            await self.fail(value)
        elif value is not None:
            await self.release()

    async def keep(self, headers: Headers, body: bytes, status: int = _OK, kind: str = JSON) -> None:
        """Keeps the answer; to be called before it is sent, so that a client that misses it finds it.

        Args:
            headers: All of the answer's; of these only `ABOUT` is kept.
            kind: Its content type.
        """
        about = tuple(line for line in headers if line[0] in ABOUT)
        done = _Entry("done", self._mine.fingerprint, status=status, headers=about, body=body, type=kind)
        data = _written(done)
        if len(data) > self._settings.max_entry:
            data = _written(_Entry("large", self._mine.fingerprint))
        try:
            await self._counters.put(self._name, data, self._settings.keep)
        except CountersLost as error:
            _log.warning("%s An answer with an Idempotency-Key is told, but not kept.", error)

    async def fail(self, failure: GatewayError) -> None:
        """Keeps a refusal that is the request's own, and gives the key back after any other failure."""
        if 400 <= failure.status < 500 and failure.status not in _PASSING:
            await self.keep(failure.headers, orjson.dumps(failure.envelope()), failure.status)
        else:
            await self.release()

    async def release(self) -> None:
        """Gives the key back: the next one with it makes the call. Only if it is still ours."""
        try:
            data = await self._counters.get(self._name)
            found = _read(data) if data is not None else None
            if found is not None and found.state == "running" and found.by == self._mine.by:
                await self._counters.drop(self._name)
        except CountersLost as error:
            _log.warning("%s An Idempotency-Key is not given back; its claim ends by itself.", error)


def _conflict(why: str) -> Conflict:
    return Conflict(f"This {HEADER} {why}", param=HEADER, should_retry=False)


def _written(entry: _Entry) -> bytes:
    head = {"state": entry.state, "print": entry.fingerprint, "by": entry.by}
    return stored.pack(
        _KIND, {**head, "status": entry.status, "headers": entry.headers, "type": entry.type}, entry.body
    )


def _read(data: bytes) -> _Entry | None:
    found = stored.unpack(_KIND, data)
    if found is None:
        return None
    head = found.head
    try:
        headers = tuple((str(name), str(value)) for name, value in head["headers"])
        return _Entry(head["state"], head["print"], head["by"], int(head["status"]), headers, found.body, head["type"])
    except (KeyError, TypeError, ValueError):
        return None
