"""Names of tools, ids of calls and names of documents that Bedrock takes, and the way back to the caller's own.

What does not live here: which tools there are (`tools.py`), pairing calls with results (`messages.py`).
"""

from __future__ import annotations

import re
from typing import Any

from compatgw.dialects import ids

_LIMIT = 64
_DOCUMENT = 200
# What a document's name may not hold, and more than one space in a row.
_STRANGE = re.compile(r"[^a-zA-Z0-9 ()\[\]-]+|\s+")


class Names:
    """The stand-ins of one request: the same for the same input, so that history and cache agree."""

    __slots__ = ("_documents", "_ids", "_names", "_taken")

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()
        self._documents: set[str] = set()

    def name(self, given: str) -> str:
        """The name that is sent for the tool that the caller calls `given`."""
        sent = ids.portable(given, _LIMIT)
        if sent != given:
            self._names[sent] = given
        return sent

    def id(self, given: str, *position: int) -> str:
        """The id that is sent for a call of the history; unlike all others in it.

        Args:
            given: The caller's id, perhaps empty or used before.
            position: Where the call stands; tells it from others of the same id.
        """
        sent = ids.portable(given, _LIMIT) if given else ids.minted("", *map(str, position))
        if sent in self._taken:
            sent = ids.minted(given, *map(str, position))
        self._taken.add(sent)
        if sent != given:
            self._ids[sent] = given
        return sent

    def document(self, given: str | None) -> str:
        """The name of a document: unlike those of the others, and of letters, digits and a few signs."""
        stem = (given or "").rpartition(".")[0] or given or ""
        base = " ".join(_STRANGE.sub(" ", stem).split())[:_DOCUMENT].strip() or "Document"
        sent, number = base, 1
        while sent in self._documents:
            number += 1
            sent = f"{base} ({number})"
        self._documents.add(sent)
        return sent

    def memo(self) -> dict[str, Any]:
        """Sent to given, as far as they differ: `names` and `ids`."""
        return {key: value for key, value in (("names", self._names), ("ids", self._ids)) if value}
