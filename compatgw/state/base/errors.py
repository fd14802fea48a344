"""How storing fails.

    StateError
    +-- BadRecord            a value that no back end could hold (NUL, too long, not an amount)
    +-- Missing              no such record
    +-- Duplicate            the id, or what must be unique, is taken
    +-- Changed              somebody else changed the record first
    +-- IdempotencyConflict  the key was used for something else
    +-- InsufficientFunds    the wallet lacks the amount; says how much
    +-- BudgetSpent          the key's budget lacks the amount; says how much
    +-- ReservationClosed    settled or released before
    +-- LedgerUnavailable    locked, full, gone: nothing was written, trying again is safe
    +-- SchemaMismatch       the database's schema is not the one of this version
    +-- SealBroken           a sealed key cannot be opened
    +-- CountersLost         the counters do not answer

What does not live here: what a caller is told of it (`compatgw/errors.py` has those).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal


class StateError(Exception):
    """Storage refused or failed; the message says what, and how to mend it."""


class BadRecord(StateError, ValueError):
    """A value that cannot be stored as it is."""


class Missing(StateError, LookupError):
    """No such record."""


class Duplicate(StateError):
    """Something that must be unique is taken."""


class Changed(StateError):
    """The record has another version than the one that was to be replaced."""


class IdempotencyConflict(StateError):
    """An idempotency key came again with another amount or kind."""


class _Lacking(StateError):
    def __init__(self, message: str, missing: Decimal) -> None:
        super().__init__(message)
        self.missing = missing


class InsufficientFunds(_Lacking):
    """The wallet's free balance is too small; `missing` is what it lacks."""


class BudgetSpent(_Lacking):
    """What is left of the key's budget is too small; `missing` is what it lacks."""


class ReservationClosed(StateError):
    """The reservation was released before; nothing was charged."""


class LedgerUnavailable(StateError):
    """The database is locked, full or gone. Nothing was written; trying again is safe."""


class SchemaMismatch(StateError):
    """The database's schema is older or newer than this version of compatgw."""


class SealBroken(StateError):
    """A sealed key cannot be opened: the ring lacks the key that sealed it, or it is not what was sealed."""


class CountersLost(StateError):
    """The counters' server does not answer."""
