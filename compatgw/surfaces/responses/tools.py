"""Tools of Responses as the hub has them, and their calls back again.

What the caller itself runs can be served by any model that calls functions:

    function         a function
    custom           a function with one text `input`; a grammar is told in words, and not enforced
    local_shell      a function that takes a command
    namespace        its tools, under names that stay unique

Tools that the upstream runs cannot; they are named as `Foreign`. Those that are only offered, beside tools of the
caller's own and without being asked for, are hints; all others change the answer.

What does not live here: calls in the history (`items.py`) and in answers (`stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from compatgw.wire.native import Foreign

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHELL = "local_shell"
INPUT = "input"

_OF_THE_CALLER = frozenset({"function", "custom", "namespace", SHELL})
# What the model may do without when the caller has tools of its own. Others hold what a caller depends on: its files,
# its servers, its screen.
_OFFERED = ("web_search", "image_generation", "tool_search")
_RUN_HERE = "Only functions, custom tools and 'local_shell' can be translated: choose a model that has this tool."
_TEXT = {
    "type": "object",
    "properties": {INPUT: {"type": "string", "description": "The whole input of the tool, as plain text."}},
    "required": [INPUT],
    "additionalProperties": False,
}
_COMMAND = {
    "type": "object",
    "properties": {
        "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments."},
        "working_directory": {"type": "string", "description": "Where it runs."},
        "timeout_ms": {"type": "integer", "description": "Milliseconds after which it is stopped."},
    },
    "required": ["command"],
}
_SHELL_TOOL = {
    "type": "function",
    "function": {"name": SHELL, "description": "Runs a command in the user's shell.", "parameters": _COMMAND},
}
# What a description may hold; longer grammars are cut by nobody, but refused by some upstreams.
_OF_A_FUNCTION = ("name", "description", "parameters", "strict")


class Name(NamedTuple):
    """What a name that was sent to a model stands for.

    Attributes:
        kind: `function`, `custom` or `local_shell`.
        name: The caller's own.
        namespace: Where it stands, None outside of any.
    """

    kind: str
    name: str
    namespace: str | None = None


class Toolbox:
    """The tools of one request.

    Args:
        given: As the caller has them.
        choice: `tool_choice`: whether any of them has to be called.

    Attributes:
        tools: As the hub has them.
        foreign: What cannot be translated.
    """

    __slots__ = ("_own", "_sent", "foreign", "tools")

    def __init__(self, given: Sequence[Mapping[str, Any]] = (), choice: Any = "auto") -> None:
        self.tools: list[dict[str, Any]] = []
        self.foreign: list[Foreign] = []
        # By the name under which the model knows them, and the other way round.
        self._own: dict[str, Name] = {}
        self._sent: dict[tuple[str | None, str], str] = {}
        inside: list[tuple[str, Mapping[str, Any]]] = []
        # Agents such as Codex always offer some of the vendor's tools beside their own, which do the work.
        aside = choice == "auto" and any(tool["type"] in _OF_THE_CALLER for tool in given)
        for index, tool in enumerate(given):
            kind = tool["type"]
            if kind == SHELL:
                self._add(SHELL, SHELL)
                self.tools.append(_SHELL_TOOL)
            elif kind == "namespace":
                inside += [(tool["name"], one) for one in tool["tools"]]
            elif kind in ("function", "custom"):
                self.tools.append(_tool(tool, self._add(kind, tool["name"])))
            else:
                semantic = not (aside and kind.startswith(_OFFERED))
                self.foreign.append(Foreign("tools", tool, f"tools[{index}].type", semantic, _RUN_HERE))
        # After the others, so that these keep their plain names.
        self.tools += [_tool(one, self._add(one["type"], one["name"], space)) for space, one in inside]

    def sent(self, name: str, namespace: str | None = None) -> str:
        """The name under which a call of the history is sent."""
        return self._sent.get((namespace, name), name)

    def own(self, sent: str) -> Name:
        """What a name in an answer stands for."""
        return self._own.get(sent) or Name("function", sent)

    def choice(self, given: Any) -> tuple[Any, list[Foreign]]:
        """A `tool_choice` as the hub has it, None for one that cannot be translated; and what of it cannot."""
        if isinstance(given, str):
            return given, []
        kind = given["type"]
        if kind in ("function", "custom"):
            return _named(self.sent(given["name"], given.get("namespace"))), []
        if kind == SHELL:
            return _named(SHELL), []
        if kind != "allowed_tools":
            return None, [Foreign("tool_choice", given, "tool_choice.type", True, _RUN_HERE)]
        found, foreign = [], []
        for index, tool in enumerate(given["tools"]):
            name = SHELL if tool.get("type") == SHELL else tool.get("name")
            if tool.get("type") not in ("function", "custom", SHELL) or not isinstance(name, str):
                foreign.append(Foreign("tool_choice", tool, f"tool_choice.tools[{index}]", True, _RUN_HERE))
            else:
                found.append(_named(self.sent(name, tool.get("namespace"))))
        if not found:
            return None, foreign
        return {"type": "allowed_tools", "allowed_tools": {"mode": given["mode"], "tools": found}}, foreign

    def _add(self, kind: str, name: str, namespace: str | None = None) -> str:
        """The name under which a tool is sent."""
        sent = name
        if namespace is not None and sent in self._own:
            sent = f"{namespace}__{name}"
        while sent in self._own and self._own[sent] != Name(kind, name, namespace):
            sent += "_"
        self._own.setdefault(sent, Name(kind, name, namespace))
        self._sent.setdefault((namespace, name), sent)
        return sent


def _tool(tool: Mapping[str, Any], sent: str) -> dict[str, Any]:
    if tool["type"] == "function":
        inner = {name: tool[name] for name in _OF_A_FUNCTION if name in tool}
        return {"type": "function", "function": {**inner, "name": sent}}
    words = [tool["description"]] if tool.get("description") else []
    form = tool.get("format") or {}
    if form.get("type") == "grammar":
        syntax, definition = form.get("syntax") or "", form.get("definition") or ""
        words.append(f"The input must follow this grammar ({syntax}):\n{definition}")
    function: dict[str, Any] = {"name": sent, "parameters": _TEXT}
    if words:
        function["description"] = "\n\n".join(words)
    return {"type": "function", "function": function}


def _named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


# --- texts of custom tools, and commands -----------------------------------------------------


def text_call(text: str) -> str:
    """The arguments that stand for the input of a custom tool."""
    return orjson.dumps({INPUT: text}).decode()


def text_of(arguments: str) -> str:
    """The input of a custom tool that `arguments` stand for; as they are when they are something else."""
    value = _object(arguments)
    text = None if value is None else value.get(INPUT)
    return text if isinstance(text, str) else arguments


def command_call(action: Mapping[str, Any]) -> str:
    """The arguments that stand for a command."""
    members = ("command", "working_directory", "timeout_ms")
    return orjson.dumps({name: action[name] for name in members if action.get(name) is not None}).decode()


def command_of(arguments: str) -> dict[str, Any] | None:
    """The command that `arguments` stand for, None when they are none."""
    value = _object(arguments)
    command = None if value is None else value.get("command")
    if value is None or not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        return None
    where, limit = value.get("working_directory"), value.get("timeout_ms")
    return {
        "type": "exec",
        "command": command,
        "env": {},
        "working_directory": where if isinstance(where, str) else None,
        "timeout_ms": limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        "user": None,
    }


def _object(arguments: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
