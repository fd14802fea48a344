"""Numbers for people, in the language of a page: whole and short, money, times and shares.

What does not live here: where they stand (`charts.py`, templates).
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import TYPE_CHECKING

from compatgw.pages import words
from compatgw.policy import money

if TYPE_CHECKING:
    from compatgw.pages.console.charts import Number

_THOUSAND = Decimal(1000)
_UNITS = (
    (_THOUSAND**4, "trillion"),
    (_THOUSAND**3, "billion"),
    (_THOUSAND**2, "million"),
    (_THOUSAND, "thousand"),
)
_THREE = Context(prec=3, rounding=ROUND_HALF_EVEN)
_SECOND = 1000


def whole(language: str, value: Number) -> str:
    """Every digit of a number, grouped."""
    if isinstance(value, int):
        return words.number(language, value)
    return words.number(language, Decimal(money.text(Decimal(value), least=0)))


def short(language: str, value: Number) -> str:
    """Three digits of a number, and a word for the rest: `1.2M`."""
    exact = Decimal(value)
    if exact < 10 * _THOUSAND and (exact % _THOUSAND or not exact):
        return whole(language, value) if exact >= _THOUSAND else _rounded(language, exact)
    digits = _THREE.create_decimal(exact)
    size, name = next((unit for unit in _UNITS if digits >= unit[0]), _UNITS[-1])
    return words.text(language, f"insight.{name}", number=_rounded(language, digits / size))


def amount(language: str, value: Decimal) -> str:
    """An amount of money: every digit, at least two behind the point."""
    return words.number(language, Decimal(money.text(value)))


def rough_amount(language: str, value: Decimal) -> str:
    """An amount for a headline: to the cent, or to two digits where it is less."""
    if not value or value >= 1:
        cents = value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        return words.number(language, cents)
    digits = Context(prec=2, rounding=ROUND_HALF_EVEN).create_decimal(value)
    return words.number(language, Decimal(money.text(digits)))


def duration(language: str, milliseconds: Number) -> str:
    """A time: `340 ms`, `1.25 s`."""
    if milliseconds >= _SECOND:
        return f"{_rounded(language, Decimal(milliseconds) / _SECOND)} s"
    return f"{_rounded(language, Decimal(milliseconds))} ms"


def share(language: str, part: int, total: int) -> str:
    """A part of a total as a percentage: `0.4%`; never 0 or 100 for what is not."""
    if not total or not part or part == total:
        return f"{100 if total and part == total else 0}%"
    percent = Decimal(100 * part) / total
    shown = percent.quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    bounded = min(max(shown, Decimal("0.1")), Decimal("99.9"))
    return f"{whole(language, bounded)}%"


def _rounded(language: str, value: Decimal) -> str:
    digits = _THREE.create_decimal(value)
    return words.number(language, Decimal(money.text(digits, least=0)))
