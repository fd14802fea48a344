"""What the members of records may be: each rule takes whatever it was given and gives the value to store.

Whoever gave it, an HTTP body or a command line, is told in one sentence which member is at fault and
what it takes. Rules look at one value alone.

What does not live here: what has to be looked up (`office.py`), how bodies are read (`shapes.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, get_args

import orjson

from compatgw.errors import InvalidRequest
from compatgw.policy import money
from compatgw.policy.access import ADMIN, SCOPES
from compatgw.policy.limits import MOST_UNITS
from compatgw.policy.prompts import label_fault
from compatgw.state.base import BadRecord, Period
from compatgw.wire.prompts import ROLES

LONGEST_NAME = 200
MOST_GLOBS = 1_000
LONGEST_NOTE = 1_000
LONGEST_SECRET = 16_384
# Each character has up to six in JSON, and the ledger takes a million.
LONGEST_TEMPLATE = 150_000
MOST_MESSAGES = 100
MOST_LABELS = 50
MOST_METADATA = 64 * 1024
# The year 2255, as the ledger has it: up to it microseconds are exact numbers everywhere.
LAST_INSTANT = 9_007_199_254.0
LONGEST_GRACE = 366 * 86_400.0

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_AMOUNT = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,12})?")
# Levels that audit entries and documents put around metadata; orjson writes 254 in all.
_AROUND = 200
_SHOWN = 40

Rule = Callable[[object, str], object]


def wrong_type(member: str, takes: str) -> InvalidRequest:
    """The refusal of a value of another kind."""
    return InvalidRequest(f"'{member}' must be {takes}.", param=member, code="invalid_type")


def unknown_member(member: str, known: Sequence[str]) -> InvalidRequest:
    """The refusal of a member that nobody knows."""
    shown = member[:_SHOWN]
    return InvalidRequest(f"There is no member '{shown}' here. Known: {', '.join(known)}.", param=shown)


def of_changes(changes: Mapping[str, object], rules: Mapping[str, Rule]) -> dict[str, object]:
    """`changes` with each value as its rule gives it.

    Raises:
        InvalidRequest: A member without a rule, or a value that its rule refuses.
    """
    for member in changes:
        if member not in rules:
            raise unknown_member(member, list(rules))
    return {member: rules[member](value, member) for member, value in changes.items()}


def name(value: object, member: str) -> str:
    """A text for people: 1 to 200 characters without control characters."""
    return _text(value, member, LONGEST_NAME)


def note(value: object, member: str) -> str:
    """As a name, but up to 1,000 characters, and it may be empty."""
    return _text(value, member, LONGEST_NOTE, empty=True)


def _text(value: object, member: str, most: int, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise wrong_type(member, "a text")
    if not value.strip() and not (empty and not value):
        raise InvalidRequest(f"'{member}' is empty. Give 1 to {most} characters.", param=member)
    if len(value) > most:
        raise InvalidRequest(f"'{member}' has {len(value):,} characters, the most is {most:,}.", param=member)
    for position, character in enumerate(value):
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InvalidRequest(
                f"'{member}' holds a control character or half a character at position {position}. Take it out.",
                param=member,
            )
    return value


def id(value: object, member: str) -> str:
    """A word that stands in URLs: up to 64 letters, digits, `.`, `_` and `-`, the first a letter or digit."""
    if not isinstance(value, str):
        raise wrong_type(member, "a text")
    if not _ID.fullmatch(value):
        raise InvalidRequest(
            f"'{member}' must be 1 to 64 letters, digits, '.', '_' or '-', the first a letter or a digit.",
            param=member,
        )
    return value


def optional_id(value: object, member: str) -> str | None:
    """As `id`, or None."""
    return None if value is None else id(value, member)


def plan(value: object, member: str) -> str | None:
    """The name of a plan, or None for no limits."""
    return None if value is None else name(value, member)


def flag(value: object, member: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong_type(member, "true or false")
    return value


def globs(value: object, member: str) -> tuple[str, ...]:
    """Globs of model ids, at least one; the same once."""
    words = _words(value, member)
    if not words:
        raise InvalidRequest(f"'{member}' is empty. Give globs such as 'openai/*', or '*' for all.", param=member)
    return words


def scopes(value: object, member: str) -> tuple[str, ...]:
    """What a key may call; `admin` stands alone."""
    words = _words(value, member)
    known = ", ".join(sorted(SCOPES))
    if not words:
        raise InvalidRequest(f"'{member}' is empty. Give some of {known}.", param=member)
    for number, word in enumerate(words):
        if word not in SCOPES:
            where = f"{member}[{number}]"
            raise InvalidRequest(f"'{where}' is no scope: '{word[:_SHOWN]}'. Known: {known}.", param=where)
    if ADMIN in words and len(words) > 1:
        raise InvalidRequest(
            f"A key with the scope 'admin' has no other, so that it cannot call models. Leave '{ADMIN}' out of "
            f"'{member}', or mint a key of its own for management.",
            param=member,
        )
    return words


def _words(value: object, member: str) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise wrong_type(member, "a list of texts")
    if len(value) > MOST_GLOBS:
        raise InvalidRequest(f"'{member}' has {len(value):,} items, the most is {MOST_GLOBS:,}.", param=member)
    return tuple(dict.fromkeys(name(word, f"{member}[{number}]") for number, word in enumerate(value)))


def limit(value: object, member: str) -> int | None:
    """A whole number from 0 to a billion, or None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(member, "a whole number, or null for no limit")
    if not 0 <= value <= MOST_UNITS:
        raise InvalidRequest(f"'{member}' must lie between 0 and {MOST_UNITS:,}.", param=member)
    return value


def amount(value: object, member: str) -> Decimal:
    """An exact amount of at most nine decimals, from a `Decimal`, a text such as `12.50`, or a whole number."""
    if isinstance(value, (bool, float)) or not isinstance(value, (Decimal, int, str)):
        raise wrong_type(member, "an exact amount: a text such as '12.50', or a whole number")
    if isinstance(value, str) and not _AMOUNT.fullmatch(value):
        raise InvalidRequest(f"'{member}' is no amount. Give a decimal such as '12.50'.", param=member)
    try:
        return money.amount(value, member)
    except BadRecord as error:
        raise InvalidRequest(str(error), param=member) from None


def budget(value: object, member: str) -> Decimal | None:
    """What a key may spend, not negative, or None for no bound."""
    if value is None:
        return None
    exact = amount(value, member)
    if exact < 0:
        raise InvalidRequest(f"'{member}' is negative. Give 0 or more, or null for no bound.", param=member)
    return exact


def period(value: object, member: str) -> Period:
    """In which time a budget is counted."""
    for known in get_args(Period):
        if value == known:
            found: Period = known
            return found
    raise InvalidRequest(f"'{member}' must be one of {', '.join(get_args(Period))}.", param=member)


def instant(value: object, member: str) -> float | None:
    """Seconds since 1970, or None for never."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(member, "a time in seconds since 1970")
    if not 0 <= value <= LAST_INSTANT:
        raise InvalidRequest(f"'{member}' is no time from 1970 to 2255.", param=member)
    return round(float(value), 6)


def grace(value: object, member: str) -> float:
    """Seconds for which a key stays good after its rotation, up to a year."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type(member, "a number of seconds")
    if not 0 <= value <= LONGEST_GRACE:
        raise InvalidRequest(f"'{member}' must lie between 0 and {int(LONGEST_GRACE):,} seconds.", param=member)
    return float(value)


def metadata(value: object, member: str) -> dict[str, object]:
    """A JSON object of the operator's own, up to 64 KiB."""
    if not isinstance(value, Mapping):
        raise wrong_type(member, "an object")
    own = dict(value)
    around: object = own
    for _ in range(_AROUND):
        around = [around]
    try:
        size = len(orjson.dumps(around)) - 2 * _AROUND
    except TypeError:
        raise InvalidRequest(
            f"'{member}' must be JSON of at most 50 levels of objects and lists.", param=member
        ) from None
    if size > MOST_METADATA:
        raise InvalidRequest(f"'{member}' has {size:,} bytes of JSON, the most is {MOST_METADATA:,}.", param=member)
    return own


def label(value: object, member: str) -> str:
    """A name for a version of a prompt."""
    if not isinstance(value, str):
        raise wrong_type(member, "a text")
    if (fault := label_fault(value)) is not None:
        raise InvalidRequest(f"'{member}': {fault}", param=member)
    return value


def labels(value: object, member: str) -> tuple[str, ...]:
    """Some of them; the same once."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise wrong_type(member, "a list of texts")
    found = tuple(dict.fromkeys(label(each, f"{member}[{place}]") for place, each in enumerate(value)))
    if len(found) > MOST_LABELS:
        raise InvalidRequest(f"'{member}' has {len(found)} labels, the most is {MOST_LABELS}.", param=member)
    return found


def template(text: object, messages: object) -> tuple[Literal["text", "chat"], str]:
    """The kind of a template, and the template as JSON, from a text or from messages."""
    if (text is None) == (messages is None):
        raise InvalidRequest(
            "A template is either a 'text' or a list of 'messages'. Give one of the two.",
            param="text",
            code="missing_parameter",
        )
    if messages is None:
        return "text", _written(_content(text, "text"))
    if not isinstance(messages, list):
        raise wrong_type("messages", "a list")
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise InvalidRequest(f"'messages' must have 1 to {MOST_MESSAGES} messages.", param="messages")
    found = [_message(message, f"messages[{place}]") for place, message in enumerate(messages)]
    if (size := sum(len(message["content"]) for message in found)) > LONGEST_TEMPLATE:
        raise InvalidRequest(
            f"'messages' have {size:,} characters, the most is {LONGEST_TEMPLATE:,}.", param="messages"
        )
    return "chat", _written(found)


def _message(value: object, member: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise wrong_type(member, "an object with 'role' and 'content'")
    for name in value:
        if name not in ("role", "content"):
            raise unknown_member(f"{member}.{name}", ("role", "content"))
    role = value.get("role")
    if role not in ROLES:
        raise InvalidRequest(f"'{member}.role' must be one of {', '.join(ROLES)}.", param=f"{member}.role")
    return {"role": str(role), "content": _content(value.get("content"), f"{member}.content")}


def _content(value: object, member: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(member, "a text")
    if not value:
        raise InvalidRequest(f"'{member}' is empty. Say something in it.", param=member)
    if len(value) > LONGEST_TEMPLATE:
        raise InvalidRequest(
            f"'{member}' has {len(value):,} characters, the most is {LONGEST_TEMPLATE:,}.", param=member
        )
    if (position := value.find("\0")) >= 0:
        raise InvalidRequest(f"'{member}' holds a NUL at position {position}. Take it out.", param=member)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"'{member}' holds half a character at position {error.start}. Take it out.", param=member
        ) from None
    return value


def _written(template: object) -> str:
    return orjson.dumps(template).decode()


def secret(value: object, member: str) -> str:
    """A provider's key; no message shows it."""
    if not isinstance(value, str):
        raise wrong_type(member, "a text")
    # Whoever copies a key takes a line break along; it is part of none.
    own = value.strip()
    if not own:
        raise InvalidRequest(f"'{member}' is empty. Give the key that the provider gave out.", param=member)
    if len(own) > LONGEST_SECRET:
        raise InvalidRequest(f"'{member}' has {len(own):,} characters, the most is {LONGEST_SECRET:,}.", param=member)
    if not (own.isascii() and own.isprintable()):
        raise InvalidRequest(
            f"'{member}' holds a line break, a control character or one beyond ASCII, which no header can carry.",
            param=member,
        )
    return own


TEAM: Mapping[str, Rule] = MappingProxyType(
    {
        "name": name,
        "active": flag,
        "models": globs,
        "plan": plan,
        "byok_fallback": flag,
        "metadata": metadata,
    }
)
"""What of a team can be changed."""

KEY: Mapping[str, Rule] = MappingProxyType(
    {
        "name": name,
        "scopes": scopes,
        "models": globs,
        "plan": plan,
        "requests": limit,
        "tokens": limit,
        "concurrency": limit,
        "budget": budget,
        "period": period,
        "expires": instant,
        "metadata": metadata,
    }
)
"""What of a key can be changed; not whose it is, and not the key itself."""
