"""Anthropic's request for a message as TypedDicts, and what its clients carry between two requests of theirs.

Unknown members and blocks younger than this file are kept: an upstream that speaks the protocol gets them
as they came. Tags of unions stand in angle brackets, as in `wire/chat.py`.

A client of this protocol brings back thinking blocks and call ids and nothing else. So reasoning that another
vendor gave is sealed: packed as text that looks like a signature, told by its beginning. No Anthropic upstream
takes it; the surface unpacks it for the vendor that it came from.

What does not live here: the answer (`surfaces/messages/`), what an upstream takes (`dialects/anthropic/`).
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import Discriminator, Field, Tag

from compatgw.wire.chat import JSON, Open, by_kind, by_role

# --- blocks ----------------------------------------------------------------------------------


class CacheControl(Open):
    """A mark: what stands before it is worth keeping."""

    type: Literal["ephemeral"]
    ttl: NotRequired[Literal["5m", "1h"]]


class TextBlock(Open):
    """Text."""

    type: Literal["text"]
    text: str
    cache_control: NotRequired[CacheControl | None]


class Base64Source(Open):
    """Bytes."""

    type: Literal["base64"]
    media_type: str
    data: str


class URLSource(Open):
    """An address that the upstream fetches."""

    type: Literal["url"]
    url: str


class FileSource(Open):
    """A file that the vendor keeps."""

    type: Literal["file"]
    file_id: str


class TextSource(Open):
    """Plain text as a document."""

    type: Literal["text"]
    media_type: NotRequired[str]
    data: str


class ContentSource(Open):
    """A document made of text and images."""

    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[DocumentPart], Tag("<list>")], Discriminator(by_kind)
    ]


def by_type(value: JSON) -> str | None:
    """Tag of a source, choice or format: its `type`."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if isinstance(kind, str) else None


class ImageBlock(Open):
    """An image."""

    type: Literal["image"]
    source: Annotated[
        Annotated[Base64Source, Tag("<base64>")]
        | Annotated[URLSource, Tag("<url>")]
        | Annotated[FileSource, Tag("<file>")],
        Discriminator(by_type),
    ]
    cache_control: NotRequired[CacheControl | None]


DocumentPart: TypeAlias = Annotated[
    Annotated[TextBlock, Tag("<text>")] | Annotated[ImageBlock, Tag("<image>")], Discriminator(by_type)
]


class DocumentBlock(Open):
    """A document."""

    type: Literal["document"]
    source: Annotated[
        Annotated[Base64Source, Tag("<base64>")]
        | Annotated[URLSource, Tag("<url>")]
        | Annotated[FileSource, Tag("<file>")]
        | Annotated[TextSource, Tag("<text>")]
        | Annotated[ContentSource, Tag("<content>")],
        Discriminator(by_type),
    ]
    title: NotRequired[str | None]
    context: NotRequired[str | None]
    citations: NotRequired[dict[str, JSON] | None]
    cache_control: NotRequired[CacheControl | None]


class SearchResultBlock(Open):
    """Something that a search of the caller's own found."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]


class ToolUseBlock(Open):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, JSON]
    cache_control: NotRequired[CacheControl | None]


class ThinkingBlock(Open):
    """What the model thought, and the signature that vouches for it."""

    type: Literal["thinking"]
    thinking: str
    signature: NotRequired[str]


class RedactedThinkingBlock(Open):
    """What the model thought, for its vendor alone to read."""

    type: Literal["redacted_thinking"]
    data: str


class ToolReferenceBlock(Open):
    """A tool that a search for tools found."""

    type: Literal["tool_reference"]
    tool_name: str


class OtherBlock(Open):
    """A block of the vendor's own tools, or one younger than this file."""

    type: str


def _tagger(*known: str) -> Any:
    tags = {kind: f"<{kind}>" for kind in known}

    def by_block(value: JSON) -> str | None:
        kind = value.get("type") if isinstance(value, dict) else None
        return tags.get(kind, "<other>") if isinstance(kind, str) else None

    return Discriminator(by_block)


_Other = Annotated[OtherBlock, Tag("<other>")]
ResultPart: TypeAlias = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")]
    | Annotated[ToolReferenceBlock, Tag("<tool_reference>")]
    | _Other,
    _tagger("text", "image", "document", "search_result", "tool_reference"),
]


class ToolResultBlock(Open):
    """What a call came to."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: NotRequired[
        Annotated[
            Annotated[str, Tag("<string>")] | Annotated[list[ResultPart], Tag("<list>")],
            Discriminator(by_kind),
        ]
    ]
    is_error: NotRequired[bool | None]
    cache_control: NotRequired[CacheControl | None]


UserBlock: TypeAlias = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ImageBlock, Tag("<image>")]
    | Annotated[DocumentBlock, Tag("<document>")]
    | Annotated[SearchResultBlock, Tag("<search_result>")]
    | Annotated[ToolResultBlock, Tag("<tool_result>")]
    | _Other,
    _tagger("text", "image", "document", "search_result", "tool_result"),
]
AssistantBlock: TypeAlias = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")]
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[RedactedThinkingBlock, Tag("<redacted_thinking>")]
    | _Other,
    _tagger("text", "tool_use", "thinking", "redacted_thinking"),
]
SystemBlock: TypeAlias = Annotated[Annotated[TextBlock, Tag("<text>")] | _Other, _tagger("text")]

# --- messages --------------------------------------------------------------------------------


class UserMessage(Open):
    """What the user said, and what calls came to."""

    role: Literal["user"]
    content: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[UserBlock], Tag("<list>")], Discriminator(by_kind)
    ]


class AssistantMessage(Open):
    """What the model answered earlier."""

    role: Literal["assistant"]
    content: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[AssistantBlock], Tag("<list>")], Discriminator(by_kind)
    ]


class SystemMessage(Open):
    """Instructions in the midst of a conversation."""

    role: Literal["system"]
    content: Annotated[
        Annotated[str, Tag("<string>")] | Annotated[list[SystemBlock], Tag("<list>")], Discriminator(by_kind)
    ]


Message: TypeAlias = Annotated[
    Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[SystemMessage, Tag("<system>")],
    Discriminator(by_role),
]

# --- tools, thinking, formats ----------------------------------------------------------------


class CustomTool(Open):
    """A tool of the caller's."""

    type: NotRequired[Literal["custom"]]
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: NotRequired[str]
    input_schema: dict[str, JSON]
    strict: NotRequired[bool]
    cache_control: NotRequired[CacheControl | None]


class VendorTool(Open):
    """A tool that the vendor defines; its type carries the day of its definition."""

    type: str


def by_tool(value: JSON) -> str | None:
    """Tag of a tool: of the caller's, or one that the vendor defines."""
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    return "<vendor>" if isinstance(kind, str) and kind != "custom" else "<custom>"


Tool: TypeAlias = Annotated[
    Annotated[CustomTool, Tag("<custom>")] | Annotated[VendorTool, Tag("<vendor>")], Discriminator(by_tool)
]


class AnyChoice(Open):
    """Call as the model likes, or call something."""

    type: Literal["auto", "any"]
    disable_parallel_tool_use: NotRequired[bool]


class ToolChoiceTool(Open):
    """Call this tool."""

    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: NotRequired[bool]


class NoChoice(Open):
    """Call nothing."""

    type: Literal["none"]


ToolChoice: TypeAlias = Annotated[
    Annotated[AnyChoice, Tag("<auto>")]
    | Annotated[AnyChoice, Tag("<any>")]
    | Annotated[ToolChoiceTool, Tag("<tool>")]
    | Annotated[NoChoice, Tag("<none>")],
    Discriminator(by_type),
]


class EnabledThinking(Open):
    """Think, with so many tokens."""

    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: NotRequired[str | None]


class OtherThinking(Open):
    """Think as the model sees fit."""

    type: Literal["adaptive", "between_tools"]
    display: NotRequired[str | None]


class NoThinking(Open):
    """Do not think."""

    type: Literal["disabled"]


Thinking: TypeAlias = Annotated[
    Annotated[EnabledThinking, Tag("<enabled>")]
    | Annotated[OtherThinking, Tag("<adaptive>")]
    | Annotated[OtherThinking, Tag("<between_tools>")]
    | Annotated[NoThinking, Tag("<disabled>")],
    Discriminator(by_type),
]


class JSONFormat(Open):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    schema: dict[str, JSON]


class OutputConfig(Open):
    """How hard to try, and the form of the answer."""

    effort: NotRequired[Literal["low", "medium", "high", "xhigh", "max"] | None]
    format: NotRequired[JSONFormat | None]


class Metadata(Open):
    """Who asks, as an opaque id."""

    user_id: NotRequired[str | None]


class CountRequest(Open):
    """The body of `POST /v1/messages/count_tokens`, null members left out."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=100_000)]
    system: NotRequired[
        Annotated[Annotated[str, Tag("<string>")] | Annotated[list[SystemBlock], Tag("<list>")], Discriminator(by_kind)]
    ]
    tools: NotRequired[list[Tool]]
    tool_choice: NotRequired[ToolChoice]
    thinking: NotRequired[Thinking]
    output_config: NotRequired[OutputConfig]
    output_format: NotRequired[JSONFormat]
    cache_control: NotRequired[CacheControl]
    mcp_servers: NotRequired[list[dict[str, JSON]]]


class MessagesRequest(CountRequest):
    """The body of `POST /v1/messages`, null members left out."""

    max_tokens: Annotated[int, Field(ge=0)]
    metadata: NotRequired[Metadata]
    service_tier: NotRequired[Literal["auto", "standard_only"]]
    stop_sequences: NotRequired[list[str]]
    stream: NotRequired[bool]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    top_k: NotRequired[Annotated[int, Field(ge=0)]]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)]]


UNCOUNTED = frozenset(MessagesRequest.__annotations__) - frozenset(CountRequest.__annotations__)
"""Members that say nothing to a count of tokens, and that it does not take."""
HEADERS = ("anthropic-version", "anthropic-beta")
"""Headers of the protocol, which an upstream that speaks it gets as the client sent them."""
VERSION = "2023-06-01"
"""What a client means that sends no `anthropic-version`."""

THREAD = "thread"
"""The member by which a client sends the newest messages alone, for a conversation that the vendor keeps."""

# --- what clients carry ----------------------------------------------------------------------

CLAUDE = "anthropic-claude-v1"
"""`format` of entries of `reasoning_details` that hold this protocol's own blocks."""
SEAL = "cgw1."
MAX_UNSEALED = 4 * 1024 * 1024
_OWN_ID = "toolu_cgw_"
_PORTABLE = re.compile(r"[a-zA-Z0-9_-]+")


def sealed(entries: list[dict[str, Any]]) -> str:
    """Entries of `reasoning_details` as one text, for clients that keep signatures; no secret is made of them."""
    return SEAL + base64.b64encode(zlib.compress(orjson.dumps(entries), 6)).decode()


def is_sealed(text: object) -> bool:
    """True for what `sealed` made."""
    return isinstance(text, str) and text[: len(SEAL)] == SEAL


def unsealed(text: str) -> list[dict[str, Any]]:
    """The entries that `sealed` packed; none where a client has changed the text."""
    try:
        packed = base64.b64decode(text[len(SEAL) :], validate=True)
        reader = zlib.decompressobj()
        data = reader.decompress(packed, MAX_UNSEALED)
        value = orjson.loads(data) if reader.eof else None
    except (binascii.Error, zlib.error, ValueError):
        return []
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def portable_id(given: str) -> str:
    """A call's id as this protocol has them: letters, digits, `_` and `-`. `own_id` is the way back."""
    if _PORTABLE.fullmatch(given) and not given.startswith(_OWN_ID):
        return given
    return _OWN_ID + base64.urlsafe_b64encode(given.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def own_id(given: str) -> str:
    """The id that `portable_id` was given; any other id as it is."""
    if not given.startswith(_OWN_ID):
        return given
    tail = given[len(_OWN_ID) :]
    try:
        return base64.b64decode(tail + "=" * (-len(tail) % 4), b"-_", validate=True).decode("utf-8", "surrogatepass")
    except ValueError:
        return given
