"""Kept responses in SQL: each is a turn, a row that names the turn before it, so that none holds its whole history.

A turn that was deleted, or whose time is over, loses its name and what was told of it at once. What it added to its
conversation stays as long as a later turn goes on from it, and leaves with the last of these.

What does not live here: what a turn holds, and sealing it (`flow/shelves.py`), connections (`database.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, exists, insert, literal, select, update
from sqlalchemy.exc import IntegrityError

from compatgw.state.base import Duplicate, Missing, Turn
from compatgw.state.schema import turns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

_GONE: dict[str, Any] = {"id": None, "expires": None, "working": None, "told": None}


async def add(connection: AsyncConnection, turn: Turn, after: str | None) -> None:
    """Stores a new turn; one of the same name is forgotten.

    Raises:
        Missing: There is no turn `after` any more. Duplicate: Another is stored under its name right now.
    """
    # Some upstreams give all their answers one id.
    await forget(connection, turn.id, turn.owner)
    previous: int | None = None
    if after is not None:
        # It stays while this transaction lasts, and afterwards because it is gone on from.
        found = select(turns.c.seq).where(*_named(after, turn.owner)).with_for_update(read=True, key_share=True)
        previous = (await connection.execute(found)).scalar()
        if previous is None:
            raise Missing("The turn that this one goes on from is not there any more.")
    values = {"id": turn.id, "owner": turn.owner, "previous": previous, "created": turn.created, **_content(turn)}
    try:
        await connection.execute(insert(turns), {**values, "expires": turn.expires, "working": turn.working})
    except IntegrityError:
        raise Duplicate(f"The turn {turn.id[:80]!r} is stored by somebody else right now.") from None


async def end(connection: AsyncConnection, turn: Turn) -> bool:
    """Puts what a turn came to in its place; False when nobody works on it any more."""
    statement = update(turns).where(*_named(turn.id, turn.owner), turns.c.working.is_not(None))
    return bool((await connection.execute(statement.values(working=None, **_content(turn)))).rowcount)


async def attend(connection: AsyncConnection, id: str, owner: str, until: float) -> bool:
    """Notes that a turn is worked on; False when nobody is to work on it any more."""
    statement = update(turns).where(*_named(id, owner), turns.c.working.is_not(None)).values(working=until)
    return bool((await connection.execute(statement)).rowcount)


async def find(connection: AsyncConnection, id: str, owner: str, now: float) -> Turn | None:
    """A turn, without those before it."""
    rows = await connection.execute(select(turns).where(*_named(id, owner), turns.c.expires > now))
    row = rows.mappings().one_or_none()
    return _turn(row) if row is not None else None


async def conversation(connection: AsyncConnection, id: str, owner: str, now: float) -> tuple[Turn, ...]:
    """A turn and all before it, the first one first; what was told is read of the last alone."""
    last = select(turns.c.seq, turns.c.previous, literal(0).label("back"))
    chain = last.where(*_named(id, owner), turns.c.expires > now).cte("chain", recursive=True)
    before = select(turns.c.seq, turns.c.previous, chain.c.back + 1).join(chain, turns.c.seq == chain.c.previous)
    chain = chain.union_all(before)
    told = case((chain.c.back == 0, turns.c.told), else_=None).label("told")
    columns = [column for column in turns.columns if column.name != "told"]
    rows = await connection.execute(
        select(*columns, told).join(chain, turns.c.seq == chain.c.seq).order_by(chain.c.back.desc())
    )
    return tuple([_turn(row) for row in rows.mappings()])


async def forget(connection: AsyncConnection, id: str, owner: str) -> bool:
    """Deletes a turn; False when there was none."""
    found = select(turns.c.seq).where(*_named(id, owner)).with_for_update()
    place = (await connection.execute(found)).scalar()
    if place is None:
        return False
    await connection.execute(update(turns).where(turns.c.seq == place).values(_GONE))
    await _clear(connection, [place])
    return True


async def prune(connection: AsyncConnection, before: float, limit: int) -> int:
    """Forgets turns whose time was over by then, up to `limit`; how many rows it touched."""
    over = select(turns.c.seq).where(turns.c.expires < before).limit(limit).with_for_update(skip_locked=True)
    places = list((await connection.execute(over)).scalars())
    if not places:
        return 0
    await connection.execute(update(turns).where(turns.c.seq.in_(places)).values(_GONE))
    await _clear(connection, places)
    return len(places)


async def _clear(connection: AsyncConnection, places: Iterable[int]) -> None:
    """Deletes those of `places` that nothing goes on from, and what they alone went on from."""
    later = turns.alias("later")
    while places:
        # Once they are locked nobody begins to go on from them, and the next statement sees what was done before.
        locked = select(turns.c.seq).where(turns.c.seq.in_(places)).order_by(turns.c.seq).with_for_update()
        found = list((await connection.execute(locked)).scalars())
        needed = exists(select(later.c.seq).where(later.c.previous == turns.c.seq))
        idle = turns.c.seq.in_(found) & turns.c.id.is_(None) & ~needed
        gone = delete(turns).where(idle).returning(turns.c.previous)
        places = {place for place in (await connection.execute(gone)).scalars() if place is not None}


def _named(id: str, owner: str) -> tuple[ColumnElement[bool], ...]:
    return turns.c.id == id, turns.c.owner == owner


def _content(turn: Turn) -> dict[str, Any]:
    return {"ring": turn.ring, "told": turn.told, "added": turn.added}


def _turn(row: Any) -> Turn:
    values = dict(row)
    first = values.pop("previous") is None
    del values["seq"]
    values.update(id=values["id"] or "", expires=values["expires"] or 0.0)
    return Turn(**values, first=first)
