"""Members of a request that such protocols treat alike: sampling, stop sequences, the words for JSON, the memo.

What does not live here: where a protocol has them (the dialects' `request.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from compatgw.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers
    from compatgw.dialects.blocks.models import Traits

WHY = {"n": "Send the request once for each answer."}
JSON = (
    "Whenever you answer in text, answer with exactly one JSON object and nothing else: no words before or after it, "
    "and no code fence round it."
)


def sampling(members: Mapping[str, Any], traits: Traits, left: Leftovers, *, on: bool, top_k: bool) -> dict[str, Any]:
    """`temperature`, `top_p` and `top_k`, as far as they can be sent.

    Args:
        members: The request.
        traits: Of the model.
        left: Notes what is left out or changed.
        on: Thinking is asked for, which fixes most of them.
        top_k: There is a place for it.

    Raises:
        InvalidRequest: `top_k` is no whole number.
    """
    given = {name: members[name] for name in ("temperature", "top_p") if members.get(name) is not None}
    most = members.get("top_k")
    if most is not None:
        if isinstance(most, bool) or not isinstance(most, int):
            raise InvalidRequest("'top_k' must be a whole number.", param="top_k", code="invalid_type")
        if most > 0:  # other servers write 0 or -1 for "no limit"
            given["top_k"] = most
    least_p = 0.95 if on else 0
    for name, value in list(given.items()):
        usual = name != "top_k" and value == 1
        fixed = not traits.sampling or (on and (name != "top_p" or value < least_p))
        if fixed or (name == "top_k" and not top_k):
            del given[name]
            if not usual:
                left.hint(name, value)
    if traits.one_sampling and {"temperature", "top_p"} <= given.keys():
        less = "temperature" if given["temperature"] == 1 else "top_p"
        if given.pop(less) != 1:
            left.hint(less, members[less])
    if given.get("temperature", 0) > 1:
        given["temperature"] = 1
        left.clamp("temperature", 1)
    return given


def stops(members: Mapping[str, Any], left: Leftovers) -> list[str]:
    """The stop sequences with a visible character: others are refused."""
    given = members.get("stop")
    found = [given] if isinstance(given, str) else list(given or ())
    kept = [stop for stop in found if stop.strip()]
    if len(kept) < len(found):
        left.hint("stop", found)
    return kept


def object_at(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object at `name`, empty when there is none.

    Raises:
        InvalidRequest: Something else is there.
    """
    value = members.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise InvalidRequest(f"'{name}' must be an object.", param=name, code="invalid_type")


def written(body: Mapping[str, Any]) -> bytes:
    """The body as it is sent.

    Raises:
        InvalidRequest: It nests deeper than can be written.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise InvalidRequest(
            "Something in 'messages' or 'tools' nests too deep to be sent. Flatten it.", param="messages"
        ) from None
