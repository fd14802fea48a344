"""Lifelike content, made by faker out of one random source: sentences, and values that fit the name of a property.

Faker is imported when the first of them is made. What does not live here: schemas (`sample.py`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from compatgw_testing.clock import EPOCH

if TYPE_CHECKING:
    from faker.generator import Generator
    from faker.providers import BaseProvider

_PROVIDERS = ("address", "color", "company", "internet", "job", "lorem", "person")
_ZONES = ("Europe/Paris", "America/Lima", "Asia/Tokyo", "Africa/Cairo", "Australia/Perth")
_CURRENCIES = ("EUR", "USD", "JPY", "GBP", "CHF", "BRL")
_LANGUAGES = ("English", "French", "Japanese", "Arabic", "Portuguese")


class Lifelike:
    """Makes content; the same source gives the same.

    Args:
        source: All chance comes from it.

    Raises:
        ModuleNotFoundError: Faker is not installed.
    """

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self._made: Generator | None = None

    def sentence(self) -> str:
        """Some words, the first one capitalised, and a full stop."""
        generator = _empty(self.source)
        generator.add_provider(_provider("lorem"))
        return str(generator.format("sentence", nb_words=9))

    def say(self, what: str) -> str:
        """What faker knows by this name: `name`, `city`, `company`, ..."""
        if self._made is None:
            self._made = _empty(self.source)
            for name in _PROVIDERS:
                self._made.add_provider(_provider(name))
        return str(self._made.format(what))

    def moment(self) -> datetime:
        """A time within the three years before that of a fake's clock."""
        return datetime.fromtimestamp(EPOCH, UTC) - timedelta(minutes=self.source.randint(1, 3 * 365 * 24 * 60))

    def text_for(self, name: str) -> str | None:
        """A text that suits a property of this name; None if the name says nothing."""
        words = _words(name)
        for pattern, make in _TEXTS.items():
            if re.search(pattern, words):
                return make(self)
        return None

    def number_for(self, name: str) -> float | None:
        """A number that suits a property of this name; None if the name says nothing."""
        words = _words(name)
        for pattern, (low, high, digits) in _NUMBERS.items():
            if re.search(pattern, words):
                value = self.source.uniform(low, high)
                return round(value, digits) if digits else round(value)
        return None

    def format(self, name: str) -> str | None:
        """A text of a format that JSON Schema knows; None for another."""
        make = _FORMATS.get(name)
        return None if make is None else make(self)

    def slug(self) -> str:
        """A word for an address."""
        return re.sub(r"[^a-z]", "", self.say("word").lower()) or "page"

    def number(self, low: int, high: int) -> str:
        """A whole number, as text."""
        return str(self.source.randint(low, high))

    def uuid(self) -> str:
        """A UUID of version 4."""
        text = f"{self.source.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def _empty(source: random.Random) -> Generator:
    """A generator of our own: what else uses faker, or seeds it, is not disturbed and does not disturb."""
    try:
        module = import_module("faker.generator")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "made-up answers need faker, which is not installed: install compatgw[testing], or script every answer"
        ) from error
    generator: Generator = module.Generator()
    generator.random = source
    return generator


@cache
def _provider(name: str) -> type[BaseProvider]:
    found: type[BaseProvider] = import_module(f"faker.providers.{name}.en_US").Provider
    return found


def _words(name: str) -> str:
    """The words of a name in any spelling, in lower case, with a space before and after each."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", " ", name)
    return f" {split.lower().strip()} "


# By the words of a name, the more telling ones first.
_TEXTS: Mapping[str, Callable[[Lifelike], str]] = {
    r" e ?mail ": lambda like: like.say("ascii_safe_email"),
    r" (?:first|given) ?name ": lambda like: like.say("first_name"),
    r" (?:last|family) ?name | surname ": lambda like: like.say("last_name"),
    r" user ?name | login | handle ": lambda like: like.say("user_name"),
    r" (?:company|organi[sz]ation|employer|vendor|supplier|brand)(?: name)? ": lambda like: like.say("company"),
    r" (?:city|town|origin|destination|location|place|capital)(?: name)? ": lambda like: like.say("city"),
    r" country ?code ": lambda like: like.say("country_code"),
    r" (?:country|nation)(?: name)? ": lambda like: like.say("country"),
    r" (?:state|province|region) ": lambda like: like.say("state"),
    r" (?:street|address|street address) ": lambda like: like.say("street_address"),
    r" (?:zip|zip ?code|post ?code|postal code) ": lambda like: like.say("postcode"),
    r" (?:phone|mobile|telephone|fax)(?: number)? ": lambda like: f"+1-555-01{like.number(10, 99)}",
    r" (?:job|occupation|profession|position)(?: title)? ": lambda like: like.say("job"),
    r" (?:url|uri|link|website|homepage) ": lambda like: f"https://example.com/{like.slug()}",
    r" (?:host|domain)(?: ?name)? ": lambda like: f"{like.slug()}.example.com",
    r" (?:date ?time|timestamp) | at ": lambda like: like.moment().strftime("%Y-%m-%dT%H:%M:%SZ"),
    r" (?:date|day|birthday|deadline) ": lambda like: like.moment().strftime("%Y-%m-%d"),
    r" time ?zone ": lambda like: like.source.choice(_ZONES),
    r" time ": lambda like: like.moment().strftime("%H:%M"),
    r" year ": lambda like: like.moment().strftime("%Y"),
    r" (?:uuid|guid) ": lambda like: like.uuid(),
    r" id ": lambda like: f"{like.slug()[:4]}-{like.number(1000, 9999)}",
    r" colou?r ": lambda like: like.say("color_name"),
    r" currency(?: code)? ": lambda like: like.source.choice(_CURRENCIES),
    r" language ": lambda like: like.source.choice(_LANGUAGES),
    r" (?:title|headline|subject|product|product name) ": lambda like: like.say("catch_phrase"),
    r" (?:description|summary|text|content|body|comment|message|reason|note|notes|answer|explanation) ": (
        lambda like: like.sentence()
    ),
    r" (?:name|author|customer|person|owner|user|recipient|sender|contact) ": lambda like: like.say("name"),
    r" (?:word|tag|keyword|label|category|topic|query) ": lambda like: like.say("word"),
}
# Low, high, digits after the point.
_NUMBERS: Mapping[str, tuple[float, float, int]] = {
    r" age ": (18, 90, 0),
    r" year ": (1990, 2026, 0),
    r" month ": (1, 12, 0),
    r" day ": (1, 28, 0),
    r" hours? ": (0, 23, 0),
    r" (?:minutes?|seconds?) ": (0, 59, 0),
    r" (?:price|amount|cost|total|fee|salary|budget) ": (1, 999, 2),
    r" lat(?:itude)? ": (-80, 80, 4),
    r" (?:lon|lng|longitude) ": (-170, 170, 4),
    r" (?:rating|stars) ": (1, 5, 1),
    r" (?:percent|percentage) ": (0, 100, 1),
    r" (?:probability|confidence|score|ratio) ": (0, 1, 2),
    r" (?:temperature|temp|degrees) ": (-10, 35, 1),
    r" population ": (1_000, 9_000_000, 0),
}
_FORMATS: Mapping[str, Callable[[Lifelike], str]] = {
    "date-time": lambda like: like.moment().strftime("%Y-%m-%dT%H:%M:%SZ"),
    "date": lambda like: like.moment().strftime("%Y-%m-%d"),
    "time": lambda like: like.moment().strftime("%H:%M:%SZ"),
    "duration": lambda like: f"PT{like.number(1, 59)}M",
    "email": lambda like: like.say("ascii_safe_email"),
    "hostname": lambda like: f"{like.slug()}.example.com",
    "uri": lambda like: f"https://example.com/{like.slug()}",
    "ipv4": lambda like: f"192.0.2.{like.number(1, 254)}",
    "ipv6": lambda like: f"2001:db8::{like.number(1, 9999)}",
    "uuid": lambda like: like.uuid(),
}
