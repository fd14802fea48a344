"""Google's access tokens: had once, kept, renewed in time, and never shown."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from compatgw.dialects.base import Outgoing
from compatgw.errors import Blame, UpstreamFailure, UpstreamUnavailable
from compatgw.providers.auth import GoogleAccount, read
from compatgw.upstream.client import Endpoint, UpstreamClient
from compatgw.upstream.tokens import GoogleTokens

KEY = rsa.generate_private_key(65537, 2048)


def pem(key: Any) -> str:
    """A private key as it stands in a credentials file."""
    written: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return written.decode()


PEM = pem(KEY)
TEXT = json.dumps(
    {
        "type": "service_account",
        "project_id": "p-1",
        "private_key_id": "kid-1",
        "private_key": PEM,
        "client_email": "robot@p-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)
USER = json.dumps(
    {"type": "authorized_user", "client_id": "c-1", "client_secret": "hush-hush", "refresh_token": "1//refresh"}
)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Answers exchanges as a test says; counts them."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.status = 200
        self.answer: Any = None
        self.error: Exception | None = None
        self.came = asyncio.Semaphore(0)
        self.open = asyncio.Event()
        self.open.set()

    async def post(self, url: str, form: bytes) -> tuple[int, bytes]:
        self.urls.append(url)
        self.forms.append({name: values[0] for name, values in parse_qs(form.decode()).items()})
        number = len(self.forms)
        self.came.release()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        answer = {"access_token": f"ya29.token-{number}", "expires_in": 3599} if self.answer is None else self.answer
        return self.status, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(clock: Clock) -> AsyncIterator[GoogleTokens]:
    made = GoogleTokens(clock=clock)
    yield made
    await made.aclose()


def account(text: str = TEXT) -> GoogleAccount:
    found = read("google", text).account
    assert found is not None
    return found


async def bearer(tokens: GoogleTokens, server: Server, of: GoogleAccount | None = None) -> str:
    """The token that a call would carry."""
    ((name, value),) = await tokens.headers(of or account(), "Vertex", server.post)
    assert name == "Authorization"
    return value.removeprefix("Bearer ")


async def both(server: Server) -> None:
    """Waits until a second exchange is over."""
    await server.came.acquire()
    await server.came.acquire()
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_service_account_signs_a_statement(tokens: GoogleTokens, clock: Clock) -> None:
    """PyJWT checks it with the public key, and it says what Google's documents ask for."""
    server = Server()
    assert await bearer(tokens, server) == "ya29.token-1"

    (form,) = server.forms
    assert server.urls == ["https://oauth2.googleapis.com/token"]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        form["assertion"], KEY.public_key(), ["RS256"], audience="https://oauth2.googleapis.com/token", options=options
    )
    assert claims == {
        "iss": "robot@p-1.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(clock.now),
        "exp": int(clock.now) + 3600,
    }
    assert jwt.get_unverified_header(form["assertion"]) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}


async def test_a_users_credentials_are_refreshed(tokens: GoogleTokens) -> None:
    """With what `gcloud auth application-default login` leaves."""
    server = Server()
    assert await bearer(tokens, server, account(USER)) == "ya29.token-1"

    assert server.forms == [
        {"grant_type": "refresh_token", "client_id": "c-1", "client_secret": "hush-hush", "refresh_token": "1//refresh"}
    ]


async def test_a_token_is_kept_and_renewed_before_its_end(tokens: GoogleTokens, clock: Clock) -> None:
    """Nobody waits for a renewal while the old one serves."""
    server = Server()
    assert [await bearer(tokens, server) for _ in range(3)] == ["ya29.token-1"] * 3
    clock.now += 3599 - 299
    server.open.clear()
    assert await bearer(tokens, server) == "ya29.token-1"
    assert await bearer(tokens, server) == "ya29.token-1"
    server.open.set()
    await both(server)

    assert await bearer(tokens, server) == "ya29.token-2"
    assert len(server.forms) == 2


async def test_a_token_that_has_ended_is_waited_for(tokens: GoogleTokens, clock: Clock) -> None:
    """An old one is never sent."""
    server = Server()
    await bearer(tokens, server)
    clock.now += 3599 - 29

    assert await bearer(tokens, server) == "ya29.token-2"


async def test_there_is_one_exchange_at_a_time(tokens: GoogleTokens) -> None:
    """A hundred calls wait for the same one; one that leaves takes it from nobody."""
    server = Server()
    server.open.clear()
    calls = [asyncio.create_task(bearer(tokens, server)) for _ in range(100)]
    await server.came.acquire()
    calls[0].cancel()
    server.open.set()

    found = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert set(found[1:]) == {"ya29.token-1"}
    assert len(server.forms) == 1


async def test_accounts_have_tokens_of_their_own(tokens: GoogleTokens) -> None:
    """Teams' keys are not mixed up."""
    server = Server()

    assert await bearer(tokens, server) == "ya29.token-1"
    assert await bearer(tokens, server, account(USER)) == "ya29.token-2"
    assert await bearer(tokens, server) == "ya29.token-1"


async def test_a_refused_token_is_forgotten(tokens: GoogleTokens) -> None:
    """The next call asks for another one, at once."""
    server = Server()
    await bearer(tokens, server)
    tokens.forget(account())

    assert await bearer(tokens, server) == "ya29.token-2"


@pytest.mark.parametrize(
    ("status", "answer", "refused"),
    [
        (400, {"error": "invalid_grant", "error_description": "Invalid JWT: eyJhidden"}, True),
        (401, {"error": "unauthorized_client"}, True),
        (200, {"access_token": ""}, True),
        (200, {"access_token": "two words"}, True),
        (200, {"access_token": "line\r\nbreak"}, True),
        (200, {"access_token": 3}, True),
        (200, [], True),
        (200, b"<html>", True),
        (429, {"error": "slow_down"}, False),
        (503, b"", False),
    ],
)
async def test_an_exchange_that_fails(
    tokens: GoogleTokens, status: int, answer: Any, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """502 and the credential's fault where Google says no, 503 where it is away; nothing of a key or token is told."""
    server = Server()
    server.status, server.answer = status, answer
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamFailure) as caught:
        await bearer(tokens, server)

    failure = caught.value
    assert failure.status == (502 if refused else 503)
    assert (failure.blame is Blame.CREDENTIAL) == refused
    shown = f"{failure.message} {failure!r} {caplog.text}"
    for secret in ("eyJhidden", "BEGIN PRIVATE", PEM.splitlines()[3], server.forms[0]["assertion"]):
        assert secret not in shown


async def test_a_failed_exchange_is_not_repeated_for_a_moment(tokens: GoogleTokens, clock: Clock) -> None:
    """Calls fail at once meanwhile; afterwards it is tried again."""
    server = Server()
    server.status = 503
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable):
            await bearer(tokens, server)
    assert len(server.forms) == 1
    clock.now += 5
    server.status = 200

    assert await bearer(tokens, server) == "ya29.token-2"


async def test_a_renewal_that_fails_leaves_the_old_token(tokens: GoogleTokens, clock: Clock) -> None:
    """As long as it serves."""
    server = Server()
    await bearer(tokens, server)
    clock.now += 3599 - 200
    server.status = 500
    assert await bearer(tokens, server) == "ya29.token-1"
    await both(server)
    assert await bearer(tokens, server) == "ya29.token-1"


async def test_an_exchange_has_a_bound(clock: Clock) -> None:
    """A server that says nothing costs a caller the bound, and no more."""
    tokens, server = GoogleTokens(clock=clock, wait=0.2), Server()
    server.open.clear()
    with pytest.raises(UpstreamUnavailable, match=r"within 0\.2 seconds"):
        await bearer(tokens, server)
    await tokens.aclose()


async def test_a_client_of_the_hosts_that_breaks_is_an_error_of_ours(tokens: GoogleTokens) -> None:
    """Whatever it raises."""
    server = Server()
    server.error = RuntimeError("ya29.hidden")
    with pytest.raises(UpstreamUnavailable, match="RuntimeError") as caught:
        await bearer(tokens, server)
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize("key", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))], ids=["none", "another kind"])
async def test_a_key_that_cannot_sign_is_said_without_being_shown(tokens: GoogleTokens, key: str) -> None:
    """As the credential's fault."""
    with pytest.raises(UpstreamFailure, match="private_key") as caught:
        await bearer(tokens, Server(), account(json.dumps({**json.loads(TEXT), "private_key": key})))

    assert caught.value.blame is Blame.CREDENTIAL
    assert key not in caught.value.message


@pytest.mark.parametrize(("life", "kept"), [(None, 600), ("x", 600), (-5, 600), (True, 600), (10**9, 43_200)])
async def test_a_life_that_is_none_is_a_short_one(tokens: GoogleTokens, clock: Clock, life: Any, kept: float) -> None:
    """And none is longer than half a day."""
    server = Server()
    server.answer = {"access_token": "ya29.x", **({} if life is None else {"expires_in": life})}
    await bearer(tokens, server)
    clock.now += kept - 301
    await bearer(tokens, server)
    assert len(server.forms) == 1
    clock.now += 280
    await bearer(tokens, server)

    assert len(server.forms) == 2


async def test_closing_ends_what_is_under_way(clock: Clock) -> None:
    """Callers are told, and no task is left."""
    tokens, server = GoogleTokens(clock=clock), Server()
    server.open.clear()
    call = asyncio.create_task(bearer(tokens, server))
    await server.came.acquire()
    await tokens.aclose()
    await tokens.aclose()

    with pytest.raises(UpstreamUnavailable):
        await call


# --- through the client ----------------------------------------------------------------------


class Google:
    """Both servers behind one client: the one that gives tokens, and the one that is called."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.minted = 0
        self.refuse = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((str(request.url), request.headers.get("authorization", "")))
        if request.url.host == "oauth2.googleapis.com":
            assert request.headers["content-type"] == "application/x-www-form-urlencoded"
            self.minted += 1
            return httpx.Response(200, json={"access_token": f"ya29.real-{self.minted}", "expires_in": 3599})
        return httpx.Response(401 if self.refuse else 200, json={})


def vertex() -> Endpoint:
    return Endpoint("Vertex", "https://aiplatform.googleapis.com/v1", (), "google", TEXT)


async def test_the_client_gets_a_token_and_carries_it(clock: Clock) -> None:
    """Once for many calls; a 401 makes it ask for another."""
    google = Google()
    async with httpx.AsyncClient(transport=httpx.MockTransport(google)) as http:
        client = UpstreamClient(http_client=http, clock=clock)
        endpoint = vertex()
        for refuse in (False, True, False):
            google.refuse = refuse
            reply = await client.send(endpoint, Outgoing("/x", b"{}"))
            await reply.aclose()
        await client.aclose()

    token = "https://oauth2.googleapis.com/token"
    call = "https://aiplatform.googleapis.com/v1/x"
    assert google.seen == [
        (token, ""),
        (call, "Bearer ya29.real-1"),
        (call, "Bearer ya29.real-1"),
        (token, ""),
        (call, "Bearer ya29.real-2"),
    ]
    assert endpoint.redact("you sent ya29.real-1 and ya29.real-2") == "you sent [redacted] and [redacted]"


async def test_an_endpoint_shows_nothing_of_its_credential() -> None:
    """Before and after it was used."""
    shown = repr(vertex())

    assert "PRIVATE" not in shown
    assert "robot" not in shown
