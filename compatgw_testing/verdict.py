"""Judges what a client did, from the calls that a fake got: retries, cut streams, errors in streams, what was lost.

What the client made of an answer is seen on the wire where it can be: in the same request coming
again, and in a later request that carries the answer back as the assistant's message. What only
its user saw, the test tells with `Seen`. What does not live here: assertions on calls (`journal.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, TypedDict, Unpack

from compatgw_testing.attempts import Attempts, attempts_of, told, waited
from compatgw_testing.difference import tool_calls
from compatgw_testing.expected import given_calls
from compatgw_testing.script import Failure, Turn, Usage

if TYPE_CHECKING:
    from compatgw_testing.journal import Call
    from compatgw_testing.request import Message

Kind = Literal[
    "retry_storm",
    "retried_what_must_not_be",
    "retry_after_ignored",
    "retried_after_first_byte",
    "truncated_stream_taken_as_complete",
    "error_event_swallowed",
    "tool_arguments_lost",
    "usage_lost",
    "upstream_not_cancelled",
]
Severity = Literal["error", "warning"]


class Untold(Enum):
    """Nothing is said about it."""

    UNTOLD = "untold"


UNTOLD: Final = Untold.UNTOLD
_FINAL = frozenset({400, 401, 402, 403, 404, 405, 413, 422})
# Failures by name that come back however often one asks.
_HOPELESS = frozenset({"quota", "key", "model", "context_length", "content", "region"})
_BREAKS = frozenset({"cut", "reset", "truncate", "stall"})
# Finish reasons that say that something went wrong, so that the user knows.
_BAD_FINISH = frozenset({"error", "incomplete", "cancelled", "canceled", "failed", "length", "interrupted", "aborted"})


class Limits(TypedDict, total=False):
    """Where a finding begins.

    Attributes:
        storm: Most attempts of one request; more are a storm. Default: 5.
        tolerance: Part of a told wait by which a client may be early. Default: 0.02.
        final: HTTP statuses after which nobody asks the same again. Default: 400 to 405, 413 and 422.
        ignore: Kinds of finding that do not count.
    """

    storm: int
    tolerance: float
    final: Collection[int]
    ignore: Collection[Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an application, or a gateway, showed its user for one call. What is not said is not judged.

    Attributes:
        call: Ordinal of the call. None: the n-th `Seen` is for the last attempt of the n-th request.
        text: The text that was shown.
        finish: The finish reason that was shown, in any vendor's word.
        tool_calls: The tool calls that were handed on, in any form that `assert_called_once_with` takes; None for none.
        usage: The tokens that were shown: a `Usage`, a pair of input and output, or an object with such members;
            None for none.
        error: The error that was shown, as text or as the exception; None: none was shown.
        left: The user went away before the answer was whole.
    """

    call: int | None = None
    text: str | None = None
    finish: str | None = None
    tool_calls: object = UNTOLD
    usage: object = UNTOLD
    error: object = None
    left: bool = False

    @property
    def knows(self) -> bool:
        """The user was shown that something went wrong."""
        return self.error is not None or self.left or (self.finish or "").lower() in _BAD_FINISH


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a client did wrong.

    Attributes:
        kind: Its name.
        severity: `error`, or `warning` for what may be meant so.
        calls: Ordinals of the calls that show it.
        what: One sentence: what happened.
        mend: One sentence: how to mend it.
        fake: Which fake saw it; empty for the only one.
    """

    kind: Kind
    severity: Severity
    calls: tuple[int, ...]
    what: str
    mend: str
    fake: str = ""

    def __str__(self) -> str:
        calls = ", ".join(f"#{one}" for one in self.calls)
        where = f"{self.fake} {calls}" if self.fake else calls
        return f"{self.severity}: {self.kind} ({where}): {self.what} {self.mend}"


@dataclass(frozen=True, slots=True)
class Grade:
    """All findings about a client. Its repr lists them.

    Attributes:
        findings: In the order of the first call of each.
    """

    findings: tuple[Finding, ...] = field(default=())

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(one for one in self.findings if one.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that are not."""
        return tuple(one for one in self.findings if one.severity == "warning")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What was found, each once."""
        return tuple(dict.fromkeys(one.kind for one in self.findings))

    def assert_ok(self, level: Severity = "error") -> None:
        """There is no error; with `warning`, nothing at all.

        Raises:
            AssertionError: There is; the message lists what counts.
            ValueError: There is no such level.
        """
        if level not in ("error", "warning"):
            raise ValueError(f"a grade is asserted at the level 'error' or 'warning', got {level!r}")
        if found := self.errors if level == "error" else self.findings:
            raise AssertionError(repr(Grade(found)))

    def __repr__(self) -> str:
        if not self.findings:
            return "Grade: nothing found"
        return "\n".join([f"Grade: {len(self.findings)} found", *(f"  {one}" for one in self.findings)])


def grade(calls: Sequence[Call], *, saw: Sequence[Seen] = (), **limits: Unpack[Limits]) -> Grade:
    """What the client did wrong that made `calls`.

    Args:
        calls: Those of one fake, in the order of arrival.
        saw: What the application showed its user.
        limits: Where a finding begins; see `Limits`.

    Raises:
        ValueError: A `Seen` is of no call.
    """
    case = _Case(tuple(calls), attempts_of(calls), limits, {})
    case.saw.update(_placed(saw, case))
    ignored = limits.get("ignore", ())
    found = [one for rule in _RULES for one in rule(case) if one.kind not in ignored]
    return Grade(tuple(sorted(found, key=lambda one: one.calls[0])))


def graded(grades: Mapping[str, Grade]) -> Grade:
    """One grade of those of several fakes, by name; each finding names its fake."""
    return Grade(tuple(replace(one, fake=name) for name, each in grades.items() for one in each.findings))


@dataclass(frozen=True, slots=True)
class _Case:
    """What is judged: all calls, the requests that they are attempts of, and what was seen of a call by ordinal."""

    calls: tuple[Call, ...]
    requests: list[Attempts]
    limits: Limits
    saw: dict[int, Seen]

    def pairs(self) -> Iterator[tuple[Call, Call]]:
        """Each attempt with the one after it."""
        for one in self.requests:
            yield from zip(one.calls, one.calls[1:], strict=False)

    def answers(self) -> Iterator[tuple[Call, Turn, list[tuple[Call, Message]], Seen | None]]:
        """Each answer of the model's, with the later calls that carry it back, and what was seen of it.

        One that was asked for again is left out: the client went on with another.
        """
        went_on = {one.last.ordinal for one in self.requests}
        talks = [one for one in self.calls if one.request is not None and one.request.turn]
        for call in self.calls:
            if call.turn is not None and call.ordinal in went_on:
                later = [one for one in talks if one.ordinal > call.ordinal]
                carried = [(one, said) for one in later if (said := _carried(call, one)) is not None]
                fair = [(one, said) for one, said in carried if not self._of_another(call, one, said)]
                yield call, call.turn, fair, self.saw.get(call.ordinal)

    def _of_another(self, call: Call, other: Call, said: Message) -> bool:
        """What `other` carries back is the whole answer to an equal call: of several, each goes on with its own."""
        for rival in self.calls:
            if rival is call or rival.ordinal >= other.ordinal or rival.turn is None or not rival.finished:
                continue
            same = said.text.strip() == (rival.turn.text or "").strip() and _carried(rival, other) is not None
            # Ids are the client's own affair: for another vendor it has to make up new ones.
            if same and not tool_calls("", [(one.name, one.arguments) for one in rival.turn.calls], said.calls):
                return True
        return False


def _placed(saw: Sequence[Seen], case: _Case) -> Iterator[tuple[int, Seen]]:
    ordinals = {one.ordinal for one in case.calls}
    for number, seen in enumerate(saw):
        if seen.call is not None and seen.call in ordinals:
            yield seen.call, seen
        elif seen.call is None and number < len(case.requests):
            yield case.requests[number].last.ordinal, seen
        else:
            which = f"call #{seen.call}" if seen.call is not None else f"request {number + 1}"
            raise ValueError(
                f"Seen tells of {which}, but the fake got {len(case.calls)} calls for {len(case.requests)} requests"
            )


def _carried(call: Call, later: Call) -> Message | None:
    """What a later call gives as the answer to `call`, if it goes on with the same conversation."""
    asked, request = call.request, later.request
    if asked is None or request is None or asked.surface != "chat" or request.surface != "chat":
        return None
    ends = [number for number, one in enumerate(request.messages) if one.role == "assistant"]
    if asked.turn >= len(ends):
        return None
    at = ends[asked.turn]
    if _talk(request.messages[:at]) != _talk(asked.messages):
        return None
    said = request.messages[at]
    for one in request.messages[at + 1 :]:
        if one.role != "assistant":
            break
        said = replace(said, text=said.text + one.text, calls=(*said.calls, *one.calls))
    return said


def _talk(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(one.role, one.text) for one in messages if one.role != "system"]


# The findings.


def _storms(case: _Case) -> Iterator[Finding]:
    most = case.limits.get("storm", 5)
    for one in case.requests:
        if len(one.calls) > most:
            yield Finding(
                kind="retry_storm",
                severity="error",
                calls=tuple(call.ordinal for call in one.calls),
                what=f"One request was tried {len(one.calls)} times.",
                mend=f"Give up after {most} attempts at most, and let only one layer retry.",
            )


def _hopeless(case: _Case) -> Iterator[Finding]:
    final = case.limits.get("final", _FINAL)
    for one, other in case.pairs():
        name = one.step.name if isinstance(one.step, Failure) else None
        wanted = one.response_headers.get("x-should-retry") == "true"
        if (one.status in final and not wanted) or told(one).never:
            severity: Severity = "error"
        elif name in _HOPELESS:
            severity = "warning"
        else:
            continue
        why = f"{one.status}{f' ({name})' if name else ''}"
        if told(one).never and one.status not in final:
            why = "x-should-retry: false"
        yield Finding(
            kind="retried_what_must_not_be",
            severity=severity,
            calls=(one.ordinal, other.ordinal),
            what=f"The same request came again after {why}.",
            mend="Retry only what can come out otherwise: time-outs, 408, 409, 429, 5xx and broken connections.",
        )


def _impatient(case: _Case) -> Iterator[Finding]:
    part = 1 - case.limits.get("tolerance", 0.02)
    for one, other in case.pairs():
        seconds, wait = told(one).seconds, waited(one, other)
        # A thousandth more: some SDKs count in whole milliseconds.
        if seconds is not None and wait + 0.001 < seconds * part:
            yield Finding(
                kind="retry_after_ignored",
                severity="error",
                calls=(one.ordinal, other.ordinal),
                what=f"The answer said to wait {seconds:g} s, the next attempt came after {wait:.3f} s.",
                mend="Wait as long as Retry-After (or retry-after-ms, or RetryInfo) says, fractions of seconds too.",
            )


def _double_bills(case: _Case) -> Iterator[Finding]:
    for one, other in case.pairs():
        fault = None if one.turn is None else one.turn.fault
        # An error as the first event is an error before the answer.
        failed_first = fault is not None and fault.kind == "error_event" and fault.after == 0
        if one.turn is None or one.status != 200 or not one.pieces or failed_first:
            continue
        streamed = one.request is not None and one.request.stream
        yield Finding(
            kind="retried_after_first_byte",
            severity="error" if streamed and one.fault is not None else "warning",
            calls=(one.ordinal, other.ordinal),
            what=f"The request came again after {len(one.written)} bytes of its answer had been sent.",
            mend="The vendor bills both, and a user may see the beginning twice: report the broken answer instead.",
        )


def _truncations(case: _Case) -> Iterator[Finding]:
    for call, turn, carried, seen in case.answers():
        if call.fault not in _BREAKS or call.finished or not call.pieces:
            continue
        for other, said in carried:
            if said.calls or _begins(said.text, turn):
                yield _truncation(call, (call.ordinal, other.ordinal), f"Call #{other.ordinal} carries it on as whole.")
                break
        else:
            if seen is not None and not seen.knows:
                yield _truncation(call, (call.ordinal,), f"It was shown with the finish {seen.finish!r} and no error.")


def _truncation(call: Call, calls: tuple[int, ...], how: str) -> Finding:
    return Finding(
        kind="truncated_stream_taken_as_complete",
        severity="error",
        calls=calls,
        what=f"The answer to call #{call.ordinal} broke off before its finish reason. {how}",
        mend="A stream that ends without a finish reason is an error, however it ends.",
    )


def _begins(text: str, turn: Turn) -> bool:
    """Whether `text` is the beginning of what was to be said."""
    whole = (turn.text or turn.refusal or "").strip()
    return bool(text.strip()) and whole.startswith(text.strip())


def _swallowed(case: _Case) -> Iterator[Finding]:
    carried = {call.ordinal: back for call, _, back, _ in case.answers()}
    for call in (one.last for one in case.requests):
        if call.fault not in ("error_event", "error_200") or call.status != 200:
            continue
        seen = case.saw.get(call.ordinal)
        back = [one for one, said in carried.get(call.ordinal, ()) if _goes_on(said, call)]
        if back or (seen is not None and not seen.knows):
            how = f"Call #{back[0].ordinal} goes on as if it had not been." if back else "No error was shown."
            yield Finding(
                kind="error_event_swallowed",
                severity="error",
                calls=(call.ordinal, *(one.ordinal for one in back[:1])),
                what=f"The answer to call #{call.ordinal} was an error under status 200. {how}",
                mend="Look for the vendor's error object in every event and in every body, whatever the status.",
            )


def _goes_on(said: Message, call: Call) -> bool:
    return call.turn is not None and (bool(said.calls) or _begins(said.text, call.turn))


def _lost_arguments(case: _Case) -> Iterator[Finding]:
    for call, turn, carried, seen in case.answers():
        if not turn.calls or call.outcome != "completed":
            continue
        # Arguments that a script gives as text may be broken on purpose.
        sent = [(one.name, one.arguments) for one in turn.calls if not isinstance(one.arguments, str)]
        for other, said in carried:
            if lines := tool_calls("calls", sent, said.calls):
                yield _arguments(call, (call.ordinal, other.ordinal), lines)
                break
        else:
            shown = UNTOLD if seen is None else seen.tool_calls
            if shown is not UNTOLD and (lines := tool_calls("calls", sent, given_calls(shown or ()))):
                yield _arguments(call, (call.ordinal,), lines)


def _arguments(call: Call, calls: tuple[int, ...], lines: list[str]) -> Finding:
    return Finding(
        kind="tool_arguments_lost",
        severity="error",
        calls=calls,
        what=f"The tool calls of the answer to call #{call.ordinal} did not arrive whole: {'; '.join(lines[:3])}.",
        mend="Join the pieces of each call by its index, and parse them only when the call is whole.",
    )


def _lost_usage(case: _Case) -> Iterator[Finding]:
    for call, turn, _, seen in case.answers():
        if seen is None or seen.usage is UNTOLD or turn.usage is None or not call.finished:
            continue
        if b'"usage' not in call.written or call.outcome != "completed":
            continue  # an OpenAI stream tells its usage only if it is asked to
        shown, sent = _tokens(seen.usage), (turn.usage.input, turn.usage.output)
        if shown != sent:
            had = "no usage" if shown is None else f"{shown[0]} and {shown[1]} tokens"
            yield Finding(
                kind="usage_lost",
                severity="error",
                calls=(call.ordinal,),
                what=f"The answer to call #{call.ordinal} told {sent[0]} tokens in and {sent[1]} out, "
                f"the user was shown {had}.",
                mend="Read the usage of the last events too, after the finish reason.",
            )


_TOKENS = (("input", "output"), ("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens"))


def _tokens(usage: object) -> tuple[int, int] | None:
    """Input and output of a usage in any of its forms."""
    if isinstance(usage, Usage):
        return usage.input, usage.output
    if isinstance(usage, tuple | list) and len(usage) == 2:
        return int(usage[0]), int(usage[1])
    for one, other in _TOKENS:
        if isinstance(usage, Mapping):
            pair = usage.get(one), usage.get(other)
        else:
            pair = getattr(usage, one, None), getattr(usage, other, None)
        if isinstance(pair[0], int) and isinstance(pair[1], int):
            return pair[0], pair[1]
    return None


def _uncancelled(case: _Case) -> Iterator[Finding]:
    mend = "Close the call to the vendor as soon as nobody reads its answer: it is generated, and billed, to its end."
    for call in case.calls:
        seen = case.saw.get(call.ordinal)
        if seen is not None and seen.left and call.outcome in ("completed", "pending"):
            still = "was read to its end" if call.outcome == "completed" else "is still being read"
            yield Finding(
                kind="upstream_not_cancelled",
                severity="error",
                calls=(call.ordinal,),
                what=f"The user had left, and the answer to call #{call.ordinal} {still}.",
                mend=mend,
            )
    for one, other in case.pairs():
        if one.outcome == "pending" and other.outcome != "pending":
            yield Finding(
                kind="upstream_not_cancelled",
                severity="error",
                calls=(one.ordinal, other.ordinal),
                what=f"Call #{other.ordinal} asked again and was answered, and call #{one.ordinal} is still open.",
                mend=mend,
            )


_RULES: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _storms,
    _hopeless,
    _impatient,
    _double_bills,
    _truncations,
    _swallowed,
    _lost_arguments,
    _lost_usage,
    _uncancelled,
)
