"""The tools of a request, the choice among them, and the names of those that the gateway adds.

A custom tool becomes a function of one text argument; `functions` are sent as tools. Notes for the decoder go
into the memo:

    custom        sent names of custom tools, whose one argument is the caller's input
    legacy        answers are one `function_call`, because the request used `functions`
    single_call   the first call is kept, the others are not for the caller (where no request can ask for one alone)
    json_tool     sent name of the tool whose input is the answer's text

What does not live here: how a protocol writes a tool and a choice (the dialects' `tools.py`), calls in the history
(`messages.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.blocks.names import Names

CUSTOM = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The tool's whole input, as plain text."}},
    "required": ["input"],
}
ANSWER_PATH = "response_format.json_schema.schema"
_ANSWER = "Gives the final answer. Call it once, when no other tool is needed any more."
_JSON_TOOL = "json_response"

Sent = TypeVar("Sent")
Written = TypeVar("Written", covariant=True)


class Writer(Protocol[Written]):
    """How one protocol writes a tool."""

    def function(self, function: Mapping[str, Any], tool: Mapping[str, Any], where: str) -> Written:
        """A function; `tool` is what it stands in, empty for the oldest form."""
        ...

    def custom(self, name: str, inner: Mapping[str, Any], tool: Mapping[str, Any]) -> Written:
        """A custom tool under its sent name."""
        ...

    def other(self, tool: Mapping[str, Any]) -> Written | None:
        """A tool of another type, None for one that cannot be sent."""
        ...


@dataclass(frozen=True)
class Asked(Generic[Sent]):
    """What a request says of tools.

    Attributes:
        tools: As they are sent.
        memo: Notes for the decoder.
        legacy: It says so in the oldest form.
        choice: The choice, as the newer form has it.
    """

    tools: list[Sent]
    memo: dict[str, Any]
    legacy: bool
    choice: Any

    @property
    def member(self) -> str:
        """The member that holds the tools."""
        return "functions" if self.legacy else "tools"

    @property
    def param(self) -> str:
        """The member that holds the choice."""
        return "function_call" if self.legacy else "tool_choice"


class Wanted(NamedTuple):
    """A choice.

    Attributes:
        mode: `any` asks for some call, `tool` for one of the tool that `only` names; "" says nothing.
        only: Sent names of the tools that may be called, None for all.
    """

    mode: Literal["", "auto", "none", "any", "tool"]
    only: tuple[str, ...] | None = None


def read(members: Mapping[str, Any], writer: Writer[Sent], names: Names, left: Leftovers) -> Asked[Sent]:
    """The tools of a request.

    Args:
        members: The request.
        writer: Writes each of them.
        names: Gives the names that are sent.
        left: Refuses what cannot be sent.

    Raises:
        InvalidRequest: Parameters that are no object.
        UnsupportedParameter: A grammar; a tool of a type that cannot be sent.
    """
    memo: dict[str, Any] = {}
    if members.get("functions") and not members.get("tools"):
        memo["legacy"] = True
        out = [
            writer.function(function, {}, f"functions[{index}]") for index, function in enumerate(members["functions"])
        ]
        choice = members.get("function_call")
        if isinstance(choice, dict):
            choice = {"type": "function", "function": choice}
        return Asked(out, memo, True, choice)
    out = []
    custom: list[str] = []
    for index, tool in enumerate(members.get("tools") or ()):
        where = f"tools[{index}]"
        if tool["type"] == "function":
            out.append(writer.function(tool["function"], tool, f"{where}.function"))
        elif tool["type"] == "custom":
            inner = tool["custom"]
            form = inner.get("format") or {}
            if form.get("type", "text") != "text":
                why = "Grammars cannot be sent; describe the form in words, or use a function."
                left.semantic(f"{where}.custom.format", form, why=why)
            sent = names.name(inner["name"])
            custom.append(sent)
            out.append(writer.custom(sent, inner, tool))
        elif (other := writer.other(tool)) is not None:
            out.append(other)
        else:
            raise left.refusal(f"{where}.type", "Only functions and custom tools can be sent.")
    if custom:
        memo["custom"] = tuple(custom)
    return Asked(out, memo, False, members.get("tool_choice"))


def wanted(asked: Asked[Any], known: Sequence[str | None], names: Names) -> Wanted:
    """The choice among the tools.

    Args:
        asked: What the request says.
        known: Sent names of its tools, None for one without.
        names: Gives the names that are sent.

    Raises:
        InvalidRequest: A choice without tools, or of one that is not there.
    """
    choice, param = asked.choice, asked.param
    if choice is None:
        return Wanted("")
    if choice == "auto":
        return Wanted("auto")
    if choice == "none":
        return Wanted("none")
    if not known:
        raise InvalidRequest(f"'{param}' asks for a call, but there are no 'tools'.", param=param)
    if choice == "required":
        return Wanted("any")
    kind = choice["type"]
    if kind == "allowed_tools":
        return _allowed(choice["allowed_tools"], f"{param}.allowed_tools.tools", known, names)
    where = f"{param}.name" if asked.legacy else f"{param}.{kind}.name"
    sent = names.name(choice[kind]["name"])
    if sent not in known:
        raise InvalidRequest(f"'{where}' names no tool that is in the request.", param=where)
    return Wanted("tool", (sent,))


def _allowed(allowed: Mapping[str, Any], where: str, known: Sequence[str | None], names: Names) -> Wanted:
    kept: list[str] = []
    for index, entry in enumerate(allowed["tools"]):
        inner = entry.get(str(entry.get("type")))
        name = (inner if isinstance(inner, dict) else entry).get("name")
        sent = names.name(name) if isinstance(name, str) else ""
        if sent not in known:
            param = f"{where}[{index}]"
            raise InvalidRequest(f"'{param}' names no tool that is in the request.", param=param)
        kept.append(sent)
    if not kept:
        raise InvalidRequest(f"'{where}' names no tool.", param=where)
    return Wanted("any" if allowed["mode"] == "required" else "auto", tuple(kept))


def unforced(asked: Asked[Any], left: Leftovers, name: str | None, *, ever: bool) -> str:
    """A sentence for the system text, in place of a choice that cannot be sent.

    Args:
        asked: What the request says.
        left: Refuses the choice, or notes that it is left out.
        name: Sent name of the one tool that is to be called, None for any.
        ever: The model can be made to call a tool, but not in this request.

    Raises:
        UnsupportedParameter: The policy says so.
    """
    when = " while 'thinking' is enabled" if ever else ""
    why = f"This model cannot be forced to call a tool{when}; use 'auto'."
    left.semantic(asked.param, asked.choice, why=why)
    return f"Answer by calling the tool {name}." if name else "Answer by calling one of the tools."


def for_answer(form: Mapping[str, Any], known: Sequence[str | None]) -> dict[str, str]:
    """Name and description of the tool whose input is the answer.

    Args:
        form: The `json_schema` of the request.
        known: Sent names of its tools.
    """
    name = _JSON_TOOL
    while name in known:
        name += "_"
    return {"name": name, "description": form.get("description") or _ANSWER}
