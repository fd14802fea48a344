"""Masks what differs from run to run in recorded values, so that two of them can be compared, or kept as a snapshot.

What does not live here: what a fake sends, which is the same for the same seed without any mask.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_IDS = frozenset(
    {
        *("id", "request_id", "response_id", "responseId", "tool_call_id", "tool_use_id", "call_id", "item_id"),
        *("generation_id", "previous_response_id", "message_id", "system_fingerprint"),
        *("x-request-id", "request-id", "x-debug-trace-id"),
    }
)
_TIMES = frozenset({"created", "created_at", "createTime", "completed_at", "date", "arrived", "at"})
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
_PORT = re.compile(r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+")


def stable(value: object, *, ids: Sequence[str] = (), times: Sequence[str] = ()) -> object:
    """`value` with ids, times and ports masked: `<id 1>`, `<id 2>`, `<time>`, `<port>`.

    The same id gets the same mask wherever it stands, so that it still shows which tool result answers which call.

    Args:
        value: Mappings, sequences and plain values; others are kept as they are.
        ids: Further members that hold an id.
        times: Further members that hold a time.
    """
    masks: dict[str, str] = {}
    names = _IDS | set(ids)
    _find(value, names, masks)
    return _masked(value, names, _TIMES | set(times), masks)


def _find(value: object, ids: frozenset[str], masks: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        for name, one in value.items():
            if name in ids and isinstance(one, str) and one:
                masks.setdefault(one, f"<id {len(masks) + 1}>")
            else:
                _find(one, ids, masks)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for one in value:
            _find(one, ids, masks)
    elif isinstance(value, str):
        for found in _UUID.findall(value):
            masks.setdefault(found, f"<id {len(masks) + 1}>")


def _masked(value: object, ids: frozenset[str], times: frozenset[str], masks: Mapping[str, str]) -> object:
    if isinstance(value, Mapping):
        return {
            name: "<time>"
            if name in times and isinstance(one, str | int | float) and not isinstance(one, bool)
            else _masked(one, ids, times, masks)
            for name, one in value.items()
        }
    if isinstance(value, str):
        # The longest first: one id may be the beginning of another.
        for found in sorted(masks, key=len, reverse=True):
            if found == value or len(found) >= 8:
                value = value.replace(found, masks[found])
        return _PORT.sub(r"\1:<port>", _MOMENT.sub("<time>", value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_masked(one, ids, times, masks) for one in value]
    return value
