"""Takes the code fence off an answer that was to be bare JSON, piece by piece.

What does not live here: how such an answer is asked for (each dialect's `request.py`).
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"\s*```[a-zA-Z]*[ \t]*\r?\n")
_PERHAPS = re.compile(r"\s*(`{0,2}|```[a-zA-Z]*[ \t]*\r?)")


class Fence:
    """Text in, text without its fence out; text without one comes out as it is, at once."""

    __slots__ = ("_held", "_open")

    def __init__(self) -> None:
        self._held = ""
        self._open: bool | None = None  # None until the beginning is known

    def feed(self, text: str) -> str:
        """What of the text so far can be given out."""
        if self._open is False:
            return text
        self._held += text
        if self._open is None:
            if opening := _OPENING.match(self._held):
                self._open = True
                self._held = self._held[opening.end() :]
            elif _PERHAPS.fullmatch(self._held):
                return ""
            else:
                self._open = False
                out, self._held = self._held, ""
                return out
        # The end of it may be the closing fence, or a part of it.
        body = self._held.rstrip()
        ticks = len(body) - len(body.rstrip("`"))
        place = len(body[: len(body) - min(ticks, 3)].rstrip())
        out, self._held = self._held[:place], self._held[place:]
        return out

    def finish(self) -> str:
        """What was held back and belongs to the answer."""
        held, self._held = self._held, ""
        return "" if self._open and held.strip() in ("```", "") else held
