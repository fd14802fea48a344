"""Records and lists in SQL: one record, pages of them, sums over usage, what changed, what is too old.

What does not live here: money (`accounts.py`), connections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Boolean, Text, case, delete, func, insert, literal, select, type_coerce, update
from sqlalchemy.exc import IntegrityError

from compatgw.policy.money import from_units
from compatgw.state import turns
from compatgw.state.base import (
    PROMPTS,
    Account,
    AuditEntry,
    BadRecord,
    Change,
    Changed,
    Duplicate,
    Identity,
    Key,
    Missing,
    Page,
    Plan,
    Prompt,
    ProviderSecret,
    Reservation,
    Team,
    Turn,
    UsageRow,
    UsageTotal,
)
from compatgw.state.schema import (
    MICRO,
    TABLES,
    TIMES,
    Fields,
    Instant,
    Money,
    Words,
    changes,
    keys,
    prompts,
    reservations,
    secrets,
    usage,
    wallets,
)
from compatgw.wire.prompts import LATEST

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from compatgw.state.base import Grouping, Listed, Stored

_MOST_GROUPS = 10_000
_HOUR = 3_600_000_000
_DAY = 24 * _HOUR
_SUMS = ("input", "cached", "output", "reasoning", "cost", "charge")
_FAILED = usage.c.status >= 400
# Longer than any of our transactions takes: what was told within it is told again, because a row that
# was numbered earlier may have been committed later.
_OVERLAP = 10.0
# What stands for no value that one could ask for.
_OPAQUE = (Words, Fields, Money, Instant)
REMOVABLE = (Plan, ProviderSecret, Prompt)
PRUNED: Mapping[type, str] = MappingProxyType({UsageRow: "at", AuditEntry: "at"})


def record_of(kind: type[Any], row: Any) -> Any:
    """A row of the kind's table as a record."""
    values = dict(row)
    values.pop("seq", None)
    return kind(**values)


async def add(connection: AsyncConnection, record: Stored, now: float) -> None:
    """Stores a new record and notes the change.

    Raises:
        Duplicate, Missing: By what the database says.
    """
    if isinstance(record, Prompt):
        await _take_labels(connection, record, now)
    try:
        await connection.execute(insert(TABLES[type(record)]), asdict(record))
    except IntegrityError as error:
        raise _refusal(record, error) from None
    await _note_record(connection, record, now)


async def change(connection: AsyncConnection, record: Stored, now: float) -> Stored:
    """Replaces a record of the same version.

    Raises:
        Missing, Changed, Duplicate: It was not replaced.
    """
    kind = type(record)
    table = TABLES[kind]
    if isinstance(record, Prompt):
        await _take_labels(connection, record, now)
    after = replace(record, version=record.version + 1)
    values = {name: value for name, value in asdict(after).items() if name not in ("id", "created")}
    statement = update(table).where(table.c.id == record.id, table.c.version == record.version).values(values)
    try:
        done = await connection.execute(statement)
    except IntegrityError as error:
        raise _refusal(record, error) from None
    if done.rowcount == 0:
        there = (await connection.execute(select(table.c.version).where(table.c.id == record.id))).scalar()
        if there is None:
            raise Missing(f"There is no {kind.__name__} {record.id[:80]!r}.")
        raise Changed(
            f"The {kind.__name__} {record.id[:80]!r} has version {there}, and the change was made to version "
            f"{record.version}. Read it again and repeat the change."
        )
    await _note_record(connection, record, now)
    return after


async def remove(connection: AsyncConnection, kind: type[Stored], id: str, now: float) -> bool:
    """Deletes a record; False when there was none."""
    found = await find(connection, kind, id)
    if found is None:
        return False
    table = TABLES[kind]
    if not (await connection.execute(delete(table).where(table.c.id == id))).rowcount:
        return False
    await _note_record(connection, found, now)
    return True


async def find(connection: AsyncConnection, kind: type[Stored], id: str) -> Stored | None:
    """The record of that id."""
    table = TABLES[kind]
    row = (await connection.execute(select(table).where(table.c.id == id))).mappings().one_or_none()
    found: Stored | None = record_of(kind, row) if row is not None else None
    return found


async def page(
    connection: AsyncConnection, kind: type[Listed], where: Mapping[str, object], cursor: str | None, limit: int
) -> Page[Listed]:
    """Some records, the newest first.

    Raises:
        BadRecord: A field or a cursor that does not exist.
    """
    if not 1 <= limit <= 1000:
        raise BadRecord(f"limit: {limit} is not from 1 to 1000.")
    table = TABLES[kind]
    statement = select(table).where(*_conditions(kind, where)).order_by(table.c.seq.desc()).limit(limit + 1)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
            raise BadRecord(f"cursor: {cursor[:40]!r} was not given out with a page. Leave it out to begin anew.")
        statement = statement.where(table.c.seq < int(cursor))
    rows = (await connection.execute(statement)).mappings().all()
    shown = rows[:limit]
    return Page(tuple(record_of(kind, row) for row in shown), str(shown[-1]["seq"]) if len(rows) > limit else None)


def _conditions(kind: type[Any], where: Mapping[str, object]) -> list[ColumnElement[bool]]:
    table = TABLES[kind]
    time = table.c[TIMES.get(kind, "created")]
    found: list[ColumnElement[bool]] = []
    for field, value in where.items():
        if field in ("since", "until"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise BadRecord(f"{field}: {value!r} is no time. Give seconds since 1970.")
            found.append(time >= value if field == "since" else time < value)
            continue
        if field == "failed" and kind is UsageRow:
            if not isinstance(value, bool):
                raise BadRecord(f"failed: {value!r} is neither true nor false.")
            found.append(_FAILED if value else ~_FAILED)
            continue
        column = table.c.get(field)
        if column is None or field == "seq" or isinstance(column.type, _OPAQUE):
            raise BadRecord(f"{kind.__name__} cannot be filtered by {field[:40]!r}.")
        if value is not None and not isinstance(value, _python_type(column.type)):
            raise BadRecord(f"{field}: {value!r} is no value of that field.")
        found.append(column.is_(None) if value is None else column == value)
    return found


def _python_type(kind: Any) -> type:
    return bool if isinstance(kind, Boolean) else str if isinstance(kind, Text) else kind.python_type


async def identity(connection: AsyncConnection, id: str) -> Identity | None:
    """A key with its team and what belongs to both."""
    row = (await connection.execute(select(keys).where(keys.c.id == id))).mappings().one_or_none()
    if row is None:
        return None
    key: Key = record_of(Key, row)
    found = await account(connection, key.team)
    if found is None:
        return None
    return Identity(key=key, account=found, plan=await find(connection, Plan, key.plan) if key.plan else None)


async def account(connection: AsyncConnection, id: str) -> Account | None:
    """A team with its plan, its own provider keys, and whether it has a wallet."""
    team = await find(connection, Team, id)
    if team is None:
        return None
    sealed = await connection.execute(select(secrets).where(secrets.c.team == id).order_by(secrets.c.provider))
    own = tuple([record_of(ProviderSecret, row) for row in sealed.mappings()])
    paid = (await connection.execute(select(wallets.c.team).where(wallets.c.team == id))).scalar() is not None
    plan = await find(connection, Plan, team.plan) if team.plan else None
    return Account(team=team, plan=plan, wallet=paid, secrets=own)


async def prompt(connection: AsyncConnection, name: str, number: int | None, label: str) -> Prompt | None:
    """A prompt by number or label."""
    there = (prompts.c.name == name) & prompts.c.removed.is_(False)
    if number is None:
        # Bodies may be large, and there may be many: only the one that is meant is read.
        rows = await connection.execute(
            select(prompts.c.number, prompts.c.labels).where(there).order_by(prompts.c.number.desc())
        )
        number = next((each for each, labels in rows if label in (LATEST, *labels)), None)
        if number is None:
            return None
    row = (await connection.execute(select(prompts).where(there, prompts.c.number == number))).mappings().one_or_none()
    found: Prompt | None = record_of(Prompt, row) if row is not None else None
    return found


async def _take_labels(connection: AsyncConnection, prompt: Prompt, now: float) -> None:
    """Takes the labels of `prompt` off all other versions of its name: each is at one of them at any moment."""
    if connection.dialect.name == "postgresql":
        # Two who move a label at the same time would not see each other's row. SQLite has one writer anyhow.
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(literal(prompt.name), 0))))
    if not prompt.labels:
        return
    others = select(prompts.c.id, prompts.c.labels).where(prompts.c.name == prompt.name, prompts.c.id != prompt.id)
    for id, labels in (await connection.execute(others)).all():
        kept = tuple(label for label in labels if label not in prompt.labels)
        if kept != labels:
            values = {"labels": kept, "changed": now, "changed_by": prompt.changed_by or prompt.by}
            statement = update(prompts).where(prompts.c.id == id)
            await connection.execute(statement.values(**values, version=prompts.c.version + 1))


async def _note_record(connection: AsyncConnection, record: Stored, now: float) -> None:
    await note(connection, type(record).__name__, record.id, now)
    if isinstance(record, ProviderSecret):
        # It is part of what its team leads to.
        await note(connection, "Team", record.team, now)
    if isinstance(record, Prompt):
        await note(connection, "Prompt", PROMPTS, now)


async def note(connection: AsyncConnection, kind: str, id: str, now: float) -> None:
    """Notes a change, for all processes to see."""
    await connection.execute(insert(changes), {"kind": kind, "id": id, "at": now})


async def changes_after(connection: AsyncConnection, cursor: int | None, now: float) -> tuple[int, tuple[Change, ...]]:
    """What changed after `cursor`, and the next cursor."""
    settled = select(func.max(changes.c.seq)).where(changes.c.at <= now - _OVERLAP)
    upto = (await connection.execute(settled)).scalar() or 0
    if cursor is None:
        return upto, ()
    rows = await connection.execute(select(changes.c.kind, changes.c.id).where(changes.c.seq > cursor))
    return max(cursor, upto), tuple(Change(kind, id) for kind, id in sorted({(kind, id) for kind, id in rows}))


async def totals(
    connection: AsyncConnection, group: Sequence[Grouping], where: Mapping[str, object], *, percentiles: bool
) -> tuple[UsageTotal, ...]:
    """Sums over usage.

    Raises:
        BadRecord: A field that does not exist.
    """
    at = type_coerce(usage.c.at, BigInteger)
    fields: dict[str, ColumnElement[Any]] = {
        "hour": at // _HOUR,
        "day": at // _DAY,
        **{name: usage.c[name] for name in ("model", "team", "key", "provider", "endpoint", "code")},
    }
    for name in group:
        if name not in fields:
            raise BadRecord(f"Usage cannot be grouped by {name!r}. Choose of {', '.join(fields)}.")
    by = [fields[name].label(f"by_{name}") for name in group]
    failed = case((_FAILED, 1), else_=0).label("failed")
    sums = [type_coerce(usage.c[name], BigInteger).label(name) for name in _SUMS]
    seen = [*by, failed, *sums]
    if percentiles:
        latency = type_coerce(usage.c.latency, BigInteger).label("latency")
        # The share of calls, answered or failed, that took no longer: what both back ends can tell.
        seen += [latency, func.cume_dist().over(partition_by=[*by, failed], order_by=latency).label("rank")]
    calls = select(*seen).where(*_conditions(UsageRow, where)).subquery()
    told = [func.count(), func.sum(calls.c.failed), *[func.sum(calls.c[name]) for name in _SUMS]]
    if percentiles:
        answered = calls.c.failed == 0
        told += [func.min(case((answered & (calls.c.rank >= share), calls.c.latency))) for share in (0.5, 0.95)]
    places = [calls.c[f"by_{name}"] for name in group]
    statement = select(*places, *told).group_by(*places).order_by(*places).limit(_MOST_GROUPS)
    return tuple(_total(group, row) for row in await connection.execute(statement) if row[len(group)])


def _total(group: Sequence[Grouping], row: Sequence[Any]) -> UsageTotal:
    width = len(group)
    names = [_told(name, value) for name, value in zip(group, row[:width], strict=True)]
    calls, failed, taken, cached, given, reasoning = (int(value or 0) for value in row[width : width + 6])
    cost, charge = (from_units(int(value or 0)) for value in row[width + 6 : width + 8])
    p50, p95 = (None if value is None else int(value) / MICRO for value in row[width + 8 :] or (None, None))
    return UsageTotal(
        group=tuple(names),
        calls=calls,
        failed=failed,
        input=taken,
        cached=cached,
        output=given,
        reasoning=reasoning,
        cost=cost,
        charge=charge,
        p50=p50,
        p95=p95,
    )


def _told(name: Grouping, value: Any) -> str:
    if name == "day":
        return datetime.fromtimestamp(int(value) * 86_400, UTC).strftime("%Y-%m-%d")
    if name == "hour":
        return datetime.fromtimestamp(int(value) * 3600, UTC).strftime("%Y-%m-%dT%H:00:00Z")
    return str(value)


async def prune(connection: AsyncConnection, kind: type[Any], before: float, limit: int) -> int:
    """Deletes some of the oldest rows; how many.

    Raises:
        BadRecord: Rows of that kind are kept.
    """
    if kind is Turn:
        return await turns.prune(connection, before, limit)
    if kind is Reservation:
        table, key, old = reservations, reservations.c.id, reservations.c.closed < before
        old &= reservations.c.state != "open"
    elif (field := PRUNED.get(kind)) is not None:
        table = TABLES[kind]
        key, old = table.c.seq, table.c[field] < before
    else:
        raise BadRecord(f"{kind.__name__} records are kept for good.")
    return await _delete(connection, table, key, old, limit)


async def forget_changes(connection: AsyncConnection, before: float) -> None:
    """Deletes notes of changes that every process has seen long ago; the newest stays, it is where cursors begin."""
    newest = select(func.max(changes.c.seq)).scalar_subquery()
    await _delete(connection, changes, changes.c.seq, (changes.c.at < before) & (changes.c.seq < newest), 1000)


async def _delete(
    connection: AsyncConnection, table: Table, key: ColumnElement[Any], old: ColumnElement[bool], limit: int
) -> int:
    # SQLite deletes with a limit only where it was built to.
    chosen = select(key).where(old).limit(limit)
    return (await connection.execute(delete(table).where(key.in_(chosen)))).rowcount


def _refusal(record: Any, error: IntegrityError) -> Duplicate | Missing:
    """What the database minds, in our words; its own would show the values."""
    what = f"{type(record).__name__} {record.id[:80]!r}"
    if lacks_parent(error):
        return Missing(f"{what} names a team that does not exist. Add the team first.")
    if isinstance(record, Prompt):
        return Duplicate(f"{what}: version {record.number} of {record.name[:80]!r} exists, or its id is taken.")
    if isinstance(record, ProviderSecret):
        return Duplicate(f"{what}: the team has a key at {record.provider[:80]!r} already, or the id is taken.")
    return Duplicate(f"{what} exists already. Choose another id, or change that one.")


def lacks_parent(error: IntegrityError) -> bool:
    """True when a row names another that does not exist; else what must be unique is taken."""
    return getattr(error.orig, "sqlstate", None) == "23503" or "FOREIGN KEY" in str(error.orig)
