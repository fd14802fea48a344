"""The guardrail `content_moderation`: by a list of words and patterns, or by what a moderation model says.

`WordList` needs no network: words, phrases and patterns by category, in any case and width, whole words only.
`Judged` asks about window after window; whoever answers its `Ask` calls the model that it names, and hands in the
answer of OpenAI's moderations endpoint. Text goes out once it was judged.

What does not live here: calling the model (`flow/`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, get_args

from compatgw.guardrails.base import Checker, Direction, Kind, Nonsense, Spot, Stage, Verdict, Watch, Windows
from compatgw.guardrails.folded import NO_SPACES, Folded
from compatgw.guardrails.window import Span, Window

LONGEST_WORD = 64
LONGEST_GAP = 3
"""Characters between two words of a phrase."""

_TOKEN = re.compile(r"(?<!\w)\w+")
_SPOKEN: tuple[Kind, ...] = ("content", "refusal", "arguments", "result", "reasoning")
# Words of these scripts stand inside sentences without spaces, so they are found anywhere.
_UNSPACED = re.compile(f"[{NO_SPACES}]")
_NO_WORD = re.compile(r"\W")
_STRETCH = 1024
_WILD = frozenset("*?[")


class WordList:
    """The offline guardrail.

    Args:
        categories: Each with its words; one may be a phrase ("kill yourself"), and in each word `*` stands for any
            letters and `?` for one.
        action: `block`, or `redact`: `[VIOLENCE]` stands for the word.
        texts: Kinds of text that it looks at.
        name: For headers, errors and records.

    Raises:
        ValueError: There are no words, one has no letters, or it is longer than `LONGEST_WORD`.
    """

    __slots__ = ("_action", "_texts", "_words", "name")

    def __init__(
        self,
        categories: Mapping[str, Iterable[str]],
        *,
        action: Literal["block", "redact"] = "block",
        texts: Sequence[Kind] = _SPOKEN,
        name: str = "content_moderation",
    ) -> None:
        self.name = name
        self._action = action
        self._texts = frozenset(texts)
        self._words = Words(categories)

    def open(self) -> Watch:
        """It keeps nothing of a call."""
        return _WordWatch(self._words, self._action, self._texts)


@dataclass(frozen=True, slots=True)
class _WordWatch:
    words: Words
    action: str
    texts: frozenset[str]

    @property
    def stage(self) -> Stage:
        return "look"

    def glance(self, texts: Iterable[str]) -> None:
        """Nothing is kept of them."""

    def over(self, spot: Spot) -> Checker | None:
        if spot.kind not in self.texts:
            return None
        return Window(self.words, _crossed_out, action=self.action, json=spot.json, reason=partial(_reason, spot))


def _crossed_out(span: Span, original: str) -> str:
    return f"[{span.kind.upper()}]"


def _reason(spot: Spot, categories: Sequence[str]) -> str:
    return f"{'The request' if spot.direction == 'input' else 'The answer'} holds words that are not allowed here."


class Words:
    """Finds words, phrases and patterns.

    Args:
        categories: Each with its words.

    Raises:
        ValueError: As `WordList`.
    """

    __slots__ = ("_anywhere", "_first", "_inside", "_longest", "_wild")

    def __init__(self, categories: Mapping[str, Iterable[str]]) -> None:
        # By their first word where that is a plain one, all others one by one.
        self._first: dict[str, list[_Phrase]] = {}
        self._wild: list[_Phrase] = []
        inside: dict[str, str] = {}
        for category, words in categories.items():
            for word in words:
                read = _read(word)
                if _UNSPACED.search(read) and not _WILD & set(read):
                    inside.setdefault(read, category)
                    continue
                phrase = _phrase(word, read, category)
                if isinstance(phrase.words[0], str):
                    self._first.setdefault(phrase.words[0], []).append(phrase)
                else:
                    self._wild.append(phrase)
        if not (self._first or self._wild or inside):
            raise ValueError("The list of words is empty. Name at least one, or leave the guardrail out.")
        self._inside = inside
        self._longest = max(map(len, inside), default=0)
        ordered = sorted(inside, key=len, reverse=True)
        self._anywhere = re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE) if inside else None

    def find(self, text: str, start: int, *, final: bool) -> tuple[Sequence[Span], int]:
        """All that begins at `start` or later, and from where on more could."""
        found: list[Span] = []
        horizon = len(text)
        tokens = [match.span() for match in _TOKEN.finditer(text, self._past(text, start))]
        if tokens:
            horizon = self._in_tokens(text, tokens, found, final=final)
        if self._anywhere is not None:
            found += [
                Span(match.start(), match.end(), self._inside[match[0].casefold()], match[0])
                for match in self._anywhere.finditer(text, start)
                if match[0].casefold() in self._inside
            ]
            if not final:
                horizon = min(horizon, self._begun(text, start))
        return found, horizon

    def _past(self, text: str, start: int) -> int:
        """Past a long stretch of which no word can begin anything, which is how most texts are."""
        if len(text) - start < _STRETCH or (gap := _NO_WORD.search(text, len(text) - _STRETCH // 2)) is None:
            return start
        words = {word.casefold() for word in set(_TOKEN.findall(text, start, gap.end())) if len(word) <= LONGEST_WORD}
        begun = not self._first.keys().isdisjoint(words) or any(
            phrase.begins(word) for phrase in self._wild for word in words
        )
        return start if begun else gap.end()

    def _in_tokens(self, text: str, tokens: Sequence[tuple[int, int]], found: list[Span], *, final: bool) -> int:
        """Adds to `found` what words there are; says from where on more could begin."""
        horizon = len(text)
        words = [text[begin:end].casefold() if end - begin <= LONGEST_WORD else "" for begin, end in tokens]
        growing = not final and tokens[-1][1] == len(text) and bool(words[-1])
        for number, word in enumerate(words):
            if growing and number == len(words) - 1:
                return min(horizon, tokens[number][0])
            plain = self._first.get(word)
            if plain is None and not self._wild:
                continue
            for phrase in (*(plain or ()), *self._wild):
                end = phrase.end(text, tokens, words, number, growing=growing, final=final)
                if end is None:
                    horizon = min(horizon, tokens[number][0])
                elif end:
                    found.append(Span(tokens[number][0], end, phrase.category, word))
        return horizon

    def _begun(self, text: str, start: int) -> int:
        """Where a word of a script without spaces may have begun."""
        size = len(text)
        for begin in range(max(start, size - self._longest + 1), size):
            tail = text[begin:].casefold()
            if any(word.startswith(tail) for word in self._inside):
                return begin
        return size


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Words in a row, each plain (folded) or a pattern."""

    words: tuple[str | re.Pattern[str], ...]
    category: str

    def begins(self, word: str) -> bool:
        """Whether its first word may be this one."""
        first = self.words[0]
        return word == first if isinstance(first, str) else first.match(word) is not None

    def end(
        self,
        text: str,
        tokens: Sequence[tuple[int, int]],
        words: Sequence[str],
        number: int,
        *,
        growing: bool,
        final: bool,
    ) -> int | None:
        """Where it ends if it begins with that token; 0 if it does not, None while that is open."""
        for place, wanted in enumerate(self.words, start=number):
            if place == len(words):
                rest = len(text) - tokens[place - 1][1]
                return 0 if final or rest > LONGEST_GAP else None
            if place > number and tokens[place][0] - tokens[place - 1][1] > LONGEST_GAP:
                return 0
            if growing and place == len(words) - 1:
                return None
            word = words[place]
            if not word or not (word == wanted if isinstance(wanted, str) else wanted.match(word)):
                return 0
        return tokens[number + len(self.words) - 1][1]


def _read(word: str) -> str:
    folded = Folded()
    folded.add(word)
    return folded.text.casefold().strip()


def _phrase(word: str, read: str, category: str) -> _Phrase:
    parts = re.findall(r"[\w*?\[\]!]+", read)
    if not parts or not all(re.search(r"\w", part) for part in parts):
        raise ValueError(f"{word!r} has no letters to look for. Take it out of {category!r}.")
    if max(map(len, parts)) > LONGEST_WORD:
        raise ValueError(f"A word of {category!r} is longer than {LONGEST_WORD} characters. Shorten it.")
    made = tuple(re.compile(fnmatch.translate(part)) if _WILD & set(part) else part for part in parts)
    return _Phrase(made, category)


# --- by a model ------------------------------------------------------------------------------


def _none() -> Mapping[str, float]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Judged:
    """The guardrail that a moderation model judges for.

    Attributes:
        model: Which model to ask, as a caller of the gateway's own moderations endpoint names it.
        thresholds: Scores from 0 to 1, by category (`violence/graphic`), from which it counts.
        threshold: The same for all other categories; None: these count when the model flags them.
        window: Characters that are judged at a time on output; 0: the whole text.
        directions, kinds: Of the texts that it looks at.
        name: For headers, errors and records.
    """

    model: str
    thresholds: Mapping[str, float] = field(default_factory=_none)
    threshold: float | None = None
    window: int = 1000
    directions: tuple[Direction, ...] = ("input", "output")
    kinds: tuple[Kind, ...] = get_args(Kind)
    name: str = "content_moderation"

    def open(self) -> Watch:
        """It keeps nothing of a call."""
        return Windows(self, self.window, self.directions, self.kinds, self.understood)

    def understood(self, reply: object, text: str) -> Verdict:
        """The verdict that an answer of the endpoint is; None for one lets the text pass.

        Raises:
            Nonsense: It is no such answer.
        """
        if reply is None:
            return Verdict("pass", text)
        found = judged(reply, thresholds=self.thresholds, threshold=self.threshold)
        if found:
            return Verdict("block", "", found, f"It was judged to be about {', '.join(found)}.")
        return Verdict("pass", text)


def judged(
    reply: object, *, thresholds: Mapping[str, float] = MappingProxyType({}), threshold: float | None = None
) -> tuple[str, ...]:
    """The categories that count in an answer of OpenAI's moderations endpoint, worst score first.

    Args:
        reply: The body: `results`, each with `flagged`, `categories` and `category_scores`.
        thresholds, threshold: As in `Judged`.

    Raises:
        Nonsense: It is no such body.
    """
    results = reply.get("results") if isinstance(reply, dict) else None
    if not isinstance(results, list) or not results:
        raise Nonsense("The moderation model's answer has no results.")
    found: dict[str, float] = {}
    for result in results:
        if not isinstance(result, dict) or not isinstance(result.get("flagged"), bool):
            raise Nonsense("A result of the moderation model does not say whether it is flagged.")
        flags, scores = _table(result, "categories"), _table(result, "category_scores")
        counted = False
        for name in dict.fromkeys((*flags, *scores)):
            least = thresholds.get(name, threshold)
            score = scores.get(name)
            over = flags.get(name) is True
            if least is not None and isinstance(score, int | float) and not isinstance(score, bool):
                over = score >= least
            if over:
                found[name] = max(found.get(name, 0.0), float(score or 0))
                counted = True
        # Flagged for something that it has no name for, and no threshold of ours could speak for.
        if result["flagged"] and not counted and not any(flags.values()) and threshold is None:
            found.setdefault("flagged", 0.0)
    return tuple(sorted(found, key=lambda name: (-found[name], name)))


def _table(result: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    table = result.get(member)
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise Nonsense(f"'{member}' of the moderation model's answer is no object.")
    return table
