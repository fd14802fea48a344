"""Kept responses in a ledger, on each back end: conversations of turns, what leaves with whom, and when."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import alembic.command
import pytest
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, inspect, select

from compatgw.state import migrations
from compatgw.state.base import BadRecord, Missing, Turn
from compatgw.state.schema import turns
from compatgw.state.sql import SqlLedger
from tests.state.making import NOW, Clock, NewLedger

OWNER = "team t1"


def turn(id: str = "a", **members: Any) -> Turn:
    """A turn of `OWNER` that is kept for an hour."""
    given: dict[str, Any] = {"owner": OWNER, "told": f"told {id}".encode(), "added": id.encode(), "expires": NOW + 3600}
    return Turn(id=id, **{**given, **members})


async def said(ledger: SqlLedger, id: str, owner: str = OWNER) -> str:
    """What the turns of a conversation added, in order."""
    return b"".join([each.added for each in await ledger.conversation(id, owner)]).decode()


async def rows(ledger: SqlLedger) -> int:
    """How many rows there are."""
    session = await ledger._session()
    async with session.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(turns))).scalar() or 0)


async def test_a_turn_comes_back_the_same_to_its_owner_alone(ledger: SqlLedger) -> None:
    """Every member, through the database and back; nobody else reads, ends, attends or deletes it."""
    stored = turn(told=b"\0\xff", ring="k1", working=NOW + 30, created=NOW)
    await ledger.keep_turn(stored)

    assert await ledger.turn("a", OWNER) == stored
    assert await ledger.conversation("a", OWNER) == (stored,)
    for other in ("team t2", ""):
        assert await ledger.turn("a", other) is None
        assert await ledger.conversation("a", other) == ()
        assert await ledger.attend_turn("a", other, NOW) is False
        assert await ledger.forget_turn("a", other) is False
        assert await ledger.end_turn(turn(owner=other)) is False
        with pytest.raises(Missing):
            await ledger.keep_turn(turn("b", owner=other), after="a")
    assert await ledger.turn("a", OWNER) == stored


async def test_another_process_sees_it_and_so_does_the_next_one(new_ledger: NewLedger) -> None:
    """It is the database's."""
    one, other = new_ledger(), new_ledger()
    await one.keep_turn(turn())
    assert await said(other, "a") == "a"
    await one.aclose()
    await other.keep_turn(turn("b"), after="a")
    await other.aclose()

    assert await said(new_ledger(), "b") == "ab"


async def test_a_conversation_branches(ledger: SqlLedger) -> None:
    """Each turn knows its own past, whatever else went on from there; what was told is read of the last alone."""
    await ledger.keep_turn(turn("a"))
    for id, after in (("b", "a"), ("c", "b"), ("d", "a"), ("e", "d")):
        await ledger.keep_turn(turn(id), after=after)

    assert [await said(ledger, id) for id in "abcde"] == ["a", "ab", "abc", "ad", "ade"]
    found = await ledger.conversation("c", OWNER)
    assert [each.told for each in found] == [None, None, b"told c"]
    assert [each.first for each in found] == [True, False, False]
    assert await rows(ledger) == 5


async def test_what_others_go_on_from_leaves_with_the_last_of_them(ledger: SqlLedger) -> None:
    """A turn that is deleted cannot be found nor gone on from; what it added stays for those after it."""
    await ledger.keep_turn(turn("a"))
    for id, after in (("b", "a"), ("c", "b"), ("d", "a")):
        await ledger.keep_turn(turn(id), after=after)

    for id in "ab":
        assert await ledger.forget_turn(id, OWNER) is True
        assert await ledger.forget_turn(id, OWNER) is False
        assert await ledger.turn(id, OWNER) is None
        with pytest.raises(Missing):
            await ledger.keep_turn(turn("x"), after=id)
    assert [each.told for each in await ledger.conversation("c", OWNER)] == [None, None, b"told c"]
    assert await said(ledger, "c") == "abc"
    assert await rows(ledger) == 4

    await ledger.forget_turn("c", OWNER)
    assert await said(ledger, "d") == "ad"
    assert await rows(ledger) == 2
    await ledger.forget_turn("d", OWNER)
    assert await rows(ledger) == 0


async def test_a_turn_ends_with_its_time(ledger: SqlLedger, clock: Clock) -> None:
    """To the moment, before anything is pruned; pruning then takes its words, and all of it when nothing needs it."""
    await ledger.keep_turn(turn("a"))
    clock.now += 1000
    await ledger.keep_turn(turn("b", expires=NOW + 4600), after="a")
    clock.now = NOW + 3599
    assert await said(ledger, "b") == "ab"
    assert await ledger.turn("a", OWNER) is not None
    clock.now = NOW + 3600
    assert await ledger.turn("a", OWNER) is None
    assert await ledger.conversation("a", OWNER) == ()

    clock.now += 1
    assert await ledger.prune(Turn, clock.now) == 1
    assert await ledger.prune(Turn, clock.now) == 0
    assert await said(ledger, "b") == "ab"
    assert (await ledger.conversation("b", OWNER))[0].told is None
    clock.now = NOW + 4601
    assert await ledger.prune(Turn, clock.now) == 1
    assert await rows(ledger) == 0


async def test_pruning_goes_in_steps(ledger: SqlLedger) -> None:
    """So many at a time; a conversation that ended leaves nothing, however long it was."""
    for number in range(7):
        await ledger.keep_turn(turn(f"{number}", expires=NOW - 1), after=f"{number - 1}" if number else None)
    await ledger.keep_turn(turn("other"))

    assert [await ledger.prune(Turn, NOW, 3) for _ in range(4)] == [3, 3, 1, 0]
    assert await rows(ledger) == 1


async def test_an_id_that_comes_again_is_another_turn(ledger: SqlLedger) -> None:
    """Some servers give all their answers one id: the newest is found, and what went on from an older one stays."""
    await ledger.keep_turn(turn("a", added=b"1"))
    await ledger.keep_turn(turn("b"), after="a")
    await ledger.keep_turn(turn("a", added=b"2"))

    assert [await said(ledger, id) for id in "ab"] == ["2", "1b"]
    assert await rows(ledger) == 3


async def test_work_is_attended_until_it_ends(new_ledger: NewLedger) -> None:
    """By whoever does it, in any process; what has ended, or was deleted, is not ended again."""
    one, other = new_ledger(), new_ledger()
    await one.keep_turn(turn(working=NOW + 30))
    assert await one.attend_turn("a", OWNER, NOW + 60) is True
    found = await other.turn("a", OWNER)
    assert found is not None
    assert found.working == NOW + 60

    assert await other.end_turn(turn(told=b"cancelled")) is True
    assert await one.end_turn(turn(told=b"done")) is False
    assert await one.attend_turn("a", OWNER, NOW + 90) is False
    found = await one.turn("a", OWNER)
    assert found is not None
    assert (found.told, found.working, found.expires) == (b"cancelled", None, NOW + 3600)
    await one.keep_turn(turn("b", working=NOW + 30))
    await other.forget_turn("b", OWNER)
    assert await one.end_turn(turn("b")) is False
    assert await one.turn("b", OWNER) is None


async def test_deleting_and_going_on_at_the_same_time_never_breaks_a_conversation(new_ledger: NewLedger) -> None:
    """Either the later turn has all of it, or it is told that the earlier one is gone; nothing is left behind."""
    ledgers = [new_ledger() for _ in range(3)]
    for round in range(8):
        await ledgers[0].keep_turn(turn("a"))
        await ledgers[0].keep_turn(turn("b"), after="a")

        async def go_on(ledger: SqlLedger, id: str) -> None:
            with suppress(Missing):
                await ledger.keep_turn(turn(id), after="b")

        await asyncio.gather(
            *(go_on(ledger, f"c{place}") for place, ledger in enumerate(ledgers)),
            ledgers[round % 3].forget_turn("b", OWNER),
            ledgers[(round + 1) % 3].forget_turn("a", OWNER),
        )
        for place in range(3):
            assert await said(ledgers[0], f"c{place}") in ("", f"abc{place}")
            await ledgers[place].forget_turn(f"c{place}", OWNER)
        assert await rows(ledgers[0]) == 0


@pytest.mark.parametrize(("id", "owner"), [("a\0", OWNER), ("a", "team \0"), ("a", "\ud800"), ("", OWNER)])
async def test_what_no_turn_can_be_called_is_not_there(ledger: SqlLedger, id: str, owner: str) -> None:
    """No back end is asked for it."""
    assert await ledger.turn(id, owner) is None
    assert await ledger.conversation(id, owner) == ()
    assert await ledger.attend_turn(id, owner, NOW) is False
    assert await ledger.forget_turn(id, owner) is False


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (turn("x" * 201), "Turn.id has 201 characters"),
        (turn(""), "Turn.id is empty"),
        (turn(owner="a\0b"), "Turn.owner holds a NUL"),
    ],
    ids=["long", "empty", "nul"],
)
async def test_what_cannot_be_stored_is_refused(ledger: SqlLedger, bad: Turn, words: str) -> None:
    """In the same words on every back end."""
    with pytest.raises(BadRecord, match=words):
        await ledger.keep_turn(bad)


async def test_a_ledger_of_before_gets_the_table_and_can_lose_it_again(new_ledger: NewLedger) -> None:
    """There and back, on each back end."""
    old = new_ledger()
    session = await old._session()

    def go_back(connection: Connection) -> bool:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "0003")
        return inspect(connection).has_table("compatgw_turns")

    async with session.database.write() as connection:
        there = await connection.run_sync(go_back)
    ledger = new_ledger(upgrade=True)
    await ledger.keep_turn(turn())

    assert there is False
    assert await said(ledger, "a") == "a"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.integers(0, 4), st.one_of(st.none(), st.integers(0, 4)), st.integers(1, 4)),
        st.tuples(st.just("forget"), st.integers(0, 4), st.none(), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 2), st.none(), st.just(0)),
        st.tuples(st.just("prune"), st.integers(1, 3), st.none(), st.just(0)),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_is_that_of_whole_copies(sqlite_template: Path, tmp_path: Path, steps: list[Any]) -> None:
    """As if each turn had kept all of its past; when the last has ended, nothing is left."""
    path = tmp_path / "turns.db"
    for each in tmp_path.glob("turns.db*"):
        each.unlink()
    shutil.copy(sqlite_template, path)
    asyncio.run(_played(f"sqlite:///{path}", steps))


async def _played(url: str, steps: list[Any]) -> None:
    clock = Clock()
    ledger = SqlLedger(url, clock=clock)
    # What each name leads to, and when it ends.
    known: dict[str, tuple[str, float]] = {}
    for number, (what, place, before, hours) in enumerate(steps):
        id, after = f"t{place}", None if before is None else f"t{before}"
        if what == "keep":
            word = chr(0x4E00 + number)
            new = turn(id, added=word.encode(), expires=clock.now + hours)
            # Whoever goes on from what bears its own name goes on from what is forgotten.
            if after is not None and (after not in known or after == id):
                with pytest.raises(Missing):
                    await ledger.keep_turn(new, after=after)
            else:
                await ledger.keep_turn(new, after=after)
                known[id] = (known[after][0] if after else "") + word, clock.now + hours
        elif what == "forget":
            assert await ledger.forget_turn(id, OWNER) is (known.pop(id, None) is not None)
        elif what == "wait":
            clock.now += place
        else:
            while await ledger.prune(Turn, clock.now, place) == place:
                pass
            known = {id: found for id, found in known.items() if found[1] >= clock.now}
        for place in range(5):
            text, until = known.get(f"t{place}", ("", 0.0))
            assert await said(ledger, f"t{place}") == (text if until > clock.now else "")
    clock.now += 100
    await ledger.prune(Turn, clock.now)
    assert await rows(ledger) == 0
    await ledger.aclose()
