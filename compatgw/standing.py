"""What stands behind a `Gateway`: its settings, its house and the way in, made anew by a reload.

It is loaded by the first gateway, not by its name: applications import that name in places where none is made.

What does not live here: how any of it is made (`assembly.py`) or made anew (`renewing.py`), and what a host calls
(`gateway.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random as random_module
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from compatgw import assembly, renewing
from compatgw import config as settings_module
from compatgw.admin.reload import Reload
from compatgw.config import ConfigError
from compatgw.flow.chores import Chores
from compatgw.pages.door import Door
from compatgw.state.base import CountersLost, StateError
from compatgw.surfaces import chat
from compatgw.surfaces.table import SURFACES
from compatgw.version import __version__
from compatgw.web.beside import Beside
from compatgw.web.identify import Identify
from compatgw.web.routes import Router
from compatgw.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import httpx
    import httpx2

    from compatgw.assembly import Records
    from compatgw.config import SecretSource
    from compatgw.guardrails.base import Function, Guardrail
    from compatgw.providers.prices import PriceSource
    from compatgw.telemetry.base import Ended
    from compatgw.web.beside import Application
    from compatgw.web.identify import Authenticate
    from compatgw.web.routes import Endpoint as BranchEndpoint
    from compatgw.web.visit import Receive, Send

    Config = str | os.PathLike[str] | Mapping[str, object] | None

_log = logging.getLogger("compatgw")
_RELOAD = "reload"
# Seconds for what is still written down when all calls have ended: charges, records, callbacks of the host.
_LAST_WORK = 15.0


class Standing:
    """One gateway as it stands; what it is made of is as `Gateway` says.

    Attributes:
        settings: Those that hold.
        house: What answers calls. records: Its ledger and what reads it, if it has one.
        site: What visits meet. router: The way in.
    """

    def __init__(
        self,
        config: Config,
        overrides: Mapping[str, Any],
        *,
        authenticate: Authenticate | None,
        http_client: httpx.AsyncClient | httpx2.AsyncClient | None,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        random: random_module.Random | None,
        ids: Callable[[], str] | None,
        on_call: Callable[[Ended], Awaitable[None] | None] | None,
        own_guardrails: Mapping[str, Guardrail | Function] | None,
        secret_source: SecretSource | None,
        price_source: PriceSource | None,
        environ: Mapping[str, str] | None,
    ) -> None:
        self._env = env = os.environ if environ is None else environ
        self._config, self._overrides = config, dict(overrides)
        self._secrets, self._authenticate = secret_source, authenticate
        self.settings = self._read(config, self._overrides)
        chat.validator()
        self._means = means = assembly.Means(
            clock=clock,
            monotonic=monotonic,
            on_call=on_call,
            guardrails=own_guardrails or {},
            ids=ids or _ids(random),
            random=(random or random_module.Random(secrets.randbits(256))).random,
            price_source=price_source,
        )
        house, records = assembly.house_of(self.settings, env, http_client, means)
        self.records = records
        self.house = house
        identify = Identify(
            assembly.witnesses_of(self.settings, records, house.upstream, authenticate, clock),
            plans=assembly.plans_of(self.settings),
            clock=clock,
        )
        if identify.closed:
            _log.warning(
                "This gateway has no keys: every model route answers 401. Configure keys=[...], pass authenticate=, "
                "or open it to all with authenticate=compatgw.anonymous."
            )
        chores = None
        if records is not None or house.counters.shared:
            chores = Chores(house.ledger, house.health, self.settings.state, clock=clock)
        self.site = Site(house, identify, __version__, chores)
        self.router = Router(self.site, _branches(self.settings, records, self.reload_everywhere))
        self._renewing = threading.Lock()
        # By which this process knows its own words.
        self._name = secrets.token_hex(8)
        house.news.listen(_RELOAD, self._told)
        self._retired: list[Identify] = []

    def _read(self, config: Config, overrides: Mapping[str, Any]) -> settings_module.Settings:
        found = settings_module.load(config, overrides, self._env, self._secrets)
        for host, scope in found.hosts.items():
            if scope not in found.scopes:
                raise ConfigError(f"Setting 'hosts': '{host}' leads to '{scope}', which is not one of 'scopes'.")
        return found

    async def reload(self, config: Config = None, **settings: Any) -> None:
        """As `Gateway.reload`."""
        await self._change(lambda before: {**before, **settings}, config)

    async def reload_everywhere(self) -> bool:
        """Reads its settings again, and has all other processes do so that share its counters.

        Returns:
            Whether there may be others, and they were told.

        Raises:
            ConfigError: As by `reload`; nobody was told then.
        """
        await self.reload()
        news = self.house.news
        if not news.shared:
            return False
        try:
            await news.tell(_RELOAD, self._name)
        except CountersLost as error:
            _log.error("Other processes were not told to read their settings again: %s", error)
            return False
        return True

    def _told(self, word: str) -> None:
        if word != self._name:
            self.house.tasks.start(self._follow())

    async def _follow(self) -> None:
        try:
            await self.reload()
        except ConfigError as error:
            _log.error("Another process read its settings again. This one cannot, and goes on by its own: %s", error)
        else:
            _log.warning("The settings were read again, as another process did")

    async def _change(self, change: Callable[[dict[str, Any]], dict[str, Any]], config: Config = None) -> None:
        await asyncio.to_thread(self._renew, config, change)

    def _renew(self, config: Config, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        with self._renewing:
            config, overrides = self._config if config is None else config, change(self._overrides)
            settings = self._read(config, overrides)
            house, records = renewing.renewed(self.house, self.records, settings, self._env, self._means)
            former = self.site
            same = self.settings.oidc == settings.oidc
            witnesses = assembly.witnesses_of(
                settings,
                records,
                house.upstream,
                self._authenticate,
                house.clock,
                former.identify.tokens if same else None,
            )
            plans = assembly.plans_of(settings)
            identify = Identify(witnesses, plans=plans, clock=house.clock, seal=former.identify.seal)
            site = Site(house, identify, __version__, former.chores, before=former)
            router = Router(site, _branches(settings, records, self.reload_everywhere))
            # From here on nothing fails. A request takes the router first, and all else from its site.
            if not same:
                self._retired.append(former.identify)
            self._config, self._overrides, self.settings = config, overrides, settings
            self.house, self.records, self.site, self.router = house, records, site, router

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the active providers."""
        return tuple(self.house.keys)

    async def add_provider(self, name: str, members: Mapping[str, object]) -> None:
        """As `Gateway.add_provider`."""
        await self._change(lambda before: renewing.with_provider(before, self.settings, self.providers, name, members))

    async def remove_provider(self, name: str) -> None:
        """As `Gateway.remove_provider`."""
        await self._change(lambda before: renewing.without_provider(before, name))

    async def add_model(self, name: str, target: str | Sequence[str] | Mapping[str, object]) -> None:
        """As `Gateway.add_model`."""
        await self._change(lambda before: {**before, "models": {**(before.get("models") or {}), name: target}})

    def beside(self, gateway: Application, host: Application, path: str) -> Beside:
        """As `Gateway.beside`; `gateway` is the one before this."""
        return Beside(gateway, host, path, opened=self.begin, closed=self.end)

    async def open(self) -> None:
        """As `Gateway.open`."""
        list(SURFACES.values())  # by being asked for
        if self.house.ledger is not None:
            await self.house.ledger.open()

    async def aclose(self) -> None:
        """As `Gateway.aclose`."""
        house = self.house
        await self.site.visits.aclose()
        if (background := house.background.made) is not None:
            await background.aclose(self.settings.shutdown_grace)
        await house.answers.aclose()
        await house.streams.aclose()
        await house.tasks.aclose(_LAST_WORK)
        if self.site.chores is not None:
            await self.site.chores.aclose()
        if house.ledger is not None:
            await house.ledger.aclose()
        await house.counters.aclose()
        for identify in (*self._retired, self.site.identify):
            await identify.aclose()
        await house.upstream.aclose()
        house.getter.close()

    async def begin(self) -> None:
        """Opens everything, for a host that will say when to end.

        Raises:
            StateError: As `open`.
        """
        await self.open()
        self.site.sign.open = True

    async def end(self) -> None:
        """Takes no more calls, and closes everything."""
        self.site.close()
        await self.aclose()

    async def lifespan(self, receive: Receive, send: Send) -> None:
        """Begins and ends as an ASGI server says."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.begin()
                except StateError as error:
                    await send({"type": "lifespan.startup.failed", "message": f"compatgw: {error}"})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.end()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _ids(random: random_module.Random | None) -> Callable[[], str]:
    if random is not None:
        return lambda: f"{random.getrandbits(96):024x}"
    # One seed from the system, not a system call each; a server that forks must not give two processes the same.
    source, process = random_module.Random(secrets.randbits(256)), os.getpid()

    def new() -> str:
        nonlocal source, process
        if os.getpid() != process:
            source, process = random_module.Random(secrets.randbits(256)), os.getpid()
        return f"{source.getrandbits(96):024x}"

    return new


def _branches(
    settings: settings_module.Settings, records: Records | None, reload: Callable[[], Awaitable[bool]]
) -> dict[str, BranchEndpoint]:
    """What stands beside the API, by path; of the pages, nothing is loaded before somebody asks for one."""
    branches: dict[str, BranchEndpoint] = {
        "/openapi.json": Door(_openapi),
        "/assets": Door(_assets),
        "/api/admin/reload": Reload(reload),
    }
    if settings.docs.enabled:
        branches["/docs"] = Door(_docs)
    if settings.console.enabled:
        branches["/console"] = Door(partial(_console, records), ("GET", "HEAD", "POST"))
    if records is not None:
        branches["/api/admin"] = _admin(records)
    return branches


def _openapi() -> BranchEndpoint:
    from compatgw.openapi.endpoint import answer

    return answer


def _assets() -> BranchEndpoint:
    from compatgw.pages.static import answer

    return answer


def _docs() -> BranchEndpoint:
    from compatgw.pages.public import answer

    return answer


def _console(records: Records | None) -> BranchEndpoint:
    from compatgw.pages.console.routes import Console

    return Console(records.office if records is not None else None)


def _admin(records: Records) -> BranchEndpoint:
    # What it needs to read and write documents is only for gateways that have a ledger.
    from compatgw.admin.api import AdminApi

    return AdminApi(records.office, records.ledger)
