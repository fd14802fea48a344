"""Who calls: what a caller may name, do, use up and spend.

A *principal* is who somebody says that the caller is: a key of the configuration, a token's claims,
the host application. A *caller* is the principal, or a key of the ledger, with its team: all that a
call is held to, made once and remembered.

What does not live here: how a caller is recognised (`web/identify.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING

from compatgw.errors import Forbidden
from compatgw.policy.limits import Claims, claims, limits_of, narrower
from compatgw.state.base import Limits

if TYPE_CHECKING:
    from compatgw.state.base import Account, Identity, Period, Plan

ADMIN = "admin"
"""The scope of the management API. Whoever has it calls no models: that key is kept elsewhere."""
ALL = ("*",)
_MODELS = "chat embeddings images audio responses messages rerank moderations completions"
SCOPES = frozenset({*_MODELS.split(), *ALL, ADMIN})
"""What a key may be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller that was recognised; what an `authenticate=` callable returns.

    Attributes:
        name: For logs and usage records; callers of one name share their limits.
        models: Globs of the model ids that it may name; `("*",)` for all.
        attributes: Anything of the host's own.
        team: Id of a team of the ledger, whose models, plan and wallet then hold, too. Without a
            ledger it is only written down.
        scopes: What it may call: `chat`, `embeddings`, ...; `("*",)` for all but `admin`.
        plan: Name of the plan whose limits are its own.
        requests: Calls a minute. tokens: Tokens a minute. concurrency: Calls at one time. None: no limit of its own.
    """

    name: str
    models: tuple[str, ...] = ALL
    attributes: Mapping[str, object] = field(default_factory=dict)
    team: str | None = None
    scopes: tuple[str, ...] = ALL
    plan: str | None = None
    requests: int | None = None
    tokens: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """All that a call is held to.

    Attributes:
        name: For people and logs.
        key: Id of the key, or the principal's name: what usage is written under.
        team: Id of the team, "" without one.
        scopes: What it may call.
        models: Globs of its own. visible: Globs of its team's.
        claims: What its calls are counted against.
        account: The team of the ledger. identity: The key of the ledger.
        wallet: Its calls are paid for by the team.
        budget: What the key may spend in a `period`.
        attributes: Of the principal.
    """

    name: str
    key: str
    team: str = ""
    scopes: tuple[str, ...] = ALL
    models: tuple[str, ...] = ALL
    visible: tuple[str, ...] = ALL
    claims: Claims
    account: Account | None = None
    identity: Identity | None = None
    wallet: bool = False
    budget: Decimal | None = None
    period: Period = "total"
    attributes: Mapping[str, object] = field(default_factory=dict)


def caller_of_key(identity: Identity, plans: Mapping[str, Plan]) -> Caller:
    """A key of the ledger as a caller; its own limits are the narrower of its plan's and its own.

    Raises:
        Forbidden: A plan does not exist.
    """
    key, account = identity.key, identity.account
    own = narrower(_limits_of(identity.plan, key.plan, plans), key.limits)
    owners = ((f"t:{account.team.id}", _of_team(account, plans)), (f"k:{key.id}", own))
    return Caller(
        name=key.name,
        key=key.id,
        team=key.team,
        scopes=key.scopes,
        models=key.models,
        visible=account.team.models,
        claims=claims(key.team, owners),
        account=account,
        identity=identity,
        wallet=account.wallet,
        budget=key.budget,
        period=key.period,
    )


def caller_of_principal(
    principal: Principal, account: Account | None, plans: Mapping[str, Plan], plan: Plan | None = None
) -> Caller:
    """A principal as a caller, with its team's limits where the ledger has that team.

    Args:
        plan: The principal's stored plan.

    Raises:
        Forbidden: A plan does not exist.
    """
    given = Limits(requests=principal.requests, tokens=principal.tokens, concurrency=principal.concurrency)
    own = narrower(_limits_of(plan, principal.plan, plans), given)
    owners = [(f"n:{principal.name}", own)]
    if account is not None:
        owners.insert(0, (f"t:{account.team.id}", _of_team(account, plans)))
    return Caller(
        name=principal.name,
        key=principal.name,
        team=principal.team or "",
        scopes=principal.scopes,
        models=principal.models,
        visible=account.team.models if account is not None else ALL,
        claims=claims(principal.team or f"n:{principal.name}", owners),
        account=account,
        wallet=account.wallet if account is not None else False,
        attributes=principal.attributes,
    )


def _of_team(account: Account, plans: Mapping[str, Plan]) -> Limits:
    return _limits_of(account.plan, account.team.plan, plans)


def _limits_of(stored: Plan | None, name: str | None, plans: Mapping[str, Plan]) -> Limits:
    if stored is None and name is not None and name not in plans:
        # No plan would be no limits, which nobody meant.
        raise Forbidden(
            f"The plan '{name[:64]}' of this key or its team does not exist. The gateway's operator gives it another.",
            code="plan_missing",
        )
    return limits_of(stored, name, plans)


def may_do(caller: Caller, scope: str) -> bool:
    """True when the caller has `scope`; with `admin` it has nothing else."""
    if ADMIN in caller.scopes:
        return scope == ADMIN
    return scope in caller.scopes or (scope != ADMIN and "*" in caller.scopes)


def require_active(caller: Caller) -> None:
    """Passes when the caller's team is active.

    Raises:
        Forbidden: It is switched off.
    """
    if caller.account is not None and not caller.account.team.active:
        raise Forbidden(
            "The team of this key is not active. Ask the gateway's operator to switch it on.", code="team_inactive"
        )


def require_scope(caller: Caller, scope: str) -> None:
    """Passes when the caller may do `scope`, and its team is active.

    Raises:
        Forbidden: It may not.
    """
    require_active(caller)
    if may_do(caller, scope):
        return
    if ADMIN in caller.scopes:
        raise Forbidden(
            "This key is for management alone and calls no models. Use a key without the scope 'admin'.",
            code="insufficient_scope",
        )
    raise Forbidden(
        f"This key lacks the scope '{scope}'. Ask the gateway's operator for a key that has it.",
        code="insufficient_scope",
    )


def sees(caller: Caller, names: tuple[str, ...]) -> bool:
    """True when the caller's team sees a model under one of its `names`."""
    return caller.visible == ALL or _matches(caller.visible, names)


def may_use(caller: Caller, names: tuple[str, ...]) -> bool:
    """True when the caller's team sees a model, and the caller itself may use it."""
    return sees(caller, names) and (caller.models == ALL or _matches(caller.models, names))


def require_model(caller: Caller, names: tuple[str, ...]) -> None:
    """Passes when the caller may use the model that it named first of `names`.

    Raises:
        Forbidden: Its team sees the model, but it is not for this key.
    """
    if not may_use(caller, names):
        raise not_allowed(names[0])


def not_allowed(model: str) -> Forbidden:
    """What a caller is told of a model that its team sees, and it may not use."""
    return Forbidden(
        f"This key may not use the model '{model[:128]}'. Ask the gateway's operator, or choose another model.",
        param="model",
    )


@lru_cache(4096)
def _matches(globs: tuple[str, ...], names: tuple[str, ...]) -> bool:
    # A name of one's own, `provider/model`, or the bare id: whichever a glob was written for. A bare id
    # that has a slash itself is another provider's name for it and must not pass for that provider.
    return any(fnmatchcase(name, glob) for glob in globs for name in names)
