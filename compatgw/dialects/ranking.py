"""Rerank: what the codecs of several protocols share.

Documents become texts, and an answer is read whichever of the common shapes it has: entries
in `results` (Cohere, Jina, vLLM) or `data` (Voyage, Fireworks) or as a bare list, scores as
`relevance_score` or `score`. What comes out is sorted, and every index points to a document.

What does not live here: any one vendor's request, repeating documents (`surfaces/rerank.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies
from compatgw.dialects.base import Leftovers, Outgoing, Result
from compatgw.errors import UnsupportedParameter, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Context, Target
    from compatgw.wire.chat import Usage

READ = frozenset({"model", "query", "documents", "top_n", "return_documents", "rank_fields"})
"""Members that are read here, or by the surface."""
_CUTTING = frozenset({"truncation", "truncate"})
_TOLD = frozenset({"index", "relevance_score", "score", "document", "text", "object"})
_PICTURES = ("image", "image_url", "url", "video", "audio", "content")


def texts(request: Mapping[str, Any], target: Target) -> list[str]:
    """The documents as texts: an object's `text`, else its members (`rank_fields` alone, where given) as JSON.

    Raises:
        UnsupportedParameter: A document is an image or the like.
    """
    fields = request.get("rank_fields")
    return [
        one if isinstance(one, str) else _text(one, fields, f"documents[{place}]", target)
        for place, one in enumerate(request["documents"])
    ]


def _text(document: Mapping[str, Any], fields: list[str] | None, where: str, target: Target) -> str:
    if fields:
        chosen = {name: document[name] for name in fields if name in document}
        only = next(iter(chosen.values())) if len(chosen) == 1 else None
        return only if isinstance(only, str) else orjson.dumps(chosen).decode()
    text = document.get("text")
    if isinstance(text, str):
        return text
    if any(name in document for name in _PICTURES):
        raise UnsupportedParameter(
            f"'{where}' is no text, and model '{target.model}' at {target.provider} ranks nothing else. "
            'Send a string, or an object such as {"text": ...}.',
            param=where,
        )
    return orjson.dumps(document).decode()


def leave(request: Mapping[str, Any], read: frozenset[str], left: Leftovers) -> None:
    """Tells `left` of the members of `request` that no protocol's codec has read."""
    for name, value in request.items():
        if name not in read and name not in READ:
            left.hint(name, value)


def outgoing(path: str, body: Mapping[str, Any], request: Mapping[str, Any], target: Target, *, top: str) -> Outgoing:
    """A request of the shape that most have: model, query and documents, how many of them, and whether to cut them.

    Args:
        path: Under the base URL.
        body: What else is in it: the documents above all.
        request: The hub's.
        target: Where it goes.
        top: Its name for `top_n`.
    """
    left = Leftovers(target)
    out = {"model": target.model, "query": request["query"], **body}
    if "top_n" in request:
        out[top] = request["top_n"]
    cut = request.get("truncation", request.get("truncate"))
    if cut is not None:
        out["truncation"] = cut
    leave(request, _CUTTING, left)
    return Outgoing(path, orjson.dumps(out), dropped=tuple(left.dropped), memo=memo(request))


def memo(request: Mapping[str, Any]) -> dict[str, Any]:
    """What `decode` has to know of the request."""
    return {"count": len(request["documents"]), "top": request.get("top_n")}


def decode(body: bytes, context: Context) -> Result:
    """A ranking, the best first.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or no ranking of the documents that were sent.
    """
    value = bodies.load(body, context.target)
    if isinstance(value, list):
        value = {"results": value}
    entries = (value.get("results") or value.get("data")) if isinstance(value, dict) else None
    ranked = [_entry(one) for one in entries] if isinstance(entries, list) else []
    known = context.memo.get("count")
    if (
        not ranked
        or any(one["index"] < 0 or (known is not None and one["index"] >= known) for one in ranked)
        or len({one["index"] for one in ranked}) < len(ranked)
    ):
        raise UpstreamFailure(
            f"{bodies.where(context.target)} answered with no ranking of the documents that were sent. Send it again."
        )
    ranked.sort(key=lambda one: (-one["relevance_score"], one["index"]))
    top = context.memo.get("top")
    usage = usage_of(value)
    id, model = value.get("id"), value.get("model")
    out: dict[str, Any] = {
        "id": id if isinstance(id, str) and id else context.id,
        "object": "list",
        "model": model if isinstance(model, str) and model else context.target.model,
        "results": ranked[:top],
    }
    if usage is not None:
        out["usage"] = {"prompt_tokens": usage["prompt_tokens"], "total_tokens": usage["total_tokens"]}
    if isinstance(value.get("meta"), dict):
        out["meta"] = value["meta"]
    return Result(out, usage)


def _entry(value: Any) -> dict[str, Any]:
    """An entry without what the surface adds; its index is -1 when it is none."""
    if isinstance(value, dict):
        index, score = value.get("index"), value.get("relevance_score", value.get("score"))
        if index.__class__ is int and score.__class__ in (int, float) and math.isfinite(score):
            rest = {name: member for name, member in value.items() if name not in _TOLD and member is not None}
            return {"index": index, "relevance_score": score, **rest}
    return {"index": -1, "relevance_score": 0.0}


def usage_of(value: Mapping[str, Any]) -> Usage | None:
    """Tokens that a ranking came to, where the upstream says so: `usage`, or Cohere's `meta`."""
    told, meta = value.get("usage"), value.get("meta")
    if isinstance(told, dict):
        return bodies.usage(told.get("prompt_tokens"), told.get("total_tokens"))
    for name in ("tokens", "billed_units"):
        units = meta.get(name) if isinstance(meta, dict) else None
        if isinstance(units, dict) and (usage := bodies.usage(units.get("input_tokens"))) is not None:
            return usage
    return None
