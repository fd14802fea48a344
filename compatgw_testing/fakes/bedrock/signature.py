"""Signature Version 4 as a server sees it: a call with its headers, checked against the secret.

Written from AWS's description of the signature, and from nothing of the gateway.
What does not live here: what a wrong signature is answered with (`fake.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>\w+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request, ?SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_UNRESERVED = "-_.~"


def fault(
    key: tuple[str, str], method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
) -> tuple[str, str] | None:
    """What is wrong with the signature of a call, as the class of error and its sentence; None for nothing.

    Args:
        key: Access key id and secret access key.
        method: Of the call.
        path: As it was sent, still percent-encoded.
        query: Names and values, decoded.
        headers: Names in lower case.
        body: Exact bytes.
    """
    match = _FORM.fullmatch(headers.get("authorization", ""))
    if match is None:
        return "IncompleteSignatureException", "Authorization header does not have the parts of a signature."
    if match["id"] != key[0]:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    moment, names = headers.get("x-amz-date", ""), match["names"].split(";")
    if not re.fullmatch(r"\d{8}T\d{6}Z", moment) or moment[:8] != match["date"]:
        return "IncompleteSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version."
    needed = {"host", *(name for name in headers if name.startswith("x-amz-") or name == "content-type")}
    if names != sorted(names) or not needed <= set(names) or not set(names) <= set(headers):
        return "InvalidSignatureException", "The headers that must be signed are not all signed."
    if match["service"] != "bedrock":
        return "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'."
    again = "/".join(quote(part, safe=_UNRESERVED) for part in path.split("/"))
    pairs = sorted((quote(name, safe=_UNRESERVED), quote(value, safe=_UNRESERVED)) for name, value in query.items())
    canonical = "\n".join(
        (
            method,
            again,
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            match["names"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    place = f"{match['date']}/{match['region']}/{match['service']}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{place}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"AWS4{key[1]}".encode()
    for part in place.split("/"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    right = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(right, match["signature"]):
        return "InvalidSignatureException", "The request signature we calculated does not match the signature provided."
    return None
