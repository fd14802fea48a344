"""Something that is made when it is first asked for: what few calls need is no part of the start.

What does not live here: what is made.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Thing = TypeVar("Thing")


class Later(Generic[Thing]):
    """Calls `make` once, whoever asks first.

    Attributes:
        made: What was made; None until then.
    """

    __slots__ = ("_lock", "_make", "made")

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self.made: Thing | None = None

    def __call__(self) -> Thing:
        """It, made if need be."""
        if (made := self.made) is not None:
            return made
        # Loops in several threads must not have one each.
        with self._lock:
            if self.made is None:
                self.made = self._make()
            return self.made
