"""Whole JSON answers of endpoints other than chat: read, with the failure that a 200 may hide, and their tokens.

What does not live here: what an answer says (`vectors.py`, `ranking.py`, each dialect).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import failure
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compatgw.dialects.base import Target
    from compatgw.wire.chat import Usage

    Refusal = Callable[[int, Mapping[str, str], bytes, Target], UpstreamFailure]


def where(target: Target) -> str:
    """The upstream, as messages name it."""
    return f"{target.provider} (model '{target.model}')"


def load(body: bytes, target: Target) -> Any:
    """The JSON that an answer is.

    Raises:
        UpstreamFailure: It is none, or tells of an error, in a list of one or not.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamFailure(
            f"{where(target)} answered with something that is not JSON: {failure.extract(body)[0]}"
        ) from None
    inner = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(inner, dict) and inner.get("error"):
        raise failure.from_value(inner, target)
    return value


def load_object(body: bytes, target: Target) -> dict[str, Any]:
    """The JSON object that an answer is.

    Raises:
        UpstreamFailure: As `load`, or it is another value.
    """
    value = load(body, target)
    if not isinstance(value, dict):
        raise UpstreamFailure(f"{where(target)} answered with something else than a JSON object. Send it again.")
    return value


def usage(read: Any, total: Any = None) -> Usage | None:
    """The hub's usage of an answer without output tokens; who tells one of the two numbers means both.

    Args:
        read: Tokens that were read, anything else than a number when they are not told.
        total: All of them, likewise.
    """
    prompt, whole = _whole(read), _whole(total)
    if prompt is None and whole is None:
        return None
    prompt = whole or 0 if prompt is None else prompt
    return {"prompt_tokens": prompt, "completion_tokens": 0, "total_tokens": max(prompt, whole or 0)}


def blaming(error: Refusal, member: str) -> Refusal:
    """`error` of requests without messages: what is too long for a model is `member`."""

    def judged(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
        found = error(status, headers, body, target)
        if found.param == "messages":
            found.param = member
        return found

    return judged


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)
