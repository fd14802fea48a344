"""What a call costs, to the billionth, and what wallets and budgets make of it."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import pytest

from compatgw.policy import money
from compatgw.policy.money import Meter, Price, Purse
from compatgw.state.base import MOST, BadRecord, InsufficientFunds, Spend

D = Decimal
PRICE = Price(
    input=D("2.50"),
    output=D(10),
    cached_input=D("1.25"),
    cache_write=D("3.125"),
    reasoning=D(12),
    per_image=D("0.04"),
    per_request=D("0.001"),
)


# --- amounts ---


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (D("1.5"), "1.5"),
        (7, "7"),
        (" 12.50 ", "12.5"),
        ("-0.000000001", "-1E-9"),
        ("1E3", "1000"),
        (MOST, "1E9"),
        ("1.2300000000000", "1.23"),
    ],
)
def test_what_is_an_amount(value: Any, expected: str) -> None:
    """Decimals, whole numbers, texts; in whole billionths."""
    found = money.amount(value)

    assert found == D(expected)
    assert found.as_tuple().exponent == -9


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.5, "not an exact number"),
        (True, "not an exact number"),
        (None, "not an exact number"),
        ("twelve", "not an amount"),
        ("", "not an amount"),
        ("x" * 10_000, "not an amount"),
        ("NaN", "out of range"),
        ("sNaN", "not an amount|out of range"),
        ("Infinity", "out of range"),
        ("-Infinity", "out of range"),
        ("1E+999999999", "not an amount"),
        (MOST + 1, "out of range"),
        (-MOST - 1, "out of range"),
        ("0.0000000001", "more than nine decimals"),
        ("1E-999999999", "not an amount|more than nine"),
    ],
)
def test_what_is_no_amount(value: Any, words: str) -> None:
    """Named, shortened, with what it should be."""
    with pytest.raises(BadRecord, match=words) as caught:
        money.amount(value, "price")
    assert str(caught.value).startswith("price: ")
    assert len(str(caught.value)) < 160


def test_the_hosts_own_context_changes_nothing() -> None:
    """An application may reckon with three digits."""
    with decimal.localcontext(decimal.Context(prec=3, rounding=decimal.ROUND_DOWN)):
        assert money.amount("123456.789012345") == D("123456.789012345")
        assert money.cost(PRICE, Meter(input=1_234_567)) == D("3.0874175")
        assert money.from_units(money.units(D("123456.789012345"))) == D("123456.789012345")
        assert money.sum_of([D("123456.7"), D("0.000000001")]) == D("123456.700000001")
        assert money.difference(D("123456.7"), D("0.000000001")) == D("123456.699999999")
        assert Purse(D("123456.7"), D("0.000000001")).free == D("123456.699999999")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", "0.00"), ("1.5", "1.50"), ("0.000000001", "0.000000001"), ("1E3", "1000.00"), ("-2.125", "-2.125")],
)
def test_how_amounts_are_shown(value: str, expected: str) -> None:
    """No exponent, no needless zeros."""
    assert money.text(D(value)) == expected


def test_how_whole_amounts_are_shown() -> None:
    """Where no decimals are wanted."""
    assert money.text(D("5.000"), 0) == "5"


# --- prices, every field of usage by itself (one-api#317: prices of cached tokens were read and not applied) ---


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (Meter(), "0.001"),
        (Meter(input=1_000_000), "2.501"),
        (Meter(input=1_000_000, cached=1_000_000), "1.251"),
        (Meter(input=1_000_000, cache_write=1_000_000), "3.126"),
        (Meter(output=1_000_000), "10.001"),
        (Meter(output=1_000_000, reasoning=1_000_000), "12.001"),
        (Meter(images=3), "0.121"),
        (Meter(input=1000, cached=400, cache_write=100, output=500, reasoning=200), "0.0084625"),
    ],
)
def test_every_kind_of_token_has_its_price(used: Meter, expected: str) -> None:
    """Parts are charged instead of the whole that they belong to, not beside it."""
    assert money.cost(PRICE, used) == D(expected)


def test_without_a_price_of_its_own_a_part_costs_what_the_whole_costs() -> None:
    """Cached as input, reasoning as output."""
    plain = Price(input=D(2), output=D(8))

    assert money.cost(plain, Meter(input=1_000_000, cached=500_000, cache_write=300_000)) == 2
    assert money.cost(plain, Meter(output=1_000_000, reasoning=500_000)) == 8


def test_a_free_part_is_free() -> None:
    """0 is a price, None is none."""
    assert money.cost(Price(input=D(2), cached_input=D(0)), Meter(input=10, cached=10)) == 0


def test_one_token_of_the_cheapest_model_costs_something() -> None:
    """Rounded up to a billionth, once for the whole call."""
    cheap = Price(input=D("0.00001"), output=D("0.00001"))

    assert money.cost(cheap, Meter(input=1, output=1)) == D("0.000000001")
    assert money.cost(cheap, Meter(input=100, output=1)) == D("0.000000002")


def test_long_prompts_have_their_own_prices() -> None:
    """new-api#1664: above 200,000 input tokens the whole call costs more."""
    long = Price(input=D(4), output=D(15))
    longer = Price(input=D(8), output=D(20))
    price = Price(input=D(2), output=D(10), above=((200_000, long), (1_000_000, longer)))

    assert money.cost(price, Meter(input=200_000, output=1000)) == D("0.41")
    assert money.cost(price, Meter(input=200_001, output=1000)) == D("0.815004")
    assert money.cost(price, Meter(input=2_000_000)) == 16
    assert money.estimate(price, 300_000, 0) == D("1.2")


def test_a_negative_price_is_refused() -> None:
    """Nobody is paid for calling."""
    with pytest.raises(BadRecord, match="negative"):
        Price(output=D(-1))
    with pytest.raises(BadRecord, match="out of range"):
        Price(cached_input=D("NaN"))


def test_a_call_that_costs_more_than_all_the_money_is_a_mistake() -> None:
    """Said, not charged."""
    with pytest.raises(BadRecord, match="mistake in a price"):
        money.cost(Price(input=MOST), Meter(input=10_000_000))


def test_an_estimate_is_the_most_that_a_call_can_cost() -> None:
    """Whatever part of it is cached, written to the cache, or thought."""
    worst = money.estimate(PRICE, 1000, 500, 2)
    for cached in (0, 500, 1000):
        for written in (0, 1000 - cached):
            for reasoning in (0, 250, 500):
                used = Meter(input=1000, cached=cached, cache_write=written, output=500, reasoning=reasoning, images=2)
                assert money.cost(PRICE, used) <= worst
    assert money.estimate(PRICE, -5, -5, -1) == D("0.001")
    assert money.estimate(Price(input=D(1), output=D(2)), 1_000_000, 1_000_000) == 3


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Meter(input=10, output=5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Meter(input=10, cached=4, cache_write=3, output=5, reasoning=2),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99},
                "completion_tokens_details": {"reasoning_tokens": 99},
            },
            Meter(input=10, cached=10, output=5, reasoning=5),
        ),
        (
            {
                "prompt_tokens": -1,
                "completion_tokens": -1,
                "prompt_tokens_details": {"cached_tokens": None},
                "completion_tokens_details": None,
            },
            Meter(),
        ),
    ],
)
def test_what_an_answer_says_of_its_usage(usage: Any, expected: Meter) -> None:
    """Upstreams say odd things; a part is never more than its whole."""
    assert money.meter(usage) == expected
    assert money.meter(usage, images=2).images == 2


# --- purses ---


def test_a_purse_refuses_what_it_lacks() -> None:
    """With how much; the purse stays as it is."""
    purse = Purse(D(5), D(3))

    with pytest.raises(InsufficientFunds) as caught:
        money.reserve(purse, D("2.5"))
    assert caught.value.missing == D("0.5")
    assert money.reserve(purse, D(2)) == Purse(D(5), D(5))
    with pytest.raises(InsufficientFunds) as caught:
        money.put(purse, D("-2.25"))
    assert caught.value.missing == D("0.25")
    assert money.put(purse, D(-2)) == Purse(D(3), D(3))
    with pytest.raises(BadRecord, match="holds at most"):
        money.put(purse, MOST)


@pytest.mark.parametrize(
    ("held", "actual", "balance", "reserved", "taken", "short"),
    [
        (3, 2, 8, 4, 2, 0),
        (3, 3, 7, 4, 3, 0),
        (3, 6, 4, 4, 6, 0),
        (3, 7, 4, 4, 6, 1),
        (3, 0, 10, 4, 0, 0),
        (0, 3, 7, 7, 3, 0),
        (0, 4, 7, 7, 3, 1),
    ],
)
def test_settling_takes_of_what_nobody_else_has_reserved(
    held: int, actual: int, balance: int, reserved: int, taken: int, short: int
) -> None:
    """Of 10 with 7 reserved."""
    found = money.settle(Purse(D(10), D(7)), D(held), D(actual))

    assert found == (Purse(D(balance), D(reserved)), D(taken), D(short))


def test_releasing_takes_nothing() -> None:
    """The balance stays."""
    assert money.release(Purse(D(10), D(7)), D(3)) == Purse(D(10), D(4))


# --- budgets ---


@pytest.mark.parametrize(("period", "expected"), [("total", "total"), ("day", "2026-11-21"), ("month", "2026-11")])
def test_periods_are_those_of_utc(period: Any, expected: str) -> None:
    """A second before midnight is still that day."""
    assert money.label(period, 1_795_305_599.999) == expected


def test_a_budget_that_is_spent_says_what_is_missing() -> None:
    """Also where more was spent than it is."""
    spend = Spend(key="k", label="total", spent=D(3), reserved=D(1))

    assert money.fits(D(5), spend, D(1))
    assert not money.fits(D(5), spend, D("1.000000001"))
    refusal = money.over_budget(D(5), spend, D(3))
    assert refusal.missing == 2
    assert "1.00 is left of this key's budget of 5.00" in str(refusal)
    assert "0.00 is left" in str(money.over_budget(D(1), spend, D(3)))
