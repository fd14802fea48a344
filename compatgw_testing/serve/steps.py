"""Scripts as data: what JSON or TOML says, as steps of a fake. For tests in other languages, and for files.

A script is a list of entries, or one entry. An entry names one step, and may say for which calls, how often, or
that it stands:

    {"reply": "Hello", "usage": [12, 3], "times": 2}
    {"tool_call": "weather", "arguments": {"city": "Paris"}}
    {"tool_calls": [{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}], "text": "One moment."}
    {"refuse": "I cannot help with that."}
    {"fail": 429, "retry_after": 0.5}
    {"fault": {"cut_after": 3}, "reply": "One two three four"}
    {"raw": "data: {}\\n\\n", "status": 200, "headers": {"content-type": "text/event-stream"}}
    {"always": true, "reply": "Whatever you say."}
    {"when": {"user": {"contains": "weather"}, "results": 0}, "steps": [{"tool_call": "weather", "arguments": {}}]}

The members beside a step are those of the function of its name in `compatgw_testing`. In `when`, a text is exact, or
`{"contains": ...}`, `{"regex": ...}` or `{"glob": ...}`.

What does not live here: playing steps (`fakes/`), HTTP (`admin.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_type_hints

from compatgw_testing import script
from compatgw_testing.faults import FaultWay
from compatgw_testing.rules import When, contains, glob, regex
from compatgw_testing.script import Raw, ScriptError, ToolCall

if TYPE_CHECKING:
    from compatgw_testing.fakes import Fake
    from compatgw_testing.rules import Matcher
    from compatgw_testing.script import Step

Members = Mapping[str, Any]
_TEXTS = ("model", "user", "system", "result", "input")
_MATCHERS: Mapping[str, Callable[[str], Matcher]] = {"contains": contains, "regex": regex, "glob": glob}


class Planned(NamedTuple):
    """One step of an entry.

    Attributes:
        step: The step.
        times: How often it is played.
        always: It stands: it answers whenever nothing else does.
    """

    step: Step
    times: int
    always: bool


class Entry(NamedTuple):
    """Steps for certain calls.

    Attributes:
        steps: In order.
        when: The conditions; None for any call.
    """

    steps: tuple[Planned, ...]
    when: When | None


def entries_of(value: object, *, where: str = "the script") -> list[Entry]:
    """The entries of a script.

    Args:
        value: A list of entries, one entry, or an object with the list under `steps`.
        where: What the value is, for messages.

    Raises:
        ScriptError: It is no script; the message says which part and why.
    """
    if isinstance(value, Mapping) and set(value) == {"steps"}:
        value = value["steps"]
    many = value if isinstance(value, list) else [value]
    return [_entry(one, where if len(many) == 1 else f"{where}, entry {n}") for n, one in enumerate(many, 1)]


def apply(entries: Sequence[Entry], fake: Fake) -> int:
    """Puts entries into the script of a fake; gives the number of steps.

    Raises:
        ScriptError: The fake's vendor cannot do it.
    """
    count = 0
    for entry in entries:
        target = fake if entry.when is None else fake.on(**entry.when)
        for step, times, always in entry.steps:
            if always:
                target.always(step)
            else:
                target.enqueue(step, times=times)
            count += times
    return count


def _entry(value: object, where: str) -> Entry:
    members = dict(_object(value, where))
    when = _when(members.pop("when"), where) if "when" in members else None
    if "steps" in members:
        if set(members) != {"steps"} or not isinstance(members["steps"], list):
            raise ScriptError(f"{where}: beside a list of `steps` an entry has `when` and nothing else")
        steps = tuple(_planned(one, f"{where}, step {n}") for n, one in enumerate(members["steps"], 1))
        return Entry(steps, when)
    return Entry((_planned(members, where),), when)


def _planned(value: object, where: str) -> Planned:
    members = dict(_object(value, where))
    times, always = members.pop("times", 1), members.pop("always", False)
    if not _is(times, int) or times < 1:
        raise ScriptError(f"{where}: `times` is a number from 1, got {times!r}")
    if not isinstance(always, bool):
        raise ScriptError(f"{where}: `always` is true or false, got {always!r}")
    named = [verb for verb in _VERBS if verb in members]
    # A fault bends an answer, and then that answer is not a step of its own.
    if "fault" in named:
        named = ["fault"]
    if len(named) != 1:
        got = f"got {', '.join(sorted(members)) or 'nothing'}"
        raise ScriptError(f"{where}: an entry names exactly one of {', '.join(_VERBS)}; {got}")
    try:
        step = _VERBS[named[0]](members, where)
    except ScriptError as wrong:
        raise wrong if str(wrong).startswith(where) else ScriptError(f"{where}: {wrong}") from wrong
    except (TypeError, ValueError, KeyError) as wrong:
        raise ScriptError(f"{where}: `{named[0]}` cannot be read: {wrong}") from wrong
    return Planned(step, times, always)


def _reply(members: Members, where: str) -> Step:
    taken = _taken(members, where, "reply", script.ReplyMembers)
    if (calls := taken.get("calls")) is not None:
        taken["calls"] = _calls(calls, where)
    if isinstance(usage := taken.get("usage"), list):
        taken["usage"] = tuple(usage)
    text = members["reply"]
    if text is not None and not isinstance(text, str):
        raise ScriptError(f"{where}: `reply` is a text or null, got {text!r}")
    return script.reply(text, **taken)


def _tool_call(members: Members, where: str) -> Step:
    _only(members, where, ("tool_call", "arguments", "id"))
    call = {"name": members["tool_call"], **{key: members[key] for key in ("arguments", "id") if key in members}}
    return script.tool_calls(*_calls([call], where))


def _tool_calls(members: Members, where: str) -> Step:
    taken = _taken(members, where, "tool_calls", script.CallsMembers)
    if isinstance(usage := taken.get("usage"), list):
        taken["usage"] = tuple(usage)
    return script.tool_calls(*_calls(members["tool_calls"], where), **taken)


def _refuse(members: Members, where: str) -> Step:
    _only(members, where, ("refuse",))
    text = members["refuse"]
    return script.refuse(text) if isinstance(text, str) else script.refuse()


def _fail(members: Members, where: str) -> Step:
    taken = _taken(members, where, "fail", script.FailMembers, "message")
    what = members["fail"]
    if not _is(what, int) and not isinstance(what, str):
        raise ScriptError(f"{where}: `fail` is an HTTP status or a name, got {what!r}")
    return script.fail(what, taken.pop("message", None), **taken)


def _fault(members: Members, where: str) -> Step:
    rest = dict(members)
    way = dict(_object(rest.pop("fault"), f"{where}, fault"))
    kinds = get_type_hints(FaultWay)
    for name, value in way.items():
        if name not in kinds:
            raise ScriptError(f"{where}: there is no fault {name!r}; there are {', '.join(sorted(kinds))}")
        if not _is(value, kinds[name]) and not (kinds[name] is float and _is(value, int)):
            raise ScriptError(f"{where}: the fault `{name}` takes {_named(kinds[name])}, got {value!r}")
    answer = _planned(rest, where).step if rest else None
    if answer is not None and not isinstance(answer, script.Turn):
        raise ScriptError(f"{where}: a fault happens to an answer, not to a failure or to raw bytes")
    return script.fault(answer, **way)


def _raw(members: Members, where: str) -> Step:
    _only(members, where, ("raw", "status", "headers"))
    given = members["raw"]
    texts = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) for one in texts):
        raise ScriptError(f"{where}: `raw` is a text or a list of texts")
    headers = {"content-type": "application/json", **_object(members.get("headers", {}), f"{where}, headers")}
    status = members.get("status", 200)
    if not _is(status, int):
        raise ScriptError(f"{where}: `status` is a number, got {status!r}")
    return Raw(pieces=tuple(one.encode() for one in texts), status=status, headers=headers)


_VERBS: Mapping[str, Callable[[Members, str], Step]] = {
    "reply": _reply,
    "tool_call": _tool_call,
    "tool_calls": _tool_calls,
    "refuse": _refuse,
    "fail": _fail,
    "fault": _fault,
    "raw": _raw,
}


def _calls(value: object, where: str) -> list[ToolCall]:
    if not isinstance(value, list):
        raise ScriptError(f"{where}: tool calls are a list of objects with `name`, `arguments` and maybe `id`")
    calls = []
    for one in value:
        call = _object(one, f"{where}, tool call")
        _only(call, f"{where}, tool call", ("name", "arguments", "id"))
        name, arguments = call.get("name"), call.get("arguments", {})
        if not isinstance(name, str) or not isinstance(arguments, str | Mapping):
            raise ScriptError(f"{where}: a tool call has a `name`, and `arguments` that are an object or a text")
        calls.append(ToolCall(name, arguments, call.get("id")))
    return calls


def _when(value: object, where: str) -> When:
    given = _object(value, f"{where}, when")
    known = [name for name in When.__annotations__ if name != "where"]
    _only(given, f"{where}, when", known)
    return cast("When", {name: _condition(name, one, where) for name, one in given.items()})


def _condition(name: str, value: object, where: str) -> object:
    if name not in _TEXTS or not isinstance(value, Mapping):
        return value
    kinds = [kind for kind in _MATCHERS if kind in value]
    if len(value) != 1 or not kinds or not isinstance(value[kinds[0]], str):
        raise ScriptError(f"{where}, when: `{name}` is a text, or one of {', '.join(_MATCHERS)} with a text")
    return _MATCHERS[kinds[0]](value[kinds[0]])


def _object(value: object, where: str) -> Members:
    if not isinstance(value, Mapping):
        raise ScriptError(f"{where}: an object is expected, got {type(value).__name__}")
    return value


def _only(members: Members, where: str, known: Sequence[str]) -> None:
    if unknown := sorted(set(members) - set(known)):
        raise ScriptError(f"{where}: {unknown[0]!r} is not known here; there are {', '.join(known)}")


def _taken(members: Members, where: str, verb: str, kind: type, *more: str) -> dict[str, Any]:
    _only(members, where, (verb, *kind.__annotations__, *more))
    return {name: value for name, value in members.items() if name != verb}


def _is(value: object, kind: Any) -> bool:
    """Whether a JSON value is of a type; true and false are no numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _named(kind: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    return names.get(kind, "a status or a name") if isinstance(kind, type) else "a status or a name"
