"""Counters that are lost: limits of this process alone, or a refusal; and back to the shared ones."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.state.base import Bucket, CountersLost, Lease, LedgerUnavailable
from compatgw.state.loss import GuardedCounters
from compatgw.state.memory import MemoryCounters
from compatgw.state.opening import open_counters, open_ledger
from compatgw.state.redis import RedisCounters
from compatgw.state.sql import SqlLedger
from tests.state.making import Clock

BUCKET = Bucket("r", "requests", 2, 3_600_000)


class Leaving(MemoryCounters):
    """Shared counters that can be switched off."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.gone = False
        self.asked = 0

    async def take(self, *args: Any, **options: Any) -> Any:
        self.asked += 1
        if self.gone:
            raise CountersLost("gone")
        return await super().take(*args, **options)

    async def announced(self, cursor: str) -> Any:
        if self.gone:
            raise CountersLost("gone")
        return await super().announced(cursor)

    async def ping(self) -> None:
        if self.gone:
            raise CountersLost("gone")


@pytest.fixture
def shared(clock: Clock) -> Leaving:
    """Counters that can be switched off."""
    return Leaving(clock)


async def test_lost_counters_count_here_and_return(
    shared: Leaving, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once when they go and once when they are back; not asked at every call meanwhile."""
    guarded = GuardedCounters(shared, "local", again=1.0, monotonic=clock)
    before = (await guarded.take("a", [(BUCKET, 1)])).admitted
    shared.gone = True
    during = [(await guarded.take("a", [(BUCKET, 1)])).admitted for _ in range(3)]
    asked, since = shared.asked, guarded.lost_since
    clock.now += 2
    await guarded.take("a", [(BUCKET, 1)])
    shared.gone = False
    clock.now += 2
    after = [(await guarded.take("a", [(BUCKET, 1)])).admitted for _ in range(2)]

    assert (before, during, after) == (True, [True, True, False], [True, False])
    assert asked == 2
    assert since is not None
    assert guarded.lost_since is None
    assert caplog.text.count("of this process alone") == 1
    assert caplog.text.count("answer again") == 1


async def test_lost_counters_refuse_where_that_is_wanted(shared: Leaving, clock: Clock) -> None:
    """Whoever asks answers 503."""
    guarded = GuardedCounters(shared, "refuse", monotonic=clock)
    shared.gone = True

    for _ in range(2):
        with pytest.raises(CountersLost):
            await guarded.take("a", [(BUCKET, 1)])
    with pytest.raises(CountersLost):
        await guarded.announced("5")
    with pytest.raises(CountersLost):
        await guarded.ping()


async def test_who_listens_keeps_the_place_while_the_shared_counters_are_lost(shared: Leaving, clock: Clock) -> None:
    """A cursor of theirs means nothing here."""
    guarded = GuardedCounters(shared, "local", again=0, monotonic=clock)
    await guarded.announce("a")
    cursor, _ = await guarded.announced("")
    shared.gone = True
    same, nothing = await guarded.announced(cursor)
    shared.gone = False
    clock.now += 1
    await guarded.announce("b")

    assert (same, nothing) == (cursor, ())
    assert (await guarded.announced(cursor))[1] == ("b",)


async def test_everything_goes_through(shared: Leaving, clock: Clock) -> None:
    """The guard is counters itself."""
    guarded = GuardedCounters(shared, monotonic=clock)
    lease = Lease("c", 1)
    await guarded.take("a", [(BUCKET, 2)], [lease], "x", ttl=1)
    await guarded.renew("a", [lease], "x", ttl=100)
    clock.now += 50

    assert not (await guarded.take("a", [], [lease], "y")).admitted
    assert (await guarded.settle("a", [(BUCKET, -1)], [lease], "x"))[0].remaining == 1
    assert (await guarded.look("a", [BUCKET]))[0].remaining == 1
    assert await guarded.put("v", b"1", 60)
    assert not await guarded.put("v", b"2", 60, only_new=True)
    assert await guarded.get("v") == b"1"
    assert await guarded.add("v", 2, 60) == 3
    await guarded.drop("v")
    assert await guarded.get("v") is None
    await guarded.ping()
    await guarded.aclose()


# --- from a URL to a back end ---


async def test_a_url_leads_to_its_back_end(redis_url: str, tmp_path: Any) -> None:
    """Without one, counters are in memory."""
    memory, shared = open_counters(None), open_counters(redis_url, on_loss="refuse")
    ledger = open_ledger(f"sqlite:///{tmp_path}/x.db", ids=lambda: "me")

    await shared.ping()
    await shared.aclose()
    assert isinstance(memory, MemoryCounters)
    assert isinstance(shared, GuardedCounters)
    assert isinstance(shared._shared, RedisCounters)
    assert isinstance(ledger, SqlLedger)
    assert ledger.owner == "me"


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an installation has less."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(LedgerUnavailable, match=r"needs sqlalchemy: install compatgw\[state\]"):
        open_ledger("sqlite:///x.db")
    with pytest.raises(CountersLost, match=r"compatgw\[redis\]"):
        open_counters("redis://x")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "asyncpg" else object())
    with pytest.raises(LedgerUnavailable, match=r"needs asyncpg: install compatgw\[postgres\]"):
        open_ledger("postgresql://x/y")


def test_a_url_of_nothing_is_refused() -> None:
    """When it is opened, not when it is used."""
    with pytest.raises(LedgerUnavailable, match="no kind of database"):
        open_ledger("mysql://x/y")
