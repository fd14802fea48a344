"""What commands print: rich tables on a terminal, plain aligned columns elsewhere, or JSON.

The plain form is for `grep` and `awk`: always the same columns, no colours, times in UTC, `-` for
nothing, texts that may hold spaces last. On a terminal times are local, and what does not fit is
left out, the least important first, and named.

What does not live here: what is in a table.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

import click
import orjson
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Rich
from rich.text import Text

from compatgw.admin.documents import instant
from compatgw.cli.words import TURNING, clean

if TYPE_CHECKING:
    from compatgw.admin.documents import ListDocument

_NOTHING = "-"
_OBEYED = re.compile(f"[\x7f-\x9f\u2028\u2029{''.join(TURNING)}]")
_CENTS = 2
# Between two columns of a terminal's table.
_GAP = 2
# So wide a text is wished to be on a terminal, and so narrow it may be.
_MOST = 40
_LEAST = 24
# From this rank on a column is left out rather than that a text is folded.
_MINOR = 3
_STANDINGS: Mapping[str, str] = MappingProxyType(
    {"active": "green", "revoked": "red", "expired": "yellow", "inactive": "yellow"}
)


@dataclass(frozen=True, slots=True)
class When:
    """A time, in seconds since 1970."""

    at: float


@dataclass(frozen=True, slots=True)
class Long:
    """A number of things that are counted: with separators for people."""

    count: int


Value = str | int | Decimal | When | Long | Sequence[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        head: Its name, in lower case.
        rank: What is left out first on a narrow terminal has the highest; 0 is never left out.
        free: A text that may hold spaces: last in the plain form.
        folds: Long ones may go on in a second line.
        standing: Holds `active`, `revoked` and their like, which have colours.
    """

    head: str
    rank: int = 0
    free: bool = False
    folds: bool = False
    standing: bool = False


def column(head: str, rank: int = 0, *, free: bool = False, folds: bool = False, standing: bool = False) -> Column:
    """A column; see `Column`."""
    return Column(head=head, rank=rank, free=free, folds=folds or free, standing=standing)


def on_terminal() -> bool:
    """True when a person reads what is printed."""
    return sys.stdout.isatty()


def told(at: float) -> str:
    """A time in a sentence on stderr."""
    return _local(at) if sys.stderr.isatty() else instant(at)


def show_json(document: object) -> None:
    """Prints a document, and nothing else."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    # What a terminal would obey stands only within texts, where it may be written as a number.
    click.echo(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def whole(documents: Iterable[object]) -> ListDocument[object]:
    """A list that holds all there is."""
    return {"object": "list", "data": list(documents), "has_more": False, "next_cursor": None}


def show_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Value]],
    *,
    total: Sequence[Value] | None = None,
    empty: str = "Nothing.",
) -> None:
    """Prints a table.

    Args:
        total: A last row of sums.
        empty: What is said on a terminal instead of a table without rows.
    """
    given = [*rows, total] if total is not None else list(rows)
    terminal = on_terminal()
    lines, numeric = _texts(columns, given, terminal), _numeric(columns, given)
    if not terminal:
        _plain(columns, lines, numeric)
    elif not lines:
        click.echo(empty)
    else:
        _rich(columns, lines, numeric, total=total is not None)


def show_record(title: str, members: Mapping[str, Value]) -> None:
    """Prints one thing, a member a line."""
    terminal = on_terminal()
    texts = {head: _text(value, _decimals([value]), terminal) for head, value in members.items()}
    if not terminal:
        width = max(map(len, texts))
        for head, text in texts.items():
            click.echo(f"{head.replace(' ', '_').ljust(width)}  {text}".rstrip())
        return
    table = Rich(box=None, show_header=False, padding=(0, 1), pad_edge=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for head, text in texts.items():
        table.add_row(head, Text(text, style=_STANDINGS.get(text, "") if head == "status" else ""))
    console = Console()
    console.print(Text(clean(title), style="bold"))
    console.print(table)


def below_each_other(amounts: Sequence[Decimal], currency: str) -> list[str]:
    """Amounts with their currency, for members of a record that stand below each other."""
    terminal = on_terminal()
    texts = [_text(amount, _decimals(amounts), terminal) for amount in amounts]
    width = max(map(len, texts)) if terminal else 0
    return [f"{text.rjust(width)} {currency}" for text in texts]


def _texts(columns: Sequence[Column], rows: Sequence[Sequence[Value]], terminal: bool) -> list[list[str]]:
    decimals = [_decimals(row[number] for row in rows) for number in range(len(columns))]
    return [[_text(value, decimals[number], terminal) for number, value in enumerate(row)] for row in rows]


def _decimals(values: Iterable[Value]) -> int:
    """As many decimals as the finest amount of a column has, so that they stand below each other."""
    most = _CENTS
    for value in values:
        if isinstance(value, Decimal):
            most = max(most, len(f"{value:f}".partition(".")[2].rstrip("0")))
    return most


def _text(value: Value, decimals: int, terminal: bool) -> str:
    match value:
        case None:
            return _NOTHING
        case bool():
            return "yes" if value else "no"
        case str():
            return clean(value) or _NOTHING
        case Long():
            return f"{value.count:,}" if terminal else str(value.count)
        case int():
            return str(value)
        case Decimal():
            return f"{value:,.{decimals}f}" if terminal else f"{value:.{decimals}f}"
        case When():
            return _local(value.at) if terminal else instant(value.at)
        case _:
            return (", " if terminal else ",").join(map(clean, value)) or _NOTHING


def _local(at: float) -> str:
    # The zone of whoever reads it is the point here.
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")  # noqa: DTZ006


def _numeric(columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> list[bool]:
    """Which columns hold numbers, and stand on the right."""
    return [
        any(isinstance(row[number], (int, Decimal, Long)) and not isinstance(row[number], bool) for row in rows)
        for number in range(len(columns))
    ]


def _plain(columns: Sequence[Column], lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    order = sorted(range(len(columns)), key=lambda number: columns[number].free)
    heads = [column.head.upper().replace(" ", "_") for column in columns]
    table = [[_word(line[number], columns[number]) for number in order] for line in (heads, *lines)]
    widths = [max(cell_len(line[place]) for line in table) for place in range(len(order))]
    right = [numeric[number] for number in order]
    for line in table:
        click.echo("  ".join(map(_padded, line, widths, right)).rstrip())


def _word(text: str, column: Column) -> str:
    # `awk` counts columns by the spaces between them.
    if column.free:
        return text
    return "".join(f"\\x{ord(each):02x}" if each.isspace() else each for each in text)


def _padded(text: str, width: int, right: bool) -> str:
    fill = " " * (width - cell_len(text))
    return fill + text if right else text + fill


def _rich(columns: Sequence[Column], lines: Sequence[Sequence[str]], numeric: Sequence[bool], *, total: bool) -> None:
    console = Console()
    heads = [column.head for column in columns]
    natural = [max(cell_len(line[number]) for line in (heads, *lines)) for number in range(len(columns))]
    shown = _fitting(columns, natural, console.width)
    # The space between columns is the box's own and the one here.
    table = Rich(box=box.SIMPLE, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), show_footer=total)
    for number in shown:
        folds = columns[number].folds and natural[number] > _LEAST
        table.add_column(
            heads[number],
            footer=Text("" if lines[-1][number] == _NOTHING else lines[-1][number]),
            justify="right" if numeric[number] else "left",
            no_wrap=not folds,
            min_width=_LEAST if folds else natural[number],
            overflow="fold",
        )
    for line in lines[:-1] if total else lines:
        table.add_row(*[Text(line[number], style=_style(columns[number], line[number])) for number in shown])
    # On a terminal that is too narrow even so a line goes on in the next: half an amount would be another.
    console.print(table, crop=False)
    left = [head for number, head in enumerate(heads) if number not in shown]
    if left:
        console.print(Text(f"Left out for want of room: {', '.join(left)}; --json shows all.", style="dim"))


def _fitting(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """The columns that there is room for. The least important go before a text is folded, the others after."""
    shown = list(range(len(columns)))
    for most, rank in ((_MOST, _MINOR), (_LEAST, 1)):
        widths = [min(size, most) if columns[number].folds else size for number, size in enumerate(natural)]
        while sum(widths[number] + _GAP for number in shown) - _GAP > width:
            least = max(shown, key=lambda number: (columns[number].rank, number))
            if columns[least].rank < rank:
                break
            shown.remove(least)
    return shown


def _style(column: Column, text: str) -> str:
    if column.standing:
        return _STANDINGS.get(text, "")
    return "dim" if text == _NOTHING else ""
