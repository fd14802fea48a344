"""Records as JSON documents: what the management API answers and the audit log keeps.

Amounts are decimal texts, times ISO 8601 in UTC with six decimals. No document has a member for a
hash or a sealed key, so none can show one.

What does not live here: how bodies are read (`shapes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import orjson
from typing_extensions import TypedDict

from compatgw.policy import money
from compatgw.policy.prompts import of_record, variables_of

# The types of documents are read at run time: they are the schemas of `/openapi.json`.
from compatgw.state.base import EntryKind, Period
from compatgw.wire.prompts import Role

if TYPE_CHECKING:
    from decimal import Decimal

    from compatgw.state.base import (
        AuditEntry,
        Entry,
        Grouping,
        Key,
        Plan,
        Prompt,
        ProviderSecret,
        Team,
        UsageRow,
        UsageTotal,
        Wallet,
    )

Document = TypeVar("Document")
Source = Literal["ledger", "configuration", "built-in"]


class TeamDocument(TypedDict):
    """A team."""

    object: Literal["team"]
    id: str
    name: str
    active: bool
    models: list[str]
    plan: str | None
    byok_fallback: bool
    metadata: dict[str, object]
    created: str
    version: int


class KeyDocument(TypedDict):
    """A key; `previous_until` is when the key before a rotation ends, null when there is none."""

    object: Literal["key"]
    id: str
    team: str
    name: str
    hint: str
    status: Literal["active", "revoked", "expired"]
    scopes: list[str]
    models: list[str]
    plan: str | None
    requests: int | None
    tokens: int | None
    concurrency: int | None
    budget: str | None
    period: Period
    expires: str | None
    revoked: str | None
    previous_until: str | None
    metadata: dict[str, object]
    created: str
    version: int


class MintedDocument(KeyDocument):
    """A key with the text that callers send, shown this once."""

    key: str


class PlanDocument(TypedDict):
    """A plan; `source` says where it stands. Version 0 and no `created`: not in the ledger."""

    object: Literal["plan"]
    id: str
    source: Source
    requests: int | None
    tokens: int | None
    concurrency: int | None
    created: str | None
    version: int


class WalletDocument(TypedDict):
    """A wallet; `free` is `balance` less `reserved`."""

    object: Literal["wallet"]
    team: str
    currency: str
    balance: str
    reserved: str
    free: str
    created: str


class EntryDocument(TypedDict):
    """A movement of money."""

    object: Literal["wallet.entry"]
    id: str
    team: str
    kind: EntryKind
    amount: str
    balance: str
    at: str
    reservation: str | None
    idempotency_key: str | None
    by: str
    note: str


class ProviderKeyDocument(TypedDict):
    """A team's own key at a provider, without the key."""

    object: Literal["provider_key"]
    team: str
    provider: str
    last4: str
    ring: str
    created: str
    version: int


class MessageDocument(TypedDict):
    """A message of a template."""

    role: Role
    content: str


class PromptRow(TypedDict):
    """A version of a prompt without its text: `number` is what calls name it by, `version` counts its changes."""

    object: Literal["prompt"]
    id: str
    name: str
    number: int
    labels: list[str]
    variables: list[str]
    created: str
    by: str
    changed: str | None
    changed_by: str
    removed: bool
    version: int


class PromptDocument(PromptRow):
    """A version of a prompt."""

    messages: list[MessageDocument]


class UsageDocument(TypedDict):
    """A call; `latency` and `first_token` in seconds."""

    object: Literal["usage"]
    id: str
    at: str
    request: str
    team: str
    key: str
    model: str
    provider: str
    target: str
    endpoint: str
    input: int
    cached: int
    cache_write: int
    output: int
    reasoning: int
    images: int
    cost: str | None
    charge: str
    estimated: bool
    stream: bool
    byok: bool
    cached_answer: bool
    guardrails: str
    latency: float
    first_token: float | None
    status: int
    code: str


class UsageTotalDocument(TypedDict):
    """Sums over calls; `group` has a member for each that was asked for. `p50` and `p95` in seconds, null unless asked
    for, or where no call was answered.
    """

    object: Literal["usage.total"]
    group: dict[str, str]
    calls: int
    failed: int
    input: int
    cached: int
    output: int
    reasoning: int
    cost: str
    charge: str
    p50: float | None
    p95: float | None


class AuditDocument(TypedDict):
    """A change: who, what, before, after."""

    object: Literal["audit.entry"]
    id: str
    at: str
    by: str
    action: str
    kind: str
    subject: str
    before: object
    after: object


class ListDocument(TypedDict, Generic[Document]):
    """Some documents, the newest first; `next_cursor` asks for the next ones, null at the end."""

    object: Literal["list"]
    data: list[Document]
    has_more: bool
    next_cursor: str | None


class DeletedDocument(TypedDict):
    """What was deleted."""

    object: str
    id: str
    deleted: Literal[True]


def instant(value: float) -> str:
    """A time such as `2026-11-21T13:18:25.000000Z`."""
    return datetime.fromtimestamp(value, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def optional_instant(value: float | None) -> str | None:
    """As `instant`, or None."""
    return None if value is None else instant(value)


def _money(value: Decimal | None) -> str | None:
    return None if value is None else money.text(value)


def of_team(team: Team) -> TeamDocument:
    """A team as a document."""
    return {
        "object": "team",
        "id": team.id,
        "name": team.name,
        "active": team.active,
        "models": list(team.models),
        "plan": team.plan,
        "byok_fallback": team.byok_fallback,
        "metadata": dict(team.metadata),
        "created": instant(team.created),
        "version": team.version,
    }


def of_key(key: Key, now: float) -> KeyDocument:
    """A key as a document, with what it is worth at `now`."""
    return {
        "object": "key",
        "id": key.id,
        "team": key.team,
        "name": key.name,
        "hint": key.hint,
        "status": key.standing(now),
        "scopes": list(key.scopes),
        "models": list(key.models),
        "plan": key.plan,
        "requests": key.requests,
        "tokens": key.tokens,
        "concurrency": key.concurrency,
        "budget": _money(key.budget),
        "period": key.period,
        "expires": optional_instant(key.expires),
        "revoked": optional_instant(key.revoked),
        "previous_until": optional_instant(key.old_until) if key.old_hash is not None else None,
        "metadata": dict(key.metadata),
        "created": instant(key.created),
        "version": key.version,
    }


def of_minted(key: Key, text: str, now: float) -> MintedDocument:
    """A key with its text."""
    return {**of_key(key, now), "key": text}


def of_plan(plan: Plan, source: Source) -> PlanDocument:
    """A plan as a document."""
    stored = source == "ledger"
    return {
        "object": "plan",
        "id": plan.id,
        "source": source,
        "requests": plan.requests,
        "tokens": plan.tokens,
        "concurrency": plan.concurrency,
        "created": instant(plan.created) if stored else None,
        "version": plan.version if stored else 0,
    }


def of_wallet(wallet: Wallet) -> WalletDocument:
    """A wallet as a document."""
    return {
        "object": "wallet",
        "team": wallet.team,
        "currency": wallet.currency,
        "balance": money.text(wallet.balance),
        "reserved": money.text(wallet.reserved),
        "free": money.text(wallet.free),
        "created": instant(wallet.created),
    }


def of_entry(entry: Entry) -> EntryDocument:
    """A movement of money as a document."""
    return {
        "object": "wallet.entry",
        "id": entry.id,
        "team": entry.team,
        "kind": entry.kind,
        "amount": money.text(entry.amount),
        "balance": money.text(entry.balance),
        "at": instant(entry.at),
        "reservation": entry.reservation,
        "idempotency_key": entry.idempotency,
        "by": entry.by,
        "note": entry.note,
    }


def of_provider_key(secret: ProviderSecret) -> ProviderKeyDocument:
    """A sealed key as a document: its last four characters, and when it was put there."""
    return {
        "object": "provider_key",
        "team": secret.team,
        "provider": secret.provider,
        "last4": secret.last4,
        "ring": secret.ring,
        "created": instant(secret.created),
        "version": secret.version,
    }


def of_prompt_row(prompt: Prompt) -> PromptRow:
    """A version of a prompt as a row of a list."""
    return {
        "object": "prompt",
        "id": prompt.id,
        "name": prompt.name,
        "number": prompt.number,
        "labels": list(prompt.labels),
        "variables": list(variables_of(of_record(prompt))),
        "created": instant(prompt.created),
        "by": prompt.by,
        "changed": optional_instant(prompt.changed),
        "changed_by": prompt.changed_by,
        "removed": prompt.removed,
        "version": prompt.version,
    }


def of_prompt(prompt: Prompt) -> PromptDocument:
    """A version of a prompt with its text."""
    messages: list[MessageDocument] = [
        {"role": message.role, "content": message.content} for message in of_record(prompt).messages
    ]
    return {**of_prompt_row(prompt), "messages": messages}


def of_usage(row: UsageRow) -> UsageDocument:
    """A call as a document."""
    return {
        "object": "usage",
        "id": row.id,
        "at": instant(row.at),
        "request": row.request,
        "team": row.team,
        "key": row.key,
        "model": row.model,
        "provider": row.provider,
        "target": row.target,
        "endpoint": row.endpoint,
        "input": row.input,
        "cached": row.cached,
        "cache_write": row.cache_write,
        "output": row.output,
        "reasoning": row.reasoning,
        "images": row.images,
        "cost": _money(row.cost),
        "charge": money.text(row.charge),
        "estimated": row.estimated,
        "stream": row.stream,
        "byok": row.byok,
        "cached_answer": row.cached_answer,
        "guardrails": row.guardrails,
        "latency": row.latency,
        "first_token": row.first_token,
        "status": row.status,
        "code": row.code,
    }


def of_total(total: UsageTotal, group: Sequence[Grouping]) -> UsageTotalDocument:
    """Sums as a document; `group` is what they were asked for by."""
    return {
        "object": "usage.total",
        "group": dict(zip(group, total.group, strict=True)),
        "calls": total.calls,
        "failed": total.failed,
        "input": total.input,
        "cached": total.cached,
        "output": total.output,
        "reasoning": total.reasoning,
        "cost": money.text(total.cost),
        "charge": money.text(total.charge),
        "p50": total.p50,
        "p95": total.p95,
    }


def of_audit(entry: AuditEntry) -> AuditDocument:
    """A change as a document."""
    return {
        "object": "audit.entry",
        "id": entry.id,
        "at": instant(entry.at),
        "by": entry.by,
        "action": entry.action,
        "kind": entry.kind,
        "subject": entry.subject,
        "before": _read(entry.before),
        "after": _read(entry.after),
    }


def text_of(document: Mapping[str, object]) -> str:
    """A document as JSON."""
    return orjson.dumps(document).decode()


def _read(text: str | None) -> object:
    found: object = None if text is None else orjson.loads(text)
    return found
