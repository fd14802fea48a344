"""What happens when several change one record at the same time.

What does not live here: which version a record has (`state/`).
"""

from __future__ import annotations

from compatgw.errors import Overloaded, PreconditionFailed

TRIES = 20
"""How often a change is made anew because somebody else was faster."""
_SHOWN = 80


def other_version(kind: str, id: str, now: int, wanted: int) -> PreconditionFailed:
    """The refusal of a change that was made to another version; 0 is none."""
    there = f"has version {now}, not {wanted}" if now else f"is not stored, so it has no version {wanted}"
    return PreconditionFailed(f"The {kind.lower()} '{id[:_SHOWN]}' {there}. Read it again and repeat the change.")


def busy(kind: str, id: str) -> Overloaded:
    """The refusal after all tries."""
    return Overloaded(
        f"The {kind.lower()} '{id[:_SHOWN]}' is being changed by others all the time. Try again.", retry_after=1.0
    )
