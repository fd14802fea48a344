r"""Texts that match a regular expression, of the kind that stands in schemas: literals, classes, groups, repetitions.

What does not live here: checking that they match (`sample.py`), patterns with assertions or references.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": "-. ",
    "S": string.ascii_letters + string.digits,
}
_COUNTED = re.compile(r"\{(?=[^}])(\d*)(,?)(\d*)\}")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_PLAIN = string.ascii_letters + string.digits
_ANY = string.ascii_lowercase + string.digits
# A repetition without an end is not repeated more often than this beyond what it has to be.
_MORE = 3


class Unreadable(ValueError):
    """A pattern of another kind."""


def matching(pattern: str, source: random.Random, *, least: int = 0) -> str:
    """A text for `pattern`, where it can be of at least so many characters.

    Raises:
        Unreadable: The pattern has something that this does not know.
    """
    reader = _Reader(pattern, source, least)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise Unreadable(f"')' without '(' in {pattern!r}")
    return text


class _Reader:
    """Reads a pattern from left to right, and writes a text meanwhile."""

    def __init__(self, pattern: str, source: random.Random, least: int) -> None:
        self.pattern = pattern
        self.source = source
        self.at = 0
        self._least = least

    def alternatives(self) -> str:
        """One of the alternatives up to the end, or to the bracket that ends them."""
        found = [self._sequence()]
        while self._takes("|"):
            found.append(self._sequence())
        return self.source.choice(found)

    def _sequence(self) -> str:
        out: list[str] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            start = self.at
            one = self._atom()
            end = self.at
            low, high = self._times()
            after = self.at
            if (low, high) == (1, 1):
                out.append(one)
                continue
            for _ in range(self.source.randint(low, high)):
                # Read once more, so that each repetition has its own chance.
                self.at = start
                out.append(self._atom())
                assert self.at == end
            self.at = after
        return "".join(out)

    def _atom(self) -> str:
        letter = self.pattern[self.at]
        self.at += 1
        if letter == "(":
            return self._group()
        if letter == "[":
            return self.source.choice(self._class())
        if letter == "\\":
            return self.source.choice(self._escape(bounds=True) or [""])
        if letter == ".":
            return self.source.choice(_ANY)
        if letter in "^$":
            return ""
        if letter in "*+?{":
            raise Unreadable(f"nothing to repeat in {self.pattern!r}")
        return letter

    def _group(self) -> str:
        if self._takes("?") and not self._takes(":"):
            raise Unreadable(f"an assertion or a named group in {self.pattern!r}")
        text = self.alternatives()
        if not self._takes(")"):
            raise Unreadable(f"'(' without ')' in {self.pattern!r}")
        return text

    def _times(self) -> tuple[int, int]:
        low = high = 1
        more = max(_MORE, self._least)
        if self._takes("*"):
            low, high = self._least, more
        elif self._takes("+"):
            low, high = max(1, self._least), more
        elif self._takes("?"):
            low, high = 0, 1
        elif match := _COUNTED.match(self.pattern, self.at):
            self.at = match.end()
            low = min(int(match[1] or 0), 1000)
            high = min(int(match[3]), 1000) if match[3] else max(low + _MORE, self._least) if match[2] else low
            high = min(high, max(low + _MORE, self._least))
        if self.at < len(self.pattern) and self.pattern[self.at] in "?+" and (low, high) != (1, 1):
            self.at += 1  # lazy or possessive: the same texts
        return low, max(low, high)

    def _class(self) -> list[str]:
        negated = self._takes("^")
        found: list[str] = []
        first = True
        while first or not self._takes("]"):
            first = False
            if self.at >= len(self.pattern):
                raise Unreadable(f"'[' without ']' in {self.pattern!r}")
            letter = self.pattern[self.at]
            self.at += 1
            letters = self._escape(bounds=False) if letter == "\\" else [letter]
            if len(letters) == 1 and self.pattern[self.at : self.at + 1] == "-" and self._ends_range():
                self.at += 1
                last = self.pattern[self.at]
                self.at += 1
                ends = self._escape(bounds=False) if last == "\\" else [last]
                letters = [chr(code) for code in range(ord(letters[0]), ord(ends[0]) + 1)][:256]
            found += letters
        if negated:
            found = [one for one in _PLAIN + "-_ " if one not in found]
        if not found:
            raise Unreadable(f"an empty class in {self.pattern!r}")
        # Of what a class holds, what can be read by everybody first.
        return [one for one in found if one in _PLAIN] or found

    def _ends_range(self) -> bool:
        return self.at + 1 < len(self.pattern) and self.pattern[self.at + 1] != "]"

    def _escape(self, *, bounds: bool) -> list[str]:
        if self.at >= len(self.pattern):
            raise Unreadable(f"a backslash ends {self.pattern!r}")
        letter = self.pattern[self.at]
        self.at += 1
        if letter in _CLASSES:
            return list(_CLASSES[letter])
        if bounds and letter in "bBAZz":
            return []
        if letter.isalnum() and letter not in _ESCAPED:
            raise Unreadable(f"\\{letter} in {self.pattern!r}")
        return [_ESCAPED.get(letter, letter)]

    def _takes(self, letter: str) -> bool:
        if self.pattern[self.at : self.at + 1] != letter:
            return False
        self.at += 1
        return True
