"""What `import compatgw` costs, and what it loads.

What does not live here: the goal that it is held against (`report.py`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

# Libraries that an embedded gateway should not pay for before it needs them.
HEAVY = ("httpx", "httpx2", "aiohttp", "genai_prices", "sqlalchemy", "uvicorn")


@dataclass(frozen=True, slots=True)
class Startup:
    """Milliseconds beyond an empty interpreter, and which of `HEAVY` are loaded."""

    milliseconds: float
    loaded: tuple[str, ...]


def startup(times: int = 7) -> Startup:
    """Measures in turns, and takes the best of each: the rest is the machine's noise."""
    empty, full = [], []
    for _ in range(times):
        empty.append(_seconds("pass"))
        full.append(_seconds("import compatgw"))
    listing = f"import sys, compatgw; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return Startup((min(full) - min(empty)) * 1000, tuple(done.stdout.split()))


def _seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start
