"""What bytes really are, by how they begin, and whether somebody said something else of them.

A declared type lies when the bytes are plainly of another kind: a PDF that is said to be an image. One image format
under the name of another is no lie that changes anything: dialects correct it. Bytes that show nothing are believed.

What does not live here: where the bytes come from (`fetching.py`), what an upstream takes (`dialects/`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.wire.chat import ChatRequest

HEAD = 512
"""Bytes that are enough to tell."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"heif": "image/heif",
    b"mif1": "image/heif", b"msf1": "image/heif", b"M4A ": "audio/mp4", b"qt  ": "video/quicktime",
}  # fmt: skip
_MARKUP = ((b"<!doctype html", "text/html"), (b"<html", "text/html"), (b"<svg", "image/svg+xml"))
# What says nothing about the bytes.
_UNSAID = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/download", "application/x-download",
     "application/force-download", "application/unknown", "unknown/unknown"}
)  # fmt: skip
# Text under another name; anything of type text/ is text anyway.
_TEXTS = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/x-ndjson",
     "application/jsonl", "application/javascript", "application/x-javascript", "application/xhtml+xml",
     "application/toml", "application/sql", "application/x-sh", "application/rtf", "application/csv"}
)  # fmt: skip
_ZIPPED = ("application/zip", "application/x-zip", "application/epub+zip", "application/vnd.")
# Base64 of `HEAD` bytes.
_LETTERS = HEAD * 4 // 3 + 4


def kind_of(head: bytes) -> str | None:
    """The media type that the first bytes show; None when they show none.

    Args:
        head: `HEAD` bytes, or all that there are.
    """
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00":
        return "image/bmp"
    if len(head) > 3 and head[0] == 0xFF and head[1] in (0xFB, 0xF3, 0xF2, 0xFA):
        return "audio/mpeg"
    start = head[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((found for opening, found in _MARKUP if start.startswith(opening)), None)


def is_text(data: bytes) -> bool:
    """True for UTF-8 without control characters that no text has."""
    if b"\x00" in data[:HEAD]:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def lies(declared: str, found: str | None) -> bool:
    """True when bytes that show themselves to be `found` are declared to be of another kind."""
    if found is None or (said := declared.partition(";")[0].strip().lower()) in _UNSAID:
        return False
    one, other = _family(said), _family(found)
    return one is not None and other is not None and one != other


def checked_media(request: ChatRequest) -> None:
    """Passes when no media inside `request` lies about its type.

    Raises:
        InvalidRequest: The first that does, with its path.
    """
    for index, message in enumerate(request["messages"]):
        content: Any = message.get("content")
        if content.__class__ is not list:
            continue
        for place, part in enumerate(content):
            if part["type"] == "text":
                continue
            for declared, data, path in _inside(part):
                if lies(declared, found := kind_of(_decoded(data))):
                    param = f"messages[{index}].content[{place}].{path}"
                    raise InvalidRequest(
                        f"'{param}' is declared as {declared[:100]}, but its bytes are {found}. Send what the type "
                        "says, or the type that it is.",
                        param=param,
                    )


def _inside(part: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The declared type, the base64 and the path of the media that stands in a part."""
    kind = part["type"]
    if kind in ("image_url", "video_url"):
        if (found := _data_url(part[kind].get("url"))) is not None:
            yield (*found, f"{kind}.url")
    elif kind == "input_audio":
        audio = part["input_audio"]
        yield "audio/" + str(audio.get("format", "")).lower(), audio["data"], "input_audio.data"
    elif kind == "file":
        file = part["file"]
        for member in ("file_data", "data"):
            value = file.get(member)
            if (found := _data_url(value)) is not None:
                yield (*found, f"file.{member}")
            elif isinstance(value, str) and isinstance(declared := file.get("media_type"), str):
                yield declared.lower(), value, f"file.{member}"


def _data_url(value: Any) -> tuple[str, str] | None:
    """The declared type and the base64 of a `data:` URL; None for anything else."""
    if not isinstance(value, str) or value[:5].lower() != "data:":
        return None
    comma = value.find(",", 0, HEAD)
    if comma < 0:
        return None
    declared, _, rest = value[5:comma].partition(";")
    return (declared.strip().lower(), value[comma + 1 : comma + 1 + _LETTERS]) if "base64" in rest.lower() else None


def _decoded(data: str) -> bytes:
    letters = "".join(data[:_LETTERS].split()).replace("-", "+").replace("_", "/").rstrip("=")
    # One letter alone is no byte; what is not base64 at all is for somebody else to refuse.
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4))
    except ValueError:
        return b""


def _family(kind: str) -> str | None:
    """What a type has in common with those it is easily mistaken for; None for one that is not known here."""
    if kind == "image/svg+xml" or kind.startswith("text/") or kind in _TEXTS:
        return "text"
    if kind in ("application/pdf", "application/x-pdf"):
        return "pdf"
    if kind.startswith(_ZIPPED):
        return "zip"
    head = kind.partition("/")[0]
    # Containers such as MP4 and Ogg hold either.
    return "sound" if head in ("audio", "video") else "image" if head == "image" else None
