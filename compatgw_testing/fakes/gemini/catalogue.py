"""What Gemini tells of a model.

What does not live here: which model takes what (`rules.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compatgw_testing.fakes.gemini.turns import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw_testing.fakes.answer import Json


def entry_of(name: str) -> Json:
    """The model as the list and its own address show it."""
    title = name.replace("-", " ").title()
    entry: Json = {"name": f"models/{name}", "version": "001", "displayName": title, "description": title}
    if "embedding" in name:
        methods = ["embedContent", "countTextTokens", "countTokens", "asyncBatchEmbedContent"]
        return {**entry, "inputTokenLimit": 2048, "outputTokenLimit": 1, "supportedGenerationMethods": methods}
    if name.startswith("imagen-"):
        return {**entry, "inputTokenLimit": 480, "outputTokenLimit": 8192, "supportedGenerationMethods": ["predict"]}
    entry |= {
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens", "createCachedContent", "batchGenerateContent"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
    }
    # A default, here false, is left out.
    return entry if name.startswith("gemini-2.0") else {**entry, "thinking": True}


def page_of(models: Sequence[str], query: Mapping[str, str]) -> Json:
    """One page of the list.

    Raises:
        Refused: The query names no size, or a page that there is not.
    """
    size, token = query.get("pageSize") or "50", query.get("pageToken") or "0"
    if not re.fullmatch(r"[0-9]{1,9}", size):
        raise refuse(f"Invalid value at 'page_size' (TYPE_INT32), \"{size}\"")
    if not re.fullmatch(r"[0-9]{1,9}", token):
        raise refuse("Invalid page token")
    start = int(token)
    end = start + min(int(size) or 50, 1000)
    page: Json = {"models": [entry_of(name) for name in models[start:end]]}
    return {**page, "nextPageToken": str(end)} if end < len(models) else page
