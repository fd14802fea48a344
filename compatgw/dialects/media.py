"""Media inside requests: `data:` URLs, file parts in both forms, what bytes really are.

Works on strings: payloads stay base64 and are never decoded but for their first bytes.
What does not live here: fetching a URL, any provider's shape for an image.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from compatgw.wire.chat import FileData, InputAudio

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<params>(?:;[^;,]*)*),", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+={0,2}\s*\Z", re.ASCII)
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "application/x-pdf": "application/pdf"}
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


class Media(NamedTuple):
    """Base64 bytes with what they are; `filename` when the caller gave one."""

    media_type: str
    data: str
    filename: str | None = None


def is_data_url(url: str) -> bool:
    """True for a `data:` URL, however it is cased."""
    return url[:5].lower() == "data:"


def from_data_url(url: str, param: str, default_type: str = "application/octet-stream") -> Media:
    """The payload of a `data:` URL, with its media type corrected where the bytes say otherwise.

    Raises:
        InvalidRequest: Not a base64 `data:` URL, or an empty one; `param` is its path.
    """
    match = _DATA_URL.match(url)
    if match is None or "base64" not in match["params"].lower().split(";"):
        raise InvalidRequest(f"'{param}' must be a data URL of the form data:<media type>;base64,<data>.", param=param)
    data = url[match.end() :].strip()
    _check(data, param)
    declared = match["type"].strip().lower() or default_type
    return Media(sniff(data) or _ALIASES.get(declared, declared), data)


def from_base64(data: str, media_type: str, param: str) -> Media:
    """Bare base64 with a declared type.

    Raises:
        InvalidRequest: Not base64; `param` is its path.
    """
    data = data.strip()
    _check(data, param)
    declared = media_type.strip().lower()
    return Media(sniff(data) or _ALIASES.get(declared, declared), data)


def from_file(file: FileData, param: str) -> Media:
    """A file part in either form: `file_data` (data URL or base64) or `data` with `media_type`.

    Raises:
        InvalidRequest: Neither form, a `file_id`, or bad base64; `param` is the path of `file`.
    """
    name = file.get("filename")
    if "file_data" in file:
        where = f"{param}.file_data"
        value = file["file_data"]
        if is_data_url(value):
            return from_data_url(value, where, "application/pdf")._replace(filename=name)
        return from_base64(value, _type_of(name), where)._replace(filename=name)
    if "data" in file:
        where = f"{param}.data"
        value = file["data"]
        if is_data_url(value):
            return from_data_url(value, where, file.get("media_type", "application/pdf"))._replace(filename=name)
        return from_base64(value, file.get("media_type") or _type_of(name), where)._replace(filename=name)
    raise InvalidRequest(
        f"'{param}' needs its bytes: 'file_data' (a base64 data URL), or 'data' with 'media_type'.",
        param=param,
        code="missing_parameter",
    )


def from_audio(audio: InputAudio, param: str) -> Media:
    """An `input_audio` part.

    Raises:
        InvalidRequest: Not base64.
    """
    return from_base64(audio["data"], f"audio/{audio['format'].lower()}", f"{param}.data")


def sniff(data: str) -> str | None:
    """Media type that the first bytes of base64 `data` show, None when they show none."""
    try:
        head = base64.b64decode(data[:32].replace("-", "+").replace("_", "/") + "==", validate=False)
    except ValueError:  # not base64, or not even ASCII
        return None
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def _check(data: str, param: str) -> None:
    # The alphabet is checked at both ends only: the middle of 5 MB is the upstream's to judge.
    if not _BASE64.match(data[-64:]) or not _BASE64.match(data[:64]):
        raise InvalidRequest(f"'{param}' does not hold base64 data.", param=param)


def _type_of(filename: str | None) -> str:
    suffix = (filename or "").rpartition(".")[2].lower()
    return {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}.get(
        suffix, "application/pdf"
    )
