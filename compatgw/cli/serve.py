"""`compatgw serve`, `compatgw demo`: the gateway on its own.

Every mistake that can be made here ends in one line that says how to mend it.
What does not live here: the gateway, and the fakes of the demo (`demo.py`).
"""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import secrets
import signal
import socket
import sys
import time
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import click

from compatgw.cli.setting import LEDGER, is_default, is_made, missing, run_on_ledger, settings_of, source_of, tell_made
from compatgw.cli.words import config_option, fail
from compatgw.config import ConfigError
from compatgw.gateway import Gateway
from compatgw.state.base import Key
from compatgw.state.opening import open_ledger
from compatgw.telemetry.logs import JsonFormatter
from compatgw.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    from compatgw.config import Settings
    from compatgw.gateway import Overrides

    ASGIApp = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]

_log = logging.getLogger("compatgw")
_PORT_OPTION = click.option(
    "--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
_PAGE = 1000


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_PORT_OPTION
@click.option("--path", "prefix", default="", metavar="PATH", help="Serve everything under this path, such as /api.")
@config_option
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What the server says; debug adds a line for each call, never its text.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How lines are written: for people, or one JSON object each.",
)
def serve(host: str, port: int, prefix: str, config: str | None, log_level: str, log_format: str) -> None:
    """Run the gateway.

    Providers are found by their keys in the environment, or named in the settings file. Keys are
    those of the settings and those that `compatgw keys create` makes. On a loopback address without
    any, two are made and printed, to call and to manage with; on any other address the gateway refuses
    to start without keys.
    SIGHUP has the settings read again: calls under way go on by the former ones, and a mistake changes
    nothing.

    \b
    Example:
      OPENAI_API_KEY=sk-... compatgw serve --port 8787
    """
    settings = settings_of(config, ledger=missing() is None)
    gateway, found = _gateway(config, host, settings)
    if not gateway.providers:
        click.secho("No provider is active yet: set OPENAI_API_KEY, ANTHROPIC_API_KEY, ... or name one.", fg="yellow")
    listener = _listen(host, port)
    if not is_made(settings):
        # Not before all else is good: whoever is refused finds no file left behind.
        run_on_ledger(_made(LEDGER))
        tell_made()
    base = f"http://{_shown(host)}:{listener.getsockname()[1]}{_clean(prefix)}"
    click.echo(f"compatgw {__version__}  {base}/v1")
    click.echo(f"providers: {', '.join(gateway.providers) or 'none'}")
    if found is not None:
        click.echo(f"key: {found.key}   (made for this run; configure keys to keep one)")
        if gateway.settings.console.enabled and find_spec("jinja2") is not None:
            click.echo(f"console: {base}/console   log in with {found.admin}   (made for this run, too)")
    _run(gateway, listener, prefix, log_level, log_format)


@click.command()
@_PORT_OPTION
def demo(port: int) -> None:
    """Try the gateway offline: four fake providers, no key, no network.

    Prints a curl line and a Python snippet for each provider's protocol.

    \b
    Example:
      compatgw demo --port 0
    """
    from compatgw.demo import build, snippets

    # What is tried leaves nothing behind.
    with TemporaryDirectory(prefix="compatgw-demo-", ignore_cleanup_errors=True) as folder:
        ledger = f"sqlite:///{folder}/demo.db" if missing() is None else None
        try:
            gateway = build(ledger)
        except ModuleNotFoundError as error:
            lacking = (error.name or "more packages").partition(".")[0]
            fail(f"The demo needs {lacking}: pip install 'compatgw[standalone,testing]'")
        listener = _listen("127.0.0.1", port)
        if ledger is not None:
            run_on_ledger(_made(ledger))
        click.echo(snippets(f"http://127.0.0.1:{listener.getsockname()[1]}/v1"))
        _run(gateway, listener, "", "warning")


class _Made(NamedTuple):
    """Keys for one run: to call with, and to manage with."""

    key: str
    admin: str


def _gateway(config: str | None, host: str, settings: Settings) -> tuple[Gateway, _Made | None]:
    """A gateway with the settings' ledger or the default one, with keys made for it where that is safe."""
    overrides: Overrides = {}
    if is_default(settings):
        overrides["state"] = {"ledger": LEDGER}
    try:
        if _has_keys(settings):
            return Gateway(source_of(config), **overrides), None
        if not _loopback(host):
            fail(
                f"Refusing to listen on {host} without keys: anybody could spend your providers' money. "
                "Make one with 'compatgw keys create', set COMPATGW_KEYS=<key>, or keys = [...] in the settings, or "
                "listen on 127.0.0.1."
            )
        made = _Made(*[f"cgw-{secrets.token_urlsafe(24)}" for _ in _Made._fields])
        overrides["keys"] = [made.key, {"key": made.admin, "name": "operator", "scopes": ["admin"]}]
        return Gateway(source_of(config), **overrides), made
    except ConfigError as error:
        fail(str(error))


def _has_keys(settings: Settings) -> bool:
    """Whether anybody can be let in: by a key or a token of the settings, or by a key of the ledger that is active."""
    configured = bool(settings.keys or settings.oidc)
    if settings.state.ledger is None or not is_made(settings):
        return configured
    # Also with keys of the settings: a database that cannot be used is told now, in one line.
    return run_on_ledger(_has_active_key(settings.state.ledger.get_secret_value())) or configured


async def _made(url: str) -> None:
    ledger = open_ledger(url)
    try:
        await ledger.open()
    finally:
        await ledger.aclose()


async def _has_active_key(url: str) -> bool:
    ledger = open_ledger(url)
    try:
        await ledger.open()
        cursor: str | None = None
        while True:
            page = await ledger.page(Key, cursor=cursor, limit=_PAGE)
            now = time.time()
            if any(key.standing(now) == "active" for key in page.items):
                return True
            if (cursor := page.cursor) is None:
                return False
    finally:
        await ledger.aclose()


def _run(app: Gateway, listener: socket.socket, prefix: str, log_level: str, log_format: str = "text") -> None:
    try:
        import uvicorn
    except ModuleNotFoundError:
        fail("Serving needs uvicorn: pip install 'compatgw[standalone]'")
    as_json = log_format == "json"
    if as_json:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logging.basicConfig(handlers=[handler])
    else:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    # A line for each call costs as much as half of the gateway's own work: it is there for looking closer.
    logging.getLogger("compatgw").setLevel(logging.INFO if log_level == "debug" else logging.WARNING)
    # What start-up made stays; looking at it again in every collection costs a third of the speed.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    config = uvicorn.Config(
        _hearing(app, _under(app, _clean(prefix))),
        log_level=log_level,
        access_log=False,
        lifespan="on",
        server_header=False,
    )
    if as_json:
        # Its own handlers write for people.
        for name in ("uvicorn", "uvicorn.error"):
            logging.getLogger(name).handlers.clear()
            logging.getLogger(name).propagate = True
    server = uvicorn.Server(config)
    server.run([listener])
    if not server.started:
        # It has said why.
        sys.exit(1)


def _hearing(gateway: Gateway, app: ASGIApp) -> ASGIApp:
    """`app`, whose settings are read again at SIGHUP from its start on, where there is such a signal."""
    if not hasattr(signal, "SIGHUP"):
        return app
    wanted = asyncio.Event()

    async def reloads() -> None:
        while True:
            await wanted.wait()
            wanted.clear()
            try:
                await gateway.reload()
            except ConfigError as error:
                _log.error("The settings were not read again; nothing was changed. %s", error)
            else:
                _log.warning("The settings were read again: providers %s", ", ".join(gateway.providers) or "none")

    async def heard(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)
        task = asyncio.create_task(reloads())
        try:
            await app(scope, receive, send)
        finally:
            task.cancel()
            await asyncio.wait([task])

    return heard


def _under(app: Gateway, prefix: str) -> ASGIApp:
    """`app` mounted at `prefix`; what is outside of it gets the gateway's own 404."""
    if not prefix:
        return app

    async def mounted(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": (scope.get("root_path") or "") + prefix}
        await app(scope, receive, send)

    return mounted


def _clean(prefix: str) -> str:
    trimmed = prefix.strip("/")
    return f"/{trimmed}" if trimmed else ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one."""
    # The protocol by name: asyncio turns Nagle's algorithm off only on sockets that say theirs.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        fail(f"Cannot listen on {_shown(host)}:{port}: {error.strerror}. Choose another with --port.")
    return listener
