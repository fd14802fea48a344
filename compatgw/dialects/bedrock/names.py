"""Names of tools, ids of calls and names of documents that Bedrock takes, and the way back to the caller's own.

What does not live here: which tools there are (`tools.py`), pairing calls with results (`blocks/messages.py`).
"""

from __future__ import annotations

import re

from compatgw.dialects.blocks import names

_LIMIT = 64
_DOCUMENT = 200
# What a document's name may not hold, and more than one space in a row.
_STRANGE = re.compile(r"[^a-zA-Z0-9 ()\[\]-]+|\s+")


class Names(names.Names):
    """The stand-ins of one request: the same for the same input, so that history and cache agree."""

    __slots__ = ("_documents",)

    def __init__(self) -> None:
        super().__init__(_LIMIT, _LIMIT)
        self._documents: set[str] = set()

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
