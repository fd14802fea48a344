"""The hub: OpenAI's chat completion request, answer and chunk as TypedDicts.

Everything inside the gateway speaks these shapes as plain dicts; dialects translate to and
from them. Unknown members are kept at every level, so that fields younger than this file
reach the upstreams that know them.

Every union carries a callable discriminator whose tags stand in angle brackets: a location
in a validation error then reads as the path of the request once those tags are left out
(`surfaces/chat.py` does so). Ranges are OpenAI's published ones.

What does not live here: tolerance for sloppy clients and the validator (`surfaces/chat.py`),
translation (`dialects/`), defaults.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import Discriminator, Field, Tag, with_config
from typing_extensions import TypedDict

JSON: TypeAlias = Any
"""Any JSON value: what a schema, an argument or an unknown member holds."""


@with_config(extra="allow")
class Open(TypedDict):
    """Base of every wire shape: members that we do not name are kept."""


def by_type(value: JSON) -> str | None:
    """Tag of a member of a union that is told apart by its `type`."""
    kind = value.get("type") if isinstance(value, dict) else None
    return f"<{kind}>" if isinstance(kind, str) else None


def by_role(value: JSON) -> str | None:
    """Tag of a message."""
    role = value.get("role") if isinstance(value, dict) else None
    return f"<{role}>" if isinstance(role, str) else None


def by_kind(value: JSON) -> str | None:
    """Tag of a member that is a string, a list or an object."""
    if isinstance(value, str):
        return "<string>"
    if isinstance(value, list):
        return "<list>"
    return "<object>" if isinstance(value, dict) else None


# --- content parts ---------------------------------------------------------------------------


class TextPart(Open):
    """A piece of text."""

    type: Literal["text"]
    text: str


class ImageURL(Open):
    """Where an image is: an https URL or a `data:` URL."""

    url: str
    detail: NotRequired[str]


class ImagePart(Open):
    """An image."""

    type: Literal["image_url"]
    image_url: ImageURL


class InputAudio(Open):
    """Bare base64 with its container format."""

    data: str
    format: str


class AudioPart(Open):
    """Audio for the model to hear."""

    type: Literal["input_audio"]
    input_audio: InputAudio


class VideoURL(Open):
    """Where a video is."""

    url: str


class VideoPart(Open):
    """A video, as OpenRouter and vLLM have it."""

    type: Literal["video_url"]
    video_url: VideoURL


class FileData(Open):
    """A document: `file_data` is a `data:` URL or base64 (OpenAI); `data` is base64 with `media_type`."""

    file_data: NotRequired[str]
    file_id: NotRequired[str]
    filename: NotRequired[str]
    data: NotRequired[str]
    media_type: NotRequired[str]


class FilePart(Open):
    """A document such as a PDF."""

    type: Literal["file"]
    file: FileData


class RefusalPart(Open):
    """A refusal that the assistant gave earlier."""

    type: Literal["refusal"]
    refusal: str


class ThinkingPart(Open):
    """Reasoning inside assistant content, as Mistral replays it."""

    type: Literal["thinking"]


UserPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[ImagePart, Tag("<image_url>")]
    | Annotated[AudioPart, Tag("<input_audio>")]
    | Annotated[VideoPart, Tag("<video_url>")]
    | Annotated[FilePart, Tag("<file>")],
    Discriminator(by_type),
]
AssistantPart: TypeAlias = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[RefusalPart, Tag("<refusal>")]
    | Annotated[ThinkingPart, Tag("<thinking>")]
    | Annotated[ImagePart, Tag("<image_url>")],
    Discriminator(by_type),
]
SystemContent: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[Annotated[list[TextPart], Field(min_length=1)], Tag("<list>")],
    Discriminator(by_kind),
]
UserContent: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[Annotated[list[UserPart], Field(min_length=1)], Tag("<list>")],
    Discriminator(by_kind),
]
AssistantContent: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[AssistantPart], Tag("<list>")],
    Discriminator(by_kind),
]
ToolContent: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[list[UserPart], Tag("<list>")],
    Discriminator(by_kind),
]

# --- tool calls and messages -----------------------------------------------------------------


class FunctionArguments(Open):
    """A function's name and its arguments as a JSON string."""

    name: str
    arguments: str


class CustomInput(Open):
    """A custom tool's name and its free-form input."""

    name: str
    input: str


class FunctionCall(Open):
    """A call of a function tool."""

    id: str
    type: Literal["function"]
    function: FunctionArguments


class CustomCall(Open):
    """A call of a custom tool."""

    id: str
    type: Literal["custom"]
    custom: CustomInput


ToolCall: TypeAlias = Annotated[
    Annotated[FunctionCall, Tag("<function>")] | Annotated[CustomCall, Tag("<custom>")],
    Discriminator(by_type),
]


class SystemMessage(Open):
    """Instructions of the application."""

    role: Literal["system"]
    content: SystemContent
    name: NotRequired[str]


class DeveloperMessage(Open):
    """The same rank as `system`, under its newer name."""

    role: Literal["developer"]
    content: SystemContent
    name: NotRequired[str]


class UserMessage(Open):
    """What the user said."""

    role: Literal["user"]
    content: UserContent
    name: NotRequired[str]


class AssistantMessage(Open):
    """What the model answered earlier. Reasoning travels in the named extension members."""

    role: Literal["assistant"]
    content: NotRequired[AssistantContent]
    name: NotRequired[str]
    refusal: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    function_call: NotRequired[FunctionArguments]


class ToolMessage(Open):
    """A tool's result."""

    role: Literal["tool"]
    content: NotRequired[ToolContent]
    tool_call_id: str


class FunctionMessage(Open):
    """A function's result in the oldest form."""

    role: Literal["function"]
    content: NotRequired[str]
    name: str


Message: TypeAlias = Annotated[
    Annotated[SystemMessage, Tag("<system>")]
    | Annotated[DeveloperMessage, Tag("<developer>")]
    | Annotated[UserMessage, Tag("<user>")]
    | Annotated[AssistantMessage, Tag("<assistant>")]
    | Annotated[ToolMessage, Tag("<tool>")]
    | Annotated[FunctionMessage, Tag("<function>")],
    Discriminator(by_role),
]

# --- tools, formats, options -----------------------------------------------------------------


class FunctionDefinition(Open):
    """A function that the model may call; `parameters` is a JSON Schema."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: NotRequired[str]
    parameters: NotRequired[dict[str, JSON]]
    strict: NotRequired[bool]


class FunctionTool(Open):
    """A function tool."""

    type: Literal["function"]
    function: FunctionDefinition


class CustomDefinition(Open):
    """A tool that takes free text."""

    name: Annotated[str, Field(min_length=1, max_length=256)]
    description: NotRequired[str]
    format: NotRequired[dict[str, JSON]]


class CustomTool(Open):
    """A custom tool."""

    type: Literal["custom"]
    custom: CustomDefinition


Tool: TypeAlias = Annotated[
    Annotated[FunctionTool, Tag("<function>")] | Annotated[CustomTool, Tag("<custom>")],
    Discriminator(by_type),
]


class NamedFunction(Open):
    """A tool's name."""

    name: str


class FunctionChoice(Open):
    """Call this function."""

    type: Literal["function"]
    function: NamedFunction


class CustomChoice(Open):
    """Call this custom tool."""

    type: Literal["custom"]
    custom: NamedFunction


class AllowedTools(Open):
    """A subset of the tools, without changing the list."""

    mode: Literal["auto", "required"]
    tools: list[dict[str, JSON]]


class AllowedChoice(Open):
    """Choose among these."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


def by_choice(value: JSON) -> str | None:
    """Tag of a `tool_choice`: a word, or an object told apart by its type."""
    return "<string>" if isinstance(value, str) else by_type(value)


ToolChoice: TypeAlias = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("<string>")]
    | Annotated[FunctionChoice, Tag("<function>")]
    | Annotated[CustomChoice, Tag("<custom>")]
    | Annotated[AllowedChoice, Tag("<allowed_tools>")],
    Discriminator(by_choice),
]


class PlainFormat(Open):
    """Plain text, or some JSON object."""

    type: Literal["text", "json_object"]


class JSONSchema(Open):
    """A named JSON Schema."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: NotRequired[str]
    schema: NotRequired[dict[str, JSON]]
    strict: NotRequired[bool]


class JSONSchemaFormat(Open):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: JSONSchema


ResponseFormat: TypeAlias = Annotated[
    Annotated[PlainFormat, Tag("<text>")]
    | Annotated[PlainFormat, Tag("<json_object>")]
    | Annotated[JSONSchemaFormat, Tag("<json_schema>")],
    Discriminator(by_type),
]


class StreamOptions(Open):
    """How a stream is to be written."""

    include_usage: NotRequired[bool]
    include_obfuscation: NotRequired[bool]


class AudioOutput(Open):
    """How spoken answers sound."""

    format: str


class Prediction(Open):
    """Text that the answer will mostly repeat."""

    type: Literal["content"]


Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ChatRequest(Open):
    """The body of `POST /v1/chat/completions`, null members left out."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    messages: Annotated[list[Message], Field(min_length=1)]
    audio: NotRequired[AudioOutput]
    frequency_penalty: NotRequired[Annotated[float, Field(ge=-2, le=2)]]
    function_call: NotRequired[
        Annotated[
            Annotated[Literal["none", "auto"], Tag("<string>")] | Annotated[NamedFunction, Tag("<object>")],
            Discriminator(by_kind),
        ]
    ]
    functions: NotRequired[list[FunctionDefinition]]
    logit_bias: NotRequired[dict[str, Annotated[float, Field(ge=-100, le=100)]]]
    logprobs: NotRequired[bool]
    max_completion_tokens: NotRequired[Annotated[int, Field(ge=1)]]
    max_tokens: NotRequired[Annotated[int, Field(ge=1)]]
    metadata: NotRequired[dict[str, JSON]]
    modalities: NotRequired[list[str]]
    n: NotRequired[Annotated[int, Field(ge=1, le=128)]]
    parallel_tool_calls: NotRequired[bool]
    prediction: NotRequired[Prediction]
    presence_penalty: NotRequired[Annotated[float, Field(ge=-2, le=2)]]
    prompt_cache_key: NotRequired[str]
    reasoning_effort: NotRequired[Effort]
    response_format: NotRequired[ResponseFormat]
    safety_identifier: NotRequired[str]
    seed: NotRequired[Annotated[int, Field(ge=-(2**63), lt=2**63)]]
    service_tier: NotRequired[str]
    stop: NotRequired[
        Annotated[
            Annotated[str, Tag("<string>")] | Annotated[list[str], Tag("<list>")],
            Discriminator(by_kind),
        ]
    ]
    store: NotRequired[bool]
    stream: NotRequired[bool]
    stream_options: NotRequired[StreamOptions]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)]]
    tool_choice: NotRequired[ToolChoice]
    tools: NotRequired[list[Tool]]
    top_logprobs: NotRequired[Annotated[int, Field(ge=0, le=20)]]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    user: NotRequired[str]
    verbosity: NotRequired[str]
    web_search_options: NotRequired[dict[str, JSON]]


# --- answers ---------------------------------------------------------------------------------

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptTokensDetails(TypedDict, total=False):
    """Parts of `prompt_tokens`."""

    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int
    image_tokens: int
    text_tokens: int


class CompletionTokensDetails(TypedDict, total=False):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int
    audio_tokens: int
    image_tokens: int
    text_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(TypedDict):
    """Tokens of one call. Prompt includes cached and cache-write tokens, completion includes reasoning."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[PromptTokensDetails]
    completion_tokens_details: NotRequired[CompletionTokensDetails]


class AnswerFunction(TypedDict):
    """Name and arguments (a JSON string) of a call that the model makes."""

    name: str
    arguments: str


class AnswerToolCall(TypedDict, total=False):
    """A tool call in an answer; `extra_content` carries what must come back with it."""

    id: str
    type: str
    function: AnswerFunction
    custom: dict[str, str]
    extra_content: dict[str, JSON]


class AnswerMessage(TypedDict):
    """The assistant's message in an answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: NotRequired[list[AnswerToolCall]]
    function_call: NotRequired[AnswerFunction]
    annotations: NotRequired[list[dict[str, JSON]]]
    audio: NotRequired[dict[str, JSON]]
    images: NotRequired[list[dict[str, JSON]]]
    reasoning_content: NotRequired[str]
    reasoning: NotRequired[str]
    reasoning_details: NotRequired[list[dict[str, JSON]]]
    extra_content: NotRequired[dict[str, JSON]]


class Choice(TypedDict):
    """One of the answers."""

    index: int
    message: AnswerMessage
    logprobs: dict[str, JSON] | None
    finish_reason: FinishReason


class ChatCompletion(TypedDict):
    """The body of a successful answer that was not streamed."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: NotRequired[Usage]
    service_tier: NotRequired[str]
    system_fingerprint: NotRequired[str | None]


class DeltaToolCall(TypedDict, total=False):
    """A piece of a tool call; `id`, `type` and the name come once, with the opener."""

    index: int
    id: str
    type: str
    function: dict[str, str]
    custom: dict[str, str]
    extra_content: dict[str, JSON]


class Delta(TypedDict, total=False):
    """What a chunk adds to a choice."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    tool_calls: list[DeltaToolCall]
    function_call: dict[str, str]
    annotations: list[dict[str, JSON]]
    audio: dict[str, JSON]
    images: list[dict[str, JSON]]
    reasoning_content: str
    reasoning: str
    reasoning_details: list[dict[str, JSON]]
    extra_content: dict[str, JSON]


class ChunkChoice(TypedDict):
    """A chunk's part for one choice."""

    index: int
    delta: Delta
    logprobs: dict[str, JSON] | None
    finish_reason: FinishReason | None


class ChatChunk(TypedDict):
    """One event of a streamed answer."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: NotRequired[Usage | None]
    service_tier: NotRequired[str]
    system_fingerprint: NotRequired[str | None]
