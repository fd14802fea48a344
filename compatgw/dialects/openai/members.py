"""Members of a request other than a chat, made fit for an OpenAI-like upstream by its quirks.

What does not live here: what any one endpoint does beyond that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects.base import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Leftovers, Target

_ALWAYS = frozenset({"model", "input"})


def fitted(
    request: Mapping[str, Any],
    known: frozenset[str],
    target: Target,
    left: Leftovers,
    rename: Mapping[str, str] = EMPTY,
) -> dict[str, Any]:
    """A copy of `request` with the target's model, without what its upstream does not take, and in its names.

    Args:
        request: A hub request.
        known: OpenAI's own members of the endpoint.
        target: Where it goes.
        left: Hears of what is left out.
        rename: The upstream's names for members of this endpoint; a name to itself is one that it knows.

    Raises:
        UnsupportedParameter: A member that changes the answer and is not served.
    """
    quirks = target.quirks
    body: dict[str, Any] = {**request}
    for name in [name for name in body if name not in _ALWAYS]:
        if name in quirks.drop or (quirks.known_only and name not in known and name not in rename):
            left.hint(name, body.pop(name))
        elif name in quirks.reject:
            left.semantic(name, body.pop(name))
    for ours, theirs in rename.items():
        if ours in body and ours != theirs:
            body[theirs] = body.pop(ours)
    body["model"] = target.model
    return body
