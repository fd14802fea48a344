"""Numbers as people read them, and the spans of time that pages look back over."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.pages.console import figures, spans
from compatgw.pages.console.charts import Number


@pytest.mark.parametrize(
    ("value", "english", "vietnamese"),
    [
        (0, "0", "0"),
        (7, "7", "7"),
        (999, "999", "999"),
        (1000, "1K", "1 N"),
        (1234, "1,234", "1.234"),
        (5000, "5K", "5 N"),
        (9_999, "9,999", "9.999"),
        (12_345, "12.3K", "12,3 N"),
        (999_999, "1M", "1 Tr"),
        (1_250_000, "1.25M", "1,25 Tr"),
        (3 * 10**9, "3B", "3 T"),
        (45 * 10**12, "45T", "45 NT"),
        (Decimal("0.0125"), "0.0125", "0,0125"),
        (0.5, "0.5", "0,5"),
    ],
)
def test_short_numbers(value: Number, english: str, vietnamese: str) -> None:
    """Three digits, and the word that the language has for the rest."""
    assert figures.short("en", value) == english
    assert figures.short("vi", value) == vietnamese


@given(st.integers(0, 10**15))
def test_whole_numbers_keep_every_digit(value: int) -> None:
    """Grouped, in either language."""
    assert int(figures.whole("en", value).replace(",", "")) == value
    assert int(figures.whole("vi", value).replace(".", "")) == value


@given(st.decimals(0, 10**9, places=9))
def test_amounts_keep_every_digit(value: Decimal) -> None:
    """And have at least two behind the point."""
    text = figures.amount("en", value)
    assert Decimal(text.replace(",", "")) == value
    assert len(text.partition(".")[2]) >= 2


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_shares_are_never_all_or_nothing_for_what_is_not(part: int, rest: int) -> None:
    """One failure in a million is not 0%, and one answer among them not 100%."""
    total = part + rest
    text = figures.share("en", part, total)
    assert (text == "0%") == (part == 0)
    assert (text == "100%") == (part > 0 and rest == 0)
    if total:
        assert float(text.rstrip("%")) == pytest.approx(100 * part / total, abs=0.11)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ms"), (0.3, "0.3 ms"), (340, "340 ms"), (1000, "1 s"), (1254, "1.25 s"), (61_000, "61 s")],
)
def test_durations(value: Number, text: str) -> None:
    """In milliseconds below a second, in seconds from there."""
    assert figures.duration("en", value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("0", "0.00"), ("12.345", "12.34"), ("0.99", "0.99"), ("0.0123456", "0.012"), ("0.000000001", "0.000000001")],
)
def test_rough_amounts(value: str, text: str) -> None:
    """To the cent; less than one to two digits, so that what costs anything is never nothing."""
    assert figures.rough_amount("en", Decimal(value)) == text


@given(st.sampled_from([*spans.SPANS, "x", None]), st.sampled_from(["hour", "day", "week", None]), st.floats(0, 9e9))
def test_spans_end_now_and_are_cut_evenly(name: str | None, step: str | None, now: float) -> None:
    """Parts follow each other without a gap, the last holds now, and there are never too many."""
    span = spans.chosen(name, step, now)
    size = spans.SECONDS[span.step]
    assert span.step in spans.SPANS[span.name][1]
    assert span.until == now
    assert all(start % size == 0 for start in span.starts)
    assert all(later - earlier == size for earlier, later in zip(span.starts, span.starts[1:], strict=False))
    assert span.starts[-1] <= now < span.starts[-1] + size
    assert 1 <= len(span.starts) <= 168
    assert len(span.starts) == len(span.names) == len(span.places) == len(set(span.names))


def test_a_span_has_the_names_that_sums_have() -> None:
    """As the ledger writes hours and days."""
    hours = spans.chosen("24h", None, 1_795_000_000)
    assert (hours.names[-1], hours.places[-1]) == ("2026-11-18T11:00:00Z", ("11-18 11:00", "11:00"))
    days = spans.chosen("7d", "day", 1_795_000_000)
    assert (days.names[0], days.places[0]) == ("2026-11-12", ("2026-11-12", "11-12"))
    assert spans.chosen("7d", "hour", 1_795_000_000).step == "hour"
    assert spans.chosen("nothing", "day", 1_795_000_000)[:2] == ("24h", "hour")
