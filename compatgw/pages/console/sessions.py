"""Sessions of operators: who has logged in, until when, and what one page leaves for the next.

A browser keeps 256 random bits and nothing else. What belongs to them lies in `Counters` under a name that is
derived from them, sealed with keys that are derived from them, too: whoever reads the counters learns neither who
is in nor with which key. That key is kept because it is looked at anew with each visit: one that was revoked or
changed ends its sessions by that alone.

Two values stand for a session. The one that holds everything is written once and ends after the longest time; the
other says that somebody was here and is renewed with each visit. Logging out takes both, and a visit that was under
way then renews what leads nowhere.

What does not live here: who may log in (`login.py`), cookies and forms (`guard.py`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.sections import ConsoleSettings
    from compatgw.state.base import Counters

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_NONCE = 12
_LEFT_FOR = 120.0
_HERE = b"1"


@dataclass(frozen=True, slots=True)
class Session:
    """An operator that has logged in.

    Attributes:
        token: What the browser keeps.
        key: The admin key; "" where the host of the gateway recognises its operators itself.
    """

    token: str = field(repr=False)
    key: str = field(repr=False)

    @property
    def csrf(self) -> str:
        """What every form of the session sends along."""
        return _derived(self.token, "csrf").hex()


class Sessions:
    """Sessions of one gateway.

    Args:
        counters: Where they are. settings: How long they last.
    """

    def __init__(self, counters: Counters, settings: ConsoleSettings) -> None:
        self._counters = counters
        self._settings = settings

    async def begin(self, key: str) -> Session:
        """A new session, under an id that nobody had before."""
        session = Session(secrets.token_urlsafe(32), key)
        name = _name("session", session.token)
        await self._counters.put(name, _sealed(session.token, name, {"key": key}), self._settings.longest)
        await self._counters.put(_name("here", session.token), _HERE, self._settings.idle)
        return session

    async def find(self, token: str | None) -> Session | None:
        """The session of a token, good for another while; None for one that is over, or never was."""
        if token is None or not _TOKEN.fullmatch(token):
            return None
        name, here = _name("session", token), _name("here", token)
        kept = await self._counters.get(name)
        if kept is None or await self._counters.get(here) is None:
            return None
        found = _opened(token, name, kept)
        if found is None:
            return None
        await self._counters.put(here, _HERE, self._settings.idle)
        return Session(token, found["key"])

    async def end(self, token: str) -> None:
        """Ends a session for good."""
        await self._counters.drop(*[_name(kind, token) for kind in ("session", "here", "left")])

    async def leave(self, session: Session, value: Mapping[str, Any]) -> None:
        """Leaves something for the next page of the session, for two minutes."""
        name = _name("left", session.token)
        await self._counters.put(name, _sealed(session.token, name, value), _LEFT_FOR)

    async def take(self, session: Session) -> Mapping[str, Any] | None:
        """What was left, once."""
        name = _name("left", session.token)
        kept = await self._counters.get(name)
        if kept is None:
            return None
        await self._counters.drop(name)
        return _opened(session.token, name, kept)


def _derived(token: str, purpose: str) -> bytes:
    return hashlib.blake2b(purpose.encode(), key=token.encode(), digest_size=32).digest()


def _name(kind: str, token: str) -> str:
    return f"console:{kind}:{_derived(token, f'name of {kind}').hex()}"


def _sealed(token: str, name: str, value: Mapping[str, Any]) -> bytes:
    """`value`, readable by whoever has the token alone."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(token, name).encrypt(nonce, orjson.dumps(value), name.encode())


def _opened(token: str, name: str, sealed: bytes) -> dict[str, Any] | None:
    """What was sealed for `token` under `name`; None for anything else."""
    try:
        text = _cipher(token, name).decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
    except (InvalidTag, ValueError):
        # Something else stands there: too short to have been sealed, or not by this token.
        return None
    found: dict[str, Any] = orjson.loads(text)
    return found


def _cipher(token: str, name: str) -> AESGCM:
    return AESGCM(_derived(token, f"seal {name}"))
