"""Gemini's embeddings: `batchEmbedContents`, for one text as for many, and what Vertex AI has in its place.

Vectors that are shorter than the model's own come without length 1 from its first generation;
OpenAI's have it, so it is made. The first generation says nothing of tokens either.

What does not live here: refusals (`refusal.py`), the path of a model (`models.py`).
"""

from __future__ import annotations

import math
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, purposes, vectors
from compatgw.dialects.base import Codec, Leftovers, Outgoing
from compatgw.dialects.gemini import models
from compatgw.dialects.gemini.refusal import error
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Result, Target
    from compatgw.wire.chat import Usage
    from compatgw.wire.embeddings import EmbeddingsRequest

MOST = 100
_WORDS: Mapping[purposes.Purpose, str] = MappingProxyType(
    {
        "query": "RETRIEVAL_QUERY",
        "document": "RETRIEVAL_DOCUMENT",
        "similarity": "SEMANTIC_SIMILARITY",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "question": "QUESTION_ANSWERING",
        "fact": "FACT_VERIFICATION",
        "code": "CODE_RETRIEVAL_QUERY",
    }
)
# Models that Vertex AI has by `embedContent`; all before them are there by `predict`.
_YOUNG = re.compile(r"gemini-embedding-(?!001)")
# Lengths that differ from 1 by less came through rounding.
_ROUNDING = 1e-3


def encode(request: EmbeddingsRequest, target: Target) -> Outgoing:
    """The request as `batchEmbedContents` takes it; on Vertex AI as `embedContent` or `predict`, which are there alone.

    Raises:
        UnsupportedParameter: Token ids, or numbers other than floats.
    """
    left = Leftovers(target)
    texts = vectors.texts(request, target)
    purpose, dimensions = purposes.told(request, _WORDS, left), request.get("dimensions")
    vectors.leave(request, frozenset(), left)
    config: dict[str, Any] = {}
    if purpose:
        config["taskType"] = purpose
    if dimensions:
        config["outputDimensionality"] = dimensions
    if target.quirks.embeddings.batch:
        method = "batchEmbedContents"
        name = target.model if "/" in target.model else f"models/{target.model}"
        body: Any = {"requests": [{"model": name, "content": {"parts": [{"text": text}]}, **config} for text in texts]}
    elif _YOUNG.search(target.model):
        method = "embedContent"
        body = {"content": {"parts": [{"text": texts[0]}]}, **({"embedContentConfig": config} if config else {})}
    else:
        method = "predict"
        task = {"task_type": purpose} if purpose else {}
        body = {"instances": [{"content": text, **task} for text in texts]}
        if dimensions:
            body["parameters"] = {"outputDimensionality": dimensions}
    memo = {"count": len(texts), "unit": dimensions is not None}
    path = models.path(target, method)
    return Outgoing(path, orjson.dumps(body), dropped=tuple(left.dropped), memo=memo)


def decode(body: bytes, context: Context) -> Result:
    """The vectors that an answer of any of the three holds.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or vectors that are none.
    """
    value = bodies.load_object(body, context.target)
    told = value.get("usageMetadata")
    told = told if isinstance(told, dict) else {}
    usage = bodies.usage(told.get("promptTokenCount"), told.get("totalTokenCount"))
    if "predictions" in value:
        found, usage = _predicted(value["predictions"])
    else:
        found = value.get("embeddings", [value.get("embedding")])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UpstreamFailure(f"{bodies.where(context.target)} answered with no vectors. Send it again.")
    rows = vectors.checked([one.get("values") for one in found], context)
    if context.memo.get("unit"):
        rows = [_unit(row) if isinstance(row, list) else row for row in rows]
    return vectors.result(rows, context.target.model, usage)


def _predicted(rows: Any) -> tuple[Any, Usage | None]:
    """The vectors of `predict`, and the tokens of all of them, where each tells its own."""
    if not isinstance(rows, list):
        return None, None
    found = [row.get("embeddings") if isinstance(row, dict) else None for row in rows]
    counts = [_count(one) for one in found]
    return found, bodies.usage(sum(counts)) if counts and min(counts) >= 0 else None


def _count(found: Any) -> float:
    """Tokens of one text, -1 when they are not told."""
    told = found.get("statistics") if isinstance(found, dict) else None
    count = told.get("token_count") if isinstance(told, dict) else None
    return count if isinstance(count, int | float) else -1


def _unit(vector: list[float]) -> list[float]:
    length = math.hypot(*vector)
    if abs(length - 1) < _ROUNDING or not length:
        return vector
    return [value / length for value in vector]


EMBEDDINGS: Codec[EmbeddingsRequest, Result] = Codec(
    encode=encode, decode=decode, error=bodies.blaming(error, "input"), most=MOST
)
