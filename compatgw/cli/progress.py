"""How far a long command has come, on a terminal's stderr.

What does not live here: what is printed in the end (`tables.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def bar(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """A bar that goes when the work is done; gives the function that says that one more is done.

    Args:
        total: How many there are; None: nobody knows, and the bar only moves.
    """
    if not sys.stderr.isatty():
        yield lambda: None
        return
    counted = (MofNCompleteColumn(),) if total is not None else ()
    columns = (TextColumn("{task.description}"), BarColumn(), *counted, TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
