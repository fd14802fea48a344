"""Which calls are attempts of one and the same request, and how long the client waited between them.

A call is a further attempt if the same bytes go to the same path again after a call that did not
succeed. Asking the same again after a success is a new request.

What does not live here: judging what a client did (`verdict.py`).
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from compatgw_testing.journal import Call

_FORM = re.compile(r"(>=|<=|>|<)\s*([0-9.]+)\s*(ms|s)?")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
# A clock of 1970 and a monotonic one are floats: differences of them are off by less than this.
_FLOAT = 1e-5
# Seconds that a fake may take to notice that a client has left.
_NOTICE = 0.25


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts of one request, in their order; at least one."""

    calls: tuple[Call, ...]

    @property
    def last(self) -> Call:
        """The latest attempt: the one that the client went on with."""
        return self.calls[-1]

    @property
    def waits(self) -> tuple[float, ...]:
        """Seconds between the head of each answer, or its call if no head was sent, and the attempt after it.

        The longer of the machine's time and the fake's: a test may let only the fake's clock pass.
        """
        return tuple(waited(one, other) for one, other in zip(self.calls, self.calls[1:], strict=False))

    def __str__(self) -> str:
        first = self.calls[0]
        ends = ", ".join(f"#{one.ordinal} {one.status or one.outcome}" for one in self.calls)
        waits = "".join(f", after {one:.3f} s" for one in self.waits)
        return f"{first.method} {first.path}: {len(self.calls)} attempt{'s'[: len(self.calls) > 1]} ({ends}){waits}"


def waited(one: Call, other: Call) -> float:
    """Seconds that a client let pass between the answer to one call and its next."""
    start = one.arrived if one.answered is None else one.answered
    return max(other.arrived - start, other.at - one.at, 0.0)


def attempts_of(calls: Iterable[Call]) -> list[Attempts]:
    """The requests that `calls` are attempts of, in the order of their first attempts."""
    chains: list[list[Call]] = []
    latest: dict[tuple[str, str, bytes], list[list[Call]]] = {}
    for call in calls:
        same = latest.setdefault((call.method, call.path, call.raw), [])
        # The oldest that failed before this call came: of several equal requests at once, each is retried in turn.
        chain = next((one for one in same if _failed_before(one[-1], call)), None)
        if chain is None:
            chain = []
            chains.append(chain)
        else:
            same.remove(chain)
        chain.append(call)
        same.append(chain)
    return [Attempts(tuple(one)) for one in chains]


def _failed_before(one: Call, other: Call) -> bool:
    """Whether `one` had gone wrong, for its client, when `other` came."""
    if one.answered is not None and (one.status or 0) >= 400:
        return one.answered <= other.arrived
    if one.outcome == "pending":
        # The client may be gone and the fake not know it yet: from a stall every client leaves in the end.
        return one.hangs
    if one.outcome == "completed" or one.ended is None:
        return False
    return one.ended <= other.arrived + (_NOTICE if one.outcome == "client_closed" else 0.0)


class Told(NamedTuple):
    """What an answer told the client to do: wait so many seconds, or not to try again at all."""

    seconds: float | None
    never: bool


def told(call: Call) -> Told:
    """What the answer to `call` says of trying again: in its headers, or in the details of Gemini's errors."""
    headers = call.response_headers
    never = headers.get("x-should-retry") == "false"
    if (given := _number(headers.get("retry-after-ms"))) is not None:
        return Told(given / 1000, never)
    text = headers.get("retry-after")
    if (given := _number(text)) is not None:
        return Told(given, never)
    if text is not None:
        try:
            return Told(max(0.0, parsedate_to_datetime(text).timestamp() - call.dated), never)
        except (TypeError, ValueError):  # neither a number nor a date: nothing that a client could obey
            return Told(None, never)
    return Told(_in_details(call), never)


def _in_details(call: Call) -> float | None:
    if call.status is None or call.status < 400:
        return None
    try:
        error = json.loads(b"".join(piece for _, piece in call.pieces))
    except ValueError:
        return None
    error = error[0] if isinstance(error, list) and error else error
    inside = error.get("error") if isinstance(error, dict) else None
    details = inside.get("details") if isinstance(inside, dict) else None
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and str(one.get("retryDelay", "")).endswith("s"):
            return _number(one["retryDelay"][:-1])
    return None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def fits(waits: Sequence[float], form: str | float) -> list[int]:
    """Which of `waits` (by index) are not of the form: `">=0.2"`, `"< 1s"`, `">=200ms"`; a number means at least that.

    Raises:
        ValueError: The form is none.
    """
    match = _FORM.fullmatch(form.strip()) if isinstance(form, str) else None
    if isinstance(form, str) and match is None:
        raise ValueError(f"assert_waited() takes a number of seconds, or a form such as '>=0.2', got {form!r}")
    sign, limit = (match[1], float(match[2])) if match else (">=", float(form))
    if match and match[3] == "ms":
        limit /= 1000
    slack = _FLOAT if sign[0] == ">" else -_FLOAT
    return [number for number, one in enumerate(waits) if not _COMPARE[sign](one + slack, limit)]
