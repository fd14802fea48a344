"""How a credential becomes headers. Pure: a scheme and a secret in, headers or what makes them out.

Most schemes are one header. Two are more:

    aws     `ID:SECRET` or `ID:SECRET:TOKEN` signs each request (Signature Version 4); anything else
            is a Bedrock API key and goes as a bearer token
    google  the JSON of a service account, or of a user's default credentials, is exchanged for access
            tokens (`upstream/tokens.py`); `ya29.` is such a token; anything else is an API key

What does not live here: where secrets come from (`config.py`, `assembly.py`), the signature (`sigv4.py`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from compatgw.providers import sigv4
from compatgw.providers.sigv4 import AwsKey, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bearer": ("Authorization", "Bearer "),
        "x-api-key": ("x-api-key", ""),
        "x-goog-api-key": ("x-goog-api-key", ""),
        "api-key": ("api-key", ""),
    }
)
"""Schemes that are one header: its name, and what stands before the secret."""

AWS, GOOGLE = "aws", "google"
_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
# Nobody may point the gateway's own requests anywhere else by a member of a key.
_TOKEN_HOSTS = (".googleapis.com",)
_ACCESS_TOKEN = "ya29."  # noqa: S105 - how access tokens begin
_REMEMBERED = 4
# A shorter line of a key is no secret, and may stand in any text.
_LINE = 16


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """Who asks Google for access tokens.

    Attributes:
        token_url: Where they are had.
        email: Of a service account, "" for a user.
        key_id: Of its key.
        private_key: PEM, of a service account.
        client_id, client_secret, refresh_token: Of a user's default credentials.
        minted: The latest tokens, so that they can be taken out of what an upstream says.
    """

    token_url: str
    email: str = ""
    key_id: str = ""
    private_key: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    minted: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED), repr=False, compare=False)

    @property
    def identity(self) -> tuple[str, ...]:
        """Tells accounts apart; it holds secrets."""
        return (self.email, self.key_id, self.private_key, self.client_id, self.refresh_token)


@dataclass(frozen=True, slots=True)
class Credential:
    """What a secret is good for. Its repr shows nothing of it.

    Attributes:
        headers: Sent as they are.
        signs: Signs each request, None where nothing is signed.
        scope: What the signature holds for.
        account: Gets tokens that are sent, None where none are needed.
        hidden: Whatever must never be shown.
    """

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    signs: AwsKey | None = field(default=None, repr=False)
    scope: Scope | None = None
    account: GoogleAccount | None = field(default=None, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)

    def sign(
        self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes, now: float
    ) -> tuple[tuple[str, str], ...]:
        """The headers that sign a request; none where nothing is signed."""
        if self.signs is None or self.scope is None:
            return ()
        return sigv4.sign(self.signs, self.scope, method, url, headers, body, now)

    def redact(self, text: str, instead: str) -> str:
        """`text` with `instead` in the place of whatever is secret."""
        secrets = (*self.hidden, *(self.account.minted if self.account is not None else ()))
        # Longest first: a part of a secret must not break up the whole of it.
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, instead)
        return text


def headers(scheme: str, secret: str) -> tuple[tuple[str, str], ...]:
    """The headers that carry `secret`; none for the scheme `none`.

    Raises:
        ValueError: The secret holds what no header may; the message does not show it.
    """
    if scheme == "none":
        return ()
    _check(secret)
    name, prefix = SCHEMES[scheme]
    return ((name, f"{prefix}{secret}"),)


def read(scheme: str, secret: str, realm: str = "") -> Credential:
    """The credential that `secret` is under `scheme`.

    Args:
        scheme: One of `SCHEMES`, `aws`, `google` or `none`.
        secret: "" for none.
        realm: Of `aws`: region and service, joined by `/`.

    Raises:
        ValueError: It is not what the scheme takes; the message does not show it.
    """
    if not secret:
        return Credential()
    if scheme == AWS:
        return _aws(secret, realm)
    if scheme == GOOGLE:
        return _google(secret)
    return Credential(headers(scheme, secret), hidden=(secret,))


def _check(secret: str) -> None:
    if not secret.isascii() or not secret.isprintable() or secret != secret.strip():
        raise ValueError("the key holds white space at an end, a line break or a character beyond ASCII")


def _aws(secret: str, realm: str) -> Credential:
    _check(secret)
    if ":" not in secret:
        return Credential(headers("bearer", secret), hidden=(secret,))
    id, _, rest = secret.partition(":")
    key, _, token = rest.partition(":")
    region, _, service = realm.partition("/")
    if not id.isalnum() or not key:
        raise ValueError("the key must be ID:SECRET or ID:SECRET:TOKEN of an access key, or a Bedrock API key")
    if not region or not service:
        raise ValueError("the key signs for a region, and none is set: set 'region'")
    return Credential(signs=AwsKey(id, key, token), scope=Scope(region, service), hidden=(secret, key, token))


def _google(secret: str) -> Credential:
    if not secret.lstrip().startswith("{"):
        if secret.startswith(_ACCESS_TOKEN):
            return Credential(headers("bearer", secret), hidden=(secret,))
        return Credential(headers("x-goog-api-key", secret), hidden=(secret,))
    account = google_account(secret)
    found = (account.private_key, account.client_secret, account.refresh_token)
    # A key may come back with its line breaks written in either way, or line by line.
    lines = [line for line in account.private_key.splitlines() if len(line) >= _LINE and not line.startswith("-")]
    written = orjson.dumps(account.private_key).decode()[1:-1]
    return Credential(account=account, hidden=(secret, *found, written, *lines))


def project_of(secret: str) -> str:
    """The project that the JSON of an account names, "" for none."""
    try:
        value = orjson.loads(secret)
    except ValueError:
        return ""
    found = value.get("project_id") or value.get("quota_project_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def google_account(text: str) -> GoogleAccount:
    """The account that the JSON of a credentials file describes.

    Raises:
        ValueError: It describes none that tokens can be had for; the message shows nothing of it.
    """
    try:
        value = orjson.loads(text)
    except ValueError:
        raise ValueError("the credentials are not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("the credentials are no JSON object")

    def member(name: str) -> str:
        found = value.get(name)
        if not isinstance(found, str) or not found:
            raise ValueError(f"the credentials have no text '{name}'")
        return found

    url = value.get("token_uri") or _TOKEN_URL
    if not isinstance(url, str) or not _is_googles(url):
        raise ValueError("the credentials' 'token_uri' is not an https address of googleapis.com")
    kind = value.get("type")
    if kind == "service_account":
        key_id = value.get("private_key_id")
        return GoogleAccount(
            url,
            email=member("client_email"),
            key_id=key_id if isinstance(key_id, str) else "",
            private_key=member("private_key"),
        )
    if kind == "authorized_user":
        return GoogleAccount(
            url,
            client_id=member("client_id"),
            client_secret=member("client_secret"),
            refresh_token=member("refresh_token"),
        )
    raise ValueError("the credentials must be of type 'service_account' or 'authorized_user'")


def _is_googles(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    known = f".{host}".endswith(_TOKEN_HOSTS) and "@" not in parts.netloc
    return parts.scheme == "https" and known and port in (None, 443) and url.isascii() and url.isprintable()
