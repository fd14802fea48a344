"""OpenAI's requests for images, to be made or to be edited, its answers as TypedDicts, and the events of its streams.

Unknown members are kept, so that other vendors' own (`seed`, `steps`, `negative_prompt`, ...) reach them. Ranges are
OpenAI's published ones; which words each family of models takes is for its dialect to say.

What does not live here: the validators and what clients may leave out (`surfaces/images.py`), forms (`multipart.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import Field
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON, Open

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.wire.multipart import Upload

GENERATION = "image_generation"
"""What the events of made images begin with."""
EDIT = "image_edit"
"""What the events of edited images begin with."""

MAX_PROMPT = 32_000
"""Characters."""
MAX_IMAGES = 10
"""Images that one request may ask for."""
MAX_INPUTS = 16
"""Images that one request may have edited."""

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=512)]
Prompt: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
Size: TypeAlias = Annotated[str, Field(pattern=r"\A(auto|[1-9]\d{0,4}x[1-9]\d{0,4})\z")]


class Asked(Open):
    """What both requests have."""

    model: Name
    prompt: Prompt
    background: NotRequired[Literal["transparent", "opaque", "auto"]]
    complexity: NotRequired[Literal["low", "medium", "high"]]
    frame_count: NotRequired[Annotated[int, Field(ge=2, le=16)]]
    frame_duration_ms: NotRequired[Annotated[int, Field(ge=1, le=655_350)]]
    moderation: NotRequired[Literal["low", "auto"]]
    n: NotRequired[Annotated[int, Field(ge=1, le=MAX_IMAGES)]]
    output_compression: NotRequired[Annotated[int, Field(ge=0, le=100)]]
    output_format: NotRequired[Literal["png", "jpeg", "webp", "gif", "svg"]]
    partial_images: NotRequired[Annotated[int, Field(ge=0, le=3)]]
    quality: NotRequired[Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]]
    response_format: NotRequired[Literal["url", "b64_json"]]
    safety_identifier: NotRequired[str]
    size: NotRequired[Size]
    stream: NotRequired[bool]
    user: NotRequired[str]


class ImageRequest(Asked):
    """`POST /images/generations`."""

    style: NotRequired[Literal["vivid", "natural"]]
    svg: NotRequired[dict[str, JSON]]


class Source(Open):
    """An image of a JSON request: a `data:` URL or an address, or a file that the upstream has already."""

    image_url: NotRequired[str]
    file_id: NotRequired[str]


class EditRequest(Asked):
    """`POST /images/edits`: its images stand in `images` where it came as JSON, in `files` where it came as a form."""

    images: NotRequired[Annotated[list[Source], Field(min_length=1, max_length=MAX_INPUTS)]]
    mask: NotRequired[Source]
    input_fidelity: NotRequired[Literal["high", "low"]]


class EditForm(EditRequest):
    """A validated form, with its files: `image` or `image[]`, `mask`, `markup`."""

    files: list[Upload]


# --- answers ---------------------------------------------------------------------------------


class Image(TypedDict, total=False):
    """One image, as base64 or as an address."""

    b64_json: str
    url: str
    revised_prompt: str


class TokenDetails(TypedDict, total=False):
    """Parts of a number of tokens."""

    text_tokens: int
    image_tokens: int


class ImageUsage(TypedDict):
    """Tokens of one call."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: NotRequired[TokenDetails]
    output_tokens_details: NotRequired[TokenDetails]


class ImagesAnswer(TypedDict):
    """The answer to both requests."""

    created: int
    data: list[Image]
    background: NotRequired[str]
    output_format: NotRequired[str]
    quality: NotRequired[str]
    size: NotRequired[str]
    usage: NotRequired[ImageUsage]


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def kind_of(head: bytes) -> str | None:
    """The media type of an image that begins with `head` (12 bytes are enough), None for all else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


_QUALITIES = ("low", "medium", "high", "xhigh", "max")
_NOTHING: ImageUsage = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}


# --- streams ---------------------------------------------------------------------------------


def event(name: str, data: bytes) -> bytes:
    """One event of a stream of images, which all have names."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def completed(answer: Mapping[str, Any], kind: str, asked: Mapping[str, Any]) -> bytes:
    """A whole answer as the events of a stream: one for each image, the usage of all on the last.

    Clients read `usage` of each event without a look, so that where nothing is told it counts 0.

    Args:
        answer: An `ImagesAnswer`.
        kind: `GENERATION` or `EDIT`.
        asked: The request, for what the answer does not say of its images.
    """
    name = f"{kind}.completed"
    *others, last = answer["data"]
    quality = answer.get("quality") or asked.get("quality")
    members = {
        "type": name,
        "created_at": answer["created"],
        "background": answer.get("background") or asked.get("background") or "auto",
        "output_format": answer.get("output_format") or "png",
        "quality": quality if quality in _QUALITIES else "auto",
        "size": answer.get("size") or asked.get("size") or "auto",
    }
    out = [event(name, orjson.dumps({**members, **image, "usage": _NOTHING})) for image in others]
    out.append(event(name, orjson.dumps({**members, **last, "usage": answer.get("usage") or _NOTHING})))
    return b"".join(out)
