"""Sources of an answer as OpenAI's annotations.

Gemini counts positions in UTF-8 bytes, within a part or within all text, and does not say
which; OpenAI counts code points of the whole text. A position is only believed when the text
there is the one that the source is said to support; else that text is looked for.

What does not live here: the rest of an answer (`candidate.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_SUPPORTS = 2000
_SOURCES = ("web", "retrievedContext", "maps", "image")


class Said(NamedTuple):
    """A piece of visible text: the part that it came in, where it begins in the whole text, and itself."""

    part: int
    start: int
    text: str


def annotate(metadata: Any, said: Sequence[Said]) -> list[dict[str, Any]]:
    """One annotation for each supported segment and each of its sources, in the order of the upstream."""
    if not isinstance(metadata, dict):
        return []
    chunks, supports = metadata.get("groundingChunks"), metadata.get("groundingSupports")
    if not isinstance(chunks, list) or not isinstance(supports, list):
        return []
    text = _Text(said)
    found: list[dict[str, Any]] = []
    for support in supports[:MAX_SUPPORTS]:
        indices = support.get("groundingChunkIndices") if isinstance(support, dict) else None
        place = text.find(support["segment"]) if indices and isinstance(support.get("segment"), dict) else None
        if place is None:
            continue
        for url, title in _sources(chunks, indices):
            citation = {"url": url, "title": title, "start_index": place[0], "end_index": place[1]}
            found.append({"type": "url_citation", "url_citation": citation})
    return found


def _sources(chunks: list[Any], indices: Any) -> Iterator[tuple[str, str]]:
    for index in indices if isinstance(indices, list) else ():
        chunk = chunks[index] if isinstance(index, int) and 0 <= index < len(chunks) else None
        for kind in _SOURCES:
            source = chunk.get(kind) if isinstance(chunk, dict) else None
            if isinstance(source, dict):
                url = next((source[k] for k in ("uri", "sourceUri", "fileSearchStore") if source.get(k)), None)
                title = source.get("title")
                if isinstance(url, str):
                    yield url, title if isinstance(title, str) else ""


class _Text:
    """All visible text, with the ways from bytes to code points."""

    def __init__(self, said: Sequence[Said]) -> None:
        self._said = said
        self._encoded = [piece.text.encode("utf-8", "surrogatepass") for piece in said]
        self._ends = list(accumulate(map(len, self._encoded)))
        self._all = b"".join(self._encoded)

    def find(self, segment: dict[str, Any]) -> tuple[int, int] | None:
        """Where `segment` is, None when it is nowhere."""
        start, end, wanted = segment.get("startIndex", 0), segment.get("endIndex"), segment.get("text")
        text = wanted.encode("utf-8", "surrogatepass") if isinstance(wanted, str) else b""
        if isinstance(start, int) and isinstance(end, int) and 0 <= start < end:
            for base in self._bases(segment.get("partIndex", 0)):
                inside = self._all[base + start : base + end]
                if inside == text or (not text and len(inside) == end - start):
                    return self._at(base + start), self._at(base + end, last=True)
        place = self._all.find(text) if text else -1
        return None if place < 0 else (self._at(place), self._at(place + len(text), last=True))

    def _bases(self, part: Any) -> Iterator[int]:
        """Bytes before the text that positions may count from: that of the part, then all of it."""
        first = next((n for n, piece in enumerate(self._said) if piece.part == part), 0)
        base = self._ends[first - 1] if first else 0
        yield base
        if base:
            yield 0

    def _at(self, offset: int, *, last: bool = False) -> int:
        """The code point at byte `offset`; `last` for the end of a segment, which belongs to the text before."""
        # The number of the piece that holds the byte: a segment's end may be the end of its text.
        number = bisect_left(self._ends, offset) if last else bisect_right(self._ends, offset)
        inside = self._encoded[number][: offset - self._ends[number] + len(self._encoded[number])]
        return self._said[number].start + len(inside.decode("utf-8", "ignore"))
