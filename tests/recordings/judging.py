"""The vendors' own request types as judges of encoded requests: nothing missing, nothing wrong, nothing unknown.

The SDKs' TypedDicts are rebuilt so that lists are checked at once (an `Iterable` would be
checked while it is read, never by a union) and, but for OpenAI's, unknown members are refused.
"""

from __future__ import annotations

import collections.abc
import functools
import os
import types
import typing
from typing import Any

import orjson
import typing_extensions
from anthropic.types import message_create_params as anthropic_params
from google.genai import types as genai
from openai.types.chat import completion_create_params as openai_params
from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model, with_config

from compatgw_testing.fakes.bedrock.rules import Thoughts, check_request
from tests.dialects.cohere.judges import accepted as accepted_by_cohere

# The SDK of Anthropic's newest version has no sampling members any more; its older version, which
# a request may name in its headers, still has them.
_SAMPLING = ("temperature", "top_p", "top_k")


def _rebuilt(hint: Any, extra: str, made: dict[Any, Any]) -> Any:
    """The hint with every TypedDict in it made strict and every `Iterable` made a list."""
    if typing_extensions.is_typeddict(hint):
        if hint not in made:
            made[hint] = Any  # a type inside itself is checked one level deep
            made[hint] = _dict(hint, extra, made)
        return made[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is None or origin is typing.Literal:
        return hint
    if origin in (typing.IO, os.PathLike):  # files that only the SDK itself can read
        return bytes
    if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated):
        return _rebuilt(arguments[0], extra, made)
    # Models of answers may be sent back as they are, and take any member: we send none.
    sent = [a for a in arguments if not (isinstance(a, type) and issubclass(a, BaseModel))]
    inner = tuple(_rebuilt(argument, extra, made) for argument in sent)
    if not inner:
        return typing.Literal["what is never sent"]
    if origin in (typing.Union, types.UnionType):
        return typing.Union[inner]  # noqa: UP007 - made at run time
    if origin in (collections.abc.Iterable, collections.abc.Sequence, list):
        return list[inner[0]]  # type: ignore[valid-type]
    return origin[inner]


def _dict(hint: Any, extra: Any, made: dict[Any, Any]) -> Any:
    # With postponed annotations only the hints themselves say what is required.
    hints = typing_extensions.get_type_hints(hint, include_extras=True)
    members = {}
    for name, inner in hints.items():
        origin: Any = typing.get_origin(inner)
        required = origin is typing_extensions.Required or (
            name in hint.__required_keys__ and origin is not typing_extensions.NotRequired
        )
        rebuilt = _rebuilt(inner, extra, made)
        members[name] = rebuilt if required else typing_extensions.NotRequired[rebuilt]
    strict = typing_extensions.TypedDict(hint.__name__, members)  # type: ignore[misc]
    return with_config(ConfigDict(extra=extra))(strict)


@functools.cache
def _anthropic() -> TypeAdapter[Any]:
    return TypeAdapter(_rebuilt(anthropic_params.MessageCreateParams, "forbid", {}))


@functools.cache
def _openai() -> TypeAdapter[Any]:
    return TypeAdapter(_rebuilt(openai_params.CompletionCreateParams, "allow", {}))


@functools.cache
def _gemini() -> Any:
    return create_model(
        "Body",
        __config__=ConfigDict(extra="forbid"),
        contents=(list[genai.Content], ...),
        systemInstruction=(genai.Content, None),
        tools=(list[genai.Tool], None),
        toolConfig=(genai.ToolConfig, None),
        generationConfig=(genai.GenerationConfig, None),
        safetySettings=(list[genai.SafetySetting], None),
        cachedContent=(str, None),
        serviceTier=(genai.ServiceTier, None),
        labels=(dict[str, str], None),
    )


def accepted_by_anthropic(body: bytes) -> None:
    """Anthropic's SDK takes the body."""
    value = orjson.loads(body)
    _anthropic().validate_python({k: v for k, v in value.items() if k not in _SAMPLING}, strict=True)


def accepted_by_openai(body: bytes) -> None:
    """OpenAI's SDK takes the body; members that it does not know are the vendors' own."""
    _openai().validate_python(orjson.loads(body))


def accepted_by_gemini(body: bytes) -> None:
    """Google's SDK takes the body."""
    _gemini().model_validate_json(body)


class _Trusting(Thoughts):
    """Takes any signature: the recordings' are of other vendors' models."""

    def holds(self, signature: str, text: str) -> bool:
        return bool(signature)


def accepted_by_bedrock(body: bytes) -> None:
    """The strict fake, which is written from the service's own model, takes the body."""
    check_request(orjson.loads(body), "us.anthropic.claude-sonnet-4-5-20250929-v1:0", _Trusting())


ACCEPTED = {
    "openai": accepted_by_openai,
    "anthropic": accepted_by_anthropic,
    "gemini": accepted_by_gemini,
    "cohere": accepted_by_cohere,
    "bedrock": accepted_by_bedrock,
}
