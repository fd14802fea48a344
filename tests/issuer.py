"""An issuer of tokens: real keys, a discovery document and a key set, and tokens whose every byte the test decides."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from compatgw.errors import Unauthenticated
from compatgw.sections import OidcSettings
from compatgw.upstream.client import UpstreamClient
from compatgw.web.oidc import TokenVerifier

NOW = 1_700_000_000.0
AUDIENCE = "gateway"
HEADER = b'{"alg":"RS256","kid":"k1"}'
DISCOVERY = "/.well-known/openid-configuration"
CURVES: dict[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


def private_key(algorithm: str, which: int = 0, bits: int = 2048) -> Any:
    """A private key for `algorithm`, made once; another one for another `which`."""
    return _made(algorithm, which, bits)


@cache
def _made(algorithm: str, which: int, bits: int) -> Any:
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def published(key: Any, algorithm: str, **members: Any) -> dict[str, Any]:
    """The public half of a key as a key set has it."""
    found: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**found, **members}


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes, key: Any, algorithm: str) -> str:
    """A token of exactly these bytes, signed by PyJWT with whatever key fits the algorithm."""
    parts = f"{encoded(header)}.{encoded(payload)}"
    return f"{parts}.{encoded(jwt.get_algorithm_by_name(algorithm).sign(parts.encode(), key))}"


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good token, without those that are changed to None."""
    values = {"iss": "https://idp.test", "aud": AUDIENCE, "sub": "ann", "exp": NOW + 600, "team": "t1", **changes}
    return {name: value for name, value in values.items() if value is not None}


class Clock:
    """Time that passes when the test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


class Issuer:
    """An ASGI application with a discovery document and a key set.

    Attributes:
        url: How it names itself.
        keys: Its key set.
        answers: Path to status, body and headers that are answered instead.
        asked: Paths asked for.
    """

    def __init__(self, url: str = "https://idp.test") -> None:
        self.url = url
        self.keys: list[Any] = []
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[str] = []

    def add(self, algorithm: str = "RS256", id: str | None = "k1", which: int = 0, **members: Any) -> Any:
        """Publishes a key; gives its private half."""
        key = private_key(algorithm, which)
        named = {} if id is None else {"kid": id}
        self.keys.append(published(key, algorithm, **named, **members))
        return key

    def token(self, algorithm: str = "RS256", id: str | None = "k1", which: int = 0, /, **changes: Any) -> str:
        """A token signed with that key."""
        header = {"alg": algorithm, "typ": "JWT", **({} if id is None else {"kid": id})}
        payload = orjson.dumps(claims(**{"iss": self.url, **changes}))
        return signed(orjson.dumps(header), payload, private_key(algorithm, which), algorithm)

    def settings(self, **changes: Any) -> OidcSettings:
        """Settings of a gateway that takes its tokens."""
        values: dict[str, Any] = {"issuer": self.url, "audience": [AUDIENCE], **changes}
        return OidcSettings(**values)

    def upstream(self) -> UpstreamClient:
        """A client that reaches it in this process, whatever the host."""
        return UpstreamClient(http_client=httpx.AsyncClient(transport=httpx.ASGITransport(self)))

    def break_down(self, status: int = 500, body: bytes = b"down", **headers: str) -> None:
        """Answers everything with this from now on."""
        self.answers = {"*": (status, body, headers)}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        path = scope["path"]
        self.asked.append(path)
        kind = {"content-type": "application/json"}
        keys = f"{self.url.removesuffix('/')}/keys"
        documents: dict[str, tuple[int, bytes, dict[str, str]]] = {
            DISCOVERY: (200, orjson.dumps({"issuer": self.url, "jwks_uri": keys}), kind),
            "/keys": (200, orjson.dumps({"keys": self.keys}), kind),
        }
        answer = self.answers.get("*") or self.answers.get(path) or documents.get(path) or (404, b"", {})
        head = [(name.encode(), value.encode()) for name, value in answer[2].items()]
        await send({"type": "http.response.start", "status": answer[0], "headers": head})
        await send({"type": "http.response.body", "body": answer[1]})


def raw(payload: bytes, header: bytes = HEADER) -> str:
    """A token of these bytes with a good signature."""
    return signed(header, payload, private_key("RS256"), "RS256")


async def refused(verifier: TokenVerifier, text: str, code: str = "invalid_api_key") -> str:
    """The sentence with which a token is refused; nothing of the token is in it, and nothing of it is remembered."""
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(text)
    error = caught.value
    assert (error.status, error.code) == (401, code)
    assert error.message.endswith(".")
    assert not any(part in error.message for part in text.split(".") if len(part) > 8)
    assert verifier.recall(text) is None
    return error.message
