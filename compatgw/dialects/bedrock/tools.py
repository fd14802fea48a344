"""Functions, custom tools, the choice among them, and answer formats that need a tool.

A custom tool becomes a function of one text argument; `functions` are sent as tools. A JSON schema, on a
model that is held to none, becomes one more tool whose input is the answer. There is no way to forbid
calls but to send no tools, so `none` does that, unless the history needs them: then a sentence asks for
it. Notes for the decoder go into the memo:

    custom        sent names of custom tools, whose one argument is the caller's input
    legacy        answers are one `function_call`, because the request used `functions`
    single_call   the first call is kept, the others are not for the caller
    json_tool     sent name of the tool whose input is the answer's text

What does not live here: calls in the history (`messages.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compatgw.dialects.bedrock import content
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.bedrock.names import Names

_CUSTOM = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": ["input"],
}
_JSON_TOOL = "json_response"
_NO_CALLS = "Answer without calling any tool."


@dataclass(frozen=True)
class Tools:
    """What a request may call.

    Attributes:
        specs: `toolSpec` of each, as it is sent, with what marks a cache point behind it.
        choice: `toolChoice` as it is sent, None for the default.
        none: No call is to be made.
        memo: Notes for the decoder.
        nudge: A sentence for the system text, in place of a choice that cannot be sent.
    """

    specs: list[tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)
    choice: dict[str, Any] | None = None
    none: bool = False
    memo: dict[str, Any] = field(default_factory=dict)
    nudge: str = ""

    @property
    def forced(self) -> bool:
        """A call must be made."""
        return self.choice is not None and "auto" not in self.choice

    @property
    def names(self) -> list[str]:
        """Sent names, in order."""
        return [spec["name"] for spec, _ in self.specs]

    def config(self) -> dict[str, Any] | None:
        """The member `toolConfig`, None for none."""
        if not self.specs:
            return None
        tools = [block for spec, point in self.specs for block in ({"toolSpec": spec}, *point)]
        return {"tools": tools, **({"toolChoice": self.choice} if self.choice is not None else {})}


def collect(members: Mapping[str, Any], traits: Traits, names: Names, left: Leftovers, *, budgeted: bool) -> Tools:
    """The tools of a request and the choice among them.

    Args:
        members: The request.
        traits: Of the model.
        names: Gives the names that are sent.
        left: Refuses what cannot be sent.
        budgeted: The caller gives thinking a budget, with which no call can be forced.

    Raises:
        InvalidRequest: A choice without tools, or of one that is not there; parameters that are no object.
        UnsupportedParameter: Tools at all; a grammar; a call that cannot be forced with this model.
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
    if found and not traits.tools:
        member = "functions" if legacy else "tools"
        left.semantic(member, members[member], why="This model calls no tools; choose another one.")
        return Tools()
    if found and (legacy or members.get("parallel_tool_calls") is False):
        memo["single_call"] = True
    return _chosen(Tools(found, memo=memo), choice, param, names, traits, left, budgeted=budgeted)


def _tools(
    given: Sequence[Mapping[str, Any]], traits: Traits, names: Names, left: Leftovers, memo: dict[str, Any]
) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    out: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    custom: list[str] = []
    for index, tool in enumerate(given):
        where = f"tools[{index}]"
        if tool["type"] == "function":
            out.append(_function(tool["function"], tool, f"{where}.function", traits, names, left))
        elif tool["type"] == "custom":
            inner = tool["custom"]
            form = inner.get("format") or {}
            if form.get("type", "text") != "text":
                why = "Grammars cannot be sent; describe the form in words, or use a function."
                left.semantic(f"{where}.custom.format", form, why=why)
            sent = names.name(inner["name"])
            custom.append(sent)
            spec = {**_described({"name": sent}, inner), "inputSchema": {"json": _CUSTOM}}
            out.append((spec, _point(tool, traits)))
        else:
            raise left.refusal(f"{where}.type", "Only functions and custom tools can be sent.")
    if custom:
        memo["custom"] = tuple(custom)
    return out


def _point(holder: Mapping[str, Any], traits: Traits) -> list[dict[str, Any]]:
    return content.point(holder, traits) if traits.cache_tools else []


def _described(out: dict[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    words = function.get("description")
    return {**out, "description": words} if isinstance(words, str) and words.strip() else out


def _function(
    function: Mapping[str, Any], tool: Mapping[str, Any], where: str, traits: Traits, names: Names, left: Leftovers
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    spec = _described({"name": names.name(function["name"])}, function)
    spec["inputSchema"] = {"json": schema(function.get("parameters"), f"{where}.parameters")}
    if function.get("strict"):
        if traits.strict_tools:
            spec["strict"] = True
        else:
            left.hint("tools.strict", True)
    return spec, _point(tool, traits) or _point(function, traits)


def schema(parameters: Any, param: str) -> dict[str, Any]:
    """A function's `parameters` as an `inputSchema`: an object at its root.

    Raises:
        InvalidRequest: The root cannot be an object.
    """
    if not parameters:
        return {"type": "object", "properties": {}}
    kind = parameters.get("type")
    if kind == "object":
        return dict(parameters)
    if kind is None or (isinstance(kind, list) and "object" in kind):
        # An object in any case: what else it must be stands in the rest of the schema.
        return {**parameters, "type": "object"}
    raise InvalidRequest(
        f"'{param}' must describe an object: set 'type' to \"object\" at its root, with one property for each.",
        param=param,
    )


# --- the choice ------------------------------------------------------------------------------


def _chosen(
    tools: Tools, choice: Any, param: str, names: Names, traits: Traits, left: Leftovers, *, budgeted: bool
) -> Tools:
    if choice is None or choice == "auto":
        return replace(tools, choice={"auto": {}}) if choice and tools.specs else tools
    if choice == "none":
        return replace(tools, none=True)
    if not tools.specs:
        raise InvalidRequest(f"'{param}' asks for a call, but there are no 'tools'.", param=param)
    wanted, forced = _wanted(tools, choice, param, names)
    kept = tools if wanted is None else replace(tools, specs=[one for one in tools.specs if one[0]["name"] in wanted])
    if not forced:
        return replace(kept, choice={"auto": {}})
    sent = _forced(kept, traits)
    named = wanted is not None and len(kept.specs) == 1
    if named and "tool" in traits.choices and "allowed_tools" not in choice:
        kept, sent = tools, {"tool": {"name": wanted[0]}}  # type: ignore[index]
    if sent is None or budgeted:
        when = " while 'thinking' is enabled" if sent is not None else ""
        left.semantic(param, choice, why=f"This model cannot be forced to call a tool{when}; use 'auto'.")
        word = f"Answer by calling the tool {kept.names[0]}." if named else "Answer by calling one of the tools."
        return replace(kept, choice={"auto": {}}, nudge=word)
    return replace(kept, choice=sent)


def _forced(tools: Tools, traits: Traits) -> dict[str, Any] | None:
    """A choice by which one of the tools must be called, None when there is none."""
    if "any" in traits.choices:
        return {"any": {}}
    alone = len(tools.specs) == 1 and "tool" in traits.choices
    return {"tool": {"name": tools.names[0]}} if alone else None


def _wanted(tools: Tools, choice: Any, param: str, names: Names) -> tuple[list[str] | None, bool]:
    """Sent names of the tools that are left, None for all, and whether one must be called."""
    if choice == "required":
        return None, True
    kind = choice["type"]
    if kind == "allowed_tools":
        return _allowed(tools, choice["allowed_tools"], f"{param}.allowed_tools.tools", names)
    where = f"{param}.{kind}.name" if param == "tool_choice" else f"{param}.name"
    sent = names.name(choice[kind]["name"])
    if sent not in tools.names:
        raise InvalidRequest(f"'{where}' names no tool that is in the request.", param=where)
    return [sent], True


def _allowed(tools: Tools, allowed: Mapping[str, Any], where: str, names: Names) -> tuple[list[str], bool]:
    wanted: list[str] = []
    for index, entry in enumerate(allowed["tools"]):
        inner = entry.get(str(entry.get("type")))
        name = (inner if isinstance(inner, dict) else entry).get("name")
        sent = names.name(name) if isinstance(name, str) else ""
        if sent not in tools.names:
            param = f"{where}[{index}]"
            raise InvalidRequest(f"'{param}' names no tool that is in the request.", param=param)
        wanted.append(sent)
    if not wanted:
        raise InvalidRequest(f"'{where}' names no tool.", param=where)
    return wanted, allowed["mode"] == "required"


# --- what else needs a tool ------------------------------------------------------------------


def remembered(tools: Tools, called: Sequence[str]) -> Tools:
    """The tools of the history, where the request names none or wants none: calls cannot be sent without them."""
    if tools.none and not called:
        return replace(tools, specs=[], choice=None)
    missing = [name for name in called if name not in tools.names]
    if not missing and not tools.none:
        return tools
    stubs: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({"name": name, "inputSchema": {"json": schema(None, "tools")}}, []) for name in missing
    ]
    if tools.none or not tools.specs:
        return replace(tools, specs=[*tools.specs, *stubs], none=True, nudge=_NO_CALLS)
    # Only that some tool is there is asked for, and one is.
    return tools


def with_answer(tools: Tools, wanted: Mapping[str, Any], traits: Traits) -> Tools | None:
    """`tools` with one more, whose input is the answer; a call is then forced. None when it cannot be.

    Args:
        tools: Those of the request; their own forced choice stays as it is.
        wanted: The `json_schema` of the request, with a schema.
        traits: Of the model.

    Raises:
        InvalidRequest: The schema's root is no object.
    """
    if tools.forced:
        return tools  # the answer will be a call, which no format governs
    name = _JSON_TOOL
    while name in tools.names:
        name += "_"
    words = wanted.get("description") or "Gives the final answer. Call it once, when no other tool is needed any more."
    param = "response_format.json_schema.schema"
    answer = {"name": name, "description": words, "inputSchema": {"json": schema(wanted["schema"], param)}}
    alone = not tools.specs or tools.none
    if alone and "tool" in traits.choices:
        choice: dict[str, Any] = {"tool": {"name": name}}
    elif "any" in traits.choices and not (alone and tools.specs):
        choice = {"any": {}}
    else:
        return None
    return replace(
        tools, specs=[*tools.specs, (answer, [])], choice=choice, nudge="", memo={**tools.memo, "json_tool": name}
    )
