"""`Gateway`: the ASGI application that hosts mount, and all that they call of it.

It needs no lifespan from its host: connections open with the first call in a loop and close
with that loop. Several gateways live in one process; nothing is shared between them.

What does not live here: what stands behind it (`standing.py`), which is loaded by the first gateway.
"""

from __future__ import annotations

import os
import random as random_module
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

from compatgw.client import BASE_URL, client, sync_client

if TYPE_CHECKING:
    from types import TracebackType

    import httpx
    import httpx2
    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from compatgw.config import SecretSource, Settings
    from compatgw.guardrails.base import Function, Guardrail
    from compatgw.policy.access import Principal
    from compatgw.providers.prices import PriceSource
    from compatgw.telemetry.base import Ended
    from compatgw.web.beside import Application, Beside
    from compatgw.web.identify import Authenticate

    Config = str | os.PathLike[str] | Mapping[str, object] | None


class Overrides(TypedDict, total=False):
    """Settings as keyword arguments of `Gateway`; `compatgw.config.Settings` says what each does."""

    name: str
    providers: Mapping[str, Mapping[str, object]]
    models: Mapping[str, str | Sequence[str] | Mapping[str, object]]
    keys: Sequence[str | Mapping[str, object]]
    unsupported: Literal["hints", "drop", "reject"]
    echo_model: bool
    on_malformed_event: Literal["fail", "skip"]
    streaming: bool
    transport: Literal["auto", "aiohttp", "httpx"]
    max_body: int
    max_upload: int
    guardrails: Mapping[str, object]
    prompts: Mapping[str, Mapping[str, object] | Sequence[Mapping[str, object]]]
    langfuse: Mapping[str, object]
    vision: Mapping[str, object]
    fetch: Mapping[str, object]
    responses: Mapping[str, object]
    reasoning: Mapping[str, object]
    max_answer: int
    max_in_flight: int
    timeouts: Mapping[str, float]
    retries: Mapping[str, float]
    breaker: Mapping[str, float]
    drain: float
    shutdown_grace: float
    cache: Mapping[str, object]
    idempotency: Mapping[str, object]
    docs: Mapping[str, object]
    console: Mapping[str, object]
    state: Mapping[str, object]
    money: Mapping[str, object]
    telemetry: Mapping[str, object]
    plans: Mapping[str, Mapping[str, object]]
    oidc: Sequence[Mapping[str, object]]
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
        monotonic: Seconds of a clock that never goes back; latencies are measured with it.
        random: Where random ids come from, for runs that must repeat.
        ids: Makes a new word at each call; overrides `random`.
        on_call: Is told of every call that is over, with a frozen `compatgw.Ended`; may be async.
        secret_source: What `secret:NAME` in settings stands for. Default: the variable NAME.
        price_source: What a model costs at a provider, where the settings do not say: a price, a table such as
            `[models.NAME] price` is, or None. Asked with every call.
        own_guardrails: By name: functions of a text and its `Spot`, or whole guardrails (`compatgw.guardrails`).
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
        monotonic: Callable[[], float] = time.monotonic,
        random: random_module.Random | None = None,
        ids: Callable[[], str] | None = None,
        on_call: Callable[[Ended], Awaitable[None] | None] | None = None,
        own_guardrails: Mapping[str, Guardrail | Function] | None = None,
        secret_source: SecretSource | None = None,
        price_source: PriceSource | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Unpack[Overrides],
    ) -> None:
        # Loads all that a gateway is made of, which whoever only names it does not wait for.
        from compatgw.standing import Standing

        self._standing = Standing(
            config,
            settings,
            authenticate=authenticate,
            http_client=http_client,
            clock=clock,
            monotonic=monotonic,
            random=random,
            ids=ids,
            on_call=on_call,
            own_guardrails=own_guardrails,
            secret_source=secret_source,
            price_source=price_source,
            environ=environ,
        )

    @property
    def settings(self) -> Settings:
        """The settings that hold now."""
        return self._standing.settings

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the active providers."""
        return self._standing.providers

    @property
    def transport(self) -> str:
        """What carries calls to upstreams."""
        return self._standing.house.upstream.transport_name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        kind = scope["type"]
        if kind == "http":
            await self._standing.router(scope, receive, send)
        elif kind == "lifespan":
            await self._standing.lifespan(receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000, "reason": "There are no websockets here."})

    def beside(self, host: Application, path: str) -> Beside:
        """An ASGI application that is this gateway under `path` and `host` everywhere else.

        For hosts that mount nothing themselves (Django, Quart, BlackSheep, WSGI applications through a2wsgi).

        Args:
            path: Such as `/ai`.

        Raises:
            ValueError: `path` is none.
        """
        return self._standing.beside(self, host, path)

    async def reload(self, config: Config = None, **settings: Unpack[Overrides]) -> None:
        """Takes other settings without ending a call: those under way go on by the former ones.

        Limits, upstreams' health, kept answers, connections and the ledger go on. What `renewing.FIXED` names cannot
        change.

        Args:
            config: As of `Gateway`. Default: the file or mapping of before, read again.
            settings: Keywords, each in the place of the one of that name.

        Raises:
            ConfigError: A setting is wrong, or cannot change while the gateway runs; then nothing was changed.
        """
        await self._standing.reload(config, **settings)

    async def add_provider(self, name: str, members: Mapping[str, object]) -> None:
        """Adds a provider, or puts another in its place; its models can be called at once.

        Args:
            members: As of `[providers.NAME]`.

        Raises:
            ConfigError: As `reload`.
        """
        await self._standing.add_provider(name, members)

    async def remove_provider(self, name: str) -> None:
        """Takes a provider away that a keyword or `add_provider` named; its calls under way go on.

        Raises:
            ConfigError: It was not named so, or as `reload`.
        """
        await self._standing.remove_provider(name)

    async def add_model(self, name: str, target: str | Sequence[str] | Mapping[str, object]) -> None:
        """Adds a name for a model, or gives it another meaning.

        Args:
            target: `provider/model`, a list of such, or the members of `[models.NAME]`.

        Raises:
            ConfigError: As `reload`.
        """
        await self._standing.add_model(name, target)

    async def open(self) -> None:
        """Does what the first calls would have to: loads every surface, and connects to the ledger, if there is one.

        What is wrong with it shows now.

        Raises:
            compatgw.StateError: It cannot be reached, or its schema is not the one of this version.
        """
        await self._standing.open()

    async def aclose(self) -> None:
        """Ends the calls of the running loop, finishes what they have left to do, and closes its connections.

        Calls have `shutdown_grace` seconds for their own end; whoever is left then is told so. Idempotent; a later
        call opens everything anew.
        """
        await self._standing.aclose()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncGenerator[None, None]:
        """The gateway's life within its host's: `FastAPI(lifespan=gateway.lifespan)`, or inside one of the host's own.

        No host has to: without it, connections open with the first call and close with the loop. With it, what is
        wrong with a ledger stops the start, and the end waits for calls as `aclose` does.

        Args:
            app: The host, which frameworks hand in. Not looked at.

        Raises:
            compatgw.StateError: As `open`.
        """
        await self._standing.begin()
        try:
            yield
        finally:
            await self._standing.end()

    async def __aenter__(self) -> Gateway:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @overload
    def client(
        self, library: Literal["httpx"] = "httpx", *, api_key: str | None = None, principal: Principal | None = None
    ) -> httpx.AsyncClient: ...
    @overload
    def client(
        self, library: Literal["httpx2"], *, api_key: str | None = None, principal: Principal | None = None
    ) -> httpx2.AsyncClient: ...
    def client(
        self,
        library: Literal["httpx", "httpx2"] = "httpx",
        *,
        api_key: str | None = None,
        principal: Principal | None = None,
    ) -> httpx.AsyncClient | httpx2.AsyncClient:
        """A client that calls this gateway in process, at `http://gateway`; bodies and streams are not collected first.

        Args:
            library: `httpx` or `httpx2` (what `openai` 3 and newer need).
            api_key: Sent as a bearer token when given.
            principal: Who calls, for jobs that have no key; it decides instead of every header.

        Raises:
            ModuleNotFoundError: `library` is not installed.
            ValueError: Both a key and a principal.
        """
        return client(self, library, api_key, self._vouch(api_key, principal))

    @overload
    def sync_client(
        self, library: Literal["httpx"] = "httpx", *, api_key: str | None = None, principal: Principal | None = None
    ) -> httpx.Client: ...
    @overload
    def sync_client(
        self, library: Literal["httpx2"], *, api_key: str | None = None, principal: Principal | None = None
    ) -> httpx2.Client: ...
    def sync_client(
        self,
        library: Literal["httpx", "httpx2"] = "httpx",
        *,
        api_key: str | None = None,
        principal: Principal | None = None,
    ) -> httpx.Client | httpx2.Client:
        """The same for code that awaits nothing, from any threads; close it to end the thread that it runs in.

        Args:
            library, api_key, principal: As of `client`.

        Raises:
            ModuleNotFoundError, ValueError: As by `client`.
        """
        return sync_client(self, library, api_key, self.aclose, self._vouch(api_key, principal))

    def openai(self, *, api_key: str | None = None, principal: Principal | None = None) -> OpenAI:
        """An OpenAI SDK client that calls this gateway in process; close it as `sync_client`.

        Args:
            api_key, principal: As of `client`; one of the two.

        Raises:
            ModuleNotFoundError: `openai` is not installed.
            ValueError: Neither a key nor a principal, or both.
        """
        import openai

        key = _key(api_key, principal)
        http_client: Any = self.sync_client(_library_of(openai.__version__), principal=principal)
        return openai.OpenAI(api_key=key, base_url=f"{BASE_URL}/v1", http_client=http_client)

    def async_openai(self, *, api_key: str | None = None, principal: Principal | None = None) -> AsyncOpenAI:
        """The same as an `AsyncOpenAI`, which runs in the event loop of its caller.

        Args:
            api_key, principal: As of `client`; one of the two.

        Raises:
            ModuleNotFoundError, ValueError: As by `openai`.
        """
        import openai

        key = _key(api_key, principal)
        http_client: Any = self.client(_library_of(openai.__version__), principal=principal)
        return openai.AsyncOpenAI(api_key=key, base_url=f"{BASE_URL}/v1", http_client=http_client)

    def _vouch(self, api_key: str | None, principal: Principal | None) -> Mapping[str, object]:
        if principal is None:
            return {}
        if api_key is not None:
            raise ValueError("Give a client an api_key or a principal, not both: a principal needs no key.")
        return self._standing.site.identify.vouch(principal)


def _library_of(openai: str) -> Literal["httpx", "httpx2"]:
    """What the OpenAI SDK of a version is built on."""
    return "httpx2" if int(openai.partition(".")[0]) >= 3 else "httpx"


def _key(api_key: str | None, principal: Principal | None) -> str:
    """What the OpenAI SDK sends; it wants a key even where none is looked at."""
    if (api_key is None) == (principal is None):
        raise ValueError("Give an OpenAI client of this gateway an api_key or a principal, one of the two.")
    return "of-a-principal" if api_key is None else api_key


def from_config() -> Gateway:
    """A gateway from `compatgw.toml` (or the file that `COMPATGW_CONFIG` names) and the environment.

    For `uvicorn --factory compatgw:from_config`.

    Raises:
        ConfigError: A setting is wrong, or the named file cannot be read.
    """
    named = os.environ.get("COMPATGW_CONFIG")
    if named is not None:
        return Gateway(named)
    from compatgw.config import FILE

    return Gateway(FILE if Path(FILE).is_file() else None)
