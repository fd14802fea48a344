"""Counters, gauges and histograms, and how they are written for Prometheus: its text format 0.0.4, and OpenMetrics 1.0.

Each family has so many series and no more; what comes after that is counted in one whose labels are all `other`.

What does not live here: what is counted (`metrics.py`), locks: whoever counts from several threads has one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from decimal import Decimal
from typing import TYPE_CHECKING

from compatgw.telemetry.labels import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Number = int | float | Decimal
Values = tuple[str, ...]
"""The values of a family's labels, in its order."""

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_MOST = 1000


class Family(ABC):
    """What all series of one name have in common.

    Args:
        name: Of the family; counters have it without `_total`.
        help: One sentence.
        labels: Their names.
        unit: As the name ends, such as `seconds`.
        most: Series that are told apart.
    """

    kind = ""
    suffix = ""

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), *, unit: str = "", most: int = _MOST) -> None:
        self.name = name
        self.help = help
        self.labels = tuple(labels)
        self.unit = unit
        self._most = most
        self._other = (OTHER,) * len(self.labels)

    @abstractmethod
    def samples(self, *, floats: bool) -> Iterator[str]:
        """The lines of all series; with `floats` all bounds are written as floats."""

    def _text(self, values: Values) -> str:
        return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(self.labels, values, strict=True))


class Counter(Family):
    """Goes up."""

    kind = "counter"
    suffix = "_total"

    def __init__(self, name: str, help: str, labels: Sequence[str] = (), *, unit: str = "", most: int = _MOST) -> None:
        super().__init__(name, help, labels, unit=unit, most=most)
        self._values: dict[Values, Number] = {}

    def add(self, values: Values = (), by: Number = 1) -> None:
        """Counts; the numbers of one series are all of one type, or integers."""
        known = self._values
        before = known.get(values)
        if before is None:
            if len(known) >= self._most:
                values = self._other
            before = known.get(values, 0)
        known[values] = before + by  # type: ignore[operator]

    def samples(self, *, floats: bool) -> Iterator[str]:
        """One line for each series."""
        for values, value in self._values.items():
            yield f"{self.name}{self.suffix}{_braced(self._text(values))} {_number(value)}"


class Gauge(Counter):
    """Goes up and down."""

    kind = "gauge"
    suffix = ""

    def set(self, values: Values, value: Number) -> None:
        """What it is now."""
        if values not in self._values and len(self._values) >= self._most:
            return
        self._values[values] = value


class Histogram(Family):
    """How often something was how large.

    Args:
        bounds: Upper ends of its buckets, ascending; one without an end follows them.
    """

    kind = "histogram"

    def __init__(
        self,
        name: str,
        help: str,
        labels: Sequence[str] = (),
        *,
        bounds: Sequence[float],
        unit: str = "",
        most: int = _MOST,
    ) -> None:
        super().__init__(name, help, labels, unit=unit, most=most)
        self._bounds = tuple(bounds)
        # By series: how often in each bucket, and then the sum of all.
        self._series: dict[Values, list[float]] = {}

    def observe(self, values: Values, value: float) -> None:
        """Counts one of this size."""
        counts = self._series.get(values)
        if counts is None:
            if len(self._series) >= self._most:
                values = self._other
            counts = self._series.setdefault(values, [0] * (len(self._bounds) + 2))
        counts[bisect_left(self._bounds, value)] += 1
        counts[-1] += value

    def samples(self, *, floats: bool) -> Iterator[str]:
        """One line for each bucket of each series, with all that is not larger; then sum and count."""
        ends = [*(repr(float(bound)) if floats else f"{bound:g}" for bound in self._bounds), "+Inf"]
        for values, counts in self._series.items():
            text, total = self._text(values), 0.0
            for end, count in zip(ends, counts, strict=False):
                total += count
                yield f'{self.name}_bucket{{{text}{"," if text else ""}le="{end}"}} {_number(total)}'
            yield f"{self.name}_sum{_braced(text)} {_number(counts[-1])}"
            yield f"{self.name}_count{_braced(text)} {_number(total)}"


def written(families: Iterable[Family], *, openmetrics: bool) -> bytes:
    """All families as text, in one of the two formats."""
    lines: list[str] = []
    for family in families:
        name = family.name if openmetrics else family.name + family.suffix
        help = family.help.replace("\\", r"\\").replace("\n", r"\n")
        lines += [f"# HELP {name} {help}", f"# TYPE {name} {family.kind}"]
        if openmetrics and family.unit:
            lines.append(f"# UNIT {name} {family.unit}")
        lines += family.samples(floats=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode()


def wants_openmetrics(accept: str) -> bool:
    """Whether this `Accept` header likes OpenMetrics as much as plain text, or more."""
    liked = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = [each.strip() for each in part.split(";")]
        if kind in liked:
            liked[kind] = max(liked[kind], _weight(parameters))
    openmetrics, plain = liked.values()
    return openmetrics > 0 and openmetrics >= plain


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _braced(text: str) -> str:
    return f"{{{text}}}" if text else ""


def _escaped(value: str) -> str:
    sound = value if value.isascii() else value.encode("utf-8", "replace").decode()
    return sound.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: Number) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value)
