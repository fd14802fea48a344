"""The window over a text that comes in pieces: what is decided goes out, what may still change is held.

A finder looks for spans in the characters read so far and says up to which place nothing can change any more,
whatever follows. So the same is found however a text is cut, and no more is held than the longest span that
has begun. What is given out stays in sight for a while, since what stands before a span can decide about it.

What does not live here: what is found (`pii_find.py`, `placeholders.py`, `moderation.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from compatgw.guardrails.base import Pure, Verdict
from compatgw.guardrails.folded import Folded

SIGHT = 64
"""Characters before a place that a finder may look at."""


class Span(NamedTuple):
    """Something that was found.

    Attributes:
        start, end: Where, among the characters read.
        kind: What it is.
        value: What is the same for all spellings of it.
        rank: Of two with the same ends, the one with the lower rank counts.
    """

    start: int
    end: int
    kind: str
    value: str
    rank: int = 0


class Finder(Protocol):
    """Finds spans, and knows how far it can be sure."""

    def find(self, text: str, start: int, *, final: bool) -> tuple[Sequence[Span], int]:
        """All spans that begin at `start` or later, and the place before which no further span can begin.

        Spans that begin before that place must not depend on what follows. What is decided at a place may depend on
        at most `SIGHT` characters before it. `final`: nothing follows.
        """
        ...


class Window(Pure):
    """A checker that puts something else in place of what a finder finds, or blocks.

    Args:
        finder: What to look for.
        replace: What is written in place of a span, given the original; None lets it stand.
        action: What the verdict says once something was replaced; `block` gives nothing out any more.
        json: The text is JSON.
        reason: Of a block, given the categories.
    """

    __slots__ = ("_action", "_at", "_blocked", "_finder", "_folded", "_given", "_reason", "_replace")

    def __init__(
        self,
        finder: Finder,
        replace: Callable[[Span, str], str | None],
        *,
        action: str,
        json: bool = False,
        reason: Callable[[Sequence[str]], str] | None = None,
    ) -> None:
        self._finder = finder
        self._replace = replace
        self._action = action
        self._folded = Folded(json=json)
        self._reason = reason
        # The place up to which all is decided, and how much of the raw text is out.
        self._at = 0
        self._given = 0
        self._blocked: Verdict | None = None

    def feed(self, text: str) -> Verdict:
        """Takes the next piece."""
        if self._blocked is not None:
            return self._blocked
        if not text:
            return Verdict("pass")
        self._folded.add(text)
        return self._decided(final=False)

    def finish(self) -> Verdict:
        """Gives out what was held."""
        if self._blocked is not None:
            return self._blocked
        self._folded.finish()
        return self._decided(final=True)

    def _decided(self, *, final: bool) -> Verdict:
        folded = self._folded
        found, horizon = self._finder.find(folded.text, self._at, final=final)
        if final:
            horizon = len(folded.text)
        out: list[str] = []
        kinds: dict[str, None] = {}
        for span in sorted(found, key=_first_and_longest) if len(found) > 1 else found:
            if span.start < self._at or span.start >= horizon:
                continue
            written = self._replace(span, folded.original(span.start, span.end))
            if written is not None:
                kinds[span.kind] = None
                out += [
                    folded.raw[self._given : folded.start(span.start)],
                    folded.written(written, span.start),
                ]
                self._given = folded.end(span.end)
            self._at = span.end
        self._at = max(self._at, horizon)
        if kinds and self._action == "block":
            reason = self._reason(tuple(kinds)) if self._reason is not None else ""
            self._blocked = Verdict("block", "", tuple(kinds), reason)
            return self._blocked
        until = len(folded.raw) if self._at >= len(folded.text) else folded.start(self._at)
        if until > self._given:
            out.append(folded.raw[self._given : until])
            self._given = until
        self._forget()
        text = "".join(out)
        if not kinds:
            return Verdict("pass", text)
        return Verdict("restore" if self._action == "restore" else "redact", text, tuple(kinds))

    def _forget(self) -> None:
        """Lets go of what nobody looks at any more; not for every piece, as it copies the rest."""
        cut = self._at - SIGHT
        if cut >= SIGHT:
            gone = self._folded.start(cut)
            self._folded.forget(cut)
            self._at -= cut
            self._given -= gone


def _first_and_longest(span: Span) -> tuple[int, int, int]:
    return span.start, -span.end, span.rank
