"""`wall`: streams that end after every single byte, by close, reset and a clean end, with each way out.

What does not live here: the other troubles, and fewer bytes of the same (`tests/flow/test_fault_wall.py`).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from compatgw.state.sql import SqlLedger
from tests.flow.cuts import KINDS, Place, wire, wrong_at
from tests.flow.wall import MODELS, WAYS, wall
from tests.soak.verdict import some

if TYPE_CHECKING:
    from tests.soak.rig import Options
    from tests.soak.verdict import Verdict

# The ways that a call can take; one of them, by chance, for each byte and each end.
_WAYS = WAYS[:3]


async def run_wall(verdict: Verdict, options: Options) -> None:
    """The run, one dialect after the other."""
    for dialect in MODELS:
        with tempfile.TemporaryDirectory(prefix="cgw-soak-") as folder:
            await _one(verdict, f"sqlite:///{Path(folder, 'ledger.db')}", dialect, Random(options.seed))


async def _one(verdict: Verdict, url: str, dialect: str, random: Random) -> None:
    ledger = SqlLedger(url, upgrade=True)
    await ledger.open()
    await ledger.aclose()
    one = wall(url)
    await one.open()
    told = await wire(one, dialect)
    verdict.heading(f"wall: {dialect}, a stream of {len(told.ends)} events and {len(told.data)} bytes, cut after each")
    wrong: list[str] = []
    count: Counter[str] = Counter()
    for start in range(0, len(told.data) + 1, 500):
        sizes = range(start, min(start + 500, len(told.data) + 1))
        places = [Place(kind, size, random.choice(_WAYS)) for size in sizes for kind in KINDS]
        wrong += await wrong_at(one, dialect, told, places, count)
        verdict.progress(f"{dialect}: {sizes.stop - 1} bytes of {len(told.data)}")
    verdict.figure(", ".join(f"{name} {number}" for name, number in sorted(count.items())))
    verdict.claim(not wrong, f"{count.total()} calls ended whole, replaced or honestly{some(wrong)}")
    books = await one.wrong_in_the_books()
    verdict.claim(not books, f"each was settled once, and nothing is reserved{some(books)}")
