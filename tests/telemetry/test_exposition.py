"""What is written for Prometheus is read by its own parsers as what was counted, whatever the labels hold."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.telemetry.exposition import Counter, Gauge, Histogram, wants_openmetrics, written
from compatgw.telemetry.labels import OTHER, Codes, Models
from tests.telemetry.sightings import Page

# What has to be escaped, and what only looks as if it had to.
TEXTS = st.text(st.sampled_from('ab é€😀\\"\n{}=,#\t'), max_size=12)
COUNTS = st.integers(1, 10**12)


@pytest.mark.parametrize("openmetrics", [False, True])
@given(counted=st.dictionaries(TEXTS, COUNTS, min_size=1, max_size=8))
def test_counters_are_read_as_they_were_counted(openmetrics: bool, counted: dict[str, int]) -> None:
    """Also under labels with quotes, backslashes and ends of lines."""
    counter = Counter("things", 'A "help" with \\ and\nan end of line.', ("name",))
    for name, count in counted.items():
        counter.add((name,), count)
    found = Page(written([counter], openmetrics=openmetrics).decode(), openmetrics=openmetrics)

    assert {labels["name"]: value for _, labels, value in found.samples} == counted


@pytest.mark.parametrize("openmetrics", [False, True])
@given(
    values=st.lists(st.floats(0, 1e6), min_size=1, max_size=40),
    bounds=st.lists(st.floats(0.0001, 1e5), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_buckets_hold_what_is_not_larger(openmetrics: bool, values: list[float], bounds: list[float]) -> None:
    """Each with all before it, and the last with all there are."""
    histogram = Histogram("sizes_seconds", "Sizes.", ("of",), bounds=bounds, unit="seconds")
    for value in values:
        histogram.observe(("x",), value)
    found = Page(written([histogram], openmetrics=openmetrics).decode(), openmetrics=openmetrics)
    counts = [value for name, _, value in found.samples if name == "sizes_seconds_bucket"]

    assert counts == [*(sum(value <= bound for value in values) for bound in bounds), len(values)]
    assert found.value("sizes_seconds_sum") == pytest.approx(sum(values))
    assert found.value("sizes_seconds_count") == len(values)


@given(amounts=st.lists(st.decimals(0, 10**6, places=12), min_size=1, max_size=20))
def test_money_is_added_and_written_exactly(amounts: list[Decimal]) -> None:
    """No digit is lost on the way through."""
    counter = Counter("cost", "Cost.")
    for amount in amounts:
        counter.add((), amount)
    line = written([counter], openmetrics=False).decode().splitlines()[-1]

    assert Decimal(line.partition(" ")[2]) == sum(amounts)
    assert "E" not in line


@given(names=st.lists(TEXTS, max_size=60))
def test_what_is_too_much_is_counted_together(names: list[str]) -> None:
    """No count is lost, and there are as many series as there may be."""
    counter = Counter("things", "Things.", ("name",), most=5)
    histogram = Histogram("sizes", "Sizes.", ("name",), bounds=(1.0,), most=5)
    for name in names:
        counter.add((name,))
        histogram.observe((name,), 1.0)
    found = Page(written([counter, histogram], openmetrics=False).decode(), openmetrics=False)

    assert found.value("things_total") == found.value("sizes_count") == len(names)
    assert len(found.rows("things_total")) <= 6
    assert len(found.rows("sizes_count")) <= 6


def test_half_a_character_is_written_as_something() -> None:
    """A name may hold what UTF-8 cannot."""
    gauge = Gauge("things", "Things.", ("name",))
    gauge.set(("a\ud800b",), -1.5)

    assert written([gauge], openmetrics=False).decode().splitlines()[-1] == 'things{name="a?b"} -1.5'


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("text/plain;version=0.0.4, application/openmetrics-text;q=0.5", False),
        ("application/openmetrics-text;q=0, text/plain;q=0.1", False),
        ("application/openmetrics-text;q=x", False),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(accept: str, wants: bool) -> None:
    """OpenMetrics only for those who name it."""
    assert wants_openmetrics(accept) is wants


def test_models_get_their_names_when_they_are_known_or_have_answered() -> None:
    """The rest is `other`, and so is what is one too many."""
    models = Models({("up", "known")}, most=1)

    assert models.label("up", "known") == "known"
    assert models.label("up", "new") == OTHER
    assert models.label("up", "new", answered=True) == "new"
    assert models.label("up", "new") == "new"
    assert models.label("elsewhere", "known") == OTHER
    assert models.label("up", "newer", answered=True) == OTHER
    assert models.label("", "") == "none"


def test_codes_are_words_and_not_too_many() -> None:
    """An upstream's own code may be anything."""
    codes = Codes(most=2)

    assert [codes.label(code) for code in ("a_b", "", "A sentence.", "c", "d", "a_b")] == [
        "a_b",
        "",
        OTHER,
        "c",
        OTHER,
        "a_b",
    ]
