"""Where personal data stands in a text: e-mail addresses, IP addresses, and numbers that may be one.

Every search is a flat class or a bounded repetition of one; what it brings is checked by code. So the time is
linear in the text, whatever that is. Each thing found depends on at most `SIGHT` characters before it, and is
sure once the run of characters that it stands in has ended, or has become longer than any such thing.

What does not live here: which numbers are telephones, cards or social security numbers (`pii_numbers.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from compatgw.guardrails.folded import NO_SPACES
from compatgw.guardrails.pii_numbers import LONGEST_NUMBER, cards, is_ssn
from compatgw.guardrails.window import Span

if TYPE_CHECKING:
    from compatgw.guardrails.pii_numbers import Phones

LONGEST_LOCAL = 64
LONGEST_DOMAIN = 253
LONGEST_IP = 45

# Letters of scripts that put no space between words would tie an address to the sentence around it.
_MARKS = "\u0300-\u036f"
_LETTER = rf"[^\W\d_{NO_SPACES}]"
# What may stand before the @, read backwards from there.
_LOCAL = re.compile(rf"(?:[^\W{NO_SPACES}]|[.%+\-'{_MARKS}]){{1,{LONGEST_LOCAL}}}+")
_DOMAIN = re.compile(rf"(?:[^\W_{NO_SPACES}]|[.\-{_MARKS}]){{1,{LONGEST_DOMAIN}}}+")
_TOP = re.compile(rf"(?:xn--[0-9A-Za-z\-]{{2,59}}|(?:{_LETTER}|[{_MARKS}]){{2,63}}+)")

_HINT = re.compile(r"[0-9@:]")
_RUN = re.compile(r"[0-9+(][0-9 .\-()/+]{5,}+")
_NUMBER_TAIL = re.compile(rf"[0-9 .\-()/+]{{1,{LONGEST_NUMBER}}}+")
_NUMBER_START = re.compile(r"[0-9+(]")
_COLONS = re.compile(r"[0-9A-Fa-f]{0,4}+:[0-9A-Fa-f:.]{1,}+")
_COLONS_TAIL = re.compile(rf"[0-9A-Za-z:._]{{1,{LONGEST_IP + 3}}}+")

_SSN = re.compile(r"(?<![0-9])(?=([0-9]{3}([\-. ])[0-9]{2}\2[0-9]{4})(?![0-9]))")
_NINE = re.compile(r"(?<![0-9])[0-9]{9}(?![0-9])")
_QUAD = re.compile(r"(?<![0-9])(?<![0-9]\.)(?=([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9]|\.[0-9]))")
_SSN_WORD = re.compile(r"(?i)\b(?:ssn|social[ _\-]?security)\b[^\n0-9]{0,24}\Z")
_VERSION_WORD = re.compile(r"(?i)\bver(?:sion|\.)?:? {0,2}\Z")
_ESCAPED = frozenset("nrtbf")


class PersonalData:
    """Finds the kinds of personal data that it was made for.

    Args:
        kinds: Any of `email`, `phone`, `us_ssn`, `credit_card`, `ip`.
        phones: What a telephone number is; None without `phone`.
    """

    __slots__ = ("_email", "_ip", "_kinds", "_numbers", "_phones")

    def __init__(self, kinds: AbstractSet[str], phones: Phones | None) -> None:
        self._kinds = kinds
        self._email = "email" in kinds
        self._ip = "ip" in kinds
        self._numbers = not kinds.isdisjoint({"phone", "us_ssn", "credit_card", "ip"})
        self._phones = phones

    def find(self, text: str, start: int, *, final: bool) -> tuple[Sequence[Span], int]:
        """All that begins at `start` or later, and how far that is sure."""
        size = len(text)
        horizon = size if final else self._horizon(text, start)
        if start >= size or _HINT.search(text, start) is None:
            return (), horizon
        found: list[Span] = []
        if self._email and "@" in text:
            waiting = _emails(text, start, found, final=final)
            horizon = min(horizon, waiting)
        if self._numbers:
            for run in _RUN.finditer(text, start):
                found += self._in_run(text, run.start(), run.end())
        if self._ip and ":" in text:
            found += _ipv6(text, start)
        return found, horizon

    def _in_run(self, text: str, start: int, end: int) -> Iterator[Span]:
        """What is in a run of digits and what stands between digits."""
        kinds = self._kinds
        # What closes the run is looked at as well.
        end = min(len(text), end + 1)
        if "ip" in kinds:
            yield from _ipv4(text, start, end)
        if "us_ssn" in kinds:
            yield from _ssns(text, start, end)
        if "credit_card" in kinds:
            for begin, stop, value in cards(text, start, end):
                if _free(text, begin, stop, named=True):
                    yield Span(begin, stop, "credit_card", value)
        if self._phones is not None:
            for begin, stop, value in self._phones.find(text, start, end):
                if _free(text, begin, stop, phone=True):
                    # What is a card or a social security number as well is that.
                    yield Span(begin, stop, "phone", value, 1)

    def _horizon(self, text: str, start: int) -> int:
        """Before which place nothing can begin any more, but for addresses that already have their @."""
        size = len(text)
        horizon = size
        if self._email:
            held = _LOCAL.match(text[max(start, size - LONGEST_LOCAL) :][::-1])
            if held is not None:
                horizon -= held.end()
        if self._ip:
            held = _COLONS_TAIL.match(text[max(start, size - LONGEST_IP - 3) :][::-1])
            if held is not None:
                horizon = min(horizon, size - held.end())
        if self._numbers:
            held = _NUMBER_TAIL.match(text[max(start, size - LONGEST_NUMBER) :][::-1])
            if held is not None:
                first = _NUMBER_START.search(text, size - held.end())
                if first is not None:
                    horizon = min(horizon, first.start())
        return max(start, horizon)


# --- addresses -------------------------------------------------------------------------------


def _emails(text: str, start: int, found: list[Span], *, final: bool) -> int:
    """Adds the addresses to `found`; says where the first begins that may still grow."""
    size = len(text)
    waiting = size
    at = text.find("@", start)
    while at >= 0:
        after = _DOMAIN.match(text, at + 1)
        run = after[0] if after is not None else ""
        grows = at + 1 + len(run) == size and len(run) < LONGEST_DOMAIN and not final
        if (grows or "." in run) and (before := _LOCAL.match(text[max(0, at - LONGEST_LOCAL) : at][::-1])) is not None:
            begin = at - before.end()
            if grows:
                waiting = min(waiting, begin)
            elif domain := _domain(run):
                begin = _after_escape(text, begin, at)
                while begin < at and text[begin] in ".'-":
                    begin += 1
                if begin < at:
                    end = at + 1 + len(domain)
                    found.append(Span(begin, end, "email", text[begin:end].lower()))
        at = text.find("@", at + 1)
    return waiting


def _domain(run: str) -> str:
    """The longest name of at least two labels that `run` begins with and that ends in a top level, else ""."""
    labels = run.split(".")
    good = 0
    for number, label in enumerate(labels):
        if not label or len(label) > 63 or label[0] == "-":
            break
        top = _TOP.match(label)
        if number and top is not None and (top.end() == len(label) or label[top.end()] == "-"):
            good = number
            cut = top.end()
        if label[-1] == "-":
            break
    return ".".join([*labels[:good], labels[good][:cut]]) if good else ""


def _after_escape(text: str, begin: int, end: int) -> int:
    """Past the letter of a line break that is written out, as in source code: it is no part of the address."""
    escaped = begin > 0 and end - begin > 1 and text[begin - 1] == "\\" and text[begin] in _ESCAPED
    return begin + 1 if escaped else begin


def _ipv4(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _QUAD.finditer(text, start, end):
        begin = match.start()
        value = match[1]
        stop = begin + len(value)
        if not _free(text, begin, stop) or _VERSION_WORD.search(text[max(0, begin - 12) : begin]):
            continue
        try:
            yield Span(begin, stop, "ip", str(IPv4Address(value)))
        except AddressValueError:
            continue


def _ipv6(text: str, start: int) -> Iterator[Span]:
    for match in _COLONS.finditer(text, start):
        begin, run = match.start(), match[0]
        if len(run) > LONGEST_IP + 2 or (begin and text[begin - 1] == ":"):
            continue
        # The colon of "Address:" is none of its own.
        if run[0] == ":" and run[1] != ":":
            begin, run = begin + 1, run[1:]
        run = run.rstrip(".")
        if run.endswith(":") and not run.endswith("::"):
            run = run[:-1]
        # Shorter ones are slices, names in C++, or the machine itself.
        if run.count(":") < 2 or sum(each not in ":." for each in run) < 5 or not _free(text, begin, match.end()):
            continue
        try:
            yield Span(begin, begin + len(run), "ip", str(IPv6Address(run)))
        except AddressValueError:
            continue


def _ssns(text: str, start: int, end: int) -> Iterator[Span]:
    for match in _SSN.finditer(text, start, end):
        begin, value = match.start(), match[1]
        stop = begin + len(value)
        if (
            is_ssn(value[:3] + value[4:6] + value[7:])
            and _free(text, begin, stop, named=True)
            and not _tied(text, begin, stop)
        ):
            yield Span(begin, stop, "us_ssn", value[:3] + value[4:6] + value[7:])
    for match in _NINE.finditer(text, start, end):
        begin, value = match.start(), match[0]
        if is_ssn(value) and _free(text, begin, match.end()) and _SSN_WORD.search(text[max(0, begin - 48) : begin]):
            yield Span(begin, match.end(), "us_ssn", value)


# --- what stands around ----------------------------------------------------------------------

_WORD = re.compile(rf"[^\W{NO_SPACES}]")
_LAST_WORD = re.compile(r"(?<![0-9_])[A-Za-z]{2,16}\Z")


def _free(text: str, begin: int, end: int, *, phone: bool = False, named: bool = False) -> bool:
    """No word goes on into it or out of it.

    Args:
        phone: What follows may be its extension, and a plus sign begins it whatever stands before.
        named: A word of letters may lead into it, as in "Visa4111..."; one that could be hexadecimal may not.
    """
    if begin and _WORD.match(text, begin - 1):
        escape = begin > 1 and text[begin - 2] == "\\" and text[begin - 1] in _ESCAPED
        plus = phone and text[begin] == "+" and not text[begin - 1].isdigit()
        if not (escape or plus or (named and _leads_in(text[max(0, begin - 16) : begin]))):
            return False
    if end < len(text) and _WORD.match(text, end):
        return phone and text[end] in "xeXE"
    return True


def _leads_in(before: str) -> bool:
    word = _LAST_WORD.search(before)
    return word is not None and len(word[0]) > 1 and any(letter not in "abcdef" for letter in word[0].lower())


def _tied(text: str, begin: int, end: int) -> bool:
    """It is a part of a longer number with the same marks between its digits."""
    before, after = text[max(0, begin - 2) : begin], text[end : end + 2]
    return (len(before) == 2 and before[1] in "-." and before[0].isdigit()) or (
        len(after) == 2 and after[0] in "-." and after[1].isdigit()
    )
