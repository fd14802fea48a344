"""What Anthropic accepts as a request: its shape, then what ties members, models and versions together.

What does not live here: rules about the order of messages and blocks (`turns.py`), answers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.anthropic.models import Limits, limits_of
from compatgw_testing.fakes.anthropic.schema import recursive, schema_faults
from compatgw_testing.fakes.anthropic.turns import check_turns, refuse
from compatgw_testing.fakes.shape import (
    Arr,
    Bool,
    Either,
    Free,
    Map,
    Num,
    Obj,
    Shape,
    Str,
    Tagged,
    Violation,
    check,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw_testing.fakes.answer import Json, Refused
    from compatgw_testing.fakes.anthropic.turns import Thoughts

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_CACHE = Obj({"type": Str(("ephemeral",)), "ttl": Str(("5m", "1h"))}, ("type",))
_TOOL_ID = Str(pattern="[a-zA-Z0-9_-]+")
_TOOL_NAME = Str(pattern="[a-zA-Z0-9_-]{1,128}")


def _block(required: tuple[str, ...], **members: Shape) -> Obj:
    return Obj({"type": Str(), "cache_control": _CACHE, **members}, required)


def _sources(**branches: Obj) -> Tagged:
    return Tagged("type", branches)


def _source(required: tuple[str, ...], **members: Shape) -> Obj:
    return Obj({"type": Str(), **members}, required)


_URL = _source(("url",), url=Str())
_BY_ID = _source(("file_id",), file_id=Str())
_IMAGE = _block(
    ("source",),
    source=_sources(base64=_source(("media_type", "data"), media_type=Str(IMAGES), data=Str()), url=_URL, file=_BY_ID),
    transformations=Free(),
)
_DOCUMENT = _block(
    ("source",),
    source=_sources(
        base64=_source(("media_type", "data"), media_type=Str(("application/pdf",)), data=Str()),
        text=_source(("media_type", "data"), media_type=Str(("text/plain",)), data=Str()),
        content=_source(("content",), content=Free()),
        url=_URL,
        file=_BY_ID,
    ),
    title=Str(),
    context=Str(),
    citations=Obj({"enabled": Bool()}),
)
_TEXT = _block(("text",), text=Str(), citations=Arr(Free()))
_SEARCH = _block(("source", "title", "content"), source=Str(), title=Str(), content=Arr(Free()), citations=Free())
_IN_RESULT = Tagged(
    "type",
    {"text": _TEXT, "image": _IMAGE, "document": _DOCUMENT, "search_result": _SEARCH, "tool_reference": Map(Free())},
)
_RESULT = _block(
    ("tool_use_id",),
    tool_use_id=_TOOL_ID,
    content=Either({"string": Str(), "array": Arr(_IN_RESULT)}),
    is_error=Bool(),
)
_USE = _block(
    ("id", "name", "input"), id=_TOOL_ID, name=_TOOL_NAME, input=Map(Free()), caller=Free(), toolset_name=Str()
)
# Blocks of the vendor's own tools come back as they were sent; nobody writes them by hand.
_OWN = (
    *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
    *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"),
    *("container_upload", "mcp_tool_use", "mcp_tool_result", "advisor_tool_result", "compaction", "fallback"),
)
_BLOCKS: dict[str, dict[str, Shape]] = {
    "user": {
        "text": _TEXT,
        "image": _IMAGE,
        "document": _DOCUMENT,
        "search_result": _SEARCH,
        "tool_result": _RESULT,
    },
    "assistant": {
        "text": _TEXT,
        "tool_use": _USE,
        "thinking": Obj({"type": Str(), "thinking": Str(), "signature": Str()}, ("thinking", "signature")),
        "redacted_thinking": Obj({"type": Str(), "data": Str()}, ("data",)),
        "document": _DOCUMENT,
    },
    "system": {"text": _TEXT, "tool_addition": Map(Free())},
}
_MESSAGES = {
    role: Obj(
        {
            "role": Str(),
            "content": Either(
                {"string": Str(), "array": Arr(Tagged("type", {**blocks, **dict.fromkeys(_OWN, Map(Free()))}))}
            ),
        },
        ("content",),
    )
    for role, blocks in _BLOCKS.items()
}
_SCHEMA_FORMAT = Obj({"type": Str(("json_schema",)), "schema": Map(Free())}, ("type", "schema"))
_EFFORT = Str(("low", "medium", "high", "xhigh", "max"))
_CHOICE = Tagged(
    "type",
    {
        "auto": Obj({"type": Str(), "disable_parallel_tool_use": Bool()}),
        "any": Obj({"type": Str(), "disable_parallel_tool_use": Bool()}),
        "tool": Obj({"type": Str(), "name": Str(), "disable_parallel_tool_use": Bool()}, ("name",)),
        "none": Obj({"type": Str()}),
    },
)
_DISPLAY = Str(("summarized", "omitted", "updates"))
_THINKING = Tagged(
    "type",
    {
        "enabled": Obj(
            {"type": Str(), "budget_tokens": Num(1024, whole=True), "display": _DISPLAY}, ("budget_tokens",)
        ),
        "adaptive": Obj({"type": Str(), "display": _DISPLAY}),
        "between_tools": Obj({"type": Str(), "display": _DISPLAY}),
        "disabled": Obj({"type": Str()}),
    },
)
CUSTOM_TOOL = Obj(
    {
        "type": Str(),
        "name": _TOOL_NAME,
        "description": Str(),
        "input_schema": Map(Free()),
        "cache_control": _CACHE,
        "strict": Bool(),
        "defer_loading": Bool(),
        "eager_input_streaming": Bool(),
        "input_examples": Arr(Map(Free())),
        "allowed_callers": Arr(Str()),
    },
    ("name", "input_schema"),
)
REQUEST = Obj(
    {
        "model": Str(low=1),
        "max_tokens": Num(0, whole=True),
        "messages": Arr(Tagged("role", _MESSAGES), low=1, high=100_000),
        "system": Either({"string": Str(), "array": Arr(Tagged("type", {"text": _TEXT}))}),
        "stop_sequences": Arr(Str()),
        "stream": Bool(),
        "temperature": Num(0, 1),
        "top_p": Num(0, 1),
        "top_k": Num(0, whole=True),
        "thinking": _THINKING,
        "output_config": Obj({"effort": _EFFORT, "format": _SCHEMA_FORMAT, "task_budget": Free()}),
        "output_format": _SCHEMA_FORMAT,
        "tools": Arr(Map(Free())),
        "tool_choice": _CHOICE,
        "metadata": Obj({"user_id": Str(high=256)}),
        "service_tier": Str(("auto", "standard_only")),
        "speed": Str(("standard", "fast")),
        "cache_control": _CACHE,
        **dict.fromkeys(("container", "inference_geo", "diagnostics", "context_management", "mcp_servers"), Free()),
        **dict.fromkeys(("compaction", "fallbacks", "fallback_credit_token", "thread", "billing_policy"), Free()),
    },
    ("max_tokens", "messages", "model"),
)
_NOT_COUNTED = ("max_tokens", "metadata", "service_tier", "stop_sequences", "stream", "temperature", "top_k", "top_p")
COUNT = Obj({name: shape for name, shape in REQUEST.fields.items() if name not in _NOT_COUNTED}, ("messages", "model"))
_TYPES = {"string": "a valid string", "array": "a valid list", "object": "a valid dictionary", "boolean": "a boolean"}


def check_version(version: str | None) -> None:
    """Raises Refused unless the `anthropic-version` header names a version."""
    if version is None:
        raise refuse("anthropic-version: header is required")
    if version not in VERSIONS:
        raise refuse(f'anthropic-version: "{version}" is not a valid version')


def check_request(body: Any, version: str, thoughts: Thoughts) -> None:
    """Raises Refused at the first thing in a request for a message that the vendor would not take."""
    for violation in check(REQUEST, body):
        raise _phrased(violation)
    limits = limits_of(body["model"])
    _sampling(body, version, limits)
    _spending(body, limits)
    _conversation(body, version, limits, thoughts)


def check_count(body: Any, version: str, thoughts: Thoughts) -> None:
    """Raises Refused at the first thing in a request for a count of tokens that the vendor would not take."""
    for violation in check(COUNT, body):
        raise _phrased(violation)
    _conversation(body, version, limits_of(body["model"]), thoughts)


def check_page(query: Mapping[str, str]) -> None:
    """Raises Refused if a query does not say which models to list."""
    limit = query.get("limit")
    if limit is None:
        return
    if not re.fullmatch(r"-?[0-9]+", limit):
        raise refuse("limit: Input should be a valid integer, unable to parse string as an integer")
    for violation in check(Num(1, 1000, whole=True), int(limit), ("limit",)):
        raise _phrased(violation)


def _conversation(body: Json, version: str, limits: Limits, thoughts: Thoughts) -> None:
    """What holds for messages, and for counting them."""
    _thinking(body, limits)
    _tools(body, limits)
    _output(body, limits)
    _marks(body)
    check_turns(body, version, limits, thoughts)


def _phrased(violation: Violation) -> Refused:
    where = ".".join(str(part) for part in violation.path) or "body"
    want = violation.want
    match violation.kind:
        case "missing":
            text = "Field required"
        case "unknown":
            text = "Extra inputs are not permitted"
        case "type":
            text = f"Input should be {' or '.join(_TYPES.get(one, f'a valid {one}') for one in want.split(' or '))}"
        case "value":
            text = f"Input should be {want}"
        case "low" | "high":
            text = f"Input should be {'greater' if violation.kind == 'low' else 'less'} than or equal to {want}"
        case "few" | "many":
            text = f"List should have at {'least' if violation.kind == 'few' else 'most'} {want} items"
        case "short" | "long":
            text = f"String should have at {'least' if violation.kind == 'short' else 'most'} {want} characters"
        case _:
            text = f"String should match pattern '^{want}$'"
    return refuse(f"{where}: {text}")


def _sampling(body: Json, version: str, limits: Limits) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if body.get(name) is not None]
    defaults = {"temperature": 1, "top_p": 1, "top_k": None}
    for name in given:
        if version >= "2026-10-21":
            raise refuse(f"{name}: Extra inputs are not permitted in this version")
        if not limits.sampling and body[name] != defaults[name]:
            raise refuse(f"`{name}` is deprecated for this model.")
    if limits.one_sampling and {"temperature", "top_p"} <= set(given):
        raise refuse("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    for index, stop in enumerate(body.get("stop_sequences") or ()):
        if not stop.strip():
            raise refuse(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")


def _spending(body: Json, limits: Limits) -> None:
    thinking = body.get("thinking") or {}
    if limits.max_output is not None and body["max_tokens"] > limits.max_output:
        raise refuse(
            f"max_tokens: {body['max_tokens']} > {limits.max_output}, which is the maximum allowed number of output "
            f"tokens for {body['model']}"
        )
    if thinking.get("type") == "enabled" and thinking["budget_tokens"] >= body["max_tokens"]:
        raise refuse("`max_tokens` must be greater than `thinking.budget_tokens`")


def _thinking(body: Json, limits: Limits) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking["type"]
    if kind not in limits.thinking:
        raise refuse(f'"thinking.type.{kind}" is not supported for this model')
    if kind == "disabled":
        return
    if body.get("temperature", 1) != 1:
        raise refuse("`temperature` may only be set to 1 when thinking is enabled")
    if body.get("top_k") is not None:
        raise refuse("`top_k` must be unset when thinking is enabled")
    if (body.get("top_p") or 1) < 0.95:
        raise refuse("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled")


def _tools(body: Json, limits: Limits) -> None:
    names: set[str] = set()
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") in (None, "custom"):
            for violation in check(CUSTOM_TOOL, tool, ("tools", index)):
                raise _phrased(violation)
            _input_schema(tool["input_schema"], f"tools.{index}.custom.input_schema")
        name = tool.get("name")
        if name in names:
            raise refuse("tools: Tool names must be unique.")
        names.add(str(name))
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not body.get("tools") and not body.get("mcp_servers"):
        raise refuse("tool_choice: tool_choice may only be specified while providing tools")
    kind = choice["type"]
    if kind == "tool" and choice["name"] not in names:
        raise refuse(f"Tool '{choice['name']}' not found in provided tools")
    if kind in ("any", "tool"):
        if not limits.forced:
            raise refuse('tool_choice: type "tool" and "any" are not supported for this model')
        if (body.get("thinking") or {}).get("type") == "enabled":
            raise refuse("Thinking may not be enabled when tool_choice forces tool use.")


def _input_schema(schema: Json, at: str) -> None:
    if schema.get("type") != "object":
        found = "Input should be 'object'" if "type" in schema else "Field required"
        raise refuse(f"{at}.type: {found}")
    for word in ("oneOf", "allOf", "anyOf"):
        if word in schema:
            raise refuse(f"{at}: input_schema does not support oneOf, allOf, or anyOf at the top level")


def _output(body: Json, limits: Limits) -> None:
    config = body.get("output_config") or {}
    effort = config.get("effort")
    if effort is not None and effort not in limits.efforts:
        if not limits.efforts:
            raise refuse("This model does not support the effort parameter.")
        levels = ", ".join(limits.efforts)
        raise refuse(f"This model does not support effort level '{effort}'. Supported levels: {levels}.")
    for at, form in (("output_config.format", config.get("format")), ("output_format", body.get("output_format"))):
        if form is None:
            continue
        if not limits.structured:
            raise refuse(f"{at}: '{body['model']}' does not support structured outputs")
        for fault in schema_faults(form["schema"]):
            raise refuse(f"{at}.schema: {fault}")
        if recursive(form["schema"]):
            raise refuse(f"{at}.schema: Recursive schemas are not supported")


def _marks(body: Json) -> None:
    """At most four cache marks over tools, system and messages, the automatic one included."""
    held: list[Any] = [body, *(body.get("tools") or ())]
    blocks: list[Json] = []
    for content in (body.get("system"), *(message["content"] for message in body["messages"])):
        blocks += content if isinstance(content, list) else []
    for block in blocks:
        held.append(block)
        inner = block.get("content")
        held += [one for one in inner if isinstance(one, dict)] if isinstance(inner, list) else []
        if block.get("cache_control") and block.get("type") == "text" and not re.search(r"\S", block["text"]):
            raise refuse("cache_control cannot be set for empty text blocks")
    marks = sum(1 for one in held if one.get("cache_control"))
    if marks > 4:
        raise refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {marks}.")
