"""What Cohere tells of a model.

What does not live here: which model takes what (`rules.py`, `embeddings.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compatgw_testing.fakes.cohere.rules import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw_testing.fakes.answer import Json

_ENDPOINTS = ("chat", "embed", "classify", "summarize", "rerank", "rate", "generate")


def endpoint_of(name: str) -> str:
    """What a model is for."""
    return next((kind for kind in ("embed", "rerank") if kind in name), "chat")


def entry_of(name: str) -> Json:
    """The model as the list and its own address show it."""
    endpoint = endpoint_of(name)
    features = ["json_mode", "json_schema", "strict_tools", "safety_modes", "tools"] if endpoint == "chat" else []
    features += [word for word in ("vision", "reasoning") if word in name]
    return {
        "name": name,
        "endpoints": [endpoint],
        "finetuned": False,
        "context_length": {"chat": 288_000.0, "embed": 128_000.0, "rerank": 4096.0}[endpoint],
        "tokenizer_url": f"https://storage.googleapis.com/cohere-public/tokenizers/{name}.json",
        "features": features or None,
        "default_endpoints": [],
        "is_deprecated": False,
    }


def page_of(models: Sequence[str], query: Mapping[str, str]) -> Json:
    """One page of the list.

    Raises:
        Refused: The query names no size, no page or no endpoint that there is.
    """
    size, token = query.get("page_size") or "20", query.get("page_token") or "0"
    endpoint = query.get("endpoint")
    if not re.fullmatch(r"[0-9]{1,4}", size) or not 1 <= int(size) <= 1000:
        raise refuse("invalid request: page_size must be a number from 1 to 1000")
    if not re.fullmatch(r"[0-9]{1,9}", token):
        raise refuse("invalid request: page_token is not valid")
    if endpoint and endpoint not in _ENDPOINTS:
        raise refuse(f"invalid request: endpoint must be one of {', '.join(_ENDPOINTS)}")
    names = [one for one in models if not endpoint or endpoint_of(one) == endpoint]
    if query.get("default_only") == "true":
        names = []
    start = int(token)
    page: Json = {"models": [entry_of(name) for name in names[start : start + int(size)]]}
    return {**page, "next_page_token": str(start + int(size))} if start + int(size) < len(names) else page
