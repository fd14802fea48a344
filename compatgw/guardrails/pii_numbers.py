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

# A digit has at most one mark before it, so no two ways lead through this. The first group has four digits or more.
_CARD = re.compile(r"(?<![0-9])(?=([1-9][0-9]{3}(?:[ \-.]?[0-9]){9,15}))")
# First digits from and to, and the lengths that such cards have.
_ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("1800", "1800", (15,)),
    ("2131", "2131", (15,)),
    ("2200", "2204", (16, 17, 18, 19)),
    ("2221", "2720", (16,)),
    ("300", "305", (14, 16, 17, 18, 19)),
    ("3095", "3095", (14, 16, 17, 18, 19)),
    ("34", "34", (15,)),
    ("35", "35", (16, 17, 18, 19)),
    ("36", "36", (14, 15, 16, 17, 18, 19)),
    ("37", "37", (15,)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("4", "4", (13, 16, 19)),
    ("50", "50", (13, 14, 15, 16, 17, 18, 19)),
    ("51", "55", (16,)),
    ("56", "58", (13, 14, 15, 16, 17, 18, 19)),
    ("60", "61", (16, 17, 18, 19)),
    ("62", "69", (16, 17, 18, 19)),
    ("63", "63", (13, 14, 15)),
    ("67", "67", (13, 14, 15)),
    ("81", "82", (16, 17, 18, 19)),
    ("9792", "9792", (16,)),
)
_DOUBLED = str.maketrans("0123456789", "0246813579")
_ZERO = 48


def luhn(digits: str) -> bool:
    """Whether the last of ASCII digits is right."""
    back = digits[::-1]
    return (sum(back[::2].encode()) + sum(back[1::2].translate(_DOUBLED).encode()) - _ZERO * len(digits)) % 10 == 0


@lru_cache(maxsize=10_000)
def lengths(first: str) -> frozenset[int]:
    """How many digits cards may have that begin with these four."""
    return frozenset(length for low, high, each in _ISSUERS if low <= first[: len(low)] <= high for length in each)


def cards(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Where card numbers stand in a run of digits, and their digits: the longest that begins at each place."""
    for match in _CARD.finditer(text, start, end):
        begin, written = match.start(), match[1]
        allowed = lengths(written[:4])
        if not allowed:
            continue
        for stop, digits in reversed(_groups(written)):
            if len(digits) in allowed and not text[begin + stop : begin + stop + 1].isdigit() and luhn(digits):
                yield begin, begin + stop, digits
                break


def _groups(written: str) -> list[tuple[int, str]]:
    """Where a number may end, with one and the same mark between its groups; and its digits up to there."""
    if written.isdigit():
        return [(len(written), written)]
    found: list[tuple[int, str]] = []
    digits, mark, at = "", "", 0
    for group in _GROUP.finditer(written):
        before = written[at : group.start()]
        if at and before != (mark := mark or before):
            break
        digits += group[0]
        at = group.end()
        found.append((at, digits))
    return found


def is_ssn(digits: str) -> bool:
    """Whether nine digits may be a US social security number: some areas, groups and serials are never given."""
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


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
# A first group of one digit is only what is dialled before the area.
_NATIONAL = re.compile(
    r"(?<![0-9])(?<![0-9][\-.+])(?<!\+)(?=\(?[0-9]{2}|[0-9][ \-]\(?[0-9]{3})(?=([(0-9][0-9 .\-()/]{4,26}))"
)
_FEWEST, _MOST = 7, 15
_MOST_GROUPS = 8


class Phones:
    """What a telephone number is.

    Args:
        regions: Two-letter codes (`DE`) of regions whose numbers are found in their national form, too.
            Numbers with + or 00 and a country's code, and those of North America in its usual forms, always are.

    Raises:
        ImportError: `phonenumbers` is not installed.
        ValueError: A region that is not known.
    """

    __slots__ = ("_america", "_codes", "_firsts", "_regions", "_shape")

    def __init__(self, regions: Sequence[str] = ()) -> None:
        from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, SUPPORTED_REGIONS

        for region in regions:
            if region not in SUPPORTED_REGIONS:
                raise ValueError(f"{region!r} is no region that has telephone numbers. Use a code such as 'DE'.")
        self._codes = {str(code): tuple(names) for code, names in COUNTRY_CODE_TO_REGION_CODE.items()}
        self._shape = lru_cache(maxsize=300)(_shape)
        self._america = self._codes["1"]
        self._regions = tuple(_Region(region) for region in regions)
        self._firsts = frozenset(digit for region in self._regions for digit in region.firsts)

    def find(self, text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Where telephone numbers stand in a run of digits, and what is the same for all their spellings."""
        at = start
        while (abroad := _ABROAD.search(text, at, end)) is not None:
            begin = abroad.start()
            at = begin + 1
            yield from self._longest(text, begin, abroad.end(), abroad=True)
        for match in _NORTH_AMERICA.finditer(text, start, end):
            begin, written = match.start(), match[1]
            digits = _NO_DIGITS.sub("", written)[-10:]
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
                if match[1].lstrip("(")[0] not in self._firsts:
                    continue
                yield from self._longest(text, match.start(), match.start() + len(match[1]), abroad=False)

    def _longest(self, text: str, begin: int, end: int, *, abroad: bool) -> Iterator[tuple[int, int, str]]:
        """The longest number that begins there, ending where a group of digits does."""
        ends: list[tuple[int, str]] = []
        digits, before = "", begin
        for group in _GROUP.finditer(text, begin, end):
            if (digits and group.start() - before > 3) or len(ends) == _MOST_GROUPS or len(digits) > _MOST + 3:
                break
            digits += group[0]
            before = group.end()
            ends.append((before, digits))
        for stop, digits in reversed(ends):
            # Ever shorter ones follow; and one digit after the other is a list of numbers.
            if len(digits) < _FEWEST:
                return
            if len(digits) > _MOST + 3:
                continue
            written = text[begin:stop]
            if text[stop : stop + 1].isdigit() or written.count("(") != written.count(")"):
                continue
            value = self._abroad(written, digits) if abroad else self._national(digits)
            if value:
                yield begin, stop, value
                return

    def _abroad(self, written: str, digits: str) -> str:
        if "(0)" in written:
            digits = _NO_DIGITS.sub("", written.replace("(0)", "", 1))
        if written[0] != "+":
            if written.isdigit():
                return ""
            digits = digits[2:]
        if not _FEWEST <= len(digits) <= _MOST:
            return ""
        for length in (1, 2, 3):
            code, rest = digits[:length], digits[length:]
            if (regions := self._codes.get(code)) is not None:
                # Some keep the 0 of the national form.
                for number in (rest, rest[1:]) if rest[:1] == "0" else (rest,):
                    if any(self._shape(region, code).fullmatch(number) for region in regions):
                        return f"+{code}{number}"
                return ""
        return ""

    def _national(self, digits: str) -> str:
        for region in self._regions:
            if found := region.read(digits):
                return found
        return ""

    def _american(self, digits: str) -> bool:
        return any(self._shape(region, "1").fullmatch(digits) for region in self._america)


_NO_DIGITS = re.compile(r"[^0-9]+")


class _Region:
    """The national form of one region's numbers.

    Attributes:
        firsts: The digits that one may begin with.
    """

    __slots__ = ("_code", "_formats", "_prefix", "_shape", "_sizes", "firsts")

    def __init__(self, region: str) -> None:
        from phonenumbers import PhoneMetadata

        known = PhoneMetadata.metadata_for_region(region, None)
        self._code = str(known.country_code) if known is not None else ""
        self._prefix = (known.national_prefix or "") if known is not None else ""
        self._shape = _shape(region, self._code)
        sizes = set(known.general_desc.possible_length if known is not None and known.general_desc is not None else ())
        self._sizes = frozenset(sizes | {size + len(self._prefix) for size in sizes})
        # What numbers look like, and whether the prefix has to be there.
        self._formats: list[tuple[re.Pattern[str], re.Pattern[str], bool]] = []
        for form in known.number_format if known is not None else ():
            rule = form.national_prefix_formatting_rule or ""
            needed = bool(self._prefix) and rule.lstrip("(").startswith(self._prefix)
            leading = form.leading_digits_pattern[-1] if form.leading_digits_pattern else ""
            self._formats.append(
                (
                    re.compile(leading),
                    re.compile(form.pattern or ""),
                    needed and not form.national_prefix_optional_when_formatting,
                )
            )

        only = self._prefix and all(needed for _, _, needed in self._formats)
        self.firsts = self._prefix[0] if only else "0123456789"

    def read(self, digits: str) -> str:
        """The number with its country's code, "" if it is none."""
        if len(digits) not in self._sizes:
            return ""
        if self._prefix and digits.startswith(self._prefix):
            rest = digits[len(self._prefix) :]
            if len(rest) >= _FEWEST - 1 and self._shape.fullmatch(rest):
                return f"+{self._code}{rest}"
        if len(digits) >= _FEWEST and self._shape.fullmatch(digits) and not self._needs_prefix(digits):
            return f"+{self._code}{digits}"
        return ""

    def _needs_prefix(self, digits: str) -> bool:
        for leading, pattern, needed in self._formats:
            if leading.match(digits) and pattern.fullmatch(digits):
                return needed
        # None of its forms: a number that nobody would write like that.
        return True


def _shape(region: str, code: str) -> re.Pattern[str]:
    """What a national number of the region looks like."""
    from phonenumbers import PhoneMetadata

    known = (
        PhoneMetadata.metadata_for_nongeo_region(int(code), None)
        if region == "001"
        else PhoneMetadata.metadata_for_region(region, None)
    )
    described = known.general_desc.national_number_pattern if known is not None and known.general_desc else None
    return re.compile(described or r"(?!)")
