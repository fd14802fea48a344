"""`compatgw explain`: where a request would go with these settings, and why; nobody is called.

What does not live here: planning (`policy/plan.py`), what is told of a plan (`policy/explaining.py`).
"""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from compatgw.cli.setting import source_of
from compatgw.cli.tables import Long, Value, column, show_json, show_table
from compatgw.cli.words import config_option, fail
from compatgw.config import ConfigError
from compatgw.gateway import Gateway
from compatgw.policy.access import ALL, Principal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import HTTPConnection

    from compatgw.gateway import Overrides
    from compatgw.policy.explaining import Explained
    from compatgw.web.identify import Authenticate

_STDIN = "-"
# Nothing is looked up or left behind: a plan needs neither teams nor counters, and the caller is no key of theirs.
_ALONE: Overrides = {"state": {"ledger": None, "counters": None}, "keys": ()}


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--key-models",
    multiple=True,
    metavar="GLOB",
    help="As a key sees it that may use these models only; repeat it.  [default: all models]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, as X-Gateway-Explain: 1 answers it.")
@config_option
def explain(file: str, key_models: Sequence[str], as_json: bool, config: str | None) -> None:
    """Say where a chat request would go, and why; nobody is called.

    FILE holds the body of a chat request in JSON; - reads it from stdin. Targets have a place, in the
    order in which they are tried; what has none is left out. The price is the most that the request
    may cost there. Which upstreams rest at the moment, and how fast they are, only the running gateway
    knows: send it the same request with the header X-Gateway-Explain: 1. Ends with status 1 when
    nothing is left to call.

    \b
    Example:
      compatgw explain request.json
      compatgw explain - --json --key-models 'claude-*' < request.json
    """
    body = _read(file)
    try:
        gateway = Gateway(source_of(config), authenticate=_operator(tuple(key_models)), **_ALONE)
    except ConfigError as error:
        fail(str(error))
    plan = asyncio.run(_plan(gateway, body))
    if as_json:
        show_json(plan)
    else:
        _show(plan, gateway.settings.money.currency)
    if plan["unused_hints"] and not as_json:
        click.echo(f"Hints that mean nothing here: {', '.join(plan['unused_hints'])}.", err=True)
    if not plan["targets"]:
        fail(f"Nothing is left to call for the model '{plan['model']}': the gateway would refuse this request.")


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == _STDIN else Path(file).read_bytes()
    except OSError as error:
        fail(f"Cannot read {file}: {error.strerror}. Name a file with the body of a chat request, or - for stdin.")


def _operator(models: tuple[str, ...]) -> Authenticate:
    async def operator(connection: HTTPConnection) -> Principal:
        return Principal(name="operator", models=models or ALL)

    return operator


async def _plan(gateway: Gateway, body: bytes) -> Explained:
    """What a gateway with these settings answers, so that it is what a server's callers are told, too."""
    headers = {"content-type": "application/json", "x-gateway-explain": "1"}
    async with gateway, gateway.client() as client:
        got = await client.post("/v1/chat/completions", content=body, headers=headers)
    if got.status_code != 200:
        fail(str(got.json()["error"]["message"]))
    return cast("Explained", got.json())


def _show(plan: Explained, currency: str) -> None:
    columns = (
        column("place"),
        column("target", folds=True),
        column("reason"),
        column(f"price {currency}", 1),
        column("context", 2),
        column("trust", 2),
        column("found as", 4, folds=True),
        column("why", 3, free=True),
    )
    rows: list[tuple[Value, ...]] = []
    for place, found in enumerate(plan["targets"], 1):
        price = Decimal(found["price"]) if found["price"] is not None else None
        context = Long(found["context"]) if found["context"] is not None else None
        target = f"{found['provider']}/{found['model']}"
        rows.append((place, target, found["reason"], price, context, found["trust"], found["name"], found["sentence"]))
    rows += [
        (None, lost["model"], lost["reason"], None, None, None, lost["name"], lost["sentence"])
        for lost in plan["left_out"]
    ]
    show_table(columns, rows)
