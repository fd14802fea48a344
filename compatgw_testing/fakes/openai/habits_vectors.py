"""How those who make vectors and rankings, and no chat, differ from OpenAI, one row each.

What does not live here: what the members mean (`habit.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw_testing.fakes.openai.habit import Habit
from compatgw_testing.fakes.shape import Bool, Num, Str

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = ("float", "int8", "uint8", "binary", "ubinary")

VECTORS: Mapping[str, Habit] = {
    "voyage": Habit(
        surfaces=frozenset({"embeddings", "rerank"}),
        request_form="{hex:32}",
        errors="detail_text",
        unknown=400,
        refuses=frozenset({"dimensions", "user"}),
        embedding_shapes={
            "input_type": Str(("query", "document")),
            "truncation": Bool(),
            "output_dimension": Num(1, whole=True),
            "output_dtype": Str(_KINDS),
            "encoding_format": Str(("base64",)),
        },
        embedding_size="output_dimension",
        embedding_tokens=False,
        embedding_without=frozenset({"prompt_tokens"}),
        rerank="data",
        rerank_top="top_k",
    ),
    "jina": Habit(
        surfaces=frozenset({"embeddings", "rerank"}),
        request_header=None,
        errors="detail_text",
        unknown=422,
        refuses=frozenset({"encoding_format", "user"}),
        embedding_shapes={
            "task": Str(
                ("retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"),
            ),
            "embedding_type": Str(("base64", *_KINDS)),
            "truncate": Bool(),
            "late_chunking": Bool(),
            "normalized": Bool(),
            "prompt_name": Str(),
            "return_multivector": Bool(),
        },
        embedding_packed="embedding_type",
        embedding_tokens=False,
        rerank_repeats=True,
    ),
}
