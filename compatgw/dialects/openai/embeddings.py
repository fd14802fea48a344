"""Embeddings of OpenAI and of servers that speak its protocol: `POST /embeddings`.

The form of the vectors is asked for as the client wants it, where the upstream has both; then
its bytes go on untouched.

What does not live here: reading an answer (`dialects/vectors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects import bodies, failure, purposes, vectors
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.openai import members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Quirks, Result, Target
    from compatgw.wire.embeddings import EmbeddingsRequest

MOST = 2048
_OWN = frozenset({"model", "input", "encoding_format", "dimensions", "user"})


def encode(request: EmbeddingsRequest, target: Target) -> Outgoing:
    """The request as the target takes it.

    Raises:
        UnsupportedParameter: Token ids, or a member that changes the answer, which the upstream does not take.
    """
    quirks = target.quirks.embeddings
    left = Leftovers(target)
    if not quirks.tokens:
        vectors.texts(request, target)
    asked: dict[str, Any] = {**request}
    known = _OWN
    if quirks.purposes:
        known |= {"input_type"}
        words = cast("Mapping[purposes.Purpose, str]", {name: word for name, word in quirks.purposes.items() if name})
        purpose = purposes.told(request, words, left) or quirks.purposes.get("")
        asked = {name: value for name, value in asked.items() if name not in purposes.MEMBERS}
        if purpose:
            asked["input_type"] = purpose
    if quirks.form != "any" or request.get("output_dtype") in vectors.WHOLE_NUMBERS:
        asked.pop("encoding_format", None)
    body = members.fitted(asked, known, target, left, quirks.rename)
    return Outgoing(quirks.path, orjson.dumps(body), dropped=tuple(left.dropped), memo=vectors.memo(request))


def decode(body: bytes, context: Context) -> Result:
    """The vectors that an answer holds.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or vectors that are none.
    """
    return vectors.decode(body, context, small=context.target.quirks.embeddings.form == "int8")


def serves(quirks: Quirks) -> bool:
    """The upstream has the endpoint."""
    return "embeddings" not in quirks.lacks


EMBEDDINGS: Codec[EmbeddingsRequest, Result] = Codec(
    encode=encode, decode=decode, error=bodies.blaming(failure.from_body, "input"), serves=serves, most=MOST
)
