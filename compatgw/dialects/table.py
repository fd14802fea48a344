"""The dialects by name: one line each.

What does not live here: which provider speaks which (`providers/table.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects.hosted import Door, hosted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compatgw.dialects.base import Dialect

# Azure's older door: the deployment stands in the path.
_DEPLOYED = (
    "/chat/completions", "/completions", "/embeddings", "/images/generations", "/images/edits", "/audio/speech",
    "/audio/transcriptions", "/audio/translations",
)  # fmt: skip
_DEPLOYMENTS = Door({path: f"/deployments/{{model}}{path}" for path in _DEPLOYED})
# Vertex AI knows by itself what the Gemini API wants to be told.
_GEMINI = Door({}, omits=(("toolConfig", "includeServerSideToolInvocations"),))
# Google's door to Claude: the model stands in the path, the version of the protocol in the body.
_CLAUDE = "/publishers/anthropic/models"
_VERTEX = Door(
    {"/messages": f"{_CLAUDE}/{{model}}:rawPredict", "/messages/count_tokens": f"{_CLAUDE}/count-tokens:rawPredict"},
    streamed={"/messages": f"{_CLAUDE}/{{model}}:streamRawPredict"},
    drop=("model",),
    keeps=frozenset({"/messages/count_tokens"}),
    adds={"anthropic_version": "vertex-2023-10-16"},
    lists={
        "anthropic-beta": frozenset(
            {
                "compact-2026-01-12", "computer-use-2025-01-24", "computer-use-2025-11-24", "context-1m-2025-08-07",
                "context-management-2025-06-27", "interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19",
                "web-search-2025-03-05",
            }
        )
    },
)  # fmt: skip


class _Dialects(Mapping[str, "Dialect"]):
    """Loads a dialect when somebody first asks for it: most gateways speak two or three."""

    def __getitem__(self, name: str) -> Dialect:
        return _dialect(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


# Each with its package, and the door that its requests go through, if any.
_HOMES: Mapping[str, tuple[str, Door | None]] = MappingProxyType(
    {
        "openai": ("openai", None),
        "anthropic": ("anthropic", None),
        "gemini": ("gemini", None),
        "cohere": ("cohere", None),
        "bedrock": ("bedrock", None),
        "azure-deployments": ("openai", _DEPLOYMENTS),
        "vertex-anthropic": ("anthropic", _VERTEX),
        "vertex-gemini": ("gemini", _GEMINI),
        "voyage": ("voyage", None),
        "jina": ("jina", None),
    }
)


@cache
def _dialect(name: str) -> Dialect:
    package, door = _HOMES[name]
    found: Dialect = import_module(f"compatgw.dialects.{package}").DIALECT
    return found if door is None else hosted(found, name, door)


DIALECTS: Mapping[str, Dialect] = _Dialects()
