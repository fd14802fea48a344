"""The forms in which a test may write the messages, tool calls and tools that it expects.

Beside our own classes these are the short forms (names, pairs) and those that OpenAI's and
Anthropic's SDKs take. What does not live here: comparing (`difference.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from compatgw_testing.request import Message
from compatgw_testing.script import ToolCall

_ROLES = {"developer": "system", "function": "tool", "model": "assistant"}
_NAMES = {
    "content": "text",
    "tool_calls": "calls",
    "tool_call_id": "call_id",
    "name": "tool",
    "reasoning_content": "reasoning",
}
_DEFAULTS = {one.name: one.default for one in fields(Message) if one.name not in ("role", "tool", "call_id")}


@dataclass(frozen=True, slots=True)
class WantedMessage:
    """A message that a test expects.

    Attributes:
        role: None for any.
        members: What each member of the `Message` shall be.
        part: What the members do not name does not count.
        words: The message as the test wrote it, for humans.
    """

    role: str | None
    members: Mapping[str, object]
    part: bool
    words: str


def message_of(given: object, part: bool) -> WantedMessage:
    """A message: a `Message`, a mapping (`role`, `content` and so on), a pair of role and text, or a user's text.

    With `part`, only what is given counts, and a text alone may be of any role.

    Raises:
        TypeError: It is none of these.
    """
    role: str | None
    members: dict[str, object] = {}
    plain = _dumped(given)
    dumped, given = plain is not given, plain
    if isinstance(given, Message):
        role = given.role
        members = {name: getattr(given, name) for name in ("text", "media", "reasoning", "calls")}
        if part:
            members = {name: value for name, value in members.items() if value}
        members |= {name: getattr(given, name) for name in ("tool", "call_id") if getattr(given, name) is not None}
    elif isinstance(given, Mapping):
        role, members = _from_mapping(given, dumped)
        if not part:
            members = {**_DEFAULTS, **members}
    elif isinstance(given, tuple) and len(given) == 2:
        role = _ROLES.get(str(given[0]), str(given[0]))
        members = {"text": given[1]} if part else {**_DEFAULTS, "text": given[1]}
    else:
        role = None if part or not isinstance(given, str) else "user"
        members = {"text": given}
        if not isinstance(given, str) and not hasattr(given, "fits"):
            raise TypeError(
                f"a message is expected as a Message, a mapping with a role, a pair of role and text, or a text, "
                f"got {given!r}"
            )
    text = members.get("text")
    said = (
        f"calls of {', '.join(str(name) for name, _, _ in calls_of(members['calls']))}" if members.get("calls") else ""
    )
    return WantedMessage(role, members, part, f"{role or 'any role'}: {said or repr(text)[:80]}")


def _from_mapping(given: Mapping[str, object], dumped: bool) -> tuple[str | None, dict[str, object]]:
    members: dict[str, object] = {}
    for name, value in given.items():
        ours = _NAMES.get(name, name)
        if ours == "role" or (name == "name" and given.get("role") not in ("tool", "function")):
            continue  # elsewhere a name is that of who speaks, which not every dialect has
        if ours in ("text", "parts"):
            members["text"] = _text(value)
            if calls := _calls_in(value):
                members["calls"] = calls
        elif ours in ("media", "reasoning", "calls", "tool", "call_id"):
            members[ours] = () if value is None else value
        elif not dumped:  # an SDK's object has members that nobody has set
            raise TypeError(
                f"an expected message has no member {name!r}; there are role, content (or text), media, reasoning, "
                "tool_calls (or calls), tool and call_id"
            )
    role = given.get("role")
    return None if role is None else _ROLES.get(str(role), str(role)), members


def _text(content: object) -> object:
    """The text of a content: itself, or that of its parts."""
    if content is None:
        return ""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return content
    return "\n".join(str(one["text"]) for one in content if isinstance(one, Mapping) and "text" in one)


def _calls_in(content: object) -> list[object]:
    """The tool calls among the parts of a content, as Anthropic and Gemini write them."""
    parts = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
    found = [one.get("functionCall", one) for one in parts if isinstance(one, Mapping)]
    return [one for one in found if one.get("type") == "tool_use" or "args" in one]


def calls_of(given: object) -> list[tuple[str | None, object, str | None]]:
    """Name, arguments (None: any) and id (None: any) of each expected tool call.

    Raises:
        TypeError: It is no list of calls.
    """
    if isinstance(given, str | ToolCall | Mapping):
        given = [given]
    if not isinstance(given, Sequence):
        raise TypeError(f"tool calls are expected as a list, got {given!r}")
    return [_call(one) for one in given]


def _call(given: object) -> tuple[str | None, object, str | None]:
    if isinstance(given, ToolCall):
        return given.name, arguments_of(given.arguments), given.id
    if isinstance(given, str):
        return given, None, None
    if isinstance(given, tuple) and len(given) == 2:
        return str(given[0]), arguments_of(given[1]), None
    given = _dumped(given)
    if isinstance(given, Mapping):
        inside = given.get("function")
        call = inside if isinstance(inside, Mapping) else given
        arguments = next((call[name] for name in ("arguments", "input", "args") if name in call), None)
        name, id = call.get("name"), given.get("id")
        return None if name is None else str(name), arguments_of(arguments), None if id is None else str(id)
    raise TypeError(f"a tool call is expected as a ToolCall, a pair of name and arguments, or a name, got {given!r}")


def given_calls(given: object) -> list[ToolCall]:
    """Tool calls in any of these forms, as calls; arguments that are not told are an empty object.

    Raises:
        TypeError: It is no list of calls.
    """
    found: list[ToolCall] = []
    for name, arguments, id in calls_of(given):
        held = {} if arguments is None else arguments
        found.append(ToolCall(name or "", held if isinstance(held, Mapping) else str(held), id))
    return found


def _dumped(given: object) -> object:
    """An object of an SDK as plain values."""
    dump = getattr(given, "model_dump", None)
    return dump(exclude_none=True) if callable(dump) else given


def arguments_of(given: object) -> object:
    """Arguments as JSON values, where a text of them is JSON."""
    if isinstance(given, str):
        try:
            return json.loads(given)
        except ValueError:
            return given
    return given


def tools_of(given: object) -> dict[str, object]:
    """Schema of the arguments (None: any) of each expected tool, by name.

    Raises:
        TypeError: It is neither a name, nor names, nor tools, nor schemas by name.
    """
    if isinstance(given, str):
        return {given: None}
    if isinstance(given, Mapping):
        return {str(name): schema for name, schema in given.items()}
    if not isinstance(given, Sequence | set | frozenset):
        raise TypeError(f"tools are expected as names, tools, or schemas by name, got {given!r}")
    found: dict[str, object] = {}
    for one in given:
        inside = one.get("function", one) if isinstance(one, Mapping) else one
        if isinstance(inside, Mapping) and "name" in inside:
            schemas = (inside.get(name) for name in ("parameters", "input_schema", "parametersJsonSchema"))
            found[str(inside["name"])] = next((schema for schema in schemas if schema is not None), None)
        elif isinstance(one, str):
            found[one] = None
        else:
            raise TypeError(f"a tool is expected as its name or as an SDK takes it, got {one!r}")
    return found
