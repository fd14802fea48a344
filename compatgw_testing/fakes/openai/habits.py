"""How vendors that speak OpenAI's protocol differ from OpenAI, one row each.

Every member is something that was seen on the wire or stands in the vendor's documents. What
does not live here: code that acts on a habit (`rules.py`, `answers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One vendor's ways.

    Attributes:
        paths: Patterns of what stands before `/chat/completions`; the first is the usual one.
        base: The usual one as text.
        auth: Headers that may carry the key; `authorization` means a bearer token.
        id_form: Form of completion ids: `chatcmpl-...`, `gen-...`, `hex` or `uuid`.
        lists_models: Has `GET /models`.
        opening: Sent before the first event.
        first_chunk: A chunk before the first one that says something.
        extra: Members of every chunk and completion.
        plain_extra: Members of every completion.
        obfuscates: Chunks are padded to hide how long their texts are.
        refusals: Messages have a member `refusal`.
        logprobs: Choices have a member `logprobs`.
        choice_extra: Members of every choice.
        role: The role comes in the first delta, or in every one.
        usage: Where a stream's usage stands: in a chunk of its own without choices (if asked for), in one with an
            empty choice, in the finish chunk, or in every chunk.
        usage_null: Other chunks carry `usage: null`: if usage was asked for, always, or never.
        usage_details: Parts of usage that are broken down: all, reasoning and cached tokens, cached tokens, or none.
        usage_extra: Further members of usage.
        cache_split: Usage also says cache hits and misses flat.
        x_groq: Request id and usage also stand under `x_groq`.
        reasoning: Member that carries thought; `parts` for typed parts inside `content`; None: thought is not shown.
        reasoning_details: Thought also comes as `reasoning_details`.
        whole_calls: A tool call comes in one delta, with the finish reason, without index and type.
        whole_message: Chunks repeat the text so far under `message`.
        done: The stream ends with `[DONE]`.
        newline: Line end of the stream.
        errors: Envelope: OpenAI's, with the status as integer code, with it as text, or FastAPI's `detail`.
        unknown: Status for a member that the vendor does not know; None lets it through.
        takes: Members beside OpenAI's.
        refuses: Members of OpenAI's that count as unknown.
        closed_messages: Unknown members of messages are refused too.
        roles: Roles of messages.
        tool_id: Pattern of tool call ids.
        order: `strict`: after `tool` comes `assistant`, the last is `user` or `tool`; `alternate`: user and assistant.
        tools: Takes tools.
        models_rules: OpenAI's rules for its own models hold.
        lets: Patterns of members that may be otherwise than OpenAI's.
    """

    paths: tuple[str, ...] = ("/v1",)
    base: str = "/v1"
    auth: tuple[str, ...] = ("authorization",)
    id_form: Literal["chatcmpl", "gen", "hex", "uuid"] = "chatcmpl"
    lists_models: bool = True
    opening: bytes = b""
    first_chunk: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    plain_extra: Mapping[str, Any] = field(default_factory=dict)
    obfuscates: bool = False
    refusals: bool = False
    logprobs: bool = True
    choice_extra: Mapping[str, Any] = field(default_factory=dict)
    role: Literal["first", "every"] = "first"
    usage: Literal["own", "own_choice", "finish", "every"] = "own"
    usage_null: Literal["asked", "always", "never"] = "asked"
    usage_details: Literal["all", "both", "cached", "none"] = "both"
    usage_extra: Mapping[str, Any] = field(default_factory=dict)
    cache_split: bool = False
    x_groq: bool = False
    reasoning: Literal["reasoning_content", "reasoning", "parts"] | None = None
    reasoning_details: bool = False
    whole_calls: bool = False
    whole_message: bool = False
    done: bool = True
    newline: str = "\n"
    errors: Literal["openai", "int_code", "str_code", "detail"] = "openai"
    unknown: int | None = 400
    takes: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    closed_messages: bool = False
    roles: tuple[str, ...] = ("system", "developer", "user", "assistant", "tool", "function")
    tool_id: str | None = None
    order: Literal["free", "strict", "alternate"] = "free"
    tools: bool = True
    models_rules: bool = False
    lets: tuple[str, ...] = (r".*\.id", r".*\.tool_call_id", "service_tier", "messages.*tool_calls")


_PLAIN_ROLES = ("system", "user", "assistant", "tool")
_SAFE = {"filtered": False, "severity": "safe"}
_FILTERS = {"hate": _SAFE, "self_harm": _SAFE, "sexual": _SAFE, "violence": _SAFE}

HABITS: Mapping[str, Habit] = {
    "openai": Habit(
        extra={"service_tier": "default", "system_fingerprint": None},
        obfuscates=True,
        refusals=True,
        usage_details="all",
        models_rules=True,
        lets=(),
    ),
    "azure": Habit(
        paths=("/openai/v1", "/openai/deployments/[^/]+"),
        base="/openai/v1",
        auth=("api-key", "authorization"),
        extra={"system_fingerprint": None},
        plain_extra={"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _FILTERS}]},
        refusals=True,
        usage_details="all",
        choice_extra={"content_filter_results": _FILTERS},
        first_chunk={
            "choices": [],
            "created": 0,
            "id": "",
            "model": "",
            "object": "",
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _FILTERS}],
        },
        errors="str_code",
        models_rules=True,
        lets=(),
    ),
    "groq": Habit(
        paths=("/openai/v1",),
        base="/openai/v1",
        extra={"system_fingerprint": "fp_0000000000"},
        usage="finish",
        usage_null="never",
        x_groq=True,
        usage_extra={"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.03, "total_time": 0.05},
        reasoning="reasoning",
        takes=frozenset({"reasoning_format", "include_reasoning", "search_settings", "documents", "citation_options"}),
        refuses=frozenset({"logit_bias", "logprobs", "top_logprobs"}),
        closed_messages=True,
    ),
    "mistral": Habit(
        id_form="hex",
        usage="finish",
        usage_null="never",
        usage_details="cached",
        logprobs=False,
        reasoning="parts",
        whole_calls=True,
        errors="detail",
        unknown=422,
        takes=frozenset({"random_seed", "safe_prompt", "prompt_mode"}),
        refuses=frozenset(
            {
                "stream_options",
                "max_completion_tokens",
                "user",
                "store",
                "logit_bias",
                "seed",
                "logprobs",
                "top_logprobs",
            }
        ),
        closed_messages=True,
        roles=_PLAIN_ROLES,
        tool_id="[a-zA-Z0-9]{9}",
        lets=("messages.*", r"tools\[\d+\]\.type", "tool_choice"),
        order="strict",
    ),
    "deepseek": Habit(
        paths=("", "/v1", "/beta"),
        base="",
        id_form="uuid",
        opening=b": keep-alive\n\n",
        extra={"system_fingerprint": "fp_0000000000_prod"},
        usage="finish",
        usage_null="always",
        cache_split=True,
        reasoning="reasoning_content",
        unknown=None,
        roles=_PLAIN_ROLES,
    ),
    "openrouter": Habit(
        paths=("/api/v1",),
        base="/api/v1",
        id_form="gen",
        opening=b": OPENROUTER PROCESSING\n\n",
        extra={"provider": "OpenAI"},
        role="every",
        refusals=True,
        usage="own_choice",
        usage_null="never",
        usage_extra={"cost": 0.00125, "is_byok": False, "cost_details": {"upstream_inference_cost": None}},
        reasoning="reasoning",
        reasoning_details=True,
        errors="int_code",
        unknown=None,
        lets=("messages.*", r"tools\[\d+\]\.type", "service_tier", "reasoning_effort"),
    ),
    "perplexity": Habit(
        paths=("",),
        base="",
        id_form="uuid",
        lists_models=False,
        extra={
            "citations": ["https://example.com/a"],
            "search_results": [{"title": "An example", "url": "https://example.com/a", "date": None}],
        },
        role="every",
        usage="every",
        usage_null="never",
        usage_details="none",
        usage_extra={
            "search_context_size": "low",
            "cost": {"input_tokens_cost": 0.0, "output_tokens_cost": 0.0, "request_cost": 0.005, "total_cost": 0.005},
        },
        logprobs=False,
        whole_message=True,
        done=False,
        newline="\r\n",
        errors="int_code",
        unknown=None,
        roles=("system", "user", "assistant"),
        order="alternate",
        tools=False,
    ),
}
