"""Prompts in a ledger, on each back end: labels that are at one version each, versions that are removed, old databases."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import alembic.command
import pytest
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from compatgw.state import migrations
from compatgw.state.base import PROMPTS, BadRecord, Changed, Prompt, SchemaMismatch
from compatgw.state.sql import SqlLedger
from tests.state.making import NOW, Clock, NewLedger, prompt, team

_OLD_ROW = text(
    "INSERT INTO compatgw_prompts (id, name, number, kind, body, labels, created, version) "
    """VALUES ('a', 'greet', 1, 'text', '"Hello"', '["production"]', 1795000000000000, 1)"""
)


async def labels(ledger: SqlLedger, name: str = "greet") -> dict[int, tuple[str, ...]]:
    """The labels of all versions, by number."""
    return {each.number: each.labels for each in (await ledger.page(Prompt, where={"name": name})).items}


async def test_a_label_moves_to_the_version_that_is_added_with_it(ledger: SqlLedger, clock: Clock) -> None:
    """In the same moment; the version that had it says when and by whom, and counts the change."""
    await ledger.add(prompt("a", labels=("production", "kept"), by="ann"))
    await ledger.add(prompt("other", name="other", labels=("production",)))
    clock.now += 5
    await ledger.add(prompt("b", number=2, labels=("production",), by="bob"))

    first, second = await ledger.find(Prompt, "a"), await ledger.find(Prompt, "b")

    assert first is not None
    assert second is not None
    assert (first.labels, first.changed, first.changed_by, first.version) == (("kept",), NOW + 5, "bob", 2)
    assert (second.labels, second.changed, second.changed_by, second.version) == (("production",), None, "", 1)
    assert await labels(ledger, "other") == {1: ("production",)}


async def test_a_label_moves_by_a_change_there_and_back(ledger: SqlLedger, clock: Clock) -> None:
    """Only what moves leaves; a change that is refused moves nothing."""
    one = await ledger.add(prompt("a", labels=("production", "x")))
    two = await ledger.add(prompt("b", number=2, labels=("next",)))
    clock.now += 1
    moved = await ledger.change(replace(two, labels=("next", "production"), changed=clock.now, changed_by="ann"))

    assert await ledger.prompt("greet") == moved
    assert await labels(ledger) == {1: ("x",), 2: ("next", "production")}
    with pytest.raises(Changed):
        await ledger.change(replace(one, labels=("next", "production")))
    assert await labels(ledger) == {1: ("x",), 2: ("next", "production")}
    again = await ledger.find(Prompt, "a")
    assert again is not None
    assert again.changed_by == "ann"
    await ledger.change(replace(again, labels=("production",)))
    assert await labels(ledger) == {1: ("production",), 2: ("next",)}


async def test_many_who_move_one_label_at_the_same_time_leave_it_at_one_version(new_ledger: NewLedger) -> None:
    """Several processes: some are told to read again, and at no time has nobody or more than one the label."""
    ledgers = [new_ledger() for _ in range(4)]
    await ledgers[0].add(prompt("p0", number=1, labels=("production",)))

    async def add(place: int) -> None:
        ledger = ledgers[place % len(ledgers)]
        number = place + 2
        await ledger.add(prompt(f"p{place + 1}", number=number, labels=("production",)))

    async def move(place: int) -> None:
        ledger = ledgers[place % len(ledgers)]
        found = await ledger.find(Prompt, "p0")
        assert found is not None
        try:
            await ledger.change(replace(found, labels=("production",)))
        except Changed:
            return

    async def look(ledger: SqlLedger) -> None:
        assert await ledger.prompt("greet") is not None

    await asyncio.gather(*[task(place) for place in range(8) for task in (add, move)], *map(look, ledgers))

    found = await labels(ledgers[0])
    assert len(found) == 9
    assert sum("production" in each for each in found.values()) == 1


async def test_the_newest_version_is_latest(ledger: SqlLedger) -> None:
    """By its number, whatever its labels and whenever it came."""
    await ledger.add(prompt("b", number=7))
    await ledger.add(prompt("a", number=3, labels=("production",)))
    found = await ledger.prompt("greet", label="latest")
    assert found is not None
    assert found.number == 7


async def test_a_version_that_is_removed_is_not_found_and_its_number_stays_taken(ledger: SqlLedger) -> None:
    """By number, by label, or as the newest; a list can leave it out."""
    one = await ledger.add(prompt("a", labels=("production",)))
    two = await ledger.add(prompt("b", number=2))
    await ledger.change(replace(one, removed=True))
    await ledger.change(replace(two, removed=True, labels=()))

    assert await ledger.prompt("greet") is None
    assert await ledger.prompt("greet", 1) is None
    assert await ledger.prompt("greet", label="latest") is None
    assert (await ledger.page(Prompt, where={"removed": False})).items == ()
    assert len((await ledger.page(Prompt, where={"name": "greet"})).items) == 2


async def test_a_change_of_any_prompt_is_told_under_one_id(new_ledger: NewLedger) -> None:
    """To those who remember prompts by name, beside the record's own id; other records are no prompts."""
    ledger, watching = new_ledger(), new_ledger()
    cursor, _ = await watching.changes(None)
    await ledger.add(team())
    _, changes = await watching.changes(cursor)
    assert PROMPTS not in {change.id for change in changes}
    stored = await ledger.add(prompt("a"))
    _, changes = await watching.changes(cursor)
    assert {PROMPTS, "a"} <= {change.id for change in changes}
    cursor, _ = await watching.changes(None)
    await ledger.remove(Prompt, stored.id)
    _, changes = await watching.changes(cursor)
    assert PROMPTS in {change.id for change in changes}


@pytest.mark.parametrize("version", [2**31 - 1, 999_999_999])
async def test_a_number_that_no_version_has_finds_none(ledger: SqlLedger, version: int) -> None:
    """However large it is."""
    await ledger.add(prompt("a"))
    assert await ledger.prompt("greet", version) is None


@pytest.mark.parametrize("label", ["", "a\0b", "\ud800", "x" * 10_000, '","production","'])
async def test_a_label_that_cannot_be_finds_nothing(ledger: SqlLedger, label: str) -> None:
    """It is looked for as it is."""
    await ledger.add(prompt("a", labels=("production", "x")))
    assert await ledger.prompt("greet", label=label) is None


@pytest.mark.parametrize("label", ["a\0b", "\ud800", "x" * 201])
async def test_a_label_that_cannot_be_stored_is_refused(ledger: SqlLedger, label: str) -> None:
    """By each back end, and nothing moves."""
    await ledger.add(prompt("a", labels=("production",)))
    with pytest.raises(BadRecord):
        await ledger.add(prompt("b", number=2, labels=("production", label)))
    assert await labels(ledger) == {1: ("production",)}


def _copy(template: Path, folder: Path) -> Path:
    return Path(shutil.copy(template, folder / f"{len(list(folder.iterdir()))}.db"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 4), st.sets(st.sampled_from("xyz"))), max_size=12))
async def test_whatever_is_done_each_label_is_where_it_was_put_last(
    sqlite_template: Path, tmp_path: Path, steps: list[tuple[int, set[str]]]
) -> None:
    """Against a model of one line: label to number."""
    ledger = SqlLedger(f"sqlite:///{_copy(sqlite_template, tmp_path)}", clock=Clock())
    where: dict[str, int] = {}
    for number, wanted in steps:
        id = f"p{number}"
        found = await ledger.find(Prompt, id)
        if found is None:
            await ledger.add(prompt(id, number=number, labels=tuple(sorted(wanted))))
        else:
            await ledger.change(replace(found, labels=tuple(sorted(wanted))))
        where = {label: at for label, at in where.items() if at != number} | dict.fromkeys(wanted, number)
    now = await labels(ledger)
    assert {label: number for number, own in now.items() for label in own} == where
    assert sum(map(len, now.values())) == len(where)
    await ledger.aclose()


async def test_prompts_of_an_older_schema_are_there_after_the_upgrade(new_ledger: NewLedger) -> None:
    """With what nobody wrote down then left empty, on each back end."""
    old = new_ledger()
    session = await old._session()

    def go_back(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "0001")

    async with session.database.write() as connection:
        await connection.run_sync(go_back)
        await connection.execute(_OLD_ROW)
    ledger = new_ledger(upgrade=True)
    try:
        with pytest.raises(SchemaMismatch, match="is 0001"):
            await new_ledger(upgrade=False).open()
    finally:
        await ledger.open()

    assert await ledger.prompt("greet") == prompt("a", body='"Hello"', labels=("production",), created=NOW)
    await ledger.add(prompt("b", number=2, labels=("production",), by="ann"))
    assert await labels(ledger) == {1: (), 2: ("production",)}
