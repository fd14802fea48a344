"""What a caller may name and do: keys narrow, never widen; management is a thing of its own."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.errors import Forbidden
from compatgw.policy.access import (
    ADMIN,
    SCOPES,
    Caller,
    Principal,
    caller_of_key,
    caller_of_principal,
    may_do,
    may_use,
    require_model,
    require_scope,
    sees,
)
from compatgw.policy.limits import PLANS, Claims
from compatgw.state.base import Account, Bucket, Identity, Key, Lease, Plan, Team

GLOBS = st.lists(st.sampled_from(["*", "openai/*", "gpt-*", "gpt-4o", "groq/x", "none"]), max_size=3).map(tuple)
NAMES = st.sampled_from([("gpt-4o", "openai/gpt-4o"), ("groq/x", "groq/x", "x"), ("fast", "openai/gpt-5", "gpt-5")])


def caller(**members: Any) -> Caller:
    """A caller without limits."""
    return Caller(name="k", key="k", claims=Claims("t", (), (), ()), **members)


def account(**members: Any) -> Account:
    """A team."""
    return Account(team=Team(id="t1", name="T", **members))


@given(visible=GLOBS, own=GLOBS, names=NAMES)
def test_a_key_narrows_and_never_widens(visible: tuple[str, ...], own: tuple[str, ...], names: tuple[str, ...]) -> None:
    """What a key may use, its team sees; what neither list names, nobody may."""
    one = caller(visible=visible, models=own)

    assert may_use(one, names) <= sees(one, names)
    assert may_use(one, names) == (may_use(caller(models=visible), names) and may_use(caller(models=own), names))


@pytest.mark.parametrize(
    ("globs", "names", "fine"),
    [
        (("*",), ("a/b", "a/b"), True),
        (("openai/*",), ("gpt-4o", "openai/gpt-4o", "gpt-4o"), True),
        (("gpt-*",), ("openai/gpt-4o", "openai/gpt-4o", "gpt-4o"), True),
        (("openai/*",), ("groq/x", "groq/x", "x"), False),
        (("openai/*",), ("openrouter/openai/gpt-4o", "openrouter/openai/gpt-4o"), False),
        (("GPT-*",), ("gpt-4o", "openai/gpt-4o"), False),
        ((), ("x",), False),
    ],
)
def test_a_glob_is_for_whatever_a_model_is_called(globs: tuple[str, ...], names: tuple[str, ...], fine: bool) -> None:
    """As asked, with its provider, and its bare id; another provider's name for it is another model."""
    one = caller(models=globs)

    assert may_use(one, names) is fine
    if not fine:
        with pytest.raises(Forbidden) as raised:
            require_model(one, names)
        assert (raised.value.code, raised.value.param) == ("model_not_allowed", "model")


@pytest.mark.parametrize("scope", sorted(SCOPES - {"*", ADMIN}))
def test_all_scopes_are_all_but_management(scope: str) -> None:
    """And management calls no models."""
    assert may_do(caller(), scope)
    assert may_do(caller(scopes=(scope,)), scope)
    assert not may_do(caller(scopes=(ADMIN,)), scope)
    assert not may_do(caller(scopes=(ADMIN, "*")), scope)
    assert not may_do(caller(), ADMIN)
    assert may_do(caller(scopes=(ADMIN,)), ADMIN)


@pytest.mark.parametrize(
    ("one", "scope", "code"),
    [
        (caller(scopes=("embeddings",)), "chat", "insufficient_scope"),
        (caller(scopes=(ADMIN,)), "chat", "insufficient_scope"),
        (caller(), ADMIN, "insufficient_scope"),
        (caller(account=account(active=False)), "chat", "team_inactive"),
    ],
)
def test_who_may_not_is_told_why(one: Caller, scope: str, code: str) -> None:
    """By a code of its own for a team that is switched off."""
    with pytest.raises(Forbidden) as raised:
        require_scope(one, scope)

    assert raised.value.code == code


def test_a_key_of_the_ledger_as_a_caller() -> None:
    """With what it and its team have."""
    key = Key(id="k1", team="t1", name="App", hash="", scopes=("chat",), models=("gpt-*",), budget=Decimal(5))
    team = Account(team=Team(id="t1", name="T", models=("openai/*",), plan="starter"), wallet=True)
    found = caller_of_key(Identity(key=key, account=team), PLANS)

    assert (found.name, found.key, found.team, found.scopes) == ("App", "k1", "t1", ("chat",))
    assert (found.models, found.visible, found.wallet, found.budget) == (("gpt-*",), ("openai/*",), True, Decimal(5))
    assert found.claims.requests == (Bucket("t:t1:r", "requests", 60),)


def test_a_principal_as_a_caller() -> None:
    """Its own limits, its plan's, and its team's where the ledger has it."""
    plans = {**PLANS, "own": Plan(id="own", requests=3, concurrency=9)}
    who = Principal(name="job", team="t1", plan="own", concurrency=2)
    alone = caller_of_principal(who, None, plans)
    within = caller_of_principal(who, account(plan="starter", models=("x",)), plans)

    assert (alone.team, alone.visible, alone.wallet) == ("t1", ("*",), False)
    assert (alone.claims.group, alone.claims.requests) == ("t1", (Bucket("n:job:r", "requests", 3),))
    assert alone.claims.leases == (Lease("n:job:c", 2),)
    assert within.visible == ("x",)
    assert [bucket.name for bucket in within.claims.requests] == ["t:t1:r", "n:job:r"]


def test_callers_without_a_team_share_limits_by_name_alone() -> None:
    """Two of one name are one caller, two of different names are none of each other's business."""
    groups = {caller_of_principal(Principal(name=name), None, PLANS).claims.group for name in ("a", "a", "b")}

    assert groups == {"n:a", "n:b"}


@pytest.mark.parametrize("where", ["team", "key", "principal"])
def test_a_plan_that_does_not_exist_is_no_licence(where: str) -> None:
    """Without it there would be no limits at all: the call is refused instead."""
    key = Key(id="k", team="t1", name="k", hash="", plan="gone" if where == "key" else None)
    identity = Identity(key=key, account=account(plan="gone" if where == "team" else None))
    with pytest.raises(Forbidden) as raised:
        _ = (
            caller_of_principal(Principal(name="p", plan="gone"), None, PLANS)
            if where == "principal"
            else caller_of_key(identity, PLANS)
        )

    assert raised.value.code == "plan_missing"


def test_who_may_passes() -> None:
    """Without a word."""
    require_scope(caller(account=account()), "chat")
    require_model(caller(models=("gpt-*",)), ("gpt-4o",))
