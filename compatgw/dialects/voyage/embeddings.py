"""Voyage's embeddings: `POST /embeddings`.

What does not live here: reading an answer (`dialects/vectors.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, purposes, vectors
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.voyage.refusal import error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Result, Target
    from compatgw.wire.embeddings import EmbeddingsRequest

PATH = "/embeddings"
MOST = 1000
_WORDS: Mapping[purposes.Purpose, str] = MappingProxyType(
    {"query": "query", "document": "document", "question": "query", "fact": "query", "code": "query"}
)
_READ = frozenset({"truncate", "truncation", "output_dtype"})


def encode(request: EmbeddingsRequest, target: Target) -> Outgoing:
    """The request as Voyage takes it. Base64 is asked for where the client wants it and it holds floats.

    Raises:
        UnsupportedParameter: Token ids.
    """
    left = Leftovers(target)
    body: dict[str, Any] = {"model": target.model, "input": vectors.texts(request, target)}
    if purpose := purposes.told(request, _WORDS, left):
        body["input_type"] = purpose
    if "dimensions" in request:
        body["output_dimension"] = request["dimensions"]
    if (kind := vectors.kind(request)) != "float":
        body["encoding_format" if kind == "base64" else "output_dtype"] = kind
    if (cut := vectors.cut(request)) is not None:
        body["truncation"] = cut
    vectors.leave(request, _READ, left)
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=vectors.memo(request))


EMBEDDINGS: Codec[EmbeddingsRequest, Result] = Codec(
    encode=encode, decode=vectors.decode, error=bodies.blaming(error, "input"), most=MOST
)
