"""After a failed attempt: again at the same target, on to the next one, or an honest end.

One planner for plain and streamed calls. It is asked after every failure and answers with one
`Decision`; whoever asks does the waiting. The rules:

* the caller's own fault: give up at once, nobody else would take the request either;
* our key, our money, an unknown model, a prompt that does not fit: the next target at once, never this one again;
* what passes (no connection, time-outs, 408, 409, 425, 429, 5xx, 529): this target again, after full-jitter
  exponential backoff, or after what `Retry-After` asks, up to a cap; then the next target;
* one deadline over everything: a pause that would end after it is not begun;
* once something was sent to the client: never anything else.

When all is over, `report` chooses the failure that the client sees.

What does not live here: the clock and the waiting (`flow/`), which targets there are (`plan.py`),
targets that rest (`breaker.py`), reading `Retry-After` (`dialects/failure.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from compatgw.errors import Blame, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compatgw.errors import GatewayError

TRANSIENT = frozenset({408, 409, 425, 429, 498, *range(500, 600)})
"""Statuses of an upstream that pass; 498 is Groq's word for a full flex tier, 529 Anthropic's for overload."""


class Move(Enum):
    """What to do next."""

    AGAIN = "again"  # the same target, after the pause
    NEXT = "next"  # the next target
    GIVE_UP = "give_up"  # nothing more


Reason = Literal[
    "backoff",  # it passes; the pause is ours
    "retry_after",  # it passes; the pause is the upstream's
    "retries_spent",  # it may pass, but this target has had its tries
    "retry_after_too_long",  # it passes, but later than anybody waits here
    "deadline",  # the pause would end after the deadline, or the deadline is over
    "permanent",  # a failure of the upstream's own that does not pass
    "credential",  # our key was refused
    "account",  # our money or quota is used up
    "model",  # this upstream does not serve the model
    "context",  # the prompt does not fit this model
    "caller",  # the request itself
    "ours",  # a failure of the gateway's own
    "committed",  # the client has the first piece of an answer
]
"""Why; a word for logs and for explaining."""

_NEVER_AGAIN: Mapping[Blame, Reason] = {
    Blame.CREDENTIAL: "credential",
    Blame.ACCOUNT: "account",
    Blame.MODEL: "model",
    Blame.CONTEXT: "context",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next.

    Attributes:
        move: What.
        reason: Why. With GIVE_UP it says why the last target is not tried again.
        pause: Seconds to wait before it; 0 but for AGAIN.
        retry_after: Seconds to tell the client with GIVE_UP, None when nobody said any.
    """

    move: Move
    reason: Reason
    pause: float = 0.0
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient the planner is.

    Attributes:
        base: Seconds; the first pause lies between 0 and this, each next range is twice as wide.
        cap: Seconds; the widest range of a pause of our own.
        longest_wait: Seconds; a longer `Retry-After` is not waited for.
        transient: Upstream statuses that are tried again; so is an upstream that gave no status at all.
    """

    base: float = 0.5
    cap: float = 8.0
    longest_wait: float = 20.0
    transient: frozenset[int] = TRANSIENT


DEFAULT = Rules()


def decide(
    failure: GatewayError,
    *,
    tries: int,
    retries: int,
    left: float,
    others: int,
    random: Callable[[], float],
    rules: Rules = DEFAULT,
    committed: bool = False,
) -> Decision:
    """What to do after `failure`.

    Args:
        failure: What the attempt ended with.
        tries: Attempts that this target has had, the failed one included; 1 or more.
        retries: Further attempts that a target may have after its first.
        left: Seconds until the deadline of the whole call.
        others: Targets that may still be tried after this one; 0 where fallback is switched off.
        random: Numbers from 0 to below 1; asked at most once.
        rules: How patient to be.
        committed: The client has been sent something of the answer.
    """
    asked = failure.retry_after
    if committed:
        return Decision(Move.GIVE_UP, "committed", 0.0, asked)
    if not isinstance(failure, UpstreamFailure):
        return Decision(Move.GIVE_UP, "caller" if failure.status < 500 else "ours", 0.0, asked)
    if failure.blame is Blame.CALLER:
        return Decision(Move.GIVE_UP, "caller", 0.0, asked)
    if left <= 0:
        return Decision(Move.GIVE_UP, "deadline", 0.0, asked)
    why = _not_again(failure, tries, retries, rules)
    if why is None:
        pause = _pause(tries, asked, random, rules)
        if pause < left:
            return Decision(Move.AGAIN, "backoff" if asked is None else "retry_after", pause)
        why = "deadline"
    return Decision(Move.NEXT, why) if others > 0 else Decision(Move.GIVE_UP, why, 0.0, asked)


def passes(failure: GatewayError) -> bool:
    """True when the same request may succeed at the same target a little later, whether or not it is retried here."""
    if not isinstance(failure, UpstreamFailure):
        return False
    return failure.blame is Blame.LIMIT or (failure.blame is Blame.UPSTREAM and _is_of(failure, TRANSIENT))


def _is_of(failure: UpstreamFailure, transient: frozenset[int]) -> bool:
    status = failure.upstream_status
    # Without a status nobody answered, the stream broke, or a success could not be read.
    return status is None or status < 300 or status in transient


def _not_again(failure: UpstreamFailure, tries: int, retries: int, rules: Rules) -> Reason | None:
    """Why this target is not tried again; None when it is."""
    if (never := _NEVER_AGAIN.get(failure.blame)) is not None:
        return never
    if not _is_of(failure, rules.transient) or failure.should_retry is False:
        return "permanent"
    if failure.retry_after is not None and failure.retry_after > rules.longest_wait:
        return "retry_after_too_long"
    return "retries_spent" if tries > retries else None


def _pause(tries: int, asked: float | None, random: Callable[[], float], rules: Rules) -> float:
    drawn = random()
    # The exponent is bounded: from there on the cap decides, and floats end at 2^1024.
    ours = drawn * min(rules.cap, rules.base * 2.0 ** min(tries - 1, 64))
    # Never earlier than the upstream asked, and not in the same moment as all others that it asked.
    return ours if asked is None else max(asked + drawn * rules.base, ours)


# --- which failure the client sees -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """The end of a call that no target answered.

    Attributes:
        failure: What the client is told.
        retry_after: Seconds for its `Retry-After`; None for none.
    """

    failure: GatewayError
    retry_after: float | None


# The lower, the more it tells. A request that is at fault is at fault everywhere, and only its sender can
# mend it. Next what passes, because then sending the same again is worth while: first a limit, which says
# that it passes, and when. Then what a caller can do something about (a shorter prompt), then what only the
# operator can. An unknown model comes last: it is the caller's mistake only if nobody knows the model.
_RANK: Mapping[Blame, int] = {
    Blame.CALLER: 0,
    Blame.LIMIT: 1,
    Blame.UPSTREAM: 2,
    Blame.CONTEXT: 4,
    Blame.ACCOUNT: 5,
    Blame.CREDENTIAL: 6,
    Blame.MODEL: 7,
}
_PERMANENT = 3
_HAVE_RETRY_AFTER = (429, 503)


def report(failures: Sequence[GatewayError], *, unsaid: float = 1.0) -> Report:
    """The most telling of `failures`, in the order in which they came.

    Among equals, one that says when to come back wins, the soonest first; then the first, because
    its model is the one that the caller asked for. When the failure told passes, its `Retry-After`
    is the soonest that any target gave: from then on one of them may answer.

    Args:
        failures: At least one.
        unsaid: Seconds to say with 429 and 503 when no upstream said any.
    """
    told = min(failures, key=lambda failure: (_rank(failure), _soon(failure)))
    if not passes(told):
        return Report(told, told.retry_after)
    soonest = min(_soon(failure) for failure in failures if passes(failure))
    if soonest < _NEVER:
        return Report(told, soonest)
    return Report(told, unsaid if told.status in _HAVE_RETRY_AFTER else None)


_NEVER = float("inf")


def _soon(failure: GatewayError) -> float:
    return _NEVER if failure.retry_after is None else failure.retry_after


def _rank(failure: GatewayError) -> int:
    if not isinstance(failure, UpstreamFailure):
        return 0
    if failure.blame is Blame.UPSTREAM and not passes(failure):
        return _PERMANENT
    return _RANK[failure.blame]
