"""What OpenAI accepts as a chat request, and in which words it refuses the rest.

First the shape (fields, types, ranges), then the rules that tie members together: tool calls
and their results, limits of certain models, members that need one another.

What does not live here: answers, habits' own data.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.jsonschema import inside, malformed
from compatgw_testing.fakes.media import DataUrl, decoded
from compatgw_testing.fakes.openai.wording import members_of, refuse
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
)
from compatgw_testing.script import dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.fakes.openai.habit import Habit

IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_NAME = Str(pattern="[a-zA-Z0-9_-]+", high=64)
_ID = Str(high=40)
_FLAG = Bool()


def _part(**members: Shape) -> Obj:
    return Obj({"type": Str(), **members}, tuple(members), open=True)


_TEXT = _part(text=Str())
_IMAGE = _part(
    image_url=Obj({"url": Str(), "detail": Str(("auto", "low", "high", "original"))}, ("url",)),
)
_AUDIO = _part(input_audio=Obj({"data": Str(), "format": Str(("wav", "mp3"))}, ("data", "format")))
_FILE = _part(file=Obj({"file_data": Str(), "file_id": Str(), "filename": Str()}))
_REFUSAL = _part(refusal=Str())


def _content(*, null: bool = False, **parts: Shape) -> Either:
    by: dict[str, Shape] = {"string": Str(), "array": Arr(Tagged("type", parts), low=1)}
    return Either({**by, "null": Free()} if null else by)


_CALL = Tagged(
    "type",
    {
        "function": Obj(
            {
                "id": _ID,
                "type": Str(),
                "function": Obj({"name": _NAME, "arguments": Str()}, ("name", "arguments"), True),
            },
            ("id", "function"),
            open=True,
        ),
        "custom": Obj({"id": _ID, "type": Str(), "custom": Obj({"name": _NAME, "input": Str()}, ("name", "input"))}),
    },
)
_WHO = Str(pattern=r"[^\s<|\\/>]+", high=64)
MESSAGE_FIELDS: dict[str, dict[str, Shape]] = {
    "system": {"content": _content(text=_TEXT), "name": _WHO},
    "developer": {"content": _content(text=_TEXT), "name": _WHO},
    "user": {"content": _content(text=_TEXT, image_url=_IMAGE, input_audio=_AUDIO, file=_FILE), "name": _WHO},
    "assistant": {
        "content": _content(null=True, text=_TEXT, refusal=_REFUSAL),
        "name": _WHO,
        "refusal": Str(),
        "tool_calls": Arr(_CALL, low=1),
        "function_call": Obj({"name": _NAME, "arguments": Str()}, ("name", "arguments")),
        "audio": Obj({"id": Str()}, ("id",)),
    },
    "tool": {"content": _content(text=_TEXT, image_url=_IMAGE), "tool_call_id": _ID, "name": _WHO},
    "function": {"content": Either({"string": Str(), "null": Free()}), "name": _NAME},
}
_NEEDED = {"assistant": (), "tool": ("content", "tool_call_id"), "function": ("name",)}
_MESSAGES = {
    role: Obj({"role": Str(), **members}, _NEEDED.get(role, ("content",)), open=True)
    for role, members in MESSAGE_FIELDS.items()
}
_FUNCTION = Obj(
    {"name": _NAME, "description": Str(), "parameters": Map(Free()), "strict": _FLAG},
    ("name",),
)
_CUSTOM = Obj({"name": _NAME, "description": Str(), "format": Free()}, ("name",))
_TOOL = Tagged(
    "type",
    {
        "function": Obj({"type": Str(), "function": _FUNCTION}, ("type", "function"), open=True),
        "custom": Obj({"type": Str(), "custom": _CUSTOM}, ("type", "custom"), open=True),
    },
)
_NAMED = Obj({"name": Str()}, ("name",))
_TOOL_CHOICE = Either(
    {
        "string": Str(("none", "auto", "required")),
        "object": Tagged(
            "type",
            {
                "function": Obj({"type": Str(), "function": _NAMED}, ("function",)),
                "custom": Obj({"type": Str(), "custom": _NAMED}, ("custom",)),
                "allowed_tools": Obj(
                    {
                        "type": Str(),
                        "allowed_tools": Obj(
                            {"mode": Str(("auto", "required")), "tools": Arr(Map(Free()), low=1)}, ("mode", "tools")
                        ),
                    },
                    ("allowed_tools",),
                ),
            },
        ),
    }
)
_JSON_SCHEMA = Obj(
    {"name": _NAME, "description": Str(), "schema": Map(Free()), "strict": _FLAG},
    ("name",),
)
_FORMAT = Tagged(
    "type",
    {
        "text": Obj({"type": Str()}),
        "json_object": Obj({"type": Str()}),
        "json_schema": Obj({"type": Str(), "json_schema": _JSON_SCHEMA}, ("json_schema",)),
    },
)
_PENALTY = Num(-2, 2)
FIELDS: dict[str, Shape] = {
    "messages": Arr(Tagged("role", _MESSAGES), low=1),
    "model": Str(),
    "audio": Obj({"voice": Free(), "format": Str()}, ("voice", "format")),
    "frequency_penalty": _PENALTY,
    "function_call": Either({"string": Str(("none", "auto")), "object": _NAMED}),
    "functions": Arr(_FUNCTION, low=1, high=128),
    "logit_bias": Map(Num(-100, 100, whole=True)),
    "logprobs": _FLAG,
    "max_completion_tokens": Num(1, whole=True),
    "max_tokens": Num(1, whole=True),
    "metadata": Map(Str(high=512), high=16),
    "modalities": Arr(Str(("text", "audio")), low=1),
    "moderation": Obj({"model": Str(), "policy": Free()}, ("model",)),
    "n": Num(1, 128, whole=True),
    "parallel_tool_calls": _FLAG,
    "prediction": Obj({"type": Str(("content",)), "content": Free()}, ("type", "content")),
    "presence_penalty": _PENALTY,
    "prompt_cache_key": Str(),
    "prompt_cache_options": Obj({"mode": Str(("implicit", "explicit")), "ttl": Str()}),
    "prompt_cache_retention": Str(("in_memory", "24h")),
    "reasoning_effort": Str(("none", "minimal", "low", "medium", "high", "xhigh", "max")),
    "response_format": _FORMAT,
    "safety_identifier": Str(high=128),
    "seed": Num(-(2**63), 2**63 - 1, whole=True),
    "service_tier": Str(("auto", "default", "flex", "scale", "priority", "fast")),
    "stop": Either({"string": Str(), "array": Arr(Str(), low=1, high=4)}),
    "store": _FLAG,
    "stream": _FLAG,
    "stream_options": Obj({"include_usage": _FLAG, "include_obfuscation": _FLAG}),
    "temperature": Num(0, 2),
    "tool_choice": _TOOL_CHOICE,
    "tools": Arr(_TOOL, low=1, high=128),
    "top_logprobs": Num(0, 20, whole=True),
    "top_p": Num(0, 1),
    "user": Str(),
    "verbosity": Str(("low", "medium", "high")),
    "web_search_options": Obj({"search_context_size": Str(("low", "medium", "high")), "user_location": Free()}),
}


def check_request(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a chat request that the vendor would not take."""
    body = members_of(body, FIELDS, ("messages", "model"), habit)
    _messages(body["messages"], habit)
    _pairs(body["messages"])
    _forbidden(body, habit)
    _history(body, habit)
    _tools(body, habit)
    _format(body, habit)
    _together(body)
    if habit.models_rules:
        _model(body)
    if habit.order != "free":
        _order(body["messages"], habit)


def _messages(messages: list[Json], habit: Habit) -> None:
    for index, message in enumerate(messages):
        role, at = message.get("role"), f"messages[{index}]"
        if role not in habit.roles:
            known = ", ".join(f"'{one}'" for one in habit.roles)
            raise refuse(f"Invalid value: '{role}'. Supported values are: {known}.", f"{at}.role", "invalid_value")
        if habit.closed_messages:
            takes = {"role", *MESSAGE_FIELDS[role], *(("prefix", habit.reasoning) if role == "assistant" else ())}
            if unknown := sorted(set(message) - (takes - habit.message_refuses)):
                status = habit.unknown or 400
                raise refuse(f"property '{at}.{unknown[0]}' is unsupported", f"{at}.{unknown[0]}", None, status)
        content = message.get("content")
        if role == "assistant" and content is None:
            held = ("tool_calls", "function_call", "audio", "refusal")
            if not any(message.get(name) for name in held):
                raise refuse("Invalid value for 'content': expected a string, got null.", f"{at}.content")
        if isinstance(content, list):
            for number, part in enumerate(content):
                _media(part, f"{at}.content[{number}]", habit)


def _media(part: Any, at: str, habit: Habit) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "image_url":
        # Some vendors take the bare address too.
        url = part["image_url"]["url"] if isinstance(part["image_url"], dict) else part["image_url"]
        if url.startswith("data:"):
            image = DataUrl.of(url)
            if image is None or image.media_type not in IMAGES:
                raise refuse(
                    f"Invalid image data URL: expected base64 of one of {', '.join(IMAGES)}.",
                    f"{at}.image_url.url",
                    "invalid_image_url",
                )
        elif not url.startswith(("https://", "http://")):
            raise refuse("Invalid image URL: expected http(s) or a data URL.", f"{at}.image_url.url", "invalid_value")
        elif not habit.fetches:
            raise refuse("Invalid image input: only base64 data URLs are taken.", f"{at}.image_url.url")
    elif kind == "input_audio" and decoded(part["input_audio"]["data"]) is None:
        raise refuse("Invalid audio data: not base64.", f"{at}.input_audio.data", "invalid_value")
    elif kind == "file":
        file = part["file"]
        if ("file_data" in file) == ("file_id" in file):
            raise refuse(
                "A file part takes either 'file_data' or 'file_id'.", f"{at}.file", "missing_required_parameter"
            )
        data = file.get("file_data")
        if data is not None and (DataUrl.of(data) is None if data.startswith("data:") else decoded(data) is None):
            raise refuse("Invalid file data: expected a base64 data URL.", f"{at}.file.file_data", "invalid_value")


def _pairs(messages: list[Json]) -> None:
    """Every tool call is answered right after it, and every result answers a call."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise refuse(
                    "messages with role 'tool' must be a response to a preceding message with 'tool_calls'; "
                    f"'{message['tool_call_id']}' answers none.",
                    f"messages.[{index}].role",
                )
            open_calls.remove(message["tool_call_id"])
            continue
        _closed(open_calls, index)
        open_calls = [one["id"] for one in message.get("tool_calls") or ()]
    _closed(open_calls, len(messages))


def _closed(open_calls: list[str], index: int) -> None:
    if open_calls:
        raise refuse(
            "An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'. "
            f"These tool_call_ids had no response: {', '.join(open_calls)}",
            f"messages.[{index}].role",
        )


def _forbidden(body: Json, habit: Habit) -> None:
    """What this vendor, or some of its models, refuse beside."""
    for one in habit.forbids:
        if one.member not in body and not one.missing:
            continue
        told = one.member not in body or re.fullmatch(one.value, dump(body[one.member]))
        beside = not one.beside or any(name in body for name in one.beside)
        if told and beside and re.match(one.models, body["model"]) and not (one.plain and body.get("stream")):
            raise refuse(one.words, one.member)


def _history(body: Json, habit: Habit) -> None:
    """Models that think want their thought back with the calls that it led to."""
    thinking = body.get("thinking") or {}
    told = thinking.get("type") if isinstance(thinking, dict) else None
    if habit.thinks is None or told == "disabled" or not (told == "enabled" or re.match(habit.thinks, body["model"])):
        return
    for index, message in enumerate(body["messages"]):
        if message.get("tool_calls") and "reasoning_content" not in message:
            raise refuse(
                "The reasoning_content in the thinking mode must be passed back to the API: it is missing in "
                f"messages[{index}].",
                None,
                "invalid_request_error",
            )


def _tools(body: Json, habit: Habit) -> None:
    tools = body.get("tools")
    if not habit.tools and tools:
        raise refuse("Tool calling is not supported for this model.", "tools")
    for name in ("tool_choice", "parallel_tool_calls"):
        if name in body and not tools and body[name] != "none":
            raise refuse(f"'{name}' is only allowed when 'tools' are specified.", name)
    if "function_call" in body and "functions" not in body:
        raise refuse("'function_call' is only allowed when 'functions' are specified.", "function_call")
    choice = body.get("tool_choice")
    names = [definition_of(tool).get("name") for tool in tools or ()]
    if isinstance(choice, dict) and choice["type"] in choice and "name" in choice[choice["type"]]:
        wanted = choice[choice["type"]]["name"]
        if wanted not in names:
            raise refuse(f"Tool choice '{wanted}' not found in 'tools' parameter.", "tool_choice")
    for index, tool in enumerate(tools or ()):
        if habit.models_rules and (tool.get("function") or {}).get("strict"):
            for fault in strict_faults(tool["function"].get("parameters", {})):
                raise refuse(
                    f"Invalid schema for function '{tool['function']['name']}': {fault}",
                    f"tools[{index}].function.parameters",
                    "invalid_function_parameters",
                )
    if habit.tool_id:
        for index, message in enumerate(body["messages"]):
            for one in [*(call["id"] for call in message.get("tool_calls") or ()), message.get("tool_call_id")]:
                if one is not None and not re.fullmatch(habit.tool_id, one):
                    raise refuse(f"Tool call id was {one} but must match {habit.tool_id}.", f"messages[{index}]")


def definition_of(tool: Json) -> Json:
    """Name and parameters of a tool; empty for a vendor's own."""
    definition: Json = tool.get(tool.get("type", "function")) or {}
    return definition


def _format(body: Json, habit: Habit) -> None:
    form = body.get("response_format", {})
    if form.get("type") == "json_object" and "json" not in "".join(texts(body["messages"])).lower():
        raise refuse(
            "'messages' must contain the word 'json' to use 'response_format' of type 'json_object'.", "messages"
        )
    if form.get("type") == "json_schema" and form["json_schema"].get("strict") and habit.models_rules:
        for fault in strict_faults(form["json_schema"].get("schema", {})):
            raise refuse(
                f"Invalid schema for response_format '{form['json_schema']['name']}': {fault}",
                "response_format",
                "invalid_json_schema",
            )


def texts(messages: list[Json]) -> Iterator[str]:
    """Every text in the messages."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            yield content
        elif isinstance(content, list):
            yield from (part["text"] for part in content if part.get("type") == "text")


def strict_faults(schema: Any, at: str = "()") -> Iterator[str]:
    """What keeps a schema from strict mode: objects are closed and all their properties required."""
    if fault := malformed(schema):
        yield f"In context={at}, {fault}."
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            yield f"In context={at}, 'additionalProperties' is required to be supplied and to be false."
        missing = sorted(set(schema.get("properties", {})) - set(schema.get("required", [])))
        if missing:
            yield f"In context={at}, 'required' has to name every property; missing '{missing[0]}'."
    for place, part in inside(schema):
        yield from strict_faults(part, f"{at}.{place}")


def _together(body: Json) -> None:
    if "stream_options" in body and not body.get("stream"):
        raise refuse("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    if "top_logprobs" in body and not body.get("logprobs"):
        raise refuse("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs", "invalid_value")
    if "audio" in body.get("modalities", ()) and "audio" not in body:
        raise refuse("Missing required parameter: 'audio'.", "audio", "missing_required_parameter")
    for name in body.get("metadata", ()):
        if len(name) > 64:
            raise refuse("Invalid 'metadata': a key is over 64 characters.", "metadata", "string_above_max_length")


def _model(body: Json) -> None:
    """Limits of OpenAI's own models, by their names."""
    model = body["model"]
    if re.match(r"gpt-|o\d", model) and "audio" not in model:
        for index, message in enumerate(body["messages"]):
            parts = message.get("content")
            if isinstance(parts, list) and any(part["type"] == "input_audio" for part in parts):
                raise refuse(
                    f"Invalid 'messages[{index}]'. Content blocks are expected to be either text or image_url type.",
                    f"messages[{index}]",
                    "invalid_value",
                )
    series = re.match(r"(?:o[134]|gpt-5)(?!.*(?:chat|search))", model)
    if series is None:
        if "reasoning_effort" in body and re.match(r"gpt-(?:3|4)", model):
            raise refuse("Unrecognized request argument supplied: reasoning_effort")
        if "web_search_options" in body and "search" not in model:
            raise refuse("Web search options not supported with this model.", "web_search_options")
        return
    unsupported = ["max_tokens"]
    if re.match(r"o1|o3(?!-mini)|o4|gpt-5", model):
        unsupported.append("stop")
    if model.startswith("o"):
        unsupported.append("parallel_tool_calls")
    for name in unsupported:
        if name in body:
            instead = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
            raise refuse(
                f"Unsupported parameter: '{name}' is not supported with this model.{instead}",
                name,
                "unsupported_parameter",
            )
    # From 5.1 on the default is not to think, and then sampling is free.
    if re.match(r"gpt-5\.\d", model) and body.get("reasoning_effort", "none") == "none":
        return
    for name, default in (("temperature", 1), ("top_p", 1), ("presence_penalty", 0), ("frequency_penalty", 0)):
        if body.get(name, default) != default:
            raise refuse(
                f"Unsupported value: '{name}' does not support {body[name]} with this model. Only the default "
                f"({default}) value is supported.",
                name,
                "unsupported_value",
            )


# What Mistral's own library, which its servers check with, lets no message follow.
_NEVER_AFTER = {"system": ("tool",), "user": ("tool",), "assistant": ("system",), "tool": ("user", "system")}


def _order(messages: list[Json], habit: Habit) -> None:
    roles = [message["role"] for message in messages if message["role"] != "system"]
    if habit.order == "alternate":
        if any(role != ("user", "assistant")[index % 2] for index, role in enumerate(roles)) or roles[-1:] != ["user"]:
            raise refuse(
                "After the system messages, user and assistant messages have to alternate, user first and last.",
                "messages",
                "invalid_message",
            )
        return
    everyone = [message["role"] for message in messages]
    for before, after in pairwise(everyone):
        if after in _NEVER_AFTER.get(before, ()):
            raise refuse(
                f"Unexpected role '{after}' after role '{before}'", "messages", "invalid_request_message_order"
            )
    if roles and roles[-1] == "assistant" and not messages[-1].get("prefix"):
        raise refuse(
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
            "messages",
            "invalid_request_message_order",
        )
