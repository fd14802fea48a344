"""Whether a value can be stored: every back end refuses the same things, in the same words, before it writes.

PostgreSQL takes no NUL, neither takes half a surrogate pair, SQLite takes texts of any length where
PostgreSQL does not. A record that one back end would take and another not is refused by both.

What does not live here: what a value means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, String, Text

from compatgw.policy.limits import MOST_UNITS
from compatgw.policy.money import amount
from compatgw.state.base import BadRecord
from compatgw.state.schema import NAME, TABLES, Fields, Instant, Money, Words, usage

if TYPE_CHECKING:
    from sqlalchemy import Column

    from compatgw.state.base import Turn, UsageRow

Record = TypeVar("Record")

_LONG = 1_000_000
# What both back ends take in one row with room to spare; SQLite's own limit is a billion.
_LARGE = 500_000_000
_WORDS = 1_000
_FIELDS = 64 * 1024
# The year 2255: past that a time in microseconds leaves the numbers that JSON and JavaScript hold exactly.
_LAST = 9_007_199_254.0


# Of every call one row: which columns it has is looked up once.
_USAGE = tuple(column.name for column in usage.columns if column.name != "seq")
_TEXTS = tuple(
    (column.name, column.type.length or 1024) for column in usage.columns if isinstance(column.type, (String, Text))
)


def checked(record: Record) -> Record:
    """`record`, with its amounts in whole billionths.

    Raises:
        BadRecord: Names the record, the field, what is wrong with it and what it takes.
    """
    changed: dict[str, Any] = {}
    for column in TABLES[type(record)].columns:
        if column.name == "seq":
            continue
        value = getattr(record, column.name)
        where = f"{type(record).__name__}.{column.name}"
        if value is None:
            if not column.nullable:
                raise BadRecord(f"{where} is missing.")
            continue
        if isinstance(column.type, Money):
            changed[column.name] = amount(value, where)
        else:
            _check(column, value, where)
    return replace(record, **changed) if changed else record  # type: ignore[type-var]


def name(value: str, what: str) -> str:
    """`value`, when it can be an id or a name.

    Raises:
        BadRecord: It is empty, too long, or holds what cannot be stored.
    """
    _text(value, NAME, what)
    if not value:
        raise BadRecord(f"{what} is empty.")
    return value


def plain(text: str) -> bool:
    """Whether a text holds nothing that cannot be stored."""
    try:
        _text(text, _LONG, "")
    except BadRecord:
        return False
    return True


def whole(turn: Turn) -> Turn:
    """`turn`, when it can be stored.

    Raises:
        BadRecord: Names the field, what is wrong with it and what it takes.
    """
    name(turn.id, "Turn.id")
    _text(turn.owner, _LONG, "Turn.owner")
    if (size := len(turn.added) + len(turn.told or b"")) > _LARGE:
        raise BadRecord(f"Turn {turn.id[:80]!r} has {size:,} bytes, the most is {_LARGE:,}.")
    return turn


def fitted(row: UsageRow) -> dict[str, Any]:
    """The values of a usage row, cut to what can be stored: a call that happened is written down."""
    values = {name: getattr(row, name) for name in _USAGE}
    for name, size in _TEXTS:
        values[name] = _fit(values[name], size)
    return values


def _fit(value: str, size: int) -> str:
    if value.isascii() and "\0" not in value:
        return value[:size]
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:size]


def _check(column: Column[Any], value: Any, where: str) -> None:
    kind = column.type
    if isinstance(kind, Instant):
        if not 0 <= value <= _LAST:
            raise BadRecord(f"{where}: {value!r} is no time. Give seconds since 1970.")
    elif isinstance(kind, Words):
        if len(value) > _WORDS:
            raise BadRecord(f"{where} has {len(value)} items, the most is {_WORDS}.")
        for number, word in enumerate(value):
            _text(word, NAME, f"{where}[{number}]")
    elif isinstance(kind, Fields):
        _fields(value, where)
    elif isinstance(kind, Boolean):
        if not isinstance(value, bool):
            raise BadRecord(f"{where}: {value!r} is neither true nor false.")
    elif isinstance(kind, (Integer, BigInteger)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_UNITS:
            raise BadRecord(f"{where}: {value!r} is not a whole number from 0 to {MOST_UNITS:,}.")
    elif isinstance(kind, LargeBinary):
        if len(value) > _LONG:
            raise BadRecord(f"{where} has {len(value)} bytes, the most is {_LONG:,}.")
    elif isinstance(kind, (String, Text)):
        _text(value, kind.length or _LONG, where)
        if not value and column.name in ("id", "name"):
            raise BadRecord(f"{where} is empty.")


def _text(value: Any, size: int, where: str) -> None:
    if not isinstance(value, str):
        raise BadRecord(f"{where} is not a text.")
    if len(value) > size:
        raise BadRecord(f"{where} has {len(value):,} characters, the most is {size:,}.")
    if (position := value.find("\0")) >= 0:
        raise BadRecord(f"{where} holds a NUL at position {position}. Take it out.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRecord(f"{where} holds half a character at position {error.start}. Take it out.") from None


def _fields(value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise BadRecord(f"{where} is not an object.")
    try:
        size = len(orjson.dumps(dict(value)))
    except TypeError as error:
        raise BadRecord(f"{where} is not JSON: {error}.") from None
    if size > _FIELDS:
        raise BadRecord(f"{where} has {size:,} bytes of JSON, the most is {_FIELDS:,}.")
