"""Which of several targets a call goes to first, and which are tried after it.

Three strategies: `weighted` (shares as given), `round_robin` (in turn), `least_latency` (the
better of two drawn at random, by a decayed average of the time to the first byte). Each gives
indexes into the caller's list, all that may be tried, in order.

What does not live here: which targets may be used at all (`plan.py`, `breaker.py`), and the
counter that `round_robin` is given.
"""

from __future__ import annotations

from itertools import accumulate
from math import exp
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HALF_MINUTE = 30.0


def weighted(weights: Sequence[float], random: Callable[[], float]) -> tuple[int, ...]:
    """Draws without putting back: the first by its share of all weights, the next by its share of what is left.

    So the calls of a target that fails spread over the others as their weights say, not all over
    its neighbour. A target of weight 0 is left out.

    Args:
        weights: 0 or more each, at least one above 0.
        random: Numbers from 0 to below 1, one for each target but the last.

    Raises:
        ValueError: A weight is below 0 or not finite, or none is above 0.
    """
    if not all(0 <= weight < _NEVER for weight in weights):
        raise ValueError("A weight must be 0 or more, and finite.")
    left = [index for index, weight in enumerate(weights) if weight > 0]
    if not left:
        raise ValueError("At least one weight must be above 0.")
    order = []
    while len(left) > 1:
        sums = list(accumulate([weights[index] for index in left]))
        mark = random() * sums[-1]
        # The last takes what rounding pushed over the end.
        place = next((place for place, top in enumerate(sums) if mark < top), len(left) - 1)
        order.append(left.pop(place))
    return (*order, *left)


def round_robin(count: int, turn: int) -> tuple[int, ...]:
    """All of `count` targets in their order, beginning with the one whose `turn` it is.

    Args:
        turn: Calls before this one, from a counter; any whole number.
    """
    if count < 1:
        return ()
    first = turn % count
    return (*range(first, count), *range(first))


# --- least latency ---------------------------------------------------------------------------

_NEVER = float("inf")
_TICK = 1e-6


class Average(NamedTuple):
    """A decayed average of the time to the first byte, quick to rise and slow to fall.

    Attributes:
        seconds: The average at `at`; None before the first answer.
        at: When it was true, on any clock that goes forward.
    """

    seconds: float | None = None
    at: float = 0.0


NEW = Average()


def seen(average: Average, seconds: float, now: float, *, decay: float = HALF_MINUTE) -> Average:
    """`average` after one more answer.

    A slower one counts in full at once, so that trouble shows with the first call that meets it;
    a quicker one by how long ago the last was. Only answers are seen: a target that fails quickly
    would look quick.

    Args:
        seconds: Time to the first byte.
        now: On the clock of `average.at`.
        decay: Seconds after which an old value counts for a third.
    """
    old = average.seconds
    if old is None or seconds >= old:
        return Average(seconds, max(now, average.at))
    weight = exp(min(0.0, average.at - now) / decay)
    return Average(old * weight + seconds * (1.0 - weight), max(now, average.at))


def cost(average: Average, in_flight: int, now: float, *, decay: float = HALF_MINUTE) -> float:
    """What one more call there costs: the average, fading since it was seen, times the calls it has to share with.

    It fades so that a target which was slow once is tried again. One that was never seen costs
    nothing until it has a call in flight, and then more than any other: the first call finds out.
    """
    if average.seconds is None:
        return _NEVER if in_flight > 0 else 0.0
    # The calls in flight count even where the clock is too coarse to see the answer take time.
    return max(average.seconds, _TICK) * exp(min(0.0, average.at - now) / decay) * (in_flight + 1)


def least_latency(
    averages: Sequence[Average],
    in_flight: Sequence[int],
    now: float,
    random: Callable[[], float],
    *,
    decay: float = HALF_MINUTE,
) -> tuple[int, ...]:
    """The cheaper of two targets drawn at random, then all others, the cheapest first.

    Taking the cheapest of all would send every process's calls to the same one at the same time.

    Args:
        averages: Of each target.
        in_flight: Calls that each is answering now.
        now: On the clock of the averages.
        random: Numbers from 0 to below 1; two are drawn.
    """
    costs = [cost(average, busy, now, decay=decay) for average, busy in zip(averages, in_flight, strict=True)]
    count = len(costs)
    if count < 2:
        return tuple(range(count))
    one = int(random() * count)
    other = int(random() * (count - 1))
    other += other >= one
    first = one if costs[one] <= costs[other] else other
    return (first, *sorted([index for index in range(count) if index != first], key=costs.__getitem__))
