"""Signature Version 4: AWS's published examples, its own library where it is installed, and what a signature covers."""

from __future__ import annotations

import calendar
import time
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.providers.sigv4 import AwsKey, Scope, sign

KEY = AwsKey("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SCOPE = Scope("us-east-1", "service")
NOW = calendar.timegm(time.strptime("20150830T123600Z", "%Y%m%dT%H%M%SZ"))
HOST = "https://example.amazonaws.com"
FORM = ("Content-Type", "application/x-www-form-urlencoded")


def signature(*arguments: Any, **more: Any) -> str:
    """The signature alone."""
    return dict(sign(KEY, SCOPE, *arguments, **more))["Authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "expected"),
    [
        ("GET", "/", (), b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", (), b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            (),
            b"",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        ("POST", "/", (FORM,), b"Param1=value1", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "post-x-www-form-urlencoded"],
)
def test_the_published_examples(
    method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes, expected: str
) -> None:
    """The vendor's test suite gives the same signatures."""
    assert signature(method, HOST + path, headers, body, NOW) == expected


def test_the_whole_header_of_the_first_example() -> None:
    """Its parts in the vendor's order."""
    assert sign(KEY, SCOPE, "GET", f"{HOST}/", (), b"", NOW) == (
        ("X-Amz-Date", "20150830T123600Z"),
        (
            "Authorization",
            (
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                "SignedHeaders=host;x-amz-date, "
                "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
            ),
        ),
    )


MODELS = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
    "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fabc123",
    "plain",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("token", ["", "session/token+of=a=role"])
@pytest.mark.parametrize("host", ["https://bedrock-runtime.eu-west-1.amazonaws.com", "http://localhost:4566"])
@pytest.mark.parametrize("query", ["", "?b=2&a=1&a=0", "?empty&x=%20y"])
def test_it_is_what_the_vendors_library_signs(model: str, token: str, host: str, query: str) -> None:
    """Byte for byte, with ids that are quoted in the path."""
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    make = import_module("botocore.awsrequest").AWSRequest
    credentials = import_module("botocore.credentials").Credentials
    url, body = f"{host}/model/{model}/converse{query}", b'{"messages": []}'
    ours = dict(
        sign(
            AwsKey(KEY.id, KEY.secret, token),
            Scope("eu-west-1", "bedrock"),
            "POST",
            url,
            (("Content-Type", "application/json"),),
            body,
            time.time(),
        )
    )
    request = make("POST", url, {"Content-Type": "application/json"}, body)
    signer = auth.SigV4Auth(credentials(KEY.id, KEY.secret, token or None), "bedrock", "eu-west-1")
    request.context["timestamp"] = ours["X-Amz-Date"]
    request.headers["X-Amz-Date"] = ours["X-Amz-Date"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    canonical = signer.canonical_request(request)
    string = signer.string_to_sign(request, canonical)

    assert ours["Authorization"].rpartition("Signature=")[2] == signer.signature(string, request)
    assert f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}," in ours["Authorization"]


def test_a_session_token_is_sent_and_signed() -> None:
    """Temporary keys work only with it."""
    headers = dict(sign(AwsKey("A", "s", "t0ken"), SCOPE, "POST", HOST, (), b"", NOW))

    assert headers["X-Amz-Security-Token"] == "t0ken"
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in headers["Authorization"]


@pytest.mark.parametrize("name", ["User-Agent", "Connection", "Accept-Encoding", "Expect", "X-Amzn-Trace-Id"])
def test_what_is_changed_on_the_way_is_not_signed(name: str) -> None:
    """Proxies and libraries set these as they like."""
    assert signature("POST", HOST, ((name, "x"),), b"", NOW) == signature("POST", HOST, (), b"", NOW)


def test_a_key_shows_nothing_of_itself() -> None:
    """In no repr, alone or inside of something."""
    text = repr({"key": AwsKey("AKIDEXAMPLE", "s3cret", "t0ken")})

    assert "s3cret" not in text
    assert "t0ken" not in text


_words = st.text("abc XYZ09-_.~%/+", max_size=8)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=20), other=st.binary(max_size=20), value=_words, secret=st.text("ab/+", min_size=1))
def test_every_part_of_a_request_is_covered(body: bytes, other: bytes, value: str, secret: str) -> None:
    """Another body, header, path, method, time or secret is another signature; the secret itself is in none."""
    base = ("POST", f"{HOST}/model/a", (("X-Amz-Test", "v"),), body, NOW)
    first = signature(*base)
    changed = [
        ("PUT", *base[1:]),
        (base[0], f"{HOST}/model/b", *base[2:]),
        (*base[:2], (("X-Amz-Test", f"v-{value}".rstrip() + "-w"),), *base[3:]),
        (*base[:4], NOW + 1),
    ]
    if other != body:
        changed.append((*base[:3], other, NOW))
    assert len({first, *(signature(*one) for one in changed)}) == len(changed) + 1
    headers = sign(AwsKey("ID", f"hidden-{secret}-secret"), SCOPE, *base)
    assert f"hidden-{secret}-secret" not in str(headers)
