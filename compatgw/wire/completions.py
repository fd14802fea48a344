"""OpenAI's legacy completions: request, answer and chunk (which have one shape) as TypedDicts.

Ranges are OpenAI's published ones; members that we do not name are kept.

What does not live here: the validator (`surfaces/completions.py`), translation (`dialects/`).
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypeAlias

from pydantic import Discriminator, Field, Tag
from typing_extensions import TypedDict

from compatgw.wire.chat import JSON, Open, StreamOptions, Usage, by_kind


def by_prompt(value: JSON) -> str | None:
    """Tag of a prompt: text, texts, token ids, or lists of token ids; an empty list is none of them."""
    if isinstance(value, str):
        return "<string>"
    if not isinstance(value, list) or not value:
        return None
    first = value[0]
    if isinstance(first, str):
        return "<strings>"
    if isinstance(first, list):
        return "<lists>"
    return "<tokens>" if isinstance(first, int) and not isinstance(first, bool) else None


Token: TypeAlias = Annotated[int, Field(ge=0)]
Tokens: TypeAlias = Annotated[list[Token], Field(min_length=1)]
Prompt: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")]
    | Annotated[list[str], Tag("<strings>")]
    | Annotated[list[Token], Tag("<tokens>")]
    | Annotated[list[Tokens], Tag("<lists>")],
    Discriminator(by_prompt),
]


class CompletionRequest(Open):
    """The body of `POST /v1/completions`, null members left out."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    prompt: NotRequired[Prompt]
    best_of: NotRequired[Annotated[int, Field(ge=0, le=20)]]
    echo: NotRequired[bool]
    frequency_penalty: NotRequired[Annotated[float, Field(ge=-2, le=2)]]
    logit_bias: NotRequired[dict[str, Annotated[float, Field(ge=-100, le=100)]]]
    logprobs: NotRequired[Annotated[int, Field(ge=0, le=5)]]
    max_tokens: NotRequired[Annotated[int, Field(ge=0)]]
    n: NotRequired[Annotated[int, Field(ge=1, le=128)]]
    presence_penalty: NotRequired[Annotated[float, Field(ge=-2, le=2)]]
    seed: NotRequired[Annotated[int, Field(ge=-(2**63), lt=2**63)]]
    stop: NotRequired[
        Annotated[
            Annotated[str, Tag("<string>")] | Annotated[list[str], Tag("<list>")],
            Discriminator(by_kind),
        ]
    ]
    stream: NotRequired[bool]
    stream_options: NotRequired[StreamOptions]
    suffix: NotRequired[str]
    temperature: NotRequired[Annotated[float, Field(ge=0, le=2)]]
    top_p: NotRequired[Annotated[float, Field(ge=0, le=1)]]
    user: NotRequired[str]


class TextLogprobs(TypedDict, total=False):
    """Log probabilities of the tokens of a text."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class TextChoice(TypedDict):
    """One of the texts, or a piece of it."""

    text: str
    index: int
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None


class TextCompletion(TypedDict):
    """An answer, or an event of a streamed one."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: NotRequired[Usage | None]
    system_fingerprint: NotRequired[str | None]
