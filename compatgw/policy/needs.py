"""What a request needs of the model that answers it, read off the request itself.

What does not live here: which models have it (`plan.py`), counting for limits and money (`limits.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compatgw.wire.chat import ChatRequest, FileData

# Runs of spaces aside, no text's tokens are three times as long as an estimate takes them for.
_SURELY = 3
# No less than what an estimate counts for anything that is not text.
_PART = 3_000
_PDF_BASE64 = "JVBERi"  # "%PDF-"
_PDF = "application/pdf"
_PDFS = frozenset({_PDF, "application/x-pdf"})


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request needs.

    Attributes:
        tools: It offers tools. images, pdfs, audio: It shows some. json_schema: Its answer has to follow one.
        streaming: Its answer is to come bit by bit.
        input: About how many tokens it has.
        least: How many tokens it surely has; a model that takes less cannot take it.
        output: Most tokens of one choice, None when it does not say.
        choices: How many choices it asks for.
    """

    tools: bool = False
    images: bool = False
    pdfs: bool = False
    audio: bool = False
    json_schema: bool = False
    streaming: bool = False
    input: int = 0
    least: int = 0
    output: int | None = None
    choices: int = 1


def needs(request: ChatRequest, total: int) -> Needs:
    """What a chat needs. Files that do not say what they are need nothing that we know of.

    Args:
        total: About how many tokens it has (`limits.input_tokens`).
    """
    images = pdfs = audio = False
    others = 0
    for message in request["messages"]:
        content = message.get("content")
        if content is None or isinstance(content, str):
            continue
        for part in content:
            if part["type"] == "text":
                continue
            others += 1
            if part["type"] == "image_url":
                images = True
            elif part["type"] == "input_audio":
                audio = True
            elif part["type"] == "file":
                kind = _kind(part["file"])
                images = images or kind.startswith("image/")
                pdfs = pdfs or kind in _PDFS
    wanted = request.get("response_format")
    return Needs(
        tools=bool(request.get("tools") or request.get("functions")),
        images=images,
        pdfs=pdfs,
        audio=audio,
        json_schema=wanted is not None and wanted["type"] == "json_schema",
        streaming=bool(request.get("stream")),
        input=total,
        # What an image or a document comes to is anybody's guess, and may be next to nothing.
        least=max(0, total - others * _PART) // _SURELY,
        output=request.get("max_completion_tokens") or request.get("max_tokens"),
        choices=request.get("n") or 1,
    )


def parts_of(request: ChatRequest) -> Iterator[Any]:
    """All parts of all messages; a text that stands alone is none."""
    for message in request["messages"]:
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            yield from content


def is_image(part: Mapping[str, Any]) -> bool:
    """True for a part of a message that is an image, as a link, as data, or as a file."""
    if part["type"] == "file":
        return _kind(part["file"]).startswith("image/")
    return bool(part["type"] == "image_url")


def _kind(file: FileData) -> str:
    """The media type of a file, "" when nothing tells."""
    data = file.get("file_data") or file.get("data") or ""
    if data[:5].lower() == "data:":
        declared = data[5:100].partition(",")[0].partition(";")[0]
        data = data[:500].partition(",")[2]
    else:
        declared = file.get("media_type") or ""
    if data.startswith(_PDF_BASE64) or file.get("filename", "").lower().endswith(".pdf"):
        return _PDF
    return declared.strip().lower()
