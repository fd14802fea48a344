"""vcrpy's recordings as interactions of our cassettes, and back.

vcrpy keeps one joined body for an answer: an event stream is cut at the ends of its events
here, and the cassette says that its chunks are inferred. Back again the chunks are joined.

What does not live here: files and vcrpy's hooks (`vcr.py`), scrubbing (`cassettes/scrub.py`).
"""

from __future__ import annotations

import gzip
import re
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from compatgw_testing.cassettes.format import Chunk, End, Head, Interaction, RecordedRequest
from compatgw_testing.cassettes.services import origin_of, service_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A blank line ends an event; a line ends with CR, LF or both, and both together are one end.
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r){2,}")
_LINE_END = re.compile(rb"\n")
_ENDS: Mapping[str, re.Pattern[bytes]] = {
    "text/event-stream": _EVENT_END,
    "application/x-ndjson": _LINE_END,
    "application/stream+json": _LINE_END,
}
# These say how the bytes of vcrpy's body came over the wire, which is not how they are kept.
_FRAMING = frozenset({"content-encoding", "transfer-encoding"})


class NotConvertible(ValueError):
    """A recording that the other format cannot hold; the text says which and why."""


def interaction_of(request: Mapping[str, Any], response: Mapping[str, Any], *, exact: bool = False) -> Interaction:
    """One recording of vcrpy.

    Args:
        request: What vcrpy writes of a request: `method`, `uri`, `body`, `headers`.
        response: What it writes of an answer, in any of its versions.
        exact: Keep an address that is only another name of a service, so that `url_of` gives it back.

    Raises:
        NotConvertible: The body is compressed in a way that is not known here.
    """
    if "status_code" in response:
        status, body = response["status_code"], response.get("content") or b""
    else:
        status, body = response["status"]["code"], (response.get("body") or {}).get("string") or b""
    headers = list(_pairs(response.get("headers") or {}))
    data = _plain(_bytes(body), headers, request["uri"])
    kind = next((value for name, value in headers if name == "content-type"), "")
    kept = tuple(
        (name, value)
        for name, value in headers
        if name not in _FRAMING and (name != "content-length" or value == str(len(data)))
    )
    chunks = tuple(Chunk(0.0, piece) for piece in split(data, kind))
    return Interaction(_request(request, exact=exact), Head(int(status), kept), chunks, End())


def pair_of(interaction: Interaction) -> tuple[dict[str, Any], dict[str, Any]]:
    """What vcrpy keeps of a request and of its answer, as it writes them.

    Raises:
        NotConvertible: The answer did not end well, which vcrpy cannot say: it would replay it as whole.
    """
    asked, head, end = interaction.request, interaction.head, interaction.end
    url = url_of(asked)
    if head is None or end.kind != "eof":
        raise NotConvertible(
            f"{asked.method} {url}: its answer ended with {end.kind!r}, and vcrpy has no word for that; it would "
            "replay what came as a whole answer"
        )
    request = {
        "method": asked.method,
        "uri": url,
        "body": _text(asked.body) if asked.body else None,
        "headers": _listed(asked.headers),
    }
    try:
        reason = HTTPStatus(head.status).phrase
    except ValueError:
        reason = ""
    response = {
        "status": {"code": head.status, "message": reason},
        "headers": _listed(head.headers),
        "body": {"string": _text(interaction.body)},
    }
    return request, response


def split(body: bytes, content_type: str) -> list[bytes]:
    """A body in pieces: an event stream at the ends of its events, others whole. Joined they are `body` again."""
    ends = _ENDS.get(content_type.partition(";")[0].strip().lower())
    if ends is None:
        return [body] if body else []
    pieces: list[bytes] = []
    start = 0
    for match in ends.finditer(body):
        pieces.append(body[start : match.end()])
        start = match.end()
    if start < len(body):
        pieces.append(body[start:])
    return pieces


def url_of(request: RecordedRequest) -> str:
    """The whole URL of a request."""
    query = f"?{urlencode(request.query)}" if request.query else ""
    return f"{origin_of(request.service)}{request.path}{query}"


def _request(request: Mapping[str, Any], *, exact: bool) -> RecordedRequest:
    parts = urlsplit(request["uri"])
    service, path = service_at(request["uri"])
    if exact and urlsplit(origin_of(service)).hostname != parts.hostname:
        service = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return RecordedRequest(
        method=request["method"].upper(),
        service=service,
        path=path,
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        headers=tuple(pair for pair in _pairs(request.get("headers") or {}) if pair[0] not in _FRAMING),
        body=_bytes(request.get("body")),
    )


def _pairs(headers: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, values in headers.items():
        for value in values if isinstance(values, (list, tuple)) else [values]:
            yield name.lower(), value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _listed(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, value in headers:
        listed.setdefault(name, []).append(value)
    return listed


def _plain(body: bytes, headers: list[tuple[str, str]], url: str) -> bytes:
    """`body` without its compression: what is compressed can be neither read nor scrubbed."""
    for coding in [one.strip() for name, value in headers if name == "content-encoding" for one in value.split(",")]:
        if not body or coding in ("", "identity"):
            continue
        if coding in ("gzip", "x-gzip"):
            # Recorded with `decode_compressed_response`, a body may be plain and its header still there.
            body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        elif coding == "deflate":
            body = _inflated(body)
        else:
            raise NotConvertible(
                f"{url}: the answer is compressed with {coding}, and cannot be scrubbed; record it again with "
                "`accept-encoding: gzip`"
            )
    return body


def _inflated(body: bytes) -> bytes:
    for bits in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
        try:
            return zlib.decompress(body, bits)
        except zlib.error:
            continue
    return body


def _bytes(body: Any) -> bytes:
    """Bodies may have been files or iterators when they were recorded."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return _bytes(body.read()) if hasattr(body, "read") else b"".join(map(_bytes, body))


def _text(data: bytes) -> str | bytes:
    """As vcrpy keeps bodies: text where it can be."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
