"""What a run says: figures, and of each claim whether it held.

What does not live here: what is claimed.
"""

from __future__ import annotations

import sys
import time


class Verdict:
    """The claims of a run. Prints each as it is made.

    Attributes:
        broken: How many did not hold.
        held: How many did.
    """

    def __init__(self) -> None:
        self.broken = 0
        self.held = 0
        self._began = time.monotonic()

    def heading(self, text: str) -> None:
        """Begins a part."""
        print(f"\n== {text}", flush=True)

    def figure(self, text: str) -> None:
        """Something to know that is not claimed."""
        print(f"       {text}", flush=True)

    def claim(self, holds: bool, text: str) -> None:
        """A claim with its numbers."""
        if holds:
            self.held += 1
        else:
            self.broken += 1
        print(f"{'OK    ' if holds else 'BROKEN'} {text}", flush=True)

    def progress(self, text: str) -> None:
        """Where the run is; beside the figures, so that these can be kept without it."""
        print(f"# {time.monotonic() - self._began:6.1f} s  {text}", file=sys.stderr, flush=True)


def some(names: list[str], most: int = 5) -> str:
    """The first of `names`, for a claim that is broken; nothing when there are none."""
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f": {', '.join(names[:most])}{more}"
