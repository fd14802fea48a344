"""What is written on a command line is read as it is meant, or refused; nothing a terminal would obey comes out."""

from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.cli.words import as_amount, as_duration, as_future, as_past, clean

HERE = click.Context(click.Command("here"))
THERE = click.Argument(["there"])
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


@given(st.integers(0, 10_000), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_of_units(number: int, unit: str) -> None:
    """In seconds; before now or after now where a time is asked for."""
    seconds = number * UNITS[unit]
    assert as_duration(HERE, THERE, f"{number}{unit}") == seconds
    ahead, past = as_future(HERE, THERE, f"{number}{unit}"), as_past(HERE, THERE, f"{number}{unit}")
    assert ahead is not None
    assert past is not None
    assert ahead - past == pytest.approx(2 * seconds, abs=1)
    assert (ahead + past) / 2 == pytest.approx(time.time(), abs=5)


@given(st.floats(86_400, 7_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)), st.booleans())
def test_a_time_is_that_moment(moment: datetime, offset: bool) -> None:
    """With its offset, or in UTC; a date is its beginning."""
    text = moment.isoformat() if offset else moment.replace(tzinfo=None).isoformat()
    assert as_past(HERE, THERE, text) == moment.timestamp()
    beginning = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    assert as_past(HERE, THERE, moment.date().isoformat()) == beginning.timestamp()


@given(st.decimals(-(10**9), 10**9, places=9, allow_nan=False, allow_infinity=False))
def test_an_amount_is_exact(value: Decimal) -> None:
    """To the last of nine decimals."""
    assert as_amount(HERE, THERE, f"{value:f}") == value


@given(st.text(max_size=30))
def test_other_words_are_refused_and_never_a_crash(text: str) -> None:
    """A usage error for each kind."""
    for read in (as_amount, as_duration, as_future, as_past):
        try:
            read(HERE, THERE, text)
        except click.BadParameter as refusal:
            assert "Give" in str(refusal) or "range" in str(refusal) or "Round" in str(refusal)


def test_nothing_given_is_nothing() -> None:
    """An option that was left out."""
    for read in (as_amount, as_duration, as_future, as_past):
        assert read(HERE, THERE, None) is None


@given(st.text(max_size=60))
def test_what_comes_out_is_obeyed_by_no_terminal(text: str) -> None:
    """Control characters and marks of direction are written out; all else stays."""
    shown = clean(text)
    assert not {unicodedata.category(each) for each in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert "\u202e" not in shown
    if text.isprintable():
        assert shown == text


def test_names_in_all_scripts_stay_as_they_are() -> None:
    """Vietnamese, Chinese, Arabic, and an emoji that is put together."""
    for text in ("Hồ Chí Minh", "北京", "القاهرة", "👩‍💻"):
        assert clean(text) == text
    assert clean("\x1b[31mred\u202e\x00") == "\\x1b[31mred\\u202e\\x00"
