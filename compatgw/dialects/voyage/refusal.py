"""Voyage's refusals: `{"detail": sentence}`.

What does not live here: the judgement that all dialects share (`failure.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compatgw.dialects import failure
from compatgw.dialects.bodies import where
from compatgw.errors import Blame, UpstreamRateLimited

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target
    from compatgw.errors import UpstreamFailure

_MODEL = re.compile(r"^Model \S+ is not supported", re.IGNORECASE)


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal with its status."""
    message, code, kind, param = failure.extract(body)
    waiting = failure.retry_after(headers)
    if status == 429:
        # Its sentence speaks of billing, because accounts without a card have lower limits; waiting helps all the same.
        return UpstreamRateLimited(
            f"{where(target)} is limiting requests: {message}",
            blame=Blame.LIMIT,
            upstream_status=status,
            retry_after=waiting,
        )
    if status == 400 and _MODEL.search(message):
        return failure.judge(404, message, target)
    return failure.judge(status, message, target, code=code, kind=kind, param=param, retry_after=waiting)
