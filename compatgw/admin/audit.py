"""What the audit log is told of a change.

Before and after are the same documents that the management API shows, and those have no member for
a secret.

What does not live here: when an entry is written (with the change itself, in one transaction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from compatgw.admin.documents import text_of
from compatgw.state.base import AuditEntry

_LONGEST_WHO = 200


class Auditor:
    """Makes audit entries.

    Args:
        clock: Seconds since 1970, to the microsecond. ids: Makes a new word at each call.
    """

    def __init__(self, clock: Callable[[], float], ids: Callable[[], str]) -> None:
        self._clock = clock
        self._ids = ids

    def name(self, by: str) -> str:
        """Who did it, as it is stored."""
        # A host's name for somebody may be anything; that must not keep a change from being written down.
        return by.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST_WHO]

    def entry(
        self,
        by: str,
        action: str,
        subject: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> AuditEntry:
        """An entry; `action` is `kind.verb`, such as `key.create`."""
        return AuditEntry(
            id=f"audit-{self._ids()}",
            at=self._clock(),
            by=self.name(by),
            action=action,
            kind=action.partition(".")[0],
            subject=subject,
            before=text_of(before) if before is not None else None,
            after=text_of(after) if after is not None else None,
        )
