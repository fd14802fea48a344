"""A text as guardrails read it, beside the text as it stands: what cannot be seen is gone, what looks like a
digit is one, and JSON's escapes are what they mean. Each character read knows where it stands.

`Folded.add` takes the text in pieces, cut anywhere. The characters read are the same for every cut:

    full-width letters, digits of any script, dashes, fixed-width spaces   -> their ASCII sisters, one for one
    invisible characters (zero width, marks of direction, soft hyphens)    -> nothing, up to `MOST_INVISIBLE` in a row
    `\\n`, `\\u0040`, surrogate pairs inside JSON                            -> the one character that they mean

What does not live here: what is looked for (`pii_find.py`, `moderation.py`), what is let out (`window.py`).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

import orjson

MOST_INVISIBLE = 64
"""More of them in a row separate what stands around them, so that nothing has to be held for ever."""
NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\uff61-\uffdc\U00020000-\U0003ffff"
)
"""For a class of a pattern: letters of scripts that put no space between words, or none before what ends them."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0"
)
_DASHES = "\u2010-\u2015\u2212\ufe58\ufe63\u30fc"
_SPACES = "\u00a0\u2000-\u200a\u202f\u205f\u3000"
_DOTS = "\u2024\ufe52"
_TAGS = "\U000e0000-\U000e007f"
_UNSEEN = re.compile(f"[{_INVISIBLE}{_TAGS}]")
# One class, which is found several times as fast as a choice of them; ASCII's own digits are their own sisters.
_SPECIAL = re.compile(rf"[{_INVISIBLE}{_TAGS}{_DASHES}{_SPACES}{_DOTS}\ufe6b\uff01-\uff5e\d]")
_JSON = re.compile(r'\\(?:u[0-9A-Fa-f]{4}|[^u])|["\\]')
_HALF = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Folded:
    """What was read of a text so far, from some place on.

    Args:
        json: The text is JSON.

    Attributes:
        text: The characters read.
        raw: The text itself, of which `text` was read.
        pending: Characters at the end of `raw` that may belong to an escape, and are not read yet.
    """

    __slots__ = (
        "_ends", "_high", "_inside", "_json", "_length", "_places", "_quotes", "_raw_length", "_read", "_starts",
        "_stood", "_unseen", "pending", "raw", "text",
    )  # fmt: skip

    def __init__(self, *, json: bool = False) -> None:
        self.text = ""
        self.raw = ""
        self.pending = ""
        self._json = json
        # Characters read that do not stand right after the one before, or are not one character there.
        self._places: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._unseen = 0
        # JSON: where strings begin and end among the characters read, and how it was before the first.
        self._quotes: list[int] = []
        self._inside = False
        self._high = ""
        # What was read of the piece at hand, and both lengths with it.
        self._read: list[str] = []
        self._stood: list[str] = []
        self._length = 0
        self._raw_length = 0

    def add(self, piece: str) -> None:
        """Reads the next piece."""
        if self._json:
            self._escaped(piece)
        else:
            self._plain(piece)
        self._gather()

    def _escaped(self, piece: str) -> None:
        piece = self.pending + piece
        self.pending = ""
        done = 0
        for found in _JSON.finditer(piece):
            start, word = found.start(), found[0]
            if word == "\\":
                # At the end it is half of something; before anything else it is itself.
                if _HALF.match(piece, start):
                    break
                continue
            if start > done:
                self._give_up()
                self._plain(piece[done:start])
            self._escape(word)
            done = found.end()
        rest = piece[done:]
        half = _HALF.search(rest)
        if half is not None:
            self.pending = rest[half.start() :]
            rest = rest[: half.start()]
        if rest:
            self._give_up()
            self._plain(rest)

    def finish(self) -> None:
        """No more comes: what is pending is what it is."""
        rest, self.pending = self.pending, ""
        self._give_up()
        if rest:
            self._plain(rest)
        self._gather()

    def _gather(self) -> None:
        """Joins what was read of a piece, once: texts of megabytes come in one."""
        if self._read:
            self.text += "".join(self._read)
            self._read = []
        if self._stood:
            self.raw += "".join(self._stood)
            self._stood = []

    def start(self, place: int) -> int:
        """Where the character read at `place` begins in `raw`; after the last: where what is read ends."""
        if place >= len(self.text):
            return len(self.raw)
        at = bisect_right(self._places, place) - 1
        if at < 0:
            return place
        return self._starts[at] if self._places[at] == place else self._ends[at] + place - self._places[at] - 1

    def end(self, place: int) -> int:
        """Where the character read before `place` ends in `raw`."""
        before = place - 1
        at = bisect_right(self._places, before) - 1
        if at < 0:
            return place
        return self._ends[at] + before - self._places[at]

    def inside(self, place: int) -> bool:
        """Whether `place` is within a string of the JSON."""
        return self._inside ^ bool(bisect_right(self._quotes, place) & 1)

    def original(self, start: int, end: int) -> str:
        """The text from one place to another as it was meant: without JSON's escapes, else as it stands."""
        raw = self.raw[self.start(start) : self.end(end)]
        if self._json and "\\" in raw:
            try:
                return str(orjson.loads(f'"{raw}"'))
            except orjson.JSONDecodeError:
                return raw
        return raw

    def written(self, text: str, place: int) -> str:
        """`text` as it has to be written in place of something at `place`."""
        if not self._json:
            return text
        quoted = orjson.dumps(text.encode("utf-8", "replace").decode()).decode()
        return quoted[1:-1] if self.inside(place) else quoted

    def forget(self, place: int) -> None:
        """Forgets everything before `place`, which is place 0 from now on."""
        if place <= 0:
            return
        cut = self.start(place)
        gone = bisect_right(self._quotes, place - 1)
        self._inside ^= bool(gone & 1)
        self._quotes = [quote - place for quote in self._quotes[gone:]]
        at = bisect_right(self._places, place - 1)
        self._places = [each - place for each in self._places[at:]]
        self._starts = [each - cut for each in self._starts[at:]]
        self._ends = [each - cut for each in self._ends[at:]]
        self.text = self.text[place:]
        self.raw = self.raw[cut:]
        self._length, self._raw_length = len(self.text), len(self.raw)

    def _plain(self, piece: str) -> None:
        """Characters that stand for themselves."""
        if piece.isascii() or (found := _SPECIAL.search(piece)) is None:
            if piece:
                self._append(piece, self._raw_length)
                self._keep(piece)
            return
        base = self._raw_length
        self._keep(piece)
        at = 0
        if _UNSEEN.search(piece, found.start()) is not None:
            for unseen in _UNSEEN.finditer(piece, found.start()):
                start = unseen.start()
                if start > at:
                    self._append(_like_ascii(piece[at:start]), base + at)
                self._skip(base + start, base + start + 1)
                at = start + 1
        if at < len(piece):
            self._append(_like_ascii(piece[at:]), base + at)

    def _append(self, text: str, start: int) -> None:
        """Characters, one for one, that begin at `start` of the raw text."""
        self._unseen = 0
        place = self._length
        if start != (self.end(place) if place else 0):
            self._anchor(place, start, start + 1)
        self._put(text)

    def _skip(self, start: int, end: int) -> None:
        """An invisible character; one too many is a wall."""
        self._unseen += 1
        if self._unseen == MOST_INVISIBLE + 1:
            self._anchor(self._length, start, end)
            self._put("\n")

    def _put(self, text: str) -> None:
        self._read.append(text)
        self._length += len(text)

    def _keep(self, raw: str) -> None:
        self._stood.append(raw)
        self._raw_length += len(raw)

    def _anchor(self, place: int, start: int, end: int) -> None:
        self._places.append(place)
        self._starts.append(start)
        self._ends.append(end)

    def _escape(self, word: str) -> None:
        """A whole escape, or a quote that begins or ends a string."""
        if word == '"':
            self._give_up()
            self._quotes.append(self._length)
            self._one('"', word)
            return
        if word[1] != "u":
            self._give_up()
            self._one(_ESCAPES.get(word[1], word[1]), word)
            return
        code = int(word[2:], 16)
        if 0xDC00 <= code < 0xE000 and self._high:
            high, self._high = self._high, ""
            self._one(chr(0x10000 + ((int(high[2:], 16) - 0xD800) << 10) + code - 0xDC00), high + word)
            return
        self._give_up()
        if 0xD800 <= code < 0xDC00:
            self._high = word
        else:
            self._one(chr(code), word)

    def _give_up(self) -> None:
        """The first half of a pair stays alone."""
        if self._high:
            word, self._high = self._high, ""
            self._one("\ufffd", word)

    def _one(self, character: str, word: str) -> None:
        """One character that is written as `word`."""
        start = self._raw_length
        self._keep(word)
        if not character.isascii():
            if _UNSEEN.match(character):
                self._skip(start, self._raw_length)
                return
            character = _like_ascii(character)
        self._unseen = 0
        place = self._length
        if len(word) != 1 or start != (self.end(place) if place else 0):
            self._anchor(place, start, self._raw_length)
        self._put(character)


def _like_ascii(text: str) -> str:
    """`text` with ASCII where a character only looks different."""
    found = set(_SPECIAL.findall(text))
    return text.translate({ord(each): _sister(each) for each in found}) if found else text


@lru_cache(maxsize=2048)
def _sister(character: str) -> str:
    code = ord(character)
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if character in "\u2024\ufe52":
        return "."
    if character == "\ufe6b":
        return "@"
    return "-" if unicodedata.category(character) == "Pd" or character in "\u2212\u30fc" else " "
