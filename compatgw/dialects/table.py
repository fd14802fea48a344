"""The dialects by name: one line each.

What does not live here: which provider speaks which (`providers/table.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from compatgw.dialects import anthropic, cohere, gemini, openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Dialect

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (openai.DIALECT, anthropic.DIALECT, gemini.DIALECT, cohere.DIALECT)}
)
