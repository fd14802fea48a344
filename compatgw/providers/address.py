"""Where a provider's API begins, and its key: out of its row, what is configured, and the environment. Pure.

What does not live here: the rows (`table.py`, `clouds.py`), settings, files (`assembly.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.providers.row import Provider

MEMBERS = ("region", "project", "account", "api_version")
"""What an address may hold that settings name."""

_PLACE = re.compile(r"\{(\w+)\}")
# Regions as AWS writes them in the names of its servers.
_REGION = re.compile(r"[.-]((?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-[a-z]+)+-\d)[.-]")


class Address(NamedTuple):
    """Where a provider is reached.

    Attributes:
        base_url: Without a slash at its end; "" when something is not known.
        query: Sent with every call.
        region: That the address is in, "" when not known.
        missing: What has to be set, "" for nothing.
    """

    base_url: str
    query: str = ""
    region: str = ""
    missing: str = ""


def address(row: Provider, given: Mapping[str, str | None], environ: Mapping[str, str], base_url: str = "") -> Address:
    """Where the provider of `row` is.

    Args:
        row: The provider's.
        given: What is configured, of `MEMBERS`.
        environ: The environment.
        base_url: The configured one, which wins over the row's.
    """
    known = {name: _known(row, name, given, environ) for name in (*MEMBERS, "endpoint")}
    chosen = base_url or _chosen(row, known)
    parts: list[str] = []
    missing = ""
    place = 0
    for found in _PLACE.finditer(chosen):
        value = known.get(found[1], "")
        missing = missing or ("" if value else found[1])
        # A setting is one piece of an address and must not become another address.
        parts += [chosen[place : found.start()], value if found[1] == "endpoint" else quote(value, safe=":")]
        place = found.end()
    if missing:
        return Address("", missing=missing)
    whole = "".join((*parts, chosen[place:]))
    url, _, query = whole.partition("?")
    region = known["region"]
    if base_url and not given.get("region") and (named := _REGION.search(url)):
        region = named[1]
    return Address(url.rstrip("/"), query, region)


def _chosen(row: Provider, known: Mapping[str, str]) -> str:
    if not known["project"] and "" in row.places:
        return row.places[""]
    return row.places.get(known["region"], row.base_url)


def _known(row: Provider, name: str, given: Mapping[str, str | None], environ: Mapping[str, str]) -> str:
    if value := given.get(name):
        return value
    for variable in row.env.get(name, ()):
        if value := environ.get(variable):
            return value.rstrip("/")
    usual = row.usual.get(name, "")
    for found in _PLACE.findall(usual):
        value = _known(row, found, given, environ)
        if not value:
            return ""
        usual = usual.replace(f"{{{found}}}", quote(value, safe=""))
    return usual


def key(row: Provider, environ: Mapping[str, str]) -> str:
    """The key that the environment holds, "" for none."""
    for variable in row.key_env:
        if value := environ.get(variable):
            return value
    parts = [environ.get(variable, "") for variable in row.key_parts]
    if len(parts) < 2 or not all(parts[:2]):
        return ""
    return ":".join(parts).rstrip(":")


def awake(row: Provider, environ: Mapping[str, str]) -> bool:
    """True when the environment alone makes the provider active: a variable that is its own, and a whole address."""
    if row.local:
        return False
    wakes = row.key_env if row.wakes is None else row.wakes
    return any(environ.get(variable) for variable in wakes) and bool(address(row, {}, environ).base_url)
