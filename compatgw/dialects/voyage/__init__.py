"""The Voyage dialect: embeddings and rerank under a base such as `https://api.voyageai.com/v1`.

Close to OpenAI's, with other names (`output_dimension`, `top_k`), and it refuses members that
it does not know.

What does not live here: the multimodal and contextual endpoints, which no surface has.
"""

from __future__ import annotations

from compatgw.dialects.base import Dialect
from compatgw.dialects.voyage.embeddings import EMBEDDINGS
from compatgw.dialects.voyage.rerank import RERANK

DIALECT = Dialect("voyage", embeddings=EMBEDDINGS, rerank=RERANK)

__all__ = ["DIALECT"]
