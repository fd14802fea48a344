"""Which recorded answer a request gets: the first unused one of an equal request, whatever order the requests come in.

Two requests are equal if method, service, path, query and body are, the body by meaning: the order of members, how
numbers are spelled, and members that say who asks and not what, do not count. What does not live here: sending the
answer (`replay.py`).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from compatgw_testing import difference
from compatgw_testing.cassettes import secrets
from compatgw_testing.cassettes.format import compact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from compatgw_testing.cassettes.format import Interaction, RecordedRequest

# Members of a body that name the caller, its session or its own bookkeeping.
VOLATILE: Final = frozenset(
    {"user", "safety_identifier", "prompt_cache_key", "metadata", "session_id", "client_request_id"}
)
_IGNORED_QUERY: Final = frozenset({"key", "api_key", "api-key", "apikey", "access_token", "token", "sig", "signature"})
_BOUNDARY: Final = re.compile(r'(?i)boundary="?([^";,\s]+)"?')
_NEAREST: Final = 3
_MOST_LINES: Final = 6


def key_of(request: RecordedRequest, volatile: Collection[str] = VOLATILE) -> str:
    """The same for requests that mean the same: 16 hexadecimal digits.

    Args:
        request: As it was sent, or as it is on a cassette.
        volatile: Members at the top of a JSON body that do not count.
    """
    address = (request.method.upper(), request.service, unquote(request.path), _query(request))
    named = json.dumps(address, ensure_ascii=True).encode()
    return hashlib.sha256(named + b"\n" + _canonical(request, volatile)).hexdigest()[:16]


def meaning(request: RecordedRequest, volatile: Collection[str] = VOLATILE) -> object:
    """What of a body counts: JSON without its volatile members; the text of what is no JSON."""
    body = secrets.marks_as_one(request.body)
    if match := _BOUNDARY.search(dict(request.headers).get("content-type", "")):
        # Of a form: chosen anew each time.
        body = body.replace(match.group(1).encode(), b"boundary")
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return body.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {name: inner for name, inner in value.items() if name not in volatile}
    return value


def _canonical(request: RecordedRequest, volatile: Collection[str]) -> bytes:
    value = meaning(request, volatile)
    try:
        return compact(_ordered(value))
    except (ValueError, RecursionError):
        return request.body


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _query(request: RecordedRequest) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in request.query if name.lower() not in _IGNORED_QUERY)


class Matcher:
    """The interactions of a cassette, each given once. Any thread may ask.

    Args:
        interactions: In the order in which equal ones are given.
        volatile: Members at the top of a JSON body that do not count, besides the usual ones.
        repeats: When all answers to a request were given, give the last one again.
    """

    def __init__(
        self, interactions: Iterable[Interaction], *, volatile: Collection[str] = (), repeats: bool = False
    ) -> None:
        self._all = tuple(interactions)
        self._volatile = VOLATILE | frozenset(volatile)
        self._repeats = repeats
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[int]] = defaultdict(deque)
        self._last: dict[str, int] = {}
        for number, one in enumerate(self._all):
            self._waiting[key_of(one.request, self._volatile)].append(number)

    @property
    def services(self) -> frozenset[str]:
        """Those that the interactions are of."""
        return frozenset(one.request.service for one in self._all)

    @property
    def unused(self) -> tuple[Interaction, ...]:
        """Those that were not given, in their order."""
        with self._lock:
            numbers = sorted(number for waiting in self._waiting.values() for number in waiting)
        return tuple(self._all[number] for number in numbers)

    def take(self, request: RecordedRequest) -> Interaction | None:
        """The next answer to a request; None if there is none (any more)."""
        key = key_of(request, self._volatile)
        with self._lock:
            if waiting := self._waiting.get(key):
                self._last[key] = waiting.popleft()
            elif not self._repeats or key not in self._last:
                return None
            return self._all[self._last[key]]

    def miss(self, request: RecordedRequest) -> str:
        """What to say of a request that nothing answers: the nearest interactions, and how each differs."""
        lines = [f"nothing recorded answers {told(request)}"]
        if not self._all:
            return f"{lines[0]}: the cassette is empty"
        key = key_of(request, self._volatile)
        unused = {id(one) for one in self.unused}
        ranked = sorted(enumerate(self._all, 1), key=lambda pair: (self._distance(request, pair[1].request), pair[0]))
        for number, one in ranked[:_NEAREST]:
            if key_of(one.request, self._volatile) == key:
                lines.append(f"  {number}. the same request, but its answer was given already")
                continue
            given = "" if id(one) in unused else ", given already"
            lines.append(f"  {number}. {told(one.request)}{given}")
            found = self._differences(one.request, request)
            lines += [f"       {line}" for line in found[:_MOST_LINES]]
            if len(found) > _MOST_LINES:
                lines.append(f"       and {len(found) - _MOST_LINES} more differences")
        return "\n".join(lines)

    def _distance(self, request: RecordedRequest, other: RecordedRequest) -> tuple[int, int, int]:
        return (
            (request.service != other.service) + (request.method != other.method),
            unquote(request.path) != unquote(other.path),
            len(self._differences(other, request)),
        )

    def _differences(self, recorded: RecordedRequest, asked: RecordedRequest) -> list[str]:
        lines: list[str] = []
        for name in ("method", "service", "path"):
            was, now = unquote(getattr(recorded, name)), unquote(getattr(asked, name))
            if was != now:
                lines.append(f"{name}: recorded {was}, asked {now}")
        pairs: list[tuple[str, object, object]] = [
            ("query", dict(_query(recorded)), dict(_query(asked))),
            ("body", meaning(recorded, self._volatile), meaning(asked, self._volatile)),
        ]
        for name, wanted, got in pairs:
            lines += [line.replace("expected ", "recorded ", 1) for line in difference.values(name, wanted, got)]
        return lines


def told(request: RecordedRequest) -> str:
    """A request in one line: method, service, path, and what of the body tells it from others."""
    what = [f"{request.method} {request.service} {unquote(request.path)}"]
    body = meaning(request)
    if isinstance(body, dict):
        if isinstance(model := body.get("model"), str):
            what.append(f"model {model}")
        if body.get("stream") is True:
            what.append("streamed")
        if text := _last_text(body):
            what.append(difference.show(text))
    return ", ".join(what)


def _last_text(body: Mapping[str, Any]) -> str:
    """The last text that a body has, where the dialects have it."""
    for name in ("messages", "contents", "input", "texts", "query", "prompt"):
        value: Any = body.get(name)
        while isinstance(value, (list, dict)) and value:
            value = value[-1] if isinstance(value, list) else _spoken(value)
        if isinstance(value, str) and value:
            return value
    return ""


def _spoken(value: Mapping[str, Any]) -> Any:
    return next((value[name] for name in ("content", "parts", "text") if value.get(name)), None)
