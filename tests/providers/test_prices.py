"""Prices: what a table means, what the package knows, which price wins, and that none is read and then forgotten."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.policy import money
from compatgw.policy.money import Meter
from compatgw.providers import catalogue, prices
from compatgw.providers.prices import PIECES, TOKENS, Prices, load, parse
from compatgw.providers.table import PROVIDERS
from compatgw.state.base import MOST, NANO, Price

D = Decimal
MILLION = 1_000_000
KNOWN = load()


# --- a table of a configuration ---


def test_every_member_is_read() -> None:
    """Each as it is written, tiers with what they do not change."""
    price = parse(
        {
            "input": "2.50", "cached_input": "1.25", "cache_write": "3.125", "output": "10", "reasoning": "12",
            "per_image": "0.04", "per_request": "0.001", "above": [{"tokens": 200_000, "input": "5", "output": 20}],
        },
        "models.big.price",
    )  # fmt: skip

    whole = Price(
        input=D("2.5"), cached_input=D("1.25"), cache_write=D("3.125"), output=D(10), reasoning=D(12),
        per_image=D("0.04"), per_request=D("0.001"),
    )  # fmt: skip
    assert price == replace(whole, above=((200_000, replace(whole, input=D(5), output=D(20))),))


def test_all_that_a_price_has_can_be_configured() -> None:
    """A member of `Price` that no table could set would be free for ever."""
    assert {field.name for field in fields(Price)} == {*TOKENS, *PIECES, "above"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("2.50", "2.5"), (" 2.5 ", "2.5"), (3, "3"), (0, "0"), (2.5, "2.5"), (0.1, "0.1"), (1e-07, "0.0000001")],
)
def test_numbers_are_taken_as_they_are_written(value: object, expected: str) -> None:
    """A float of a TOML file, too: 0.1 is a tenth, not what a computer makes of it."""
    assert parse({"input": value}, "here").input == D(expected)


@given(st.decimals(min_value=0, max_value=MOST, places=9))
def test_any_price_comes_through_exactly(value: Decimal) -> None:
    """As text, to the billionth."""
    assert parse({"output": f"{value:f}"}, "here").output == value


@given(st.floats(min_value=0, max_value=1000, allow_nan=False).map(lambda value: round(value, 6)))
def test_any_float_means_its_shortest_text(value: float) -> None:
    """What a person typed is what is charged."""
    assert parse({"input": value}, "here").input == D(repr(value))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"inputs": "1"}, r"^here\.inputs is no price\. Known are input, "),
        ({"input": "1", "image": "1"}, r"^here\.image is no price"),
        ({}, r"^here has no price"),
        ({"input": True}, r"^here\.input must be a number, best written as text, such as \"2\.50\""),
        ({"input": None}, r"^here\.input must be a number"),
        ({"output": ["1"]}, r"^here\.output must be a number"),
        ({"output": "cheap"}, r"^here\.output: 'cheap' is not an amount"),
        ({"output": float("nan")}, r"^here\.output: 'nan' is out of range"),
        ({"output": float("inf")}, r"^here\.output: 'inf' is out of range"),
        ({"output": -0.5}, r"^here\.output is negative"),
        ({"per_image": "-1"}, r"^here\.per_image is negative"),
        ({"input": "0.0000000001"}, r"^here\.input: .* more than nine decimals"),
        ({"input": 1e-12}, r"^here\.input: .* more than nine decimals"),
        ({"cached_input": "1"}, r"^here\.cached_input stands without here\.input"),
        ({"input": "1", "reasoning": "1"}, r"^here\.reasoning stands without here\.output"),
        ({"input": "1", "above": {"tokens": 1}}, r"^here\.above must be a list of tables"),
        ({"input": "1", "above": ["x"]}, r"^here\.above\[0\] must be a table"),
        ({"input": "1", "above": [{"input": "2"}]}, r"^here\.above\[0\]\.tokens must be a whole number above 0"),
        ({"input": "1", "above": [{"tokens": True, "input": "2"}]}, r"^here\.above\[0\]\.tokens must be"),
        ({"input": "1", "above": [{"tokens": 5}]}, r"^here\.above\[0\] has no price"),
        ({"input": "1", "above": [{"tokens": 5, "above": []}]}, r"^here\.above\[0\]\.above is no price"),
        (
            {"input": "1", "above": [{"tokens": 5, "input": "2"}, {"tokens": 5, "input": "3"}]},
            r"^here\.above\[1\]\.tokens must be a whole number above 5",
        ),
        (
            {"input": "1", "above": [{"tokens": 5, "cache_write": "2", "reasoning": "2"}]},
            r"^here\.above\[0\]\.reasoning stands without here\.above\[0\]\.output",
        ),
    ],
)
def test_what_is_no_price_is_refused(table: dict[str, object], words: str) -> None:
    """In a sentence that names the place and the member."""
    with pytest.raises(ValueError, match=words) as caught:
        parse(table, "here")
    assert len(str(caught.value)) < 250


def test_prices_above_a_length_are_in_order() -> None:
    """Out of order, the last that fits would win over the right one."""
    one, other = Price(input=D(2)), Price(input=D(3))
    with pytest.raises(ValueError, match="out of order"):
        Price(above=((10, one), (5, other)))
    with pytest.raises(ValueError, match="out of order"):
        Price(above=((10, Price(above=((20, one),))),))


# --- from a table to the bill: each price by itself (one-api#317, new-api#6265, new-api#1664) ---

ONE_OF_EACH = {
    "input": Meter(input=MILLION),
    "cached_input": Meter(input=MILLION, cached=MILLION),
    "cache_write": Meter(input=MILLION, cache_write=MILLION),
    "output": Meter(output=MILLION),
    "reasoning": Meter(output=MILLION, reasoning=MILLION),
    "per_image": Meter(images=1),
    "per_request": Meter(),
}
TABLE = {
    "input": "2", "cached_input": "3", "cache_write": "5", "output": "7", "reasoning": "11", "per_image": "13",
}  # fmt: skip


def test_each_member_has_a_usage_of_its_own() -> None:
    """A new price needs a row above."""
    assert set(ONE_OF_EACH) == {*TOKENS, *PIECES}


@pytest.mark.parametrize("member", TABLE)
def test_one_api_317_each_configured_price_is_what_its_usage_costs(member: str) -> None:
    """Laisky/one-api#317: prices of cached tokens were configured, and ignored without a word."""
    assert money.cost(parse(TABLE, "here"), ONE_OF_EACH[member]) == D(TABLE[member])


@pytest.mark.parametrize("member", ONE_OF_EACH)
def test_one_api_317_no_price_can_be_raised_without_a_higher_bill(member: str) -> None:
    """Whatever the member: raised by one, its usage costs one more, and the reservation covers it."""
    table = {**TABLE, "per_request": "17"}
    dearer = parse({**table, member: str(D(table[member]) + 1)}, "here")
    used = ONE_OF_EACH[member]

    assert money.cost(dearer, used) == money.cost(parse(table, "here"), used) + 1
    assert money.estimate(dearer, used.input, used.output, used.images) >= money.cost(dearer, used)


@pytest.mark.parametrize("part", ["cached_input", "cache_write", "reasoning"])
def test_a_part_that_is_dearer_than_its_whole_is_reserved_for(part: str) -> None:
    """Whichever part a call turns out to be."""
    price = parse({"input": "2", "output": "2", part: "9"}, "here")

    assert money.cost(price, ONE_OF_EACH[part]) == 9
    assert money.estimate(price, ONE_OF_EACH[part].input, ONE_OF_EACH[part].output) == 9


def test_new_api_6265_reasoning_is_billed_at_its_price_or_as_output() -> None:
    """QuantumNous/new-api#6265: tokens that nobody saw were not billed."""
    used = Meter(output=1000, reasoning=900)

    assert money.cost(parse({"output": "10"}, "here"), used) == D("0.01")
    assert money.cost(parse({"output": "10", "reasoning": "20"}, "here"), used) == D("0.019")


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        (Meter(input=200_000), "0.25"),
        (Meter(input=200_001), "0.5000025"),
        (Meter(input=200_000, output=1000), "0.26"),
        (Meter(input=300_000, output=1000), "0.765"),
        (Meter(input=300_000, cached=300_000), "0.075"),
        (Meter(input=300_000, output=1000, reasoning=1000), "0.765"),
    ],
)
def test_new_api_1664_above_200_000_tokens_the_vendors_own_tiers_count(used: Meter, expected: str) -> None:
    """QuantumNous/new-api#1664: by the prices that come with the package, for each kind of token."""
    assert money.cost(KNOWN["gemini/gemini-2.5-pro"], used) == D(expected)


# --- the prices that come with the package ---


def test_prices_are_read_once_and_cannot_be_changed() -> None:
    """Thousands of gateways in one process share them."""
    assert load() is load()
    with pytest.raises(TypeError):
        load()["openai/gpt-4o"] = Price()  # type: ignore[index]


def test_each_price_is_of_a_model_in_the_catalogue() -> None:
    """And there are many, none of them free by mistake."""
    models = catalogue.load()
    for name, price in KNOWN.items():
        provider, _, model = name.partition("/")
        assert provider in PROVIDERS
        assert models.find(provider, model) is not None, name
        assert price.input > 0 or price.output > 0, name
        assert price.cached_input is None or price.cached_input <= price.input, name
        assert all(other.input >= price.input and other.output >= price.output for _, other in price.above), name
    assert len(KNOWN) >= 130


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("openai/gpt-4o", Price(input=D("2.5"), cached_input=D("1.25"), output=D(10))),
        ("openai/gpt-4o-mini", Price(input=D("0.15"), cached_input=D("0.075"), output=D("0.6"))),
        ("openai/o3", Price(input=D(2), cached_input=D("0.5"), output=D(8))),
        (
            "anthropic/claude-sonnet-4-20250514",
            Price(input=D(3), cached_input=D("0.3"), cache_write=D("3.75"), output=D(15)),
        ),
        ("perplexity/sonar", Price(input=D(1), output=D(1), per_request=D("0.012"))),
    ],
)
def test_what_well_known_models_cost(name: str, price: Price) -> None:
    """As their vendors' price lists have it: a wrong column would show here."""
    assert KNOWN[name] == price


def test_dated_ids_cost_what_the_data_says_and_nothing_is_guessed() -> None:
    """gpt-4o of May 2024 costs twice as much: its name alone must not give it the price of gpt-4o."""
    assert KNOWN["openai/gpt-4o-2024-11-20"] is KNOWN["openai/gpt-4o"]
    assert KNOWN["anthropic/claude-sonnet-4-0"] is KNOWN["anthropic/claude-sonnet-4-20250514"]
    assert "openai/gpt-4o-2024-05-13" not in KNOWN
    assert "openai/gpt-4o-latest" not in KNOWN


# --- which price wins ---


def test_the_operators_own_price_wins() -> None:
    """First that of the name asked for, then that of the model, then the package's."""
    own = {"house-model": Price(input=D(1)), "openai/gpt-4o": Price(input=D(2)), "mine/org/model": Price(input=D(3))}
    known = Prices(KNOWN, own)

    assert known.of("openai", "gpt-4o", "house-model") == Price(input=D(1))
    assert known.of("openai", "gpt-4o", "gpt-4o") == Price(input=D(2))
    assert known.of("openai", "gpt-4o") == Price(input=D(2))
    assert known.of("openai", "gpt-4o-mini", "gpt-4o-mini") == KNOWN["openai/gpt-4o-mini"]
    assert known.of("mine", "org/model") == Price(input=D(3))
    assert known.of("openrouter", "openai/gpt-4o", "openai/gpt-4o") == Price(input=D(2))
    assert Prices(KNOWN).of("openrouter", "openai/gpt-4o", "openai/gpt-4o") == KNOWN["openrouter/openai/gpt-4o"]


def test_an_own_price_of_a_model_leaves_its_dated_ids_alone() -> None:
    """They may be other models to the operator."""
    known = Prices(KNOWN, {"openai/gpt-4o": Price(input=D(9))})

    assert known.of("openai", "gpt-4o-2024-11-20") == KNOWN["openai/gpt-4o"]


def test_a_free_price_is_a_price() -> None:
    """0 is not "not known"."""
    assert Prices({}, {"local": Price()}).of("ollama", "llama", "local") == Price()


def test_what_is_not_known_has_no_price() -> None:
    """Neither a model, nor a provider, nor a name."""
    known = Prices(KNOWN, {})

    assert known.of("openai", "gpt-none", "gpt-none") is None
    assert known.of("nobody", "gpt-4o") is None
    assert known.of("openai", "") is None


# --- the script that refreshes the file ---


@pytest.fixture(scope="module")
def script() -> Any:
    """`scripts/prices` as a module."""
    path = Path(__file__).parents[2] / "scripts" / "prices"
    loader = SourceFileLoader("scripts_prices", str(path))
    spec = spec_from_loader("scripts_prices", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _info(*today: Any) -> Any:
    """A model of the package: its price changes every hour, the last stays."""
    return SimpleNamespace(get_prices=lambda moment: today[min(moment.hour, len(today) - 1)])


def _tiered(base: str, *tiers: tuple[int, str]) -> Any:
    return SimpleNamespace(base=D(base), tiers=[SimpleNamespace(start=start, price=D(price)) for start, price in tiers])


def test_the_script_carries_every_kind_of_price_over(script: Any) -> None:
    """In the words of a configuration, so that what it writes is read by the same function."""
    row = script.row_of(
        SimpleNamespace(
            input_mtok=_tiered("1.25", (200_000, "2.50")),
            cache_read_mtok=D("0.10"),
            cache_write_mtok=D("1E-10"),
            output_mtok=_tiered("10", (200_000, "15")),
            output_reasoning_mtok=D(3),
            requests_kcount=D(12),
        )
    )

    assert row == {
        "input": "1.25", "cached_input": "0.1", "cache_write": "0.000000001", "output": "10", "reasoning": "3",
        "per_request": "0.012", "above": [{"tokens": 200_000, "input": "2.5", "output": "15"}],
    }  # fmt: skip
    assert parse(row, "x").cache_write == NANO


def test_the_script_takes_the_dearest_hour_and_the_price_of_images(script: Any) -> None:
    """A wallet must not be charged by the hour at which somebody ran the script."""
    cheap, dear = SimpleNamespace(input_mtok=D(1), output_mtok=D(1)), SimpleNamespace(input_mtok=D(2), output_mtok=D(4))
    painted = SimpleNamespace(input_mtok=D(1), output_mtok=D("2.5"), output_image_mtok=D(30))

    for hour in (0, 1, 23):
        assert script.dearest(_info(cheap, dear, cheap), datetime(2026, 1, 1, hour, tzinfo=UTC)) is dear
    assert script.row_of(painted) == {"input": "1", "output": "30", "reasoning": "2.5"}


def test_the_script_says_what_it_could_not_carry_over(script: Any) -> None:
    """A model without a price, a price without a place, a dated id at another price."""
    plain = SimpleNamespace(input_mtok=D(1), output_mtok=D(2), input_audio_mtok=D(3), web_searches_kcount=D(9))
    other = SimpleNamespace(input_mtok=D(5), output_mtok=D(5))
    known = {"m": _info(plain), "m-1": _info(plain), "m-0": _info(other)}
    models = [
        {"provider": "gemini", "id": "m", "also": ["m-1", "m-0", "m-x"]},
        {"provider": "nobody", "id": "n"},
    ]
    found, unknown, lost = script.collect(
        models, {"google": SimpleNamespace(find_model=known.get)}, datetime(2026, 1, 1, tzinfo=UTC)
    )

    assert found == {
        "gemini/m": {"input": "1", "output": "2", "also": ["m-1"]},
        "gemini/m-0": {"input": "5", "output": "5"},
    }
    assert unknown == ["gemini/m-x", "nobody/n"]
    assert lost == ["gemini/m: input_audio_mtok"]


def test_genai_prices_is_never_needed_at_run_time() -> None:
    """Its import costs more than a gateway's, and brings an HTTP client."""
    assert not hasattr(prices, "genai_prices")
    assert "genai" not in Path(prices.__file__).read_text("utf-8").replace("package genai-prices", "")
