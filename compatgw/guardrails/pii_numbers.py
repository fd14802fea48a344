"""Which numbers are telephones, cards or social security numbers.

Telephone numbers are judged by the tables of the library `phonenumbers`: country codes and each region's pattern.
Its own matcher takes a tenth of a millisecond for a number, which a text full of them turns into minutes.

What does not live here: what stands around a number (`pii_find.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

LONGEST_NUMBER = 48
"""Characters of the longest number with all that stands between its digits, and some room."""

_GROUP = re.compile(r"[0-9]+")

# --- cards -----------------------------------------------------------------------------------

# A digit between others has at most one mark before it, so no two ways lead through this.
_CARD = re.compile(r"(?<![0-9])(?=([0-9](?:[ \-.]?[0-9]){12,18}))")
_NOT_DIGITS = re.compile(r"[^0-9]")
# First digits from and to, and the lengths that such cards have.
_ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("1800", "1800", (15,)),
    ("2131", "2131", (15,)),
    ("2200", "2204", (16, 17, 18, 19)),
    ("2221", "2720", (16,)),
    ("300", "305", (14, 16, 17, 18, 19)),
    ("3095", "3095", (14, 16, 17, 18, 19)),
    ("34", "34", (15,)),
    ("3528", "3589", (16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("37", "37", (15,)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("4", "4", (13, 16, 19)),
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),
    ("51", "55", (16,)),
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
    ("6011", "6011", (16, 17, 18, 19)),
    ("60", "60", (16,)),
    ("62", "62", (16, 17, 18, 19)),
    ("6304", "6304", (13, 14, 15, 16, 17, 18, 19)),
    ("637", "639", (16,)),
    ("644", "659", (16, 17, 18, 19)),
    ("67", "67", (13, 14, 15, 16, 17, 18, 19)),
    ("81", "82", (16, 17, 18, 19)),
    ("9792", "9792", (16,)),
)
_DOUBLED = str.maketrans("0123456789", "0246813579")
_ZERO = 48


def luhn(digits: str) -> bool:
    """Whether the last of ASCII digits is right."""
    reverse = digits[::-1].encode()
    plain, doubled = reverse[::2], digits[::-1][1::2].translate(_DOUBLED).encode()
    return (sum(plain) + sum(doubled) - _ZERO * len(digits)) % 10 == 0


def is_card(digits: str) -> bool:
    """Whether an issuer gives out cards with such a number."""
    return any(
        low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in _ISSUERS
    ) and luhn(digits)


def cards(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Where card numbers stand in a run of digits, and their digits."""
    for match in _CARD.finditer(text, start, end):
        begin, written = match.start(), match[1]
        if written[0] in "07":
            continue
        marks = _NOT_DIGITS.findall(written)
        if marks and not written[:4].isdigit():
            continue
        for stop in _ends(text, begin, begin + len(written), marks):
            digits = _NOT_DIGITS.sub("", text[begin:stop]) if marks else text[begin:stop]
            if len(digits) >= 13 and is_card(digits):
                yield begin, stop, digits
                break


def _ends(text: str, begin: int, end: int, marks: Sequence[str]) -> Iterator[int]:
    """Where a number may end that begins there: at ends of groups with one and the same mark between, last first."""
    places = [end, *(m.start() for m in reversed(list(_NOT_DIGITS.finditer(text, begin, end))))] if marks else [end]
    for place in places:
        goes_on = place < len(text) and text[place].isdigit()
        if not goes_on and len(set(_NOT_DIGITS.findall(text, begin, place))) <= 1:
            yield place


def is_ssn(digits: str) -> bool:
    """Whether nine digits may be a US social security number: some areas, groups and serials are never given."""
    return (
        digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"
    )


# --- telephones ------------------------------------------------------------------------------

_ABROAD = re.compile(r"(?:\+|(?<![0-9+.\-])00(?=[ .\-(/]?[1-9]))[ ]?\(?[0-9][0-9 .\-()/]{5,30}")
_NORTH_AMERICA = re.compile(
    r"(?<![0-9])(?<![0-9][\-.])(?<!\+)(?<!\+[0-9])"
    r"(?=((?:1[ .\-])?(?:\([2-9][0-9]{2}\)[ \-]?|[2-9][0-9]{2}[ .\-/])[2-9][0-9]{2}[ .\-][0-9]{4})(?![0-9]|[\-.][0-9]))"
)
_TEN = re.compile(r"(?<![0-9])(?<![0-9][\-.])(?:1?[2-9][0-9]{9})(?![0-9]|[\-.][0-9])")
_PHONE_WORD = re.compile(
    r"(?i)(?:phone|\btel|\bcall|\bmobile|\bcell|\bfax|whatsapp|\bsms\b|\bdial|contact)[a-z]{0,6}\b[^\n0-9]{0,16}\Z"
)
_NATIONAL = re.compile(r"(?<![0-9])(?<![0-9][\-.+])(?<!\+)(?=([(0-9][0-9 .\-()/]{4,26}))")
_FEWEST, _MOST = 7, 15


class Phones:
    """What a telephone number is.

    Args:
        regions: Two-letter codes (`DE`) of regions whose numbers are found in their national form, too.
            Numbers with + or 00 and a country's code, and those of North America in its usual forms, always are.

    Raises:
        ImportError: `phonenumbers` is not installed.
        ValueError: A region that is not known.
    """

    __slots__ = ("_america", "_codes", "_patterns", "_regions")

    def __init__(self, regions: Sequence[str] = ()) -> None:
        from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS

        for region in regions:
            if region not in SUPPORTED_REGIONS:
                raise ValueError(f"{region!r} is no region that has telephone numbers. Use a code such as 'DE'.")
        self._codes = {str(code): tuple(names) for code, names in COUNTRY_CODE_TO_REGION_CODE.items()}
        self._patterns = lru_cache(maxsize=300)(_pattern)
        self._america = self._codes["1"]
        self._regions = tuple((region, _prefix(region)) for region in regions)

    def find(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Where telephone numbers stand in a run of digits, and what is the same for all their spellings."""
        at = start
        while (abroad := _ABROAD.search(text, at, end)) is not None:
            begin = at = abroad.start()
            at += 1
            yield from self._longest(text, begin, abroad.end(), abroad=True)
        for match in _NORTH_AMERICA.finditer(text, start, end):
            begin, written = match.start(), match[1]
            digits = re.sub(r"[^0-9]", "", written)[-10:]
            # Dots and spaces alone also stand in other numbers, so the area has to exist.
            if "-" in written or "(" in written or self._american(digits):
                yield begin, begin + len(written), f"+1{digits}"
        for match in _TEN.finditer(text, start, end):
            digits = match[0][-10:]
            before = text[max(0, match.start() - 32) : match.start()]
            if _PHONE_WORD.search(before) and self._american(digits):
                yield match.start(), match.end(), f"+1{digits}"
        if self._regions:
            for match in _NATIONAL.finditer(text, start, end):
                yield from self._longest(text, match.start(), match.start() + len(match[1]), abroad=False)

    def _longest(self, text: str, begin: int, end: int, *, abroad: bool) -> Iterator[tuple[int, int, str]]:
        """The longest number that begins there, ending where a group of digits does."""
        groups = [(m.start(), m.end()) for m in _GROUP.finditer(text, begin, end)]
        for number in range(1, len(groups)):
            if groups[number][0] - groups[number - 1][1] > 3:
                groups = groups[:number]
                break
        for _, stop in reversed(groups):
            if stop < len(text) and text[stop].isdigit():
                continue
            written = text[begin:stop]
            value = self._abroad(written) if abroad else self._national(written)
            if value:
                yield begin, stop, value
                return

    def _abroad(self, written: str) -> str:
        digits = re.sub(r"[^0-9]", "", written.replace("(0)", ""))
        if written[0] != "+":
            if written.isdigit():
                return ""
            digits = digits[2:]
        if not _FEWEST <= len(digits) <= _MOST:
            return ""
        for length in (1, 2, 3):
            if (regions := self._codes.get(digits[:length])) is not None:
                # Some keep the 0 of the national form.
                for rest in {digits[length:], digits[length:].removeprefix("0")}:
                    if any(self._patterns(region, digits[:length]).fullmatch(rest) for region in regions):
                        return f"+{digits[:length]}{rest}"
                return ""
        return ""

    def _national(self, written: str) -> str:
        digits = re.sub(r"[^0-9]", "", written)
        for region, (code, prefix) in self._regions:
            if prefix and not digits.startswith(prefix):
                continue
            rest = digits.removeprefix(prefix)
            if len(rest) >= _FEWEST and self._patterns(region, code).fullmatch(rest):
                return f"+{code}{rest}"
        return ""

    def _american(self, digits: str) -> bool:
        return any(self._patterns(region, "1").fullmatch(digits) for region in self._america)


def _pattern(region: str, code: str) -> re.Pattern[str]:
    """What a national number of the region looks like."""
    from phonenumbers import PhoneMetadata

    known = (
        PhoneMetadata.metadata_for_nongeo_region(int(code), None)
        if region == "001"
        else PhoneMetadata.metadata_for_region(region, None)
    )
    described = known.general_desc.national_number_pattern if known is not None and known.general_desc else None
    return re.compile(described or r"(?!)")


def _prefix(region: str) -> tuple[str, str]:
    """Country code, and what numbers begin with inside the country ("" where they may begin with anything)."""
    from phonenumbers import PhoneMetadata

    known = PhoneMetadata.metadata_for_region(region, None)
    code = str(known.country_code) if known is not None else ""
    prefix = (known.national_prefix or "") if known is not None else ""
    return code, "" if prefix in ("1", "8") else prefix
