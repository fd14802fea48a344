"""Records of the ledger, on every back end: what is stored comes back, two changes never overwrite each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from compatgw.state.base import (
    Account,
    AuditEntry,
    BadRecord,
    Change,
    Changed,
    Duplicate,
    Entry,
    Identity,
    Key,
    LedgerUnavailable,
    Missing,
    Plan,
    ProviderSecret,
    Reservation,
    Team,
    UsageRow,
)
from compatgw.state.sql import SqlLedger
from tests.state.making import NOW, Clock, NewLedger, key, money, paid, prompt, secret, team, used

RECORDS: list[Any] = [
    team("t2", active=False, models=("openai/*", "é"), plan="starter", byok_fallback=True, metadata={"a": [1, None]}),
    Plan(id="big", requests=10, tokens=None, concurrency=3),
    key(
        old_hash="older",
        old_until=NOW + 5,
        scopes=("chat",),
        models=(),
        plan="big",
        requests=1,
        tokens=2,
        concurrency=3,
        budget=Decimal("12.345678901"),
        period="month",
        expires=NOW + 0.123456,
        revoked=NOW,
        metadata={"ü": "\u2028"},
    ),
    secret(),
    prompt(labels=("production", "x")),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
async def test_what_is_stored_comes_back_the_same(ledger: SqlLedger, record: Any) -> None:
    """Every member of every kind, through the database and back."""
    await ledger.add(team())
    stored = await ledger.add(record)

    assert stored == replace(record, created=NOW, version=1)
    assert await ledger.find(type(record), record.id) == stored
    assert (await ledger.page(type(record), limit=1)).items == (stored,)


async def test_a_change_replaces_the_version_that_was_read_and_no_other(ledger: SqlLedger) -> None:
    """The second of two who read the same version is told to read again."""
    first = await ledger.add(team())
    second = await ledger.change(replace(first, name="new", active=False))

    assert (second.version, second.name, second.active) == (2, "new", False)
    assert await ledger.find(Team, "t1") == second
    with pytest.raises(Changed, match="version 2"):
        await ledger.change(replace(first, name="other"))
    assert await ledger.find(Team, "t1") == second


async def test_of_two_changes_at_the_same_time_one_wins(new_ledger: NewLedger) -> None:
    """Two processes, one row."""
    one, two = new_ledger(), new_ledger()
    first = await one.add(team())

    results = await asyncio.gather(
        one.change(replace(first, name="a")), two.change(replace(first, name="b")), return_exceptions=True
    )

    assert sorted(type(result).__name__ for result in results) == ["Changed", "Team"]


async def test_what_is_not_there_is_missing(ledger: SqlLedger) -> None:
    """For reading None, for changing an error."""
    assert await ledger.find(Team, "nobody") is None
    assert await ledger.identity("nobody") is None
    assert await ledger.wallet("nobody") is None
    with pytest.raises(Missing, match="no Team"):
        await ledger.change(team("nobody"))
    with pytest.raises(Missing, match="names a team that does not exist"):
        await ledger.add(key(team="nobody"))
    with pytest.raises(Missing, match="no team"):
        await ledger.open_wallet("nobody", "USD")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (team("t2"), team("t2"), "exists already"),
        (secret("a"), secret("b"), "has a key at 'openai'"),
        (prompt("a"), prompt("b"), "version 1 of 'greet'"),
        (Plan(id="p"), Plan(id="p"), "exists already"),
    ],
    ids=["team", "secret", "prompt", "plan"],
)
async def test_what_must_be_unique_is(ledger: SqlLedger, first: Any, second: Any, words: str) -> None:
    """Ids, a team's provider, a prompt's version."""
    await ledger.add(team())
    await ledger.add(first)

    with pytest.raises(Duplicate, match=words):
        await ledger.add(second)


async def test_a_change_may_not_take_what_is_taken(ledger: SqlLedger) -> None:
    """Uniqueness holds for changes, too."""
    await ledger.add(prompt("a"))
    other = await ledger.add(prompt("b", number=2))

    with pytest.raises(Duplicate):
        await ledger.change(replace(other, number=1))


async def test_what_has_no_history_can_be_removed(ledger: SqlLedger) -> None:
    """Plans, sealed keys and prompts; teams and keys are switched off instead."""
    await ledger.add(team())
    await ledger.add(secret())

    assert await ledger.remove(ProviderSecret, "s1") is True
    assert await ledger.remove(ProviderSecret, "s1") is False
    assert await ledger.remove(ProviderSecret, "\0") is False
    assert await ledger.find(ProviderSecret, "s1") is None
    with pytest.raises(BadRecord, match="not deleted"):
        await ledger.remove(Team, "t1")
    with pytest.raises(BadRecord, match="not deleted"):
        await ledger.remove(Key, "k1")


BAD: list[tuple[Any, str]] = [
    (team("x" * 201), "Team.id has 201 characters"),
    (team(""), "Team.id is empty"),
    (team(plan="a\0b"), "Team.plan holds a NUL at position 1"),
    (replace(team(), name="a\0"), "Team.name holds a NUL"),
    (replace(team(), name="\ud800"), "Team.name holds half a character"),
    (replace(team(), name=""), "Team.name is empty"),
    (replace(team(), name=None), "Team.name is missing"),  # type: ignore[arg-type]
    (replace(team(), name=7), "Team.name is not a text"),  # type: ignore[arg-type]
    (team(models=("ok", "x" * 300)), r"Team.models\[1\] has 300"),
    (team(models=("x",) * 1001), "Team.models has 1001 items"),
    (team(active=1), "Team.active: 1 is neither"),
    (team(metadata={"a": object()}), "Team.metadata is not JSON"),
    (team(metadata={"a": "x" * 70_000}), "bytes of JSON"),
    (team(metadata=[]), "Team.metadata is not an object"),
    (Plan(id="p", requests=-1), "Plan.requests: -1"),
    (Plan(id="p", tokens=10**12), "Plan.tokens"),
    (Plan(id="p", tokens=True), "Plan.tokens"),
    (key(budget=Decimal("1e30")), "Key.budget"),
    (key(budget=Decimal("NaN")), "Key.budget"),
    (key(budget=1.5), "Key.budget: 1.5 is not an exact number"),
    (key(expires=-1.0), "Key.expires"),
    (key(expires=float("inf")), "Key.expires"),
    (key(expires=float("nan")), "Key.expires"),
    (secret(sealed=b"x" * 1_000_001), "ProviderSecret.sealed has"),
    (secret(last4="x" * 9), "ProviderSecret.last4 has 9"),
    (prompt(body="x" * 1_000_001), "Prompt.body has"),
]


@pytest.mark.parametrize(("record", "words"), BAD, ids=[words for _, words in BAD])
async def test_what_cannot_be_stored_is_refused_in_words_before_it_is_tried(
    ledger: SqlLedger, record: Any, words: str
) -> None:
    """NUL, half characters, 10,000 characters, no amounts: the same on every back end."""
    await ledger.add(team("t0"))

    with pytest.raises(BadRecord, match=words):
        await ledger.add(record)


@pytest.mark.parametrize("id", ["", "\0", "x" * 10_000, "\ud800"])
async def test_an_id_that_cannot_exist_is_just_not_there(ledger: SqlLedger, id: str) -> None:
    """Whoever sends a 10,000-character key, or NUL, gets the answer of any unknown one."""
    assert await ledger.identity(id) is None
    assert await ledger.find(Key, id) is None
    assert await ledger.wallet(id) is None
    assert await ledger.prompt(id) is None


async def test_pages_are_complete_and_newest_first(ledger: SqlLedger) -> None:
    """Records that come meanwhile neither shift a page nor double a row."""
    await ledger.add(team())
    for number in range(7):
        await ledger.add(key(f"k{number}", name="odd" if number % 2 else "even"))

    first = await ledger.page(Key, limit=3)
    await ledger.add(key("late"))
    second = await ledger.page(Key, limit=3, cursor=first.cursor)
    third = await ledger.page(Key, limit=3, cursor=second.cursor)

    found = [each.id for page in (first, second, third) for each in page.items]
    assert found == ["k6", "k5", "k4", "k3", "k2", "k1", "k0"]
    assert third.cursor is None
    odd = await ledger.page(Key, where={"name": "odd", "team": "t1"})
    assert [each.id for each in odd.items] == ["k5", "k3", "k1"]


async def test_pages_are_filtered_by_time_and_by_nothing(ledger: SqlLedger, clock: Clock) -> None:
    """From `since`, before `until`; None asks for no value."""
    for number in range(3):
        clock.now = NOW + number
        await ledger.add(team(f"t{number}", plan="starter" if number else None))

    found = await ledger.page(Team, where={"since": NOW + 1, "until": NOW + 2})
    none = await ledger.page(Team, where={"plan": None, "active": True})

    assert [each.id for each in found.items] == ["t1"]
    assert [each.id for each in none.items] == ["t0"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"where": {"nonsense": 1}}, "cannot be filtered by 'nonsense'"),
        ({"where": {"seq": 1}}, "cannot be filtered"),
        ({"where": {"hash; DROP TABLE": 1}}, "cannot be filtered"),
        ({"where": {"budget": Decimal(1)}}, "cannot be filtered"),
        ({"where": {"team": 5}}, "no value of that field"),
        ({"where": {"team": "\0"}}, "holds a NUL"),
        ({"where": {"since": "yesterday"}}, "no time"),
        ({"cursor": "'; DROP TABLE"}, "cursor"),
        ({"cursor": "9" * 30}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused(ledger: SqlLedger, asked: dict[str, Any], words: str) -> None:
    """Filters and cursors come from callers."""
    with pytest.raises(BadRecord, match=words):
        await ledger.page(Key, **asked)


async def test_a_key_leads_to_all_that_it_means(ledger: SqlLedger) -> None:
    """Key, team, both plans, and whether the team pays from a wallet."""
    plans = [await ledger.add(Plan(id=id, requests=n)) for n, id in enumerate(("of-team", "of-key"), 1)]
    owner = await ledger.add(team(plan="of-team"))
    own = await ledger.add(key(plan="of-key"))

    before = await ledger.identity("k1")
    await ledger.open_wallet("t1", "USD")
    after = await ledger.identity("k1")

    assert before is not None
    assert after is not None
    assert before == Identity(key=own, account=Account(team=owner, plan=plans[0]), plan=plans[1])
    assert after.account.wallet is True


async def test_a_team_leads_to_its_own_provider_keys(ledger: SqlLedger) -> None:
    """And whoever has remembered the team is told when one comes or goes."""
    await ledger.add(team())
    cursor, _ = await ledger.changes(None)
    own = await ledger.add(secret())
    found = await ledger.account("t1")
    cursor, added = await ledger.changes(cursor)
    await ledger.remove(ProviderSecret, own.id)
    _, removed = await ledger.changes(cursor)

    assert found is not None
    assert found.secrets == (own,)
    assert await ledger.account("nobody") is None
    assert all(Change("Team", "t1") in told for told in (added, removed))


async def test_plans_that_are_not_stored_are_none(ledger: SqlLedger) -> None:
    """Those that every gateway knows are found by `policy/limits.py`."""
    await ledger.add(team(plan="starter"))
    await ledger.add(key())

    found = await ledger.identity("k1")

    assert found is not None
    assert (found.account.plan, found.plan) == (None, None)


async def test_prompts_are_found_by_number_or_label(ledger: SqlLedger) -> None:
    """The newest that has the label; `production` unless said otherwise."""
    stored = [
        await ledger.add(prompt("a", number=1, labels=("production",))),
        await ledger.add(prompt("b", number=2, labels=("production", "next"))),
        await ledger.add(prompt("c", number=3)),
    ]

    assert await ledger.prompt("greet") == stored[1]
    assert await ledger.prompt("greet", 3) == stored[2]
    assert await ledger.prompt("greet", label="next") == stored[1]
    assert await ledger.prompt("greet", label="gone") is None
    assert await ledger.prompt("greet", 9) is None
    assert await ledger.prompt("other") is None


async def test_what_changes_is_told_to_other_processes(new_ledger: NewLedger, clock: Clock) -> None:
    """At least once, also what commits late; and after a while no more."""
    one, two = new_ledger(), new_ledger()
    cursor, nothing = await two.changes(None)
    added = await one.add(team())
    await one.change(replace(added, active=False))
    await one.add(key())
    await one.open_wallet("t1", "USD")

    cursor, told = await two.changes(cursor)
    _, again = await two.changes(cursor)
    clock.now += 11
    cursor, last = await two.changes(cursor)
    _, none = await two.changes(cursor)

    assert nothing == ()
    assert set(told) == {Change("Team", "t1"), Change("Key", "k1")}
    assert told == again == last
    assert none == ()


async def test_a_change_and_its_audit_entry_are_one(ledger: SqlLedger) -> None:
    """Who, what, before and after; and none for a change that failed."""
    entry = AuditEntry(id="a1", at=NOW, by="ann", action="create", kind="Team", subject="t1", after="{}")
    await ledger.add(team(), entry)
    with pytest.raises(Duplicate):
        await ledger.add(team(), replace(entry, id="a2"))
    await ledger.open_wallet("t1", "USD")
    for _ in range(2):
        await ledger.topup("t1", Decimal(1), idempotency="once", audit=replace(entry, id="a3"))

    assert [each.id for each in (await ledger.page(AuditEntry)).items] == ["a3", "a1"]
    assert (await ledger.page(AuditEntry, where={"by": "ann", "action": "create"})).items[-1] == entry


async def test_old_rows_are_deleted_in_batches_and_money_never(ledger: SqlLedger, clock: Clock) -> None:
    """Usage, audit, closed reservations; entries are for good."""
    await paid(ledger)
    for number in range(5):
        await ledger.reserve(f"r{number}", "t1", Decimal(1), ttl=60)
    for number in range(4):
        await ledger.settle(f"r{number}", Decimal("0.5"), used(f"u{number}", at=NOW + number))
    clock.now += 100

    assert [await ledger.prune(UsageRow, NOW + 3, 2) for _ in range(3)] == [2, 1, 0]
    assert await ledger.prune(Reservation, NOW + 50) == 4
    assert await ledger.prune(AuditEntry, NOW + 50) == 0
    with pytest.raises(BadRecord, match="kept for good"):
        await ledger.prune(Entry, NOW + 50)
    assert (await ledger.settle("r4", Decimal(1))).charged == money("1")
    assert len((await ledger.page(Entry)).items) == 6


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "database URL"),
        ("nonsense", "database URL"),
        ("mysql://u:secret@h/n", "no kind of database"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
    ],
)
def test_a_url_that_is_no_place_for_a_ledger_is_refused_at_once(url: str, words: str) -> None:
    """With the two forms that are, and without its password."""
    with pytest.raises(LedgerUnavailable, match=words) as caught:
        SqlLedger(url)
    assert "sqlite:///compatgw.db" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_reprs_show_no_hash_and_nothing_sealed() -> None:
    """They end up in logs."""
    assert "no real hash" not in repr(key())
    assert "sealed" not in repr(secret())
