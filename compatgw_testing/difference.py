"""What a test expects of a call against what came, told so that one sees what to mend.

Values are compared by meaning: numbers by value, tool arguments as JSON, tool calls and tools by
name, messages put side by side by role and order. What does not live here: the assertions
(`journal.py`), conditions of rules (`rules.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from compatgw_testing.expected import WantedMessage, arguments_of, calls_of, message_of, tools_of
from compatgw_testing.request import Request
from compatgw_testing.rules import Matcher
from compatgw_testing.script import ToolCall, dump

if TYPE_CHECKING:
    from compatgw_testing.journal import Call
    from compatgw_testing.request import Message

_CALL = ("method", "path", "query", "headers", "body")
_DERIVED = ("user", "system", "turn", "media", "results")
_MEMBERS = (*(one.name for one in fields(Request) if one.name != "prompt"), *_DERIVED)
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_SETTINGS = frozenset(
    {
        *("temperature", "top_p", "top_k", "stop", "n", "seed", "presence_penalty", "frequency_penalty", "logprobs"),
        *("top_logprobs", "dimensions", "encoding_format", "input_type", "top_n", "size", "quality", "voice"),
        *("language", "response_format", "logit_bias", "service_tier", "metadata", "store", "parallel_tool_calls"),
    }
)
_WIDE = 72
_MOST = 20


@dataclass(frozen=True, slots=True)
class like:  # noqa: N801 - reads as a word of the assertion
    """Anything that has at least this.

    A mapping: these members, each as said. A sequence: these elements in this order, others between them. A text:
    this somewhere in it. A `Message`: what it says beyond its defaults. Anything else: the same value.
    """

    part: object

    def __repr__(self) -> str:
        return f"like({self.part!r})"


def differences(expected: Mapping[str, object], call: Call) -> list[str]:
    """What of a call is not as expected, one line each; empty if all is.

    Args:
        expected: Members of `Request` (`model`, `user`, `messages`, `tools`, ...), of `settings` by their own names
            (`temperature`, ...; None: not sent), or of the call itself (`method`, `path`, `query`, `headers`, `body`).
        call: What came.

    Raises:
        TypeError: A member is unknown.
    """
    lines: list[str] = []
    unread = False
    for name, wanted in expected.items():
        if name in _CALL:
            lines += values(name, wanted, getattr(call, name))
            continue
        settings = {} if call.request is None else call.request.settings
        if name not in (*_MEMBERS, *_LIMITS, *settings, *_SETTINGS):
            known = ", ".join(sorted({*_CALL, *_MEMBERS, *_SETTINGS}))
            raise TypeError(f"a call has no member {name!r} to be compared; there are {known}")
        if call.request is None:
            unread = True
        elif name in _MEMBERS or name in _LIMITS:
            lines += _member("limit" if name in _LIMITS else name, wanted, call.request)
        elif wanted is None:
            lines += [f"{name}: expected none, got {show(settings[name])}"] if name in settings else []
        elif name not in settings:
            lines.append(f"{name}: expected {show(wanted)}, but it was not sent")
        else:
            lines += values(name, wanted, settings[name])
    if unread:
        lines.append(f"the call has no content to compare: it was answered {call.status} ({call.outcome}) unread")
    return lines if len(lines) <= _MOST else [*lines[:_MOST], f"and {len(lines) - _MOST} more differences"]


def _member(name: str, wanted: object, request: Request) -> list[str]:
    if name in ("messages", "results"):
        found: tuple[Message, ...] = getattr(request, name)
        return _messages(name, wanted, found)
    if name == "tools":
        return _tools(wanted, request.tools)
    return values(name, wanted, getattr(request, name))


# Plain values.


def values(path: str, wanted: object, got: object, *, part: bool = False) -> list[str]:
    """Differences of two values, each with its JSON path.

    Args:
        path: Where they stand.
        wanted: The value, a matcher, or `like(...)`.
        got: What came.
        part: What `wanted` does not name does not count.
    """
    if isinstance(wanted, like):
        return values(path, wanted.part, got, part=True)
    if isinstance(wanted, Matcher):
        return [] if isinstance(got, str) and wanted.fits(got) else [f"{path}: expected {wanted!r}, got {show(got)}"]
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return _mappings(path, wanted, got, part)
    if _is_list(wanted) and _is_list(got):
        return _lists(path, list(wanted), list(got), part)  # type: ignore[call-overload]
    if isinstance(wanted, str) and isinstance(got, str):
        return [] if wanted == got or (part and wanted in got) else [f"{path}: {_texts(wanted, got, part)}"]
    # To JSON, true is no number.
    same = wanted == got and isinstance(wanted, bool) == isinstance(got, bool)
    # An object that equals everything (`mock.ANY`) is a matcher, too.
    if same or (wanted == got and type(wanted).__eq__ not in (bool.__eq__, int.__eq__, float.__eq__)):
        return []
    return [f"{path}: expected {show(wanted)}, got {show(got)}"]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _mappings(path: str, wanted: Mapping[object, object], got: Mapping[object, object], part: bool) -> list[str]:
    lines: list[str] = []
    for name, value in wanted.items():
        here = f"{path}.{name}" if path else str(name)
        if name in got:
            lines += values(here, value, got[name], part=part)
        else:
            lines.append(f"{here}: missing, expected {show(value)}")
    if not part:
        lines += [f"{path}.{name}: not expected, got {show(got[name])}" for name in got if name not in wanted]
    return lines


def _lists(path: str, wanted: list[object], got: list[object], part: bool) -> list[str]:
    if part:
        rest = iter(got)
        return [
            f"{path}: expected an element {show(one)} (in this order), got {show(got)}"
            for one in wanted
            if all(values(path, one, other, part=True) for other in rest)
        ]
    lines: list[str] = []
    for number, (one, other) in enumerate(zip(wanted, got, strict=False)):
        lines += values(f"{path}[{number}]", one, other)
    lines += [f"{path}[{at}]: missing, expected {show(wanted[at])}" for at in range(len(got), len(wanted))]
    lines += [f"{path}[{at}]: not expected, got {show(got[at])}" for at in range(len(wanted), len(got))]
    return lines


def _texts(wanted: str, got: str, part: bool) -> str:
    if part:
        return f"expected {show(wanted)} in it, got {show(got)}"
    if len(wanted) <= _WIDE and len(got) <= _WIDE:
        return f"expected {wanted!r}, got {got!r}"
    same = next((at for at, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got)))
    return f"differs from character {same}: expected {_around(wanted, same)}, got {_around(got, same)}"


def _around(text: str, at: int) -> str:
    """`text` near one place."""
    if at >= len(text):
        return f"the end after {text[max(0, at - 24) :]!r}"
    start, end = max(0, at - 16), at + 48
    return f"{'...' if start else ''}{text[start:end]!r}{'...' if end < len(text) else ''}"


def show(value: object) -> str:
    """A value in one short line."""
    try:
        text = dump(value) if isinstance(value, Mapping) or _is_list(value) else repr(value)
    except TypeError:  # not JSON: it holds a matcher or a message
        text = repr(value)
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


# Messages.


def _messages(path: str, wanted: object, got: tuple[Message, ...]) -> list[str]:
    part = isinstance(wanted, like)
    given = wanted.part if isinstance(wanted, like) else wanted
    if not _is_list(given):
        raise TypeError(f"{path} are expected as a list, or as like([...]), got {show(given)}")
    asked = [message_of(one.part if isinstance(one, like) else one, isinstance(one, like) or part) for one in given]  # type: ignore[attr-defined]
    lines: list[str] = []
    for one, number in _aligned(asked, got, part):
        if one is None and number is not None:
            lines.append(f"{path}[{number}] {got[number].role}: not expected, got {_gist(got[number])}")
        elif one is not None and number is None:
            lines.append(f"{path}: a message is missing, expected {one.words}")
        elif one is not None and number is not None:
            lines += _message(f"{path}[{number}] {got[number].role}", one, got[number])
    return lines


def _gist(message: Message) -> str:
    if message.text or not message.calls:
        return show(message.text)
    return f"calls of {', '.join(one.name for one in message.calls)}"


def _message(path: str, wanted: WantedMessage, got: Message) -> list[str]:
    lines: list[str] = []
    if wanted.role is not None and wanted.role != got.role:
        lines.append(f"{path}: expected the role {wanted.role!r}")
    for name, value in wanted.members.items():
        if name == "calls":
            lines += tool_calls(f"{path}: calls", value, got.calls, part=wanted.part)
        else:
            lines += values(f"{path}: {name}", value, getattr(got, name), part=wanted.part)
    return lines


def _aligned(
    asked: list[WantedMessage], got: tuple[Message, ...], part: bool
) -> list[tuple[WantedMessage | None, int | None]]:
    """The two conversations side by side, each message with the one most like it; roles are not mixed."""
    extra = 0.001 if part else 1.0
    costs = [[0.0] * (len(got) + 1) for _ in range(len(asked) + 1)]
    pairs = [[_unlike(one, other) for other in got] for one in asked]
    for i in range(len(asked), -1, -1):
        for j in range(len(got), -1, -1):
            ways = [0.0] if i == len(asked) and j == len(got) else []
            if i < len(asked):
                ways.append(1.0 + costs[i + 1][j])
            if j < len(got):
                ways.append(extra + costs[i][j + 1])
            if i < len(asked) and j < len(got):
                ways.append(pairs[i][j] + costs[i + 1][j + 1])
            costs[i][j] = min(ways)
    found: list[tuple[WantedMessage | None, int | None]] = []
    i = j = 0
    while i < len(asked) or j < len(got):
        if i < len(asked) and j < len(got) and costs[i][j] == pairs[i][j] + costs[i + 1][j + 1]:
            found.append((asked[i], j))
            i, j = i + 1, j + 1
        elif i < len(asked) and costs[i][j] == 1.0 + costs[i + 1][j]:
            found.append((asked[i], None))
            i += 1
        else:
            if not part:
                found.append((None, j))
            j += 1
    return found


def _unlike(wanted: WantedMessage, got: Message) -> float:
    """From 0, all as expected, to a little less than leaving both out."""
    if wanted.role is not None and wanted.role != got.role:
        return 9.0
    if not _message("", wanted, got):
        return 0.0
    text = wanted.members.get("text", "")
    alike = difflib.SequenceMatcher(None, text[:400], got.text[:400]).ratio() if isinstance(text, str) else 0.5
    return 0.5 + 0.9 * (1 - alike)


# Tools.


def tool_calls(path: str, wanted: object, got: Sequence[ToolCall], *, part: bool = False) -> list[str]:
    """Differences of tool calls: put side by side by name, their arguments compared as JSON.

    Args:
        path: Where they stand.
        wanted: `ToolCall`s, pairs of name and arguments, names, OpenAI's or Anthropic's form; or `like([...])`.
        got: What came.
        part: Further calls and further arguments do not count.
    """
    if isinstance(wanted, like):
        wanted, part = wanted.part, True
    rest = list(got)
    lines: list[str] = []
    asked = calls_of(wanted)
    order: list[ToolCall] = []
    for name, arguments, id in asked:
        same = [one for one in rest if name is None or one.name == name]
        if not same:
            lines.append(f"{path}.{name}: missing, got {', '.join(one.name for one in got) or 'no call'}")
            continue
        tried = [(_call(path, arguments, id, one, part), at) for at, one in enumerate(same)]
        found, at = min(tried, key=lambda one: (len(one[0]), one[1]))
        lines += found
        order.append(same[at])
        rest.remove(same[at])
    if not part:
        lines += [f"{path}.{one.name}: not expected, got {show(arguments_of(one.arguments))}" for one in rest]
    if not lines and order != [one for one in got if one in order]:
        names = [", ".join(one.name for one in calls) for calls in (order, got)]
        lines.append(f"{path}: expected in the order {names[0]}, got {names[1]}")
    return lines


def _call(path: str, arguments: object, id: str | None, got: ToolCall, part: bool) -> list[str]:
    here = f"{path}.{got.name}"
    lines = [] if id is None else values(f"{here} id", id, got.id)
    if arguments is None:
        return lines
    return lines + values(here, arguments, arguments_of(got.arguments), part=part)


def _tools(wanted: object, got: Mapping[str, object]) -> list[str]:
    part = isinstance(wanted, like)
    asked = tools_of(wanted.part if isinstance(wanted, like) else wanted)
    lines: list[str] = []
    for name, schema in asked.items():
        if name not in got:
            lines.append(f"tools.{name}: missing, got {', '.join(got) or 'no tool'}")
        elif schema is not None:
            lines += values(f"tools.{name}", schema, got[name], part=part)
    if not part:
        lines += [f"tools.{name}: not expected" for name in got if name not in asked]
    return lines
