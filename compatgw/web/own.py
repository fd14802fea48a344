"""What a caller may know of itself: its key, limits and balance, and what one of its calls came to.

What does not live here: the same of others (`admin/`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from compatgw.errors import InvalidRequest, NotFound
from compatgw.policy import limits, money
from compatgw.state.base import UsageRow
from compatgw.web.endpoints import document

if TYPE_CHECKING:
    from compatgw.policy.access import Caller
    from compatgw.web.site import Site
    from compatgw.web.visit import Visit


async def key(site: Site, visit: Visit) -> None:
    """`GET /v1/key`: the caller's own key, what it may do, what is left of its limits and of its money.

    Amounts are decimal numbers in text, times ISO 8601 in UTC; what the caller does not have is null.
    """
    caller = await site.identify(visit)
    identity, account = caller.identity, caller.account
    value: dict[str, Any] = {
        "object": "key",
        "id": caller.key,
        "name": caller.name,
        "hint": identity.key.hint if identity is not None else None,
        "team": _team(caller),
        "scopes": list(caller.scopes),
        "models": list(caller.models),
        "team_models": list(caller.visible),
        "plan": account.team.plan if account is not None else None,
        "expires_at": _instant(identity.key.expires) if identity is not None else None,
        "limits": await _limits(site, caller),
        "wallet": await _wallet(site, caller),
        "budget": await _budget(site, caller),
        "provider_keys": [
            {"provider": secret.provider, "last4": secret.last4} for secret in (account.secrets if account else ())
        ],
    }
    await document(visit, value)


def _team(caller: Caller) -> dict[str, str | None] | None:
    if not caller.team:
        return None
    return {"id": caller.team, "name": caller.account.team.name if caller.account is not None else None}


async def _limits(site: Site, caller: Caller) -> list[dict[str, Any]]:
    """Every limit that the caller's calls are counted against; `remaining` of calls at one time is not known."""
    claims = caller.claims
    levels = await site.house.counters.look(claims.group, (*claims.requests, *claims.tokens))
    out: list[dict[str, Any]] = [
        {
            "of": _owner(level.bucket.name),
            "kind": level.bucket.kind,
            "limit": level.bucket.limit,
            "remaining": level.remaining,
            "reset": limits.duration(level.reset),
        }
        for level in levels
    ]
    out += [
        {"of": _owner(lease.name), "kind": "concurrency", "limit": lease.limit, "remaining": None, "reset": None}
        for lease in claims.leases
    ]
    return out


def _owner(name: str) -> str:
    return "team" if name.startswith("t:") else "key"


async def _wallet(site: Site, caller: Caller) -> dict[str, str] | None:
    ledger = site.house.ledger
    found = await ledger.wallet(caller.team) if ledger is not None and caller.wallet else None
    if found is None:
        return None
    return {
        "currency": found.currency,
        "balance": money.text(found.balance),
        "reserved": money.text(found.reserved),
        "free": money.text(found.free),
    }


async def _budget(site: Site, caller: Caller) -> dict[str, str] | None:
    ledger, limit = site.house.ledger, caller.budget
    if ledger is None or limit is None:
        return None
    label = money.label(caller.period, site.house.clock())
    spend = await ledger.spend(caller.key, label)
    return {
        "currency": site.house.settings.money.currency,
        "limit": money.text(limit),
        "period": caller.period,
        "label": label,
        "spent": money.text(spend.spent),
        "reserved": money.text(spend.reserved),
        "remaining": money.text(money.left(limit, spend)),
    }


async def generation(site: Site, visit: Visit) -> None:
    """`GET /v1/generation?id=...`: what one call came to, by its `X-Request-ID`; in OpenRouter's shape.

    A call is found about a second after its end; only those of the caller's own team, or of itself without one.
    """
    caller = await site.identify(visit)
    id = visit.query().get("id")
    if not id:
        raise InvalidRequest(
            "Which call? Give its X-Request-ID, as in /v1/generation?id=req_...", param="id", code="missing_parameter"
        )
    ledger = site.house.ledger
    if ledger is None:
        raise NotFound("This gateway keeps no records: its operator configures 'state.ledger'.", code="not_found")
    whose = {"team": caller.team} if caller.team else {"key": caller.key}
    page = await ledger.page(UsageRow, where={"request": id, **whose}, limit=1)
    if not page.items:
        raise NotFound(
            "No call of yours has that id, or it ended this very moment. Use the X-Request-ID of its answer.",
            param="id",
            code="not_found",
        )
    await document(visit, {"data": _generation(page.items[0])})


def _generation(row: UsageRow) -> dict[str, Any]:
    return {
        "id": row.request,
        "created_at": _instant(row.at),
        "model": row.target or row.model,
        "requested_model": row.model,
        "provider_name": row.provider or None,
        "streamed": row.stream,
        "is_byok": row.byok,
        "cached": row.cached_answer,
        "guardrails": row.guardrails,
        "status": row.status,
        "error_code": row.code or None,
        "tokens_prompt": row.input,
        "tokens_completion": row.output,
        "native_tokens_cached": row.cached,
        "native_tokens_reasoning": row.reasoning,
        "estimated": row.estimated,
        "total_cost": money.text(row.cost) if row.cost is not None else None,
        "charged": money.text(row.charge),
        "latency": round((row.first_token if row.first_token is not None else row.latency) * 1000),
        "generation_time": round(row.latency * 1000),
    }


def _instant(value: float | None) -> str | None:
    return datetime.fromtimestamp(value, UTC).isoformat().replace("+00:00", "Z") if value is not None else None
