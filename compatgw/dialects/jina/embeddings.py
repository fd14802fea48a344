"""Jina's embeddings: `POST /embeddings`.

What does not live here: images to be embedded, which the hub's request does not hold; reading
an answer (`dialects/vectors.py`).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, purposes, vectors
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.jina.refusal import error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Result, Target
    from compatgw.wire.embeddings import EmbeddingsRequest

PATH = "/embeddings"
MOST = 2048
_WORDS: Mapping[purposes.Purpose, str] = MappingProxyType(
    {
        "query": "retrieval.query",
        "document": "retrieval.passage",
        "similarity": "text-matching",
        "classification": "classification",
        "clustering": "separation",
        "question": "retrieval.query",
        "fact": "retrieval.query",
    }
)
# Its own members, sent as they are.
_SAME = ("late_chunking", "normalized", "prompt_name", "return_multivector")
_READ = frozenset({"truncate", "truncation", "output_dtype", *_SAME})


def encode(request: EmbeddingsRequest, target: Target) -> Outgoing:
    """The request as Jina takes it. Base64 is asked for where the client wants it and it holds floats.

    Raises:
        UnsupportedParameter: Token ids.
    """
    left = Leftovers(target)
    members: Mapping[str, Any] = request
    body: dict[str, Any] = {"model": target.model, "input": vectors.texts(request, target)}
    if purpose := purposes.told(request, _WORDS, left):
        body["task"] = purpose
    if "dimensions" in request:
        body["dimensions"] = request["dimensions"]
    if (kind := vectors.kind(request)) != "float":
        body["embedding_type"] = kind
    if (cut := vectors.cut(request)) is not None:
        body["truncate"] = cut
    for name in _SAME:
        if name in members:
            body[name] = members[name]
    vectors.leave(request, _READ, left)
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=vectors.memo(request))


EMBEDDINGS: Codec[EmbeddingsRequest, Result] = Codec(
    encode=encode, decode=vectors.decode, error=bodies.blaming(error, "input"), most=MOST
)
