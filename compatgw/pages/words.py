"""The texts of our pages in every language that we have, and which of them a visitor gets.

A text is found by its key, `area.what`, in `messages/LANGUAGE/AREA.json`. `{name}` in it is filled in by the
template. What stands between backticks is code; nothing else in a text is markup.

What does not live here: pages (`render.py`), texts of the API, which are English alone.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = MappingProxyType({"en": "English", "vi": "Tiếng Việt"})
"""Code to the name that its speakers have for it; the first is for whoever asks for none of them."""

FIRST = next(iter(LANGUAGES))
_PLACE = re.compile(r"\{(\w+)\}")
# A header is the visitor's own, and may be as long as it likes.
_MOST_WISHES = 16


class MissingText(KeyError):
    """A template asks for a text, or a text for a value, that is not there."""


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language by their keys; read once."""
    found: dict[str, str] = {}
    for file in sorted(files("compatgw.pages").joinpath("messages", language).iterdir(), key=lambda file: file.name):
        area = file.name.removesuffix(".json")
        found.update({f"{area}.{key}": text for key, text in orjson.loads(file.read_bytes()).items()})
    return MappingProxyType(found)


def text(language: str, key: str, /, **values: object) -> str:
    """The text `key`, filled in; plain, to be escaped by whoever shows it.

    Raises:
        MissingText: There is no such text, or it asks for a value that was not given.
    """
    found = texts(language).get(key)
    if found is None:
        raise MissingText(f"There is no text '{key}' in '{language}'.")

    def value(place: re.Match[str]) -> str:
        if place[1] not in values:
            raise MissingText(f"The text '{key}' in '{language}' asks for '{place[1]}'.")
        return str(values[place[1]])

    return _PLACE.sub(value, found)


def places(template: str) -> frozenset[str]:
    """The names that a text asks for."""
    return frozenset(_PLACE.findall(template))


def chosen(asked: str | None, kept: str | None, accepted: str | None) -> str:
    """The language of a visit.

    Args:
        asked: `?lang=` of the address.
        kept: The cookie.
        accepted: The header `Accept-Language`.
    """
    for wish in (asked, kept, *_wishes(accepted or "")):
        code = (wish or "").strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return FIRST


def _wishes(accepted: str) -> list[str]:
    """The languages of an `Accept-Language`, the dearest first."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:_MOST_WISHES]:
        code, _, parameter = part.partition(";")
        name, _, number = parameter.strip().partition("=")
        try:
            weight = float(number) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if 0 < weight <= 1:
            weighed.append((weight, code))
    return [code for _, code in sorted(weighed, key=lambda pair: -pair[0])]


def number(language: str, value: float | Decimal) -> str:
    """A number as the language groups it: `1,048,576` in English, `1.048.576` in Vietnamese."""
    # The smallest amounts would be told with an exponent.
    grouped = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return grouped.translate(_TURNED) if language == "vi" else grouped


_TURNED = str.maketrans({",": ".", ".": ","})
