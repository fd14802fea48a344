"""From settings to the parts that a gateway, and the commands that work beside it, are made of.

What needs a library of an extra is imported when the settings ask for it: a gateway without a ledger
loads no database, and a missing library is said when the gateway is made, not at the first call.

What does not live here: the parts, and how a gateway is put together from them (`standing.py`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from compatgw.config import ConfigError
from compatgw.errors import GatewayError
from compatgw.flow.cache import Cache, weight
from compatgw.flow.call import House
from compatgw.flow.credentials import OwnKeys, PlatformKeys
from compatgw.flow.guarding import Policy
from compatgw.flow.health import Health
from compatgw.flow.idempotency import Idempotency
from compatgw.flow.later import Later
from compatgw.flow.news import News
from compatgw.flow.prompts import Configured, Prompts, Recorded
from compatgw.flow.single import Flights
from compatgw.flow.tasks import Tasks
from compatgw.flow.vault import Vault
from compatgw.flow.vision import described
from compatgw.flow.watching import Callback
from compatgw.guardrails.base import Own
from compatgw.policy import breaker, fetching, retry
from compatgw.policy.access import ADMIN, SCOPES, Principal
from compatgw.policy.limits import PLANS
from compatgw.policy.plan import sole
from compatgw.providers import address, prices
from compatgw.providers.prices import Prices
from compatgw.reaching import deployments_of, directory_of
from compatgw.sections import KeySettings, ModelSettings
from compatgw.state.base import BadRecord, Plan, Price, StateError
from compatgw.state.memory import MemoryCounters
from compatgw.state.opening import open_counters, open_ledger
from compatgw.state.watch import Watch
from compatgw.telemetry import choosing
from compatgw.upstream.client import UpstreamClient
from compatgw.upstream.fetching import Getter
from compatgw.upstream.langfuse import Langfuse
from compatgw.version import __version__
from compatgw.web.identify import Witnesses

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import httpx
    import httpx2

    from compatgw.admin.office import Office
    from compatgw.config import Settings
    from compatgw.flow.background import Background
    from compatgw.flow.conversations import Conversations
    from compatgw.flow.prompts import PromptSource
    from compatgw.guardrails.base import Function, Guardrail
    from compatgw.policy.directory import Directory
    from compatgw.providers.prices import PriceSource
    from compatgw.state.base import Counters, Ledger
    from compatgw.state.secrets import KeyRing
    from compatgw.state.verify import Accounts, KeyVerifier
    from compatgw.telemetry.base import Ended, Observer
    from compatgw.web.identify import Authenticate
    from compatgw.web.oidc import TokenVerifier

# Names are the callers' own: so many are remembered.
_SOLE = 1024
DOLLAR = "USD"
"""The currency of the prices that come with the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """A ledger and what knows its way in it.

    Attributes:
        ledger: Records and money.
        watch: Tells what changes in it.
        verifier: Knows its keys. accounts: Knows its teams.
        ring: Seals teams' own provider keys; None where none is configured.
        office: Changes it.
    """

    ledger: Ledger
    watch: Watch
    verifier: KeyVerifier
    accounts: Accounts
    ring: KeyRing | None
    office: Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a test or a host may want to have in hand.

    Attributes:
        clock: Seconds since 1970.
        monotonic: Seconds of a clock that never goes back.
        ids: Makes a new word at each call.
        random: A number from 0 to below 1 at each call.
        guardrails: Of the host's own, by name.
        on_call: Is told of every call that is over.
        price_source: What models cost that the settings name no price for.
    """

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    ids: Callable[[], str]
    random: Callable[[], float]
    on_call: Callable[[Ended], Awaitable[None] | None] | None = None
    guardrails: Mapping[str, Guardrail | Function] = field(default_factory=dict)
    price_source: PriceSource | None = None


def house_of(
    settings: Settings,
    environ: Mapping[str, str],
    http_client: httpx.AsyncClient | httpx2.AsyncClient | None,
    means: Means,
) -> tuple[House, Records | None]:
    """The rooms that calls go through, and the ledger with what knows its way in it.

    Raises:
        ConfigError: A setting is wrong, or what it asks for is not installed.
    """
    deployments, endpoints = deployments_of(settings, environ)
    records = records_of(settings, clock=means.clock, ids=means.ids, providers=tuple(endpoints))
    counters, prices = counters_of(settings, means.monotonic), prices_of(settings, means.price_source)
    directory = directory_of(settings, deployments, prices)
    conversations, tasks = conversations_of(settings, counters, records, means.clock), Tasks()
    upstream, news = upstream_of(settings, http_client), News(counters)
    house = House(
        settings=settings,
        directory=directory,
        sole=lru_cache(_SOLE)(partial(sole, directory)),
        keys=PlatformKeys(endpoints),
        retries=retries_of(settings),
        upstream=upstream,
        news=news,
        health=Health(news, clock=means.clock, random=means.random, rules=breaker_of(settings)),
        counters=counters,
        ledger=records.ledger if records is not None else None,
        prices=prices,
        own_keys=OwnKeys(records.ring if records is not None else None),
        tasks=tasks,
        cache=cache_of(settings, counters, means.clock),
        answers=Flights(lambda answer: 0),
        streams=Flights(weight),
        describe=described,
        seen=seen_of(settings, counters),
        vault=vault_of(settings, counters),
        getter=Getter(user_agent=f"compatgw/{__version__}"),
        links=links_of(settings),
        conversations=conversations,
        background=background_of(conversations, tasks),
        prompts=prompts_of(settings, records, upstream, tasks, means.clock),
        guards=guards_of(settings, means.guardrails),
        observers=observers_of(settings, means, tasks, directory),
        idempotency=Idempotency(counters, settings.idempotency, means.ids),
        version=version_of(settings),
        clock=means.clock,
        monotonic=means.monotonic,
        ids=means.ids,
        random=means.random,
    )
    return house, records


def counters_of(settings: Settings, monotonic: Callable[[], float]) -> Counters:
    """The counters that the settings ask for.

    Args:
        monotonic: Seconds of a clock that never goes back.

    Raises:
        ConfigError: Their URL is none, or what they need is not installed.
    """
    own = settings.state
    url = own.counters.get_secret_value() if own.counters is not None else None
    try:
        return open_counters(url, on_loss=own.on_counters_loss, monotonic=monotonic)
    except (StateError, ValueError) as error:
        raise ConfigError(f"Setting 'state.counters': {error}") from None


def records_of(
    settings: Settings, *, clock: Callable[[], float], ids: Callable[[], str], providers: tuple[str, ...] = ()
) -> Records | None:
    """The ledger that the settings ask for; None when they ask for none.

    Args:
        clock: Seconds since 1970. ids: Makes a new word at each call.
        providers: Names of the active providers.

    Raises:
        ConfigError: Its URL or the key ring is none, or what they need is not installed.
    """
    own = settings.state
    if own.ledger is None:
        return None
    try:
        ledger = open_ledger(own.ledger.get_secret_value(), clock=clock)
    except StateError as error:
        raise ConfigError(f"Setting 'state.ledger': {error}") from None
    for library in ("argon2", "cryptography"):
        if importlib.util.find_spec(library) is None:
            raise ConfigError(f"Setting 'state.ledger': keys need {library}: install compatgw[state].")
    from compatgw.state.secrets import Hasher, KeyRing
    from compatgw.state.verify import Accounts, KeyVerifier

    try:
        ring = KeyRing.parse(own.key_ring.get_secret_value()) if own.key_ring is not None else None
    except BadRecord as error:
        raise ConfigError(f"Setting 'state.key_ring': {error}") from None
    hasher, watch = Hasher(), Watch(ledger)
    prefixes = (own.key_prefix, *own.old_key_prefixes)
    return Records(
        ledger=ledger,
        watch=watch,
        verifier=KeyVerifier(ledger, watch, prefixes=prefixes, hasher=hasher, clock=clock),
        accounts=Accounts(ledger, watch),
        ring=ring,
        office=office_of(settings, ledger, watch, ring, clock=clock, ids=ids, providers=providers),
    )


def office_of(
    settings: Settings,
    ledger: Ledger,
    watch: Watch,
    ring: KeyRing | None,
    *,
    clock: Callable[[], float],
    ids: Callable[[], str],
    providers: tuple[str, ...] = (),
) -> Office:
    """What changes a ledger.

    Args:
        ledger, watch, ring: As of `Records`. clock, ids, providers: As of `records_of`.
    """
    from compatgw.admin.office import Office
    from compatgw.state.secrets import Hasher, mint

    return Office(
        ledger,
        mint=mint,
        hash=Hasher().hash,
        ring=ring,
        prefix=settings.state.key_prefix,
        currency=settings.money.currency,
        plans=plans_of(settings),
        clock=clock,
        ids=ids,
        changed=watch.forget,
        providers=providers or None,
    )


def retries_of(settings: Settings) -> retry.Rules:
    """How failed attempts are repeated."""
    own = settings.retries
    return retry.Rules(base=own.base, cap=own.cap, longest_wait=own.longest_wait)


def breaker_of(settings: Settings) -> breaker.Rules:
    """When a deployment is left alone for a while."""
    own = settings.breaker
    return breaker.Rules(
        window=own.window,
        least_calls=own.least_calls,
        ratio=own.ratio,
        streak=own.streak or None,
        open_for=own.open_for,
        longest=own.longest,
    )


def cache_of(settings: Settings, counters: Counters, clock: Callable[[], float]) -> Cache | None:
    """Answers that are kept: on the counters' server, or in memory of their own."""
    own = settings.cache
    if not own.enabled:
        return None
    # In one memory with the limits, many answers would push out what must not be lost.
    place = counters if counters.shared else MemoryCounters(max_bytes=own.memory)
    return Cache(place, own, clock)


def guards_of(settings: Settings, own: Mapping[str, Guardrail | Function]) -> Policy:
    """Which guardrails calls have: the host's own, those that packages register, and the ones that come with ours.

    Raises:
        ConfigError: One that is demanded is not there, or is configured wrongly.
    """
    found: dict[str, Guardrail] = {}
    for entry in _registered(tuple(sys.path)):
        found[entry.name] = _guardrail(entry.name, entry.load())
    for name, given in own.items():
        found[name] = _guardrail(name, given)
    try:
        return Policy(settings.guardrails, found)
    except GatewayError as error:
        raise ConfigError(f"Setting 'guardrails': {error.message}") from None


@lru_cache(maxsize=1)
def _registered(paths: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The guardrails of installed packages; found once for `paths`, for that reads a file of every package."""
    return tuple(entry_points(group="compatgw.guardrails"))


def _guardrail(name: str, given: Any) -> Guardrail:
    if hasattr(given, "open") and hasattr(given, "name"):
        found: Guardrail = given
        return found
    try:
        return Own(name, given)
    except TypeError as error:
        raise ConfigError(str(error)) from None


def observers_of(settings: Settings, means: Means, tasks: Tasks, directory: Directory) -> tuple[Observer, ...]:
    """Who is told of calls."""
    try:
        found = choosing.observers(settings, directory, means.clock())
    except ValueError as error:
        raise ConfigError(f"Setting {error}") from None
    return (*found, Callback(means.on_call, tasks)) if means.on_call is not None else tuple(found)


def prompts_of(
    settings: Settings, records: Records | None, upstream: UpstreamClient, tasks: Tasks, clock: Callable[[], float]
) -> Prompts:
    """The templates of the ledger, those of the settings, and then those of Langfuse.

    Raises:
        ConfigError: A template of the settings, or the address of Langfuse, is none.
    """
    sources: list[PromptSource] = [Recorded(records.ledger)] if records is not None else []
    if settings.prompts:
        sources.append(Configured.of(settings.prompts))
    fresh = 60.0
    if (own := settings.langfuse) is not None:
        fresh = own.fresh
        public, secret = own.public_key.get_secret_value(), own.secret_key.get_secret_value()
        try:
            sources.append(Langfuse(upstream, own.base_url, public, secret, timeout=own.timeout))
        except ValueError as error:
            raise ConfigError(f"Setting 'langfuse': {error}") from None
    changes = records.watch if records is not None else None
    return Prompts(sources, tasks, clock=clock, fresh=fresh, changes=changes)


def seen_of(settings: Settings, counters: Counters) -> Counters:
    """Descriptions of images: on the counters' server, or in memory of their own."""
    return counters if counters.shared else MemoryCounters(max_bytes=settings.vision.memory)


def vault_of(settings: Settings, counters: Counters) -> Vault | None:
    """Reasoning that clients drop: on the counters' server, or in memory of its own."""
    own = settings.reasoning
    if not own.keep:
        return None
    return Vault(counters if counters.shared else MemoryCounters(max_bytes=own.memory), keep=own.keep)


def conversations_of(
    settings: Settings, counters: Counters, records: Records | None, clock: Callable[[], float]
) -> Later[Conversations]:
    """Responses that are kept: in the ledger, else on the counters' server, or in memory of their own."""

    def made() -> Conversations:
        from compatgw.flow.conversations import Conversations, Keeping
        from compatgw.flow.shelves import CounterShelf, LedgerShelf

        own = settings.responses
        keeping = Keeping(keep=own.keep, max_entry=own.max_entry)
        if records is not None:
            return Conversations(LedgerShelf(records.ledger, records.ring, clock), keeping)
        place = counters if counters.shared else MemoryCounters(max_bytes=own.memory)
        return Conversations(CounterShelf(place), keeping)

    return Later(made)


def background_of(conversations: Later[Conversations], tasks: Tasks) -> Later[Background]:
    """Responses that are worked on."""

    def made() -> Background:
        from compatgw.flow.background import Background

        return Background(conversations(), tasks)

    return Later(made)


def links_of(settings: Settings) -> fetching.Rules:
    """Which links are followed.

    Raises:
        ConfigError: A network is none.
    """
    own = settings.fetch
    try:
        networks = tuple(ip_network(text) for text in own.networks)
    except ValueError as error:
        raise ConfigError(f"Setting 'fetch.networks': {error}. Write it as 10.1.0.0/16.") from None
    return fetching.Rules(
        mode=own.mode,
        hosts=tuple(own.hosts),
        http=own.http,
        ports=frozenset(own.ports),
        networks=networks,
        max_bytes=own.max_bytes,
        max_call=own.max_call,
        timeout=own.timeout,
    )


def version_of(settings: Settings) -> str:
    """A digest of what changes answers: another one means that kept answers are of another gateway."""
    providers = {
        name: (
            *(own.dialect, own.base_url, sorted(own.quirks.items(), key=str), own.models),
            # The same name of a deployment is another model in another account.
            *(getattr(own, member) for member in address.MEMBERS),
        )
        for name, own in settings.providers.items()
    }
    facts = (__version__, settings.name, settings.models, sorted(providers.items()), settings.unsupported)
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def plans_of(settings: Settings) -> dict[str, Plan]:
    """The plans that every gateway knows, and those of the settings, which win."""
    own = {
        name: Plan(id=name, requests=plan.requests, tokens=plan.tokens, concurrency=plan.concurrency)
        for name, plan in settings.plans.items()
    }
    return {**PLANS, **own}


def prices_of(settings: Settings, source: PriceSource | None = None) -> Prices:
    """What models cost: the package's prices where wallets are in dollars, and the operator's own.

    Args:
        source: The host's, for what the settings name no price for.

    Raises:
        ConfigError: A price is none.
    """
    own = {}
    for name, model in settings.models.items():
        if not isinstance(model, ModelSettings) or not model.price:
            continue
        try:
            own[name] = prices.parse(model.price, f"models.{name}.price")
        except ValueError as error:
            raise ConfigError(f"Setting {error}") from None
    known: Mapping[str, Price] = prices.load() if settings.money.currency == DOLLAR else {}
    return Prices(known, own, source)


def upstream_of(settings: Settings, http_client: httpx.AsyncClient | httpx2.AsyncClient | None) -> UpstreamClient:
    """The way out.

    Raises:
        ConfigError: The transport is not installed.
    """
    try:
        return UpstreamClient(
            transport=settings.transport,
            http_client=http_client,
            connect_timeout=settings.timeouts.connect,
            user_agent=f"compatgw/{__version__}",
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None


def witnesses_of(
    settings: Settings,
    records: Records | None,
    upstream: UpstreamClient,
    authenticate: Authenticate | None,
    clock: Callable[[], float],
    tokens: TokenVerifier | None = None,
) -> Witnesses:
    """Who can tell who a caller is.

    Args:
        tokens: Knows tokens of these issuers already.

    Raises:
        ConfigError: A key's scopes, or an issuer, are wrong.
    """
    if settings.oidc and tokens is None:
        from compatgw.web.oidc import TokenVerifier

        try:
            tokens = TokenVerifier(settings.oidc, upstream, clock=clock)
        except ValueError as error:
            raise ConfigError(f"Setting 'oidc': {error}") from None
    return Witnesses(
        authenticate=authenticate,
        keys=_keys(settings),
        tokens=tokens,
        verifier=records.verifier if records is not None else None,
        accounts=records.accounts if records is not None else None,
    )


def _keys(settings: Settings) -> list[tuple[str, Principal]]:
    keys = []
    for number, entry in enumerate(settings.keys):
        if isinstance(entry, KeySettings):
            _check_scopes(entry.scopes, f"keys.{number}.scopes")
            if entry.plan is not None and settings.state.ledger is None and entry.plan not in plans_of(settings):
                raise ConfigError(
                    f"Setting 'keys.{number}.plan': there is no plan '{entry.plan}'. Add it under 'plans', or use one "
                    f"of {', '.join(sorted(plans_of(settings)))}."
                )
            principal = Principal(
                name=entry.name,
                models=tuple(entry.models),
                team=entry.team,
                scopes=tuple(entry.scopes),
                plan=entry.plan,
                requests=entry.requests,
                tokens=entry.tokens,
                concurrency=entry.concurrency,
            )
            keys.append((entry.key.get_secret_value(), principal))
        else:
            keys.append((entry.get_secret_value(), Principal(name=f"key-{number + 1}")))
    return keys


def _check_scopes(scopes: Sequence[str], where: str) -> None:
    if ADMIN in scopes and len(scopes) > 1:
        raise ConfigError(f"Setting '{where}': '{ADMIN}' stands alone. Give management another key than models.")
    if strange := sorted(set(scopes) - SCOPES):
        raise ConfigError(f"Setting '{where}': {strange[0]!r} is no scope. Known: {', '.join(sorted(SCOPES))}.")
