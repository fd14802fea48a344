"""Functions, custom tools, the choice among them, and answer formats that need a tool.

A custom tool becomes a function of one text argument; `functions` are sent as tools. A JSON
schema, on a model that knows no structured output, becomes one more tool whose input is the
answer. Notes for the decoder go into the memo:

    custom      sent names of custom tools, whose one argument is the caller's input
    legacy      answers are one `function_call`, because the request used `functions`
    json_tool   sent name of the tool whose input is the answer's text

What does not live here: calls in the history (`messages.py`), schemas (`schema.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compatgw.dialects.anthropic import content, schema
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.anthropic.models import Traits
    from compatgw.dialects.anthropic.names import Names
    from compatgw.dialects.base import Leftovers

_CUSTOM = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": ["input"],
}
_NATIVE_MEMBERS = ("defer_loading", "eager_input_streaming", "input_examples", "allowed_callers")
# Tools that the vendor defines carry the day of their definition in their type.
_NATIVE_TYPE = re.compile(r"[a-z_]+_\d{8}")
_JSON_TOOL = "json_response"


@dataclass(frozen=True)
class Tools:
    """What a request may call.

    Attributes:
        tools: As they are sent.
        choice: `tool_choice` as it is sent, None for the default.
        memo: Notes for the decoder.
        nudge: A sentence for the system text, in place of a choice that cannot be sent.
    """

    tools: list[dict[str, Any]] = field(default_factory=list)
    choice: dict[str, Any] | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    nudge: str = ""

    @property
    def forced(self) -> bool:
        """A call must be made."""
        return self.choice is not None and self.choice["type"] in ("any", "tool")


def collect(members: Mapping[str, Any], traits: Traits, names: Names, left: Leftovers, *, budgeted: bool) -> Tools:
    """The tools of a request and the choice among them.

    Args:
        members: The request.
        traits: Of the model.
        names: Gives the names that are sent.
        left: Refuses what cannot be sent.
        budgeted: The caller gives thinking a budget.

    Raises:
        InvalidRequest: A choice without tools, or of one that is not there; parameters that are no object.
        UnsupportedParameter: A grammar; a call that cannot be forced with this model.
    """
    legacy = bool(members.get("functions")) and not members.get("tools")
    memo: dict[str, Any] = {}
    if legacy:
        memo["legacy"] = True
        found = [
            _function(function, {}, f"functions[{index}]", traits, names, left)
            for index, function in enumerate(members["functions"])
        ]
        choice, param = members.get("function_call"), "function_call"
        if isinstance(choice, dict):
            choice = {"type": "function", "function": choice}
    else:
        found = _tools(members.get("tools") or (), traits, names, left, memo)
        choice, param = members.get("tool_choice"), "tool_choice"
    tools = _chosen(Tools(found, memo=memo), choice, param, names)
    if tools.forced and (budgeted or not traits.forced):
        when = " while 'thinking' is enabled" if traits.forced else ""
        left.semantic(param, choice, why=f"This model cannot be forced to call a tool{when}; use 'auto'.")
        tools = _nudged(tools)
    single = legacy or members.get("parallel_tool_calls") is False
    return _single(tools) if single else tools


def _tools(
    given: Sequence[Mapping[str, Any]], traits: Traits, names: Names, left: Leftovers, memo: dict[str, Any]
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    custom: list[str] = []
    for index, tool in enumerate(given):
        where = f"tools[{index}]"
        if tool["type"] == "function":
            out.append(_function(tool["function"], tool, f"{where}.function", traits, names, left))
        elif tool["type"] == "custom":
            inner = tool["custom"]
            form = inner.get("format") or {}
            if form.get("type", "text") != "text":
                param = f"{where}.custom.format"
                left.semantic(
                    param, form, why="Grammars cannot be sent; describe the form in words, or use a function."
                )
            sent = names.name(inner["name"])
            custom.append(sent)
            out.append(_described({"name": sent}, inner) | {"input_schema": _CUSTOM})
            out[-1] = content.marked(out[-1], tool)
        elif _NATIVE_TYPE.fullmatch(tool["type"]):
            out.append(dict(tool))
        else:
            raise left.refusal(f"{where}.type", "Only functions and custom tools can be sent.")
    if custom:
        memo["custom"] = tuple(custom)
    return out


def _described(out: dict[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    words = function.get("description")
    return {**out, "description": words} if isinstance(words, str) and words else out


def _function(
    function: Mapping[str, Any], tool: Mapping[str, Any], where: str, traits: Traits, names: Names, left: Leftovers
) -> dict[str, Any]:
    out = _described({"name": names.name(function["name"])}, function)
    out["input_schema"] = schema.tool_input(function.get("parameters"), f"{where}.parameters")
    if function.get("strict"):
        if traits.strict_tools:
            out["input_schema"] = schema.strict(out["input_schema"])
            out["strict"] = True
        else:
            left.hint("tools.strict", True)
    for name in _NATIVE_MEMBERS:
        value = tool.get(name, function.get(name))
        if value is not None:
            out[name] = value
    return content.marked(content.marked(out, function), tool)


# --- the choice ------------------------------------------------------------------------------


def _chosen(tools: Tools, choice: Any, param: str, names: Names) -> Tools:
    if choice is None or choice == "auto":
        return replace(tools, choice={"type": "auto"}) if choice and tools.tools else tools
    if choice == "none":
        return replace(tools, choice={"type": "none"}) if tools.tools else tools
    if not tools.tools:
        raise InvalidRequest(f"'{param}' asks for a call, but there are no 'tools'.", param=param)
    if choice == "required":
        return replace(tools, choice={"type": "any"})
    kind = choice["type"]
    if kind == "allowed_tools":
        return _allowed(tools, choice["allowed_tools"], f"{param}.allowed_tools.tools", names)
    where = f"{param}.{kind}.name" if param == "tool_choice" else f"{param}.name"
    sent = names.name(choice[kind]["name"])
    if all(tool.get("name") != sent for tool in tools.tools):
        raise InvalidRequest(f"'{where}' names no tool that is in the request.", param=where)
    return replace(tools, choice={"type": "tool", "name": sent})


def _allowed(tools: Tools, allowed: Mapping[str, Any], where: str, names: Names) -> Tools:
    wanted: set[str] = set()
    for index, entry in enumerate(allowed["tools"]):
        inner = entry.get(str(entry.get("type")))
        name = (inner if isinstance(inner, dict) else entry).get("name")
        sent = names.name(name) if isinstance(name, str) else ""
        if all(tool.get("name") != sent for tool in tools.tools):
            param = f"{where}[{index}]"
            raise InvalidRequest(f"'{param}' names no tool that is in the request.", param=param)
        wanted.add(sent)
    kept = [tool for tool in tools.tools if tool.get("name") in wanted]
    if not kept:
        raise InvalidRequest(f"'{where}' names no tool.", param=where)
    return replace(tools, tools=kept, choice={"type": "any" if allowed["mode"] == "required" else "auto"})


def _single(tools: Tools) -> Tools:
    """One call at most; the switch stands inside the choice, and `none` has no place for it."""
    if not tools.tools:
        return tools
    choice = tools.choice or {"type": "auto"}
    return tools if choice["type"] == "none" else replace(tools, choice={**choice, "disable_parallel_tool_use": True})


def _nudged(tools: Tools) -> Tools:
    """The choice as a sentence."""
    named = (tools.choice or {}).get("name")
    nudge = f"Answer by calling the tool {named}." if named else "Answer by calling one of the tools."
    return replace(tools, choice={"type": "auto"}, nudge=nudge)


# --- what else needs a tool ------------------------------------------------------------------


def remembered(tools: Tools, called: Sequence[str]) -> Tools:
    """The tools of the history, where the request names none: calls cannot be sent without them."""
    if tools.tools or not called:
        return tools
    found = [{"name": name, "input_schema": schema.tool_input(None, "tools")} for name in called]
    return replace(tools, tools=found, choice={"type": "none"})


def with_search(tools: Tools, options: Mapping[str, Any] | None, kind: str, left: Leftovers) -> Tools:
    """`tools` with the vendor's own search, if the request wants it and the model is configured for it.

    Args:
        tools: Those of the request.
        options: `web_search_options`, None when the request has none.
        kind: The tool's type, "" when it is not configured.
        left: Refuses the search that is not configured.

    Raises:
        UnsupportedParameter: The model is not configured for it.
    """
    if options is None:
        return tools
    if not kind:
        left.semantic("web_search_options", True, why="Web search is not switched on for this model.")
        return tools
    search: dict[str, Any] = {"type": kind, "name": "web_search"}
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        search["user_location"] = {"type": "approximate", **place["approximate"]}
    return replace(tools, tools=[*tools.tools, search])


def with_answer(tools: Tools, wanted: Mapping[str, Any]) -> Tools:
    """`tools` with one more, whose input is the answer; a call is then forced.

    Args:
        tools: Those of the request; their own forced choice stays as it is.
        wanted: The `json_schema` of the request, with a schema.

    Raises:
        InvalidRequest: The schema's root is no object.
    """
    if tools.forced:
        return tools  # the answer will be a call, which no format governs
    name = _JSON_TOOL
    while any(tool.get("name") == name for tool in tools.tools):
        name += "_"
    words = wanted.get("description") or "Gives the final answer. Call it once, when no other tool is needed any more."
    answer = {
        "name": name,
        "description": words,
        "input_schema": schema.tool_input(wanted["schema"], "response_format.json_schema.schema"),
    }
    alone = not tools.tools or (tools.choice is not None and tools.choice["type"] == "none")
    choice = {"type": "tool", "name": name} if alone else {**(tools.choice or {}), "type": "any"}
    return replace(tools, tools=[*tools.tools, answer], choice=choice, memo={**tools.memo, "json_tool": name})
