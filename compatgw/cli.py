"""`compatgw serve`, `compatgw demo`, `compatgw check`: the gateway on its own.

Every mistake that can be made here ends in one line that says how to mend it.
What does not live here: the gateway, and the fakes of the demo (`demo.py`).
"""

from __future__ import annotations

import gc
import ipaddress
import logging
import os
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

try:
    import click
except ModuleNotFoundError:
    sys.exit("The command line needs more packages: pip install 'compatgw[standalone]'")

from compatgw.config import FILE, ConfigError
from compatgw.gateway import Gateway
from compatgw.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from typing import Any

    ASGIApp = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]

_PORT_OPTION = click.option(
    "--port", default=8787, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="compatgw")
def main() -> None:
    """An OpenAI-compatible AI gateway: mount it in an application, or run it here.

    \b
    compatgw demo      try it now: no key, no network
    compatgw serve     run it with your providers' keys (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...)
    compatgw check     read the configuration and say what it means
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_PORT_OPTION
@click.option("--path", "prefix", default="", metavar="PATH", help="Serve everything under this path, such as /api.")
@click.option("--config", type=click.Path(dir_okay=False), help=f"Settings in TOML.  [default: ./{FILE} if it exists]")
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What the server says; debug adds a line for each call, never its text.",
)
def serve(host: str, port: int, prefix: str, config: str | None, log_level: str) -> None:
    """Run the gateway.

    Providers are found by their keys in the environment, or named in the settings file. On a
    loopback address without keys of your own, one is made and printed; on any other address
    the gateway refuses to start without keys.
    """
    gateway, made = _gateway(config, host)
    if not gateway.providers:
        click.secho("No provider is active yet: set OPENAI_API_KEY, ANTHROPIC_API_KEY, ... or name one.", fg="yellow")
    listener = _listen(host, port)
    base = f"http://{_shown(host)}:{listener.getsockname()[1]}{_clean(prefix)}/v1"
    click.echo(f"compatgw {__version__}  {base}")
    click.echo(f"providers: {', '.join(gateway.providers) or 'none'}")
    if made is not None:
        click.echo(f"key: {made}   (made for this run; configure keys to keep one)")
    _run(gateway, listener, prefix, log_level)


@main.command()
@_PORT_OPTION
def demo(port: int) -> None:
    """Try the gateway offline: four fake providers, no key, no network.

    Prints a curl line and a Python snippet for each provider's protocol.
    """
    from compatgw.demo import build, snippets

    try:
        gateway, key = build()
    except ModuleNotFoundError as error:
        _fail(f"The demo needs {error.name}: pip install 'compatgw[standalone,testing]'")
    listener = _listen("127.0.0.1", port)
    click.echo(snippets(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", key))
    _run(gateway, listener, "", "warning")


@main.command()
@click.option("--config", type=click.Path(dir_okay=False), help=f"Settings in TOML.  [default: ./{FILE} if it exists]")
def check(config: str | None) -> None:
    """Read the settings and say what they mean, without serving."""
    gateway, _ = _gateway(config, "127.0.0.1")
    settings = gateway.settings
    click.echo(f"settings are good; {len(settings.keys)} keys, transport {gateway.transport}")
    for name in gateway.providers:
        click.echo(f"  provider {name}")
    for name in settings.models:
        click.echo(f"  model {name}")


def _gateway(config: str | None, host: str) -> tuple[Gateway, str | None]:
    """A gateway from the settings, with a key made for it where that is safe."""
    source = config or os.environ.get("COMPATGW_CONFIG") or (FILE if Path(FILE).is_file() else None)
    try:
        gateway = Gateway(source)
        if gateway.settings.keys:
            return gateway, None
        if not _loopback(host):
            _fail(
                f"Refusing to listen on {host} without keys: anybody could spend your providers' money. "
                "Set COMPATGW_KEYS=<key>, or keys = [...] in the settings, or listen on 127.0.0.1."
            )
        made = f"cgw-{secrets.token_urlsafe(24)}"
        return Gateway(source, keys=[made]), made
    except ConfigError as error:
        _fail(str(error))


def _run(app: Gateway, listener: socket.socket, prefix: str, log_level: str) -> None:
    try:
        import uvicorn
    except ModuleNotFoundError:
        _fail("Serving needs uvicorn: pip install 'compatgw[standalone]'")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    # A line for each call costs as much as half of the gateway's own work: it is there for looking closer.
    logging.getLogger("compatgw").setLevel(logging.INFO if log_level == "debug" else logging.WARNING)
    # What start-up made stays; looking at it again in every collection costs a third of the speed.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    config = uvicorn.Config(
        _under(app, _clean(prefix)), log_level=log_level, access_log=False, lifespan="on", server_header=False
    )
    uvicorn.Server(config).run([listener])


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
        _fail(f"Cannot listen on {_shown(host)}:{port}: {error.strerror}. Choose another with --port.")
    return listener


def _fail(message: str) -> NoReturn:
    click.secho(message, fg="red", err=True)
    sys.exit(1)
