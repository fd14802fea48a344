"""Charts: from numbers to where things stand in a picture, and to the same numbers in words.

A picture is an SVG that fills whatever width it has: places on its axes are shares of a hundred, so that letters
keep their size, and what is drawn is stretched in a box of `Drawing.width` times `HEIGHT` units. Nothing here
rounds a number but to a unit of that box.

    drawing = bars(Plot(places, series, exact, short))

What does not live here: what is drawn (`overview.py`), the elements (`templates/console/chart.html`).
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Number = int | float | Decimal

HEIGHT = 1000
"""Units from the ground of a picture to its top."""
COLUMN = 10
"""Units that each place has of its width."""

_STEPS = 4
_MARKS = 6
_ROUGH = Context(prec=6)


class Series(NamedTuple):
    """Numbers of one kind, one for each place; None where there is nothing to tell.

    Attributes:
        name: For people. values: From 0 on. colour: From 1 to 6.
    """

    name: str
    values: tuple[Number | None, ...]
    colour: int = 1


class Place(NamedTuple):
    """A place on the axis: its name in the table, and the short one below the picture."""

    name: str
    mark: str


class Plot(NamedTuple):
    """What is to be drawn.

    Attributes:
        places: From left to right.
        series: Of bars, the lowest first.
        exact: A number for the table. short: One for the axis.
        whole: All numbers are whole, and so are those of the axis.
    """

    places: tuple[Place, ...]
    series: tuple[Series, ...]
    exact: Callable[[Number], str]
    short: Callable[[Number], str]
    whole: bool = True


class Path(NamedTuple):
    """What is drawn of one series.

    Attributes:
        d: The path. dots: Another one, of the points of a line that no other is beside.
    """

    name: str
    colour: int
    d: str
    dots: str = ""


class Mark(NamedTuple):
    """A word on an axis: its place there as a percentage, from the top or from the left.

    Attributes:
        place: Number of the place that it names; -1 on the other axis.
    """

    at: str
    text: str
    place: int = -1


class Drawing(NamedTuple):
    """A picture.

    Attributes:
        kind: How it is drawn: `bars` or `lines`.
        width: Units of its box from left to right.
        paths: One for each series.
        ticks: The numbers beside it, the lowest first. marks: The names below it.
        head: Names of the series. rows: Each place's name and its numbers; "" for none.
        peak: Number of the place with the most, None where nothing is drawn.
        top: The number at the upper edge.
    """

    kind: str
    width: int
    paths: tuple[Path, ...]
    ticks: tuple[Mark, ...]
    marks: tuple[Mark, ...]
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    peak: int | None
    top: Fraction


def bars(plot: Plot) -> Drawing:
    """Bars, those of a place on top of each other: thick lines, as wide as the style sheet has them in units."""
    columns = list(zip(*[_exact(series) for series in plot.series], strict=True))
    sums = [sum((value for value in column if value is not None), Fraction(0)) for column in columns]
    step, top = scale(max(sums, default=Fraction(0)), whole=plot.whole)
    levels = [Fraction(0)] * len(columns)
    paths = []
    for row, series in enumerate(plot.series):
        parts = []
        for place, column in enumerate(columns):
            value = column[row]
            if not value:
                continue
            low, levels[place] = levels[place], levels[place] + value
            ground, upper = _height(low, top), _height(levels[place], top)
            parts.append(f"M{place * COLUMN + COLUMN // 2} {ground}V{upper}")
        paths.append(Path(series.name, series.colour, "".join(parts)))
    # Bars of nothing are no bars.
    return _drawing("bars", plot, tuple(paths), [each or None for each in sums], step, top)


def lines(plot: Plot) -> Drawing:
    """A line for each series; it is not drawn over a place without a number."""
    rows = [_exact(series) for series in plot.series]
    highest = [max([each for each in column if each is not None], default=None) for column in zip(*rows, strict=True)]
    step, top = scale(max([each for each in highest if each is not None], default=Fraction(0)), whole=plot.whole)
    paths = []
    for series, values in zip(plot.series, rows, strict=True):
        line, dots = [], []
        for place, value in enumerate(values):
            if value is None:
                continue
            point = f"{place * COLUMN + COLUMN // 2} {_height(value, top)}"
            before, after = values[place - 1] if place else None, (*values, None)[place + 1]
            if before is None and after is None:
                dots.append(f"M{point}h0")
            else:
                line.append(f"{'M' if before is None else 'L'}{point}")
        paths.append(Path(series.name, series.colour, "".join(line), "".join(dots)))
    return _drawing("lines", plot, tuple(paths), highest, step, top)


def share(value: Number, most: Number) -> str:
    """The path of a lying bar in a box of 100 times 8 units that is full at `most`."""
    whole, part = _fraction(most), _fraction(value)
    long = min(Fraction(1), part / whole) if whole else Fraction(0)
    return f"M0 0H{float(round(long * 100, 2)):g}V8H0z"


def scale(most: Fraction, *, whole: bool) -> tuple[Fraction, Fraction]:
    """How far apart the numbers of an axis are, and the highest of them: round ones, at most four steps for `most`."""
    if not most:
        return Fraction(1), Fraction(1)
    wanted = most / _STEPS
    power = _ROUGH.divide(_ROUGH.create_decimal(wanted.numerator), _ROUGH.create_decimal(wanted.denominator)).adjusted()
    ten = Fraction(10) ** power
    # What was rounded to six digits may be a power too high or too low: whoever fits is taken.
    step = next(size for size in _sizes(ten) if size >= wanted and (size >= 1 or not whole))
    return step, step * ceil(most / step)


def _sizes(ten: Fraction) -> Iterable[Fraction]:
    power = ten / 10
    while True:
        yield from (power, power * 2, power * 5)
        power *= 10


def _exact(series: Series) -> list[Fraction | None]:
    return [None if value is None else _fraction(value) for value in series.values]


def _fraction(value: Number) -> Fraction:
    try:
        found = Fraction(value)
    except (OverflowError, ValueError):
        found = Fraction(-1)
    if found < 0:
        raise ValueError(f"{value} cannot be drawn: numbers from 0 on can.")
    return found


def _height(value: Fraction, top: Fraction) -> int:
    """Units from the upper edge."""
    return HEIGHT - round(value / top * HEIGHT)


def _drawing(
    kind: str, plot: Plot, paths: tuple[Path, ...], levels: Sequence[Fraction | None], step: Fraction, top: Fraction
) -> Drawing:
    """A picture of `paths`; `levels` is the highest that is drawn at each place."""
    drawn = [(level, -place) for place, level in enumerate(levels) if level is not None]
    most, last = max(drawn, default=(Fraction(0), 0))
    steps = int(top / step) if most else 0
    ticks = [Mark(_percent(1 - step * each / top), plot.short(_plain(step * each))) for each in range(steps + 1)]
    count = len(plot.places)
    every = max(1, ceil(count / _MARKS))
    marks = [
        Mark(_percent(Fraction(2 * place + 1, 2 * count)), plot.places[place].mark, place)
        for place in range((count - 1) % every // 2, count, every)
    ]
    rows = [
        (place.name, tuple(["" if value is None else plot.exact(value) for value in values]))
        for place, *values in zip(plot.places, *[series.values for series in plot.series], strict=True)
    ]
    head = tuple([series.name for series in plot.series])
    width = max(1, count) * COLUMN
    return Drawing(kind, width, paths, tuple(ticks), tuple(marks), head, tuple(rows), -last if drawn else None, top)


def _plain(value: Fraction) -> Number:
    if value.denominator == 1:
        return value.numerator
    return Decimal(value.numerator) / Decimal(value.denominator)


def _percent(part: Fraction) -> str:
    return f"{float(round(part * 100, 2)):g}%"
