"""What the processes of one gateway tell each other: words through the counters, each of a kind that somebody hears.

What does not live here: what the kinds are (`health.py`, `standing.py`), when processes exchange (`chores.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.state.base import Counters


class News:
    """The words of one gateway.

    Args:
        counters: Through which they go.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._listeners: dict[str, Callable[[str], None]] = {}
        self._cursor = ""

    @property
    def shared(self) -> bool:
        """Whether there can be another process that hears them."""
        return self._counters.shared

    def listen(self, kind: str, hear: Callable[[str], None]) -> None:
        """Has `hear` called with each word of `kind`, this process's own too; words may come twice."""
        self._listeners[kind] = hear

    async def tell(self, kind: str, word: str) -> None:
        """Tells all processes.

        Raises:
            CountersLost: Nobody hears anything for now.
        """
        await self._counters.announce(f"{kind} {word}")

    async def hear(self) -> None:
        """Hands out what was told since the last time. Kinds that nobody listens to are of other versions.

        Raises:
            CountersLost: Nobody hears anything for now.
        """
        self._cursor, words = await self._counters.announced(self._cursor)
        for told in words:
            kind, _, word = told.partition(" ")
            if (listener := self._listeners.get(kind)) is not None:
                listener(word)
