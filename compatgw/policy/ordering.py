"""Which candidate of one name comes first: hinted ones, then as `optimise` has it, then the order of the name.

* `quality`: the higher rating first; who has none comes after, in the order of the name. So it is where nobody says
  anything, unless the operator listed what the name means.
* `speed`: the speed tier, then tokens a second, then the latency seen of late.
* `cost`: the most that this very request costs there; who has no price comes last.

What does not live here: picking by `load_balance` (`balance.py`), whose names come first (`plan.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from compatgw.policy import money
from compatgw.policy.filtering import TIERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.policy.directory import Candidate, Directory
    from compatgw.policy.plan import Live, Question, Why


def ordered(
    found: Sequence[Candidate], question: Question, directory: Directory, live: Live
) -> list[tuple[Candidate, Why]]:
    """The candidates of one name: hinted ones first, then as `optimise` has it."""
    options = question.options
    if len(found) < 2:
        return [(candidate, "asked") for candidate in found]
    placed: list[tuple[Candidate, Why]]
    if options.optimise == "cost":
        placed = _by_cost(found, question, directory)
    elif options.optimise == "speed":
        placed = [(candidate, "speed") for candidate in sorted(found, key=lambda one: _slowness(one, live))]
    elif options.optimise is None and found[0].listed:
        placed = [(one, "order") for one in found]
    else:
        placed = _by_quality(found)
    if question.needs.images:
        # Who sees the images comes before who has to be told of them.
        placed.sort(key=lambda pair: pair[0].takes("image") is False)
    if not options.model_hints:
        return placed
    ranks: dict[str, int] = {}
    for rank, name in enumerate(options.model_hints):
        for candidate in directory.meaning(name, question.scope).candidates:
            ranks.setdefault(candidate.key, rank)
    hinted = sorted([one for one, _ in placed if one.key in ranks], key=lambda one: ranks[one.key])
    return [*[(one, _HINT) for one in hinted], *[pair for pair in placed if pair[0].key not in ranks]]


_HINT: Why = "hint"


def _by_quality(found: Sequence[Candidate]) -> list[tuple[Candidate, Why]]:
    ratings = [one.known.quality if one.known is not None else None for one in found]
    if not any(rating is not None for rating in ratings):
        return [(one, "order") for one in found]
    order = sorted(range(len(found)), key=lambda place: -_or(ratings[place], _NO_RATING))
    return [(found[place], "order" if ratings[place] is None else "quality") for place in order]


# Below every rating there is.
_NO_RATING = -1.0
_NEVER = float("inf")


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def _slowness(one: Candidate, live: Live) -> tuple[int, float, float]:
    """The tier, then tokens a second, then what was seen of late; what is not known comes last."""
    known = one.known
    state = live.vitals.get(one.key)
    return (
        TIERS[known.speed if known is not None else None],
        -_or(known.tokens_per_second if known is not None else None, 0.0),
        _or(state.average.seconds if state is not None else None, _NEVER),
    )


def _by_cost(found: Sequence[Candidate], question: Question, directory: Directory) -> list[tuple[Candidate, Why]]:
    prices = [price(one, question, directory) for one in found]
    order = sorted(range(len(found)), key=lambda place: _dearness(prices[place]))
    return [(found[place], "order" if prices[place] is None else "cost") for place in order]


def _dearness(price: Decimal | None) -> tuple[bool, Decimal]:
    return (price is None, price or Decimal(0))


def price(candidate: Candidate, question: Question, directory: Directory) -> Decimal | None:
    """The most that the request costs there; None when the price is not known."""
    if directory.prices is None:
        return None
    found = directory.prices.of(candidate.deployment.name, candidate.model, candidate.names[0])
    if found is None:
        return None
    needs = question.needs
    output = min(needs.output or question.output_cap, _MOST_OUTPUT)
    return money.estimate(found, needs.input, min(output, candidate.max_output or output) * needs.choices)


# Requests may ask for as many as they like; no model writes more.
_MOST_OUTPUT = 10_000_000
