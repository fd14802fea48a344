"""Signature Version 4, with which AWS takes requests: a key and a request in, headers out. Pure.

The request is signed as it is sent: exact path, query, body, and what must be of its headers. Whoever
changes one of them behind the signature, or re-encodes the path on the way, gets a 403. Five minutes of
clock difference are what the other side allows.

What does not live here: where keys come from (`auth.py`, `assembly.py`), presigned URLs, chunked signing.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

ALGORITHM = "AWS4-HMAC-SHA256"
_PORTS = {"http": 80, "https": 443}
# What must be signed; libraries and proxies on the way change all other headers as they like.
_SIGNED = frozenset({"content-type", "host"})
_ALSO = "x-amz-"


class AwsKey(NamedTuple):
    """An access key. Its repr shows nothing of the secret parts.

    Attributes:
        id: Access key id.
        secret: Secret access key.
        token: Session token of temporary keys, "" for lasting ones.
    """

    id: str
    secret: str
    token: str = ""

    def __repr__(self) -> str:
        return "<AwsKey>"


class Scope(NamedTuple):
    """What a signature holds for.

    Attributes:
        region: Such as `us-east-1`.
        service: The service's name in signatures, such as `bedrock`.
    """

    region: str
    service: str


def sign(
    key: AwsKey,
    scope: Scope,
    method: str,
    url: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    now: float,
    *,
    encode_path: bool = True,
) -> tuple[tuple[str, str], ...]:
    """The headers to add to a request: its time, the session token if there is one, and the signature.

    Args:
        key: With which it is signed.
        scope: Region and service.
        method: Such as `POST`.
        url: Absolute, quoted as it is sent.
        headers: Those that are sent; type, host and the vendor's own are signed.
        body: Exact bytes.
        now: Seconds since 1970.
        encode_path: The path is quoted once more in what is signed, as every service but S3 wants it.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    added = [("X-Amz-Date", moment)]
    if key.token:
        added.append(("X-Amz-Security-Token", key.token))
    canonical, signed = _canonical(method, url, [*headers, *added], body, encode_path=encode_path)
    place = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    text = f"{ALGORITHM}\n{moment}\n{place}\n{_sha256(canonical.encode())}"
    signature = hmac.new(_derived(key.secret, moment[:8], scope), text.encode(), hashlib.sha256).hexdigest()
    credential = f"{ALGORITHM} Credential={key.id}/{place}, SignedHeaders={signed}, Signature={signature}"
    return (*added, ("Authorization", credential))


def _canonical(
    method: str, url: str, headers: list[tuple[str, str]], body: bytes, *, encode_path: bool
) -> tuple[str, str]:
    """The request in the one form that both sides write, and the names of its signed headers."""
    parts = urlsplit(url)
    named: dict[str, list[str]] = {}
    for name, value in headers:
        if name.lower() in _SIGNED or name.lower().startswith(_ALSO):
            named.setdefault(name.lower(), []).append(" ".join(value.split()))
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if parts.port is not None and parts.port != _PORTS.get(parts.scheme):
        host = f"{host}:{parts.port}"
    named.setdefault("host", [host])
    names = sorted(named)
    lines = "".join(f"{name}:{','.join(named[name])}\n" for name in names)
    path = quote(parts.path, safe="/-_.~") if encode_path else parts.path
    signed = ";".join(names)
    return f"{method}\n{path or '/'}\n{_query(parts.query)}\n{lines}\n{signed}\n{_sha256(body)}", signed


def _query(query: str) -> str:
    pairs = [item.partition("=")[::2] for item in query.split("&") if item]
    again = [(quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")) for name, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(again))


def _derived(secret: str, date: str, scope: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, scope.region, scope.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
