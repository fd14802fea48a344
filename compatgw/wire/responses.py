"""OpenAI's Responses: the request as TypedDicts, and the marks that our own items carry.

As in `wire/chat.py`, unknown members are kept at every level and each union carries a callable
discriminator, so that a location in a validation error reads as a path of the request. Items and
tools of kinds that are not named here are taken as they are: only an upstream of this very protocol
can have them, and whoever translates the request says so.

What does not live here: reading a request (`surfaces/responses/`), sending one (`dialects/openai/`).
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Discriminator, Field, Tag

from compatgw.wire.chat import JSON, Effort, InputAudio, Open, by_choice, by_kind, by_type

MARK = "cgw"
"""What the ids of our own items begin with, behind their prefix: no upstream keeps items of such ids."""
SEAL = "cgw1."
"""What `encrypted_content` of our own reasoning items begins with: no upstream can read it."""
ORIGIN = "gateway_origin"
"""Member of kept items that names the provider which wrote them; it never leaves the gateway."""


# --- content parts ---------------------------------------------------------------------------


class InputText(Open):
    """Text for the model."""

    type: Literal["input_text"]
    text: str


class InputImage(Open):
    """An image: an https or `data:` URL, or a file that the upstream keeps."""

    type: Literal["input_image"]
    image_url: NotRequired[str]
    file_id: NotRequired[str]
    detail: NotRequired[str]


class InputFile(Open):
    """A document: as a `data:` URL, by its address, or one that the upstream keeps."""

    type: Literal["input_file"]
    file_data: NotRequired[str]
    file_url: NotRequired[str]
    file_id: NotRequired[str]
    filename: NotRequired[str]


class InputSound(Open):
    """Audio for the model to hear."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class OutputText(Open):
    """Text that the model said."""

    type: Literal["output_text"]
    text: str


class Refusal(Open):
    """A refusal that the model gave."""

    type: Literal["refusal"]
    refusal: str


Part: TypeAlias = Annotated[
    Annotated[InputText, Tag("<input_text>")]
    | Annotated[InputImage, Tag("<input_image>")]
    | Annotated[InputFile, Tag("<input_file>")]
    | Annotated[InputSound, Tag("<input_audio>")]
    | Annotated[OutputText, Tag("<output_text>")]
    | Annotated[Refusal, Tag("<refusal>")],
    Discriminator(by_type),
]
Content: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[Part], Tag("<list>")],
    Discriminator(by_kind),
]

# --- items -----------------------------------------------------------------------------------

CallId: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class MessageItem(Open):
    """What somebody said."""

    type: NotRequired[Literal["message"]]
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    id: NotRequired[str]


class FunctionCallItem(Open):
    """A call of a function; `arguments` is JSON in a string."""

    type: Literal["function_call"]
    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=256)]
    arguments: str
    namespace: NotRequired[str]


class FunctionOutputItem(Open):
    """What a function gave."""

    type: Literal["function_call_output"]
    call_id: CallId
    output: Content


class CustomCallItem(Open):
    """A call of a tool that takes free text."""

    type: Literal["custom_tool_call"]
    call_id: CallId
    name: Annotated[str, Field(min_length=1, max_length=256)]
    input: str
    namespace: NotRequired[str]


class CustomOutputItem(Open):
    """What a tool that takes free text gave."""

    type: Literal["custom_tool_call_output"]
    call_id: CallId
    output: Content


class ShellAction(Open):
    """A command that the caller runs."""

    command: list[str]


class ShellCallItem(Open):
    """A call of the caller's own shell."""

    type: Literal["local_shell_call"]
    call_id: CallId
    action: ShellAction


class ShellOutputItem(Open):
    """What the caller's shell gave. The call is named by `call_id`, or by `id` as OpenAI has it."""

    type: Literal["local_shell_call_output"]
    output: str
    call_id: NotRequired[CallId]
    id: NotRequired[CallId]


class SummaryText(Open):
    """A paragraph of a summary."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(Open):
    """Reasoning as it was."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(Open):
    """What the model thought; only who made `encrypted_content` can read it."""

    type: Literal["reasoning"]
    summary: NotRequired[list[SummaryText]]
    content: NotRequired[list[ReasoningText]]
    encrypted_content: NotRequired[str]
    id: NotRequired[str]


class ReferenceItem(Open):
    """An item that the upstream keeps."""

    type: NotRequired[Literal["item_reference"]]
    id: str


class OtherItem(Open):
    """An item of a tool that the upstream itself runs, or a kind that is younger than this file."""

    type: Annotated[str, Field(min_length=1, max_length=64)]


_KNOWN_ITEMS = frozenset(
    {
        "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
        "item_reference", "local_shell_call", "local_shell_call_output", "reasoning",
    }
)  # fmt: skip


def kind_of(item: JSON) -> str | None:
    """The kind of an item; messages and references may go without a `type`."""
    if not isinstance(item, dict):
        return None
    kind = item.get("type")
    if isinstance(kind, str):
        return kind
    return (
        None if "type" in item else "message" if "role" in item else "item_reference" if set(item) == {"id"} else None
    )


def by_item(value: JSON) -> str | None:
    """Tag of an item."""
    kind = kind_of(value)
    return None if kind is None else f"<{kind}>" if kind in _KNOWN_ITEMS else "<other>"


Item: TypeAlias = Annotated[
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionOutputItem, Tag("<function_call_output>")]
    | Annotated[CustomCallItem, Tag("<custom_tool_call>")]
    | Annotated[CustomOutputItem, Tag("<custom_tool_call_output>")]
    | Annotated[ShellCallItem, Tag("<local_shell_call>")]
    | Annotated[ShellOutputItem, Tag("<local_shell_call_output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
    | Annotated[ReferenceItem, Tag("<item_reference>")]
    | Annotated[OtherItem, Tag("<other>")],
    Discriminator(by_item),
]
Input: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[Item], Tag("<list>")],
    Discriminator(by_kind),
]

# --- tools, formats, options -----------------------------------------------------------------

ToolName: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class FunctionTool(Open):
    """A function that the model may call; `parameters` is a JSON Schema."""

    type: Literal["function"]
    name: ToolName
    description: NotRequired[str]
    parameters: NotRequired[dict[str, JSON]]
    strict: NotRequired[bool]


class CustomTool(Open):
    """A tool that takes free text, perhaps of a grammar."""

    type: Literal["custom"]
    name: ToolName
    description: NotRequired[str]
    format: NotRequired[dict[str, JSON]]


InnerTool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")],
    Discriminator(by_type),
]


class NamespaceTool(Open):
    """Tools under a common name."""

    type: Literal["namespace"]
    name: ToolName
    tools: Annotated[list[InnerTool], Field(min_length=1)]


class OtherTool(Open):
    """A tool that the upstream itself runs, or a kind that is younger than this file."""

    type: Annotated[str, Field(min_length=1, max_length=64)]


def by_tool(value: JSON) -> str | None:
    """Tag of a tool."""
    tag = by_type(value)
    return tag if tag is None or tag in ("<function>", "<custom>", "<namespace>") else "<other>"


Tool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")]
    | Annotated[CustomTool, Tag("<custom>")]
    | Annotated[NamespaceTool, Tag("<namespace>")]
    | Annotated[OtherTool, Tag("<other>")],
    Discriminator(by_tool),
]


class NamedChoice(Open):
    """Call this tool."""

    type: Literal["function", "custom"]
    name: ToolName


class AllowedChoice(Open):
    """Choose among these."""

    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: Annotated[list[dict[str, JSON]], Field(min_length=1)]


class OtherChoice(Open):
    """Call this tool, which the upstream itself runs."""

    type: Annotated[str, Field(min_length=1, max_length=64)]


def by_tool_choice(value: JSON) -> str | None:
    """Tag of a `tool_choice`."""
    tag = by_choice(value)
    return tag if tag in (None, "<string>", "<function>", "<custom>", "<allowed_tools>") else "<other>"


ToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<string>")]
    | Annotated[NamedChoice, Tag("<function>")]
    | Annotated[NamedChoice, Tag("<custom>")]
    | Annotated[AllowedChoice, Tag("<allowed_tools>")]
    | Annotated[OtherChoice, Tag("<other>")],
    Discriminator(by_tool_choice),
]


class PlainFormat(Open):
    """Plain text, or some JSON object."""

    type: Literal["text", "json_object"]


class SchemaFormat(Open):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    schema: dict[str, JSON]
    description: NotRequired[str]
    strict: NotRequired[bool]


Format: TypeAlias = Annotated[
    Annotated[PlainFormat, Tag("<text>")]
    | Annotated[PlainFormat, Tag("<json_object>")]
    | Annotated[SchemaFormat, Tag("<json_schema>")],
    Discriminator(by_type),
]


class TextOptions(Open):
    """What the answer looks like."""

    format: NotRequired[Format]
    verbosity: NotRequired[str]


class ReasoningOptions(Open):
    """How much the model thinks, and what it tells of it."""

    effort: NotRequired[Effort]
    summary: NotRequired[Literal["auto", "concise", "detailed"]]


class ResponseStreamOptions(Open):
    """How a stream is to be written."""

    include_obfuscation: NotRequired[bool]


class ResponsesRequest(Open):
    """The body of `POST /v1/responses`, null members left out."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    input: NotRequired[Input]
    background: NotRequired[bool]
    conversation: NotRequired[JSON]
    include: NotRequired[list[str]]
    instructions: NotRequired[str]
    max_output_tokens: NotRequired[Annotated[int, Field(ge=1)]]
    max_tool_calls: NotRequired[Annotated[int, Field(ge=1)]]
    metadata: NotRequired[
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
        ]
    ]
    parallel_tool_calls: NotRequired[bool]
    previous_response_id: NotRequired[Annotated[str, Field(min_length=1, max_length=256)]]
    prompt: NotRequired[dict[str, JSON]]
    prompt_cache_key: NotRequired[str]
    reasoning: NotRequired[ReasoningOptions]
    safety_identifier: NotRequired[str]
    service_tier: NotRequired[str]
    store: NotRequired[bool]
    stream: NotRequired[bool]
    stream_options: NotRequired[ResponseStreamOptions]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)]]
    text: NotRequired[TextOptions]
    tool_choice: NotRequired[ToolChoice]
    tools: NotRequired[list[Tool]]
    top_logprobs: NotRequired[Annotated[int, Field(ge=0, le=20)]]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    truncation: NotRequired[Literal["auto", "disabled"]]
    user: NotRequired[str]
