"""How providers make embeddings, and which of them have embeddings, rerank and moderations at all.

A server that is not in the table of providers is not known: it is asked for all of them.

What does not live here: the rows (`table.py`, `clouds.py`).
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects.base import EmbeddingQuirks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.providers.row import Provider

OF_TEXT = EmbeddingQuirks(tokens=False)
"""Of text alone."""
AS_NUMBERS = EmbeddingQuirks(form="float", tokens=False)
"""Of text alone, and as numbers alone."""
MISTRAL = replace(AS_NUMBERS, rename={"dimensions": "output_dimension", "output_dtype": "output_dtype"})
PERPLEXITY = EmbeddingQuirks(form="int8", tokens=False, most=512, path="/v1/embeddings")
"""Base64 of numbers of a byte each, beside an API whose chats have no version in their path."""
TO_BE_SEARCHED = EmbeddingQuirks(
    tokens=False,
    purposes={
        "query": "query", "document": "passage", "question": "query", "fact": "query", "code": "query", "": "passage",
    },
)  # fmt: skip
"""Models that tell questions from passages, and refuse to guess."""
ONE_BY_ONE = EmbeddingQuirks(batch=False, most=1)
"""Without batches."""

# Endpoint to the providers of OpenAI's dialect that have it.
_HAVE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "embeddings": frozenset(
            {
                "openai", "azure", "azure-deployments", "together", "deepinfra", "scaleway", "sambanova", "openrouter",
                "novita", "tinfoil", "mistral", "fireworks", "perplexity", "zai", "dashscope", "nvidia", "github",
                "cloudflare", "vertex-openai", "vllm", "sglang", "llamacpp", "ollama", "lmstudio",
            }
        ),
        "rerank": frozenset({"together", "fireworks", "vllm", "sglang", "llamacpp"}),
        "moderations": frozenset({"openai", "mistral"}),
    }
)  # fmt: skip


def narrowed(row: Provider) -> Provider:
    """`row` with what it lacks of these endpoints."""
    lacks = frozenset(endpoint for endpoint, names in _HAVE.items() if row.name not in names)
    return replace(row, quirks=replace(row.quirks, lacks=row.quirks.lacks | lacks))
