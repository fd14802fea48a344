"""The circuit breaker of one deployment as a value, small enough to be shared between processes.

    closed ---- too many failures, or the account is refused ----> open until a moment
    closed <--- a call succeeds --- half-open, a few probes <----- the moment has come
                                        |--- a probe fails: open again, for twice as long

Beside that a deployment rests while its upstream said `Retry-After`; after a rest no probe is
needed, because an upstream that limits us is not broken.

Each function takes a state and gives a new one. Processes exchange states through `Counters`
(`dumps`, `loads`) and put them together with `merge`, in any order and as often as they like:
every member only ever grows, or counts within something that does. What two processes saw in the
same seconds is therefore not added up but the larger of the two, so that an exchange that is
repeated counts nothing twice; thresholds are reached a little later, never too early. Clocks of
all processes must agree to within a bucket of the window.

What does not live here: the clock, the exchange (`flow/`), the rules' configuration, retries (`retry.py`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite, nextafter
from typing import TYPE_CHECKING, NamedTuple

from compatgw.errors import Blame

if TYPE_CHECKING:
    from collections.abc import Mapping

BUCKETS = 6
"""Parts that the window is cut into; part of the bytes that processes exchange."""

_FULL = 0xFFFF
_EMPTY = (0,) * BUCKETS


class Phase(Enum):
    """Whether calls are let through."""

    CLOSED = "closed"  # all
    OPEN = "open"  # none
    HALF_OPEN = "half_open"  # a few, to see


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens and for how long. All processes that exchange states have the same.

    Attributes:
        window: Seconds that are looked back over.
        least_calls: Calls in the window below which its ratio says nothing.
        ratio: Share of failures in the window that opens it.
        streak: Failures without a success between them that open it; None: no such limit.
        open_for: Seconds that it stays open at first; each failed probe doubles them.
        account_for: The same when our account there was refused, which takes a human to mend.
        longest: Most seconds that it stays open, whatever happened.
        longest_rest: Most seconds that a `Retry-After` is believed.
        probes: Calls that are let through at one time when it is half-open.
        probe_for: Seconds after which a probe that nobody heard of is written off.
    """

    window: float = 60.0
    least_calls: int = 20
    ratio: float = 0.5
    streak: int | None = 5
    open_for: float = 10.0
    account_for: float = 60.0
    longest: float = 600.0
    longest_rest: float = 3600.0
    probes: int = 1
    probe_for: float = 60.0


DEFAULT = Rules()


class Breaker(NamedTuple):
    """The state of one deployment. All moments are seconds since 1970.

    Attributes:
        until: The latest moment that it was opened until.
        healed: The latest moment at which a probe succeeded. Closed when not before `until`.
        trips: How often it opened since it healed.
        rests: Until when the upstream asked to be left alone.
        succeeded: The latest success.
        streak: Failures since then.
        probed: When the probes began that are under way, or were the last.
        probes: How many of them.
        newest: Number of the newest bucket, counted from 1970.
        good: Successes by bucket, the oldest first.
        bad: Failures likewise.
    """

    until: float = 0.0
    healed: float = 0.0
    trips: int = 0
    rests: float = 0.0
    succeeded: float = 0.0
    streak: int = 0
    probed: float = 0.0
    probes: int = 0
    newest: int = 0
    good: tuple[int, ...] = _EMPTY
    bad: tuple[int, ...] = _EMPTY


NEW = Breaker()


def phase(state: Breaker, now: float) -> Phase:
    """What the breaker is at `now`. A rest is no phase: see `admits`."""
    if state.healed >= state.until:
        return Phase.CLOSED
    return Phase.OPEN if now < state.until else Phase.HALF_OPEN


def admits(state: Breaker, now: float, rules: Rules = DEFAULT) -> bool:
    """True when a call may go there; in the half-open phase it has to take a `probe` first."""
    return back(state, now, rules) <= now


def back(state: Breaker, now: float, rules: Rules = DEFAULT) -> float:
    """The moment from which a call may go there, unless something happens before; `now` or earlier: at once."""
    if state.healed >= state.until:
        return state.rests
    opens = state.until
    if opens <= now and _probing(state, now, rules) >= rules.probes:
        opens = state.probed + rules.probe_for
    return max(opens, state.rests)


def probe(state: Breaker, now: float, rules: Rules = DEFAULT) -> Breaker:
    """The state once a call has begun; it changes in the half-open phase only.

    The bound holds in one process; several may each begin theirs before they hear of each other.
    """
    if phase(state, now) is not Phase.HALF_OPEN:
        return state
    running = _probing(state, now, rules)
    return _with(state, probed=state.probed if running else max(now, state.probed), probes=running + 1)


def released(state: Breaker, now: float, rules: Rules = DEFAULT) -> Breaker:
    """The state once a probe ended with nothing learnt, such as when its client left."""
    if phase(state, now) is not Phase.HALF_OPEN or not (running := _probing(state, now, rules)):
        return state
    # Later by the least there is: merged with what was told of the probe, that it is over wins.
    return _with(state, probed=nextafter(state.probed, inf), probes=running - 1)


def _probing(state: Breaker, now: float, rules: Rules) -> int:
    """Probes under way; those of an earlier half-open phase, and those that took too long, are not."""
    return state.probes if state.until <= state.probed and now < state.probed + rules.probe_for else 0


def is_calm(state: Breaker) -> bool:
    """True when one more success only counts: it is closed, and the last call succeeded, too."""
    return state.streak == 0 and state.healed >= state.until


def succeeded(state: Breaker, now: float, rules: Rules = DEFAULT, times: int = 1) -> Breaker:
    """The state once a call was answered, or several. A success closes a half-open breaker, not one that is open."""
    newest, good, bad = _counted(state, now, rules, failed=False, times=times)
    healed, trips = state.healed, state.trips
    if state.until > healed and now >= state.until:
        healed, trips = now, 0
    return Breaker(
        state.until,
        healed,
        trips,
        state.rests,
        max(state.succeeded, now),
        0,
        state.probed,
        state.probes,
        newest,
        good,
        bad,
    )


def failed(
    state: Breaker, now: float, blame: Blame, retry_after: float | None = None, rules: Rules = DEFAULT
) -> Breaker:
    """The state once a call failed.

    An answer that blames the caller, the prompt's length or the model's name is a sign of life, and counts
    as a success: otherwise one caller's mistakes would close a deployment for all. A limit with a
    `Retry-After` is a rest and no failure. An account that is refused opens the breaker at once.

    Args:
        blame: Whose failure it was.
        retry_after: Seconds that the upstream asked to be left alone. It never shortens anything.
    """
    if blame in _SIGNS_OF_LIFE:
        return succeeded(state, now, rules)
    if retry_after is not None:
        state = _with(state, rests=max(state.rests, now + min(retry_after, rules.longest_rest)))
        if blame is Blame.LIMIT:
            return released(state, now, rules)
    newest, good, bad = _counted(state, now, rules, failed=True)
    state = _with(state, streak=min(state.streak + 1, _FULL), newest=newest, good=good, bad=bad)
    account = blame is Blame.ACCOUNT
    now_is = phase(state, now)
    if now_is is Phase.CLOSED and not account and not _is_too_much(state, now, rules):
        return state
    # What was under way when it opened makes it stay open for longer, not for twice as long.
    trips = state.trips if now_is is Phase.OPEN else min(state.trips + 1, _FULL)
    seconds = min(rules.longest, (rules.account_for if account else rules.open_for) * 2.0 ** max(0, min(trips, 64) - 1))
    return _with(state, until=max(state.until, now + seconds), trips=trips)


_SIGNS_OF_LIFE = frozenset({Blame.CALLER, Blame.CONTEXT, Blame.MODEL})


def _is_too_much(state: Breaker, now: float, rules: Rules) -> bool:
    if rules.streak is not None and state.streak >= rules.streak:
        return True
    calls, failures = figures(state, now, rules)
    return calls >= rules.least_calls and failures >= calls * rules.ratio


def _with(
    state: Breaker,
    *,
    until: float | None = None,
    trips: int | None = None,
    rests: float | None = None,
    streak: int | None = None,
    probed: float | None = None,
    probes: int | None = None,
    newest: int | None = None,
    good: tuple[int, ...] | None = None,
    bad: tuple[int, ...] | None = None,
) -> Breaker:
    # dataclasses.replace takes five times as long.
    return Breaker(
        state.until if until is None else until,
        state.healed,
        state.trips if trips is None else trips,
        state.rests if rests is None else rests,
        state.succeeded,
        state.streak if streak is None else streak,
        state.probed if probed is None else probed,
        state.probes if probes is None else probes,
        state.newest if newest is None else newest,
        state.good if good is None else good,
        state.bad if bad is None else bad,
    )


# --- the window ------------------------------------------------------------------------------


def figures(state: Breaker, now: float, rules: Rules = DEFAULT) -> tuple[int, int]:
    """Calls and failures in the window, without what came before the breaker healed."""
    # What failed before it healed must not open it again.
    oldest = max(bucket_of(now, rules) - BUCKETS, bucket_of(state.healed, rules) if state.healed else -1) + 1
    skipped = max(0, oldest - (state.newest - BUCKETS + 1))
    failures = sum(state.bad[skipped:])
    return sum(state.good[skipped:]) + failures, failures


def bucket_of(moment: float, rules: Rules = DEFAULT) -> int:
    """Number of the part of the window that a moment is in, counted from 1970."""
    return int(moment * BUCKETS / rules.window)


def _counted(
    state: Breaker, now: float, rules: Rules, *, failed: bool, times: int = 1
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """The buckets with so many more calls at `now`."""
    bucket = bucket_of(now, rules)
    newest, good, bad = _moved(state, max(state.newest, bucket))
    # A clock that is behind the others counts in the oldest bucket that there is.
    place = max(0, BUCKETS - 1 - (newest - bucket))
    if good[place] + bad[place] >= _FULL:
        # Enough to know the ratio by.
        return newest, good, bad
    if failed:
        return newest, good, (*bad[:place], bad[place] + times, *bad[place + 1 :])
    return newest, (*good[:place], min(good[place] + times, _FULL), *good[place + 1 :]), bad


def _moved(state: Breaker, newest: int) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """The buckets, with `newest` as the last of them; it is not before the state's own."""
    steps = newest - state.newest
    if steps == 0:
        return newest, state.good, state.bad
    if steps >= BUCKETS:
        return newest, _EMPTY, _EMPTY
    return newest, state.good[steps:] + _EMPTY[:steps], state.bad[steps:] + _EMPTY[:steps]


# --- between processes -----------------------------------------------------------------------


def merge(mine: Breaker, theirs: Breaker) -> Breaker:
    """What both know. Commutative, associative, idempotent; `NEW` changes nothing."""
    if mine == theirs:
        return mine
    newest = max(mine.newest, theirs.newest)
    _, my_good, my_bad = _moved(mine, newest)
    _, their_good, their_bad = _moved(theirs, newest)
    healed, trips = max((mine.healed, mine.trips), (theirs.healed, theirs.trips))
    success, streak = max((mine.succeeded, mine.streak), (theirs.succeeded, theirs.streak))
    probed, probes = max((mine.probed, mine.probes), (theirs.probed, theirs.probes))
    return Breaker(
        max(mine.until, theirs.until),
        healed,
        trips,
        max(mine.rests, theirs.rests),
        success,
        streak,
        probed,
        probes,
        newest,
        tuple(map(max, my_good, their_good)),
        tuple(map(max, my_bad, their_bad)),
    )


def is_news(before: Breaker, after: Breaker) -> bool:
    """True when others should hear of `after` now; successes of a closed breaker can wait."""
    return (
        after.until != before.until
        or after.healed != before.healed
        or after.rests != before.rests
        or after.probed != before.probed
        or after.probes != before.probes
        or after.streak > before.streak
    )


_LAYOUT = struct.Struct(f"<B5d3Hq{2 * BUCKETS}H")
_VERSION = 1


def dumps(state: Breaker) -> bytes:
    """The state in 79 bytes."""
    return _LAYOUT.pack(
        _VERSION,
        state.until,
        state.healed,
        state.rests,
        state.succeeded,
        state.probed,
        state.trips,
        state.streak,
        state.probes,
        state.newest,
        *state.good,
        *state.bad,
    )


def loads(data: bytes | None) -> Breaker:
    """The state that `dumps` wrote. No bytes, and those of another version, are those of a new breaker."""
    if data is None or len(data) != _LAYOUT.size or data[0] != _VERSION:
        return NEW
    _, until, healed, rests, success, probed, trips, streak, probes, newest, *counts = _LAYOUT.unpack(data)
    moments = (until, healed, rests, success, probed)
    if not all(map(isfinite, moments)):
        return NEW
    good, bad = tuple(counts[:BUCKETS]), tuple(counts[BUCKETS:])
    return Breaker(until, healed, trips, rests, success, streak, probed, probes, newest, good, bad)


# --- several deployments of one model --------------------------------------------------------


def outliers(
    states: Mapping[str, Breaker],
    now: float,
    rules: Rules = DEFAULT,
    *,
    margin: float = 0.25,
    most: float = 0.5,
) -> frozenset[str]:
    """Deployments that are left out although their breakers are closed: they fail much more than the others.

    One comes back by itself when its failures have left the window.

    Args:
        states: By name, all deployments of one model.
        margin: How far a success ratio must be below the mean of the others'.
        most: Share of all deployments that may be left out. The last that admits calls never is.
    """
    ratios: dict[str, float] = {}
    admitting = 0
    for name, state in states.items():
        if phase(state, now) is not Phase.CLOSED:
            continue
        admitting += state.rests <= now
        calls, failures = figures(state, now, rules)
        if calls >= rules.least_calls:
            ratios[name] = 1.0 - failures / calls
    total, others = sum(ratios.values()), len(ratios) - 1
    if others < 1:
        return frozenset()
    # Worst first; by name among equals, so that all processes leave out the same.
    suspects = [
        name
        for ratio, name in sorted([(ratio, name) for name, ratio in ratios.items()])
        if ratio < (total - ratio) / others - margin
    ]
    left_out: list[str] = []
    for name in suspects[: int(most * len(states))]:
        taken = states[name].rests <= now
        if admitting - taken < 1:
            break
        admitting -= taken
        left_out.append(name)
    return frozenset(left_out)
