"""Tools as Bedrock takes them, the choice among them, and answer formats that need a tool.

A JSON schema, on a model that is held to none, becomes one more tool whose input is the answer. There is no way to
forbid calls but to send no tools, so `none` does that, unless the history needs them: then a sentence asks for it.

What does not live here: which tools a request has (`blocks/tools.py`), calls in the history (`messages.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compatgw.dialects.bedrock import content
from compatgw.dialects.blocks import tools
from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.bedrock.models import Traits
    from compatgw.dialects.blocks.names import Names
    from compatgw.dialects.blocks.tools import Asked, Wanted

# A `toolSpec`, and the cache point behind it, if any.
Spec = tuple[dict[str, Any], list[dict[str, Any]]]

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

    specs: list[Spec] = field(default_factory=list)
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
    asked = tools.read(members, _Writer(traits, names, left), names, left)
    if asked.tools and not traits.tools:
        left.semantic(asked.member, members[asked.member], why="This model calls no tools; choose another one.")
        return Tools()
    memo = asked.memo
    if asked.tools and (asked.legacy or members.get("parallel_tool_calls") is False):
        memo = {**memo, "single_call": True}
    found = Tools(asked.tools, memo=memo)
    wanted = tools.wanted(asked, found.names, names)
    if not wanted.mode or (wanted.mode == "auto" and not found.specs):
        return found
    if wanted.mode == "none":
        return replace(found, none=True)
    return _chosen(found, asked, wanted, traits, left, budgeted=budgeted)


class _Writer:
    """Writes tools (see `blocks/tools.py`)."""

    __slots__ = ("_left", "_names", "_traits")

    def __init__(self, traits: Traits, names: Names, left: Leftovers) -> None:
        self._traits = traits
        self._names = names
        self._left = left

    def function(self, function: Mapping[str, Any], tool: Mapping[str, Any], where: str) -> Spec:
        spec = _described({"name": self._names.name(function["name"])}, function)
        spec["inputSchema"] = {"json": schema(function.get("parameters"), f"{where}.parameters")}
        if function.get("strict"):
            if self._traits.strict_tools:
                spec["strict"] = True
            else:
                self._left.hint("tools.strict", True)
        return spec, self._point(tool) or self._point(function)

    def custom(self, name: str, inner: Mapping[str, Any], tool: Mapping[str, Any]) -> Spec:
        spec = {**_described({"name": name}, inner), "inputSchema": {"json": tools.CUSTOM}}
        return spec, self._point(tool)

    def other(self, tool: Mapping[str, Any]) -> Spec | None:
        return None

    def _point(self, holder: Mapping[str, Any]) -> list[dict[str, Any]]:
        return content.point(holder, self._traits) if self._traits.cache_tools else []


def _described(out: dict[str, Any], function: Mapping[str, Any]) -> dict[str, Any]:
    words = function.get("description")
    return {**out, "description": words} if isinstance(words, str) and words.strip() else out


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
    found: Tools, asked: Asked[Spec], wanted: Wanted, traits: Traits, left: Leftovers, *, budgeted: bool
) -> Tools:
    only = wanted.only
    kept = found if only is None else replace(found, specs=[one for one in found.specs if one[0]["name"] in only])
    if wanted.mode == "auto":
        return replace(kept, choice={"auto": {}})
    sent = _forced(kept, traits)
    named = only is not None and len(kept.specs) == 1
    if named and wanted.mode == "tool" and "tool" in traits.choices:
        kept, sent = found, {"tool": {"name": kept.names[0]}}
    if sent is None or budgeted:
        nudge = tools.unforced(asked, left, kept.names[0] if named else None, ever=sent is not None)
        return replace(kept, choice={"auto": {}}, nudge=nudge)
    return replace(kept, choice=sent)


def _forced(found: Tools, traits: Traits) -> dict[str, Any] | None:
    """A choice by which one of the tools must be called, None when there is none."""
    if "any" in traits.choices:
        return {"any": {}}
    alone = len(found.specs) == 1 and "tool" in traits.choices
    return {"tool": {"name": found.names[0]}} if alone else None


# --- what else needs a tool ------------------------------------------------------------------


def remembered(found: Tools, called: Sequence[str]) -> Tools:
    """The tools of the history, where the request names none or wants none: calls cannot be sent without them."""
    if found.none and not called:
        return replace(found, specs=[], choice=None)
    missing = [name for name in called if name not in found.names]
    if not missing and not found.none:
        return found
    stubs: list[Spec] = [({"name": name, "inputSchema": {"json": schema(None, "tools")}}, []) for name in missing]
    if found.none or not found.specs:
        return replace(found, specs=[*found.specs, *stubs], none=True, nudge=_NO_CALLS)
    # Only that some tool is there is asked for, and one is.
    return found


def with_answer(found: Tools, wanted: Mapping[str, Any], traits: Traits) -> Tools | None:
    """`found` with one more, whose input is the answer; a call is then forced. None when it cannot be.

    Args:
        found: Those of the request; their own forced choice stays as it is.
        wanted: The `json_schema` of the request, with a schema.
        traits: Of the model.

    Raises:
        InvalidRequest: The schema's root is no object.
    """
    if found.forced:
        return found  # the answer will be a call, which no format governs
    form = {"json": schema(wanted["schema"], tools.ANSWER_PATH)}
    answer = {**tools.for_answer(wanted, found.names), "inputSchema": form}
    name = answer["name"]
    alone = not found.specs or found.none
    if alone and "tool" in traits.choices:
        choice: dict[str, Any] = {"tool": {"name": name}}
    elif "any" in traits.choices and not (alone and found.specs):
        choice = {"any": {}}
    else:
        return None
    return replace(
        found, specs=[*found.specs, (answer, [])], choice=choice, nudge="", memo={**found.memo, "json_tool": name}
    )
