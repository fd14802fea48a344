"""The dialects by name: one line each.

What does not live here: which provider speaks which (`providers/table.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects import anthropic, bedrock, cohere, gemini, jina, openai, voyage
from compatgw.dialects.hosted import Door, hosted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Dialect

# Azure's older door: the deployment stands in the path.
_DEPLOYED = (
    "/chat/completions", "/completions", "/embeddings", "/images/generations", "/images/edits", "/audio/speech",
    "/audio/transcriptions", "/audio/translations",
)  # fmt: skip
_DEPLOYMENTS = Door({path: f"/deployments/{{model}}{path}" for path in _DEPLOYED})
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

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        dialect.name: dialect
        for dialect in (
            openai.DIALECT,
            anthropic.DIALECT,
            gemini.DIALECT,
            cohere.DIALECT,
            bedrock.DIALECT,
            hosted(openai.DIALECT, "azure-deployments", _DEPLOYMENTS),
            hosted(anthropic.DIALECT, "vertex-anthropic", _VERTEX),
            voyage.DIALECT,
            jina.DIALECT,
        )
    }
)
