"""The signed statement (a JWT, RS256) for which Google gives a service account its access tokens.

What does not live here: the exchange (`tokens.py`), what credentials look like (`providers/auth.py`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from compatgw.providers.auth import GoogleAccount

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFE = 3600
"""Seconds for which a statement holds: the most that is taken."""


def stated(account: GoogleAccount, now: float) -> str:
    """The statement of `account`, made at `now` (seconds since 1970).

    Raises:
        ValueError: Its key is none; the message does not show it.
    """
    try:
        key = load_pem_private_key(account.private_key.encode(), None)
    except (ValueError, TypeError):
        raise ValueError("its 'private_key' is no PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("its 'private_key' is no RSA key")
    head = {"alg": "RS256", "typ": "JWT", **({"kid": account.key_id} if account.key_id else {})}
    issued = int(now)
    claims = {
        "iss": account.email,
        "scope": SCOPE,
        "aud": account.token_url,
        "iat": issued,
        "exp": issued + LIFE,
    }
    text = b".".join(_base64(orjson.dumps(part)) for part in (head, claims))
    return b".".join((text, _base64(key.sign(text, PKCS1v15(), SHA256())))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
