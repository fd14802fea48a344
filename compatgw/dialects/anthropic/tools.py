"""Tools as Anthropic takes them, the choice among them, and answer formats that need a tool.

A JSON schema, on a model that knows no structured output, becomes one more tool whose input is the answer.

What does not live here: which tools a request has (`blocks/tools.py`), schemas (`schema.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compatgw.dialects.anthropic import content, schema
from compatgw.dialects.blocks import tools

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.anthropic.models import Traits
    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.blocks.names import Names
    from compatgw.dialects.blocks.tools import Wanted

_NATIVE_MEMBERS = ("defer_loading", "eager_input_streaming", "input_examples", "allowed_callers")
# Tools that the vendor defines carry the day of their definition in their type.
_NATIVE_TYPE = re.compile(r"[a-z_]+_\d{8}")


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
    asked = tools.read(members, _Writer(traits, names, left), names, left)
    found = _chosen(Tools(asked.tools, memo=asked.memo), tools.wanted(asked, _known(asked.tools), names))
    if found.forced and (budgeted or not traits.forced):
        nudge = tools.unforced(asked, left, (found.choice or {}).get("name"), ever=traits.forced)
        found = replace(found, choice={"type": "auto"}, nudge=nudge)
    return _single(found) if asked.legacy or members.get("parallel_tool_calls") is False else found


def _known(found: Sequence[Mapping[str, Any]]) -> list[str | None]:
    return [tool.get("name") for tool in found]


class _Writer:
    """Writes tools (see `blocks/tools.py`)."""

    __slots__ = ("_left", "_names", "_traits")

    def __init__(self, traits: Traits, names: Names, left: Leftovers) -> None:
        self._traits = traits
        self._names = names
        self._left = left

    def function(self, function: Mapping[str, Any], tool: Mapping[str, Any], where: str) -> dict[str, Any]:
        out = _described({"name": self._names.name(function["name"])}, function)
        out["input_schema"] = schema.tool_input(function.get("parameters"), f"{where}.parameters")
        if function.get("strict"):
            if self._traits.strict_tools:
                out["input_schema"] = schema.strict(out["input_schema"])
                out["strict"] = True
            else:
                self._left.hint("tools.strict", True)
        for name in _NATIVE_MEMBERS:
            value = tool.get(name, function.get(name))
            if value is not None:
                out[name] = value
        return content.marked(content.marked(out, function), tool)

    def custom(self, name: str, inner: Mapping[str, Any], tool: Mapping[str, Any]) -> dict[str, Any]:
        return content.marked(_described({"name": name}, inner) | {"input_schema": tools.CUSTOM}, tool)

    def other(self, tool: Mapping[str, Any]) -> dict[str, Any] | None:
        return dict(tool) if _NATIVE_TYPE.fullmatch(tool["type"]) else None


def _described(out: dict[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    words = function.get("description")
    return {**out, "description": words} if isinstance(words, str) and words else out


# --- the choice ------------------------------------------------------------------------------


def _chosen(found: Tools, wanted: Wanted) -> Tools:
    if not wanted.mode or not found.tools:
        return found
    if wanted.mode == "tool":
        return replace(found, choice={"type": "tool", "name": (wanted.only or ("",))[0]})
    kept = [tool for tool in found.tools if wanted.only is None or tool.get("name") in wanted.only]
    return replace(found, tools=kept, choice={"type": wanted.mode})


def _single(found: Tools) -> Tools:
    """One call at most; the switch stands inside the choice, and `none` has no place for it."""
    if not found.tools:
        return found
    choice = found.choice or {"type": "auto"}
    return found if choice["type"] == "none" else replace(found, choice={**choice, "disable_parallel_tool_use": True})


# --- what else needs a tool ------------------------------------------------------------------


def remembered(found: Tools, called: Sequence[str]) -> Tools:
    """The tools of the history, where the request names none: calls cannot be sent without them."""
    if found.tools or not called:
        return found
    stubs = [{"name": name, "input_schema": schema.tool_input(None, "tools")} for name in called]
    return replace(found, tools=stubs, choice={"type": "none"})


def with_search(found: Tools, options: Mapping[str, Any] | None, kind: str, left: Leftovers) -> Tools:
    """`found` with the vendor's own search, if the request wants it and the model is configured for it.

    Args:
        found: Those of the request.
        options: `web_search_options`, None when the request has none.
        kind: The tool's type, "" when it is not configured.
        left: Refuses the search that is not configured.

    Raises:
        UnsupportedParameter: The model is not configured for it.
    """
    if options is None:
        return found
    if not kind:
        left.semantic("web_search_options", True, why="Web search is not switched on for this model.")
        return found
    search: dict[str, Any] = {"type": kind, "name": "web_search"}
    place = options.get("user_location")
    if isinstance(place, dict) and isinstance(place.get("approximate"), dict):
        search["user_location"] = {"type": "approximate", **place["approximate"]}
    return replace(found, tools=[*found.tools, search])


def with_answer(found: Tools, wanted: Mapping[str, Any]) -> Tools:
    """`found` with one more, whose input is the answer; a call is then forced.

    Args:
        found: Those of the request; their own forced choice stays as it is.
        wanted: The `json_schema` of the request, with a schema.

    Raises:
        InvalidRequest: The schema's root is no object.
    """
    if found.forced:
        return found  # the answer will be a call, which no format governs
    answer = {
        **tools.for_answer(wanted, _known(found.tools)),
        "input_schema": schema.tool_input(wanted["schema"], tools.ANSWER_PATH),
    }
    name = answer["name"]
    alone = not found.tools or (found.choice is not None and found.choice["type"] == "none")
    choice = {"type": "tool", "name": name} if alone else {**(found.choice or {}), "type": "any"}
    return replace(found, tools=[*found.tools, answer], choice=choice, memo={**found.memo, "json_tool": name})
