"""`Ledger`: durable, transactional records.

What does not live here: any back end (`state/sql.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from compatgw.state.base.records import (
        Account,
        AuditEntry,
        Budget,
        Change,
        Entry,
        EntryKind,
        Grouping,
        Identity,
        Listed,
        Page,
        Prompt,
        Reservation,
        Spend,
        Stored,
        Turn,
        UsageRow,
        UsageTotal,
        Wallet,
    )


class Ledger(Protocol):
    """Teams, keys, plans, wallets, charges, usage, sealed provider keys, prompts, audit, kept responses.

    Every method may raise `LedgerUnavailable`; then nothing of it was written, and calling it
    again is safe. Every method is one transaction. Amounts are `Decimal`, times seconds since 1970.
    """

    async def open(self) -> None:
        """Connects and checks the schema; the first call of any method does it too.

        Raises:
            SchemaMismatch: The database is newer than this version, or older and not to be upgraded by itself.
        """
        ...

    async def aclose(self) -> None:
        """Writes what waits and closes the connections of the running loop. Idempotent; a later call opens anew."""
        ...

    async def add(self, record: Stored, audit: AuditEntry | None = None) -> Stored:
        """Stores a new record as version 1, and `audit` with it. A prompt's labels leave all other versions of it.

        Raises:
            BadRecord: A text with NUL, too long, or an amount out of range.
            Duplicate: The id, or the prompt's name and number, or the team's provider, is taken.
            Missing: Its team does not exist.
        """
        ...

    async def find(self, kind: type[Stored], id: str) -> Stored | None:
        """The record with that id."""
        ...

    async def change(self, record: Stored, audit: AuditEntry | None = None) -> Stored:
        """Replaces the record of that id if it still has `record.version`; gives it with the next version.

        A prompt's labels leave all other versions of it, in the same moment.

        Raises:
            Missing: There is none. Changed: It has another version. BadRecord, Duplicate: As for `add`.
        """
        ...

    async def remove(self, kind: type[Stored], id: str, audit: AuditEntry | None = None) -> bool:
        """Deletes a plan, sealed key or prompt; False when there was none.

        Raises:
            BadRecord: Teams and keys have a history: they are switched off and revoked instead.
        """
        ...

    async def page(
        self,
        kind: type[Listed],
        *,
        where: Mapping[str, object] | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Listed]:
        """Up to `limit` (1 to 1000) records, the newest first.

        Args:
            where: Field to its exact value; `since` and `until` bound the time (from, and before). `failed` tells
                usage rows with a status from 400 on from the others.
            cursor: Of the page before.

        Raises:
            BadRecord: A field or a cursor that does not exist.
        """
        ...

    async def identity(self, key: str) -> Identity | None:
        """A key, its team and what belongs to both at one moment, None when there is no such key id."""
        ...

    async def account(self, team: str) -> Account | None:
        """A team and what belongs to it at one moment, None when there is no such team."""
        ...

    async def prompt(self, name: str, number: int | None = None, label: str = "production") -> Prompt | None:
        """A prompt by number, or the one that has `label`; `latest` is the newest. None when there is none, or it was
        removed.
        """
        ...

    async def changes(self, cursor: int | None) -> tuple[int, tuple[Change, ...]]:
        """What was added, changed or removed after `cursor` (None: nothing yet), and the next cursor.

        Something may be told twice, nothing is left out: this is what revocation rests on.
        """
        ...

    async def open_wallet(self, team: str, currency: str, audit: AuditEntry | None = None) -> Wallet:
        """An empty wallet for a team without one.

        Raises:
            Missing: No such team. Duplicate: It has one.
        """
        ...

    async def wallet(self, team: str) -> Wallet | None:
        """The team's wallet, None when its calls are not paid from one."""
        ...

    async def topup(
        self,
        team: str,
        amount: Decimal,
        *,
        idempotency: str | None = None,
        kind: EntryKind = "topup",
        by: str = "",
        note: str = "",
        audit: AuditEntry | None = None,
    ) -> Entry:
        """Adds to a wallet; a `correction` may also take, down to what is not reserved.

        Args:
            idempotency: The same key again gives the first entry again and adds nothing.

        Raises:
            BadRecord: A `topup` that is not positive, or an amount that is none. Missing: No wallet.
            IdempotencyConflict: The key was used with another amount. InsufficientFunds: A correction takes too much.
        """
        ...

    async def reserve(
        self, id: str, team: str, amount: Decimal, *, ttl: float, wallet: bool = True, budget: Budget | None = None
    ) -> Reservation:
        """Holds `amount` of the wallet and of the budget, of both or of neither, by one conditional update each.

        Durable against the end of this process, not of the machine: then the call is gone, too.
        The same id again gives the reservation that there is.

        Args:
            ttl: Seconds after which `sweep` gives it back even if this process lives.
            wallet: False holds it of the budget alone.

        Raises:
            InsufficientFunds, BudgetSpent: With the missing amount. Missing: No wallet.
        """
        ...

    async def settle(
        self, id: str, actual: Decimal, usage: UsageRow | None = None, *, keep: bool = True
    ) -> Reservation:
        """Charges `actual`, gives back the rest, writes the entry and `usage`: once, durable on return.

        What goes beyond the reservation is taken from the free balance as far as it goes; `shortfall` is
        the rest. One that was swept meanwhile, or that the database forgot in a crash of its own while
        this process went on, is charged all the same. The same id again gives the settlement that there
        is.

        Args:
            keep: A charge that raises `LedgerUnavailable` is not lost: it is tried again until `aclose`.
                False gives it up then, and the reservation waits for its `release`.

        Raises:
            Missing: No such reservation. ReservationClosed: It was released.
        """
        ...

    async def release(self, id: str) -> Reservation:
        """Gives all of it back, charging nothing. One that is settled or released already stays as it is.

        Raises:
            Missing: No such reservation.
        """
        ...

    async def sweep(self) -> int:
        """Says that this process lives, and gives back what dead processes held and what has expired; their number."""
        ...

    async def spend(self, key: str, label: str) -> Spend:
        """What `key` has spent and holds in a period; zeros when nothing."""
        ...

    def record(self, usage: UsageRow) -> bool:
        """Takes a row to be written soon, at the latest at `aclose`; False when too many wait, and it is dropped."""
        ...

    async def usage(
        self,
        group: Sequence[Grouping],
        *,
        since: float,
        until: float,
        where: Mapping[str, object] | None = None,
        percentiles: bool = False,
    ) -> tuple[UsageTotal, ...]:
        """Sums over the calls from `since` and before `until`, at most 10,000 groups.

        Args:
            where: As for `page`.
            percentiles: With `p50` and `p95`, which need every call to be sorted.

        Raises:
            BadRecord: A field that does not exist.
        """
        ...

    async def keep_turn(self, turn: Turn, *, after: str | None = None) -> None:
        """Stores a turn of a conversation; one of the same id is forgotten. It outlives this process, not a power cut.

        Args:
            after: Id of the turn that it goes on from.

        Raises:
            Missing: `after` is not there any more. BadRecord: A text with NUL, too long, or too many bytes.
            Duplicate: Another process stores one of that id at the same moment.
        """
        ...

    async def end_turn(self, turn: Turn) -> bool:
        """Puts what was worked on in its place; False when nobody works on it any more: ended, cancelled, deleted.

        Raises:
            BadRecord: As for `keep_turn`.
        """
        ...

    async def attend_turn(self, id: str, owner: str, until: float) -> bool:
        """Says that a turn is worked on until then; False when nobody is to work on it any more."""
        ...

    async def turn(self, id: str, owner: str) -> Turn | None:
        """A turn by itself; None when there is none, its time is over, or it is another's."""
        ...

    async def conversation(self, id: str, owner: str) -> tuple[Turn, ...]:
        """A turn and all that came before it, the first one first; empty as `turn` is None."""
        ...

    async def forget_turn(self, id: str, owner: str) -> bool:
        """Deletes a turn, durable on return; False when there is none.

        What it added to its conversation stays for the turns that go on from it, and leaves with them.
        """
        ...

    async def prune(self, kind: type[object], before: float, limit: int = 1000) -> int:
        """Deletes up to `limit` usage rows, audit entries, closed reservations, or turns that ended, from before that
        time; their number.

        Raises:
            BadRecord: Another kind; entries of money are never deleted.
        """
        ...
