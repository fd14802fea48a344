"""Prices, and what counts as an amount: all `Decimal`, never a float.

What does not live here: what a call costs (`policy/money.py`), which prices are known (`providers/prices.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation, Overflow

from compatgw.state.base.errors import BadRecord
from compatgw.state.base.records import EXACT, MOST, NANO

_ZERO = Decimal(0)


def amount(value: Decimal | int | str, what: str = "amount") -> Decimal:
    """`value` as an amount of at most nine decimals.

    Args:
        what: What it is, for the message.

    Raises:
        BadRecord: No number, finer than a billionth, or beyond a billion either way.
    """
    if isinstance(value, (bool, float)) or not isinstance(value, (Decimal, int, str)):
        raise BadRecord(f"{what}: {value!r} is not an exact number. Give a decimal, such as '12.50'.")
    try:
        number = EXACT.create_decimal(value.strip() if isinstance(value, str) else value)
    except (InvalidOperation, Overflow):
        raise BadRecord(f"{what}: {str(value)[:40]!r} is not an amount. Give a decimal, such as '12.50'.") from None
    if not number.is_finite() or abs(number) > MOST:
        raise BadRecord(f"{what}: {str(value)[:40]!r} is out of range. Amounts lie between -{MOST:,} and {MOST:,}.")
    exact = number.quantize(NANO, context=EXACT)
    if exact != number:
        raise BadRecord(f"{what}: {str(value)[:40]!r} has more than nine decimals. Round it.")
    return exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs, in the wallets' currency.

    Attributes:
        input, output: For a million tokens.
        cached_input, cache_write: For a million input tokens of that kind. None: as `input`.
        reasoning: For a million output tokens of that kind. None: as `output`.
        per_image: For an image that is made. per_request: For each call.
        above: Other prices for calls with more input tokens than the number beside them, the smallest first.

    Raises:
        BadRecord: A price is negative or no amount, or `above` is not in order.
    """

    input: Decimal = _ZERO
    output: Decimal = _ZERO
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    per_image: Decimal = _ZERO
    per_request: Decimal = _ZERO
    above: tuple[tuple[int, Price], ...] = ()

    def __post_init__(self) -> None:
        prices = (self.input, self.output, self.cached_input, self.cache_write, self.reasoning)
        for price in (*prices, self.per_image, self.per_request):
            if price is not None and amount(price, "price") < 0:
                raise BadRecord(f"price: {price} is negative. Give 0 for what is free.")
        last = 0
        for tokens, other in self.above:
            if tokens <= last or other.above:
                raise BadRecord(
                    f"price: above {tokens} tokens is out of order. Give each number once, the smallest first."
                )
            last = tokens
