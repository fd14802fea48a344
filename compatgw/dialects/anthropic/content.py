"""Content parts of the hub become Anthropic's blocks: text, images, documents, and cache marks on them.

Text without a visible character is left out, because the API refuses it anywhere. Media stays
base64 and is never fetched; a link is passed on for the upstream to fetch where it does so.

What does not live here: whose parts they are and in which order (`messages.py`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import media
from compatgw.dialects.blocks.content import CACHE, NOT_FETCHED, TEXTS, held, is_link, standard
from compatgw.dialects.blocks.content import mark as carried
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.wire.chat import FileData

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_INSTEAD = {
    "input_audio": "Claude does not hear; send a transcript instead.",
    "video_url": "Claude does not see videos; send single frames as images instead.",
}


def mark(holder: Mapping[str, Any]) -> dict[str, Any] | None:
    """The cache mark that a part, message, tool or request carries, under either of its names."""
    there, ttl = carried(holder)
    if not there:
        return None
    return {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}


def marked(block: dict[str, Any], holder: Mapping[str, Any]) -> dict[str, Any]:
    """`block` with the mark of `holder`, if it has one."""
    found = mark(holder)
    return {**block, CACHE: found} if found else block


def text(value: str) -> list[dict[str, Any]]:
    """A text block, or none for text that the API would refuse."""
    return [{"type": "text", "text": value}] if value.strip() else []


def blocks(content: Any, where: str, left: Leftovers, *, links: bool) -> list[dict[str, Any]]:
    """The blocks of a user's, a tool's or a system message's content.

    Args:
        content: Text or parts; None is no content.
        where: Path of the message.
        left: Refuses what cannot be sent.
        links: The upstream fetches https links.

    Raises:
        InvalidRequest: Media that is not what it says.
        UnsupportedParameter: Audio, video, a file that only another vendor has.
    """
    if not isinstance(content, list):
        return text(content or "")
    out: list[dict[str, Any]] = []
    for index, part in enumerate(content):
        path = f"{where}.content[{index}]"
        kind = part["type"]
        if kind == "text":
            out += [marked(block, part) for block in text(part["text"])]
        elif kind == "image_url":
            out.append(marked(_image(part["image_url"]["url"], f"{path}.image_url.url", left, links), part))
        elif kind == "file":
            out.append(marked(_file(part, f"{path}.file", left, links), part))
        else:
            raise left.refusal(f"{path}.{kind}", _INSTEAD.get(kind, "Send text, images or documents."))
    return out


def _image(url: str, where: str, left: Leftovers, links: bool) -> dict[str, Any]:
    if media.is_data_url(url):
        return _block(media.from_data_url(url, where), where, left)
    return {"type": "image", "source": _link(url, where, left, links)}


def _link(url: str, where: str, left: Leftovers, links: bool) -> dict[str, Any]:
    if not is_link(url):
        raise InvalidRequest(f"'{where}' must be an https URL or a base64 data URL.", param=where)
    if not links:
        raise left.refusal(where, NOT_FETCHED)
    return {"type": "url", "url": url}


def _file(part: Mapping[str, Any], where: str, left: Leftovers, links: bool) -> dict[str, Any]:
    file = part["file"]
    member, value = held(file, where, left)
    if is_link(value):
        block: dict[str, Any] = {"type": "document", "source": _link(value, f"{where}.{member}", left, links)}
        name = file.get("filename")
    else:
        found = media.from_file(cast("FileData", file), where)
        name = found.filename
        block = _block(found, f"{where}.{member}", left)
    if block["type"] == "document":
        if name and name.strip():
            block["title"] = name
        for extra, kind in (("title", str), ("context", str), ("citations", dict)):
            if isinstance(part.get(extra), kind) and part[extra]:
                block[extra] = part[extra]
    return block


def _block(found: media.Media, where: str, left: Leftovers) -> dict[str, Any]:
    """An image or a document block out of bytes."""
    kind = found.media_type.partition(";")[0].strip()
    if kind in _IMAGES:
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": standard(found.data)}}
    if kind == "application/pdf":
        return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": standard(found.data)}}
    if kind.startswith("text/") or kind in TEXTS:
        source = {"type": "text", "media_type": "text/plain", "data": _decoded(found.data, where)}
        return {"type": "document", "source": source}
    raise left.refusal(
        where, f"It holds {kind or 'an unknown type'}; images (JPEG, PNG, GIF, WebP), PDF and text can be sent."
    )


def _decoded(data: str, where: str) -> str:
    try:
        found = base64.b64decode(standard(data)).decode("utf-8-sig")
    except ValueError:
        raise InvalidRequest(f"'{where}' is said to be text, but it is not UTF-8.", param=where) from None
    if not found.strip():
        raise InvalidRequest(f"'{where}' is an empty text. Leave the file out.", param=where)
    return found
