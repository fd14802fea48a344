"""`TokenVerifier`: from the token that a caller sends to the principal it stands for.

A token is read by one parser, and nothing in it is believed before its signature: `iss` and `aud`
only choose the settings that it is then held to. Its algorithm has to be allowed by those settings
and by the key's own type; where a header says that its key is to be found is never looked at.

A signature is checked in the event loop where that is faster than a thread (whose round trip takes
some 80 us): measured 25 us for RS256 with 2048 bits, 75 with 4096, 80 for ES256, 115 for EdDSA. ES384,
ES512 (550 us) and longer RSA keys go to a thread. A token that was verified is found again by a keyed
digest, in about 2 us, until it expires and for five minutes at most.

What does not live here: fetching keys (`upstream/jwks.py`), what a principal may do (`policy/`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import orjson

from compatgw.config import ConfigError
from compatgw.errors import Unauthenticated
from compatgw.policy.access import Principal
from compatgw.upstream.jwks import Jwks

if TYPE_CHECKING:
    from jwt import PyJWK

    from compatgw.sections import OidcSettings
    from compatgw.upstream.client import UpstreamClient
    from compatgw.upstream.jwks import Jwk, KeySet

LONGEST = 16 * 1024
"""Characters of a token; longer ones are refused unread."""
_REMEMBERED = 20_000
_REMEMBERED_CHARACTERS = 16 * 1024 * 1024
_REMEMBERED_FOR = 300.0
_NAME = 255
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

# Which keys an algorithm takes: `kty`, and `crv` where that type has curves.
_TAKES: Mapping[str, tuple[str, str | None]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
# The public members of a key; nothing else of it reaches the library.
_PUBLIC: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_SLOW = frozenset({"ES384", "ES512"})
_RSA_BITS = (2048, 16_384)
_SLOW_RSA_BITS = 4096
_LONGEST_MEMBER = 3000
# Keys that are tried for one token, where an issuer gave several the same id.
_TRIED = 4


def looks_like_token(text: str) -> bool:
    """True for three parts of base64url: a token, good or bad. All else is a key.

    The third part may be empty, so that a token without a signature is refused as what it is.
    """
    if len(text) > LONGEST:
        return text.count(".") == 2
    return _TOKEN.fullmatch(text) is not None


class _Token(NamedTuple):
    """A token that was read, and believed in nothing."""

    header: dict[str, object]
    claims: dict[str, object]
    signed: bytes
    signature: bytes


class _Key(NamedTuple):
    """A public key for one algorithm."""

    verify: Callable[[bytes, bytes], bool]
    slow: bool


class _Remembered(NamedTuple):
    """A token that was verified: until when by the clock, and by the one that never goes back."""

    principal: Principal
    expires: float
    until: float
    size: int


class _Issuer:
    """One issuer's settings, with its keys as they were last made ready."""

    def __init__(self, settings: OidcSettings, jwks: Jwks, library: type[PyJWK]) -> None:
        self.settings = settings
        self.jwks = jwks
        self._library = library
        self._made_of: KeySet | None = None
        self._made: dict[tuple[str | None, str], tuple[_Key, ...]] = {}

    def keys(self, known: KeySet, id: str | None, algorithm: str) -> tuple[_Key, ...]:
        """The keys of `known` that a token with this header may be signed with."""
        if known is not self._made_of:
            self._made_of, self._made = known, {}
        made = self._made.get((id, algorithm))
        if made is None:
            published = [key for key in known.find(id) if _is_for(key, algorithm)]
            # A token may leave out the key's id only where there is nothing to choose.
            chosen = published[:_TRIED] if id is not None or len(published) == 1 else []
            found = (_made_ready(key, algorithm, self._library) for key in chosen)
            made = tuple(key for key in found if key is not None)
            if made:
                self._made[id, algorithm] = made
        return made


class TokenVerifier:
    """Recognises tokens.

    Args:
        issuers: Whose tokens are taken. Several rows of one issuer differ in their audience.
        upstream: What carries the calls to issuers.
        clock: Seconds since 1970. monotonic: Seconds of a clock that never goes back.

    Raises:
        ConfigError: PyJWT or cryptography is not installed, or an issuer's address is wrong.
    """

    @staticmethod
    def reads(text: str) -> bool:
        """True for what looks like a token; all else is a key."""
        return looks_like_token(text)

    def __init__(
        self,
        issuers: Sequence[OidcSettings],
        upstream: UpstreamClient,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._pepper = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._size = 0
        self._jwks: dict[tuple[str, str | None], Jwks] = {}
        self._issuers: dict[str, list[_Issuer]] = {}
        for settings in issuers:
            place = (settings.issuer, settings.jwks_url)
            if place not in self._jwks:
                self._jwks[place] = Jwks(upstream, *place, monotonic=monotonic)
            issuer = _Issuer(settings, self._jwks[place], _library())
            self._issuers.setdefault(settings.issuer, []).append(issuer)

    def recall(self, text: str) -> Principal | None:
        """The principal of a token that was verified lately: the hot path, some 2 us.

        None says only that `verify` has to be asked.
        """
        if len(text) > LONGEST:
            return None
        found = self._remembered.get(self._digest(text))
        if found is None or self._clock() >= found.expires or self._monotonic() >= found.until:
            return None
        return found.principal

    async def verify(self, text: str) -> Principal:
        """The principal that a token stands for.

        Raises:
            Unauthenticated: It stands for none; the message says why and shows nothing of the token.
            Overloaded: The keys of its issuer cannot be had.
        """
        token = _read(text)
        issuer = self._issuer_of(token)
        await _check_signature(issuer, token)
        now = self._clock()
        expires = _check_times(token.claims, now, issuer.settings.leeway)
        principal = _principal(token.claims, issuer.settings)
        self._remember(text, principal, expires, now)
        return principal

    async def aclose(self) -> None:
        """Ends calls to issuers of the running loop. Idempotent; a later token asks anew."""
        for jwks in self._jwks.values():
            await jwks.aclose()

    def _issuer_of(self, token: _Token) -> _Issuer:
        """The settings for a token: of its issuer, those of its audience where there are several."""
        named = token.claims.get("iss")
        rows = self._issuers.get(named) if isinstance(named, str) else None
        if not rows:
            raise Unauthenticated("The issuer of the token is not one that this gateway takes tokens from.")
        return next((row for row in rows if _is_meant_for(token.claims, row.settings)), rows[0])

    def _remember(self, text: str, principal: Principal, expires: float, now: float) -> None:
        left = min(expires - now, _REMEMBERED_FOR)
        if left <= 0:
            return
        digest, moment = self._digest(text), self._monotonic()
        # Loops of several threads may share a gateway.
        with self._lock:
            self._forget(digest)
            self._remembered[digest] = _Remembered(principal, expires, moment + left, len(text))
            self._size += len(text)
            while True:
                oldest, found = next(iter(self._remembered.items()))
                full = len(self._remembered) > _REMEMBERED or self._size > _REMEMBERED_CHARACTERS
                if not full and found.until > moment:
                    break
                self._forget(oldest)

    def _forget(self, digest: bytes) -> None:
        found = self._remembered.pop(digest, None)
        if found is not None:
            self._size -= found.size

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=self._pepper, digest_size=16).digest()


def _library() -> type[PyJWK]:
    """PyJWT's reader of keys.

    Raises:
        ConfigError: It is not installed, or lacks what it checks signatures with.
    """
    try:
        from jwt import PyJWK
        from jwt.algorithms import has_crypto
    except ImportError:
        has_crypto = False
    if not has_crypto:
        raise ConfigError("tokens need PyJWT with cryptography: install compatgw[oidc].")
    return PyJWK


# --- reading ---


def _read(text: str) -> _Token:
    """A token's parts, none of them believed."""
    if len(text) > LONGEST:
        raise Unauthenticated(
            f"The token is longer than {LONGEST} characters. Ask its issuer for one with fewer claims."
        )
    if _TOKEN.fullmatch(text) is None:
        raise _malformed("it is not three parts of base64url without padding")
    signed, _, signature = text.rpartition(".")
    header, _, claims = signed.partition(".")
    read = _Token(
        _object(header, "header"), _object(claims, "payload"), signed.encode(), _bytes(signature, "signature")
    )
    # `b64` changes what is signed, and is only allowed inside `crit`.
    if "crit" in read.header or "b64" in read.header:
        raise Unauthenticated("The token's header demands extensions ('crit') that this gateway does not know.")
    return read


def _object(part: str, what: str) -> dict[str, object]:
    try:
        # Of members with one name the last counts, as it does for the library.
        value = orjson.loads(_bytes(part, what))
    except orjson.JSONDecodeError:
        raise _malformed(f"its {what} is not JSON") from None
    if not isinstance(value, dict):
        raise _malformed(f"its {what} is not a JSON object")
    return value


def _bytes(part: str, what: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise _malformed(f"its {what} is not base64url") from None
    # Bits that nobody reads would let one token be written in several ways.
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode():
        raise _malformed(f"its {what} is not base64url")
    return data


def _malformed(why: str) -> Unauthenticated:
    return Unauthenticated(f"The token cannot be read: {why}. Send it whole, as its issuer gave it.")


# --- keys and signatures ---


async def _check_signature(issuer: _Issuer, token: _Token) -> None:
    """Passes when a key of the issuer signed the token.

    Raises:
        Unauthenticated: None did.
        Overloaded: The issuer's keys cannot be had.
    """
    algorithm, id = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in issuer.settings.algorithms:
        allowed = ", ".join(issuer.settings.algorithms)
        raise Unauthenticated(f"The token's signature has an algorithm that is not allowed here. Allowed: {allowed}.")
    if id is not None and not isinstance(id, str):
        raise _malformed("the 'kid' of its header is not a string")
    known = await issuer.jwks.keys()
    keys = issuer.keys(known, id, algorithm)
    if await _is_signed(token, keys):
        return
    # A key without an id can be replaced unseen.
    if not keys or id is None:
        newer = await issuer.jwks.renewed(known)
        if newer is not known:
            keys = issuer.keys(newer, id, algorithm)
            if await _is_signed(token, keys):
                return
    if keys:
        raise Unauthenticated("The token's signature is wrong. Send it whole, as its issuer gave it.")
    if id is None:
        raise Unauthenticated("The token does not say which key signed it ('kid'), and its issuer has not just one.")
    raise Unauthenticated(
        "The token is signed with a key that its issuer does not publish for that algorithm. Ask it for a new token."
    )


async def _is_signed(token: _Token, keys: tuple[_Key, ...]) -> bool:
    for key in keys:
        if key.slow:
            good = await asyncio.to_thread(key.verify, token.signed, token.signature)
        else:
            good = key.verify(token.signed, token.signature)
        if good:
            return True
    return False


def _is_for(key: Jwk, algorithm: str) -> bool:
    """True when a published key may verify what is signed with `algorithm`."""
    kind, curve = _TAKES[algorithm]
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        # Whoever publishes the private half lets everybody sign.
        and "d" not in key
    )


def _made_ready(key: Jwk, algorithm: str, library: type[PyJWK]) -> _Key | None:
    """A published key, None when it is junk."""
    members: dict[str, str] = {"kty": _TAKES[algorithm][0]}
    for name in _PUBLIC[members["kty"]]:
        value = key.get(name)
        if not isinstance(value, str) or len(value) > _LONGEST_MEMBER:
            return None
        members[name] = value
    try:
        made = library(members, algorithm)
    except Exception:  # noqa: BLE001 - the library's versions raise errors of their own, cryptography's and built-in ones
        return None
    slow = algorithm in _SLOW
    if members["kty"] == "RSA":
        bits = made.key.key_size
        if not _RSA_BITS[0] <= bits <= _RSA_BITS[1]:
            return None
        slow = bits > _SLOW_RSA_BITS
    verify, public = made.Algorithm.verify, made.key
    return _Key(lambda signed, signature: verify(signed, public, signature), slow)


# --- claims ---


def _check_times(claims: Mapping[str, object], now: float, leeway: float) -> float:
    """When a token that holds now expires, without the leeway.

    Raises:
        Unauthenticated: It does not hold now.
    """
    expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        raise Unauthenticated("The token never expires: it has no 'exp'. Ask its issuer for one that does.")
    if now >= expires + leeway:
        raise Unauthenticated("The token has expired. Ask its issuer for a new one.", code="expired_api_key")
    if begins is not None and now < begins - leeway:
        raise Unauthenticated("The token is not valid yet ('nbf'). Use it later, or set the clocks right.")
    if issued is not None and now < issued - leeway:
        raise Unauthenticated("The token is not valid yet: it was issued in the future ('iat'). Set the clocks right.")
    return expires


def _time(claims: Mapping[str, object], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _malformed(f"its '{name}' is not a number")
    return float(value)


def _is_meant_for(claims: Mapping[str, object], settings: OidcSettings) -> bool:
    """True when a token's `aud`, a text or a list of texts, has one of the audiences."""
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    return all(isinstance(one, str) for one in listed) and any(one in settings.audience for one in listed)


def _principal(claims: Mapping[str, object], settings: OidcSettings) -> Principal:
    """Who the claims of a verified token are about.

    Raises:
        Unauthenticated: They are not for this gateway, or lack a subject or a team.
    """
    if not _is_meant_for(claims, settings):
        raise Unauthenticated("The token is meant for somebody else ('aud'). Ask its issuer for one for this gateway.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _is_name(subject):
        raise Unauthenticated(
            f"The token has no usable subject: its 'sub' must be 1 to {_NAME} characters, all of them printable."
        )
    return Principal(
        # Never the name of a key of the settings, whose limits it would share.
        name=f"oidc:{subject}",
        models=tuple(settings.models),
        attributes=MappingProxyType(dict(claims)),
        team=_team(claims, settings),
        scopes=tuple(settings.scopes),
        plan=settings.plan,
    )


def _team(claims: Mapping[str, object], settings: OidcSettings) -> str:
    """The id of the team that a token's claims lead to."""
    where = f"'{settings.team_claim}'"
    found, value = _at(claims, settings.team_claim)
    if not found:
        if settings.team is None:
            raise Unauthenticated(f"The token names no team: it has no claim {where}. Ask the gateway's operator.")
        return settings.team
    if not isinstance(value, str) or not _is_name(value):
        raise Unauthenticated(f"The token names no team: its claim {where} is not a short text.")
    team = settings.teams.get(value) if settings.teams else value
    if team is None:
        raise Unauthenticated(f"The token names no team of this gateway in its claim {where}. Ask its operator.")
    return team


def _at(claims: Mapping[str, object], path: str) -> tuple[bool, object]:
    """Whether a claim is there, and its value. A name may have dots itself: the longest name that is there leads on."""
    if path in claims:
        return True, claims[path]
    end = len(path)
    while (end := path.rfind(".", 0, end)) >= 0:
        inner = claims.get(path[:end])
        if isinstance(inner, dict):
            found, value = _at(inner, path[end + 1 :])
            if found:
                return found, value
    return False, None


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _NAME and text.isprintable()
