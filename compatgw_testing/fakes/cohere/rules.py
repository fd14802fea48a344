"""What Cohere's v2 chat accepts, and how it refuses the rest.

What does not live here: answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.answer import Json, Problem, Refused
from compatgw_testing.fakes.media import DataUrl
from compatgw_testing.fakes.shape import (
    Arr,
    Bool,
    Either,
    Free,
    Map,
    Num,
    Obj,
    Str,
    Tagged,
    Violation,
    check,
    kind_of,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = Obj({"type": Str(), "text": Str()}, ("text",))
IMAGE = Obj(
    {"type": Str(), "image_url": Obj({"url": Str(), "detail": Str(("auto", "low", "high"))}, ("url",))}, ("image_url",)
)
_THINKING = Obj({"type": Str(), "thinking": Str()}, ("thinking",))
_DATA = Either({"object": Map(Free()), "string": Str()})
_DOCUMENT = Obj({"type": Str(), "document": Obj({"id": Str(), "data": _DATA}, ("data",))}, ("document",))
_CALL = Obj(
    {
        "id": Str(),
        "type": Str(("function",)),
        "function": Obj({"name": Str(), "arguments": Str()}, ("name", "arguments")),
    },
    ("id", "type", "function"),
)


def _content(**parts: Obj) -> Either:
    return Either({"string": Str(), "array": Arr(Tagged("type", parts))})


_MESSAGES = {
    "system": Obj({"role": Str(), "content": _content(text=TEXT)}, ("content",)),
    "user": Obj({"role": Str(), "content": _content(text=TEXT, image_url=IMAGE)}, ("content",)),
    "assistant": Obj(
        {
            "role": Str(),
            "content": _content(text=TEXT, thinking=_THINKING),
            "tool_calls": Arr(_CALL),
            "tool_plan": Str(),
            "citations": Arr(Free()),
        }
    ),
    "tool": Obj(
        {"role": Str(), "tool_call_id": Str(), "content": _content(text=TEXT, document=_DOCUMENT)},
        ("tool_call_id", "content"),
    ),
}
_TOOL = Obj(
    {
        "type": Str(("function",)),
        "function": Obj({"name": Str(low=1), "description": Str(), "parameters": Map(Free())}, ("name", "parameters")),
    },
    ("type", "function"),
)
REQUEST = Obj(
    {
        "model": Str(),
        "messages": Arr(Tagged("role", _MESSAGES), low=1),
        "stream": Bool(),
        "temperature": Num(0, 1),
        "p": Num(0.01, 0.99),
        "k": Num(0, 500, whole=True),
        "max_tokens": Num(1, whole=True),
        "stop_sequences": Arr(Str(), high=5),
        "frequency_penalty": Num(0, 1),
        "presence_penalty": Num(0, 1),
        "seed": Num(0, whole=True),
        "logprobs": Bool(),
        "response_format": Obj(
            {
                "type": Str(("text", "json_object")),
                "json_schema": Map(Free()),
                "schema": Map(Free()),
            },
            ("type",),
        ),
        "tools": Arr(_TOOL),
        "strict_tools": Bool(),
        "tool_choice": Str(("REQUIRED", "NONE")),
        "documents": Arr(Either({"string": Str(), "object": Obj({"id": Str(), "data": Map(Free())}, ("data",))})),
        "citation_options": Obj({"mode": Str(("ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"))}),
        "safety_mode": Str(("CONTEXTUAL", "STRICT", "OFF")),
        "thinking": Obj({"type": Str(("enabled", "disabled")), "token_budget": Num(1, whole=True)}, ("type",)),
        "priority": Num(0, 999, whole=True),
    },
    ("model", "messages"),
)


def refuse(message: str, status: int = 400) -> Refused:
    """A refusal as an exception, for raising."""
    return Refused(Problem(status=status, message=message))


def check_request(body: Any) -> None:
    """Raises Refused at the first thing in a chat request that the vendor would not take."""
    for violation in check(REQUEST, body):
        raise phrased(violation)
    _tools(body)
    _messages(body["messages"])
    for fault in _together(body):
        raise refuse(fault)


def phrased(violation: Violation) -> Refused:
    """A violation in the vendor's words."""
    where = written(violation.path) or "body"
    match violation.kind:
        case "missing":
            return refuse(f"invalid request: {where} must be provided")
        case "unknown":
            return refuse(f"unknown field: parameter '{where}' is not a valid field", 422)
        case "type":
            return refuse(
                f"invalid type: parameter {where} is of type {kind_of(violation.got)} but should be {violation.want}"
            )
        case "value":
            return refuse(f"invalid value for {where}: must be one of {violation.want}, got '{violation.got}'")
        case "few":
            return refuse(f"invalid request: {where} must hold at least {violation.want} item")
        case "many":
            return refuse(f"invalid request: {where} may hold at most {violation.want} items")
        case _:
            bound = "at least" if violation.kind in ("low", "short") else "at most"
            return refuse(f"invalid request: {where} must be {bound} {violation.want}, got {violation.got}")


def _tools(body: Json) -> None:
    tools = body.get("tools") or []
    names = [one["function"]["name"] for one in tools]
    if len(set(names)) < len(names):
        raise refuse("invalid request: tool names must be unique")
    if body.get("tool_choice") == "REQUIRED" and not tools:
        raise refuse("invalid request: tool_choice can only be specified with tools")
    for one in tools:
        parameters = one["function"]["parameters"]
        if parameters.get("type") != "object":
            raise refuse(f"invalid request: parameters of tool '{one['function']['name']}' must be of type object")
        if body.get("strict_tools") and not parameters.get("required"):
            raise refuse(
                f"invalid request: with strict_tools, tool '{one['function']['name']}' needs a required parameter"
            )


def _messages(messages: list[Json]) -> None:
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in open_calls:
                raise refuse(
                    f"invalid request: messages[{index}]: tool_call_id '{message['tool_call_id']}' is not among the "
                    "tool calls of the assistant message before it"
                )
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise refuse(f"invalid request: no tool message for the tool calls {', '.join(open_calls)}")
        if role == "assistant":
            open_calls = [one["id"] for one in message.get("tool_calls") or ()]
            if not open_calls and not message.get("content"):
                raise refuse(f"invalid request: messages[{index}]: an assistant message needs content or tool_calls")
            if open_calls and message.get("content") == "":
                raise refuse(f"invalid request: messages[{index}]: content must be left out or not be empty")
        elif not message["content"]:
            raise refuse(f"invalid request: messages[{index}]: content must not be empty")
        _images(message, index)
    if open_calls:
        raise refuse(f"invalid request: no tool message for the tool calls {', '.join(open_calls)}")


def _images(message: Json, index: int) -> None:
    content = message.get("content")
    for part in content if isinstance(content, list) else ():
        if part["type"] != "image_url":
            continue
        url = part["image_url"]["url"]
        image = DataUrl.of(url)
        if not url.startswith(("http://", "https://")) and (image is None or not image.media_type.startswith("image/")):
            raise refuse(
                f"invalid request: messages[{index}]: image_url.url must be a web address or a base64 data URL"
            )


def _together(body: Json) -> Iterator[str]:
    """What single members allow and their combination does not."""
    form = body.get("response_format") or {}
    if body.get("safety_mode") is not None and (body.get("tools") or body.get("documents")):
        yield "invalid request: safety_mode is not supported together with tools or documents"
    if form.get("type") == "text" and (form.get("json_schema") or form.get("schema")):
        yield "invalid request: a json_schema needs response_format.type json_object"
    if form.get("type") == "json_object" and (body.get("tools") or body.get("documents")):
        yield "invalid request: response_format json_object is not supported together with tools or documents"
