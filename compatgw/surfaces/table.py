"""The surfaces by the paths of their calls: one line each.

What does not live here: which routes there are beside them (`web/routes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.surfaces.base import Surface

# Each with its module, and its name there.
_HOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "/chat/completions": ("chat", "CHAT"),
        "/completions": ("completions", "COMPLETIONS"),
        "/embeddings": ("embeddings", "EMBEDDINGS"),
        "/images/generations": ("images", "IMAGES"),
        "/images/edits": ("images", "EDITS"),
        "/audio/speech": ("audio", "SPEECH"),
        "/audio/transcriptions": ("audio", "TRANSCRIPTIONS"),
        "/audio/translations": ("audio", "TRANSLATIONS"),
        "/moderations": ("moderations", "MODERATIONS"),
        "/rerank": ("rerank", "RERANK"),
        "/messages": ("messages", "MESSAGES"),
        "/messages/count_tokens": ("messages", "COUNT_TOKENS"),
        "/responses": ("responses", "RESPONSES"),
    }
)


class _Surfaces(Mapping[str, "Surface"]):
    """Loads a surface when somebody first asks for it: most applications speak one or two."""

    def __getitem__(self, path: str) -> Surface:
        return _surface(path)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


@cache
def _surface(path: str) -> Surface:
    module, name = _HOMES[path]
    found: Surface = getattr(import_module(f"compatgw.surfaces.{module}"), name)
    return found


SURFACES: Mapping[str, Surface] = _Surfaces()
"""Calls by their paths under `/v1`."""
