"""Where each setting came from: a keyword, a variable, a line of the file, or nowhere: then it is the default.

What does not live here: reading settings (`config.py`), printing them (`cli/config.py`).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import SecretStr

from compatgw.config import PREFIX, from_environ, secret_in
from compatgw.providers import address
from compatgw.providers.table import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.config import Settings

Path = tuple[str | int, ...]

_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_NAMED = re.compile(r"(Setting|Provider) '([^']+)'")
_PASSWORD = re.compile(r"//[^/@\s]*@")
# Members whose values may be credentials, whatever their type is.
_HIDDEN = frozenset({"headers", "key", "api_key", "api_keys", "key_ring", "password", "secret_key", "keys"})
_LONG = 12


class Spot(NamedTuple):
    """A place in a file.

    Attributes:
        line, column: From 1 on.
        text: The whole line.
    """

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting.

    Attributes:
        name: Its path, joined by dots.
        value: As it is shown; a secret is masked.
        kind: `keyword`, `variable`, `file` or `default`.
        source: The variable, or file and line; "" for the others.
    """

    name: str
    value: str
    kind: str
    source: str = ""


def lines_of(text: str) -> dict[Path, Spot]:
    """Where each table and member of a TOML document begins; what stands behind a mistake is left out."""
    found: dict[Path, Spot] = {}
    lines = _lines(text)
    table: Path = ()
    counts: dict[Path, int] = {}
    number = 0
    while number < len(lines):
        end, value = _statement(lines, number)
        if value is None:
            break
        spot = Spot(number + 1, len(lines[number]) - len(lines[number].lstrip()) + 1, lines[number])
        if lines[number].lstrip().startswith("["):
            table = _header(value, counts)
            found.setdefault(table, spot)
        else:
            for path in _paths(value):
                found.setdefault((*table, *path), spot)
        number = end
    return found


def _lines(text: str) -> list[str]:
    """As TOML counts them; `str.splitlines` also breaks at characters that may stand within a string."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _statement(lines: list[str], start: int) -> tuple[int, dict[str, Any] | None]:
    """The first line behind the statement that begins at `start`, and what it says."""
    for end in range(start + 1, len(lines) + 1):
        try:
            return end, tomllib.loads("\n".join(lines[start:end]))
        except tomllib.TOMLDecodeError:
            continue
    return len(lines), None


def _header(value: dict[str, Any], counts: dict[Path, int]) -> Path:
    """The path of `[a.b]`, which goes on in the last of each list of tables; `[[a]]` is one more."""
    path: Path = ()
    place: Any = value
    while isinstance(place, dict) and place:
        name, place = next(iter(place.items()))
        path = (*path, name)
        if isinstance(place, list):
            counts[path] = counts.get(path, -1) + 1
            return (*path, counts[path])
        if path in counts:
            path = (*path, counts[path])
    return path


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _paths(each, (*path, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _paths(each, (*path, number))


def spot_of(message: str, path: Path, text: str) -> Spot | None:
    """Where in a file the mistake is that `message` tells of; None where the file does not have it.

    Args:
        message: Of a `ConfigError`. path: Its own.
        text: The file.
    """
    if (at := _AT.search(message)) is not None:
        line = int(at[1])
        shown = _lines(text)
        return Spot(line, int(at[2]), shown[line - 1] if line <= len(shown) else "")
    if "at end of document" in message and (shown := _lines(text)):
        return Spot(len(shown), len(shown[-1]) + 1, shown[-1])
    if not path and (named := _NAMED.search(message)) is not None:
        name = named[2] if named[1] == "Setting" else f"providers.{named[2]}"
        path = tuple(int(part) if part.isdigit() else part for part in name.split("."))
    known = lines_of(text)
    while path:
        if path in known:
            return known[path]
        path = path[:-1]
    return None


def origins(settings: Settings, named: str | None, text: str, environ: Mapping[str, str]) -> list[Origin]:
    """Every setting, with its source.

    Args:
        settings: What was loaded.
        named: The file's name; None where there is none. text: What is in it.
        environ: The environment.
    """
    known = lines_of(text)
    variables = from_environ(environ)
    values = tomllib.loads(text)
    out: list[Origin] = []
    for path, value in _leaves(settings):
        name = ".".join(map(str, path))
        shown = masked(value, path)
        if _reaches(variables, path):
            out.append(Origin(name, shown, "variable", _variable(path, environ) + _secret(variables, path)))
        elif _reaches(values, path):
            at = next(known[path[:size]] for size in range(len(path), 0, -1) if path[:size] in known)
            out.append(Origin(name, shown, "file", f"{named}:{at.line}" + _secret(values, path)))
        else:
            out.append(_usual(path, environ) or Origin(name, shown, "default"))
    if not settings.providers:
        out += [_woken(name, environ) for name, row in PROVIDERS.items() if address.awake(row, environ)]
    return out


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _leaves(getattr(value, each.name), (*path, each.name))
    elif isinstance(value, dict) and value and path[-1] not in ("quirks", "traits", "price", "schema"):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif isinstance(value, list) and any(is_dataclass(each) for each in value):
        for number, each in enumerate(value):
            yield from _leaves(each, (*path, number))
    else:
        yield path, value


def _reaches(values: Any, path: Path) -> bool:
    """Whether the tree sets what is at `path`: it goes as far, or ends before in a value that is whole."""
    place = values
    for part in path:
        if isinstance(place, dict):
            if part not in place:
                return False
            place = place[part]
        elif isinstance(place, list) and isinstance(part, int):
            if part >= len(place):
                return False
            place = place[part]
        else:
            return not isinstance(place, list) or not isinstance(part, str)
    return True


def _secret(values: Any, path: Path) -> str:
    place = values
    for part in path:
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            return ""
    return f", secret {name}" if (name := secret_in(place)) else ""


def _variable(path: Path, environ: Mapping[str, str]) -> str:
    for size in range(len(path), 0, -1):
        name = PREFIX + "__".join(str(part) for part in path[:size])
        for variable in environ:
            if variable.lower() == name.lower():
                return variable
    return PREFIX + "__".join(str(part).upper() for part in path)


def _usual(path: Path, environ: Mapping[str, str]) -> Origin | None:
    """A provider's own setting that is found under its usual name."""
    if len(path) != 3 or path[0] != "providers" or (row := PROVIDERS.get(str(path[1]))) is None:
        return None
    name, member = ".".join(map(str, path)), str(path[2])
    if member == "api_key":
        for variables in (*((each,) for each in row.key_env), row.key_parts, row.key_files):
            present = [each for each in variables if environ.get(each)]
            if present:
                return Origin(name, masked(SecretStr(environ[present[0]]), path), "variable", ", ".join(present))
        return None
    variable = next((each for each in row.env.get(member, ()) if environ.get(each)), None)
    return Origin(name, environ[variable], "variable", variable) if variable is not None else None


def _woken(name: str, environ: Mapping[str, str]) -> Origin:
    path = ("providers", name, "api_key")
    found = _usual(path, environ)
    return found if found is not None else Origin(".".join(path), "-", "default")


def masked(value: object, path: Path = ()) -> str:
    """`value` for people: secrets as dots, the end of a long one with them."""
    secret = value.get_secret_value() if isinstance(value, SecretStr) else None
    if secret is None and value not in (None, "", [], {}) and not _HIDDEN.isdisjoint(map(str, path)):
        own = path[-1] if not isinstance(path[-1], int) else path[-2]
        if isinstance(value, str) and (own in _HIDDEN or path[-2] == "headers"):
            secret = value
        elif isinstance(value, list) and own in _HIDDEN:
            return ", ".join(masked(each) if isinstance(each, SecretStr) else "****" for each in value)
    if secret is not None:
        if "://" in secret:
            return f"{secret.partition('://')[0]}://****"
        return f"****{secret[-4:]}" if len(secret) >= _LONG else "****"
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(masked(each) for each in value) or "[]"
    if isinstance(value, (str, int, float)):
        return _PASSWORD.sub("//****@", str(value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={masked(each)}" for name, each in value.items()) or "{}"
    return f"<{type(value).__name__}>"
