"""A cassette as text for people.

What does not live here: comparing two (`compare.py`), the file itself (`format.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compatgw_testing.cassettes.compare import content
from compatgw_testing.cassettes.match import told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compatgw_testing.cassettes.format import Cassette, Interaction


def shown(path: Path, cassette: Cassette, *, body: bool = False, chunks: bool = False) -> str:
    """What a cassette holds.

    Args:
        path: Its file.
        cassette: What is in it.
        body: Bodies, too.
        chunks: Every chunk, with its time.
    """
    about = cassette.provenance
    lines = [f"{path}: {about.source}"]
    told_of = {"server": about.server, "model": about.model, "recorded at": about.recorded_at, "test": about.test}
    lines += [f"  {name}: {value}" for name, value in {**told_of, "note": about.note}.items() if value]
    if about.chunks != "as received":
        lines.append("  chunks: inferred, not those of the wire")
    for number, one in enumerate(cassette.interactions, 1):
        lines.append(f"  {number}. {told(one.request)}")
        lines.append(f"     {_answer(one)}")
        if body:
            lines += _indented("asked", content(one.request.body))
            lines += _indented("answered", content(one.body))
        if chunks:
            lines += [f"     {chunk.t_ms:10.1f} ms  {chunk.data!r}" for chunk in one.chunks]
    return "\n".join(lines) + "\n"


def _answer(one: Interaction) -> str:
    if one.head is None:
        return f"no answer: {one.end.kind}{f' ({one.end.error})' if one.end.error else ''}"
    size = sum(len(chunk.data) for chunk in one.chunks)
    kind = dict(one.head.headers).get("content-type", "no content type").partition(";")[0]
    parts = [
        f"{one.head.status} {kind}",
        f"{size} bytes in {len(one.chunks)} chunk{'' if len(one.chunks) == 1 else 's'}",
    ]
    if one.chunks:
        parts.append(f"first after {one.chunks[0].t_ms:.1f} ms")
    parts.append(f"{one.end.kind} after {one.end.t_ms:.1f} ms")
    if one.end.error:
        parts.append(one.end.error)
    return ", ".join(parts)


def _indented(name: str, value: object) -> Iterator[str]:
    values = value if isinstance(value, list) else [value]
    for one in values:
        text = one if isinstance(one, str) else json.dumps(one, ensure_ascii=False, indent=1)
        yield from (f"     {name}: {line}" for line in text.splitlines())
