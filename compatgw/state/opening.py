"""From a URL to a back end. Each is imported when it is asked for: a gateway without keys loads none of them.

What does not live here: the back ends.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from compatgw.state.base import CountersLost, LedgerUnavailable
from compatgw.state.loss import GuardedCounters
from compatgw.state.memory import MemoryCounters

if TYPE_CHECKING:
    from compatgw.state.base import Counters, Ledger


def open_ledger(url: str, *, clock: Callable[[], float] = time.time, ids: Callable[[], str] | None = None) -> Ledger:
    """A ledger; it connects with its first use, or with `open`.

    Args:
        url: `sqlite:///file.db` or `postgresql://user:password@host/name`.
        clock: Seconds since 1970.
        ids: Makes a new word at each call. Default: random ones.

    Raises:
        LedgerUnavailable: The URL is none, or what it needs is not installed.
    """
    scheme = url.partition(":")[0].partition("+")[0]
    wanted = {"sqlite": "aiosqlite", "postgres": "asyncpg", "postgresql": "asyncpg"}.get(scheme, "sqlalchemy")
    for library, extra in (("sqlalchemy", "state"), (wanted, "postgres" if wanted == "asyncpg" else "state")):
        if importlib.util.find_spec(library) is None:
            raise LedgerUnavailable(f"A ledger at '{scheme}:' needs {library}: install compatgw[{extra}].")
    from compatgw.state.sql import SqlLedger

    return SqlLedger(url, clock=clock) if ids is None else SqlLedger(url, clock=clock, ids=ids)


def open_counters(
    url: str | None,
    *,
    on_loss: Literal["local", "refuse"] = "local",
    prefix: str = "compatgw",
    monotonic: Callable[[], float] = time.monotonic,
) -> Counters:
    """Counters in memory, or on a server when there is a `url`.

    Args:
        url: `redis://host:6379/0`, `rediss://...`, `unix:///path`.
        on_loss: What happens while the server does not answer.
        prefix: Stands before every name on the server.
        monotonic: Seconds of a clock that never goes back.

    Raises:
        CountersLost: The URL is none, or what it needs is not installed.
    """
    if url is None:
        return MemoryCounters(clock=monotonic)
    if importlib.util.find_spec("redis") is None:
        raise CountersLost("Counters on a server need redis: install compatgw[redis].")
    from compatgw.state.redis import RedisCounters

    return GuardedCounters(RedisCounters(url, prefix=prefix), on_loss, monotonic=monotonic)
