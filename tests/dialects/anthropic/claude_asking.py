"""Requests for tests: sent through the codec, and judged on the way out by two who know nothing of it.

One judge are the SDK's own request types, the other is the rule book of the fake, which was
written from the vendor's documents.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from typing import IO, Any, NotRequired, get_args, get_origin

import orjson
import typing_extensions
from anthropic.types import message_create_params as params
from pydantic import ConfigDict, TypeAdapter, with_config

from compatgw.dialects.anthropic import DIALECT
from compatgw.dialects.base import Context, Outgoing, Target
from compatgw_testing.fakes.anthropic.rules import check_request
from compatgw_testing.fakes.anthropic.turns import Thoughts

MANUAL = "claude-sonnet-4-5-20250929"
BETWEEN = "claude-opus-4-6"
OPT_IN = "claude-opus-4-8"
MODERN = "claude-sonnet-5-5"
ALWAYS = "claude-fable-5"
UNFORCED = "claude-opus-5-5"
OLD = "claude-3-5-haiku-20241022"
MODELS = (OLD, "claude-opus-4-1", MANUAL, BETWEEN, OPT_IN, MODERN, ALWAYS, UNFORCED)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJSVFT0YK"
SIGNATURE = "EqQBsignature"

Json = dict[str, Any]
HI = {"role": "user", "content": "Hi"}
# Members of the older API version, which the SDK of the newer one does not know.
_OLDER = ("temperature", "top_p", "top_k")


def codec() -> Any:
    """The codec under test."""
    assert DIALECT.chat is not None
    return DIALECT.chat


def target(model: str = MODERN, **members: Any) -> Target:
    """A target of a provider that has no name that matters."""
    return Target(provider="Vendor", model=model, **members)


def context(outgoing: Outgoing | None = None, model: str = MODERN, **memo: Any) -> Context:
    """The context that reads the answer to `outgoing`."""
    known = {**(outgoing.memo if outgoing else {}), **memo}
    return Context(target(model), id="chatcmpl-ours", created=1_780_000_000, memo=known)


def encode(
    model: str = MODERN, messages: Sequence[Json] = (HI,), where: Json | None = None, **members: Any
) -> Outgoing:
    """The request as it is sent; `where` holds members of the target."""
    request: Any = {"model": "m", "messages": list(messages), **members}
    before = orjson.dumps(request)
    outgoing: Outgoing = codec().encode(request, target(model, **(where or {})))
    assert orjson.dumps(request) == before, "encoding changed its argument"
    return outgoing


def accepted(outgoing: Outgoing) -> Json:
    """The body, which both judges take."""
    body: Json = orjson.loads(outgoing.body)
    _types().validate_python({k: v for k, v in body.items() if k not in _OLDER}, strict=True)
    thoughts = Thoughts()
    for message in body["messages"]:
        for block in message["content"]:
            if block["type"] in ("thinking", "redacted_thinking"):
                thoughts.trust(block.get("signature") or block.get("data"))
    check_request(body, dict(outgoing.headers)["anthropic-version"], thoughts)
    return body


def sent(model: str = MODERN, messages: Sequence[Json] = (HI,), where: Json | None = None, **members: Any) -> Json:
    """The body that is sent, which both judges take."""
    return accepted(encode(model, messages, where, **members))


def user(*parts: Json | str) -> Json:
    """A user's message."""
    return {
        "role": "user",
        "content": list(parts) if any(isinstance(p, dict) for p in parts) else "".join(map(str, parts)),
    }


def said(text: str | None = None, *calls: Json, **more: Any) -> Json:
    """An assistant's message."""
    message: Json = {"role": "assistant", "content": text, **more}
    return {**message, "tool_calls": list(calls)} if calls else message


def call(id: str, name: str = "get_weather", arguments: str = '{"city":"Paris"}') -> Json:
    """A call in an assistant's message."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id: str, content: Any = "18 C", **more: Any) -> Json:
    """A tool's message."""
    return {"role": "tool", "tool_call_id": id, "content": content, **more}


def tool(name: str = "get_weather", **members: Any) -> Json:
    """A function tool."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": "d", "parameters": schema, **members}}


def image(url: str = f"data:image/png;base64,{PNG}") -> Json:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": url}}


def thought(text: str = "Hm", signature: str = SIGNATURE, **more: Any) -> Json:
    """An entry of `reasoning_details` as another gateway would give it."""
    return {"type": "reasoning.text", "text": text, "signature": signature, "format": "anthropic-claude-v1", **more}


def shape(messages: Iterable[Json]) -> list[tuple[str, list[str]]]:
    """Roles and the types of their blocks."""
    return [(message["role"], [block["type"] for block in message["content"]]) for message in messages]


# --- the SDK's types, closed -----------------------------------------------------------------


@functools.cache
def _types() -> TypeAdapter[Any]:
    return TypeAdapter(_closed(params.MessageCreateParams, {}))


def _closed(hint: Any, made: dict[Any, Any]) -> Any:
    """The hint with closed dicts for open ones, and lists for what would be read lazily."""
    if typing_extensions.is_typeddict(hint):
        if hint not in made:
            made[hint] = Any  # a type inside itself is checked one level deep
            members = {
                name: _closed(inner, made) if name in hint.__required_keys__ else NotRequired[_closed(inner, made)]
                for name, inner in typing_extensions.get_type_hints(hint).items()
            }
            closed = typing_extensions.TypedDict(hint.__name__, members)  # type: ignore[misc]
            # The schema of a tool's input is open by its nature.
            made[hint] = closed if "InputSchema" in hint.__name__ else with_config(ConfigDict(extra="forbid"))(closed)
        return made[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (IO, os.PathLike):
        return str  # the SDK would read the file; the wire has its bytes
    if origin is None or "Literal" in str(origin):
        return hint
    if origin in (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.Annotated):
        return _closed(arguments[0], made)
    inner = tuple(_closed(argument, made) for argument in arguments)
    if "Union" in str(origin):
        return functools.reduce(lambda one, other: one | other, inner)
    return list[inner[0]] if origin.__module__ == "collections.abc" else origin[inner]  # type: ignore[valid-type]
