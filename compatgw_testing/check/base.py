"""What the scorecard is made of: assertions, their results, and the words a judge speaks in.

A judge is one coroutine function over a `Probe`; its docstring states what holds. It returns
when that is so, raises `Fails` with evidence when it is not, and `Skips` with a reason when
this server gives nothing to judge:

    @must("stream.done_last")
    async def done_last(probe: Probe) -> None:
        "The last event of a stream is `[DONE]`."
        stream = await probe.stream()
        expect(stream.events[-1].data == "[DONE]", f"the last event is {short(stream.events[-1].data)}")

What does not live here: requests (`probe.py`), the assertions (a file for each group).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

if TYPE_CHECKING:
    from compatgw_testing.check.probe import Probe

Severity = Literal["must", "should", "may"]
State = Literal["pass", "fail", "skip"]
Judge = Callable[["Probe"], Awaitable[None]]

EVIDENCE = 200


class Fails(Exception):
    """What was stated does not hold; the message is the evidence."""


class Skips(Exception):
    """There is nothing to judge here; the message says why."""


class Blocked(Skips):
    """It could not be judged, because a request that it rests on was not answered well."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One thing that is true of every conforming server.

    Attributes:
        id: `group.name`.
        says: What holds, in one sentence.
        severity: `must`: clients break without it. `should`: OpenAI does so and clients may rely on it. `may`: nice.
        judge: Finds out.
    """

    id: str
    says: str
    severity: Severity
    judge: Judge

    @property
    def group(self) -> str:
        """What stands before the dot of the id."""
        return self.id.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one assertion.

    Attributes:
        assertion: Which one.
        state: `pass`, `fail` or `skip`.
        evidence: Why, for a failure or a skip; empty for a pass.
        blocked: A skip that is no option of the server's: something else failed first.
        seconds: How long it took, its requests included.
    """

    assertion: Assertion
    state: State
    evidence: str = ""
    blocked: bool = False
    seconds: float = 0.0


def must(id: str) -> Callable[[Judge], Assertion]:
    """Makes a judge an assertion that clients break without."""
    return _assertion(id, "must")


def should(id: str) -> Callable[[Judge], Assertion]:
    """Makes a judge an assertion that clients may rely on."""
    return _assertion(id, "should")


def may(id: str) -> Callable[[Judge], Assertion]:
    """Makes a judge an assertion that is good to have."""
    return _assertion(id, "may")


def _assertion(id: str, severity: Severity) -> Callable[[Judge], Assertion]:
    def make(judge: Judge) -> Assertion:
        # Without docstrings (`python -OO`) the id has to say it all.
        return Assertion(id, " ".join((judge.__doc__ or id).split()), severity, judge)

    return make


def gathered(names: Mapping[str, object]) -> tuple[Assertion, ...]:
    """The assertions among a module's names, in the order of their definition."""
    return tuple(one for one in names.values() if isinstance(one, Assertion))


def expect(holds: bool, evidence: str) -> None:
    """Raises `Fails` with `evidence` unless it holds."""
    if not holds:
        raise Fails(evidence)


def expect_same(got: object, want: object, what: str) -> None:
    """Raises `Fails` unless `got` equals `want`."""
    expect(got == want, f"{what} is {short(got)}, not {short(want)}")


def expect_utf8(raw: bytes, what: str) -> None:
    """Raises `Fails` unless `raw` is UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Fails(f"{what} is not UTF-8: {error}") from None


def short(value: object, limit: int = EVIDENCE) -> str:
    """`value` as JSON where it can be, clipped to `limit` characters."""
    if isinstance(value, bytes):
        text = repr(value[: limit * 2])[1:]
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def dig(value: Any, *path: str | int) -> Any:
    """The member of `value` at `path`; None where there is none."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def parsed(text: object) -> Any:
    """A text as JSON; None if it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def is_count(value: object) -> TypeGuard[int]:
    """A whole number, zero or more; true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value: object) -> TypeGuard[str]:
    """A string that is not empty."""
    return isinstance(value, str) and bool(value)
