"""A small world to plan in: providers a to e that serve one codename, and whoever asks.

What does not live here: tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from compatgw.dialects.base import Policy, Quirks
from compatgw.dialects.table import DIALECTS
from compatgw.policy.access import Caller
from compatgw.policy.directory import Deployment, Directory, OwnModel
from compatgw.policy.limits import claims
from compatgw.policy.needs import Needs
from compatgw.policy.plan import LeftOut, Live, Plan, Question, Vitals, survey
from compatgw.providers.catalogue import Catalogue, Model
from compatgw.providers.prices import Prices
from compatgw.state.base import Price
from compatgw.surfaces.extensions import claim

NOW = 1_000_000.0
PLAIN = Quirks()


def model(provider: str, **facts: Any) -> Model:
    """The model `m` at `provider`; it can do everything unless `facts` say otherwise."""
    known: dict[str, Any] = {
        "id": "m", "context": 1000, "max_output": 100, "input": ("text", "image", "pdf", "audio"), "tools": True,
        "json_schema": True, "reasoning": False, "created": 1,
    }  # fmt: skip
    return Model(provider=provider, **{**known, **facts})


def world(
    *models: Model,
    trust: Mapping[str, int] | None = None,
    prices: Mapping[str, str] | None = None,
    quirks: Mapping[str, Quirks] | None = None,
    own: Mapping[str, OwnModel] | None = None,
    aliases: Mapping[str, str] | None = None,
    also: tuple[str, ...] = (),
    dialect: str = "openai",
) -> Directory:
    """A directory in which the codename `code` means every one of `models`.

    Args:
        prices: Dollars for a million tokens in and out, by `provider/model`.
        also: Further providers that are active and have no row.
        dialect: What all of them speak.
    """
    names = [*dict.fromkeys(row.provider for row in models), *also]
    deployments = {name: Deployment(name, DIALECTS[dialect], (quirks or {}).get(name, PLAIN)) for name in names}
    codenames = {"code": tuple(f"{row.provider}/{row.id}" for row in models)}
    known = {name: Price(input=Decimal(value), output=Decimal(value)) for name, value in (prices or {}).items()}
    catalogue = Catalogue(models, codenames, aliases or {}, trust or {})
    return Directory("gw", deployments, own or {}, catalogue, frozenset({*names, "absent"}), Prices(known))


def caller(models: tuple[str, ...] = ("*",), visible: tuple[str, ...] = ("*",)) -> Caller:
    """Somebody with these globs."""
    return Caller(name="c", key="c", claims=claims("c", ()), models=models, visible=visible)


def ask(
    name: str = "code",
    *,
    who: Caller | None = None,
    scope: frozenset[str] | None = None,
    needs: Needs | None = None,
    unsupported: Policy = "hints",
    vision_helper: bool = False,
    **members: Any,
) -> Question:
    """A question; `members` are the gateway's own, as a client sends them."""
    return Question(
        model=name,
        scope=scope,
        caller=who or caller(),
        options=claim({"gateway": members})[1],
        needs=needs or Needs(input=10, least=3),
        unsupported=unsupported,
        vision_helper=vision_helper,
    )


def live(
    vitals: Mapping[str, Vitals] | None = None, *, turn: int = 0, random: Callable[[], float] = lambda: 0.0
) -> Live:
    """What is known at `NOW`."""
    return Live(now=NOW, vitals=vitals or {}, turn=turn, random=random)


def targets(plan: Plan) -> list[str]:
    """The providers of the targets, in order."""
    return [route.deployment.name for route in plan.targets]


def lost(plan: Plan) -> dict[str, str]:
    """Provider to the reason why it is left out."""
    return {found.model.partition("/")[0]: found.reason for found in plan.left_out}


def look(place: Directory, question: Question, now: Live | None = None) -> Plan:
    """The plan, even one without targets."""
    return survey(question, place, now or live())


__all__ = ["NOW", "LeftOut", "ask", "caller", "live", "look", "lost", "model", "targets", "world"]
