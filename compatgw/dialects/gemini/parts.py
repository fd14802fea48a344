"""Content parts of the hub become Gemini's: text, media inside the request, media by reference.

Nothing is fetched here. A reference that Gemini resolves by itself (its own Files API, YouTube,
Cloud Storage) is passed on; any other link is refused with its path.

What does not live here: whose parts they are and in which order (`messages.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw.dialects import media

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.gemini.models import Traits

_FILES = "https://generativelanguage.googleapis.com/"
_FILE_NAME = re.compile(r"files/[a-z0-9-]+")
_OWN = re.compile(
    r"https://generativelanguage\.googleapis\.com/[^\s]*"
    r"|https?://(www\.|m\.)?youtube\.com/(watch\?|shorts/|live/|embed/)[^\s]+|https?://youtu\.be/[^\s]+"
    r"|gs://[^\s]+"
)
_LINK = re.compile(r"(https?|gs)://", re.IGNORECASE)
_SUFFIXES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "heic": "image/heic",
    "heif": "image/heif", "gif": "image/gif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
    "csv": "text/csv", "html": "text/html", "mp3": "audio/mp3", "wav": "audio/wav", "flac": "audio/flac",
    "aac": "audio/aac", "ogg": "audio/ogg", "aiff": "audio/aiff", "mp4": "video/mp4", "mov": "video/mov",
    "mpeg": "video/mpeg", "webm": "video/webm", "avi": "video/avi",
}  # fmt: skip
RESOLUTIONS = {"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH", "original": "MEDIA_RESOLUTION_HIGH"}


def translate(part: Mapping[str, Any], where: str, left: Leftovers, traits: Traits) -> dict[str, Any] | None:
    """One part of a user's, a tool's or an assistant's content; None when nothing is left of it.

    Args:
        part: A part of the hub.
        where: Its path, such as `messages[0].content[1]`.
        left: Refuses what cannot be sent.
        traits: Of the model.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: A link that would have to be fetched.
    """
    kind = part["type"]
    if kind == "text":
        return {"text": part["text"]} if part["text"] else None
    if kind == "refusal":
        return {"text": part["refusal"]} if part["refusal"] else None
    if kind == "image_url":
        return _image(part["image_url"], f"{where}.image_url", left, traits)
    if kind == "video_url":
        return _located(part["video_url"], f"{where}.video_url", left, traits)
    if kind == "input_audio":
        return _inline(media.from_audio(part["input_audio"], f"{where}.input_audio"))
    if kind == "file":
        return _file(part["file"], f"{where}.file", left, traits)
    return None  # reasoning of earlier turns: worthless without its signature


def _image(image: Mapping[str, Any], where: str, left: Leftovers, traits: Traits) -> dict[str, Any]:
    out = _located(image, where, left, traits)
    level = RESOLUTIONS.get(image.get("detail", ""))
    if level is not None and traits.part_resolution:
        out["mediaResolution"] = {"level": level}
    return out


def _located(value: Mapping[str, Any], where: str, left: Leftovers, traits: Traits) -> dict[str, Any]:
    url = value["url"]
    if media.is_data_url(url):
        return _inline(media.from_data_url(url, f"{where}.url"))
    declared = value.get("format") or value.get("media_type")
    return _referred(url, declared, f"{where}.url", left, traits)


def _file(file: Mapping[str, Any], where: str, left: Leftovers, traits: Traits) -> dict[str, Any]:
    declared = file.get("format") or file.get("media_type")
    for name in ("file_id", "file_url", "file_data"):
        value = file.get(name)
        if not isinstance(value, str):
            continue
        if _LINK.match(value):
            return _referred(value, declared, f"{where}.{name}", left, traits)
        if name == "file_id" and "file_data" not in file and "data" not in file:
            if _FILE_NAME.fullmatch(value):
                return _referred(f"{_FILES}v1beta/{value}", declared, f"{where}.{name}", left, traits)
            raise left.refusal(
                f"{where}.{name}", "It must be a file of the Gemini Files API; or send the bytes as 'file_data'."
            )
    return _inline(media.from_file(file, where))  # type: ignore[arg-type]


def _inline(found: media.Media) -> dict[str, Any]:
    return {"inlineData": {"mimeType": found.media_type, "data": found.data}}


def fetches(url: str, traits: Traits) -> bool:
    """True for a link that Gemini follows by itself."""
    return _OWN.fullmatch(url) is not None or (traits.links and url.startswith("https://"))


def _referred(url: str, declared: Any, where: str, left: Leftovers, traits: Traits) -> dict[str, Any]:
    if not fetches(url, traits):
        raise left.refusal(where, "Links are not fetched for this model; send the bytes as a base64 data URL.")
    data = {"fileUri": url}
    suffix = url.partition("?")[0].rpartition(".")[2].lower()
    known = declared if isinstance(declared, str) and "/" in declared else _SUFFIXES.get(suffix)
    if known is None and ("youtu.be/" in url or "youtube.com/" in url):
        known = "video/mp4"
    if known is not None:
        data["mimeType"] = known
    return {"fileData": data}
