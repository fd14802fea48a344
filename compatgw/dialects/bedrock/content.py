"""Content parts of the hub become Bedrock's blocks: text, images, documents, sound, videos; cache points behind them.

Text without a visible character is left out, because it is refused anywhere. Media stays base64 and is
never fetched: only what lies in S3 is named by its address.

What does not live here: whose parts they are and in which order (`messages.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import media
from compatgw.dialects.blocks.content import NOT_FETCHED, TEXTS, held, is_link, mark, standard
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.bedrock.names import Names
    from compatgw.wire.chat import FileData, InputAudio

Block = dict[str, Any]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_WORD, _SHEET = "application/vnd.openxmlformats-officedocument.", "application/vnd.ms-"
_DOCUMENTS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    f"{_WORD}wordprocessingml.document": "docx",
    f"{_SHEET}excel": "xls",
    f"{_WORD}spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_VIDEOS = {
    "video/mp4": "mp4", "video/quicktime": "mov", "video/x-matroska": "mkv", "video/webm": "webm", "video/x-flv": "flv",
    "video/mpeg": "mpeg", "video/x-ms-wmv": "wmv", "video/3gpp": "three_gp",
}  # fmt: skip
_SOUNDS = {
    "mp3": "mp3", "mpeg": "mp3", "wav": "wav", "x-wav": "wav", "flac": "flac", "ogg": "ogg", "opus": "opus",
    "aac": "aac", "m4a": "m4a", "mp4": "mp4", "webm": "webm",
}  # fmt: skip
_SUFFIXES = {"doc": "doc", "docx": "docx", "xls": "xls", "xlsx": "xlsx", "csv": "csv", "html": "html", "md": "md"}


def point(holder: Mapping[str, Any], traits: Traits) -> list[Block]:
    """The cache point behind what a part, message or tool marks; none where it is not marked or taken."""
    there, ttl = mark(holder)
    if not there or not traits.cache:
        return []
    known = ttl if traits.cache_ttl else None
    return [{"cachePoint": {"type": "default", "ttl": known} if known else {"type": "default"}}]


def text(value: str) -> list[Block]:
    """A text block, or none for text that would be refused."""
    return [{"text": value}] if value.strip() else []


class Parts:
    """Reads the parts of one request.

    Args:
        traits: Of the model.
        names: Gives documents their names.
        left: Refuses what cannot be sent.
    """

    __slots__ = ("_left", "_names", "_traits")

    def __init__(self, traits: Traits, names: Names, left: Leftovers) -> None:
        self._traits = traits
        self._names = names
        self._left = left

    def blocks(self, content: Any, where: str) -> list[Block]:
        """The blocks of a user's, a tool's or a system message's content.

        Args:
            content: Text or parts; None is no content.
            where: Path of the message.

        Raises:
            InvalidRequest: Media that is not what it says.
            UnsupportedParameter: A link, or a kind of part that cannot be sent.
        """
        if not isinstance(content, list):
            return text(content or "")
        out: list[Block] = []
        for index, part in enumerate(content):
            found = self._block(part, f"{where}.content[{index}]")
            if found:
                out += found
                out += point(part, self._traits)
        return out

    def _block(self, part: Mapping[str, Any], path: str) -> list[Block]:
        kind = part["type"]
        if kind == "text":
            return text(part["text"])
        if kind == "image_url":
            return [self._image(part["image_url"]["url"], f"{path}.image_url.url")]
        if kind == "file":
            return [self._file(part["file"], f"{path}.file")]
        if kind == "input_audio":
            return [self._sound(part["input_audio"], f"{path}.input_audio")]
        if kind == "video_url":
            return [self._video(part["video_url"]["url"], f"{path}.video_url.url")]
        raise self._left.refusal(f"{path}.{kind}", "Send text, images, documents, sound or videos.")

    def _image(self, url: str, where: str) -> Block:
        if stored := _stored(url):
            suffix = url.rpartition(".")[2].lower()
            return {"image": {"format": _IMAGES.get(f"image/{suffix.replace('jpg', 'jpeg')}", "png"), **stored}}
        return self._media(self._data(url, where), where)

    def _data(self, url: str, where: str) -> media.Media:
        if media.is_data_url(url):
            return media.from_data_url(url, where)
        if is_link(url):
            raise self._left.refusal(where, NOT_FETCHED)
        raise InvalidRequest(f"'{where}' must be a base64 data URL, or an s3:// address.", param=where)

    def _video(self, url: str, where: str) -> Block:
        if stored := _stored(url):
            suffix = url.rpartition(".")[2].lower()
            return {"video": {"format": suffix if suffix in _VIDEOS.values() else "mp4", **stored}}
        return self._media(self._data(url, where), where)

    def _sound(self, audio: Mapping[str, Any], where: str) -> Block:
        found = media.from_audio(cast("InputAudio", audio), where)
        kind = _SOUNDS.get(found.media_type.partition("/")[2])
        if kind is None:
            raise self._left.refusal(f"{where}.format", f"Send one of: {', '.join(sorted(set(_SOUNDS.values())))}.")
        return {"audio": {"format": kind, "source": {"bytes": standard(found.data)}}}

    def _file(self, file: Mapping[str, Any], where: str) -> Block:
        member, value = held(file, where, self._left)
        name = file.get("filename")
        if stored := _stored(value):
            suffix = value.rpartition(".")[2].lower()
            kind = suffix if suffix in _DOCUMENTS.values() else "pdf"
            return {"document": {"format": kind, "name": self._names.document(name), **stored}}
        if is_link(value):
            raise self._left.refusal(f"{where}.{member}", "Links are not fetched there; send the bytes in base64.")
        found = media.from_file(cast("FileData", file), where)
        return self._media(found, f"{where}.{member}")

    def _media(self, found: media.Media, where: str) -> Block:
        """An image, a video or a document out of bytes."""
        kind = found.media_type.partition(";")[0].strip()
        source = {"source": {"bytes": standard(found.data)}}
        if kind in _IMAGES:
            return {"image": {"format": _IMAGES[kind], **source}}
        if kind in _VIDEOS:
            return {"video": {"format": _VIDEOS[kind], **source}}
        suffix = (found.filename or "").rpartition(".")[2].lower()
        form = _DOCUMENTS.get(kind) or _SUFFIXES.get(suffix)
        if form in ("txt", "pdf") and kind != "application/pdf":  # what is nothing known may say more in its name
            form = _SUFFIXES.get(suffix, form)
        if form is None and (kind.startswith("text/") or kind in TEXTS):
            form = "txt"
        if form is None:
            raise self._left.refusal(
                where, f"It holds {kind or 'an unknown type'}; images, PDF, text, Word, Excel and videos can be sent."
            )
        return {"document": {"format": form, "name": self._names.document(found.filename), **source}}


def fetches(url: str) -> bool:
    """True for what the service gets by itself: only what lies in its own vendor's storage."""
    return url[:5].lower() == "s3://"


def _stored(url: str) -> dict[str, Any] | None:
    """A source in S3, None for any other address."""
    return {"source": {"s3Location": {"uri": url}}} if fetches(url) else None
