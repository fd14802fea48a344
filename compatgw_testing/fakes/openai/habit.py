"""In what a vendor that speaks OpenAI's protocol may differ from OpenAI.

What does not live here: the vendors (`habits.py`), code that acts on a habit (`rules.py`, `answers.py`, `vendor.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.openai.limits import LimitForm
    from compatgw_testing.fakes.shape import Shape
    from compatgw_testing.sample import Ids
    from compatgw_testing.script import RetryForm

Surface = Literal[
    "chat", "responses", "completions", "embeddings", "moderations", "images", "audio", "models", "rerank"
]
# All of OpenAI's.
ALL: frozenset[Surface] = frozenset(
    ("chat", "responses", "completions", "embeddings", "moderations", "images", "audio", "models")
)
ErrorForm = Literal[
    "openai",  # {"error": {message, type, param, code}}
    "no_param",  # without `param`
    "int_code",  # with the status as `code`
    "all_int",  # the same, and with `param`
    "str_code",  # with the status as text for a wrong key
    "numbered",  # {"error": {code, message}}, the code a number as text
    "with_id",  # OpenAI's, and an id beside it
    "request_id",  # OpenAI's, and a request id beside it
    "text",  # {"error": "..."}
    "code_text",  # {"code": "...", "error": "..."}
    "flat_error",  # {"error": {object, type, code, message}}
    "flat",  # {"object": "error", message, type, param, code}
    "detail",  # {"detail": "..."} for a wrong key, else flat
    "detail_error",  # {"detail": {"error": "..."}}
    "detail_text",  # {"detail": "..."}
    "aws",  # {"message": "..."}, with a capital for a wrong key
    "reason",  # {code, reason, message, metadata}, the code the status
    "title",  # {type, title, status, detail}
    "listed",  # [{"error": {code, message, status}}]
    "errors",  # {"success": false, "errors": [...]}
    "error_code",  # {error_code, message}
]


class Forbidden(NamedTuple):
    """Something in a chat request that a vendor refuses.

    Attributes:
        member: Which member.
        words: What it says.
        value: Pattern of the values, as JSON, that it refuses; as a whole.
        models: Pattern of the beginning of the models that refuse it.
        beside: Only if one of these members is there, too.
        plain: Only without a stream.
        missing: Not to say it counts as saying it.
    """

    member: str
    words: str
    value: str = r"(?s:.*)"
    models: str = ""
    beside: tuple[str, ...] = ()
    plain: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """One vendor's ways.

    Attributes:
        paths: Patterns of what stands before `/chat/completions`; the first is the usual one.
        base: The usual one as text.
        auth: Headers that may carry the key; `authorization` means a bearer token.
        surfaces: What the vendor has.
        request_header: Header with the id of the request; None for none.
        request_form: Form of that id; as `id_form`.
        headers: Further headers of every answer.
        limits: Form of the rate-limit headers.
        id_form: Form of completion ids: `{alnum:n}`, `{hex:n}`, `{digits:n}`, `{uuid}` and `{created}` are filled in.
        call_form: Form of tool call ids; `{name}` and `{index}`, too.
        opening: Sent before the first event.
        first_chunk: A chunk before the first one that says something.
        extra: Members of every chunk and completion.
        plain_extra: Members of every completion.
        without: Members that completions and chunks do not have.
        message_extra: Members of every whole message.
        delta_extra: Members of every delta.
        obfuscates: Chunks are padded to hide how long their texts are.
        refusals: Messages have a member `refusal`.
        logprobs: Choices have a member `logprobs`: null unless asked for, with nulls inside, in completions but not in
            chunks, or not at all.
        choice_extra: Members of every choice.
        role: The role comes in a first delta of its own, in the first that says something, in every one, or never.
        finish: Chunks before the last have `finish_reason: null`, or no such member; or no chunk has it.
        no_content: Content of a message that only calls tools: null, an empty text, or no such member.
        usage: Where a stream's usage stands: in a chunk of its own without choices (if asked for), in one with an
            empty choice, in the finish chunk, in every chunk, in every chunk with nulls before the end, or nowhere.
        usage_null: Other chunks carry `usage: null`: if usage was asked for, always, or never.
        usage_details: Parts of usage that are broken down: all, reasoning and cached tokens, reasoning tokens,
            cached tokens, or none.
        usage_extra: Further members of usage.
        usage_read: Further members of `prompt_tokens_details`.
        usage_written: Further members of `completion_tokens_details`.
        usage_cached: Members of usage that say the cached tokens flat.
        usage_stored: Members of usage that say the tokens put into a cache flat.
        cache_split: Usage also says cache hits and misses flat.
        thought_apart: `completion_tokens` leaves out the reasoning tokens.
        x_groq: Request id and usage also stand under `x_groq`.
        reasoning: Member that carries thought; `parts` for typed parts inside `content`; None: thought is not shown.
        reasoning_null: Deltas of text carry that member as null.
        reasoning_details: Thought also comes as `reasoning_details`.
        details_only: It comes only so.
        calls: A tool call streams in pieces, whole in one delta, or whole with the finish reason, without index and
            type.
        call_index: Calls of whole messages have an index.
        chunk_index: Calls in chunks have an index.
        json_whole: JSON that was asked for comes as an object instead of a text, and without usage.
        whole_message: Chunks repeat the text so far under `message`.
        done: The stream ends with `[DONE]`.
        newline: Line end of the stream.
        errors: Envelope of errors.
        stream_errors: An error inside a stream: the envelope as data; the same under `event: error`; or a chunk with
            the error beside its choices, and an end mark after it.
        retry: How the headers of a failure say how long to wait.
        unknown: Status for a member that the vendor does not know; None lets it through.
        takes: Members beside OpenAI's.
        refuses: Members of OpenAI's that count as unknown.
        forbids: What else it refuses.
        closed_messages: Unknown members of messages are refused too.
        message_refuses: Members of messages, of OpenAI's, that count as unknown.
        roles: Roles of messages.
        tool_id: Pattern of tool call ids.
        order: `strict`: after `tool` comes `assistant`, `system` only at the beginning or behind `user`, and the last
            is `user` or `tool`; `alternate`: user and assistant.
        tools: Takes tools.
        fetches: Takes the address of an image.
        thinks: Pattern of models that think unless told not to; None: thinking is no matter of history.
        models_rules: OpenAI's rules for its own models hold.
        model_extra: Further members of a model in the list; `{model}` is filled in.
        model_without: Members that a model in the list, or the list, does not have.
        embedding_extra: Members of every answer with embeddings.
        embedding_usage: Further members of its usage.
        embedding_without: Members that its usage does not have.
        embedding_shapes: Members of requests for embeddings beside OpenAI's.
        embedding_size: The member that says how long vectors shall be.
        embedding_packed: The member that asks for base64.
        embedding_tokens: Takes token ids in place of texts.
        rerank: What a ranking stands under.
        rerank_top: The member that says how many documents shall be ranked.
        rerank_repeats: A ranking repeats the documents unless it is told not to.
        calls_together: Responses want calls of one turn together, and their results right after them.
        raw_reasoning: Responses show thought itself, not a summary.
        always_summarises: Responses show a summary of thought unasked.
        reasoning_status: Thought in responses has a status.
        phases: Pattern of models whose messages in responses have a phase.
        verbosity: Responses say how wordy they are: `medium` unless asked, null unless asked, or not at all.
        effort: How much thought responses claim that were not asked for any.
        summary: Which summary responses claim that were not asked for one.
        response_extra: Members of every response.
        response_without: Members that responses do not have.
        response_usage: Further members of usage in responses.
        response_done: A stream of a response ends with `[DONE]`.
        lets: Patterns of members that may be otherwise than OpenAI's.
    """

    paths: tuple[str, ...] = ("/v1",)
    base: str = "/v1"
    auth: tuple[str, ...] = ("authorization",)
    surfaces: frozenset[Surface] = frozenset({"chat", "models"})
    request_header: str | None = "x-request-id"
    request_form: str = "{uuid}"
    headers: Mapping[str, str] = field(default_factory=dict)
    limits: LimitForm = "none"
    id_form: str = "chatcmpl-{alnum:29}"
    call_form: str = "call_{alnum:24}"
    opening: bytes = b""
    first_chunk: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    plain_extra: Mapping[str, Any] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    message_extra: Mapping[str, Any] = field(default_factory=dict)
    delta_extra: Mapping[str, Any] = field(default_factory=dict)
    obfuscates: bool = False
    refusals: bool = False
    logprobs: Literal["null", "inside", "plain", "none"] = "null"
    choice_extra: Mapping[str, Any] = field(default_factory=dict)
    role: Literal["first", "with", "every", "never"] = "first"
    finish: Literal["null", "absent", "never"] = "null"
    no_content: Literal["null", "empty", "absent"] = "null"
    usage: Literal["own", "own_choice", "finish", "every", "every_null", "never"] = "own"
    usage_null: Literal["asked", "always", "never"] = "asked"
    usage_details: Literal["all", "both", "reasoning", "cached", "none"] = "both"
    usage_extra: Mapping[str, Any] = field(default_factory=dict)
    usage_read: Mapping[str, Any] = field(default_factory=dict)
    usage_written: Mapping[str, Any] = field(default_factory=dict)
    usage_cached: tuple[str, ...] = ()
    usage_stored: tuple[str, ...] = ()
    cache_split: bool = False
    thought_apart: bool = False
    x_groq: bool = False
    reasoning: Literal["reasoning_content", "reasoning", "parts"] | None = None
    reasoning_null: bool = False
    reasoning_details: bool = False
    details_only: bool = False
    calls: Literal["pieces", "whole", "finish"] = "pieces"
    call_index: bool = False
    chunk_index: bool = True
    json_whole: bool = False
    whole_message: bool = False
    done: bool = True
    newline: str = "\n"
    errors: ErrorForm = "openai"
    stream_errors: Literal["data", "event", "chunk"] = "data"
    retry: RetryForm = "seconds"
    unknown: int | None = None
    takes: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    forbids: tuple[Forbidden, ...] = ()
    closed_messages: bool = False
    message_refuses: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ("system", "user", "assistant", "tool")
    tool_id: str | None = None
    order: Literal["free", "strict", "alternate"] = "free"
    tools: bool = True
    fetches: bool = True
    thinks: str | None = None
    models_rules: bool = False
    model_extra: Mapping[str, Any] = field(default_factory=dict)
    model_without: frozenset[str] = frozenset()
    embedding_extra: Mapping[str, Any] = field(default_factory=dict)
    embedding_usage: Mapping[str, Any] = field(default_factory=dict)
    embedding_without: frozenset[str] = frozenset()
    embedding_shapes: Mapping[str, Shape] = field(default_factory=dict)
    embedding_size: str = "dimensions"
    embedding_packed: str = "encoding_format"
    embedding_tokens: bool = True
    rerank: Literal["results", "data"] = "results"
    rerank_top: str = "top_n"
    rerank_repeats: bool = False
    calls_together: bool = False
    raw_reasoning: bool = False
    always_summarises: bool = False
    reasoning_status: bool = False
    phases: str | None = None
    verbosity: Literal["medium", "null", "none"] = "medium"
    effort: str | None = None
    summary: str | None = None
    response_extra: Mapping[str, Any] = field(default_factory=dict)
    response_without: frozenset[str] = frozenset()
    response_usage: Mapping[str, Any] = field(default_factory=dict)
    response_done: bool = False
    lets: tuple[str, ...] = (r".*\.id", r".*\.tool_call_id", "service_tier", "messages.*tool_calls")


def filled(form: str, ids: Ids, purpose: str, **known: object) -> str:
    """An id of a form, always the same for a purpose.

    Args:
        form: With `{alnum:n}`, `{hex:n}`, `{digits:n}`, `{uuid}` and the names of `known` in braces.
        ids: Where it is from.
        purpose: What it is for.
        known: What else is filled in.
    """

    def part(match: re.Match[str]) -> str:
        kind, _, size = match[1].partition(":")
        if kind == "uuid":
            return ids.uuid(purpose)
        if kind == "hex":
            return ids.hex(purpose, int(size))
        if kind in ("alnum", "lower", "digits"):
            alphabet = {"lower": "abcdefghijklmnopqrstuvwxyz0123456789", "digits": "0123456789"}.get(kind)
            return ids.alnum(purpose, int(size), *([alphabet] if alphabet else []))
        return str(known[kind])

    return re.sub(r"\{([^{}]+)\}", part, form)
