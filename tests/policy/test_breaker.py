"""The circuit breaker on an injected clock: when it opens, for how long, and how it comes back."""

from __future__ import annotations

from random import Random

import pytest

from compatgw.errors import Blame
from compatgw.policy.breaker import (
    BUCKETS,
    DEFAULT,
    NEW,
    Breaker,
    Phase,
    Rules,
    admits,
    back,
    dumps,
    failed,
    figures,
    is_news,
    loads,
    merge,
    outliers,
    phase,
    probe,
    released,
    succeeded,
)

T = 1_700_000_000.0
RATIO_ONLY = Rules(streak=None)


def failing(times: int, state: Breaker = NEW, now: float = T, rules: Rules = DEFAULT) -> Breaker:
    """`state` after failures of the upstream in one moment."""
    for _ in range(times):
        state = failed(state, now, Blame.UPSTREAM, rules=rules)
    return state


def answering(times: int, state: Breaker = NEW, now: float = T, rules: Rules = DEFAULT) -> Breaker:
    """`state` after successes in one moment."""
    for _ in range(times):
        state = succeeded(state, now, rules)
    return state


def test_a_new_breaker_lets_calls_through() -> None:
    """Closed, at once, and a probe is nothing to it."""
    assert phase(NEW, T) is Phase.CLOSED
    assert admits(NEW, T)
    assert back(NEW, T) <= T
    assert probe(NEW, T) is NEW
    assert released(NEW, T) is NEW


def test_a_whole_life_on_one_clock() -> None:
    """Closed, open, half-open, open for twice as long, half-open, closed."""
    state = failing(4)
    assert phase(state, T) is Phase.CLOSED
    state = failing(1, state)
    assert phase(state, T) is Phase.OPEN
    assert (admits(state, T + 9.9), back(state, T)) == (False, T + 10)
    assert phase(state, T + 10) is Phase.HALF_OPEN
    assert admits(state, T + 10)
    state = probe(state, T + 10)
    assert not admits(state, T + 10)
    state = failing(1, state, T + 11)
    assert (phase(state, T + 11), back(state, T + 11)) == (Phase.OPEN, T + 31)
    state = probe(state, T + 31)
    assert not admits(state, T + 31)
    state = succeeded(state, T + 32)
    assert phase(state, T + 32) is Phase.CLOSED
    assert admits(state, T + 32)
    assert state.trips == 0
    assert back(failing(5, state, T + 40), T + 40) == T + 50


def test_a_success_between_failures_ends_the_streak() -> None:
    """Four and four with an answer between them are no five in a row."""
    assert phase(failing(4, succeeded(failing(4), T)), T) is Phase.CLOSED
    assert phase(failing(50, rules=Rules(streak=None, least_calls=51)), T) is Phase.CLOSED


def test_the_ratio_opens_it_only_with_enough_calls() -> None:
    """Nine failures of nineteen calls are not looked at; ten of twenty open it."""
    state = failing(9, answering(10, rules=RATIO_ONLY), rules=RATIO_ONLY)
    assert (figures(state, T, RATIO_ONLY), phase(state, T)) == ((19, 9), Phase.CLOSED)
    state = failing(1, state, rules=RATIO_ONLY)
    assert (figures(state, T, RATIO_ONLY), phase(state, T)) == ((20, 10), Phase.OPEN)


def test_failures_leave_the_window_bucket_by_bucket() -> None:
    """What is older than the window counts no more, neither when it is asked nor when more is counted."""
    state = NEW
    for step in range(BUCKETS):
        state = failing(1, answering(1, state, T + 10 * step), T + 10 * step, RATIO_ONLY)
    assert figures(state, T + 50) == (12, 6)
    assert figures(state, T + 60) == (10, 5)
    assert figures(state, T + 109) == (2, 1)
    assert figures(state, T + 110) == (0, 0)
    assert figures(answering(1, state, T + 70), T + 70) == (9, 4)
    assert figures(answering(1, state, T + 9999), T + 9999) == (1, 0)


def test_what_failed_before_it_healed_does_not_open_it_again() -> None:
    """After a good probe the window begins anew, although the failures are not a minute old."""
    state = failing(20, rules=RATIO_ONLY)
    state = succeeded(probe(state, T + 11), T + 11, RATIO_ONLY)
    assert figures(state, T + 11) == (0, 0)
    state = failing(1, answering(18, state, T + 21), T + 21, RATIO_ONLY)
    assert (figures(state, T + 21), phase(state, T + 21)) == ((19, 1), Phase.CLOSED)


def test_it_never_stays_open_for_longer_than_the_longest() -> None:
    """Failed probes double the time, up to ten minutes."""
    state, now, times = failing(5), T, []
    for _ in range(80):
        times.append(round(state.until - now))
        now = state.until
        state = failing(1, probe(state, now), now)
    assert times[:8] == [10, 20, 40, 80, 160, 320, 600, 600]
    assert times[-1] == 600


def test_calls_under_way_when_it_opened_do_not_double_the_time() -> None:
    """A hundred late failures in the same second keep it open for ten seconds after the last."""
    state = failing(100, failing(5), T + 2)
    assert (back(state, T + 2), state.trips) == (T + 12, 1)


def test_a_late_success_does_not_close_what_is_open() -> None:
    """Only one that comes when its time is over does."""
    state = succeeded(failing(5), T + 1)
    assert phase(state, T + 1) is Phase.OPEN
    assert phase(succeeded(state, T + 10), T + 10) is Phase.CLOSED


def test_only_so_many_probes_at_one_time() -> None:
    """Three of three; one that ended with nothing learnt makes room; all are written off in the end."""
    rules = Rules(probes=3, probe_for=30.0)
    state = failing(5)
    for _ in range(3):
        assert admits(state, T + 10, rules)
        state = probe(state, T + 10, rules)
    assert not admits(state, T + 10, rules)
    assert back(state, T + 12, rules) == T + 40
    freed = released(state, T + 12, rules)
    assert admits(freed, T + 12, rules)
    assert released(failing(5), T + 10, rules) == failing(5)
    assert not admits(state, T + 39, rules)
    assert admits(state, T + 40, rules)
    assert probe(state, T + 40, rules).probes == 1


def test_probes_of_an_earlier_phase_are_forgotten() -> None:
    """After a failed probe the next half-open phase has all its places again."""
    state = failing(1, probe(failing(5), T + 10), T + 11)
    assert admits(state, T + 31)


@pytest.mark.parametrize("blame", [Blame.CALLER, Blame.CONTEXT, Blame.MODEL])
def test_a_callers_mistakes_close_a_deployment_for_nobody(blame: Blame) -> None:
    """An answer that blames the request is a sign of life, even for a probe."""
    state = NEW
    for _ in range(100):
        state = failed(state, T, blame)
    assert admits(state, T)
    half_open = probe(failing(5), T + 10)
    assert phase(failed(half_open, T + 11, blame), T + 11) is Phase.CLOSED


def test_a_key_that_is_refused_counts_like_any_failure() -> None:
    """One request may be refused for a reason of its own; five in a row are not."""
    state = NEW
    for _ in range(4):
        state = failed(state, T, Blame.CREDENTIAL)
    assert admits(state, T)
    assert not admits(failed(state, T, Blame.CREDENTIAL), T)


def test_a_limit_with_a_retry_after_is_a_rest_and_no_failure() -> None:
    """Nobody calls until then, and after it everybody does, without a probe."""
    state = failed(NEW, T, Blame.LIMIT, 7.0)
    assert (phase(state, T), figures(state, T)) == (Phase.CLOSED, (0, 0))
    assert (admits(state, T + 6.9), back(state, T), admits(state, T + 7)) == (False, T + 7, True)
    assert probe(state, T + 7) is state


def test_a_limit_without_a_retry_after_is_a_failure() -> None:
    """Five in a row open the breaker, or nothing would slow the calls down."""
    state = NEW
    for _ in range(5):
        state = failed(state, T, Blame.LIMIT)
    assert phase(state, T) is Phase.OPEN


def test_a_probe_that_meets_a_limit_makes_room_for_the_next() -> None:
    """After the rest another probe may go, long before the first would be written off."""
    state = failed(probe(failing(5), T + 10), T + 10, Blame.LIMIT, 5.0)
    assert not admits(state, T + 14)
    assert (phase(state, T + 15), admits(state, T + 15)) == (Phase.HALF_OPEN, True)


def test_retry_after_of_a_broken_upstream_is_obeyed_beside_its_breaker() -> None:
    """A single 503 with `Retry-After` is a rest, and counts."""
    state = failed(NEW, T, Blame.UPSTREAM, 30.0)
    assert (back(state, T), figures(state, T)) == (T + 30, (1, 1))
    opened = failed(failing(4), T, Blame.UPSTREAM, 30.0)
    assert (opened.until, back(opened, T)) == (T + 10, T + 30)


def test_a_retry_after_without_reason_is_believed_for_an_hour() -> None:
    """An upstream that says next year is asked again in an hour."""
    assert back(failed(NEW, T, Blame.LIMIT, float("inf")), T) == T + 3600


def test_a_full_bucket_counts_no_more_and_keeps_its_ratio() -> None:
    """Sixteen bits for each number are enough."""
    full = Breaker(newest=int(T / 10), good=(0,) * 5 + (60_000,), bad=(0,) * 5 + (5_535,), succeeded=T)
    assert figures(succeeded(full, T), T) == (65_535, 5_535)
    after = failed(full, T, Blame.UPSTREAM)
    assert figures(after, T) == (65_535, 5_535)
    assert loads(dumps(after)) == after


def test_a_clock_behind_the_others_still_counts() -> None:
    """In the oldest bucket of the window that the others see."""
    state = answering(1, now=T + 300)
    assert figures(failing(1, state, T), T + 300) == (2, 1)
    assert figures(failing(1, state, T + 280), T + 300) == (2, 1)


# --- between processes -----------------------------------------------------------------------


def test_a_state_is_79_bytes() -> None:
    """However much it has seen."""
    state = failing(100, answering(1000))
    assert len(dumps(NEW)) == len(dumps(state)) == 79
    assert loads(dumps(state)) == state


def test_merging_what_is_the_same_costs_nothing() -> None:
    """The usual case: nothing happened since the last exchange."""
    state = failing(3, answering(3))
    assert merge(state, loads(dumps(state))) is state


@pytest.mark.parametrize("data", [None, b"", b"\x01short", b"\x02" + dumps(NEW)[1:], dumps(NEW) + b"\x00"])
def test_bytes_that_cannot_be_read_are_a_new_breaker(data: bytes | None) -> None:
    """Such as those of a newer version in the same Redis."""
    assert loads(data) == NEW


def test_bytes_that_hold_no_moment_are_a_new_breaker() -> None:
    """A breaker that is open until infinity would never be asked again."""
    for moment in (float("inf"), float("nan")):
        assert loads(dumps(Breaker(until=moment))) == NEW


def test_what_one_process_opened_is_open_for_all_and_what_one_healed_is_closed() -> None:
    """Opened here, heard of there; healed there, heard of here, though the old state is merged again."""
    here = failing(5)
    there = merge(answering(30), here)
    assert phase(there, T) is Phase.OPEN
    there = succeeded(probe(there, T + 10), T + 11)
    assert phase(merge(here, there), T + 11) is Phase.CLOSED
    assert phase(merge(merge(here, there), here), T + 11) is Phase.CLOSED


def test_an_opening_that_lasts_longer_than_anothers_healing_stays() -> None:
    """One process healed it; another was told meanwhile to stay away for longer. The longer one is obeyed."""
    opened = failing(5)
    healed = succeeded(opened, T + 11)
    extended = failed(opened, T + 9, Blame.ACCOUNT)
    both = merge(healed, extended)
    assert phase(both, T + 12) is Phase.OPEN
    assert back(both, T + 12) == T + 69
    again = failing(1, both, T + 20)
    assert again.until == T + 69


def test_what_others_should_hear_at_once() -> None:
    """Openings, rests, probes, healing and failures; not one success more."""
    seen = answering(3)
    assert not is_news(NEW, seen)
    assert is_news(seen, failing(1, seen))
    assert is_news(seen, failed(seen, T, Blame.LIMIT, 5.0))
    opened = failing(5)
    assert is_news(failing(4), opened)
    probing = probe(opened, T + 10)
    assert is_news(opened, probing)
    assert is_news(probing, released(probing, T + 10))
    assert is_news(probing, succeeded(probing, T + 11))


# --- outliers --------------------------------------------------------------------------------


def mixed(good: int, bad: int, rules: Rules = RATIO_ONLY) -> Breaker:
    """A closed breaker with that many of each in its window."""
    return failing(bad, answering(good, rules=rules), rules=rules)


def test_a_deployment_far_below_the_others_is_left_out() -> None:
    """Its breaker is closed at forty per cent failures, where the others have none."""
    states = {"a": mixed(60, 40), "b": answering(100), "c": mixed(98, 2)}
    assert phase(states["a"], T) is Phase.CLOSED
    assert outliers(states, T, RATIO_ONLY) == {"a"}
    assert outliers(states, T, RATIO_ONLY, margin=0.5) == frozenset()
    assert outliers(states, T + 200, RATIO_ONLY) == frozenset()


def test_when_all_fail_alike_nobody_is_an_outlier() -> None:
    """The world is broken, not one of them; and one alone has nobody to be compared with."""
    assert outliers({"a": mixed(60, 40), "b": mixed(55, 45), "c": mixed(65, 35)}, T, RATIO_ONLY) == frozenset()
    assert outliers({"a": mixed(60, 40)}, T, RATIO_ONLY) == frozenset()
    assert outliers({}, T, RATIO_ONLY) == frozenset()


def test_too_few_calls_say_nothing() -> None:
    """Nineteen calls do not make an outlier, nor somebody to be compared with; twenty do."""
    assert outliers({"a": mixed(10, 9), "b": answering(100)}, T, RATIO_ONLY) == frozenset()
    assert outliers({"a": mixed(60, 40), "b": answering(19)}, T, RATIO_ONLY) == frozenset()
    assert outliers({"a": mixed(12, 8), "b": answering(20)}, T, RATIO_ONLY) == {"a"}


def test_never_more_than_the_share_and_the_worst_first() -> None:
    """Of five, of which two are bad, one at most at thirty per cent; by name among equals."""
    states = {"a": mixed(61, 39), "b": mixed(60, 40), "c": answering(50), "d": answering(50), "e": answering(50)}
    assert outliers(states, T, RATIO_ONLY) == {"a", "b"}
    assert outliers(states, T, RATIO_ONLY, most=0.3) == {"b"}
    assert outliers(states, T, RATIO_ONLY, most=0.1) == frozenset()
    states["a"] = mixed(60, 40)
    assert outliers(states, T, RATIO_ONLY, most=0.3) == {"a"}


def test_the_last_that_admits_calls_is_never_left_out() -> None:
    """The better one rests and the third is open: the bad one is what there is."""
    resting = failed(answering(100), T, Blame.LIMIT, 30.0)
    states = {"bad": mixed(60, 40), "resting": resting, "open": failing(5)}
    assert outliers(states, T, RATIO_ONLY) == frozenset()
    assert outliers(states, T + 30, RATIO_ONLY) == {"bad"}
    bad_rests = failed(mixed(60, 40), T, Blame.LIMIT, 30.0)
    assert outliers({"bad": bad_rests, "good": answering(100)}, T, RATIO_ONLY) == {"bad"}
    good_rests = failed(answering(100), T, Blame.LIMIT, 31.0)
    assert outliers({"bad": bad_rests, "good": good_rests}, T + 30, RATIO_ONLY) == frozenset()


# --- what users of other gateways met --------------------------------------------------------


def test_litellm_40130_recooling_never_shortens() -> None:
    """max(old, new, Retry-After), whatever order a long and a short one come in."""
    state = failed(NEW, T, Blame.LIMIT, 60.0)
    assert back(failed(state, T + 1, Blame.LIMIT, 2.0), T + 1) == T + 60
    assert back(failed(state, T + 1, Blame.UPSTREAM, 90.0), T + 1) == T + 91
    opened = failed(NEW, T, Blame.ACCOUNT)
    assert failed(opened, T + 1, Blame.UPSTREAM).until == T + 60
    assert back(failed(opened, T + 1, Blame.UPSTREAM, 2.0), T + 1) == T + 60
    assert back(merge(failed(NEW, T, Blame.LIMIT, 60.0), failed(NEW, T + 1, Blame.LIMIT, 2.0)), T + 1) == T + 60


def test_litellm_16092_an_empty_account_opens_the_breaker_with_its_first_failure() -> None:
    """Every further call would be refused as well; a human has to pay first."""
    state = failed(answering(1000), T, Blame.ACCOUNT)
    assert (phase(state, T), back(state, T)) == (Phase.OPEN, T + 60)
    assert back(failed(NEW, T, Blame.ACCOUNT, 1800.0), T) == T + 1800
    again = failed(probe(state, T + 60), T + 61, Blame.ACCOUNT)
    assert back(again, T + 61) == T + 181


def test_litellm_3617_a_rest_ends_when_the_upstream_said_and_not_later() -> None:
    """Retry-After of two seconds is no cooldown of a minute."""
    assert admits(failed(answering(5), T, Blame.LIMIT, 2.0), T + 2)


def test_litellm_40718_what_is_open_says_when_it_is_back() -> None:
    """`503 circuit_open` can have its Retry-After in every state that admits nothing."""
    opened = failing(5)
    resting = failed(NEW, T, Blame.LIMIT, 3.0)
    probing = probe(opened, T + 10)
    for state, now in ((opened, T), (resting, T), (probing, T + 10)):
        assert not admits(state, now)
        assert back(state, now) > now
        assert admits(state, back(state, now))


def test_traffic_of_a_minute_through_an_outage() -> None:
    """Ten calls a second, down from second 10 to 30: few calls meet the outage, and it is over soon after."""
    random, state, met, lost = Random(3), NEW, 0, 0
    for tick in range(600):
        now = T + tick / 10
        if not admits(state, now):
            lost += 1
            continue
        state = probe(state, now)
        if 100 <= tick < 300 and random.random() < 0.98:
            met += 1
            state = failed(state, now, Blame.UPSTREAM)
        else:
            state = succeeded(state, now)
    assert met < 20
    assert 200 <= met + lost < 420
    assert phase(state, T + 60) is Phase.CLOSED
