"""Who a key belongs to: proved once, found fast after that, and forgotten in time when it is revoked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from compatgw.state.base import Change, Identity, Key, LedgerUnavailable, Plan, Team
from compatgw.state.secrets import Hasher, Minted, mint
from compatgw.state.sql import SqlLedger
from compatgw.state.verify import KeyVerifier, VerifierBusy
from compatgw.state.watch import Watch
from tests.state.making import NOW, Clock, key, team

CHEAP = Hasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
async def store(empty_ledger: Callable[[str], str], clock: Clock) -> AsyncIterator[SqlLedger]:
    """A ledger; what a verifier asks of it is in the contract suite of all back ends."""
    ledger = SqlLedger(empty_ledger("sqlite"), clock=clock)
    yield ledger
    await ledger.aclose()


async def minted(ledger: SqlLedger, **members: Any) -> tuple[Minted, Key]:
    """A key of team `t1` in `ledger`."""
    if await ledger.find(Team, "t1") is None:
        await ledger.add(team())
    made = mint()
    return made, await ledger.add(key(made.id, hash=CHEAP.hash(made.text), hint=made.hint, **members))


def verifier(ledger: Any, clock: Clock, **options: Any) -> KeyVerifier:
    """One that reads the clock of the test."""
    times = {name: options.pop(name) for name in ("fresh", "stale") if name in options}
    given: dict[str, Any] = {"hasher": CHEAP, "clock": clock, "monotonic": clock, **options}
    return KeyVerifier(ledger, Watch(ledger, monotonic=clock, **times), **given)


async def test_a_key_is_proved_once_and_found_after_that(store: SqlLedger, clock: Clock) -> None:
    """The hot path waits for nothing."""
    made, stored = await minted(store)
    one = verifier(store, clock)
    before = one.recall(made.text)
    first = await one.verify(made.text)
    second = one.recall(made.text)
    third = await one.verify(made.text)

    assert before is None
    assert first is not None
    assert first.key == stored
    assert first is second is third
    assert one.proofs == 1


async def test_many_who_come_at_once_with_one_key_wait_for_one_proof(store: SqlLedger, clock: Clock) -> None:
    """A hundred connections after a restart cost one hash."""
    made, _ = await minted(store)
    one = verifier(store, clock)
    found = await asyncio.gather(*[one.verify(made.text) for _ in range(100)])

    assert {identity.key.id for identity in found if identity is not None} == {made.id}
    assert one.proofs == 1


async def test_one_who_leaves_takes_the_proof_from_nobody(store: SqlLedger, clock: Clock) -> None:
    """The first of them may be the one that leaves."""
    made, _ = await minted(store)
    one = verifier(store, clock)
    tasks = [asyncio.create_task(one.verify(made.text)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(results[0], asyncio.CancelledError)
    assert all(isinstance(each, Identity) for each in results[1:])
    assert one.proofs == 1


@pytest.mark.parametrize("wrong", ["", "x" * 10_000, "nul\0", "\ud800"])
async def test_what_is_no_key_costs_no_look_up(clock: Clock, wrong: str) -> None:
    """No ledger is asked: there is none here."""
    assert await verifier(None, clock).verify(wrong) is None


async def test_a_key_that_nobody_has_is_not_looked_up_again_for_a_while(store: SqlLedger, clock: Clock) -> None:
    """Nor is a secret that does not belong to its id hashed again; both may become right later."""
    made, _ = await minted(store)
    one = verifier(store, clock, refused_for=30, fresh=1000)
    unknown, forged = mint(), mint(id=made.id)
    results = [await one.verify(each.text) for each in (unknown, forged, unknown, forged)]
    proofs = one.proofs
    await store.add(key(unknown.id, hash=CHEAP.hash(unknown.text)))
    still = await one.verify(unknown.text)
    clock.now += 31
    later = await one.verify(unknown.text)

    assert results == [None] * 4
    assert proofs == 1
    assert still is None
    assert later is not None


async def test_a_new_key_works_though_it_was_tried_too_early(store: SqlLedger, clock: Clock) -> None:
    """What is refused is asked again once something has changed."""
    made = mint()
    one = verifier(store, clock, refused_for=1000)
    early = await one.verify(made.text)
    await store.add(team())
    await store.add(key(made.id, hash=CHEAP.hash(made.text)))
    clock.now += 3
    late = await one.verify(made.text)

    assert early is None
    assert late is not None


async def test_refusals_that_are_remembered_are_bounded(
    store: SqlLedger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so are keys that were proved."""
    monkeypatch.setattr("compatgw.state.verify._REFUSED", 3)
    monkeypatch.setattr("compatgw.state.verify._REMEMBERED", 3)
    one = verifier(store, clock)
    for _ in range(5):
        await one.verify(mint().text)
        made, _ = await minted(store)
        await one.verify(made.text)

    assert (len(one._refused), len(one._proved)) == (3, 3)


async def test_a_revoked_key_is_seen_to_be_on_every_node_within_the_time_that_is_promised(
    store: SqlLedger, clock: Clock
) -> None:
    """Node 1 at once, node 2 when it looks next, at most `fresh` seconds later; nobody proves anything again."""
    made, stored = await minted(store)
    one, two = verifier(store, clock, fresh=2), verifier(store, clock, fresh=2)
    for each in (one, two):
        await each.verify(made.text)
    await store.change(replace(stored, revoked=clock.now))
    one._watch.forget(made.id)
    here = await one.verify(made.text)
    clock.now += 2.1
    hot = two.recall(made.text)
    there = await two.verify(made.text)

    assert here is not None
    assert there is not None
    assert hot is None
    assert [each.key.standing(clock.now) for each in (here, there)] == ["revoked", "revoked"]
    assert (one.proofs, two.proofs) == (1, 1)


@pytest.mark.parametrize("what", ["team", "plan"])
async def test_what_a_key_leads_to_is_read_again_when_it_changes(store: SqlLedger, clock: Clock, what: str) -> None:
    """A team that is switched off, a plan that is made smaller."""
    plan = await store.add(Plan(id="p", requests=5))
    owner = await store.add(team(plan="p"))
    made, _ = await minted(store)
    one = verifier(store, clock)
    await one.verify(made.text)
    if what == "team":
        await store.change(replace(owner, active=False))
    else:
        await store.change(replace(plan, requests=1))
    clock.now += 3
    found = await one.verify(made.text)

    assert found is not None
    account = found.account
    assert account.plan is not None
    assert (account.team.active, account.plan.requests) == ((False, 5) if what == "team" else (True, 1))


async def test_looking_in_good_time_makes_nobody_wait(store: SqlLedger, clock: Clock) -> None:
    """Past half of the time the ledger is asked in the background, and the key is found all the while."""
    made, _ = await minted(store)
    one = verifier(store, clock, fresh=2)
    # What changed just now is told more than once, and read again each time.
    clock.now += 20
    await one.verify(made.text)
    seen = []
    for _ in range(6):
        clock.now += 1.5
        seen.append(one.recall(made.text))
        await asyncio.gather(*one._watch._looking.values())

    assert None not in seen


async def test_a_rotated_key_and_the_old_one_work_until_the_grace_is_over(store: SqlLedger, clock: Clock) -> None:
    """Then the old one is refused, also where it was remembered."""
    old, stored = await minted(store)
    one = verifier(store, clock, fresh=2)
    await one.verify(old.text)
    new = mint(id=old.id)
    await store.change(replace(stored, hash=CHEAP.hash(new.text), old_hash=stored.hash, old_until=NOW + 60))
    clock.now += 3
    both = [await one.verify(each.text) for each in (old, new)]
    clock.now = NOW + 59.9
    last = await one.verify(old.text)
    hot = one.recall(old.text)
    clock.now = NOW + 60
    over = one.recall(old.text), await one.verify(old.text)
    new_one = await one.verify(new.text)

    assert None not in both
    assert hot is last is not None
    assert over == (None, None)
    assert new_one is not None


async def test_a_key_that_is_proved_meets_a_hash_that_is_unknown(store: SqlLedger, clock: Clock) -> None:
    """Rotated without grace: the old text is proved anew, and is wrong."""
    old, stored = await minted(store)
    one = verifier(store, clock)
    await one.verify(old.text)
    await store.change(replace(stored, hash=CHEAP.hash("another")))
    clock.now += 3

    assert await one.verify(old.text) is None


class Gone:
    """A ledger that can be switched off, and that counts who looks."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self.gone = False
        self.looks = 0

    async def changes(self, cursor: int | None) -> tuple[int, tuple[Change, ...]]:
        """What changed."""
        self.looks += 1
        if self.gone:
            raise LedgerUnavailable("gone")
        return await self._ledger.changes(cursor)

    async def identity(self, id: str) -> Identity | None:
        """All that a key leads to."""
        if self.gone:
            raise LedgerUnavailable("gone")
        return await self._ledger.identity(id)


async def test_known_keys_go_on_for_a_while_when_the_ledger_is_away(store: SqlLedger, clock: Clock) -> None:
    """Unknown ones are told so; after `stale` seconds everybody is; nobody asks at every call."""
    made, _ = await minted(store)
    other, _ = await minted(store)
    ledger = Gone(store)
    one = verifier(ledger, clock, fresh=2, stale=15)
    await one.verify(made.text)
    ledger.gone, ledger.looks = True, 0
    clock.now += 10
    during = [await one.verify(made.text) for _ in range(5)]
    looks = ledger.looks
    with pytest.raises(LedgerUnavailable):
        await one.verify(other.text)
    clock.now += 6
    with pytest.raises(LedgerUnavailable):
        await one.verify(made.text)
    ledger.gone = False
    back = await one.verify(made.text)

    assert None not in during
    assert looks == 1
    assert back is not None


async def test_a_look_in_the_background_that_fails_is_no_news(store: SqlLedger, clock: Clock) -> None:
    """Whoever needs to know is told when it matters."""
    made, _ = await minted(store)
    ledger = Gone(store)
    one = verifier(ledger, clock, fresh=2)
    await one.verify(made.text)
    ledger.gone = True
    clock.now += 1.5

    assert one.recall(made.text) is not None
    await asyncio.wait(one._watch._looking.values())


class Slow(Hasher):
    """Proofs that wait until they are let go."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def matches(self, hashed: str, text: str) -> bool:
        """Waits, and counts who waits with it."""
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.go.wait(10)
        with self._lock:
            self.running -= 1
        return super().matches(hashed, text)


async def test_proofs_of_forged_keys_are_bounded(store: SqlLedger, clock: Clock) -> None:
    """Few at one time, some may wait, the rest is told to come again; keys that are known go on."""
    made, _ = await minted(store)
    slow = Slow()
    one = verifier(store, clock, hasher=slow, parallel=2, waiting=3)
    slow.go.set()
    await one.verify(made.text)
    slow.go.clear()
    tasks = [asyncio.create_task(one.verify(mint(id=made.id).text)) for _ in range(9)]
    done, _ = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    known = one.recall(made.text)
    slow.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert done
    assert known is not None
    assert slow.most <= 2
    assert any(isinstance(each, VerifierBusy) for each in results)
    assert {type(each).__name__ for each in results} == {"VerifierBusy", "NoneType"}


def test_a_loop_for_each_call_works(empty_ledger: Callable[[str], str], clock: Clock) -> None:
    """What was proved in one is known in the next."""
    ledger = SqlLedger(empty_ledger("sqlite"), clock=clock)
    made, _ = asyncio.run(minted(ledger))
    one = verifier(ledger, clock)
    found = [asyncio.run(one.verify(made.text)) for _ in range(3)]
    other, _ = asyncio.run(minted(ledger))

    assert None not in found
    assert one.proofs == 1
    assert asyncio.run(one.verify(other.text)) is not None
    assert len(one._turns) == 1


@pytest.mark.parametrize(
    ("members", "now", "expected"),
    [
        ({}, NOW, "active"),
        ({"expires": NOW + 1}, NOW, "active"),
        ({"expires": NOW}, NOW, "expired"),
        ({"revoked": NOW}, NOW, "revoked"),
        ({"revoked": NOW + 1}, NOW, "active"),
        ({"revoked": NOW, "expires": NOW}, NOW, "revoked"),
    ],
)
def test_a_key_says_how_it_stands(members: dict[str, Any], now: float, expected: str) -> None:
    """Revoked, expired, or active."""
    assert key(**members).standing(now) == expected
