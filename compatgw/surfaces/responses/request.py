"""A body of `POST /v1/responses` becomes a hub request, and stays beside it for upstreams that speak the same.

`parse` validates the whole request strictly and translates all of it that any chat model can be given. What only
an upstream of this very protocol can do (tools that it runs, items of theirs, its files) is listed in
`Native.foreign`: whoever sends the hub request instead has to refuse it, or to leave it out.

`asked` of a parsed request, for its face and for who keeps responses:

    body         all members as they came, without the gateway's own
    request      the same, validated
    items        the input, validated; a text is one message
    before       items of the conversation that `previous_response_id` names, once `continued` has put them there
    names        the tools, by the name under which the model knows them: `tools.Toolbox`
    previous     `previous_response_id`, None without one
    store        the response is to be kept
    background   it is answered at once, and worked on afterwards

What does not live here: items (`items.py`), tools (`tools.py`), keeping responses (`flow/conversations.py`).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, decode, explain, pruned
from compatgw.surfaces.responses.items import read
from compatgw.surfaces.responses.tools import Toolbox
from compatgw.wire.native import Foreign, Native
from compatgw.wire.responses import ResponsesRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.surfaces.extensions import CallOptions

Json = dict[str, Any]

SURFACE = "responses"
# No upstream speaks it: such a request is always translated.
_NONE = ""
LOGPROBS = "message.output_text.logprobs"
MAX_ITEMS = 20_000
"""Most items of one conversation."""

# What a chat request has under the same name.
_SAME = (
    "metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "safety_identifier", "service_tier", "stream", "temperature", "top_p", "user",
)  # fmt: skip
# What only tunes an answer, and what an answer would not be right without, where it cannot be sent.
_HINTS = ("access_programs", "context_management", "image", "max_tool_calls", "truncation")
_NEEDED = ("moderation", "prompt")
_NEUTRAL = {"truncation": "disabled"}


@cache
def validator() -> TypeAdapter[ResponsesRequest]:
    """The validator of a whole request; built when it is first needed, never at import."""
    return TypeAdapter(ResponsesRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
        UnsupportedParameter: A member that no gateway without conversations of its own can serve.
    """
    value, options = extensions.claim(decode(body))
    try:
        request = cast("Json", validator().validate_python(_tidied(value), strict=True))
    except ValidationError as error:
        raise explain(error.errors(include_url=False)[0]) from None
    _check(request)
    return _parsed(value, request, options, ())


def continued(parsed: Parsed, before: Sequence[Mapping[str, Any]]) -> Parsed:
    """`parsed` with the conversation that its `previous_response_id` names put before its own input.

    Args:
        before: All items of that conversation, as they were kept.

    Raises:
        InvalidRequest: An output without its call, or more items than a conversation may have.
    """
    asked = parsed.asked
    if len(before) + len(asked["items"]) > MAX_ITEMS:
        raise InvalidRequest(
            f"This conversation has more than {MAX_ITEMS} items. Begin a new one with what still matters.",
            param="previous_response_id",
        )
    return _parsed(asked["body"], {**asked["request"], "input": asked["items"]}, parsed.options, tuple(before))


def _parsed(
    body: Mapping[str, Any], request: Json, options: CallOptions, before: tuple[Mapping[str, Any], ...]
) -> Parsed:
    tools = Toolbox(request.get("tools", ()), request.get("tool_choice", "auto"))
    foreign = [*tools.foreign]
    items = _items(request.get("input"))
    out: Json = {"model": request["model"], "messages": []}
    out.update((name, request[name]) for name in _SAME if name in request)
    _options(request, out)
    _tools(request, out, tools, foreign)
    foreign += _untranslated(request)
    waits = "previous_response_id" in request and not before
    messages, unsaid = read([*before, *items], tools, kept=len(before), closed=not waits)
    foreign += unsaid
    if request.get("instructions"):
        messages.insert(0, {"role": "developer", "content": request["instructions"]})
    if not messages and not waits and not foreign:
        raise InvalidRequest("'input' must have at least one item.", param="input")
    out["messages"] = messages or [{"role": "user", "content": ""}]
    native = {**body, "input": [*before, *items]} if before else body
    asked = {
        "body": body, "request": request, "items": items, "before": before, "names": tools,
        "previous": request.get("previous_response_id"), "store": request.get("store", True),
        "background": request.get("background", False),
    }  # fmt: skip
    # Without reasoning the answer is not the upstream's own any more: it is asked for in the hub's words.
    surface = _NONE if options.exclude_reasoning else SURFACE
    return Parsed(out, options, Native(surface, native, foreign=tuple(foreign)), asked)


def _items(given: Any) -> list[Json]:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return given or []


# --- what is wrong with it -------------------------------------------------------------------


def _check(request: Mapping[str, Any]) -> None:
    if "conversation" in request:
        raise UnsupportedParameter(
            "'conversation' is not served by this gateway. Send 'previous_response_id', or the whole conversation in "
            "'input'.",
            param="conversation",
        )
    if not request.keys() & {"input", "prompt", "previous_response_id"}:
        raise InvalidRequest("Missing required parameter: 'input'.", param="input", code="missing_parameter")
    if request.get("background") and request.get("store") is False:
        raise InvalidRequest(
            "'background' needs a response that is kept. Leave 'store' out, or set it to true.", param="background"
        )
    if "stream_options" in request and not request.get("stream"):
        raise InvalidRequest("'stream_options' needs 'stream' to be true.", param="stream_options")
    items = request.get("input")
    if isinstance(items, list) and len(items) > MAX_ITEMS:
        raise InvalidRequest(f"'input' may have {MAX_ITEMS} items at most.", param="input")


def _tidied(value: Json) -> Json:
    """`value` without null members, wherever they stand; it is not changed itself."""
    body = pruned(value)
    if body is value:
        body = dict(value)
    if isinstance(body.get("input"), list):
        body["input"] = [_item(item) for item in body["input"]]
    if isinstance(body.get("tools"), list):
        body["tools"] = [_tool(tool) for tool in body["tools"]]
    for name in ("reasoning", "tool_choice", "stream_options"):
        if isinstance(body.get(name), dict):
            body[name] = pruned(body[name])
    text = body.get("text")
    if isinstance(text, dict):
        body["text"] = text = dict(pruned(text))
        if isinstance(text.get("format"), dict):
            text["format"] = pruned(text["format"])
    return body


def _item(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    item = pruned(item)
    for name in ("content", "output"):
        if isinstance(item.get(name), list):
            parts = [pruned(part) if isinstance(part, dict) else part for part in item[name]]
            item = {**item, name: parts}
    return item


def _tool(tool: Any) -> Any:
    if not isinstance(tool, dict):
        return tool
    tool = pruned(tool)
    if isinstance(tool.get("tools"), list):
        return {**tool, "tools": [_tool(one) for one in tool["tools"]]}
    return tool


# --- the hub's members -----------------------------------------------------------------------


def _options(request: Mapping[str, Any], out: Json) -> None:
    if "max_output_tokens" in request:
        out["max_completion_tokens"] = request["max_output_tokens"]
    reasoning = request.get("reasoning") or {}
    if "effort" in reasoning:
        out["reasoning_effort"] = reasoning["effort"]
    text = request.get("text") or {}
    if "verbosity" in text:
        out["verbosity"] = text["verbosity"]
    form = text.get("format")
    if form is not None and form["type"] != "text":
        out["response_format"] = form
        if form["type"] == "json_schema":
            schema = {name: value for name, value in form.items() if name != "type"}
            out["response_format"] = {"type": "json_schema", "json_schema": schema}
    if LOGPROBS in request.get("include", ()) or request.get("top_logprobs"):
        out["logprobs"] = True
        if request.get("top_logprobs"):
            out["top_logprobs"] = request["top_logprobs"]


def _tools(request: Mapping[str, Any], out: Json, tools: Toolbox, foreign: list[Foreign]) -> None:
    if tools.tools:
        out["tools"] = tools.tools
    else:
        out.pop("parallel_tool_calls", None)
    if "tool_choice" not in request:
        return
    choice, unsaid = tools.choice(request["tool_choice"])
    foreign += unsaid
    # Without tools these say nothing, and several upstreams refuse them.
    if choice is not None and (tools.tools or choice not in ("none", "auto")):
        out["tool_choice"] = choice


def _untranslated(request: Mapping[str, Any]) -> list[Foreign]:
    """Members that no chat has; those that nobody here knows are hints, as strict servers refuse them."""
    known = ResponsesRequest.__annotations__.keys() | set(_SAME)
    needed = [Foreign(name, request[name], name, semantic=True) for name in _NEEDED if name in request]
    hints = [
        Foreign(name, value, name)
        for name, value in request.items()
        if name not in _NEEDED and (name in _HINTS or name not in known) and value != _NEUTRAL.get(name)
    ]
    return needed + hints
