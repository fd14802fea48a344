"""What is written on a command line: amounts, times, durations; the options that commands share; how one fails.

What does not live here: what a member may be (`admin/rules.py` refuses that, whoever gave it).
"""

from __future__ import annotations

import re
import sys
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from compatgw.config import FILE
from compatgw.state.base import BadRecord, amount

if TYPE_CHECKING:
    from click import Context, Parameter

Command = TypeVar("Command", bound=Callable[..., Any])

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,9})([smhdw])")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_AMOUNT = re.compile(r"[+-]?\d{1,12}(\.\d{1,12})?")
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows: a name could show itself as another."""


def fail(message: str) -> NoReturn:
    """Ends the command with one line on stderr and status 1."""
    click.secho(clean(" ".join(message.split())), fg="red", err=True)
    sys.exit(1)


def clean(text: str) -> str:
    """`text` without what a terminal would obey: control characters are shown as Python writes them."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(repr(each)[1:-1] if _obeyed(each) else each for each in text)


def _obeyed(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in TURNING


def as_amount(ctx: Context, param: Parameter, value: str | None) -> Decimal | None:
    """An exact amount of money."""
    if value is None:
        return None
    if not _AMOUNT.fullmatch(value):
        raise click.BadParameter(f"{value[:40]!r} is no amount. Give a decimal such as 12.50.")
    try:
        return amount(value)
    except BadRecord as error:
        raise click.BadParameter(str(error)) from None


def as_duration(ctx: Context, param: Parameter, value: str | None) -> float | None:
    """`30d` in seconds."""
    if value is None:
        return None
    seconds = _seconds(value)
    if seconds is None:
        raise click.BadParameter(f"{value[:40]!r} is no duration. Give a number and one of s, m, h, d, w, such as 30d.")
    return seconds


def as_past(ctx: Context, param: Parameter, value: str | None) -> float | None:
    """A time in seconds since 1970; a duration lies before now."""
    return None if value is None else _moment(value, -1)


def as_future(ctx: Context, param: Parameter, value: str | None) -> float | None:
    """A time in seconds since 1970; a duration lies after now."""
    return None if value is None else _moment(value, 1)


def _moment(text: str, sign: int) -> float:
    seconds = _seconds(text)
    if seconds is not None:
        return time.time() + sign * seconds
    try:
        found = datetime.fromisoformat(text) if _DATE.match(text) else None
        if found is not None:
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    raise click.BadParameter(
        f"{text[:40]!r} is no time. Give a duration such as 30d, a date such as 2026-12-31, or a time such as "
        "2026-12-31T18:00+01:00."
    )


def _seconds(text: str) -> float | None:
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    return float(int(found[1]) * _SECONDS[found[2]]) if found is not None else None


def config_option(command: Command) -> Command:
    """`--config`, as everywhere."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False),
        help=f"Settings in TOML, the server's own.  [default: ./{FILE} if it exists]",
    )(command)


def ledger_options(command: Command) -> Command:
    """`--config` and `--json`, which every command on the ledger has."""
    shown = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the management API answers it.")
    return config_option(shown(command))


def limit_options(command: Command) -> Command:
    """`--requests`, `--tokens`, `--concurrency`."""
    for name, what in (
        ("--concurrency", "Calls at one time."),
        ("--tokens", "Tokens a minute."),
        ("--requests", "Calls a minute."),
    ):
        command = click.option(name, type=click.IntRange(min=0), metavar="N", help=what)(command)
    return command
