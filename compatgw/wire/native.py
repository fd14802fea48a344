"""A client's request in a protocol of its own, on its way to an upstream that speaks the very same.

What does not live here: which surfaces and dialects have such requests (`surfaces/`, `dialects/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Foreign(NamedTuple):
    """A part of such a request that no other protocol has.

    Attributes:
        name: As `X-Dropped-Params` names it.
        value: What it says.
        param: Where it stands.
        semantic: Without it the caller gets something else.
        why: What to do instead.
    """

    name: str
    value: Any
    param: str
    semantic: bool = False
    why: str = ""


class Native(NamedTuple):
    """A request as it came.

    Attributes:
        surface: Whose protocol: `messages`, `responses`.
        body: All members, those of the gateway taken out. Not to be changed.
        headers: Of the protocol, such as `anthropic-beta`; names in lower case.
        bound: Members that no other protocol can carry, each with a sentence that says why: where the request would
            have to be translated, they are refused.
        foreign: What a translation leaves out, or refuses, as its target's policy has it.
    """

    surface: str
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()
    bound: tuple[tuple[str, str], ...] = ()
    foreign: tuple[Foreign, ...] = ()
