"""Keys as headers: the ways vendors take them, what no header may hold, and that nothing shows a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.providers.auth import Credential, google_account, headers, project_of, read

# In pieces, so that no scanner takes it for a real one.
_KIND = "PRIVATE KEY"
PEM = "\n".join([f"-----BEGIN {_KIND}-----", *["s3cretLineOfTheKey" * 3] * 3, "Q==", f"-----END {_KIND}-----", ""])
ACCOUNT = {
    "type": "service_account",
    "project_id": "p-1",
    "private_key_id": "kid-1",
    "private_key": PEM,
    "client_email": "robot@p-1.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "hush-hush", "refresh_token": "1//refresh"}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("bearer", (("Authorization", "Bearer k-1"),)),
        ("x-api-key", (("x-api-key", "k-1"),)),
        ("x-goog-api-key", (("x-goog-api-key", "k-1"),)),
        ("api-key", (("api-key", "k-1"),)),
        ("none", ()),
    ],
)
def test_a_key_goes_the_vendors_way(scheme: str, expected: tuple[tuple[str, str], ...]) -> None:
    """One header, or none."""
    assert headers(scheme, "k-1") == expected
    assert read(scheme, "k-1").headers == expected


@pytest.mark.parametrize("bad", ["\r\nX-Evil: 1", "\n", " ", "\t", "\x00", "\x7f", "é", "\u2028"])
@pytest.mark.parametrize("scheme", ["bearer", "aws", "google"])
def test_a_key_that_would_end_its_header_is_refused_without_being_shown(bad: str, scheme: str) -> None:
    """A line break in a key is a header of somebody else's."""
    with pytest.raises(ValueError, match="key") as error:
        read(scheme, f"sk-hidden{bad}")

    assert "sk-hidden" not in str(error.value)


def test_no_key_is_no_header() -> None:
    """Servers of one's own need none, whatever the scheme."""
    for scheme in ("bearer", "aws", "google", "none"):
        assert read(scheme, "") == Credential()


# --- AWS -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "token"), [("AKIDX:se/cr+et", ""), ("ASIAX:se/cr+et:to/ken==", "to/ken==")], ids=["lasting", "temporary"]
)
def test_an_access_key_signs(secret: str, token: str) -> None:
    """With the session token of a temporary one; it is in no fixed header."""
    found = read("aws", secret, "eu-west-1/bedrock")

    assert found.headers == ()
    assert found.signs is not None
    assert (found.signs.secret, found.signs.token) == ("se/cr+et", token)
    signed = dict(found.sign("POST", "https://x.test/", (), b"", 0.0))
    assert f"Credential={found.signs.id}/19700101/eu-west-1/bedrock/aws4_request" in signed["Authorization"]
    assert signed.get("X-Amz-Security-Token", "") == token


def test_a_bedrock_api_key_is_a_bearer_token() -> None:
    """It signs nothing, so no region is needed."""
    found = read("aws", "bedrock-api-key-abc")

    assert found.headers == (("Authorization", "Bearer bedrock-api-key-abc"),)
    assert found.sign("POST", "https://x.test/", (), b"", 0.0) == ()


@pytest.mark.parametrize(
    ("secret", "realm", "word"),
    [("AKIDX:", "r/s", "ID:SECRET"), (":secret", "r/s", "ID:SECRET"), ("a-b:secret", "r/s", "ID:SECRET"),
     ("AKIDX:hidden", "", "region"), ("AKIDX:hidden", "/bedrock", "region")],
)  # fmt: skip
def test_a_key_of_which_a_part_is_missing_is_refused(secret: str, realm: str, word: str) -> None:
    """In words that show none of it."""
    with pytest.raises(ValueError, match=word) as error:
        read("aws", secret, realm)

    assert "hidden" not in str(error.value)
    assert "secret" not in str(error.value)


# --- Google ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "header"),
    [("ya29.token", ("Authorization", "Bearer ya29.token")), ("AIzaKey", ("x-goog-api-key", "AIzaKey")),
     ("AQ.express", ("x-goog-api-key", "AQ.express"))],
)  # fmt: skip
def test_tokens_and_keys_of_google_go_as_they_are(secret: str, header: tuple[str, str]) -> None:
    """An access token by itself, and the keys of express mode."""
    assert read("google", secret).headers == (header,)


@pytest.mark.parametrize("value", [ACCOUNT, USER])
def test_an_account_gets_tokens(value: dict[str, Any]) -> None:
    """It is no header by itself."""
    found = read("google", json.dumps(value))

    assert found.headers == ()
    assert found.account is not None
    assert found.account.token_url == "https://oauth2.googleapis.com/token"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "JSON"),
        ('{"type": "service_account"}', "client_email"),
        (json.dumps({**ACCOUNT, "private_key": ""}), "private_key"),
        (json.dumps({**USER, "refresh_token": 3}), "refresh_token"),
        (json.dumps({**ACCOUNT, "type": "external_account"}), "service_account"),
        *[
            (json.dumps({**ACCOUNT, "token_uri": url}), "googleapis.com")
            for url in (
                "http://oauth2.googleapis.com/token", "http://169.254.169.254/", "https://evil.test/", "file:///etc/x",
                "https://oauth2.googleapis.com.evil.test/", "https://oauth2.googleapis.com@evil.test/", "https://[::1",
                "https://notgoogleapis.com/", "https://oauth2.googleapis.com:8443/", 3,
            )
        ],
    ],
)  # fmt: skip
def test_credentials_that_are_none_are_refused(text: str, word: str) -> None:
    """And a key says nowhere else where its tokens are had: teams bring their own keys, and nobody's network with them."""
    with pytest.raises(ValueError, match=word) as error:
        google_account(text)

    assert "s3cretLine" not in str(error.value)


@pytest.mark.parametrize(
    ("secret", "project"), [(json.dumps(ACCOUNT), "p-1"), ("ya29.x", ""), ("[]", ""), ('{"project_id": 3}', "")]
)
def test_the_project_of_a_key(secret: str, project: str) -> None:
    """An account says where it is at home."""
    assert project_of(secret) == project


# --- secrets ---------------------------------------------------------------------------------

SECRETS = {
    "bearer": ("sk-very-secret", ["sk-very-secret"]),
    "aws": ("AKIDX:the/secret+key:the/token==", ["the/secret+key", "the/token=="]),
    "service account": (json.dumps(ACCOUNT), [PEM, json.dumps(PEM)[1:-1], "s3cretLineOfTheKey" * 3]),
    "user": (json.dumps(USER), ["hush-hush", "1//refresh"]),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_repr_shows_a_secret(name: str) -> None:
    """Nor any part of one."""
    secret, parts = SECRETS[name]
    scheme = {"service account": "google", "user": "google"}.get(name, name)
    found = read(scheme, secret, "r/s")
    shown = f"{found!r} {found.signs!r} {found.account!r} {[found]!r}"

    assert all(part not in shown for part in (secret, *parts))


@pytest.mark.parametrize("name", SECRETS)
def test_all_parts_of_a_secret_are_taken_out_of_a_text(name: str) -> None:
    """Whatever an upstream repeats of it, and every token that was had for it."""
    secret, parts = SECRETS[name]
    scheme = {"service account": "google", "user": "google"}.get(name, name)
    found = read(scheme, secret, "r/s")
    if found.account is not None:
        found.account.minted.append("ya29.minted")
        parts = [*parts, "ya29.minted"]
    text = found.redact(" and ".join(["It said:", secret, *parts]), "[redacted]")

    assert text.startswith("It said: and [redacted]")
    assert all(part not in text for part in (secret, *parts))


@settings(max_examples=60, deadline=None)
@given(secret=st.text(max_size=30), scheme=st.sampled_from(["bearer", "aws", "google", "api-key"]))
def test_any_text_is_a_credential_or_a_refusal(secret: str, scheme: str) -> None:
    """Nothing else happens, and what becomes a header is one line of ASCII."""
    try:
        found = read(scheme, secret, "r/s")
    except ValueError as error:
        assert len(secret) < 6 or secret not in str(error)
        return
    assert all(value.isascii() and value.isprintable() for _, value in found.headers)
