"""Which target goes first: distributions match the theory (chi-square, fixed seed, p = 0.001)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import permutations
from random import Random
from typing import TypeVar

import pytest

from compatgw.policy.balance import NEW, Average, cost, least_latency, round_robin, seen, weighted

# Of chi-square at p = 0.001, by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52, 9: 27.88}
CALLS = 10_000


T = TypeVar("T", bound=Hashable)


def misfit(counts: Counter[T], shares: Mapping[T, float]) -> float:
    """Chi-square of what was counted against the shares of 10,000 calls."""
    assert sum(counts.values()) == CALLS
    assert set(counts) <= set(shares)
    return sum((counts[what] - CALLS * share) ** 2 / (CALLS * share) for what, share in shares.items())


def drawn(*numbers: float) -> Callable[[], float]:
    """A `random` that gives these."""
    return iter(numbers).__next__


@pytest.mark.parametrize("weights", [(1, 1), (7, 2, 1), (0.5, 0.25, 0.125, 0.125), (1, 0, 3)])
def test_weighted_calls_fall_by_their_shares(weights: Sequence[float]) -> None:
    """The first of each order is spread as the weights say; a weight of 0 gets nothing."""
    random = Random(11).random
    counts = Counter(weighted(weights, random)[0] for _ in range(CALLS))
    shares = {i: w / sum(weights) for i, w in enumerate(weights) if w}
    assert misfit(counts, shares) < CRITICAL[len(shares) - 1]


def test_what_follows_is_drawn_by_what_is_left() -> None:
    """Whole orders have the probabilities of drawing without putting back."""
    weights = (5, 3, 2)
    shares: dict[tuple[int, ...], float] = {}
    for order in permutations(range(3)):
        left, share = 10, 1.0
        for index in order:
            share *= weights[index] / left
            left -= weights[index]
        shares[order] = share
    random = Random(12).random
    counts = Counter(weighted(weights, random) for _ in range(CALLS))
    assert misfit(counts, shares) < CRITICAL[5]


def test_weighted_at_its_edges() -> None:
    """A draw on a border belongs to the right of it, and the largest draw there is to the last target."""
    assert weighted((1, 1, 2), drawn(0.25, 0.0)) == (1, 0, 2)
    assert weighted((1, 0, 1), drawn(0.5)) == (2, 0)
    # A `random` that gives 1.0 after all.
    assert weighted((0.1, 0.2, 0.3), drawn(1.0, 1.0)) == (2, 1, 0)
    assert weighted((3,), drawn()) == (0,)


@pytest.mark.parametrize("weights", [(), (0, 0), (1, -1), (1, float("inf")), (1, float("nan"))])
def test_weights_that_say_nothing_are_refused(weights: Sequence[float]) -> None:
    """None above zero, one below, one that is no number."""
    with pytest.raises(ValueError, match="weight"):
        weighted(weights, Random(1).random)


def test_round_robin_gives_each_its_turn() -> None:
    """Exactly equal shares over whole rounds, and the others follow in order."""
    assert [round_robin(3, turn) for turn in (0, 1, 2, 3)] == [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 1, 2)]
    counts = Counter(round_robin(4, turn)[0] for turn in range(CALLS))
    assert set(counts.values()) == {CALLS // 4}
    assert round_robin(1, 99) == (0,)
    assert round_robin(0, 5) == ()


def test_the_better_of_two_is_taken_as_the_theory_of_two_choices_says() -> None:
    """Of four with fixed costs: a half, a third, a sixth, and the worst never."""
    averages = [Average(seconds, 100.0) for seconds in (0.4, 0.1, 0.3, 0.2)]
    random = Random(13).random
    counts = Counter(least_latency(averages, (0, 0, 0, 0), 100.0, random)[0] for _ in range(CALLS))
    assert misfit(counts, {1: 1 / 2, 3: 1 / 3, 2: 1 / 6}) < CRITICAL[2]


def test_equals_share_evenly() -> None:
    """Targets that were never seen, or cost the same, all get their part."""
    random = Random(14).random
    counts = Counter(least_latency([NEW] * 5, [0] * 5, 0.0, random)[0] for _ in range(CALLS))
    assert misfit(counts, dict.fromkeys(range(5), 1 / 5)) < CRITICAL[4]


def test_the_others_follow_the_cheapest_first() -> None:
    """What is tried after a failure is the best of what is left."""
    averages = [Average(seconds, 0.0) for seconds in (0.4, 0.1, 0.3)]
    assert least_latency(averages, (0, 0, 0), 0.0, drawn(0.0, 0.9)) == (2, 1, 0)
    assert least_latency([NEW], [3], 0.0, drawn()) == (0,)
    assert least_latency([], [], 0.0, drawn()) == ()


def test_two_different_ones_are_drawn_whatever_is_drawn() -> None:
    """Each pair is as likely as any other, and the better of it comes first."""
    averages = [Average(0.1 * (index + 1), 0.0) for index in range(3)]
    pairs = {(one, other): 0 for one in range(3) for other in range(2)}
    for one, other in pairs:
        first = least_latency(averages, (0, 0, 0), 0.0, drawn((one + 0.5) / 3, (other + 0.5) / 2))[0]
        assert first == min(one, other + (other >= one))


def test_calls_in_flight_are_paid_for() -> None:
    """Three calls at a target make the fourth cost four times as much; a target that was never seen takes one."""
    fast, slow = Average(0.1, 50.0), Average(0.3, 50.0)
    assert cost(fast, 3, 50.0) == pytest.approx(0.4)
    assert least_latency([fast, slow], (3, 0), 50.0, drawn(0.0, 0.0))[0] == 1
    assert least_latency([NEW, slow], (0, 0), 50.0, drawn(0.0, 0.0))[0] == 0
    assert least_latency([NEW, slow], (1, 0), 50.0, drawn(0.0, 0.0))[0] == 1
    assert cost(Average(0.0, 50.0), 1, 50.0) > cost(Average(0.0, 50.0), 0, 50.0) > 0


def test_an_average_rises_at_once_and_falls_with_time() -> None:
    """A slow answer counts in full; a quick one the more, the longer ago the last was."""
    average = seen(NEW, 0.5, 100.0)
    assert average == Average(0.5, 100.0)
    assert seen(average, 2.0, 101.0) == Average(2.0, 101.0)
    after_one_decay = seen(Average(1.0, 100.0), 0.0, 130.0)
    assert after_one_decay.seconds == pytest.approx(0.36788, abs=1e-5)
    assert seen(Average(1.0, 100.0), 0.2, 10_000.0).seconds == pytest.approx(0.2)
    assert seen(Average(1.0, 100.0), 0.2, 100.0) == Average(1.0, 100.0)


def test_a_clock_that_went_back_makes_nothing_worse() -> None:
    """An older moment neither ages an average nor weighs it more than in full."""
    assert seen(Average(1.0, 100.0), 0.5, 40.0) == Average(1.0, 100.0)
    assert seen(Average(1.0, 100.0), 3.0, 40.0) == Average(3.0, 100.0)
    assert cost(Average(1.0, 100.0), 0, 40.0) == 1.0


def test_a_target_that_was_slow_once_is_tried_again() -> None:
    """Its cost fades while it is not seen, and falls below that of a faster one that is."""
    slow = Average(2.0, 0.0)
    assert cost(slow, 0, 10.0) > cost(Average(0.2, 10.0), 0, 10.0)
    assert cost(slow, 0, 120.0) < cost(Average(0.2, 120.0), 0, 120.0)


def test_traffic_moves_to_the_faster_target_and_back_when_it_changes() -> None:
    """Two targets on one injected clock, one call at a time: most calls go to whoever is fast at the moment."""
    random = Random(15).random
    averages = [NEW, NEW]
    now = 0.0
    for fast in (0, 1):
        taken = 0
        for _ in range(500):
            first = least_latency(averages, (0, 0), now, random)[0]
            seconds = 0.1 if first == fast else 1.0
            now += seconds
            averages[first] = seen(averages[first], seconds, now)
            taken += first == fast
        assert taken > 450
