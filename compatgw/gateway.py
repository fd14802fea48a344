"""`Gateway`: the composition root, and the ASGI application that hosts mount.

It needs no lifespan from its host: connections open with the first call in a loop and close
with that loop. Several gateways live in one process; nothing is shared between them.

What does not live here: how anything is done.
"""

from __future__ import annotations

import logging
import os
import random as random_module
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Unpack

from compatgw import config as settings_module
from compatgw.client import BASE_URL, client
from compatgw.config import ConfigError, KeySettings, ProviderSettings, Settings
from compatgw.dialects.base import Quirks
from compatgw.dialects.table import DIALECTS
from compatgw.flow.call import House
from compatgw.flow.health import Health
from compatgw.policy.access import Principal
from compatgw.policy.plan import Deployment, Directory, OwnModel, plan
from compatgw.providers import auth, catalogue
from compatgw.providers.table import PROVIDERS, Provider, generic
from compatgw.surfaces import chat
from compatgw.upstream.client import Endpoint, UpstreamClient
from compatgw.version import __version__
from compatgw.web.identify import Identify
from compatgw.web.routes import Router
from compatgw.web.site import Site

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    import httpx
    import httpx2
    import openai

    from compatgw.web.identify import Authenticate
    from compatgw.web.visit import Receive, Send

_log = logging.getLogger("compatgw")
_PLANS = 1024


class Overrides(TypedDict, total=False):
    """Settings as keyword arguments of `Gateway`; `compatgw.config.Settings` says what each does."""

    name: str
    providers: Mapping[str, Mapping[str, object]]
    models: Mapping[str, str | Mapping[str, object]]
    keys: Sequence[str | Mapping[str, object]]
    unsupported: Literal["hints", "drop", "reject"]
    echo_model: bool
    streaming: bool
    transport: Literal["auto", "aiohttp", "httpx"]
    max_body: int
    max_answer: int
    max_in_flight: int
    timeouts: Mapping[str, float]
    scopes: Mapping[str, Sequence[str]]
    hosts: Mapping[str, str]
    cors_origins: Sequence[str]
    status_upstreams: bool


class Gateway:
    """An OpenAI-compatible gateway as an ASGI application.

    Args:
        config: Path of a TOML file, or its content as a mapping. Default: none.
        authenticate: Async callable from a Starlette `HTTPConnection` to a `Principal`, or None
            to refuse; decides instead of keys.
        http_client: An `httpx.AsyncClient` or `httpx2.AsyncClient` that all calls to upstreams go through.
        clock: Seconds since 1970.
        random: Where random ids come from, for runs that must repeat.
        ids: Makes a new word at each call; overrides `random`.
        environ: The environment. Default: the process's own.
        settings: Any of `Overrides`; a keyword wins over environment, over file, over default.

    Raises:
        ConfigError: A setting is wrong; nothing half-configured is ever served.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, object] | None = None,
        *,
        authenticate: Authenticate | None = None,
        http_client: httpx.AsyncClient | httpx2.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
        random: random_module.Random | None = None,
        ids: Callable[[], str] | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Unpack[Overrides],
    ) -> None:
        env = os.environ if environ is None else environ
        self.settings = settings_module.load(config, settings, env)
        for host, scope in self.settings.hosts.items():
            if scope not in self.settings.scopes:
                raise ConfigError(f"Setting 'hosts': '{host}' leads to '{scope}', which is not one of 'scopes'.")
        chat.validator()
        deployments, endpoints = _deploy(self.settings, env)
        try:
            upstream = UpstreamClient(
                transport=self.settings.transport,
                http_client=http_client,
                connect_timeout=self.settings.timeouts.connect,
                user_agent=f"compatgw/{__version__}",
            )
        except ValueError as error:
            raise ConfigError(str(error)) from None
        directory = Directory(
            self.settings.name, deployments, _own_models(self.settings), catalogue.load(), frozenset(PROVIDERS)
        )
        house = House(
            settings=self.settings,
            directory=directory,
            plan=lru_cache(_PLANS)(partial(plan, directory)),
            endpoints=endpoints,
            upstream=upstream,
            health=Health(deployments),
            clock=clock,
            monotonic=time.monotonic,
            ids=ids or _ids(random),
        )
        self._house = house
        identify = Identify(_keys(self.settings), authenticate)
        if identify.closed:
            _log.warning(
                "This gateway has no keys: every model route answers 401. Configure keys=[...], pass authenticate=, "
                "or open it to all with authenticate=compatgw.anonymous."
            )
        self._site = Site(house, identify, __version__)
        self._router = Router(self._site)

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the active providers."""
        return tuple(self._house.endpoints)

    @property
    def transport(self) -> str:
        """What carries calls to upstreams."""
        return self._house.upstream.transport_name

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI application."""
        kind = scope["type"]
        if kind == "http":
            await self._router(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "There are no websockets here."})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                self._site.open = False
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def aclose(self) -> None:
        """Closes connections to upstreams of the running loop. Idempotent; a later call opens them anew."""
        await self._house.upstream.aclose()

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @overload
    def client(self, library: Literal["httpx"] = "httpx", *, api_key: str | None = None) -> httpx.AsyncClient: ...
    @overload
    def client(self, library: Literal["httpx2"], *, api_key: str | None = None) -> httpx2.AsyncClient: ...
    def client(
        self, library: Literal["httpx", "httpx2"] = "httpx", *, api_key: str | None = None
    ) -> httpx.AsyncClient | httpx2.AsyncClient:
        """A client that calls this gateway in process, at `http://gateway`; streams are not collected first.

        Args:
            library: `httpx` or `httpx2` (what `openai` 3 and newer need).
            api_key: Sent as a bearer token when given.

        Raises:
            ModuleNotFoundError: `library` is not installed.
        """
        return client(self, library, api_key)

    def openai(self, *, api_key: str) -> openai.AsyncOpenAI:
        """An OpenAI SDK client that calls this gateway in process.

        Raises:
            ModuleNotFoundError: `openai` is not installed.
        """
        import openai

        # openai 3 and newer are built on httpx2, older ones on httpx.
        newer = int(openai.__version__.partition(".")[0]) >= 3
        http_client: Any = self.client("httpx2") if newer else self.client("httpx")
        return openai.AsyncOpenAI(api_key=api_key, base_url=f"{BASE_URL}/v1", http_client=http_client)


def from_config() -> Gateway:
    """A gateway from `compatgw.toml` (or the file that `COMPATGW_CONFIG` names) and the environment.

    For `uvicorn --factory compatgw:from_config`.

    Raises:
        ConfigError: A setting is wrong, or the named file cannot be read.
    """
    named = os.environ.get("COMPATGW_CONFIG")
    if named is not None:
        return Gateway(named)
    return Gateway(settings_module.FILE if Path(settings_module.FILE).is_file() else None)


def _ids(random: random_module.Random | None) -> Callable[[], str]:
    # Ids tell calls apart, they guard nothing: one seed from the system, not a system call each.
    source = random or random_module.Random(secrets.randbits(256))
    return lambda: f"{source.getrandbits(96):024x}"


def _keys(settings: Settings) -> list[tuple[str, Principal]]:
    keys = []
    for number, entry in enumerate(settings.keys):
        if isinstance(entry, KeySettings):
            keys.append((entry.key.get_secret_value(), Principal(name=entry.name, models=tuple(entry.models))))
        else:
            keys.append((entry.get_secret_value(), Principal(name=f"key-{number + 1}")))
    return keys


def _own_models(settings: Settings) -> dict[str, OwnModel]:
    own = {}
    for name, entry in settings.models.items():
        if isinstance(entry, str):
            own[name] = OwnModel(entry)
        else:
            own[name] = OwnModel(entry.target or name, entry.max_output, entry.context, entry.traits)
    return own


def _deploy(settings: Settings, environ: Mapping[str, str]) -> tuple[dict[str, Deployment], dict[str, Endpoint]]:
    """The active providers: those of the settings, or every known one whose key is in the environment."""
    wanted = dict(settings.providers) or {
        row.name: ProviderSettings()
        for row in PROVIDERS.values()
        if row.base_url and not row.local and _secret(row, environ)
    }
    deployments, endpoints = {}, {}
    for name, own in wanted.items():
        row = PROVIDERS.get(name) or generic(name, own.base_url or "")
        dialect = DIALECTS.get(own.dialect or row.dialect)
        if dialect is None:
            known = ", ".join(sorted(DIALECTS))
            raise ConfigError(f"Setting 'providers.{name}.dialect': '{own.dialect}' is not one of {known}.")
        deployments[name] = Deployment(name, dialect, _quirks(name, row.quirks, own.quirks), tuple(own.models))
        endpoints[name] = _endpoint(name, row, own, environ)
    return deployments, endpoints


def _endpoint(name: str, row: Provider, own: ProviderSettings, environ: Mapping[str, str]) -> Endpoint:
    if own.app is not None and not callable(own.app):
        raise ConfigError(f"Setting 'providers.{name}.app' must be an ASGI application.")
    base_url = (own.base_url or row.base_url).rstrip("/")
    if not base_url:
        raise ConfigError(f"Setting 'providers.{name}.base_url' is needed. {row.note}".rstrip())
    if not base_url.startswith(("http://", "https://")):
        raise ConfigError(f"Setting 'providers.{name}.base_url' must begin with https:// or http://.")
    secret = own.api_key.get_secret_value() if own.api_key is not None else _secret(row, environ)
    scheme = own.auth or row.auth
    if not secret and scheme != "none" and not row.local and own.app is None:
        where = f"the variable {row.key_env[0]} or " if row.key_env else ""
        raise ConfigError(
            f"Provider '{name}' has no key: set {where}'providers.{name}.api_key' (auth = \"none\": no key)."
        )
    try:
        signed = auth.headers(scheme, secret) if secret else ()
    except ValueError as error:
        raise ConfigError(f"Setting 'providers.{name}.api_key': {error}") from None
    return Endpoint(name, base_url, (*row.headers, *own.headers.items(), *signed), secret, own.app)


def _secret(row: Provider, environ: Mapping[str, str]) -> str:
    return next((environ[variable] for variable in row.key_env if environ.get(variable)), "")


def _quirks(name: str, row: Quirks, own: Mapping[str, Any]) -> Quirks:
    if not own:
        return row
    known = sorted(Quirks.__dataclass_fields__)
    for member in own:
        if member not in known:
            raise ConfigError(f"Setting 'providers.{name}.quirks.{member}' is not a quirk. Known: {', '.join(known)}.")
    merged = {**{member: getattr(row, member) for member in known}, **own}
    try:
        return TypeAdapter(Quirks).validate_python(merged)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(f"Setting 'providers.{name}.quirks.{problem['loc'][0]}': {problem['msg']}.") from None
