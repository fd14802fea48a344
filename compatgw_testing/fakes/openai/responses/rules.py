"""What OpenAI accepts as a request for a response, and in which words it refuses the rest.

First the shape, then the items of the input, then what ties members together. What does not
live here: items that earlier responses bring (`surface.py` puts them before the input).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compatgw_testing.fakes.media import DataUrl
from compatgw_testing.fakes.openai.responses.shapes import FIELDS, ITEMS, PARTS, TOOLS
from compatgw_testing.fakes.openai.rules import IMAGES, strict_faults
from compatgw_testing.fakes.openai.wording import refuse, shaped
from compatgw_testing.fakes.shape import Obj, check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw_testing.fakes.answer import Json
    from compatgw_testing.fakes.openai.habit import Habit

# Ids that the vendor gives, by the type of their item.
_PREFIXES = {"message": "msg", "function_call": "fc", "custom_tool_call": "ctc", "reasoning": "rs"}
_REASONING = re.compile(r"(?:o[134]|gpt-5|codex)(?!.*(?:chat|search))")
_EFFORTS = {
    r"o\d": ("low", "medium", "high"),
    r"gpt-5(?!\.\d)": ("minimal", "low", "medium", "high"),
}


def check_response(body: Any, habit: Habit) -> None:
    """Raises Refused at the first thing in a request that the vendor would not take."""
    if not isinstance(body, dict):
        raise refuse("The JSON body has to be an object.")
    body = {name: value for name, value in body.items() if value is not None}
    if habit.unknown is not None:
        for name in body:
            if name not in FIELDS and name not in habit.takes:
                raise refuse(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    needed = () if "prompt" in body else ("model",)
    shaped(check(Obj(FIELDS, needed, open=True), body), habit)
    if "input" not in body and "prompt" not in body and "previous_response_id" not in body:
        raise refuse("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    if isinstance(body.get("input"), list):
        for index, item in enumerate(body["input"]):
            _item(item, f"input[{index}]", habit)
    _tools(body, habit)
    _format(body, habit)
    _together(body)
    if habit.models_rules:
        _model(body)


def kind_of_item(item: Json) -> str:
    """The type of an item; a message may go without one."""
    return str(item.get("type") or ("message" if "role" in item else ""))


def _item(item: Any, at: str, habit: Habit) -> None:
    if not isinstance(item, dict):
        raise refuse(f"Invalid type for '{at}': expected an object.", at, "invalid_type")
    kind = kind_of_item(item)
    if not kind:
        raise refuse(f"Missing required parameter: '{at}.type'.", f"{at}.type", "missing_required_parameter")
    if kind not in ITEMS:
        known = ", ".join(f"'{one}'" for one in ITEMS)
        raise refuse(f"Invalid value: '{kind}'. Supported values are: {known}.", f"{at}.type", "invalid_value")
    path = ("input", int(at[6:-1]))
    shaped(check(ITEMS[kind], item, path), habit)
    prefix = _PREFIXES.get(kind)
    if prefix and habit.models_rules and not str(item.get("id") or prefix).startswith(prefix):
        raise refuse(
            f"Invalid '{at}.id': '{item['id']}'. Expected an ID that begins with '{prefix}'.",
            f"{at}.id",
            "invalid_value",
        )
    if kind == "message" and isinstance(item["content"], list):
        said = "assistant" if item["role"] == "assistant" else "user"
        for number, part in enumerate(item["content"]):
            _part(part, said, (*path, "content", number), habit)
    if kind in ("function_call_output", "custom_tool_call_output") and isinstance(item["output"], list):
        for number, part in enumerate(item["output"]):
            _part(part, "user", (*path, "output", number), habit)


def _part(part: Any, said: str, path: tuple[str | int, ...], habit: Habit) -> None:
    at = f"input[{path[1]}].{path[2]}[{path[3]}]"
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise refuse(f"Missing required parameter: '{at}.type'.", f"{at}.type", "missing_required_parameter")
    known = PARTS[said]
    if part["type"] not in known:
        listed = ", ".join(f"'{one}'" for one in known)
        raise refuse(f"Invalid value: '{part['type']}'. Supported values are: {listed}.", at, "invalid_value")
    shaped(check(known[part["type"]], part, path), habit)
    if part["type"] == "input_image":
        _image(part, at)
    elif part["type"] == "input_file":
        _file(part, at)


def _image(part: Json, at: str) -> None:
    url = part.get("image_url")
    if (url is None) == (part.get("file_id") is None):
        raise refuse("An image takes either 'image_url' or 'file_id'.", at, "missing_required_parameter")
    if url is None:
        return
    if url.startswith("data:"):
        image = DataUrl.of(url)
        if image is None or image.media_type not in IMAGES:
            raise refuse(
                f"Invalid '{at}.image_url'. Expected a base64-encoded data URL of one of {', '.join(IMAGES)}.",
                f"{at}.image_url",
                "invalid_value",
            )
    elif not url.startswith(("https://", "http://")):
        raise refuse(
            f"Invalid '{at}.image_url'. Expected a valid URL, got '{url}'.", f"{at}.image_url", "invalid_value"
        )


def _file(part: Json, at: str) -> None:
    given = [name for name in ("file_data", "file_id", "file_url") if part.get(name) is not None]
    if len(given) != 1:
        raise refuse("A file takes one of 'file_data', 'file_id', 'file_url'.", at, "missing_required_parameter")
    if given == ["file_data"]:
        file = DataUrl.of(part["file_data"])
        if file is None:
            raise refuse(
                f"Invalid '{at}.file_data'. Expected a base64-encoded data URL with a MIME type.",
                f"{at}.file_data",
                "invalid_value",
            )
        if file.media_type.startswith(("audio/", "video/", "image/")):
            raise _no_file()
    elif given == ["file_url"] and re.search(r"\.(?:mp3|wav|ogg|mp4|mov|png|jpe?g|gif)$", part["file_url"]):
        raise _no_file()


def _no_file() -> Exception:
    words = "The file type you uploaded is not supported. Please try again with a pdf"
    return refuse(words, "input", "unsupported_file")


def check_items(items: Sequence[Json], habit: Habit) -> None:
    """Raises Refused unless every call in a conversation has its result, and the other way round.

    Args:
        items: All of it, those of earlier responses first.
        habit: The vendor's ways.
    """
    calls = {one["call_id"] for one in items if kind_of_item(one) in ("function_call", "custom_tool_call")}
    results = {
        one["call_id"] for one in items if kind_of_item(one) in ("function_call_output", "custom_tool_call_output")
    }
    for item in items:
        kind = kind_of_item(item)
        if kind in ("function_call", "custom_tool_call") and item["call_id"] not in results:
            name = "function call" if kind == "function_call" else "custom tool call"
            raise refuse(f"No tool output found for {name} {item['call_id']}.", "input")
        if kind in ("function_call_output", "custom_tool_call_output") and item["call_id"] not in calls:
            name = "function call" if kind == "function_call_output" else "custom tool call"
            raise refuse(f"No tool call found for {name} output with call_id {item['call_id']}.", "input")
    if habit.calls_together:
        _together_with_results(items)
    if not habit.models_rules or not items:
        return
    for item, after in zip(items, (*items[1:], {}), strict=True):
        follower = kind_of_item(after)
        # What the vendor said itself has an id; words that were put into its mouth have none.
        alien = follower == "message" and (after["role"] != "assistant" or not after.get("id"))
        if kind_of_item(item) == "reasoning" and (not follower or follower.endswith("_output") or alien):
            raise refuse(
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.",
                "input",
            )


def _together_with_results(items: Sequence[Json]) -> None:
    """Calls that were made at once stand together, and all their results right after them."""
    waiting: list[str] = []
    for item in items:
        kind = kind_of_item(item)
        if kind in ("function_call_output", "custom_tool_call_output") and item["call_id"] in waiting:
            waiting.remove(item["call_id"])
        elif kind in ("function_call", "custom_tool_call"):
            waiting.append(item["call_id"])
        elif waiting:
            raise refuse(f"No tool output found for tool call {waiting[0]}.", None, "invalid_request_error")


def _tools(body: Json, habit: Habit) -> None:
    names: list[str] = []
    for index, tool in enumerate(body.get("tools", ())):
        at = f"tools[{index}]"
        if tool["type"] not in TOOLS:
            known = ", ".join(f"'{one}'" for one in TOOLS)
            raise refuse(
                f"Invalid value: '{tool['type']}'. Supported values are: {known}.", f"{at}.type", "invalid_value"
            )
        shaped(check(TOOLS[tool["type"]], tool, ("tools", index)), habit)
        names += [one["name"] for one in tool.get("tools", (tool,)) if "name" in one]
        if tool["type"] == "function" and tool.get("strict") and habit.models_rules:
            for fault in strict_faults(tool.get("parameters") or {}):
                raise refuse(
                    f"Invalid schema for function '{tool['name']}': {fault}",
                    f"{at}.parameters",
                    "invalid_function_parameters",
                )
    choice = body.get("tool_choice")
    if choice == "required" and not body.get("tools") and not _brought(body):
        raise refuse("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
    if isinstance(choice, dict) and "name" in choice and choice["name"] not in names and not _brought(body):
        raise refuse(f"Tool choice '{choice['name']}' not found in 'tools' parameter.", "tool_choice")


def _brought(body: Json) -> bool:
    """Items of the input bring tools, too."""
    items = body.get("input")
    return isinstance(items, list) and any(
        kind_of_item(one) in ("additional_tools", "tool_search_output") for one in items
    )


def _format(body: Json, habit: Habit) -> None:
    form = body.get("text", {}).get("format") or {}
    if form.get("type") == "json_object" and "json" not in f"{body.get('input')}{body.get('instructions')}".lower():
        raise refuse(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
            "input",
        )
    if form.get("type") == "json_schema" and form.get("strict") and habit.models_rules:
        for fault in strict_faults(form["schema"]):
            raise refuse(
                f"Invalid schema for response_format '{form['name']}': {fault}",
                "text.format.schema",
                "invalid_json_schema",
            )


def _together(body: Json) -> None:
    if "stream_options" in body and not body.get("stream"):
        raise refuse("'stream_options' is only allowed when 'stream' is enabled.", "stream_options")
    if body.get("background") and body.get("store") is False:
        raise refuse("Background mode requires 'store' to be true.", "background")
    if "conversation" in body and "previous_response_id" in body:
        raise refuse(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.", None, "mutually_exclusive"
        )
    for name in ("conversation", "prompt"):
        if name in body:
            given = body[name] if isinstance(body[name], str) else body[name].get("id")
            raise refuse(f"{name.capitalize()} with id '{given}' not found.", name, None, 404)
    if "top_logprobs" in body and "message.output_text.logprobs" not in body.get("include", ()):
        raise refuse("'top_logprobs' needs 'message.output_text.logprobs' in 'include'.", "top_logprobs")
    for name in body.get("metadata", ()):
        if len(name) > 64:
            raise refuse("Invalid 'metadata': a key is over 64 characters.", "metadata", "string_above_max_length")


def _model(body: Json) -> None:
    """Limits of OpenAI's own models, by their names."""
    model = body.get("model", "")
    effort = (body.get("reasoning") or {}).get("effort")
    if not _REASONING.match(model):
        if effort is not None and re.match(r"gpt-(?:3|4)", model):
            raise _unsupported("reasoning.effort")
        return
    for pattern, known in _EFFORTS.items():
        if effort is not None and re.match(pattern, model) and effort not in known:
            listed = f"{', '.join(repr(one) for one in known[:-1])}, and '{known[-1]}'"
            raise refuse(
                f"Unsupported value: '{effort}' is not supported with the '{model}' model. "
                f"Supported values are: {listed}.",
                "reasoning.effort",
                "unsupported_value",
            )
    # From 5.1 on the default is not to think, and then sampling is free.
    if re.match(r"gpt-5\.\d", model) and (effort or "none") == "none":
        return
    for name in ("temperature", "top_p"):
        if body.get(name, 1) != 1:
            raise _unsupported(name)


def _unsupported(name: str) -> Exception:
    return refuse(f"Unsupported parameter: '{name}' is not supported with this model.", name, "unsupported_parameter")
