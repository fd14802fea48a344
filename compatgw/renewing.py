"""Other settings for a gateway that runs: which rooms are made anew, and which go on.

Calls that run keep the house that they began in. A new one has the same counters, ledger, connections, tasks and
flights, and what is known of upstreams' health; so nothing of the old one is left to close when its last call is over.

What does not live here: making rooms (`assembly.py`), putting the new house in the place of the old (`standing.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from compatgw import assembly
from compatgw.config import ConfigError
from compatgw.flow.credentials import PlatformKeys
from compatgw.flow.idempotency import Idempotency
from compatgw.policy.plan import sole
from compatgw.reaching import deployments_of, directory_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compatgw.assembly import Means, Records
    from compatgw.config import Settings
    from compatgw.flow.call import House

FIXED = (
    "state",
    "transport",
    "timeouts.connect",
    "shutdown_grace",
    "max_in_flight",
    "telemetry",
    "breaker",
    "money.currency",
    "responses",
    "reasoning",
)
"""Settings that hold for as long as the gateway lives: what they are about is open, or has counted."""

_SOLE = 1024


def require_same(before: Settings, after: Settings) -> None:
    """Refuses what cannot change while calls run.

    Raises:
        ConfigError: It names the setting.
    """
    for name in FIXED:
        if _at(before, name) != _at(after, name):
            raise ConfigError(
                f"Setting '{name}' cannot change while the gateway runs. Start it anew for that; nothing was changed.",
                tuple(name.split(".")),
            )


def _at(settings: Settings, name: str) -> Any:
    place: Any = settings
    for part in name.split("."):
        place = getattr(place, part)
    return place


def renewed(
    house: House, records: Records | None, settings: Settings, environ: Mapping[str, str], means: Means
) -> tuple[House, Records | None]:
    """The house that `settings` ask for, with the rooms of `house` that go on.

    Raises:
        ConfigError: A setting is wrong, or cannot change; nothing was changed.
    """
    before = house.settings
    require_same(before, settings)
    deployments, endpoints = deployments_of(settings, environ)
    prices = assembly.prices_of(settings, means.price_source)
    directory = directory_of(settings, deployments, prices)
    if records is not None:
        office = assembly.office_of(
            settings,
            records.ledger,
            records.watch,
            records.ring,
            clock=means.clock,
            ids=means.ids,
            providers=tuple(endpoints),
        )
        records = replace(records, office=office)
    same_prompts = (before.prompts, before.langfuse) == (settings.prompts, settings.langfuse)
    after = replace(
        house,
        settings=settings,
        directory=directory,
        sole=lru_cache(_SOLE)(partial(sole, directory)),
        keys=PlatformKeys(endpoints),
        retries=assembly.retries_of(settings),
        prices=prices,
        cache=house.cache
        if before.cache == settings.cache
        else assembly.cache_of(settings, house.counters, means.clock),
        seen=house.seen
        if before.vision.memory == settings.vision.memory
        else assembly.seen_of(settings, house.counters),
        links=assembly.links_of(settings),
        prompts=house.prompts
        if same_prompts
        else assembly.prompts_of(settings, records, house.upstream, house.tasks, means.clock),
        guards=assembly.guards_of(settings, means.guardrails),
        idempotency=Idempotency(house.counters, settings.idempotency, means.ids),
        version=assembly.version_of(settings),
    )
    return after, records


def with_provider(
    overrides: Mapping[str, Any], settings: Settings, active: Iterable[str], name: str, members: Mapping[str, object]
) -> dict[str, Any]:
    """Keywords with one provider more, or with another in the place of one of that name.

    Args:
        overrides: Those of now. settings: What came of them.
        active: Names of the active providers: where none was named, they are those of the environment, and stay.
    """
    # One that is named would send those away that only a variable named.
    others: dict[str, Any] = {} if settings.providers else {each: {} for each in active}
    return {**overrides, "providers": {**others, **(overrides.get("providers") or {}), name: dict(members)}}


def without_provider(overrides: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Keywords without a provider.

    Raises:
        ConfigError: None of them names it.
    """
    named = overrides.get("providers") or {}
    if name not in named:
        raise ConfigError(
            f"The provider '{name}' was not named by a keyword. Take it out of the file or the environment, and reload."
        )
    return {**overrides, "providers": {each: members for each, members in named.items() if each != name}}
