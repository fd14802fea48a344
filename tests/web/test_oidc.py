"""Tokens of an issuer: who they stand for, and every way in which they must not be believed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Literal

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from compatgw.config import ConfigError
from compatgw.errors import Overloaded
from compatgw.upstream.client import UpstreamClient
from compatgw.web import oidc
from compatgw.web.oidc import LONGEST, TokenVerifier, looks_like_token
from tests.issuer import (
    DISCOVERY,
    HEADER,
    NOW,
    Clock,
    Issuer,
    claims,
    encoded,
    private_key,
    published,
    refused,
    signed,
)

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


# --- who it is ---


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_of_each_algorithm_is_recognised(
    issuer: Issuer, make: Callable[..., TokenVerifier], algorithm: str
) -> None:
    """Signed by PyJWT and cryptography, with a key of that algorithm among others."""
    for other in ALGORITHMS:
        issuer.add(other, f"key-{other}")
    verifier = make(algorithms=[algorithm])
    principal = await verifier.verify(issuer.token(algorithm, f"key-{algorithm}"))

    assert principal.name == "oidc:ann"
    assert await refused(verifier, issuer.token(algorithm, f"key-{algorithm}", 1)) == (
        "The token's signature is wrong. Send it whole, as its issuer gave it."
    )


async def test_a_principal_has_what_the_settings_and_the_claims_say(
    issuer: Issuer, make: Callable[..., TokenVerifier]
) -> None:
    """Its claims can be read, and not changed by one call for the next."""
    text = issuer.token(email="ann@example.com", sub="auth0|Änn 7")
    verifier = make(scopes=["chat"], models=["gpt-*"], plan="starter")
    principal = await verifier.verify(text)

    assert (principal.name, principal.team, principal.plan) == ("oidc:auth0|Änn 7", "t1", "starter")
    assert (principal.scopes, principal.models) == (("chat",), ("gpt-*",))
    assert principal.attributes == claims(email="ann@example.com", sub="auth0|Änn 7")
    with pytest.raises(TypeError):
        principal.attributes["sub"] = "bob"  # type: ignore[index]


async def test_a_token_is_verified_once_and_found_after_that(
    issuer: Issuer, make: Callable[..., TokenVerifier]
) -> None:
    """Another token, or one cut short, is not found with it."""
    verifier, text = make(), issuer.token()
    before = verifier.recall(text)
    principal = await verifier.verify(text)

    assert before is None
    assert verifier.recall(text) is principal
    assert verifier.recall(text[:-1]) is None
    assert verifier.recall(issuer.token(sub="bob")) is None
    assert verifier.recall("x" * (LONGEST + 1)) is None
    assert make().recall(text) is None


async def test_what_is_remembered_ends_with_the_token(
    issuer: Issuer, make: Callable[..., TokenVerifier], clock: Clock, steady: Clock
) -> None:
    """Without the leeway, which `verify` grants; to the second by either clock."""
    verifier, text = make(), issuer.token(exp=NOW + 100)
    principal = await verifier.verify(text)
    clock.now, steady.now = NOW + 99.9, 50 + 99.9
    assert verifier.recall(text) is principal
    clock.now = NOW + 100
    assert verifier.recall(text) is None
    clock.now, steady.now = NOW + 99.9, 150.0
    assert verifier.recall(text) is None

    clock.now = NOW + 100
    assert (await verifier.verify(text)).name == "oidc:ann"
    assert verifier.recall(text) is None


async def test_what_is_remembered_ends_after_five_minutes(
    issuer: Issuer, make: Callable[..., TokenVerifier], clock: Clock, steady: Clock
) -> None:
    """However long the token holds."""
    verifier, text = make(), issuer.token(exp=NOW + 86_400)
    principal = await verifier.verify(text)
    clock.now, steady.now = NOW + 299, 50 + 299
    assert verifier.recall(text) is principal
    clock.now, steady.now = NOW + 300, 50 + 300
    assert verifier.recall(text) is None


async def test_a_clock_that_jumps_back_makes_no_token_last_longer(
    issuer: Issuer, make: Callable[..., TokenVerifier], clock: Clock, steady: Clock
) -> None:
    """What was remembered for a minute is forgotten after a minute."""
    verifier, text = make(), issuer.token(exp=NOW + 60)
    principal = await verifier.verify(text)
    clock.now -= 86_400
    assert verifier.recall(text) is principal
    steady.now += 60
    assert verifier.recall(text) is None


async def test_memory_is_bounded(
    issuer: Issuer, make: Callable[..., TokenVerifier], steady: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number, by size, and by what is over; the oldest goes first."""
    monkeypatch.setattr(oidc, "_REMEMBERED", 3)
    verifier = make()
    tokens = [issuer.token(sub=f"user-{number}") for number in range(5)]
    for text in [*tokens, tokens[-1]]:
        await verifier.verify(text)
    assert [verifier.recall(text) is not None for text in tokens] == [False, False, True, True, True]
    assert verifier._size == sum(map(len, tokens[2:]))

    monkeypatch.setattr(oidc, "_REMEMBERED_CHARACTERS", sum(map(len, tokens[3:])))
    await verifier.verify(tokens[4])
    assert [verifier.recall(text) is not None for text in tokens] == [False, False, False, True, True]

    steady.now += 300
    await verifier.verify(tokens[0])
    assert len(verifier._remembered) == 1
    assert verifier._size == len(tokens[0])


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_keys_come_from_a_real_server(
    issuer: Issuer, clock: Clock, serve: Callable[..., str], transport: Literal["aiohttp", "httpx"]
) -> None:
    """Discovery, key set and signature, over the gateway's own transports."""
    issuer.url = serve(issuer)
    upstream = UpstreamClient(transport=transport)
    verifier = TokenVerifier([issuer.settings()], upstream, clock=clock)
    principal = await verifier.verify(issuer.token())
    await verifier.aclose()
    await upstream.aclose()

    assert principal.team == "t1"
    assert issuer.asked == [DISCOVERY, "/keys"]


# --- algorithms ---


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE", "", " none", "none\x00", None, ["none"], 0, True])
@pytest.mark.parametrize("signature", ["", "c2lnbmVk"])
async def test_a_token_without_a_signature_is_refused(
    make: Callable[..., TokenVerifier], spelling: object, signature: str
) -> None:
    """However that is spelled, and whatever stands in its place."""
    header = {"kid": "k1"} if spelling is None else {"alg": spelling, "kid": "k1"}
    text = f"{encoded(orjson.dumps(header))}.{encoded(orjson.dumps(claims()))}.{signature}"

    assert looks_like_token(text)
    assert "algorithm that is not allowed" in await refused(make(), text)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
async def test_a_public_key_is_no_shared_secret(
    issuer: Issuer, make: Callable[..., TokenVerifier], algorithm: str, form: str
) -> None:
    """HMAC over the published key, in all its forms."""
    public = private_key("RS256").public_key()
    secret = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": orjson.dumps(issuer.keys[0]),
    }[form]
    header = orjson.dumps({"alg": algorithm, "kid": "k1"})
    text = signed(header, orjson.dumps(claims()), secret, algorithm)

    assert "algorithm that is not allowed" in await refused(make(), text)
    assert "Allowed: RS256, ES256." in await refused(make(), text)


async def test_an_algorithm_has_to_be_allowed(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """Even if the issuer has a key for it."""
    issuer.add("EdDSA", "k2")
    issuer.add("PS256", "k3")

    assert "not allowed" in await refused(make(), issuer.token("EdDSA", "k2"))
    assert "not allowed" in await refused(make(), issuer.token("PS256", "k3"))
    assert (await make(algorithms=["PS256"]).verify(issuer.token("PS256", "k3"))).name == "oidc:ann"


async def test_an_algorithm_has_to_fit_its_key(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """An RSA token that names an elliptic key, an elliptic token that names the RSA key, the wrong curve."""
    issuer.add("ES256", "k2")
    issuer.add("ES384", "k3")
    verifier = make(algorithms=["RS256", "ES256", "ES384", "EdDSA"])

    assert "does not publish" in await refused(verifier, issuer.token("RS256", "k2"))
    assert "does not publish" in await refused(verifier, issuer.token("ES256", "k1"))
    assert "does not publish" in await refused(verifier, issuer.token("ES256", "k3"))
    assert "does not publish" in await refused(verifier, issuer.token("ES384", "k2"))
    assert "does not publish" in await refused(verifier, issuer.token("EdDSA", "k2"))


@pytest.mark.parametrize(
    ("members", "good"),
    [
        ({}, True),
        ({"alg": "RS256", "use": "sig"}, True),
        ({"key_ops": ["verify", "sign"]}, True),
        ({"alg": "RS512"}, False),
        ({"alg": "RSA-OAEP"}, False),
        ({"alg": 7}, False),
        ({"use": "enc"}, False),
        ({"use": None}, False),
        ({"key_ops": ["encrypt"]}, False),
        ({"key_ops": "verify"}, False),
        ({"key_ops": []}, False),
        ({"d": "AQAB"}, False),
    ],
)
async def test_what_a_key_is_for_is_honoured(
    issuer: Issuer, make: Callable[..., TokenVerifier], members: dict[str, Any], good: bool
) -> None:
    """`alg`, `use` and `key_ops`; and a key whose private half is published proves nothing."""
    issuer.keys[0].pop("key_ops", None)
    issuer.keys[0].update(members)
    if good:
        assert (await make().verify(issuer.token())).name == "oidc:ann"
    else:
        assert "does not publish" in await refused(make(), issuer.token())


async def test_a_short_rsa_key_proves_nothing(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """1024 bits can be factored."""
    weak = private_key("RS256", 0, 1024)
    issuer.keys = [published(weak, "RS256", kid="k1")]

    assert "does not publish" in await refused(make(), signed(HEADER, orjson.dumps(claims()), weak, "RS256"))


# --- keys ---


async def test_junk_among_the_keys_hides_no_good_one(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """Of the same id, too."""
    good = issuer.keys[0]
    junk: list[Any] = [
        None, 1, {}, {"kid": "k1"}, {"kid": "k1", "kty": "oct", "k": "c2VjcmV0"}, {"kid": "k1", "kty": "RSA"},
        {**good, "n": 7}, {**good, "n": "!"}, {**good, "e": "AA"}, {**good, "n": "A" * 100_000},
    ]  # fmt: skip
    issuer.keys = [*junk[:7], good, *junk[7:]]
    assert (await make().verify(issuer.token())).name == "oidc:ann"

    for one in junk:
        issuer.keys = [one, good]
        assert (await make().verify(issuer.token())).name == "oidc:ann", one
        issuer.keys = [one]
        assert "does not publish" in await refused(make(), issuer.token())


async def test_a_curve_point_that_is_none_is_junk(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """The library refuses it when the key is made ready."""
    issuer.add("ES256", "k2")
    issuer.keys[-1]["x"] = issuer.keys[-1]["y"]

    assert "does not publish" in await refused(make(), issuer.token("ES256", "k2"))


async def test_a_token_may_leave_out_the_id_of_an_only_key(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """The only one for its algorithm, and for signatures; of two it has to name one."""
    issuer.add("ES256", "k2")
    issuer.add("RS256", "k3", 1, use="enc")
    verifier = make()
    assert (await verifier.verify(issuer.token("RS256", None))).name == "oidc:ann"

    issuer.add("RS256", "k4", 2)
    assert "which key signed it" in await refused(make(), issuer.token("RS256", None))


async def test_a_key_without_an_id_may_be_replaced(
    issuer: Issuer, make: Callable[..., TokenVerifier], steady: Clock
) -> None:
    """A signature that does not fit is reason to look, at most once a minute."""
    issuer.keys = []
    issuer.add("RS256", None)
    verifier = make()
    await verifier.verify(issuer.token("RS256", None))
    issuer.keys = []
    issuer.add("RS256", None, 1)
    new = issuer.token("RS256", None, 1)

    assert "signature is wrong" in await refused(verifier, new)
    steady.now += 61
    assert (await verifier.verify(new)).name == "oidc:ann"
    assert "signature is wrong" in await refused(verifier, issuer.token("RS256", None, sub="bob"))


async def test_the_key_of_another_issuer_proves_nothing(issuer: Issuer, clock: Clock, steady: Clock) -> None:
    """Each token is held to the keys of the issuer that it names, whatever key it names."""
    other = Issuer("https://other.test")
    other.add("RS256", "k2", 1)

    async def both(scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"])[b"host"]
        await (other if host == b"other.test" else issuer)(scope, receive, send)

    upstream = UpstreamClient(http_client=httpx.AsyncClient(transport=httpx.ASGITransport(both)))
    rows = [issuer.settings(), other.settings(team="t9")]
    verifier = TokenVerifier(rows, upstream, clock=clock, monotonic=steady)

    assert (await verifier.verify(issuer.token())).name == "oidc:ann"
    assert (await verifier.verify(other.token("RS256", "k2", 1))).name == "oidc:ann"
    assert "does not publish" in await refused(verifier, issuer.token("RS256", "k2", 1))
    assert "does not publish" in await refused(verifier, other.token("RS256", "k1"))
    assert "signature is wrong" in await refused(verifier, other.token("RS256", "k2"))
    assert "signature is wrong" in await refused(verifier, issuer.token("RS256", "k1", 1))


async def test_headers_that_bring_a_key_along_are_not_followed(
    issuer: Issuer, make: Callable[..., TokenVerifier]
) -> None:
    """Neither the key itself nor an address of it."""
    mine = private_key("RS256", 5)
    jwk = published(mine, "RS256", kid="mine")
    verifier = make()
    await verifier.verify(issuer.token())
    for header in (
        {"jwk": jwk},
        {"jku": "https://evil.test/keys"},
        {"x5u": "https://evil.test/chain"},
        {"x5c": ["AAAA"]},
        {"jwk": jwk, "jku": "https://idp.test/keys"},
    ):
        for id in ("k1", "mine"):
            head = orjson.dumps({"alg": "RS256", "kid": id, **header})
            text = signed(head, orjson.dumps(claims()), mine, "RS256")
            await refused(verifier, text)
    assert issuer.asked == [DISCOVERY, "/keys"]


@pytest.mark.parametrize("header", [{"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": ["exp"]}, {"b64": False}])
async def test_demanded_extensions_are_refused(
    issuer: Issuer, make: Callable[..., TokenVerifier], header: dict[str, object]
) -> None:
    """Whoever does not know one must not pass it over."""
    head = orjson.dumps({"alg": "RS256", "kid": "k1", **header})
    text = signed(head, orjson.dumps(claims()), private_key("RS256"), "RS256")

    assert "extensions" in await refused(make(), text)
    assert issuer.asked == []


async def test_unknown_keys_cost_a_fetch_a_minute(
    issuer: Issuer, make: Callable[..., TokenVerifier], steady: Clock
) -> None:
    """Whoever makes up a key's id each time moves nothing but that."""
    verifier = make()
    for number in range(240):
        await refused(verifier, issuer.token("RS256", f"made-up-{number}"))
        steady.now += 1

    assert issuer.asked.count("/keys") == 4


async def test_tokens_of_the_old_and_the_new_key_come_while_an_issuer_changes_it(
    issuer: Issuer, make: Callable[..., TokenVerifier], steady: Clock
) -> None:
    """The new one is found when a token names it, the old one goes when the issuer takes it back."""
    verifier = make()
    await verifier.verify(issuer.token())
    steady.now += 61
    issuer.add("RS256", "k2", 1)
    tokens = [
        issuer.token("RS256", *pair, sub=f"user-{number}") for number in range(20) for pair in (("k1",), ("k2", 1))
    ]
    principals = await asyncio.gather(*[verifier.verify(text) for text in tokens])

    assert len(principals) == 40
    assert issuer.asked.count("/keys") == 2

    del issuer.keys[0]
    steady.now += 3601
    assert "does not publish" in await refused(verifier, issuer.token(sub="bob"))
    assert (await verifier.verify(issuer.token("RS256", "k2", 1, sub="bob"))).name == "oidc:bob"
    assert issuer.asked.count("/keys") == 3


async def test_an_issuer_that_is_away_is_no_fault_of_the_token(
    issuer: Issuer, make: Callable[..., TokenVerifier]
) -> None:
    """503 with a time to come back; the token is not shown."""
    issuer.break_down()
    verifier, text = make(), issuer.token()
    with pytest.raises(Overloaded) as caught:
        await verifier.verify(text)
    assert caught.value.retry_after == 5
    assert not any(part in caught.value.message for part in text.split("."))


async def test_one_who_leaves_takes_the_keys_from_nobody(issuer: Issuer, make: Callable[..., TokenVerifier]) -> None:
    """The first of many may be the one that leaves."""
    verifier = make()
    waiting = [asyncio.create_task(verifier.verify(issuer.token(sub=f"user-{number}"))) for number in range(9)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert not any(isinstance(result, BaseException) for result in results[1:])
    assert issuer.asked == [DISCOVERY, "/keys"]


# --- installation ---


def test_without_the_library_the_setting_is_refused(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the gateway is made, naming the extra; a gateway without issuers needs none."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigError, match=r"compatgw\[oidc\]"):
        TokenVerifier([issuer.settings()], issuer.upstream())
    TokenVerifier([], issuer.upstream())


def test_without_cryptography_the_setting_is_refused(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT alone knows shared secrets only."""
    monkeypatch.setattr(jwt.algorithms, "has_crypto", False)
    with pytest.raises(ConfigError, match=r"compatgw\[oidc\]"):
        TokenVerifier([issuer.settings()], issuer.upstream())


async def test_without_issuers_no_token_is_taken(issuer: Issuer) -> None:
    """Nobody vouches for it."""
    assert "issuer" in await refused(TokenVerifier([], issuer.upstream()), issuer.token())


def test_an_issuer_at_an_unsafe_address_is_a_wrong_setting(issuer: Issuer) -> None:
    """Told when the gateway is made."""
    with pytest.raises(ConfigError, match="https://"):
        TokenVerifier([issuer.settings(issuer="http://idp.test")], issuer.upstream())
