"""A body of `POST /v1/messages` becomes a hub request, and stays what it is for upstreams of its own protocol.

`parse` validates as strictly as the vendor, in its words (`messages.0.content.1.text: Field required`), but keeps
what it does not know. Null members are the same as none. What the hub's request cannot hold stands in
`Native.foreign`. `Parsed.asked` holds what the face needs:

    names     names of tools that were too long for other vendors -> the caller's
    stops     `stop_sequences`
    thoughts  how much of the thinking is shown: `all`, `sealed` (kept, but not to be read) or `none`

What does not live here: messages (`history.py`), shapes (`wire/messages.py`), HTTP (`web/`).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from compatgw.errors import InvalidRequest, UnsupportedParameter
from compatgw.surfaces import extensions
from compatgw.surfaces.base import Parsed, decode, explain
from compatgw.surfaces.messages import history
from compatgw.wire.messages import THREAD, UNCOUNTED, CountRequest, MessagesRequest
from compatgw.wire.native import Foreign, Native

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

    from compatgw.surfaces.extensions import CallOptions

MESSAGES_NATIVE = "messages"
COUNT_NATIVE = "count_tokens"
NO_NATIVE = ""
"""A protocol that no upstream speaks: the request is always translated."""
MAX_NAME = 64
MAX_USER = 64
# Budgets of thinking as words; what is above the last one is `high`.
_BUDGETS = ((2048, "low"), (8192, "medium"))
_PLACES = re.compile(r"\[(\d+)\]")
# What is read below or in `history.py`; whatever else a body holds is a hint that only its own protocol knows.
_READ = frozenset(MessagesRequest.__annotations__) | frozenset(CountRequest.__annotations__)
_TOOL = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_CONFIG = frozenset({"effort", "format"})
_THINKING = frozenset({"type", "budget_tokens", "display"})
# Members of which one value asks for nothing.
_NEUTRAL: Mapping[str, Any] = {"speed": "standard", "inference_geo": "global"}
_SERVERS = "Only Anthropic's own servers reach MCP servers; call them from the client and send their tools."
_VENDOR_TOOL = "This tool is one of Anthropic's own; define a tool with an input_schema, or choose a Claude model."
_THREAD = (
    "thread: conversations are not kept here, and one part of a conversation cannot be told from another; "
    "send all messages without 'thread', as the SDKs do when they read this"
)
_WARM = "Only Anthropic's own servers warm a cache; ask for at least one token."


@cache
def validator() -> TypeAdapter[MessagesRequest]:
    """The validator of a whole request; built when the first gateway is, never at import."""
    return TypeAdapter(MessagesRequest)


@cache
def count_validator() -> TypeAdapter[CountRequest]:
    """The validator of a request for a count of tokens."""
    return TypeAdapter(CountRequest)


def parse(body: bytes) -> Parsed:
    """The request that `body` holds.

    Raises:
        InvalidRequest: Not JSON (`invalid_json`), or the first thing wrong in it, with its path as `param`.
        UnsupportedParameter: It goes on with a conversation that the vendor keeps.
    """
    value, options = _claimed(body)
    return _parsed(_checked(validator(), value), options, Native(MESSAGES_NATIVE, value))


def parse_count(body: bytes) -> Parsed:
    """The request for a count of tokens that `body` holds; members that do not count are taken and left aside.

    Raises:
        InvalidRequest: As for `parse`.
    """
    value, options = _claimed(body)
    counted = {name: member for name, member in value.items() if name not in UNCOUNTED}
    return _parsed(_checked(count_validator(), counted), options, Native(COUNT_NATIVE, counted))


def _claimed(body: bytes) -> tuple[dict[str, Any], CallOptions]:
    value, options = extensions.claim(decode(body))
    # Half a conversation would be counted, cached and sent elsewhere as if it were all of it.
    if value.get("thread"):
        raise UnsupportedParameter(_THREAD, param=THREAD)
    return value, options


def _checked(adapter: TypeAdapter[Any], value: dict[str, Any]) -> dict[str, Any]:
    """`value` without null members, found valid."""
    tidied = history.tidied(value)
    try:
        adapter.validate_python(tidied, strict=True)
    except ValidationError as error:
        raise _explained(error.errors(include_url=False)[0]) from None
    return tidied


def _explained(problem: ErrorDetails) -> InvalidRequest:
    """What is wrong, in the vendor's words; `param` and code are the gateway's own."""
    found = explain(problem)
    context = problem.get("ctx", {})
    if found.code == "missing_parameter":
        text = "Field required"
    elif problem["type"] == "union_tag_invalid":
        tags = str(context.get("expected_tags", "")).replace("'<", "'").replace(">'", "'")
        got = str(context.get("tag", "")).strip("<>")[:64]
        text = f"Input tag '{got}' does not match any of the expected tags: {tags}"
    elif problem["type"].startswith("union_tag"):
        plain = "by_kind" in str(context.get("discriminator", ""))
        text = "Input should be a valid string or a valid list" if plain else "Input should be a valid dictionary"
    else:
        text = problem["msg"]
    where = _PLACES.sub(r".\1", found.param or "")
    return InvalidRequest(f"{where}: {text}" if where else text, param=found.param, code=found.code)


def _parsed(members: Mapping[str, Any], options: CallOptions, native: Native) -> Parsed:
    names = _Names()
    foreign: list[Foreign] = []
    told = history.History(names.short, foreign)
    request: dict[str, Any] = {"model": members["model"], "messages": told.read(members)}
    if not request["messages"]:
        raise InvalidRequest("messages: at least one message is required", param="messages")
    _plain(members, request, foreign)
    _tools(members, request, names, foreign)
    thoughts = _thinking(members, request, foreign)
    _rest(members, foreign)
    asked = {
        "names": names.longer,
        "stops": tuple(members.get("stop_sequences", ())),
        "thoughts": "none" if options.exclude_reasoning else thoughts,
    }
    # Without reasoning the answer is not the upstream's own any more, so it is asked for in the hub's words.
    surface = NO_NATIVE if options.exclude_reasoning else native.surface
    return Parsed(cast("Any", request), options, native._replace(surface=surface, foreign=tuple(foreign)), asked)


class _Names:
    """Names of tools within the length that most vendors take, always the same for the same name."""

    def __init__(self) -> None:
        self.longer: dict[str, str] = {}

    def short(self, name: str) -> str:
        """The name that the hub's request has for it."""
        if len(name) <= MAX_NAME:
            return name
        short = f"{name[: MAX_NAME - 11]}_{_digest(name)[:10]}"
        self.longer[short] = name
        return short


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


# --- members ---------------------------------------------------------------------------------


def _plain(members: Mapping[str, Any], request: dict[str, Any], foreign: list[Foreign]) -> None:
    limit = members.get("max_tokens")
    if limit is not None:
        request["max_tokens"] = max(1, limit)
        if limit == 0:
            foreign.append(Foreign("max_tokens", "0", "max_tokens", semantic=True, why=_WARM))
    for name in ("temperature", "top_p", "top_k", "cache_control"):
        if name in members:
            request[name] = members[name]
    if stops := members.get("stop_sequences"):
        request["stop"] = list(stops)
    if members.get("stream"):
        request["stream"] = True
    if members.get("service_tier") == "standard_only":
        request["service_tier"] = "default"
    if user := (members.get("metadata") or {}).get("user_id"):
        # Others take 64 characters at most; Claude Code's are longer.
        request["user"] = user if len(user) <= MAX_USER else _digest(user)


def _tools(members: Mapping[str, Any], request: dict[str, Any], names: _Names, foreign: list[Foreign]) -> None:
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(members.get("tools", ())):
        kind = tool.get("type")
        if kind is None or kind == "custom":
            tools.append(_tool(tool, names, foreign))
        else:
            foreign.append(Foreign("tools", tool, f"tools[{index}].type", semantic=True, why=_VENDOR_TOOL))
    if not tools:
        return
    request["tools"] = tools
    choice = members.get("tool_choice")
    if choice is None:
        return
    if choice["type"] == "tool":
        request["tool_choice"] = {"type": "function", "function": {"name": names.short(choice["name"])}}
    else:
        request["tool_choice"] = "required" if choice["type"] == "any" else choice["type"]
    if choice.get("disable_parallel_tool_use") is True:
        request["parallel_tool_calls"] = False


def _tool(tool: Mapping[str, Any], names: _Names, foreign: list[Foreign]) -> dict[str, Any]:
    function = {"name": names.short(tool["name"]), "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict"):
        if _exact(tool["input_schema"]):
            function["strict"] = True
        else:
            foreign.append(Foreign("tools.strict", True, "tools"))
    foreign += [Foreign(f"tools.{name}", value, "tools") for name, value in tool.items() if name not in _TOOL]
    made: dict[str, Any] = {"type": "function", "function": function}
    return {**made, "cache_control": tool["cache_control"]} if "cache_control" in tool else made


def _exact(schema: Any) -> bool:
    """True where other vendors' strict mode takes the schema: objects say all that they hold, and need all of it."""
    if isinstance(schema, list):
        return all(_exact(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        required = schema.get("required")
        if set(properties) - set(required if isinstance(required, list) else ()):
            return False
    return all(_exact(value) for name, value in schema.items() if name not in ("enum", "const", "default", "examples"))


def _thinking(members: Mapping[str, Any], request: dict[str, Any], foreign: list[Foreign]) -> str:
    """Asks for as much thinking; returns how much of it is shown."""
    config = members.get("output_config") or {}
    thinking = members.get("thinking")
    form = config.get("format") or members.get("output_format")
    if form is not None:
        schema = {"name": "output", "schema": form["schema"], "strict": _exact(form["schema"])}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    foreign += [
        Foreign(f"output_config.{name}", value, f"output_config.{name}")
        for name, value in config.items()
        if name not in _CONFIG
    ]
    effort = config.get("effort")
    if thinking is None:
        if effort is not None:
            request["reasoning_effort"] = effort
        return "all"
    foreign += [
        Foreign(f"thinking.{name}", value, f"thinking.{name}")
        for name, value in thinking.items()
        if name not in _THINKING
    ]
    if thinking["type"] == "disabled":
        request["reasoning_effort"] = "none"
        return "none"
    budget = thinking.get("budget_tokens")
    word = "medium" if budget is None else next((word for limit, word in _BUDGETS if budget < limit), "high")
    request["reasoning_effort"] = effort or word
    return "sealed" if thinking.get("display") == "omitted" else "all"


def _rest(members: Mapping[str, Any], foreign: list[Foreign]) -> None:
    if servers := members.get("mcp_servers"):
        foreign.append(Foreign("mcp_servers", servers, "mcp_servers", semantic=True, why=_SERVERS))
    foreign += [
        Foreign(name, value, name)
        for name, value in members.items()
        if name not in _READ and value != _NEUTRAL.get(name, {}) and value != []
    ]
