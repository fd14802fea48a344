"""Cohere's embeddings: `POST /v2/embed`.

It wants to know what they are for; without a word they are for documents to be searched. It is
always asked for numbers: base64 is made of them by the surface.

What does not live here: images to be embedded, which the hub's request does not hold.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, purposes, vectors
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.cohere.response import error
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Result, Target
    from compatgw.wire.embeddings import EmbeddingsRequest

PATH = "/v2/embed"
MOST = 96
_DEFAULT = "search_document"
_WORDS: Mapping[purposes.Purpose, str] = MappingProxyType(
    {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
        "question": "search_query",
        "fact": "search_query",
        "code": "search_query",
    }
)
_READ = frozenset({"truncate", "truncation", "output_dtype", "max_tokens", "priority"})


def encode(request: EmbeddingsRequest, target: Target) -> Outgoing:
    """The request as Cohere takes it.

    Raises:
        UnsupportedParameter: Token ids.
    """
    left = Leftovers(target)
    members: Mapping[str, Any] = request
    kind = request.get("output_dtype", "float")
    body: dict[str, Any] = {
        "model": target.model,
        "texts": vectors.texts(request, target),
        "input_type": purposes.told(request, _WORDS, left) or _DEFAULT,
        "embedding_types": [kind],
    }
    if "dimensions" in request:
        body["output_dimension"] = request["dimensions"]
    if (cut := vectors.cutting(request)) is not None:
        body["truncate"] = cut if isinstance(cut, str) else "END" if cut else "NONE"
    for name in ("max_tokens", "priority"):
        if name in members:
            body[name] = members[name]
    vectors.leave(request, _READ, left)
    memo = {"count": len(body["texts"]), "kind": kind}
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=memo)


def decode(body: bytes, context: Context) -> Result:
    """The vectors that an answer holds, by type or, as in the protocol's first version, as a plain list.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or vectors that are none.
    """
    value = bodies.load_object(body, context.target)
    found = value.get("embeddings")
    if isinstance(found, dict):
        kind = context.memo.get("kind", "float")
        found = found.get(kind) or next((rows for rows in found.values() if rows), None)
    if not isinstance(found, list):
        raise UpstreamFailure(f"{bodies.where(context.target)} answered with no vectors. Send it again.")
    meta = value.get("meta")
    units = meta.get("billed_units") if isinstance(meta, dict) else None
    units = units if isinstance(units, dict) else {}
    usage = bodies.usage(units.get("input_tokens"))
    return vectors.result(vectors.checked(found, context), context.target.model, usage)


EMBEDDINGS: Codec[EmbeddingsRequest, Result] = Codec(
    encode=encode, decode=decode, error=bodies.blaming(error, "input"), most=MOST
)
