"""How two cassettes differ in what they mean: requests that only one has, and answers that changed.

Streams are compared event by event, JSON member by member; where chunks were cut, and when they came, does not count.
What does not live here: which request equals which (`match.py`), printing (`command.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from compatgw_testing import difference
from compatgw_testing.cassettes.match import key_of, told

if TYPE_CHECKING:
    from compatgw_testing.cassettes.format import Cassette, Interaction

# Of one answer and no other.
FLEETING: Final = frozenset(
    {"id", "created", "created_at", "responseId", "system_fingerprint", "request_id", "obfuscation", "generation_id"}
)
_HEADERS: Final = ("content-type", "retry-after", "retry-after-ms", "x-should-retry")


def changes(before: Cassette, after: Cassette, *, exact: bool = False) -> list[str]:
    """What changed from one cassette to another, one line each; empty if nothing did.

    Args:
        before: The one.
        after: The other.
        exact: Ids and times of answers count, too.
    """
    waiting: dict[str, list[Interaction]] = defaultdict(list)
    for one in after.interactions:
        waiting[key_of(one.request)].append(one)
    lines: list[str] = []
    for number, one in enumerate(before.interactions, 1):
        same = waiting[key_of(one.request)]
        if not same:
            lines.append(f"- {number}. {told(one.request)}")
            continue
        found = _answers(one, same.pop(0), exact=exact)
        if found:
            lines += [f"~ {number}. {told(one.request)}", *(f"    {line}" for line in found)]
    lines += [f"+ {told(one.request)}" for left in waiting.values() for one in left]
    return lines


def _answers(before: Interaction, after: Interaction, *, exact: bool) -> list[str]:
    lines: list[str] = []
    for name, was, now in (
        ("status", _status(before), _status(after)),
        ("headers", _headers(before), _headers(after)),
        ("end", before.end.kind, after.end.kind),
        ("body", content(before.body, exact=exact), content(after.body, exact=exact)),
    ):
        found = difference.values(name, was, now)
        lines += [line.replace("expected ", "was ", 1).replace(", got ", ", is ", 1) for line in found]
    return lines


def _status(one: Interaction) -> int | None:
    return None if one.head is None else one.head.status


def _headers(one: Interaction) -> dict[str, str]:
    return {} if one.head is None else {name: value for name, value in one.head.headers if name in _HEADERS}


def content(body: bytes, *, exact: bool = True) -> object:
    """A body as JSON; of a stream of events, a list of them; otherwise its text."""
    text = body.decode("utf-8", "backslashreplace")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        if not (events := _events(text)):
            return text
        value = events
    return value if exact else _lasting(value)


def _events(text: str) -> list[object]:
    events: list[object] = []
    for line in text.splitlines():
        data = line.removeprefix("data:").strip() if line.startswith(("data:", "{")) else ""
        if not data:
            continue
        try:
            events.append(json.loads(data))
        except (ValueError, RecursionError):
            events.append(data)
    return events


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(inner) for name, inner in value.items() if name not in FLEETING}
    return [_lasting(one) for one in value] if isinstance(value, list) else value
