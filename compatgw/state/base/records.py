"""What is stored. Records are values: changing one is storing another with the next version.

Money is `Decimal` in one currency per wallet, of at most nine decimals; it is never a float.
Times are seconds since 1970, kept to the microsecond.

What does not live here: arithmetic with limits and money (`policy/`), tables (`state/schema.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation, Overflow
from typing import Generic, Literal, TypeVar

NANO = Decimal("1E-9")
"""The smallest amount: one token of the cheapest models costs a few of them."""
EXACT = Context(prec=60, rounding=ROUND_CEILING, Emin=-999, Emax=999, traps=[InvalidOperation, Overflow])
"""How amounts are reckoned with, whatever context the host has set: they have at most 19 digits."""
MOST = Decimal(1_000_000_000)
"""Amounts and balances are at most this, so that sums of them always fit 64 bits."""

Period = Literal["total", "day", "month"]
EntryKind = Literal["topup", "correction", "charge"]
ReservationState = Literal["open", "settled", "released", "swept"]
Grouping = Literal["hour", "day", "model", "team", "key", "provider", "endpoint", "code"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Calls and tokens a minute, calls at one time; None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Limits under a name; a team's plan is shared by its keys, a key's plan is its own.

    Attributes:
        id: Its name, such as `starter`.
        requests: Calls a minute. tokens: Tokens a minute. concurrency: Calls at one time. None: no limit.
        created: When. version: Counts its changes from 1.
    """

    id: str
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    created: float = 0.0
    version: int = 1

    @property
    def limits(self) -> Limits:
        """The limits alone."""
        return Limits(requests=self.requests, tokens=self.tokens, concurrency=self.concurrency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Who pays, and what all its keys may at most do.

    Attributes:
        id: Its id. name: For people.
        active: False refuses all its keys with 403.
        models: Globs of the model ids that it sees.
        plan: Id of its plan, None for no limits.
        byok_fallback: True lets a call go on with the platform's provider key, and money, when the team's own fails.
        metadata: Anything of the operator's own.
    """

    id: str
    name: str
    active: bool = True
    models: tuple[str, ...] = ("*",)
    plan: str | None = None
    byok_fallback: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)
    created: float = 0.0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a team; the key itself is not in it.

    Attributes:
        id: The part of the key that names it. team: Id of its team. name: For people. hint: The key's last characters.
        hash: Argon2id of the whole key. old_hash: Of the key before a rotation, good until `old_until`.
        scopes: What it may call; `("*",)` for all but `admin`.
        models: Globs that narrow the team's.
        plan, requests, tokens, concurrency: Limits of its own, beside the team's.
        budget: What it may spend in a `period`, None for no bound.
        expires: When it ends. revoked: When it was revoked.
        metadata: Anything of the operator's own.
    """

    id: str
    team: str
    name: str
    hash: str = field(repr=False)
    hint: str = ""
    old_hash: str | None = field(default=None, repr=False)
    old_until: float | None = None
    scopes: tuple[str, ...] = ("*",)
    models: tuple[str, ...] = ("*",)
    plan: str | None = None
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None
    budget: Decimal | None = None
    period: Period = "total"
    expires: float | None = None
    revoked: float | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    created: float = 0.0
    version: int = 1

    @property
    def limits(self) -> Limits:
        """Its own limits, without those of its plan."""
        return Limits(requests=self.requests, tokens=self.tokens, concurrency=self.concurrency)

    def standing(self, now: float) -> Literal["active", "revoked", "expired"]:
        """Whether it is good at `now`."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that only the ring can open; `ring` names the key that sealed it."""

    ring: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSecret:
    """A team's own key at a provider, sealed; `ring` names the key that sealed it, `last4` is all that is shown."""

    id: str
    team: str
    provider: str
    ring: str
    sealed: bytes = field(repr=False)
    last4: str = ""
    created: float = 0.0
    version: int = 1

    @property
    def seal(self) -> Sealed:
        """The sealed key, to be opened for `purpose`."""
        return Sealed(self.ring, self.sealed)

    @property
    def purpose(self) -> str:
        """What it is sealed for: a row that is moved to another team or provider does not open."""
        return purpose(self.team, self.provider)


def purpose(team: str, provider: str) -> str:
    """What a team's key at a provider is sealed for."""
    return f"{team}/{provider}"


PROMPTS = "prompts/*"
"""The id under which a change of any prompt is told, too: who remembers by name knows no ids. No record has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a prompt template. Versions are not changed, labels move: each is at one version of a name.

    Attributes:
        id: Its id. name: The prompt's name. number: Its version, from 1.
        kind: `text` or `chat`. body: The template, as JSON: a text, or a list of messages with `role` and `content`.
        labels: Such as `production`.
        by: Who made it.
        changed: When its labels last moved, or it was removed. changed_by: Who did that.
        removed: Nobody finds it any more; its number is not given out again.
    """

    id: str
    name: str
    number: int
    kind: Literal["text", "chat"]
    body: str
    labels: tuple[str, ...] = ()
    by: str = ""
    changed: float | None = None
    changed_by: str = ""
    removed: bool = False
    created: float = 0.0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """A team's money. `balance` is the sum of its entries; `reserved` of it is spoken for, and never more than it."""

    team: str
    currency: str
    balance: Decimal
    reserved: Decimal
    created: float = 0.0
    version: int = 1

    @property
    def free(self) -> Decimal:
        """What can be reserved."""
        return EXACT.subtract(self.balance, self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One movement of money; never changed, never deleted.

    Attributes:
        amount: Added when positive, taken when negative. balance: What was there afterwards.
        reservation: Of a charge: whose. idempotency: Of a top-up: its key.
        by: Who did it. note: Why.
    """

    id: str
    team: str
    kind: EntryKind
    amount: Decimal
    balance: Decimal
    at: float
    reservation: str | None = None
    idempotency: str | None = None
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a key may spend in the period labelled `label` (`total`, `2026-11-21`, `2026-11`)."""

    key: str
    label: str
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money held for one call.

    Attributes:
        id: Made by the gateway for this call alone; a client's own request id may come twice.
        amount: What is held. wallet: False when only a budget is held.
        budget_key, budget_label: Whose budget it is held of besides, and in which period.
        owner: The process that holds it. expires: When it is given back whatever happens.
        charged, shortfall: Once settled: what was taken, and what could not be.
    """

    id: str
    team: str
    amount: Decimal
    wallet: bool
    owner: str
    state: ReservationState
    created: float
    expires: float
    budget_key: str | None = None
    budget_label: str | None = None
    charged: Decimal = Decimal(0)
    shortfall: Decimal = Decimal(0)
    closed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """One call as it went.

    Attributes:
        id: Unique, made by the gateway. request: The id that the client saw.
        model: As asked. target: The provider's own id that answered.
        input: All input tokens, `cached` and `cache_write` among them. output: All, `reasoning` among them.
        cost: What the provider takes, None when not known. charge: What the wallet paid.
        estimated: The tokens were counted here, because the provider did not say.
        latency, first_token: Seconds.
        status: HTTP status. code: Of the error, empty for none.
        byok: The team's own provider key was used. cached_answer: It came out of the cache.
        guardrails: What each of them did, such as `pii:redact,mine:pass`.
    """

    id: str
    at: float
    request: str
    team: str
    key: str
    model: str
    provider: str = ""
    target: str = ""
    endpoint: str = "chat"
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    images: int = 0
    cost: Decimal | None = None
    charge: Decimal = Decimal(0)
    estimated: bool = False
    stream: bool = False
    byok: bool = False
    cached_answer: bool = False
    latency: float = 0.0
    first_token: float | None = None
    status: int = 200
    code: str = ""
    guardrails: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """Sums over calls that are alike in `group`, in the order that was asked for.

    Attributes:
        group: Days as `2026-11-21`, hours as `2026-11-21T13:00:00Z`, both of UTC.
        failed: Those with a status from 400 on.
        cost: What providers take. charge: What wallets paid.
        p50, p95: Seconds within which half of the answered calls were over, and 19 of 20 (nearest rank). None where
            none was answered, or nobody asked for it.
    """

    group: tuple[str, ...]
    calls: int
    failed: int
    input: int
    cached: int
    output: int
    reasoning: int
    cost: Decimal
    charge: Decimal
    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A response that is kept for its owner, as one turn of a conversation. What the two parts hold is their writer's.

    Attributes:
        id: Made of its owner and the response's id. owner: Whose.
        added: What it added to the conversation.
        told: What its owner can retrieve; None of earlier turns of a conversation.
        ring: The ring's key that sealed both; empty where they are not sealed.
        working: When whoever works on it in the background counts as dead; None when nobody does.
        first: No turn comes before it.
        expires: When it ends; 0 of an earlier turn that was deleted, or has ended, and is gone on from.
    """

    id: str
    owner: str
    added: bytes = field(repr=False)
    told: bytes | None = field(default=None, repr=False)
    ring: str = ""
    working: float | None = None
    first: bool = True
    created: float = 0.0
    expires: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change: who, what, before, after. The latter two are JSON with secrets masked by whoever writes them."""

    id: str
    at: float
    by: str
    action: str
    kind: str
    subject: str
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """What a key has spent, and holds, of a budget in one period."""

    key: str
    label: str
    spent: Decimal
    reserved: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A team with all that its calls depend on, read at one moment.

    Attributes:
        plan: The team's stored plan.
        wallet: Its calls are paid from one.
        secrets: Its own provider keys, sealed.
    """

    team: Team
    plan: Plan | None = None
    wallet: bool = False
    secrets: tuple[ProviderSecret, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """All that a key leads to, read at one moment; `plan` is the key's stored plan."""

    key: Key
    account: Account
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A record that was added, changed or removed: its kind's name, such as `Key`, and its id."""

    kind: str
    id: str


Stored = TypeVar("Stored", Team, Plan, Key, ProviderSecret, Prompt)
Listed = TypeVar("Listed", Team, Plan, Key, ProviderSecret, Prompt, Entry, UsageRow, AuditEntry)
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some rows, the newest first; `cursor` asks for the next page, None at the end."""

    items: tuple[Item, ...]
    cursor: str | None
