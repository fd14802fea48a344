"""Charts: what is drawn is what the table says, whatever the numbers are."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.pages.console.charts import (
    COLUMN,
    HEIGHT,
    Drawing,
    Number,
    Place,
    Plot,
    Series,
    bars,
    lines,
    scale,
    share,
)

WHOLE = st.integers(0, 10**30)
NUMBERS = st.one_of(
    st.integers(0, 10**6),
    WHOLE,
    st.floats(0, 1e300, allow_subnormal=True),
    st.decimals(0, 10**18, places=9),
)
_BAR = re.compile(r"M(\d+) (\d+)V(\d+)")
_POINT = re.compile(r"([ML])(\d+) (\d+)")


def plot(*rows: tuple[Number | None, ...], whole: bool = False) -> Plot:
    """A plot of these numbers, whose words are their exact values."""
    places = tuple(Place(f"place {n}", str(n)) for n in range(len(rows[0]) if rows else 0))
    series = tuple(Series(f"series {n}", values, n % 6 + 1) for n, values in enumerate(rows))
    return Plot(places, series, lambda value: str(Fraction(value)), lambda value: str(Fraction(value)), whole)


def rows_of(values: st.SearchStrategy[Number]) -> st.SearchStrategy[list[tuple[Number | None, ...]]]:
    """Up to four series of one length."""
    return st.integers(1, 30).flatmap(
        lambda length: st.lists(st.tuples(*[st.none() | values] * length), min_size=1, max_size=4)
    )


def told(drawing: Drawing, row: int) -> list[Fraction | None]:
    """What the table says of a series."""
    return [Fraction(cells[row]) if cells[row] else None for _, cells in drawing.rows]


def bar_heights(drawing: Drawing) -> list[dict[int, tuple[int, int]]]:
    """Of each series, by place: the lower and the upper edge of its bar, in units from the ground."""
    found = []
    for path in drawing.paths:
        assert re.fullmatch(rf"({_BAR.pattern})*", path.d)
        edges = {}
        for middle, ground, upper in _BAR.findall(path.d):
            place, rest = divmod(int(middle), COLUMN)
            assert rest == COLUMN // 2
            edges[place] = (HEIGHT - int(ground), HEIGHT - int(upper))
        found.append(edges)
    return found


@given(rows_of(NUMBERS))
def test_bars_are_as_high_as_the_table_says(rows: list[tuple[Number | None, ...]]) -> None:
    """Every number has its bar to within a unit, on top of those before it; nothing else is drawn, or sticks out."""
    drawing = bars(plot(*rows))
    edges = bar_heights(drawing)
    for place in range(len(rows[0])):
        level = Fraction(0)
        for row in range(len(rows)):
            value = told(drawing, row)[place]
            assert (value is None) == (rows[row][place] is None)
            if not value:
                assert place not in edges[row]
                continue
            lower, upper = edges[row][place]
            for edge, exact in ((lower, level), (upper, level + value)):
                assert abs(edge - exact / drawing.top * HEIGHT) <= Fraction(1, 2)
                assert 0 <= edge <= HEIGHT
            level += value


@given(rows_of(NUMBERS))
def test_lines_go_through_what_the_table_says(rows: list[tuple[Number | None, ...]]) -> None:
    """Every number is a point, to within a unit; a line breaks where there is none, and nowhere else."""
    drawing = lines(plot(*rows))
    for row, path in enumerate(drawing.paths):
        values = told(drawing, row)
        assert re.fullmatch(rf"({_POINT.pattern})*", path.d)
        assert re.fullmatch(r"(M\d+ \d+h0)*", path.dots)
        drawn = [*_POINT.findall(path.d), *_POINT.findall(path.dots)]
        found = {int(x) // COLUMN: (move, HEIGHT - int(y)) for move, x, y in drawn}
        assert len(found) == len(drawn)
        assert set(found) == {place for place, value in enumerate(values) if value is not None}
        for place, (move, height) in found.items():
            value = values[place]
            assert value is not None
            assert abs(height - value / drawing.top * HEIGHT) <= Fraction(1, 2)
            assert (move == "L") == (place - 1 in found)
        alone = [place for place in found if place - 1 not in found and place + 1 not in found]
        assert path.dots.count("h0") == len(alone)


@given(rows_of(NUMBERS), st.sampled_from([bars, lines]))
def test_axes_are_in_proportion(rows: list[tuple[Number | None, ...]], draw: type) -> None:
    """The numbers beside a picture stand where such numbers are drawn, from 0 up to at least the greatest."""
    drawing: Drawing = draw(plot(*rows))
    for tick in drawing.ticks:
        assert Fraction(tick.at.rstrip("%")) == pytest.approx(
            float(100 * (1 - Fraction(tick.text) / drawing.top)), abs=0.01
        )
    assert drawing.ticks[0] == ("100%", "0", -1)
    assert len(drawing.ticks) <= 5
    if len(drawing.ticks) > 1:
        assert drawing.ticks[-1].at == "0%"
    places = [mark.place for mark in drawing.marks]
    assert 1 <= len(places) <= 6
    assert places == sorted(set(places))
    for mark in drawing.marks:
        assert mark.text == str(mark.place)
        assert float(mark.at.rstrip("%")) == pytest.approx((mark.place + 0.5) * 100 / len(rows[0]), abs=0.01)


@given(NUMBERS, st.booleans())
def test_scales_are_round_and_tight(most: Number, whole: bool) -> None:
    """Steps are 1, 2 or 5 times a power of ten, whole where the numbers are; at most four, and at least two for most."""
    exact = Fraction(most)
    step, top = scale(exact, whole=whole)
    digits = str(step.numerator * step.denominator).rstrip("0")
    assert digits in ("1", "2", "5")
    assert top % step == 0
    assert exact <= top
    assert top / step <= 4
    if whole:
        assert step.denominator == 1
    if exact and (exact >= 4 or not whole):
        assert top < exact * 2.5


@given(NUMBERS, NUMBERS)
def test_a_share_is_as_long_as_its_part(value: Number, most: Number) -> None:
    """To within a hundredth of a percent; never longer than all."""
    long = float(re.fullmatch(r"M0 0H([\d.e-]+)V8H0z", share(value, most))[1])  # type: ignore[index]
    expected = min(1.0, float(Fraction(value) / Fraction(most))) * 100 if most else 0.0
    assert long == pytest.approx(expected, abs=0.01)


def test_nothing_at_all() -> None:
    """No places, no series, no numbers: nothing is drawn, nothing breaks, and it is said that nothing is there."""
    for draw in (bars, lines):
        for empty in (plot(), plot(()), plot((None, None))):
            drawing = draw(empty)
            assert drawing.peak is None
            assert {path.d + path.dots for path in drawing.paths} <= {""}
            assert [tick.text for tick in drawing.ticks] == ["0"]
    assert bars(plot((0, 0))).peak is None


def test_zeros_are_numbers() -> None:
    """They are in the table, and a line runs along the ground; a bar of nothing is none."""
    drawing = lines(plot((0, 0)))
    assert drawing.peak == 0
    assert drawing.paths[0].d == f"M5 {HEIGHT}L15 {HEIGHT}"
    assert drawing.rows == (("place 0", ("0",)), ("place 1", ("0",)))
    assert bars(plot((0, 3))).paths[0].d.count("M") == 1


def test_one_point() -> None:
    """It is a dot, or a bar, in the middle."""
    drawing = lines(plot((5,), whole=True))
    assert (drawing.paths[0].d, drawing.paths[0].dots) == ("", "M5 167h0")
    assert [mark.at for mark in drawing.marks] == ["50%"]
    assert [tick.text for tick in drawing.ticks] == ["0", "2", "4", "6"]
    assert bars(plot((Decimal("0.000000001"),))).top == Fraction(1, 10**9)


def test_the_peak_is_where_the_most_is() -> None:
    """Of bars the highest heap, of lines the highest point; the first of equals."""
    assert bars(plot((1, 5, 0), (1, 0, 4))).peak == 1
    assert bars(plot((1, 4, 0), (1, 0, 4))).peak == 1
    assert lines(plot((1, 5, None), (1, 0, 9))).peak == 2


@pytest.mark.parametrize(
    "value", [-1, -0.5, Decimal("-1"), float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity")]
)
def test_what_is_no_number_cannot_be_drawn(value: Number) -> None:
    """A fault of whoever asks for it."""
    for draw in (bars, lines):
        with pytest.raises(ValueError, match="cannot be drawn"):
            draw(plot((value,)))


def test_each_place_has_one_number_of_each_series() -> None:
    """More or fewer are a fault, too."""
    uneven = Plot((Place("a", "a"),), (Series("s", (1, 2)),), str, str)
    for draw in (bars, lines):
        with pytest.raises(ValueError, match="zip"):
            draw(uneven)


def test_series_keep_their_names_and_colours() -> None:
    """As given, whatever is in a name: whoever shows it escapes it."""
    drawing = bars(plot((1,), (2,)))
    assert [(path.name, path.colour) for path in drawing.paths] == [("series 0", 1), ("series 1", 2)]
    assert drawing.head == ("series 0", "series 1")
