"""Jina's refusals: `{"detail": sentence}`, with a code such as `INPUT_MODEL_NOT_FOUND` beside or inside it.

What does not live here: the judgement that all dialects share (`failure.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compatgw.dialects import failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target
    from compatgw.errors import UpstreamFailure

_BALANCE = re.compile(r"insufficient.{0,16}balance", re.IGNORECASE)


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal with its status. An empty balance is a 403 there, as a bad key is."""
    message, code, kind, param = failure.extract(body)
    if status == 403 and _BALANCE.search(f"{message} {code}"):
        status = 402
    return failure.judge(
        status, message, target, code=code, kind=kind, param=param, retry_after=failure.retry_after(headers)
    )
