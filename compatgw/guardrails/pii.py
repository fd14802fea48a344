"""The guardrail `pii`: personal data is replaced by placeholders, blocked, or replaced and put back in the answer.

    redact    `[EMAIL_1]` stands for the address; the same value has the same number all through a call
    restore   the same on the way in, and on the way out the originals take the place of their placeholders
    block     neither goes on

A placeholder that a caller wrote itself is never given a meaning: its number is left out.

What does not live here: what personal data looks like (`pii_find.py`, `pii_numbers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal, get_args

from compatgw.guardrails.base import Checker, Kind, Spot, Stage, Watch
from compatgw.guardrails.pii_find import PersonalData
from compatgw.guardrails.pii_numbers import Phones
from compatgw.guardrails.window import Span, Window

PiiAction = Literal["redact", "block", "restore"]
PiiKind = Literal["email", "phone", "us_ssn", "credit_card", "ip"]
KINDS: tuple[PiiKind, ...] = get_args(PiiKind)

_PLACEHOLDER = re.compile(r"\[([A-Z][A-Z_]{0,22}[A-Z])_([1-9][0-9]{0,5})\]")
_BEGUN = re.compile(r"\[(?:[A-Z][A-Z_]{0,23}(?:[1-9][0-9]{0,5})?)?\Z")
LONGEST_PLACEHOLDER = 32
_SAID = {"email": "e-mail addresses", "phone": "telephone numbers", "us_ssn": "social security numbers",
         "credit_card": "card numbers", "ip": "IP addresses"}  # fmt: skip


class Pii:
    """The guardrail.

    Args:
        action: What becomes of personal data.
        kinds: Which.
        regions: Of telephone numbers in national form, such as `DE`; see `Phones`.
        texts: Kinds of text that it looks at; None: all.
        name: For headers, errors and records.

    Raises:
        ImportError: `phone` is among the kinds and `phonenumbers` is not installed.
        ValueError: A kind, an action or a region that is not known.
    """

    __slots__ = ("_finder", "_texts", "action", "kinds", "name")

    def __init__(
        self,
        action: PiiAction = "redact",
        *,
        kinds: Sequence[PiiKind] = KINDS,
        regions: Sequence[str] = (),
        texts: Sequence[Kind] | None = None,
        name: str = "pii",
    ) -> None:
        if action not in get_args(PiiAction):
            raise ValueError(f"{action!r} is no action of pii. Use one of {', '.join(get_args(PiiAction))}.")
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ValueError(f"{unknown[0] if unknown else kinds!r} is no kind of pii. Use some of {', '.join(KINDS)}.")
        self.name = name
        self.action = action
        self.kinds = frozenset(kinds)
        self._texts = None if texts is None else frozenset(texts)
        self._finder = PersonalData(self.kinds, Phones(regions) if "phone" in self.kinds else None)

    def open(self) -> Watch:
        """The placeholders of one call."""
        return PiiWatch(self.action, self._finder, self._texts, self.kinds)


class PiiWatch:
    """The placeholders of one call, and what they stand for."""

    __slots__ = ("_action", "_counts", "_finder", "_kinds", "_numbers", "_originals", "_taken", "_texts")

    def __init__(
        self, action: PiiAction, finder: PersonalData, texts: frozenset[str] | None, kinds: frozenset[str]
    ) -> None:
        self._action = action
        self._finder = finder
        self._texts = texts
        self._kinds = kinds
        self._numbers: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._originals: dict[str, str] = {}
        self._taken: set[str] = set()

    @property
    def stage(self) -> Stage:
        """Where placeholders become originals again, other guardrails do not see these."""
        return "restore" if self._action == "restore" else "look"

    @property
    def originals(self) -> dict[str, str]:
        """What each placeholder stands for, in a dict of its own."""
        return dict(self._originals)

    def glance(self, texts: Iterable[str]) -> None:
        """Remembers placeholders that a caller wrote itself."""
        for text in texts:
            if "[" in text:
                self._taken.update(found[0] for found in _PLACEHOLDER.finditer(text))

    def over(self, spot: Spot) -> Checker | None:
        """A checker of the text there."""
        if self._texts is not None and spot.kind not in self._texts:
            return None
        if self._action == "restore" and spot.direction == "output":
            if not self._originals:
                return None
            return Window(_Placeholders(self._originals), self._restored, action="restore", json=spot.json)
        return Window(
            self._finder, self._placeholder, action=self._action, json=spot.json, reason=partial(_reason, spot)
        )

    def _placeholder(self, span: Span, original: str) -> str:
        if self._action == "block":
            return ""
        # What is to be put back exactly has a number for each spelling.
        key = (span.kind, original if self._action == "restore" else span.value)
        given = self._numbers.get(key)
        if given is None:
            given = self._next(span.kind)
            self._numbers[key] = given
            self._originals[given] = original
        return given

    def _next(self, kind: str) -> str:
        while True:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind.upper()}_{number}]"
            if placeholder not in self._taken:
                return placeholder

    def _restored(self, span: Span, original: str) -> str:
        return self._originals[span.value]


class _Placeholders:
    """Finds the placeholders that stand for something."""

    __slots__ = ("_known",)

    def __init__(self, known: dict[str, str]) -> None:
        self._known = known

    def find(self, text: str, start: int, *, final: bool) -> tuple[Sequence[Span], int]:
        """All of them from `start` on, and where one may have begun."""
        found = [
            Span(match.start(), match.end(), match[1].lower(), match[0])
            for match in _PLACEHOLDER.finditer(text, start)
            if match[0] in self._known
        ]
        horizon = len(text)
        if not final:
            last = text.rfind("[", max(start, horizon - LONGEST_PLACEHOLDER))
            if last >= 0 and _BEGUN.match(text, last):
                horizon = last
        return found, horizon


def _reason(spot: Spot, kinds: Sequence[str]) -> str:
    said = " and ".join(_SAID[kind] for kind in kinds)
    where = "The request" if spot.direction == "input" else "The answer"
    return f"{where} holds {said}."
