"""`Office`: everything that an operator does to the ledger, each change with its entry in the audit log.

The management API and the command line call it, and neither writes to a `Ledger` otherwise. A change
made here holds in this process at once and in every other one within seconds.

What does not live here: what single members may be (`rules.py`), HTTP (`api.py`), reading and lists:
whoever reads asks the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from compatgw.admin import documents, rules
from compatgw.admin.audit import Auditor
from compatgw.admin.contention import TRIES, busy, other_version
from compatgw.admin.prompts import Templates
from compatgw.admin.provider_keys import ProviderKeys
from compatgw.errors import Conflict, InvalidRequest, NotFound, Overloaded
from compatgw.policy import money
from compatgw.state.base import (
    AuditEntry,
    Changed,
    Duplicate,
    Entry,
    Key,
    Plan,
    ProviderSecret,
    StateError,
    Team,
    Wallet,
)

if TYPE_CHECKING:
    from compatgw.state.base import Ledger, Period
    from compatgw.state.secrets import KeyRing, Minted

Record = TypeVar("Record", Team, Key, Plan, ProviderSecret)

_PAGE = 100
# Hashing takes 64 MiB each time.
_HASHES_AT_ONCE = 2
_SHOWN = 80
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Moved:
    """A movement of money; `new` is False when the idempotency key has made it before."""

    entry: Entry
    new: bool


def nothing_changed(*ids: str) -> None:
    """Tells nobody."""


class Office:
    """Changes a ledger.

    Args:
        ledger: What is changed.
        mint: Makes a key: `mint(prefix)`, or `mint(prefix, id=...)` for one that takes another's place.
        hash: What is stored of a key; slow, called in a thread.
        ring: Seals teams' own provider keys. None: they cannot be stored.
        prefix: What minted keys begin with.
        currency: Of new wallets.
        plans: Plans that need not be in the ledger: those of the settings and the built-in ones.
        clock: Seconds since 1970. ids: Makes a new word at each call.
        changed: Told the ids of what was changed, to hold in this process at once.
        providers: Names of providers that a team may have a key at. None: any.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        mint: Callable[..., Minted],
        hash: Callable[[str], str],
        ring: KeyRing | None,
        prefix: str,
        currency: str,
        plans: Mapping[str, Plan],
        clock: Callable[[], float],
        ids: Callable[[], str],
        changed: Callable[..., None] = nothing_changed,
        providers: Collection[str] | None = None,
    ) -> None:
        self._ledger = ledger
        self._mint = mint
        self._hash = hash
        self._ring = ring
        self._prefix = prefix
        self._currency = currency
        self.plans = plans
        self._clock = clock
        self._ids = ids
        self._changed = changed
        self._audit = Auditor(self.now, ids)
        self._provider_keys = ProviderKeys(ledger, ring, self._audit, self.now, ids, changed, providers)
        self.prompts = Templates(ledger, self._audit, self.now, ids, changed)
        self._turns: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}

    def now(self) -> float:
        """Seconds since 1970, as times are kept: what is returned is what is read again."""
        return round(self._clock(), 6)

    # --- teams -----------------------------------------------------------------------------------

    async def add_team(
        self,
        id: str | None,
        name: str,
        *,
        active: bool = True,
        models: Sequence[str] = ("*",),
        plan: str | None = None,
        byok_fallback: bool = False,
        metadata: Mapping[str, object] | None = None,
        wallet: bool = False,
        by: str,
    ) -> Team:
        """A new team; with `wallet` its calls are paid from one, which is empty at first.

        Raises:
            InvalidRequest: A member that cannot be. Duplicate: The id is taken.
        """
        given = {"name": name, "active": active, "models": models, "plan": plan, "byok_fallback": byok_fallback}
        values: dict[str, Any] = rules.of_changes({**given, "metadata": metadata or {}}, rules.TEAM)
        await self._require_plan(values["plan"])
        own = rules.id(id, "id") if id is not None else f"team-{self._ids()}"
        team = Team(id=own, created=self.now(), **values)
        if not wallet:
            return await self._add(team, "team.create", documents.of_team(team), by)
        # Not active before it has its wallet: nobody can call for free in between, whatever fails.
        waiting = replace(team, active=False)
        stored = await self._add(waiting, "team.create", documents.of_team(waiting), by)
        try:
            await self.open_wallet(own, by=by)
            return await self.change_team(own, {"active": True}, version=None, by=by) if team.active else stored
        except StateError as error:
            raise Overloaded(
                f"The team '{own}' was added, but is not active and may lack its wallet: {error} Open the wallet, then "
                "switch the team on."
            ) from None

    async def change_team(self, id: str, changes: Mapping[str, object], *, version: int | None = None, by: str) -> Team:
        """Changes members of a team: those of `rules.TEAM`.

        Args:
            version: That the team must still have. None: whichever it has.

        Raises:
            InvalidRequest: A member that cannot be. NotFound: No such team. PreconditionFailed: Another version.
        """
        values: dict[str, Any] = rules.of_changes(changes, rules.TEAM)
        await self._require_plan(values.get("plan"))
        return await self._update(
            Team, id, lambda team: replace(team, **values), documents.of_team, "team.change", version, by
        )

    # --- wallets ---------------------------------------------------------------------------------

    async def open_wallet(self, team: str, *, by: str) -> Wallet:
        """An empty wallet: from now on the team's calls are paid from it.

        Raises:
            Missing: No such team. Duplicate: It has one.
        """
        nothing = Decimal(0)
        empty = Wallet(team=team, currency=self._currency, balance=nothing, reserved=nothing, created=self.now())
        audit = self._audit.entry(by, "wallet.open", _subject(team), after=documents.of_wallet(empty))
        wallet = await self._ledger.open_wallet(team, self._currency, audit)
        self._changed(team)
        return wallet

    async def topup(
        self, team: str, amount: Decimal, *, idempotency: str | None = None, note: str = "", by: str
    ) -> Entry:
        """Adds a positive amount; see `move`."""
        return (await self.move(team, "topup", amount, idempotency=idempotency, note=note, by=by)).entry

    async def correct(
        self, team: str, amount: Decimal, *, idempotency: str | None = None, note: str = "", by: str
    ) -> Entry:
        """Adds, or takes when negative, down to what is not reserved; see `move`."""
        return (await self.move(team, "correction", amount, idempotency=idempotency, note=note, by=by)).entry

    async def move(
        self,
        team: str,
        kind: Literal["topup", "correction"],
        amount: Decimal,
        *,
        idempotency: str | None = None,
        note: str = "",
        by: str,
    ) -> Moved:
        """Moves money of a wallet, once for each idempotency key.

        Raises:
            InvalidRequest: No amount, or a note that cannot be. Missing: No wallet. IdempotencyConflict: The key was
                used for something else. InsufficientFunds: A correction takes too much.
        """
        exact = rules.amount(amount, "amount")
        if exact == 0 or (kind == "topup" and exact < 0):
            takes = "more than 0" if kind == "topup" else "other than 0"
            raise InvalidRequest(f"'amount': a {kind} of {money.text(exact)} is none. Give {takes}.", param="amount")
        if idempotency is not None:
            idempotency = rules.name(idempotency, "Idempotency-Key")
        note = rules.note(note, "note")
        after = {"kind": kind, "amount": money.text(exact), "note": note, "idempotency_key": idempotency}
        audit = self._audit.entry(by, f"wallet.{kind}", _subject(team), after=after)
        entry = await self._ledger.topup(
            team, exact, idempotency=idempotency, kind=kind, by=audit.by, note=note, audit=audit
        )
        if idempotency is None:
            new = True
        else:
            # Of a repeated one the ledger writes no second audit entry: that tells the two apart, whoever was first.
            new = bool((await self._ledger.page(AuditEntry, where={"id": audit.id}, limit=1)).items)
        if new:
            self._changed(team)
        return Moved(entry, new)

    # --- keys ------------------------------------------------------------------------------------

    async def mint_key(
        self,
        team: str,
        name: str,
        *,
        scopes: Sequence[str] = ("*",),
        models: Sequence[str] = ("*",),
        plan: str | None = None,
        requests: int | None = None,
        tokens: int | None = None,
        concurrency: int | None = None,
        budget: Decimal | None = None,
        period: Period = "total",
        expires: float | None = None,
        metadata: Mapping[str, object] | None = None,
        by: str,
    ) -> tuple[Key, str]:
        """A new key of a team, and the text that callers send, which nobody can show again.

        Raises:
            InvalidRequest: A member that cannot be, or no such team.
        """
        given = {"name": name, "scopes": scopes, "models": models, "plan": plan, "requests": requests}
        more = {"tokens": tokens, "concurrency": concurrency, "budget": budget, "period": period, "expires": expires}
        values: dict[str, Any] = rules.of_changes({**given, **more, "metadata": metadata or {}}, rules.KEY)
        self._require_future(values["expires"])
        await self._require_plan(values["plan"])
        if await self._ledger.find(Team, team) is None:
            raise InvalidRequest(f"There is no team '{team[:_SHOWN]}'. Add it first.", param="team")
        minted = self._mint(self._prefix)
        hashed = await self._hashed(minted.text)
        key = Key(id=minted.id, team=team, hash=hashed, hint=minted.hint, created=self.now(), **values)
        return await self._add(key, "key.create", self._key_document(key), by), minted.text

    async def change_key(self, id: str, changes: Mapping[str, object], *, version: int | None = None, by: str) -> Key:
        """Changes members of a key: those of `rules.KEY`.

        Args:
            version: That the key must still have. None: whichever it has.

        Raises:
            InvalidRequest: A member that cannot be. NotFound: No such key. PreconditionFailed: Another version.
        """
        values: dict[str, Any] = rules.of_changes(changes, rules.KEY)
        self._require_future(values.get("expires"))
        await self._require_plan(values.get("plan"))
        return await self._update(
            Key, id, lambda key: replace(key, **values), self._key_document, "key.change", version, by
        )

    async def rotate_key(self, id: str, *, grace: float = DAY, by: str) -> tuple[Key, str]:
        """A new text for a key, which keeps its id and all that hangs on it.

        Args:
            grace: Seconds for which the text before goes on; one before that ends at once.

        Raises:
            InvalidRequest: No time. NotFound: No such key. Conflict: It is revoked, has expired, or is
                being rotated by somebody else.
        """
        grace = rules.grace(grace, "grace")
        seen = await self._found(Key, id)
        self._require_rotatable(seen)
        minted = self._mint(self._prefix, id=id)
        hashed = await self._hashed(minted.text)

        def rotated(key: Key) -> Key:
            self._require_rotatable(key)
            if key.hash != seen.hash:
                # Made as well, this one would end the text that callers still use.
                raise Conflict(
                    f"The key '{id}' was rotated by somebody else just now. Read it again before you repeat it.",
                    code="changed",
                    should_retry=False,
                )
            old = (key.hash, self.now() + grace) if grace else (None, None)
            return replace(key, hash=hashed, hint=minted.hint, old_hash=old[0], old_until=old[1])

        key = await self._update(Key, id, rotated, self._key_document, "key.rotate", None, by)
        return key, minted.text

    async def revoke_key(self, id: str, *, by: str) -> Key:
        """Ends a key for good. One that is revoked stays as it is.

        Raises:
            NotFound: No such key.
        """

        def revoked(key: Key) -> Key:
            return key if key.revoked is not None else replace(key, revoked=self.now())

        return await self._update(Key, id, revoked, self._key_document, "key.revoke", None, by)

    def _key_document(self, key: Key) -> documents.KeyDocument:
        return documents.of_key(key, self.now())

    def _require_future(self, expires: float | None) -> None:
        if expires is not None and expires <= self.now():
            raise InvalidRequest(
                f"'expires' is {documents.instant(expires)}, which is past. Give a later time, or revoke the key.",
                param="expires",
            )

    def _require_rotatable(self, key: Key) -> None:
        standing = key.standing(self.now())
        if standing != "active":
            mend = "Mint another key." if standing == "revoked" else "Give it a later 'expires' first."
            raise Conflict(f"The key '{key.id}' is {standing}. {mend}", code=f"key_{standing}", should_retry=False)

    async def _hashed(self, text: str) -> str:
        loop = asyncio.get_running_loop()
        turns = self._turns.get(loop)
        if turns is None:
            for closed in [other for other in self._turns if other.is_closed()]:
                del self._turns[closed]
            turns = self._turns[loop] = asyncio.Semaphore(_HASHES_AT_ONCE)
        async with turns:
            return await asyncio.to_thread(self._hash, text)

    # --- plans -----------------------------------------------------------------------------------

    async def put_plan(
        self,
        id: str,
        *,
        requests: int | None = None,
        tokens: int | None = None,
        concurrency: int | None = None,
        version: int | None = None,
        by: str,
    ) -> Plan:
        """Stores a plan, new or in place of the one that is there; it wins over one of the settings.

        Args:
            version: That the stored plan must have, 0 for none. None: whichever.

        Raises:
            InvalidRequest: A member that cannot be. PreconditionFailed: Another version.
        """
        own = rules.id(id, "id")
        given = {"requests": requests, "tokens": tokens, "concurrency": concurrency}
        limits: dict[str, Any] = {member: rules.limit(value, member) for member, value in given.items()}
        for _ in range(TRIES):
            if await self._ledger.find(Plan, own) is not None:
                return await self._update(
                    Plan, own, lambda plan: replace(plan, **limits), _plan_document, "plan.change", version, by
                )
            if version:
                raise other_version("plan", own, 0, version)
            plan = Plan(id=own, created=self.now(), **limits)
            try:
                return await self._add(plan, "plan.create", _plan_document(plan), by)
            except Duplicate:
                continue
        raise busy("Plan", own)

    async def remove_plan(self, id: str, *, by: str) -> bool:
        """Deletes a stored plan; False when there is none. One of the settings by that name holds again.

        Raises:
            Conflict: Teams or keys have it, and would be without limits.
        """
        found = await self._ledger.find(Plan, id)
        if found is None:
            return False
        if id not in self.plans and (user := await self._user_of(id)) is not None:
            raise Conflict(
                f"{user} has the plan '{id}' and would be without limits. Give it another plan first.",
                code="in_use",
                should_retry=False,
            )
        audit = self._audit.entry(by, "plan.remove", id, before=_plan_document(found))
        removed = await self._ledger.remove(Plan, id, audit)
        self._changed(id)
        return removed

    async def _user_of(self, plan: str) -> str | None:
        """A team, or a key that is not revoked, that has the plan."""
        teams = await self._ledger.page(Team, where={"plan": plan}, limit=1)
        if teams.items:
            return f"The team '{teams.items[0].id}'"
        cursor: str | None = None
        while True:
            keys = await self._ledger.page(Key, where={"plan": plan}, cursor=cursor, limit=_PAGE)
            for key in keys.items:
                if key.revoked is None:
                    return f"The key '{key.id}'"
            if (cursor := keys.cursor) is None:
                return None

    async def _require_plan(self, plan: str | None) -> None:
        if plan is None or plan in self.plans or await self._ledger.find(Plan, plan) is not None:
            return
        known = ", ".join(sorted(self.plans))
        raise InvalidRequest(
            f"There is no plan '{plan[:_SHOWN]}'. Store it first, or take one of {known}.", param="plan"
        )

    # --- provider keys ---------------------------------------------------------------------------

    async def put_provider_key(
        self, team: str, provider: str, secret: str, *, version: int | None = None, by: str
    ) -> ProviderSecret:
        """Seals and stores a team's own key at a provider; see `ProviderKeys.put`."""
        return await self._provider_keys.put(team, provider, secret, version=version, by=by)

    async def remove_provider_key(self, team: str, provider: str, *, by: str) -> bool:
        """Deletes a team's own key at a provider; False when there is none."""
        return await self._provider_keys.remove(team, provider, by=by)

    async def reseal(self, *, by: str) -> int:
        """Seals all provider keys with the ring's newest key; see `ProviderKeys.reseal`."""
        return await self._provider_keys.reseal(by=by)

    # --- records ---------------------------------------------------------------------------------

    async def _add(self, record: Record, action: str, document: Mapping[str, object], by: str) -> Record:
        stored = await self._ledger.add(record, self._audit.entry(by, action, record.id, after=document))
        # A key that was refused may have been made just now.
        self._changed(record.id)
        return stored

    async def _found(self, kind: type[Record], id: str) -> Record:
        found = await self._ledger.find(kind, id)
        if found is None:
            raise NotFound(f"There is no {kind.__name__.lower()} '{id[:_SHOWN]}'.", code="not_found")
        return found

    async def _update(
        self,
        kind: type[Record],
        id: str,
        make: Callable[[Record], Record],
        document: Callable[[Record], Mapping[str, Any]],
        action: str,
        version: int | None,
        by: str,
    ) -> Record:
        """Replaces a record by what `make` makes of its newest version, again and again until nobody was faster."""
        for _ in range(TRIES):
            before = await self._found(kind, id)
            if version is not None and before.version != version:
                raise other_version(kind.__name__, id, before.version, version)
            after = make(before)
            if after == before:
                return before
            audit = self._audit.entry(
                by,
                action,
                id,
                before=document(before),
                after=document(replace(after, version=before.version + 1)),
            )
            try:
                stored = await self._ledger.change(after, audit)
            except Changed:
                continue
            self._changed(id)
            return stored
        raise busy(kind.__name__, id)


def _plan_document(plan: Plan) -> documents.PlanDocument:
    return documents.of_plan(plan, "ledger")


def _subject(team: str) -> str:
    # What no team can be called is refused by the ledger, in its own words.
    return team[:_SHOWN].replace("\0", "")
