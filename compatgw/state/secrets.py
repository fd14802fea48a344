"""Keys that callers hold, and keys of theirs that we hold: minting, hashing, sealing.

A key is `prefix + id + secret + checksum`, letters and digits but for the prefix: `cgw-` and 50 more
by default. The checksum tells a mistyped key, or a text that only looks like one, without a look-up;
a scanner for lost secrets can check it, too. What is stored of a key is Argon2id of all of it.

What does not live here: who may hold one (`verify.py`), and where hashes are stored.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from compatgw.state.base import BadRecord, SealBroken, Sealed

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID = 12
_SECRET = 32
_CHECKSUM = 6
BODY = _ID + _SECRET + _CHECKSUM
"""Characters of a key after its prefix."""
_SHOWN = 4
_RING_KEY = 32
_NONCE = 12


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key.

    Attributes:
        text: The whole key, to be shown once.
        id: The part that names it. hint: Its last characters, all that can be shown later.
    """

    text: str = field(repr=False)
    id: str
    hint: str


def mint(
    prefix: str = "cgw-", *, id: str | None = None, random: Callable[[int], bytes] = secrets.token_bytes
) -> Minted:
    """A new key.

    Args:
        id: Of the key that it takes the place of, when one is rotated.
        random: So many random bytes.

    Raises:
        BadRecord: A prefix or an id that no key can have.
    """
    if not (prefix.isascii() and prefix.isprintable() and " " not in prefix and len(prefix) <= 32):
        raise BadRecord(f"A key's prefix is up to 32 ASCII characters without spaces, and {prefix[:40]!r} is not.")
    if id is not None and (len(id) != _ID or not set(id) <= set(_DIGITS)):
        raise BadRecord(f"{id[:40]!r} is no id of a key.")
    body = f"{prefix}{id or _random(_ID, random)}{_random(_SECRET, random)}"
    text = body + _checksum(body)
    return Minted(text, text[len(prefix) : len(prefix) + _ID], text[-_SHOWN:])


def id_of(text: str, prefixes: tuple[str, ...] = ("cgw-",)) -> str | None:
    """The id in a key, None for what is mistyped, cut off, or no key of ours at all."""
    prefix = next((each for each in prefixes if len(text) == len(each) + BODY and text.startswith(each)), None)
    if prefix is None or not text.isascii() or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return None
    return text[len(prefix) : len(prefix) + _ID]


def _random(size: int, random: Callable[[int], bytes]) -> str:
    # Twice as many bytes as characters leave no digit measurably more likely than another.
    number = int.from_bytes(random(size * 2), "big")
    return _in_digits(number, size)


def _checksum(text: str) -> str:
    return _in_digits(zlib.crc32(text.encode("ascii")), _CHECKSUM)


def _in_digits(number: int, size: int) -> str:
    out = []
    for _ in range(size):
        number, digit = divmod(number, len(_DIGITS))
        out.append(_DIGITS[digit])
    return "".join(reversed(out))


class Hasher:
    """Argon2id. Each takes some 50 to 150 ms and 64 MiB on purpose: never in an event loop.

    Args:
        time_cost: Passes. memory_cost: KiB. parallelism: Lanes.
    """

    def __init__(self, *, time_cost: int = 3, memory_cost: int = 65_536, parallelism: int = 4) -> None:
        self._argon = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism)

    def hash(self, text: str) -> str:
        """What is stored of a key."""
        return self._argon.hash(text)

    def matches(self, hashed: str, text: str) -> bool:
        """True when `text` is the key that `hashed` was made of."""
        try:
            return self._argon.verify(hashed, text)
        except (VerificationError, InvalidHashError):
            return False


class KeyRing:
    """Seals with its newest key, opens with any: rotation is adding a key in front and sealing again.

    Args:
        keys: Id to 32 bytes; the first seals.
        random: So many random bytes.

    Raises:
        BadRecord: No key, or one of another size.
    """

    def __init__(self, keys: Mapping[str, bytes], *, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if not keys:
            raise BadRecord("The key ring is empty. Give it a key, such as 'k1:' and 32 bytes in base64.")
        for id, key in keys.items():
            if len(key) != _RING_KEY:
                raise BadRecord(f"The ring's key {id[:40]!r} has {len(key)} bytes, it needs {_RING_KEY}.")
        self._ciphers = {id: AESGCM(key) for id, key in keys.items()}
        self.current = next(iter(keys))
        self._random = random

    @classmethod
    def parse(cls, text: str, *, random: Callable[[int], bytes] = secrets.token_bytes) -> KeyRing:
        """A ring from one line such as `k2:<base64>,k1:<base64>`, the newest first.

        Raises:
            BadRecord: Not of that form; the message shows no key.
        """
        keys: dict[str, bytes] = {}
        for number, part in enumerate(text.split(","), 1):
            id, colon, encoded = part.strip().partition(":")
            try:
                key = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not colon or not id or not key:
                raise BadRecord(f"Key {number} of the ring is not of the form 'id:' and 32 bytes in base64.")
            if id in keys:
                raise BadRecord(f"The ring has two keys {id[:40]!r}. Give each an id of its own.")
            keys[id] = key
        return cls(keys, random=random)

    def seal(self, secret: str, *, of: str) -> Sealed:
        """Seals `secret`; it opens only for the same `of`, such as team and provider: rows cannot be swapped."""
        return self.seal_data(secret.encode("utf-8"), of=of)

    def seal_data(self, data: bytes, *, of: str) -> Sealed:
        """Seals bytes; as `seal`."""
        nonce = self._random(_NONCE)
        return Sealed(self.current, nonce + self._ciphers[self.current].encrypt(nonce, data, of.encode("utf-8")))

    def open(self, sealed: Sealed, *, of: str) -> str:
        """What was sealed.

        Raises:
            SealBroken: The ring lacks its key, or it is not what was sealed for `of`.
        """
        try:
            return self.open_data(sealed, of=of).decode("utf-8")
        except UnicodeDecodeError:
            raise _broken(sealed) from None

    def open_data(self, sealed: Sealed, *, of: str) -> bytes:
        """What was sealed as bytes.

        Raises:
            SealBroken: As for `open`.
        """
        cipher = self._ciphers.get(sealed.ring)
        if cipher is None:
            raise SealBroken(
                f"The key ring has no key {sealed.ring[:40]!r} any more. Put it back until all is sealed anew."
            )
        try:
            return cipher.decrypt(sealed.data[:_NONCE], sealed.data[_NONCE:], of.encode("utf-8"))
        except (InvalidTag, ValueError):
            raise _broken(sealed) from None

    def reseal(self, sealed: Sealed, *, of: str) -> Sealed | None:
        """The same sealed with the newest key; None when it is already.

        Raises:
            SealBroken: As for `open`.
        """
        return None if sealed.ring == self.current else self.seal(self.open(sealed, of=of), of=of)


def _broken(sealed: Sealed) -> SealBroken:
    return SealBroken(f"What was sealed with {sealed.ring[:40]!r} does not open: it was changed, or moved.")


def last4(secret: str) -> str:
    """What may be shown of a secret: its last four characters, nothing of a short one."""
    return secret[-_SHOWN:] if len(secret) >= 4 * _SHOWN else ""
