"""Names that are safe as labels: whatever callers and upstreams make up, there is only so much of it.

A model has its own name where the operator or the catalogue names it, or once it has answered; up to a number. All
else is `other`. So nobody fills a memory, or a bill for metrics, by naming ten thousand models that there are not.

What does not live here: what is labelled (`metrics.py`, `otel.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

OTHER = "other"
NONE = "none"
# A gateway with more models in use than these has them in its settings.
_MODELS = 200
_CODES = 100
_NAME = 128
_CODE = re.compile(r"[a-z0-9_.-]{1,64}")


class Models:
    """Models by the names that they have in labels.

    Args:
        known: Pairs of provider and model that are known from the beginning.
        most: So many further ones get their own name.
    """

    __slots__ = ("_known", "_learned", "_most")

    def __init__(self, known: Container[tuple[str, str]] = frozenset(), most: int = _MODELS) -> None:
        self._known = known
        self._learned: set[tuple[str, str]] = set()
        self._most = most

    def label(self, provider: str, model: str, *, answered: bool = False) -> str:
        """The model's name, `other` for one that is not known, `none` for none.

        Args:
            answered: It has, so that there is such a model.
        """
        if not model:
            return NONE
        pair = (provider, model)
        if pair in self._known or pair in self._learned:
            return model
        if not answered or len(self._learned) >= self._most or len(model) > _NAME:
            return OTHER
        self._learned.add(pair)
        return model


class Codes:
    """Codes of failures; some are an upstream's own.

    Args:
        most: So many are told apart.
    """

    __slots__ = ("_most", "_seen")

    def __init__(self, most: int = _CODES) -> None:
        self._seen: set[str] = set()
        self._most = most

    def label(self, code: str) -> str:
        """The code, `other` for one too many, "" for none."""
        if code in self._seen or not code:
            return code
        if len(self._seen) >= self._most or not _CODE.fullmatch(code):
            return OTHER
        self._seen.add(code)
        return code
