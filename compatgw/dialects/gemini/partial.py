"""Tool calls that arrive in pieces, each with the path inside the arguments that it adds to.

Only some hosts stream calls so, and only on request; everybody else sends a call whole.

What does not live here: whole calls and what becomes of them (`candidate.py`).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,9})\]|\[(?P<quote>['\"])(?P<quoted>.*?)(?P=quote)\]")
# A list cannot grow by more than this through one path, however large the index in it.
_GAP = 1000


class PartialCall:
    """One call on its way.

    Args:
        name: The function's.
        id: As the upstream gives it, None when it gives none.
        signature: The thought signature of its part.
        arguments: What came whole.
    """

    __slots__ = ("_open", "arguments", "id", "name", "signature")

    def __init__(self, name: str, id: str | None, signature: str | None, arguments: dict[str, Any]) -> None:
        self.name = name
        self.id = id
        self.signature = signature
        self.arguments: dict[str, Any] = dict(arguments)
        self._open = ""

    def add(self, pieces: Any) -> bool:
        """Takes the entries of `partialArgs`; False when one of them makes no sense."""
        for piece in pieces if isinstance(pieces, list) else ():
            path = str(piece.get("jsonPath")) if isinstance(piece, dict) else ""
            steps = _steps(path)
            if not steps:
                return False
            if not self._put(steps, piece, goes_on=path == self._open):
                return False
            self._open = path if piece.get("willContinue") is True else ""
        return True

    def _put(self, steps: list[str | int], piece: dict[str, Any], *, goes_on: bool) -> bool:
        place: Any = self.arguments
        for step, after in pairwise(steps):
            inner = _get(place, step)
            wanted = list if isinstance(after, int) else dict
            if not isinstance(inner, wanted):
                inner = wanted()
                if not _set(place, step, inner):
                    return False
            place = inner
        value = _value(piece)
        if goes_on and isinstance(value, str):
            before = _get(place, steps[-1])
            value = before + value if isinstance(before, str) else value
        return _set(place, steps[-1], value)


def _steps(path: str) -> list[str | int] | None:
    """The steps of a path such as `$.a[0]['b c']`; None when it is not one."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    place = 1
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            return None
        if match["index"] is not None:
            steps.append(int(match["index"]))
        else:
            steps.append(match["name"] if match["name"] is not None else match["quoted"])
        place = match.end()
    return steps if steps and isinstance(steps[0], str) else None


def _value(piece: dict[str, Any]) -> Any:
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            return piece[name]
    return None


def _get(place: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return place[step] if isinstance(place, list) and step < len(place) else None
    return place.get(step) if isinstance(place, dict) else None


def _set(place: Any, step: str | int, value: Any) -> bool:
    if isinstance(step, int):
        if step > len(place) + _GAP:
            return False
        place += [None] * (step + 1 - len(place))
    place[step] = value
    return True
