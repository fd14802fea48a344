"""What a caller is told when storing refuses or fails.

What does not live here: how storing fails (`state/base/errors.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compatgw.errors import Conflict, GatewayError, InsufficientQuota, InvalidRequest, NotFound, Overloaded
from compatgw.state.base import (
    BadRecord,
    BudgetSpent,
    Changed,
    Duplicate,
    IdempotencyConflict,
    InsufficientFunds,
    Missing,
    SchemaMismatch,
    StateError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# The first that fits. What is not here is out of reach for now: 503.
_TOLD: tuple[tuple[type[StateError], Callable[[str], GatewayError]], ...] = (
    (InsufficientFunds, lambda message: InsufficientQuota(message, should_retry=False)),
    (BudgetSpent, lambda message: InsufficientQuota(message, should_retry=False)),
    (BadRecord, InvalidRequest),
    (Missing, lambda message: NotFound(message, code="not_found")),
    (Duplicate, lambda message: Conflict(message, code="duplicate", should_retry=False)),
    (Changed, lambda message: Conflict(message, code="changed", should_retry=False)),
    (IdempotencyConflict, lambda message: Conflict(message, should_retry=False)),
    # Waiting mends no schema.
    (SchemaMismatch, lambda message: Overloaded(message, should_retry=False)),
)
_AGAIN_AFTER = 1.0


def told(error: StateError) -> GatewayError:
    """`error` as an answer; its message says what and how to mend it already."""
    for kind, make in _TOLD:
        if isinstance(error, kind):
            return make(str(error))
    return Overloaded(f"{error} Try again in a moment.", retry_after=_AGAIN_AFTER)
