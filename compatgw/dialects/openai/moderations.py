"""Moderations of OpenAI and Mistral: `POST /moderations`.

Mistral's answer says no `flagged` and has categories of its own. Those that OpenAI has under
another name get that name; the others (`pii`, `health`, ...) stay beside them, and `flagged` is
true when any category is. Every category of OpenAI's stands in every result; one that nobody
judged is false, with the score 0 and no input type that it was judged for.

What does not live here: the shapes (`wire/moderations.py`).
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import bodies, failure
from compatgw.dialects.base import Codec, Leftovers, Outgoing, Result
from compatgw.dialects.openai import members
from compatgw.errors import UnsupportedParameter, UpstreamFailure
from compatgw.wire.moderations import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compatgw.dialects.base import Context, Quirks, Target
    from compatgw.wire.moderations import ModerationsRequest

PATH = "/moderations"
_TYPES = "category_applied_input_types"
_WRITTEN = frozenset({"flagged", "categories", "category_scores", _TYPES})
_OWN = frozenset({"model", "input", "user"})
# Another vendor's category to OpenAI's.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "hate_and_discrimination": "hate",
        "violence_and_threats": "violence",
        "dangerous_and_criminal_content": "illicit",
        "dangerous": "illicit",
        "criminal": "illicit",
        "selfharm": "self-harm",
    }
)


def encode(request: ModerationsRequest, target: Target) -> Outgoing:
    """The request as the target takes it.

    Raises:
        UnsupportedParameter: Images, where the upstream judges texts alone.
    """
    left = Leftovers(target)
    given: Any = request["input"]
    parts = isinstance(given, list) and isinstance(given[0], dict)
    images = parts and any(part["type"] == "image_url" for part in given)
    body = members.fitted(request, _OWN, target, left)
    if parts and not target.quirks.moderated_images:
        body["input"] = _as_text(given, target)
    memo = {"count": len(given) if isinstance(given, list) and not parts else 1, "types": _types(given, images)}
    return Outgoing(PATH, orjson.dumps(body), dropped=tuple(left.dropped), memo=memo)


def _as_text(parts: Sequence[Mapping[str, Any]], target: Target) -> str:
    """The parts of one message as one text, which has one result as they have."""
    for place, part in enumerate(parts):
        if part["type"] != "text":
            raise UnsupportedParameter(
                f"'input[{place}]' is an image, and model '{target.model}' at {target.provider} judges texts alone.",
                param=f"input[{place}]",
            )
    return "\n".join(part["text"] for part in parts)


def _types(given: Any, images: bool) -> list[str]:
    """The kinds of input that were sent."""
    text = not images or any(part["type"] == "text" for part in given)
    return [*(["text"] if text else []), *(["image"] if images else [])]


def decode(body: bytes, context: Context) -> Result:
    """The results, each with every category; an answer that has them all goes on as its own bytes.

    Raises:
        UpstreamFailure: Not JSON, an error in spite of status 200, or not as many results as inputs.
    """
    value = bodies.load_object(body, context.target)
    results = value.get("results")
    wanted = context.memo.get("count")
    if not isinstance(results, list) or not results or wanted not in (None, len(results)):
        raise _none(context.target)
    told = value.get("usage")
    told = told if isinstance(told, dict) else {}
    usage = bodies.usage(told.get("prompt_tokens"), told.get("total_tokens"))
    id, model = value.get("id"), value.get("model")
    known = isinstance(id, str) and id and isinstance(model, str) and model
    if known and all(_whole(one) for one in results):
        return Result(value, usage, body)
    types = context.memo.get("types", ["text"])
    out = {
        **value,
        "id": id if isinstance(id, str) and id else context.id,
        "model": model if isinstance(model, str) and model else context.target.model,
        "results": [_mended(one, types, context.target) for one in results],
    }
    return Result(out, usage)


def _none(target: Target) -> UpstreamFailure:
    return UpstreamFailure(f"{bodies.where(target)} answered with no judgement of its inputs. Send it again.")


def _whole(found: Any) -> bool:
    """Nothing has to be added to this result."""
    if not isinstance(found, dict) or found.get("flagged").__class__ is not bool:
        return False
    flags, scores, types = found.get("categories"), found.get("category_scores"), found.get(_TYPES)
    return (
        isinstance(flags, dict)
        and isinstance(scores, dict)
        and isinstance(types, dict)
        and all(flags.get(name).__class__ is bool for name in CATEGORIES)
        and all(scores.get(name).__class__ in (int, float) for name in CATEGORIES)
        and all(types.get(name).__class__ is list for name in CATEGORIES)
    )


def _mended(found: Any, types: list[str], target: Target) -> dict[str, Any]:
    given = found.get("categories") if isinstance(found, dict) else None
    if not isinstance(given, dict) or not given:
        raise _none(target)
    scored = found.get("category_scores")
    applied = found.get(_TYPES)
    flags: dict[str, bool] = dict.fromkeys(CATEGORIES, False)
    scores: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
    judged: dict[str, list[str]] = {name: [] for name in CATEGORIES}
    for name, flag in given.items():
        if flag is None:  # OpenAI's way to say that a model does not judge it
            continue
        ours = _NAMES.get(name, name)
        flags[ours] = flags.get(ours, False) or flag is True
        scores[ours] = max(scores.get(ours, 0.0), _score(scored, name))
        own = applied.get(name) if isinstance(applied, dict) else None
        judged[ours] = own if isinstance(own, list) else types
    flagged = found.get("flagged")
    rest = {name: value for name, value in found.items() if name not in _WRITTEN}
    return {
        "flagged": flagged if isinstance(flagged, bool) else any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": judged,
        **rest,
    }


def _score(scores: Any, name: str) -> float:
    value = scores.get(name) if isinstance(scores, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return value


def serves(quirks: Quirks) -> bool:
    """The upstream has the endpoint."""
    return "moderations" not in quirks.lacks


MODERATIONS: Codec[ModerationsRequest, Result] = Codec(
    encode=encode, decode=decode, error=bodies.blaming(failure.from_body, "input"), serves=serves
)
