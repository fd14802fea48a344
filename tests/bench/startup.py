"""What importing the gateway costs, and what it loads.

What does not live here: the goal that it is held against (`report.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

# Libraries that an embedded gateway should not pay for before it needs them.
HEAVY = ("httpx", "httpx2", "aiohttp", "genai_prices", "sqlalchemy", "uvicorn")


@dataclass(frozen=True, slots=True)
class Startup:
    """What an import costs.

    Attributes:
        milliseconds: Of `from compatgw import Gateway`, beyond an empty interpreter.
        bare: Of `import compatgw` alone, which loads names when they are first used.
        first: Of that name and a first gateway, which loads the rest.
        yardstick: Of `import httpx`, which says how fast the machine is just now.
        loaded: Which of `HEAVY` the first loads.
    """

    milliseconds: float
    bare: float
    first: float
    yardstick: float
    loaded: tuple[str, ...]


def startup(times: int = 7) -> Startup:
    """Measures in turns, and takes the best of each: the rest is the machine's noise."""
    first = "from compatgw import Gateway; Gateway(environ={}, keys=['k'])"
    codes = ("pass", "import compatgw", "from compatgw import Gateway", first, "import httpx")
    for code in codes:
        _seconds(code)  # compiles, as installing would have done
    seconds = [[_seconds(code) for code in codes] for _ in range(times)]
    empty, bare, full, made, yardstick = (min(column) * 1000 for column in zip(*seconds, strict=True))
    listing = f"import sys; {first}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return Startup(full - empty, bare - empty, made - empty, yardstick - empty, tuple(done.stdout.split()))


def _seconds(code: str) -> float:
    compiling = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=compiling)
    return time.perf_counter() - start
