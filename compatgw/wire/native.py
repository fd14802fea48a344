"""A client's request in a protocol of its own, on its way to an upstream that speaks the very same.

What does not live here: which surfaces and dialects have such requests (`surfaces/`, `dialects/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Native(NamedTuple):
    """A request as it came.

    Attributes:
        surface: Whose protocol: `messages`, `responses`.
        body: All members, those of the gateway taken out. Not to be changed.
        headers: Of the protocol, such as `anthropic-beta`; names in lower case.
        bound: Members that no other protocol can carry, each with a sentence that says why: where the request would
            have to be translated, they are refused.
    """

    surface: str
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()
    bound: tuple[tuple[str, str], ...] = ()
