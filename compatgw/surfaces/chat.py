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
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from compatgw.errors import InvalidRequest
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, Surface, decode, envelope, validated
from compatgw.wire.chat import ChatRequest
from compatgw.wire.sse import DONE, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.dialects.base import Answer, Piece
    from compatgw.errors import GatewayError
    from compatgw.surfaces.base import View

_PART_ALIASES = {"input_text": "text", "output_text": "text", "input_image": "image_url"}
_REASONING = ("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks")


@cache
def validator() -> TypeAdapter[ChatRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(ChatRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
    """
    value, options = extensions.claim(decode(body))
    _tidy(value)
    request = validated(validator(), value)
    if "top_logprobs" in request and request["top_logprobs"] and not request.get("logprobs"):
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    return Parsed(request, options)


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


class ChatFace:
    """How a client of chat completions is told its answer."""

    __slots__ = ("_exclude", "_model", "_usage")

    stream_type = "text/event-stream"

    def __init__(self, parsed: Parsed, view: View) -> None:
        request: ChatRequest = parsed.request
        self._model = request["model"] if view.echo else None
        self._exclude = parsed.options.exclude_reasoning
        self._usage = bool(request.get("stream_options", {}).get("include_usage"))

    def whole(self, answer: Answer) -> bytes:
        """The body of a whole answer."""
        return render(answer, model=self._model, exclude_reasoning=self._exclude)

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def events(self, pieces: Sequence[Piece]) -> bytes:
        """The frames of `pieces`; usage is passed on only to a client that asked for it."""
        out = []
        for piece in pieces:
            if not self._usage and not piece.chunk["choices"] and piece.chunk.get("usage"):
                continue
            data = render_chunk(piece, model=self._model, exclude_reasoning=self._exclude)
            if data is not None:
                out.append(frame(data))
        return out[0] if len(out) == 1 else b"".join(out)

    def end(self) -> bytes:
        """`[DONE]`."""
        return DONE

    def failed(self, error: GatewayError) -> bytes:
        """An event with the error envelope."""
        return frame(orjson.dumps(error.envelope()))


CHAT = Surface(name="chat", scope="chat", codec="chat", parse=parse, face=ChatFace, envelope=envelope)
