"""`POST /v1/chat/completions`: a body becomes a hub request, an answer becomes a body.

`parse` decodes once, leaves null members out, forgives what real clients send although
OpenAI's reference does not have it, and then validates the whole request strictly. What is
forgiven: a part given as a bare string, Responses-shaped part types, `image_url` as a
string, empty `tool_calls` and `tools`, arguments given as an object or as "", flat tool
definitions, `tool_choice: "any"`.

What does not live here: the shapes (`wire/chat.py`), translation (`dialects/`), HTTP (`web/`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.wire.chat import ChatRequest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from compatgw.dialects.base import Answer, Piece
    from compatgw.surfaces.extensions import CallOptions

MAX_DEPTH = 200
_ORJSON_DEPTH = 254
# Keys are the caller's own, and may be as long as its body.
_PATH = 256
_PART_ALIASES = {"input_text": "text", "output_text": "text", "input_image": "image_url"}
_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")


class Parsed(NamedTuple):
    """A validated request, without the gateway's own members, which are `options`."""

    request: ChatRequest
    options: CallOptions


@cache
def validator() -> TypeAdapter[ChatRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(ChatRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(_decode(body))
    _tidy(value)
    try:
        request = validator().validate_python(value, strict=True)
    except ValidationError as error:
        raise _explain(error.errors(include_url=False)[0]) from None
    if "top_logprobs" in request and request["top_logprobs"] and not request.get("logprobs"):
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    return Parsed(request, options)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}.", code="invalid_json"
        ) from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_type")
    # Depth can only be over the limit with that many brackets; only then is it worth measuring.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _too_deep(value):
        raise InvalidRequest(
            f"The body nests more than {MAX_DEPTH} levels of objects and lists. Flatten it.", code="invalid_json"
        )
    return value


def _too_deep(value: Any) -> bool:
    # orjson refuses to write more than 254 levels: 54 levels around the value make that 200.
    for _ in range(_ORJSON_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


# --- what real clients send ------------------------------------------------------------------


def _prune(value: dict[str, Any]) -> None:
    if None in value.values():
        for key in [key for key, member in value.items() if member is None]:
            del value[key]


def _tidy(body: dict[str, Any]) -> None:
    _prune(body)
    messages = body.get("messages")
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict):
                _tidy_message(message)
    if "tools" in body or "functions" in body or "tool_choice" in body:
        _tidy_tools(body)
    if "max_tokens" in body and "max_completion_tokens" in body:
        del body["max_tokens"]
    if body.get("stop") == []:
        del body["stop"]
    if "stream_options" in body:
        if not body.get("stream"):
            del body["stream_options"]
        elif isinstance(body["stream_options"], dict):
            _prune(body["stream_options"])
    response_format = body.get("response_format")
    if isinstance(response_format, dict):
        _prune(response_format)
        schema = response_format.get("json_schema")
        if isinstance(schema, dict):
            _prune(schema)


def _tidy_message(message: dict[str, Any]) -> None:
    _prune(message)
    content = message.get("content")
    if content.__class__ is list:
        message["content"] = [_tidy_part(part) for part in content]
    if "tool_calls" in message:
        calls = message["tool_calls"]
        if calls == []:
            del message["tool_calls"]
        elif isinstance(calls, list):
            for call in calls:
                if isinstance(call, dict):
                    _tidy_call(call)
    if "function_call" in message and message["function_call"] == {}:
        del message["function_call"]


def _tidy_part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return part
    _prune(part)
    kind = part.get("type")
    if isinstance(kind, str) and kind in _PART_ALIASES:
        part["type"] = kind = _PART_ALIASES[kind]
    if kind == "image_url" and isinstance(part.get("image_url"), str):
        part["image_url"] = {"url": part["image_url"]}
        if isinstance(part.get("detail"), str):
            part["image_url"]["detail"] = part.pop("detail")
    for member in ("image_url", "file", "input_audio"):
        if isinstance(part.get(member), dict):
            _prune(part[member])
    return part


def _tidy_call(call: dict[str, Any]) -> None:
    _prune(call)
    if "type" not in call:
        call["type"] = "custom" if "custom" in call else "function"
    function = call.get("function")
    if isinstance(function, dict):
        arguments = function.get("arguments")
        if arguments is None or arguments == "":
            function["arguments"] = "{}"
        elif isinstance(arguments, dict):
            function["arguments"] = orjson.dumps(arguments).decode()


def _tidy_tools(body: dict[str, Any]) -> None:
    for member in ("tools", "functions"):
        tools = body.get(member)
        if tools == []:
            del body[member]
        elif isinstance(tools, list):
            body[member] = [_tidy_tool(tool) for tool in tools]
    if "tools" not in body and "functions" not in body:
        # Without tools these say nothing; OpenAI refuses them, most clients send them anyway.
        if body.get("tool_choice") in ("none", "auto"):
            del body["tool_choice"]
        return
    choice = body.get("tool_choice")
    if choice == "any":
        body["tool_choice"] = "required"
    elif isinstance(choice, dict):
        kind = choice.get("type")
        if isinstance(choice.get("name"), str) and kind in ("tool", "function", "custom") and kind not in choice:
            inner = "custom" if kind == "custom" else "function"
            body["tool_choice"] = {"type": inner, inner: {"name": choice["name"]}}
        elif kind in ("auto", "none", "any") and len(choice) == 1:
            body["tool_choice"] = "required" if kind == "any" else kind


def _tidy_tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    _prune(tool)
    kind = tool.get("type")
    if kind in ("function", "custom") and kind not in tool and isinstance(tool.get("name"), str):
        return {"type": kind, kind: {name: value for name, value in tool.items() if name != "type"}}
    if isinstance(tool.get("function"), dict):
        tool.setdefault("type", "function")
        _prune(tool["function"])
    return tool


# --- what is wrong with a request ------------------------------------------------------------


def _explain(problem: ErrorDetails) -> InvalidRequest:
    kind = problem["type"]
    location = [part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("<"))]
    context = problem.get("ctx", {})
    by = str(context.get("discriminator", ""))
    if kind.startswith("union_tag"):
        if "by_kind" not in by and "by_choice" not in by and isinstance(problem["input"], dict):
            location.append("role" if "by_role" in by else "type")
            if kind == "union_tag_not_found" and location[-1] not in problem["input"]:
                kind = "missing"
        elif kind == "union_tag_not_found":
            kind = "union_type"
    param = _path(location)
    where = f"'{param}'"
    if kind == "missing":
        return InvalidRequest(f"Missing required parameter: {where}.", param=param, code="missing_parameter")
    if kind == "union_tag_invalid":
        allowed = str(context.get("expected_tags", "")).replace("'<", "'").replace(">'", "'")
        got = str(context.get("tag", "")).strip("<>")
        return InvalidRequest(f"Invalid value for {where}: '{got[:64]}'. Supported values are: {allowed}.", param=param)
    if kind.endswith("_type") or kind in ("int_from_float", "union_tag_not_found"):
        got = _kind_of(problem["input"])
        return InvalidRequest(
            f"Invalid type for {where}: got {got}. {_sentence(problem['msg'])}", param=param, code="invalid_type"
        )
    return InvalidRequest(f"Invalid value for {where}. {_sentence(problem['msg'])}", param=param)


def _path(location: list[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path if len(path) <= _PATH else path[: _PATH - 3] + "..."


def _sentence(message: str) -> str:
    if message.startswith("Unable to extract tag"):
        return "A string, a list or an object is expected here."
    return message.replace("Input should", "It should").rstrip(".") + "."


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "a boolean"), (int, "an integer"), (float, "a number"), (str, "a string")):
        if isinstance(value, kind):
            return name
    return "a list" if isinstance(value, list) else "an object"


# --- answers ---------------------------------------------------------------------------------


def render(answer: Answer, *, model: str | None = None, exclude_reasoning: bool = False) -> bytes:
    """An answer as the client's body.

    Args:
        answer: Its own bytes are used when nothing has to change.
        model: Takes the place of `model`, when the caller is to see the id it asked for.
        exclude_reasoning: Leaves reasoning text out.
    """
    if answer.raw is not None and model is None and not exclude_reasoning:
        return answer.raw
    completion: dict[str, Any] = {**answer.completion}
    if model is not None:
        completion["model"] = model
    if exclude_reasoning:
        completion["choices"] = [
            {**choice, "message": _without_reasoning(choice["message"])} for choice in completion["choices"]
        ]
    return orjson.dumps(completion)


def render_chunk(piece: Piece, *, model: str | None = None, exclude_reasoning: bool = False) -> bytes | None:
    """A chunk as the JSON of one event; None when nothing of it is left for the client."""
    if model is None and not exclude_reasoning:
        return piece.raw if piece.raw is not None else orjson.dumps(piece.chunk)
    chunk: dict[str, Any] = {**piece.chunk}
    if model is not None:
        chunk["model"] = model
    if exclude_reasoning:
        choices = [{**choice, "delta": _without_reasoning(choice["delta"])} for choice in chunk["choices"]]
        if choices and not any(choice["delta"] or choice["finish_reason"] for choice in choices):
            return None
        chunk["choices"] = choices
    return orjson.dumps(chunk)


def _without_reasoning(message: Any) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in _REASONING}
