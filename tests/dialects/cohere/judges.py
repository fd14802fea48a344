"""The Cohere SDK's own request types as a judge of what we send: no missing, no unknown, no odd member."""

from __future__ import annotations

import functools
import typing
from typing import Any

import orjson
from cohere.v2.client import V2Client
from pydantic import BaseModel, ConfigDict, create_model

_NOT_SENT = {"self", "request_options", "return"}


@functools.cache
def _types() -> type[BaseModel]:
    hints = {k: v for k, v in typing.get_type_hints(V2Client.chat, include_extras=True).items() if k not in _NOT_SENT}
    required = {"model", "messages"}
    members: Any = {k: (_closed(v), ... if k in required else None) for k, v in hints.items()}
    return create_model("ChatBody", __config__=ConfigDict(extra="forbid"), stream=(bool, ...), **members)


def _closed(hint: Any) -> Any:
    """The hint without the `Any` by which the SDK leaves its enumerations open."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Union and Any in arguments:
        return typing.Union[tuple(a for a in arguments if a is not Any)]  # noqa: UP007 - made at run time
    if typing.get_origin(hint) is typing.Union:
        return typing.Union[tuple(map(_closed, arguments))]  # noqa: UP007
    return hint


def accepted(body: bytes) -> dict[str, Any]:
    """The body, which the SDK's types take and which holds nothing that they do not name."""
    value: dict[str, Any] = orjson.loads(body)
    _walk(_types().model_validate(value), "body")
    assert None not in value.values()
    return value


def _walk(value: Any, path: str) -> None:
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{path} has unknown members {list(value.model_extra or ())}"
        for name, field in type(value).model_fields.items():
            member = getattr(value, name)
            hints = _flat(field.annotation)
            words = [w for h in hints if typing.get_origin(h) is typing.Literal for w in typing.get_args(h)]
            if words and Any in hints and isinstance(member, str):
                assert member in words, f"{path}.{name} is {member}"
            _walk(member, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _walk(item, f"{path}[{index}]")


def _flat(hint: Any) -> list[Any]:
    if typing.get_origin(hint) is typing.Literal:
        return [hint]
    arguments = typing.get_args(hint)
    return [hint, *(inner for argument in arguments for inner in _flat(argument))] if arguments else [hint]
