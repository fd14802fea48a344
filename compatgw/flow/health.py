"""What was last seen of each provider, for `/api/status`. In memory, of this process.

What does not live here: decisions by it (the routing steps).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SMOOTHING = 0.2


@dataclass(slots=True)
class Sighting:
    """One provider as last seen.

    Attributes:
        name: The provider's name.
        calls: Calls that it answered or failed.
        errors: Calls that it failed.
        failing: Failures since its last success.
        latency: Seconds to its answer, or to a stream's first content; a decaying average.
        last_error_at: Seconds since 1970.
        last_error: Code of the last failure.
    """

    name: str
    calls: int = 0
    errors: int = 0
    failing: int = 0
    latency: float | None = None
    last_error_at: float | None = None
    last_error: str | None = None

    @property
    def state(self) -> str:
        """`unknown` before the first call, `up`, or `failing`."""
        if self.calls == 0:
            return "unknown"
        return "failing" if self.failing else "up"


class Health:
    """The providers of one gateway."""

    __slots__ = ("_seen",)

    def __init__(self, names: Iterable[str]) -> None:
        self._seen = {name: Sighting(name) for name in names}

    def __iter__(self) -> Iterator[Sighting]:
        return iter(self._seen.values())

    def answered(self, name: str, latency: float) -> None:
        """`name` answered after `latency` seconds."""
        seen = self._seen[name]
        seen.calls += 1
        seen.failing = 0
        seen.latency = latency if seen.latency is None else seen.latency + _SMOOTHING * (latency - seen.latency)

    def failed(self, name: str, code: str, now: float) -> None:
        """`name` failed at `now` with `code`."""
        seen = self._seen[name]
        seen.calls += 1
        seen.errors += 1
        seen.failing += 1
        seen.last_error_at = now
        seen.last_error = code
