"""`compatgw config check`: each setting, where it came from, and whether keys work.

What does not live here: where settings come from (`origins.py`), what they mean (`config.py`).
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from compatgw.assembly import upstream_of
from compatgw.cli.setting import source_of
from compatgw.cli.tables import Value, column, show_json, show_table
from compatgw.cli.words import config_option, fail
from compatgw.config import ConfigError
from compatgw.dialects.base import Outgoing
from compatgw.errors import GatewayError
from compatgw.gateway import Gateway
from compatgw.origins import Origin, origins, spot_of
from compatgw.reaching import deployments_of

if TYPE_CHECKING:
    from compatgw.config import Settings
    from compatgw.upstream.client import Endpoint, UpstreamClient

UNUSABLE = 3
"""The exit status when `--live` found a key refused, or a provider out of reach."""

# By dialect: a request that costs nothing and that a wrong key is refused for.
_PROBES: Mapping[str, Outgoing] = MappingProxyType(
    {
        "openai": Outgoing("/models", b"", method="GET"),
        "anthropic": Outgoing("/models", b"", (("anthropic-version", "2023-06-01"),), method="GET"),
        "gemini": Outgoing("/models", b"", method="GET"),
        "cohere": Outgoing("/v1/models", b"", method="GET"),
    }
)
# Seconds for one answer, and how many are waited for at one time.
_PATIENCE = 10.0
_AT_ONCE = 8
# What may be a secret in a line of the file that a mistake is in.
_ASSIGNED = re.compile(r"(?i)((?:key|secret|token|password|ring|authorization)[\w.\"'-]*\s*=\s*).*")
_QUOTED = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Tried:
    """A key that was tried.

    Attributes:
        provider: Its name. key: Which of its keys, from 1 on.
        outcome: `ok`, `refused`, `unreachable`, `failing` or `untested`.
        why: In words.
    """

    provider: str
    key: int
    outcome: str
    why: str = ""


@click.group("config")
def config() -> None:
    """The settings: what they are, and where each came from."""


@config.command()
@config_option
@click.option("--set", "only_set", is_flag=True, help="Leave out what is as by default.")
@click.option("--live", is_flag=True, help="Ask every provider for its models, to see whether its keys are good.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(config: str | None, only_set: bool, live: bool, as_json: bool) -> None:
    """Read the settings, and say what each is and where it came from, without serving.

    Secrets are masked. A mistake is told with its file, line and column. Ends with status 1 when the
    settings are wrong, and with 3 when --live finds a key refused or a provider out of reach.

    \b
    Example:
      compatgw config check --live
      compatgw config check --config compatgw.toml --set
    """
    named = source_of(config)
    try:
        gateway = Gateway(named)
        text = Path(named).read_text("utf-8") if named is not None else ""
        found = origins(gateway.settings, named, text, os.environ)
    except ConfigError as error:
        fail(_placed(error, named))
    if only_set:
        found = [each for each in found if each.kind != "default"]
    tried = asyncio.run(_try_all(gateway.settings)) if live else None
    if as_json:
        document: dict[str, object] = {"object": "config", "file": named, "providers": list(gateway.providers)}
        document["settings"] = [asdict(each) for each in found]
        if tried is not None:
            document["live"] = [asdict(each) for each in tried]
        show_json(document)
    else:
        _show(gateway, found, tried)
    if tried is not None and any(each.outcome not in ("ok", "untested") for each in tried):
        sys.exit(UNUSABLE)


def _show(gateway: Gateway, found: list[Origin], tried: list[Tried] | None) -> None:
    settings = gateway.settings
    click.echo(f"settings are good; {len(settings.keys)} keys, transport {gateway.transport}", err=True)
    for name in gateway.providers:
        click.echo(f"  provider {name}", err=True)
    for name in settings.models:
        click.echo(f"  model {name}", err=True)
    rows: list[tuple[Value, ...]] = [
        (each.name, each.kind if not each.source else f"{each.kind} {each.source}", each.value) for each in found
    ]
    columns = (column("setting"), column("source", free=True), column("value", free=True))
    show_table(columns, rows, empty="Nothing is set: every setting is as by default.")
    if tried is not None:
        click.echo()
        show_table(
            (column("provider"), column("key"), column("outcome", standing=True), column("why", free=True)),
            [(each.provider, each.key, each.outcome, each.why) for each in tried],
            empty="No provider is active.",
        )


def _placed(error: ConfigError, named: str | None) -> str:
    """The message behind the place of the mistake, and the line that it is in before its end."""
    message = str(error)
    if named is None:
        return message
    try:
        text = Path(named).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return message
    spot = spot_of(message, error.path, text)
    if spot is None:
        return message
    shown = _QUOTED.sub("//****@", _ASSIGNED.sub(r"\1****", spot.text.strip()))
    return f"{named}:{spot.line}:{spot.column}: {message} The line: {shown}"


async def _try_all(settings: Settings) -> list[Tried]:
    deployments, endpoints = deployments_of(settings, os.environ)
    upstream, room = upstream_of(settings, None), asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, number: int, endpoint: Endpoint) -> Tried:
        async with room:
            return await _try(upstream, number, endpoint, deployments[name].dialect.name)

    try:
        return await asyncio.gather(
            *(one(name, number, each) for name, keys in endpoints.items() for number, each in enumerate(keys, 1))
        )
    finally:
        await upstream.aclose()


async def _try(upstream: UpstreamClient, number: int, endpoint: Endpoint, dialect: str) -> Tried:
    probe = _PROBES.get(dialect)
    if probe is None:
        return Tried(endpoint.name, number, "untested", "it has no request that costs nothing")
    try:
        async with asyncio.timeout(_PATIENCE):
            reply = await upstream.send(endpoint, probe)
            status = reply.status
            await reply.aclose()
    except TimeoutError:
        return Tried(endpoint.name, number, "unreachable", f"no answer within {_PATIENCE:g} seconds")
    except GatewayError as error:
        return Tried(endpoint.name, number, "unreachable", endpoint.redact(error.message))
    if status in (401, 403):
        return Tried(endpoint.name, number, "refused", f"it answers {status}: the key is wrong, or may not do this")
    if status in (404, 405, 501):
        return Tried(endpoint.name, number, "untested", f"it answers {status}: it does not list its models")
    if status >= 300:
        return Tried(endpoint.name, number, "failing", f"it answers {status}")
    return Tried(endpoint.name, number, "ok")
