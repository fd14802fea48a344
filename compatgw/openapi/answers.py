"""The shapes of answers that the wire's own types do not have: of other protocols, and of the gateway itself.

What does not live here: the hub's answers (`wire/`), those of the management API (`admin/documents.py`).
"""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON


@with_config(extra="allow")
class Open(TypedDict):
    """May hold more than what is written down."""


class ModelRow(TypedDict):
    """A model that can be called."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: NotRequired[int]
    max_output_tokens: NotRequired[int]


class ModelList(TypedDict):
    """The models that the caller may call."""

    object: Literal["list"]
    data: list[ModelRow]


class KeyTeam(TypedDict):
    """The team of a key."""

    id: str
    name: str | None


class KeyLimit(TypedDict):
    """A limit that calls are counted against."""

    of: Literal["key", "team"]
    kind: str
    limit: int
    remaining: int | None
    reset: str | None


class KeyWallet(TypedDict):
    """The wallet of a key's team; `free` is `balance` less `reserved`."""

    currency: str
    balance: str
    reserved: str
    free: str


class KeyBudget(TypedDict):
    """The budget of a key."""

    currency: str
    limit: str
    period: str
    label: str
    spent: str
    reserved: str
    remaining: str


class KeyProvider(TypedDict):
    """A provider's key that the team brought, without the key."""

    provider: str
    last4: str


class OwnKey(TypedDict):
    """The caller's own key; amounts are decimal numbers in text, what the caller does not have is null."""

    object: Literal["key"]
    id: str
    name: str
    hint: str | None
    team: KeyTeam | None
    scopes: list[str]
    models: list[str]
    team_models: list[str]
    plan: str | None
    expires_at: str | None
    limits: list[KeyLimit]
    wallet: KeyWallet | None
    budget: KeyBudget | None
    provider_keys: list[KeyProvider]


class GenerationRow(TypedDict):
    """What one call came to; times in milliseconds."""

    id: str
    created_at: str
    model: str
    requested_model: str
    provider_name: str | None
    streamed: bool
    is_byok: bool
    cached: bool
    status: int
    error_code: str | None
    tokens_prompt: int
    tokens_completion: int
    native_tokens_cached: int
    native_tokens_reasoning: int
    estimated: bool
    total_cost: str | None
    charged: str
    latency: int
    generation_time: int


class Generation(TypedDict):
    """The answer of `/v1/generation`."""

    data: GenerationRow


class Alive(TypedDict):
    """The answer of `/healthz`."""

    status: Literal["ok"]


class Ready(TypedDict):
    """The answer of `/readyz`."""

    status: Literal["ready", "not ready"]


class MessageUsage(Open):
    """Tokens as Anthropic counts them: what came from the cache stands beside the rest."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: NotRequired[int | None]
    cache_creation_input_tokens: NotRequired[int | None]


class MessageBlock(Open):
    """A block of a message: `text`, `tool_use`, `thinking`, ..."""

    type: str


class Message(Open):
    """The answer of `/v1/messages`."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[MessageBlock]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class MessageEvent(Open):
    """An event of a streamed message: `message_start`, `content_block_delta`, `message_stop`, `error`, ..."""

    type: str


class CountedTokens(Open):
    """The answer of `/v1/messages/count_tokens`."""

    input_tokens: int


class MessageErrorBody(Open):
    """What went wrong."""

    type: str
    message: str


class MessageError(Open):
    """Anthropic's error envelope."""

    type: Literal["error"]
    error: MessageErrorBody


class ResponseItem(Open):
    """An item of a response: `message`, `function_call`, `reasoning`, ..."""

    type: str


class ResponseUsage(Open):
    """Tokens of a response."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class Response(Open):
    """The answer of `/v1/responses`."""

    id: str
    object: Literal["response"]
    created_at: int | float
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    error: dict[str, JSON] | None
    incomplete_details: dict[str, JSON] | None
    model: str
    output: list[ResponseItem]
    usage: ResponseUsage | None


class ResponseEvent(Open):
    """An event of a streamed response: `response.created`, `response.output_text.delta`, ..."""

    type: str
    sequence_number: NotRequired[int]


class ResponseItems(Open):
    """What a response was asked."""

    object: Literal["list"]
    data: list[ResponseItem]
    has_more: bool
    first_id: str | None
    last_id: str | None


class ResponseDeleted(TypedDict):
    """That a response was deleted."""

    id: str
    object: str
    deleted: Literal[True]


class Transcription(Open):
    """The text of a recording, as JSON; `verbose_json` and `diarized_json` have more members."""

    text: str
