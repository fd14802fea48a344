"""The time that a page looks back over: which spans can be chosen, and the hours or days that they are cut into.

Hours and days are those of UTC, as the ledger sums them up; the last one is the one that is not over yet.

What does not live here: sums (`admin/usage.py`), pictures (`charts.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from compatgw.pages.console.charts import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

Step = Literal["hour", "day"]

SECONDS: Mapping[Step, int] = MappingProxyType({"hour": 3600, "day": 86_400})
SPANS: Mapping[str, tuple[int, tuple[Step, ...]]] = MappingProxyType(
    {"24h": (86_400, ("hour",)), "7d": (7 * 86_400, ("day", "hour")), "30d": (30 * 86_400, ("day",)),
     "90d": (90 * 86_400, ("day",))}
)  # fmt: skip
"""Names of spans to their seconds, and to what they can be cut into, the usual first."""
FIRST = "24h"


class Span(NamedTuple):
    """A span of time.

    Attributes:
        name: Of `SPANS`. step: What it is cut into.
        starts: Of each part, in seconds since 1970.
        until: Its end.
    """

    name: str
    step: Step
    starts: tuple[int, ...]
    until: float

    @property
    def since(self) -> int:
        """Its beginning."""
        return self.starts[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Of each part, as sums over usage are grouped by it."""
        shape = "%Y-%m-%dT%H:00:00Z" if self.step == "hour" else "%Y-%m-%d"
        return tuple([datetime.fromtimestamp(start, UTC).strftime(shape) for start in self.starts])

    @property
    def places(self) -> tuple[Place, ...]:
        """Its parts on an axis."""
        name = "%m-%d %H:%M" if self.step == "hour" else "%Y-%m-%d"
        # Hours of several days are known by their day.
        mark = "%H:%M" if len(self.starts) <= SECONDS["day"] // SECONDS["hour"] and self.step == "hour" else "%m-%d"
        times = [datetime.fromtimestamp(start, UTC) for start in self.starts]
        return tuple([Place(time.strftime(name), time.strftime(mark)) for time in times])


def chosen(name: str | None, step: str | None, now: float) -> Span:
    """The span of that name up to `now`, in steps of that size; what does not exist is the usual one."""
    found = name if name is not None and name in SPANS else FIRST
    length, steps = SPANS[found]
    cut = next((each for each in steps if each == step), steps[0])
    size = SECONDS[cut]
    last = int(now // size) * size
    # Times before 1970 are none.
    starts = [start for start in range(last - length + size, last + size, size) if start >= 0]
    return Span(found, cut, tuple(starts), now)
