"""The office without HTTP: who is told of a change, and what happens when something fails in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from compatgw.admin.contention import TRIES
from compatgw.admin.office import Office
from compatgw.errors import Conflict, InvalidRequest, Overloaded
from compatgw.policy.limits import PLANS
from compatgw.state.base import AuditEntry, Changed, Key, LedgerUnavailable, Plan, ProviderSecret, Team
from compatgw.state.secrets import KeyRing, mint
from compatgw.state.sql import SqlLedger
from tests.admin.desk import RING
from tests.state.making import NOW, Clock
from tests.state.making import key as a_key


def quick(text: str) -> str:
    """Stands for a hash where keys are not proved."""
    return f"hash of {len(text)} characters"


def office_of(ledger: SqlLedger, **options: Any) -> Office:
    """An office whose ids count up."""
    numbers = count(1)
    given: dict[str, Any] = {
        "mint": mint,
        "hash": quick,
        "ring": KeyRing.parse(RING),
        "prefix": "cgw-",
        "currency": "EUR",
        "plans": PLANS,
        "clock": Clock(),
        "ids": lambda: f"id{next(numbers)}",
        **options,
    }
    return Office(ledger, **given)


@pytest.fixture
async def url(empty_ledger: Callable[[str], str]) -> str:
    """The URL of an empty ledger on SQLite."""
    return empty_ledger("sqlite")


@pytest.fixture
async def ledger(url: str, clock: Clock) -> AsyncIterator[SqlLedger]:
    """An empty ledger on SQLite."""
    opened = SqlLedger(url, clock=clock)
    yield opened
    await opened.aclose()


async def test_whoever_remembers_is_told_of_every_change(ledger: SqlLedger) -> None:
    """With the id of what it hangs on: a wallet and a provider key belong to their team."""
    told: list[str] = []
    office = office_of(ledger, changed=lambda *ids: told.extend(ids))

    def news() -> list[str]:
        found = list(told)
        told.clear()
        return found

    await office.add_team("acme", "A", by="x")
    assert news() == ["acme"]
    await office.change_team("acme", {"active": False}, by="x")
    assert news() == ["acme"]
    await office.change_team("acme", {"active": False}, by="x")
    assert news() == []
    await office.open_wallet("acme", by="x")
    assert news() == ["acme"]
    await office.topup("acme", Decimal(1), idempotency="i", by="x")
    assert news() == ["acme"]
    await office.topup("acme", Decimal(1), idempotency="i", by="x")
    assert news() == []
    key, _ = await office.mint_key("acme", "k", by="x")
    assert news() == [key.id]
    await office.rotate_key(key.id, by="x")
    assert news() == [key.id]
    await office.revoke_key(key.id, by="x")
    assert news() == [key.id]
    await office.put_plan("gold", requests=1, by="x")
    assert news() == ["gold"]
    await office.remove_plan("gold", by="x")
    assert news() == ["gold"]
    await office.put_provider_key("acme", "anything", "sk-0123456789abcdef", by="x")
    assert news() == ["acme"]
    await office.remove_provider_key("acme", "anything", by="x")
    assert news() == ["acme"]


async def test_what_is_returned_is_what_is_stored(ledger: SqlLedger) -> None:
    """To the last microsecond of a clock that has more."""
    office = office_of(ledger, clock=Clock(NOW + 0.123456789))

    team = await office.add_team("acme", "A", metadata={"a": [1]}, by="x")
    changed = await office.change_team("acme", {"name": "B"}, by="x")
    key, text = await office.mint_key("acme", "k", budget=Decimal("1.5"), expires=NOW + 1.5, by="x")
    plan = await office.put_plan("gold", tokens=5, by="x")
    secret = await office.put_provider_key("acme", "openai", "sk-0123456789abcdef", by="x")

    assert team == replace(changed, name="A", version=1)
    assert await ledger.find(Team, "acme") == changed
    assert await ledger.find(Key, key.id) == key
    assert key.hash == quick(text)
    assert await ledger.find(Plan, "gold") == plan
    assert await ledger.find(ProviderSecret, secret.id) == secret


async def test_a_team_whose_wallet_cannot_be_opened_is_not_active(url: str, clock: Clock) -> None:
    """Its calls would be free; the answer says what is left to do."""

    class Failing(SqlLedger):
        async def open_wallet(self, team: str, currency: str, audit: AuditEntry | None = None) -> Any:
            raise LedgerUnavailable("The database is locked.")

    ledger = Failing(url, clock=clock)
    try:
        with pytest.raises(Overloaded, match="Open the wallet, then switch the team on"):
            await office_of(ledger).add_team("acme", "A", wallet=True, by="x")

        team = await ledger.find(Team, "acme")
    finally:
        await ledger.aclose()
    assert team is not None
    assert team.active is False


async def test_a_record_that_never_rests_is_given_up(url: str, clock: Clock) -> None:
    """After some tries the caller is told to try again, and nothing was changed."""
    tries: list[str] = []

    class Restless(SqlLedger):
        async def change(self, record: Any, audit: AuditEntry | None = None) -> Any:
            tries.append(record.id)
            raise Changed("Somebody else was faster.")

    ledger = Restless(url, clock=clock)
    office = office_of(ledger)
    try:
        await office.add_team("acme", "A", by="x")
        await office.put_provider_key("acme", "openai", "sk-0123456789abcdef", by="x")
        with pytest.raises(Overloaded) as caught:
            await office.change_team("acme", {"name": "B"}, by="x")
        with pytest.raises(Overloaded):
            await office.put_provider_key("acme", "openai", "sk-another-0123456789", by="x")
        newer = office_of(ledger, ring=KeyRing({"k2": b"2" * 32, "k1": b"1" * 32}))
        with pytest.raises(Overloaded):
            await newer.reseal(by="x")
        team = await ledger.find(Team, "acme")
    finally:
        await ledger.aclose()
    assert caught.value.retry_after == 1.0
    assert len(tries) == 3 * TRIES
    assert team is not None
    assert team.name == "A"


async def test_a_plan_that_comes_and_goes_is_given_up(url: str, clock: Clock) -> None:
    """Stored by somebody else at each try, and gone at each look."""

    class Flickering(SqlLedger):
        async def find(self, kind: Any, id: str) -> Any:
            return None if kind is Plan else await super().find(kind, id)

    ledger = Flickering(url, clock=clock)
    try:
        await ledger.add(Plan(id="gold"))
        with pytest.raises(Overloaded):
            await office_of(ledger).put_plan("gold", by="x")
    finally:
        await ledger.aclose()


async def test_a_provider_key_that_goes_while_all_are_sealed_anew_is_passed_over(url: str, clock: Clock) -> None:
    """It was deleted between the look and the change."""

    class Vanishing(SqlLedger):
        async def change(self, record: Any, audit: AuditEntry | None = None) -> Any:
            await self.remove(ProviderSecret, record.id)
            return await super().change(record, audit)

    ledger = Vanishing(url, clock=clock)
    try:
        await office_of(ledger).add_team("acme", "A", by="x")
        await office_of(ledger).put_provider_key("acme", "openai", "sk-0123456789abcdef", by="x")
        newer = office_of(ledger, ring=KeyRing({"k2": b"2" * 32, "k1": b"1" * 32}))
        assert await newer.reseal(by="x") == 0
    finally:
        await ledger.aclose()


async def test_two_keys_are_hashed_at_one_time(ledger: SqlLedger) -> None:
    """Not one, which would be slow, and not all, which would take 64 MiB each."""
    pair, lock = threading.Barrier(2, timeout=20), threading.Lock()
    running, most = 0, 0

    def hash(text: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait()
        with lock:
            running -= 1
        return quick(text)

    office = office_of(ledger, hash=hash)
    await office.add_team("acme", "A", by="x")

    made = await asyncio.gather(*[office.mint_key("acme", f"k{number}", by="x") for number in range(6)])

    assert len({key.id for key, _ in made}) == 6
    assert most == 2


def test_one_office_serves_several_loops(url: str, empty_ledger: Callable[[str], str]) -> None:
    """One after the other, each closed before the next begins, and nothing is kept of those."""
    ledger = SqlLedger(url, clock=Clock())
    office = office_of(ledger)

    async def work(number: int) -> None:
        await office.add_team(f"t{number}", "A", by="x")
        await office.mint_key(f"t{number}", "k", by="x")
        await ledger.aclose()

    with ThreadPoolExecutor(1) as thread:
        for number in range(3):
            thread.submit(asyncio.run, work(number)).result()
    assert len(office._turns) == 1


async def test_whoever_did_it_is_written_down_whatever_its_name_is(ledger: SqlLedger) -> None:
    """A host's own name for a caller may be longer than the log takes, or hold what it does not."""
    await office_of(ledger).add_team("acme", "A", by="o\0ps\ud800" + "x" * 1000)

    (entry,) = (await ledger.page(AuditEntry)).items
    assert entry.by.startswith("ops?x")
    assert len(entry.by) == 200


async def test_an_office_without_a_list_of_providers_takes_any(ledger: SqlLedger) -> None:
    """With a list the others are refused, and the answer names those that there are."""
    await office_of(ledger).add_team("acme", "A", by="x")
    await office_of(ledger).put_provider_key("acme", "some", "sk-0123456789abcdef", by="x")

    with pytest.raises(InvalidRequest, match="It has a, b"):
        await office_of(ledger, providers=("b", "a")).put_provider_key("acme", "c", "sk-0123456789abcdef", by="x")
    with pytest.raises(InvalidRequest, match="It has none"):
        await office_of(ledger, providers=()).put_provider_key("acme", "c", "sk-0123456789abcdef", by="x")


async def test_the_command_line_gets_the_same_refusals(ledger: SqlLedger) -> None:
    """No shapes stand before the office there: rules alone hold, with the member."""
    office = office_of(ledger)
    await office.add_team("acme", "A", by="x")
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("scopes", {"scopes": "chat"}),
        ("models", {"models": "gpt-*"}),
        ("budget", {"budget": 1.5}),
        ("expires", {"expires": NOW}),
        ("period", {"period": "week"}),
        ("requests", {"requests": "5"}),
    ]
    for member, members in wrong:
        with pytest.raises(InvalidRequest) as caught:
            await office.mint_key("acme", "k", by="x", **members)
        assert caught.value.param == member
    with pytest.raises(InvalidRequest, match="There is no member 'hash'"):
        await office.change_key("k", {"hash": "x"}, by="x")
    with pytest.raises(InvalidRequest) as caught:
        await office.topup("acme", 1.5, by="x")  # type: ignore[arg-type]
    assert caught.value.param == "amount"


async def test_money_is_corrected_by_the_command_line_too(ledger: SqlLedger) -> None:
    """The entry says who and why."""
    office = office_of(ledger)
    await office.add_team("acme", "A", wallet=True, by="x")
    await office.topup("acme", Decimal(5), by="x")

    entry = await office.correct("acme", Decimal("-1.5"), note="billed twice", by="cli:root")

    assert (entry.kind, entry.amount, entry.balance) == ("correction", Decimal("-1.5"), Decimal("3.5"))
    assert (entry.by, entry.note) == ("cli:root", "billed twice")


async def test_what_is_many_pages_long_is_looked_through(ledger: SqlLedger) -> None:
    """A key that has a plan is found behind a page of revoked ones; provider keys are sealed anew on every page."""
    office = office_of(ledger)
    await office.put_plan("gold", by="x")
    await office.add_team("acme", "A", by="x")
    await ledger.add(a_key("first", team="acme", plan="gold"))
    for number in range(100):
        await ledger.add(a_key(f"k{number}", team="acme", plan="gold", revoked=NOW))
        await office.put_provider_key("acme", f"p{number}", "sk-0123456789abcdef", by="x")
    await office.put_provider_key("acme", "last", "sk-0123456789abcdef", by="x")

    with pytest.raises(Conflict, match="The key 'first'"):
        await office.remove_plan("gold", by="x")

    later = (f"later{number}" for number in count())
    newer = office_of(ledger, ring=KeyRing({"k2": b"2" * 32, "k1": b"1" * 32}), ids=later.__next__)
    assert await newer.reseal(by="x") == 101
