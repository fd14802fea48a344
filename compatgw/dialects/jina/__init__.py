"""The Jina dialect: embeddings and rerank under a base such as `https://api.jina.ai/v1`.

Close to OpenAI's, with other names (`task`, `embedding_type`), and it refuses members that it
does not know, `encoding_format` among them.

What does not live here: the classifier, the reader and the search, which no surface has.
"""

from __future__ import annotations

from compatgw.dialects.base import Dialect
from compatgw.dialects.jina.embeddings import EMBEDDINGS
from compatgw.dialects.jina.rerank import RERANK

DIALECT = Dialect("jina", embeddings=EMBEDDINGS, rerank=RERANK)

__all__ = ["DIALECT"]
