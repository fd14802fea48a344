"""Money: what a call costs, what is reserved for it, and how a wallet moves. All `Decimal`, never a float.

A wallet's whole life is four moves over three numbers, written here as functions from a `Purse` to
a `Purse` so that tests can hunt them; the ledger only makes each of them atomic. Two things hold
after every move: `0 <= reserved <= balance`, and the balance is the sum of what was put in and
taken out. So whoever has reserved can settle up to that amount, whatever the others do.

What does not live here: where wallets are kept (`state/`), what models cost (catalogue, configuration).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from compatgw.state.base import EXACT, MOST, NANO, BadRecord, BudgetSpent, InsufficientFunds, Price, amount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw.state.base import Period, Spend
    from compatgw.wire.chat import Usage

__all__ = [
    "Meter",
    "Price",
    "Purse",
    "amount",
    "cost",
    "difference",
    "estimate",
    "fits",
    "from_units",
    "label",
    "meter",
    "over_budget",
    "put",
    "release",
    "reserve",
    "rounded",
    "settle",
    "short_of",
    "sum_of",
    "text",
    "units",
]

_MILLION = Decimal(1_000_000)
_ZERO = Decimal(0)


# --- amounts -----------------------------------------------------------------------------------


def rounded(value: Decimal) -> Decimal:
    """`value` in whole billionths, rounded up: what costs anything is never free."""
    return value.quantize(NANO, context=EXACT)


def sum_of(values: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    total = _ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total


def difference(one: Decimal, other: Decimal) -> Decimal:
    """`one` less `other`, exactly."""
    return EXACT.subtract(one, other)


def units(value: Decimal) -> int:
    """An amount in billionths."""
    return int(value.scaleb(9, context=EXACT))


def from_units(value: int) -> Decimal:
    """Billionths as an amount."""
    return Decimal(value).scaleb(-9, context=EXACT)


def text(value: Decimal, least: int = 2) -> str:
    """An amount for people and JSON: no exponent, no needless zeros, at least `least` decimals."""
    whole, _, fraction = f"{value:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{fraction}" if fraction else whole


# --- what a call costs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What a call used.

    Attributes:
        input: All input tokens; `cached` and `cache_write` are among them.
        output: All output tokens; `reasoning` is among them.
        images: Images that were made.
    """

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    images: int = 0


def meter(usage: Usage, images: int = 0) -> Meter:
    """What an answer says of its usage; parts are never more than their whole, nothing is negative."""
    inside = usage.get("prompt_tokens_details") or {}
    outside = usage.get("completion_tokens_details") or {}
    taken = max(0, usage["prompt_tokens"])
    given = max(0, usage["completion_tokens"])
    cached = _part(inside.get("cached_tokens"), taken)
    return Meter(
        input=taken,
        cached=cached,
        cache_write=_part(inside.get("cache_write_tokens"), taken - cached),
        output=given,
        reasoning=_part(outside.get("reasoning_tokens"), given),
        images=max(0, images),
    )


def _part(value: object, whole: int) -> int:
    return min(max(0, value), whole) if isinstance(value, int) else 0


def cost(price: Price, used: Meter) -> Decimal:
    """What `used` costs, in whole billionths, rounded up once.

    Raises:
        BadRecord: More than a billion.
    """
    price = _tier(price, used.input)
    times, plus = EXACT.multiply, EXACT.add
    plain = used.input - used.cached - used.cache_write
    tokens = times(price.input, plain)
    if used.cached:
        tokens = plus(tokens, times(_or(price.cached_input, price.input), used.cached))
    if used.cache_write:
        tokens = plus(tokens, times(_or(price.cache_write, price.input), used.cache_write))
    tokens = plus(tokens, times(price.output, used.output - used.reasoning))
    if used.reasoning:
        tokens = plus(tokens, times(_or(price.reasoning, price.output), used.reasoning))
    total = plus(EXACT.divide(tokens, _MILLION), price.per_request)
    if used.images:
        total = plus(total, times(price.per_image, used.images))
    return _bounded(total)


def estimate(price: Price, input: int, output: int, images: int = 0) -> Decimal:
    """The most that a call of `input` and at most `output` tokens can cost: what is reserved for it."""
    price = _tier(price, input)
    dearest_in = max(price.input, _or(price.cached_input, _ZERO), _or(price.cache_write, _ZERO))
    dearest_out = max(price.output, _or(price.reasoning, _ZERO))
    return cost(
        Price(input=dearest_in, output=dearest_out, per_image=price.per_image, per_request=price.per_request),
        Meter(input=max(0, input), output=max(0, output), images=max(0, images)),
    )


def _tier(price: Price, input: int) -> Price:
    found = price
    for threshold, other in price.above:
        if input > threshold:
            found = other
    return found


def _or(price: Decimal | None, other: Decimal) -> Decimal:
    return other if price is None else price


def _bounded(total: Decimal) -> Decimal:
    if total > MOST:
        raise BadRecord(f"A call that costs more than {MOST:,} is a mistake in a price. Look at the model's prices.")
    return rounded(total)


# --- wallets -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Purse:
    """The numbers of a wallet: what is in it, and what of that is spoken for."""

    balance: Decimal
    reserved: Decimal

    @property
    def free(self) -> Decimal:
        """What can be reserved, or taken by a correction."""
        return EXACT.subtract(self.balance, self.reserved)


def put(purse: Purse, change: Decimal) -> Purse:
    """Adds `change`; a negative one takes of what is free.

    Raises:
        InsufficientFunds: It takes more than is free.
        BadRecord: The balance would be beyond a billion.
    """
    balance = EXACT.add(purse.balance, change)
    if balance > MOST:
        raise BadRecord(f"The balance would be {text(balance)}. A wallet holds at most {MOST:,}.")
    if balance < purse.reserved:
        missing = EXACT.subtract(purse.reserved, balance)
        raise InsufficientFunds(
            f"The wallet's free balance is {text(purse.free)}, {text(missing)} too little.", missing
        )
    return Purse(balance, purse.reserved)


def reserve(purse: Purse, held: Decimal) -> Purse:
    """Holds `held` of what is free.

    Raises:
        InsufficientFunds: It is not free.
    """
    if purse.free < held:
        raise short_of(purse, held)
    return Purse(purse.balance, EXACT.add(purse.reserved, held))


def short_of(purse: Purse, held: Decimal) -> InsufficientFunds:
    """Why `held` cannot be reserved, with what is missing."""
    missing = EXACT.subtract(held, purse.free)
    return InsufficientFunds(
        f"This call may cost {text(held)}, and {text(purse.free)} is free in the team's wallet: {text(missing)} is "
        "missing. Top up the wallet, or ask for fewer output tokens.",
        missing,
    )


def settle(purse: Purse, held: Decimal, actual: Decimal) -> tuple[Purse, Decimal, Decimal]:
    """Gives back `held` and takes `actual`, as far as that is not reserved by others.

    Args:
        held: What this call still holds; 0 when it was given back meanwhile.

    Returns:
        The purse, what was taken, and what could not be.
    """
    others = EXACT.subtract(purse.reserved, held)
    taken = min(actual, EXACT.subtract(purse.balance, others))
    return Purse(EXACT.subtract(purse.balance, taken), others), taken, EXACT.subtract(actual, taken)


def release(purse: Purse, held: Decimal) -> Purse:
    """Gives back `held` and takes nothing."""
    return Purse(purse.balance, EXACT.subtract(purse.reserved, held))


# --- budgets -----------------------------------------------------------------------------------


def label(period: Period, now: float) -> str:
    """The period that `now` falls in: `total`, a day such as `2026-11-21`, or a month such as `2026-11` (UTC)."""
    if period == "total":
        return period
    moment = datetime.fromtimestamp(now, UTC)
    return moment.strftime("%Y-%m-%d" if period == "day" else "%Y-%m")


def fits(limit: Decimal, spend: Spend, held: Decimal) -> bool:
    """True when `held` is left of a key's budget."""
    return left(limit, spend) >= held


def over_budget(limit: Decimal, spend: Spend, held: Decimal) -> BudgetSpent:
    """Why `held` does not fit into a key's budget, with what is missing."""
    rest = left(limit, spend)
    missing = EXACT.subtract(held, rest)
    return BudgetSpent(
        f"This call may cost {text(held)}, and {text(max(rest, _ZERO))} is left of this key's budget of {text(limit)}. "
        "Ask for a larger budget, wait for its next period, or ask for fewer output tokens.",
        missing,
    )


def left(limit: Decimal, spend: Spend) -> Decimal:
    """What is left of a key's budget; less than nothing once it was made smaller."""
    return EXACT.subtract(limit, EXACT.add(spend.spent, spend.reserved))
